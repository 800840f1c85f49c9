"""PNG, JPEG and TIFF → `Image`, through Pillow, and OpenCV where Pillow would drop bits."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL import UnidentifiedImageError

from classifier.errors import ImageError
from classifier.pixels.display import Display, Grey, Stored, luminance, show
from classifier.pixels.image import Image
from classifier.pixels.limits import PixelLimits
from classifier.pixels.quiet import quiet
from classifier.pixels.source import Source

_FORMATS: Final = ("PNG", "JPEG", "TIFF")
_TIFF: Final = "TIFF"
# What Pillow raises on damaged files; it declares UnidentifiedImageError and the bombs only.
_BROKEN: Final = (
    UnidentifiedImageError,
    PIL.Image.DecompressionBombError,
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    NotImplementedError,
    RuntimeError,
    AssertionError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
    cv2.error,
)

# EXIF 2.32 and TIFF 6.0, tag 274; tag 262 and its value 0, "WhiteIsZero"; tag 258.
_ORIENTATION: Final = 274
_PHOTOMETRIC: Final = 262
_WHITE_IS_ZERO: Final = 0
_BITS_PER_SAMPLE: Final = 258
# PNG 11.2.2: the bit depth is the byte after width and height in IHDR, the first chunk.
_PNG_DEPTH_AT: Final = 24
_DEEP: Final = 16
# Modes of Pillow with one sample of more than 8 bits, which numpy reads as it is.
_DEEP_GREY: Final = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
_COLOURS: Final = ("RGB", "RGBA")


@dataclass(frozen=True, slots=True)
class PictureReader:
    """Decodes the frames of one picture file."""

    source: Source
    limits: PixelLimits

    @property
    def where(self) -> str:
        """How messages call the file."""
        return self.source.where

    def read(self, index: int) -> Grey:
        """Return one frame, turned as its orientation says."""
        with _opened(self.source) as picture:
            if index:
                picture.seek(index)
            self.limits.check_frame(self.where, picture.height, picture.width)
            return _shown(picture, self.source, index)


def open_picture(source: Source, limits: PixelLimits) -> Image:
    """Return a PNG, JPEG or TIFF as an image; the pages of a TIFF are its frames.

    Other pictures in a file (previews in a JPEG, the frames of an animated PNG) are left out.

    Raises
    ------
    ImageError
        It is none of these, or is damaged.
    """
    with _opened(source) as picture:
        limits.check_frame(source.where, picture.height, picture.width)
        frames = getattr(picture, "n_frames", 1) if picture.format == _TIFF else 1
    limits.check_count(source.where, frames)
    return Image(frames, None, None, PictureReader(source, limits))


@contextmanager
def _opened(source: Source) -> Iterator[PIL.Image.Image]:
    """Open the file; what is raised on a damaged one, here or in the block, is an `ImageError`."""
    try:
        with source.open() as stream:
            # Pillow warns of large pictures, for which there are limits here.
            with quiet():
                picture = PIL.Image.open(stream, formats=_FORMATS)
            with picture:
                yield picture
    except _BROKEN as error:
        raise ImageError(
            source.where,
            f"the picture cannot be decoded ({type(error).__name__})",
            "a whole PNG, JPEG or TIFF picture, or a DICOM file",
            "Open it in a viewer and export it again.",
        ) from error


def _shown(picture: PIL.Image.Image, source: Source, index: int) -> Grey:
    orientation = _orientation(picture)
    deep = _deep_colours(picture, source, index)
    if deep is not None:
        return _turned(show(Stored.of(luminance(deep))), orientation)
    # TIFF 6.0: in 16 bits Pillow leaves it to the reader that 0 is white.
    inverted = picture.mode.startswith("I;16") and _tag(picture, _PHOTOMETRIC) == _WHITE_IS_ZERO
    picture.load()
    # Pillow turns a TIFF itself when it loads it, and then takes the tag away.
    orientation = _orientation(picture)
    return _turned(show(Stored.of(_values(picture)), Display(inverted=inverted)), orientation)


def _values(picture: PIL.Image.Image) -> NDArray[np.generic]:
    """Return (H, W) of what Pillow decoded, in 8 bits or as deep as it is."""
    if picture.mode in _DEEP_GREY or picture.mode == "L":
        return np.asarray(picture)
    if picture.mode == "1":
        return np.asarray(picture.convert("L"))
    # Palettes, with and without a transparent entry; grey with alpha; CMYK; YCbCr; Lab.
    transparent = picture.has_transparency_data
    return luminance(np.asarray(picture.convert("RGBA" if transparent else "RGB")))


def _deep_colours(
    picture: PIL.Image.Image, source: Source, index: int
) -> NDArray[np.generic] | None:
    """Return (H, W, 3 or 4) of a picture with more than 8 bits a colour, else `None`.

    Pillow would keep the upper 8 bits.
    """
    if picture.mode not in _COLOURS or _depth(picture, source) < _DEEP:
        return None
    with source.open() as stream:
        encoded = np.frombuffer(stream.read(), np.uint8)
    if picture.format == _TIFF:
        done, pages = cv2.imdecodemulti(encoded, cv2.IMREAD_UNCHANGED, range=(index, index + 1))
        decoded = pages[0] if done and pages else None
    else:
        decoded = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    if decoded is None or decoded.shape[:2] != (picture.height, picture.width):
        raise ValueError("OpenCV does not decode it")
    if decoded.ndim == 2:
        return np.repeat(decoded[..., None], 3, axis=2)
    # OpenCV has blue first
    return decoded[..., [2, 1, 0, 3][: decoded.shape[2]]]


def _depth(picture: PIL.Image.Image, source: Source) -> int:
    if picture.format == "PNG":
        return source.start()[_PNG_DEPTH_AT]
    bits = _tag(picture, _BITS_PER_SAMPLE)
    return max(bits) if isinstance(bits, tuple) else 8


def _tag(picture: PIL.Image.Image, tag: int) -> object:
    """Return a tag of a TIFF page, `None` for other pictures."""
    return getattr(picture, "tag_v2", {}).get(tag)


def _orientation(picture: PIL.Image.Image) -> object:
    with quiet():  # Pillow warns of damaged EXIF, which says nothing then
        return picture.getexif().get(_ORIENTATION)


def _turned(shown: Grey, orientation: object) -> Grey:
    """Turn by the EXIF orientation: which side of the scene the first row and column are."""
    if not isinstance(orientation, int) or not 2 <= orientation <= 8:
        return shown
    if orientation >= 5:
        shown = shown.T
    # 2, 3, 7, 8 have the first column at the right or bottom; 3, 4, 6, 7 the first row.
    if orientation in (2, 3, 6, 7):
        shown = shown[:, ::-1]
    if orientation in (3, 4, 7, 8):
        shown = shown[::-1]
    return np.ascontiguousarray(shown)
