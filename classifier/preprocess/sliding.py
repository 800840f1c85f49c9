"""Opening and closing with a square, in time that grows with the logarithm of its side.

The extreme of 2 n neighbours is the extreme of two extremes of n, n apart: doubling reaches any
side in a few passes over memory that is in the cache, where OpenCV takes as many comparisons as
the side has pixels. The extreme of a square is that of the extremes of its rows, so that rows and
columns are done apart.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

# Bytes of a strip, so that three buffers a worker fit into the cache of a processor.
_STRIP: Final = 2**19
# Pixels below which workers cost more than they save.
_SMALL: Final = 2**18
_MOST_THREADS: Final = 4

_Plane = NDArray[Any]


def open_and_close(
    image: _Plane,
    side: int,
    low: float,
    high: float,
    then: Callable[[slice, _Plane, _Plane], None],
) -> _Plane:
    """Return what `then` makes of the opening and the closing of an image, rows after rows.

    Parameters
    ----------
    image
        (H, W), of any type that can be compared.
    side
        The odd side of the square.
    low, high
        Not above and not below any value of the image: what is outside of it.
    then
        Called with a slice of rows, and the opening and the closing of these rows; what it leaves
        in the opening is returned. Called from several threads when the image is large.
    """
    height, width = image.shape
    eroded, dilated = np.empty(image.shape, image.dtype), np.empty(image.shape, image.dtype)
    reach = side // 2

    def across(rows: slice) -> None:
        strip = _Strip(image[rows].shape, reach, 1, image.dtype)
        strip.put(image[rows])
        strip.slide(np.minimum, high, eroded[rows])
        strip.slide(np.maximum, low, dilated[rows])

    def down(columns: slice) -> None:
        strip = _Strip(image[:, columns].shape, reach, 0, image.dtype)
        for plane, first, outside, second, other in (
            (eroded[:, columns], np.minimum, high, np.maximum, low),
            (dilated[:, columns], np.maximum, low, np.minimum, high),
        ):
            strip.put(plane)
            strip.slide(first, outside, strip.content)
            strip.slide(second, other, plane)

    def across_again(rows: slice) -> None:
        strip = _Strip(image[rows].shape, reach, 1, image.dtype)
        for plane, way, outside in ((eroded, np.maximum, low), (dilated, np.minimum, high)):
            strip.put(plane[rows])
            strip.slide(way, outside, plane[rows])
        then(rows, eroded[rows], dilated[rows])

    rows = _cuts(height, image.itemsize * (width + 2 * reach))
    columns = _cuts(width, image.itemsize * (height + 2 * reach))
    count = min(_MOST_THREADS, os.cpu_count() or 1)
    if image.size < _SMALL or count == 1:
        for work, cuts in ((across, rows), (down, columns), (across_again, rows)):
            for cut in cuts:
                work(cut)
        return eroded
    with ThreadPoolExecutor(count) as pool:
        for work, cuts in ((across, rows), (down, columns), (across_again, rows)):
            for _ in pool.map(work, cuts):
                pass
    return eroded


class _Strip:
    """Rows or columns of an image, with room beside them, and two buffers to double in."""

    def __init__(self, shape: tuple[int, ...], reach: int, axis: int, kind: np.dtype[Any]) -> None:
        padded = list(shape)
        padded[axis] += 2 * reach
        self._planes = np.empty((3, *padded), kind)
        self._axis, self._reach, self._size = axis, reach, shape[axis]
        self.content = self._part(0, reach)

    def put(self, content: _Plane) -> None:
        """Copy an image's rows or columns into the strip."""
        np.copyto(self.content, content)

    def slide(self, extreme: np.ufunc, outside: float, into: _Plane) -> None:
        """Write the extreme of every pixel's neighbours; `into` may be `content`."""
        side = 2 * self._reach + 1
        self._ends(outside)
        # In the flat buffers, a neighbour down is a row of pixels away. What a row takes over from
        # the next lies behind its last pixel, and is never read.
        away = self._planes.shape[2] if self._axis == 0 else 1
        flat = self._planes.reshape(3, -1)
        length, have, now = flat.shape[1], 1, 0
        while 2 * have < side:
            length -= have * away
            other = 1 if now != 1 else 2
            start = have * away
            extreme(flat[now, :length], flat[now, start : start + length], out=flat[other, :length])
            now, have = other, 2 * have
        extreme(self._part(now, 0), self._part(now, side - have), out=into)

    def _ends(self, value: float) -> None:
        """Fill the room beside the content."""
        plane, reach, end = self._planes[0], self._reach, self._reach + self._size
        if self._axis == 0:
            plane[:reach], plane[end:] = value, value
        else:
            plane[:, :reach], plane[:, end:] = value, value

    def _part(self, number: int, start: int) -> _Plane:
        """Return as many rows or columns of a plane as there are in the content."""
        cut = slice(start, start + self._size)
        plane: _Plane = self._planes[number]
        return plane[cut] if self._axis == 0 else plane[:, cut]


def _cuts(size: int, bytes_each: int) -> list[slice]:
    """Return `size` rows or columns cut into strips."""
    most = max(1, _STRIP // bytes_each)
    return [slice(start, min(start + most, size)) for start in range(0, size, most)]
