import numpy as np
import pytest
from scipy.special import expit, softmax

from classifier.calibration.conformal import least_probability
from classifier.calibration.scaling import Platt, fit_platt, fit_temperature, scaled
from classifier.calibration.thresholds import upper_bound
from classifier.evaluation.calibration import ece

CODES = ("1", "2", "3")


def drawn_classes(count: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities that are off by `temperature`, and what is allowed."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(count, 5)) * 2
    truth = [rng.choice(5, p=row) for row in softmax(logits, axis=1)]
    return softmax(logits * temperature, axis=1).astype(np.float32), np.eye(5, dtype=bool)[truth]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_too_little_and_too_much_confidence(temperature: float):
    p, allowed = drawn_classes(4000, temperature)
    found = fit_temperature(p, allowed)
    assert found == pytest.approx(temperature, rel=0.08)
    after = scaled(p, found)
    assert after.sum(axis=1) == pytest.approx(1)
    assert (after.argmax(axis=1) == p.argmax(axis=1)).all()
    right = allowed[np.arange(len(p)), p.argmax(axis=1)]
    assert ece(after.max(axis=1), right) < 0.03


def test_a_coarse_label_counts_by_the_sum_of_what_it_allows():
    p, allowed = drawn_classes(4000, 3.0)
    coarse = allowed.copy()
    coarse[::2] |= np.roll(coarse[::2], 1, axis=1)
    coarse[1::10] = False
    coarse[3::10] = True
    assert fit_temperature(p, coarse) == pytest.approx(3.0, rel=0.1)


def test_few_images_leave_the_temperature_at_one():
    p, allowed = drawn_classes(40, 3.0)
    assert fit_temperature(p, allowed) == 1.0


def test_probabilities_of_exactly_0_and_1_are_scaled():
    p = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]], dtype=np.float32)
    found = scaled(p, 2.0)
    assert np.isfinite(found).all()
    assert found[0, 0] > 0.99
    assert found[1, :2] == pytest.approx(0.5)


def test_platt_scaling_finds_the_slope_and_the_intercepts():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(4000, 3)) * 2 - 1
    shift = np.array([0.0, 1.0, -1.0])
    present = rng.random(logits.shape) < expit(0.5 * logits + shift)
    known = rng.random(logits.shape) < 0.8
    # The third label has few examples.
    known[np.flatnonzero(present[:, 2])[20:], 2] = False
    found = fit_platt(CODES, expit(logits), present & known, known)
    assert found.slope == pytest.approx(0.5, rel=0.1)
    assert set(found.own) == {"1", "2"}
    assert found.own["2"] - found.own["1"] == pytest.approx(1.0, abs=0.2)
    after = found.apply(CODES, expit(logits))
    both = known[:, :2]
    assert ece(after[:, :2][both], present[:, :2][both]) < 0.03


def test_labels_that_are_never_absent_say_nothing():
    present = np.ones((100, 3), dtype=bool)
    found = fit_platt(CODES, np.full((100, 3), 0.7), present, present)
    assert found == Platt()
    assert found.is_identity


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_prediction_sets_cover_new_patients(coverage: float):
    rng = np.random.default_rng(2)
    covered = []
    for seed in range(40):
        p, allowed = drawn_classes(600, 2.0, seed)
        groups = [str(one) for one in rng.integers(0, 150, 600)]
        own = [int(one) < 100 for one in groups]
        fitted, tested = np.flatnonzero(own), np.flatnonzero(~np.array(own))
        taken = [groups[at] for at in fitted]
        least = least_probability(p[fitted], allowed[fitted], taken, coverage)
        covered.append((p[tested][allowed[tested]] >= least).mean())
    assert coverage - 0.01 < np.mean(covered) < coverage + 0.04


def test_too_few_patients_leave_every_class_in_the_set():
    p, allowed = drawn_classes(100, 1.0)
    groups = [str(at % 5) for at in range(100)]
    assert least_probability(p, allowed, groups, 0.9) == 0.0
    assert least_probability(p, allowed & False, groups, 0.9) == 0.0


def test_the_bound_is_of_clopper_and_pearson_for_independent_images():
    wrong = np.zeros(100, dtype=bool)
    groups = [str(at) for at in range(100)]
    # 1 - 0.05 ** (1 / 100)
    assert upper_bound(wrong, groups) == pytest.approx(0.029513, abs=1e-5)
    wrong[:5] = True
    # Beta(0.95; 6, 95)
    assert upper_bound(wrong, groups) == pytest.approx(0.102256, abs=2e-3)


def test_images_of_one_patient_are_not_worth_as_many():
    wrong = np.zeros(100, dtype=bool)
    assert upper_bound(wrong, [str(at // 10) for at in range(100)]) == pytest.approx(
        1 - 0.05**0.1, abs=1e-6
    )
    wrong[:10] = True
    together = upper_bound(wrong, [str(at // 10) for at in range(100)])
    assert together > upper_bound(wrong, [str(at) for at in range(100)]) + 0.05
    assert upper_bound(wrong[:0], []) == 1.0
    assert upper_bound(np.ones(5, dtype=bool), list("abcde")) == 1.0
