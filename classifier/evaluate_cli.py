"""The commands `evaluate` and `predict`: what a trained model is worth, and says.

Results go to stdout, progress and messages to stderr. Exit status: 0 done, 1 some images could
not be read, 2 misuse or nothing usable. Everything heavy is imported inside the commands.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from classifier.data.arguments import named_sets, reader_option
from terminology.console import FINDINGS, MISUSE, echo_json, mappings_option, misuse, release_option

if TYPE_CHECKING:
    from classifier.data.arguments import NamedSet
    from classifier.data.labels import Scores
    from classifier.data.sample import Collection
    from classifier.predict import Reading
    from classifier.training.logs import Reporter
    from terminology.graph import BodyStructureGraph
    from terminology.library import Terminology

_model_option = click.option(
    "--model",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="A model that 'bodysite train' made (model.pt).",
)


@click.command("evaluate")
@click.argument("target", type=click.Path(exists=True, path_type=Path), metavar="RUN|SCORES|MODEL")
@click.option(
    "--data",
    "sets",
    multiple=True,
    metavar="KIND:PATH",
    help="Images with labels to ask MODEL about, such as manifest:images/manifest.csv."
    " May be repeated.",
)
@reader_option
@click.option(
    "--part",
    type=click.Choice(["test", "validation"]),
    default="test",
    show_default=True,
    help="Which images of a RUN.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Folder of the report.  [default: RUN/report, or NAME-report beside the file]",
)
@click.option(
    "--baselines",
    is_flag=True,
    help="Fit a linear model and nearest neighbours on the RUN's own images, and show them too.",
)
@click.option(
    "--fusion",
    is_flag=True,
    help="Join the answers with simulated headers too, of which 15.3 % are wrong.",
)
@click.option(
    "--draws",
    type=click.IntRange(min=0),
    default=10_000,
    show_default=True,
    metavar="N",
    help="Bootstrap draws of the 95 % intervals.",
)
@click.option(
    "--worst",
    type=click.IntRange(min=0),
    default=24,
    show_default=True,
    metavar="N",
    help="How many wrong images each head shows at most.",
)
@click.option("--json", "as_json", is_flag=True, help="All figures as one JSON object.")
@click.option("--force", is_flag=True, help="Replace a report that is there.")
@release_option
@mappings_option
def evaluate(
    target: Path,
    sets: tuple[str, ...],
    options: tuple[str, ...],
    part: str,
    out: Path | None,
    baselines: bool,
    fusion: bool,
    draws: int,
    worst: int,
    as_json: bool,
    force: bool,
    release: Path | None,
    mappings: Path | None,
) -> None:
    """Report what a model is worth: figures with floors and intervals, plots, the worst images.

    RUN is the folder of a training; SCORES a file of scores (.npz); MODEL a model (.pt), which
    --data asks about images. The report is a folder whose index.html shows it all.
    """
    run = target.is_dir()
    model = target.suffix == ".pt"
    if model and not sets:
        misuse("MODEL goes with --data KIND:PATH, the images to ask it about.")
    if sets and not model:
        misuse("--data goes with a MODEL (.pt); a run and a file of scores have their images.")
    if baselines and not run:
        misuse("--baselines goes with a RUN: they are fitted on its training images.")
    if part != "test" and not run:
        misuse("--part goes with a RUN.")
    folder = out or (target / "report" if run else target.with_name(f"{target.stem}-report"))
    from classifier.evaluation import subjects
    from classifier.evaluation.metrics import evaluate as measure
    from classifier.evaluation.report import check_free, write_report
    from terminology.library import load_terminology

    if run and not subjects.is_run(target):
        misuse(f"{target} is no run; expected a folder that 'bodysite train' made.")
    check_free(folder, replace=force)
    terminology = load_terminology(release, mappings, None)
    refused = 0
    others: dict[str, Scores] = {}
    frames: dict[str, int] = {}
    if run:
        subject = subjects.of_run(target, part)
        if baselines:
            others, frames = subjects.run_baselines(
                target, subject.scores, part, terminology, _reporter()
            )
    elif model:
        collections = [_collection(one, terminology) for one in named_sets(sets, options)]
        with progress("images", sum(len(one.samples) for one in collections)) as advance:
            subject, found = subjects.of_model(target, collections, terminology, advance=advance)
        for sample, error in found.refused:
            click.echo(f"Not read: {sample.key}: {error}", err=True)
        for sentence in subject.narrowed:
            click.echo(sentence, err=True)
        refused = len(found.refused)
    else:
        subject = subjects.of_scores(target)
    click.echo(f"{len(subject.scores.keys):,} images, {draws:,} draws ...", err=True)
    metrics = measure(subject.scores, terminology.graph, draws=draws)
    if fusion:
        from classifier.evaluation.fusion_section import fusion_figures

        metrics["fusion"] = fusion_figures(subject.scores, terminology.graph, draws=draws)
    page = write_report(
        folder,
        subject.scores,
        metrics,
        model_of=subject.model_of,
        others=others,
        graph=terminology.graph,
        logs=subject.logs,
        config=subject.config,
        title=f"Evaluation: {subject.name}",
        about=[text for text in subject.about if text],
        frames={**subject.frames, **frames},
        worst=worst,
        replace=force,
    )
    if as_json:
        echo_json({"report": str(page), **metrics})
    else:
        from classifier.evaluation.sections import headline_lines

        click.echo(str(page))
        for text in headline_lines(metrics):
            click.echo(text)
        if fusion:
            from classifier.evaluation.fusion_section import fusion_lines

            for text in fusion_lines(metrics["fusion"]):
                click.echo(text)
    if refused:
        raise click.exceptions.Exit(FINDINGS)


def _collection(one: NamedSet, terminology: Terminology) -> Collection:
    from classifier.data.read import read_collection

    found = read_collection(one.kind, one.path, terminology, **one.options)
    for left in found.left_out:
        click.echo(f"Left out {left.count}: {left.reason}, such as {left.example}", err=True)
    return found


def _reporter() -> Reporter:
    from rich.console import Console

    from classifier.training.logs import Reporter

    return Reporter(Console(stderr=True))


@click.command("predict")
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="PATH...",
)
@_model_option
@click.option(
    "--by",
    type=click.Choice(["image", "series", "study"]),
    default="image",
    show_default=True,
    help="What an answer is about. A plain picture is a series and a study of its own.",
)
@click.option(
    "--frames",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    metavar="N",
    help="Frames of a multi-frame image that are looked at, evenly spread.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--csv", "as_csv", is_flag=True, help="A CSV table.")
@release_option
def predict(
    paths: tuple[Path, ...],
    model: Path,
    by: str,
    frames: int,
    as_json: bool,
    as_csv: bool,
    release: Path | None,
) -> None:
    """Ask a trained model about images: which part was examined, what is in view.

    PATH is an image (DICOM, PNG, JPEG, TIFF) or a folder of them. Frames are voted to the image,
    images to the series, series to the study. An image that cannot be read is named on stderr and
    the rest goes on; the exit status is then 1.
    """
    if as_json and as_csv:
        misuse("--json and --csv are two forms of one answer. Choose one.")
    from classifier import answers

    files = [file for path in paths for file in answers.image_files(path)]
    if not files:
        misuse("PATH: there is no image in there; expected DICOM, PNG, JPEG or TIFF files.")
    from classifier.errors import PredictionError
    from classifier.models.checkpoint import load_model
    from classifier.predict import CheckpointPredictor
    from classifier.voting import Whole

    graph = graph_of(release)
    predictor = CheckpointPredictor(load_model(model), graph, frames=frames)
    if as_csv:
        table = csv.writer(sys.stdout, lineterminator="\n")
        table.writerow(answers.COLUMNS)

    def show(answer: dict[str, Any]) -> None:
        if as_json:
            echo_json(answer)
        elif as_csv:
            table.writerow(answers.table_row(answer))
        else:
            click.echo(answers.line(answer, graph))

    refused = 0
    read: list[tuple[Path, Reading]] = []
    with progress("images", len(files)) as advance:
        for file, found in zip(files, predictor.read_many(files), strict=True):
            advance(1)
            if isinstance(found, PredictionError):
                refused += 1
                click.echo(f"Not read: {found}", err=True)
                show(answers.refusal_object(file, found))
            elif by == "image":
                vote = found.probabilities
                show(answers.answer_object(predictor, str(file), [file], vote, graph, found))
            else:
                read.append((file, found))
    if by != "image":
        for name, members, vote in answers.voted(predictor.space, read, Whole(by)):
            show(answers.answer_object(predictor, name, members, vote, graph))
    if refused:
        raise click.exceptions.Exit(MISUSE if refused == len(files) else FINDINGS)


def graph_of(release: Path | None) -> BodyStructureGraph:
    """Return the body structures of the index in `release`, by default the embedded ones."""
    from terminology.graph import BodyStructureGraph
    from terminology.release.index import ReleaseIndex
    from terminology.structures import BodyStructures

    if release is None:
        return BodyStructureGraph.load()
    return BodyStructureGraph(ReleaseIndex.open(release), BodyStructures.load())


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield what advances a bar on stderr; on no terminal nothing is shown."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda number: bar.advance(task, number)
