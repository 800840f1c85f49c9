"""The index file: named arrays in one file, memory-mapped by every process that reads it.

Layout: a header of 64 bytes (magic, format, where the directory is, the size of the file), the
arrays, each at a multiple of 64, and at the end the directory, a JSON object that gives every array
its type, shape, place and CRC-32. Numbers are little-endian.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from terminology.errors import IndexFileError
from terminology.files import written_whole

MAGIC: Final = b"BODYSITE"
# To be raised with every change of what the arrays mean: an old file is then refused, not misread.
FORMAT: Final = 4
_HEADER: Final = struct.Struct("<8sIIQQQ")
_HEADER_BYTES: Final = 64
_ALIGN: Final = 64

Array = NDArray[Any]


class ArrayFile(Mapping[str, Array]):
    """The arrays of an index file, read-only and shared with every process that maps it.

    Parameters
    ----------
    path
        A file that `write_arrays` made.

    Raises
    ------
    IndexFileError
        The file is missing, is no index, was cut short, or is of another format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        directory, self._map = _open(path)
        self.facts: Mapping[str, Any] = directory["facts"]
        self._entries: dict[str, dict[str, Any]] = directory["arrays"]
        self._held: dict[str, Array] = {}

    def __getitem__(self, name: str) -> Array:
        held = self._held.get(name)
        if held is None:
            held = self._held[name] = self._mapped(name)
        return held

    def _mapped(self, name: str) -> Array:
        entry = self._entries[name]
        dtype, count = np.dtype(entry["dtype"]), entry["count"]
        if count == 0:
            return np.zeros(entry["shape"], dtype)
        flat: Array = np.frombuffer(self._map, dtype, count, entry["offset"])
        return flat.reshape(entry["shape"])

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def verify(self) -> None:
        """Read every array and compare its checksum.

        Raises
        ------
        IndexFileError
            The content of an array is not what was written.
        """
        for name, entry in self._entries.items():
            if zlib.crc32(self[name].data) != entry["crc32"]:
                raise IndexFileError(
                    f"{self.path} {name}",
                    "the checksum is wrong",
                    "the bytes that the build wrote",
                    "The disk or a copy damaged the file; run 'bodysite terminology build' again.",
                )


def write_arrays(path: Path, facts: Mapping[str, Any], arrays: Iterator[tuple[str, Array]]) -> None:
    """Write an index file under the name `path`, whole or not at all.

    `arrays` is consumed one at a time, so that each may be released once it is written. What stood
    under `path` stays in use until the new file is complete, and processes that have it mapped keep
    it.

    Raises
    ------
    OSError
        The folder is missing or not writable, or the disk is full.
    """
    with written_whole(path, binary=True) as stream:
        _write(stream, facts, arrays)


def _write(stream: BinaryIO, facts: Mapping[str, Any], arrays: Iterator[tuple[str, Array]]) -> None:
    stream.write(b"\0" * _HEADER_BYTES)
    entries: dict[str, dict[str, Any]] = {}
    for name, array in arrays:
        plain = np.ascontiguousarray(array)
        if plain.dtype.byteorder == ">" or (sys.byteorder == "big" and plain.dtype.itemsize > 1):
            plain = plain.astype(plain.dtype.newbyteorder("<"))
        stream.write(b"\0" * (-stream.tell() % _ALIGN))
        entries[name] = {
            "dtype": plain.dtype.str,
            "shape": plain.shape,
            "count": plain.size,
            "offset": stream.tell(),
            "crc32": zlib.crc32(plain.data) if plain.size else 0,
        }
        if plain.size:
            stream.write(plain.data)
    offset = stream.tell()
    directory = json.dumps({"facts": facts, "arrays": entries}).encode()
    stream.write(directory)
    stream.seek(0)
    size = offset + len(directory)
    stream.write(_HEADER.pack(MAGIC, FORMAT, zlib.crc32(directory), offset, len(directory), size))


def _open(path: Path) -> tuple[dict[str, Any], mmap.mmap]:
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEADER_BYTES)
            if len(head) < _HEADER_BYTES or not head.startswith(MAGIC):
                raise _unusable(path, "this is no index file")
            _, made, checksum, offset, length, size = _HEADER.unpack_from(head)
            if made != FORMAT:
                raise _unusable(path, f"the index has format {made}")
            if os.fstat(stream.fileno()).st_size != size or offset + length != size:
                raise _unusable(path, "the index is cut short")
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise _unusable(path, f"the file cannot be read ({error.__class__.__name__})") from error
    text = mapped[offset : offset + length]
    if zlib.crc32(text) != checksum:
        raise _unusable(path, "the directory of the index is damaged")
    return json.loads(text), mapped


def _unusable(path: Path, what: str) -> IndexFileError:
    return IndexFileError(
        str(path),
        what,
        f"an index of format {FORMAT}",
        "Make it with 'bodysite terminology build RELEASE -o INDEX'.",
    )
