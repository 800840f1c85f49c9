"""`Explainer`: a model that says where in an image it sees a class, with torch or without."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from classifier.data.labels import Head
from classifier.errors import ArtefactError

if TYPE_CHECKING:
    from classifier.predictor import ImagePredictor
    from classifier.serving.predictor import OnnxPredictor
    from terminology.graph import BodyStructureGraph

_CHECKPOINT: Final = ".pt"
CAM: Final = "cam"


class Explainer(Protocol):
    """A model that can be asked what it saw, and where."""

    @property
    def predictor(self) -> ImagePredictor:
        """What is asked."""

    def saliency(
        self, grey: NDArray[np.uint8], head: Head, column: int, method: str
    ) -> NDArray[np.float32]:
        """Return where it sees a class, float32 (S, S) in [0, 1] over what the network is shown.

        `grey` is uint8 (H, W). The maximum is 1, or 0 where nothing speaks for the class.
        """


class ArtefactExplainer:
    """Explains what the model of a `*.bodysite` file saw; without torch, by CAM alone."""

    def __init__(self, predictor: OnnxPredictor) -> None:
        self.predictor = predictor

    def saliency(
        self, grey: NDArray[np.uint8], head: Head, column: int, method: str
    ) -> NDArray[np.float32]:
        """Return where the model sees a class: see `Explainer`."""
        from classifier.serving.cam import saliency

        if method != CAM:
            raise ArtefactError(
                "--method",
                f"'{method}' needs the gradients of a network, which a .bodysite file has not",
                CAM,
                "Leave it out, or name the model.pt that the file was made from.",
            )
        output = self.predictor.net.run(self.predictor.preprocessing(grey)[None])
        return saliency(output, self.predictor.artefact, head, column)


class CheckpointExplainer:
    """Explains what a trained network of torch saw."""

    def __init__(self, path: Path, graph: BodyStructureGraph | None = None) -> None:
        from classifier.models.checkpoint import load_model
        from classifier.predict import CheckpointPredictor

        self._model = load_model(path)
        self.predictor = CheckpointPredictor(self._model, graph)

    def saliency(
        self, grey: NDArray[np.uint8], head: Head, column: int, method: str
    ) -> NDArray[np.float32]:
        """Return where the model sees a class: see `Explainer`."""
        from classifier.evaluation.saliency import SaliencyMethod, saliency

        tensor = self._model.preprocessing(grey)
        return saliency(self._model.net, tensor, head, column, SaliencyMethod(method))


def open_explainer(path: Path | None, graph: BodyStructureGraph | None = None) -> Explainer:
    """Return the explainer over a model: a checkpoint (.pt), a .bodysite file, or the shipped one.

    Raises
    ------
    ArtefactError, CheckpointError
        The file is no model, or none is shipped.
    """
    if path is not None and path.suffix == _CHECKPOINT:
        return CheckpointExplainer(path, graph)
    from classifier.serving.predictor import load_predictor

    return ArtefactExplainer(load_predictor(path, graph))
