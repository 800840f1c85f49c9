from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from classifier.data.labels import Head, LabelSpace, Targets
from classifier.data.sample import Sample
from classifier.data.splits import (
    Duplicates,
    Split,
    folds,
    holdout,
    label_balance,
    leave_one_source_out,
    load,
    own_parts,
    save,
    stratify,
)
from classifier.errors import DataSetError
from terminology.vocabulary import LabelVocabulary

from .samples import sample

CLASSES = ("85562004", "72696002", "816094009", "69536005")


def targets_of(classes: NDArray[np.intp]) -> Targets:
    """Return targets with one examined class a sample; -1 is unknown."""
    allowed = classes[:, None] == np.arange(len(CLASSES))[None, :]
    nothing = np.zeros((len(classes), 0), dtype=np.bool_)
    return Targets({Head.EXAMINED: allowed}, nothing, nothing)


def made(count: int = 300, per_patient: int = 3, seed: int = 0) -> tuple[list[Sample], Targets]:
    """Return samples of three sources; a patient has `per_patient` images of one class."""
    rng = np.random.default_rng(seed)
    patients = np.arange(count) // per_patient
    of_patient = rng.choice(len(CLASSES), size=count, p=[0.6, 0.25, 0.1, 0.05])
    classes = of_patient[patients]
    sources = np.array(["a", "b", "c"])[patients % 3]
    samples = [
        sample(number, source=str(source), group=f"{source}:{patient}")
        for number, (source, patient) in enumerate(zip(sources, patients, strict=True))
    ]
    return samples, targets_of(classes)


def groups_of(samples: list[Sample], rows: tuple[int, ...]) -> set[str]:
    return {samples[row].group for row in rows}


def assert_apart(samples: list[Sample], split: Split, near: NDArray[np.intp] | None = None) -> None:
    parts = [set(part) for part in split.parts().values()]
    for number, part in enumerate(parts):
        for other in parts[number + 1 :]:
            assert not part & other
            assert not groups_of(samples, tuple(part)) & groups_of(samples, tuple(other))
            if near is not None:
                assert not set(near[list(part)]) & set(near[list(other)])


def test_every_sample_is_tested_once_and_no_patient_is_in_two_parts() -> None:
    samples, targets = made()

    found = folds(samples, targets, 5, 7)

    assert [split.name for split in found] == [f"fold-{number}" for number in range(1, 6)]
    assert sorted(row for split in found for row in split.test) == list(range(300))
    for split in found:
        assert_apart(samples, split)
        assert sum(map(len, split.parts().values())) == 300
        assert 20 <= len(split.validation) <= 30


def test_every_label_has_its_share_in_every_fold() -> None:
    samples, targets = made(900)
    truth = targets.truth(Head.EXAMINED)

    for split in folds(samples, targets, 5, 0):
        for label in range(len(CLASSES)):
            share = (truth[list(split.test)] == label).sum() / (truth == label).sum()
            assert 0.15 < share < 0.25
        assert len({samples[row].source for row in split.test}) == 3


def test_splits_are_the_same_for_the_same_seed_only() -> None:
    samples, targets = made()

    assert folds(samples, targets, 3, 1) == folds(samples, targets, 3, 1)
    assert folds(samples, targets, 3, 1) != folds(samples, targets, 3, 2)
    assert holdout(samples, targets, 1) == holdout(samples, targets, 1)


def test_a_holdout_has_the_shares_that_were_asked_for() -> None:
    samples, targets = made()

    split = holdout(samples, targets, 3, validation=0.2, test=0.3)

    assert_apart(samples, split)
    assert [round(len(part) / 300, 1) for part in split.parts().values()] == [0.5, 0.2, 0.3]
    assert holdout(samples, targets, 3, validation=0, test=0.3).validation == ()


def test_a_near_duplicate_of_a_tested_image_does_not_train() -> None:
    samples, targets = made(60, per_patient=1)
    near = np.arange(60)
    near[1::2] = near[::2]

    for split in folds(samples, targets, 3, 0, near=near):
        assert_apart(samples, split, near)
    assert sorted(row for s in folds(samples, targets, 3, 0, near=near) for row in s.test) == [
        *range(60)
    ]


def test_joined_near_duplicates_are_one_patient_and_none_is_left_out() -> None:
    samples, targets = made(60, per_patient=1)
    near = np.arange(60)
    near[1::2] = near[::2]

    for split in folds(samples, targets, 3, 0, near=near, duplicates=Duplicates.JOIN):
        assert_apart(samples, split, near)
        assert sum(map(len, split.parts().values())) == 60


def test_each_source_is_held_out_once() -> None:
    samples, targets = made()

    found = leave_one_source_out(samples, targets, 0)

    assert [split.name for split in found] == ["a", "b", "c"]
    for split in found:
        assert {samples[row].source for row in split.test} == {split.name}
        assert len(split.test) == sum(one.source == split.name for one in samples)
        assert_apart(samples, split)


def test_sources_that_share_a_patient_are_held_out_together() -> None:
    samples, targets = made()
    samples[0] = replace(samples[0], group="b:1")

    found = leave_one_source_out(samples, targets, 0)

    assert [split.name for split in found] == ["a+b", "c"]
    assert {samples[row].source for row in found[0].test} == {"a", "b"}


def test_a_small_source_is_never_held_out() -> None:
    samples, targets = made()
    few = [replace(one, source="d", group=f"d:{row}") for row, one in enumerate(samples[:3])]
    samples[:3] = few

    found = leave_one_source_out(samples, targets, 0, least=10)

    assert [split.name for split in found] == ["a", "b", "c"]
    assert all({0, 1, 2} <= {*split.train, *split.validation} for split in found)


def test_the_parts_of_the_source_are_kept_and_the_test_is_whole() -> None:
    samples, targets = made(90, per_patient=1)
    samples = [
        replace(one, part="test" if row < 30 else "train") for row, one in enumerate(samples)
    ]
    # One patient is in both parts, and one image of the training part looks like one of the test.
    samples[40] = replace(samples[40], group=samples[0].group)
    near = np.arange(90)
    near[50] = near[1]

    split = own_parts(samples, targets, 0, near=near)

    assert split.test == tuple(range(30))
    assert not {40, 50} & {*split.train, *split.validation}
    assert len(split.train) + len(split.validation) == 58
    assert 3 <= len(split.validation) <= 9


def test_a_validation_part_of_the_source_is_kept() -> None:
    samples, targets = made(30, per_patient=1)
    parts = ["train", "validation", "test"] * 10
    samples = [replace(one, part=part) for one, part in zip(samples, parts, strict=True)]

    split = own_parts(samples, targets, 0)

    assert split.validation == tuple(range(1, 30, 3))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 3), st.integers(-1, 3), st.integers(0, 30)),
        min_size=20,
        max_size=60,
    ),
    st.integers(2, 4),
    st.sampled_from(Duplicates),
    st.integers(0, 1000),
)
def test_no_patient_and_no_likeness_crosses(
    rows: list[tuple[int, int, int, int]], k: int, duplicates: Duplicates, seed: int
) -> None:
    samples = [
        sample(number, source=f"s{source}", group=f"p:{patient}")
        for number, (patient, source, _, _) in enumerate(rows)
    ]
    targets = targets_of(np.array([label for _, _, label, _ in rows], dtype=np.intp))
    near = np.array([likeness for _, _, _, likeness in rows], dtype=np.intp)
    try:
        found = folds(samples, targets, k, seed, near=near, duplicates=duplicates, validation=0.2)
    except DataSetError:
        return
    assert sorted(row for split in found for row in split.test) == list(range(len(rows)))
    for split in found:
        assert_apart(samples, split, near)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 5))
def test_stratification_deals_each_group_to_a_part_with_a_share(seed: int, parts: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 3, (25, 6))
    sizes = counts.max(axis=1) + 1
    fractions = np.array([0.0] + [1 / (parts - 1)] * (parts - 1))

    dealt = stratify(counts, sizes, fractions, np.random.default_rng(seed))

    assert set(dealt) == set(range(1, parts))
    totals = np.bincount(dealt, weights=sizes, minlength=parts)[1:]
    # Labels come before sizes: of 1,500 seeds the parts were 0.61 to 1.5 times their share.
    assert 0.5 * totals.mean() <= totals.min()
    assert totals.max() <= 1.75 * totals.mean()


@pytest.mark.parametrize("groups", [2, 3, 10])
def test_no_part_with_a_share_stays_empty(groups: int) -> None:
    labels = np.ones((groups, 3), dtype=np.int64)
    sizes = np.ones(groups, dtype=np.int64)

    dealt = stratify(labels, sizes, np.array([0.95, 0.05]), np.random.default_rng(0))

    assert set(dealt) == {0, 1}


@pytest.mark.parametrize(
    "split",
    [
        lambda samples, targets: folds(samples, targets, 1, 0),
        lambda samples, targets: folds(samples, targets, 7, 0),
        lambda samples, targets: holdout(samples, targets, 0, validation=0.5, test=0.5),
        lambda samples, targets: holdout(samples, targets, 0, validation=-0.1),
        lambda samples, targets: leave_one_source_out(samples, targets, 0, least=100),
        lambda samples, targets: own_parts(samples, targets, 0),
    ],
)
def test_a_split_that_cannot_be_made_is_refused(split: Callable[..., object]) -> None:
    samples, targets = made(18, per_patient=3)

    with pytest.raises(DataSetError):
        split(samples, targets)


def test_splits_are_read_as_they_were_written_for_samples_in_any_order(tmp_path: Path) -> None:
    samples, targets = made(60)
    near = np.arange(60)
    near[30] = near[0]
    written = folds(samples, targets, 3, 0, near=near)
    path = tmp_path / "splits.csv"
    save(path, written, samples)

    assert load(path, samples) == written
    backwards = load(path, samples[::-1])
    assert [sorted(59 - row for row in split.test) for split in backwards] == [
        list(split.test) for split in written
    ]
    one = holdout(samples, targets, 0)
    save(path, one, samples)
    assert load(path, samples) == [one]


def test_a_sample_that_is_in_no_part_says_why(tmp_path: Path) -> None:
    samples, _ = made(9, per_patient=1)
    save(tmp_path / "splits.csv", Split((0, 1, 2), (), (3, 4, 5, 6, 7)), samples)

    lines = (tmp_path / "splits.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "key,group,part,reason"
    assert lines[1] == "a/0,a:0,train,"
    assert lines[9].endswith(",,its patient or its likeness is in another part")


def test_splits_of_other_samples_are_refused(tmp_path: Path) -> None:
    samples, targets = made(30, per_patient=1)
    path = tmp_path / "splits.csv"
    save(path, folds(samples, targets, 3, 0), samples)

    with pytest.raises(DataSetError, match="1 samples are not in both, such as"):
        load(path, samples[1:])
    # Two patients turn out to be one, in two parts of the split.
    split = load(path, samples)[0]
    joined = list(samples)
    joined[split.train[0]] = replace(joined[split.train[0]], group=samples[split.test[0]].group)
    with pytest.raises(DataSetError, match="a patient is in two parts of 'fold-1'"):
        load(path, joined)


@pytest.mark.parametrize(
    "text",
    ["", "key,group,part\n", "a,b,c,d\n", "key,group,part,reason\na/0,a:0,trian,\n", "\x00\xff"],
)
def test_what_is_no_file_of_splits_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "splits.csv"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(DataSetError, match=r"splits\.csv"):
        load(path, [sample(0)])


def test_the_balance_counts_each_label_in_each_part() -> None:
    space = LabelSpace(LabelVocabulary((), (), (), ""), {Head.EXAMINED: CLASSES}, visible=False)
    targets = targets_of(np.array([0, 0, 1, -1, 2]))

    found = label_balance(Split((0, 3), (1,), (2, 4)), targets, space)

    assert found == [
        ("examined", CLASSES[0], [1, 1, 0]),
        ("examined", CLASSES[1], [0, 0, 1]),
        ("examined", CLASSES[2], [0, 0, 1]),
        ("examined", CLASSES[3], [0, 0, 0]),
    ]
