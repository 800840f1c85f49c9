"""A group of a ConceptMap by code: large ones are indexed once and kept for further requests."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable
from typing import Any, Final

Json = dict[str, Any]
Pair = tuple[Json, Json]
# A smaller group is read through faster than an index is made.
_LARGE: Final = 200
_KEPT: Final = 64


class GroupIndex:
    """The elements of a group by source code, and its mappings by target code."""

    __slots__ = ("_forward", "_reverse", "group")

    def __init__(self, group: Json) -> None:
        # Held, so that the identity it is kept under is no other group's.
        self.group = group
        self._forward: dict[str, list[Json]] = defaultdict(list)
        self._reverse: dict[str, list[Pair]] = defaultdict(list)
        for element in group.get("element", ()):
            self._forward[element.get("code", "")].append(element)
            for target in element.get("target", ()):
                self._reverse[target.get("code", "")].append((element, target))

    def elements(self, code: str) -> Iterable[Json]:
        """Return the elements of a source code."""
        return self._forward.get(code, ())

    def mappings(self, code: str) -> Iterable[Pair]:
        """Return the elements, each with its target, that lead to a target code."""
        return self._reverse.get(code, ())


_kept: OrderedDict[int, GroupIndex] = OrderedDict()
_lock = threading.Lock()


def elements_of(group: Json, code: str, *, keep: bool) -> Iterable[Json]:
    """Return the elements of `group` for a source code, in its order.

    `keep` allows an index of a large group, which is held from then on: the group never changes.
    """
    index = _index(group) if keep else None
    if index is not None:
        return index.elements(code)
    return [one for one in group.get("element", ()) if one.get("code") == code]


def elements_of_sets(group: Json, *, keep: bool) -> Iterable[Json]:
    """Return the elements of `group` that map the codes of a value set, not a code.

    `keep` is that of `elements_of`.
    """
    index = _index(group) if keep else None
    found = index.elements("") if index is not None else group.get("element", ())
    return [one for one in found if "valueSet" in one and "code" not in one]


def mappings_to(group: Json, code: str, *, keep: bool) -> Iterable[Pair]:
    """Return the elements of `group` with a target of this code, each with the target.

    `keep` is that of `elements_of`.
    """
    index = _index(group) if keep else None
    if index is not None:
        return index.mappings(code)
    return [
        (element, target)
        for element in group.get("element", ())
        for target in element.get("target", ())
        if target.get("code") == code
    ]


def _index(group: Json) -> GroupIndex | None:
    if len(group.get("element", ())) < _LARGE:
        return None
    key = id(group)
    with _lock:
        found = _kept.get(key)
        if found is not None:
            _kept.move_to_end(key)
            return found
    made = GroupIndex(group)
    with _lock:
        _kept[key] = made
        if len(_kept) > _KEPT:
            _kept.popitem(last=False)
    return made
