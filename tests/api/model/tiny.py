"""A model without training, as a file: what is brighter on the left is a hand, else a foot."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnx.helper as make
from numpy.typing import NDArray
from PIL import Image

from classifier.calibration.calibration import identity
from classifier.calibration.guards import GuardSettings
from classifier.data.labels import Head, LabelSpace
from classifier.preprocess.pipeline import Preprocessing
from classifier.serving.artefact import Artefact, write_artefact
from classifier.serving.runtime import INPUT, MAPS, POOLED
from terminology.annotation import RouterGroup
from terminology.graph import BodyStructureGraph
from terminology.vocabulary import LabelVocabulary

HAND, FOOT = "85562004", "56459004"
SIDE = 8
_SURE = 60.0
# 272479007 |Posteroanterior projection|, 399348003 |Antero-posterior projection|.
_VIEWS = ("272479007", "399348003")


def write_model(path: Path, graph: BodyStructureGraph, name: str = "Tiny model") -> Path:
    """Write the model to `path`, and return it."""
    space = LabelSpace(
        LabelVocabulary.of(graph, (HAND, FOOT)),
        {
            Head.EXAMINED: (HAND, FOOT),
            Head.VIEW: _VIEWS,
            Head.MODALITY: ("DX", "CT"),
            Head.ROUTER: tuple(RouterGroup),
        },
    )
    left = np.zeros((SIDE, SIDE), np.float32)
    left[:, : SIDE // 2], left[:, SIDE // 2 :] = _SURE / SIDE**2, -_SURE / SIDE**2
    weights = {head: _weights(space, head, left) for head in space.heads}
    artefact = Artefact(
        name=name,
        version="3",
        space=space,
        preprocessing=Preprocessing("A", size=SIDE, channels=1),
        calibration=identity(space),
        guards=GuardSettings(),
        prior={HAND: 0.5, FOOT: 0.5},
        metrics={},
        sources=(),
        config={},
        card="Drawn.",
        onnx=_network(weights),
        head_weights={
            head: np.zeros((len(bias), 1), np.float32) for head, (_, bias) in weights.items()
        },
    )
    write_artefact(path, artefact)
    return path


def _weights(
    space: LabelSpace, head: Head, left: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what the pixels are multiplied by, (pixels, classes), and what is added."""
    classes = space.columns(head)
    weights = np.zeros((SIDE * SIDE, len(classes)), np.float32)
    bias = np.zeros(len(classes), np.float32)
    if head is Head.VISIBLE:
        for code, sign in ((HAND, 1), (FOOT, -1)):
            weights[:, space.vocabulary.columns[code]] = sign * left.ravel()
    elif head is Head.EXAMINED:
        weights[:, 0], weights[:, 1] = left.ravel(), -left.ravel()
    elif head is Head.ROUTER:
        bias[classes.index(RouterGroup.OTHER)] = _SURE
    else:
        bias[0] = _SURE
    return weights, bias


def _network(weights: Mapping[Head, tuple[NDArray[np.float32], NDArray[np.float32]]]) -> bytes:
    nodes = [
        make.make_node("Flatten", [INPUT], ["flat"]),
        make.make_node("Identity", [INPUT], [MAPS]),
        make.make_node("ReduceMean", ["flat"], [POOLED], axes=[1], keepdims=1),
    ]
    constants = []
    outputs = []
    for head, (matrix, bias) in weights.items():
        nodes.append(make.make_node("Gemm", ["flat", f"{head}.w", f"{head}.b"], [str(head)]))
        for name, values in ((f"{head}.w", matrix), (f"{head}.b", bias)):
            constants.append(onnx.numpy_helper.from_array(values, name))
        outputs.append((str(head), ["N", len(bias)]))
    outputs += [(POOLED, ["N", 1]), (MAPS, ["N", 1, SIDE, SIDE])]
    graph = make.make_graph(
        nodes,
        "tiny",
        [make.make_tensor_value_info(INPUT, onnx.TensorProto.FLOAT, ["N", 1, SIDE, SIDE])],
        [
            make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for name, shape in outputs
        ],
        constants,
    )
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def drawn(part: str, seed: int = 0) -> NDArray[np.uint8]:
    """Return an image of a hand or a foot as the model sees them: uint8 (64, 64)."""
    rng = np.random.default_rng(seed)
    grey = rng.integers(0, 60, (64, 64), dtype=np.uint8)
    half = np.s_[:, :32] if part == HAND else np.s_[:, 32:]
    grey[half] += 180
    return grey


def encoded(grey: NDArray[np.uint8], form: str = "PNG") -> bytes:
    """Return the picture as a file."""
    out = io.BytesIO()
    Image.fromarray(grey).save(out, form, **({"quality": 95} if form == "JPEG" else {}))
    return out.getvalue()
