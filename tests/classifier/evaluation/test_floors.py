import numpy as np
import pytest

from classifier.evaluation.classification import classification
from classifier.evaluation.floors import MAJORITY, NOTHING, PRIOR, many_labels, one_class
from classifier.evaluation.multilabel import average_precisions, multilabel

ALLOWED = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 0]], dtype=bool)


def test_the_majority_and_the_prior_come_from_the_plain_rows():
    found = one_class(ALLOWED)
    assert (found[MAJORITY] == [0, 1, 0]).all()
    assert found[PRIOR] == pytest.approx(np.tile([0.25, 0.5, 0.25], (6, 1)))


def test_the_accuracy_of_both_is_the_share_of_the_most_frequent_class():
    for probabilities in one_class(ALLOWED).values():
        assert classification(probabilities, ALLOWED).values()["accuracy"] == pytest.approx(0.5)


def test_the_prior_is_calibrated_and_costs_the_entropy():
    found = classification(one_class(ALLOWED)[PRIOR], ALLOWED).values()
    assert found["ece"] == pytest.approx(0)
    assert found["nll"] == pytest.approx(1.5 * np.log(2))


def test_the_first_of_equally_frequent_classes_is_the_majority():
    assert (one_class(np.eye(3, dtype=bool))[MAJORITY] == [1, 0, 0]).all()


def test_nothing_and_the_prior_of_the_visible_parts():
    known = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 0, 0]], dtype=bool)
    present = np.array([[1, 0, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)
    found = many_labels(present, known)
    assert not found[NOTHING].any()
    assert found[PRIOR] == pytest.approx(np.tile([0.75, 0.5, 1.0], (4, 1)))


def test_predicting_nothing_beats_the_label_wise_accuracy_that_was_printed():
    # 23,009 positives of 46 labels on 14,625 images: .966 for nothing, .936 in print.
    rng = np.random.default_rng(0)
    images, labels, positives = 1_462, 46, 2_301
    present = np.zeros(images * labels, dtype=bool)
    present[rng.choice(len(present), positives, replace=False)] = True
    present = present.reshape(images, labels)
    known = np.ones_like(present)
    found = multilabel(many_labels(present, known)[NOTHING], present, known).values()
    assert 1 - found["hamming_loss"] == pytest.approx(0.966, abs=5e-4)
    assert found["micro_recall"] == 0


def test_the_average_precision_of_the_prior_is_the_prevalence():
    rng = np.random.default_rng(1)
    present = rng.random((300, 4)) < 0.3
    known = np.ones_like(present)
    found = average_precisions(many_labels(present, known)[PRIOR], present, known)[0]
    assert found == pytest.approx(present.mean(axis=0))


def test_where_nothing_is_known_there_is_no_floor():
    assert one_class(np.zeros((3, 2), dtype=bool)) == {}
    assert many_labels(*np.zeros((2, 3, 2), dtype=bool)) == {}
