"""`OnnxPredictor`: a model that reads images without torch; `load_predictor` opens its file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from classifier.errors import ArtefactError
from classifier.predictor import FRAMES, Answering, ImagePredictor
from classifier.serving.artefact import Artefact, read_artefact, shipped_model
from classifier.serving.runtime import Net, OnnxNet

if TYPE_CHECKING:
    from terminology.graph import BodyStructureGraph

Runtime = Literal["onnx", "openvino"]


class OnnxPredictor(ImagePredictor):
    """A `Predictor` over an artefact. It may be asked from several threads at once.

    Parameters
    ----------
    threads
        As of `OnnxNet`.
    runtime
        ``"onnx"``, or ``"openvino"`` (`classifier.serving.openvino`) where that is installed.
    graph, frames, batch, answering
        As of `ImagePredictor`.

    Raises
    ------
    ArtefactError
        The runtime is not installed, or refuses the network.
    """

    def __init__(
        self,
        artefact: Artefact,
        graph: BodyStructureGraph | None = None,
        *,
        frames: int = FRAMES,
        batch: int = 32,
        answering: Answering | None = None,
        threads: int | None = None,
        runtime: Runtime = "onnx",
    ) -> None:
        self.artefact = artefact
        super().__init__(
            _net(artefact, threads, runtime),
            artefact.space,
            artefact.preprocessing,
            name=artefact.name,
            version=artefact.version,
            graph=graph,
            frames=frames,
            batch=batch,
            answering=answering,
            calibration=artefact.calibration,
            guards=artefact.guards,
            prior=artefact.prior,
        )


def load_predictor(
    path: Path | None = None,
    graph: BodyStructureGraph | None = None,
    *,
    frames: int = FRAMES,
    batch: int = 32,
    answering: Answering | None = None,
    threads: int | None = None,
    runtime: Runtime = "onnx",
) -> OnnxPredictor:
    """Return a predictor over the model in `path`, or over the one that comes with the package.

    Raises
    ------
    ArtefactError
        The file is no model, is damaged or newer, cannot be run here, or no model is shipped.
    """
    where = path or shipped_model()
    if where is None:
        raise ArtefactError(
            "model",
            "no model comes with this installation",
            "a model to be served, *.bodysite",
            "Name one, or export one: bodysite export RUN --out MODEL.bodysite",
        )
    return OnnxPredictor(
        read_artefact(Path(where)),
        graph,
        frames=frames,
        batch=batch,
        answering=answering,
        threads=threads,
        runtime=runtime,
    )


def _net(artefact: Artefact, threads: int | None, runtime: Runtime) -> Net:
    if runtime == "openvino":
        from classifier.serving.openvino import OpenVinoNet

        return OpenVinoNet(artefact, threads=threads)
    return OnnxNet(artefact, threads=threads)
