"""Which images may end the process that decodes them."""

from __future__ import annotations

from typing import Final

from pydicom.uid import UID, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1

# What GDCM alone decodes (classifier.pixels.decoding); on damaged frames it may end the process.
RISKY: Final[tuple[UID, ...]] = (JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)
_COMMON: Final = b"1.2.840.10008.1.2.4."
_ENDS: Final = tuple(uid.encode().removeprefix(_COMMON) for uid in RISKY)


def is_risky(content: bytes) -> bool:
    """Return whether the image file `content` is to be decoded in a process of its own.

    The name of the transfer syntax stands in a DICOM file as it is, so it is searched for: a parser
    that understands a damaged header otherwise than the decoder does would let images past.
    What mentions one of these names by chance is decoded as well, a little later.
    """
    at = content.find(_COMMON)
    while at >= 0:
        at += len(_COMMON)
        if content.startswith(_ENDS, at):
            return True
        at = content.find(_COMMON, at)
    return False
