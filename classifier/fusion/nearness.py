"""`Nearness`: which sites lie beside one another, and how far apart they are in the graph."""

from __future__ import annotations

from functools import lru_cache

from classifier.data.frame import FrameNeighbours
from terminology.graph import BodyStructureGraph
from terminology.vocabulary import canonical, is_place

_KEPT = 65_536


class Nearness:
    """What is near to what: in one frame, by ``mappings/frame-neighbours.tsv``, or in one region.

    Every answer is remembered, so that one `Nearness` serves all instances of a graph. A code that
    the graph does not hold, such as that of a model which knows more, is near to nothing but
    itself.
    """

    def __init__(self, graph: BodyStructureGraph) -> None:
        self.graph = graph
        self._frames = FrameNeighbours.load(graph)
        self.canonical = lru_cache(_KEPT)(self._canonical)
        self.beside = lru_cache(_KEPT)(self._beside)
        self.steps = lru_cache(_KEPT)(self._steps)
        self.held = lru_cache(_KEPT)(self._held)

    @classmethod
    def of(cls, graph: BodyStructureGraph) -> Nearness:
        """Return the one of `graph`; it is made once."""
        return _nearness_of(graph)

    def covers(self, region: str, code: str) -> bool:
        """Return whether `region` is `code` or subsumes it; both as labels have them."""
        if region == code:
            return True
        graph = self.graph
        return region in graph and code in graph and graph.subsumes(region, code)

    def _held(self, codes: tuple[str, ...], code: str) -> frozenset[str]:
        """Return which of `codes` are true where `code` is.

        Those at or below it; where there are none, the nearest above; empty where none stands for
        it.
        """
        below = frozenset(one for one in codes if self.covers(code, one))
        return below or frozenset(self.graph.map_into(code, codes))

    def _canonical(self, code: str) -> str:
        return canonical(self.graph, code)[0] if code in self.graph else code

    def _beside(self, one: str, other: str) -> bool:
        """Return whether two sites may share a frame, or lie directly in one region.

        Sites of which one holds the other are beside each other too.
        """
        if one not in self.graph or other not in self.graph:
            return one == other
        if self._frames.may_share(one, other) or self._frames.may_share(other, one):
            return True
        graph = self.graph
        shared = set(graph.parents(one)) & set(graph.parents(other))
        return any(is_place(graph, parent) for parent in shared)

    def _steps(self, one: str, other: str) -> int:
        """Return the number of edges between two sites through a region that holds both, >= 1."""
        found = self.graph.distance(one, other)
        return 1 if found is None else max(1, found)


@lru_cache(maxsize=2)
def _nearness_of(graph: BodyStructureGraph) -> Nearness:
    return Nearness(graph)
