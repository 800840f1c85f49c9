"""`content_box`: where a picture has something to show; `stretched`: its grey levels spread out.

Films are digitised in black frames, plates are exposed wider than the patient, and pages have
margins. What is uniform along a whole edge of the picture says nothing of what was examined, and
differs from hospital to hospital.
"""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from classifier.preprocess.checks import white

# The picture is looked at with so many pixels along its longer side.
_LOOKED_AT: Final = 128
# A row or column is uniform when its grey levels deviate by less than this share of the range
# that the picture has between its 1st and its 99th percentile.
_UNIFORM: Final = 0.05
# So much of each side is kept at least, and this margin about what is kept.
_LEAST: Final = 0.3
_MARGIN: Final = 0.03
_PERCENTILES: Final = (0.5, 99.5)

Box = tuple[int, int, int, int]


def content_box(grey: NDArray[Any]) -> Box:
    """Return (top, bottom, left, right) of what is left without uniform margins.

    Rows and columns are taken off from the outside while they are uniform, each seen within what
    is left of the other. At least three tenths of each side stay, about their middle.

    Parameters
    ----------
    grey
        (H, W), any grey type.
    """
    height, width = grey.shape
    # Some of the pixels are enough, and all of a large picture take as long as decoding it.
    step = max(1, max(height, width) // (4 * _LOOKED_AT))
    few = np.ascontiguousarray(grey[::step, ::step])
    scale = min(1.0, _LOOKED_AT / max(few.shape))
    rows, columns = (max(1, round(side * scale)) for side in few.shape)
    small = cv2.resize(few, (columns, rows), interpolation=cv2.INTER_AREA)
    low, high = _percentiles(small, (1, 99))
    if high <= low:
        return 0, height, 0, width
    small = np.clip(small.astype(np.float32), np.float32(low), np.float32(high))
    least = _UNIFORM * float(high - low)
    box: Box = (0, rows, 0, columns)
    for _ in range(3):
        top, bottom = _kept(small[:, box[2] : box[3]].std(axis=1), least)
        left, right = _kept(small[top:bottom].std(axis=0), least)
        if (top, bottom, left, right) == box:
            break
        box = top, bottom, left, right
    return (
        *_widened(box[0] / rows, box[1] / rows, height),
        *_widened(box[2] / columns, box[3] / columns, width),
    )


def _kept(deviation: NDArray[np.float32], least: float) -> tuple[int, int]:
    """Return from where to where lines deviate at all; everything where none does."""
    there = np.flatnonzero(deviation >= least)
    return (int(there[0]), int(there[-1]) + 1) if len(there) else (0, len(deviation))


def _widened(start: float, end: float, length: int) -> tuple[int, int]:
    """Return a share of a side with its margin, no less than the least, in pixels."""
    lacking = max(0.0, _LEAST - (end - start)) / 2 + _MARGIN
    start, end = start - lacking, end + lacking
    # What sticks out at one end is given at the other.
    start, end = start - max(0.0, end - 1), end - min(0.0, start)
    return round(max(start, 0) * length), round(min(end, 1) * length)


def stretched(grey: NDArray[Any]) -> NDArray[Any]:
    """Return the image with its 0.5th percentile black and its 99.5th white, of its type.

    An image of one grey level stays as it is.
    """
    low, high = _percentiles(grey, _PERCENTILES)
    if high <= low:
        return grey
    top = white(grey)
    if grey.dtype == np.uint8:
        levels = np.clip((np.arange(256) - low) * (255 / (high - low)), 0, 255)
        table = np.rint(levels).astype(np.uint8)
        return np.asarray(cv2.LUT(grey, table))
    found = np.clip((grey.astype(np.float32) - low) * (top / (high - low)), 0, top)
    return np.asarray(found, dtype=grey.dtype)


def _percentiles(grey: NDArray[Any], percentages: tuple[float, ...]) -> NDArray[Any]:
    """Return what `numpy.percentile` does; of 8 bits by counting, which takes a fifth as long."""
    if grey.dtype != np.uint8:
        return np.asarray(np.percentile(grey, percentages))
    counts = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel()
    reached = np.cumsum(counts, dtype=np.float64)
    place = np.array(percentages) / 100 * (grey.size - 1)
    below = np.floor(place)
    low, high = (
        np.searchsorted(reached, np.minimum(at, grey.size - 1), side="right")
        for at in (below, below + 1)
    )
    return np.asarray(low + (high - low) * (place - below), dtype=np.float64)
