"""The header of an ordinary DICOM file, many times faster than a general parser reads it.

Ordinary is what nearly all files of an archive are: a PS3.10 file in little endian, not deflated,
its elements in ascending order with known VRs and lengths that fit. Elements are cut out of the
file and left raw, as pydicom leaves them; pydicom converts those that are asked for. Whatever is
not ordinary is left to pydicom: `read_plain` then returns `None`, and nothing was decided.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Final

from pydicom.dataelem import DataElement, RawDataElement, empty_value_for_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

# As many bytes as most headers have; what they hold beyond is read in steps of as many.
_CHUNK: Final = 1 << 15
_PADDING: Final = 12
_UNDEFINED: Final = 0xFFFFFFFF
_PREAMBLE: Final = 128
_META_LENGTH: Final = 0x00020000
_MEDIA_CLASS: Final = 0x00020002
# The Media Storage SOP Class of a DICOMDIR.
MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"
_TRANSFER_SYNTAX: Final = 0x00020010
_META: Final = range(0x00020000, 0x00030000)
# Behind the meta group, and before the delimiters, which nothing has opened here.
_DATASET: Final = range(0x00030000, 0xFFFE0000)
_META_TAGS: Final = frozenset({_META_LENGTH, _MEDIA_CLASS, _TRANSFER_SYNTAX})
_PIXEL_TAGS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD
_DELIMITERS: Final = 0xFFFE
_DEEPEST: Final = 16

# PS3.5 7.1.2: VRs whose length has 16 bits, and those with 2 reserved bytes and 32 bits.
_SHORT_VRS: Final = "AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US"
_LONG_VRS: Final = "OB OD OF OL OV OW SQ SV UC UN UR UT UV"
_SHORT: Final = {name.encode(): name for name in _SHORT_VRS.split(" ")}
_LONG: Final = {name.encode(): name for name in _LONG_VRS.split(" ")}

_explicit = struct.Struct("<HH2sH").unpack_from
_implicit = struct.Struct("<HHL").unpack_from
_length = struct.Struct("<L").unpack_from


@dataclass(frozen=True, slots=True)
class PlainHeader:
    """The dataset before the pixel data, and how long these say they are (`None` without any).

    `transfer_syntax` and `media_class` (Media Storage SOP Class UID) are of the file meta group.
    `end` is the offset at which reading stopped: at the pixel element, or at the end of the file.
    """

    dataset: Dataset
    transfer_syntax: str
    media_class: str
    pixel_length: int | None
    end: int

    @property
    def is_media_directory(self) -> bool:
        """Whether the file is a DICOMDIR, the table of contents of a medium."""
        return self.media_class == MEDIA_DIRECTORY


class _NotPlainError(Exception):
    """The file is not ordinary; pydicom shall say what it is."""


class _Window:
    """A file of `size` bytes, seen through one chunk of it.

    Zeros follow the last byte, so that the head of an element can be taken at the end as well.
    """

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self.size = size
        self.start = 0
        self.data = b""

    def at(self, offset: int, count: int) -> int:
        """Return where `offset` is in `data`, of which at least `count` bytes follow."""
        place = offset - self.start
        if place < 0 or place + count > len(self.data):
            if offset >= self.size or offset + count > self.size + _PADDING:
                raise _NotPlainError
            wanted = min(max(count, _CHUNK), self.size - offset)
            self._stream.seek(offset)
            self.data = self._stream.read(wanted)
            self.start = offset
            if offset + wanted == self.size:
                self.data += bytes(_PADDING)
            if len(self.data) < count:
                raise _NotPlainError
            return 0
        return place

    def bytes(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset`."""
        place = self.at(offset, count)
        return self.data[place : place + count]


def read_plain(
    stream: IO[bytes], size: int, *, most: int, wanted: frozenset[int]
) -> PlainHeader | None:
    """Return the header of the file in `stream`, or `None` when it is not an ordinary one.

    Parameters
    ----------
    stream
        Seekable; its position afterwards is not defined.
    size
        The length of the file in bytes.
    most
        A longer header is no ordinary one.
    wanted
        The tags to keep of the dataset; its other elements are stepped over.
    """
    window = _Window(stream, size)
    try:
        return _read(window, wanted, most)
    except _NotPlainError:
        return None


def _read(window: _Window, wanted: frozenset[int], most: int) -> PlainHeader:
    if window.bytes(_PREAMBLE, 4) != b"DICM":
        raise _NotPlainError
    offset = _PREAMBLE + 4
    # PS3.10 7.1: the meta group is explicit little endian and begins with its own length.
    group, element, vr, length = _explicit(window.data, window.at(offset, 12))
    if (group << 16 | element) != _META_LENGTH or vr != b"UL" or length != 4:
        raise _NotPlainError
    meta_end = offset + 12 + int(_length(window.data, window.at(offset + 8, 4))[0])
    if meta_end >= window.size:
        raise _NotPlainError
    meta, end, _ = _elements(window, offset, meta_end, True, _META_TAGS, _META)
    explicit = _is_explicit(_uid(meta, _TRANSFER_SYNTAX))
    if end != meta_end or explicit is None:
        raise _NotPlainError
    found, end, pixels = _elements(window, meta_end, window.size, explicit, wanted, _DATASET)
    if end > most or (pixels is None and end != window.size):
        raise _NotPlainError
    return PlainHeader(
        Dataset(found), _uid(meta, _TRANSFER_SYNTAX), _uid(meta, _MEDIA_CLASS), pixels, end
    )


def _uid(meta: Mapping[BaseTag, DataElement | RawDataElement], tag: int) -> str:
    element = meta.get(BaseTag(tag))
    value = element.value if isinstance(element, RawDataElement) else None
    return (value or b"").rstrip(b"\0 ").decode("ascii", "replace")


@lru_cache(maxsize=256)
def _is_explicit(transfer_syntax: str) -> bool | None:
    """Return whether a transfer syntax has explicit VRs; `None` where it is not an ordinary one."""
    uid = UID(transfer_syntax)
    if uid in {DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian} or not uid.is_transfer_syntax:
        return None
    return bool(uid != ImplicitVRLittleEndian)


def _elements(
    window: _Window,
    offset: int,
    stop: int,
    explicit: bool,
    wanted: frozenset[int],
    tags: range,
) -> tuple[dict[BaseTag, DataElement | RawDataElement], int, int | None]:
    """Return the wanted elements from `offset`, where they end, and the length of the pixel data.

    All tags, wanted or not, must lie in `tags` and ascend.
    """
    found: dict[BaseTag, DataElement | RawDataElement] = {}
    before, highest = tags.start - 1, tags.stop
    implicit = not explicit
    while offset < stop:
        place = window.at(offset, 12)
        data = window.data
        # What is in the chunk is taken from it here; a call an element would cost as much again.
        inside = len(data) - 12
        base = window.start
        while place <= inside and offset < stop:
            if explicit:
                group, element, code, length = _explicit(data, place)
                head = 8
                vr = _SHORT.get(code)
                if vr is None:
                    tag, vr, length, head = _head(window, offset, explicit)
                else:
                    tag = group << 16 | element
            else:
                group, element, length = _implicit(data, place)
                tag, vr, head = group << 16 | element, None, 8
            if tag in _PIXEL_TAGS and offset + head <= stop:
                return found, offset, length
            if not before < tag < highest:
                raise _NotPlainError
            before = tag
            offset += head
            place += head
            if length == _UNDEFINED:
                if vr not in (None, "SQ"):
                    raise _NotPlainError
                end = _sequence_end(window, offset, explicit, _DEEPEST)
                length = end - 8 - offset
                vr = "SQ"
            else:
                end = offset + length
            if end > stop:
                raise _NotPlainError
            if tag in wanted:
                value: bytes | None
                if not length:
                    value = empty_value_for_VR(vr, raw=True)  # type: ignore[assignment]
                elif window.data is data and place + length <= len(data):
                    value = data[place : place + length]
                else:
                    value = window.bytes(offset, length)
                key = BaseTag(tag)
                found[key] = RawDataElement(key, vr, length, value, offset, implicit, True, True)
            offset = end
            if window.data is not data:
                break
            place = offset - base
    return found, offset, None


def _head(window: _Window, offset: int, explicit: bool) -> tuple[int, str | None, int, int]:
    """Return tag, VR, length and the size of the head of the element at `offset`."""
    place = window.at(offset, 8)
    if not explicit:
        group, element, length = _implicit(window.data, place)
        return group << 16 | element, None, length, 8
    group, element, code, length = _explicit(window.data, place)
    vr = _SHORT.get(code)
    if vr is not None:
        return group << 16 | element, vr, length, 8
    vr = _LONG.get(code)
    if vr is None:
        # Delimiters have no VR (PS3.5 7.5); anything else is no ordinary file.
        if group != _DELIMITERS:
            raise _NotPlainError
        length = int(_length(window.data, place + 4)[0])
        return group << 16 | element, None, length, 8
    place = window.at(offset, 12)
    return group << 16 | element, vr, int(_length(window.data, place + 8)[0]), 12


def _sequence_end(window: _Window, offset: int, explicit: bool, depth: int) -> int:
    """Return the offset behind the delimiter of a sequence of undefined length (PS3.5 7.5.2)."""
    if not depth:
        raise _NotPlainError
    while True:
        tag, _, length, head = _head(window, offset, explicit)
        offset += head
        if tag == _SEQUENCE_END:
            if length:
                raise _NotPlainError
            return offset
        if tag != _ITEM:
            raise _NotPlainError
        offset = (
            offset + length if length != _UNDEFINED else _item_end(window, offset, explicit, depth)
        )


def _item_end(window: _Window, offset: int, explicit: bool, depth: int) -> int:
    while True:
        tag, vr, length, head = _head(window, offset, explicit)
        offset += head
        if tag == _ITEM_END:
            if length:
                raise _NotPlainError
            return offset
        if length != _UNDEFINED:
            offset += length
        elif vr in (None, "SQ") and tag >> 16 != _DELIMITERS:
            offset = _sequence_end(window, offset, explicit, depth - 1)
        else:
            raise _NotPlainError
