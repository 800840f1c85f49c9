"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, Literal, TextIO, overload

if sys.platform != "win32":
    import fcntl

_TEMPORARY: Final = ".building-"


@overload
def written_whole(path: Path) -> AbstractContextManager[TextIO]: ...
@overload
def written_whole(path: Path, *, binary: Literal[True]) -> AbstractContextManager[BinaryIO]: ...


def written_whole(path: Path, *, binary: bool = False) -> AbstractContextManager[IO[Any]]:
    """Yield a file that takes the name `path` only when the block ends without an error.

    Text is UTF-8, with line ends as they are written. What stood under that name stays until then,
    and nothing is left behind after an error. What a process that was killed left of such a file
    is removed first; those that are being written by others stay.

    Raises
    ------
    OSError
        The folder is missing or not writable, or the disk is full.
    """
    return _written(path, binary=binary)


@contextlib.contextmanager
def _written(path: Path, *, binary: bool) -> Iterator[IO[Any]]:
    _remove_stale(path)
    temporary, handle = _temporary(path)
    # A second handle keeps the lock until the file has its name.
    held = os.dup(handle) if sys.platform != "win32" else None
    try:
        with (
            os.fdopen(handle, "wb")
            if binary
            else os.fdopen(handle, "w", encoding="utf-8", newline="")
        ) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        if held is not None:
            os.close(held)


def _temporary(path: Path) -> tuple[Path, int]:
    """Return a new file beside `path`, open and locked: while it is, nobody else removes it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        temporary = path.with_name(f".{path.name}{_TEMPORARY}{secrets.token_hex(8)}")
        # 0o666 less the umask: the permissions of any other new file.
        handle = os.open(temporary, flags, 0o666)
        if sys.platform == "win32":
            return temporary, handle
        # A file system without locks has nobody remove anything either.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return temporary, handle
        # Another process took it for left behind before it was locked.
        os.close(handle)


def _remove_stale(path: Path) -> None:
    """Remove the temporaries of `path` that nobody holds: their writers were killed."""
    if sys.platform == "win32":
        return
    prefix = f".{path.name}{_TEMPORARY}"
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for name in [entry.name for entry in entries if entry.name.startswith(prefix)]:
            _remove_unlocked(path.with_name(name))


def _remove_unlocked(path: Path) -> None:
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
        finally:
            os.close(handle)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
