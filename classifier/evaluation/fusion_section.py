"""What `bodysite evaluate --fusion` shows of `classifier.evaluation.fusion_study`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from classifier.data.labels import Scores
from classifier.evaluation import page
from classifier.evaluation.fusion_study import VARIANTS, cross_calibrated, study
from classifier.evaluation.page import Cell, Section
from terminology.graph import BodyStructureGraph

_WORDS: Final = {
    "header": "Header right",
    "image": "Image right",
    "bayes": "Bayes right",
    "fused": "Fused right",
    "union recall": "Union holds the right part",
    "intersection precision": "Intersection right, where there is one",
    "intersection coverage": "Images with an intersection",
    "conflict precision": "Header wrong, where a conflict is told",
    "conflict recall": "Conflict told, where the header is wrong",
    "review": "Images that go to review",
}
_LEAD: Final = (
    "Headers are simulated: a share of them names a wrong class, 60 % of these a neighbour of the"
    " right one. Probabilities are calibrated, each image's by other patients; the image answers"
    " its most probable class."
)


def fusion_figures(
    scores: Scores, graph: BodyStructureGraph, *, draws: int, seed: int = 0
) -> dict[str, Any]:
    """Return the figures of `study` for each of `VARIANTS`, by its name.

    Raises
    ------
    ReportError
        The scores have no examined part, or no image with one right class of it.
    """
    calibrated = cross_calibrated(scores, graph)
    return {
        name: study(
            calibrated,
            graph,
            noise,
            rng=np.random.default_rng([seed, at]),
            draws=draws,
            seed=seed,
        )
        for at, (name, noise) in enumerate(VARIANTS.items())
    }


def fusion_lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the figures as lines to read."""
    for name, found in figures.items():
        told = ", ".join(
            f"{key} {_percent(found['figures'][key]['value'])}"
            for key in ("header", "image", "bayes", "fused", "union recall", "conflict precision")
        )
        yield f"Fusion, headers {name}: {told}"


def fusion_section(figures: Mapping[str, Any]) -> Section:
    """Return the figures as a section of the page."""
    rows = [
        [words, *(_cell(found["figures"][key]) for found in figures.values())]
        for key, words in _WORDS.items()
    ]
    columns = ["Figure", *(f"Headers {name}" for name in figures)]
    shown = page.table("Fusion", columns, rows, numbers=range(1, len(columns)))
    return Section("Header and image", page.paragraph(_LEAD) + shown)


def _cell(figure: Mapping[str, float | None]) -> Cell:
    if figure["low"] is None:
        return _percent(figure["value"])
    return _percent(figure["value"]), f"{_percent(figure['low'])} to {_percent(figure['high'])}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
