"""Figures of a head with one right class: accuracy, precision, recall, F1, confusion, top-k.

`probabilities` float (N, C), rows sum to 1; `allowed` bool (N, C), the classes that the label
leaves possible. A row with one is plain, with several coarse, with none unknown and no part of
anything. The answer is the most probable class, of equally probable ones the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.evaluation.bootstrap import (
    Counted,
    Flags,
    Floats,
    Places,
    mean_of_defined,
    ratio,
    zero_for_nan,
)
from classifier.evaluation.calibration import (
    BINS,
    brier_rows,
    calibration_rows,
    expected_error,
    nll_rows,
)

TOP: Final = (3, 5)


def truth_of(allowed: Flags) -> Places:
    """Return the class of each row, intp (N,); -1 where the label leaves none or several."""
    one = allowed.sum(axis=1) == 1
    return np.where(one, _first(allowed), -1).astype(np.intp)


def answers(probabilities: NDArray[Any]) -> Places:
    """Return the most probable class of each row, intp (N,)."""
    return _first(probabilities)


def classification(
    probabilities: NDArray[Any], allowed: Flags, *, bins: int = BINS, top: Sequence[int] = TOP
) -> Counted:
    """Return the scores of a head with one right class, as functions of sums over rows.

    Over plain rows:

    ``accuracy``
        The share of right answers; equal to the micro precision, recall and F1, since there is
        one answer and one truth a row.
    ``macro_precision``, ``macro_recall``, ``macro_f1``
        The mean over the classes with at least one row of TP / (TP + FP), which is 0 for a class
        that is never answered, TP / (TP + FN) and 2 TP / (2 TP + FP + FN). As scikit-learn with
        ``zero_division=0`` and these classes as its labels. The F1 is a mean of F1s, not the
        harmonic mean of the other two.
    ``top_3``, ``top_5``
        The share of rows whose class is among the k most probable.
    ``ece``, ``brier``, ``nll``
        `classifier.evaluation.calibration`, the confidence being that of the answer.

    Over plain and coarse rows:

    ``compatible_accuracy``
        The share of answers that the label leaves possible: a coarse label is not contradicted.
    """
    truth, said = truth_of(allowed), answers(probabilities)
    count, classes = allowed.shape
    plain = truth >= 0
    right = said == truth
    at = np.flatnonzero(plain)
    known = allowed.any(axis=1)
    compatible = allowed[np.arange(count), said] if classes else np.zeros(count, dtype=bool)

    heads = np.zeros((count, 6 + len(top)))
    heads[:, 0] = plain
    heads[:, 1] = right
    heads[:, 2] = known
    heads[:, 3] = known & compatible
    heads[at, 4] = brier_rows(probabilities[at], truth[at])
    heads[at, 5] = nll_rows(probabilities[at], truth[at])
    for column, k in enumerate(top, 6):
        heads[at, column] = within_top(probabilities[at], truth[at], k)
    gaps = np.zeros((count, bins))
    confidence = probabilities[at, said[at]]
    gaps[at] = calibration_rows(confidence, right[at], bins)
    tables = np.hstack(
        [
            _one_hot(x, classes)
            for x in (np.where(right, truth, -1), truth, np.where(plain, said, -1))
        ]
    )
    first = heads.shape[1] + bins

    def of(sums: Floats) -> Floats:
        n = sums[:, 0]
        scores = ratio(sums[:, [1, 4, 5, *range(6, 6 + len(top))]], n[:, None])
        compatible_share = ratio(sums[:, 3], sums[:, 2])
        error = expected_error(sums[:, heads.shape[1] : first], n)
        right_of, true_of, said_of = np.split(sums[:, first:], 3, axis=1)
        per_class = class_scores(right_of, true_of, said_of)
        means = [mean_of_defined(one) for one in per_class]
        return np.column_stack([scores, compatible_share, error, *means])

    names = (
        "accuracy",
        "brier",
        "nll",
        *(f"top_{k}" for k in top),
        "compatible_accuracy",
        "ece",
        "macro_precision",
        "macro_recall",
        "macro_f1",
    )
    return Counted(names, np.hstack([heads, gaps, tables]), of)


def class_scores(right: Floats, true: Floats, said: Floats) -> tuple[Floats, Floats, Floats]:
    """Return precision, recall and F1 of each class from its counts, float64 (…, C).

    `right` counts the true positives, `true` the rows of the class, `said` the answers. All three
    are NaN where a class has no rows; precision is 0 where it has rows and no answers.
    """
    absent = np.where(true > 0, 0.0, np.nan)
    precision = zero_for_nan(ratio(right, said)) + absent
    return precision, ratio(right, true), ratio(2 * right, said + true) + absent


def per_class(probabilities: NDArray[Any], allowed: Flags) -> Counted:
    """Return precision, recall and F1 of every class: 3 C statistics named ``precision 0``, ….

    Here the precision of a class that is never answered is undefined.
    """
    truth, said = truth_of(allowed), answers(probabilities)
    classes = allowed.shape[1]
    right = np.where(said == truth, truth, -1)
    tables = [_one_hot(x, classes) for x in (right, truth, np.where(truth >= 0, said, -1))]

    def of(sums: Floats) -> Floats:
        right_of, true_of, said_of = np.split(sums, 3, axis=1)
        _, recall, f1 = class_scores(right_of, true_of, said_of)
        return np.hstack([ratio(right_of, said_of), recall, f1])

    names = [f"{score} {one}" for score in ("precision", "recall", "f1") for one in range(classes)]
    return Counted(tuple(names), np.hstack(tables), of)


def confusion(probabilities: NDArray[Any], allowed: Flags) -> NDArray[np.int64]:
    """Return int64 (C, C): plain rows by their class (row) and the answer (column)."""
    truth = truth_of(allowed)
    plain, classes = truth >= 0, allowed.shape[1]
    cells = truth[plain] * classes + answers(probabilities)[plain]
    table = np.bincount(cells, minlength=classes**2)
    return np.asarray(table.reshape(classes, classes), dtype=np.int64)


def within_top(probabilities: NDArray[Any], truth: Places, k: int) -> Flags:
    """Return whether the class of each row is among the `k` most probable, bool (N,).

    Of equally probable classes the first in the label space are taken, as `answers` does.
    """
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return np.asarray((order == truth[:, None]).any(axis=1), dtype=np.bool_)


def _first(values: NDArray[Any]) -> Places:
    """Return the column of the largest of each row; 0 where there are no columns."""
    if not values.shape[1]:
        return np.zeros(len(values), dtype=np.intp)
    return np.asarray(values.argmax(axis=1), dtype=np.intp)


def _one_hot(columns: Places, width: int) -> Floats:
    """Return float64 (N, `width`), 1 in the column of each row; nothing for -1."""
    table = np.zeros((len(columns), width))
    rows = np.flatnonzero(columns >= 0)
    table[rows, columns[rows]] = 1
    return table
