"""`Preprocessing`: grey levels → what a network is fed; the same for training and serving.

Cheng et al. compare four: A the resized image, B with the Top-Bottom Hat, C with Cartoon+Texture,
D with both, the hat first. This module puts the steps together and scales them; each step has a
module of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from classifier.errors import PreprocessingError
from classifier.preprocess.cartex import CartexSettings, cartoon_texture
from classifier.preprocess.checks import check_grey, check_unit, white
from classifier.preprocess.hat import ELEMENT_AT_224, hat, scaled_element
from classifier.preprocess.resize import FITS, Fit, resize
from classifier.preprocess.trim import content_box, stretched

Kind = Literal["A", "B", "C", "D"]
KINDS: Final[tuple[str, ...]] = get_args(Kind)

# What torchvision's ImageNet weights were trained with (torchvision.transforms._presets).
IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What happens between a grey image and the network.

    Attributes
    ----------
    kind
        ``"A"`` the image; ``"B"`` after the Top-Bottom Hat; ``"C"`` image, cartoon and texture;
        ``"D"`` the same three of the image after the hat.
    size
        Pixels a side of the network's input.
    fit
        ``"squash"`` to the square, as Cheng et al. do, or ``"pad"`` with black.
    trim
        Whether uniform margins are cut off first (`classifier.preprocess.trim.content_box`).
    stretch
        Whether the grey levels of what was fitted are spread from black to white.
    channels
        3, or 1 for A and B, which repeat one channel.
    mean, std
        What is taken from each channel, then what it is divided by: a value a channel, or `None`
        for neither. `IMAGENET_MEAN` and `IMAGENET_STD` go with ImageNet weights.
    hat_element
        Side of the square structuring element at 224 pixels; it is scaled with `size`.
    cartex
        The parameters of Cartoon+Texture.
    reducing_gap
        See `classifier.preprocess.resize.resize`.
    """

    kind: Kind
    size: int = 224
    fit: Fit = "squash"
    channels: Literal[1, 3] = 3
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    hat_element: int = ELEMENT_AT_224
    cartex: CartexSettings = field(default_factory=CartexSettings)
    reducing_gap: float | None = None
    trim: bool = False
    stretch: bool = False

    def __post_init__(self) -> None:
        self._demand("kind", self.kind in KINDS, f"one of {', '.join(KINDS)}")
        self._demand("size", self.size >= 1, "at least 1 pixel")
        self._demand("fit", self.fit in FITS, f"one of {', '.join(FITS)}")
        allowed = (1, 3) if self.kind in "AB" else (3,)
        why = f"{' or '.join(map(str, allowed))} for preprocessing {self.kind}"
        self._demand("channels", self.channels in allowed, why)
        self._demand("hat_element", self.hat_element >= 1, "at least 1 pixel")
        gap = self.reducing_gap
        self._demand("reducing_gap", gap is None or gap >= 1, "at least 1, or none")
        for name, given in (("mean", self.mean), ("std", self.std)):
            fits = given is None or len(given) == self.channels
            self._demand(name, fits, f"{self.channels} values, one a channel")
        together = (self.mean is None) == (self.std is None)
        self._demand("std", together, "mean and std together, or neither")
        self._demand("std", self.std is None or min(self.std) > 0, "values above 0")

    def _demand(self, name: str, fits: bool, expected: str) -> None:
        """Raise unless a setting fits."""
        if not fits:
            raise PreprocessingError(
                f"preprocessing {name}",
                f"'{getattr(self, name)}' was given",
                expected,
                "Correct the setting.",
            )

    def __call__(self, grey: NDArray[Any]) -> NDArray[np.float32]:
        """Return the network's input for a grey image: `tensor` of `fit_image`."""
        return self.tensor(self.fit_image(grey))

    def fit_image(self, grey: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the image resized, uint8 (size, size), 0 black: what a cache keeps.

        Parameters
        ----------
        grey
            (H, W), 0 black. uint8, as `classifier.pixels` returns it. uint16 is taken from 0 to
            65535 and floating point from 0 to 1, as they are: nothing is windowed or stretched.

        Raises
        ------
        PreprocessingError
            The array is not grey, or a floating-point value lies outside [0, 1].
        """
        check_grey(grey, "preprocessing")
        if self.trim:
            top, bottom, left, right = content_box(grey)
            grey = grey[top:bottom, left:right]
        fitted = resize(grey, self.size, self.fit, reducing_gap=self.reducing_gap)
        if fitted.dtype != np.uint8:
            fitted = np.rint(fitted * np.float32(255 / white(fitted))).astype(np.uint8)
        return stretched(fitted) if self.stretch else fitted

    def tensor(self, fitted: NDArray[Any]) -> NDArray[np.float32]:
        """Return the network's input, float32 (channels, S, S), for a fitted image.

        A and B: grey in [0, 1], repeated. C and D: image and cartoon in [0, 1] and texture + 0.5,
        all in units of white, so that image = cartoon + texture wherever nothing was clipped to
        [0, 1]. `mean` and `std` come last.

        Parameters
        ----------
        fitted
            What `fit_image` returned, augmented or not: uint8, uint16 or floating point in [0, 1],
            (S, S).
        """
        check_grey(fitted, "preprocessing")
        if fitted.dtype.kind == "f":
            check_unit(fitted, "preprocessing")
        if self.kind in "BD":
            fitted = hat(fitted, scaled_element(max(fitted.shape), self.hat_element))
        found = np.empty((self.channels, *fitted.shape), np.float32)
        scale = np.float32(1 / white(fitted))
        np.multiply(fitted, scale, out=found[0])
        if self.kind in "AB":
            found[1:] = found[0]
        else:
            cartoon, texture = cartoon_texture(fitted, self.cartex)
            np.multiply(cartoon, scale, out=found[1])
            np.multiply(texture, scale, out=found[2])
            found[2] += np.float32(0.5)
            np.clip(found[1:], 0, 1, out=found[1:])
        if self.mean is not None and self.std is not None:
            found -= np.array(self.mean, np.float32)[:, None, None]
            found /= np.array(self.std, np.float32)[:, None, None]
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        settings = asdict(self)
        for name in ("mean", "std"):
            if settings[name] is not None:
                settings[name] = list(settings[name])
        return settings

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the settings that `to_json` wrote; a name that is not there has its default."""
        settings = dict(data)
        inner = dict(settings.get("cartex", {}))
        _demand_names(settings, [one.name for one in fields(cls)], "preprocessing")
        _demand_names(inner, [one.name for one in fields(CartexSettings)], "preprocessing cartex")
        if "kind" not in settings:
            raise PreprocessingError(
                "preprocessing kind", "none was given", f"one of {', '.join(KINDS)}", "Name one."
            )
        for name in ("mean", "std"):
            if settings.get(name) is not None:
                settings[name] = tuple(settings[name])
        return cls(**{**settings, "cartex": CartexSettings(**inner)})


def _demand_names(settings: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    """Raise unless every setting has a name that is known."""
    for name in settings:
        if name not in known:
            raise PreprocessingError(
                where,
                f"'{name}' was given",
                f"settings among {', '.join(known)}",
                "Correct the name, or use the version of Bodysite that wrote it.",
            )
