"""Bytes → the header of a DICOM file, and nothing that a hostile file can do about it.

pydicom parses; this module bounds what it may read, how long it may take and how far a deflated
file may inflate, and turns every way in which it can fail into one `DicomError`.
"""

from __future__ import annotations

import io
import time
import zlib
from dataclasses import dataclass
from typing import IO, BinaryIO, Final, cast

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset, read_partial, read_preamble
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from api.errors import LimitError, NotDicomError
from api.limits import Limits
from api.plainheader import MEDIA_DIRECTORY, read_plain
from api.signatures import has_preamble, looks_like
from terminology.attributes import header_tags
from terminology.elements import BROKEN
from terminology.errors import DicomError

# Elements longer than this are stepped over; nothing that a header statement rests on is so long.
_DEFER_BYTES: Final = 1 << 20
_PIXEL_TAGS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_UNDEFINED: Final = 0xFFFFFFFF
_META_GROUP: Final = 0x0002
# A dataset without preamble begins with group 0002 or 0008, in either byte order.
_FIRST_GROUPS: Final = (b"\x02\x00", b"\x00\x02", b"\x08\x00", b"\x00\x08")
_INFLATE_WINDOW: Final = -15
_IDENTIFYING: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")

# What pydicom raises on damaged input; it declares none of it.
PARSE_FAILURES: Final = (*BROKEN, ArithmeticError, MemoryError, zlib.error)


@dataclass(frozen=True, slots=True)
class Header:
    """A header and what is odd about the file around it, in words.

    `is_media_directory` marks a DICOMDIR, the table of contents of a medium.
    """

    dataset: Dataset
    flags: tuple[str, ...] = ()
    is_media_directory: bool = False


class _BoundedReader:
    """A file as pydicom may see it: so many bytes, so much time, and a note of a short read."""

    def __init__(self, stream: IO[bytes], name: str, limits: Limits) -> None:
        self._stream = stream
        self._label = name
        self._limits = limits
        self._left = limits.max_header_bytes
        self._deadline = time.monotonic() + limits.max_seconds_per_file
        stream.seek(0, io.SEEK_END)
        self.size = stream.tell()
        stream.seek(0)
        self.cut_short = False
        self._at_end = False

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            size = max(self.size - self._stream.tell(), 0)
        if size > self.size:
            # Asking for more than there is must not reserve it.
            self.cut_short = True
            size = self.size
        self._left -= size
        if self._left < 0:
            raise LimitError(
                self._label,
                "the header is larger than the limit",
                f"at most {self._limits.max_header_bytes} bytes before the pixel data",
                "Check that the file is an image, or raise BODYSITE_MAX_HEADER_BYTES.",
            )
        if time.monotonic() > self._deadline:
            raise LimitError(
                self._label,
                "the header takes longer to read than the limit",
                f"at most {self._limits.max_seconds_per_file} seconds",
                "Check that the file is an image, or raise BODYSITE_MAX_SECONDS_PER_FILE.",
            )
        found = self._stream.read(size)
        # pydicom asks for 8 bytes where the next element may begin; none left is a proper end, but
        # not if it then asks again: the value of an element was missing.
        if len(found) < size:
            if found or self._at_end or size > 8:
                self.cut_short = True
            self._at_end = True
        return found

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        position = self._stream.seek(offset, whence)
        self._at_end = False
        if position > self.size:
            self.cut_short = True
        return position

    def tell(self) -> int:
        return self._stream.tell()


class _PixelStop:
    """Stops the parser at the pixel data and remembers how long they say they are."""

    def __init__(self) -> None:
        self.length: int | None = None

    def __call__(self, tag: BaseTag, _vr: str | None, length: int) -> bool:
        if tag in _PIXEL_TAGS:
            self.length = length
            return True
        return False


def read_header(stream: IO[bytes], name: str, limits: Limits) -> Header:
    """Return the header of the DICOM file in `stream`.

    Of an ordinary file, only the elements of `terminology.attributes` are in the dataset.
    Files without the preamble of PS3.10 are accepted when the three identifying UIDs stand in
    them; a transfer syntax that nobody knows is flagged, since the header can be read all the same.

    Parameters
    ----------
    stream
        Seekable; read from its start, never past the header.
    name
        How messages call the file.

    Raises
    ------
    NotDicomError
        The bytes are something else.
    DicomError
        They are DICOM, but empty, cut short, damaged or without the identifying UIDs.
    LimitError
        The header is larger, or slower to read, than the limits allow.
    """
    reader = _BoundedReader(stream, name, limits)
    if reader.size == 0:
        raise NotDicomError(
            name,
            "the file is empty (0 bytes)",
            "a DICOM file",
            "Copy or export it again.",
        )
    stop = _PixelStop()
    bare = not has_preamble(stream)
    if bare and not _may_be_bare(stream):
        raise _not_dicom(name, stream)
    if not bare:
        plain = read_plain(stream, reader.size, most=limits.max_header_bytes, wanted=header_tags())
        if plain is not None:
            stop.length = plain.pixel_length
            syntax = plain.transfer_syntax
            flags = _flags(plain.dataset, syntax, reader.size, plain.end, stop, bare=False)
            return Header(plain.dataset, tuple(flags), plain.is_media_directory)
        stream.seek(0)
    try:
        dataset = _parse(reader, stream, stop, name, limits, force=bare)
    except InvalidDicomError as error:
        raise _not_dicom(name, stream) from error
    except PARSE_FAILURES as error:
        if bare:
            raise _not_dicom(name, stream) from error
        if reader.cut_short:
            raise _truncated(name) from error
        raise damaged(name, error) from error
    if bare and not all(dataset.get(keyword) for keyword in _IDENTIFYING):
        raise _not_dicom(name, stream)
    if reader.cut_short and stop.length is None:
        raise _truncated(name)
    meta = getattr(dataset, "file_meta", None) or FileMetaDataset()
    syntax = str(meta.get("TransferSyntaxUID") or "")
    flags = _flags(dataset, syntax, reader.size, reader.tell(), stop, bare=bare)
    is_directory = meta.get("MediaStorageSOPClassUID") == MEDIA_DIRECTORY
    return Header(dataset, tuple(flags), is_directory)


def _may_be_bare(stream: IO[bytes]) -> bool:
    """Return whether a dataset may begin here; a run of zeros parses as endless empty elements."""
    group = stream.read(2)
    stream.seek(0)
    return group in _FIRST_GROUPS


def _parse(
    reader: _BoundedReader,
    stream: IO[bytes],
    stop: _PixelStop,
    name: str,
    limits: Limits,
    *,
    force: bool,
) -> Dataset:
    source = cast(BinaryIO, reader)
    meta = _deflated_meta(source, force=force)
    if meta is not None:
        inflated = _BoundedReader(io.BytesIO(_inflate(stream, limits)), name, limits)
        dataset = read_dataset(
            cast(BinaryIO, inflated),
            is_implicit_VR=False,
            is_little_endian=True,
            stop_when=stop,
            defer_size=_DEFER_BYTES,
        )
        reader.cut_short = inflated.cut_short and stop.length is None
        stop.length = stop.length and _UNDEFINED
        return FileDataset("", dataset, file_meta=meta, is_implicit_VR=False)
    source.seek(0)
    return read_partial(source, stop_when=stop, defer_size=_DEFER_BYTES, force=force)


def _deflated_meta(source: BinaryIO, *, force: bool) -> FileMetaDataset | None:
    """Return the file meta group when it says "deflated"; `source` is then behind it."""
    if force:
        return None
    read_preamble(source, False)
    # PS3.10 7.1: the group is always explicit little endian; pydicom notices where it is not.
    elements = read_dataset(
        source, is_implicit_VR=False, is_little_endian=True, stop_when=_behind_meta
    )
    meta = FileMetaDataset(elements)
    return meta if meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian else None


def _behind_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != _META_GROUP


def _inflate(stream: IO[bytes], limits: Limits) -> bytes:
    """Return the first `max_header_bytes` of what follows in `stream`, inflated (PS3.5 A.5)."""
    inflater = zlib.decompressobj(_INFLATE_WINDOW)
    out = bytearray()
    while len(out) < limits.max_header_bytes and not inflater.eof:
        packed = inflater.unconsumed_tail or stream.read(1 << 16)
        if not packed:
            break
        out += inflater.decompress(packed, limits.max_header_bytes - len(out))
    return bytes(out)


def _flags(
    dataset: Dataset, syntax: str, size: int, end: int, stop: _PixelStop, *, bare: bool
) -> list[str]:
    flags: list[str] = []
    if bare:
        flags.append("the file has no preamble of DICOM PS3.10")
    if not syntax:
        flags.append("the file states no transfer syntax; it was guessed from the first element")
    elif UID(syntax).name == syntax:
        flags.append(f"the transfer syntax {syntax[:64]!r} is not known; only the header was read")
    if stop.length is None and "Rows" in dataset:
        flags.append("the header describes an image, but the file has no pixel data")
    # The parser steps back to the start of the pixel element, 8 or 12 bytes before its value.
    if stop.length not in (None, _UNDEFINED) and end + stop.length > size:
        flags.append("the file ends before its pixel data do")
    return flags


def damaged(name: str, error: Exception) -> DicomError:
    """Return what to say of a header that could not be parsed."""
    return DicomError(
        name,
        f"the DICOM header is damaged ({type(error).__name__})",
        "a header that follows DICOM PS3.5",
        "Export the file again; 'dcmdump' or 'pydicom show' tells where it breaks.",
    )


def _truncated(name: str) -> DicomError:
    return DicomError(
        name,
        "the file is truncated: it ends inside its header",
        "a whole file",
        "Copy or export it again.",
    )


def _not_dicom(name: str, stream: IO[bytes]) -> NotDicomError:
    looks = looks_like(stream)
    return NotDicomError(
        name,
        "the file is not DICOM" + (f" but {looks}" if looks else ""),
        "a DICOM file ('DICM' at byte 128, or a bare dataset with its three UIDs)",
        "Export it as DICOM from the PACS; pictures go as image/png, image/jpeg or image/tiff.",
    )
