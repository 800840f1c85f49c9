"""The tables of the embedded body structures: read, checked, as values.

See mappings/README.md for what they hold. `terminology.release.embedded` compiles them to an index,
`terminology.graph` answers from it.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import networkx as nx

from terminology.concept import BODY_STRUCTURE, Concept, Laterality
from terminology.errors import RowProblem, TableError
from terminology.identifiers import sctid_problem
from terminology.tables import Row, mappings_folder, read_rows

CONCEPTS_TABLE: Final = "body-structure-concepts.tsv"
EDGES_TABLE: Final = "body-structure-edges.tsv"
HISTORY_TABLE: Final = "body-structure-history.tsv"
MODEL_TABLE: Final = "concept-model.tsv"
_CONCEPT_COLUMNS: Final = ("code", "display", "synonyms", "laterality", "unsided", "source")
_MODEL_COLUMNS: Final = ("code", "display", "parent", "source")
_EDGE_COLUMNS: Final = ("child", "child_display", "parent", "parent_display", "relation", "basis")
_HISTORY_COLUMNS: Final = (
    "former",
    "former_display",
    "successor",
    "successor_display",
    "context",
    "basis",
)
IS_A_EDGE: Final = "is-a"
PART_OF_EDGE: Final = "part-of"
RELATIONS: Final = (IS_A_EDGE, PART_OF_EDGE)

# Not a SNOMED International version URI: the subset is ours, and says so. Raised with every change
# of the tables that come with Bodysite.
EMBEDDED_VERSION: Final = "https://w3id.org/bodysite/embedded-body-structures/version/20261120.2"
_STRUCTURE_TABLES: Final = (CONCEPTS_TABLE, EDGES_TABLE, HISTORY_TABLE)
_HASH_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Edge:
    """That `child` lies below `parent`, and what says so; `relation` is is-a or part-of."""

    child: str
    parent: str
    relation: str
    basis: str


@dataclass(frozen=True, slots=True)
class ModelConcept:
    """A concept beside the body structures: the root, attributes, sides; `parent` may be empty."""

    code: str
    display: str
    parent: str


def read_model(folder: Path) -> list[ModelConcept]:
    """Return what expressions and ECL need beside body structures: the root, attributes, sides.

    Raises
    ------
    TableError
        With every bad row: a bad check digit, a doubled code, a parent that is not in the table.
    """
    rows = read_rows(folder / MODEL_TABLE, _MODEL_COLUMNS)
    codes = {row["code"] for row in rows}
    problems: list[RowProblem] = []
    seen: set[str] = set()
    for row in rows:
        if reason := sctid_problem(row["code"]):
            problems.append(row.problem("code", f"'{row['code']}' {reason}", "a SNOMED CT concept"))
        if row["code"] in seen:
            problems.append(row.problem("code", f"'{row['code']}' again", "each concept once"))
        seen.add(row["code"])
        if row["parent"] and row["parent"] not in codes:
            problems.append(row.problem("parent", f"'{row['parent']}'", "a concept of the table"))
    if problems:
        raise TableError(problems)
    return [ModelConcept(row["code"], row["display"], row["parent"]) for row in rows]


@dataclass(frozen=True, slots=True)
class BodyStructures:
    """Concepts by code, the edges between them, and former code → its successors, sorted."""

    concepts: Mapping[str, Concept]
    edges: tuple[Edge, ...]
    successors: Mapping[str, tuple[str, ...]]
    version: str

    @classmethod
    def of(
        cls,
        concepts: Collection[Concept],
        edges: Collection[tuple[str, str, str, str]],
        successors: Mapping[str, Collection[str]],
        version: str,
    ) -> BodyStructures:
        """Return the structures of plain values; edges are (child, parent, relation, basis)."""
        return cls(
            {concept.code: concept for concept in concepts},
            tuple(Edge(*edge) for edge in edges),
            {former: tuple(sorted(now)) for former, now in successors.items()},
            version,
        )

    @classmethod
    def load(cls, folder: Path | None = None) -> BodyStructures:
        """Return the structures of the tables in `folder`, by default the embedded ones.

        Their version is that of the embedded ones where the tables say the same; otherwise the
        beginning of a SHA-256 of the content follows it, as in ``…/version/20261120-0123456789ab``.

        Raises
        ------
        TableError
            With every bad row: a bad check digit, an unknown or doubled code, a concept without
            a way to the root, a cycle, a sided concept that is not below its unsided one.
        """
        return _load(folder) if folder is not None else _load_embedded()


@lru_cache(maxsize=1)
def _load_embedded() -> BodyStructures:
    return _load(mappings_folder(), EMBEDDED_VERSION)


def content_hash(folder: Path, tables: Iterable[str]) -> str:
    """Return the SHA-256 of tables of a folder, in hexadecimal; line ends make no difference."""
    found = hashlib.sha256()
    for name in tables:
        content = (folder / name).read_bytes().replace(b"\r\n", b"\n")
        found.update(f"{name} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()


def _version_of(folder: Path) -> str:
    made = content_hash(folder, _STRUCTURE_TABLES)
    if made == content_hash(mappings_folder(), _STRUCTURE_TABLES):
        return EMBEDDED_VERSION
    return f"{EMBEDDED_VERSION}-{made[:_HASH_DIGITS]}"


def _load(folder: Path, version: str | None = None) -> BodyStructures:
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
    problems = _shape_problems(concept_rows, edge_rows)
    if problems:
        raise TableError(problems)
    successors: dict[str, set[str]] = defaultdict(set)
    for row in history_rows:
        successors[row["former"]].add(row["successor"])
    return BodyStructures.of(
        [_concept(row) for row in concept_rows],
        [(row["child"], row["parent"], row["relation"], row["basis"]) for row in edge_rows],
        successors,
        version or _version_of(folder),
    )


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
    """Return the cycles, else the concepts without a way to the root, else to their unsided one."""
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
    problems = [
        row.problem("code", f"'{row['code']}' has no way to the root", f"edges to {BODY_STRUCTURE}")
        for row in concept_rows
        if row["code"] != BODY_STRUCTURE and row["code"] not in rooted
    ]
    return problems or [
        row.problem("unsided", f"{row['code']} is not below {row['unsided']}", "an edge to it")
        for row in concept_rows
        if row["unsided"] and not nx.has_path(shape, row["code"], row["unsided"])
    ]
