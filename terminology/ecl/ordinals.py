"""Sets of ordinals: bitmaps, masks over all concepts, and what operators make of them."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from pyroaring import AbstractBitMap, BitMap

from terminology.ecl.syntax import Operator
from terminology.release.index import ReleaseIndex

Flags = NDArray[np.bool_]
Ordinals = NDArray[np.uint32]
Codes = NDArray[np.int64]


def bitmap_of(ordinals: NDArray[np.integer]) -> BitMap:
    """Return ordinals as a set; they need not be sorted or distinct."""
    # From an array of the standard library pyroaring copies the buffer; numpy's it would walk.
    return BitMap(array("I", ordinals.astype(np.uint32, copy=False).tobytes()))


def bitmap_of_flags(flags: Flags) -> BitMap:
    """Return the places of a mask that are set."""
    return bitmap_of(np.flatnonzero(flags))


def array_of(ordinals: AbstractBitMap) -> Ordinals:
    """Return a set as uint32, ascending."""
    return np.frombuffer(ordinals.to_array(), dtype=np.uint32)


def flags_of(ordinals: AbstractBitMap, count: int) -> Flags:
    """Return a set as a mask over all `count` concepts."""
    flags = np.zeros(count, dtype=np.bool_)
    flags[array_of(ordinals)] = True
    return flags


class _Sorted:
    """The codes of an index in order, to find many of them at once."""

    __slots__ = ("codes", "ordinals")

    def __init__(self, index: ReleaseIndex) -> None:
        self.ordinals = np.argsort(index.ids)
        self.codes = index.ids[self.ordinals]


_SORTED: Final[WeakKeyDictionary[ReleaseIndex, _Sorted]] = WeakKeyDictionary()


def ordinals_of_codes(index: ReleaseIndex, codes: Codes) -> BitMap:
    """Return the concepts among `codes`, int64; what is no concept of the release is left out."""
    if not len(codes) or not len(index):
        return BitMap()
    known = _SORTED.get(index)
    if known is None:
        known = _SORTED[index] = _Sorted(index)
    places = np.searchsorted(known.codes, codes)
    places[places == len(known.codes)] = 0
    return bitmap_of(known.ordinals[places[known.codes[places] == codes]])


def apply(operator: Operator, focus: BitMap, index: ReleaseIndex) -> BitMap:
    """Return what a constraint operator makes of a set: the union over its members."""
    return _OPERATORS[operator](focus, index)


def _descendants(focus: BitMap, index: ReleaseIndex) -> BitMap:
    found = BitMap()
    if len(focus) > 1:
        starts = index.arrays["isa.children.starts"]
        members = array_of(focus)
        members = members[starts[members + 1] > starts[members]]
    else:
        members = array_of(focus)
    for ordinal in members.tolist():
        # What is below a member that was met is there already: ordinals run depth-first, so that
        # a set of many concepts is covered by few of them.
        if ordinal not in found:
            found |= index.descendants(ordinal)
    return found


def _listed(name: str) -> Callable[[BitMap, ReleaseIndex], BitMap]:
    def union(focus: BitMap, index: ReleaseIndex) -> BitMap:
        starts, values = index.arrays[f"isa.{name}.starts"], index.arrays[f"isa.{name}.values"]
        members = array_of(focus)
        if len(members) == 1:
            return bitmap_of(values[starts[members[0]] : starts[members[0] + 1]])
        first = starts[members]
        lengths = starts[members + 1] - first
        shift = np.repeat(first - (np.cumsum(lengths) - lengths), lengths)
        flags = np.zeros(len(index), dtype=np.bool_)
        flags[values[np.arange(len(shift)) + shift]] = True
        return bitmap_of_flags(flags)

    return union


_ancestors = _listed("ancestors")
_parents = _listed("parents")
_children = _listed("children")

_OPERATORS: Final[dict[Operator, Callable[[BitMap, ReleaseIndex], BitMap]]] = {
    Operator.DESCENDANT_OF: _descendants,
    Operator.DESCENDANT_OR_SELF_OF: lambda focus, index: focus | _descendants(focus, index),
    Operator.CHILD_OF: _children,
    Operator.CHILD_OR_SELF_OF: lambda focus, index: focus | _children(focus, index),
    Operator.ANCESTOR_OF: _ancestors,
    Operator.ANCESTOR_OR_SELF_OF: lambda focus, index: focus | _ancestors(focus, index),
    Operator.PARENT_OF: _parents,
    Operator.PARENT_OR_SELF_OF: lambda focus, index: focus | _parents(focus, index),
    Operator.TOP: lambda focus, index: focus - _descendants(focus, index),
    Operator.BOTTOM: lambda focus, index: focus - _ancestors(focus, index),
}
