"""Figures of the head of visible parts, over the cells (image, label) of which something is known.

`probabilities` float (N, V) in [0, 1]; `present` and `known` bool (N, V), `present` only where
`known`. A part is answered where its probability is at least the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.evaluation.bootstrap import (
    Counted,
    Flags,
    Floats,
    mean_of_defined,
    ratio,
    zero_for_nan,
)
from classifier.evaluation.calibration import (
    BINS,
    binary_brier,
    binary_nll,
    calibration_rows,
    expected_error,
)
from classifier.evaluation.classification import class_scores
from terminology.vocabulary import LabelVocabulary

THRESHOLD: Final = 0.5
# Rounding of float32; a coherent head takes maxima, which are exact.
_TOLERANCE: Final = 1e-6


def answered(probabilities: NDArray[Any], known: Flags, threshold: float = THRESHOLD) -> Flags:
    """Return which known cells are answered "there", bool (N, V)."""
    return np.asarray((probabilities >= threshold) & known, dtype=np.bool_)


def multilabel(
    probabilities: NDArray[Any],
    present: Flags,
    known: Flags,
    *,
    threshold: float = THRESHOLD,
    bins: int = BINS,
) -> Counted:
    """Return the scores of the visible parts, as functions of sums over rows.

    ``micro_precision``, ``micro_recall``, ``micro_f1``
        From the counts of all labels together. Precision is undefined where nothing is answered,
        recall where nothing is there; F1 is 2 TP / (2 TP + FP + FN).
    ``macro_precision``, ``macro_recall``, ``macro_f1``
        The mean over the labels with at least one positive; the precision of one that is never
        answered counts as 0.
    ``subset_accuracy``
        The share of images, of those of which something is known, with every known label right.
    ``hamming_loss``
        The share of known cells that are wrong. Nothing predicted has a small one: see its floor.
    ``ece``, ``brier``, ``nll``
        Over the known cells, each a yes-or-no question.
    """
    said = answered(probabilities, known, threshold)
    count, labels = known.shape
    wrong = said ^ present
    some = known.any(axis=1)
    cells = np.argwhere(known)
    gaps = np.zeros((count, bins))
    values, there = probabilities[known], present[known]
    np.add.at(gaps, cells[:, 0], calibration_rows(values, there, bins))
    squared, logs = np.zeros((2, count, labels))
    squared[known] = binary_brier(values, there)
    logs[known] = binary_nll(values, there)
    heads = np.column_stack(
        [
            some,
            some & ~wrong.any(axis=1),
            known.sum(axis=1),
            wrong.sum(axis=1),
            squared.sum(axis=1),
            logs.sum(axis=1),
        ]
    ).astype(np.float64)
    first = heads.shape[1] + bins

    def of(sums: Floats) -> Floats:
        images, exact, n, errors, square, log = sums[:, :6].T
        right_of, true_of, said_of = np.split(sums[:, first:], 3, axis=1)
        right, true, positive = (one.sum(axis=1) for one in (right_of, true_of, said_of))
        macro = [mean_of_defined(one) for one in class_scores(right_of, true_of, said_of)]
        return np.column_stack(
            [
                ratio(right, positive),
                ratio(right, true),
                ratio(2 * right, positive + true),
                *macro,
                ratio(exact, images),
                ratio(errors, n),
                expected_error(sums[:, 6:first], n),
                ratio(square, n),
                ratio(log, n),
            ]
        )

    names = (
        "micro_precision",
        "micro_recall",
        "micro_f1",
        "macro_precision",
        "macro_recall",
        "macro_f1",
        "subset_accuracy",
        "hamming_loss",
        "ece",
        "brier",
        "nll",
    )
    tables = np.hstack([said & present, present, said]).astype(np.float64)
    return Counted(names, np.hstack([heads, gaps, tables]), of)


def per_label(
    probabilities: NDArray[Any], present: Flags, known: Flags, *, threshold: float = THRESHOLD
) -> Counted:
    """Return precision, recall and F1 of every label: 3 V statistics named ``precision 0``, ….

    Precision is undefined where a label is never answered, the other two where it is never there.
    """
    said = answered(probabilities, known, threshold)

    def of(sums: Floats) -> Floats:
        right_of, true_of, said_of = np.split(sums, 3, axis=1)
        _, recall, f1 = class_scores(right_of, true_of, said_of)
        return np.hstack([ratio(right_of, said_of), recall, f1])

    labels = range(known.shape[1])
    names = [f"{score} {one}" for score in ("precision", "recall", "f1") for one in labels]
    rows = np.hstack([said & present, present, said]).astype(np.float64)
    return Counted(tuple(names), rows, of)


def average_precision(
    probabilities: NDArray[Any], present: Flags, weights: Floats | None = None
) -> Floats:
    """Return the average precision of one label, float64 (D,); NaN without a positive.

    Σ_n (R_n − R_{n−1}) P_n over the thresholds from the highest down, without interpolation:
    scikit-learn's. `probabilities` (N,) and `present` (N,) of the rows where the label is known;
    `weights` float64 (D, N), by default 1.
    """
    if weights is None:
        weights = np.ones((1, len(present)))
    if not present.any():
        return np.full(len(weights), np.nan)
    order = np.argsort(-probabilities, kind="stable")
    ordered, there = probabilities[order], present[order]
    # Recall grows only at thresholds that take a positive: runs of rows that end with one.
    threshold = np.cumsum(np.r_[False, ordered[1:] != ordered[:-1]])
    ends = np.flatnonzero(np.r_[threshold[1:] != threshold[:-1], True])
    ends = ends[np.isin(threshold[ends], threshold[there])]
    starts = np.r_[0, ends[:-1] + 1]
    drawn = weights[:, order[: ends[-1] + 1]]
    gained = np.add.reduceat(drawn * there[: ends[-1] + 1], starts, axis=1)
    taken = np.cumsum(np.add.reduceat(drawn, starts, axis=1), axis=1)
    right = np.cumsum(gained, axis=1)
    area = (gained * zero_for_nan(ratio(right, taken))).sum(axis=1)
    return ratio(area, right[:, -1])


def average_precisions(
    probabilities: NDArray[Any], present: Flags, known: Flags, weights: Floats | None = None
) -> Floats:
    """Return the average precision of every label over its known rows, float64 (D, V).

    NaN for a label without a positive; the mean over the others is the macro mAP.
    """
    columns = []
    for label in range(known.shape[1]):
        at = np.flatnonzero(known[:, label])
        chosen = None if weights is None else weights[:, at]
        columns.append(average_precision(probabilities[at, label], present[at, label], chosen))
    depth = 1 if weights is None else len(weights)
    return np.array(columns, dtype=np.float64).reshape(known.shape[1], depth).T


@dataclass(frozen=True, slots=True)
class Violations:
    """How many of `count` images contradict the vocabulary, which a coherent model never does."""

    count: int
    above_parent: int
    """A part is likelier than what holds it."""
    below_examined: int
    """The examined part is less likely to be visible than to be the examined one."""


def violations(
    visible: NDArray[Any],
    vocabulary: LabelVocabulary,
    examined: NDArray[Any] | None = None,
    columns: NDArray[np.intp] | None = None,
) -> Violations:
    """Return the images whose probabilities are incoherent; both counts must be 0.

    `visible` (N, V); `examined` (N, C), whose classes are the `columns` of the vocabulary.
    """
    above = np.zeros(len(visible), dtype=bool)
    for column, parents in enumerate(vocabulary.parents):
        for parent in parents:
            above |= visible[:, column] > visible[:, parent] + _TOLERANCE
    below = 0
    if examined is not None and columns is not None:
        less = examined > visible[:, columns] + _TOLERANCE
        below = int(np.count_nonzero(less.any(axis=1)))
    return Violations(len(visible), int(above.sum()), below)


def confusion(said: Flags, present: Flags) -> NDArray[np.int64]:
    r"""Return the multi-label confusion matrix, int64 (V + 1, V + 1).

    Heydarian, Doyle & Samavi, MLCM: Multi-Label Confusion Matrix, IEEE Access 2022. A row is a true
    label, the last "no true label"; a column an answered one, the last "no predicted label". With
    T and P the true and answered labels of an image, T₂ = T \ P those missed and P₂ = P \ T those
    wrongly answered:

    - each of T ∩ P adds 1 on the diagonal;
    - P₂ empty: each of T₂ adds 1 under "no predicted label";
    - T₂ empty: each pair of T × P₂ adds 1; the row is "no true label" where T is empty;
    - neither empty: each pair of T₂ × P₂ adds 1;
    - T and P both empty: 1 in the corner.

    A row adds up to the images of its label only where no image has more than one: it is a table
    of what is taken for what, not of images. Both arguments bool (N, V), known cells only.
    """
    size = said.shape[1] + 1
    table = np.zeros((size, size))
    t, p = present.astype(np.float64), said.astype(np.float64)
    missed, extra = t * (1 - p), p * (1 - t)
    any_missed, any_extra, any_true = (x.any(axis=1) for x in (missed, extra, t))
    table[:-1, :-1] = np.diag((t * p).sum(axis=0))
    table[:-1, -1] += missed[~any_extra].sum(axis=0)
    spared = ~any_missed & any_extra
    table[:-1, :-1] += t[spared].T @ extra[spared]
    table[-1, :-1] += extra[spared & ~any_true].sum(axis=0)
    mixed = any_missed & any_extra
    table[:-1, :-1] += missed[mixed].T @ extra[mixed]
    table[-1, -1] = (~any_true & ~p.any(axis=1)).sum()
    return np.asarray(np.rint(table), dtype=np.int64)
