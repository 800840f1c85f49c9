"""The command group `mappings`: check the tables; `api.mappings_export` adds the export.

Results go to stdout, messages to stderr. Exit status: 0 done, 1 findings, 2 misuse.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from terminology.console import FINDINGS, BodySiteGroup, echo_json

if TYPE_CHECKING:
    pass

_ANSWER_KEYS = ("code", "display", "laterality", "confidence")
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


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
