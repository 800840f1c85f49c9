import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from classifier.evaluation.calibration import (
    binary_brier,
    binary_nll,
    brier_rows,
    ece,
    equal_mass,
    nll_rows,
    reliability,
)


def naive_ece(confidence, right, bins):
    order = np.argsort(confidence)
    total = 0.0
    for part in np.array_split(order, bins):
        total += len(part) / len(order) * abs(confidence[part].mean() - right[part].mean())
    return total


def test_the_error_of_a_worked_table():
    # Two bins: (0.6, 0.7) with half right, (0.8, 1.0) with all right.
    confidence, right = np.array([0.6, 0.7, 0.8, 1.0]), np.array([True, False, True, True])
    assert ece(confidence, right, bins=2) == pytest.approx(0.5 * 0.15 + 0.5 * 0.1)
    first, second = reliability(confidence, right, bins=2)
    assert (first.low, first.high, first.count, first.accuracy) == (0.6, 0.7, 2, 0.5)
    assert (second.confidence, second.accuracy) == (pytest.approx(0.9), 1.0)


@pytest.mark.parametrize("bins", [1, 5, 15])
def test_bins_hold_equally_many(bins):
    rng = np.random.default_rng(0)
    confidence, right = rng.random(15 * 20), rng.random(15 * 20) < 0.7
    assert np.bincount(equal_mass(confidence, bins)).tolist() == [300 // bins] * bins
    assert ece(confidence, right, bins) == pytest.approx(naive_ece(confidence, right, bins))


def test_equal_confidences_stay_together_whatever_their_order():
    confidence = np.full(40, 0.7)
    right = np.arange(40) < 28
    assert ece(confidence, right) == pytest.approx(0.0)
    assert ece(confidence, right[::-1]) == pytest.approx(0.0)
    assert len(reliability(confidence, right)) == 1


def test_confidence_that_is_the_share_of_right_answers_has_no_error():
    confidence = np.repeat([0.25, 0.5, 0.75], 4)
    right = np.array([1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0], dtype=bool)
    assert ece(confidence, right, bins=3) == pytest.approx(0)


def test_brier_and_nll_agree_with_scikit_learn():
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(4), size=50)
    truth = rng.integers(0, 4, 50)
    assert nll_rows(p, truth).mean() == pytest.approx(log_loss(truth, p, labels=range(4)))
    one_hot = np.eye(4)[truth]
    assert brier_rows(p, truth).mean() == pytest.approx(((p - one_hot) ** 2).sum(axis=1).mean())
    there, q = rng.random(50) < 0.4, rng.random(50)
    assert binary_brier(q, there).mean() == pytest.approx(brier_score_loss(there, q))
    assert binary_nll(q, there).mean() == pytest.approx(log_loss(there, q))


def test_a_certain_mistake_costs_much_and_not_infinitely_much():
    (cost,) = nll_rows(np.array([[1.0, 0.0]]), np.array([1]))
    assert cost == pytest.approx(-np.log(np.finfo(np.float32).eps))
    assert np.isfinite(binary_nll(np.array([1.0, 0.0]), np.array([False, True]))).all()


def test_no_rows_have_no_error_and_no_bins():
    nothing, none = np.zeros(0), np.zeros(0, dtype=bool)
    assert np.isnan(ece(nothing, none))
    assert reliability(nothing, none) == ()
