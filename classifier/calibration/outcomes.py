"""How an answer that may be a region stands to the truth."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.calibration.climb import Climber


class Outcome(StrEnum):
    """Each answer, or the lack of one, is exactly one of these."""

    EXACT = "exact"
    ANCESTOR = "ancestor"
    """It subsumes the right part: true, and less specific."""
    SAME_REGION = "same_region"
    """Wrong, or more specific than what is known; a region that may be answered holds both."""
    WRONG_REGION = "wrong_region"
    ABSTAINED = "abstained"


def outcome_table(climber: Climber) -> NDArray[np.intp]:
    """Return intp (V, V + 1): the place in `Outcome` of each truth and answer; the last is none."""
    above, size = climber.above, len(climber.codes)
    kinds = list(Outcome)
    held = above & climber.answerable
    together = held.astype(np.float32) @ held.T.astype(np.float32) > 0
    table = np.full((size, size + 1), kinds.index(Outcome.WRONG_REGION), dtype=np.intp)
    table[:, :size][together | above.T] = kinds.index(Outcome.SAME_REGION)
    table[:, :size][above] = kinds.index(Outcome.ANCESTOR)
    np.fill_diagonal(table[:, :size], kinds.index(Outcome.EXACT))
    table[:, size] = kinds.index(Outcome.ABSTAINED)
    return table


def outcomes(
    table: NDArray[np.intp], truth: NDArray[np.intp], answers: NDArray[np.intp]
) -> NDArray[Any]:
    """Return the `Outcome` of each answer, bool (N, 5) in their order, exactly one a row.

    Parameters
    ----------
    table
        Of `outcome_table`.
    truth, answers
        Columns of the vocabulary, intp (N,); an answer of -1 is none.
    """
    flags = np.zeros((len(truth), len(Outcome)), dtype=np.bool_)
    flags[np.arange(len(truth)), table[truth, answers]] = True
    return flags
