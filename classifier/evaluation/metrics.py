"""`evaluate`: every figure of a report, with its floor and its interval, as JSON values.

docs/metrics.md says in words what each figure is. Nothing in the result is NaN or infinite: a
figure that is not defined is `None`, with the reason beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.data.labels import Head, LabelSpace, Scores
from classifier.errors import DataSetError
from classifier.evaluation import bootstrap, classification, floors, multilabel, selective
from classifier.evaluation.bootstrap import Counted, Flags, Floats, Interval, Places
from classifier.evaluation.calibration import BINS, reliability
from classifier.evaluation.hierarchical import hierarchical, reasonable
from classifier.evaluation.irma_error import Branching, irma_errors, open_errors
from classifier.names import class_names
from terminology.graph import BodyStructureGraph
from terminology.sources.irma import IrmaCode

# Scores of which less is better; of all others, more is.
LOWER_IS_BETTER: Final = frozenset(
    {
        "aurc",
        "brier",
        "ece",
        "hamming_loss",
        "irma_error",
        "irma_error_hedged",
        "irma_error_hedged_unspecified_free",
        "nll",
        "wrong",
    }
)

# Area under a curve is no function of sums: a draw costs as much as the whole evaluation.
_CURVE_DRAWS: Final = 1_000
_CURVE_POINTS: Final = 200
_TOLERATED_SUM: Final = 1e-3

_Json = dict[str, Any]

_REASONS: Final = {
    "micro_precision": "nothing was answered",
    "hP": "nothing was answered",
    "hP_macro": "nothing was answered",
    "lca_P": "nothing was answered",
    "micro_recall": "nothing is there",
    "micro_f1": "nothing is there and nothing was answered",
    "macro_precision": "no label has a positive",
    "macro_recall": "no label has a positive",
    "macro_f1": "no label has a positive",
    "map": "no label has a positive",
    "precision": "never answered",
    "recall": "no example",
    "f1": "no example",
}


def evaluate(
    scores: Scores,
    graph: BodyStructureGraph | None = None,
    *,
    draws: int = bootstrap.DRAWS,
    seed: int = 0,
    threshold: float = multilabel.THRESHOLD,
    branching: Branching | None = None,
) -> _Json:
    """Return every figure of `scores`, JSON values throughout.

    Keys::

        settings    draws, curve_draws, seed, level, threshold, bins
        samples     how many images; groups: how many patients; sources: name → images
        heads       head → the figures of all images (below)
        by_source   source → head → the same without the tables, of the images of that source

    Of every head::

        kind        "one" (one right class) or "many" (visible parts)
        classes     codes; names: their displays, in the order of the columns
        n           images with a known class (one) or with a known label (many)
        scores      name → Score, in a fixed order
        reliability [{low, high, count, confidence, accuracy}, …]: the bins behind ``ece``

    A Score is ``{value, low, high, draws, floors, n, reason}``: the interval is `None` where there
    are fewer than two patients; `draws` how many draws define it; ``floors`` name → value of
    what is had for nothing; `n` the images it is over; `reason` why the value is `None`. Scores in
    `LOWER_IS_BETTER` are the better the smaller.

    Of a head of kind "one", besides::

        n_plain, n_coarse, n_unknown   images with one, several and no class left by the label
        per_class   [{code, name, n, answered, precision, recall, f1}, …], each of the three
                    {value, low, high, reason}
        confusion   rows: truth, columns: answer; plain images
        risk_coverage   [[threshold, coverage, risk], …], at most 200 points
        irma        of the head `irma`: version of the list of codes, run_score, …

    Of kind "many", besides::

        n_cells     known cells; positives: those that are there
        labels_with_positives   over how many labels the macro scores are
        violations  {images, above_parent, below_examined}: the last two must be 0
        per_label   [{code, name, n, positives, answered, precision, recall, f1,
                    average_precision}, …]; n: images where the label is known
        confusion   multi-label confusion matrix, with "no true label" last and "no predicted label"

    Parameters
    ----------
    graph
        For the names of body structures; by default those in the label space.
    branching
        For the IRMA error score; by default of the newest embedded list that holds all codes.

    Raises
    ------
    DataSetError
        The probabilities of a head are missing, have another shape, are not in [0, 1], or do not
        add up to 1.
    """
    _check(scores)
    run = _Run(draws=draws, seed=seed, threshold=threshold, branching=branching, graph=graph)
    sources = sorted(set(scores.sources))
    everything = np.arange(len(scores.keys))
    origin = np.asarray(scores.sources, dtype=np.str_)
    return {
        "settings": {
            "draws": draws,
            "curve_draws": run.curve_draws,
            "seed": seed,
            "level": bootstrap.LEVEL,
            "threshold": threshold,
            "bins": BINS,
        },
        "samples": len(scores.keys),
        "groups": len(set(scores.groups)),
        "sources": {source: scores.sources.count(source) for source in sources},
        "heads": {str(head): run.head(scores, head, everything) for head in scores.space.heads},
        "by_source": {
            source: {
                str(head): run.head(scores, head, np.flatnonzero(origin == source), tables=False)
                for head in scores.space.heads
            }
            for source in sources
        },
    }


class _Run:
    """The settings of one evaluation, and the figures of one head under them."""

    def __init__(
        self,
        *,
        draws: int,
        seed: int,
        threshold: float,
        branching: Branching | None,
        graph: BodyStructureGraph | None,
    ) -> None:
        self.draws = draws
        self.curve_draws = min(draws, _CURVE_DRAWS)
        self.seed = seed
        self.threshold = threshold
        self.branching = branching
        self.graph = graph

    def head(self, scores: Scores, head: Head, rows: Places, *, tables: bool = True) -> _Json:
        """Return the figures of `head` over `rows` of `scores`."""
        probabilities = np.asarray(scores.probabilities[head], dtype=np.float64)[rows]
        groups = np.asarray(scores.groups, dtype=np.str_)[rows]
        if head is Head.VISIBLE:
            return self._many(scores, probabilities, groups, rows, tables)
        allowed = scores.targets.allowed[head][rows]
        return self._one(scores.space, head, probabilities, allowed, groups, tables)

    def _one(
        self,
        space: LabelSpace,
        head: Head,
        probabilities: Floats,
        allowed: Flags,
        groups: NDArray[np.str_],
        tables: bool,
    ) -> _Json:
        left = allowed.sum(axis=1)
        counts = {
            "n": int((left > 0).sum()),
            "n_plain": int((left == 1).sum()),
            "n_coarse": int((left > 1).sum()),
            "n_unknown": int((left == 0).sum()),
        }
        some = left > 0
        probabilities, allowed, groups = probabilities[some], allowed[some], groups[some]
        plain = allowed.sum(axis=1) == 1
        free = floors.one_class(allowed)
        found: _Json = {}

        def over_known(p: NDArray[Any]) -> Counted:
            return classification.classification(p, allowed)

        n_of = {"compatible_accuracy": counts["n"]}
        found |= self._scores(over_known, probabilities, free, groups, counts["n_plain"], n_of)
        # What follows is over plain rows.
        p, one, patients = probabilities[plain], allowed[plain], groups[plain]
        free = {name: values[plain] for name, values in free.items()}
        truth = classification.truth_of(one)

        def over_coverage(p: NDArray[Any]) -> Counted:
            return selective.selective(*_answer(p, truth))

        found |= self._scores(over_coverage, p, free, patients, len(truth))
        found |= self._aurc(p, truth, free, patients)
        if head is Head.EXAMINED:
            found |= self._hierarchy(space, p, truth, free, patients)
        result: _Json = {"kind": "one", **_named(space, head, self.graph), **counts}
        if head is Head.IRMA:
            scored, result["irma"] = self._irma(space.columns(head), p, truth, free, patients)
            found |= scored
        result["scores"] = found
        confidence, right = _answer(p, truth)
        result["reliability"] = [asdict(one) for one in reliability(confidence, right)]
        if tables:
            table = classification.confusion(p, one)
            result["per_class"] = self._classes(
                classification.per_class(p, one),
                patients,
                result,
                {"n": table.sum(axis=1), "answered": table.sum(axis=0)},
            )
            result["confusion"] = table.tolist()
            result["risk_coverage"] = _thinned(selective.risk_coverage(confidence, right))
        return result

    def _many(
        self,
        scores: Scores,
        probabilities: Floats,
        groups: NDArray[np.str_],
        rows: Places,
        tables: bool,
    ) -> _Json:
        vocabulary, head = scores.space.vocabulary, Head.VISIBLE
        present, known = scores.targets.present[rows], scores.targets.known[rows]
        result: _Json = {"kind": "many", **_named(scores.space, head, self.graph)}
        broken = multilabel.violations(probabilities, vocabulary, *_examined(scores, rows))
        some = known.any(axis=1)
        p, present, known, groups = probabilities[some], present[some], known[some], groups[some]
        free = floors.many_labels(present, known)
        positives = (present & known).sum(axis=0)
        result |= {
            "n": len(p),
            "n_unknown": int((~some).sum()),
            "n_cells": int(known.sum()),
            "positives": int(positives.sum()),
            "labels_with_positives": int((positives > 0).sum()),
            "violations": {
                "images": broken.count,
                "above_parent": broken.above_parent,
                "below_examined": broken.below_examined,
            },
        }

        def flat(p: NDArray[Any]) -> Counted:
            return multilabel.multilabel(p, present, known, threshold=self.threshold)

        def over_graph(p: NDArray[Any]) -> Counted:
            said = multilabel.answered(p, known, self.threshold)
            return hierarchical(present & known, said, vocabulary, known)

        precisions, scored = self._map(p, present, known, free, groups)
        result["scores"] = (
            self._scores(flat, p, free, groups, len(p))
            | scored
            | self._scores(over_graph, p, free, groups, len(p))
        )
        cells = present[known]
        result["reliability"] = [asdict(one) for one in reliability(p[known], cells)]
        if tables:
            said = multilabel.answered(p, known, self.threshold)
            listed = self._classes(
                multilabel.per_label(p, present, known, threshold=self.threshold),
                groups,
                result,
                {"n": known.sum(axis=0), "positives": positives, "answered": said.sum(axis=0)},
            )
            for entry, value in zip(listed, precisions, strict=True):
                entry["average_precision"] = _figure(value, None, "no example")
            result["per_label"] = listed
            result["confusion"] = multilabel.confusion(said, present & known).tolist()
        return result

    def _scores(
        self,
        count: Callable[[NDArray[Any]], Counted],
        probabilities: Floats,
        free: Mapping[str, Floats],
        groups: NDArray[np.str_],
        n: int,
        n_of: Mapping[str, int] | None = None,
    ) -> _Json:
        """Return the Scores of what `count` makes of probabilities, the model's and the floors'."""
        counted = count(probabilities)
        limits = bootstrap.intervals(counted, groups.tolist(), draws=self.draws, seed=self.seed)
        below = {name: count(values).values() for name, values in free.items()}
        return {
            name: _score(
                name,
                value,
                limits[name],
                {floor: values[name] for floor, values in below.items()},
                (n_of or {}).get(name, n),
            )
            for name, value in counted.values().items()
        }

    def _aurc(
        self, p: Floats, truth: Places, free: Mapping[str, Floats], groups: NDArray[np.str_]
    ) -> _Json:
        confidence, right = _answer(p, truth)
        limits = bootstrap.weighted_intervals(
            lambda weights: selective.aurc(confidence, right, weights)[:, None],
            groups.tolist(),
            draws=self.curve_draws,
            seed=self.seed,
        )
        below = {
            name: float(selective.aurc(*_answer(values, truth))[0]) for name, values in free.items()
        }
        value = float(selective.aurc(confidence, right)[0])
        return {"aurc": _score("aurc", value, limits[0], below, len(truth))}

    def _map(
        self,
        p: Floats,
        present: Flags,
        known: Flags,
        free: Mapping[str, Floats],
        groups: NDArray[np.str_],
    ) -> tuple[list[float], _Json]:
        """Return the average precision of each label, and their mean as a Score."""

        def mean(values: Floats, weights: Floats | None = None) -> Floats:
            each = multilabel.average_precisions(values, present, known, weights)
            return bootstrap.mean_of_defined(each)

        limits = bootstrap.weighted_intervals(
            lambda weights: mean(p, weights)[:, None],
            groups.tolist(),
            draws=self.curve_draws,
            seed=self.seed,
        )
        below = {name: float(mean(values)[0]) for name, values in free.items()}
        each = multilabel.average_precisions(p, present, known)[0].tolist()
        return each, {"map": _score("map", float(mean(p)[0]), limits[0], below, len(p))}

    def _hierarchy(
        self,
        space: LabelSpace,
        p: Floats,
        truth: Places,
        free: Mapping[str, Floats],
        groups: NDArray[np.str_],
    ) -> _Json:
        """Return the scores over the vocabulary of the head of the examined part."""
        vocabulary = space.vocabulary
        column = _columns(space)
        true = column[truth]

        def sets(p: NDArray[Any]) -> Counted:
            said = column[classification.answers(p)]
            return hierarchical(
                _one_hot(true, len(vocabulary)), _one_hot(said, len(vocabulary)), vocabulary
            )

        def kinds(p: NDArray[Any]) -> Counted:
            return reasonable(true, column[classification.answers(p)], vocabulary)

        return self._scores(sets, p, free, groups, len(truth)) | self._scores(
            kinds, p, free, groups, len(truth)
        )

    def _irma(
        self,
        classes: Sequence[str],
        p: Floats,
        truth: Places,
        free: Mapping[str, Floats],
        groups: NDArray[np.str_],
    ) -> tuple[_Json, _Json]:
        """Return the IRMA error scores, and what they rest on."""
        codes = [IrmaCode.parse(name, "irma class") for name in classes]
        branching = self.branching or Branching.that_holds(codes)
        if branching is None:
            reason = "no embedded IRMA list holds all codes of the classes"
            score = _score("irma_error", math.nan, None, {}, 0, reason)
            return {"irma_error": score}, {"version": None, "reason": reason}

        def errors(p: NDArray[Any]) -> Counted:
            return irma_errors(p, truth, codes, branching)

        scored = self._scores(errors, p, free, groups, len(truth))
        for name, value in open_errors(truth, codes, branching).values().items():
            if len(truth):
                scored[name]["floors"][floors.NOTHING] = value
        sums = {
            name.replace("irma_error", "run_score"): (score["value"] or 0.0) * len(truth)
            for name, score in scored.items()
        }
        return scored, {"version": branching.version, "images": len(truth), **sums}

    def _classes(
        self,
        counted: Counted,
        groups: NDArray[np.str_],
        result: Mapping[str, Any],
        counts: Mapping[str, NDArray[Any]],
    ) -> list[_Json]:
        """Return one entry a class: code, name, `counts`, and precision, recall and F1."""
        limits = bootstrap.intervals(counted, groups.tolist(), draws=self.draws, seed=self.seed)
        values = counted.values()
        listed: list[_Json] = []
        for at, (code, name) in enumerate(zip(result["classes"], result["names"], strict=True)):
            entry: _Json = {"code": code, "name": name}
            entry |= {key: int(column[at]) for key, column in counts.items()}
            for score in ("precision", "recall", "f1"):
                key = f"{score} {at}"
                entry[score] = _figure(values[key], limits[key], _REASONS[score])
            listed.append(entry)
        return listed


def _answer(probabilities: NDArray[Any], truth: Places) -> tuple[Floats, Flags]:
    """Return the confidence of each answer, and whether it is right."""
    said = classification.answers(probabilities)
    if not probabilities.shape[1]:
        return np.zeros(len(truth)), np.zeros(len(truth), dtype=np.bool_)
    confidence = np.asarray(probabilities[np.arange(len(said)), said], dtype=np.float64)
    return confidence, np.asarray(said == truth, dtype=np.bool_)


def _columns(space: LabelSpace) -> Places:
    """Return the column of the vocabulary of each class of the examined head."""
    columns = space.vocabulary.columns
    return np.array([columns[code] for code in space.columns(Head.EXAMINED)], dtype=np.intp)


def _one_hot(columns: Places, width: int) -> Flags:
    table = np.zeros((len(columns), width), dtype=np.bool_)
    table[np.arange(len(columns)), columns] = True
    return table


def _examined(scores: Scores, rows: Places) -> tuple[NDArray[Any] | None, Places | None]:
    if Head.EXAMINED not in scores.probabilities:
        return None, None
    return scores.probabilities[Head.EXAMINED][rows], _columns(scores.space)


def _named(space: LabelSpace, head: Head, graph: BodyStructureGraph | None) -> _Json:
    return {
        "classes": list(space.columns(head)),
        "names": list(class_names(space, head, graph)),
    }


def _thinned(curve: selective.RiskCoverage) -> list[list[float]]:
    """Return at most 200 points of the curve, the first and the last among them."""
    count = len(curve.coverage)
    at = np.unique(np.linspace(0, count - 1, min(count, _CURVE_POINTS)).astype(np.intp))
    points = np.column_stack([curve.threshold, curve.coverage, curve.risk])[at]
    return [list(map(float, point)) for point in points]


def _score(
    name: str,
    value: float,
    interval: Interval | None,
    below: Mapping[str, float],
    n: int,
    reason: str | None = None,
) -> _Json:
    why = reason or ("no image with a known label" if n == 0 else _REASONS.get(name, "undefined"))
    found = _figure(value, interval, why)
    return {
        **{key: found[key] for key in ("value", "low", "high")},
        "draws": interval.draws if interval else 0,
        "floors": {floor: _finite(one) for floor, one in below.items()},
        "n": n,
        "reason": found["reason"],
    }


def _figure(value: float, interval: Interval | None, reason: str) -> _Json:
    known = _finite(value)
    return {
        "value": known,
        "low": interval.low if interval else None,
        "high": interval.high if interval else None,
        "reason": reason if known is None else None,
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _check(scores: Scores) -> None:
    """Refuse what would give wrong figures in silence."""
    for head in scores.space.heads:
        values = scores.probabilities.get(head)
        shape = (len(scores.keys), len(scores.space.columns(head)))
        problem = None
        if values is None or values.shape != shape:
            found = "missing" if values is None else f"of shape {values.shape}"
            problem = f"probabilities are {found}", f"an array of shape {shape}"
        elif not np.all((values >= 0) & (values <= 1 + _TOLERATED_SUM)):
            problem = "a probability is not in [0, 1], or not a number", "finite values in [0, 1]"
        elif head is not Head.VISIBLE and not np.allclose(
            values.sum(axis=1, dtype=np.float64), 1, atol=_TOLERATED_SUM
        ):
            problem = "probabilities of an image do not add up to 1", "a softmax over the classes"
        if problem:
            what, expected = problem
            raise DataSetError(
                f"scores, head {head}", what, expected, "Make the scores again from the model."
            )
