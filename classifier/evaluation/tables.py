"""The CSV files of a report: the figures of `evaluate` and the answers, as rows."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.data.labels import Head, LabelSpace, Scores
from classifier.evaluation.metrics import LOWER_IS_BETTER

Row = Sequence[object]
_MEASURES: Final = ("precision", "recall", "f1")
_BOUNDED: Final = tuple(f"{one}{end}" for one in _MEASURES for end in ("", "_low", "_high"))


def write_tables(folder: Path, scores: Scores, metrics: Mapping[str, Any]) -> None:
    """Write the tables of one model into `folder`."""
    _write(
        folder / "scores.csv",
        ("head", "score", "value", "low", "high", "n", "floor", "floor_value", "reason"),
        (
            (head, *row)
            for head, figures in metrics["heads"].items()
            for row in _score_rows(figures["scores"])
        ),
    )
    _write(
        folder / "per-source.csv",
        ("source", "head", "score", "value", "low", "high", "n", "floor", "floor_value", "reason"),
        (
            (source, head, *row)
            for source, heads in metrics["by_source"].items()
            for head, figures in heads.items()
            for row in _score_rows(figures["scores"])
        ),
    )
    kinds = metrics["heads"].items()
    _write(
        folder / "per-class.csv",
        ("head", "code", "display", "n", "answered", *_BOUNDED),
        (
            (head, one["code"], one["name"], one["n"], one["answered"], *_bounded(one))
            for head, figures in kinds
            for one in figures.get("per_class", ())
        ),
    )
    if any("per_label" in figures for _, figures in kinds):
        _write(
            folder / "per-label.csv",
            ("code", "display", "n", "positives", "answered", *_BOUNDED, "average_precision"),
            (
                (
                    one["code"],
                    one["name"],
                    one["n"],
                    one["positives"],
                    one["answered"],
                    *_bounded(one),
                    one["average_precision"]["value"],
                )
                for _, figures in kinds
                for one in figures.get("per_label", ())
            ),
        )
    for head, figures in kinds:
        rows, columns = confusion_names(figures, codes=True)
        _write(
            folder / f"confusion-{head}.csv",
            ("labelled_as", *columns),
            ((name, *counts) for name, counts in zip(rows, figures["confusion"], strict=True)),
        )
    threshold = metrics["settings"]["threshold"]
    names = {head: metrics["heads"][str(head)]["names"] for head in scores.space.heads}
    _write(
        folder / "predictions.csv",
        prediction_columns(scores.space),
        prediction_rows(scores, names, threshold),
    )


def write_comparison(folder: Path, compared: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the scores of several models, by name, beside one another."""
    _write(
        folder / "comparison.csv",
        ("model", "head", "score", "value", "low", "high", "n", "floor", "floor_value", "reason"),
        (
            (name, head, *row)
            for name, metrics in compared.items()
            for head, figures in metrics["heads"].items()
            for row in _score_rows(figures["scores"])
        ),
    )


def best_floor(name: str, score: Mapping[str, Any]) -> tuple[str, float] | None:
    """Return the floor that is hardest to beat, and its value; `None` where there is none."""
    defined = {floor: value for floor, value in score["floors"].items() if value is not None}
    if not defined:
        return None
    best = (min if name in LOWER_IS_BETTER else max)(defined, key=defined.__getitem__)
    return best, defined[best]


def confusion_names(
    figures: Mapping[str, Any], *, codes: bool = False
) -> tuple[list[str], list[str]]:
    """Return the names of the rows and of the columns of a confusion matrix of `evaluate`."""
    names = list(figures["names"])
    if codes:
        names = [
            name if name == code else f"{code} |{name}|"
            for code, name in zip(figures["classes"], names, strict=True)
        ]
    if figures["kind"] == "one":
        return names, names
    return [*names, "no true label"], [*names, "no predicted label"]


def prediction_columns(space: LabelSpace) -> list[str]:
    """Return the header of the table of answers."""
    columns = ["key", "source", "path"]
    for head in space.heads:
        if head is Head.VISIBLE:
            columns += ["visible", "visible_missed", "visible_wrong"]
        else:
            columns += [f"{head}_{end}" for end in ("truth", "code", "display", "probability")]
            columns.append(f"{head}_right")
    return columns


def prediction_rows(
    scores: Scores, names: Mapping[Head, Sequence[str]], threshold: float
) -> Iterator[list[object]]:
    """Yield the answers for each image.

    Several codes are joined by ``;``: the classes that a coarse label leaves possible, visible
    parts. ``right`` is 1 or 0, or empty where nothing is known.
    """
    space, targets = scores.space, scores.targets
    for row, key in enumerate(scores.keys):
        cells: list[object] = [key, scores.sources[row], scores.paths[row]]
        for head in space.heads:
            codes, values = space.columns(head), scores.probabilities[head][row]
            if head is Head.VISIBLE:
                said, present = values >= threshold, targets.present[row]
                wrong = said & targets.known[row] & ~present
                cells += [_joined(codes, flags) for flags in (said, present & ~said, wrong)]
                continue
            allowed, best = targets.allowed[head][row], int(values.argmax())
            cells += [
                _joined(codes, allowed),
                codes[best],
                names[head][best],
                round(float(values[best]), 4),
                int(allowed[best]) if allowed.any() else "",
            ]
        yield cells


def _joined(codes: Sequence[str], flags: NDArray[np.bool_]) -> str:
    return ";".join(codes[at] for at in np.flatnonzero(flags).tolist())


def _score_rows(scores: Mapping[str, Any]) -> Iterator[Row]:
    for name, score in scores.items():
        floor = best_floor(name, score) or (None, None)
        yield (
            name,
            score["value"],
            score["low"],
            score["high"],
            score["n"],
            *floor,
            score["reason"],
        )


def _bounded(entry: Mapping[str, Any]) -> Iterator[object]:
    for one in _MEASURES:
        yield from (entry[one][end] for end in ("value", "low", "high"))


def _write(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
