import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

from classifier.errors import TrainingError
from classifier.training.batches import Batch
from classifier.training.lr_finder import HIGHEST, LOWEST, suggestion, sweep


def endless() -> Iterator[Batch]:
    torch.manual_seed(0)
    while True:
        inputs = torch.randn(16, 4)
        yield Batch(inputs, {"sum": inputs.sum(1, keepdim=True)})


def loss_of(model: nn.Module, batch: Batch) -> Tensor:
    return nn.functional.mse_loss(model(batch.images), batch.targets["sum"])


def test_sweep_finds_a_rate_that_learns_and_leaves_the_network(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = nn.Linear(4, 1)
        before = net.weight.clone()
        found = sweep(net, lambda model, lr: SGD(model.parameters(), lr=lr), loss_of, endless())
    assert torch.equal(net.weight, before)
    assert found.rates[0] == LOWEST
    assert found.rates[-1] <= HIGHEST * (1 + 1e-9)
    assert 1e-3 < found.suggestion < 0.5
    found.save(tmp_path)
    with (tmp_path / "lr-finder.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == ["learning_rate", "loss", "smoothed_loss"]
    assert len(rows) == len(found.rates) + 1
    assert (tmp_path / "lr-finder.png").read_bytes().startswith(b"\x89PNG")


def test_sweep_ends_when_the_loss_explodes() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = nn.Linear(4, 1)
        # A thousand times as steep as the rate says.
        found = sweep(
            net,
            lambda model, lr: SGD(model.parameters(), lr=lr),
            lambda model, batch: 1000 * loss_of(model, batch),
            endless(),
        )
    assert len(found.rates) < 100
    assert found.suggestion < 1e-3


def test_suggestion_is_where_the_loss_falls_most_steeply() -> None:
    rates = np.geomspace(1e-6, 1, 61)
    # A smooth step down at 1e-3, then up.
    smoothed = 1 / (1 + (rates / 1e-3) ** 2) + rates**2
    assert suggestion(rates, smoothed) == pytest.approx(1e-3, rel=0.3)


@pytest.mark.parametrize("seed", range(8))
def test_noise_before_the_descent_suggests_nothing(seed: int) -> None:
    rates = np.geomspace(1e-6, 1, 100)
    noise = np.random.default_rng(seed).normal(0, 0.3, 100) * (rates < 1e-4)
    smoothed = 5 + np.convolve(noise, np.full(5, 0.2), "same") - 4 / (1 + (1e-2 / rates) ** 2)
    assert suggestion(rates, smoothed) == pytest.approx(1e-2, rel=1.0)


@pytest.mark.parametrize("smoothed", [np.linspace(1, 9, 50), np.array([])])
def test_loss_that_never_falls_is_refused(smoothed: np.ndarray) -> None:
    with pytest.raises(TrainingError, match=r"Give a number as optimizer\.lr"):
        suggestion(np.geomspace(1e-6, 1, 50), smoothed)
