"""The command `bodysite mappings import-umls`: licensed UMLS files → a site's own table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from terminology.console import echo_json, misuse, release_option

if TYPE_CHECKING:
    from terminology.sources.umls_import import Progress

_RRF = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("import-umls")
@click.option(
    "--mrconso", type=_RRF, required=True, metavar="FILE", help="MRCONSO.RRF, or its .gz."
)
@click.option("--mrmap", type=_RRF, metavar="FILE", help="MRMAP.RRF, or its .gz.")
@click.option(
    "--mappings",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="BODYSITE_MAPPINGS",
    required=True,
    metavar="DIR",
    help="The folder of the site's own tables, or BODYSITE_MAPPINGS. umls-cui.sssom.tsv is made"
    " there; rows of it that this command did not make stay.",
)
@release_option
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
def import_umls(
    mrconso: Path, mrmap: Path | None, folder: Path, release: Path | None, as_json: bool
) -> None:
    """Add the CUIs of your licensed UMLS files to your own tables.

    MRCONSO.RRF gives the SNOMED CT codes of each CUI (SAB SNOMEDCT_US), MRMAP.RRF those that other
    vocabularies map to. Pairs whose code is a body structure of the release, or else of the
    embedded subset, are kept; an Entire concept becomes its structure. The table has codes and the
    labels of the release: no name of the UMLS is written. What Bodysite's own tables refuse stays
    refused.
    """
    import datetime

    from terminology import sssom
    from terminology.crosswalk import UMLS
    from terminology.library import load_terminology
    from terminology.sources.dicom import read_snomed_entire
    from terminology.sources.umls_import import TABLE, UmlsImport

    path = folder / TABLE
    terminology = load_terminology(release)
    shipped = terminology.crosswalk.mapping_sets(UMLS)
    existing = sssom.read(path) if path.exists() else None
    entire = {code: row["structure"] for code, row in read_snomed_entire().items()}
    job = UmlsImport(terminology.graph, shipped, entire)
    with _bars() as progress:
        job.read(mrconso, mrmap, progress)
    report = job.table(existing, datetime.datetime.now(tz=datetime.UTC).date().isoformat())
    if not report.table.mappings:
        misuse(
            f"--mrconso: no row of {mrconso.name} has a SNOMED CT body structure that is known"
            " here. Choose SNOMEDCT_US when you make the subset with MetamorphoSys, or give the"
            " index of a release with --release."
        )
    try:
        sssom.write(report.table, path)
    except OSError as error:
        misuse(f"--mappings: {path.name} cannot be written in {folder}: {error.strerror}.")
    if as_json:
        counts = report.counts | {"CUIs": report.subjects, "rows": len(report.table.mappings)}
        echo_json({"table": str(path), "counts": counts})
        return
    for what, count in report.counts.items():
        click.echo(f"{count:9d}  {what}")
    click.echo(f"{path}: {len(report.table.mappings)} rows for {report.subjects} CUIs")


@contextmanager
def _bars() -> Iterator[Callable[[Path], Progress]]:
    """Yield what starts a progress bar on stderr for a file."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bars:

        def start(path: Path) -> Callable[[int], None]:
            # Of a compressed file the size of the content is not known.
            total = None if path.suffix == ".gz" else path.stat().st_size
            task = bars.add_task(path.name, total=total)
            return lambda read: bars.advance(task, read)

        yield start
