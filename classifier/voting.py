"""Votes: the frames of an instance, the instances of a series, the series of a study.

Probabilities come in as arrays of one row a member and go out as one row, for each head.

- *Heads with one right class.* Members that show the same thing are witnesses of one answer: the
  mean of their log probabilities (a product of experts, each with the weight 1/N, so that N frames
  that repeat one another do not become N times as sure), with a floor, so that no single member
  has a veto. Members that may show different things (the instances of a series differ in view,
  the series of a study in part) are pooled by their mean instead: a study of a hand and a foot is
  half of each, not something that neither of them is.
- *Visible parts.* A part is visible in the whole when it is in any member: the maximum. It is the
  least that the probability of "in any" can be, and exact where the members repeat one another, as
  frames do. Noisy-or takes them for independent: eight frames of 0.2 would give 0.83; the mean
  loses a part that only some members show.

Both keep the predictions coherent: no part above its region, and no part less visible than it is
examined.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.data.labels import Head, LabelSpace
from classifier.serving.coherent import coherent_of

# A member that is sure against a class counts as at most this sure.
FLOOR: Final = 1e-4


class Whole(StrEnum):
    """What the votes are joined to."""

    INSTANCE = "instance"
    SERIES = "series"
    STUDY = "study"


# What the members of a series need not share: its instances are often two views of one part.
_OF_ONE_IMAGE: Final = frozenset({Head.VIEW, Head.IRMA})


def vote(
    space: LabelSpace, members: Mapping[Head, NDArray[np.float32]], whole: Whole
) -> dict[Head, NDArray[np.float32]]:
    """Return the vote of N members for each head, float32 (C,) in [0, 1].

    Parameters
    ----------
    members
        For each head: float32 (N, C), one row a frame for an instance, one row an instance for a
        series, one row a series for a study; N >= 1.
    """
    joined: dict[Head, NDArray[np.float32]] = {}
    for head, rows in members.items():
        if head is Head.VISIBLE:
            joined[head] = rows.max(axis=0)
        elif whole is Whole.STUDY or (whole is Whole.SERIES and head in _OF_ONE_IMAGE):
            joined[head] = linear_pool(rows)
        else:
            joined[head] = product_of_experts(rows)
    if Head.VISIBLE in joined and Head.EXAMINED in joined:
        joined[Head.VISIBLE] = lifted(space, joined[Head.VISIBLE], joined[Head.EXAMINED])
    return joined


def product_of_experts(rows: NDArray[np.float32], floor: float = FLOOR) -> NDArray[np.float32]:
    """Return the normalised geometric mean of the rows of float32 (N, C), each at least `floor`."""
    logs = np.log(np.maximum(rows.astype(np.float64), floor)).mean(axis=0)
    weights = np.exp(logs - logs.max(initial=-np.inf))
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def linear_pool(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of the rows of float32 (N, C)."""
    return np.asarray(rows.mean(axis=0, dtype=np.float64), dtype=np.float32)


def lifted(
    space: LabelSpace, visible: NDArray[np.float32], examined: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return `visible` (V,) raised to where it is no less than what is `examined` (E,) below it.

    As `classifier.models.probabilities` has it: one part is examined, so a part is at least as
    likely to be in the frame as the examined classes at or below it are together.
    """
    whole: NDArray[np.float32] = coherent_of(space).lifted(visible[None], examined[None])[0]
    return whole
