"""Decisions that come in files: a CSV with a column `decision`, or an SSSOM table.

Such a CSV is what `bodysite scan` reports and what a spreadsheet makes of it; commas, semicolons
and tabs all set cells apart.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from terminology.annotation import Method
from terminology.decisions import by_key, read_table
from terminology.errors import BodySiteError, RowProblem, TableError
from terminology.files import written_whole
from terminology.mapping import SemanticMapping
from terminology.proposals import DecisionError, Proposal, Rules, decision_key, row_key
from terminology.scan import names_sites
from terminology.sheets import opened

DECISION_COLUMNS: Final = (
    "decision",
    "decision_side",
    "decision_view",
    "decision_scope",
    "decision_comment",
)
NO_SITE: Final = "no site"
_NO_SITE_WORDS: Final = frozenset({NO_SITE, "nosite", "no-site", "none", "-"})
# How a report calls a value of which every word is known and none names a site.
SITELESS: Final = "no site named"
# How a cell begins that a spreadsheet takes for a formula.
FORMULA: Final = ("=", "+", "-", "@")
# What sets several codes apart, but not within the term of one: 72696002 |Knee|.
_PLUS = re.compile(r"\+(?=(?:[^|]*\|[^|]*\|)*[^|]*$)")


@dataclass(frozen=True, slots=True)
class Read:
    """The decisions of a file, the rows that had none, and what was changed on the way."""

    decisions: tuple[tuple[SemanticMapping, ...], ...]
    undecided: int = 0
    notes: tuple[str, ...] = ()
    prefixes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OpenRows:
    """Rows of a report that are to be decided, with the columns of that report."""

    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]


def read_csv(path: Path, rules: Rules, author: str, day: str) -> Read:
    """Return the decisions in the CSV at `path`, made by `author` on `day`.

    Raises
    ------
    TableError
        With every row that cannot be accepted.
    SheetError
        The file is no CSV with the columns value and decision.
    """
    found: list[tuple[SemanticMapping, ...]] = []
    problems: list[RowProblem] = []
    notes: list[str] = []
    undecided = 0
    for line, cells in _cells(path, ("value", "decision"))[1]:
        given = cells["decision"].strip()
        if not given:
            undecided += 1
            continue
        codes = () if given.casefold() in _NO_SITE_WORDS else tuple(_PLUS.split(given))
        proposal = Proposal(
            value=plain_value(cells.get("value", "")),
            codes=codes,
            field=cells.get("field", "").strip() or None,
            side=cells.get("decision_side"),
            view=cells.get("decision_view", "").strip() or None,
            scope=cells.get("decision_scope", "").strip() or "value",
            comment=cells.get("decision_comment"),
        )
        try:
            checked = rules.check(proposal, author, day)
        except BodySiteError as error:
            slot = error.where.removeprefix("--").lower()
            problems.append(RowProblem(path.name, line, slot, error.what, error.expected))
            continue
        found.append(checked.rows)
        notes.extend(f"{path.name}:{line}: {note}" for note in checked.notes)
    if problems:
        raise TableError(problems)
    return Read(tuple(found), undecided, tuple(notes))


def read_sssom(path: Path, rules: Rules) -> Read:
    """Return the decisions in the SSSOM table at `path`; they stay those of their authors.

    Raises
    ------
    TableError
        With every row that cannot be accepted.
    DecisionError
        It is a table of codes.
    """
    table = read_table(path)
    problems: list[RowProblem] = []
    notes: list[str] = []
    rows: list[SemanticMapping] = []
    for row in table.mappings:
        try:
            checked = rules.check_row(row)
        except BodySiteError as error:
            slot = error.where.removeprefix("--").lower()
            problems.append(RowProblem(path.name, row.line, slot, error.what, error.expected))
            continue
        rows.extend(checked.rows)
        notes.extend(f"{path.name}:{row.line}: {note}" for note in checked.notes)
    if problems:
        raise TableError(problems)
    prefixes = {str(name): str(iri) for name, iri in table.curie_map.items()}
    return Read(tuple(by_key(rows).values()), notes=tuple(notes), prefixes=prefixes)


def open_rows(report: Path, decided: Iterable[SemanticMapping], below: float) -> OpenRows:
    """Return the rows of `report` that have no answer and no decision among `decided` yet.

    An answer that is less sure than `below` counts as none.

    Raises
    ------
    SheetError
        The file is no report of `bodysite scan`.
    """
    columns, rows = _cells(report, ("field", "value", "code", "confidence"))
    known = {row_key(row) for row in decided}
    found = []
    for line, cells in rows:
        value, keyword = plain_value(cells.get("value", "")), cells.get("field", "")
        if decision_key(value, keyword) in known or decision_key(value, None) in known:
            continue
        if not names_sites(keyword) or cells.get("method") in {Method.DECISION, SITELESS}:
            continue
        if not cells.get("code") or _confidence(report, line, cells) < below:
            found.append({column: cells.get(column, "") for column in columns})
    names = (*columns, *(one for one in DECISION_COLUMNS if one not in columns))
    return OpenRows(names, tuple(found))


def write_rows(path: Path, rows: OpenRows) -> None:
    """Write `rows` to a CSV with empty columns for decisions.

    Raises
    ------
    DecisionError
        The file cannot be written.
    """
    try:
        with written_whole(path) as stream:
            # A spreadsheet takes a file for UTF-8 only with this mark.
            stream.write("\ufeff")
            writer = csv.DictWriter(stream, rows.columns, restval="")
            writer.writeheader()
            writer.writerows(rows.rows)
    except OSError as error:
        raise DecisionError(
            f"--out {path}",
            f"the file cannot be written ({error.strerror or type(error).__name__})",
            "a file in a folder of yours",
            "Name another one.",
        ) from error


def plain_value(cell: str) -> str:
    """Return a value without the quote that keeps a spreadsheet from taking it for a formula."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def _cells(
    path: Path, wanted: tuple[str, ...]
) -> tuple[tuple[str, ...], list[tuple[int, dict[str, str]]]]:
    """Return the columns and the rows of a CSV, each with its line."""
    with opened(path, wanted) as sheet:
        return sheet.columns, list(sheet.dicts())


def _confidence(path: Path, line: int, cells: Mapping[str, str]) -> float:
    text = cells.get("confidence", "").strip()
    try:
        return float(text) if text else 1.0
    except ValueError:
        raise DecisionError(
            f"{path.name}:{line} confidence", f"'{text}'", "a number from 0 to 1", "Correct it."
        ) from None
