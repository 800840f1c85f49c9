"""The command `map`: header words and foreign codes to body sites.

Results go to stdout, messages to stderr; ``--json`` gives one JSON object a line.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from terminology.console import (
    echo_json,
    mappings_option,
    misuse,
    release_option,
    settings_option,
)
from terminology.files import written_whole
from terminology.sheets import opened

if TYPE_CHECKING:
    from terminology.annotation import HeaderStatement, TextReading
    from terminology.library import Terminology

_ANSWER_KEYS = ("code", "display", "laterality", "confidence", "view", "codes", "method")
# The short names of `terminology.sources.codes.SYSTEMS`, here so that --help needs no tables.
CODE_SYSTEMS = ("dicom", "fma", "icd-o-3", "irma", "radlex", "uberon", "umls", "unifesp")
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@dataclass(frozen=True, slots=True)
class _Codes:
    """The values are codes of `system`, in its newest version unless one is named."""

    system: str
    version: str | None


@click.command("map")
@click.argument("values", nargs=-1, metavar="[VALUE]...")
@click.option(
    "--field",
    default=None,
    metavar="KEYWORD",
    help="The DICOM attribute that the values stood in, such as BodyPartExamined.",
)
@click.option(
    "--system",
    type=click.Choice(CODE_SYSTEMS),
    help="The values are codes of this system, not words.",
)
@click.option(
    "--system-version",
    "version",
    metavar="VERSION",
    help="Of which list the codes are, such as 2003 for irma.  [default: the newest]",
)
@click.option("--in", "source", type=click.Path(path_type=Path), help="A CSV with values.")
@click.option("--column", help="The column of that CSV.")
@click.option("--out", type=click.Path(path_type=Path), help="Write that CSV with answers here.")
@release_option
@mappings_option
@settings_option
@_AS_JSON
def map_command(
    values: tuple[str, ...],
    field: str | None,
    system: str | None,
    version: str | None,
    source: Path | None,
    column: str | None,
    out: Path | None,
    release: Path | None,
    mappings: Path | None,
    settings: Path | None,
    as_json: bool,
) -> None:
    """Map header words or codes to SNOMED CT body sites.

    Without VALUE, one value a line is read from stdin. With --in the rows of a CSV file are
    copied to --out (or stdout) with the answer in new columns.
    """
    from terminology.library import load_terminology

    if version is not None and system is None:
        misuse("--system-version goes with --system NAME.")
    library = load_terminology(release, mappings, settings)
    codes = None if system is None else _Codes(system, version)
    if source is not None:
        if values or not column:
            misuse("--in takes --column NAME and no VALUE. Name the column that holds the values.")
        if as_json:
            misuse("--json goes with values; --in CSV answers with a CSV. Leave it out.")
        _map_csv(library, source, column, out, field, codes)
        return
    if out is not None or column is not None:
        misuse("--out and --column go with --in CSV.")
    if not values and sys.stdin.isatty():
        misuse("no VALUE. Give values, or pipe one a line, or use --in CSV --column NAME.")
    for value in map(_readable, values) if values else _stdin_lines():
        answer = _map_value(library, value, field, codes)
        if as_json:
            echo_json(answer)
        else:
            click.echo(_answer_line(answer))


def _stdin_lines() -> Iterator[str]:
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", errors="replace").rstrip("\r\n")


def _readable(value: str) -> str:
    """Return an argument with a mark in the place of bytes that are not UTF-8, as for stdin."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _map_value(
    library: Terminology, value: str, field: str | None, codes: _Codes | None
) -> dict[str, object]:
    from terminology.contract import evidence_object, site_object, view_object

    if codes is not None:
        return _map_code(library, value, codes)
    reading: TextReading | HeaderStatement
    reading = library.header.read_value(field, value) if field else library.text.read(value)
    return {
        "value": value,
        "field": field,
        "sites": [site_object(site, library.graph) for site in reading.sites],
        "laterality": reading.laterality,
        "view": view_object(reading.view),
        "views": [view_object(view) for view in reading.views],
        "method": reading.method,
        "used": list(reading.used),
        "ignored": list(reading.ignored),
        "evidence": [evidence_object(one) for one in reading.evidence],
    }


def _map_code(library: Terminology, value: str, codes: _Codes) -> dict[str, object]:
    from terminology.contract import code_object

    return code_object(library.codes.read(codes.system, value, codes.version))


def _answer_line(answer: dict[str, object]) -> str:
    sites = answer["sites"]
    assert isinstance(sites, list)  # noqa: S101
    shown = [
        f"{site['code']} |{site['display']}|"
        + (f" {site['laterality']}" if site["laterality"] else "")
        for site in sites
    ]
    site = "; ".join(shown) or "not known"
    if not shown and answer["laterality"]:
        site += f", {answer['laterality']}"
    view = answer["view"]
    if isinstance(view, dict):
        site += f", {view['display']}"
    return f"{answer['value']}\t{site}"


def _map_csv(
    library: Terminology,
    source: Path,
    column: str,
    out: Path | None,
    field: str | None,
    codes: _Codes | None,
) -> None:
    added = [f"bodysite_{key}" for key in _ANSWER_KEYS]
    with opened(source, (column,), ragged=False) as sheet:
        taken = sorted(set(added) & set(sheet.columns))
        if taken:
            misuse(
                f"{source}:1: the column '{taken[0]}' is there already; expected a CSV without"
                " answers. Rename or drop it."
            )
        rows = [cells for _, cells in sheet.rows]
    place = sheet.columns.index(column)
    answers = _answers(library, [row[place] for row in rows], field, codes)
    answered: list[list[object]] = [
        [*row, *(found.get(key) for key in _ANSWER_KEYS)]
        for row, found in zip(rows, answers, strict=True)
    ]
    table: list[list[object]] = [[*sheet.columns, *added], *answered]
    if out is None:
        csv.writer(sys.stdout, delimiter=sheet.delimiter).writerows(table)
        return
    try:
        with written_whole(out) as stream:
            csv.writer(stream, delimiter=sheet.delimiter).writerows(table)
    except OSError as error:
        misuse(
            f"--out: {out} cannot be written ({error.strerror}). Name a file in a folder of yours."
        )


def _answers(
    library: Terminology, values: list[str], field: str | None, codes: _Codes | None
) -> Iterator[dict[str, object]]:
    """Yield the answers to a column of values or codes, each different one read once."""
    from terminology.columns import read_once

    if codes is None:
        for answer in read_once(values, library, field):
            yield answer._asdict()
        return
    known: dict[str, dict[str, object]] = {}
    for value in values:
        if value not in known:
            sites = _map_code(library, value, codes)["sites"]
            assert isinstance(sites, list)  # noqa: S101
            known[value] = sites[0] if sites else {}
        yield known[value]
