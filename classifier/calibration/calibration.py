"""`Calibration`: what makes the probabilities of a model mean what they say; `fit` finds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from classifier.calibration.climb import Climber, Climbing, climber_of
from classifier.calibration.conformal import least_probability
from classifier.calibration.scaling import Platt, fit_platt, fit_temperature, scaled
from classifier.calibration.thresholds import Limits, Posteriors, choose
from classifier.data.labels import Head, LabelSpace, Scores
from classifier.errors import CalibrationError
from classifier.serving.coherent import coherent_of
from terminology.graph import BodyStructureGraph

Probabilities = Mapping[Head, NDArray[np.float32]]

ALPHA: Final = 0.03
WRONG_REGION: Final = 0.05
COVERAGE: Final = 0.95
# With 0 the classes that training saw rarely are hardly ever answered; with 1 too often.
BALANCE: Final = 0.4
_VISIBLE: Final = 0.5
_FORMAT: Final = "bodysite-calibration-1"


@dataclass(frozen=True)
class Calibration:
    """How the probabilities of one model are changed, and from where on they are answered.

    Attributes
    ----------
    temperatures
        For heads with one right class; 1 of those that are not there.
    visible
        Of `Head.VISIBLE`.
    weights
        What the probabilities of the examined part are multiplied by, by SCTID, before they are
        scaled: more for what training saw rarely (Menon et al., "Long-tail learning via logit
        adjustment", ICLR 2021, section 4.1). 1 of those that are not there.
    climbing
        How sure an answer for the examined part must be.
    set_coverage, set_least
        The prediction set holds the right class with the probability `set_coverage`: it is the
        classes at least as probable as `set_least`, which is 0 where that is not known.
    visible_least
        How probable a visible part must be to be answered.
    missed
        Sentences on what no thresholds could hold.
    """

    temperatures: Mapping[Head, float] = field(default_factory=dict)
    visible: Platt = field(default_factory=Platt)
    climbing: Climbing = field(default_factory=Climbing)
    set_coverage: float = COVERAGE
    set_least: float = 0.0
    visible_least: float = _VISIBLE
    missed: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)

    def apply(self, space: LabelSpace, probabilities: Probabilities) -> dict[Head, Any]:
        """Return calibrated probabilities, float32 (N, C) for each head; coherent as they were.

        Parameters
        ----------
        probabilities
            float32 (N, C) for each head, of a model with the label space `space`.
        """
        found: dict[Head, NDArray[np.float32]] = {}
        for head, values in probabilities.items():
            if head is Head.VISIBLE:
                continue
            if head is Head.EXAMINED and self.weights:
                values = self._weighted(space.columns(head), values)
            temperature = self.temperatures.get(head, 1.0)
            if temperature != 1:
                values = scaled(values, temperature).astype(np.float32)
            found[head] = values
        if (visible := probabilities.get(Head.VISIBLE)) is not None:
            changed = self.visible
            own = space.vocabulary.codes
            if not changed.is_identity:
                visible = changed.apply(own, visible).astype(np.float32)
            found[Head.VISIBLE] = coherent_of(space).lifted(visible, found.get(Head.EXAMINED))
        return {head: found[head] for head in probabilities}

    def _weighted(self, codes: Sequence[str], values: NDArray[Any]) -> NDArray[np.float32]:
        weighted = values * np.array([self.weights.get(code, 1.0) for code in codes])
        return np.asarray(weighted / weighted.sum(axis=1, keepdims=True), dtype=np.float32)

    def prior(self, trained: Mapping[str, float]) -> dict[str, float]:
        """Return how often the calibrated model expects each examined part.

        Parameters
        ----------
        trained
            How often training saw it; by SCTID, as is what is returned. Each sums to 1.
        """
        weighted = {code: share * self.weights.get(code, 1.0) for code, share in trained.items()}
        total = sum(weighted.values())
        return {code: share / total for code, share in weighted.items()} if total else weighted

    def to_json(self) -> dict[str, Any]:
        """Return the calibration as JSON values."""
        return {
            "format": _FORMAT,
            "temperatures": {str(head): value for head, value in self.temperatures.items()},
            "visible": {**asdict(self.visible), "own": dict(self.visible.own)},
            "climbing": self.climbing.to_json(),
            "set_coverage": self.set_coverage,
            "set_least": self.set_least,
            "visible_least": self.visible_least,
            "missed": list(self.missed),
            "weights": dict(self.weights),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the calibration that `to_json` wrote.

        Raises
        ------
        CalibrationError
            It is of another format, or a value is missing or impossible.
        """
        try:
            if data["format"] != _FORMAT:
                raise ValueError(f"its format is '{data['format']}'")
            return cls(
                {Head(head): float(value) for head, value in data["temperatures"].items()},
                Platt(**data["visible"]),
                Climbing(**data["climbing"]),
                float(data["set_coverage"]),
                float(data["set_least"]),
                float(data["visible_least"]),
                tuple(map(str, data["missed"])),
                {str(code): float(weight) for code, weight in data.get("weights", {}).items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CalibrationError(
                "calibration",
                f"it cannot be read ({type(error).__name__}: {error})",
                f"what this version writes, {_FORMAT}",
                "Export the model again.",
            ) from error


def identity(space: LabelSpace) -> Calibration:
    """Return the calibration that changes no probability and answers what is sure to 0.95."""
    return Calibration(dict.fromkeys((one for one in space.heads if one is not Head.VISIBLE), 1.0))


def fit(
    scores: Scores | Sequence[Scores],
    graph: BodyStructureGraph | None = None,
    *,
    shifted: Scores | Sequence[Scores] = (),
    alpha: float = ALPHA,
    wrong_region: float = WRONG_REGION,
    shifted_alpha: float | None = None,
    coverage: float = COVERAGE,
    balance: float = BALANCE,
) -> Calibration:
    """Return the calibration of the model that `scores` are of.

    Parameters
    ----------
    scores
        Of images of patients that the model was not trained on, such as the pooled test of five
        folds, or of such a model.
    shifted
        Of images of sources that the model was not trained on, in the same label space. They
        raise the thresholds of the climbing, where probabilities are too high elsewhere.
    alpha, wrong_region, shifted_alpha
        See `classifier.calibration.thresholds.Limits`.
    coverage
        Of the prediction sets.
    balance
        How far classes that training saw rarely are made up for, from 0, not at all, to 1.

    Raises
    ------
    CalibrationError
        There are no scores, or they have different label spaces.
    """
    own, other = _joined(scores), _joined(shifted)
    if own is None:
        raise CalibrationError(
            "calibration", "there are no scores", "scores of images", "Name a file of scores."
        )
    scaling = fit_scaling(own, balance)
    if Head.EXAMINED not in own.probabilities:
        return scaling
    limits = Limits(alpha, wrong_region, shifted_alpha)
    found = fit_climbing(scaling, own, graph, limits, shifted=other)
    posteriors = scaling.apply(own.space, own.probabilities)[Head.EXAMINED]
    allowed = own.targets.allowed[Head.EXAMINED]
    least = least_probability(posteriors, allowed, own.groups, coverage)
    return replace(found, set_coverage=coverage, set_least=least)


def fit_scaling(scores: Scores, balance: float = BALANCE) -> Calibration:
    """Return the weights, the temperatures and the scaling of visible parts; the rest by default.

    The weight of a class is its mean probability to the power of minus `balance`: what the model
    expects, which coarse labels have a part in, and not what labels there are.
    """
    weights: dict[str, float] = {}
    visible_rows = scores.probabilities.get(Head.VISIBLE)
    if balance and Head.EXAMINED in scores.probabilities:
        means = scores.probabilities[Head.EXAMINED].mean(axis=0, dtype=np.float64)
        # Of one image in a thousand at least: means of rarer classes are chance.
        powers = np.maximum(means, 1e-3) ** -balance
        powers /= powers.min()
        weights = dict(zip(scores.space.columns(Head.EXAMINED), powers.tolist(), strict=True))
        scores = calibrated(scores, Calibration(weights=weights))
    temperatures: dict[Head, float] = {
        head: fit_temperature(rows, scores.targets.allowed[head])
        for head, rows in scores.probabilities.items()
        if head is not Head.VISIBLE
    }
    visible = Platt()
    if visible_rows is not None:
        codes = scores.space.vocabulary.codes
        visible = fit_platt(codes, visible_rows, scores.targets.present, scores.targets.known)
    return Calibration(temperatures, visible, weights=weights)


def fit_climbing(
    calibration: Calibration,
    scores: Scores,
    graph: BodyStructureGraph | None,
    limits: Limits,
    *,
    shifted: Scores | None = None,
) -> Calibration:
    """Return `calibration` with thresholds of the climbing that hold `limits`.

    Raises
    ------
    CalibrationError
        `scores` and `shifted` have different label spaces.
    """
    if shifted is not None and shifted.space.to_json() != scores.space.to_json():
        raise _different()
    climber = climber_of(scores.space, graph)
    own = _posteriors(climber, calibration, scores)
    other = None if shifted is None else _posteriors(climber, calibration, shifted)
    climbing, missed = choose(climber, own, other, limits)
    return replace(calibration, climbing=climbing, missed=missed)


def calibrated(scores: Scores, calibration: Calibration) -> Scores:
    """Return `scores` as the calibrated model would have given them."""
    return replace(scores, probabilities=calibration.apply(scores.space, scores.probabilities))


def _posteriors(climber: Climber, scaling: Calibration, scores: Scores) -> Posteriors:
    found = scaling.apply(scores.space, scores.probabilities)[Head.EXAMINED]
    allowed = scores.targets.allowed[Head.EXAMINED]
    return Posteriors.of(climber, found, allowed, scores.groups)


def _joined(scores: Scores | Sequence[Scores]) -> Scores | None:
    """Return several scores as one."""
    parts = [scores] if isinstance(scores, Scores) else list(scores)
    if len(parts) < 2:
        return parts[0] if parts else None
    space = parts[0].space
    if any(one.space.to_json() != space.to_json() for one in parts):
        raise _different()
    return Scores.pooled(parts)


def _different() -> CalibrationError:
    return CalibrationError(
        "calibration",
        "the scores have different label spaces",
        "scores of one model, or of models with the same heads, classes and release",
        "Name scores of one experiment.",
    )
