from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from classifier.data.labels import Head, LabelSpace
from classifier.evaluation.saliency import (
    SaliencyMethod,
    activation,
    cam,
    grad_cam,
    saliency,
)
from terminology.graph import BodyStructureGraph
from terminology.vocabulary import LabelVocabulary

HAND, FOOT, CHEST, UPPER_LIMB = "85562004", "56459004", "816094009", "53120007"
SIZE = 32


class TinyNet(nn.Module):
    """Two convolutions with work in place, global average pooling, a linear layer a head."""

    def __init__(self, space: LabelSpace) -> None:
        super().__init__()
        self.space = space
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 6, 3, stride=2, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.Conv2d(6, 8, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
        )
        self.heads = nn.ModuleDict(
            {str(head): nn.Linear(8, len(space.columns(head))) for head in space.heads}
        )

    def features(self, x: Tensor) -> Tensor:
        return self.trunk(x)

    def answer(self, features: Tensor) -> dict[Head, Tensor]:
        pooled = features.mean((2, 3))
        return {head: self.heads[head](pooled) for head in self.space.heads}

    def forward(self, x: Tensor) -> dict[Head, Tensor]:
        return self.answer(self.features(x))

    def head_weights(self, head: Head) -> Tensor:
        return self.heads[head].weight


@pytest.fixture(scope="module")
def space(graph: BodyStructureGraph) -> LabelSpace:
    vocabulary = LabelVocabulary.of(graph, [HAND, FOOT, CHEST, UPPER_LIMB])
    return LabelSpace(vocabulary, {Head.EXAMINED: (HAND, FOOT, CHEST), Head.MODALITY: ("DX",)})


@pytest.fixture
def net(space: LabelSpace) -> Iterator[TinyNet]:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        yield TinyNet(space).eval()


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(1).random((1, SIZE, SIZE), dtype=np.float32)


def logits(net: TinyNet, image: np.ndarray, head: Head) -> np.ndarray:
    with torch.no_grad():
        return net(torch.from_numpy(image)[None])[head][0].numpy()


@pytest.mark.parametrize("column", range(3))
def test_the_mean_of_the_activation_is_the_logit_less_bias_and_mean(net, image, column):
    bias = net.heads["examined"].bias.detach().numpy()
    explained = logits(net, image, Head.EXAMINED) - bias
    found = activation(net, image, Head.EXAMINED, column)
    assert found.shape == (8, 8)
    assert found.mean() == pytest.approx(explained[column] - explained.mean(), abs=1e-5)


def test_the_activation_of_a_visible_part_is_of_its_own_logit(net, image):
    bias = net.heads["visible"].bias.detach().numpy()
    explained = logits(net, image, Head.VISIBLE) - bias
    for column in range(len(net.space.vocabulary)):
        mean = activation(net, image, Head.VISIBLE, column).mean()
        assert mean == pytest.approx(explained[column], abs=1e-5)


def test_a_head_of_one_class_is_explained_by_its_logit(net, image):
    bias = net.heads["modality"].bias.item()
    mean = activation(net, image, Head.MODALITY, 0).mean()
    assert mean == pytest.approx(logits(net, image, Head.MODALITY)[0] - bias, abs=1e-5)


@pytest.mark.parametrize("method", list(SaliencyMethod))
@pytest.mark.parametrize("head", [Head.EXAMINED, Head.VISIBLE, Head.MODALITY])
def test_maps_are_of_the_image_and_reach_from_0_to_1(net, image, head, method):
    for column in range(len(net.space.columns(head))):
        found = saliency(net, image, head, column, method)
        assert found.shape == (SIZE, SIZE)
        assert found.dtype == np.float32
        assert found.min() >= 0
        assert found.max() in (0, pytest.approx(1))


def test_grad_cam_of_the_last_feature_map_is_the_cam(net, image):
    for head in (Head.EXAMINED, Head.VISIBLE):
        for column in range(3):
            ours, gradients = cam(net, image, head, column), grad_cam(net, image, head, column)
            assert gradients == pytest.approx(ours, abs=1e-5)


def test_grad_cam_of_a_layer_that_is_changed_in_place(net, image):
    before = [cam(net, image, Head.EXAMINED, 0), *(p.clone() for p in net.parameters())]
    found = grad_cam(net, image, Head.EXAMINED, 1, layer=net.trunk[0])
    assert found.shape == (SIZE, SIZE)
    last = grad_cam(net, image, Head.EXAMINED, 1, layer=net.trunk[4])
    assert last == pytest.approx(cam(net, image, Head.EXAMINED, 1), abs=1e-5)
    assert not net.trunk[0]._forward_hooks
    after = [cam(net, image, Head.EXAMINED, 0), *net.parameters()]
    assert all(
        np.array_equal(a.detach(), b.detach()) for a, b in zip(before[1:], after[1:], strict=True)
    )
    assert all(parameter.grad is None for parameter in net.parameters())


def test_a_layer_without_a_feature_map_is_refused(net, image):
    with pytest.raises(ValueError, match="one feature map"):
        grad_cam(net, image, Head.EXAMINED, 0, layer=net.heads["examined"])


def test_the_map_lies_where_the_class_is(net, image):
    """A net whose one useful feature is brightness sees the bright corner."""
    with torch.no_grad():
        for layer in (net.trunk[0], net.trunk[3]):
            layer.weight.zero_()
            layer.bias.zero_()
            layer.weight[0, 0, 1, 1] = 1
        net.heads["examined"].weight.zero_()
        net.heads["examined"].weight[2, 0] = 1
    bright = np.zeros((1, SIZE, SIZE), dtype=np.float32)
    bright[0, 24:, :8] = 1
    for method in SaliencyMethod:
        found = saliency(net, bright, Head.EXAMINED, 2, method)
        assert found[26:30, 2:6].min() > 0.8
        assert found[:16].max() == 0
        assert saliency(net, bright, Head.EXAMINED, 0, method).max() == 0


def test_a_region_is_explained_by_the_part_that_speaks_for_it(net, image):
    vocabulary = net.space.vocabulary
    limb, hand = vocabulary.columns[UPPER_LIMB], vocabulary.columns[HAND]
    assert hand in vocabulary.descendants[limb]
    with torch.no_grad():
        net.heads["visible"].bias[hand] = 50
    found = saliency(net, image, Head.VISIBLE, limb)
    assert found == pytest.approx(cam(net, image, Head.VISIBLE, hand))
    with torch.no_grad():
        net.heads["visible"].bias[limb] = 90
    found = saliency(net, image, Head.VISIBLE, limb)
    assert found == pytest.approx(cam(net, image, Head.VISIBLE, limb))


def test_a_part_that_is_visible_because_it_is_examined_is_explained_so(net, image):
    limb = net.space.vocabulary.columns[UPPER_LIMB]
    with torch.no_grad():
        net.heads["visible"].bias -= 50
        net.heads["examined"].bias[0] = 50
    found = saliency(net, image, Head.VISIBLE, limb)
    assert found == pytest.approx(cam(net, image, Head.EXAMINED, 0))
    foot = net.space.vocabulary.columns[FOOT]
    with torch.no_grad():
        net.heads["visible"].bias[foot] = 90
    assert saliency(net, image, Head.VISIBLE, foot) == pytest.approx(
        cam(net, image, Head.VISIBLE, foot)
    )


def test_a_net_in_training_is_explained_as_it_answers_and_stays_in_training(net, image):
    expected = cam(net, image, Head.EXAMINED, 0)
    net.train()
    assert cam(net, image, Head.EXAMINED, 0) == pytest.approx(expected)
    assert net.training
    assert net.trunk[1].training
