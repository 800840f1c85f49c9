"""`onnx_of`: a network of torch as ONNX; `agreement`: how far the two are apart.

The only module of this package that needs torch and onnx.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn

from classifier.data.labels import Head
from classifier.errors import ArtefactError
from classifier.models.checkpoint import TrainedModel
from classifier.predict import TorchNet
from classifier.serving.coherent import Coherent
from classifier.serving.runtime import INPUT, MAPS, POOLED, OnnxNet

if TYPE_CHECKING:
    from classifier.models.network import BodySiteNet
    from classifier.serving.artefact import Artefact

# The lowest that torch's exporter writes without converting down.
_OPSET: Final = 18
# Of a ResNet-18 with 32 maps, what is smaller (biases, the heads, the first two stages) is a
# fourteenth of the file, and rounding it moves probabilities by 2e-3; rounding the rest, by 1e-4.
_SMALLEST_HALVED: Final = 1 << 16
_HALF_MAX: Final = float(np.finfo(np.float16).max)
# What half precision of the weights may change in a probability, and what rounding may.
TOLERANCE_HALF: Final = 1e-3
TOLERANCE_SINGLE: Final = 1e-5


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far an artefact is from the network that it was made of.

    Attributes
    ----------
    images
        How many inputs both were asked about.
    largest
        The largest difference of a probability, by head.
    tolerance
        What was allowed.
    """

    images: int
    largest: Mapping[Head, float]
    tolerance: float


class _Outputs(nn.Module):
    """What an artefact's network returns, in the order of its outputs."""

    def __init__(self, net: BodySiteNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps = self.net.features(images)
        return (*self.net.answer(maps).values(), maps.mean((2, 3)), maps)


def onnx_of(model: TrainedModel, *, half: bool = True) -> bytes:
    """Return the network of `model` as ONNX, as `Artefact.onnx` has it; the same every time.

    Batch normalisation is folded into the convolutions.

    Parameters
    ----------
    half
        Keep large weights in half precision, with a cast to single precision behind each: half
        the size, and the runtime computes as before.
    """
    preprocessing = model.preprocessing
    x = torch.zeros(2, preprocessing.channels, preprocessing.size, preprocessing.size)
    outputs = [*map(str, model.space.heads), POOLED, MAPS]
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # Deprecations within torch's own exporter.
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                _Outputs(model.net).cpu().eval(),
                (x,),
                dynamo=True,
                input_names=[INPUT],
                output_names=outputs,
                dynamic_shapes=({0: torch.export.Dim("n", min=1)},),
                opset_version=_OPSET,
                optimize=True,
                verbose=False,
            )
    finally:
        exporter.setLevel(level)
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    proto = program.model_proto
    _strip(proto)
    if half:
        _halve(proto)
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString(deterministic=True))


def _strip(proto: ModelProto) -> None:
    """Remove what the exporter says of how it came about: it names the files of this machine."""
    proto.producer_version = ""
    proto.doc_string = ""
    del proto.metadata_props[:]
    graph = proto.graph
    graph.doc_string = ""
    del graph.metadata_props[:]
    # Shapes between the nodes: runtimes infer them.
    del graph.value_info[:]
    parts: list[Any] = [*graph.node, *graph.initializer, *graph.input, *graph.output]
    for part in parts:
        part.doc_string = ""
        del part.metadata_props[:]


def _halve(proto: ModelProto) -> None:
    """Store the large weights in half precision, each cast to single precision before its use."""
    casts = []
    for tensor in proto.graph.initializer:
        values = numpy_helper.to_array(tensor)
        large = values.dtype == np.float32 and values.size >= _SMALLEST_HALVED
        if not large or np.abs(values).max() > _HALF_MAX:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def head_weights_of(model: TrainedModel) -> dict[Head, NDArray[np.float32]]:
    """Return what each head multiplies the means of the maps by, float32 (C, F)."""
    net = model.net
    return {head: net.head_weights(head).detach().cpu().numpy() for head in model.space.heads}


def agreement(
    model: TrainedModel, artefact: Artefact, tensors: NDArray[np.float32], *, half: bool = True
) -> Agreement:
    """Return how far `artefact` is from `model` on `tensors`, (N, C, S, S).

    Raises
    ------
    ArtefactError
        A probability differs by more than the tolerance: the artefact is not to be used.
    """
    tolerance = TOLERANCE_HALF if half else TOLERANCE_SINGLE
    coherent = Coherent(model.space)
    nets = (TorchNet(model.net), OnnxNet(artefact, threads=1))
    wanted, found = (coherent(net.run(tensors).scores) for net in nets)
    largest = {head: float(np.abs(wanted[head] - found[head]).max()) for head in wanted}
    worst = max(largest, key=lambda head: largest[head])
    # Also where a score is not a number.
    if not largest[worst] <= tolerance:
        raise ArtefactError(
            f"{artefact.name} {artefact.version}",
            f"a probability of {worst} differs from that of torch by {largest[worst]:.2g}",
            f"at most {tolerance:.0e}",
            "Export it with --float32." if half else "Report it: the exporter is at fault.",
        )
    return Agreement(len(tensors), largest, tolerance)


def adapted(
    model: TrainedModel, name: str | None, version: str | None, reducing_gap: float | None
) -> TrainedModel:
    """Return `model` with another name, version or `Preprocessing.reducing_gap`, where given."""
    preprocessing = model.preprocessing
    if reducing_gap is not None:
        preprocessing = replace(preprocessing, reducing_gap=reducing_gap)
    return replace(
        model,
        name=name or model.name,
        version=version or model.version,
        preprocessing=preprocessing,
    )
