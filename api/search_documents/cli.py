"""The command `bodysite documents`: studies for Elasticsearch and OpenSearch."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from api.commands import opened_store, quiet_interrupt
from terminology.console import BodySiteGroup, mappings_option, misuse, release_option

if TYPE_CHECKING:
    from api.search_documents.export import Progress
    from terminology.library import Terminology

_INDEX: Final = "bodysite-studies"
_MIB: Final = 1 << 20
_DATABASE: Final = "sqlite:///bodysite.sqlite"


@click.group(cls=BodySiteGroup)
def documents() -> None:
    """Studies as documents of a search engine: Elasticsearch or OpenSearch.

    A document has the codes of all its sites and of everything above them, so that one term finds
    a region with all its parts, and their names in every language of the vocabulary.
    """


@documents.command()
@release_option
@mappings_option
def mapping(release: Path | None, mappings: Path | None) -> None:
    """Print the body of the request that makes the index.

    Send it with PUT to the address of the index, before the documents.
    """
    from api.search_documents.mapping import index_body
    from api.search_documents.names import SiteNames

    languages = SiteNames(_terminology(release, mappings)).languages
    click.echo(json.dumps(index_body(languages), indent=1))


@documents.command()
@click.option(
    "--database",
    metavar="URL",
    envvar="BODYSITE_DATABASE",
    default=_DATABASE,
    show_default=True,
    help="Where the resources live.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, allow_dash=True),
    help="A folder for files of bulk requests, or - for stdout. An export that was ended goes on"
    " where it stopped when it is begun again with the same folder.",
)
@click.option("--index", default=_INDEX, show_default=True, help="The name of the index.")
@click.option(
    "--since",
    metavar="INSTANT",
    help="Only what was changed or deleted after this time, such as the transactionTime in the"
    " export.json of the export before.",
)
@click.option(
    "--file-size",
    type=click.IntRange(1, 1024),
    default=16,
    show_default=True,
    metavar="MIB",
    help="How large a file becomes, which is sent as one request.",
)
@click.option(
    "--language",
    "languages",
    multiple=True,
    metavar="TAG",
    help="Only names of this language, such as de; more than once for more.  [default: all]",
)
@release_option
@mappings_option
def export(
    database: str,
    out: Path,
    index: str,
    since: str | None,
    file_size: int,
    languages: tuple[str, ...],
    release: Path | None,
    mappings: Path | None,
) -> None:
    """Write one document a study, as bulk requests.

    The documents are those of one moment, whatever is stored meanwhile. Send each file with POST to
    the address /_bulk, as application/x-ndjson.
    """
    from api.jobs.export import microseconds
    from api.search_documents.document import StudyDocuments
    from api.search_documents.export import DocumentExport, found_in
    from api.search_documents.names import SiteNames

    begin = microseconds(since, "--since") if since is not None else None
    with contextlib.closing(opened_store(database)) as store, quiet_interrupt():
        names = SiteNames(_terminology(release, mappings))
        if unknown := set(languages) - set(names.languages):
            misuse(
                f"--language: no site has a name in '{min(unknown)}'; expected"
                f" {', '.join(names.languages)}. Correct it."
            )
        made = StudyDocuments(names, languages)
        exporting = DocumentExport(store.engine, made)
        if str(out) == "-":
            for entry in exporting.lines(exporting.begin(index, begin)):
                for line in entry.lines:
                    sys.stdout.write(f"{line}\n")
            return
        progress = found_in(out)
        if progress is None:
            out.mkdir(parents=True, exist_ok=True)
            progress = exporting.begin(index, begin)
        elif (progress.index, progress.since) != (index, begin):
            misuse(
                f"--out: the export in {out} was begun with another --index or --since; expected"
                " the same ones. Name another folder."
            )
        elif progress.done:
            _report(progress)
            return
        else:
            click.echo(f"Going on behind {progress.files} file(s).", err=True)
        _report(exporting.into(out, progress, file_size * _MIB, _report))


def _report(progress: Progress) -> None:
    said = f"{progress.documents} document(s)"
    if progress.deleted:
        said += f" and {progress.deleted} deletion(s)"
    about = "" if progress.done or progress.since is not None else f" of about {progress.of}"
    click.echo(f"{said}{about} in {progress.files} file(s){'.' if progress.done else ''}", err=True)


def _terminology(release: Path | None, mappings: Path | None) -> Terminology:
    from terminology.live import LiveTerminology

    return LiveTerminology.open(release, mappings).latest
