"""SCTID → ordinal in one memory-mapped table: no dictionary, no private memory.

A slot is 16 bytes, so that one line of the processor's cache answers: the SCTID (int64, 0 where
the slot is free), the ordinal and the end of its tree (uint32 both). A code stands in the slot of
its remainder or in one of the next, before the first free one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terminology.release.arrays import Array

# Slots a concept: most codes stand where their remainder says.
_ROOM: Final = 4
# Codes that were asked for lately are kept; the cache is emptied when it is full.
_KEPT: Final = 65_536


class CodeTable(dict[str, int]):
    """Codes → ordinals, -1 for what is not there: the table, and what was asked for lately.

    Attributes
    ----------
    codes
        int64 (2 * slots,): the SCTID of slot `i` at ``2 * i``.
    halves
        uint32 (4 * slots,): the ordinal of slot `i` at ``4 * i + 2``, after it where the concepts
        of its tree end, 0 for a concept without descendants.
    divisor
        The slot of a code is its remainder, or one after it.
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        super().__init__()
        table = arrays["concept.slots"]
        self.codes = table.reshape(-1).data
        self.halves = table.view(np.uint32).reshape(-1).data
        self.divisor = int(arrays["concept.divisor"][0])

    def probe(self, number: int, at: int) -> int:
        """Return where in `codes` a number stands, from `at` on; -1 when it is not there."""
        codes = self.codes
        held: int = codes[at]
        while held != number:
            if not held:
                return -1
            at += 2
            held = codes[at]
        return at if number else -1

    def __missing__(self, code: str) -> int:
        try:
            number = int(code)
        except ValueError:
            return -1
        at = self.probe(number, number % self.divisor * 2)
        # int() takes blanks, signs, underscores and other digits than an SCTID has.
        if at < 0 or str(number) != code:
            return -1
        ordinal: int = self.halves[2 * at + 2]
        if len(self) >= _KEPT:
            self.clear()
        self[code] = ordinal
        return ordinal


def code_arrays(
    ids: NDArray[np.int64], subtree: NDArray[np.uint32], has_children: NDArray[np.bool_]
) -> dict[str, Array]:
    """Return ``concept.slots``, int64 (slots, 2), and ``concept.divisor``.

    Parameters
    ----------
    ids
        SCTIDs by ordinal.
    subtree
        Concepts in the tree below each, itself included; of consecutive ordinals.
    has_children
        By ordinal.
    """
    divisor = _prime(_ROOM * len(ids) + 1)
    owner = np.full(divisor + len(ids) + 1, -1, dtype=np.int64)
    waiting = np.arange(len(ids))
    place = ids % divisor
    slot = np.empty(len(ids), dtype=np.int64)
    while len(waiting):
        free = owner[place] < 0
        owner[place[free]] = waiting[free]
        here = owner[place] == waiting
        slot[waiting[here]] = place[here]
        waiting, place = waiting[~here], place[~here] + 1
    # The last slot is free: a search that comes to the end stops there.
    used = int(slot.max()) + 1 if len(ids) else 0
    table = np.zeros((max(divisor, used) + 1, 2), dtype=np.int64)
    table[slot, 0] = ids
    halves = table.view(np.uint32)
    ordinals = np.arange(len(ids))
    halves[slot, 2] = ordinals
    halves[slot, 3] = np.where(has_children, ordinals + subtree, 0)
    return {"concept.slots": table, "concept.divisor": np.array([divisor], dtype=np.int64)}


def _prime(start: int) -> int:
    number = start | 1
    while any(number % one == 0 for one in range(3, int(number**0.5) + 1, 2)):
        number += 2
    return number
