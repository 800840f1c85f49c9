"""The command `reliability`: how far the headers of a site can be trusted, counted by the site."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from terminology.console import (
    BodySiteGroup,
    echo_json,
    mappings_option,
    misuse,
    release_option,
    settings_option,
)

if TYPE_CHECKING:
    from classifier.fusion import HeaderReliability
    from terminology.graph import BodyStructureGraph


@click.group("reliability", cls=BodySiteGroup)
def reliability() -> None:
    """Count how often headers name what images show; fusion then trusts them accordingly."""


@reliability.command("learn")
@click.argument("table", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="Where the counts go, tab-separated; [fusion] reliability names it.",
)
@click.option(
    "--field",
    default="BodyPartExamined",
    show_default=True,
    metavar="KEYWORD",
    help="The attribute that words in the column header are from.",
)
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
@release_option
@mappings_option
@settings_option
def learn(
    table: Path,
    out: Path,
    field: str,
    as_json: bool,
    release: Path | None,
    mappings: Path | None,
    settings: Path | None,
) -> None:
    """Count what a person found in TABLE, and write it to FILE.

    TABLE has the columns header (a value as the header has it, or a SNOMED CT code; empty where
    there is none), verdict (the SNOMED CT code of what the image shows) and, where a row stands
    for several images, count. With commas, or with tabs where its name ends in .tsv.
    """
    from classifier.fusion import HeaderReliability
    from classifier.fusion.reliability import read_agreement
    from terminology.library import load_terminology

    rows = read_agreement(table)
    terms = load_terminology(release, mappings, settings)

    def site_of(value: str) -> str | None:
        sites = terms.header.read_value(field, value).sites
        return sites[0].code if sites else None

    found = HeaderReliability.learn(rows, terms.graph, site_of)
    if not found.total:
        misuse(f"{table} counts no image: every row lacks a verdict, or its count is 0.")
    try:
        found.write(out, terms.graph)
    except OSError as error:
        misuse(f"{out} cannot be written ({error.strerror}).")
    _tell(found, terms.graph, as_json=as_json)


@reliability.command("show")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="The result as one JSON object.")
@release_option
def show(file: Path, as_json: bool, release: Path | None) -> None:
    """Show what FILE counts: by value of the header, how often it was right, and what was."""
    from classifier.fusion import HeaderReliability
    from terminology.library import load_terminology

    graph = load_terminology(release).graph
    _tell(HeaderReliability.read(file, graph), graph, as_json=as_json)


def _tell(found: HeaderReliability, graph: BodyStructureGraph, *, as_json: bool) -> None:
    from classifier.fusion.agreement import agreement_rows

    rows = agreement_rows(found, graph)
    right = sum(row.right for row in rows if row.named)
    named = sum(row.images for row in rows if row.named)
    if as_json:
        echo_json(
            {
                "images": found.total,
                "named": named,
                "right": right,
                "values": [row.to_json() for row in rows],
            }
        )
        return
    share = f", of which {right / named:.1%} rightly" if named else ""
    click.echo(f"{found.total} images; {named} headers name a site{share}")
    for row in rows:
        click.echo(str(row))
