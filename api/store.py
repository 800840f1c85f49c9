"""Where resources live: the `ResourceStore` protocol and its SQL implementation.

The store knows resources, the instance annotations that a study is built from, and tokens to
search by; what a body site is, it does not know. The same statements run on SQLite and PostgreSQL.

Tables::

    setting              name → value: the salt, the schema version
    study                one row a study: what a writer locks
    instance_annotation  one JSON a SOP instance: what a study's resources are rebuilt from
    resource             the current version of every resource, with `rid`, the order of search
    token_value          each distinct (resource type, parameter, system, code) in use, once
    token                which resource carries which value

A search by many codes is a merge of short index ranges, one a code; counting walks the same index.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

SCHEMA_VERSION: Final = "1"
_SALT_BYTES: Final = 32
# SQLite allows 500 terms in a compound SELECT.
_MERGE_WIDTH: Final = 200

_metadata = sa.MetaData()
_setting = sa.Table(
    "setting",
    _metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
_study = sa.Table("study", _metadata, sa.Column("id", sa.Text, primary_key=True))
_instance = sa.Table(
    "instance_annotation",
    _metadata,
    sa.Column("study_id", sa.Text, sa.ForeignKey("study.id"), primary_key=True),
    sa.Column("sop_instance_uid", sa.Text, primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)
_resource = sa.Table(
    "resource",
    _metadata,
    sa.Column(
        "rid",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("study_id", sa.Text, nullable=True),
    sa.Column("version_id", sa.Integer, nullable=False),
    sa.Column("last_updated", sa.BigInteger, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False, default=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.UniqueConstraint("type", "id"),
    sqlite_autoincrement=True,
)
sa.Index("resource_by_order", _resource.c.type, _resource.c.deleted, _resource.c.rid)
sa.Index("resource_by_study", _resource.c.study_id)
sa.Index("resource_by_time", _resource.c.type, _resource.c.last_updated)
_value = sa.Table(
    "token_value",
    _metadata,
    sa.Column("value_id", sa.Integer, primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("param", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("system", sa.Text, nullable=False),
    sa.UniqueConstraint("type", "param", "code", "system"),
)
_token = sa.Table(
    "token",
    _metadata,
    sa.Column("value_id", sa.Integer, primary_key=True),
    sa.Column("rid", sa.BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)
sa.Index("token_by_resource", _token.c.rid, _token.c.value_id)


@dataclass(frozen=True, slots=True, order=True)
class Token:
    """A value to search by: FHIR's ``system|code`` under a search parameter."""

    param: str
    system: str
    code: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource as it was built: without `meta`, which is the store's."""

    type: str
    id: str
    content: Mapping[str, Any]
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """A resource as it was stored; `body` is its JSON with `meta`."""

    type: str
    id: str
    version_id: int
    last_updated: datetime
    body: str
    deleted: bool = False
    rid: int = 0


@dataclass(frozen=True, slots=True)
class Criterion:
    """One search condition: a resource has (or, `negated`, has not) one of these values."""

    values: tuple[int, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Bounds on `lastUpdated` in microseconds since 1970: from `start` on, before `end`."""

    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """What to search: all criteria and time ranges must hold; `ids` restricts to these ids."""

    type: str
    criteria: tuple[Criterion, ...] = ()
    times: tuple[TimeRange, ...] = ()
    ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of matches in the order of `rid`, and whether there are more on either side."""

    matches: tuple[Stored, ...]
    has_previous: bool
    has_next: bool


class ResourceStore(Protocol):
    """What the service asks of a store."""

    @property
    def salt(self) -> bytes:
        """The secret that pseudonyms of this store are made with."""

    def read(self, kind: str, resource_id: str) -> Stored | None:
        """Return the resource, a deleted one included, or `None`."""

    def put(self, resources: Sequence[Resource], study_id: str | None = None) -> list[Stored]:
        """Store resources in one transaction; what has not changed keeps its version."""

    def update_study(
        self,
        study_id: str,
        instances: Mapping[str, str],
        build: Callable[[Sequence[str]], Sequence[Resource]],
    ) -> list[Stored]:
        """Merge instance annotations into a study and rebuild its resources in one transaction."""

    def values(self, kind: str, param: str) -> Mapping[Token, int]:
        """Return the values in use under a parameter."""

    def find_values(
        self, kind: str, param: str, *, system: str | None, code: str | None
    ) -> tuple[int, ...]:
        """Return the values in use that match; `None` matches any system or any code."""

    def search(
        self, query: Query, count: int, *, after: int | None = None, before: int | None = None
    ) -> Page:
        """Return one page of matches behind `after`, or the last ones ahead of `before`."""

    def count(self, query: Query) -> int:
        """Return how many resources match."""


class SqlStore:
    """A `ResourceStore` over SQLAlchemy Core.

    On SQLite a commit is on the disk when it returns: write-ahead log with ``synchronous=FULL``.

    Parameters
    ----------
    url
        A SQLAlchemy URL. ``sqlite://`` keeps everything in memory, for tests.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self._sqlite = self._engine.dialect.name == "sqlite"
        # SQLite has one writer at a time; queueing here is fair, its own waiting is not.
        self._writing = threading.RLock() if self._sqlite else nullcontext()
        _metadata.create_all(self._engine)
        with self._write() as connection:
            self._insert_missing(
                connection, _setting, {"name": "schema", "value": SCHEMA_VERSION}
            )
            self._insert_missing(
                connection, _setting, {"name": "salt", "value": os.urandom(_SALT_BYTES).hex()}
            )
            salt = connection.scalar(sa.select(_setting.c.value).where(_setting.c.name == "salt"))
        self._salt = bytes.fromhex(str(salt))

    @property
    def salt(self) -> bytes:
        """The secret that pseudonyms of this store are made with."""
        return self._salt

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    # -- reading ------------------------------------------------------------------------------

    def read(self, kind: str, resource_id: str) -> Stored | None:
        """Return the resource, a deleted one included, or `None`."""
        statement = sa.select(*_STORED_COLUMNS).where(
            _resource.c.type == kind, _resource.c.id == resource_id
        )
        with self._engine.connect() as connection:
            row = connection.execute(statement).first()
        return _stored(row) if row is not None else None

    def values(self, kind: str, param: str) -> Mapping[Token, int]:
        """Return the values in use under a parameter, each with its key."""
        statement = sa.select(_value.c.value_id, _value.c.system, _value.c.code).where(
            _value.c.type == kind, _value.c.param == param
        )
        with self._engine.connect() as connection:
            return {
                Token(param, system, code): value_id
                for value_id, system, code in connection.execute(statement)
            }

    def find_values(
        self, kind: str, param: str, *, system: str | None, code: str | None
    ) -> tuple[int, ...]:
        """Return the keys of the values that match; `None` matches any system or any code."""
        statement = sa.select(_value.c.value_id).where(
            _value.c.type == kind, _value.c.param == param
        )
        if code is not None:
            statement = statement.where(_value.c.code == code)
        if system is not None:
            statement = statement.where(_value.c.system == system)
        with self._engine.connect() as connection:
            return tuple(connection.scalars(statement))

    def search(
        self, query: Query, count: int, *, after: int | None = None, before: int | None = None
    ) -> Page:
        """Return one page of matches behind `after`, or the last ones ahead of `before`.

        Order is that of first storing, which no update changes, so that pages stay as they are.
        """
        backward = before is not None
        bound = before if backward else after
        with self._engine.connect() as connection:
            rids = self._matching(connection, query, count + 1, bound, backward=backward)
            more = len(rids) > count
            rids = sorted(rids[:count])
            rows = connection.execute(
                sa.select(*_STORED_COLUMNS).where(_resource.c.rid.in_(rids)).order_by("rid")
            ).all()
        return Page(
            tuple(_stored(row) for row in rows),
            has_previous=more if backward else after is not None,
            has_next=True if backward else more,
        )

    def count(self, query: Query) -> int:
        """Return how many resources match."""
        driver, rest = _driver(query)
        if driver is None:
            statement = sa.select(sa.func.count()).select_from(_resource)
            statement = statement.where(*self._conditions(query, query.criteria, _resource.c.rid))
        else:
            # Counted over a set: one resource may carry several of the values.
            distinct = sa.select(_token.c.rid).where(_token.c.value_id.in_(driver.values))
            if len(driver.values) > 1:
                distinct = distinct.distinct()
            distinct = distinct.where(*self._conditions(query, rest, _token.c.rid, joined=True))
            statement = sa.select(sa.func.count()).select_from(distinct.subquery())
        with self._engine.connect() as connection:
            return int(connection.scalar(statement) or 0)

    def _matching(
        self,
        connection: sa.Connection,
        query: Query,
        limit: int,
        bound: int | None,
        *,
        backward: bool,
    ) -> list[int]:
        """Return up to `limit` rids in search order (descending when `backward`)."""
        driver, rest = _driver(query)
        if driver is None:
            column: sa.ColumnElement[int] = _resource.c.rid
            statement = sa.select(column).where(*self._conditions(query, query.criteria, column))
            statement = _bounded(statement, column, bound, limit, backward=backward)
            return list(connection.scalars(statement))
        column = _token.c.rid
        conditions = self._conditions(query, rest, column, joined=True)
        runs: list[list[int]] = []
        for start in range(0, len(driver.values), _MERGE_WIDTH):
            parts = []
            for value_id in driver.values[start : start + _MERGE_WIDTH]:
                part = sa.select(column).where(_token.c.value_id == value_id, *conditions)
                part = _bounded(part, column, bound, limit, backward=backward)
                parts.append(sa.select(part.subquery().c.rid))
            merged = parts[0] if len(parts) == 1 else sa.union_all(*parts)
            runs.append(sorted(set(connection.scalars(merged)), reverse=backward))
        found: dict[int, None] = {}
        for rid in heapq.merge(*runs, reverse=backward):
            found[rid] = None
            if len(found) == limit:
                break
        return list(found)

    def _conditions(
        self,
        query: Query,
        criteria: Collection[Criterion],
        rid: sa.ColumnElement[int],
        *,
        joined: bool = False,
    ) -> list[sa.ColumnElement[bool]]:
        """Return the WHERE conditions of `criteria`; `joined` when `rid` is not of `resource`."""
        conditions: list[sa.ColumnElement[bool]] = []
        for criterion in criteria:
            other = _token.alias()
            exists = (
                sa.select(sa.literal(1))
                .where(other.c.rid == rid, other.c.value_id.in_(criterion.values))
                .exists()
            )
            conditions.append(~exists if criterion.negated else exists)
        own: list[sa.ColumnElement[bool]] = []
        if query.ids is not None:
            own.append(_resource.c.id.in_(query.ids))
        for times in query.times:
            if times.start is not None:
                own.append(_resource.c.last_updated >= times.start)
            if times.end is not None:
                own.append(_resource.c.last_updated < times.end)
        if not joined:
            live = [_resource.c.type == query.type, _resource.c.deleted == sa.false()]
            return [*live, *own, *conditions]
        # Tokens are kept for live resources only, so a token alone answers for type and life.
        if own:
            conditions.append(
                sa.select(sa.literal(1)).where(_resource.c.rid == rid, *own).exists()
            )
        return conditions

    # -- writing ------------------------------------------------------------------------------

    def put(self, resources: Sequence[Resource], study_id: str | None = None) -> list[Stored]:
        """Store resources in one transaction; what has not changed keeps its version."""
        with self._write() as connection:
            return [self._put(connection, resource, study_id, _now()) for resource in resources]

    def update_study(
        self,
        study_id: str,
        instances: Mapping[str, str],
        build: Callable[[Sequence[str]], Sequence[Resource]],
    ) -> list[Stored]:
        """Merge instance annotations into a study and rebuild its resources in one transaction.

        Parameters
        ----------
        study_id
            The logical id of the study; writers of the same study wait for each other.
        instances
            SOP Instance UID → annotation as JSON; an instance seen before is replaced.
        build
            All annotations of the study, ordered by UID → its resources, those that it shares
            with other studies (Device) without tokens.

        Returns
        -------
        list of Stored
            The resources of the study as they are now, in the order of `build`. A Provenance is
            renewed only when another resource has changed.
        """
        with self._write() as connection:
            self._insert_missing(connection, _study, {"id": study_id})
            connection.execute(sa.select(_study).where(_study.c.id == study_id).with_for_update())
            for uid, body in instances.items():
                self._upsert_instance(connection, study_id, uid, body)
            bodies = connection.scalars(
                sa.select(_instance.c.body)
                .where(_instance.c.study_id == study_id)
                .order_by(_instance.c.sop_instance_uid)
            ).all()
            return self._put_study(connection, study_id, build(bodies))

    def _put_study(
        self, connection: sa.Connection, study_id: str, resources: Sequence[Resource]
    ) -> list[Stored]:
        now = _now()
        kept = {(resource.type, resource.id) for resource in resources}
        before = connection.execute(
            sa.select(_resource.c.rid, _resource.c.type, _resource.c.id).where(
                _resource.c.study_id == study_id, _resource.c.deleted == sa.false()
            )
        ).all()
        gone = [row.rid for row in before if (row.type, row.id) not in kept]
        for rid in gone:
            self._delete(connection, rid, now)
        stored: dict[tuple[str, str], Stored] = {}
        changed = bool(gone)
        for resource in sorted(resources, key=lambda one: one.type == "Provenance"):
            shared = resource.type == "Device"
            owner = None if shared else study_id
            current = self._current(connection, resource)
            if resource.type == "Provenance" and current is not None and not changed:
                stored[resource.type, resource.id] = current
                continue
            result = self._put(connection, resource, owner, now)
            changed = changed or current is None or result.version_id != current.version_id
            stored[resource.type, resource.id] = result
        return [stored[resource.type, resource.id] for resource in resources]

    def _current(self, connection: sa.Connection, resource: Resource) -> Stored | None:
        row = connection.execute(
            sa.select(*_STORED_COLUMNS).where(
                _resource.c.type == resource.type,
                _resource.c.id == resource.id,
                _resource.c.deleted == sa.false(),
            )
        ).first()
        return _stored(row) if row is not None else None

    def _put(
        self, connection: sa.Connection, resource: Resource, study_id: str | None, now: int
    ) -> Stored:
        digest = _digest(resource)
        row = connection.execute(
            sa.select(*_STORED_COLUMNS, _resource.c.digest).where(
                _resource.c.type == resource.type, _resource.c.id == resource.id
            )
        ).first()
        if row is not None and not row.deleted and row.digest == digest:
            return _stored(row)
        version = 1 if row is None else row.version_id + 1
        body = _with_meta(resource, version, now)
        values = {
            "type": resource.type,
            "id": resource.id,
            "study_id": study_id,
            "version_id": version,
            "last_updated": now,
            "deleted": False,
            "digest": digest,
            "body": body,
        }
        if row is None:
            inserted = connection.execute(
                sa.insert(_resource).values(**values).returning(_resource.c.rid)
            )
            rid = int(inserted.scalar_one())
        else:
            rid = row.rid
            connection.execute(sa.update(_resource).where(_resource.c.rid == rid).values(**values))
            connection.execute(sa.delete(_token).where(_token.c.rid == rid))
        self._index(connection, resource, rid)
        return Stored(resource.type, resource.id, version, _moment(now), body, rid=rid)

    def _index(self, connection: sa.Connection, resource: Resource, rid: int) -> None:
        rows = []
        for token in sorted(set(resource.tokens)):
            key = {
                "type": resource.type,
                "param": token.param,
                "system": token.system,
                "code": token.code,
            }
            rows.append({"value_id": self._value_id(connection, key), "rid": rid})
        if rows:
            connection.execute(sa.insert(_token), rows)

    def _value_id(self, connection: sa.Connection, key: dict[str, str]) -> int:
        wanted = sa.select(_value.c.value_id).where(
            *(_value.c[name] == value for name, value in key.items())
        )
        found = connection.scalar(wanted)
        if found is None:
            self._insert_missing(connection, _value, key)
            found = connection.scalar(wanted)
        assert found is not None  # noqa: S101
        return int(found)

    def _delete(self, connection: sa.Connection, rid: int, now: int) -> None:
        """Leave a tombstone: a read then answers "gone", and the version goes on rising."""
        connection.execute(
            sa.update(_resource)
            .where(_resource.c.rid == rid)
            .values(deleted=True, version_id=_resource.c.version_id + 1, last_updated=now)
        )
        connection.execute(sa.delete(_token).where(_token.c.rid == rid))

    def _upsert_instance(
        self, connection: sa.Connection, study_id: str, uid: str, body: str
    ) -> None:
        statement = self._insert(_instance).values(
            study_id=study_id, sop_instance_uid=uid, body=body
        )
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["study_id", "sop_instance_uid"],
                set_={"body": statement.excluded.body},
            )
        )

    def _insert_missing(
        self, connection: sa.Connection, table: sa.Table, row: dict[str, str]
    ) -> None:
        connection.execute(self._insert(table).values(**row).on_conflict_do_nothing())

    def _insert(self, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
        return sqlite.insert(table) if self._sqlite else postgresql.insert(table)

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        with self._writing, self._engine.connect() as connection:
            writer = connection.execution_options(bodysite_writes=True)
            with writer.begin():
                yield writer


_STORED_COLUMNS: Final = (
    _resource.c.type,
    _resource.c.id,
    _resource.c.version_id,
    _resource.c.last_updated,
    _resource.c.body,
    _resource.c.deleted,
    _resource.c.rid,
)


def _engine(url: str) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return sa.create_engine(parsed, pool_pre_ping=True)
    if parsed.database in (None, "", ":memory:"):
        engine = sa.create_engine(
            parsed, poolclass=sa.StaticPool, connect_args={"check_same_thread": False}
        )
    else:
        engine = sa.create_engine(parsed, connect_args={"check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        # SQLAlchemy begins transactions, not the driver.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "busy_timeout=30000",
            "foreign_keys=ON",
            "cache_size=-65536",
            "mmap_size=268435456",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A writer takes its lock at once: one that read first would fail instead of waiting.
        writes = connection.get_execution_options().get("bodysite_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _driver(query: Query) -> tuple[Criterion | None, tuple[Criterion, ...]]:
    """Return the criterion whose index ranges lead the search, and the others."""
    positive = [criterion for criterion in query.criteria if not criterion.negated]
    if not positive or query.ids is not None:
        return None, query.criteria
    driver = positive[0]
    return driver, tuple(criterion for criterion in query.criteria if criterion is not driver)


def _bounded(
    statement: sa.Select[tuple[int]],
    column: sa.ColumnElement[int],
    bound: int | None,
    limit: int,
    *,
    backward: bool,
) -> sa.Select[tuple[int]]:
    if bound is not None:
        statement = statement.where(column < bound if backward else column > bound)
    return statement.order_by(column.desc() if backward else column).limit(limit)


def _digest(resource: Resource) -> str:
    content = [resource.content, [[t.param, t.system, t.code] for t in sorted(resource.tokens)]]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _with_meta(resource: Resource, version: int, now: int) -> str:
    head = {"resourceType": resource.type, "id": resource.id}
    meta = {"versionId": str(version), "lastUpdated": _instant(now)}
    rest = {key: value for key, value in resource.content.items() if key not in head}
    return json.dumps({**head, "meta": meta, **rest}, ensure_ascii=False, separators=(",", ":"))


def _stored(row: Any) -> Stored:
    return Stored(
        row.type,
        row.id,
        row.version_id,
        _moment(row.last_updated),
        row.body,
        bool(row.deleted),
        row.rid,
    )


def _now() -> int:
    """Return the time in microseconds since 1970, cut to what `lastUpdated` shows."""
    return int(datetime.now(UTC).timestamp() * 1000) * 1000


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)


def _instant(microseconds: int) -> str:
    return _moment(microseconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")
