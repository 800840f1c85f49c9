"""The commands `export` and `model`: a trained model as one file to be served; what is in one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from terminology.console import echo_json, mappings_option, misuse, release_option

if TYPE_CHECKING:
    from classifier.data.labels import Scores
    from classifier.serving.artefact import Artefact

_SURE: Final = click.FloatRange(0.5, 1, min_open=True)
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("export")
@click.argument("run", type=click.Path(exists=True, path_type=Path), metavar="RUN")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.bodysite",
    help="The file.  [default: NAME-VERSION.bodysite, here]",
)
@click.option("--name", metavar="NAME", help="What the model is called.  [default: as trained]")
@click.option("--version", metavar="VERSION", help="Its version.  [default: as trained]")
@click.option(
    "--calibrate",
    "scores",
    multiple=True,
    type=_FILE,
    metavar="SCORES.npz",
    help="Scores of patients it was not trained on, to calibrate by; may be repeated.",
)
@click.option(
    "--shifted",
    multiple=True,
    type=_FILE,
    metavar="SCORES.npz",
    help="Scores of sources that were left out, to choose how sure an answer must be.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    metavar="SHARE",
    help="The share of the answered parts that may be wrong.",
)
@click.option(
    "--least",
    type=(_SURE, _SURE),
    metavar="LEAF REGION",
    help="How probable an answered part and an answered region must be, in place of what is chosen"
    " by the scores.",
)
@click.option(
    "--metrics",
    multiple=True,
    type=_FILE,
    metavar="FILE.json",
    help="Figures to keep with the model, under the name of their file; may be repeated.",
)
@click.option(
    "--card", type=_FILE, metavar="FILE.md", help="The model card.  [default: a short one]"
)
@click.option(
    "--novelty",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="SHARE",
    help="Refuse images unlike those of the training; this share of its validation images is like"
    " them.  [default: refuse none for that]",
)
@click.option(
    "--reducing-gap",
    type=click.FloatRange(1),
    metavar="GAP",
    help="Shrink images that are larger than GAP times the input by a whole factor first: faster,"
    " and the same for smaller ones.  [default: as trained]",
)
@click.option(
    "--without",
    "left_out",
    multiple=True,
    metavar="SCTID",
    help="An examined part that is not answered, such as one that only simulated images show; its"
    " probability goes to the others. May be repeated.",
)
@click.option(
    "--no-data", is_flag=True, help="Do not read the data sets of the run: no sources, no prior."
)
@click.option(
    "--float32", is_flag=True, help="Keep the weights in single precision: twice the size."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@release_option
@mappings_option
def export(
    run: Path,
    out: Path | None,
    name: str | None,
    version: str | None,
    scores: tuple[Path, ...],
    shifted: tuple[Path, ...],
    alpha: float | None,
    least: tuple[float, float] | None,
    metrics: tuple[Path, ...],
    card: Path | None,
    novelty: float | None,
    reducing_gap: float | None,
    left_out: tuple[str, ...],
    no_data: bool,
    float32: bool,
    as_json: bool,
    release: Path | None,
    mappings: Path | None,
) -> None:
    """Make a model of RUN that is served without torch: one file with all its answers depend on.

    RUN is the folder of a training, or a model (.pt). What the file answers is compared with what
    the network of RUN answers, and the file is not written where they differ.
    """
    if (alpha is not None or shifted) and not scores:
        misuse("--alpha and --shifted go with --calibrate SCORES.npz.")
    if novelty is not None and no_data:
        misuse("--novelty needs the images of the run; leave --no-data out.")
    from classifier.calibration.guards import GuardSettings
    from classifier.data.scores import load_scores
    from classifier.evaluate_cli import progress
    from classifier.models.checkpoint import load_model
    from classifier.models.narrowing import scores_without, without_classes
    from classifier.serving.artefact import write_artefact
    from classifier.serving.assemble import NOVELTY_IMAGES, assembled, guards_of, model_file
    from classifier.serving.export import adapted
    from classifier.serving.provenance import Provenance, provenance_of
    from terminology.library import load_terminology

    path = model_file(run)
    model = adapted(load_model(path), name, version, reducing_gap)

    def held(file: Path) -> Scores:
        scores = load_scores(file)
        return scores_without(scores, left_out) if left_out else scores

    if left_out:
        model = without_classes(model, left_out)
    terminology = load_terminology(release, mappings, None)
    held_out = [held(one) for one in scores]
    split = str(model.metrics.get("split", ""))
    provenance = (
        Provenance() if no_data else provenance_of(path.parent, split, model.space, terminology)
    )
    guards = GuardSettings()
    if novelty is not None:
        parts = (provenance.training, provenance.validation)
        with progress("images", sum(min(NOVELTY_IMAGES, len(one)) for one in parts)) as advance:
            guards = guards_of(model, provenance, novelty, advance=advance)
    seen = held_out + [load_scores(one) for one in sorted(path.parent.glob("scores-*.npz"))]
    made = assembled(
        model,
        terminology.graph,
        scores=held_out,
        shifted=[held(one) for one in shifted],
        alpha=alpha,
        least=least,
        guards=guards,
        provenance=provenance,
        metrics={one.stem: _json(one) for one in metrics},
        card=None if card is None else card.read_text(encoding="utf-8"),
        images=[Path(text) for one in seen for text in one.paths],
        half=not float32,
    )
    target = out or Path(f"{model.name}-{model.version}.bodysite".replace("/", "-"))
    try:
        write_artefact(target, made.artefact)
    except OSError as error:
        misuse(f"--out: {target} cannot be written ({error.strerror}). Name a file in a folder.")
    size = target.stat().st_size
    largest = max(made.agreement.largest.values())
    what = "images" if made.real else "generated pictures"
    if as_json:
        echo_json(
            {
                "out": str(target),
                "bytes": size,
                "sha256": made.artefact.sha256,
                "compared": made.agreement.images,
                "compared_images": made.real,
                "largest_difference": largest,
            }
        )
        return
    click.echo(f"{target}\t{size / 1e6:.1f} MB\tsha256 {made.artefact.sha256}")
    click.echo(f"as the network on {made.agreement.images} {what}: {largest:.1e} at most", err=True)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        misuse(f"--metrics: {path} is no JSON ({error}).")


@click.command("model")
@click.argument("path", required=False, type=click.Path(path_type=Path), metavar="[MODEL]")
@click.option("--card", is_flag=True, help="The model card alone.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def model(path: Path | None, card: bool, as_json: bool) -> None:
    """Show what a model is: MODEL (*.bodysite), or the one that comes with Bodysite."""
    from classifier.serving.artefact import read_artefact, shipped_model

    where = path or shipped_model()
    if where is None:
        misuse("no model comes with this installation. Name one: bodysite model MODEL.bodysite.")
    artefact = read_artefact(where)
    if card:
        click.echo(artefact.card)
    elif as_json:
        echo_json(_described(artefact, where))
    else:
        for line in _lines(artefact, where):
            click.echo(line)


def _described(artefact: Artefact, path: Path) -> dict[str, Any]:
    space = artefact.space
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "name": artefact.name,
        "version": artefact.version,
        "sha256": artefact.sha256,
        "release": space.vocabulary.version,
        "classes": {str(head): list(space.columns(head)) for head in space.heads},
        "preprocessing": artefact.preprocessing.to_json(),
        "calibration": artefact.calibration.to_json(),
        "guards": artefact.guards.to_json(),
        "prior": dict(artefact.prior),
        "metrics": dict(artefact.metrics),
        "sources": [dict(one) for one in artefact.sources],
        "config": dict(artefact.config),
    }


def _lines(artefact: Artefact, path: Path) -> list[str]:
    from classifier.names import class_names

    preprocessing, climbing = artefact.preprocessing, artefact.calibration.climbing
    lines = [
        f"{artefact.name} {artefact.version}".rstrip(),
        f"  file     {path} ({path.stat().st_size / 1e6:.1f} MB)",
        f"  sha256   {artefact.sha256}",
        f"  release  {artefact.space.vocabulary.version}",
        f"  input    {preprocessing.size} pixels, preprocessing {preprocessing.kind}",
        f"  answers  what is {climbing.leaf:g} sure, or the region above",
    ]
    for head in artefact.space.heads:
        names = class_names(artefact.space, head)
        lines.append(f"  {head} ({len(names)}): {', '.join(sorted(names))}")
    lines += [f"  {name} = {value:g}" for name, value in _figures(artefact.metrics)]
    for source in artefact.sources:
        licences = ", ".join(source.get("licences", {})) or "licence not stated"
        lines.append(f"  from {source['name']}: {source.get('images', '?')} images ({licences})")
    return lines


def _figures(metrics: Any, name: str = "") -> list[tuple[str, float]]:
    """Return the numbers of nested JSON values, two levels deep, with their dotted names."""
    found: list[tuple[str, float]] = []
    for key, value in metrics.items():
        dotted = f"{name}.{key}" if name else str(key)
        if isinstance(value, dict) and dotted.count(".") < 2:
            found += _figures(value, dotted)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.append((dotted, float(value)))
    return found
