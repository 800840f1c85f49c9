"""What grey images preprocessing takes, and what black and white are in them.

uint8 and uint16 run from 0 (black) to the largest value of the type (white): 12 bits in a uint16
array are dark, and windowing them is the pixel path's work. Floating point runs from 0 to 1.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.errors import PreprocessingError

_WHITE: Final = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}


def white(image: NDArray[Any]) -> float:
    """Return what white is in an image of this type: 255, 65535, or 1 for floating point."""
    return _WHITE.get(image.dtype, 1.0)


def check_grey(image: NDArray[Any], where: str) -> None:
    """Refuse what is not one plane of uint8, uint16 or floating point with at least one pixel."""
    if image.ndim != 2 or image.size == 0:
        raise PreprocessingError(
            where,
            f"an array of shape {image.shape} was given",
            "one grey image (H, W) with at least one pixel",
            "Give one frame and one channel; classifier.pixels.read.read_image returns one.",
        )
    if image.dtype not in _WHITE and not np.issubdtype(image.dtype, np.floating):
        raise PreprocessingError(
            where,
            f"an array of type '{image.dtype}' was given",
            "uint8, uint16 or floating point",
            "Window it first; classifier.pixels.read.read_image returns uint8.",
        )


def check_unit(image: NDArray[Any], where: str) -> None:
    """Refuse a floating-point image with a value outside [0, 1], or one that is not a number."""
    low, high = float(image.min()), float(image.max())
    # Written so that NaN, which fails every comparison, is refused too.
    if not (low >= 0 and high <= 1):
        raise PreprocessingError(
            where,
            "a floating-point image with values outside [0, 1] was given",
            "0 for black and 1 for white",
            "Scale it to [0, 1], or give uint8 or uint16.",
        )
