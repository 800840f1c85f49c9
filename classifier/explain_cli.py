"""The command `explain`: where in an image a model sees a label.

Results go to stdout, messages to stderr. Exit status: 0 done, 1 some images could not be read, 2
misuse or nothing usable. Everything heavy is imported inside the command.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from classifier.evaluate_cli import graph_of
from terminology.console import FINDINGS, MISUSE, echo_json, misuse, release_option

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from classifier.data.labels import Head, LabelSpace
    from classifier.evaluation.explainers import Explainer

# The values of `classifier.data.labels.Head`, here so that --help needs no numpy.
HEADS: Final = ("examined", "visible", "view", "modality", "laterality", "router", "irma")
_NONE: Final = "none"


@click.command("explain")
@click.argument(
    "images",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="IMAGE...",
)
@click.option(
    "--model",
    envvar="BODYSITE_MODEL",
    metavar="FILE",
    help="A model: a .bodysite file, or the model.pt of a training; or BODYSITE_MODEL."
    "  [default: the model that is shipped]",
)
@click.option(
    "--head",
    type=click.Choice(HEADS),
    help="What is asked.  [default: examined, or the model's first]",
)
@click.option(
    "--label",
    metavar="CODE|WORDS",
    help="The class that is explained.  [default: the most probable]",
)
@click.option(
    "--method",
    type=click.Choice(["cam", "gradcam"]),
    default="cam",
    show_default=True,
    help="How the map is made; gradcam needs a model.pt.",
)
@click.option(
    "--frame",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="The frame of a multi-frame image, from 0.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="PNG|DIR",
    help="The picture, or a folder for the pictures.  [default: IMAGE's name with .explained.png,"
    " here]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object an image.")
@release_option
def explain(
    images: tuple[Path, ...],
    model: str | None,
    head: str | None,
    label: str | None,
    method: str,
    frame: int,
    out: Path | None,
    as_json: bool,
    release: Path | None,
) -> None:
    """Draw where in each IMAGE a model sees a label: plasma colours over the picture."""
    targets = _targets(images, out)
    from classifier.errors import ImageError
    from classifier.evaluation.explainers import open_explainer
    from classifier.names import class_names
    from classifier.pixels.read import read_image

    graph = None if release is None else graph_of(release)
    explainer = open_explainer(_model(model), graph)
    space = explainer.predictor.space
    asked = _asked_head(space, head)
    names = class_names(space, asked, graph)
    column = None if label is None else _column(space, asked, names, label)
    failed = 0
    for image, target in zip(images, targets, strict=True):
        try:
            grey = read_image(image, frame=frame)
        except ImageError as error:
            click.echo(f"Not read: {error}", err=True)
            failed += 1
            continue
        found = _explained(explainer, grey, asked, column, names, method, target)
        if as_json:
            echo_json({"image": str(image), "frame": frame, **found})
        else:
            cells = [str(target), str(asked), _named(found["code"], found["display"])]
            cells.append(f"{found['probability']:.3f}")
            if found["reasons"]:
                cells.append(f"no answer: {', '.join(found['reasons'])}")
            click.echo("\t".join(cells))
    if failed:
        raise click.exceptions.Exit(MISUSE if failed == len(images) else FINDINGS)


def _explained(
    explainer: Explainer,
    grey: NDArray[np.uint8],
    head: Head,
    column: int | None,
    names: tuple[str, ...],
    method: str,
    target: Path,
) -> dict[str, Any]:
    """Draw the explanation of one image; return what it is of."""
    from classifier.evaluation.overlays import explanation, overlay, place, png
    from terminology.files import written_whole

    predictor = explainer.predictor
    reading = predictor.read(grey)
    row = reading.probabilities[head]
    if column is None:
        column = int(row.argmax())
    seen = explainer.saliency(grey, head, column, method)
    code = predictor.space.columns(head)[column]
    named = _named(code, names[column])
    caption = f"{head}: {named}  p = {row[column]:.3f}  ({method}, {predictor.name})"
    if reading.reasons:
        caption += f"\nno answer for this image: {', '.join(reading.reasons)}"
    if not seen.max():
        caption += "\nnothing in the picture speaks for it"
    placed = place(seen, (grey.shape[0], grey.shape[1]), predictor.preprocessing)
    drawn = explanation(grey, overlay(grey, placed), caption)
    try:
        with written_whole(target, binary=True) as stream:
            stream.write(png(drawn))
    except OSError as error:
        misuse(f"--out: {target} cannot be written ({error.strerror}). Name a file in a folder.")
    return {
        "head": str(head),
        "code": code,
        "display": names[column],
        "probability": float(row[column]),
        "reasons": list(reading.reasons),
        "method": method,
        "model": f"{predictor.name} {predictor.version}".strip(),
        "out": str(target),
    }


def _model(given: str | None) -> Path | None:
    if given is None:
        return None
    if given == _NONE:
        misuse("--model: 'none' explains nothing; expected a model. Name one, or leave it out.")
    path = Path(given)
    if not path.is_file():
        misuse(f"--model: there is no file '{given}'; expected a .bodysite file or a model.pt.")
    return path


def _targets(images: tuple[Path, ...], out: Path | None) -> list[Path]:
    """Return where each picture goes; end the command where two would be one file."""
    if out is not None and not out.is_dir():
        if len(images) > 1:
            misuse(f"--out: {out} is no folder, and there are {len(images)} images. Make one.")
        return [out]
    targets = [(out or Path()) / f"{image.stem}.explained.png" for image in images]
    same = next((one for one in targets if targets.count(one) > 1), None)
    if same is not None:
        misuse(f"IMAGE: two images would be drawn into {same}. Explain them one by one.")
    return targets


def _asked_head(space: LabelSpace, name: str | None) -> Head:
    from classifier.data.labels import Head

    if name is None:
        return Head.EXAMINED if Head.EXAMINED in space.heads else space.heads[0]
    if Head(name) not in space.heads:
        misuse(f"--head: the model has no '{name}'; expected one of {', '.join(space.heads)}.")
    return Head(name)


def _column(space: LabelSpace, head: Head, names: tuple[str, ...], label: str) -> int:
    """Return the column that a code, a display or a part of one display names."""
    codes = space.columns(head)
    if label in codes:
        return codes.index(label)
    wanted = label.casefold()
    same = [at for at, name in enumerate(names) if name.casefold() == wanted]
    part = same or [at for at, name in enumerate(names) if wanted in name.casefold()]
    if len(part) != 1:
        pairs = sorted(zip(codes, names, strict=True), key=lambda pair: pair[1])
        shown = "; ".join(_named(code, name) for code, name in pairs)
        what = f"means {len(part)} classes" if part else "is no class"
        misuse(f"--label: '{label}' {what} of the head {head}; expected one of: {shown}")
    return part[0]


def _named(code: str, name: str) -> str:
    return name if name == code else f"{code} |{name}|"
