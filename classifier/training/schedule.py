"""How the learning rate goes, as a function of the step alone: nothing to save, nothing to resume.

`phase` says by what the base rate is multiplied, and, for the one-cycle policy, what the momentum
is. The optimiser is told with `apply`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from torch.optim import Optimizer

ScheduleName = Literal["one-cycle", "cosine", "warm-restarts", "constant"]
# Smith & Topin, arXiv:1708.07120; the shares and factors are those of fastai's fit_one_cycle.
_MOMENTUM: Final = (0.95, 0.85)


class Phase(NamedTuple):
    """By what the base rate is multiplied, and the momentum; `None` leaves it as it is."""

    factor: float
    momentum: float | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """The course of the learning rate over a run.

    Attributes
    ----------
    name
        ``one-cycle``: up to the base rate and down again, each along a cosine; ``cosine``: a
        linear warm-up, then down; ``warm-restarts``: down along a cosine, again and again.
    warmup
        The share of all steps in which the rate rises (one-cycle, cosine), in [0, 1).
    start
        The factor of the first step where the rate rises, in (0, 1].
    end
        The factor at the bottom, in [0, 1].
    restart_epochs
        The length of the first cycle (warm-restarts).
    restart_factor
        Each next cycle is so many times as long as the one before.
    """

    name: ScheduleName = "one-cycle"
    warmup: float = 0.25
    start: float = 0.04
    end: float = 1e-5
    restart_epochs: int = 10
    restart_factor: int = 2

    def phase(self, step: int, steps: int, steps_an_epoch: int) -> Phase:
        """Return what holds at `step` of `steps`, counted from 0."""
        if self.name == "constant":
            return Phase(1.0, None)
        if self.name == "warm-restarts":
            return Phase(self._restarted(step / steps_an_epoch), None)
        rising = self.warmup * steps
        if step < rising:
            share = step / rising
            if self.name == "one-cycle":
                high, low = _MOMENTUM
                return Phase(_cosine(self.start, 1.0, share), _cosine(high, low, share))
            return Phase(self.start + (1.0 - self.start) * share, None)
        share = (step - rising) / max(1.0, steps - 1 - rising)
        high, low = _MOMENTUM
        momentum = _cosine(low, high, share) if self.name == "one-cycle" else None
        return Phase(_cosine(1.0, self.end, share), momentum)

    def _restarted(self, epoch: float) -> float:
        # Loshchilov & Hutter, arXiv:1608.03983, equation 5.
        length = float(self.restart_epochs)
        while epoch >= length:
            epoch -= length
            length *= self.restart_factor
        return _cosine(1.0, self.end, epoch / length)


def _cosine(start: float, end: float, share: float) -> float:
    """Return the value at `share` of the way from `start` to `end` along half a cosine."""
    return end + (start - end) * (1.0 + math.cos(math.pi * min(1.0, share))) / 2.0


def apply(optimizer: Optimizer, base: float, phase: Phase) -> None:
    """Set the learning rate, and the momentum where the optimiser has one that turns."""
    for group in optimizer.param_groups:
        group["lr"] = base * phase.factor
        if phase.momentum is None:
            continue
        if "betas" in group:
            group["betas"] = (phase.momentum, *group["betas"][1:])
        elif group.get("momentum"):
            group["momentum"] = phase.momentum
