"""What the operators of constraints make of sets of concepts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from terminology.ecl.syntax import Operator
from terminology.release.index import ReleaseIndex
from terminology.release.ordinals import as_array, bitmap_of, bitmap_of_flags, places_in

Codes = NDArray[np.int64]


def ordinals_of_codes(index: ReleaseIndex, codes: Codes) -> BitMap:
    """Return the concepts among `codes`, int64; what is no concept of the release is left out."""
    if not len(codes) or not len(index):
        return BitMap()
    by_code = index.by_code
    known = index.derived(_sorted_ids)
    places = np.searchsorted(known, codes)
    places[places == len(known)] = 0
    return bitmap_of(by_code[places[known[places] == codes]])


def _sorted_ids(index: ReleaseIndex) -> Codes:
    return index.ids[index.by_code]


def apply(operator: Operator, focus: BitMap, index: ReleaseIndex) -> BitMap:
    """Return what a constraint operator makes of a set: the union over its members."""
    return _OPERATORS[operator](focus, index)


def _descendants(focus: BitMap, index: ReleaseIndex) -> BitMap:
    found = BitMap()
    if len(focus) > 1:
        starts = index.arrays["isa.children.starts"]
        members = as_array(focus)
        members = members[starts[members + 1] > starts[members]]
    else:
        members = as_array(focus)
    for ordinal in members.tolist():
        # What is below a member that was met is there already: ordinals run depth-first, so that
        # a set of many concepts is covered by few of them.
        if ordinal not in found:
            found |= index.descendants(ordinal)
    return found


def _listed(name: str) -> Callable[[BitMap, ReleaseIndex], BitMap]:
    def union(focus: BitMap, index: ReleaseIndex) -> BitMap:
        starts, values = index.arrays[f"isa.{name}.starts"], index.arrays[f"isa.{name}.values"]
        members = as_array(focus)
        if len(members) == 1:
            return bitmap_of(values[starts[members[0]] : starts[members[0] + 1]])
        first = starts[members]
        lengths = starts[members + 1] - first
        flags = np.zeros(len(index), dtype=np.bool_)
        flags[values[places_in(first, lengths)]] = True
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
