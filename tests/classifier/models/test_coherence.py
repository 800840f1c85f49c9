import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classifier.models.coherence import Coherence
from tests.classifier.models.made import DIAMOND, vocabularies, vocabulary


def dense(names, scores):
    """Return the published formulation: a maximum over the whole row of every concept."""
    table = torch.eye(len(names), dtype=torch.bool)
    for column, ancestors in enumerate(names.ancestors):
        table[sorted(ancestors), column] = True
    spread = scores[:, None, :].expand(-1, len(names), -1)
    return spread.masked_fill(~table, -torch.inf).max(2).values


def by_hand(names, scores):
    rows = [
        [
            max(row[one] for one in {column, *names.descendants[column]})
            for column in range(len(row))
        ]
        for row in scores.tolist()
    ]
    return torch.tensor(rows, dtype=scores.dtype)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        # The lowest of the diamond raises all above it, on both sides; not what stands alone.
        ([1, 2, 3, 4, 5, 0], [5, 5, 5, 5, 5, 0]),
        ([1, 2, 3, 0, 0, 9], [3, 2, 3, 0, 0, 9]),
        ([-1, -2, -3, -4, -5, -6], [-1, -2, -3, -4, -5, -6]),
        ([0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]),
    ],
)
def test_highest_at_or_below_by_hand(scores, expected):
    found = Coherence(DIAMOND)(torch.tensor([scores], dtype=torch.float32))
    assert found.tolist() == [expected]


@given(vocabularies(), st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_equals_dense_formulation_and_plain_python(names, seed, batch):
    scores = torch.from_numpy(np.random.default_rng(seed).normal(size=(batch, len(names)))).float()
    found = Coherence(names)(scores)
    assert torch.equal(found, dense(names, scores))
    assert torch.equal(found, by_hand(names, scores).reshape(found.shape))


@given(vocabularies(), st.integers(0, 2**32 - 1))
def test_gradients_are_those_of_the_dense_formulation(names, seed):
    scores = torch.from_numpy(np.random.default_rng(seed).normal(size=(3, len(names))))
    weight = torch.from_numpy(np.random.default_rng(seed + 1).normal(size=(3, len(names))))
    gradients = []
    for layer in (Coherence(names), lambda x: dense(names, x)):
        given_scores = scores.clone().requires_grad_()
        gradients.append(torch.autograd.grad((layer(given_scores) * weight).sum(), given_scores)[0])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_gradients_are_those_of_finite_differences():
    scores = torch.randn(2, 6, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(Coherence(DIAMOND), scores.requires_grad_())


def test_equal_scores_share_the_gradient_and_none_is_lost():
    scores = torch.zeros(1, 6, requires_grad=True)
    Coherence(DIAMOND)(scores)[0, 0].backward()
    assert scores.grad[0, 5] == 0
    assert scores.grad.sum() == 1


def test_minus_infinity_takes_no_part():
    scores = torch.tensor([[-torch.inf, 1.0, -torch.inf, -torch.inf, -2.0, 0.0]])
    found = Coherence(DIAMOND)(scores.requires_grad_())
    assert found.tolist() == [[1.0, 1.0, -2.0, -2.0, -2.0, 0.0]]
    found.sum().backward()
    assert scores.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_types_stay_what_they_are(dtype):
    scores = torch.tensor([[1, 2, 3, 4, 5, 0]], dtype=dtype)
    found = Coherence(DIAMOND)(scores)
    assert found.dtype is dtype
    assert found.tolist() == [[5, 5, 5, 5, 5, 0]]


def test_vocabulary_without_edges_leaves_scores_alone():
    scores = torch.randn(2, 3)
    assert torch.equal(Coherence(vocabulary((), (), ()))(scores), scores)


def test_total_counts_what_is_below_by_two_ways_once():
    values = torch.tensor([[1.0, 2.0, 4.0, 8.0, 16.0, 32.0]])
    assert Coherence(DIAMOND).total(values).tolist() == [[31.0, 26.0, 28.0, 24.0, 16.0, 32.0]]


def test_nothing_of_it_is_saved_with_a_network():
    assert not Coherence(DIAMOND).state_dict()


def test_benchmark_compares_equal_results(monkeypatch, capsys):
    path = Path(__file__).parents[3] / "benchmarks" / "coherence.py"
    spec = importlib.util.spec_from_file_location("benchmark_coherence", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr("sys.argv", ["coherence.py", "--concepts", "20", "--batch", "2"])
    monkeypatch.setattr(module, "_ROUNDS", 1)
    module.main()
    assert '"benchmark": "coherence"' in capsys.readouterr().out
