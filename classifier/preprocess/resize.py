"""Bicubic, antialiased resize to a square: the step that all four preprocessings begin with.

Pillow's filter widens with the reduction, as PIL did for Cheng et al.; OpenCV's INTER_CUBIC does
not, and aliases.
"""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from classifier.errors import PreprocessingError
from classifier.preprocess.checks import check_grey, check_unit

Fit = Literal["squash", "pad"]
FITS: Final[tuple[str, ...]] = get_args(Fit)


def resize(
    image: NDArray[Any], size: int, fit: Fit = "squash", *, reducing_gap: float | None = None
) -> NDArray[Any]:
    """Return a grey image as a square of `size` pixels.

    Parameters
    ----------
    image
        uint8, uint16 or floating point in [0, 1], (H, W), of any size from 1×1.
    size
        Pixels a side of what is returned.
    fit
        ``"squash"`` ignores the aspect ratio, as Cheng et al. do; ``"pad"`` keeps it and centres
        the image between bands of black.
    reducing_gap
        Pillow's: shrink by a whole factor with a box filter first, down to no less than
        `reducing_gap` times `size`, and filter the rest. Faster for large images, and near the
        whole filter from 2 on; `None` filters all at once.

    Returns
    -------
    numpy.ndarray
        (size, size), of the type given; float32 for every floating-point type. Where the cubic
        filter overshoots black or white, it is clipped. Pillow rounds and clips 8 bits between
        the two directions, so that other types may differ from them by a level or two.

    Raises
    ------
    PreprocessingError
        The image is not grey, or not in [0, 1].
    """
    check_grey(image, "resize")
    if size < 1 or fit not in FITS or (reducing_gap is not None and reducing_gap < 1):
        raise PreprocessingError(
            "resize",
            f"size {size} with fit '{fit}' and reducing gap {reducing_gap} was asked for",
            f"at least 1 pixel, one of {', '.join(FITS)}, and a gap of at least 1",
            "Correct the setting.",
        )
    height, width = image.shape
    if fit == "squash":
        return _resized(image, (size, size), reducing_gap)
    longest = max(height, width)
    inner_height = max(1, round(height * size / longest))
    inner_width = max(1, round(width * size / longest))
    inner = _resized(image, (inner_width, inner_height), reducing_gap)
    padded = np.zeros((size, size), inner.dtype)
    top, left = (size - inner_height) // 2, (size - inner_width) // 2
    padded[top : top + inner_height, left : left + inner_width] = inner
    return padded


def _resized(
    image: NDArray[Any], shape: tuple[int, int], reducing_gap: float | None
) -> NDArray[Any]:
    """Return `image` in the (width, height) of `shape`."""
    if image.dtype == np.uint8:
        picture = Image.fromarray(np.ascontiguousarray(image))
        return np.array(picture.resize(shape, Image.Resampling.BICUBIC, reducing_gap=reducing_gap))
    if image.dtype != np.uint16:
        check_unit(image, "resize")
    picture = Image.fromarray(np.ascontiguousarray(image, np.float32))
    found = np.array(picture.resize(shape, Image.Resampling.BICUBIC, reducing_gap=reducing_gap))
    if image.dtype == np.uint16:
        return np.clip(np.rint(found, out=found), 0, 65535, out=found).astype(np.uint16)
    return np.clip(found, 0, 1, out=found)
