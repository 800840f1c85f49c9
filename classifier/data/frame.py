"""`FrameNeighbours`: which parts of the body may share the frame of one image.

A source that names every part it sees says by its silence that the others are absent. But a
picture of the hip shows some pelvis whether or not it is named, so what lies beside a named part
is unknown and not absent. Where the regions of a part cannot be told, it may be beside anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

from terminology.errors import RowProblem, TableError
from terminology.graph import BodyStructureGraph
from terminology.tables import Row, mappings_folder, read_rows
from terminology.vocabulary import is_place

NEIGHBOURS_TABLE: Final = "frame-neighbours.tsv"
_COLUMNS: Final = ("region", "region_display", "other", "other_display", "relation", "source")


class FrameNeighbours:
    """The regions of one table, over the graph that says what lies in them.

    Parameters
    ----------
    graph
        The body structures; regions that it does not hold are left out.
    beside
        Pairs of regions that often share the frame, in either order.
    shows
        Combined regions with the regions that an image of them shows: all of them.
    """

    def __init__(
        self,
        graph: BodyStructureGraph,
        beside: Iterable[tuple[str, str]],
        shows: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        self._graph = graph
        self._shows = dict(shows or {})
        near: defaultdict[str, set[str]] = defaultdict(set)
        for one, other in beside:
            if one in graph and other in graph:
                near[one] |= {one, other}
                near[other] |= {one, other}
        for region, others in near.items():
            # What lies somewhere in a region may lie where a smaller region of the table is.
            others |= {one for one in near if graph.compare(one, region) != "not-subsumed"}
        self._near = {region: frozenset(others) for region, others in near.items()}
        self._homes = lru_cache(maxsize=None)(self._find_homes)
        self._reach = lru_cache(maxsize=None)(self._find_reach)

    @classmethod
    def load(cls, graph: BodyStructureGraph, folder: Path | None = None) -> Self:
        """Return the neighbours of the table in `folder`, by default the shipped one.

        Raises
        ------
        TableError
            A row names a relation that there is not, or a code that is none of `graph`.
        """
        rows = read_rows((folder or mappings_folder()) / NEIGHBOURS_TABLE, _COLUMNS)
        if problems := [problem for row in rows for problem in _problems(row, graph)]:
            raise TableError(problems)
        shows: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
        for row in rows:
            if row["relation"] == "shows":
                shows[row["region"]] |= {row["other"]}
        beside = [(row["region"], row["other"]) for row in rows if row["relation"] == "beside"]
        return cls(graph, beside, shows)

    def shown(self, code: str) -> frozenset[str]:
        """Return the regions that an image of the combined region `code` shows, else nothing."""
        return self._shows.get(code, frozenset())

    def may_share(self, code: str, other: str) -> bool:
        """Return whether an image of `code` may show `other` (or of `other`, `code`) unnamed.

        True also where one is a part of the other, and where the place of either is not known.
        """
        graph = self._graph
        return (
            code == other
            or graph.subsumes(code, other)
            or graph.subsumes(other, code)
            or not self._homes(other).isdisjoint(self._reach(code))
        )

    def _find_reach(self, code: str) -> frozenset[str]:
        homes = self._homes(code)
        return homes.union(*(self._near[home] for home in homes))

    def _find_homes(self, code: str) -> frozenset[str]:
        """Return the most specific regions that hold `code`, else those that may hold it."""
        if shown := self.shown(code):
            return frozenset().union(*(self._homes(region) for region in shown))
        graph = self._graph
        above = graph.ancestors_or_self(code)
        if not is_place(graph, code):
            return frozenset(self._near)
        if held := above & self._near.keys():
            return frozenset(graph.map_into(code, held))
        # From the nearest on: the first that holds any region of the table.
        for wider in sorted(above, key=lambda one: len(graph.ancestors(one)), reverse=True):
            if inside := {region for region in self._near if graph.subsumes(wider, region)}:
                return frozenset(inside)
        return frozenset(self._near)


def _problems(row: Row, graph: BodyStructureGraph) -> list[RowProblem]:
    found = [
        row.problem(slot, f"'{row[slot]}' is not in the graph", "a body structure")
        for slot in ("region", "other")
        if row[slot] not in graph
    ]
    if row["relation"] not in {"beside", "shows"}:
        found.append(row.problem("relation", f"'{row['relation']}'", "beside or shows"))
    return found
