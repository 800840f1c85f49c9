"""Check the tables as a whole: each one, and each against the others. Nothing is changed here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from terminology import sssom
from terminology.crosswalk import crosswalk_tables
from terminology.errors import RowProblem, TableError
from terminology.evaluation import OBSERVED_TABLE, read_observed
from terminology.graph import BodyStructureGraph
from terminology.identifiers import sctid_problem
from terminology.mapping import MappingSet
from terminology.statements import SNOMED_RT_TABLE, read_snomed_rt
from terminology.structures import (
    CONCEPTS_TABLE,
    EDGES_TABLE,
    HISTORY_TABLE,
    MODEL_TABLE,
    read_model,
)
from terminology.tables import Row, numbered_lines, read_rows
from terminology.words import (
    REGIONS_TABLE,
    TOKENS_TABLE,
    VIEWS_TABLE,
    WORDS_TABLE,
    HeaderWords,
    Kind,
)

# Plain tables: the slots that hold codes, and whether those must be among the body structures.
# Views are no body structures, and SNOMED RT names more of them than the subset holds.
_CODES: Final[Mapping[str, Mapping[str, bool]]] = {
    TOKENS_TABLE: {"token": True},
    REGIONS_TABLE: {"parts": True, "region": True},
    MODEL_TABLE: {"code": False},
    VIEWS_TABLE: {"code": False},
    SNOMED_RT_TABLE: {"code": False},
    OBSERVED_TABLE: {"sct": True, "also_acceptable": True},
}
_SEPARATORS = re.compile(r"[+|]")


@dataclass(frozen=True, slots=True)
class TableReport:
    """One table: how many rows it has, and what is wrong with it."""

    name: str
    rows: int
    problems: tuple[RowProblem, ...]


def check_tables(folder: Path) -> list[TableReport]:
    """Return a report for every table of `folder`."""
    try:
        graph = BodyStructureGraph.load(folder)
    except TableError as error:
        return [TableReport("body structures", 0, error.problems)]
    reports = [TableReport(name, rows, ()) for name, rows in _graph_rows(graph)]
    for name in _sssom_names(folder):
        try:
            mapping_set = sssom.read(folder / name)
        except TableError as error:
            reports.append(TableReport(name, 0, error.problems))
        else:
            problems = (
                *_object_problems(mapping_set, graph),
                *_form_problems(mapping_set, folder / name),
            )
            reports.append(TableReport(name, len(mapping_set.mappings), problems))
    return [*reports, *_plain_reports(folder, graph)]


def rewrite_tables(folder: Path) -> list[str]:
    """Bring the SSSOM tables of `folder` into canonical form; return the names of the changed.

    Raises
    ------
    TableError
        A table has bad rows; no table after it is touched.
    """
    changed = []
    for name in _sssom_names(folder):
        path = folder / name
        mapping_set = sssom.read(path)
        if path.read_text(encoding="utf-8") != sssom.dumps(mapping_set):
            sssom.write(mapping_set, path)
            changed.append(name)
    return changed


def _sssom_names(folder: Path) -> list[str]:
    return [*(path.name for path in crosswalk_tables(folder)), WORDS_TABLE]


def _graph_rows(graph: BodyStructureGraph) -> Iterator[tuple[str, int]]:
    yield CONCEPTS_TABLE, len(graph)
    yield EDGES_TABLE, graph.edge_count()
    yield HISTORY_TABLE, sum(len(graph.history(code).successors) for code in graph.codes())


def _plain_reports(folder: Path, graph: BodyStructureGraph) -> Iterator[TableReport]:
    """Yield a report for each table that is no SSSOM: its form as its reader has it, its codes."""
    problems: list[RowProblem] = []
    for load in (read_model, HeaderWords.load, read_snomed_rt, read_observed):
        try:
            load(folder)
        except TableError as error:
            problems.extend(error.problems)
    for name, slots in _CODES.items():
        mine = [problem for problem in problems if problem.file == name]
        rows = [] if mine else read_rows(folder / name, _header(folder / name))
        for row in rows:
            mine.extend(_code_problems(row, slots, graph))
        yield TableReport(name, len(rows), tuple(mine))


def _header(path: Path) -> list[str]:
    return next(line.split("\t") for _, line in numbered_lines(path) if line[:1] != "#")


def _code_problems(
    row: Row, slots: Mapping[str, bool], graph: BodyStructureGraph
) -> Iterator[RowProblem]:
    for slot, in_graph in slots.items():
        if slot == "token" and row["kind"] != Kind.UNPAIRED:
            continue
        for code in filter(None, _SEPARATORS.split(row[slot])):
            if reason := sctid_problem(code):
                yield row.problem(slot, f"'{code}' {reason}", "a SNOMED CT concept identifier")
            elif in_graph and code not in graph:
                yield row.problem(slot, f"'{code}'", f"a concept of {CONCEPTS_TABLE}")


def _object_problems(mapping_set: MappingSet, graph: BodyStructureGraph) -> Iterator[RowProblem]:
    file = f"{mapping_set.name}.sssom.tsv"
    for row in mapping_set.mappings:
        # Views, modalities and body systems are no body structures.
        if row.no_match or row.object_category:
            continue
        code = sssom.object_code(row)
        if code not in graph:
            if not row.negated:
                yield RowProblem(
                    file, row.line, "object_id", f"'{code}'", f"a concept of {CONCEPTS_TABLE}"
                )
            continue
        _, side = graph.unsided(code)
        if side is not None and row.object_laterality != side:
            yield RowProblem(
                file,
                row.line,
                "object_laterality",
                f"'{row.object_laterality or ''}' with {graph.lookup(code)}",
                f"{side}, the side of the object",
            )


def _form_problems(mapping_set: MappingSet, path: Path) -> Iterator[RowProblem]:
    text, wanted = path.read_text(encoding="utf-8"), sssom.dumps(mapping_set)
    if text != wanted:
        pairs = zip(text.split("\n"), wanted.split("\n"), strict=False)
        line = next((number for number, (a, b) in enumerate(pairs, 1) if a != b), 1)
        yield RowProblem(
            path.name, line, "form", "not in canonical form", "what 'mappings check --fix' writes"
        )
