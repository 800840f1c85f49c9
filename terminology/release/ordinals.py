"""Sets of ordinals as bitmaps, arrays and masks, and how one becomes another."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import AbstractBitMap, BitMap

Flags = NDArray[np.bool_]
# So few numbers are sorted rather than marked in an array of all.
_FEW: Final = 4096


def as_array(ordinals: Iterable[int]) -> NDArray[np.uint32]:
    """Return ordinals as uint32, in their order; a bitmap is not walked in Python."""
    if isinstance(ordinals, AbstractBitMap):
        return np.asarray(ordinals.to_array(), dtype=np.uint32)
    if isinstance(ordinals, np.ndarray):
        return ordinals.astype(np.uint32, copy=False)
    return np.fromiter(ordinals, dtype=np.uint32)


def bitmap_of(ordinals: NDArray[np.integer]) -> BitMap:
    """Return ordinals as a set; they need not be sorted or distinct."""
    # From an array of the standard library pyroaring copies the buffer; numpy's it would walk.
    return BitMap(array("I", ordinals.astype(np.uint32, copy=False).tobytes()))


def bitmap_of_flags(flags: Flags) -> BitMap:
    """Return the places of a mask that are set."""
    return bitmap_of(np.flatnonzero(flags))


def flags_of(ordinals: AbstractBitMap, count: int) -> Flags:
    """Return a set as a mask over all `count` concepts."""
    flags = np.zeros(count, dtype=np.bool_)
    flags[as_array(ordinals)] = True
    return flags


def places_in(starts: NDArray[np.integer], lengths: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the places of ranges, one range after the other, each ascending."""
    shift: NDArray[np.int64] = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    return np.arange(len(shift), dtype=np.int64) + shift


def distinct(numbers: NDArray[np.uint32], end: int) -> NDArray[np.uint32]:
    """Return numbers below `end`, ascending and each once."""
    if len(numbers) <= _FEW:
        return np.unique(numbers)
    marked = np.zeros(end, dtype=np.bool_)
    marked[numbers] = True
    return np.flatnonzero(marked).astype(np.uint32)
