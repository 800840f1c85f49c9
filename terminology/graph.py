"""`BodyStructureGraph`: the body structures, what subsumes what, which code replaced which.

The graph stands on the index of a release (`terminology.release`): the embedded subset, or a
licensed SNOMED CT release. Over a licensed release, embedded concepts that it does not hold as
active body structures stay answerable: they are woven in by the edges of their table, as long as
the release does not say the opposite.

In SNOMED CT anatomy a *structure* concept subsumes its parts, so is-a and part-of edges both
subsume here. History is no edge: a former code keeps its own place in the graph, and `search_set`
brings the codes of one meaning together. `BodyStructureGraph.nx` is the graph for everyone who
wants to walk it with networkx, edges from child to parent.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from pathlib import Path
from typing import Final

import networkx as nx
import numpy as np
from pyroaring import BitMap, FrozenBitMap

from terminology.concept import BODY_STRUCTURE, Concept, Laterality
from terminology.errors import UnknownConceptError
from terminology.identifiers import check_sctid
from terminology.release.embedded import embedded_index, index_of
from terminology.release.history import historical_pairs
from terminology.release.index import ReleaseIndex
from terminology.release.ordinals import flags_of
from terminology.release.sides import Sides, sides_of
from terminology.structures import BodyStructures
from terminology.weaving import Reach, Weaving, weave

# Closures and concepts that were asked for lately are kept.
_KEPT: Final = 8_192
_KEPT_BELOW: Final = 256


@dataclass(frozen=True, slots=True)
class History:
    """The codes that one code was replaced by, and those that it replaced; sorted."""

    successors: tuple[str, ...] = ()
    predecessors: tuple[str, ...] = ()


class BodyStructureGraph:
    """A directed acyclic graph of body structures under 123037004 |Body structure|.

    Parameters
    ----------
    index
        The release that answers. Its active concepts at or below 123037004 are the graph.
    tables
        The embedded structures; those that `index` does not hold are woven in.

    Attributes
    ----------
    version
        The version URI of the release.
    tables_version
        That of the embedded structures.
    site
        The ordinals of `index` that are body structures.

    Raises
    ------
    UnknownConceptError
        From every method that is handed a code the graph does not hold.
    IdentifierError
        From the same methods when the code is no SNOMED CT identifier at all.
    """

    def __init__(self, index: ReleaseIndex, tables: BodyStructures) -> None:
        self.index = index
        self.version = index.version
        self.tables_version = tables.version
        self._tables = tables
        root = index.find(BODY_STRUCTURE)
        self.site = FrozenBitMap(
            index.descendants(root) | BitMap([root]) if root >= 0 else BitMap()
        )
        self._weaving: Weaving | None = None if index.embedded else weave(index, self.site, tables)
        self._lookup = lru_cache(maxsize=_KEPT)(self._read)
        self._above = lru_cache(maxsize=_KEPT)(self._ancestors)
        self._below = lru_cache(maxsize=_KEPT_BELOW)(self._descendants)

    @classmethod
    def load(cls, folder: Path | None = None) -> BodyStructureGraph:
        """Return the graph of the tables in `folder`, by default the embedded ones.

        Raises
        ------
        TableError
            With every bad row: a bad check digit, an unknown or doubled code, a concept without
            a way to the root, a cycle, a sided concept that is not below its unsided one.
        """
        tables = BodyStructures.load(folder)
        return cls(embedded_index() if folder is None else index_of(tables), tables)

    @classmethod
    def of_release(cls, index: ReleaseIndex) -> BodyStructureGraph:
        """Return the graph of a licensed release, with the embedded concepts that it lacks."""
        return cls(index, BodyStructures.load())

    @classmethod
    def of(cls, tables: BodyStructures) -> BodyStructureGraph:
        """Return the graph of structures that are made in memory."""
        return cls(index_of(tables), tables)

    def __contains__(self, code: object) -> bool:
        return isinstance(code, str) and (self._ordinal(code) >= 0 or self._is_extra(code))

    def __len__(self) -> int:
        return len(self.site) + (len(self._weaving.extra) if self._weaving else 0)

    @cached_property
    def nx(self) -> nx.DiGraph:
        """The graph as networkx has it: codes with `display`, edges from child to parent.

        Edges have `relation` and `basis` where a table of ours says so; those of a release are
        "is-a".
        """
        graph: nx.DiGraph = nx.DiGraph()
        for code in self.codes():
            graph.add_node(code, display=self.lookup(code).display)
        told = {(edge.child, edge.parent): edge for edge in self._tables.edges}
        for code in self.codes():
            for parent in self.parents(code):
                edge = told.get((code, parent))
                if edge is None:
                    graph.add_edge(code, parent, relation="is-a", basis=self.version)
                else:
                    graph.add_edge(code, parent, relation=edge.relation, basis=edge.basis)
        return graph

    @property
    def extra(self) -> frozenset[str]:
        """The codes of the tables that the release does not hold as active body structures."""
        return self._weaving.extra if self._weaving else frozenset()

    def codes(self) -> tuple[str, ...]:
        """Return all codes, sorted as text."""
        return tuple(sorted([*self.index.codes(self.site), *self.extra]))

    def edge_count(self) -> int:
        """Return how many edges from child to parent there are: those of `nx`."""
        starts, parents = self.index.arrays["isa.parents.starts"], "isa.parents.values"
        lengths = np.diff(starts)
        within = flags_of(self.site, len(self.index))
        edges = np.repeat(within, lengths) & within[self.index.arrays[parents]]
        woven = self._weaving.edges if self._weaving else ()
        return int(np.count_nonzero(edges)) + len({(one.child, one.parent) for one in woven})

    def lookup(self, code: str) -> Concept:
        """Return the concept with this code."""
        return self._lookup(code)

    def subsumes(self, ancestor: str, descendant: str) -> bool:
        """Return whether `ancestor` is strictly above `descendant`; a code is not above itself."""
        above, below = self._ordinal(ancestor), self._ordinal(descendant)
        if above >= 0 and below >= 0 and self._weaving is None:
            return self.index.is_above(above, below)
        self.lookup(ancestor)
        return ancestor in self.ancestors(descendant)

    def compare(self, code_a: str, code_b: str) -> str:
        """Return the outcome of FHIR's `$subsumes` for two codes.

        One of "equivalent", "subsumes" (A is above B), "subsumed-by", "not-subsumed".
        """
        if self.subsumes(code_a, code_b):
            return "subsumes"
        if self.subsumes(code_b, code_a):
            return "subsumed-by"
        return "equivalent" if code_a == code_b else "not-subsumed"

    def parents(self, code: str) -> tuple[str, ...]:
        """Return the direct parents, sorted."""
        return self._step(code, upwards=True)

    def children(self, code: str) -> tuple[str, ...]:
        """Return the direct children, sorted."""
        return self._step(code, upwards=False)

    def ancestors(self, code: str) -> frozenset[str]:
        """Return everything above `code`, without `code`."""
        self.lookup(code)
        return self._above(code)

    def ancestors_or_self(self, code: str) -> frozenset[str]:
        """Return `code` and everything above it."""
        return self.ancestors(code) | {code}

    def descendants(self, code: str) -> frozenset[str]:
        """Return everything below `code`, without `code`."""
        self.lookup(code)
        return self._below(code).codes(self.index)

    def descendants_or_self(self, code: str) -> frozenset[str]:
        """Return `code` and everything below it."""
        return self.descendants(code) | {code}

    def nearest_common(self, codes: Collection[str]) -> tuple[str, ...]:
        """Return the most specific concepts that subsume, or are, every one of `codes`.

        Returns
        -------
        tuple of str
            Sorted. Several where the codes share parents on different branches; empty for no
            codes.
        """
        if not codes:
            return ()
        return self._most_specific(
            frozenset.intersection(*(self.ancestors_or_self(code) for code in codes))
        )

    def map_into(self, code: str, targets: Collection[str]) -> tuple[str, ...]:
        """Return the members of `targets` that subsume `code` most specifically.

        A member is left out when another member lies between it and `code`.

        Returns
        -------
        tuple of str
            Sorted; `(code,)` when `code` is a member, empty when nothing subsumes it. Targets
            that the graph does not hold subsume nothing.
        """
        above = self.ancestors(code)
        return (code,) if code in targets else self._most_specific(above.intersection(targets))

    def distance(self, code_a: str, code_b: str) -> int | None:
        """Return the number of edges on the shortest way between two codes through a shared region.

        The way goes up from both to a concept that subsumes, or is, both; 0 for equal codes.
        `None` when nothing subsumes both.
        """
        return _shortest(self._steps_up(code_a), self._steps_up(code_b))

    def distances(self, codes: Sequence[str]) -> list[tuple[str, str, int | None]]:
        """Return the distance of each two of `codes`, in their order."""
        up = {code: self._steps_up(code) for code in dict.fromkeys(codes)}
        return [(a, b, _shortest(up[a], up[b])) for a, b in combinations(codes, 2)]

    def former(self) -> Iterator[str]:
        """Yield the codes that others replaced."""
        yield from self._replaced_by

    def history(self, code: str) -> History:
        """Return what replaced `code` and what it replaced.

        A former code need not be a body structure of the release: an inactive concept has a
        history too.
        """
        successors = self._replaced_by.get(code, ())
        predecessors = self._replacing.get(code, ())
        if not successors and not predecessors:
            self.lookup(code)
        return History(successors, predecessors)

    def current(self, code: str) -> str:
        """Return the code to use today: the one successor, or `code` when there is none or many."""
        now = self.history(code).successors
        return now[0] if len(now) == 1 else code

    def equivalents(self, code: str) -> frozenset[str]:
        """Return the codes that mean what `code` means: itself, its successors, their formers."""
        return self._with_former({code, *self.history(code).successors})

    def search_set(self, code: str) -> frozenset[str]:
        """Return every code that a search for `code` or anything below it has to find.

        These are `code` and its successors with all their descendants, and the former codes of
        every one of them, so that old and new records answer to old and new codes alike.
        """
        found: set[str] = set()
        for start in self._starts(code):
            found |= self.descendants_or_self(start)
        return self._with_former(found)

    def above_set(self, code: str) -> frozenset[str]:
        """Return every code that a search for `code` or anything above it has to find."""
        found: set[str] = set()
        for start in self._starts(code):
            found |= self.ancestors_or_self(start)
        return self._with_former(found)

    def found_below(self, code: str, candidates: Iterable[str]) -> list[str]:
        """Return the `candidates` that are in `search_set(code)`, without making that set."""
        starts = self._starts(code)
        return [
            one
            for one in candidates
            if any(
                self._covers(start, meant)
                for meant in (one, *self._replaced_by.get(one, ()))
                for start in starts
            )
        ]

    def found_above(self, code: str, candidates: Iterable[str]) -> list[str]:
        """Return the `candidates` that are in `above_set(code)`."""
        wanted = self.above_set(code)
        return [one for one in candidates if one in wanted]

    def sided(self, code: str, laterality: Laterality) -> str | None:
        """Return the concept for one side of `code`, or `None` where the release has none."""
        self.lookup(code)
        return self._sides.sided.get((code, laterality))

    def unsided(self, code: str) -> tuple[str, Laterality | None]:
        """Return the unsided concept and the side of `code`.

        `(code, None)` when the release gives `code` no side, and `(code, side)` for a sided
        concept that has no unsided counterpart.
        """
        concept = self.lookup(code)
        return concept.unsided or code, concept.laterality

    def other_side(self, code: str) -> str | None:
        """Return the concept for the other side of a left or right concept, or `None`."""
        concept = self.lookup(code)
        other = {Laterality.LEFT: Laterality.RIGHT, Laterality.RIGHT: Laterality.LEFT}
        if concept.unsided is None or concept.laterality not in other:
            return None
        return self._sides.sided.get((concept.unsided, other[concept.laterality]))

    def _ordinal(self, code: str) -> int:
        """Return the ordinal of a body structure of the release, else -1."""
        ordinal = self.index.find(code)
        return ordinal if ordinal >= 0 and ordinal in self.site else -1

    def _is_extra(self, code: str) -> bool:
        return self._weaving is not None and code in self._weaving.extra

    def _read(self, code: str) -> Concept:
        ordinal = self._ordinal(code)
        if code in self._tables.concepts and (self.index.embedded or ordinal < 0):
            return self._tables.concepts[code]
        if ordinal < 0:
            check_sctid(code)
            raise UnknownConceptError(code, self.version)
        display = self.index.display(ordinal)
        synonyms = tuple(
            one.term
            for one in self.index.descriptions(ordinal)
            if one.type == "synonym" and one.term != display
        )
        return Concept(code, display, synonyms, *self._sides.of.get(code, (None, None)))

    @cached_property
    def _sides(self) -> Sides:
        if self.index.embedded:
            return Sides.of_concepts(self._tables.concepts.values())
        extra = self._weaving.extra if self._weaving else frozenset()
        return sides_of(self.index).with_concepts(
            self._tables.concepts[code] for code in sorted(extra)
        )

    def _ancestors(self, code: str) -> frozenset[str]:
        ordinal = self._ordinal(code)
        held = self.index.ancestors(ordinal) & self.site if ordinal >= 0 else BitMap()
        if self._weaving is None:
            return frozenset(self.index.codes(held))
        return self._weaving.above(code, held, self.index, self.site).codes(self.index)

    def _descendants(self, code: str) -> Reach:
        """Return what is below a code; kept as ordinals, for the codes of many are large."""
        ordinal = self._ordinal(code)
        held = self.index.descendants(ordinal) if ordinal >= 0 else FrozenBitMap()
        if self._weaving is None:
            return Reach(held)
        return self._weaving.below(code, held, self.index, self.site)

    def _step(self, code: str, *, upwards: bool) -> tuple[str, ...]:
        self.lookup(code)
        ordinal = self._ordinal(code)
        held: BitMap | FrozenBitMap = BitMap()
        if ordinal >= 0:
            step = self.index.parents if upwards else self.index.children
            held = step(ordinal) & self.site
        found = set(self.index.codes(held))
        if self._weaving is not None:
            found.update(self._weaving.step(code, upwards=upwards))
        return tuple(sorted(found))

    def _most_specific(self, codes: Collection[str]) -> tuple[str, ...]:
        covered: set[str] = set()
        for code in codes:
            covered |= self.ancestors(code)
        return tuple(sorted(set(codes) - covered))

    def _steps_up(self, code: str) -> dict[str, int]:
        """Return `code` and everything above it with the number of edges on the shortest way."""
        self.lookup(code)
        steps = {code: 0}
        waiting = deque([code])
        while waiting:
            one = waiting.popleft()
            for parent in self.parents(one):
                if parent not in steps:
                    steps[parent] = steps[one] + 1
                    waiting.append(parent)
        return steps

    def _starts(self, code: str) -> tuple[str, ...]:
        """Return `code`, where the graph holds it, and its successors."""
        successors = self.history(code).successors
        return (code, *successors) if code in self else successors

    def _covers(self, ancestor: str, code: str) -> bool:
        """Return whether `ancestor` is, or is above, `code`; false for what is not in the graph."""
        if ancestor == code:
            return True
        above, below = self._ordinal(ancestor), self._ordinal(code)
        if above >= 0 and below >= 0 and self.index.is_above(above, below):
            return True
        return self._weaving is not None and code in self and ancestor in self.ancestors(code)

    def _with_former(self, codes: set[str]) -> frozenset[str]:
        former = {old for code in self._replacing.keys() & codes for old in self._replacing[code]}
        return frozenset(codes | former)

    @cached_property
    def _replaced_by(self) -> dict[str, tuple[str, ...]]:
        """Former code → its successors, by the tables and by the release."""
        found: dict[str, set[str]] = defaultdict(set)
        for former, successors in self._tables.successors.items():
            found[former].update(successors)
        if not self.index.embedded:
            for former, successor in historical_pairs(self.index, self.site):
                found[former].add(successor)
        return {former: tuple(sorted(successors)) for former, successors in found.items()}

    @cached_property
    def _replacing(self) -> dict[str, tuple[str, ...]]:
        """Code → the former codes that it replaced."""
        found: dict[str, list[str]] = defaultdict(list)
        for former, successors in self._replaced_by.items():
            for successor in successors:
                found[successor].append(former)
        return {code: tuple(sorted(former)) for code, former in found.items()}


def _shortest(up_a: dict[str, int], up_b: dict[str, int]) -> int | None:
    """Return the fewest steps that two concepts together are away from one above both."""
    return min((up_a[one] + up_b[one] for one in up_a.keys() & up_b.keys()), default=None)
