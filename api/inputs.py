"""Files, folders, zips and uploads → a stream of items, one at a time and within the limits.

Nothing is ever written under a name that came from outside: a zip member is unpacked into an
anonymous temporary file, so a name with ``..`` in it is only a name.
"""

from __future__ import annotations

import os
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from api.errors import LimitError, NotDicomError, RequestError
from api.limits import Limits
from api.signatures import ZIP_STARTS, is_zip
from terminology.errors import BodySiteError, DicomError

_SPOOL_BYTES: Final = 4 << 20
_CHUNK: Final = 1 << 20
_RATIO_FREE_BYTES: Final = 1 << 20
_ENCRYPTED: Final = 0x1


@dataclass(frozen=True, slots=True)
class Item:
    """One file to annotate. `named` is whether the caller named it, not a folder or a zip."""

    name: str
    stream: IO[bytes]
    named: bool = True


@dataclass(frozen=True, slots=True)
class Rejected:
    """A file that could not even be opened, and why."""

    name: str
    error: BodySiteError


def from_stream(
    name: str, stream: IO[bytes], limits: Limits, *, named: bool = True
) -> Iterator[Item | Rejected]:
    """Yield the items of one upload or file: itself, or the members when it is a zip."""
    if is_zip(stream):
        yield from _zip_members(name, stream, limits)
    else:
        yield Item(name, stream, named)


def from_paths(paths: Sequence[str], limits: Limits) -> Iterator[Item | Rejected]:
    """Yield the items under `paths`: files, folders (recursive, sorted), zips, ``-`` for stdin."""
    for given in paths:
        if given == "-":
            yield from _from_pipe(given, sys.stdin.buffer, limits)
            continue
        path = Path(given)
        if path.is_dir():
            for found in _walk(path):
                yield from _from_file(found, limits, named=False)
        else:
            yield from _from_file(path, limits, named=True)


def _from_pipe(name: str, stream: IO[bytes], limits: Limits) -> Iterator[Item | Rejected]:
    """Yield the items of a stream that cannot be read twice."""
    with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as spool:
        while chunk := stream.read(_CHUNK):
            spool.write(chunk)
            if spool.tell() > limits.max_body_bytes:
                yield Rejected(name, _too_large(name, limits.max_body_bytes))
                return
        yield from from_stream(name, spool, limits)


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the regular files under `folder`, sorted; links to folders are not followed."""
    for root, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(root, name)
            if path.is_file():
                yield path


def _from_file(path: Path, limits: Limits, *, named: bool) -> Iterator[Item | Rejected]:
    name = str(path)
    try:
        with path.open("rb") as stream:
            if stream.seekable():
                yield from from_stream(name, stream, limits, named=named)
            else:
                yield from _from_pipe(name, stream, limits)
    except OSError as error:
        yield Rejected(
            name,
            DicomError(
                name,
                f"the file cannot be read ({error.strerror or type(error).__name__})",
                "a readable DICOM file, folder or zip",
                "Check the path and its permissions.",
            ),
        )


def _zip_members(name: str, stream: IO[bytes], limits: Limits) -> Iterator[Item | Rejected]:
    try:
        archive = zipfile.ZipFile(stream)
        members = [member for member in archive.infolist() if not is_clutter(member)]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        yield Rejected(name, _damaged_zip(name, error))
        return
    if len(members) > limits.max_files:
        yield Rejected(
            name,
            LimitError(
                name,
                f"the zip has {len(members)} files",
                f"at most {limits.max_files}",
                "Send it in parts, or raise BODYSITE_MAX_FILES.",
            ),
        )
        return
    if not members:
        yield Rejected(name, _empty_zip(name))
        return
    if sum(member.compress_size for member in members) > stream.seek(0, os.SEEK_END):
        yield Rejected(name, _damaged_zip(name, zipfile.BadZipFile("members overlap")))
        return
    left = limits.max_unzipped_bytes
    with archive:
        for member in members:
            label = f"{name}!{member.filename}"
            with tempfile.SpooledTemporaryFile(_SPOOL_BYTES) as spool:
                try:
                    _unpack(archive, member, spool, label, left, limits)
                except BodySiteError as error:
                    yield Rejected(label, error)
                    if isinstance(error, LimitError):
                        left -= spool.tell()
                    if left <= 0:
                        return
                    continue
                left -= spool.tell()
                spool.seek(0)
                yield Item(label, spool, named=False)


def is_clutter(member: zipfile.ZipInfo) -> bool:
    """Return whether a zip member is nothing that anybody sent: a folder, or litter of a Mac."""
    path = PurePosixPath(member.filename)
    return member.is_dir() or "__MACOSX" in path.parts or path.name == ".DS_Store"


def _unpack(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    into: IO[bytes],
    label: str,
    left: int,
    limits: Limits,
) -> None:
    """Unpack one member, never trusting the size that the archive declares for it."""
    if member.flag_bits & _ENCRYPTED:
        raise DicomError(
            label,
            "the zip member is encrypted",
            "a zip without a password",
            "Unpack it where the password is known and send the files.",
        )
    allowed = max(_RATIO_FREE_BYTES, limits.max_zip_ratio * max(member.compress_size, 1))
    written = 0
    try:
        with archive.open(member) as packed:
            while chunk := packed.read(_CHUNK):
                written += len(chunk)
                if written > left:
                    raise LimitError(
                        label,
                        "the zip unpacks to more than the limit",
                        f"at most {limits.max_unzipped_bytes} bytes in all",
                        "Send it in parts, or raise BODYSITE_MAX_UNZIPPED_BYTES.",
                    )
                if written > allowed:
                    raise LimitError(
                        label,
                        f"the zip member unpacks to more than {limits.max_zip_ratio} times its"
                        " packed size",
                        "medical images, which pack far less",
                        "Send the file itself, or raise BODYSITE_MAX_ZIP_RATIO.",
                    )
                if written == len(chunk) and chunk.startswith(ZIP_STARTS):
                    raise DicomError(
                        label,
                        "the zip holds another zip",
                        "a zip of DICOM files",
                        "Unpack the inner zip and send it by itself.",
                    )
                into.write(chunk)
    except (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        EOFError,
        RuntimeError,  # zipfile: a wrong or missing password; NotImplementedError: the method
        ValueError,
    ) as error:
        raise _damaged_zip(label, error) from error


def _damaged_zip(name: str, error: Exception) -> DicomError:
    return DicomError(
        name,
        f"the zip is damaged or of an unknown kind ({type(error).__name__})",
        "a zip that unpacks (stored, deflated, bzip2 or lzma)",
        "Make it again; 'unzip -t' shows where it breaks.",
    )


def _empty_zip(name: str) -> NotDicomError:
    return NotDicomError(
        name, "the zip is empty", "a zip of DICOM files", "Put the files in and send it again."
    )


def _too_large(name: str, limit: int) -> LimitError:
    return LimitError(
        name,
        "the input is larger than the limit",
        f"at most {limit} bytes",
        "Send it in parts, or raise BODYSITE_MAX_BODY_BYTES.",
    )


def body_too_large(limit: int) -> RequestError:
    """Return the error for a request body beyond `limit` bytes."""
    return _too_large("request body", limit)
