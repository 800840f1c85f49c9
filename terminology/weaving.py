"""Embedded body structures woven into a licensed release that does not hold them.

A release may lack a code that DICOM or a mapping uses: a subset, an older edition, a concept that
was made inactive. Such an *extra* concept keeps the edges of its table. An edge that the release
contradicts (it would close a cycle) is left out; what the release says of its own concepts is
never changed by an edge between two of them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import networkx as nx
import numpy as np
from pyroaring import BitMap, FrozenBitMap

from terminology.index import CompiledGraph
from terminology.release.index import ReleaseIndex
from terminology.structures import BodyStructures, Edge


@dataclass(frozen=True, slots=True)
class Reach:
    """What is above or below a concept: ordinals of the release, and codes that it lacks."""

    held: FrozenBitMap
    extra: frozenset[str] = frozenset()

    def codes(self, index: ReleaseIndex) -> frozenset[str]:
        """Return all of it as codes."""
        return frozenset(index.codes(self.held)) | self.extra


@dataclass(frozen=True, slots=True)
class Weaving:
    """The extra concepts and how they hang together with the release.

    Attributes
    ----------
    extra
        Codes of the tables that the release does not hold as active body structures.
    edges
        The edges of the tables that stand: one end at least is an extra concept.
    shape
        The closure over the codes of the tables, extra or not.
    shared
        The ordinals of the codes of the tables that the release holds.
    """

    extra: frozenset[str]
    edges: tuple[Edge, ...]
    shape: CompiledGraph
    shared: FrozenBitMap
    parents: dict[str, tuple[str, ...]]
    children: dict[str, tuple[str, ...]]

    def above(
        self, code: str, held: BitMap | FrozenBitMap, index: ReleaseIndex, within: FrozenBitMap
    ) -> Reach:
        """Return everything above `code`; `held` is what the release alone has there."""
        return self._closed(code, held, index, within, upwards=True)

    def below(
        self, code: str, held: BitMap | FrozenBitMap, index: ReleaseIndex, within: FrozenBitMap
    ) -> Reach:
        """Return everything below `code`; `held` is what the release alone has there."""
        return self._closed(code, held, index, within, upwards=False)

    def step(self, code: str, *, upwards: bool) -> tuple[str, ...]:
        """Return the parents or children that edges of the tables add to those of the release."""
        return (self.parents if upwards else self.children).get(code, ())

    def _closed(
        self,
        code: str,
        held: BitMap | FrozenBitMap,
        index: ReleaseIndex,
        within: FrozenBitMap,
        *,
        upwards: bool,
    ) -> Reach:
        shape = self.shape
        reach = shape.ancestors if upwards else shape.descendants
        starts = set(index.codes(held & self.shared))
        if code in shape:
            starts.add(code)
        reached = BitMap()
        for start in starts:
            reached |= reach(shape.ordinal(start))
        found = set(shape.decode(reached))
        extra = self.extra & found
        ordinals = BitMap(held)
        for one in found - extra:
            ordinal = index.ordinal(one)
            ordinals.add(ordinal)
            ordinals |= index.ancestors(ordinal) if upwards else index.descendants(ordinal)
        return Reach(FrozenBitMap(ordinals & within), extra)


def weave(index: ReleaseIndex, within: FrozenBitMap, tables: BodyStructures) -> Weaving | None:
    """Return how the concepts of `tables` that are not `within` a release hang together with it.

    `within` are the active body structures of the release. `None` when it holds them all.
    """
    held = {code: index.find(code) for code in tables.concepts}
    shared = {code: ordinal for code, ordinal in held.items() if ordinal >= 0 and ordinal in within}
    extra = frozenset(held.keys() - shared.keys())
    if not extra:
        return None
    shape: nx.DiGraph = nx.DiGraph()
    shape.add_nodes_from(tables.concepts)
    shape.add_edges_from(_held_pairs(index, shared))
    kept: list[Edge] = []
    for edge in tables.edges:
        if edge.child in shared and edge.parent in shared:
            continue
        # A release that has the parent below the child knows better than the table.
        if not nx.has_path(shape, edge.parent, edge.child):
            shape.add_edge(edge.child, edge.parent)
            kept.append(edge)
    parents: dict[str, list[str]] = defaultdict(list)
    children: dict[str, list[str]] = defaultdict(list)
    for edge in kept:
        parents[edge.child].append(edge.parent)
        children[edge.parent].append(edge.child)
    return Weaving(
        extra,
        tuple(kept),
        CompiledGraph({code: list(shape.successors(code)) for code in shape}),
        FrozenBitMap(shared.values()),
        {code: tuple(sorted(above)) for code, above in parents.items()},
        {code: tuple(sorted(below)) for code, below in children.items()},
    )


def _held_pairs(index: ReleaseIndex, shared: dict[str, int]) -> list[tuple[str, str]]:
    """Return (code, ancestor) for the codes that the release holds, as the release has it."""
    codes = list(shared)
    ordinals = np.array([shared[code] for code in codes], dtype=np.uint32)
    found: list[tuple[str, str]] = []
    for place, ancestor in enumerate(codes):
        same = np.full(len(codes), ordinals[place], dtype=np.uint32)
        below = np.flatnonzero(index.subsumes_many(same, ordinals))
        found.extend((codes[one], ancestor) for one in below.tolist())
    return found
