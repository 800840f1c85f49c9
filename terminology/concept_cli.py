"""The command group `terminology`: build an index, ask it, offer it to a language model.

Results go to stdout, messages to stderr; ``--json`` gives one JSON object a line. Exit status:
0 done, 1 an expression breaks the concept model, 2 misuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from terminology.build_cli import build
from terminology.console import (
    FINDINGS,
    BodySiteGroup,
    echo_json,
    mappings_option,
    misuse,
    release_option,
    settings_option,
)

if TYPE_CHECKING:
    from terminology.queries import Found, Queries

_Command = TypeVar("_Command", bound=Callable[..., Any])
_AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
_LIMIT = click.option("--limit", default=20, show_default=True, type=click.IntRange(min=1))
_SHOWN = ("fsn", "synonyms", "definitions", "laterality", "unsided", "other_side")
_TIED = ("structure", "entire", "part")
_RELATED = ("parents", "children", "replaced_by", "replaces")


def _asking(command: _Command) -> _Command:
    """Add the options that every question takes: the release, and the language of terms."""
    options = (
        release_option,
        click.option(
            "--language",
            "languages",
            multiple=True,
            metavar="TAG",
            help="Terms in this language where there are any, such as de or en-GB; repeatable.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=BodySiteGroup, no_args_is_help=True)
def terminology() -> None:
    """Build and ask releases: look up, compare, expand, search."""


terminology.add_command(build)


@terminology.command()
@click.option("--verify", is_flag=True, help="Read all of the index and compare its checksums.")
@_asking
@_AS_JSON
def info(verify: bool, release: Path | None, languages: tuple[str, ...], as_json: bool) -> None:
    """Say which release is in use and how much it holds."""
    queries = _queries(release, languages)
    if verify and release is not None:
        from terminology.release.arrays import ArrayFile

        ArrayFile(release).verify()
    facts = queries.info()
    if as_json:
        echo_json(facts)
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            value = [f"{key} {held}" for key, held in value.items()]
        click.echo(f"{name}: {', '.join(value) if isinstance(value, list) else value}")


@terminology.command()
@click.argument("codes", nargs=-1, required=True, metavar="CODE...")
@_asking
@_AS_JSON
def lookup(
    codes: tuple[str, ...], release: Path | None, languages: tuple[str, ...], as_json: bool
) -> None:
    """Show concepts: terms, parents, children, attributes, side, history.

    CODE may be an expression, such as '85562004 : 272741003 = 7771000'.
    """
    queries = _queries(release, languages)
    refused = False
    for code in codes:
        facts = queries.lookup(code)
        refused |= any(one["severity"] == "error" for one in facts.get("findings", ()))
        if as_json:
            echo_json(facts)
        else:
            _echo_facts(facts, queries)
    if refused:
        raise click.exceptions.Exit(FINDINGS)


@terminology.command()
@click.argument("code_a")
@click.argument("code_b")
@_asking
@_AS_JSON
def subsumes(
    code_a: str, code_b: str, release: Path | None, languages: tuple[str, ...], as_json: bool
) -> None:
    """Say how CODE_A stands to CODE_B: equivalent, subsumes, subsumed-by, not-subsumed.

    Both may be expressions.
    """
    outcome = _queries(release, languages).subsumes(code_a, code_b)
    if as_json:
        echo_json({"codeA": code_a, "codeB": code_b, "outcome": outcome})
    else:
        click.echo(outcome)


@terminology.command()
@click.argument("expression")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.  [default: all]")
@_asking
@_AS_JSON
def expand(
    expression: str,
    limit: int | None,
    release: Path | None,
    languages: tuple[str, ...],
    as_json: bool,
) -> None:
    """List the concepts that an ECL EXPRESSION names, such as '<< 85562004 |Hand|'.

    An expression that selects fields of a reference set, '^ [targetComponentId] 734139008', gives
    its rows.
    """
    found = _queries(release, languages).expand(expression, limit=limit)
    if "rows" not in found:
        _echo_concepts(found["concepts"], as_json)
        return
    for row in found["rows"]:
        if as_json:
            echo_json(row)
        else:
            click.echo("\t".join(str(value) for value in row.values()))


@terminology.command()
@click.argument("words", nargs=-1, required=True, metavar="WORD...")
@click.option("--within", metavar="ECL", help="Among these.  [default: the body structures]")
@_LIMIT
@_asking
@_AS_JSON
def search(
    words: tuple[str, ...],
    within: str | None,
    limit: int,
    release: Path | None,
    languages: tuple[str, ...],
    as_json: bool,
) -> None:
    """Find concepts by words or their beginnings; exact terms come first."""
    queries = _queries(release, languages)
    found = queries.search(" ".join(words), within=within, limit=limit)
    if found["fuzzy"] and found["concepts"]:
        click.echo("Nothing matches as it was typed; these are near.", err=True)
    _echo_concepts(found["concepts"], as_json)


@terminology.command()
@click.argument("code")
@_asking
@_AS_JSON
def history(code: str, release: Path | None, languages: tuple[str, ...], as_json: bool) -> None:
    """Show what replaced CODE and what it replaced."""
    queries = _queries(release, languages)
    found = queries.history(code)
    if as_json:
        echo_json(found)
        return
    click.echo(f"{code} |{queries.display(code)}|")
    for name in ("replaced_by", "replaces"):
        for other in found[name]:
            click.echo(f"  {name.replace('_', ' ')} {_named(other)}")


@terminology.command()
@click.argument("codes", nargs=-1, required=True, metavar="CODE...")
@_asking
@_AS_JSON
def common(
    codes: tuple[str, ...], release: Path | None, languages: tuple[str, ...], as_json: bool
) -> None:
    """Show the nearest sites that hold all of several, and how far these are apart."""
    queries = _queries(release, languages)
    found = queries.common(codes)
    if as_json:
        echo_json(found)
        return
    _echo_concepts(found["nearest_common"], as_json=False)
    for pair in found["distances"]:
        click.echo(f"  {pair['code_a']} to {pair['code_b']}: {pair['edges']} edges")


@terminology.command()
@click.argument("code")
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@_asking
@_AS_JSON
def into(
    code: str,
    targets: tuple[str, ...],
    release: Path | None,
    languages: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show the most specific of the TARGETs that hold CODE."""
    found = _queries(release, languages).into(code, targets)
    if as_json:
        echo_json(found)
    else:
        _echo_concepts(found["targets"], as_json=False)


@terminology.command()
@click.argument("code")
@_asking
@_AS_JSON
def parts(code: str, release: Path | None, languages: tuple[str, ...], as_json: bool) -> None:
    """Show what a body structure is a part of, and its parts."""
    found = _queries(release, languages).parts(code)
    if as_json:
        echo_json(found)
        return
    for name in ("part_of", "parts"):
        for other in found[name]:
            click.echo(f"{name.replace('_', ' ')}: {_named(other)}")


@terminology.command()
@mappings_option
@settings_option
@_asking
def mcp(
    release: Path | None,
    languages: tuple[str, ...],
    mappings: Path | None,
    settings: Path | None,
) -> None:
    """Serve the terminology to language models: Model Context Protocol on stdin and stdout."""
    try:
        from terminology.mcp_server import make_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"mcp", "pydantic"}:
            raise
        misuse(
            f"the package '{error.name}' is not installed; expected the extra 'mcp'."
            " Install it: pip install 'bodysite[mcp]'."
        )
    from terminology.live import LiveTerminology
    from terminology.queries import Queries

    live = LiveTerminology.open(release, mappings, settings)
    make_server(Queries(live.latest.graph, languages), live).run("stdio")


def _queries(release: Path | None, languages: tuple[str, ...]) -> Queries:
    from terminology.graph import BodyStructureGraph
    from terminology.queries import Queries

    if release is None:
        return Queries(BodyStructureGraph.load(), languages)
    from terminology.release.index import ReleaseIndex

    return Queries(BodyStructureGraph.of_release(ReleaseIndex.open(release)), languages)


def _named(concept: dict[str, str]) -> str:
    return f"{concept['code']} |{concept['display']}|"


def _echo_concepts(concepts: Iterable[dict[str, str]], as_json: bool) -> None:
    for concept in concepts:
        if as_json:
            echo_json(concept)
        else:
            click.echo(_named(concept))


def _echo_facts(facts: Found, queries: Queries) -> None:
    for finding in facts.get("findings", ()):
        click.echo(
            f"{finding['severity']} at character {finding['position'] + 1}: {finding['text']}",
            err=True,
        )
    # In one piece: a reader that stops after the first lines, as head does, has it all by then.
    click.echo("\n".join(_lines(facts, queries)))


def _lines(facts: Found, queries: Queries) -> Iterator[str]:
    if "version" not in facts:
        yield facts["code"]
    else:
        yield facts["display"] if "findings" in facts else _named(facts)
    if facts.get("active") is False:
        yield "  inactive"
    for name in _SHOWN:
        if value := facts.get(name):
            yield f"  {name}: {', '.join(value) if isinstance(value, list) else value}"
    for name in _TIED:
        if (code := facts.get(name)) and code != facts["code"]:
            yield f"  {name}: {code} |{queries.display(code)}|"
    if same := facts.get("equivalent_to"):
        yield f"  equivalent_to: {_named(same)}"
    for name in _RELATED:
        for other in facts.get(name, ()):
            yield f"  {name}: {_named(other)}"
    for group in facts.get("attributes", ()):
        for one in group["attributes"]:
            value = one["value"]
            shown = value if isinstance(value, str) else _named(value)
            yield f"  attribute: {_named(one['type'])} = {shown}"
