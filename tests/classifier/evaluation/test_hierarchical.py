import numpy as np
import pytest

from classifier.evaluation.hierarchical import (
    Closeness,
    LcaMeasure,
    augmented,
    hierarchical,
    reasonable,
    relations,
)
from terminology.vocabulary import LabelVocabulary

# trunk ─┬ chest ──┬ heart         limb ─ hand ─ finger
#        └ abdomen ┴ (chest and abdomen hold "both")
NAMES = ("limb", "trunk", "abdomen", "chest", "hand", "both", "finger", "heart")
PARENTS = ((), (), (1,), (1,), (0,), (2, 3), (4,), (3,))
AT = {name: column for column, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def vocabulary():
    return LabelVocabulary(NAMES, NAMES, PARENTS, "made up")


def sets(*rows):
    found = np.zeros((len(rows), len(NAMES)), dtype=bool)
    for row, names in enumerate(rows):
        found[row, [AT[name] for name in names.split()]] = True
    return found


def scores(truth, answer, vocabulary):
    return hierarchical(sets(*truth), sets(*answer), vocabulary).values()


def test_a_set_is_augmented_by_all_that_lies_above(vocabulary):
    assert (augmented(sets("both"), vocabulary) == sets("both abdomen chest trunk")).all()
    assert (augmented(sets(""), vocabulary) == sets("")).all()


@pytest.mark.parametrize(
    ("truth", "answer", "precision", "recall", "f"),
    [
        ("finger", "finger", 1, 1, 1),
        ("finger", "hand", 1, 2 / 3, 4 / 5),
        ("hand", "finger", 2 / 3, 1, 4 / 5),
        ("heart", "abdomen", 1 / 2, 1 / 3, 2 / 5),
        ("both", "heart", 2 / 3, 2 / 4, 4 / 7),
        ("finger", "heart", 0, 0, 0),
        ("finger heart", "hand", 1, 2 / 6, 4 / 8),
        ("", "", 1, 1, 1),
        ("", "hand", 0, None, 0),
        ("hand", "", None, 0, 0),
    ],
)
def test_one_image_by_hand(truth, answer, precision, recall, f, vocabulary):
    found = scores([truth], [answer], vocabulary)
    for kind in ("", "_macro"):
        for name, expected in (("hP", precision), ("hR", recall), ("hF", f)):
            value = found[name + kind]
            if expected is None:
                assert np.isnan(value), name + kind
            else:
                assert value == pytest.approx(expected), name + kind


def test_micro_adds_sets_up_and_macro_averages_images(vocabulary):
    # |T∩P|, |P|, |T|: 2, 2, 3 and 0, 3, 2 and 0, 0, 1.
    found = scores(["finger", "hand", "limb"], ["hand", "heart", ""], vocabulary)
    assert found["hP"] == pytest.approx(2 / 5)
    assert found["hR"] == pytest.approx(2 / 6)
    assert found["hF"] == pytest.approx(2 * 2 / 11)
    assert found["hP_macro"] == pytest.approx((1 + 0) / 2)
    assert found["hR_macro"] == pytest.approx((2 / 3 + 0 + 0) / 3)
    assert found["hF_macro"] == pytest.approx((4 / 5 + 0 + 0) / 3)


def test_the_micro_f_is_the_harmonic_mean_and_the_macro_f_is_not(vocabulary):
    found = scores(["finger", "hand"], ["limb", "hand"], vocabulary)
    precision, recall = found["hP"], found["hR"]
    assert found["hF"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert found["hF_macro"] == pytest.approx((2 * 1 / 4 + 1) / 2)


def test_images_with_nothing_to_find_and_nothing_found_are_right(vocabulary):
    found = scores(["", ""], ["", ""], vocabulary)
    assert set(found.values()) == {1.0}


def test_what_is_not_known_counts_neither_for_nor_against(vocabulary):
    # Whether the limb is there is unknown: the finger answered in vain is wrong by itself and the
    # hand, not by the limb.
    known = ~sets("limb")
    found = hierarchical(sets("heart"), sets("finger heart"), vocabulary, known).values()
    assert found["hP"] == pytest.approx(3 / 5)
    assert found["hR"] == 1


def test_no_images_have_no_scores(vocabulary):
    found = hierarchical(sets(), sets(), vocabulary).values()
    assert all(np.isnan(value) for value in found.values())


def test_random_sets_agree_with_a_naive_count(vocabulary):
    rng = np.random.default_rng(0)
    truth, answer = rng.random((2, 60, len(NAMES))) < 0.2
    shared = true = said = 0
    macro = []
    for t, p in zip(truth, answer, strict=True):
        t_up = vocabulary.closed(np.flatnonzero(t).tolist())
        p_up = vocabulary.closed(np.flatnonzero(p).tolist())
        shared, true, said = shared + len(t_up & p_up), true + len(t_up), said + len(p_up)
        both = len(t_up) + len(p_up)
        macro.append(2 * len(t_up & p_up) / both if both else 1.0)
    found = hierarchical(truth, answer, vocabulary).values()
    assert found["hP"] == pytest.approx(shared / said)
    assert found["hR"] == pytest.approx(shared / true)
    assert found["hF_macro"] == pytest.approx(np.mean(macro))


@pytest.mark.parametrize(
    ("truth", "answer", "precision", "recall"),
    [
        ("finger", "finger", 1, 1),
        # hand lies above finger: {hand, finger} and {hand}.
        ("finger", "hand", 1, 1 / 2),
        ("hand", "finger", 1 / 2, 1),
        # Joined by chest: {heart, chest} and {both, chest}.
        ("heart", "both", 1 / 2, 1 / 2),
        # Joined by trunk: {heart, chest, trunk} and {abdomen, trunk}.
        ("heart", "abdomen", 1 / 2, 1 / 3),
        # Joined by the root: {finger, hand, limb, root} and {heart, chest, trunk, root}.
        ("finger", "heart", 1 / 4, 1 / 4),
        ("limb", "trunk", 1 / 2, 1 / 2),
        # finger by hand; heart by chest: {finger, hand, heart, chest} and {hand, chest}.
        ("finger heart", "hand chest", 1, 1 / 2),
        # One answer too few: heart is joined to finger by the root, which both sets then have:
        # {finger, heart, chest, trunk, root} and {finger, root}.
        ("finger heart", "finger", 1, 2 / 5),
        # What is implied adds nothing: the most specific members are compared.
        ("finger hand limb", "hand limb", 1, 1 / 2),
        ("", "", 1, 1),
        ("", "hand", 0, None),
        ("hand", "", None, 0),
    ],
)
def test_lowest_common_ancestors_by_hand(truth, answer, precision, recall, vocabulary):
    pair = [np.flatnonzero(sets(names)[0]).tolist() for names in (truth, answer)]
    found = LcaMeasure(vocabulary).scores(*pair)
    expected = [None if one is None else pytest.approx(one) for one in (precision, recall)]
    assert [found.precision, found.recall] == expected
    if precision and recall:
        assert found.f == pytest.approx(2 * precision * recall / (precision + recall))


def test_for_single_labels_the_measure_counts_the_steps_between_them(vocabulary):
    measure = LcaMeasure(vocabulary)
    up = [{column: 0} for column in range(len(NAMES))]
    for column, parents in enumerate(PARENTS):
        for parent in parents or (None,):
            above = up[parent] if parent is not None else {}
            for ancestor, steps in {**above, **({None: 0} if parent is None else {})}.items():
                up[column][ancestor] = min(up[column].get(ancestor, 99), steps + 1)
    for one in range(len(NAMES)):
        for two in range(len(NAMES)):
            steps = min(up[one][a] + up[two][a] for a in up[one].keys() & up[two].keys())
            assert measure.scores([one], [two]).f == pytest.approx(2 / (steps + 2))


@pytest.mark.parametrize(
    ("truth", "answer", "expected"),
    [
        ("hand", "hand", Closeness.EXACT),
        ("finger", "limb", Closeness.LINE),
        ("limb", "finger", Closeness.LINE),
        ("chest", "abdomen", Closeness.NEIGHBOUR),
        ("both", "heart", Closeness.NEIGHBOUR),
        ("heart", "abdomen", Closeness.WRONG),
        ("limb", "trunk", Closeness.WRONG),
    ],
)
def test_how_an_answer_stands_to_the_truth(truth, answer, expected, vocabulary):
    pair = np.array([AT[truth]]), np.array([AT[answer]])
    assert relations(*pair, vocabulary) == (expected,)


def test_the_four_shares_add_up_to_one(vocabulary):
    rng = np.random.default_rng(1)
    found = reasonable(*rng.integers(0, len(NAMES), (2, 200)), vocabulary).values()
    assert list(found) == list(Closeness)
    assert sum(found.values()) == pytest.approx(1)
    assert min(found.values()) > 0
