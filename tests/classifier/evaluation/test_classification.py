import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from classifier.evaluation.classification import (
    classification,
    confusion,
    per_class,
    truth_of,
    within_top,
)


def one_hot(columns, width):
    return np.eye(width, dtype=bool)[columns]


# Truths a a b b c, answers a b b b a; then a coarse row (b or c, answered c) and an unknown one.
TABLE = np.array(
    [
        [0.8, 0.1, 0.1],
        [0.3, 0.4, 0.3],
        [0.1, 0.7, 0.2],
        [0.2, 0.6, 0.2],
        [0.5, 0.3, 0.2],
        [0.1, 0.3, 0.6],
        [0.0, 0.0, 1.0],
    ]
)
ALLOWED = np.vstack(
    [one_hot([0, 0, 1, 1, 2], 3), np.array([[False, True, True], [False, False, False]])]
)


def test_truth_is_the_one_class_that_the_label_leaves():
    assert truth_of(ALLOWED).tolist() == [0, 0, 1, 1, 2, -1, -1]


def test_a_worked_table():
    found = classification(TABLE, ALLOWED, top=(2, 3)).values()
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["compatible_accuracy"] == pytest.approx(4 / 6)
    assert found["macro_precision"] == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)
    assert found["macro_recall"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert found["macro_f1"] == pytest.approx((1 / 2 + 4 / 5 + 0) / 3)
    assert found["top_3"] == 1
    # c is last in the fifth row; in the second, a is before c.
    assert found["top_2"] == pytest.approx(4 / 5)
    assert confusion(TABLE, ALLOWED).tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 0]]


def test_every_class_has_its_own_figures():
    found = per_class(TABLE, ALLOWED).values()
    assert found["precision 0"] == pytest.approx(1 / 2)
    assert found["recall 1"] == 1
    # The third is never answered: its precision is undefined, its recall 0.
    assert np.isnan(found["precision 2"])
    assert found["recall 2"] == found["f1 2"] == 0


def test_random_rows_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    classes = 7
    truth = rng.integers(0, classes - 1, 300)  # the last class has no rows
    p = rng.dirichlet(np.ones(classes), 300)
    p[np.arange(300), truth] += 0.3
    p /= p.sum(axis=1, keepdims=True)
    found = classification(p, one_hot(truth, classes)).values()
    said = p.argmax(axis=1)
    shown = {"labels": range(classes - 1), "average": "macro", "zero_division": 0}
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(truth, said),
        "macro_precision": sklearn_metrics.precision_score(truth, said, **shown),
        "macro_recall": sklearn_metrics.recall_score(truth, said, **shown),
        "macro_f1": sklearn_metrics.f1_score(truth, said, **shown),
        "nll": sklearn_metrics.log_loss(truth, p, labels=range(classes)),
        "top_3": sklearn_metrics.top_k_accuracy_score(truth, p, k=3, labels=range(classes)),
        "top_5": sklearn_metrics.top_k_accuracy_score(truth, p, k=5, labels=range(classes)),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    table = sklearn_metrics.confusion_matrix(truth, said, labels=range(classes))
    assert (confusion(p, one_hot(truth, classes)) == table).all()
    # One answer and one truth a row: the micro F1 is the accuracy.
    micro = sklearn_metrics.f1_score(truth, said, average="micro")
    assert found["accuracy"] == pytest.approx(micro)


def test_macro_f1_is_never_above_the_mean_of_macro_precision_and_recall():
    rng = np.random.default_rng(2)
    for _ in range(200):
        truth = rng.integers(0, 4, 12)
        found = classification(rng.dirichlet(np.ones(4), 12), one_hot(truth, 4)).values()
        assert found["macro_f1"] <= (found["macro_precision"] + found["macro_recall"]) / 2 + 1e-9


def test_the_first_of_equally_probable_classes_is_the_answer_and_the_top():
    p = np.full((2, 4), 0.25)
    assert within_top(p, np.array([0, 1]), 1).tolist() == [True, False]
    assert within_top(p, np.array([0, 1]), 2).tolist() == [True, True]
    assert classification(p, one_hot([0, 1], 4)).values()["accuracy"] == 0.5


@pytest.mark.parametrize("rows", [0, 4])
def test_nothing_known_defines_nothing(rows):
    p, allowed = np.full((rows, 3), 1 / 3), np.zeros((rows, 3), dtype=bool)
    assert all(np.isnan(one) for one in classification(p, allowed).values().values())
    assert all(np.isnan(one) for one in per_class(p, allowed).values().values())
    assert confusion(p, allowed).sum() == 0


def test_coarse_rows_alone_define_the_compatible_accuracy_alone():
    allowed = np.array([[True, True, False]])
    found = classification(np.array([[0.1, 0.8, 0.1]]), allowed).values()
    assert found["compatible_accuracy"] == 1
    assert np.isnan(found["accuracy"])


def test_one_class_is_always_right():
    found = classification(np.ones((5, 1)), np.ones((5, 1), dtype=bool)).values()
    assert found["accuracy"] == found["macro_f1"] == found["top_5"] == 1
    assert found["nll"] == found["brier"] == found["ece"] == 0
