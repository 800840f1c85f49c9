"""The command `scan`: which header values an archive has, what they mean, and what is open.

Results go to stdout, progress and messages to stderr. Exit status: 0 done, 1 some files failed,
2 misuse or nothing read, 130 interrupted.
"""

from __future__ import annotations

import contextlib
import csv
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import click

from terminology.console import (
    DONE,
    FINDINGS,
    echo_json,
    mappings_option,
    misuse,
    release_option,
    settings_option,
)

if TYPE_CHECKING:
    from api.scan_files import Scan
    from terminology.library import Terminology
    from terminology.scan_report import Report, ValueRow

_SHOWN_OPEN: Final = 10
_SHOWN_ERRORS: Final = 10
_FILE: Final = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME",
    help="PATH is a CSV, and this a column with header values; may be given again.",
)
@click.option("--count-column", metavar="NAME", help="The column with the number of images.")
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="KEYWORD",
    help="The DICOM attribute of each --column in turn.  [default: the name of the column]",
)
@click.option("--out", type=_FILE, help="Write every value to this CSV, with room for decisions.")
@click.option("--html", "html", type=_FILE, help="Write a page to look at.")
@click.option("--errors", "errors", type=_FILE, help="Write the files that failed to this CSV.")
@click.option(
    "--min-count",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="List values on at least so many images.",
)
@click.option("--limit", type=click.IntRange(1), help="List so many values of each attribute.")
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Processes that read.",
)
@click.option(
    "--resume",
    "state",
    type=_FILE,
    metavar="FILE",
    help="Keep the state here; an interrupted scan goes on from it, a finished one is reported"
    " anew without reading a file.",
)
@mappings_option
@settings_option
@release_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def scan(
    paths: tuple[str, ...],
    columns: tuple[str, ...],
    count_column: str | None,
    fields: tuple[str, ...],
    out: Path | None,
    html: Path | None,
    errors: Path | None,
    min_count: int,
    limit: int | None,
    workers: int,
    state: Path | None,
    mappings: Path | None,
    settings: Path | None,
    release: Path | None,
    as_json: bool,
) -> None:
    """Count the header values of an archive, say what they mean, and suggest what is open.

    PATH is a DICOM file, a folder, a zip, or with --column a CSV of values. Pixels are not read,
    and patient data are not kept: words of a description that also stand in the identifying
    attributes of the file, and numbers of six and more digits, are written as #.
    """
    from terminology.library import load_terminology
    from terminology.scan_report import report_of

    for given in paths:
        if given.lower().startswith(("http://", "https://")):
            misuse(
                f"PATH: '{given}' is an address; expected files, folders, zips or a CSV. Scanning"
                " over DICOMweb is not there yet: export the headers, or scan a folder."
            )
    if not columns and (count_column or fields):
        misuse("--count-column and --field go with --column. Name the column of values.")
    _check_outputs(paths, (out, html, errors, state))
    library = load_terminology(release, mappings, settings)
    done = (
        _scan_csv(paths, columns, count_column, fields)
        if columns
        else _scan_files(paths, library, workers, state)
    )
    if done.inventory.rows == 0:
        _echo_errors(done)
        misuse(
            f"PATH: no header was read; files failed: {done.failed}, not DICOM and passed by:"
            f" {done.passed_by}. Expected DICOM files, or a CSV with --column."
        )
    with _progress("values read") as step:
        report = report_of(done.inventory, library, min_count=min_count, watch=step)
    rows = _limited(report, limit)
    if out is not None:
        _write(out, lambda stream: _write_csv(stream, rows))
    if html is not None:
        from terminology.scan_html import page

        title = f"Bodysite scan of {', '.join(Path(one).name or one for one in paths)}"
        _write(html, lambda stream: stream.write(page(report, title, done.errors)))
    if errors is not None:
        _write(errors, lambda stream: csv.writer(stream).writerows(_error_rows(done)))
    _echo(report, rows, done, as_json)
    raise click.exceptions.Exit(FINDINGS if done.failed else DONE)


def _scan_files(
    paths: tuple[str, ...], library: Terminology, workers: int, state: Path | None
) -> Scan:
    from api.limits import Limits
    from api.scan_files import Scan, read_scan, scan_files
    from terminology.scan import HeaderValues

    sources = tuple(str(Path(path).absolute()) for path in paths)
    found = Scan(sources) if state is None else read_scan(state, paths)
    if found.reached is not None:
        what = "finished before" if found.done else "goes on"
        click.echo(f"the scan {what}: {found.inventory.rows} headers from {state}", err=True)
    values = HeaderValues.of(library.text.words)
    try:
        with _progress("files") as step:
            scan_files(
                found, values, Limits.from_environment(), workers=workers, state=state, watch=step
            )
    except KeyboardInterrupt:
        kept = (
            f"; the same command with --resume {state} goes on."
            if state is not None
            else ". With --resume FILE it could go on."
        )
        click.echo(f"Interrupted after {found.inventory.rows} headers{kept}", err=True)
        raise click.exceptions.Exit(130) from None
    return found


def _scan_csv(
    paths: tuple[str, ...],
    columns: tuple[str, ...],
    count_column: str | None,
    fields: tuple[str, ...],
) -> Scan:
    from pydicom.datadict import tag_for_keyword

    from api.scan_files import Scan
    from api.scan_table import add_table

    if fields and len(fields) != len(columns):
        misuse(f"--field: {len(fields)} given for {len(columns)} columns. Name one a --column.")
    for keyword in fields:
        if tag_for_keyword(keyword) is None:
            misuse(
                f"--field: '{keyword}' is no DICOM keyword; expected one such as"
                " BodyPartExamined. Spell it as PS3.6 does."
            )
    keywords = dict(zip(columns, fields or columns, strict=True))
    found = Scan(paths)
    try:
        with _progress("rows") as step:
            for path in paths:
                add_table(found.inventory, Path(path), keywords, count_column, step)
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        raise click.exceptions.Exit(130) from None
    return found


def _limited(report: Report, limit: int | None) -> list[ValueRow]:
    if limit is None:
        return list(report.rows)
    seen: dict[str, int] = {}
    kept = []
    for row in report.rows:
        seen[row.field] = seen.get(row.field, 0) + 1
        if seen[row.field] <= limit:
            kept.append(row)
    return kept


def _echo(report: Report, rows: list[ValueRow], done: Scan, as_json: bool) -> None:
    from terminology.scan_report import is_open, summary

    if as_json:
        echo_json(
            {
                "record": "scan",
                "rows": report.files,
                "images": report.images,
                "images_known": report.images_known,
                "images_answered": report.images_answered,
                "codes": len({one.code for one in report.sites}),
                "regions": dict(report.regions),
                "failed": done.failed,
                "passed_by": done.passed_by,
                "values_left_out": report.values_left_out,
                "combinations_left_out": report.combinations_left_out,
                "below_min_count": report.hidden,
            }
        )
        for coverage in report.coverage:
            echo_json({"record": "attribute", **coverage.as_dict()})
        for site in report.sites:
            echo_json(
                {
                    "record": "site",
                    "code": site.code,
                    "display": site.display,
                    "laterality": site.laterality,
                    "images": site.images,
                }
            )
        for row in rows:
            echo_json({"record": "value", **row.as_dict()})
        for name, what in done.errors:
            echo_json({"record": "error", "file": name, "error": what})
    else:
        for line in summary(report):
            click.echo(line)
        open_rows = [row for row in rows if is_open(row)]
        open_rows.sort(key=lambda row: -row.count.images)
        if open_rows:
            click.echo(f"values to decide: {len(open_rows)}; the most frequent:")
        for row in open_rows[:_SHOWN_OPEN]:
            guess = row.suggestions[0] if row.suggestions else None
            hint = f"{guess}? {guess.reasons[0]}" if guess is not None else "no suggestion"
            click.echo(f"  {row.count.images}\t{row.field}\t{row.value}\t{hint}")
    _echo_errors(done)


def _echo_errors(done: Scan) -> None:
    for _, what in done.errors[:_SHOWN_ERRORS]:
        click.echo(f"Error: {what}", err=True)
    if done.failed or done.passed_by:
        more = f" ({done.failed - _SHOWN_ERRORS} not shown)" if done.failed > _SHOWN_ERRORS else ""
        click.echo(
            f"files failed: {done.failed}{more}, not DICOM and passed by: {done.passed_by}",
            err=True,
        )


def _error_rows(done: Scan) -> Iterator[tuple[str, str]]:
    yield "file", "error"
    yield from done.errors


def _write_csv(stream: IO[str], rows: Iterable[ValueRow]) -> None:
    from terminology.decision_files import FORMULA
    from terminology.scan_report import COLUMNS

    writer = csv.DictWriter(stream, COLUMNS)
    writer.writeheader()
    for row in rows:
        cells = row.cells()
        if row.value.startswith(FORMULA):
            cells["value"] = f"'{row.value}"
        writer.writerow(cells)


def _write(path: Path, writing: Callable[[IO[str]], object]) -> None:
    from terminology.files import written_whole

    try:
        with written_whole(path) as stream:
            writing(stream)
    except OSError as error:
        misuse(f"{path}: cannot be written ({error.strerror}). Name a file in a folder of yours.")


def _check_outputs(paths: tuple[str, ...], outputs: Iterable[Path | None]) -> None:
    """End the command when an output would take the place of what is to be read."""
    sources = {Path(path).resolve() for path in paths}
    named = [one.resolve() for one in outputs if one is not None]
    for target in named:
        if target in sources:
            misuse(f"{target}: is one of the files to read. Name another file.")
        if named.count(target) > 1:
            misuse(f"{target}: named for two outputs. Name a file for each.")
        # Said before the archive is read, not hours later.
        if not os.access(target.parent, os.W_OK):
            misuse(
                f"{target}: cannot be written (no folder {target.parent} to write in). Name a file"
                " in a folder of yours."
            )


@contextlib.contextmanager
def _progress(what: str) -> Iterator[Callable[[int], None]]:
    """Yield what counts steps, shown on stderr when that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    shown = (SpinnerColumn(), TextColumn("{task.completed} " + what), TimeElapsedColumn())
    with Progress(*shown, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("scan", total=None)
        yield lambda number: progress.advance(task, number)
