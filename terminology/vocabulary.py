"""`LabelVocabulary`: ordered concepts, closed under ancestors: the columns of label tensors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

from terminology.concept import BODY_STRUCTURE, Laterality
from terminology.graph import BodyStructureGraph

# What subsumes a label is a label of its own where it is a place in the body. "Bone" and "Joint
# region" are kinds: a picture of a hand shows bones, whether or not the hand's concept says so.
_BODY_REGION: Final = "52530000"
# |Joint region|, |Joint|, |Digit|, |Subregion of trunk|
_KINDS: Final = frozenset({"785818007", "39352004", "82680008", "420473002"})

_BODY_SYSTEM: Final = "91689009"
# A radiograph "of the ankle joint", as DICOM's Body Part Examined has it, shows what one "of the
# ankle" shows: as a label, the joint of a joint region is that region.
_REGION_OF_JOINT: Final = {
    "16953009": "127949000",  # |Elbow joint|, |Elbow region|
    "24136001": "29836001",  # |Hip joint|, |Hip|
    "49076000": "72696002",  # |Knee joint|, |Knee|
    "70258002": "344001",  # |Ankle joint|, |Ankle|
    "74670003": "8205005",  # |Wrist joint|, |Wrist region|
    "85537004": "16982005",  # |Glenohumeral joint|, |Shoulder|
}


@dataclass(frozen=True)
class LabelVocabulary:
    """The concepts that a data set or a model speaks of, with the edges between them.

    Attributes
    ----------
    codes
        SCTIDs, unsided and of today, in topological order: every concept stands after all that
        subsume it, those of one depth sorted as text. A column of a label tensor is a position
        in it.
    displays
        Their terms, in the same order.
    parents
        For every column, the columns directly above it: no other column lies between.
    version
        The release that the edges are from.
    """

    codes: tuple[str, ...]
    displays: tuple[str, ...]
    parents: tuple[tuple[int, ...], ...]
    version: str

    @classmethod
    def of(cls, graph: BodyStructureGraph, codes: Iterable[str]) -> Self:
        """Return the vocabulary of `codes` and of what subsumes them.

        Sided codes count as their unsided ones, former codes as today's. Of what subsumes them,
        the places are taken: what is at or below 52530000 |Body region| and no kind of place. One
        that tells nothing is left out: it subsumes every given code, or exactly those that a more
        specific one subsumes as well.

        Raises
        ------
        UnknownConceptError
            One of `codes` is not in the graph.
        """
        given = frozenset(canonical(graph, code)[0] for code in codes) - {BODY_STRUCTURE}
        below: defaultdict[str, set[str]] = defaultdict(set)
        for code in given:
            for above in graph.ancestors_or_self(code):
                if above == code or _is_region(graph, above):
                    below[above].add(code)
        alike: defaultdict[frozenset[str], list[str]] = defaultdict(list)
        for code, extension in below.items():
            alike[frozenset(extension)].append(code)
        kept = set(given)
        for shared, codes_alike in alike.items():
            if len(shared) < len(given) and not given.intersection(codes_alike):
                kept.add(max(codes_alike, key=lambda code: (len(graph.ancestors(code)), code)))
        return cls._ordered(graph, frozenset(kept))

    @classmethod
    def _ordered(cls, graph: BodyStructureGraph, kept: frozenset[str]) -> Self:
        above = {code: graph.ancestors(code) & kept for code in kept}
        depth: dict[str, int] = {}
        for code in sorted(kept, key=lambda code: len(above[code])):
            depth[code] = 1 + max((depth[one] for one in above[code]), default=-1)
        codes = tuple(sorted(kept, key=lambda code: (depth[code], code)))
        column = {code: at for at, code in enumerate(codes)}
        parents = []
        for code in codes:
            nearest = above[code].difference(*(above[one] for one in above[code]))
            parents.append(tuple(sorted(column[one] for one in nearest)))
        displays = tuple(graph.lookup(code).display for code in codes)
        return cls(codes, displays, tuple(parents), graph.version)

    def __len__(self) -> int:
        return len(self.codes)

    def __contains__(self, code: object) -> bool:
        return code in self.columns

    @cached_property
    def columns(self) -> Mapping[str, int]:
        """The column of each code."""
        return {code: column for column, code in enumerate(self.codes)}

    @cached_property
    def ancestors(self) -> tuple[frozenset[int], ...]:
        """For every column, the columns above it, without itself."""
        found: list[frozenset[int]] = []
        for parents in self.parents:
            found.append(frozenset(parents).union(*(found[parent] for parent in parents)))
        return tuple(found)

    @cached_property
    def descendants(self) -> tuple[frozenset[int], ...]:
        """For every column, the columns below it, without itself."""
        found: list[set[int]] = [set() for _ in self.codes]
        for column, ancestors in enumerate(self.ancestors):
            for ancestor in ancestors:
                found[ancestor].add(column)
        return tuple(frozenset(one) for one in found)

    @cached_property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """The columns by depth, the highest first; no column subsumes another of its level."""
        depth: list[int] = []
        for parents in self.parents:
            depth.append(1 + max((depth[parent] for parent in parents), default=-1))
        levels: list[list[int]] = [[] for _ in range(1 + max(depth, default=-1))]
        for column, level in enumerate(depth):
            levels[level].append(column)
        return tuple(tuple(level) for level in levels)

    def closed(self, columns: Iterable[int]) -> frozenset[int]:
        """Return `columns` and every column above one of them."""
        chosen = frozenset(columns)
        return chosen.union(*(self.ancestors[column] for column in chosen))

    def nearest(self, graph: BodyStructureGraph, code: str) -> tuple[str, ...]:
        """Return the concepts of this vocabulary that are `code` or subsume it most specifically.

        Sorted; empty where none does. `UnknownConceptError` when the graph lacks `code`.
        """
        return graph.map_into(canonical(graph, code)[0], self.columns.keys())

    def to_json(self) -> dict[str, Any]:
        """Return the vocabulary as JSON values."""
        return {
            "version": self.version,
            "codes": list(self.codes),
            "displays": list(self.displays),
            "parents": [list(parents) for parents in self.parents],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the vocabulary that `to_json` wrote."""
        parents: Sequence[Sequence[int]] = data["parents"]
        return cls(
            tuple(data["codes"]),
            tuple(data["displays"]),
            tuple(tuple(one) for one in parents),
            data["version"],
        )


def is_place(graph: BodyStructureGraph, code: str) -> bool:
    """Return whether `code` is a region of the body, and the code of today."""
    return (
        code not in _KINDS and _BODY_REGION in graph.ancestors(code) and graph.current(code) == code
    )


def _is_region(graph: BodyStructureGraph, code: str) -> bool:
    """Return whether `code` is a region and no tissue or organ of it, such as the bones there."""
    return is_place(graph, code) and _BODY_SYSTEM not in graph.ancestors(code)


def canonical(graph: BodyStructureGraph, code: str) -> tuple[str, Laterality | None]:
    """Return the code that `code` has as a label, and its side: unsided, of today, the region.

    The joint of a joint region is that region: 70258002 |Ankle joint| is 344001 |Ankle|.

    Raises
    ------
    UnknownConceptError
        `code` is not in the graph.
    """
    unsided, side = graph.unsided(graph.current(code))
    today = graph.current(unsided)
    region = _REGION_OF_JOINT.get(today, today)
    return (region if region in graph else today), side
