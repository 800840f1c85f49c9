"""Cartoon + Texture: an image as what its low pass keeps, and what it takes away.

After Buades, Le, Morel and Vese (IEEE TIP 2010; IPOL 2011) with the parameters of Cheng et al.,
whose printed rule for the weight is inverted. Everything is linear in the grey values but the
weight, and the weight depends on ratios only: a type of another range gives the same result on
its own scale.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil, log2
from typing import Any, Final, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from classifier.errors import PreprocessingError
from classifier.preprocess.checks import check_grey, white

Lowpass = Literal["buades", "repeated"]
LOWPASSES: Final[tuple[str, ...]] = get_args(Lowpass)

# The sum of |weights| of a 3×3 Sobel filter over twice the step: its gain on grey levels a pixel.
_SOBEL_GAIN: Final = 8.0
_LARGEST: Final = 1e15
_MOST_THREADS: Final = 4
# Values of float32 in a cache line.
_LINE: Final = 16


@dataclass(frozen=True, slots=True)
class CartexSettings:
    """The parameters of the decomposition; the defaults are those of Cheng et al.

    Attributes
    ----------
    sigma, taps
        The Gaussian G, cut off to `taps` × `taps`.
    lowpass
        ``"buades"``: L = Id - (Id - G)^(passes + 1), the original's. ``"repeated"``: L = G^passes.
    passes
        2; the original repeats 5 times.
    a1, a2
        Where the weight of the texture begins to rise from 0, and where it is 1.
    ltv_floor
        Total variation, in fractions of white a pixel, up to which a pixel is left as it is: 0 is
        the rule of Cheng et al., 1 / 255 nearly that of the original.
    """

    sigma: float = 2.0
    taps: int = 7
    lowpass: Lowpass = "buades"
    passes: int = 2
    a1: float = 0.25
    a2: float = 0.5
    ltv_floor: float = 0.0

    def __post_init__(self) -> None:
        fit = (
            self.sigma > 0
            and self.taps >= 1
            and self.taps % 2 == 1
            and self.lowpass in LOWPASSES
            and self.passes >= 1
            and 0 <= self.a1 < self.a2
            and self.ltv_floor >= 0
        )
        if not fit:
            raise PreprocessingError(
                "cartoon and texture",
                f"'{self}' was given",
                "sigma > 0, odd taps, passes ≥ 1, 0 ≤ a1 < a2, ltv_floor ≥ 0 and a lowpass of "
                + ", ".join(LOWPASSES),
                "Correct the setting.",
            )

    @property
    def blurs(self) -> int:
        """How often G is applied for the low pass."""
        return self.passes + 1 if self.lowpass == "buades" else self.passes

    @property
    def reach(self) -> int:
        """How many pixels away a pixel still counts: the blurs, one gradient, and its blur."""
        return (self.taps // 2) * (self.blurs + 1) + 1


def cartoon_texture(
    image: NDArray[Any],
    settings: CartexSettings | None = None,
    *,
    tile: int = 320,
    threads: int | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return cartoon u and texture v of a grey image, with u + v equal to the image.

    Parameters
    ----------
    image
        uint8, uint16 or floating point of any range, (H, W).
    settings
        `None`: the defaults.
    tile
        Pixels a side that are worked on at once; it bounds the memory and changes no result.
    threads
        How many tiles at a time; `None`: as many as there are processors, but no more than 4,
        because each has buffers.

    Returns
    -------
    tuple of float32 (H, W)
        In the units of the image. The texture is signed. u + v is the image bit for bit when the
        image is uint8 or uint16, or floating point with values that are multiples of 2⁻²⁰ of a
        power of two not below the largest; else to within rounding. For that, both are rounded to
        2⁻²⁰ of white (to 2⁻¹⁷ with the 5 passes of the original; with more than 6, uint16 is
        exact only to within rounding).

    Raises
    ------
    PreprocessingError
        The image is not grey, or holds a value that is not finite.
    """
    cartoon, texture = np.empty(image.shape, np.float32), np.empty(image.shape, np.float32)

    def keep(worker: _Worker, core: _Window, inner: _Window) -> None:
        worker.split(inner, cartoon[core], texture[core])

    _for_each_tile(image, settings or CartexSettings(), keep, tile, threads)
    return cartoon, texture


def texture_weight(
    image: NDArray[Any],
    settings: CartexSettings | None = None,
    *,
    tile: int = 320,
    threads: int | None = None,
) -> NDArray[np.float32]:
    """Return the weight ω of the texture, float32 (H, W) in [0, 1]: u = (1 - ω) f + ω L f.

    The parameters are those of `cartoon_texture`.
    """
    weight = np.empty(image.shape, np.float32)

    def keep(worker: _Worker, core: _Window, inner: _Window) -> None:
        np.copyto(weight[core], worker.weight(inner))

    _for_each_tile(image, settings or CartexSettings(), keep, tile, threads)
    return weight


_Window = tuple[slice, slice]


class _Worker:
    """The buffers of one tile and what is computed in them; reused from tile to tile."""

    def __init__(self, settings: CartexSettings, area: int, span: float, floor: float) -> None:
        self._settings = settings
        self._kernel = cv2.getGaussianKernel(settings.taps, settings.sigma, cv2.CV_32F)
        # cv2.magnitude rounds by where in a cache line its result begins: all begin at the start
        # of one, so that the same image gives the same bytes.
        padded = -(-area // _LINE) * _LINE
        store = np.empty(5 * padded + _LINE, np.float32)
        start = -store.ctypes.data // store.itemsize % _LINE
        self._store = store[start : start + 5 * padded].reshape(5, padded)
        self._floor = floor
        self._rounder = np.float32(_rounder(settings, span))

    def load(self, tile: NDArray[Any]) -> None:
        """Compute what `weight` and `split` read, from a tile with its halo."""
        size = tile.shape[0] * tile.shape[1]
        planes = (plane[:size].reshape(tile.shape) for plane in self._store)
        self._image, self._high, self._variation, low, spare = planes
        np.copyto(self._image, tile, casting="same_kind" if tile.dtype.kind == "f" else "safe")
        self._high_pass(spare)
        np.subtract(self._image, self._high, out=low)
        self._local_variation(self._image, self._variation, spare)
        # The low pass is not needed after its gradient, and makes room for its variation.
        self._local_variation(low, low, spare)
        self._low_variation = low

    def weight(self, inner: _Window) -> NDArray[np.float32]:
        """Return ω of the inner window; in place, so once a tile."""
        settings = self._settings
        of_image, of_low = self._variation[inner], self._low_variation[inner]
        if self._floor > 0:
            of_image[of_image <= self._floor] = 0
        np.subtract(of_image, of_low, out=of_low)
        # A λ below 0 weighs as 0 does. Where the variation is 0 the difference is not above 0, so
        # that λ is 0 there, as it must be, and nothing is divided by 0.
        np.maximum(of_low, 0, out=of_low)
        np.maximum(of_image, np.finfo(np.float32).tiny, out=of_image)
        np.divide(of_low, of_image, out=of_low)
        np.subtract(of_low, np.float32(settings.a1), out=of_low)
        np.multiply(of_low, np.float32(1 / (settings.a2 - settings.a1)), out=of_low)
        return np.clip(of_low, 0, 1, out=of_low)

    def split(
        self, inner: _Window, cartoon: NDArray[np.float32], texture: NDArray[np.float32]
    ) -> None:
        """Write cartoon and texture of the inner window, rounded so that they add up exactly."""
        np.multiply(self.weight(inner), self._high[inner], out=texture)
        np.add(texture, self._rounder, out=texture)
        np.subtract(texture, self._rounder, out=texture)
        np.subtract(self._image[inner], texture, out=cartoon)

    def _high_pass(self, spare: NDArray[np.float32]) -> None:
        """Write f - L f."""
        if self._settings.lowpass == "buades":
            source = self._image
            for _ in range(self._settings.blurs):
                self._blur(source, spare)
                source = np.subtract(source, spare, out=self._high)
            return
        self._blur(self._image, self._high)
        for _ in range(self._settings.blurs - 1):
            self._blur(self._high, self._high)
        np.subtract(self._image, self._high, out=self._high)

    def _local_variation(
        self, image: NDArray[np.float32], into: NDArray[np.float32], spare: NDArray[np.float32]
    ) -> None:
        """Write G * |D image|; `into` may be `image`."""
        cv2.Sobel(image, cv2.CV_32F, 1, 0, dst=spare, borderType=cv2.BORDER_REFLECT)
        cv2.Sobel(image, cv2.CV_32F, 0, 1, dst=into, borderType=cv2.BORDER_REFLECT)
        cv2.magnitude(spare, into, spare)
        self._blur(spare, into)

    def _blur(self, image: NDArray[np.float32], into: NDArray[np.float32]) -> None:
        """Write G * image; half-sample mirror at the border."""
        cv2.sepFilter2D(
            image, -1, self._kernel, self._kernel, dst=into, borderType=cv2.BORDER_REFLECT
        )


def _rounder(settings: CartexSettings, span: float) -> float:
    """Return what, added and taken away, rounds a texture of float32 to a grid.

    The grid is so coarse that the cartoon, too, can be written on it, and so fine that grey values
    of 16 bits lie on it: then image, cartoon and texture add up without rounding.
    """
    if span == 0:
        return 0.0
    centre = float(cv2.getGaussianKernel(settings.taps, settings.sigma).max()) ** 2
    # ‖Id - G‖ in the maximum norm, once a blur; half of it, because a constant gives 0.
    most = (2 * (1 - centre)) ** settings.blurs / 2 if settings.lowpass == "buades" else 1.0
    # A sum with 3·2^e lies between 2·2^e and 4·2^e, where float32 steps by 2^(e - 22).
    return 3 * 2.0 ** (ceil(log2(span)) + max(0, ceil(log2(most))))


def _for_each_tile(
    image: NDArray[Any],
    settings: CartexSettings,
    keep: Callable[[_Worker, _Window, _Window], None],
    tile: int,
    threads: int | None,
) -> None:
    """Load every tile, and hand `keep` its place in the image and in the worker's buffers."""
    check_grey(image, "cartoon and texture")
    span, reach = _span(image), settings.reach
    floor = settings.ltv_floor * white(image) * _SOBEL_GAIN
    cores = [
        (rows, columns)
        for rows in _cuts(image.shape[0], tile)
        for columns in _cuts(image.shape[1], tile)
    ]
    area = _with_halo(image.shape[0], tile, reach) * _with_halo(image.shape[1], tile, reach)

    def work(part: list[_Window]) -> None:
        worker = _Worker(settings, area, span, floor)
        for core in part:
            outer, inner = zip(
                *(_halo(cut, size, reach) for cut, size in zip(core, image.shape, strict=True)),
                strict=True,
            )
            worker.load(image[outer])
            keep(worker, core, inner)

    count = min(len(cores), threads or min(_MOST_THREADS, os.cpu_count() or 1))
    if count == 1:
        work(cores)
        return
    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(work, cores[start::count]) for start in range(count)]:
            done.result()


def _span(image: NDArray[Any]) -> float:
    """Return what no grey value and no difference of two exceeds."""
    if image.dtype.kind != "f":
        return white(image)
    low, high = float(image.min()), float(image.max())
    span = max(abs(low), abs(high), high - low)
    # NaN fails every comparison; the square of a gradient must fit into float32.
    if not span < _LARGEST:
        raise PreprocessingError(
            "cartoon and texture",
            "an image with a value that is not a number, infinite or huge was given",
            f"finite grey values below {_LARGEST:g}",
            "Replace those values, or scale the image.",
        )
    return span


def _cuts(size: int, tile: int) -> list[slice]:
    """Return `size` cut into slices of `tile`."""
    return [slice(start, min(start + tile, size)) for start in range(0, size, tile)]


def _with_halo(size: int, tile: int, reach: int) -> int:
    """Return the most pixels that a slice of `_cuts` has together with its halo."""
    return min(size, tile + 2 * reach)


def _halo(cut: slice, size: int, reach: int) -> tuple[slice, slice]:
    """Return the slice with its halo, as far as there is image, and where in it the slice lies."""
    outer = slice(max(0, cut.start - reach), min(size, cut.stop + reach))
    return outer, slice(cut.start - outer.start, cut.stop - outer.start)
