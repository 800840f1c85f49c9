"""Working through the open values of a report at the terminal, one question each."""

from __future__ import annotations

from typing import Final

import click

from terminology.console import INTERRUPTED
from terminology.decision_files import OpenRows, plain_value
from terminology.decisions import Decisions
from terminology.errors import BodySiteError
from terminology.proposals import Proposal, Rules
from terminology.suggestions import MOST

_HELP: Final = (
    "Answer with the number of a suggestion, a code, - for no site, Enter to pass on, q to stop."
    " Each decision is saved at once; 'bodysite mappings undo' takes the last one back."
)
_NONE: Final = "-"
_STOP: Final = "q"


def work_through(rows: OpenRows, decisions: Decisions, rules: Rules, author: str, day: str) -> None:
    """Ask about each of `rows`, and save each answer as a decision by `author` on `day`."""
    click.echo(f"{len(rows.rows)} values to decide. {_HELP}")
    decided = 0
    try:
        for number, row in enumerate(rows.rows, 1):
            shown = f"[{number}/{len(rows.rows)}] '{row['value']}' in {row['field']}"
            click.echo(f"\n{shown}, {row.get('images') or '?'} images")
            suggestions = _suggestions(row)
            for place, (suggestion, reason) in enumerate(suggestions, 1):
                click.echo(f"  {place}: {suggestion}  ({reason})")
            while (answer := _asked("decision")) not in {"", _STOP}:
                try:
                    checked = rules.check(_proposal(row, answer, suggestions), author, day)
                except BodySiteError as error:
                    click.echo(f"Error: {error}", err=True)
                    continue
                decisions.decide([checked.rows], author, "review")
                for note in checked.notes:
                    click.echo(f"note: {note}")
                sites = "; ".join(one.object_label or "no site" for one in checked.rows)
                click.echo(f"  saved: {sites}")
                decided += 1
                break
            if answer == _STOP:
                break
    finally:
        click.echo(f"\n{decided} decided.")


def _proposal(row: dict[str, str], answer: str, suggestions: list[tuple[str, str]]) -> Proposal:
    """Return what the person says of the value: a number, a code, or that it names no site."""
    value, keyword = plain_value(row["value"]), row["field"] or None
    if answer == _NONE:
        return Proposal(value, (), keyword)
    code = answer
    if answer.isdecimal() and 0 < int(answer) <= len(suggestions):
        code = suggestions[int(answer) - 1][0]
    side = _asked("side (left, right, bilateral)")
    return Proposal(value, (code,), keyword, side or None)


def _asked(what: str) -> str:
    """Return what was typed; the end of the input ends the command, as Ctrl-C does."""
    try:
        answer: str = click.prompt(f"  {what}", default="", show_default=False)
    except click.Abort as error:
        stopped = not isinstance(error.__context__, EOFError)
        raise click.exceptions.Exit(INTERRUPTED if stopped else 0) from None
    return answer.strip()


def _suggestions(row: dict[str, str]) -> list[tuple[str, str]]:
    found = []
    for place in range(1, MOST + 1):
        suggestion = row.get(f"suggestion_{place}")
        if suggestion:
            found.append((suggestion, row.get(f"suggestion_{place}_reason", "")))
    return found
