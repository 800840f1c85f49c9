from pathlib import Path

import numpy as np
import pytest

from classifier.data.labels import Head, LabelSpace, Targets
from classifier.data.sample import Sample
from classifier.errors import DataSetError
from classifier.evaluation.baselines import BASELINES, LINEAR, NEAREST, baseline_scores
from terminology.vocabulary import LabelVocabulary

# limb ─ hand, limb ─ foot, and trunk.
NAMES = ("limb", "trunk", "foot", "hand")
VOCABULARY = LabelVocabulary(NAMES, NAMES, ((), (), (0,), (0,)), "made up")
CLASSES = ("trunk", "foot", "hand")
SPACE = LabelSpace(VOCABULARY, {Head.EXAMINED: CLASSES, Head.VIEW: ("one", "two")})


def pictures(classes, seed):
    """A bright square for each class in another corner, with noise."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (len(classes), 48, 48), dtype=np.uint8)
    for image, one in zip(images, classes, strict=True):
        row, column = divmod(int(one), 2)
        image[24 * row : 24 * row + 24, 24 * column : 24 * column + 24] += np.uint8(120)
    return images


def targets_of(classes):
    present = np.zeros((len(classes), len(NAMES)), dtype=bool)
    for row, one in enumerate(classes):
        column = VOCABULARY.columns[CLASSES[one]]
        present[row, list(VOCABULARY.closed([column]))] = True
    allowed = {
        Head.EXAMINED: np.eye(3, dtype=bool)[classes],
        Head.VIEW: np.zeros((len(classes), 2), dtype=bool),
    }
    return Targets(allowed, present, np.ones_like(present))


def samples(count):
    return [Sample(f"s/{at}", Path(f"{at}.png"), "s", f"s:{at // 2}") for at in range(count)]


def run(name, train, test, **changed):
    given = {
        "train_images": pictures(train, 0),
        "train_targets": targets_of(train),
        "test_images": pictures(test, 1),
        "test_targets": targets_of(test),
        "samples": samples(len(test)),
    } | changed
    return baseline_scores(name, SPACE, **given)


TRAIN = np.arange(60) % 3
TEST = np.arange(30) % 3


@pytest.mark.parametrize("name", list(BASELINES))
def test_what_pixels_tell_apart_is_learnt(name):
    scores = run(name, TRAIN, TEST)
    assert (scores.probabilities[Head.EXAMINED].argmax(axis=1) == TEST).all()
    visible = scores.probabilities[Head.VISIBLE]
    assert ((visible >= 0.5) == scores.targets.present).mean() > 0.98
    assert scores.keys[3] == "s/3"
    assert scores.groups[3] == "s:1"


@pytest.mark.parametrize("name", list(BASELINES))
def test_scores_are_probabilities_and_coherent(name):
    scores = run(name, TRAIN[:20], TEST)
    for head, values in scores.probabilities.items():
        assert values.dtype == np.float32
        assert values.shape == (30, len(SPACE.columns(head)))
        assert ((values >= 0) & (values <= 1)).all()
        if head is not Head.VISIBLE:
            assert values.sum(axis=1) == pytest.approx(np.ones(30), abs=1e-5)
    visible, examined = (scores.probabilities[h] for h in (Head.VISIBLE, Head.EXAMINED))
    assert (visible[:, [0, 0]] >= visible[:, [2, 3]]).all()
    assert (visible[:, [1, 2, 3]] >= examined).all()


@pytest.mark.parametrize("name", list(BASELINES))
def test_a_coarse_row_teaches_nothing_of_the_examined_part(name):
    plain = run(name, TRAIN, TEST).probabilities[Head.EXAMINED]
    images = np.concatenate([pictures(TRAIN, 0), pictures(TRAIN, 0)])
    targets = targets_of(np.concatenate([TRAIN, TRAIN]))
    targets.allowed[Head.EXAMINED][60:] = [False, True, True]
    twice = run(name, TRAIN, TEST, train_images=images, train_targets=targets)
    assert twice.probabilities[Head.EXAMINED] == pytest.approx(plain, abs=1e-3)


@pytest.mark.parametrize("name", list(BASELINES))
def test_a_head_without_labels_gives_all_classes_the_same(name):
    assert (run(name, TRAIN, TEST).probabilities[Head.VIEW] == 0.5).all()


@pytest.mark.parametrize("name", list(BASELINES))
def test_a_class_that_alone_was_seen_is_the_answer_and_an_unknown_label_is_none(name):
    train = targets_of(np.zeros(60, dtype=int))
    train.known[:, 2:] = False
    train.present[:, 2:] = False
    scores = run(name, TRAIN, TEST, train_targets=train)
    assert scores.probabilities[Head.EXAMINED] == pytest.approx(np.tile([1, 0, 0], (30, 1)))
    assert scores.probabilities[Head.VISIBLE] == pytest.approx(np.tile([0, 1, 0, 0], (30, 1)))


def test_a_label_is_learnt_from_the_rows_where_it_is_known():
    # Most of the training rows do not know whether a hand is there, and say nothing of it.
    train = targets_of(TRAIN)
    train.known[:48, 3] = False
    train.present[:48, 3] = False
    train.allowed[Head.EXAMINED][:] = False
    for name in (LINEAR, NEAREST):
        visible = run(name, TRAIN, TEST, train_targets=train).probabilities[Head.VISIBLE]
        assert ((visible[:, 3] >= 0.5) == (TEST == 2)).all()


def test_the_same_seed_gives_the_same_scores():
    one, two = (run(LINEAR, TRAIN, TEST).probabilities for _ in range(2))
    assert all((one[head] == two[head]).all() for head in one)


@pytest.mark.parametrize("name", list(BASELINES))
def test_flat_images_and_no_test_images_are_no_trouble(name):
    flat = run(name, TRAIN, TEST, train_images=np.zeros((60, 48, 48), dtype=np.uint8))
    assert all(np.isfinite(values).all() for values in flat.probabilities.values())
    nothing = run(name, TRAIN, TEST[:0], test_images=np.zeros((0, 48, 48), dtype=np.uint8))
    assert all(len(values) == 0 for values in nothing.probabilities.values())


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("oracle", {}, "'oracle'.*linear, nearest-neighbour"),
        (LINEAR, {"train_images": np.zeros((0, 8, 8), dtype=np.uint8)}, "no training image"),
        (LINEAR, {"samples": samples(3)}, "3 samples"),
    ],
)
def test_what_does_not_fit_is_refused(name, changed, message):
    with pytest.raises(DataSetError, match=message):
        run(name, TRAIN, TEST, **changed)
