"""What is had for nothing: answers that look at no image. Each score is shown beside theirs.

The floors are made from the very rows that are scored: they know how often each label is there, and
nothing else. A model that learnt only the frequencies of its training set does no better.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.evaluation.bootstrap import Flags, Floats, ratio
from classifier.evaluation.classification import truth_of

MAJORITY: Final = "majority class"
PRIOR: Final = "prior probability"
NOTHING: Final = "nothing predicted"


def one_class(allowed: Flags) -> dict[str, Floats]:
    """Return the probabilities that the floors of a head with one right class give, (N, C) each.

    `MAJORITY` gives 1 to the class with most plain rows, of equally frequent ones the first;
    `PRIOR` gives every class its share of the plain rows. Empty where there is no plain row.
    """
    truth = truth_of(allowed)
    plain = truth[truth >= 0]
    if not len(plain):
        return {}
    count, classes = allowed.shape
    shares = np.bincount(plain, minlength=classes) / len(plain)
    most = np.zeros(classes)
    most[shares.argmax()] = 1
    return {MAJORITY: _each_row(most, count), PRIOR: _each_row(shares, count)}


def many_labels(present: Flags, known: Flags) -> dict[str, Floats]:
    """Return the probabilities that the floors of the visible parts give, (N, V) each.

    `NOTHING` gives 0 to every label; `PRIOR` its share of the rows where it is known, 0 where it
    never is. Empty where nothing is known.
    """
    if not known.any():
        return {}
    shares = np.nan_to_num(ratio((present & known).sum(axis=0), known.sum(axis=0)))
    nothing = np.zeros(known.shape[1])
    return {NOTHING: _each_row(nothing, len(known)), PRIOR: _each_row(shares, len(known))}


def _each_row(values: NDArray[np.float64], count: int) -> Floats:
    return np.broadcast_to(values, (count, len(values)))
