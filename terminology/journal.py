"""The journal of a table: every edit with who, when, and the rows before and after.

Lines of JSON that are only ever added. An edit is written here first and takes effect when the
table is replaced; the checksums of the table before and after it tell an edit that a kill cut off
from one that happened. The journal is also the lock: one editor at a time holds it. Windows has no
such lock: there, whoever edits sees to it that nobody else does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from terminology.concept import Laterality
from terminology.errors import BodySiteError
from terminology.mapping import SemanticMapping

if sys.platform != "win32":
    import fcntl

JOURNAL: Final = "journal.ndjson"
UNDO: Final = "undo"
# An edit that was written down, but killed before the table was replaced.
VOID: Final = "void"
_SLOTS: Final = tuple(one.name for one in fields(SemanticMapping) if one.name != "line")


class JournalError(BodySiteError):
    """A journal that cannot be read, or that does not fit its table."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One edit: `removed` and `added` are whole rows; `undoes` is the number of another edit.

    `before` and `after` are checksums of the table, empty where there was none.
    """

    id: int
    time: str
    author: str
    action: str
    removed: tuple[SemanticMapping, ...]
    added: tuple[SemanticMapping, ...]
    before: str
    after: str
    note: str | None = None
    undoes: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the entry, ready for JSON; empty slots of rows are left out."""
        return {
            "id": self.id,
            "time": self.time,
            "author": self.author,
            "action": self.action,
            "note": self.note,
            "undoes": self.undoes,
            "removed": [_slots(row) for row in self.removed],
            "added": [_slots(row) for row in self.added],
            "before": self.before,
            "after": self.after,
        }


class Journal:
    """The journal in `folder`; `held` gives the one editor the right to `append`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL
        self._handle: int | None = None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the journal alone, waiting for other editors; what a kill cut off is cleared."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            if sys.platform != "win32":
                fcntl.flock(handle, fcntl.LOCK_EX)
            self._handle = handle
            self._clear_cut_line(handle)
            yield
        finally:
            self._handle = None
            os.close(handle)

    def entries(self) -> list[Entry]:
        """Return all entries, the oldest first; a line that is being written is not there yet.

        Raises
        ------
        JournalError
            A line is no entry.
        """
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return []
        lines = content.split(b"\n")[:-1]
        return [self._entry(number, line) for number, line in enumerate(lines, 1) if line]

    def append(self, entry: Entry) -> None:
        """Add `entry`; it is on the disk when this returns. Only while `held`."""
        assert self._handle is not None  # noqa: S101
        line = json.dumps(entry.as_dict(), ensure_ascii=False).encode() + b"\n"
        os.lseek(self._handle, 0, os.SEEK_END)
        while line:
            line = line[os.write(self._handle, line) :]
        os.fsync(self._handle)

    def _clear_cut_line(self, handle: int) -> None:
        """Remove the beginning of a line whose writer was killed: its edit never took effect."""
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            os.ftruncate(handle, whole)

    def _entry(self, number: int, line: bytes) -> Entry:
        try:
            found = json.loads(line)
            return Entry(
                id=int(found["id"]),
                time=str(found["time"]),
                author=str(found["author"]),
                action=str(found["action"]),
                removed=tuple(_row(one) for one in found["removed"]),
                added=tuple(_row(one) for one in found["added"]),
                before=str(found["before"]),
                after=str(found["after"]),
                note=found.get("note"),
                undoes=found.get("undoes"),
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise JournalError(
                f"{self._path.name}:{number}",
                f"the line is no entry of the journal ({type(error).__name__})",
                "a line of JSON that 'bodysite mappings' wrote",
                "Take the file back from version control, or move it away: the table stays as it"
                " is, and edits before now can no longer be undone.",
            ) from None


def standing(entries: Iterable[Entry]) -> list[Entry]:
    """Return the edits that can be undone, the oldest first: neither undone nor cut off.

    Journals that version control has joined may have two edits of one number; what takes one back
    means the nearest one before it.
    """
    happened: list[Entry] = []
    for entry in entries:
        if entry.action == VOID:
            _take_back(happened, entry.undoes)
        else:
            happened.append(entry)
    stand: list[Entry] = []
    for entry in happened:
        if entry.action == UNDO:
            _take_back(stand, entry.undoes)
        else:
            stand.append(entry)
    return stand


def next_id(entries: Iterable[Entry]) -> int:
    """Return the number of the next edit."""
    return max((entry.id for entry in entries), default=0) + 1


def _take_back(entries: list[Entry], number: int | None) -> None:
    for place in range(len(entries) - 1, -1, -1):
        if entries[place].id == number:
            del entries[place]
            return


def checksum(content: bytes | None) -> str:
    """Return the checksum of a table as the journal names it; empty where there is no table."""
    return "" if content is None else hashlib.sha256(content).hexdigest()


def now() -> str:
    """Return the time as the journal writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _slots(row: SemanticMapping) -> dict[str, Any]:
    found = asdict(row)
    return {slot: found[slot] for slot in _SLOTS if found[slot] is not None}


def _row(found: dict[str, Any]) -> SemanticMapping:
    unknown = set(found) - set(_SLOTS)
    if unknown:
        raise ValueError(min(unknown))
    slots: dict[str, Any] = {slot: found.get(slot) for slot in _SLOTS}
    if slots["object_laterality"] is not None:
        slots["object_laterality"] = Laterality(slots["object_laterality"])
    return SemanticMapping(**slots)
