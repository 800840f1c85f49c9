"""What a calibrated model answers, how specific, how rightly, and where it says that it cannot.

Figures are cross-fitted: patients are parted, and each image is calibrated by what was fitted on
the images of the other parts. A calibration that is measured on what it was fitted to would look
better than it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from classifier.calibration.calibration import (
    ALPHA,
    WRONG_REGION,
    Calibration,
    calibrated,
    fit_climbing,
    fit_scaling,
)
from classifier.calibration.climb import climber_of
from classifier.calibration.conformal import least_probability
from classifier.calibration.outcomes import Outcome, outcome_table, outcomes
from classifier.calibration.thresholds import Limits
from classifier.data.labels import Head, Scores
from classifier.evaluation import bootstrap
from classifier.evaluation.bootstrap import Counted, Flags, Floats, Places, number_groups, ratio
from classifier.evaluation.calibration import calibration_rows, expected_error
from classifier.names import class_names
from terminology.graph import BodyStructureGraph

ALPHAS: Final = (0.01, ALPHA, 0.05, 0.1, 0.2)
COVERAGES: Final = (0.9, 0.95, 0.99)
_FOLDS: Final = 5
# The tables by region and by source are long, and drawn less often.
_TABLE_DRAWS: Final = 1_000

_Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Parts:
    """Scores in parts by patient, and what scales each, fitted on the other parts."""

    scores: Scores
    rows: tuple[Places, ...]
    others: tuple[Scores, ...]
    scalings: tuple[Calibration, ...]

    @classmethod
    def of(cls, scores: Scores, folds: int, seed: int) -> _Parts:
        places, count = number_groups(scores.groups)
        part = np.random.default_rng(seed).permutation(count) % folds
        rows = tuple(np.flatnonzero(part[places] == fold) for fold in range(folds))
        others = tuple(scores.take(np.flatnonzero(part[places] != fold)) for fold in range(folds))
        return cls(scores, rows, others, tuple(fit_scaling(one) for one in others))

    def calibrated(self) -> Scores:
        """Return the scores, each row calibrated by what the other parts say."""
        found = {head: np.empty_like(rows) for head, rows in self.scores.probabilities.items()}
        for rows, scaling in zip(self.rows, self.scalings, strict=True):
            own = calibrated(self.scores.take(rows), scaling)
            for head, values in own.probabilities.items():
                found[head][rows] = values
        return replace(self.scores, probabilities=found)


def abstention(
    scores: Scores,
    graph: BodyStructureGraph | None = None,
    *,
    shifted: Scores | None = None,
    draws: int = bootstrap.DRAWS,
    seed: int = 0,
    alphas: Sequence[float] = ALPHAS,
    alpha: float = ALPHA,
    wrong_region: float = WRONG_REGION,
    folds: int = _FOLDS,
) -> _Json | None:
    """Return the figures of the calibrated model; `None` where they cannot be had.

    That is without a head of the examined part, or with fewer patients than `folds`.

    Keys::

        settings  alpha, wrong_region, folds, draws, seed, level
        images    how many have one right class
        alphas    [{alpha, leaf, region, figures}, …]: mean thresholds, and what they give
        regions   [{code, name, n, figures}, …]: by the right class, at `alpha`
        sources   source → figures, at `alpha`
        sets      [{coverage, figures}, …]: covered, size
        ece       head → {before, after}

    A figure is ``{value, low, high}``; `None` where it is undefined. Those of an alpha, a region
    and a source are the shares of each `Outcome`; ``right``, exact or above; ``leaf_coverage`` and
    ``leaf_accuracy``, of the answers that are leaves (`Climbing`); ``answered_accuracy``, the
    share of the answers that is right.

    Parameters
    ----------
    shifted
        Scores of sources left out, which raise the thresholds.
    alphas, alpha
        Shares of answered leaves that may be wrong; `alpha` is the one of the detailed tables.
    wrong_region
        The share of all answers that may be wrong; at least the alpha.
    """
    usable = Head.EXAMINED in scores.probabilities
    if not usable or len(set(scores.groups)) < folds:
        return None
    parts = _Parts.of(scores, folds, seed)
    run = _Run(parts, graph, shifted, wrong_region, draws, seed)
    chosen = run.outcomes(alpha)
    return {
        "settings": {
            "alpha": alpha,
            "wrong_region": wrong_region,
            "folds": folds,
            "draws": draws,
            "seed": seed,
            "level": bootstrap.LEVEL,
        },
        "images": len(run.truth),
        "alphas": [run.of_alpha(one) for one in alphas],
        "regions": run.by_class(chosen),
        "sources": run.by_source(chosen),
        "sets": [run.of_sets(one) for one in COVERAGES],
        "ece": run.errors(),
    }


@dataclass(frozen=True, slots=True)
class _Answers:
    """What was answered under one alpha to the images with one right class.

    `rows` are bool (N, 8): the `Outcome`s, answered, leaf, right leaf.
    """

    leaf: float
    region: float
    rows: Floats


class _Run:
    def __init__(
        self,
        parts: _Parts,
        graph: BodyStructureGraph | None,
        shifted: Scores | None,
        wrong_region: float,
        draws: int,
        seed: int,
    ) -> None:
        self.parts, self.graph, self.shifted = parts, graph, shifted
        self.wrong_region, self.draws, self.seed = wrong_region, draws, seed
        self.table_draws = min(draws, _TABLE_DRAWS)
        self.before, self.after = parts.scores, parts.calibrated()
        self.climber = climber_of(self.before.space, graph)
        self.table = outcome_table(self.climber)
        allowed = self.before.targets.allowed[Head.EXAMINED]
        self.plain: Places = np.flatnonzero(allowed.sum(axis=1) == 1)
        self.truth: Places = allowed[self.plain].argmax(axis=1)
        self.groups = np.asarray(self.before.groups, dtype=np.str_)
        self.posteriors = self.after.probabilities[Head.EXAMINED]

    def outcomes(self, alpha: float) -> _Answers:
        limits = Limits(alpha, max(alpha, self.wrong_region))
        answers = np.full(len(self.posteriors), -1, dtype=np.intp)
        is_leaf = np.zeros(len(answers), dtype=np.bool_)
        leaf, region = [], []
        for rows, others, scaling in zip(
            self.parts.rows, self.parts.others, self.parts.scalings, strict=True
        ):
            fitted = fit_climbing(scaling, others, self.graph, limits, shifted=self.shifted)
            masses = self.climber.masses(self.posteriors[rows])
            answers[rows] = self.climber.answers(masses, fitted.climbing)
            is_leaf[rows] = self.climber.leaves(
                self.posteriors[rows], answers[rows], fitted.climbing
            )
            leaf.append(fitted.climbing.leaf)
            region.append(fitted.climbing.region)
        said, truth = answers[self.plain], self.climber.columns[self.truth]
        found = outcomes(self.table, truth, said)
        sure = is_leaf[self.plain]
        rows_of = np.column_stack([found, said >= 0, sure, sure & (said == truth)])
        return _Answers(float(np.mean(leaf)), float(np.mean(region)), rows_of.astype(np.float64))

    def of_alpha(self, alpha: float) -> _Json:
        answers = self.outcomes(alpha)
        every = np.ones(len(self.truth), dtype=np.bool_)
        return {
            "alpha": alpha,
            "leaf": answers.leaf,
            "region": answers.region,
            "figures": self._shares(answers, every, self.draws),
        }

    def by_class(self, answers: _Answers) -> list[_Json]:
        names = class_names(self.before.space, Head.EXAMINED, self.graph)
        codes = self.before.space.columns(Head.EXAMINED)
        return [
            {
                "code": code,
                "name": name,
                "n": int((self.truth == at).sum()),
                "figures": self._shares(answers, self.truth == at, self.table_draws),
            }
            for at, (code, name) in enumerate(zip(codes, names, strict=True))
            if (self.truth == at).any()
        ]

    def by_source(self, answers: _Answers) -> _Json:
        origin = np.asarray(self.before.sources, dtype=np.str_)[self.plain]
        return {
            str(source): {
                "n": int((origin == source).sum()),
                "figures": self._shares(answers, origin == source, self.table_draws),
            }
            for source in np.unique(origin)
        }

    def of_sets(self, coverage: float) -> _Json:
        held = np.zeros(self.posteriors.shape, dtype=np.bool_)
        for rows, others, scaling in zip(
            self.parts.rows, self.parts.others, self.parts.scalings, strict=True
        ):
            fitted = calibrated(others, scaling).probabilities[Head.EXAMINED]
            allowed = others.targets.allowed[Head.EXAMINED]
            least = least_probability(fitted, allowed, others.groups, coverage)
            held[rows] = self.posteriors[rows] >= least
        held[np.arange(len(held)), self.posteriors.argmax(axis=1)] = True
        own = held[self.plain]
        covered = own[np.arange(len(own)), self.truth]
        rows_of = np.column_stack([covered, own.sum(axis=1), np.ones(len(own))])
        counted = Counted(
            ("covered", "size"),
            rows_of.astype(np.float64),
            lambda sums: ratio(sums[:, :2], sums[:, 2:]),
        )
        return {"coverage": coverage, "figures": self._figures(counted, self.plain, self.draws)}

    def errors(self) -> _Json:
        """Return the calibration error of each head before and after."""
        return {
            str(head): {
                "before": self._error(self.before, head),
                "after": self._error(self.after, head),
            }
            for head in self.before.space.heads
        }

    def _error(self, scores: Scores, head: Head) -> _Json:
        values, targets = scores.probabilities[head], scores.targets
        if head is Head.VISIBLE:
            rows, columns = np.nonzero(targets.known)
            confidence, right = values[rows, columns], targets.present[rows, columns]
        else:
            allowed = targets.allowed[head]
            rows = np.flatnonzero(allowed.sum(axis=1) == 1)
            said = values[rows].argmax(axis=1)
            confidence, right = values[rows, said], allowed[rows, said]
        gaps = calibration_rows(confidence, right)
        counted = Counted(
            ("ece",),
            np.column_stack([gaps, np.ones(len(rows))]),
            lambda sums: expected_error(sums[:, :-1], sums[:, -1])[:, None],
        )
        found: _Json = self._figures(counted, rows, self.draws)["ece"]
        return found

    def _shares(self, answers: _Answers, chosen: Flags, draws: int) -> _Json:
        rows = np.column_stack([answers.rows[chosen], np.ones(int(chosen.sum()))])
        names = (*Outcome, "right", "leaf_coverage", "leaf_accuracy", "answered_accuracy")

        def of(sums: Floats) -> Floats:
            right, n = sums[:, :2].sum(axis=1), sums[:, -1]
            return np.column_stack(
                [
                    ratio(sums[:, :5], n[:, None]),
                    ratio(right, n),
                    ratio(sums[:, 6], n),
                    ratio(sums[:, 7], sums[:, 6]),
                    ratio(right, sums[:, 5]),
                ]
            )

        counted = Counted(tuple(map(str, names)), rows, of)
        return self._figures(counted, self.plain[chosen], draws)

    def _figures(self, counted: Counted, rows: Places, draws: int) -> _Json:
        groups = self.groups[rows].tolist()
        limits = bootstrap.intervals(counted, groups, draws=draws, seed=self.seed)
        found: _Json = {}
        for name, value in counted.values().items():
            interval = limits[name]
            found[name] = {
                "value": value if math.isfinite(value) else None,
                "low": interval.low if interval else None,
                "high": interval.high if interval else None,
            }
        return found
