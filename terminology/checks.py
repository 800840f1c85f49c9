"""Check the tables as a whole: each one, and each against the others. Nothing is changed here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from terminology import sssom
from terminology.crosswalk import crosswalk_tables
from terminology.entries import Kind
from terminology.errors import RowProblem, TableError
from terminology.evaluation import OBSERVED_TABLE, read_observed
from terminology.graph import BodyStructureGraph
from terminology.identifiers import sctid_problem
from terminology.journal import Journal
from terminology.local import LocalMappings, object_problems
from terminology.mapping import MappingSet
from terminology.numbered import NUMBERED_TABLE
from terminology.sources.dicom import SNOMED_RT_TABLE, read_snomed_rt
from terminology.sources.irma_lists import CODES_TABLE, IrmaLists
from terminology.structures import (
    CONCEPTS_TABLE,
    EDGES_TABLE,
    HISTORY_TABLE,
    MODEL_TABLE,
    read_model,
)
from terminology.tables import Row, numbered_lines, read_rows
from terminology.words import REGIONS_TABLE, TOKENS_TABLE, VIEWS_TABLE, WORDS_TABLE, HeaderWords

if TYPE_CHECKING:
    from terminology.library import Terminology

# Plain tables: the slots that hold codes, and whether those must be among the body structures.
# Views are no body structures, and SNOMED RT names more of them than the subset holds.
_CODES: Final[Mapping[str, Mapping[str, bool]]] = {
    TOKENS_TABLE: {"token": True},
    NUMBERED_TABLE: {"part": True, "beside": True, "code": True},
    REGIONS_TABLE: {"parts": True, "region": True},
    MODEL_TABLE: {"code": False},
    VIEWS_TABLE: {"code": False},
    SNOMED_RT_TABLE: {"code": False},
    CODES_TABLE: {},
    "snomed-entire.tsv": {"structure": True},
    "seed-labels-corrected.tsv": {"right_code": True},
    OBSERVED_TABLE: {"sct": True, "also_acceptable": True},
    "frame-neighbours.tsv": {"region": True, "other": True},
}
_SSSOM: Final = ".sssom.tsv"
_SEPARATORS = re.compile(r"[+|]")


@dataclass(frozen=True, slots=True)
class TableReport:
    """One table: how many rows it has, and what is wrong with it."""

    name: str
    rows: int
    problems: tuple[RowProblem, ...]


def check_tables(folder: Path, loaded: Terminology | None = None) -> list[TableReport]:
    """Return a report for every table of `folder`.

    `loaded` is the terminology of these tables where they could be loaded: none is read again.
    """
    try:
        graph = BodyStructureGraph.load(folder) if loaded is None else loaded.graph
    except TableError as error:
        return [TableReport("body structures", 0, error.problems)]
    reports = [TableReport(name, rows, ()) for name, rows in _graph_rows(graph)]
    known = {} if loaded is None else {table.name: table for table in loaded_tables(loaded)}
    for name in _sssom_names(folder):
        reports.append(_sssom_report(folder / name, graph, known.get(name.removesuffix(_SSSOM))))
    return [*reports, *_plain_reports(folder, graph, with_words=loaded is None)]


def check_local(local: LocalMappings, graph: BodyStructureGraph) -> list[TableReport]:
    """Return a report for every one of a site's own tables."""
    assert local.folder is not None  # noqa: S101
    tables = [*local.tables, *([local.decisions] if local.decisions is not None else [])]
    return [_sssom_report(local.folder / f"{one.name}{_SSSOM}", graph, one) for one in tables]


def loaded_tables(loaded: Terminology) -> list[MappingSet]:
    """Return the SSSOM tables that a terminology was loaded from, header words last."""
    words = loaded.text.words.table
    return [*loaded.crosswalk.tables, *([words] if words is not None else [])]


def _sssom_report(
    path: Path, graph: BodyStructureGraph, mapping_set: MappingSet | None
) -> TableReport:
    try:
        mapping_set = mapping_set or sssom.read(path)
    except TableError as error:
        return TableReport(path.name, 0, error.problems)
    problems = [
        problem
        for row in mapping_set.mappings
        for problem in object_problems(row, path.name, graph)
    ]
    problems.extend(_form_problems(mapping_set, path))
    return TableReport(path.name, len(mapping_set.mappings), tuple(problems))


def rewrite_local(folder: Path) -> list[str]:
    """Bring a site's own tables into canonical form, while nobody edits them.

    Raises
    ------
    TableError
        A table has bad rows; no table after it is touched.
    """
    with Journal(folder).held():
        return _rewrite(folder, [path.name for path in sorted(folder.glob(f"*{_SSSOM}"))])


def rewrite_tables(folder: Path) -> list[str]:
    """Bring the SSSOM tables of `folder` into canonical form; return the names of the changed.

    Raises
    ------
    TableError
        A table has bad rows; no table after it is touched.
    """
    return _rewrite(folder, _sssom_names(folder))


def _rewrite(folder: Path, names: Sequence[str]) -> list[str]:
    changed = []
    for name in names:
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


def _plain_reports(
    folder: Path, graph: BodyStructureGraph, *, with_words: bool
) -> Iterator[TableReport]:
    """Yield a report for each table that is no SSSOM: its form as its reader has it, its codes."""
    problems: list[RowProblem] = []
    loaders: list[Callable[[Path], object]] = [read_model, read_observed, IrmaLists.load]
    if with_words:
        loaders += [HeaderWords.load, read_snomed_rt]
    for load in loaders:
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


def _form_problems(mapping_set: MappingSet, path: Path) -> Iterator[RowProblem]:
    text, wanted = path.read_text(encoding="utf-8"), sssom.dumps(mapping_set)
    if text != wanted:
        pairs = zip(text.split("\n"), wanted.split("\n"), strict=False)
        line = next((number for number, (a, b) in enumerate(pairs, 1) if a != b), 1)
        yield RowProblem(
            path.name, line, "form", "not in canonical form", "what 'mappings check --fix' writes"
        )
