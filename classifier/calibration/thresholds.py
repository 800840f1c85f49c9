"""How sure a climbed answer must be, chosen on images of other patients and of other sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.calibration.climb import Climber, Climbing
from classifier.calibration.outcomes import Outcome, outcome_table, outcomes
from classifier.calibration.scaling import Flags

# Where thresholds may lie; the strictest first.
_GRID: Final = (0.999, 0.998, 0.995, *(round(0.99 - 0.01 * step, 2) for step in range(49)))
_DELTA: Final = 0.05
_WRONG: Final = list(Outcome).index(Outcome.WRONG_REGION)


@dataclass(frozen=True, slots=True)
class Posteriors:
    """Calibrated posteriors of images whose class is known.

    Attributes
    ----------
    best, sureness
        The column of the vocabulary of the most probable class of each, intp (N,), and how
        probable it is, float64 (N,).
    masses
        float64 (N, V), of `Climber.masses`.
    truth
        Columns of the vocabulary, intp (N,).
    groups
        The patient of each.
    """

    best: NDArray[np.intp]
    sureness: NDArray[np.float64]
    masses: NDArray[np.float64]
    truth: NDArray[np.intp]
    groups: tuple[str, ...]

    @classmethod
    def of(
        cls, climber: Climber, posteriors: NDArray[Any], allowed: Flags, groups: Sequence[str]
    ) -> Posteriors:
        """Return those of the images with one allowed class, (N, C)."""
        plain = allowed.sum(axis=1) == 1
        own = np.asarray(posteriors[plain], dtype=np.float64)
        return cls(
            climber.columns[own.argmax(axis=1)],
            own.max(axis=1, initial=0),
            climber.masses(own),
            climber.columns[allowed[plain].argmax(axis=1)],
            tuple(group for group, one in zip(groups, plain, strict=True) if one),
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """What the thresholds are to hold.

    Attributes
    ----------
    alpha
        The share of the answered leaves that may be wrong.
    wrong_region
        The share of all answers, leaves and regions, that need not hold the right part; and of all
        images of other sources, the share that may be answered with a wrong region.
    shifted_alpha
        The share of the answered leaves that may be wrong on other sources; `None` for any.
    """

    alpha: float
    wrong_region: float
    shifted_alpha: float | None = None


def choose(
    climber: Climber, own: Posteriors, shifted: Posteriors | None, limits: Limits
) -> tuple[Climbing, tuple[str, ...]]:
    """Return the least strict thresholds that hold, and in sentences what none of them held.

    From the strictest down, a threshold is taken as long as its limit holds; none is tried after
    one that failed (fixed sequence testing; Angelopoulos et al., "Learn then test", 2021). In
    `own` the limit is to hold by a 95 % bound. Then the thresholds are raised to where the limits
    hold in `shifted` as measured: a bound over so few sources would promise nothing.
    """
    missed: list[str] = []
    leaf = _bounded(own, _leaf_errors(climber, own), limits.alpha)
    if leaf is None:
        leaf = max(_GRID[-1], 1 - limits.alpha)
        missed.append(_unbounded("leaves", limits.alpha, leaf))
    region = _bounded(own, _all_errors(climber, own, leaf), limits.wrong_region)
    if region is None:
        region = max(_GRID[-1], 1 - limits.wrong_region)
        missed.append(_unbounded("answers", limits.wrong_region, region))
    leaf = max(leaf, region)
    if shifted is not None and len(shifted.truth):
        if limits.shifted_alpha is not None:
            errors = [
                (threshold, _share(wrong & answered, answered))
                for threshold, answered, wrong in _leaf_errors(climber, shifted)
            ]
            raised, measured = _measured(errors, limits.shifted_alpha)
            leaf = max(leaf, raised)
            if measured > limits.shifted_alpha:
                missed.append(
                    f"On sources left out {measured:.3f} of the answered leaves are wrong, more"
                    f" than {limits.shifted_alpha:g}, whatever the threshold."
                )
        raised, measured = _measured(_wrong_regions(climber, shifted, leaf), limits.wrong_region)
        leaf, region = max(leaf, raised), max(region, raised)
        if measured > limits.wrong_region:
            missed.append(
                f"On sources left out {measured:.3f} of the images are answered with a wrong"
                f" region, more than {limits.wrong_region:g}, whatever the threshold."
            )
    return Climbing(limits.alpha, leaf, region), tuple(missed)


def upper_bound(wrong: Flags, groups: Sequence[str], delta: float = _DELTA) -> float:
    """Return an upper bound of the error rate behind `wrong`, bool (N,), at the level 1 - delta.

    Clopper & Pearson 1934, of as many independent images as the N are worth: N divided by the
    design effect (Kish 1965), the variance of the rate between patients against that of independent
    images. Without an error, a patient counts once. 1 without images.
    """
    count, errors = len(wrong), int(wrong.sum())
    if not count:
        return 1.0
    _, place = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    size = np.bincount(place.reshape(-1))
    if errors in (0, count):
        worth = float(len(size))
    else:
        rate = errors / count
        residual = np.bincount(place.reshape(-1), weights=wrong) - rate * size
        between = float(residual @ residual) * len(size) / max(len(size) - 1, 1) / count**2
        worth = count / max(1.0, between / (rate * (1 - rate) / count))
    failed = errors / count * worth
    if failed >= worth:
        return 1.0
    from scipy.stats import beta

    return float(beta.ppf(1 - delta, failed + 1, worth - failed))


def _bounded(
    images: Posteriors, tried: Iterable[tuple[float, Flags, Flags]], limit: float
) -> float | None:
    """Return the last threshold before one whose errors may exceed `limit`; `None` for none.

    `tried` are thresholds, the strictest first, with what is answered and what of it is wrong.
    The first ones, which answer too little to tell, are passed over.
    """
    groups = np.asarray(images.groups, dtype=np.str_)
    best: float | None = None
    for threshold, answered, wrong in tried:
        taken = groups[answered].tolist()
        if upper_bound(wrong[answered], taken) <= limit:
            best = threshold
        elif best is not None or upper_bound(np.zeros(len(taken), np.bool_), taken) <= limit:
            break
    return best


def _leaf_errors(climber: Climber, images: Posteriors) -> Iterator[tuple[float, Flags, Flags]]:
    answerable = climber.answerable[images.best]
    for threshold in _GRID:
        answered = answerable & (images.sureness >= threshold)
        yield threshold, answered, images.best != images.truth


def _all_errors(
    climber: Climber, images: Posteriors, leaf: float
) -> Iterator[tuple[float, Flags, Flags]]:
    for threshold in _GRID:
        climbing = Climbing(leaf=max(leaf, threshold), region=threshold)
        found = climber.answers(images.masses, climbing)
        yield threshold, found >= 0, ~climber.above[images.truth, found]


def _wrong_regions(climber: Climber, images: Posteriors, leaf: float) -> list[tuple[float, float]]:
    """Return the share of images in a wrong region, for thresholds that hold for leaves too."""
    table = outcome_table(climber)
    found: list[tuple[float, float]] = []
    for threshold in _GRID:
        climbing = Climbing(leaf=max(leaf, threshold), region=threshold)
        shares = outcomes(table, images.truth, climber.answers(images.masses, climbing))
        found.append((threshold, float(shares[:, _WRONG].mean())))
    return found


def _measured(shares: Sequence[tuple[float, float]], limit: float) -> tuple[float, float]:
    """Return the last threshold before one above `limit` and its share; else the least share."""
    kept = list(takewhile(lambda one: one[1] <= limit, shares))
    return kept[-1] if kept else min(shares, key=lambda one: one[1])


def _share(part: Flags, whole: Flags) -> float:
    return float(part.sum() / max(whole.sum(), 1))


def _unbounded(what: str, limit: float, taken: float) -> str:
    return (
        f"These images are too few, or too hard, to hold the errors of answered {what} below"
        f" {limit:g} by a bound: {taken:g} is the least probability, as if it were exact."
    )
