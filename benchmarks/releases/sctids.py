"""SNOMED CT identifiers in bulk: valid ones, none twice, in no order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MULTIPLY = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ],
    dtype=np.uint8,
)
_STEP = np.array([1, 5, 7, 6, 2, 8, 3, 0, 9, 4])
_INVERSE = np.array([0, 4, 3, 2, 1, 5, 6, 7, 8, 9])
# A contributor's namespace, as in the long identifiers of the International Edition.
_NAMESPACE = 1000119
_LONG_SHARE = 0.03


def with_check_digit(stems: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `stems` with their Verhoeff check digit behind them."""
    check = np.zeros(len(stems), dtype=np.uint8)
    rest = stems.copy()
    permute = _STEP
    while rest.any():
        rest, digit = np.divmod(rest, 10)
        seen = _MULTIPLY[check, permute[digit]]
        # A stem that has ended keeps its check digit: leading zeros are no digits.
        check = np.where((rest > 0) | (digit > 0), seen, check)
        permute = _STEP[permute]
    whole: NDArray[np.int64] = stems * 10 + _INVERSE[check]
    return whole


def sctids(
    chance: np.random.Generator, count: int, partition: int, largest_item: int
) -> NDArray[np.int64]:
    """Return `count` identifiers of a component kind: 0 concept, 1 description, 2 relationship.

    Items are spread over 100 to about `largest_item`; a few have the long form with a namespace.
    """
    gap = max(1, 2 * (largest_item - 100) // max(count, 1) - 1)
    items = 100 + np.cumsum(chance.integers(1, gap + 1, count))
    chance.shuffle(items)
    # An SCTID has at most 18 digits: 8 are left for the item before namespace and partition.
    long = (chance.random(count) < _LONG_SHARE) & (items < 100_000_000)
    stems = np.where(
        long, (items * 10_000_000 + _NAMESPACE) * 100 + 10 + partition, items * 100 + partition
    )
    return with_check_digit(stems)
