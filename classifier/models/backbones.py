"""`build_trunk`: the convolutions of a network by name, without the classifier that follows them.

Parameters are named as torchvision names them, so that a state dict of the user fits. Of
MobileNet-V3 the hidden layer of the classifier goes too: nothing lies between maps and heads.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final

from torch import nn

from classifier.errors import NetworkError
from classifier.models.mobilenet_v1 import mobilenet_v1_trunk
from classifier.models.scratch import BLOCKS, residual_trunk
from classifier.models.vision import torchvision

_RESNETS: Final = ("resnet18", "resnet34", "resnet50")
_MOBILENETS: Final = ("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large")
_EFFICIENTNETS: Final = ("efficientnet_b0", "efficientnet_b1", "efficientnet_b2")
_RESNET_WIDTH: Final = 64

BACKBONES: Final = ("resnet10", *_RESNETS, "mobilenet_v1", *_MOBILENETS, *_EFFICIENTNETS)
"""The names that `build_trunk` knows."""


def build_trunk(name: str, width: float | None, channels: int) -> tuple[nn.Sequential, int]:
    """Return the convolutions of `name`, freshly initialised, and how many feature maps they make.

    Parameters
    ----------
    name
        One of `BACKBONES`.
    width
        Of resnet10, resnet18 and resnet34, the feature maps of the first stage: 64 as published,
        32 for a quarter of the parameters. Of the MobileNets, the width multiplier. `None` is the
        published network; the others come in no other width.
    channels
        Channels of the input.

    Raises
    ------
    NetworkError
        No network of that name, or none of that width.
    """
    if name not in BACKBONES:
        raise NetworkError(
            "backbone",
            f"'{name}' is no network known here",
            f"one of {', '.join(BACKBONES)}",
            "Correct the name.",
        )
    if width is not None and width <= 0:
        raise NetworkError("width", f"'{width}'", "a number above 0", "Correct the width.")
    if name == "mobilenet_v1":
        return mobilenet_v1_trunk(1.0 if width is None else width, channels)
    if name in BLOCKS and (name not in _RESNETS or width not in (None, _RESNET_WIDTH)):
        maps = _RESNET_WIDTH if width is None else int(width)
        if width is not None and maps != width:
            raise NetworkError(
                "width", f"'{width}' of {name}", "a whole number of maps", "Correct the width."
            )
        return residual_trunk(BLOCKS[name], maps, channels)
    return _published(name, width, channels)


def _published(name: str, width: float | None, channels: int) -> tuple[nn.Sequential, int]:
    """Return a network of torchvision, less its classifier."""
    options: dict[str, Any] = {}
    if name in _MOBILENETS:
        options["width_mult"] = 1.0 if width is None else width
    elif width is not None and not (name in BLOCKS and width == _RESNET_WIDTH):
        raise NetworkError(
            "width",
            f"'{width}' of {name}",
            "no width: this network comes in one",
            f"Leave the width out, or choose {', '.join((*BLOCKS, 'mobilenet_v1', *_MOBILENETS))}.",
        )
    network = torchvision().models.get_model(name, weights=None, **options)
    if name in _RESNETS:
        names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
        trunk = nn.Sequential(OrderedDict((part, getattr(network, part)) for part in names))
        count = int(network.fc.in_features)
    else:
        trunk = nn.Sequential(OrderedDict(features=network.features))
        count = int(network.features[-1].out_channels)
    _take_channels(trunk, channels)
    return trunk, count


def first_convolution(trunk: nn.Module) -> tuple[str, nn.Conv2d]:
    """Return the convolution that sees the input, and its name within `trunk`."""
    return next(
        (name, module) for name, module in trunk.named_modules() if isinstance(module, nn.Conv2d)
    )


def _take_channels(trunk: nn.Sequential, channels: int) -> None:
    """Have `trunk` take an input of so many channels."""
    name, old = first_convolution(trunk)
    if old.in_channels == channels:
        return
    new = nn.Conv2d(
        channels,
        old.out_channels,
        (old.kernel_size[0], old.kernel_size[1]),
        (old.stride[0], old.stride[1]),
        (int(old.padding[0]), int(old.padding[1])),
        bias=old.bias is not None,
    )
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    trunk.set_submodule(name, new)
