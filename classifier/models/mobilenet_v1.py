"""`mobilenet_v1_trunk`: MobileNet-V1 (Howard et al. 2017), which torchvision does not have."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from torch import nn

# Howard et al. 2017, Table 1: feature maps and stride of each depthwise separable convolution.
_FIRST: Final = 32
_BLOCKS: Final = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
# The authors' own code makes no layer thinner than this, whatever the multiplier.
_THINNEST: Final = 8


def mobilenet_v1_trunk(multiplier: float, channels: int) -> tuple[nn.Sequential, int]:
    """Return the convolutions of MobileNet-V1, and how many feature maps they make.

    Parameters
    ----------
    multiplier
        The paper's width multiplier: 1 makes 1,024 maps, 0.5 makes 512.
    channels
        Channels of the input.
    """

    def width(maps: int) -> int:
        return max(_THINNEST, round(maps * multiplier))

    inside = width(_FIRST)
    layers = [_convolution(channels, inside, 3, 2)]
    for maps, stride in _BLOCKS:
        layers.append(_convolution(inside, inside, 3, stride, groups=inside))
        layers.append(_convolution(inside, width(maps), 1, 1))
        inside = width(maps)
    trunk = nn.Sequential(OrderedDict(features=nn.Sequential(*layers)))
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return trunk, inside


def _convolution(
    inside: int, outside: int, size: int, stride: int, groups: int = 1
) -> nn.Sequential:
    """Return a convolution with its normalisation and rectifier."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )
