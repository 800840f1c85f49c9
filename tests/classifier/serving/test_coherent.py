import numpy as np
import pytest
import torch

from classifier.data.labels import Head, LabelSpace
from classifier.models.coherence import Coherence
from classifier.models.probabilities import probabilities
from classifier.serving.coherent import Closure, Coherent, sigmoid, softmax


@pytest.mark.parametrize("spread", [0.1, 3.0, 60.0])
@pytest.mark.parametrize("heads", [(Head.EXAMINED, Head.VISIBLE, Head.VIEW), (Head.VISIBLE,)])
def test_it_says_what_the_code_of_training_says(space: LabelSpace, heads, spread):
    rng = np.random.default_rng(7)
    scores = {
        head: rng.normal(0, spread, (9, len(space.columns(head)))).astype(np.float32)
        for head in heads
    }
    found = Coherent(space)(scores)
    wanted = probabilities(
        {head: torch.from_numpy(rows) for head, rows in scores.items()},
        space,
        Coherence(space.vocabulary),
    )
    assert tuple(found) == heads
    for head in heads:
        assert found[head].dtype == np.float32
        np.testing.assert_allclose(found[head], wanted[head].numpy(), atol=1e-6, rtol=0)


def test_no_part_is_above_its_region_nor_below_what_is_examined_in_it(space: LabelSpace):
    rng = np.random.default_rng(1)
    scores = {
        head: rng.normal(0, 4, (50, len(space.columns(head)))).astype(np.float32)
        for head in space.heads
    }
    found = Coherent(space)(scores)
    visible, vocabulary = found[Head.VISIBLE], space.vocabulary
    for column, above in enumerate(vocabulary.ancestors):
        for region in above:
            assert (visible[:, region] >= visible[:, column]).all()
    for at, code in enumerate(space.columns(Head.EXAMINED)):
        assert (visible[:, vocabulary.columns[code]] >= found[Head.EXAMINED][:, at] - 1e-7).all()
    assert visible.max() <= 1


def test_sums_and_maxima_are_over_what_is_below(space: LabelSpace):
    vocabulary = space.vocabulary
    rows = np.random.default_rng(2).random((4, len(vocabulary)), dtype=np.float32)
    closure = Closure(vocabulary)
    for column in range(len(vocabulary)):
        below = [column, *vocabulary.descendants[column]]
        np.testing.assert_array_equal(closure.highest(rows)[:, column], rows[:, below].max(axis=1))
        np.testing.assert_allclose(
            closure.total(rows)[:, column], rows[:, below].sum(axis=1), rtol=1e-6
        )


def test_large_scores_overflow_nowhere():
    rows = np.array([[1e4, -1e4, 0.0]], dtype=np.float32)
    np.testing.assert_array_equal(sigmoid(rows), [[1, 0, 0.5]])
    np.testing.assert_array_equal(softmax(rows), [[1, 0, 0]])
