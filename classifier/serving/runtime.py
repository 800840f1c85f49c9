"""`OnnxNet`: the network of an artefact on ONNX Runtime; `NetOutput`: what a network says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from classifier.data.labels import Head
from classifier.errors import ArtefactError

if TYPE_CHECKING:
    from classifier.serving.artefact import Artefact

INPUT: Final = "images"
POOLED: Final = "pooled"
MAPS: Final = "maps"
_ALL_REPORTED: Final = 3  # ONNX Runtime's level "error": below it, it writes to stderr


@dataclass(frozen=True, slots=True)
class NetOutput:
    """What a network says of N frames.

    Attributes
    ----------
    scores
        float32 (N, C) for each head, before softmax or sigmoid; not coherent yet.
    pooled
        float32 (N, F), the means of the feature maps.
    maps
        float32 (N, F, h, w), the feature maps.
    """

    scores: Mapping[Head, NDArray[np.float32]]
    pooled: NDArray[np.float32]
    maps: NDArray[np.float32]


class Net(Protocol):
    """A network that can be asked, by any runtime."""

    def run(self, x: NDArray[np.float32]) -> NetOutput:
        """Return what the network says of N >= 1 preprocessed frames, float32 (N, C, S, S)."""


class OnnxNet:
    """The network of an artefact on ONNX Runtime, on the CPU.

    It may be asked from several threads at once.

    Parameters
    ----------
    threads
        How many threads one question uses; `None` lets ONNX Runtime choose, one a core.

    Raises
    ------
    ArtefactError
        ONNX Runtime is not installed, or refuses the network.
    """

    def __init__(self, artefact: Artefact, *, threads: int | None = None) -> None:
        ort = _onnxruntime()
        options = ort.SessionOptions()
        options.log_severity_level = _ALL_REPORTED
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = threads or 0
        # Threads that wait do not spin: a service shares its cores with decoders.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = ort.InferenceSession(
                artefact.onnx, options, providers=["CPUExecutionProvider"]
            )
        # ONNX Runtime's exceptions derive from nothing that tells them apart.
        except Exception as error:
            raise refused_network(artefact, f"ONNX Runtime refuses it ({error})") from error
        self._heads = artefact.space.heads
        self._outputs = (*map(str, self._heads), POOLED, MAPS)
        missing = set(self._outputs) - {one.name for one in self._session.get_outputs()}
        if missing:
            raise refused_network(artefact, f"it has no output {', '.join(sorted(missing))}")

    def run(self, x: NDArray[np.float32]) -> NetOutput:
        """Return what the network says of N >= 1 preprocessed frames, float32 (N, C, S, S)."""
        *scores, pooled, maps = self._session.run(self._outputs, {INPUT: x})
        return NetOutput(dict(zip(self._heads, scores, strict=True)), pooled, maps)


def _onnxruntime() -> Any:
    try:
        return import_module("onnxruntime")
    except ImportError as error:
        raise ArtefactError(
            "model",
            f"the package 'onnxruntime' cannot be loaded ({error})",
            "ONNX Runtime, which the network runs on",
            "Install it: pip install 'bodysite[pixels]'.",
        ) from error


def refused_network(artefact: Artefact, what: str) -> ArtefactError:
    """Return why the network of `artefact` does not run."""
    return ArtefactError(
        f"{artefact.name} {artefact.version} model.onnx",
        what,
        "a network as 'bodysite export' writes it",
        "Export the model again with this version of Bodysite.",
    )
