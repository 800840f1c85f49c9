"""`CheckpointPredictor`: a trained model of torch that reads images and answers in concepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.models.checkpoint import TrainedModel
from classifier.models.network import BodySiteNet
from classifier.predictor import (
    FRAMES,
    Answering,
    ImagePredictor,
    Probabilities,
    Reading,
    Source,
)
from classifier.serving.runtime import NetOutput

if TYPE_CHECKING:
    from classifier.calibration.calibration import Calibration
    from classifier.calibration.guards import GuardSettings
    from terminology.graph import BodyStructureGraph

__all__ = [
    "FRAMES",
    "Answering",
    "CheckpointPredictor",
    "Probabilities",
    "Reading",
    "Source",
    "TorchNet",
]


class TorchNet:
    """A network of torch, asked as one of any runtime.

    Parameters
    ----------
    net
        It is put into evaluation mode and stays on its device.
    """

    def __init__(self, net: BodySiteNet) -> None:
        self._net = net.eval()
        self._device = next(net.parameters()).device

    def run(self, x: NDArray[np.float32]) -> NetOutput:
        """Return what the network says of N >= 1 preprocessed frames, float32 (N, C, S, S)."""
        with torch.inference_mode():
            maps = self._net.features(torch.from_numpy(x).to(self._device))
            scores = self._net.answer(maps)
            return NetOutput(
                {head: rows.float().cpu().numpy() for head, rows in scores.items()},
                maps.mean((2, 3)).float().cpu().numpy(),
                maps.float().cpu().numpy(),
            )


class CheckpointPredictor(ImagePredictor):
    """A `Predictor` over a trained model.

    Parameters
    ----------
    model
        The network is put into evaluation mode and stays on its device.
    graph, frames, batch, answering, calibration, guards
        As of `ImagePredictor`.
    """

    def __init__(
        self,
        model: TrainedModel,
        graph: BodyStructureGraph | None = None,
        *,
        frames: int = FRAMES,
        batch: int = 32,
        answering: Answering | None = None,
        calibration: Calibration | None = None,
        guards: GuardSettings | None = None,
    ) -> None:
        self.model = model
        super().__init__(
            TorchNet(model.net),
            model.space,
            model.preprocessing,
            name=model.name,
            version=model.version,
            graph=graph,
            frames=frames,
            batch=batch,
            answering=answering,
            calibration=calibration,
            guards=guards,
        )
