import warnings

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from classifier.evaluation.multilabel import (
    answered,
    average_precision,
    average_precisions,
    confusion,
    multilabel,
    per_label,
    violations,
)
from terminology.vocabulary import LabelVocabulary

# Three labels; the third of the second image is unknown, and nothing is known of the last.
P = np.array([[0.9, 0.6, 0.1], [0.8, 0.2, 0.9], [0.4, 0.7, 0.3], [0.9, 0.9, 0.9]])
KNOWN = np.array([[1, 1, 1], [1, 1, 0], [1, 1, 1], [0, 0, 0]], dtype=bool)
PRESENT = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=bool)


def random_cells(seed=0, rows=200, labels=6):
    rng = np.random.default_rng(seed)
    present = rng.random((rows, labels)) < 0.3
    probabilities = np.clip(present * 0.3 + rng.random((rows, labels)) * 0.7, 0, 1)
    known = rng.random((rows, labels)) < 0.8
    return probabilities, present & known, known


def test_a_worked_table():
    found = multilabel(P, PRESENT, KNOWN).values()
    # Answered: 1 1 0 | 1 0 - | 0 1 0; there: 1 0 0 | 1 0 - | 1 1 0.
    assert found["micro_precision"] == pytest.approx(3 / 4)
    assert found["micro_recall"] == pytest.approx(3 / 4)
    assert found["micro_f1"] == pytest.approx(3 / 4)
    # The third label has no positive: it is not in the means.
    assert found["macro_precision"] == pytest.approx((1 + 1 / 2) / 2)
    assert found["macro_recall"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["macro_f1"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert found["hamming_loss"] == pytest.approx(2 / 8)
    assert found["subset_accuracy"] == pytest.approx(1 / 3)


def test_nothing_predicted_has_a_small_hamming_loss_and_no_recall():
    found = multilabel(np.zeros_like(P), PRESENT, KNOWN).values()
    assert found["hamming_loss"] == pytest.approx(4 / 8)
    assert found["micro_recall"] == 0
    assert np.isnan(found["micro_precision"])
    assert found["macro_precision"] == 0


def test_unknown_cells_change_nothing():
    probabilities, present, known = random_cells()
    other = np.where(known, probabilities, 1 - probabilities)
    one, two = (multilabel(p, present, known).values() for p in (probabilities, other))
    assert one == pytest.approx(two)
    assert confusion(answered(probabilities, known), present).tolist() == (
        confusion(answered(other, known), present).tolist()
    )


def test_random_cells_agree_with_scikit_learn():
    probabilities, present, known = random_cells()
    said = probabilities >= 0.5
    found = multilabel(probabilities, present, known).values()
    flat_truth, flat_said = present[known], said[known]
    micro = sklearn_metrics.precision_recall_fscore_support(flat_truth, flat_said, average="binary")
    names = ("micro_precision", "micro_recall", "micro_f1")
    assert [found[name] for name in names] == pytest.approx(micro[:3])
    columns = [
        sklearn_metrics.precision_recall_fscore_support(
            present[known[:, at], at], said[known[:, at], at], average="binary"
        )[:3]
        for at in range(6)
    ]
    names = ("macro_precision", "macro_recall", "macro_f1")
    assert [found[name] for name in names] == pytest.approx(np.mean(columns, axis=0))
    assert found["hamming_loss"] == pytest.approx(
        sklearn_metrics.hamming_loss(flat_truth, flat_said)
    )
    assert found["brier"] == pytest.approx(
        sklearn_metrics.brier_score_loss(flat_truth, probabilities[known])
    )
    assert found["nll"] == pytest.approx(sklearn_metrics.log_loss(flat_truth, probabilities[known]))
    whole = np.ones_like(known)
    exact = multilabel(probabilities, present, whole).values()["subset_accuracy"]
    assert exact == pytest.approx(sklearn_metrics.accuracy_score(present, said))


def test_average_precision_agrees_with_scikit_learn_where_scores_tie():
    probabilities, present, known = random_cells(1)
    probabilities = np.round(probabilities, 1)
    present[:, 5] = False
    found = average_precisions(probabilities, present, known)[0]
    for label in range(5):
        at = known[:, label]
        expected = sklearn_metrics.average_precision_score(
            present[at, label], probabilities[at, label]
        )
        assert found[label] == pytest.approx(expected)
    assert np.isnan(found[5])


def test_average_precision_of_rows_drawn_twice():
    rng = np.random.default_rng(7)
    probabilities, present = np.round(rng.random(50), 1), rng.random(50) < 0.3
    drawn = rng.integers(0, 50, (4, 50))
    weights = np.array([np.bincount(one, minlength=50) for one in drawn], dtype=float)
    found = average_precision(probabilities, present, weights)
    for row, one in enumerate(drawn):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = sklearn_metrics.average_precision_score(present[one], probabilities[one])
        assert found[row] == pytest.approx(expected)


def test_constant_scores_have_the_prevalence_as_average_precision():
    present = np.arange(20) < 6
    assert average_precision(np.full(20, 0.3), present) == pytest.approx([0.3])


def test_every_label_has_its_own_figures():
    found = per_label(P, PRESENT, KNOWN).values()
    assert (found["precision 0"], found["recall 0"]) == (1, pytest.approx(2 / 3))
    assert np.isnan(found["precision 2"])
    assert np.isnan(found["recall 2"])


def test_a_higher_threshold_answers_less():
    found = multilabel(P, PRESENT, KNOWN, threshold=0.75).values()
    assert found["micro_precision"] == 1
    assert found["micro_recall"] == pytest.approx(2 / 4)


@pytest.mark.parametrize("rows", [0, 3])
def test_nothing_known_defines_nothing(rows):
    p, nothing = np.full((rows, 4), 0.9), np.zeros((rows, 4), dtype=bool)
    assert all(np.isnan(one) for one in multilabel(p, nothing, nothing).values().values())
    assert np.isnan(average_precisions(p, nothing, nothing)).all()


def test_a_part_above_its_region_is_a_violation():
    vocabulary = LabelVocabulary("abc", "abc", ((), (0,), (1,)), "made up")
    visible = np.array([[0.9, 0.5, 0.5], [0.9, 0.4, 0.5], [0.3, 0.9, 0.1]])
    found = violations(visible, vocabulary)
    assert (found.count, found.above_parent, found.below_examined) == (3, 2, 0)
    examined, columns = np.array([[0.5], [0.5], [0.2]]), np.array([2])
    assert violations(visible, vocabulary, examined, columns).below_examined == 1


@pytest.mark.parametrize(
    ("true", "said", "cells"),
    [
        # (row, column): count; 3 is "no true label" or "no predicted label".
        ("ab", "ab", {(0, 0): 1, (1, 1): 1}),
        ("ab", "a", {(0, 0): 1, (1, 3): 1}),
        ("ab", "", {(0, 3): 1, (1, 3): 1}),
        ("ab", "abc", {(0, 0): 1, (1, 1): 1, (0, 2): 1, (1, 2): 1}),
        ("ab", "ac", {(0, 0): 1, (1, 2): 1}),
        ("a", "bc", {(0, 1): 1, (0, 2): 1}),
        ("", "bc", {(3, 1): 1, (3, 2): 1}),
        ("", "", {(3, 3): 1}),
    ],
)
def test_the_multi_label_confusion_matrix_of_one_image(true, said, cells):
    flags = [np.array([[one in names for one in "abc"]]) for names in (said, true)]
    table = confusion(*flags)
    found = {tuple(at): table[tuple(at)] for at in np.argwhere(table)}
    assert found == cells


def test_the_multi_label_confusion_matrix_adds_up_over_images():
    rng = np.random.default_rng(3)
    said, true = rng.random((2, 80, 5)) < 0.3
    each = sum(confusion(said[row : row + 1], true[row : row + 1]) for row in range(80))
    assert (confusion(said, true) == each).all()


def test_with_one_label_an_image_it_is_the_ordinary_confusion_matrix():
    rng = np.random.default_rng(4)
    true, said = rng.integers(0, 4, (2, 60))
    table = confusion(np.eye(4, dtype=bool)[said], np.eye(4, dtype=bool)[true])
    assert (table[:-1, :-1] == sklearn_metrics.confusion_matrix(true, said)).all()
    assert table[-1].sum() == table[:, -1].sum() == 0
