import pytest
import torch

from classifier.errors import NetworkError
from classifier.models.backbones import BACKBONES, build_trunk, first_convolution
from classifier.models.scratch import BLOCKS, residual_trunk
from classifier.models.vision import torchvision


def parameters(module):
    return sum(one.numel() for one in module.parameters())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_makes_the_feature_maps_it_says(name, channels):
    trunk, count = build_trunk(name, None, channels)
    with torch.inference_mode():
        maps = trunk.eval()(torch.rand(1, channels, 64, 64))
    # All of them halve the picture five times.
    assert maps.shape == (1, count, 2, 2)
    assert first_convolution(trunk)[1].in_channels == channels


@pytest.mark.parametrize(
    ("name", "width", "millions"),
    [
        ("resnet10", 32, 1.2),
        ("resnet18", 32, 2.8),
        ("resnet18", None, 11.2),
        ("resnet34", 32, 5.3),
        ("mobilenet_v1", 0.5, 0.8),
        ("mobilenet_v1", None, 3.2),
        ("mobilenet_v2", 0.5, 0.7),
    ],
)
def test_width_sets_the_number_of_parameters(name, width, millions):
    assert round(parameters(build_trunk(name, width, 1)[0]) / 1e6, 1) == millions


@pytest.mark.parametrize(
    # Howard et al. 2017, Table 6: millions of parameters with a classifier of 1,000 classes.
    ("multiplier", "millions"),
    [(1.0, 4.2), (0.75, 2.6), (0.5, 1.3), (0.25, 0.5)],
)
def test_mobilenet_v1_has_the_papers_parameters(multiplier, millions):
    trunk, count = build_trunk("mobilenet_v1", multiplier, 3)
    assert round((parameters(trunk) + 1000 * (count + 1)) / 1e6, 1) == millions


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_own_residual_net_is_torchvisions_at_its_width(name):
    theirs = build_trunk(name, None, 3)[0]
    ours = residual_trunk(BLOCKS[name], 64, 3)[0]
    ours.load_state_dict(theirs.state_dict())
    picture = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(ours.eval()(picture), theirs.eval()(picture))


def test_parameters_have_torchvisions_names():
    for name in ("resnet50", "mobilenet_v2", "efficientnet_b0"):
        theirs = torchvision().models.get_model(name, weights=None).state_dict()
        ours = build_trunk(name, None, 3)[0].state_dict()
        assert {key: value.shape for key, value in ours.items()} == {
            key: value.shape
            for key, value in theirs.items()
            if not key.startswith(("fc.", "classifier."))
        }


@pytest.mark.parametrize(
    ("name", "width", "message"),
    [
        ("resnet19", None, r"'resnet19' is no network known here; expected one of resnet10, "),
        ("resnet50", 32, r"width: '32' of resnet50; expected no width"),
        ("efficientnet_b0", 0.5, r"'0.5' of efficientnet_b0"),
        ("resnet18", 0.5, r"'0.5' of resnet18; expected a whole number of maps"),
        ("mobilenet_v1", 0, r"width: '0'; expected a number above 0"),
    ],
)
def test_networks_that_do_not_exist_are_refused(name, width, message):
    with pytest.raises(NetworkError, match=message):
        build_trunk(name, width, 3)


def test_channels_last_gives_the_same_maps():
    trunk = build_trunk("mobilenet_v1", 0.25, 1)[0].eval()
    picture = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        plain = trunk(picture)
        last = trunk.to(memory_format=torch.channels_last)(
            picture.to(memory_format=torch.channels_last)
        )
    torch.testing.assert_close(last, plain)
