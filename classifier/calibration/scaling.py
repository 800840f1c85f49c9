"""Temperature and Platt scaling, fitted on what a model says of patients it was not trained on.

Guo et al., "On calibration of modern neural networks" (ICML 2017): one temperature a softmax.
Platt, "Probabilistic outputs for support vector machines" (1999): slope and intercept of a logit.
Both work on probabilities: ln p is a logit up to a constant that the softmax does not see. Fitting
needs SciPy, and imports it when it is called; what a model answers by needs NumPy alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

# With fewer images, a fit says more of them than of the model.
LEAST_ROWS: Final = 50
# A label with fewer examples has the intercept of all labels.
LEAST_POSITIVES: Final = 50
_TEMPERATURES: Final = (0.05, 20.0)
# Probabilities nearer to 0 or 1 say nothing more that could be measured.
_EDGE: Final = 1e-7
_SMALLEST: Final = float(np.finfo(np.float32).tiny)
# Of the deviation of a label's intercept from that of all: a Gaussian prior of this precision.
_PRIOR: Final = 1.0


@dataclass(frozen=True, slots=True)
class Platt:
    """p becomes the logistic of slope · logit(p) + intercept.

    Attributes
    ----------
    slope
        Above 0: the order of the images of a label never changes.
    intercept
        Of every label that is not in `own`.
    own
        Intercepts by SCTID, of labels with enough examples.
    """

    slope: float = 1.0
    intercept: float = 0.0
    own: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_identity(self) -> bool:
        """Whether nothing changes."""
        return self.slope == 1 and self.intercept == 0 and not any(self.own.values())

    def apply(self, codes: tuple[str, ...], probabilities: NDArray[Any]) -> Floats:
        """Return the probabilities of the columns `codes`, (N, V), as float64 (N, V)."""
        intercepts = np.array([self.own.get(code, self.intercept) for code in codes])
        return np.asarray(_expit(self.slope * _logit(probabilities) + intercepts), dtype=np.float64)


def scaled(probabilities: NDArray[Any], temperature: float) -> Floats:
    """Return softmax(ln p / temperature) of each row, float64 (N, C)."""
    return np.asarray(np.exp(_scaled_logs(probabilities, temperature)), dtype=np.float64)


def fit_temperature(probabilities: NDArray[Any], allowed: Flags) -> float:
    """Return the temperature under which what is known of the images is likeliest; 1 for too few.

    Parameters
    ----------
    probabilities
        (N, C).
    allowed
        bool (N, C), the classes that a label leaves possible. Rows with none or all are left out;
        one with several, a coarse label, counts by their sum.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    told = allowed.any(axis=1) & ~allowed.all(axis=1)
    if told.sum() < LEAST_ROWS:
        return 1.0
    logs, possible = probabilities[told], allowed[told]

    def loss(log_temperature: float) -> float:
        each = _scaled_logs(logs, float(np.exp(log_temperature)))
        return -float(logsumexp(np.where(possible, each, -np.inf), axis=1).mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(_TEMPERATURES)), method="bounded")
    return float(np.exp(found.x))


def fit_platt(
    codes: tuple[str, ...],
    probabilities: NDArray[Any],
    present: Flags,
    known: Flags,
    *,
    least: int = LEAST_POSITIVES,
) -> Platt:
    """Return one slope for all labels and the intercepts, over the known cells of (N, V).

    A label has an intercept of its own when at least `least` images have it and as many are known
    not to; one that is never known to be absent, or never present, is left out altogether.
    """
    from scipy.optimize import minimize

    positives = (present & known).sum(axis=0)
    negatives = (~present & known).sum(axis=0)
    both = (positives > 0) & (negatives > 0)
    rows, columns = np.nonzero(known & both)
    if len(np.unique(rows)) < LEAST_ROWS:
        return Platt()
    x = _logit(probabilities[rows, columns])
    y = present[rows, columns].astype(np.float64)
    own = np.flatnonzero((positives >= least) & (negatives >= least))
    # The place of each cell's own deviation among the parameters; 0 is that of none.
    places = np.zeros(len(codes), dtype=np.intp)
    places[own] = 1 + np.arange(len(own))
    place = places[columns]

    def loss(parameters: Floats) -> tuple[float, Floats]:
        slope, shift = np.exp(parameters[0]), np.r_[0.0, parameters[2:]]
        logits = slope * x + parameters[1] + shift[place]
        # -ln p of what is so: ln(1 + e^z) - y z
        value = float((np.logaddexp(0, logits) - y * logits).sum())
        value += 0.5 * _PRIOR * float(shift @ shift)
        error = _expit(logits) - y
        of_shift = np.bincount(place, weights=error, minlength=len(shift)) + _PRIOR * shift
        return value, np.r_[slope * float(error @ x), error.sum(), of_shift[1:]]

    found = minimize(loss, np.zeros(2 + len(own)), jac=True, method="L-BFGS-B")
    slope, intercept = float(np.exp(found.x[0])), float(found.x[1])
    intercepts = (intercept + found.x[2:]).tolist()
    return Platt(
        slope, intercept, {codes[at]: one for at, one in zip(own, intercepts, strict=True)}
    )


def _scaled_logs(probabilities: NDArray[Any], temperature: float) -> Floats:
    p = np.maximum(np.asarray(probabilities, dtype=np.float64), _SMALLEST)
    logits = np.log(p) / temperature
    logits -= logits.max(axis=1, keepdims=True)
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), dtype=np.float64)


def _expit(logits: Floats) -> Floats:
    # Without an overflow of the exponential on either side.
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)), dtype=np.float64)


def _logit(probabilities: NDArray[Any]) -> Floats:
    p = np.clip(np.asarray(probabilities, dtype=np.float64), _EDGE, 1 - _EDGE)
    return np.asarray(np.log(p) - np.log1p(-p), dtype=np.float64)
