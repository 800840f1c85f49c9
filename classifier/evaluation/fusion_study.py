"""What fusion is worth: images whose headers are made wrong as often as real ones are.

Every image with one right class of the examined part gets a header that names it, and then errors
are put in: in a share of images the header names a neighbour, or any other class. What header and
image say is joined by `classifier.fusion.fuse`, as for a real instance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.calibration.calibration import calibrated, fit
from classifier.calibration.climb import Climbing, climber_of
from classifier.data.labels import Head, Scores
from classifier.errors import ReportError
from classifier.evaluation.bootstrap import (
    DRAWS,
    Counted,
    Floats,
    intervals,
    number_groups,
    ratio,
)
from classifier.fusion import FusionSettings, HeaderReliability, Review, fuse
from classifier.fusion.nearness import Nearness
from classifier.prediction import Prediction
from terminology.annotation import Answers, BodySiteAnnotation, HeaderReading, Relation, Site
from terminology.graph import BodyStructureGraph

# Gueld et al., Quality of DICOM header information for image categorization, SPIE 2002: 15.3 % of
# BodyPartExamined were wrong.
HEADER_ERROR: Final = 0.153
_CANDIDATES: Final = 10
_LEAST: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Noise:
    """How headers are made wrong.

    Attributes
    ----------
    error
        The share of images whose header names a wrong class.
    near
        The share of these that name a neighbour; the others name any other class.
    missing
        The share of images whose header names nothing at all.
    """

    error: float = HEADER_ERROR
    near: float = 0.6
    missing: float = 0.0


#: What the report shows: the published error, and the same where headers are often empty.
VARIANTS: Final[Mapping[str, Noise]] = {
    "15.3 % wrong": Noise(),
    "15.3 % wrong, 30 % missing": Noise(missing=0.3),
}


def study(
    scores: Scores,
    graph: BodyStructureGraph,
    noise: Noise | None = None,
    *,
    settings: FusionSettings | None = None,
    reliability: HeaderReliability | None = None,
    climbing: Climbing | None = None,
    rng: np.random.Generator,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Return what header, image and their joined answers are worth, with 95 % intervals.

    Probabilities are taken as they are: see `cross_calibrated`.

    Parameters
    ----------
    noise
        How headers are made wrong.
    settings, reliability
        Of `classifier.fusion.fuse`.
    climbing
        How sure an answer of the image must be; it may then be a region, or none. Without it, the
        image answers its most probable class.
    rng
        Draws the errors of the headers.
    draws, seed
        Of the bootstrap, which draws patients.

    Returns
    -------
    dict
        ``images`` and ``patients``; ``figures``: name → value, low, high, `None` where undefined.

        ``header``, ``image``, ``bayes`` and ``fused`` are shares of right answers, ``... or
        above`` of answers that are right or a region that holds what is right. ``union recall`` is
        the share of images whose union holds the right class; ``intersection precision`` how often
        it is right where there is one, ``intersection coverage`` how often there is one.
        ``conflict precision`` is how often the header is wrong where relation or review tell of a
        conflict (``conflict relation precision``: where the relation does), ``conflict recall``
        which share of the wrong headers they tell of; ``review`` is the share of images that a
        person is asked to look at.

    Raises
    ------
    ReportError
        The scores have no examined part, or no image with one right class of it.
    """
    rows, truth = _rows(scores)
    classes = scores.space.columns(Head.EXAMINED)
    posterior = np.asarray(scores.probabilities[Head.EXAMINED][rows], dtype=np.float64)
    prior = dict(zip(classes, map(float, _prior(truth, len(classes))), strict=True))
    named = draw_headers(truth, classes, graph, noise or Noise(), rng)
    table = np.zeros((len(rows), len(_SUMS)))
    climber = None if climbing is None else climber_of(scores.space, graph)
    near = Nearness.of(graph)
    for at, (row, right, said) in enumerate(zip(posterior, truth, named, strict=True)):
        header = HeaderReading(sites=() if said < 0 else (_site(classes[said], graph),))
        prediction = _prediction(row, classes, prior, graph)
        if climber is not None and climbing is not None:
            answer = climber.climb(row, climbing)
            shown = () if answer is None else (_site(answer.code, graph, answer.mass),)
            prediction = replace(prediction, examined=(*shown, *prediction.examined[: len(shown)]))
        found = fuse(None, header, prediction, graph, settings, reliability)
        table[at] = _counts(found, classes[right], said, int(right), near)
    groups = [scores.groups[row] for row in rows]
    counted = Counted(_FIGURES, table, _figures)
    bounds = intervals(counted, groups, draws=draws, seed=seed)
    return {
        "images": len(rows),
        "patients": len(set(groups)),
        "figures": {
            name: {
                "value": value if np.isfinite(value) else None,
                "low": None if (bound := bounds[name]) is None else bound.low,
                "high": None if bound is None else bound.high,
            }
            for name, value in counted.values().items()
        },
    }


def draw_headers(
    truth: NDArray[np.intp],
    classes: Sequence[str],
    graph: BodyStructureGraph,
    noise: Noise,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """Return the class that each header names, intp (N,); -1 where it names nothing.

    A class without neighbours is taken for any other.
    """
    near = Nearness.of(graph)
    beside = [
        [
            other
            for other, name in enumerate(classes)
            if other != one and near.beside(classes[one], name)
        ]
        for one in range(len(classes))
    ]
    named = truth.copy()
    for at, right in enumerate(truth):
        fate, kind, pick = rng.random(3)
        if fate < noise.missing:
            named[at] = -1
        elif fate < noise.missing + (1.0 - noise.missing) * noise.error:
            others = [one for one in range(len(classes)) if one != right]
            choice = beside[right] if kind < noise.near and beside[right] else others
            named[at] = choice[int(pick * len(choice))] if choice else right
    return named


# What each image adds: answers that are right, and what conflicts were told of.
_SUMS: Final = (
    "all",
    "named",
    "header",
    "image",
    "union",
    "agreed",
    "agreed right",
    "bayes",
    "fused",
    "image or above",
    "fused or above",
    "wrong",
    "flagged",
    "flagged wrong",
    "conflict",
    "conflict wrong",
    "review",
)
_RATIOS: Final = {
    "header": ("header", "all"),
    "header where named": ("header", "named"),
    "image": ("image", "all"),
    "union recall": ("union", "all"),
    "intersection precision": ("agreed right", "agreed"),
    "intersection coverage": ("agreed", "all"),
    "bayes": ("bayes", "all"),
    "fused": ("fused", "all"),
    "image or above": ("image or above", "all"),
    "fused or above": ("fused or above", "all"),
    "conflict relation precision": ("conflict wrong", "conflict"),
    "conflict precision": ("flagged wrong", "flagged"),
    "conflict recall": ("flagged wrong", "wrong"),
    "review": ("review", "all"),
}
_FIGURES: Final = tuple(_RATIOS)


def _figures(sums: Floats) -> Floats:
    column = {name: sums[:, at] for at, name in enumerate(_SUMS)}
    return np.stack([ratio(column[one], column[two]) for one, two in _RATIOS.values()], axis=1)


def _counts(
    found: BodySiteAnnotation, right: str, said: int, truth: int, near: Nearness
) -> list[float]:
    answers = found.answers or Answers()
    best = [one.site.code for one in found.examined[:1]]
    seen = [site.code for site in answers.image[:1]]
    conflict = found.relation is Relation.CONFLICT
    flagged = conflict or Review.CONFLICT in found.review
    wrong = said not in (-1, truth)
    agreed = [site.code for site in answers.intersection]
    return [
        float(one)
        for one in (
            True,
            said >= 0,
            said == truth,
            right in seen,
            right in [site.code for site in answers.union],
            bool(agreed),
            right in agreed,
            right in [site.code for site in answers.bayes[:1]],
            right in best,
            any(near.covers(one, right) for one in seen),
            any(near.covers(one, right) for one in best),
            wrong,
            flagged,
            flagged and wrong,
            conflict,
            conflict and wrong,
            bool(found.review),
        )
    ]


def cross_calibrated(scores: Scores, graph: BodyStructureGraph, parts: int = 5) -> Scores:
    """Return `scores` calibrated, each image by what was fitted to other patients.

    Parameters
    ----------
    parts
        Into how many parts the patients are divided, those that have the most images first.
    """
    number, count = number_groups(scores.groups)
    parts = min(parts, count)
    sizes = np.bincount(number, minlength=count)
    part_of = np.zeros(count, dtype=np.intp)
    held = np.zeros(parts, dtype=np.intp)
    for group in np.argsort(-sizes, kind="stable"):
        part_of[group] = held.argmin()
        held[part_of[group]] += sizes[group]
    probabilities = {head: values.copy() for head, values in scores.probabilities.items()}
    for part in range(parts if parts > 1 else 0):
        own = part_of[number] == part
        fitted = calibrated(scores, fit(scores.take(np.flatnonzero(~own)), graph))
        for head, values in fitted.probabilities.items():
            probabilities[head][own] = values[own]
    return replace(scores, probabilities=probabilities)


def _site(code: str, graph: BodyStructureGraph, confidence: float | None = None) -> Site:
    return Site(code, graph.lookup(code).display, confidence=confidence)


def _prediction(
    row: Floats, classes: Sequence[str], prior: Mapping[str, float], graph: BodyStructureGraph
) -> Prediction:
    order = np.argsort(-row, kind="stable")[:_CANDIDATES]
    return Prediction(
        model="scores",
        examined=tuple(_site(classes[at], graph, float(row[at])) for at in order),
        posterior=dict(zip(classes, map(float, row), strict=True)),
        prior=prior,
    )


def _rows(scores: Scores) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows with one right class of the examined part, and those classes."""
    if Head.EXAMINED not in scores.probabilities:
        raise _nothing("they have no examined part")
    truth = scores.targets.truth(Head.EXAMINED)
    rows = np.flatnonzero(truth >= 0)
    if not len(rows):
        raise _nothing("no image has one right class of the examined part")
    return rows, truth[rows]


def _prior(truth: NDArray[np.intp], count: int) -> Floats:
    """Return how often each class is right: what the folds were trained on, nearly."""
    counts = np.bincount(truth, minlength=count).astype(np.float64)
    shares: Floats = np.maximum(counts, _LEAST) / counts.sum()
    return shares


def _nothing(what: str) -> ReportError:
    return ReportError(
        "scores",
        f"fusion cannot be studied: {what}",
        "scores of a model with the head 'examined', and images whose label is one of its classes",
        "Name the scores of another run.",
    )
