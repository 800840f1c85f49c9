"""Whether a probability means what it says: reliability, calibration error, Brier score, NLL.

`confidence` float (N,) in [0, 1] and `right` bool (N,) are, for a head with one right class, the
probability of the class that was answered and whether it was the right one; for the visible parts,
the probability of each cell (image, label) that is known and whether the part is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.evaluation.bootstrap import Flags, Floats, Places, ratio

BINS: Final = 15
# A probability of 0 for what was right would cost infinitely much; as in scikit-learn's log_loss.
_LEAST: Final = float(np.finfo(np.float32).eps)


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a reliability diagram: confidences from `low` to `high`, both included."""

    low: float
    high: float
    count: int
    confidence: float
    """The mean confidence."""
    accuracy: float
    """The share that was right."""


def equal_mass(confidence: NDArray[Any], bins: int = BINS) -> Places:
    """Return the bin of each confidence, intp (N,) in [0, bins).

    Bins hold equally many (Nixon et al., Measuring Calibration in Deep Learning, 2019: adaptive
    bins). Equal confidences are never parted: all go where the first of them belongs, so that the
    figure does not hang on the order of the rows; bins may then be empty.
    """
    first = np.searchsorted(np.sort(confidence), confidence, side="left")
    return np.asarray(first * bins // max(len(confidence), 1), dtype=np.intp)


def reliability(confidence: NDArray[Any], right: Flags, bins: int = BINS) -> tuple[Bin, ...]:
    """Return the bins that are not empty, by rising confidence."""
    place = equal_mass(confidence, bins)
    found: list[Bin] = []
    for one in np.unique(place):
        inside = place == one
        values = np.asarray(confidence[inside], dtype=np.float64)
        found.append(
            Bin(
                low=float(values.min()),
                high=float(values.max()),
                count=int(inside.sum()),
                confidence=float(values.mean()),
                accuracy=float(right[inside].mean()),
            )
        )
    return tuple(found)


def calibration_rows(confidence: NDArray[Any], right: Flags, bins: int = BINS) -> Floats:
    """Return what each row adds to the sums of `expected_error`: float64 (N, bins).

    In the column of its bin stands confidence minus right (1 or 0); all else is 0.
    """
    rows = np.zeros((len(confidence), bins))
    gap = np.asarray(confidence, dtype=np.float64) - right
    rows[np.arange(len(confidence)), equal_mass(confidence, bins)] = gap
    return rows


def expected_error(gaps: Floats, count: NDArray[Any]) -> Floats:
    """Return the expected calibration error from the sums of `calibration_rows`.

    Σ_b n_b / n · |mean confidence − share right| = Σ_b |Σ gap| / n (Naeini et al. 2015, Guo et al.
    2017). NaN where n is 0.
    """
    return ratio(np.abs(gaps).sum(axis=-1), count)


def ece(confidence: NDArray[Any], right: Flags, bins: int = BINS) -> float:
    """Return the expected calibration error over `bins` bins of equal mass; NaN without rows."""
    gaps = calibration_rows(confidence, right, bins).sum(axis=0)
    return float(expected_error(gaps, np.array(len(confidence))))


def brier_rows(probabilities: NDArray[Any], truth: Places) -> Floats:
    """Return the Brier score of each row: Σ_c (p_c − [c is right])², in [0, 2] (Brier 1950).

    `probabilities` float (N, C), `truth` intp (N,) in [0, C).
    """
    p = np.asarray(probabilities, dtype=np.float64)
    right = p[np.arange(len(p)), truth]
    return np.asarray((p**2).sum(axis=1) - 2 * right + 1, dtype=np.float64)


def nll_rows(probabilities: NDArray[Any], truth: Places) -> Floats:
    """Return −ln p of the right class of each row; no less than 1.2e-7, float32's epsilon."""
    right = np.asarray(probabilities, dtype=np.float64)[np.arange(len(probabilities)), truth]
    return np.asarray(-np.log(np.maximum(right, _LEAST)), dtype=np.float64)


def binary_brier(probabilities: NDArray[Any], present: Flags) -> Floats:
    """Return (p − [present])² of each cell, in [0, 1]."""
    return np.asarray((np.asarray(probabilities, dtype=np.float64) - present) ** 2)


def binary_nll(probabilities: NDArray[Any], present: Flags) -> Floats:
    """Return −ln of the probability of what is so, cell by cell; at least 1.2e-7 as above."""
    p = np.asarray(probabilities, dtype=np.float64)
    return np.asarray(-np.log(np.maximum(np.where(present, p, 1 - p), _LEAST)))
