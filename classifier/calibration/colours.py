"""How much of a picture is in colours that its brightness does not explain."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from classifier.pixels.array import ArrayFrame
from classifier.pixels.image import Image
from classifier.pixels.picture import PictureReader
from classifier.pixels.quiet import quiet

_SIDE: Final = 128
_COLOURED: Final = ("RGB", "RGBA", "RGBX", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV")
_LEVELS: Final = 16
# ITU-R BT.601, as `classifier.pixels.display.luminance`.
_LUMA: Final = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def colourful(image: Image, difference: float) -> float:
    """Return the share of the pixels with a colour of their own; 0 for grey pictures and DICOM.

    A tinted film or a scale of colours gives every brightness one colour: the mean colour of the
    brightness is taken away first, and what is left differs from grey by at least `difference`
    (of 255). Of several pages the first is looked at.
    """
    small = _thumbnail(image)
    if small is None:
        return 0.0
    brightness = small @ _LUMA
    chroma = small - brightness[:, None]
    level = np.minimum((brightness * (_LEVELS / 256)).astype(np.intp), _LEVELS - 1)
    count = np.maximum(np.bincount(level, minlength=_LEVELS), 1)
    for channel in range(3):
        mean = np.bincount(level, weights=chroma[:, channel], minlength=_LEVELS) / count
        chroma[:, channel] -= mean[level]
    return float((np.abs(chroma).max(axis=1) >= difference).mean())


def _thumbnail(image: Image) -> NDArray[np.float32] | None:
    """Return the pixels of a small copy in colours, float32 (N, 3) in [0, 255]."""
    reader = image.reader
    if isinstance(reader, ArrayFrame):
        values = reader.values
        if values.ndim < 3 or values.shape[2] < 3 or values.dtype != np.uint8:
            return None
        colours = np.asarray(values[..., :3], dtype=np.uint8)
    elif isinstance(reader, PictureReader):
        with quiet(), reader.source.open() as stream, PIL.Image.open(stream) as picture:
            if picture.mode not in _COLOURED:
                return None
            picture.draft("RGB", (_SIDE, _SIDE))
            colours = np.asarray(picture.convert("RGB"))
    else:
        return None
    height, width = colours.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(colours, size, interpolation=cv2.INTER_AREA)
    return small.reshape(-1, 3).astype(np.float32)
