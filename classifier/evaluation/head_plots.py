"""The plots of one head, from its figures and scores: names of files, pictures, words for them."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve

from classifier.data.labels import Head, Scores
from classifier.evaluation import plots
from classifier.evaluation.calibration import Bin
from classifier.evaluation.classification import truth_of
from classifier.evaluation.plots import Curve, Measure
from classifier.evaluation.sections import HEAD_TITLES
from classifier.evaluation.tables import confusion_names
from terminology.vocabulary import LabelVocabulary

_Floats = NDArray[np.float64]
_NAMED_CURVES: Final = 5
_POINTS: Final = 300
_WIDE_FROM: Final = 60  # classes of a matrix that is scrolled
_MEASURES: Final = {"precision": "precision", "recall": "recall", "f1": "F1"}


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture of a report: `name` of its file, PNG, what it shows, and how it is to be read."""

    name: str
    png: bytes
    alt: str
    caption: str
    wide: bool = False


def head_plots(
    scores: Scores, head: Head, figures: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]
) -> Iterator[Plot]:
    """Yield the plots of `head`; none where nothing is known of it.

    Parameters
    ----------
    figures
        Of `head`, as `evaluate` has them.
    others
        The same of other models, by name: their curves are drawn beside.
    """
    title = HEAD_TITLES[str(head)]
    if not figures["n"] or (figures["kind"] == "one" and not figures["n_plain"]):
        return
    yield _per_class(head, title, figures)
    yield _confusion(scores, head, title, figures)
    yield _reliability(scores, head, title, figures)
    yield _precision_recall(scores, head, title, figures)
    if figures["kind"] == "one":
        yield _coverage(head, title, figures, others)


def learning_plot(logs: Mapping[str, Path]) -> Iterator[Plot]:
    """Yield the learning curves of each ``log.csv``, by name; one without an epoch is left out."""
    for name, path in logs.items():
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        if not rows:
            continue
        columns = {key: np.array([_number(row.get(key)) for row in rows]) for key in rows[0]}
        epochs = columns.get("epoch", np.arange(1, len(rows) + 1, dtype=np.float64))
        parts = {
            key.removeprefix("validation_"): values
            for key, values in columns.items()
            if key.startswith("validation_") and key != "validation_loss"
        }
        panels = {
            "loss": {
                words: columns[key]
                for key, words in (("train_loss", "training"), ("validation_loss", "validation"))
                if key in columns
            },
            "validation loss": parts if len(parts) > 1 else {},
            "learning rate": {"learning rate": columns["learning_rate"]}
            if "learning_rate" in columns
            else {},
        }
        shown = {
            panel: {line: values for line, values in lines.items() if np.isfinite(values).any()}
            for panel, lines in panels.items()
        }
        figure = plots.learning_curves(epochs, {key: one for key, one in shown.items() if one})
        words = f" of {name}" if name else ""
        best = columns.get("validation_loss")
        least = ""
        if best is not None and np.isfinite(best).any():
            at = int(np.nanargmin(best))
            least = f" The least validation loss is {best[at]:.3f}, after epoch {epochs[at]:.0f}."
        yield Plot(
            f"learning-curves{'-' if name else ''}{name}",
            plots.png(figure),
            f"Loss{words} over {len(rows)} epochs.{least}",
            f"Learning curves{words}.{least}",
        )


def _per_class(head: Head, title: str, figures: Mapping[str, Any]) -> Plot:
    entries = figures["per_class" if figures["kind"] == "one" else "per_label"]
    count = "n" if figures["kind"] == "one" else "positives"
    entries = [one for one in entries if one[count] or one["answered"]]
    # The weakest first; of equals, the more frequent.
    entries.sort(key=lambda one: (_value(one["f1"]), -one[count]))
    measures = [
        Measure(
            words,
            *(np.array([_number(one[key][end]) for one in entries]) for end in _ENDS),
        )
        for key, words in _MEASURES.items()
    ]
    names, support = [one["name"] for one in entries], [one[count] for one in entries]
    figure = plots.per_class(names, support, measures, title=f"{title}: each class, weakest first")
    weakest = ", ".join(
        f"{one['name']} {one['f1']['value']:.2f}"
        for one in entries[:3]
        if one["f1"]["value"] is not None
    )
    return Plot(
        f"{head}-classes",
        plots.png(figure),
        f"Precision, recall and F1 of {len(entries)} classes with 95 % intervals. Lowest F1:"
        f" {weakest or 'none defined'}. The table below has the numbers.",
        "Classes with the lowest F1 come first; in parentheses how many images have them. Lines"
        " are 95 % intervals. A class without a mark is never answered, or has no image.",
    )


_ENDS: Final = ("value", "low", "high")


def _confusion(scores: Scores, head: Head, title: str, figures: Mapping[str, Any]) -> Plot:
    counts = np.array(figures["confusion"], dtype=np.float64)
    rows, columns = confusion_names(figures)
    classes = len(figures["classes"])
    order = _order(scores.space.vocabulary, figures["classes"])
    shown = [at for at in order if counts[at].sum() or counts[:, at].sum()]
    # What stands last beside the labels of the visible parts: none.
    shown += [classes] if len(rows) > classes else []
    counts = counts[np.ix_(shown, shown)]
    plain = figures["kind"] == "one"
    figure = plots.confusion_matrix(
        counts,
        [rows[at] for at in shown],
        [columns[at] for at in shown],
        title=f"{title}: {'confusion' if plain else 'multi-label confusion'}",
    )
    wrong = counts - np.diag(np.diag(counts))
    pairs = [
        f"{rows[shown[at // len(shown)]]} as {columns[shown[at % len(shown)]]}"
        for at in np.argsort(-wrong, axis=None, kind="stable")[:3]
        if wrong.flat[at] > 0
    ]
    omitted = classes - sum(at < classes for at in shown)
    caption = "Each row adds up to 100 %; behind its name, how many. Related parts stand together."
    if not plain:
        caption = (
            "What is taken for what (Heydarian, Doyle and Samavi 2022): of an image with several"
            " labels, each missed one is set against each wrong one, so a row does not count"
            " images. The last column is “missed, nothing wrong in its place”."
        )
    if omitted:
        caption += f" Left out: {omitted} classes that occur neither as label nor as answer."
    return Plot(
        f"{head}-confusion",
        plots.png(figure),
        f"Confusion matrix of {len(shown)} rows. Most frequent confusions:"
        f" {'; '.join(pairs) or 'none'}.",
        caption,
        wide=len(shown) > _WIDE_FROM,
    )


def _reliability(scores: Scores, head: Head, title: str, figures: Mapping[str, Any]) -> Plot:
    if head is Head.VISIBLE:
        confidence = scores.probabilities[head][scores.targets.known]
    else:
        plain = truth_of(scores.targets.allowed[head]) >= 0
        confidence = scores.probabilities[head][plain].max(axis=1)
    bins = [Bin(**one) for one in figures["reliability"]]
    error = figures["scores"]["ece"]["value"]
    figure = plots.reliability(
        bins, confidence.astype(np.float64), title=f"{title}: reliability, ECE {error:.3f}"
    )
    over = sum(one.count for one in bins if one.confidence > one.accuracy)
    return Plot(
        f"{head}-reliability",
        plots.png(figure),
        f"Reliability diagram: expected calibration error {error:.3f}; {over / len(confidence):.0%}"
        " of the answers lie in bins where the model is surer than it is right.",
        "Below the dashed line the model is surer than it is right. Bins hold equally many"
        " answers; the bars below say how many answers have which probability.",
    )


def _precision_recall(scores: Scores, head: Head, title: str, figures: Mapping[str, Any]) -> Plot:
    values, names = scores.probabilities[head], figures["names"]
    if head is Head.VISIBLE:
        there, known = scores.targets.present, scores.targets.known
    else:
        allowed = scores.targets.allowed[head]
        truth = truth_of(allowed)
        there = np.zeros_like(allowed)
        there[np.flatnonzero(truth >= 0), truth[truth >= 0]] = True
        known = np.repeat((truth >= 0)[:, None], allowed.shape[1], axis=1)
    each: list[tuple[float, Curve]] = []
    for column, name in enumerate(names):
        at = known[:, column]
        if there[at, column].any():
            each.append(_curve(name, there[at, column], values[at, column]))
    each.sort(key=lambda pair: pair[0])
    area, together = _curve("all together", there[known], values[known])
    lines = [together] if len(each) > 1 else []
    for index, (_, curve) in enumerate(each):
        lines.append(Curve(curve.name, curve.x, curve.y, index < _NAMED_CURVES))
    figure = plots.curves(
        lines,
        title=f"{title}: precision and recall (average precision in parentheses)",
        x_label="recall",
        y_label="precision",
    )
    return Plot(
        f"{head}-precision-recall",
        plots.png(figure),
        f"Precision over recall of {len(each)} classes; all together, average precision"
        f" {area:.3f}.",
        f"Each class against all others: all together, the {min(_NAMED_CURVES, len(each))} with the"
        " least average precision by name, the others in grey.",
    )


def _curve(name: str, there: NDArray[np.bool_], values: NDArray[np.float32]) -> tuple[float, Curve]:
    precision, recall, _ = precision_recall_curve(there, values)
    area = float(-np.sum(np.diff(recall) * precision[:-1]))
    at = np.unique(np.linspace(0, len(recall) - 1, min(_POINTS, len(recall))).astype(np.intp))
    return area, Curve(f"{name} ({area:.2f})", recall[at], precision[at])


def _coverage(
    head: Head, title: str, figures: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]
) -> Plot:
    lines = []
    for name, one in {"model": figures, **others}.items():
        points = np.array(one["risk_coverage"], dtype=np.float64).reshape(-1, 3)
        lines.append(Curve(name, points[:, 1], 1 - points[:, 2]))
    accuracy = figures["scores"]["accuracy"]
    floor = accuracy["floors"].get("majority class")
    figure = plots.curves(
        lines,
        title=f"{title}: accuracy when only the surest are answered",
        x_label="share that is answered",
        y_label="accuracy of what is answered",
        floor=None if floor is None else ("majority class", floor),
        zoom=True,
    )
    ninety = figures["scores"]["accuracy_at_coverage_0.9"]["value"]
    return Plot(
        f"{head}-coverage",
        plots.png(figure),
        f"Accuracy over coverage: {accuracy['value']:.3f} when all are answered, {ninety:.3f} of"
        " the surest 90 %.",
        "From the right: all images are answered; to the left, only those that the model is surest"
        " of. A curve that rises to the left says that its probabilities can be used to abstain.",
    )


def _order(vocabulary: LabelVocabulary, codes: Sequence[str]) -> list[int]:
    """Return the positions of `codes` with parts after their region; others as they are."""
    if any(code not in vocabulary for code in codes):
        return list(range(len(codes)))

    def path(column: int) -> tuple[str, ...]:
        above = vocabulary.parents[column]
        return (*(path(above[0]) if above else ()), vocabulary.displays[column])

    return sorted(range(len(codes)), key=lambda at: path(vocabulary.columns[codes[at]]))


def _number(value: object) -> float:
    try:
        return math.nan if value is None else float(str(value))
    except ValueError:
        return math.nan


def _value(figure: Mapping[str, Any]) -> float:
    return -1.0 if figure["value"] is None else float(figure["value"])
