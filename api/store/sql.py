"""`SqlStore`: the store over SQLAlchemy Core, the same statements on SQLite and PostgreSQL."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from itertools import islice
from typing import Final, TypeVar

import sqlalchemy as sa

from api.errors import RequestError
from api.records import HistoryPage, Page, Position, Query, Resource, Stored
from api.store import query as _query
from api.store.ahead import built_ahead
from api.store.engine import CONNECTIONS, MORE_CONNECTIONS, open_engine
from api.store.history import Cursor, history, read_version
from api.store.indexes import ValueIds
from api.store.precedence import Precedence
from api.store.query import Total
from api.store.rows import STORED_COLUMNS, stored_of
from api.store.schema import resource as _resource
from api.store.schema import setting as _setting
from api.store.schema import value as _value
from api.store.together import Together
from api.store.transaction import Build, StudyUpdate, Transaction
from api.store.turns import KNOWN_VALUES, Turns
from api.store.upgrading import upgrade

Result = TypeVar("Result")

_SALT_BYTES: Final = 32
_ATTEMPTS: Final = 8
_FIRST_PAUSE: Final = 0.01
# How many studies are built before any of them is stored.
_STUDIES_AT_ONCE: Final = 64
# PostgreSQL has several writers at a time; more than these would wait for Python, not for it.
_TOGETHER_AT_A_TIME: Final = 2
# PostgreSQL, appendix A: serialization_failure, deadlock_detected.
_IN_THE_WAY: Final = frozenset({"40001", "40P01"})


@cache
def _values_by(*columns: str) -> sa.Select[tuple[int]]:
    """Return the statement that finds the keys of values by some of their columns."""
    return sa.select(_value.c.value_id).where(
        *(_value.c[name] == sa.bindparam(name) for name in columns)
    )


class SqlStore:
    """A `ResourceStore` over SQLAlchemy Core.

    On both databases a commit is on the disk when it returns. The tables are made, or brought up
    to this release, when the store is opened.

    Parameters
    ----------
    url
        A SQLAlchemy URL, for SQLite one with a file.
    connections
        How many connections to PostgreSQL stay open.
    """

    def __init__(self, url: str, *, connections: int = CONNECTIONS) -> None:
        self._engine = open_engine(url, connections=connections)
        # Keys of token values that are committed.
        self._value_ids: ValueIds = {}
        sqlite = self._engine.dialect.name == "sqlite"
        self._precedence = Precedence()
        self._turns = Turns(self._engine, self._value_ids, self._precedence) if sqlite else None
        self._together = Together(
            lambda updates: self.run(lambda one: one.update_studies(updates())),
            1 if sqlite else _TOGETHER_AT_A_TIME,
        )
        # A writer holds a connection and may read over a second one meanwhile: with more writers
        # than half of the connections, all would wait for each other.
        self._writers = threading.BoundedSemaphore(max(1, (connections + MORE_CONNECTIONS) // 2))
        try:
            upgrade(self._engine)
            self._salt = bytes.fromhex(self._set_once("salt", os.urandom(_SALT_BYTES).hex()))
        except BaseException:
            self.close()
            raise

    def _set_once(self, name: str, value: str) -> str:
        """Return a setting that is the same for good; without the write lock when it is there."""
        found = self.setting(name)
        if found is not None:
            return found
        return self.run(lambda transaction: transaction.set_once(name, value))

    def setting(self, name: str) -> str | None:
        """Return what the database keeps under a name of ours, or `None`."""
        with self._engine.connect() as connection:
            found = connection.scalar(sa.select(_setting.c.value).where(_setting.c.name == name))
        return None if found is None else str(found)

    @property
    def engine(self) -> sa.Engine:
        """The engine of the database, for tables that the store does not look after."""
        return self._engine

    @property
    def writing(self) -> AbstractContextManager[object]:
        """What writers of this process wait for; of a database with several writers, nothing."""
        return nullcontext() if self._turns is None else self._turns

    @property
    def salt(self) -> bytes:
        """The secret that pseudonyms of this store are made with."""
        return self._salt

    def bind_policy(self, policy: str) -> None:
        """Take the PHI policy for good; `RequestError` when the store has another one.

        Annotations are stored as the policy left them: under two policies, one study would show
        plain identifiers beside pseudonyms.
        """
        bound = self._set_once("phi", policy)
        if bound != policy:
            raise RequestError(
                "database",
                f"what it holds was stored under the PHI policy '{bound}', not '{policy}'",
                "the same policy for the whole life of a database",
                f"Use --phi {bound}, or another database.",
            )

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    # -- reading ------------------------------------------------------------------------------

    def read(self, kind: str, resource_id: str) -> Stored | None:
        """Return the resource, a deleted one included, or `None`."""
        statement = sa.select(*STORED_COLUMNS).where(
            _resource.c.type == kind, _resource.c.id == resource_id
        )
        with self._engine.connect() as connection:
            row = connection.execute(statement).first()
        return stored_of(row) if row is not None else None

    def read_version(self, kind: str, resource_id: str, version_id: int) -> Stored | None:
        """Return a version of a resource, a deletion included, or `None`."""
        with self._engine.connect() as connection:
            return read_version(connection, kind, resource_id, version_id)

    def history(
        self,
        kind: str | None = None,
        resource_id: str | None = None,
        count: int = 100,
        *,
        since: int | None = None,
        at: tuple[int | None, int | None] | None = None,
        before: Cursor | None = None,
    ) -> HistoryPage:
        """Return versions, the newest first; see `api.store.history`."""
        with self._engine.connect() as connection:
            return history(connection, kind, resource_id, count, since=since, at=at, before=before)

    def codes_in_use(self, kind: str, param: str, system: str) -> Mapping[str, int]:
        """Return the codes of a system in use under a parameter, each with its key."""
        statement = sa.select(_value.c.code, _value.c.value_id).where(
            _value.c.type == kind, _value.c.param == param, _value.c.system == system
        )
        with self._engine.connect() as connection:
            rows = connection.execute(statement).all()
        return {row[0]: row[1] for row in rows}

    def find_values(
        self, kind: str, param: str, *, system: str | None, code: str | None
    ) -> tuple[int, ...]:
        """Return the keys of the values that match; `None` matches any system or any code."""
        asked = {"type": kind, "param": param, "code": code, "system": system}
        given = {name: value for name, value in asked.items() if value is not None}
        with self._engine.connect() as connection:
            return tuple(connection.scalars(_values_by(*given), given))

    def values_in_use(self, kind: str, param: str) -> Mapping[tuple[str, str], int]:
        """Return every system and code in use under a parameter, each with its key."""
        statement = sa.select(_value.c.system, _value.c.code, _value.c.value_id).where(
            _value.c.type == kind, _value.c.param == param
        )
        with self._engine.connect() as connection:
            rows = connection.execute(statement).all()
        return {(system, code): key for system, code, key in rows}

    def search(
        self,
        query: Query,
        count: int,
        *,
        after: int | Position | None = None,
        before: int | Position | None = None,
        total: Total = "known",
    ) -> Page:
        """Return one page of matches behind `after`, or the last ones ahead of `before`."""
        with self._engine.connect() as connection:
            return _query.search(connection, query, count, after=after, before=before, total=total)

    def count(self, query: Query) -> int:
        """Return how many resources match."""
        with self._engine.connect() as connection:
            return _query.count(connection, query)

    # -- writing ------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Yield a transaction: all of it is stored when the block ends, or nothing of it.

        On PostgreSQL it may fail because another one was in its way; `run` then tries again.
        """
        if self._turns is not None:
            with self._turns.transaction() as transaction:
                yield transaction
            return
        with self._writers, self._engine.begin() as connection:
            transaction = Transaction(connection, self._value_ids)
            yield transaction
            transaction.finish()
        # Keys of a transaction that failed are not there any more, and go no further.
        if len(self._value_ids) + len(transaction.value_ids) > KNOWN_VALUES:
            self._value_ids.clear()
        self._value_ids.update(transaction.value_ids)

    def run(self, work: Callable[[Transaction], Result]) -> Result:
        """Return what `work` does in a transaction, once more where another one was in its way.

        `work` may be called several times, and only what its last call did stays.
        """
        pause = _FIRST_PAUSE
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self.transaction() as transaction:
                    return work(transaction)
            except sa.exc.DBAPIError as error:
                in_the_way = getattr(error.orig, "sqlstate", None) in _IN_THE_WAY
                if not in_the_way or attempt == _ATTEMPTS:
                    raise
            # Not all at the same time again.
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311
            pause *= 2
        raise AssertionError

    def put(self, resources: Sequence[Resource], study_id: str | None = None) -> list[Stored]:
        """Store resources in one transaction; what has not changed keeps its version."""
        return self.run(lambda one: [one.put(resource, study_id) for resource in resources])

    def update_study(
        self, study_id: str, instances: Mapping[str, str], build: Build
    ) -> list[Stored]:
        """Merge instance annotations into a study and rebuild its resources in one transaction."""
        (stored,) = self.update_studies([StudyUpdate(study_id, instances, build)])
        return stored

    def update_studies(self, updates: Iterable[StudyUpdate]) -> list[list[Stored]]:
        """Update studies as `update_study` does, each of them wholly or not at all.

        Where one fails, its error is raised; those before it are stored, and some behind it.
        """
        stored: list[list[Stored]] = []
        remaining = iter(updates)
        while some := list(islice(remaining, _STUDIES_AT_ONCE)):
            with self._precedence.preparing():
                ahead = built_ahead(self._engine, some)
            stored += self._together.update(ahead)
        return stored

    def rebuild_study(self, study_id: str, build: Build) -> list[Stored]:
        """Build the resources of a study again from the annotations that it has."""
        return self.run(lambda one: one.rebuild_study(study_id, build))
