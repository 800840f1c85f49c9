"""The commands of `mappings` by which a person decides: add, remove, undo, log, review, import.

Results go to stdout, messages to stderr. Exit status: 0 done, 2 misuse; nothing is saved then.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from terminology.console import echo_json, misuse, release_option

if TYPE_CHECKING:
    from terminology.decisions import Change, Decisions
    from terminology.library import Terminology
    from terminology.mapping import SemanticMapping
    from terminology.proposals import Rules

_Command = TypeVar("_Command", bound=Callable[..., Any])
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
_GIT_SECONDS: Final = 10

folder_option = click.option(
    "--mappings",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="BODYSITE_MAPPINGS",
    required=True,
    metavar="DIR",
    help="The folder of your own tables, or BODYSITE_MAPPINGS; the first edit makes it.",
)
_FIELD = click.option(
    "--field",
    metavar="KEYWORD",
    help="The DICOM attribute that it holds in, such as StudyDescription.  [default: all]",
)
_AUTHOR = click.option(
    "--author",
    envvar="BODYSITE_AUTHOR",
    metavar="ID",
    help="Who decides: an ORCID iD, an e-mail address, github:NAME or person:NAME, or"
    " BODYSITE_AUTHOR.  [default: user.email of git]",
)


def _editing(command: _Command) -> _Command:
    return folder_option(_AUTHOR(command))


@click.command()
@click.argument("value")
@click.argument("codes", nargs=-1, metavar="[CODE]...")
@_FIELD
@click.option("--side", metavar="SIDE", help="left, right or bilateral.")
@click.option("--view", metavar="CODE", help="The projection: an SCTID or a ViewPosition value.")
@click.option(
    "--scope",
    type=click.Choice(["value", "word"]),
    default="value",
    show_default=True,
    help="value: VALUE is a whole header value; word: it may stand among other words.",
)
@click.option("--no-site", is_flag=True, help="VALUE names no body site.")
@click.option("--comment", metavar="TEXT", help="Why; it stays with the row.")
@_editing
@release_option
@_AS_JSON
def add(
    value: str,
    codes: tuple[str, ...],
    field: str | None,
    side: str | None,
    view: str | None,
    scope: str,
    no_site: bool,
    comment: str | None,
    folder: Path,
    author: str | None,
    release: Path | None,
    as_json: bool,
) -> None:
    """Decide what VALUE means: the body site CODE, or none with --no-site.

    The decision takes the place of a former one about the same value, and overrides the shipped
    rows. Without --side and --view, those that the value itself names still count.
    """
    from terminology.library import load_terminology
    from terminology.proposals import Proposal

    if bool(codes) == no_site:
        given = "both" if codes else "neither"
        misuse(
            f"CODE and --no-site: {given} given; expected one of them. Name the body site, or say"
            " that there is none."
        )
    library = load_terminology(release)
    proposal = Proposal(value, codes, field, side, view, scope, comment)
    curie = _curie(author)
    checked = _rules(library).check(proposal, curie, _today())
    change = _decisions(folder).decide([checked.rows], curie, "add")
    for note in checked.notes:
        click.echo(f"note: {note}", err=True)
    _echo_shipped(library, checked.rows)
    _echo_change(change, as_json, "decided already, nothing changed")


@click.command()
@click.argument("values", nargs=-1, required=True, metavar="VALUE...")
@_FIELD
@_editing
@_AS_JSON
def remove(
    values: tuple[str, ...], field: str | None, folder: Path, author: str | None, as_json: bool
) -> None:
    """Take back what was decided about VALUE; the shipped rows answer again."""
    from terminology.proposals import decision_key

    keys = {decision_key(value, field) for value in values}
    _echo_change(_decisions(folder).remove(keys, _curie(author)), as_json, "nothing changed")


@click.command()
@click.option("--steps", type=click.IntRange(1), default=1, show_default=True, help="How many.")
@_editing
@_AS_JSON
def undo(steps: int, folder: Path, author: str | None, as_json: bool) -> None:
    """Take back the last edits, the newest first; what they replaced stands again."""
    for change in _decisions(folder).undo(steps, _curie(author)):
        if change.undone is not None and not as_json:
            click.echo(f"edit {change.undone.id} undone ({change.undone.action})")
        _echo_change(change, as_json, "nothing changed")


@click.command()
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@folder_option
@_AS_JSON
def log(limit: int, folder: Path, as_json: bool) -> None:
    """List the edits, the newest first: who, when, and what came and went."""
    from terminology.journal import standing

    entries = _decisions(folder).log()
    stand = standing(entries)
    for entry in entries[::-1][:limit]:
        if as_json:
            echo_json({**entry.as_dict(), "stands": entry in stand})
            continue
        what = f" of edit {entry.undoes}" if entry.undoes is not None else ""
        gone = "" if entry in stand or entry.undoes is not None else ", undone"
        note = f": {entry.note}" if entry.note else ""
        click.echo(f"{entry.id}\t{entry.time}\t{entry.author}\t{entry.action}{what}{gone}{note}")
        for sign, rows in (("-", entry.removed), ("+", entry.added)):
            for row in rows[:limit]:
                click.echo(f"  {sign} {_shown(row)}")
            if len(rows) > limit:
                click.echo(f"  {sign} and {len(rows) - limit} more")


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_editing
@release_option
@_AS_JSON
def import_command(
    source: Path, folder: Path, author: str | None, release: Path | None, as_json: bool
) -> None:
    """Save the decisions in a CSV or an SSSOM table, all of them or none.

    A CSV has the columns value and decision, and may have field, decision_side, decision_view,
    decision_scope and decision_comment, as 'bodysite scan' and 'review' write them. A decision is
    a code, several codes set apart by +, or "no site"; rows without one are passed by.
    """
    from terminology.decision_files import read_csv, read_sssom
    from terminology.decisions import Decisions
    from terminology.library import load_terminology

    library = load_terminology(release)
    curie = _curie(author)
    if source.name.endswith(".tsv"):
        found = read_sssom(source, _rules(library))
    else:
        found = read_csv(source, _rules(library), curie, _today())
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    change = Decisions(folder, found.prefixes).decide(
        found.decisions, curie, "import", f"{source.name}, {len(found.decisions)} decisions"
    )
    if not as_json:
        click.echo(
            f"{source.name}: {len(found.decisions)} decisions read, rows added:"
            f" {len(change.added)}, replaced: {len(change.removed)}; without a decision:"
            f" {found.undecided}"
        )
        return
    _echo_change(change, as_json, "")


@click.command()
@click.option(
    "--report",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A report of 'bodysite scan': what is not decided in it.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write those rows to a CSV, to fill in and import.",
)
@click.option("--interactive", "-i", is_flag=True, help="Ask about each of those rows in turn.")
@click.option(
    "--below",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="CONFIDENCE",
    help="Review answers that are less sure than this, too.",
)
@_editing
@release_option
@_AS_JSON
def review(
    report: Path | None,
    out: Path | None,
    interactive: bool,
    below: float,
    folder: Path,
    author: str | None,
    release: Path | None,
    as_json: bool,
) -> None:
    """List the decisions and how they stand to the shipped rows; or work through a report.

    With --report, the values that have no answer and no decision yet: listed, written to --out,
    or asked about with --interactive.
    """
    from terminology.library import load_terminology

    library = load_terminology(release)
    if report is None:
        if out is not None or interactive:
            misuse("--out and --interactive go with --report. Make one with 'bodysite scan'.")
        decided = _decisions(folder)
        decided.require_folder()
        _echo_decisions(library, decided, as_json)
        return
    from terminology.decision_files import open_rows, write_rows

    rows = open_rows(report, _decisions(folder).rows(), below)
    if out is not None:
        if out.resolve() == report.resolve():
            misuse(f"--out: {out} is the report itself. Name another file.")
        write_rows(out, rows)
        click.echo(f"{out}: {len(rows.rows)} values to decide")
    elif interactive:
        from terminology.reviewing import work_through

        work_through(rows, _decisions(folder), _rules(library), _curie(author), _today())
    else:
        for row in rows.rows:
            if as_json:
                echo_json(row)
            else:
                suggestion = row.get("suggestion_1") or "no suggestion"
                click.echo(f"{row['value']}\t{row['field']}\t{row['images']} images\t{suggestion}")


def _echo_decisions(library: Terminology, decisions: Decisions, as_json: bool) -> None:
    from terminology.decisions import by_key
    from terminology.overrides import compared

    for rows in by_key(decisions.rows()).values():
        row = rows[0]
        standing = compared(library, rows)
        if as_json:
            echo_json({**_as_dict(rows), **standing.as_dict()})
            continue
        click.echo("; ".join(_shown(one) for one in rows))
        by = row.author_id or row.mapping_tool
        said = f"  {row.mapping_date or 'undated'} {by}"
        click.echo(said + (f": {row.comment}" if row.comment else ""))
        click.echo(f"  {standing}")


def _echo_shipped(library: Terminology, rows: tuple[SemanticMapping, ...]) -> None:
    from terminology.overrides import OVERRIDES, compared

    standing = compared(library, rows)
    if standing.state == OVERRIDES:
        click.echo(f"note: {standing}", err=True)


def _echo_change(change: Change, as_json: bool, nothing: str) -> None:
    if as_json:
        echo_json(
            {
                "added": [_as_dict((row,)) for row in change.added],
                "removed": [_as_dict((row,)) for row in change.removed],
            }
        )
        return
    for row in change.removed:
        click.echo(f"- {_shown(row)}")
    for row in change.added:
        click.echo(f"+ {_shown(row)}")
    if change.empty:
        click.echo(nothing)


def _as_dict(rows: tuple[SemanticMapping, ...]) -> dict[str, object]:
    from terminology import sssom

    row = rows[0]
    return {
        "value": row.subject_label,
        "field": row.subject_field,
        "scope": row.subject_scope or "word",
        "sites": [
            {
                "code": sssom.object_code(one),
                "display": one.object_label,
                "laterality": one.object_laterality,
            }
            for one in rows
            if not one.no_match
        ],
        "laterality": row.object_laterality,
        "view": row.object_view,
        "author": row.author_id,
        "date": row.mapping_date,
        "comment": row.comment,
    }


def _shown(row: SemanticMapping) -> str:
    from terminology import sssom

    place = f" in {row.subject_field}" if row.subject_field else ""
    kind = "" if row.subject_scope == "value" else " (word)"
    site = "no site" if row.no_match else f"{sssom.object_code(row)} |{row.object_label}|"
    side = f", {row.object_laterality}" if row.object_laterality else ""
    view = f", view {row.object_view}" if row.object_view else ""
    return f"'{row.subject_label}'{place}{kind}: {site}{side}{view}"


def _decisions(folder: Path) -> Decisions:
    from terminology.decisions import Decisions

    return Decisions(folder)


def _rules(library: Terminology) -> Rules:
    from terminology.proposals import Rules

    return Rules(library.graph, library.text.words.views)


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _curie(author: str | None) -> str:
    """Return the CURIE of who decides; who is not named is whoever git knows."""
    from terminology.proposals import author_curie

    given = author or _git_email()
    if not given:
        misuse(
            "--author: nobody is named; expected an ORCID iD, an e-mail address, github:NAME or"
            " person:NAME. Set BODYSITE_AUTHOR once, or 'git config user.email'."
        )
    return author_curie(given)


def _git_email() -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    try:
        asked = subprocess.run(  # noqa: S603 (the path of git, nothing from outside)
            [git, "config", "user.email"],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return asked.stdout.strip() or None
