"""`residual_trunk`: small residual nets of any width, to be trained from scratch on a CPU.

With 64 channels the 18- and 34-layer nets are those of He et al. 2016 and their parameters are
named and shaped as torchvision's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from torch import Tensor, nn

# He et al. 2016, Table 1: basic blocks a stage. Ten layers are one block a stage.
BLOCKS: Final[dict[str, tuple[int, ...]]] = {
    "resnet10": (1, 1, 1, 1),
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
}


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; the first may halve the picture."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inside != outside:
            self.downsample = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return float (N, outside, H / stride, W / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + shortcut)  # type: ignore[no-any-return]


def residual_trunk(blocks: Sequence[int], width: int, channels: int) -> tuple[nn.Sequential, int]:
    """Return the convolutions of a residual net, and how many feature maps they make.

    Parameters
    ----------
    blocks
        Basic blocks a stage; every stage after the first halves the picture and doubles the maps.
    width
        Feature maps of the first stage.
    channels
        Channels of the input.
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(channels, width, 7, 2, 3, bias=False),
        bn1=nn.BatchNorm2d(width),
        relu=nn.ReLU(inplace=True),
        maxpool=nn.MaxPool2d(3, 2, 1),
    )
    inside = width
    for stage, count in enumerate(blocks):
        outside = width * 2**stage
        layers = []
        for number in range(count):
            layers.append(BasicBlock(inside, outside, 2 if stage and not number else 1))
            inside = outside
        parts[f"layer{stage + 1}"] = nn.Sequential(*layers)
    trunk = nn.Sequential(parts)
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d):
            # He et al. 2015, "Delving deep into rectifiers", eq. 10 over the fan-out.
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return trunk, inside
