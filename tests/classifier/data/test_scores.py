from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classifier.data.labels import Head, LabelSpace, Scores, Targets
from classifier.data.scores import load_scores, save_scores
from classifier.errors import DataSetError
from terminology.graph import BodyStructureGraph
from terminology.vocabulary import LabelVocabulary

HAND, KNEE = "85562004", "72696002"


@pytest.fixture(scope="module")
def space(graph: BodyStructureGraph) -> LabelSpace:
    vocabulary = LabelVocabulary.of(graph, [HAND, KNEE])
    return LabelSpace(vocabulary, {Head.EXAMINED: (HAND, KNEE), Head.MODALITY: ("DX",)})


def scores(space: LabelSpace, count: int = 3) -> Scores:
    rng = np.random.default_rng(1)
    known = rng.random((count, len(space.vocabulary))) < 0.5
    return Scores(
        space=space,
        keys=tuple(f"röntgen/{number}" for number in range(count)),
        groups=("a:1",) * count,
        sources=("a",) * count,
        paths=tuple(f"/data/{number}.png" for number in range(count)),
        probabilities={
            Head.EXAMINED: rng.random((count, 2)).astype(np.float32),
            Head.VISIBLE: rng.random((count, len(space.vocabulary))).astype(np.float32),
        },
        targets=Targets({Head.EXAMINED: rng.random((count, 2)) < 0.5}, known, known),
    )


@pytest.mark.parametrize("count", [0, 3])
def test_scores_are_read_as_they_were_written(
    tmp_path: Path, space: LabelSpace, count: int
) -> None:
    written = scores(space, count)
    save_scores(tmp_path / "scores.npz", written)

    read = load_scores(tmp_path / "scores.npz")

    assert read.space == space
    for name in ("keys", "groups", "sources", "paths"):
        assert getattr(read, name) == getattr(written, name)
    assert read.probabilities.keys() == written.probabilities.keys()
    for head, values in written.probabilities.items():
        np.testing.assert_array_equal(read.probabilities[head], values)
        assert read.probabilities[head].dtype == np.float32
    np.testing.assert_array_equal(
        read.targets.allowed[Head.EXAMINED], written.targets.allowed[Head.EXAMINED]
    )
    np.testing.assert_array_equal(read.targets.known, written.targets.known)
    np.testing.assert_array_equal(read.targets.present, written.targets.present)
    assert read.targets.known.dtype == np.bool_


def test_arrays_that_do_not_fit_are_not_written(tmp_path: Path, space: LabelSpace) -> None:
    wrong = replace(scores(space), keys=("one",))

    with pytest.raises(DataSetError, match=r"3 groups for 1 samples"):
        save_scores(tmp_path / "scores.npz", wrong)
    assert not list(tmp_path.iterdir())


def test_a_column_too_many_is_refused(tmp_path: Path, space: LabelSpace) -> None:
    wrong = replace(
        scores(space), probabilities={Head.EXAMINED: np.zeros((3, 5), dtype=np.float32)}
    )

    with pytest.raises(DataSetError, match=r"probabilities of examined is \(3, 5\), not \(3, 2\)"):
        save_scores(tmp_path / "scores.npz", wrong)


def test_what_is_no_file_of_scores_is_named(tmp_path: Path, space: LabelSpace) -> None:
    whole = tmp_path / "whole.npz"
    save_scores(whole, scores(space))
    cut = tmp_path / "cut.npz"
    cut.write_bytes(whole.read_bytes()[:200])
    other = tmp_path / "other.npz"
    np.savez(other, a=np.zeros(3))
    newer = tmp_path / "newer.npz"
    np.savez(newer, format=np.array("bodysite-scores-2"))
    text = tmp_path / "text.npz"
    text.write_text("no scores")

    for path in (cut, other, newer, text, tmp_path / "missing.npz"):
        with pytest.raises(DataSetError, match=path.name):
            load_scores(path)


def test_a_file_with_pickled_objects_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    np.savez(path, format=np.array([{"a": 1}], dtype=object))

    with pytest.raises(DataSetError, match="cannot be read"):
        load_scores(path)
