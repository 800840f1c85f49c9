"""The closure of the embedded body structures that `terminology.weaving` weaves into a release.

Each concept has an ordinal, and two roaring bitmaps hold the ordinals of all its ancestors and of
all its descendants.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from pyroaring import BitMap, FrozenBitMap

if TYPE_CHECKING:
    from collections.abc import Collection


class CompiledGraph:
    """Transitive closure of a directed acyclic graph of codes.

    Parameters
    ----------
    parents
        Every code with its direct parents; each parent is a key as well, and there is no cycle.

    Attributes
    ----------
    codes
        The codes by ordinal, sorted as text.
    """

    def __init__(self, parents: Mapping[str, Collection[str]]) -> None:
        self.codes: tuple[str, ...] = tuple(sorted(parents))
        self._ordinals = {code: ordinal for ordinal, code in enumerate(self.codes)}
        direct = [sorted(self._ordinals[parent] for parent in parents[code]) for code in self.codes]
        self._ancestors = _closure(direct)
        below: list[list[int]] = [[] for _ in self.codes]
        for child, above in enumerate(direct):
            for parent in above:
                below[parent].append(child)
        self._descendants = _closure(below)

    def __contains__(self, code: object) -> bool:
        return code in self._ordinals

    def ordinal(self, code: str) -> int:
        """Return the ordinal of `code`; `KeyError` when it is not in the graph."""
        return self._ordinals[code]

    def decode(self, ordinals: Iterable[int]) -> Iterator[str]:
        """Yield the codes of `ordinals`, in their order; ascending ordinals give sorted codes."""
        return (self.codes[ordinal] for ordinal in ordinals)

    def ancestors(self, ordinal: int) -> FrozenBitMap:
        """Return all ancestors, without the concept itself."""
        return self._ancestors[ordinal]

    def descendants(self, ordinal: int) -> FrozenBitMap:
        """Return all descendants, without the concept itself."""
        return self._descendants[ordinal]


def _closure(direct: list[list[int]]) -> list[FrozenBitMap]:
    """Return, for each node, all nodes reachable through `direct`; depth-first, each edge once."""
    reached: dict[int, FrozenBitMap] = {}
    for start in range(len(direct)):
        stack = [start]
        while stack:
            node = stack[-1]
            waiting = [after for after in direct[node] if after not in reached]
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            found = BitMap(direct[node])
            for after in direct[node]:
                found |= reached[after]
            reached[node] = FrozenBitMap(found)
    return [reached[node] for node in range(len(direct))]
