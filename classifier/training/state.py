"""`Course`: how far a run has come, and the file that it is resumed from."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from classifier.errors import TrainingError
from classifier.models.network import BodySiteNet
from classifier.training.logs import Row
from terminology.files import written_whole

_FORMAT: Final = "bodysite-state-1"
STATE: Final = "state.pt"


@dataclass(slots=True)
class Course:
    """How far a run has come.

    Attributes
    ----------
    lr
        The base rate, found or given.
    epoch, step
        The next step: so many epochs are complete, and so many steps of the next one.
    loss
        Sum of the losses of these steps.
    best, best_epoch
        The least validation loss so far and its epoch, counted from 1.
    seconds
        Time spent in training so far, by all processes that had a part in it.
    rows
        The log so far.
    """

    lr: float
    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    best: float = math.inf
    best_epoch: int = 0
    seconds: float = 0.0
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Learner:
    """All that changes with a step. Randomness has no state: each step draws from its number."""

    net: BodySiteNet
    optimizer: Optimizer
    scaler: torch.amp.GradScaler
    average: AveragedModel | None

    @property
    def scored(self) -> BodySiteNet:
        """The network that is scored and kept: the average where there is one."""
        if self.average is None:
            return self.net
        module = self.average.module
        assert isinstance(module, BodySiteNet)  # noqa: S101
        return module

    def save(self, folder: Path, course: Course) -> None:
        """Write the state of the run in `folder`."""
        payload = {
            "format": _FORMAT,
            "course": asdict(course),
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
        }
        with written_whole(folder / STATE, binary=True) as stream:
            torch.save(payload, stream)

    def load(self, folder: Path, device: torch.device) -> Course:
        """Take up the state of the run in `folder`.

        Raises
        ------
        TrainingError
            The file is none that `save` wrote, or is of another network.
        """
        path = folder / STATE
        try:
            payload: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
            if payload["format"] != _FORMAT:
                raise KeyError(payload["format"])
            self.net.load_state_dict(payload["net"])
            self.optimizer.load_state_dict(payload["optimizer"])
            self.scaler.load_state_dict(payload["scaler"])
            if self.average is not None:
                self.average.load_state_dict(payload["average"])
            return Course(**payload["course"])
        # torch raises many kinds for a damaged file.
        except Exception as error:
            raise TrainingError(
                str(path),
                f"the run cannot be taken up ({type(error).__name__}: {error})",
                "a state that this version of Bodysite saved for this configuration",
                "Remove the file to start this run again.",
            ) from error


def averaged(net: nn.Module, decay: float) -> AveragedModel:
    """Return the moving average of the weights and running statistics of `net`.

    The decay starts low, so that the first weights are forgotten: (1 + n) / (10 + n) at step n.
    """

    @torch.no_grad()
    def follow(averages: Any, current: Any, steps: Any) -> None:
        number = int(steps)
        kept = min(decay, (1 + number) / (10 + number))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, current, 1 - kept)
        else:
            for mine, theirs in zip(averages, current, strict=True):
                mine.copy_(theirs)

    return AveragedModel(net, multi_avg_fn=follow, use_buffers=True)
