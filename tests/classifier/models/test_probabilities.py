import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classifier.data.labels import Head
from classifier.models.coherence import Coherence
from classifier.models.probabilities import examined_below, probabilities
from tests.classifier.models.made import SPACE, spaces


def scores(space, seed, spread):
    chance = np.random.default_rng(seed)
    return {
        head: torch.from_numpy(chance.normal(0, spread, (8, len(space.columns(head))))).float()
        for head in space.heads
    }


@given(spaces(), st.integers(0, 2**32 - 1), st.sampled_from([0.1, 2.0, 30.0, 300.0]))
def test_no_answer_contradicts_another(space, seed, spread):
    found = probabilities(scores(space, seed, spread), space, Coherence(space.vocabulary))
    visible, examined = found[Head.VISIBLE], found[Head.EXAMINED]
    assert ((visible >= 0) & (visible <= 1)).all()
    for column, parents in enumerate(space.vocabulary.parents):
        for parent in parents:
            assert (visible[:, column] <= visible[:, parent]).all()
    for place, code in enumerate(space.columns(Head.EXAMINED)):
        assert (examined[:, place] <= visible[:, space.vocabulary.columns[code]]).all()
    below = examined_below(examined, space, Coherence(space.vocabulary))
    assert (visible >= below - 1e-6).all()


@given(spaces(), st.integers(0, 2**32 - 1))
def test_columns_that_need_no_raising_are_the_sigmoid_of_coherent_scores(space, seed):
    outputs = scores(space, seed, 2.0)
    coherence = Coherence(space.vocabulary)
    found = probabilities(outputs, space, coherence)
    plain = coherence(outputs[Head.VISIBLE]).sigmoid()
    below = examined_below(found[Head.EXAMINED], space, coherence)
    torch.testing.assert_close(found[Head.VISIBLE], torch.maximum(plain, below))


def test_raised_by_the_sum_of_what_excludes_each_other():
    outputs = scores(SPACE, 1, 1.0)
    # Examined c1 .1, c3 .2, c4 .3, c5 .4; the head of visible parts saw next to nothing.
    outputs[Head.EXAMINED] = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log()
    outputs[Head.VISIBLE] = torch.full((1, 6), -20.0)
    found = probabilities(outputs, SPACE, Coherence(SPACE.vocabulary))[Head.VISIBLE]
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.6, 0.5, 0.5, 0.3, 0.4]]))


def test_heads_of_one_class_sum_to_one_in_the_order_of_the_outputs():
    outputs = scores(SPACE, 3, 5.0)
    found = probabilities(outputs, SPACE, Coherence(SPACE.vocabulary))
    assert list(found) == list(outputs)
    for head in (Head.EXAMINED, Head.VIEW, Head.MODALITY):
        torch.testing.assert_close(found[head].sum(1), torch.ones(8))


def test_visible_alone_is_coherent_too():
    outputs = {Head.VISIBLE: scores(SPACE, 4, 5.0)[Head.VISIBLE]}
    found = probabilities(outputs, SPACE, Coherence(SPACE.vocabulary))
    expected = Coherence(SPACE.vocabulary)(outputs[Head.VISIBLE]).sigmoid()
    assert torch.equal(found[Head.VISIBLE], expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_answers_of_half_precision_are_made_in_single(dtype):
    outputs = {head: one.to(dtype) for head, one in scores(SPACE, 5, 3.0).items()}
    with torch.autocast("cpu", torch.bfloat16):
        found = probabilities(outputs, SPACE, Coherence(SPACE.vocabulary))
    single = {head: one.float() for head, one in outputs.items()}
    expected = probabilities(single, SPACE, Coherence(SPACE.vocabulary))
    for head, answer in found.items():
        assert answer.dtype is torch.float32
        assert torch.equal(answer, expected[head])
