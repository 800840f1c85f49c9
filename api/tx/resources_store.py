"""A site's own CodeSystem, ValueSet and ConceptMap resources, and its closure tables, in SQL.

They live in the database of the other resources, in tables of their own. A counter goes up with
every change; a worker process that sees it unchanged need not read anything else, and one that sees
it changed reads what is new. So a change takes effect in every process with the next request.

::

    terminology_state     name → number: the counter
    terminology_resource  one row a resource, deleted ones included
    closure_table         one row a closure table, with its version
    closure_concept       the concepts that a client has added, each with the version it came with
    closure_entry         which concept subsumes which, each with the version it came with
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from api.errors import RequestError
from api.store.engine import open_engine, writing
from api.store.upgrading import upgrade
from api.tx.r4 import resource_to_r4, resource_to_r5

Json = dict[str, Any]
TYPES: Final = ("CodeSystem", "ConceptMap", "ValueSet")
R4: Final = "R4"
R5: Final = "R5"
# The endpoints: path → the FHIR release that it speaks.
ROOTS: Final = {"/r4": R4, "/r5": R5}

metadata = sa.MetaData()
_state = sa.Table(
    "terminology_state",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)
_resource = sa.Table(
    "terminology_resource",
    metadata,
    sa.Column("type", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("version_id", sa.Integer, nullable=False),
    sa.Column("last_updated", sa.BigInteger, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("release", sa.Text, nullable=False),
    sa.Column("url", sa.Text),
    sa.Column("version", sa.Text),
    sa.Column("body", sa.Text, nullable=False),
)
sa.Index("terminology_resource_by_url", _resource.c.url)
closure_table = sa.Table(
    "closure_table",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
)
closure_concept = sa.Table(
    "closure_concept",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
)
closure_entry = sa.Table(
    "closure_entry",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("above", sa.Text, primary_key=True),
    sa.Column("relationship", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
)
_COUNTER: Final = "resources"
_READ_COUNTER: Final = "SELECT value FROM terminology_state WHERE name = 'resources'"


@dataclass(frozen=True, slots=True)
class Owned:
    """One resource of a site, as it was sent and in both forms of FHIR.

    `release` is the FHIR release that it was sent in, `body` the resource in that release with
    `meta`, `r5` the form that the engine works on.
    """

    type: str
    id: str
    version_id: int
    last_updated: datetime
    release: str
    body: Json
    r5: Json

    def form(self, release: str) -> Json:
        """Return the resource as `release` has it; exactly what was sent where that is the same."""
        if release == self.release:
            return self.body
        return self.r5 if release == R5 else resource_to_r4(self.body)


class ResourceLibrary:
    """A site's own terminology resources over SQLAlchemy Core.

    Parameters
    ----------
    url
        A SQLAlchemy URL, for SQLite one with a file.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)
        self._counter = _Counter(self._engine)
        self._lock = threading.Lock()
        self._seen = _Seen(-1, {}, ())
        try:
            upgrade(self._engine)
            with self.transaction() as connection:
                found = connection.scalar(sa.select(_state.c.value).filter_by(name=_COUNTER))
                if found is None:
                    connection.execute(_state.insert().values(name=_COUNTER, value=0))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        self._counter.close()
        self._engine.dispose()

    @property
    def counter(self) -> int:
        """A number that is another one after every change by any process."""
        return self._counter.read()

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction that may write."""
        with writing(self._engine) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction that reads one state and keeps no writer waiting."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    def resources(self) -> tuple[int, tuple[Owned, ...]]:
        """Return the counter and all live resources by type and id; cheap while nothing changes."""
        seen = self._now()
        return seen.counter, seen.all

    def unchanged(self) -> int | None:
        """Return the counter when it can be read at once and nothing changed, else `None`.

        At once is what a file in reach answers, but no database server.
        """
        if self._engine.dialect.name != "sqlite":
            return None
        counter = self._counter.read_at_once()
        return counter if counter == self._seen.counter else None

    def read(self, kind: str, resource_id: str) -> Owned | None:
        """Return a live resource, or `None`."""
        return self._now().by_id.get((kind, resource_id))

    def was_deleted(self, kind: str, resource_id: str) -> bool:
        """Return whether a resource of this id was here once and is not any more."""
        with self._engine.connect() as connection:
            row = connection.execute(_current(kind, resource_id)).first()
        return row is not None and bool(row.deleted)

    def put(
        self,
        kind: str,
        resource_id: str,
        release: str,
        body: Json,
        *,
        check: Callable[[int | None], None] = lambda _: None,
    ) -> tuple[Owned, bool]:
        """Store a resource; return it and whether it is new.

        Parameters
        ----------
        body
            The resource in the form of `release`, already validated.
        check
            Called with the version that is there (`None` for none) inside the transaction; it
            raises where that is not the one the client knows.

        Raises
        ------
        RequestError
            Another resource of this type has the same url and version.
        """
        now = datetime.now(UTC)
        with self.transaction() as connection:
            self._alone(connection)
            row = connection.execute(_current(kind, resource_id)).first()
            alive = row is not None and not row.deleted
            check(row.version_id if alive and row is not None else None)
            self._check_unique(connection, kind, resource_id, body)
            version_id = 1 if row is None else row.version_id + 1
            stamped = _stamped(body, resource_id, version_id, now)
            values = {
                "version_id": version_id,
                "last_updated": _microseconds(now),
                "deleted": False,
                "release": release,
                "url": body.get("url"),
                "version": body.get("version"),
                "body": json.dumps(stamped, ensure_ascii=False, separators=(",", ":")),
            }
            self._write(connection, kind, resource_id, row is None, values)
        return _owned(kind, resource_id, version_id, now, release, stamped), not alive

    def delete(
        self, kind: str, resource_id: str, *, check: Callable[[int | None], None] = lambda _: None
    ) -> bool:
        """Delete a resource; return whether it was there."""
        with self.transaction() as connection:
            row = connection.execute(_current(kind, resource_id)).first()
            alive = row is not None and not row.deleted
            check(row.version_id if alive and row is not None else None)
            if row is None or not alive:
                return False
            values = {
                "version_id": row.version_id + 1,
                "last_updated": _microseconds(datetime.now(UTC)),
                "deleted": True,
                "url": None,
                "version": None,
                "body": "{}",
            }
            self._write(connection, kind, resource_id, False, values)
        return True

    def _alone(self, connection: sa.Connection) -> None:
        """Wait until no other transaction writes; on SQLite none does by now."""
        connection.execute(sa.select(_state).filter_by(name=_COUNTER).with_for_update())

    def _write(
        self, connection: sa.Connection, kind: str, resource_id: str, new: bool, values: Json
    ) -> None:
        if new:
            connection.execute(_resource.insert().values(type=kind, id=resource_id, **values))
        else:
            of_this = (_resource.c.type == kind, _resource.c.id == resource_id)
            connection.execute(_resource.update().where(*of_this).values(**values))
        counted = _state.update().where(_state.c.name == _COUNTER)
        connection.execute(counted.values(value=_state.c.value + 1))

    def _check_unique(
        self, connection: sa.Connection, kind: str, resource_id: str, body: Json
    ) -> None:
        url, version = body.get("url"), body.get("version")
        if url is None:
            return
        same = sa.select(_resource.c.id).where(
            _resource.c.type == kind,
            _resource.c.url == url,
            _resource.c.version.is_(None) if version is None else _resource.c.version == version,
            _resource.c.deleted == sa.false(),
            _resource.c.id != resource_id,
        )
        other = connection.scalar(same)
        if other is not None:
            raise already_there(kind, other, url, version)

    def _now(self) -> _Seen:
        """Return the resources as they are now."""
        counter = self._counter.read()
        seen = self._seen
        if counter != seen.counter:
            with self._lock:
                seen = self._seen
                if counter != seen.counter:
                    seen = self._seen = self._reloaded(seen)
        return seen

    def _reloaded(self, before: _Seen) -> _Seen:
        """Return the resources, of which those that have changed are read."""
        columns = (_resource.c.type, _resource.c.id, _resource.c.version_id)
        with self._engine.connect() as connection:
            # One transaction: the counter and the rows belong together.
            counter = connection.scalar(sa.select(_state.c.value).filter_by(name=_COUNTER)) or 0
            live = connection.execute(
                sa.select(*columns).where(_resource.c.deleted == sa.false())
            ).all()
            found: dict[tuple[str, str], Owned] = {}
            for kind, resource_id, version_id in sorted(tuple(row) for row in live):
                known = before.by_id.get((kind, resource_id))
                if known is None or known.version_id != version_id:
                    row = connection.execute(_current(kind, resource_id)).one()
                    if row.deleted:
                        # Deleted meanwhile; the counter that comes with it is another one.
                        continue
                    known = _owned(
                        kind,
                        resource_id,
                        row.version_id,
                        _time(row.last_updated),
                        row.release,
                        json.loads(row.body),
                    )
                found[kind, resource_id] = known
        return _Seen(counter, found, tuple(found.values()))


@dataclass(frozen=True, slots=True)
class _Seen:
    """All live resources as of one value of the counter."""

    counter: int
    by_id: Mapping[tuple[str, str], Owned]
    all: tuple[Owned, ...]


class _Counter:
    """Reads the counter over a connection of its own: nothing else is on the way of a request."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._connection: Any = None

    def read(self) -> int:
        """Return the number as it is now."""
        with self._lock:
            if self._connection is not None:
                try:
                    return self._value()
                except self._engine.dialect.loaded_dbapi.Error:
                    # A database server closes connections that were idle for long.
                    self._drop()
            self._connect()
            return self._value()

    def read_at_once(self) -> int | None:
        """Return the number, or `None` where another thread is reading it or nothing is open."""
        if self._connection is None or not self._lock.acquire(blocking=False):
            return None
        try:
            return None if self._connection is None else self._value()
        except self._engine.dialect.loaded_dbapi.Error:
            return None
        finally:
            self._lock.release()

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            self._drop()

    def _value(self) -> int:
        cursor = self._connection.cursor()
        cursor.execute(_READ_COUNTER)
        row = cursor.fetchone()
        cursor.close()
        return int(row[0])

    def _connect(self) -> None:
        pooled = self._engine.raw_connection()
        self._connection = pooled.driver_connection
        pooled.detach()
        if self._engine.dialect.name != "sqlite":
            self._connection.autocommit = True

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def already_there(kind: str, resource_id: str, url: str, version: str | None) -> RequestError:
    """Return the error for a canonical that another resource has."""
    canonical = f"{url}|{version}" if version else url
    return RequestError(
        f"{kind}.url",
        f"'{canonical}' is {kind}/{resource_id} already",
        "a url and version that no other resource here has",
        f"Update {kind}/{resource_id}, or give this one another version.",
        status=409,
        issue="duplicate",
    )


def _current(kind: str, resource_id: str) -> sa.Select[Any]:
    return sa.select(_resource).where(_resource.c.type == kind, _resource.c.id == resource_id)


def _owned(
    kind: str, resource_id: str, version_id: int, when: datetime, release: str, body: Json
) -> Owned:
    r5 = body if release == R5 else resource_to_r5(body)
    return Owned(kind, resource_id, version_id, when, release, body, r5)


def _stamped(body: Json, resource_id: str, version_id: int, when: datetime) -> Json:
    """Return the resource with its id and `meta`, which are the server's."""
    meta = {
        **body.get("meta", {}),
        "versionId": str(version_id),
        "lastUpdated": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    rest = {key: value for key, value in body.items() if key not in {"resourceType", "id", "meta"}}
    return {"resourceType": body["resourceType"], "id": resource_id, "meta": meta, **rest}


def _microseconds(when: datetime) -> int:
    return int(when.timestamp() * 1_000_000)


def _time(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)
