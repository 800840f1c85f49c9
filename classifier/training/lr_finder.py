"""The learning-rate range test: how the loss falls while the rate rises.

Smith, arXiv:1506.01186, section 3.3, with an exponential sweep; the loss is smoothed, the sweep
ends when it explodes, and the rate at which it falls most steeply is suggested.
"""

from __future__ import annotations

import copy
import csv
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import Optimizer

from classifier.errors import TrainingError
from classifier.training.batches import Batch
from terminology.files import written_whole

LOWEST: Final = 1e-6
HIGHEST: Final = 1.0
STEPS: Final = 100
# The share of the old mean in each new one.
_SMOOTHING: Final = 0.95
# The sweep ends when the smoothed loss is so many times the least one.
_EXPLODED: Final = 4.0
_FEWEST: Final = 8
# The share of the fall after which it is no chance.
_BEGUN: Final = 0.1


@dataclass(frozen=True)
class Sweep:
    """What a sweep saw.

    Attributes
    ----------
    rates, losses, smoothed
        float64 (N,), of each step.
    suggestion
        The rate to take.
    """

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    smoothed: NDArray[np.float64]
    suggestion: float

    def save(self, folder: Path) -> None:
        """Write ``lr-finder.csv`` and ``lr-finder.png``."""
        with written_whole(folder / "lr-finder.csv") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(("learning_rate", "loss", "smoothed_loss"))
            for row in zip(self.rates, self.losses, self.smoothed, strict=True):
                writer.writerow(f"{value:.6g}" for value in row)
        self._draw(folder / "lr-finder.png")

    def _draw(self, path: Path) -> None:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        axes.plot(self.rates, self.losses, color="0.75", linewidth=0.8, label="loss")
        axes.plot(self.rates, self.smoothed, color="C0", label="smoothed")
        axes.axvline(self.suggestion, color="C3", label=f"suggested: {self.suggestion:.2g}")
        axes.set(xscale="log", xlabel="learning rate", ylabel="training loss")
        axes.legend()
        with written_whole(path, binary=True) as stream:
            figure.savefig(stream, format="png", dpi=120)


def sweep(
    net: nn.Module,
    make_optimizer: Callable[[nn.Module, float], Optimizer],
    loss_of: Callable[[nn.Module, Batch], Tensor],
    batches: Iterable[Batch],
    *,
    steps: int = STEPS,
    tell: Callable[[int], None] | None = None,
) -> Sweep:
    """Return the sweep of a copy of `net` over `batches`, of which at least `steps` must come.

    Raises
    ------
    TrainingError
        The loss explodes before it falls.
    """
    model = copy.deepcopy(net).train()
    optimizer = make_optimizer(model, LOWEST)
    rates: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    mean = 0.0
    for step, batch in zip(range(steps), batches, strict=False):
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / (steps - 1))
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model, batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            break
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * value
        rates.append(rate)
        losses.append(value)
        smoothed.append(mean / (1 - _SMOOTHING ** (step + 1)))
        if step > _FEWEST and smoothed[-1] > _EXPLODED * min(smoothed):
            break
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1e3)
        optimizer.step()
        if tell is not None:
            tell(step + 1)
    found = np.array(rates), np.array(losses), np.array(smoothed)
    return Sweep(*found, suggestion(found[0], found[2]))


def suggestion(rates: NDArray[np.float64], smoothed: NDArray[np.float64]) -> float:
    """Return the rate at which the smoothed loss falls most steeply.

    Only the descent to the least value counts, from where a tenth of the fall is behind: before
    that the rate is too small to matter, and what falls is chance.

    Raises
    ------
    TrainingError
        It never falls.
    """
    least = int(smoothed.argmin()) if len(smoothed) else 0
    first = float(np.median(smoothed[:_FEWEST])) if len(smoothed) else 0.0
    if least + 1 < _FEWEST or smoothed[least] >= first:
        raise TrainingError(
            "optimizer.lr 'find'",
            f"the loss is least at step {least + 1} of the sweep, and only rises then",
            "a loss that falls while the learning rate rises",
            "Give a number as optimizer.lr.",
        )
    begun = first - _BEGUN * (first - float(smoothed[least]))
    above = np.flatnonzero(smoothed[: least + 1] >= begun)
    start = int(above[-1]) if len(above) else 0
    slopes = np.gradient(smoothed[: least + 1], np.log(rates[: least + 1]))
    return float(rates[start + int(slopes[start:].argmin())])
