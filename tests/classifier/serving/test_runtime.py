import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from classifier.errors import ArtefactError
from classifier.predict import TorchNet
from classifier.serving import export
from classifier.serving.artefact import Artefact
from classifier.serving.coherent import Coherent
from classifier.serving.export import agreement, onnx_of
from classifier.serving.predictor import OnnxPredictor
from classifier.serving.runtime import OnnxNet
from tests.classifier.serving.conftest import artefact_of


def test_it_says_what_torch_says(model, artefact: Artefact, tensors):
    wanted, found = TorchNet(model.net).run(tensors), OnnxNet(artefact, threads=1).run(tensors)
    assert tuple(found.scores) == model.space.heads
    for head in model.space.heads:
        np.testing.assert_allclose(found.scores[head], wanted.scores[head], atol=1e-4)
    np.testing.assert_allclose(found.pooled, wanted.pooled, atol=1e-5)
    np.testing.assert_allclose(found.maps, wanted.maps, atol=1e-4)
    told = agreement(model, artefact, tensors, half=False)
    assert (told.images, told.tolerance) == (3, 1e-5)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_any_number_of_frames_is_answered_alike(artefact: Artefact, tensors, count):
    net = OnnxNet(artefact, threads=1)
    many = np.concatenate([tensors] * 3)[:count]
    found = net.run(many)
    assert found.maps.shape[0] == found.pooled.shape[0] == count
    alone = [net.run(many[at : at + 1]) for at in range(count)]
    for head, rows in found.scores.items():
        single = np.concatenate([one.scores[head] for one in alone])
        np.testing.assert_allclose(rows, single, atol=1e-5)


def test_large_weights_can_be_kept_in_half_precision(model, tensors, monkeypatch):
    monkeypatch.setattr(export, "_SMALLEST_HALVED", 1)
    small, large = artefact_of(model, half=True), artefact_of(model)
    assert len(small.onnx) < 0.75 * len(large.onnx)
    told = agreement(model, small, tensors)
    # Rounding is seen, so that the weights were indeed rounded; and it changes little.
    assert 0 < max(told.largest.values()) <= 1e-3
    held = onnx.load_from_string(small.onnx).graph.initializer
    assert onnx.TensorProto.FLOAT not in {one.data_type for one in held if one.dims}


def test_small_weights_are_never_halved(model):
    assert onnx_of(model, half=True) == onnx_of(model, half=False)


def test_a_network_that_says_something_else_is_not_exported(model, artefact, tensors):
    other = replace(artefact, onnx=_shifted(artefact.onnx))
    with pytest.raises(ArtefactError, match="differs from that of torch"):
        agreement(model, other, tensors)


def _shifted(content: bytes) -> bytes:
    proto = onnx.load_from_string(content)
    bias = next(one for one in proto.graph.initializer if one.name.endswith("examined.bias"))
    values = onnx.numpy_helper.to_array(bias) + np.linspace(0, 1, bias.dims[0], dtype=np.float32)
    bias.CopyFrom(onnx.numpy_helper.from_array(values, bias.name))
    return proto.SerializeToString()


def test_the_export_is_the_same_every_time_and_names_no_file(model):
    first = onnx_of(model)
    assert onnx_of(model) == first
    assert b".py" not in first
    assert {node.op_type for node in onnx.load_from_string(first).graph.node}.isdisjoint(
        {"BatchNormalization"}
    )


def test_the_network_of_the_model_stays_as_it_was(model):
    before = {name: value.clone() for name, value in model.net.state_dict().items()}
    onnx_of(model)
    after = model.net.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_several_threads_may_ask_at_once(artefact: Artefact, tensors):
    net = OnnxNet(artefact, threads=1)
    wanted = net.run(tensors).pooled
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: net.run(tensors).pooled, range(24)):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("content", "what"), [(b"", "refuses it"), (b"not a network", "refuses it")]
)
def test_a_broken_network_is_refused(artefact: Artefact, content, what):
    with pytest.raises(ArtefactError, match=what) as caught:
        OnnxNet(replace(artefact, onnx=content))
    assert "Export the model again" in caught.value.remedy


def test_a_network_without_an_output_is_refused(artefact: Artefact):
    proto = onnx.load_from_string(artefact.onnx)
    del proto.graph.output[-1]
    with pytest.raises(ArtefactError, match="no output maps"):
        OnnxNet(replace(artefact, onnx=proto.SerializeToString()))


def test_without_onnx_runtime_the_remedy_is_named(artefact: Artefact, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ArtefactError, match=r"bodysite\[pixels\]"):
        OnnxNet(artefact)


@pytest.mark.parametrize(("precision", "far"), [("f32", 1e-5), ("bf16", 2e-2)])
def test_openvino_says_nearly_the_same(artefact: Artefact, tensors, precision, far):
    pytest.importorskip("openvino")
    from classifier.serving.openvino import OpenVinoNet

    wanted = OnnxNet(artefact, threads=1).run(tensors)
    net = OpenVinoNet(artefact, threads=1, precision=precision)
    coherent = Coherent(artefact.space)
    found = net.run(tensors)
    probable, other = coherent(wanted.scores), coherent(found.scores)
    for head, rows in probable.items():
        np.testing.assert_allclose(other[head], rows, atol=far)
    assert (found.pooled.shape, found.maps.shape) == (wanted.pooled.shape, wanted.maps.shape)
    with ThreadPoolExecutor(3) as pool:
        for again in pool.map(lambda _: net.run(tensors).pooled, range(9)):
            np.testing.assert_array_equal(again, found.pooled)


def test_without_openvino_the_remedy_is_named(artefact: Artefact, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ArtefactError, match="pip install openvino"):
        OnnxPredictor(artefact, runtime="openvino")


def test_the_arithmetic_of_the_process_stays_as_it_is(artefact: Artefact, tensors):
    # ONNX Runtime can be told to flush denormal numbers to zero, and then does so for its caller.
    smallest = np.nextafter(np.zeros(4), np.ones(4))
    OnnxNet(artefact, threads=1).run(tensors)
    assert (smallest * 1.0 > 0).all()
