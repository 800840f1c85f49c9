"""`Augmentation`: one random look-alike of an image, drawn from the generator that is given.

Everything geometric is composed into one warp, so that an image is interpolated once, and
everything that changes grey levels into one curve. The order is that of the world: the patient
lies as he lies (warp), the beam is collimated and a marker put beside him (box, stamps), the
detector and the viewer show it brighter, darker or inverted (curve), even, soft or in part
(device), and there is noise. What the warp brings in from outside the image is black, as the
collimated border of a film is, unless `bare` has it grey.

`Augmentation.apply_grey` is the way to train: it changes the fitted grey image, and
`classifier.preprocess.pipeline.Preprocessing.tensor` makes what the network is fed of it.
`Augmentation.apply` is for tensors that are there already.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import cos, exp, log, radians, sin, sqrt
from types import MappingProxyType
from typing import Any, Final, NoReturn, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from classifier.errors import PreprocessingError
from classifier.preprocess.checks import check_unit, white

# Strokes of the letters that mark sides on radiographs, in a box of width 0.6 and height 1.
_GLYPHS: Final = MappingProxyType(
    {
        "L": (((0.0, 0.0), (0.0, 1.0), (0.6, 1.0)),),
        "R": (
            ((0.0, 1.0), (0.0, 0.0), (0.4, 0.0), (0.6, 0.15), (0.6, 0.35), (0.4, 0.5), (0.0, 0.5)),
            ((0.3, 0.5), (0.6, 1.0)),
        ),
        "X": (((0.0, 0.0), (0.6, 1.0)), ((0.6, 0.0), (0.0, 1.0))),
        "I": (((0.3, 0.0), (0.3, 1.0)),),
        "+": (((0.3, 0.2), (0.3, 0.8)), ((0.0, 0.5), (0.6, 0.5))),
        "T": (((0.0, 0.0), (0.6, 0.0)), ((0.3, 0.0), (0.3, 1.0))),
    }
)
_PROBABILITY: Final = (0.0, 1.0)
# What each number of `Augmentation` may be.
_RANGES: Final = MappingProxyType(
    {
        "flip": _PROBABILITY,
        "dihedral": _PROBABILITY,
        "rotate": (0.0, 180.0),
        "rotate_least": (0.0, 180.0),
        "rotate_probability": _PROBABILITY,
        "zoom_probability": _PROBABILITY,
        "warp": (0.0, 0.5),
        "warp_probability": _PROBABILITY,
        "crop": (0.05, 1.0),
        "crop_ratio": (1.0, 4.0),
        "shift": (0.0, 0.5),
        "close": (0.1, 1.0),
        "close_probability": _PROBABILITY,
        "quarter": _PROBABILITY,
        "bare": _PROBABILITY,
        "lighting": (0.0, 0.9),
        "lighting_probability": _PROBABILITY,
        "gamma": (1.0, 5.0),
        "invert": _PROBABILITY,
        "collimate": _PROBABILITY,
        "collimate_least": (0.1, 1.0),
        "stamp": _PROBABILITY,
        "caption": _PROBABILITY,
        "erase": _PROBABILITY,
        "equalise": _PROBABILITY,
        "soften": _PROBABILITY,
        "noise": (0.0, 1.0),
        "noise_probability": _PROBABILITY,
    }
)
_LEVELS: Final = np.arange(256, dtype=np.float64) / 255
# Fractional bits of the corners that OpenCV draws between.
_SHIFT: Final = 4
# Degrees that a collimator and a mark are turned by at most.
_BOX_TURN: Final = 5.0
_STAMP_TURN: Final = 20.0

_Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far a look-alike may lie from its image; every default leaves the image as it is.

    A probability is asked once an image for each group of settings. Ranges are drawn uniformly,
    and those of factors uniformly in the logarithm unless noted.

    Attributes
    ----------
    flip
        Probability of left-right mirroring. Never where laterality or the view counts.
    dihedral
        Probability of one of the eight symmetries of the square, which mirrors and turns.
    rotate, rotate_least, rotate_probability
        Degrees: an angle of either sign between the two in absolute value.
    zoom, zoom_probability
        The least and the largest factor that the image is magnified by, drawn uniformly.
    warp, warp_probability
        Perspective: how far, in fractions of half a side, corners are moved at most.
    crop, crop_ratio
        Least area, in fractions of the image, of a random crop that is resized to the whole, and
        how far its sides may differ in ratio. 1 and 1: no crop.
    shift
        Fraction of a side that the image is moved by at most, each way.
    close, close_probability
        Least fraction of the sides that a close-up shows; its middle is drawn where there is
        something to see, rather near the middle of the image. 1: none.
    quarter
        Probability of a quarter turn or two, either way.
    bare
        Probability that what lies outside the image is grey or white, as of a bare detector or a
        scanned page, instead of black.
    lighting, lighting_probability
        Brightness and contrast, each asked with that probability: l moves the logit of the grey
        level by up to that of (1 ± l) / 2, and multiplies it by between 1 - l and 1 / (1 - l).
    gamma
        The largest exponent; the least is its inverse.
    invert
        Probability that black and white are exchanged.
    collimate, collimate_least
        Probability of a box, slightly turned, outside of which all is black, and the least
        fraction of each side that it leaves.
    stamp, stamp_glyphs
        Probability of each of two bright marks near the border, and what they are drawn from:
        of ``LRX+IT``. Leave out L and R where the mark is what is to be read.
    caption
        Probability of a line of marks like small print along the upper or the lower edge.
    erase
        Probability of a box of one grey level, a fifth of the area at most.
    equalise
        Probability that contrast is equalised locally (CLAHE), as some viewers do.
    soften
        Probability that the image has been through fewer pixels, down to a third of a side.
    noise, noise_probability
        Largest standard deviation of Gaussian noise, in fractions of white.
    """

    flip: float = 0.0
    dihedral: float = 0.0
    rotate: float = 0.0
    rotate_least: float = 0.0
    rotate_probability: float = 1.0
    zoom: tuple[float, float] = (1.0, 1.0)
    zoom_probability: float = 1.0
    warp: float = 0.0
    warp_probability: float = 1.0
    crop: float = 1.0
    crop_ratio: float = 1.0
    shift: float = 0.0
    close: float = 1.0
    close_probability: float = 1.0
    quarter: float = 0.0
    bare: float = 0.0
    lighting: float = 0.0
    lighting_probability: float = 1.0
    gamma: float = 1.0
    invert: float = 0.0
    collimate: float = 0.0
    collimate_least: float = 0.6
    stamp: float = 0.0
    stamp_glyphs: str = "LR"
    caption: float = 0.0
    erase: float = 0.0
    equalise: float = 0.0
    soften: float = 0.0
    noise: float = 0.0
    noise_probability: float = 1.0

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            fits = low <= getattr(self, name) <= high
            self._demand(name, fits, f"a number from {low:g} to {high:g}")
        self._demand("rotate_least", self.rotate_least <= self.rotate, "at most what rotate is")
        low, high = self.zoom
        self._demand("zoom", 0.1 <= low <= high <= 10, "the least factor, then the largest")
        known = bool(self.stamp_glyphs) and set(self.stamp_glyphs) <= set(_GLYPHS)
        self._demand("stamp_glyphs", known, f"some of {''.join(_GLYPHS)}")

    def _demand(self, name: str, fits: bool, expected: str) -> None:
        """Raise unless a setting fits."""
        if not fits:
            raise PreprocessingError(
                f"augmentation {name}",
                f"'{getattr(self, name)}' was given",
                expected,
                "Correct the setting.",
            )

    @classmethod
    def named(cls, policy: str) -> Self:
        """Return the policy of that name, one of `POLICIES`."""
        if policy not in POLICIES:
            raise PreprocessingError(
                "augmentation",
                f"no policy is called '{policy}'",
                f"one of {', '.join(POLICIES)}",
                "Correct the name.",
            )
        return cls(**POLICIES[policy])

    @property
    def mirrors(self) -> bool:
        """Whether left may become right, or up down: never where the side or the view counts."""
        return self.flip > 0 or self.dihedral > 0

    def scaled(self, strength: float) -> Self:
        """Return an augmentation that changes images by a share `strength` in [0, 1] of this one.

        Ranges shrink towards no change, and probabilities towards 0; but for mirrors and symmetries
        of the square, which make no picture harder.
        """
        low, high = self.zoom
        shares = {
            name: getattr(self, name) * strength
            for name in (
                *("rotate", "rotate_least", "warp", "shift", "lighting", "noise"),
                *("close_probability", "quarter", "bare", "invert", "collimate", "stamp"),
                *("caption", "erase", "equalise", "soften"),
            )
        }
        return replace(
            self,
            **shares,
            zoom=(low**strength, high**strength),
            gamma=self.gamma**strength,
            crop=1 - (1 - self.crop) * strength,
            crop_ratio=self.crop_ratio**strength,
            close=1 - (1 - self.close) * strength,
            collimate_least=1 - (1 - self.collimate_least) * strength,
        )

    def apply_grey(self, fitted: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        """Return a look-alike of a fitted image, of its shape and type.

        Parameters
        ----------
        fitted
            uint8, 0 black, or float32 in [0, 1], (S, S): what `Preprocessing.fit_image` returned.
        rng
            The same state gives the same bytes.
        """
        return self.look(fitted, rng).image

    def look(self, fitted: NDArray[Any], rng: np.random.Generator, size: int | None = None) -> Look:
        """Return a look-alike of a fitted image (D, D), with sides of `size`, by default of D.

        An image that was fitted to more pixels than the network is fed has detail for close-ups.
        Otherwise as `apply_grey`.
        """
        if fitted.ndim != 2 or fitted.dtype not in (np.uint8, np.float32):
            _refuse(fitted, "uint8 or float32 (S, S)")
        drawn = self._drawn(fitted, rng, size or len(fitted))
        return Look(self._noisy(_rendered(fitted, drawn), rng), drawn.shown)

    def apply(self, image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Return a look-alike of a tensor, float32 in [0, 1], of its shape.

        Parameters
        ----------
        image
            float32 (1 | 3, S, S) in [0, 1], before any mean or deviation is taken out. Three
            channels are one grey image when they are equal, and else image, cartoon and
            texture + 0.5: image and cartoon are warped and change their grey levels alike, noise
            goes into the image, and the texture is their difference again.
        rng
            The same state gives the same bytes.
        """
        if image.ndim != 3 or len(image) not in (1, 3) or image.dtype != np.float32:
            _refuse(image, "float32 (1, S, S) or (3, S, S)")
        drawn = self._drawn(image[0], rng, image.shape[1])
        grey = self._noisy(_rendered(image[0], drawn), rng)
        found = np.empty_like(image)
        found[:] = grey
        if len(image) == 3 and not _repeated(image):
            found[1] = _rendered(image[1], drawn)
            np.subtract(found[0], found[1], out=found[2])
            found[2] += np.float32(0.5)
            np.clip(found[2], 0, 1, out=found[2])
        return found

    def _drawn(self, image: NDArray[Any], rng: np.random.Generator, size: int) -> _Drawn:
        """Return what is done to an image, drawn in an order that is fixed."""
        if image.shape[0] != image.shape[1] or not image.size:
            _refuse(image, "a square")
        if image.dtype.kind == "f":
            check_unit(image, "augmentation")
        warp, shown = self._draw_warp(image, rng)
        if warp is None and size != len(image):
            warp = _scale(1, 1)
        stamps = tuple(self._draw_stamp(size, rng) for _ in range(2) if self.stamp > rng.random())
        return _Drawn(
            size,
            None if warp is None else _in_pixels(warp, len(image), size),
            rng.random() if self.bare > rng.random() else 0.0,
            self._draw_box(size, rng) if self.collimate > rng.random() else None,
            stamps if self.caption <= rng.random() else (*stamps, *self._draw_caption(size, rng)),
            self._draw_curve(rng),
            self._draw_device(size, rng),
            shown,
        )

    def _draw_warp(
        self, image: NDArray[Any], rng: np.random.Generator
    ) -> tuple[_Matrix | None, float]:
        """Return where each point of the result comes from, and how much of the image it shows.

        In [-1, 1]² and homogeneous; `None` where that is where it is. The share is of the area
        that crops leave, before the image is turned and moved.
        """
        shown = 1.0
        steps: list[_Matrix] = []
        if self.dihedral > rng.random():
            across, down, swapped = rng.integers(2, size=3)
            signs = _scale(1 - 2 * float(across), 1 - 2 * float(down))
            steps.append(signs[[1, 0, 2]] if swapped else signs)
        if self.flip > rng.random():
            steps.append(_scale(-1, 1))
        if self.crop < 1:
            area = _between(rng, self.crop, 1)
            most = log(min(self.crop_ratio, 1 / area))
            ratio = exp(_between(rng, -most, most))
            width, height = sqrt(area * ratio), sqrt(area / ratio)
            left, top = _between(rng, width - 1, 1 - width), _between(rng, height - 1, 1 - height)
            steps.append(np.array([[width, 0, left], [0, height, top], [0, 0, 1]]))
            shown *= area
        if self.close < 1 and self.close_probability > rng.random():
            side = _between(rng, self.close, 1)
            across, down = (min(max(at, side - 1), 1 - side) for at in _seen(image, rng))
            steps.append(np.array([[side, 0, across], [0, side, down], [0, 0, 1]]))
            shown *= side**2
        if self.quarter > rng.random():
            steps.append(_turn(90.0 * int(rng.integers(1, 4))))
        if self.zoom != (1, 1) and self.zoom_probability > rng.random():
            factor = _between(rng, *self.zoom)
            steps.append(_scale(1 / factor, 1 / factor))
            shown *= min(1, 1 / factor) ** 2
        if self.rotate > 0 and self.rotate_probability > rng.random():
            angle = _between(rng, self.rotate_least, self.rotate)
            steps.append(_turn(angle if rng.random() < 0.5 else -angle))
        if self.warp > 0 and self.warp_probability > rng.random():
            # Each keeps two opposite sides where they are, and makes one shorter by `tilt`, and
            # one longer.
            tilt = _between(rng, -self.warp, self.warp)
            steps.append(np.array([[1, 0, tilt], [0, 1 - tilt**2, 0], [tilt, 0, 1]]))
            tilt = _between(rng, -self.warp, self.warp)
            steps.append(np.array([[1 - tilt**2, 0, 0], [0, 1, tilt], [0, tilt, 1]]))
        if self.shift > 0:
            across, down = (2 * _between(rng, -self.shift, self.shift) for _ in range(2))
            steps.append(np.array([[1, 0, across], [0, 1, down], [0, 0, 1]]))
        if not steps:
            return None, shown
        found = steps[0]
        for step in steps[1:]:
            found = found @ step
        return found, shown

    def _draw_box(self, size: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """Return the corners of what the collimator leaves open, in fixed point."""
        width, height = (_between(rng, self.collimate_least, 1) for _ in range(2))
        left, top = _between(rng, width - 1, 1 - width), _between(rng, height - 1, 1 - height)
        corners = np.array([[-width, -height], [width, -height], [width, height], [-width, height]])
        turn = _turn(_between(rng, -_BOX_TURN, _BOX_TURN))[:2, :2]
        return _fixed_point(corners @ turn + (left, top), size)

    def _draw_stamp(self, size: int, rng: np.random.Generator) -> _Stamp:
        """Return a mark near one of the four sides."""
        glyph = _GLYPHS[self.stamp_glyphs[int(rng.integers(len(self.stamp_glyphs)))]]
        height = _between(rng, 0.1, 0.25)
        off, along = _between(rng, 0.6, 0.9), _between(rng, -0.9, 0.9)
        off = off if rng.random() < 0.5 else -off
        place = (off, along) if rng.random() < 0.5 else (along, off)
        turn = _turn(_between(rng, -_STAMP_TURN, _STAMP_TURN))[:2, :2]
        strokes = tuple(
            _fixed_point((np.array(stroke) - (0.3, 0.5)) * height @ turn + place, size)
            for stroke in glyph
        )
        thickness = max(1, round(height * size * _between(rng, 0.04, 0.1)))
        return _Stamp(strokes, thickness, _between(rng, 0.75, 1))

    def _draw_caption(self, size: int, rng: np.random.Generator) -> Iterator[_Stamp]:
        """Yield marks like the letters of a line of small print along an edge."""
        height = _between(rng, 0.04, 0.1)
        down = _between(rng, 0.85, 0.95) * (1 if rng.random() < 0.7 else -1)
        across, level = _between(rng, -0.95, 0), _between(rng, 0.5, 1)
        glyphs = list(_GLYPHS.values())
        for _ in range(int(rng.integers(4, 18))):
            if across > 1 - height:
                break
            for stroke in glyphs[int(rng.integers(len(glyphs)))]:
                points = (np.array(stroke) - (0.0, 0.5)) * height + (across, down)
                yield _Stamp((_fixed_point(points, size),), 1, level)
            across += height * _between(rng, 0.7, 1.3)

    def _draw_device(self, size: int, rng: np.random.Generator) -> _Device:
        """Return what other devices and viewers do to an image."""
        device = _Device()
        if self.equalise > rng.random():
            device = replace(device, clip=_between(rng, 1, 4), tiles=int(rng.integers(2, 9)))
        if self.soften > rng.random():
            device = replace(device, pixels=max(8, round(size * _between(rng, 1 / 3, 1))))
        if self.erase > rng.random():
            sides = [round(size * _between(rng, 0.1, 0.45)) for _ in range(2)]
            (left, right), (top, bottom) = (
                (start := int(rng.integers(size - side + 1)), start + side) for side in sides
            )
            device = replace(device, erased=(left, right, top, bottom), level=rng.random())
        return device

    def _draw_curve(self, rng: np.random.Generator) -> _Matrix | None:
        """Return what 256 grey levels from black to white become, in [0, 1], or `None`."""
        curve = _LEVELS
        if self.gamma > 1:
            curve = curve ** exp(_between(rng, -log(self.gamma), log(self.gamma)))
        brighter = self.lighting > 0 and self.lighting_probability > rng.random()
        steeper = self.lighting > 0 and self.lighting_probability > rng.random()
        if brighter or steeper:
            # Both act on the logit, so that black stays black, white stays white, and neither is
            # cut off: what fastai's lighting transforms do, which Cheng et al. used.
            known = np.clip(curve, 1e-7, 1 - 1e-7)
            logit = np.log(known / (1 - known))
            if brighter:
                middle = _between(rng, (1 - self.lighting) / 2, (1 + self.lighting) / 2)
                logit += log(middle / (1 - middle))
            if steeper:
                most = -log(1 - self.lighting)
                logit *= exp(_between(rng, -most, most))
            curve = 1 / (1 + np.exp(-logit))
        if self.invert > rng.random():
            curve = 1 - curve
        return None if curve is _LEVELS else curve

    def _noisy(self, image: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        """Add noise to an image, in place, and clip it."""
        if self.noise > 0 and self.noise_probability > rng.random():
            noise = rng.standard_normal(image.shape, np.float32)
            noise *= np.float32(_between(rng, 0, self.noise) * white(image))
            cv2.add(image, noise, dst=image, dtype=cv2.CV_8U if image.dtype == np.uint8 else -1)
        return np.clip(image, 0, 1, out=image) if image.dtype.kind == "f" else image


@dataclass(frozen=True, slots=True)
class _Stamp:
    """Strokes in fixed point, int32 (points, 2); how thick in pixels, how bright of white."""

    strokes: tuple[NDArray[np.int32], ...]
    thickness: int
    level: float


@dataclass(frozen=True, slots=True)
class Look:
    """A look-alike: the image (S, S), and the share of the area of the first that it shows."""

    image: NDArray[Any]
    shown: float


@dataclass(frozen=True, slots=True)
class _Device:
    """Local contrast, pixels of a side on the way, a box (left, right, top, bottom) of a level."""

    clip: float = 0.0
    tiles: int = 8
    pixels: int | None = None
    erased: tuple[int, int, int, int] | None = None
    level: float = 0.0

    def shows(self, image: NDArray[Any]) -> NDArray[Any]:
        """Return what the image is on this device; it may be changed."""
        size = len(image)
        if self.clip:
            levels = image if image.dtype == np.uint8 else np.rint(image * 255).astype(np.uint8)
            even = cv2.createCLAHE(self.clip, (self.tiles, self.tiles)).apply(levels)
            image = even if image.dtype == np.uint8 else even.astype(np.float32) / np.float32(255)
        if self.pixels is not None:
            few = (self.pixels, self.pixels)
            small = cv2.resize(image, few, interpolation=cv2.INTER_AREA)
            image = cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)
        if self.erased is not None:
            left, right, top, bottom = self.erased
            image[top:bottom, left:right] = self.level * white(image)
        return image


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What is done to an image; `None` is nothing. `outside` is the level there, of white."""

    size: int
    warp: _Matrix | None
    outside: float
    box: NDArray[np.int32] | None
    stamps: tuple[_Stamp, ...]
    curve: _Matrix | None
    device: _Device
    shown: float


def _rendered(plane: NDArray[Any], drawn: _Drawn) -> NDArray[Any]:
    """Return a new plane (S, S) with everything but the noise done to it."""
    if drawn.warp is None:
        found = plane.copy()
    else:
        found = _warped(plane, drawn.warp, drawn.size, drawn.outside * white(plane))
    if drawn.box is not None:
        opened = np.zeros(found.shape, np.uint8)
        cv2.fillConvexPoly(opened, drawn.box, 1, shift=_SHIFT)
        np.multiply(found, opened, out=found)
    for stamp in drawn.stamps:
        level = stamp.level * white(found)
        cv2.polylines(found, stamp.strokes, False, level, stamp.thickness, cv2.LINE_8, _SHIFT)
    return drawn.device.shows(_curved(found, drawn.curve))


def _curved(found: NDArray[Any], levels: _Matrix | None) -> NDArray[Any]:
    """Return the plane with what 256 grey levels become, in place."""
    if levels is None:
        return found
    if found.dtype == np.uint8:
        cv2.LUT(found, np.rint(255 * levels).astype(np.uint8), dst=found)
        return found
    # np.interp, which searches, takes some ten times as long.
    curve = levels.astype(np.float32)
    found *= 255
    below = np.clip(found, 0, 254).astype(np.uint8)
    found -= below
    found *= np.diff(curve)[below]
    found += curve[below]
    return found


def _warped(plane: NDArray[Any], warp: _Matrix, size: int, outside: float) -> NDArray[Any]:
    """Return the plane warped to (size, size), `outside` where nothing comes from."""
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    # Where pixels are left out, those in between must count too.
    step = np.sqrt(abs(np.linalg.det(warp[:2, :2] / warp[2, 2])))
    if step > 1.5:
        sigma = 0.35 * float(step)
        plane = cv2.GaussianBlur(plane, (0, 0), sigma)
    shape = (size, size)
    if warp[2, 0] == 0 and warp[2, 1] == 0:
        return cv2.warpAffine(plane, warp[:2] / warp[2, 2], shape, flags=how, borderValue=outside)
    return cv2.warpPerspective(plane, warp, shape, flags=how, borderValue=outside)


def _in_pixels(warp: _Matrix, size: int, made: int) -> _Matrix:
    """Return the same warp of places in [-1, 1]² for those of pixels, whose centres are whole.

    From an image with sides of `size` to one with sides of `made`.
    """
    half, middle = size / 2, (size - 1) / 2
    own, centre = made / 2, (made - 1) / 2
    into = np.array([[half, 0, middle], [0, half, middle], [0, 0, 1]])
    back = np.array([[1 / own, 0, -centre / own], [0, 1 / own, -centre / own], [0, 0, 1]])
    found: _Matrix = into @ warp @ back
    return found


_CELLS: Final = 12
_PLACES: Final = (np.arange(_CELLS) + 0.5) * 2 / _CELLS - 1
# Rather near the middle, where what was examined lies.
_CENTRAL: Final = np.exp(-(_PLACES[:, None] ** 2 + _PLACES**2) / (2 * 0.45**2))


def _seen(image: NDArray[Any], rng: np.random.Generator) -> tuple[float, float]:
    """Return a place where there is something to see, across and down in [-1, 1]."""
    cells = cv2.resize(image, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA).astype(np.float64)
    # What differs from the air around, be it black, grey or white.
    contrast = np.abs(cells - np.median(cells[[0, -1]])) + 0.01 * white(image)
    weights = (contrast * _CENTRAL).ravel()
    chosen = int(np.searchsorted(np.cumsum(weights), rng.random() * weights.sum()))
    down, across = divmod(min(chosen, _CELLS**2 - 1), _CELLS)
    return tuple(  # type: ignore[return-value]
        float(_PLACES[at]) + _between(rng, -1, 1) / _CELLS for at in (across, down)
    )


def _fixed_point(places: _Matrix, size: int) -> NDArray[np.int32]:
    """Return places in [-1, 1]², (points, 2), as OpenCV draws them: pixels times 2^_SHIFT."""
    pixels = places * (size / 2) + (size - 1) / 2
    return np.rint(pixels * 2**_SHIFT).astype(np.int32)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a number drawn uniformly."""
    return low + (high - low) * rng.random()


def _scale(across: float, down: float) -> _Matrix:
    """Return a homogeneous scaling."""
    return np.array([[across, 0.0, 0.0], [0.0, down, 0.0], [0.0, 0.0, 1.0]])


def _turn(degrees: float) -> _Matrix:
    """Return a homogeneous rotation."""
    sine, cosine = sin(radians(degrees)), cos(radians(degrees))
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def _repeated(image: NDArray[np.float32]) -> bool:
    """Return whether three channels are one grey image, as in preprocessing A and B."""
    return np.array_equal(image[0], image[1]) and np.array_equal(image[0], image[2])


def _refuse(image: NDArray[Any], expected: str) -> NoReturn:
    """Raise because of what an image is."""
    raise PreprocessingError(
        "augmentation",
        f"an array of shape {image.shape} and type '{image.dtype}' was given",
        expected,
        "Give what Preprocessing.fit_image or Preprocessing.tensor returned.",
    )


_CHENG: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "rotate": 10.0,
        "rotate_probability": 0.75,
        "zoom": (0.9, 1.1),
        "zoom_probability": 0.75,
        "warp": 0.2,
        "warp_probability": 0.75,
        "crop": 0.9,
        "crop_ratio": 4 / 3,
        "lighting": 0.2,
        "lighting_probability": 0.75,
    }
)
# `cheng`: Cheng et al. for ROCO and SNOMED CT; `cheng-directed`: theirs for IRMA, where direction
# counts. `router`: the DICOM Imaging Router's. `default`: ours, for parts, sides and views.
# `framing`: ours, for pictures of other hospitals: closer and wider, turned, of other devices.
POLICIES: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "none": {},
        "cheng": {**_CHENG, "dihedral": 0.5},
        "cheng-directed": _CHENG,
        "router": {"flip": 0.5, "rotate": 10.0, "rotate_least": 5.0},
        "default": {
            "rotate": 15.0,
            "zoom": (0.7, 1.2),
            "shift": 0.08,
            "lighting": 0.2,
            "lighting_probability": 0.75,
            "gamma": 1.4,
            "invert": 0.1,
            "collimate": 0.3,
            "stamp": 0.25,
            "noise": 0.03,
            "noise_probability": 0.3,
        },
        "framing": {
            "flip": 0.5,
            "rotate": 15.0,
            "quarter": 0.1,
            "close": 0.35,
            "close_probability": 0.6,
            "crop": 0.75,
            "crop_ratio": 1.6,
            "zoom": (0.6, 1.1),
            "shift": 0.1,
            "warp": 0.08,
            "warp_probability": 0.2,
            "bare": 0.15,
            "lighting": 0.3,
            "lighting_probability": 0.75,
            "gamma": 1.5,
            "invert": 0.1,
            "collimate": 0.25,
            "collimate_least": 0.5,
            "stamp": 0.25,
            "stamp_glyphs": "LRXIT+",
            "caption": 0.1,
            "erase": 0.1,
            "equalise": 0.2,
            "soften": 0.2,
            "noise": 0.04,
            "noise_probability": 0.3,
        },
    }
)
