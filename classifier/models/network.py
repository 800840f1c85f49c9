"""`BodySiteNet`: a backbone with one linear layer a head; `NetworkSpec` says which."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from classifier.data.labels import Head, LabelSpace
from classifier.errors import NetworkError
from classifier.models.backbones import build_trunk
from classifier.models.weights import load_trunk


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """Which network.

    Attributes
    ----------
    backbone, width
        As `classifier.models.backbones.build_trunk` has them.
    channels
        Channels of the input: 1 or 3.
    dropout
        Share of the pooled features that training drops before the heads, in [0, 1).
    weights
        A file of the user with the parameters to start from: a state dict of torchvision, or a
        model saved by `save_model`. `None` starts from scratch.
    """

    backbone: str = "resnet18"
    width: float | None = None
    channels: int = 3
    dropout: float = 0.0
    weights: str | None = None

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise _refused("channels", self.channels, "1 or 3")
        if not 0 <= self.dropout < 1:
            raise _refused("dropout", self.dropout, "a share in [0, 1)")

    def to_json(self) -> dict[str, Any]:
        """Return the specification as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the specification that `to_json` wrote."""
        return cls(**data)


class BodySiteNet(nn.Module):
    """What turns images into the scores of each head.

    Each head is one linear layer on the means of the feature maps, so that a class activation map
    (Zhou et al. 2016) is exact: a score is the mean over the picture of `head_weights` times
    `features`, plus a constant.

    Parameters
    ----------
    spec
        Which network.
    space
        The heads and their classes.
    seed
        Of the first parameters; `None` draws them from torch's generator of the CPU as it stands.

    Raises
    ------
    NetworkError
        There is no such network.
    CheckpointError
        `spec.weights` is no file of parameters, or they do not fit.
    """

    def __init__(self, spec: NetworkSpec, space: LabelSpace, *, seed: int | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.space = space
        with _drawn_from(seed):
            self.trunk, self.feature_count = build_trunk(spec.backbone, spec.width, spec.channels)
            self.dropout = nn.Dropout(spec.dropout)
            self.heads = nn.ModuleDict(
                {
                    str(head): nn.Linear(self.feature_count, len(space.columns(head)))
                    for head in space.heads
                }
            )
        if spec.weights is not None:
            load_trunk(self.trunk, spec.weights)

    def features(self, x: Tensor) -> Tensor:
        """Return the feature maps, float (N, `feature_count`, h, w).

        Parameters
        ----------
        x
            float32 (N, `spec.channels`, H, W) as `Preprocessing` scales them: the network does no
            scaling of its own. Parameters of ImageNet expect ImageNet's mean and deviation.
        """
        maps: Tensor = self.trunk(x)
        return maps

    def answer(self, features: Tensor) -> dict[Head, Tensor]:
        """Return the scores of each head from the feature maps, float (N, C)."""
        pooled = self.dropout(features.mean((2, 3)))
        return {head: self.heads[head](pooled) for head in self.space.heads}

    def forward(self, x: Tensor) -> dict[Head, Tensor]:
        """Return the scores of each head before softmax or sigmoid, float (N, C).

        Those of `Head.VISIBLE` are not coherent yet: `classifier.models.probabilities` makes them.
        """
        return self.answer(self.features(x))

    def head_weights(self, head: Head) -> Tensor:
        """Return what `head` multiplies the means of the feature maps by, float (C, F)."""
        weight: Tensor = self.heads[head].get_parameter("weight")
        return weight


def _refused(field: str, value: object, expected: str) -> NetworkError:
    return NetworkError(f"network {field}", f"'{value}'", expected, f"Correct the {field}.")


@contextlib.contextmanager
def _drawn_from(seed: int | None) -> Iterator[None]:
    """Have torch draw from `seed` within the block; its generator is as before afterwards."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
