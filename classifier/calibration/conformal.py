"""Split conformal prediction sets, valid for patients with several images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.calibration.scaling import Flags


def least_probability(
    posteriors: NDArray[Any], allowed: Flags, groups: Sequence[str], coverage: float
) -> float:
    """Return how probable a class must be to stand in the prediction set.

    The set of the classes of at least that probability holds the right one for a new patient's
    image with probability `coverage` or more, if patients are exchangeable: the score of an image
    is 1 - p of its class (Sadinle, Lei & Wasserman 2019, least ambiguous sets), and the threshold
    the (finite-sample) quantile of the scores, in which each of K patients has the weight
    1 / (K + 1), shared by the patient's images (Lee, Barber & Willett, "Distribution-free
    inference with hierarchical data", 2023). 0, every class, where there are too few patients.

    Parameters
    ----------
    posteriors, allowed
        (N, C); rows with several allowed classes, or none, are left out.
    """
    plain = allowed.sum(axis=1) == 1
    if not plain.any():
        return 0.0
    names, place, count = np.unique(
        np.asarray(groups, dtype=np.str_)[plain], return_inverse=True, return_counts=True
    )
    scores = 1 - np.asarray(posteriors, dtype=np.float64)[plain][allowed[plain]]
    order = np.argsort(scores, kind="stable")
    weights = 1 / ((len(names) + 1) * count[place.reshape(-1)])
    reached = np.flatnonzero(np.cumsum(weights[order]) >= coverage - 1e-12)
    return float(max(0.0, 1 - scores[order][reached[0]])) if len(reached) else 0.0
