"""The command `closeups`: close-ups with exact labels, cut around landmarks that a person set.

Results go to stdout, messages to stderr. Exit status: 0 done, 2 misuse.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from classifier.data.arguments import named_sets, reader_option
from terminology.console import mappings_option, misuse, release_option, settings_option

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(no_args_is_help=True)
@click.argument("pictures", metavar="MANIFEST", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--landmarks",
    type=_FILE,
    help="Table of landmarks.  [default: the shipped one, of openly licensed radiographs]",
)
@reader_option
@click.option(
    "--most",
    type=click.IntRange(0),
    default=300,
    show_default=True,
    help="Close-ups of each part, at most.",
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="PART=N",
    help="Another limit for one part, such as finger=500; 0 for none.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--pixels",
    type=click.IntRange(32, 4096),
    default=320,
    show_default=True,
    help="Length of the longer side, at most.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder to write.",
)
@release_option
@mappings_option
@settings_option
def closeups(
    pictures: Path,
    landmarks: Path | None,
    options: tuple[str, ...],
    most: int,
    limits: tuple[str, ...],
    seed: int,
    pixels: int,
    out: Path,
    release: Path | None,
    mappings: Path | None,
    settings: Path | None,
) -> None:
    """Cut close-ups of joints and bones out of the pictures of MANIFEST, and label them.

    \b
    A manifest, which `train` reads, is written beside them; a close-up is of the patient of its
    picture.
      bodysite closeups images --out images/closeups
      bodysite closeups images --landmarks mine.tsv --limit finger=500 --out closeups
    """  # noqa: D301
    from rich.console import Console
    from rich.progress import track

    from classifier.closeups.frames import RECIPES
    from classifier.closeups.landmarks import SHIPPED, read
    from classifier.closeups.pictures import planned, write
    from classifier.data.read import read_collection
    from classifier.data.rows import MANIFEST
    from terminology.library import load_terminology

    own_limits = _limits(limits, {recipe.name for recipe in RECIPES})
    table = read(landmarks or SHIPPED)
    named = named_sets((f"manifest:{pictures}",), options)[0]
    folder = named.path if named.path.is_dir() else named.path.parent
    if out.resolve() == folder.resolve():
        misuse(f"--out {out}: there is the manifest that is read; another folder is needed.")
    terminology = load_terminology(release, mappings, settings)
    samples = read_collection(named.kind, named.path, terminology, **named.options).samples
    marks = {one.key: table.get(_written(one.path, folder), ()) for one in samples}
    if not any(marks.values()):
        misuse(
            f"No picture of {pictures} has landmarks in {landmarks or SHIPPED}: the column 'path'"
            " has to name pictures as the manifest does."
        )
    cuts = planned(samples, marks, most, seed, limits=own_limits)
    if not cuts:
        misuse("The landmarks frame no part, or --most and --limit leave none.")
    rows = write(cuts, out, seed, pixels=pixels)
    made = sum(
        row is not None
        for row in track(rows, "Close-ups", total=len(cuts), console=Console(stderr=True))
    )
    click.echo(f"{made} close-ups, {len(cuts) - made} did not fit on their pictures", err=True)
    click.echo(out / MANIFEST)


def _written(path: Path, folder: Path) -> str:
    """Return `path` as the manifest in `folder` has it; it may be an absolute one."""
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def _limits(given: tuple[str, ...], parts: set[str]) -> dict[str, int]:
    found = {}
    for one in given:
        part, equals, number = one.partition("=")
        if not equals or not number.isdecimal() or part not in parts:
            misuse(f"--limit {one}: PART=N, PART one of {', '.join(sorted(parts))}.")
        found[part] = int(number)
    return found
