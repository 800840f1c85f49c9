"""The Top-Bottom Hat: bright details brightened, dark details darkened.

Outside the image there is nothing: erosion and dilation look only at the pixels of the element
that lie inside. For a rectangle that is what mirroring at the border gives, too.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from classifier.errors import PreprocessingError
from classifier.preprocess.checks import check_grey, check_unit, white
from classifier.preprocess.sliding import open_and_close

# Cheng et al. name no structuring element: ours is 15 pixels of their 224.
ELEMENT_AT_224: Final = 15
# Up to this side OpenCV's own rectangle is faster than doubling.
_SMALL_SIDE: Final = 31
# Rows of a strip, so that what is in between stays in the cache; pixels that are worth threads.
_STRIP: Final = 336
_LARGE: Final = 2**19


def scaled_element(size: int, at_224: int = ELEMENT_AT_224) -> int:
    """Return the odd side, at least 3, that covers at `size` pixels what `at_224` covers at 224."""
    return max(3, 2 * (at_224 * size // 448) + 1)


def hat(
    image: NDArray[Any],
    element: int | NDArray[np.uint8] | None = None,
    *,
    limits: tuple[float, float] | None = None,
) -> NDArray[Any]:
    """Return f + (f - open f) - (close f - f), clipped once.

    Parameters
    ----------
    image
        f: uint8, uint16 or floating point, (H, W).
    element
        The flat structuring element: the odd side of a square, or an array that is not 0 where
        the element is, with odd sides. `None` scales the 15×15 of 224 pixels to the longer side
        of the image.
    limits
        What the sum is clipped to. `None`: the range of the type; for floating point [0, 1],
        and a value of the image outside is refused.

    Returns
    -------
    numpy.ndarray
        (H, W), of the type given; float32 for every floating-point type.

    Raises
    ------
    PreprocessingError
        The image or the element is not as described.
    """
    check_grey(image, "hat")
    if image.dtype.kind == "f":
        image = image.astype(np.float32, copy=False)
        if limits is None:
            check_unit(image, "hat")
    shape = _shape(scaled_element(max(image.shape)) if element is None else element)
    side = len(shape)
    if shape.all() and shape.shape == (side, side):
        if side <= _SMALL_SIDE:
            found = _in_strips(image, shape)
        else:
            low, high = (-np.inf, np.inf) if image.dtype.kind == "f" else (0, white(image))
            found = open_and_close(
                image,
                side,
                low,
                high,
                lambda rows, opened, closed: _combine(
                    image[rows], opened, closed, np.empty_like(opened), opened
                ),
            )
    else:
        between, found, closed = np.empty((3, *image.shape), image.dtype)
        _open_and_close(image, shape, between, found, closed)
        _combine(image, found, closed, between, found)
    if limits is not None or image.dtype.kind == "f":
        np.clip(found, *((0, 1) if limits is None else limits), out=found)
    return found


def _in_strips(image: NDArray[Any], shape: NDArray[np.uint8]) -> NDArray[Any]:
    """Return the hat by a small element, rows after rows, in threads where there are many."""
    found = np.empty(image.shape, image.dtype)
    # An opening looks at what is within the element, twice.
    reach = len(shape) - 1

    def work(starts: range) -> None:
        # Memory that was touched once is not asked of the system again for every strip.
        planes = np.empty((3, _STRIP + 2 * reach, image.shape[1]), image.dtype)
        for start in starts:
            rows = slice(start, min(start + _STRIP, len(image)))
            first = max(0, start - reach)
            part = image[first : rows.stop + reach]
            between, opened, closed = planes[:, : len(part)]
            _open_and_close(part, shape, between, opened, closed)
            inside = slice(rows.start - first, rows.stop - first)
            _combine(image[rows], opened[inside], closed[inside], between[inside], found[rows])

    starts = range(0, len(image), _STRIP)
    count = min(len(starts), os.cpu_count() or 1)
    if image.size < _LARGE or count == 1:
        work(starts)
        return found
    with ThreadPoolExecutor(count) as pool:
        for _ in pool.map(work, (starts[first::count] for first in range(count))):
            pass
    return found


def _open_and_close(
    image: NDArray[Any],
    shape: NDArray[np.uint8],
    between: NDArray[Any],
    opened: NDArray[Any],
    closed: NDArray[Any],
) -> None:
    cv2.erode(image, shape, dst=between)
    cv2.dilate(between, shape, dst=opened)
    cv2.dilate(image, shape, dst=between)
    cv2.erode(between, shape, dst=closed)


def _combine(
    image: NDArray[Any],
    opened: NDArray[Any],
    closed: NDArray[Any],
    more: NDArray[Any],
    found: NDArray[Any],
) -> None:
    """Write f + (f - open f) - (close f - f), saturated once; all but the image is overwritten.

    OpenCV's integers saturate. Neither difference can; and of what one exceeds the other by, and
    the reverse, one is 0, so that only one of the last two lines changes a pixel.
    """
    bright = cv2.subtract(image, opened, dst=opened)
    dark = cv2.subtract(closed, image, dst=closed)
    cv2.subtract(bright, dark, dst=more)
    if image.dtype.kind == "f":
        cv2.add(image, more, dst=found)
        return
    less = cv2.subtract(dark, bright, dst=dark)
    cv2.add(image, more, dst=more)
    cv2.subtract(more, less, dst=found)


def _shape(element: int | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the structuring element as an array; its anchor is its centre."""
    if isinstance(element, int):
        shape = np.ones((max(element, 0), max(element, 0)), np.uint8)
    else:
        shape = np.asarray(element, np.uint8)
    if shape.ndim != 2 or not all(side % 2 for side in shape.shape) or not shape.any():
        raise PreprocessingError(
            "hat",
            f"an element of shape {shape.shape} was given",
            "odd sides, so that it has a centre, and a pixel that is not 0",
            "Give an odd side, or an array with odd sides.",
        )
    return shape
