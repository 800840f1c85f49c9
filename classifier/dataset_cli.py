"""The command `dataset`: what data sets say, before anything is trained on them.

Results go to stdout, messages to stderr. Exit status: 0 done, 1 an image did not decode, 2 misuse.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from classifier.data.arguments import NamedSet, named_sets, reader_option
from terminology.console import (
    FINDINGS,
    echo_json,
    mappings_option,
    misuse,
    release_option,
    settings_option,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.table import Table

    from classifier.data.report import DataReport, LabelCount
    from classifier.data.sample import Collection, Sample
    from terminology.library import Terminology

# Of a file or a pipe, which have no width.
_WIDTH: Final = 140


@click.command(no_args_is_help=True)
@click.argument("sets", metavar="KIND:PATH...", nargs=-1, required=True)
@reader_option
@click.option(
    "--min-images",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="A part or a view needs so many images; a rarer one counts for what is above it.",
)
@click.option("--by-source", is_flag=True, help="Every label of every source, not their sums.")
@click.option("--duplicates", is_flag=True, help="Decode all images and look for near-duplicates.")
@click.option(
    "--distance",
    type=click.IntRange(0, 64),
    help="Bits of 64 in which near-duplicates may differ.  [default: 6]",
)
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a row for every label and source to this file as well.",
)
@click.option("--json", "as_json", is_flag=True, help="The whole report as one JSON object.")
@release_option
@mappings_option
@settings_option
def dataset(
    sets: tuple[str, ...],
    options: tuple[str, ...],
    min_images: int,
    by_source: bool,
    duplicates: bool,
    distance: int | None,
    csv_file: Path | None,
    as_json: bool,
    release: Path | None,
    mappings: Path | None,
    settings: Path | None,
) -> None:
    """Show what data sets say: per label, images with it, without it, and unknown.

    \b
    KIND is roco, imageclef, unifesp, manifest, dicom or folder:
      bodysite dataset manifest:images folder:/data/limbs
      bodysite dataset manifest:images --option 'manifest.where.modality=["CR*", "DX*"]'
      bodysite dataset dicom:/archive --option dicom.slices=3 --duplicates
    """  # noqa: D301
    from classifier.data.read import check_named_once
    from classifier.data.report import report
    from terminology.library import load_terminology

    if distance is not None and not duplicates:
        misuse("--distance is about near-duplicates: add --duplicates.")
    terminology = load_terminology(release, mappings, settings)
    collections = _read(named_sets(sets, options), terminology)
    check_named_once(collections)
    samples = [sample for one in collections for sample in one.samples]
    near, failed = _near(samples, distance) if duplicates else (None, 0)
    found = report(collections, terminology.graph, min_images=min_images, near=near)
    if csv_file is not None:
        try:
            found.write_csv(csv_file)
        except OSError as error:
            misuse(f"--csv {csv_file}: {error.strerror}.")
    if as_json:
        echo_json(found.to_json())
    else:
        _print(found, by_source=by_source)
    if failed:
        click.echo(f"{failed} images do not decode; they are compared with none.", err=True)
        raise click.exceptions.Exit(FINDINGS)


def _read(sets: Sequence[NamedSet], terminology: Terminology) -> list[Collection]:
    from classifier.data.read import read_collection

    collections = []
    for one in sets:
        if one.kind == "dicom" and "progress" not in one.options:
            with _bar(f"reading {one.path}") as progress:
                collections.append(
                    read_collection(
                        one.kind, one.path, terminology, progress=progress, **one.options
                    )
                )
        else:
            collections.append(read_collection(one.kind, one.path, terminology, **one.options))
    return collections


def _near(samples: Sequence[Sample], distance: int | None) -> tuple[NDArray[np.intp], int]:
    """Return the near-duplicate group of each sample, and how many do not decode."""
    import numpy as np

    from classifier.data.duplicates import DISTANCE, group_near_duplicates, image_hash
    from classifier.errors import ImageError
    from classifier.pixels.read import read_image

    hashes = np.zeros((len(samples), 2), dtype=np.uint64)
    decoded = np.zeros(len(samples), dtype=np.bool_)
    with _bar("decoding images") as progress:
        for row, sample in enumerate(samples):
            progress(row, len(samples))
            with contextlib.suppress(ImageError):
                hashes[row] = image_hash(read_image(sample.path, sample.frame))
                decoded[row] = True
    near = np.arange(len(samples), dtype=np.intp)
    rows = np.flatnonzero(decoded)
    leaders = group_near_duplicates(
        hashes[rows], distance=DISTANCE if distance is None else distance
    )
    near[rows] = rows[leaders]
    return near, int((~decoded).sum())


@contextlib.contextmanager
def _bar(step: str) -> Iterator[Callable[[int, int], None]]:
    """Yield what is told how much of how many is done; a bar on stderr, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(step, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _print(found: DataReport, *, by_source: bool) -> None:
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    sources = _table("set", "source", "images >", "patients >", "coarse only >", "licences")
    for source in found.sources:
        counts = (source.images, source.patients, source.coarse)
        licences = "; ".join(source.licences[:1])
        if len(source.licences) > 1:
            licences += f" and {len(source.licences) - 1} more"
        _row(sources, source.collection, source.source, *counts, licences)
    console.print(sources)
    labels = found.labels if by_source else _summed(found.labels)
    for head in dict.fromkeys(one.head for one in labels):
        table = _table(str(head), "", "source", "positives >", "negatives >", "unknown >")
        for label in (one for one in labels if one.head is head):
            display = "" if label.display == label.label else label.display
            counts = (label.positives, label.negatives, label.unknown)
            _row(table, label.label, display, label.source, *counts)
        console.print(table)
    if found.unused:
        table = _table("left out >", "of", "why", "such as")
        for unused in found.unused:
            _row(table, unused.count, unused.collection, unused.reason, unused.example)
        console.print(table)
    if (near := found.duplicates) is not None:
        click.echo(
            f"near-duplicates: {near.images} images in {near.groups} groups; {near.across_patients}"
            f" of them across patients, {near.across_sources} across sources"
        )
        for keys in near.largest:
            click.echo(f"  {len(keys)}: {', '.join(keys)}")


def _summed(labels: Sequence[LabelCount]) -> list[LabelCount]:
    """Return the counts of each label over all sources; `source` says how many have the label."""
    from classifier.data.report import LabelCount

    members: defaultdict[tuple[str, str], list[LabelCount]] = defaultdict(list)
    for one in labels:
        members[one.head, one.label].append(one)
    found = []
    for own in members.values():
        first = own[0]
        having = [one.source for one in own if one.positives]
        found.append(
            LabelCount(
                first.head,
                first.label,
                first.display,
                having[0] if len(having) == 1 else f"{len(having)} sources",
                sum(one.positives for one in own),
                sum(one.negatives for one in own),
                sum(one.unknown for one in own),
            )
        )
    return found


def _table(*headers: str) -> Table:
    """Return an empty table; a header that ends in ``>`` has numbers below it."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        right = header.endswith(">")
        table.add_column(
            header.removesuffix(" >"), justify="right" if right else "left", overflow="fold"
        )
    return table


def _row(table: Table, *cells: str | int) -> None:
    from rich.markup import escape

    table.add_row(*(f"{cell:,}" if isinstance(cell, int) else escape(cell) for cell in cells))
