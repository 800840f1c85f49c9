"""What the first bytes of a file say that it is: DICOM, a zip, a picture or something else."""

from __future__ import annotations

from typing import IO, Final

# How every member of a zip begins, an empty archive, and one split over several files.
ZIP_STARTS: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")

_PREAMBLE_BYTES: Final = 128
_PREFIX: Final = b"DICM"
_PICTURES: Final = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}
_OTHERS: Final = {
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a gzip file",
    b"GIF8": "a GIF picture",
    ZIP_STARTS[0]: "a zip",
    # The variant of TIFF with offsets of 64 bits, which is not read here.
    b"II+\x00": "a BigTIFF picture",
    b"MM\x00+": "a BigTIFF picture",
    b"BM": "a BMP picture",
    b"RIFF": "a WebP picture or a sound",
    b"<": "an XML or HTML text",
    b"{": "a JSON text",
}


def has_preamble(stream: IO[bytes]) -> bool:
    """Return whether `stream` has the preamble and prefix of DICOM PS3.10 section 7.1."""
    return _start(stream)[_PREAMBLE_BYTES:] == _PREFIX


def is_zip(stream: IO[bytes]) -> bool:
    """Return whether `stream` begins as a zip archive."""
    return _start(stream).startswith(ZIP_STARTS)


def picture_kind(stream: IO[bytes]) -> str | None:
    """Return "PNG", "JPEG" or "TIFF", or `None` when `stream` is no such picture."""
    # PS3.10 7.1: the preamble is free for other formats to use, and the file is DICOM all the same.
    return None if has_preamble(stream) else _picture(_start(stream))


def looks_like(stream: IO[bytes]) -> str | None:
    """Return in words what a file that is not DICOM seems to be, or `None`."""
    start = _start(stream)
    picture = _picture(start)
    if picture is not None:
        return f"a {picture} picture"
    return next((what for magic, what in _OTHERS.items() if start.startswith(magic)), None)


def _picture(start: bytes) -> str | None:
    return next((kind for magic, kind in _PICTURES.items() if start.startswith(magic)), None)


def _start(stream: IO[bytes]) -> bytes:
    """Return as much as tells; the position is left at the start."""
    stream.seek(0)
    start = stream.read(_PREAMBLE_BYTES + len(_PREFIX))
    stream.seek(0)
    return start
