import itertools

import numpy as np
import pytest

from classifier.evaluation.selective import (
    aurc,
    risk_coverage,
    selective,
    threshold_at_coverage,
    threshold_at_risk,
)


def accuracy_at_coverage(confidence, right, coverage):
    threshold = threshold_at_coverage(risk_coverage(confidence, right), coverage)
    return right[confidence >= threshold].mean()


def coverage_at_risk(confidence, right, risk):
    threshold = threshold_at_risk(risk_coverage(confidence, right), risk)
    return 0.0 if threshold is None else (confidence >= threshold).mean()


CONFIDENCE = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
RIGHT = np.array([True, True, False, True, False])


def test_the_curve_of_a_worked_table():
    curve = risk_coverage(CONFIDENCE, RIGHT)
    assert curve.threshold.tolist() == [0.9, 0.8, 0.7, 0.6, 0.5]
    assert curve.coverage == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert curve.risk == pytest.approx([0, 0, 1 / 3, 1 / 4, 2 / 5])
    assert aurc(CONFIDENCE, RIGHT) == pytest.approx([np.mean([0, 0, 1 / 3, 1 / 4, 2 / 5])])


@pytest.mark.parametrize(
    ("coverage", "accuracy"), [(0.2, 1), (0.4, 1), (0.5, 2 / 3), (0.8, 3 / 4), (1.0, 3 / 5)]
)
def test_accuracy_at_coverage(coverage, accuracy):
    assert accuracy_at_coverage(CONFIDENCE, RIGHT, coverage) == pytest.approx(accuracy)


@pytest.mark.parametrize(("risk", "coverage"), [(0.0, 0.4), (0.25, 0.8), (0.3, 0.8), (0.4, 1.0)])
def test_coverage_at_risk_takes_the_largest_share_that_keeps_it(risk, coverage):
    assert coverage_at_risk(CONFIDENCE, RIGHT, risk) == pytest.approx(coverage)


def test_no_coverage_where_even_the_surest_answers_are_wrong():
    assert coverage_at_risk(np.array([0.9, 0.8]), np.array([False, False]), 0.05) == 0


def test_equal_confidences_are_answered_together():
    confidence, right = np.array([0.9, 0.5, 0.5, 0.5]), np.array([True, True, False, False])
    assert accuracy_at_coverage(confidence, right, 0.5) == 0.5
    assert coverage_at_risk(confidence, right, 0.34) == 0.25


def test_area_with_ties_is_the_mean_over_their_orders():
    confidence = np.array([0.9, 0.5, 0.5, 0.5, 0.2])
    right = np.array([False, True, False, True, False])
    areas = []
    for order in itertools.permutations([1, 2, 3]):
        wrong = ~right[[0, *order, 4]]
        areas.append(np.mean(np.cumsum(wrong) / np.arange(1, 6)))
    assert aurc(confidence, right) == pytest.approx([np.mean(areas)])


def test_constant_confidence_has_the_area_of_the_error_rate():
    right = np.random.default_rng(3).random(500) < 0.83
    assert aurc(np.full(500, 0.4), right) == pytest.approx([1 - right.mean()])


def test_a_row_drawn_twice_counts_as_two_rows():
    rng = np.random.default_rng(4)
    confidence, right = rng.integers(0, 12, 60) / 12, rng.random(60) < 0.6
    drawn = rng.integers(0, 60, 60)
    weights = np.bincount(drawn, minlength=60)[None].astype(float)
    assert aurc(confidence, right, weights) == pytest.approx(aurc(confidence[drawn], right[drawn]))


def test_the_scores_are_those_at_the_thresholds_of_all_rows():
    rng = np.random.default_rng(6)
    confidence = rng.integers(0, 40, 200) / 40
    right = rng.random(200) < confidence + 0.3
    found = selective(confidence, right).values()
    for share in (0.5, 0.8, 0.9, 0.95):
        expected = accuracy_at_coverage(confidence, right, share)
        assert found[f"accuracy_at_coverage_{share}"] == pytest.approx(expected)
    for risk in (0.01, 0.02, 0.05, 0.1):
        expected = coverage_at_risk(confidence, right, risk)
        assert found[f"coverage_at_risk_{risk}"] == pytest.approx(expected)
    assert selective(confidence, ~right | right).values()["coverage_at_risk_0.01"] == 1
    assert selective(confidence, ~right & right).values()["coverage_at_risk_0.1"] == 0


def test_no_rows_have_no_figures():
    nothing, none = np.zeros(0), np.zeros(0, dtype=bool)
    assert np.isnan(aurc(nothing, none)).all()
    assert all(np.isnan(value) for value in selective(nothing, none).values().values())
