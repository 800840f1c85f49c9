"""The command `simulate`: radiographs with exact labels, from a CT volume or a phantom.

Results go to stdout, messages to stderr. Exit status: 0 done, 2 misuse.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from classifier.simulate.volume import Volume

_OWN_LICENCE: Final = "CC0 1.0"
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(no_args_is_help=True)
@click.argument("volume", type=_FILE, required=False)
@click.option("--labels", type=_FILE, help="A label map (NIfTI) on the grid of VOLUME.")
@click.option("--names", type=_FILE, help="CSV that names its values: value,structure.")
@click.option("--dry-skull", is_flag=True, help="VOLUME is a scan of a dry skull.")
@click.option("--phantom", metavar="KIND", help="Instead of VOLUME: hand, knee or trunk.")
@click.option(
    "--views",
    multiple=True,
    metavar="NAME",
    help="Views wanted, * for any letters.  [default: all]",
)
@click.option("--list-views", is_flag=True, help="Name the views of this volume, and stop.")
@click.option("--count", type=click.IntRange(1), default=20, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--pixels",
    type=click.IntRange(32, 4096),
    default=320,
    show_default=True,
    help="Length of the longer side.",
)
@click.option("--mirror", is_flag=True, help="Exchange left and right in half of the pictures.")
@click.option("--no-metal", is_flag=True, help="Take implants out.")
@click.option("--structures", is_flag=True, help="Name single organs and vertebrae as visible too.")
@click.option("--source", help="For the column 'source'.  [default: the name of VOLUME]")
@click.option("--licence", help="For the column 'licence': that of VOLUME.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder to write.")
def simulate(
    volume: Path | None,
    labels: Path | None,
    names: Path | None,
    dry_skull: bool,
    phantom: str | None,
    views: tuple[str, ...],
    list_views: bool,
    count: int,
    seed: int,
    pixels: int,
    mirror: bool,
    no_metal: bool,
    structures: bool,
    source: str | None,
    licence: str | None,
    out: Path | None,
) -> None:
    """Write simulated radiographs with exact labels, and a manifest that `train` reads.

    They are ray sums through VOLUME, a CT in Hounsfield units as NIfTI with a label map beside
    it, or through a procedural phantom. Angle, distance, frame, dose, processing, collimation and
    polarity are drawn anew for each picture; the same seed gives the same pictures.
    """
    if (volume is None) == (phantom is None):
        raise click.UsageError("Give either VOLUME or --phantom KIND.")
    if volume is not None and not dry_skull and not (labels and names):
        raise click.UsageError("A CT volume needs --labels and --names.")
    if out is None and not list_views:
        raise click.UsageError("Give --out FOLDER.")
    from rich.console import Console
    from rich.progress import track

    from classifier.data.rows import MANIFEST
    from classifier.simulate.pictures import pictures, write
    from classifier.simulate.views import recipes_for

    body = _read(volume, labels, names, dry_skull, phantom, metal=not no_metal)
    recipes = recipes_for(body, views)
    if out is None or list_views:
        for recipe in recipes:
            click.echo(recipe.name)
        return
    bodies = [body, body.mirrored()] if mirror else [body]
    made = pictures(bodies, recipes, count, seed, pixels=pixels, structures=structures)
    name = source or (volume.name.split(".")[0] if volume else f"phantom-{phantom}")
    rows = write(
        made,
        out,
        source=name,
        group=f"{name}:1",
        licence=licence or (_OWN_LICENCE if phantom else ""),
    )
    for _ in track(rows, "Pictures", total=count, console=Console(stderr=True)):
        pass
    click.echo(out / MANIFEST)


def _read(
    volume: Path | None,
    labels: Path | None,
    names: Path | None,
    dry_skull: bool,
    phantom: str | None,
    *,
    metal: bool,
) -> Volume:
    from classifier.simulate.phantom import phantom as phantom_of
    from classifier.simulate.volume import read_dry_skull, read_volume

    if volume is None:
        return phantom_of(phantom or "")
    if dry_skull or labels is None or names is None:
        return read_dry_skull(volume)
    return read_volume(volume, labels, names, metal=metal)
