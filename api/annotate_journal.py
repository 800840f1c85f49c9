"""What `bodysite annotate --resume` has done so far, beside the output that it will become.

The output of a command that takes hours is to be whole or not there, and the hours are not to be
lost. So each file's lines go into a journal, ``.<output>.partial``, with the size and time of the
file; the output is put together from it at the end. A journal is a JSON object a line: first what
the command was asked, then a file, or a zip as a whole, a line. A line that a kill cut off is
dropped.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

from api.annotate_work import Unit
from api.errors import RequestError

if sys.platform != "win32":
    import fcntl

_SUFFIX: Final = ".partial"
_SYNC_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Entry:
    """What one unit gave: lines of the output and of the review list, and counts of its files."""

    lines: tuple[str, ...]
    review: tuple[str, ...]
    annotated: int
    failed: int
    passed_by: int


class Journal:
    """The journal of one output; a context, in which no other command may have it.

    Parameters
    ----------
    output
        The file that is to be written in the end.
    asked
        All that the lines depend on beside the files: a journal of anything else is refused.

    Raises
    ------
    RequestError
        The journal cannot be read or written, is of another command, or in use.
    """

    def __init__(self, output: Path, asked: Mapping[str, Any]) -> None:
        self.path = output.with_name(f".{output.name}{_SUFFIX}")
        self._asked = json.loads(json.dumps(asked))
        self._places: dict[str, tuple[int, int, int]] = {}
        self._synced = time.monotonic()
        self._stream = self._opened()
        try:
            self._read()
        except BaseException:
            self._stream.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._stream.closed:
            self._sync()
            self._stream.close()

    def __len__(self) -> int:
        return len(self._places)

    def keeps(self, unit: Unit) -> bool:
        """Return whether `unit` is in here, as it stands on disk now."""
        place = self._places.get(unit.path)
        return place is not None and place[:2] == _state(unit.path)

    def add(self, unit: Unit, state: tuple[int, int] | None, entry: Entry) -> None:
        """Note what `unit` gave when its file was in `state` (`state_of`)."""
        size, changed = state or (-1, -1)
        line = {"unit": unit.path, "size": size, "changed": changed, **asdict(entry)}
        at = self._stream.seek(0, os.SEEK_END)
        try:
            self._stream.write(json.dumps(line).encode() + b"\n")
            self._stream.flush()
        except OSError as error:
            raise self._unusable(f"it cannot be written ({error.strerror})") from error
        self._places[unit.path] = (size, changed, at)
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self._sync()

    def entries(self, paths: Iterable[str]) -> Iterator[Entry]:
        """Yield what the units at `paths` gave, in this order."""
        for path in paths:
            self._stream.seek(self._places[path][2])
            found = json.loads(self._stream.readline())
            yield Entry(
                tuple(found["lines"]),
                tuple(found["review"]),
                found["annotated"],
                found["failed"],
                found["passed_by"],
            )

    def remove(self) -> None:
        """Remove the journal: the output is written."""
        self.path.unlink(missing_ok=True)
        self._stream.close()

    def _opened(self) -> IO[bytes]:
        try:
            # Made with the permissions of any other new file.
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise self._unusable(f"it cannot be written ({error.strerror})") from error
        stream = os.fdopen(handle, "r+b")
        if sys.platform != "win32":
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.close()
                raise self._unusable("another command is writing it") from None
            except OSError:
                # A file system without locks.
                pass
        return stream

    def _read(self) -> None:
        """Index the whole lines; cut off what follows them."""
        first = self._stream.readline()
        if not first.endswith(b"\n"):
            self._stream.seek(0)
            self._stream.truncate()
            self._stream.write(json.dumps(self._asked).encode() + b"\n")
            self._sync()
            return
        try:
            asked = json.loads(first)
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            raise self._unusable("it is no journal of 'bodysite annotate'")
        if asked != self._asked:
            differ = sorted(
                name for name in {*asked, *self._asked} if asked.get(name) != self._asked.get(name)
            )
            raise self._unusable(f"it was begun with another {', '.join(differ)}")
        while True:
            at = self._stream.tell()
            line = self._stream.readline()
            with contextlib.suppress(ValueError, KeyError, TypeError):
                if line.endswith(b"\n"):
                    found = json.loads(line)
                    self._places[found["unit"]] = (found["size"], found["changed"], at)
                    if found["failed"]:
                        # What failed is tried again.
                        del self._places[found["unit"]]
                    continue
            self._stream.seek(at)
            self._stream.truncate()
            return

    def _sync(self) -> None:
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._synced = time.monotonic()

    def _unusable(self, what: str) -> RequestError:
        return RequestError(
            f"--resume: {self.path}",
            what,
            "the journal of the same command, which was interrupted",
            "Ask as it was asked then, or remove the file to begin anew.",
        )


def state_of(unit: Unit) -> tuple[int, int] | None:
    """Return size and time of change of the file of `unit`; `None` where it is no plain file."""
    return _state(unit.path)


def digest_of(path: Path | None) -> str | None:
    """Return a digest of a file, or of the files in a folder; `None` for none."""
    if path is None:
        return None
    found = hashlib.sha256()
    for one in [path] if path.is_file() else sorted(path.iterdir()):
        if one.is_file():
            found.update(f"{one.name}\0".encode("utf-8", "surrogateescape"))
            found.update(hashlib.sha256(one.read_bytes()).digest())
    return found.hexdigest()


def _state(path: str) -> tuple[int, int] | None:
    file = Path(path)
    if not file.is_file():
        return None
    status = file.stat()
    return status.st_size, status.st_mtime_ns
