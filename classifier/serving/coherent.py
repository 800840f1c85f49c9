"""`coherent`: scores as probabilities that do not contradict one another, without torch.

The same rules as `classifier.models.probabilities`, which training differentiates through.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from classifier.data.labels import Head, LabelSpace
from terminology.vocabulary import LabelVocabulary

Rows = NDArray[np.float32]


class Coherent:
    """What turns the scores of a network into probabilities.

    Parameters
    ----------
    space
        The label space of the network.
    """

    def __init__(self, space: LabelSpace) -> None:
        self.space = space
        self._closure = Closure(space.vocabulary)
        self._places = np.array(
            [space.vocabulary.columns[code] for code in space.columns(Head.EXAMINED)], dtype=np.intp
        )

    def __call__(self, scores: Mapping[Head, Rows]) -> dict[Head, Rows]:
        """Return the probability of every class of every head, float32 (N, C) in [0, 1].

        The heads that have one right class sum to 1. `Head.VISIBLE` is coherent: no part is
        likelier than what subsumes it, nor less likely than the examined classes at or below it
        are together.

        Parameters
        ----------
        scores
            float32 (N, C) for each head, before softmax or sigmoid.
        """
        found = {
            head: softmax(rows) if head is not Head.VISIBLE else rows
            for head, rows in scores.items()
        }
        if Head.VISIBLE in found:
            found[Head.VISIBLE] = self.lifted(
                sigmoid(self._closure.highest(scores[Head.VISIBLE])), found.get(Head.EXAMINED)
            )
        return found

    def lifted(self, visible: Rows, examined: Rows | None) -> Rows:
        """Return `visible` (N, V) raised to where it contradicts neither itself nor `examined`.

        Parameters
        ----------
        visible
            float32 (N, V): probabilities of the visible parts.
        examined
            float32 (N, E), of the examined ones; `None` where there is no such head.
        """
        if examined is not None:
            by_column = np.zeros_like(visible)
            by_column[:, self._places] = examined
            visible = np.maximum(visible, self._closure.total(by_column))
        return np.minimum(self._closure.highest(visible), np.float32(1))


def coherent_of(space: LabelSpace) -> Coherent:
    """Return what makes probabilities in `space` coherent; made once."""
    return _coherent(space.vocabulary, space.columns(Head.EXAMINED))


@lru_cache(maxsize=8)
def _coherent(vocabulary: LabelVocabulary, examined: tuple[str, ...]) -> Coherent:
    return Coherent(LabelSpace(vocabulary, {Head.EXAMINED: examined}))


class Closure:
    """Over each column of a vocabulary and those below it: the highest value, and the sum."""

    def __init__(self, vocabulary: LabelVocabulary) -> None:
        below = [sorted({at, *vocabulary.descendants[at]}) for at in range(len(vocabulary))]
        # Every run holds at least the column itself: `reduceat` has no empty one.
        self._members = np.array([one for run in below for one in run], dtype=np.intp)
        self._starts = np.cumsum([0, *(len(run) for run in below[:-1])], dtype=np.intp)

    def highest(self, rows: Rows) -> Rows:
        """Return the highest of each column of (N, V) and of those below it."""
        return np.maximum.reduceat(rows[:, self._members], self._starts, axis=1)

    def total(self, rows: Rows) -> Rows:
        """Return the sum of each column of (N, V) and of those below it."""
        return np.add.reduceat(rows[:, self._members], self._starts, axis=1)


def softmax(rows: Rows) -> Rows:
    """Return the softmax of each row of (N, C)."""
    weights = np.exp(rows - rows.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def sigmoid(rows: Rows) -> Rows:
    """Return 1 / (1 + exp(-x)) of each value; of none is the exponential too large."""
    small = np.exp(-np.abs(rows))
    return np.asarray(np.where(rows >= 0, 1, small) / (1 + small), dtype=np.float32)
