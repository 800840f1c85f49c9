"""The command `map`: header words and foreign codes to body sites.

Results go to stdout, messages to stderr; ``--json`` gives one JSON object a line.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from terminology.console import (
    echo_json,
    mappings_option,
    misuse,
    release_option,
    settings_option,
)
from terminology.files import written_whole

if TYPE_CHECKING:
    from terminology.annotation import HeaderStatement, TextReading
    from terminology.library import Terminology

_ANSWER_KEYS = ("code", "display", "laterality", "confidence", "view", "codes", "method")
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


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
    type=click.Choice(["dicom", "irma", "umls", "unifesp"]),
    help="The values are codes of this system, not words.",
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

    library = load_terminology(release, mappings, settings)
    if source is not None:
        if values or not column:
            misuse("--in takes --column NAME and no VALUE. Name the column that holds the values.")
        _map_csv(library, source, column, out, field, system)
        return
    if out is not None or column is not None:
        misuse("--out and --column go with --in CSV.")
    if not values and sys.stdin.isatty():
        misuse("no VALUE. Give values, or pipe one a line, or use --in CSV --column NAME.")
    for value in values or _stdin_lines():
        answer = _map_value(library, value, field, system)
        if as_json:
            echo_json(answer)
        else:
            click.echo(_answer_line(answer))


def _stdin_lines() -> Iterator[str]:
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", errors="replace").rstrip("\r\n")


def _map_value(
    library: Terminology, value: str, field: str | None, system: str | None
) -> dict[str, object]:
    from terminology.contract import evidence_object, site_object, view_object

    if system is not None:
        return _map_code(library, value, system)
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


def _map_code(library: Terminology, value: str, system: str) -> dict[str, object]:
    from terminology.contract import code_object

    return code_object(library.codes.read(system, value))


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
    system: str | None,
) -> None:
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        misuse(f"{source}: cannot be read as UTF-8 text ({error}). Name a CSV file in UTF-8.")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = list(reader.fieldnames or ())
    if column not in columns:
        misuse(f"{source}: no column '{column}'; expected one of {', '.join(columns) or 'none'}.")
    rows = []
    for row in reader:
        if None in row or None in row.values():
            misuse(
                f"{source}:{reader.line_num}: more or fewer cells than the header has;"
                f" expected {len(columns)}. Correct the row; nothing was written."
            )
        rows.append(row)
    answers = _answers(library, [row[column] for row in rows], field, system)
    fields = [*columns, *(f"bodysite_{key}" for key in _ANSWER_KEYS)]
    for row, found in zip(rows, answers, strict=True):
        row.update((f"bodysite_{key}", found.get(key)) for key in _ANSWER_KEYS)
    if out is None:
        _write_rows(sys.stdout, fields, rows)
        return
    try:
        with written_whole(out) as stream:
            _write_rows(stream, fields, rows)
    except OSError as error:
        misuse(
            f"--out: {out} cannot be written ({error.strerror}). Name a file in a folder of yours."
        )


def _answers(
    library: Terminology, values: list[str], field: str | None, system: str | None
) -> Iterator[dict[str, object]]:
    """Yield the answers to a column of values or codes, each different one read once."""
    from terminology.columns import read_once

    if system is None:
        for answer in read_once(values, library, field):
            yield answer._asdict()
        return
    known: dict[str, dict[str, object]] = {}
    for value in values:
        if value not in known:
            sites = _map_code(library, value, system)["sites"]
            assert isinstance(sites, list)  # noqa: S101
            known[value] = sites[0] if sites else {}
        yield known[value]


def _write_rows(stream: IO[str], fields: list[str], rows: list[dict[str, Any]]) -> None:
    writer = csv.DictWriter(stream, fields)
    writer.writeheader()
    writer.writerows(rows)
