"""`open_image`: a file, its bytes, an array or a DICOM dataset → `Image`, by one path."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from classifier.errors import ImageError
from classifier.pixels.array import open_array
from classifier.pixels.dicom import open_dataset, open_dicom
from classifier.pixels.dicom_file import has_preamble, may_be_bare
from classifier.pixels.image import Image
from classifier.pixels.limits import PixelLimits
from classifier.pixels.picture import open_picture
from classifier.pixels.source import Source

ImageSource = bytes | bytearray | memoryview | str | Path | NDArray[np.generic] | Dataset

_DEFAULT_LIMITS: Final = PixelLimits()
_PICTURES: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*")
_NEITHER: Final = {
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip file",
    b"PK\x03\x04": "a zip archive",
    b"GIF8": "a GIF picture",
    b"BM": "a BMP picture",
    b"RIFF": "a WebP picture or a sound",
}


def open_image(source: ImageSource, *, limits: PixelLimits = _DEFAULT_LIMITS) -> Image:
    """Return an image, of which the header is read and checked, and no frame decoded yet.

    What it is tells its content, not its name. A file is opened again for each frame.

    Parameters
    ----------
    source
        The path of a file; the bytes of one; an array: bool, integers or floats of shape (H, W),
        (H, W, 3) RGB or (H, W, 4) RGBA; a DICOM dataset with pixels, which is not changed.

    Raises
    ------
    ImageError
        It is no DICOM, PNG, JPEG or TIFF image, or is damaged; `NoPixelsError` for DICOM without
        an image, `PixelLimitError` for one larger than `limits`.
    """
    if isinstance(source, np.ndarray):
        return open_array(source, limits)
    if isinstance(source, Dataset):
        return open_dataset(source, limits)
    content = Path(source) if isinstance(source, str | Path) else bytes(source)
    opened = Source.of(content, limits)
    start = opened.start()
    # PS3.10 7.1: the preamble is free for other formats to use, and the file is DICOM all the same.
    if not has_preamble(start):
        if start.startswith(_PICTURES):
            return open_picture(opened, limits)
        if not may_be_bare(start):
            raise _neither(opened.where, start)
    return open_dicom(opened, limits)


def _neither(where: str, start: bytes) -> ImageError:
    kinds = (kind for signature, kind in _NEITHER.items() if start.startswith(signature))
    return ImageError(
        where,
        f"the file is {next(kinds, 'neither DICOM nor a picture that is read here')}",
        "a DICOM, PNG, JPEG or TIFF image",
        "Unpack it, or export the image as one of these.",
    )


def read_image(
    source: ImageSource, frame: int = 0, *, limits: PixelLimits = _DEFAULT_LIMITS
) -> NDArray[np.uint8]:
    """Return one frame of `source` as it is shown: uint8 (H, W), 0 black, 255 white.

    The same as ``open_image(source).frame(frame)``.
    """
    return open_image(source, limits=limits).frame(frame)
