"""What a compressed frame says of itself, checked before a decoder gets it.

A decoder reserves memory for what the frame claims; and GDCM, the only one for lossless JPEG, ends
the whole process on some headers that cannot be. So a JPEG frame is walked up to its entropy-coded
data, and what the standard does not allow there is refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
    RLELossless,
)

from classifier.pixels.malformed import MalformedError

_JPEG_2000: Final = (JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K)
# ISO/IEC 15444-1 A.4.1, A.5.1: start of codestream, then the size, always first.
_SOC_SIZ: Final = b"\xff\x4f\xff\x51"
_JP2_BOX: Final = b"\x00\x00\x00\x0cjP  "

_SOI: Final = b"\xff\xd8"
_DHT: Final = 0xC4
_SOS: Final = 0xDA
_DRI: Final = 0xDD
# JFIF 1.02: identifier and version; Adobe TN 5116: identifier and, of 12 bytes the last, transform.
_APP0: Final = 0xE0
_APP14: Final = 0xEE
_JFIF: Final = b"JFIF\0"
_JFIF_MAJOR: Final = b"\x01"
_ADOBE: Final = b"Adobe"
_ADOBE_TRANSFORM_AT: Final = 11
_ADOBE_TRANSFORMS: Final = (b"\x00", b"\x01", b"\x02", b"")
# ISO/IEC 10918-1 B.1.1.3: the frames of every process, and what is none of them; 14495-1: SOF55.
_BASELINE: Final = 0xC0
_EXTENDED: Final = 0xC1
_PROGRESSIVE: Final = 0xC2
_LOSSLESS: Final = 0xC3
_JPEG_LS: Final = 0xF7
_FRAME_STARTS: Final = (frozenset(range(0xC0, 0xD0)) - {_DHT, 0xC8, 0xCC}) | {_JPEG_LS}
_MARKERS_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD9)})

# Which frames a transfer syntax may have (PS3.5 A.4.1, A.4.3), and how deep their samples may be.
_DCT: Final = {_BASELINE: (8,), _EXTENDED: (8, 12), _PROGRESSIVE: (8,)}
_ANY_DEPTH: Final = tuple(range(2, 17))
_ALLOWED: Final = {
    JPEGBaseline8Bit: _DCT,
    JPEGExtended12Bit: _DCT,
    JPEGLossless: {_LOSSLESS: _ANY_DEPTH},
    JPEGLosslessSV1: {_LOSSLESS: _ANY_DEPTH},
    **{syntax: {_JPEG_LS: _ANY_DEPTH} for syntax in JPEGLSTransferSyntaxes},
}
_MOST_TABLES: Final = 4
_MOST_SAMPLING: Final = 4
_PREDICTORS: Final = range(1, 8)
# 10918-1 H.1.2.2: differences have at most 16 bits; F.1.2.1 of the discrete cosines fewer.
_MOST_CATEGORY: Final = 16


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """Size, bits a sample and samples a pixel of one compressed frame."""

    rows: int
    columns: int
    precision: int
    samples: int


def read_frame_header(frame: bytes, syntax: UID) -> FrameHeader | None:
    """Return what a compressed frame says of itself; `None` for RLE, which says nothing.

    Raises
    ------
    MalformedError
        The frame is no codestream of this kind, or its header breaks the standard.
    """
    if syntax in (RLELossless,):
        return None
    try:
        if syntax in _JPEG_2000:
            return _jpeg_2000(frame)
        return _jpeg(frame, _ALLOWED[syntax])
    except (struct.error, IndexError) as error:
        raise MalformedError("the compressed frame ends inside its header") from error


def _jpeg_2000(frame: bytes) -> FrameHeader:
    start = 0
    if frame.startswith(_JP2_BOX):
        # PS3.5 A.4.4 forbids the boxes of a JP2 file, and decoders read them all the same.
        start = frame.find(_SOC_SIZ)
    if start < 0 or frame[start : start + 4] != _SOC_SIZ:
        raise MalformedError("the frame is no JPEG 2000 codestream")
    right, bottom, left, top = struct.unpack_from(">4I", frame, start + 8)
    samples = struct.unpack_from(">H", frame, start + 40)[0]
    precision = (frame[start + 42] & 0x7F) + 1
    return FrameHeader(bottom - top, right - left, precision, samples)


def _jpeg(frame: bytes, allowed: dict[int, tuple[int, ...]]) -> FrameHeader:
    if frame[:2] != _SOI:
        raise MalformedError("the frame is no JPEG codestream")
    at = 2
    header: FrameHeader | None = None
    process = 0
    while True:
        if frame[at] != 0xFF:
            raise MalformedError("the JPEG frame has bytes between its segments")
        while frame[at] == 0xFF:
            at += 1
        marker = frame[at]
        at += 1
        if marker in _MARKERS_ALONE:
            continue
        length = struct.unpack_from(">H", frame, at)[0]
        segment = frame[at + 2 : at + length]
        if len(segment) != length - 2:
            raise MalformedError("the compressed frame ends inside its header")
        at += length
        if marker in _FRAME_STARTS:
            if header is not None or marker not in allowed:
                raise MalformedError("the JPEG frame is of a process that is not expected")
            header, process = _start_of_frame(segment, allowed[marker]), marker
        elif marker == _DHT:
            _check_huffman(segment)
        elif marker in (_APP0, _APP14):
            _check_application(segment)
        elif marker == _DRI and len(segment) != 2:
            raise MalformedError("the JPEG frame has a restart interval that cannot be")
        elif marker == _SOS:
            if header is None:
                raise MalformedError("the JPEG frame states no size")
            _check_scan(segment, header, process)
            return header


def _start_of_frame(segment: bytes, depths: tuple[int, ...]) -> FrameHeader:
    precision, rows, columns, samples = struct.unpack_from(">BHHB", segment)
    if precision not in depths or len(segment) != 6 + 3 * samples:
        raise MalformedError(f"the JPEG frame has {samples} samples of {precision} bits")
    for part in range(samples):
        _, sampling, table = segment[6 + 3 * part : 9 + 3 * part]
        ratios = (sampling >> 4, sampling & 15)
        if not all(1 <= ratio <= _MOST_SAMPLING for ratio in ratios) or table >= _MOST_TABLES:
            raise MalformedError("the JPEG frame has a component that cannot be")
    return FrameHeader(rows, columns, precision, samples)


def _check_application(segment: bytes) -> None:
    """Refuse what GDCM takes for so odd that it ends the process."""
    version = segment[len(_JFIF) :][:1]
    transform = segment[_ADOBE_TRANSFORM_AT:][:1]
    jfif = segment.startswith(_JFIF) and version != _JFIF_MAJOR
    # A shorter Adobe segment is not taken for one.
    adobe = segment.startswith(_ADOBE) and transform not in _ADOBE_TRANSFORMS
    if jfif or adobe:
        raise MalformedError("the JPEG frame has a JFIF or Adobe segment that cannot be")


def _check_huffman(segment: bytes) -> None:
    at = 0
    while at < len(segment):
        kind, table = segment[at] >> 4, segment[at] & 15
        counts = segment[at + 1 : at + 17]
        values = segment[at + 17 : at + 17 + sum(counts)]
        whole = len(counts) == 16 and len(values) == sum(counts)
        # 10918-1 C.2: there are no more codes than bits can tell apart
        full = sum(count << (15 - bits) for bits, count in enumerate(counts)) > 1 << 16
        if not whole or full or kind > 1 or table >= _MOST_TABLES:
            raise MalformedError("the JPEG frame has a Huffman table that cannot be")
        if kind == 0 and any(value > _MOST_CATEGORY for value in values):
            raise MalformedError("the JPEG frame has a Huffman table that cannot be")
        at += 17 + len(values)


def _check_scan(segment: bytes, header: FrameHeader, process: int) -> None:
    count = segment[0]
    if not 1 <= count <= header.samples or len(segment) != 4 + 2 * count:
        raise MalformedError("the JPEG frame has a scan that cannot be")
    if process == _LOSSLESS:
        predictor, _, point = segment[-3:]
        if predictor not in _PREDICTORS or point & 15 >= header.precision:
            raise MalformedError("the JPEG frame has a scan that cannot be")
