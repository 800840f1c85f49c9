"""One compressed frame → stored values, by the best decoder that is installed.

Measured at 2048 x 2048, 12 bits: JPEG-LS pyjpegls 56 ms, GDCM 98; JPEG 2000 GDCM 214, openjpeg 342;
JPEG lossless GDCM 60; RLE pylibjpeg 5, pydicom 25. GDCM is taken only where there is no other, for
lossless JPEG and JPEG of 12 bits: on damaged frames it now and then ends the whole process.
"""

from __future__ import annotations

import io
import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import Decoder
from pydicom.uid import UID, JPEGExtended12Bit, JPEGLSTransferSyntaxes

_ORDER: Final = ("pyjpegls", "pylibjpeg", "pillow", "pydicom")
_LAST: Final = "gdcm"
_END_OF_IMAGE: Final = b"\xff\xd9"
_TRAILING: Final = 16
_PANIC: Final = "PanicException"
_TWELVE_BITS: Final = (JPEGExtended12Bit,)
_BYTE: Final = 8
# PS3.5 A.4: an empty Basic Offset Table, one item, the delimiter.
_NO_OFFSETS: Final = b"\xfe\xff\x00\xe0\x00\x00\x00\x00"
_ITEM: Final = b"\xfe\xff\x00\xe0"
_END: Final = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"


def decode_frame(
    decoder: Decoder, frame: bytes, options: dict[str, Any]
) -> tuple[NDArray[np.generic], str]:
    """Return the values (H, W) or (H, W, 3) of one frame, and their Photometric Interpretation.

    Parameters
    ----------
    decoder
        That of the transfer syntax.
    frame
        Compressed, all fragments joined.
    options
        As of `Decoder.as_array`, for one frame.

    Raises
    ------
    Exception
        What the decoders raise; `classifier.pixels.dicom.BROKEN` names it.
    """
    if decoder.UID in _TWELVE_BITS and options["bits_stored"] > _BYTE:
        return _decode_twelve_bits(frame, options), options["photometric_interpretation"]
    if decoder.UID in JPEGLSTransferSyntaxes and _END_OF_IMAGE not in frame[-_TRAILING:]:
        # Without an end, pyjpegls takes up to 20 seconds to say that a frame is damaged.
        frame += _END_OF_IMAGE
    padded = frame + b"\x00" * (len(frame) % 2)
    item = _ITEM + struct.pack("<L", len(padded)) + padded
    failed: RuntimeError | None = None
    for plugin in _plugins(decoder):
        try:
            values, properties = decoder.as_array(
                io.BytesIO(_NO_OFFSETS + item + _END), index=0, decoding_plugin=plugin, **options
            )
        except RuntimeError as error:
            failed = error
        except BaseException as error:
            # What is written in Rust gives up with an exception that is not an Exception.
            if type(error).__name__ != _PANIC:
                raise
            failed = RuntimeError("the decoder gave up")
        else:
            return values, str(properties["photometric_interpretation"])
    raise failed or RuntimeError("nothing is installed that decodes it")


def _plugins(decoder: Decoder) -> list[str]:
    """Return the names of what can decode the syntax here, the best first."""
    found: list[str] = [name for name in _ORDER if name in decoder.available_plugins]
    return found or [name for name in (_LAST,) if name in decoder.available_plugins]


def _decode_twelve_bits(frame: bytes, options: dict[str, Any]) -> NDArray[np.generic]:
    """Decode JPEG Extended with 12 bits by GDCM: pydicom's own plugins refuse it."""
    # GDCM starts slowly, and most images need none of it.
    import gdcm

    rows, columns = options["rows"], options["columns"]
    if options["samples_per_pixel"] != 1:
        raise NotImplementedError("JPEG Extended of 12 bits in colour")
    piece = gdcm.Fragment()
    piece.SetByteStringValue(frame)
    pieces = gdcm.SequenceOfFragments.New()
    pieces.AddFragment(piece)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(pieces.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    # Without one GDCM ends the process.
    grey = gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2)
    image.SetPhotometricInterpretation(grey)
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
    bits = options["bits_stored"]
    image.SetPixelFormat(gdcm.PixelFormat(1, options["bits_allocated"], bits, bits - 1, 0))
    image.SetDataElement(element)
    decoded = image.GetBuffer()
    if decoded is None:
        raise ValueError("GDCM does not decode it")
    # GDCM hands bytes over as text
    return np.frombuffer(decoded.encode("utf-8", "surrogateescape"), "<u2").reshape(rows, columns)


def missing_decoders(syntax: UID, decoder: Decoder) -> str | None:
    """Return what is not installed that would decode `syntax`, in words; `None` when it can."""
    if decoder.is_available:
        return None
    return "; ".join(sorted(decoder.missing_dependencies)) or f"a decoder for {syntax.name}"
