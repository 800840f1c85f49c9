import pytest
import torch
from torch import nn

from classifier.data.labels import Head
from classifier.errors import CheckpointError, NetworkError
from classifier.models.coherence import Coherence
from classifier.models.network import BodySiteNet, NetworkSpec
from classifier.models.probabilities import probabilities
from classifier.models.vision import torchvision
from tests.classifier.models.made import SPACE

TINY = NetworkSpec("resnet10", 8, 1)


@pytest.fixture
def picture():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))


def test_a_score_for_every_class_of_every_head():
    outputs = BodySiteNet(TINY, SPACE)(torch.rand(3, 1, 64, 64))
    assert {head: tuple(scores.shape) for head, scores in outputs.items()} == {
        Head.EXAMINED: (3, 4),
        Head.VISIBLE: (3, 6),
        Head.VIEW: (3, 2),
        Head.MODALITY: (3, 1),
    }
    assert all(isinstance(head, Head) for head in outputs)


def test_class_activation_maps_are_exact():
    net = BodySiteNet(TINY, SPACE).eval()
    picture = torch.rand(2, 1, 64, 64)
    features = net.features(picture)
    for head, scores in net(picture).items():
        maps = torch.einsum("cf,nfhw->nchw", net.head_weights(head), features)
        torch.testing.assert_close(maps.mean((2, 3)) + net.heads[head].bias, scores)


def test_seed_alone_decides_the_first_parameters():
    torch.manual_seed(1)
    first = BodySiteNet(TINY, SPACE, seed=3).state_dict()
    before = torch.get_rng_state()
    second = BodySiteNet(TINY, SPACE, seed=3).state_dict()
    other = BodySiteNet(TINY, SPACE, seed=4).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["trunk.conv1.weight"], other["trunk.conv1.weight"])


def test_dropout_is_for_training_only():
    net = BodySiteNet(NetworkSpec("resnet10", 8, 1, dropout=0.5), SPACE).eval()
    features = net.features(torch.rand(1, 1, 64, 64))
    assert torch.equal(net.answer(features)[Head.VIEW], net.answer(features)[Head.VIEW])
    net.train()
    assert not torch.equal(net.answer(features)[Head.VIEW], net.answer(features)[Head.VIEW])


def test_specification_survives_json():
    spec = NetworkSpec("mobilenet_v1", 0.5, 1, 0.2, "x.pth")
    assert NetworkSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"channels": 2}, "network channels: '2'; expected 1 or 3"),
        ({"dropout": 1.0}, "network dropout: '1.0'"),
    ],
)
def test_impossible_specifications_are_refused(values, message):
    with pytest.raises(NetworkError, match=message):
        NetworkSpec(**values)


@pytest.fixture(scope="module")
def resnet18():
    torch.manual_seed(0)
    return torchvision().models.get_model("resnet18", weights=None).eval()


@pytest.fixture
def resnet18_file(resnet18, tmp_path):
    path = tmp_path / "resnet18.pth"
    torch.save(resnet18.state_dict(), path)
    return path


def trunk_of(theirs, picture):
    network = nn.Sequential(*list(theirs.children())[:-2])
    with torch.inference_mode():
        return network(picture)


def test_state_dict_of_torchvision_is_taken_less_its_head(resnet18, resnet18_file, picture):
    net = BodySiteNet(NetworkSpec("resnet18", weights=str(resnet18_file)), SPACE).eval()
    with torch.inference_mode():
        assert torch.equal(net.features(picture), trunk_of(resnet18, picture))


def test_one_channel_sees_grey_as_three_equal_channels_do(resnet18, resnet18_file, picture):
    spec = NetworkSpec("resnet18", channels=1, weights=str(resnet18_file))
    net = BodySiteNet(spec, SPACE).eval()
    grey = picture[:, :1]
    with torch.inference_mode():
        ours = net.features(grey)
    torch.testing.assert_close(ours, trunk_of(resnet18, grey.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {f"module.{name}": value for name, value in state.items()}},
        # Files of before torch 0.4.1 lack the counters of batch normalisation.
        lambda state: {n: v for n, v in state.items() if not n.endswith("num_batches_tracked")},
    ],
)
def test_state_dicts_as_training_scripts_save_them(resnet18, tmp_path, picture, wrapped):
    path = tmp_path / "saved.pth"
    torch.save(wrapped(resnet18.state_dict()), path)
    net = BodySiteNet(NetworkSpec("resnet18", weights=str(path)), SPACE).eval()
    with torch.inference_mode():
        assert torch.equal(net.features(picture), trunk_of(resnet18, picture))


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        (NetworkSpec("resnet34"), ["lacks layer1.2.", "and ", "more"]),
        (NetworkSpec("resnet18", 32), ["conv1.weight (64, 3, 7, 7) instead of (32, 3, 7, 7)"]),
        (NetworkSpec("mobilenet_v1"), ["lacks features.", "bn1.bias", "besides"]),
    ],
)
def test_parameters_of_another_network_are_named(resnet18_file, spec, parts):
    before = spec.to_json() | {"weights": str(resnet18_file)}
    with pytest.raises(CheckpointError) as caught:
        BodySiteNet(NetworkSpec.from_json(before), SPACE)
    assert str(resnet18_file) in caught.value.where
    assert all(part in caught.value.what for part in parts)


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ([1, 2], "is no state dict"),
        ({}, "is no state dict"),
        ({"conv1.weight": 3}, "is no state dict"),
        (nn.Linear(1, 1), "holds more than parameters"),
    ],
)
def test_files_without_a_state_dict_are_refused(tmp_path, saved, message):
    path = tmp_path / "odd.pth"
    torch.save(saved, path)
    with pytest.raises(CheckpointError, match=message):
        BodySiteNet(NetworkSpec("resnet18", weights=str(path)), SPACE)


def test_network_and_probabilities_export_with_any_batch():
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = BodySiteNet(TINY, SPACE, seed=0)
            self.coherence = Coherence(SPACE.vocabulary)

        def forward(self, x):
            return probabilities(self.net(x), SPACE, self.coherence)

    whole = Whole().eval()
    exported = torch.export.export(
        whole, (torch.rand(3, 1, 64, 64),), dynamic_shapes=({0: torch.export.Dim("batch")},)
    ).module()
    pictures = torch.rand(5, 1, 64, 64)
    expected = whole(pictures)
    for head, found in exported(pictures).items():
        torch.testing.assert_close(found, expected[head])
