"""The command group `mappings`: check the tables; `api.mappings_export` adds the export.

Results go to stdout, messages to stderr. Exit status: 0 done, 1 findings, 2 misuse.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from terminology import decisions_cli
from terminology.console import FINDINGS, BodySiteGroup, echo_json, mappings_option
from terminology.sources.umls_cli import import_umls

if TYPE_CHECKING:
    from terminology.checks import TableReport
    from terminology.coverage import TableCoverage
    from terminology.errors import RowProblem
    from terminology.evaluation import Figures
    from terminology.library import Terminology

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@click.group(cls=BodySiteGroup, no_args_is_help=True)
def mappings() -> None:
    """Check and export the mapping tables; decide what a site's own words mean."""


for _command in (
    decisions_cli.add,
    decisions_cli.remove,
    decisions_cli.undo,
    decisions_cli.log,
    decisions_cli.review,
    decisions_cli.import_command,
    import_umls,
):
    mappings.add_command(_command)


@mappings.command()
@click.option("--fix", is_flag=True, help="Rewrite tables in canonical form: sorted rows, columns.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Another folder of tables than the installed one.",
)
@click.option(
    "--reference",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="BODYSITE_REFERENCE",
    metavar="DIR",
    help="A folder of reference files to compare with, or BODYSITE_REFERENCE.",
)
@mappings_option
@_AS_JSON
def check(
    fix: bool, folder: Path | None, reference: Path | None, mappings: Path | None, as_json: bool
) -> None:
    """Check every table, say what it decides, and how well the header words are read.

    With --mappings a site's own tables too. Exit status 1 when a row is wrong.
    """
    from terminology.checks import check_tables, loaded_tables, rewrite_local, rewrite_tables
    from terminology.errors import TableError
    from terminology.library import Terminology
    from terminology.tables import mappings_folder

    folder = folder or mappings_folder()
    if fix:
        names = [*rewrite_tables(folder), *(rewrite_local(mappings) if mappings else ())]
        for name in names:
            click.echo(f"rewritten: {name}", err=True)
    try:
        library = Terminology.load(folder)
        # Tables are read when they are first asked for: now, while their errors are expected.
        loaded_tables(library)
    except TableError:
        # What is wrong with which table is told table by table.
        library = None
    reports = check_tables(folder, library)
    findings = [problem for report in reports for problem in report.problems]
    _echo_reports(reports, library, as_json)
    if mappings is not None and library is not None:
        findings += _check_local(mappings, library, as_json)
    if library is not None:
        _echo_figures(folder, library, as_json)
        if reference is not None:
            _echo_reference(reference, library, as_json)
    if findings:
        raise click.exceptions.Exit(FINDINGS)


def _echo_reports(
    reports: Iterable[TableReport], library: Terminology | None, as_json: bool
) -> None:
    from terminology.checks import loaded_tables
    from terminology.coverage import coverage_of

    decided = {}
    if library is not None:
        tables = loaded_tables(library)
        decided = {f"{one.name}.sssom.tsv": coverage_of(one, library.graph) for one in tables}
    for report in reports:
        _echo_report(report, decided.get(report.name), as_json)


def _echo_report(report: TableReport, coverage: TableCoverage | None, as_json: bool) -> None:
    if as_json:
        echo_json(
            {
                "table": report.name,
                "rows": report.rows,
                "problems": [str(problem) for problem in report.problems],
                **(coverage.as_dict() if coverage is not None else {}),
            }
        )
        return
    state = f"{len(report.problems)} problems" if report.problems else "ok"
    click.echo(f"{report.name}: {report.rows} rows, {state}")
    for problem in report.problems:
        click.echo(f"  {problem}")
    if coverage is not None:
        click.echo(f"  {coverage}")
        shown = ", ".join(f"{name} {number}" for name, number in coverage.regions.items())
        if shown:
            click.echo(f"  codes by region: {shown}")


def _check_local(folder: Path, library: Terminology, as_json: bool) -> list[RowProblem]:
    """Show what is wrong with a site's own tables, and return it."""
    from terminology.checks import check_local
    from terminology.coverage import coverage_of
    from terminology.errors import TableError
    from terminology.local import LocalMappings

    try:
        local = LocalMappings.read(folder)
    except TableError as error:
        for problem in error.problems:
            echo_json({"problem": str(problem)}) if as_json else click.echo(str(problem))
        return list(error.problems)
    decisions = [local.decisions] if local.decisions is not None else []
    decided = {
        f"{one.name}.sssom.tsv": coverage_of(one, library.graph)
        for one in (*local.tables, *decisions)
    }
    reports = check_local(local, library.graph)
    for report in reports:
        shown = replace(report, name=f"{folder.name}/{report.name}")
        _echo_report(shown, decided[report.name], as_json)
    found = list(local.problems(library.graph, library.text.words.views))
    for problem in found:
        echo_json({"problem": str(problem)}) if as_json else click.echo(f"  {problem}")
    return [*(one for report in reports for one in report.problems), *found]


def _echo_figures(folder: Path, library: Terminology, as_json: bool) -> None:
    from terminology.evaluation import evaluate, read_observed

    figures = evaluate(library.text, read_observed(folder))
    if as_json:
        echo_json(figures.as_dict())
        return
    click.echo(f"header words: {figures}")
    _echo_misses(figures)


def _echo_reference(reference: Path, library: Terminology, as_json: bool) -> None:
    from terminology.reference import compare

    for comparison in compare(reference, library):
        if as_json:
            echo_json(comparison.as_dict())
        else:
            click.echo(str(comparison))


def _echo_misses(figures: Figures) -> None:
    for miss in figures.misses:
        given = miss.given or "no answer"
        click.echo(f"  '{miss.value}': {given}; expected {' or '.join(miss.expected)}")
