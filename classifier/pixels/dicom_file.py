"""DICOM files and datasets → header and `PixelElement`: where the pixels are, not yet read."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filereader import read_dataset, read_partial, read_preamble
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from classifier.pixels.limits import PixelLimits
from classifier.pixels.malformed import MalformedError
from classifier.pixels.source import BoundedStream, Source

_KEYWORDS: Final = {
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
    0x7FE00010: "PixelData",
}
_UNDEFINED: Final = 0xFFFFFFFF
_META_GROUP: Final = 0x0002
_PREFIX_AT: Final = 128
_PREFIX: Final = b"DICM"
# A dataset without preamble begins with group 0002 or 0008, in either byte order.
_FIRST_GROUPS: Final = (b"\x02\x00", b"\x00\x02", b"\x08\x00", b"\x00\x08")
_INFLATE_WINDOW: Final = -15
_CHUNK: Final = 1 << 20

_NATIVE: Final = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the value of the pixel element is, and how it is encoded."""

    source: Source
    offset: int
    length: int | None
    """`None` where the element has no length of its own (encapsulated)."""
    keyword: str
    vr: str


def has_preamble(start: bytes) -> bool:
    """Return whether the first 132 bytes are those of PS3.10 7.1."""
    return start[_PREFIX_AT:] == _PREFIX


def may_be_bare(start: bytes) -> bool:
    """Return whether a dataset without preamble may begin so."""
    return start[:2] in _FIRST_GROUPS


def element_of(dataset: Dataset, where: str, limits: PixelLimits) -> PixelElement | None:
    """Return the pixels of a dataset in memory, if it has any."""
    for tag, keyword in _KEYWORDS.items():
        if tag in dataset:
            found = dataset[tag]
            value = found.value
            content = value.read() if hasattr(value, "read") else bytes(value or b"")
            if not content:
                raise MalformedError(f"{keyword} is empty")
            source = Source.of(content, limits, where)
            length = None if found.is_undefined_length else len(content)
            return PixelElement(source, 0, length, keyword, found.VR)
    return None


def transfer_syntax(dataset: Dataset) -> UID:
    """Return that of the file meta, or what the dataset was read as."""
    meta = getattr(dataset, "file_meta", None)
    stated = meta.get("TransferSyntaxUID") if meta is not None else None
    if stated and stated not in _NATIVE:
        return UID(stated)
    implicit, little = dataset.original_encoding
    if little is None:  # made by a program, not read from a file
        return UID(stated) if stated else ExplicitVRLittleEndian
    # PS3.5 A: how it was parsed is how its numbers lie, whatever the meta header says.
    if not little:
        return ExplicitVRBigEndian
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian


def parse_file(source: Source, limits: PixelLimits) -> tuple[Dataset, PixelElement | None]:
    """Return the header of a file, without its pixels, and where these are if there are any."""
    bare = not has_preamble(source.start())
    with source.open() as opened:
        stream = cast(BinaryIO, BoundedStream(opened, source.size))
        meta = None if bare else _deflated_meta(stream)
        if meta is not None:
            content = _inflate(opened, source.where, limits)
            source = Source.of(content, limits, source.where)
        else:
            stream.seek(0)
            dataset = read_partial(stream, stop_when=_at_pixels, force=bare)
            return dataset, _element(stream, source, dataset)
    with source.open() as opened:
        stream = cast(BinaryIO, BoundedStream(opened, source.size))
        inner = read_dataset(
            stream, is_implicit_VR=False, is_little_endian=True, stop_when=_at_pixels
        )
        whole = FileDataset("", inner, file_meta=meta, is_implicit_VR=False)
        return whole, _element(stream, source, whole)


def _at_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag in _KEYWORDS


def _element(stream: BinaryIO, source: Source, dataset: Dataset) -> PixelElement | None:
    """Return the pixel element at which the parser stopped."""
    little = dataset.original_encoding[1]
    order = "<" if little else ">"
    start = stream.read(8)
    if len(start) < 8:
        return None
    group, number = struct.unpack_from(f"{order}HH", start)
    keyword = _KEYWORDS.get(group << 16 | number)
    if keyword is None:
        return None
    # Some files have elements without VR in a dataset with VRs, and pydicom reads them.
    if not (start[4:6].isalpha() and start[4:6].isupper()):
        vr, length = "OW", struct.unpack_from(f"{order}L", start, 4)[0]
    else:
        # PS3.5 7.1.2: the VRs of pixel data have a length of 32 bits after two reserved bytes
        vr = start[4:6].decode("ascii", "replace")
        length = struct.unpack(f"{order}L", stream.read(4))[0]
    return PixelElement(
        source, stream.tell(), None if length == _UNDEFINED else length, keyword, vr
    )


def _deflated_meta(stream: BinaryIO) -> FileMetaDataset | None:
    """Return the file meta group when it says "deflated"; `stream` is then behind it."""
    read_preamble(stream, force=False)
    # PS3.10 7.1: the group is always explicit little endian; pydicom notices where it is not.
    found = read_dataset(stream, is_implicit_VR=False, is_little_endian=True, stop_when=_behind)
    meta = FileMetaDataset(found)
    return meta if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian else None


def _behind(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != _META_GROUP


def _inflate(stream: BinaryIO, where: str, limits: PixelLimits) -> bytes:
    """Return the rest of `stream` inflated (PS3.5 A.5), as long as it is within the limits."""
    inflater = zlib.decompressobj(_INFLATE_WINDOW)
    parts: list[bytes] = []
    count = 0
    while not inflater.eof:
        packed = inflater.unconsumed_tail or stream.read(_CHUNK)
        if not packed:
            break
        parts.append(inflater.decompress(packed, _CHUNK))
        count += len(parts[-1])
        limits.check_bytes(where, count)
    return b"".join(parts)
