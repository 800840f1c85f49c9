"""Writers of all processes to a SQLite file take turns, in the order in which they came.

SQLite lets who waits for its lock look again after a while, and whoever looks first after a commit
has it: a process that writes all the time keeps the others waiting until they give up. So a writer
first takes a turn: a lock on a file beside the database. One writer at a time stands first in line,
which is a second such lock, and who has just had a turn must get there again. A process that ends,
however it ends, leaves its locks to the next one.

https://www.sqlite.org/lang_transaction.html, https://man7.org/linux/man-pages/man2/flock.2.html
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

import sqlalchemy as sa

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows: writers have SQLite's own lock there
    fcntl = None  # type: ignore[assignment]

# What the files are called behind the name of the database.
TURN: Final = "-turn"
NEXT: Final = "-next"
_SECONDS_TO_WAIT: Final = 30.0
_FIRST_PAUSE: Final = 0.0002
_LONGEST_PAUSE: Final = 0.002


class FileTurn:
    """A turn at writing to a SQLite file, from when it is made until it is released.

    Parameters
    ----------
    database
        Path of the file; "" for what no other process can write to.
    seconds
        How long to wait for it.

    Raises
    ------
    sqlalchemy.exc.TimeoutError
        Others had it all the time.
    sqlalchemy.exc.OperationalError
        The files that it takes cannot be made or opened.
    """

    def __init__(self, database: str, seconds: float = _SECONDS_TO_WAIT) -> None:
        self._held: int | None = None
        if fcntl is None or not database:
            return
        until = time.monotonic() + seconds
        try:
            first = _locked(database, NEXT, until)
            try:
                self._held = _locked(database, TURN, until)
            finally:
                os.close(first)
        except OSError as error:
            # A full disk, a folder that may not be written to: the database will not do either.
            raise sa.exc.OperationalError("taking a turn", {}, error) from error

    def release(self) -> None:
        """Let the next writer have its turn; once more does nothing."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)

    def __enter__(self) -> None:
        """Keep the turn until the block ends."""

    def __exit__(self, *_: object) -> None:
        """Let the next writer have its turn."""
        self.release()


def _locked(database: str, suffix: str, until: float) -> int:
    """Return a descriptor of a file that nobody else holds before it is closed."""
    descriptor = _opened(database, suffix)
    pause = _FIRST_PAUSE
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise sa.exc.TimeoutError("other processes write all the time") from None
            else:
                return descriptor
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
    except BaseException:
        os.close(descriptor)
        raise


def _opened(database: str, suffix: str) -> int:
    """Open a file beside the database; a new one is open to those whom the database is open to."""
    path = database + suffix
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        there = Path(database).stat()
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, there.st_mode & 0o777)
    if os.geteuid() == 0:
        # As SQLite does with its own files: a command of the superuser locks nobody out.
        os.fchown(descriptor, there.st_uid, there.st_gid)
    return descriptor
