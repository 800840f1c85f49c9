"""`BodyStructureGraph`: the body structures, what subsumes what, which code replaced which.

The graph is read from three tables (see mappings/README.md). Networkx holds it for everyone who
wants to walk it (`BodyStructureGraph.nx`, edges from child to parent); queries are answered from
the compiled form in `terminology.index`.

In SNOMED CT anatomy a *structure* concept subsumes its parts, so is-a and part-of edges both
subsume here. History is no edge: a former code keeps its own place in the graph, and
`search_set` brings the codes of one meaning together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import networkx as nx
from pyroaring import BitMap

from terminology.concept import BODY_STRUCTURE, Concept, Laterality
from terminology.errors import RowProblem, TableError, UnknownConceptError
from terminology.identifiers import check_sctid, sctid_problem
from terminology.index import CompiledGraph
from terminology.tables import Row, mappings_folder, read_rows

CONCEPTS_TABLE: Final = "body-structure-concepts.tsv"
EDGES_TABLE: Final = "body-structure-edges.tsv"
HISTORY_TABLE: Final = "body-structure-history.tsv"
_CONCEPT_COLUMNS: Final = ("code", "display", "synonyms", "laterality", "unsided", "source")
_EDGE_COLUMNS: Final = ("child", "child_display", "parent", "parent_display", "relation", "basis")
_HISTORY_COLUMNS: Final = (
    "former",
    "former_display",
    "successor",
    "successor_display",
    "context",
    "basis",
)
RELATIONS: Final = ("is-a", "part-of")

# Not a SNOMED International version URI: the subset is ours, and says so.
EMBEDDED_VERSION: Final = "https://w3id.org/bodysite/embedded-body-structures/version/20261120"


@dataclass(frozen=True, slots=True)
class History:
    """The codes that one code was replaced by, and those that it replaced; sorted."""

    successors: tuple[str, ...] = ()
    predecessors: tuple[str, ...] = ()


class BodyStructureGraph:
    """A directed acyclic graph of body structures under 123037004 |Body structure|.

    Parameters
    ----------
    concepts
        The concepts, each code once.
    edges
        (child, parent, relation, basis) with both codes among `concepts`.
    successors
        Former code → the codes that replaced it.
    version
        The version URI that FHIR answers carry.

    Raises
    ------
    UnknownConceptError
        From every method that is handed a code the graph does not hold.
    IdentifierError
        From the same methods when the code is no SNOMED CT identifier at all.
    """

    def __init__(
        self,
        concepts: Iterable[Concept],
        edges: Iterable[tuple[str, str, str, str]],
        successors: Mapping[str, Collection[str]],
        version: str,
    ) -> None:
        self.version = version
        self._concepts = {concept.code: concept for concept in concepts}
        self.nx: nx.DiGraph = nx.DiGraph()
        self.nx.add_nodes_from(
            (code, {"display": concept.display}) for code, concept in self._concepts.items()
        )
        for child, parent, relation, basis in edges:
            self.nx.add_edge(child, parent, relation=relation, basis=basis)
        self.index = CompiledGraph({code: list(self.nx.successors(code)) for code in self.nx})
        self._successors = {former: tuple(sorted(now)) for former, now in successors.items()}
        predecessors: dict[str, list[str]] = defaultdict(list)
        for former, now in self._successors.items():
            for code in now:
                predecessors[code].append(former)
        self._predecessors = {code: tuple(sorted(former)) for code, former in predecessors.items()}
        self._sided = {
            (concept.unsided, concept.laterality): concept.code
            for concept in self._concepts.values()
            if concept.unsided is not None
        }

    @classmethod
    def load(cls, folder: Path | None = None) -> BodyStructureGraph:
        """Return the graph of the tables in `folder`, by default the embedded ones.

        Raises
        ------
        TableError
            With every bad row: a bad check digit, an unknown or doubled code, a concept without
            a way to the root, a cycle, a sided concept that is not below its unsided one.
        """
        return _load(folder or mappings_folder())

    def __contains__(self, code: object) -> bool:
        return code in self._concepts

    def __len__(self) -> int:
        return len(self._concepts)

    def codes(self) -> tuple[str, ...]:
        """Return all codes, sorted as text."""
        return self.index.codes

    def lookup(self, code: str) -> Concept:
        """Return the concept with this code."""
        try:
            return self._concepts[code]
        except KeyError:
            check_sctid(code)
            raise UnknownConceptError(code, self.version) from None

    def subsumes(self, ancestor: str, descendant: str) -> bool:
        """Return whether `ancestor` is strictly above `descendant`; a code is not above itself."""
        self.lookup(ancestor)
        self.lookup(descendant)
        return self.index.subsumes(ancestor, descendant)

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
        return tuple(self.index.decode(self.index.parents(self._ordinal(code))))

    def children(self, code: str) -> tuple[str, ...]:
        """Return the direct children, sorted."""
        return tuple(self.index.decode(self.index.children(self._ordinal(code))))

    def ancestors(self, code: str) -> frozenset[str]:
        """Return everything above `code`, without `code`."""
        return frozenset(self.index.decode(self.index.ancestors(self._ordinal(code))))

    def ancestors_or_self(self, code: str) -> frozenset[str]:
        """Return `code` and everything above it."""
        return self.ancestors(code) | {code}

    def descendants(self, code: str) -> frozenset[str]:
        """Return everything below `code`, without `code`."""
        return frozenset(self.index.decode(self.index.descendants(self._ordinal(code))))

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
        shared = BitMap(self.index.everything)
        for code in codes:
            ordinal = self._ordinal(code)
            shared &= self.index.ancestors(ordinal) | BitMap([ordinal])
        return self._most_specific(shared)

    def map_into(self, code: str, targets: Collection[str]) -> tuple[str, ...]:
        """Return the members of `targets` that subsume `code` most specifically.

        A member is left out when another member lies between it and `code`.

        Returns
        -------
        tuple of str
            Sorted; `(code,)` when `code` is a member, empty when nothing subsumes it. Targets
            that the graph does not hold subsume nothing.
        """
        ordinal = self._ordinal(code)
        if code in targets:
            return (code,)
        members = BitMap(self.index.ordinal(target) for target in targets if target in self)
        return self._most_specific(members & self.index.ancestors(ordinal))

    def history(self, code: str) -> History:
        """Return what replaced `code` and what it replaced."""
        self.lookup(code)
        return History(self._successors.get(code, ()), self._predecessors.get(code, ()))

    def current(self, code: str) -> str:
        """Return the code to use today: the one successor, or `code` when there is none or many."""
        self.lookup(code)
        now = self._successors.get(code, ())
        return now[0] if len(now) == 1 else code

    def equivalents(self, code: str) -> frozenset[str]:
        """Return the codes that mean what `code` means: itself, its successors, their formers."""
        self.lookup(code)
        return self._with_history({code})

    def search_set(self, code: str) -> frozenset[str]:
        """Return every code that a search for `code` or anything below it has to find.

        These are `code` and its successors with all their descendants, and the former codes of
        every one of them, so that old and new records answer to old and new codes alike.
        """
        found: set[str] = set()
        for start in (code, *self.history(code).successors):
            found |= self.descendants_or_self(start)
        return self._with_former(found)

    def above_set(self, code: str) -> frozenset[str]:
        """Return every code that a search for `code` or anything above it has to find."""
        found: set[str] = set()
        for start in (code, *self.history(code).successors):
            found |= self.ancestors_or_self(start)
        return self._with_former(found)

    def sided(self, code: str, laterality: Laterality) -> str | None:
        """Return the concept for one side of `code`, or `None` where the release has none."""
        self.lookup(code)
        return self._sided.get((code, laterality))

    def unsided(self, code: str) -> tuple[str, Laterality | None]:
        """Return the unsided concept and the side of `code`.

        `(code, None)` when the table gives `code` no side, and `(code, side)` for a sided concept
        that has no unsided counterpart.
        """
        concept = self.lookup(code)
        return concept.unsided or code, concept.laterality

    def _ordinal(self, code: str) -> int:
        return self.index.ordinal(self.lookup(code).code)

    def _most_specific(self, ordinals: BitMap) -> tuple[str, ...]:
        covered = BitMap()
        for ordinal in ordinals:
            covered |= self.index.ancestors(ordinal)
        return tuple(self.index.decode(ordinals - covered))

    def _with_history(self, codes: set[str]) -> frozenset[str]:
        now = {successor for code in codes for successor in self._successors.get(code, ())}
        return self._with_former(codes | now)

    def _with_former(self, codes: set[str]) -> frozenset[str]:
        former = {old for code in codes for old in self._predecessors.get(code, ())}
        return frozenset(codes | former)


def _load(folder: Path) -> BodyStructureGraph:
    concept_rows = read_rows(folder / CONCEPTS_TABLE, _CONCEPT_COLUMNS)
    edge_rows = read_rows(folder / EDGES_TABLE, _EDGE_COLUMNS)
    history_rows = read_rows(folder / HISTORY_TABLE, _HISTORY_COLUMNS)
    codes = {row["code"] for row in concept_rows}
    problems = [
        *_concept_problems(concept_rows, codes),
        *_edge_problems(edge_rows, codes),
        *_history_problems(history_rows, codes),
    ]
    if problems:
        raise TableError(problems)
    edges = [(row["child"], row["parent"], row["relation"], row["basis"]) for row in edge_rows]
    problems = _shape_problems(concept_rows, edge_rows)
    if problems:
        raise TableError(problems)
    successors: dict[str, set[str]] = defaultdict(set)
    for row in history_rows:
        successors[row["former"]].add(row["successor"])
    graph = BodyStructureGraph(
        (_concept(row) for row in concept_rows), edges, successors, EMBEDDED_VERSION
    )
    problems = [
        row.problem("unsided", f"{row['code']} is not below {row['unsided']}", "an edge to it")
        for row in concept_rows
        if row["unsided"] and not graph.subsumes(row["unsided"], row["code"])
    ]
    if problems:
        raise TableError(problems)
    return graph


def _concept(row: Row) -> Concept:
    return Concept(
        code=row["code"],
        display=row["display"],
        synonyms=tuple(filter(None, row["synonyms"].split("|"))),
        unsided=row["unsided"] or None,
        laterality=Laterality(row["laterality"]) if row["laterality"] else None,
    )


def _concept_problems(rows: list[Row], codes: set[str]) -> list[RowProblem]:
    problems: list[RowProblem] = []
    seen: set[str] = set()
    for row in rows:
        code = row["code"]
        if reason := sctid_problem(code):
            problems.append(row.problem("code", f"'{code}' {reason}", "a SNOMED CT concept"))
        if code in seen:
            problems.append(row.problem("code", f"'{code}' again", "each concept once"))
        seen.add(code)
        if not row["display"]:
            problems.append(row.problem("display", "empty", "a term"))
        if row["laterality"] and row["laterality"] not in set(Laterality):
            problems.append(
                row.problem("laterality", f"'{row['laterality']}'", "left, right or bilateral")
            )
        if row["unsided"] and not row["laterality"]:
            problems.append(row.problem("laterality", "empty", "the side of a sided concept"))
        if row["unsided"] and row["unsided"] not in codes:
            problems.append(row.problem("unsided", f"'{row['unsided']}'", "a concept of the table"))
    return problems


def _edge_problems(rows: list[Row], codes: set[str]) -> list[RowProblem]:
    problems: list[RowProblem] = []
    seen: set[tuple[str, str]] = set()
    for row in rows:
        problems.extend(
            row.problem(slot, f"'{row[slot]}'", "a concept of the concept table")
            for slot in ("child", "parent")
            if row[slot] not in codes
        )
        if row["relation"] not in RELATIONS:
            problems.append(row.problem("relation", f"'{row['relation']}'", "is-a or part-of"))
        if not row["basis"]:
            problems.append(row.problem("basis", "empty", "what the edge rests on"))
        pair = (row["child"], row["parent"])
        if pair in seen:
            problems.append(row.problem("parent", "the edge again", "each edge once"))
        seen.add(pair)
    return problems


def _history_problems(rows: list[Row], codes: set[str]) -> list[RowProblem]:
    former = {row["former"] for row in rows}
    problems: list[RowProblem] = []
    for row in rows:
        problems.extend(
            row.problem(slot, f"'{row[slot]}'", "a concept of the concept table")
            for slot in ("former", "successor")
            if row[slot] not in codes
        )
        if row["successor"] in former:
            problems.append(
                row.problem("successor", f"'{row['successor']}' is former itself", "a current code")
            )
    return problems


def _shape_problems(concept_rows: list[Row], edge_rows: list[Row]) -> list[RowProblem]:
    """Return the cycles, and the concepts that no way leads from to the root."""
    shape: nx.DiGraph = nx.DiGraph((row["child"], row["parent"]) for row in edge_rows)
    shape.add_nodes_from(row["code"] for row in concept_rows)
    lines = {(row["child"], row["parent"]): row for row in edge_rows}
    problems = []
    for component in nx.strongly_connected_components(shape):
        if len(component) > 1 or shape.has_edge(*(list(component) * 2)[:2]):
            cycle = nx.find_cycle(shape.subgraph(component))
            row = lines[cycle[0][0], cycle[0][1]]
            path = " → ".join([edge[0] for edge in cycle] + [cycle[0][0]])
            problems.append(row.problem("parent", f"a cycle {path}", "no cycle"))
    if problems:
        return problems
    rooted = nx.ancestors(shape, BODY_STRUCTURE) if BODY_STRUCTURE in shape else set()
    return [
        row.problem("code", f"'{row['code']}' has no way to the root", f"edges to {BODY_STRUCTURE}")
        for row in concept_rows
        if row["code"] != BODY_STRUCTURE and row["code"] not in rooted
    ]
