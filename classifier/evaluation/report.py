"""`write_report`: a folder with everything that an evaluation found, and one page that shows it.

::

    index.html        the page; it needs no other file
    metrics.json      every figure, as `classifier.evaluation.metrics.evaluate` has it, and
                      `abstention`, as `classifier.evaluation.abstention.abstention` has it
    scores.csv, per-class.csv, per-label.csv, per-source.csv, confusion-HEAD.csv
    predictions.csv   the answers for each image
    comparison.csv    the scores of simpler models beside
    plots/*.png, worst/*.jpg
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from classifier.data.labels import Head, Scores
from classifier.errors import ReportError
from classifier.evaluation import page
from classifier.evaluation.abstention import abstention
from classifier.evaluation.fusion_section import fusion_section
from classifier.evaluation.head_plots import Plot, head_plots, learning_plot
from classifier.evaluation.metrics import evaluate
from classifier.evaluation.mistakes import Mistake, mistake_picture, worst_mistakes
from classifier.evaluation.page import Section
from classifier.evaluation.sections import (
    HEAD_TITLES,
    abstention_tables,
    class_table,
    comparison_table,
    head_sentence,
    headline_table,
    score_table,
    source_table,
)
from classifier.evaluation.tables import write_comparison, write_tables

if TYPE_CHECKING:
    from classifier.models.checkpoint import TrainedModel
    from terminology.graph import BodyStructureGraph

PAGE: Final = "index.html"
METRICS: Final = "metrics.json"
_FOOT: Final = (
    "Research use. The figures are of these images only: other hospitals, devices and patients"
    " give others."
)


def write_report(
    folder: Path,
    scores: Scores,
    metrics: Mapping[str, Any],
    model: TrainedModel | None = None,
    *,
    model_of: Callable[[str], TrainedModel | None] | None = None,
    others: Mapping[str, Scores] | None = None,
    graph: BodyStructureGraph | None = None,
    logs: Mapping[str, Path] | None = None,
    config: str | None = None,
    title: str = "Evaluation",
    about: Sequence[str] = (),
    frames: Mapping[str, int] | None = None,
    worst: int = 24,
    replace: bool = False,
) -> Path:
    """Write the report into `folder`, whole or not at all, and return its page.

    Parameters
    ----------
    scores, metrics
        What a model said, and what `evaluate` found of it.
    model, model_of
        What the worst images are drawn with: one model, or one for each key of a sample, as after
        a training over folds; none leaves the images without overlays.
    others
        Scores of simpler models on the same images, by name.
    logs
        ``log.csv`` of each training, by name; the name may be empty.
    config
        The configuration of the training, as text.
    about
        Paragraphs: what was evaluated, on which data.
    frames
        The frame of each sample by its key. Of a file with several frames whose sample is not
        there, no picture is shown.
    worst
        How many wrong images each head shows at most.
    replace
        Whether a report that stands in `folder` is replaced.

    Raises
    ------
    ReportError
        `folder` is there and is not to be replaced, or is no report, or cannot be written.
    """
    check_free(folder, replace=replace)
    settings = metrics["settings"]
    compared = {"model": metrics}
    for name, one in (others or {}).items():
        compared[name] = evaluate(
            one,
            graph,
            draws=settings["draws"],
            seed=settings["seed"],
            threshold=settings["threshold"],
        )
    abstained = abstention(scores, graph, draws=settings["draws"], seed=settings["seed"])
    chosen = model_of or (lambda _: model)
    with _whole(folder, replace=replace) as building:
        told = {**metrics, "abstention": abstained}
        text = json.dumps(told, ensure_ascii=False, indent=1, allow_nan=False)
        (building / METRICS).write_text(text + "\n", encoding="utf-8")
        write_tables(building, scores, metrics)
        (building / "plots").mkdir()
        (building / "worst").mkdir()
        sections = [Section("Scores", headline_table(metrics))]
        if len(compared) > 1:
            write_comparison(building, compared)
            sections.append(Section("Beside simpler models", comparison_table(compared)))
        if abstained is not None:
            sections.append(Section("Where it abstains", abstention_tables(abstained)))
        for head in scores.space.heads:
            figures = metrics["heads"][str(head)]
            beside = {
                name: one["heads"][str(head)]
                for name, one in compared.items()
                if name != "model" and str(head) in one["heads"]
            }
            drawn = [_kept(building, plot) for plot in head_plots(scores, head, figures, beside)]
            wrong = worst_mistakes(
                scores, head, figures["names"], worst, threshold=settings["threshold"]
            )
            gallery = _gallery(building, scores, figures["names"], wrong, chosen, frames or {})
            sections.append(_head_section(head, figures, drawn, gallery))
        if "fusion" in metrics:
            sections.append(fusion_section(metrics["fusion"]))
        sections.append(Section("Sources", source_table(metrics)))
        learning = [_kept(building, plot) for plot in learning_plot(logs or {})]
        if learning:
            sections.append(Section("Training", "".join(learning)))
        sections.append(Section("How it was made", _made(metrics, config)))
        html = page.document(title, _lead(metrics, about), sections, _FOOT)
        (building / PAGE).write_text(html, encoding="utf-8")
    return folder / PAGE


def check_free(folder: Path, *, replace: bool) -> None:
    """Raise `ReportError` unless a report can take the place of `folder`."""
    if not folder.exists():
        return
    ours = folder.is_dir() and all((folder / name).is_file() for name in (PAGE, METRICS))
    empty = folder.is_dir() and not any(folder.iterdir())
    if empty or (ours and replace):
        return
    raise ReportError(
        str(folder),
        "a report stands there already" if ours else "it is there, and it is no report",
        "a new folder",
        "Replace it with --force, or name another folder." if ours else "Name another folder.",
    )


def _head_section(
    head: Head, figures: Mapping[str, Any], drawn: Sequence[str], gallery: str
) -> Section:
    title = HEAD_TITLES[str(head)]
    entries = figures["per_class" if figures["kind"] == "one" else "per_label"]
    body = page.paragraph(head_sentence(figures)) + "".join(drawn)
    body += page.folded("All scores", score_table(title, figures["scores"]))
    body += page.folded("Table of the classes", class_table(title, entries))
    return Section(title, body + gallery)


def _gallery(
    building: Path,
    scores: Scores,
    names: Sequence[str],
    wrong: Sequence[Mistake],
    model_of: Callable[[str], TrainedModel | None],
    frames: Mapping[str, int],
) -> str:
    if not wrong:
        return page.heading("Worst images") + page.paragraph("No image is wrong.")
    items: list[tuple[bytes, str, str]] = []
    lost: list[str] = []
    overlaid = False
    for number, one in enumerate(wrong, 1):
        key = scores.keys[one.row]
        model = model_of(key)
        data = mistake_picture(one, scores.paths[one.row], frames.get(key), model)
        name = names[one.said]
        said = f"{name} {one.probability:.2f}"
        if data is None:
            lost.append(f"{key} ({said}; label: {one.truth})")
            continue
        overlaid = overlaid or model is not None
        (building / "worst" / f"{one.head}-{number:02}.jpg").write_bytes(data)
        caption = (
            f"<strong>{escape(said)}</strong><br>label: {escape(one.truth)}<br>"
            f'<span class="quiet">{escape(key)}</span>'
        )
        beside = ", beside it where the model sees that" if model is not None else ""
        items.append((data, f"Image {key}{beside}. Answer: {said}. Label: {one.truth}.", caption))
    words = "The surest mistakes first, at most two of a patient: the answer and its probability."
    if overlaid:
        words += " Beside the image, the class activation map of that answer: yellow is where the"
        words += " model sees it."
    parts = [page.heading("Worst images"), page.paragraph(words, quiet=True)]
    if items:
        parts.append(page.gallery(items))
    if lost:
        parts.append(
            page.paragraph(
                f"Without a picture, since the file cannot be read: {'; '.join(lost)}", quiet=True
            )
        )
    return "".join(parts)


def _lead(metrics: Mapping[str, Any], about: Sequence[str]) -> str:
    counted = (
        f"{metrics['samples']:,} images of {metrics['groups']:,} patients (or what stands for"
        f" them) from {len(metrics['sources']):,} sources."
    )
    return "".join(page.paragraph(text) for text in (*about, counted))


def _made(metrics: Mapping[str, Any], config: str | None) -> str:
    settings = metrics["settings"]
    words = (
        f"Intervals: percentiles of {settings['draws']:,} bootstrap draws of patients"
        f" ({settings['curve_draws']:,} for areas under curves), seed {settings['seed']}. A visible"
        f" part counts as answered from a probability of {settings['threshold']:g} on. Calibration"
        f" error over {settings['bins']} bins of equal mass. A floor is the best that is had"
        " without looking at an image: it knows how frequent the labels of these very images are."
    )
    rows = [(source, count) for source, count in metrics["sources"].items()]
    parts = [
        page.paragraph(words),
        page.table("Images by source", ["Source", "Images"], rows, numbers=(1,), tall=True),
    ]
    if config:
        parts.append(page.folded("Configuration of the training", page.verbatim(config)))
    return "".join(parts)


def _kept(building: Path, plot: Plot) -> str:
    (building / "plots" / f"{plot.name}.png").write_bytes(plot.png)
    return page.picture(plot.png, plot.alt, plot.caption, wide=plot.wide)


@contextmanager
def _whole(folder: Path, *, replace: bool) -> Iterator[Path]:
    """Yield a new folder that takes the place of `folder` when the block ends without an error."""
    building = folder.with_name(f".{folder.name}.building-{secrets.token_hex(6)}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        building.mkdir()
        yield building
        check_free(folder, replace=replace)
        if folder.exists():
            former = folder.with_name(f".{folder.name}.former-{secrets.token_hex(6)}")
            folder.rename(former)
            building.rename(folder)
            shutil.rmtree(former, ignore_errors=True)
        else:
            building.rename(folder)
    except OSError as error:
        raise ReportError(
            str(folder),
            f"it cannot be written ({error.strerror or error})",
            "a folder of yours with room for it",
            "Name another folder.",
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
