"""Writers of a process to a SQLite database take turns, and those that wait share one commit.

SQLite has one writer at a time, and a commit is on the disk when it returns, which takes
milliseconds. So a writer that is done while others wait leaves its transaction open to the next
one; whoever finds nobody waiting commits for all of them. Nobody goes on before that. What a
writer has done is a savepoint: where it fails, the others do not.
"""

from __future__ import annotations

import threading
from collections import ChainMap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa

from api.store.engine import to_write, turn_of
from api.store.indexes import ValueIds
from api.store.precedence import Precedence
from api.store.transaction import Transaction

# How many writers share a commit at most: the first of them waits for all.
_AT_MOST: Final = 32
KNOWN_VALUES: Final = 50_000
_LOST: Final = "the transaction was given up by the database"


class _Shared:
    """A transaction that several writers share, and how it ended."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.turn = turn_of(connection)
        try:
            self.root = connection.begin()
        except BaseException:
            self.turn.release()
            raise
        self.members = 0
        self.met: ValueIds = {}
        self.over = threading.Event()
        self.error: BaseException | None = None

    @property
    def is_there(self) -> bool:
        """Whether the database has not given the transaction up, as it does when the disk is full.

        https://www.sqlite.org/lang_transaction.html, section 3
        """
        return bool(self.connection.connection.driver_connection.in_transaction)  # type: ignore[union-attr]


class Turns:
    """The turns of the writers of this process.

    Parameters
    ----------
    engine
        The engine of a SQLite database.
    known
        Keys of token values; those that a commit makes known are added.
    precedence
        Told when one begins to write, and when it is done.
    """

    def __init__(self, engine: sa.Engine, known: ValueIds, precedence: Precedence) -> None:
        self._engine = engine
        self._known = known
        self._precedence = precedence
        self._turn = threading.Lock()
        self._count = threading.Lock()
        self._waiting = 0
        self._open: _Shared | None = None

    def __enter__(self) -> None:
        """Keep this process's other writers away, for a transaction over another connection."""
        self._turn.acquire()
        # Its lock on the file would be held until it is over.
        self._commit()

    def __exit__(self, *_: object) -> None:
        """Let the next writer have its turn."""
        self._turn.release()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Yield a transaction; what it did is on the disk when the block has ended."""
        self._wait()
        try:
            shared = self._shared()
            transaction = Transaction(shared.connection, ChainMap(shared.met, self._known))
            # Where this fails, what the others did stays.
            with self._precedence.writing(), shared.connection.begin_nested():
                yield transaction
                transaction.finish()
            shared.met.update(transaction.value_ids)
        finally:
            self._pass_on()
        shared.over.wait()
        if shared.error is not None:
            raise shared.error

    def _wait(self) -> None:
        with self._count:
            self._waiting += 1
        try:
            self._turn.acquire()
        finally:
            with self._count:
                self._waiting -= 1

    def _shared(self) -> _Shared:
        """Return the open transaction; a new one where there is none."""
        if self._open is None:
            connection = to_write(self._engine.connect())
            try:
                self._open = _Shared(connection)
            except BaseException:
                connection.close()
                raise
        self._open.members += 1
        return self._open

    def _pass_on(self) -> None:
        """End a turn: commit, unless another writer is there to do so."""
        try:
            with self._count:
                waiting = self._waiting
            shared = self._open
            if shared is not None and not (
                waiting and shared.members < _AT_MOST and shared.is_there
            ):
                self._commit()
        finally:
            self._turn.release()

    def _commit(self) -> None:
        """Commit what is open; each of its writers learns how it ended."""
        shared, self._open = self._open, None
        if shared is None:
            return
        try:
            try:
                if not shared.is_there:
                    raise sa.exc.InternalError(None, None, RuntimeError(_LOST))
                shared.root.commit()
            except BaseException:
                # It may have a transaction still: no one else is to get this connection.
                shared.connection.invalidate()
                raise
            finally:
                shared.connection.close()
                shared.turn.release()
            if len(self._known) + len(shared.met) > KNOWN_VALUES:
                self._known.clear()
            self._known.update(shared.met)
        except BaseException as error:  # noqa: BLE001 - it is raised by each of the writers
            shared.error = error
        finally:
            shared.over.set()
