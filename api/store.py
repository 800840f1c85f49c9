"""Where resources live: the `ResourceStore` protocol and its SQL implementation.

The store knows resources, the instance annotations that a study is built from, and tokens to
search by; what a body site is, it does not know. The same statements run on SQLite and PostgreSQL.

A search by few matches gathers them from the index by value; one by many walks the resources in
order until a page is full.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Final, Protocol

import sqlalchemy as sa

from api.errors import RequestError
from api.records import Criterion, Page, Query, Resource, Stored, Token
from api.schema import metadata, open_engine
from api.schema import resource as _resource
from api.schema import token as _token
from api.schema import value as _value
from api.writer import STORED_COLUMNS, Writer, stored_of

SCHEMA_VERSION: Final = "1"
_SALT_BYTES: Final = 32
# Up to so many matches are gathered and sorted.
_FEW: Final = 2000


class ResourceStore(Protocol):
    """What the service asks of a store."""

    @property
    def salt(self) -> bytes:
        """The secret that pseudonyms of this store are made with."""

    def bind_policy(self, policy: str) -> None:
        """Take the PHI policy for good; `RequestError` when the store has another one."""

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

    def codes_in_use(self, kind: str, param: str, system: str) -> Mapping[str, int]:
        """Return the codes of a system in use under a parameter, each with its key."""

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
        A SQLAlchemy URL, for SQLite one with a file.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)
        # SQLite has one writer at a time; queueing here is fair, its own waiting is not.
        sqlite = self._engine.dialect.name == "sqlite"
        self._writing = threading.RLock() if sqlite else nullcontext()
        self._value_ids: dict[tuple[str, Token], int] = {}
        try:
            self._salt = self._set_up()
        except BaseException:
            self.close()
            raise

    def _set_up(self) -> bytes:
        """Make what is missing, check the version of what is there, and return the salt."""
        with self._engine.connect() as connection:
            # With the write lock: another process may be starting on the same file.
            connection = connection.execution_options(bodysite_writes=True)
            with connection.begin():
                metadata.create_all(connection)
        with self._write() as writer:
            schema = writer.set_once("schema", SCHEMA_VERSION)
            if schema != SCHEMA_VERSION:
                raise RequestError(
                    "database",
                    f"its tables have version '{schema}'",
                    f"version '{SCHEMA_VERSION}'",
                    "Use the release of Bodysite that made it, or start a new database.",
                )
            return bytes.fromhex(writer.set_once("salt", os.urandom(_SALT_BYTES).hex()))

    @property
    def salt(self) -> bytes:
        """The secret that pseudonyms of this store are made with."""
        return self._salt

    def bind_policy(self, policy: str) -> None:
        """Take the PHI policy for good; `RequestError` when the store has another one.

        Annotations are stored as the policy left them: under two policies, one study would show
        plain identifiers beside pseudonyms.
        """
        with self._write() as writer:
            bound = writer.set_once("phi", policy)
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

    def codes_in_use(self, kind: str, param: str, system: str) -> Mapping[str, int]:
        """Return the codes of a system in use under a parameter, each with its key."""
        statement = sa.select(_value.c.code, _value.c.value_id).where(
            _value.c.type == kind, _value.c.param == param, _value.c.system == system
        )
        with self._engine.connect() as connection:
            return {row.code: row.value_id for row in connection.execute(statement)}

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
            rids, total = self._matching(connection, query, count + 1, bound, backward=backward)
            more = len(rids) > count
            rids = sorted(rids[:count])
            rows = connection.execute(
                sa.select(*STORED_COLUMNS).where(_resource.c.rid.in_(rids)).order_by("rid")
            ).all()
        return Page(
            tuple(stored_of(row) for row in rows),
            has_previous=more if backward else after is not None,
            has_next=True if backward else more,
            total=total,
        )

    def count(self, query: Query) -> int:
        """Return how many resources match."""
        driver, rest = _driver(query)
        if driver is None:
            statement = sa.select(sa.func.count()).select_from(_resource)
            statement = statement.where(*self._conditions(query, query.criteria, _resource.c.rid))
        else:
            # Counted over a set: one resource may carry several of the values.
            distinct = sa.select(_token.c.rid).where(_among(_token.c.value_id, driver.values))
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
    ) -> tuple[list[int], int | None]:
        """Return up to `limit` rids in search order (descending when `backward`).

        Where all matches were few enough to be gathered, their number comes with them.
        """
        driver, rest = _driver(query)
        if driver is None:
            column: sa.ColumnElement[int] = _resource.c.rid
            statement = sa.select(column).where(*self._conditions(query, query.criteria, column))
            statement = _bounded(statement, column, bound, limit, backward=backward)
            return list(connection.scalars(statement)), None
        column = _token.c.rid
        conditions = self._conditions(query, rest, column, joined=True)
        key: sa.ColumnElement[int] = _token.c.value_id
        probe = sa.select(column).distinct().where(_among(key, driver.values)).limit(_FEW + 1)
        probed = connection.scalars(probe).all()
        if len(probed) <= _FEW and not conditions:
            found = sorted(probed, reverse=backward)
            if bound is None:
                return found[:limit], len(found)
            ahead = [rid for rid in found if (rid < bound if backward else rid > bound)]
            return ahead[:limit], len(found)
        if len(probed) > _FEW:
            # Many matches: walk the resources in order, which meets enough of them soon. The sum
            # keeps the planner from gathering and sorting all matches instead.
            key = key + 0
        statement = sa.select(column).distinct().where(_among(key, driver.values), *conditions)
        statement = _bounded(statement, column, bound, limit, backward=backward)
        return list(connection.scalars(statement)), None

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
            key: sa.ColumnElement[int] = other.c.value_id
            if len(criterion.values) > _FEW:
                # The sum keeps the planner from trying every value for every resource.
                key = key + 0
            exists = (
                sa.select(sa.literal(1))
                .where(other.c.rid == rid, _among(key, criterion.values))
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
            conditions.append(sa.select(sa.literal(1)).where(_resource.c.rid == rid, *own).exists())
        return conditions

    # -- writing ------------------------------------------------------------------------------

    def put(self, resources: Sequence[Resource], study_id: str | None = None) -> list[Stored]:
        """Store resources in one transaction; what has not changed keeps its version."""
        with self._write() as writer:
            return [writer.put(resource, study_id) for resource in resources]

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
        with self._write() as writer:
            bodies = writer.merge_instances(study_id, instances)
            return writer.put_study(study_id, build(bodies))

    @contextmanager
    def _write(self) -> Iterator[Writer]:
        """Yield a writer in a transaction of its own."""
        with self._writing, self._engine.connect() as connection:
            connection = connection.execution_options(bodysite_writes=True)
            try:
                with connection.begin():
                    yield Writer(connection, self._value_ids)
            except BaseException:
                # Keys that the transaction had given are not there any more.
                self._value_ids.clear()
                raise


def _driver(query: Query) -> tuple[Criterion | None, tuple[Criterion, ...]]:
    """Return the criterion whose index ranges lead the search, and the others."""
    positive = [criterion for criterion in query.criteria if not criterion.negated]
    if not positive or query.ids is not None:
        return None, query.criteria
    driver = positive[0]
    return driver, tuple(criterion for criterion in query.criteria if criterion is not driver)


def _among(column: sa.ColumnElement[int], values: Sequence[int]) -> sa.ColumnElement[bool]:
    """Return ``column IN values``; many are written out, since parameters are limited in number."""
    if len(values) <= _FEW:
        return column.in_(values)
    return column.in_(sa.bindparam(None, values, sa.Integer, expanding=True, literal_execute=True))


def _bounded(
    statement: sa.Select[int],
    column: sa.ColumnElement[int],
    bound: int | None,
    limit: int,
    *,
    backward: bool,
) -> sa.Select[int]:
    if bound is not None:
        statement = statement.where(column < bound if backward else column > bound)
    return statement.order_by(column.desc() if backward else column).limit(limit)
