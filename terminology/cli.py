"""The command group `mappings` and the command `map`; `terminology.concept_cli` has the others.

`api.cli` puts them into the one command `bodysite`. Results go to stdout, messages to stderr;
``--json`` gives one JSON object a line. Exit status: 0 done, 1 findings, 2 misuse.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from terminology.console import FINDINGS, BodySiteGroup, echo_json, misuse, release_option
from terminology.files import written_whole

if TYPE_CHECKING:
    from terminology.annotation import HeaderStatement, TextReading
    from terminology.library import Terminology

_ANSWER_KEYS = ("code", "display", "laterality", "confidence")
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
@_AS_JSON
def map_command(
    values: tuple[str, ...],
    field: str | None,
    system: str | None,
    source: Path | None,
    column: str | None,
    out: Path | None,
    release: Path | None,
    as_json: bool,
) -> None:
    """Map header words or codes to SNOMED CT body sites.

    Without VALUE, one value a line is read from stdin. With --in the rows of a CSV file are
    copied to --out (or stdout) with the answer in new columns.
    """
    from terminology.library import load_terminology

    library = load_terminology(release)
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


@click.group(cls=BodySiteGroup, no_args_is_help=True)
def mappings() -> None:
    """Check and export the mapping tables."""


@mappings.command()
@click.option("--fix", is_flag=True, help="Rewrite tables in canonical form: sorted rows, columns.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Another folder of tables than the installed one.",
)
@_AS_JSON
def check(fix: bool, folder: Path | None, as_json: bool) -> None:
    """Check every table, and print how well the header words are read.

    Exit status 1 when a row is wrong.
    """
    from terminology.checks import check_tables, rewrite_tables
    from terminology.tables import mappings_folder

    folder = folder or mappings_folder()
    if fix:
        for name in rewrite_tables(folder):
            click.echo(f"rewritten: {name}", err=True)
    reports = check_tables(folder)
    findings = [problem for report in reports for problem in report.problems]
    for report in reports:
        if as_json:
            echo_json(
                {
                    "table": report.name,
                    "rows": report.rows,
                    "problems": [str(problem) for problem in report.problems],
                }
            )
        else:
            state = f"{len(report.problems)} problems" if report.problems else "ok"
            click.echo(f"{report.name}: {report.rows} rows, {state}")
            for problem in report.problems:
                click.echo(f"  {problem}")
    if findings:
        raise click.exceptions.Exit(FINDINGS)
    _echo_figures(folder, as_json)


def _echo_figures(folder: Path, as_json: bool) -> None:
    from terminology.evaluation import evaluate, read_observed
    from terminology.library import Terminology

    figures = evaluate(Terminology.load(folder).text, read_observed(folder))
    if as_json:
        echo_json(figures.as_dict())
    else:
        click.echo(f"header words: {figures}")
        for miss in figures.misses:
            given = miss.given or "no answer"
            click.echo(f"  '{miss.value}': {given}; expected {' or '.join(miss.expected)}")


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
        "sites": [site_object(site) for site in reading.sites],
        "laterality": reading.laterality,
        "view": view_object(reading.view),
        "ignored": list(reading.ignored),
        "evidence": [evidence_object(one) for one in reading.evidence],
    }


def _map_code(library: Terminology, value: str, system: str) -> dict[str, object]:
    from terminology import crosswalk
    from terminology.concept import Coding
    from terminology.identifiers import irma_anatomy_part

    uri = {
        "dicom": crosswalk.DICOM_BODY_PART,
        "irma": crosswalk.IRMA_ANATOMY,
        "umls": crosswalk.UMLS,
        "unifesp": crosswalk.UNIFESP,
    }[system]
    code = irma_anatomy_part(value) if system == "irma" else value
    translation = library.crosswalk.translate(Coding(uri, code))
    sides = {target.laterality for target in translation.targets}
    return {
        "value": value,
        "field": None,
        "system": uri,
        "sites": [
            {
                "code": target.code,
                "display": target.display,
                "laterality": target.laterality,
                "confidence": target.confidence,
                "predicate": target.predicate,
            }
            for target in translation.targets
        ],
        "laterality": sides.pop() if len(sides) == 1 else None,
        "view": None,
        "ignored": [],
        "evidence": [
            {"source": system, "words": [code], "rows": list(target.rows), "note": None}
            for target in translation.targets
        ]
        or [{"source": system, "words": [code], "rows": [], "note": translation.reason}],
    }


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
        sites = _map_value(library, row[column], field, system)["sites"]
        assert isinstance(sites, list)  # noqa: S101
        best: dict[str, object] = sites[0] if sites else {}
        rows.append({**row, **{f"bodysite_{key}": best.get(key) for key in _ANSWER_KEYS}})
    fields = [*columns, *(f"bodysite_{key}" for key in _ANSWER_KEYS)]
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


def _write_rows(stream: IO[str], fields: list[str], rows: list[dict[str, object]]) -> None:
    writer = csv.DictWriter(stream, fields)
    writer.writeheader()
    writer.writerows(rows)
