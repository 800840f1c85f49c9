"""What is won by answering only where the model is sure: risk and coverage.

Answers are taken from the most confident down (El-Yaniv & Wiener 2010; Geifman & El-Yaniv 2017).
`confidence` float (N,), `right` bool (N,). Only whole sets of equal confidence can be told apart
by a threshold: they are taken together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.evaluation.bootstrap import Counted, Flags, Floats, ratio, zero_for_nan

COVERAGES: Final = (0.5, 0.8, 0.9, 0.95)
RISKS: Final = (0.01, 0.02, 0.05, 0.1)


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """The thresholds that tell answers apart, from the strictest to the one that takes all.

    All float64 (B,): the least confidence that is answered, the share of rows that is answered,
    and the share of wrong answers among these.
    """

    threshold: Floats
    coverage: Floats
    risk: Floats


def risk_coverage(confidence: NDArray[Any], right: Flags) -> RiskCoverage:
    """Return the curve of every threshold that makes a difference; empty without rows."""
    values, place, count = np.unique(
        np.asarray(confidence, dtype=np.float64), return_inverse=True, return_counts=True
    )
    wrong = np.bincount(place.reshape(-1), weights=~right, minlength=len(values))
    answered = np.cumsum(count[::-1])
    return RiskCoverage(
        threshold=values[::-1],
        coverage=answered / max(len(confidence), 1),
        risk=np.cumsum(wrong[::-1]) / answered,
    )


def threshold_at_coverage(curve: RiskCoverage, coverage: float) -> float | None:
    """Return the strictest threshold that answers at least `coverage`; `None` without rows."""
    enough = np.flatnonzero(curve.coverage >= coverage - 1e-12)
    return float(curve.threshold[enough[0]]) if len(enough) else None


def threshold_at_risk(curve: RiskCoverage, risk: float) -> float | None:
    """Return the threshold that answers most with at most `risk`; `None` where none does."""
    kept = np.flatnonzero(curve.risk <= risk + 1e-12)
    return float(curve.threshold[kept[-1]]) if len(kept) else None


def selective(confidence: NDArray[Any], right: Flags) -> Counted:
    """Return accuracy at `COVERAGES` and coverage at `RISKS`, as functions of sums over rows.

    ``accuracy_at_coverage_0.8`` is the accuracy of the surest answers that make up 0.8 of the rows;
    ``coverage_at_risk_0.05`` the largest share that can be answered with at most 0.05 of it wrong,
    0 where none can. The thresholds are those of all rows: an interval says how what lies behind
    them varies.
    """
    curve = risk_coverage(confidence, right)
    thresholds = [threshold_at_coverage(curve, one) for one in COVERAGES]
    thresholds += [threshold_at_risk(curve, one) for one in RISKS]
    names = [f"accuracy_at_coverage_{one:g}" for one in COVERAGES]
    names += [f"coverage_at_risk_{one:g}" for one in RISKS]
    least = np.array([np.inf if one is None else one for one in thresholds])
    taken = np.asarray(confidence)[:, None] >= least
    first = len(COVERAGES)
    rows = np.column_stack([taken[:, :first] & right[:, None], taken, np.ones(len(right))])

    def of(sums: Floats) -> Floats:
        accuracy = ratio(sums[:, :first], sums[:, first : 2 * first])
        return np.column_stack([accuracy, ratio(sums[:, 2 * first : -1], sums[:, -1:])])

    return Counted(tuple(names), rows.astype(np.float64), of)


def aurc(confidence: NDArray[Any], right: Flags, weights: Floats | None = None) -> Floats:
    """Return the area under the risk-coverage curve, float64 (D,); 0 is best.

    The mean over k of the risk of the k surest answers (Geifman, Uziel & El-Yaniv 2019). Among
    equal confidences the order is arbitrary: the mean over all orders is taken, so that constant
    confidence gives exactly the error rate.

    Parameters
    ----------
    weights
        float64 (D, N), whole numbers: how often each row counts in each draw; by default once.
    """
    if weights is None:
        weights = np.ones((1, len(right)))
    if not len(right):
        return np.full(len(weights), np.nan)
    order = np.argsort(-np.asarray(confidence, dtype=np.float64), kind="stable")
    ordered = np.asarray(confidence)[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    drawn = np.add.reduceat(weights[:, order], starts, axis=1)
    wrong = np.add.reduceat(weights[:, order] * ~right[order], starts, axis=1)
    before = np.cumsum(drawn, axis=1) - drawn
    wrong_before = np.cumsum(wrong, axis=1) - wrong
    # Σ_{j=1..m} (W + j·r) / (K + j), with K rows and W wrong ones before a set of m of which the
    # share r is wrong: m·r + (W − r·K) · (H(K + m) − H(K)), H the harmonic numbers.
    total = drawn.sum(axis=1)
    harmonic = np.r_[0.0, np.cumsum(1 / np.arange(1, int(total.max(initial=0)) + 1))]
    share = zero_for_nan(ratio(wrong, drawn))
    steps = harmonic[(before + drawn).astype(np.intp)] - harmonic[before.astype(np.intp)]
    area = (wrong + (wrong_before - share * before) * steps).sum(axis=1)
    return ratio(area, total)
