"""Arrays → `Image`: what a program has in memory, shown by the same rules as a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.errors import ImageError
from classifier.pixels.display import Grey, Stored, luminance, show
from classifier.pixels.image import Image
from classifier.pixels.limits import PixelLimits

_WHERE: Final = "array"
_KINDS: Final = "biuf"
_EXPECTED: Final = "numbers or bool of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"


@dataclass(frozen=True, slots=True)
class ArrayFrame:
    """The one frame of an array that was checked."""

    values: NDArray[np.generic]
    where: str = _WHERE

    def read(self, index: int) -> Grey:
        """Return the array as shown; `index` is 0."""
        values = self.values
        if values.ndim == 3:
            values = values[..., 0] if values.shape[2] == 1 else luminance(values)
        return show(Stored.of(values))


def open_array(values: NDArray[np.generic], limits: PixelLimits) -> Image:
    """Return an array as an image of one frame; it is not copied.

    bool is black and white; see `classifier.pixels.display` for the rest.
    """
    good = values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (1, 3, 4))
    if not good or values.dtype.kind not in _KINDS or values.size == 0:
        raise ImageError(
            _WHERE,
            f"an array of {values.dtype} with shape {values.shape}",
            _EXPECTED,
            "Pass one frame at a time, colours last.",
        )
    limits.check_frame(_WHERE, values.shape[0], values.shape[1])
    if values.dtype.kind == "b":
        values = values.astype(np.uint8) * np.uint8(255)
    return Image(1, None, None, ArrayFrame(values))
