"""Updates of studies that wait at the same time are written together.

A statement costs more than the rows that it writes, and a commit more than that. So who wants to
write while others do takes along what waits: one transaction for all, each statement once. Nobody
goes on before it is committed. Where it fails, each update is written alone, so that what is wrong
with one is the error of that one only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

from api.records import Stored
from api.store.failures import STORE_FAILURES
from api.store.transaction import StudyUpdate

_AT_MOST: Final = 64
# Asks for the updates, no study twice, when its transaction has begun: meanwhile more may come.
Write = Callable[[Callable[[], Sequence[StudyUpdate]]], list[list[Stored]]]


class _Waiting:
    """An update that waits, and what became of it."""

    def __init__(self, update: StudyUpdate, writer: _Writer) -> None:
        self.update: Final = update
        self.writer: Final = writer
        self.stored: list[Stored] = []
        self.error: BaseException | None = None


class _Writer:
    """Who waits for updates; it is woken when they are over, and when it is to write next."""

    def __init__(self, updates: Sequence[StudyUpdate]) -> None:
        self.own: Final = [_Waiting(one, self) for one in updates]
        self.left = len(self.own)
        self.writes = False
        self.woken: Final = threading.Event()


class Together:
    """Writes the updates that many threads have of studies with few transactions.

    Parameters
    ----------
    write
        Writes updates in one transaction: all of them, or none.
    at_a_time
        How many such transactions may go on at a time.
    """

    def __init__(self, write: Write, at_a_time: int) -> None:
        self._write = write
        self._lock = threading.Lock()
        # All that follows is looked at and changed under the lock.
        self._free = at_a_time
        self._waiting: list[_Waiting] = []

    def update(self, updates: Sequence[StudyUpdate]) -> list[list[Stored]]:
        """Return the resources of studies after their updates: `Transaction.update_studies`.

        Updates of the same study follow each other.

        Raises
        ------
        Exception
            What the first update failed with that did; the others are stored.
        """
        writer = _Writer(updates)
        with self._lock:
            self._waiting += writer.own
            if self._free:
                self._free -= 1
                writer.writes = True
        try:
            while True:
                with self._lock:
                    writes, writer.writes = writer.writes, False
                    if not writes and not writer.left:
                        break
                if writes:
                    self._write_all(writer)
                else:
                    writer.woken.wait()
                    writer.woken.clear()
        except BaseException:
            self._leave(writer)
            raise
        for one in writer.own:
            if one.error is not None:
                raise one.error
        return [one.stored for one in writer.own]

    def _write_all(self, writer: _Writer) -> None:
        """Write the updates of a writer, with what else waits, and let the next one write."""
        try:
            while self._waits(writer):
                self._write_some(writer)
        finally:
            self._hand_on()

    def _waits(self, writer: _Writer) -> bool:
        with self._lock:
            return any(one.writer is writer for one in self._waiting)

    def _take(self, writer: _Writer) -> list[_Waiting]:
        """Take what goes into one transaction, that of the writer first."""
        taken: dict[str, _Waiting] = {}
        with self._lock:
            for one in sorted(self._waiting, key=lambda one: one.writer is not writer):
                if len(taken) == _AT_MOST:
                    break
                taken.setdefault(one.update.study_id, one)
            chosen = set(map(id, taken.values()))
            self._waiting = [one for one in self._waiting if id(one) not in chosen]
        return list(taken.values())

    def _write_some(self, writer: _Writer) -> None:
        taken: list[_Waiting] = []

        def take() -> list[_Waiting]:
            if not taken:
                taken.extend(self._take(writer))
            return taken

        try:
            self._store(take)
        except Exception as error:  # noqa: BLE001 - it is raised by each of the writers
            take()
            # What is wrong with the database is wrong for each of them.
            if len(taken) > 1 and not isinstance(error, STORE_FAILURES):
                self._store_each(taken)
            else:
                _fail(taken, error)
        except BaseException as error:
            _fail(taken, error)
            raise
        finally:
            self._tell(taken)

    def _store(self, take: Callable[[], Sequence[_Waiting]]) -> None:
        results = self._write(lambda: [one.update for one in take()])
        for one, stored in zip(take(), results, strict=True):
            one.stored = stored

    def _store_each(self, taken: Sequence[_Waiting]) -> None:
        for one in taken:
            try:
                self._store(lambda one=one: [one])  # type: ignore[misc]
            except Exception as error:  # noqa: BLE001 - it is raised by its writer
                one.error = error

    def _tell(self, taken: Sequence[_Waiting]) -> None:
        """Wake those whose updates are all over."""
        with self._lock:
            for one in taken:
                one.writer.left -= 1
                if not one.writer.left:
                    one.writer.woken.set()

    def _hand_on(self) -> None:
        """Let the one that waits longest write."""
        with self._lock:
            if self._waiting:
                following = self._waiting[0].writer
                following.writes = True
                following.woken.set()
            else:
                self._free += 1

    def _leave(self, writer: _Writer) -> None:
        """Take what a writer has not had written back: it waits no longer."""
        with self._lock:
            self._waiting = [one for one in self._waiting if one.writer is not writer]
            writes, writer.writes = writer.writes, False
        if writes:
            self._hand_on()


def _fail(taken: Sequence[_Waiting], error: BaseException) -> None:
    for one in taken:
        one.error = error
