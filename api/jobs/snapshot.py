"""The resources as they were at one instant, though writes go on.

The store keeps every version, so what a resource was at an instant is its current version, or the
newest one of before. What is asked for is that the instant be a clean cut: nothing may be committed
later under a time that is earlier. On SQLite the one writer takes its time while it holds the write
lock. On PostgreSQL a transaction that is still open may have taken its time already, so the instant
is put ahead of the oldest one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from api.store.engine import writing
from api.store.rows import now
from api.store.schema import resource as _resource
from api.store.schema import version as _version

# Rows that are read in one transaction.
PAGE: Final = 500
_MILLISECOND: Final = 1000
# How long to wait for transactions that were open at the time asked for.
_SECONDS_TO_WAIT: Final = 10.0
_SECONDS_BETWEEN_LOOKS: Final = 0.02
_ROW: Final = (
    _resource.c.rid,
    _resource.c.id,
    _resource.c.version_id,
    _resource.c.last_updated,
    _resource.c.deleted,
    _resource.c.body,
)
_KEPT: Final = (
    _version.c.rid,
    _version.c.version_id,
    _version.c.last_updated,
    _version.c.deleted,
    _version.c.body,
)
# Transactions of other sessions of this database; one that only reads cannot be told apart.
_OLDEST: Final = sa.text(
    "SELECT CAST(EXTRACT(EPOCH FROM min(xact_start)) * 1000000 AS bigint) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend'"
)


@dataclass(frozen=True, slots=True)
class Past:
    """A resource as it was."""

    rid: int
    kind: str
    id: str
    version_id: int
    last_updated: int
    deleted: bool
    body: str


def cut(engine: sa.Engine, *, at_least: int, then: Callable[[], None] | None = None) -> int:
    """Return an instant, to the millisecond, before which nothing is committed any more.

    What was committed before `at_least` is in it, but where other transactions of the database
    stay open for long: then the instant is before they began. `then` is called before anything
    else is committed, on SQLite only.
    """
    while now() < at_least + 2 * _MILLISECOND:
        time.sleep(0.001)
    if engine.dialect.name == "sqlite":
        with writing(engine):
            # Writers before have committed, writers after take a later time.
            if then is not None:
                then()
            return _before(now())
    deadline = time.monotonic() + _SECONDS_TO_WAIT
    mark = _before(now())
    while True:
        with engine.connect() as connection:
            oldest = connection.scalar(_OLDEST)
        if oldest is None or oldest > mark + _MILLISECOND:
            return mark
        if time.monotonic() > deadline:
            return _before(oldest)
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _before(moment: int) -> int:
    """Return the millisecond before that of `moment`: its own is not over."""
    return moment - moment % _MILLISECOND - _MILLISECOND


def past(
    engine: sa.Engine,
    kind: str,
    moment: int,
    *,
    since: int | None = None,
    after: int = 0,
    only: Collection[int] | None = None,
    deleted: bool = False,
) -> Iterator[Past]:
    """Yield the resources of a type as they were at `moment`, in the order of `rid`.

    Parameters
    ----------
    moment
        As of `cut`.
    since
        Only those that were changed after that time.
    after
        The `rid` to go on behind.
    only
        The `rid` of those that are wanted, if not all are.
    deleted
        Whether those that are deleted are among them.
    """
    wanted = sorted(rid for rid in only if rid > after) if only is not None else None
    while True:
        with engine.connect() as connection:
            if wanted is None:
                rows = _page(connection, kind, moment, since, after)
            else:
                chosen, wanted = wanted[:PAGE], wanted[PAGE:]
                statement = sa.select(*_ROW).where(_resource.c.rid.in_(chosen)).order_by("rid")
                rows = list(connection.execute(statement))
            older = _older(
                connection, [one.rid for one in rows if one.last_updated > moment], moment
            )
        for row in rows:
            found = row if row.last_updated <= moment else older.get(row.rid)
            if found is None or (found.deleted and not deleted):
                continue
            if since is None or found.last_updated > since:
                yield _past(kind, row, found)
        if wanted is None:
            if len(rows) < PAGE:
                return
            after = rows[-1].rid
        elif not wanted:
            return


def past_of_studies(
    engine: sa.Engine, kind: str, studies: Sequence[str], moment: int
) -> dict[str, list[Past]]:
    """Return the resources of a type that were made for studies, by study, as they were."""
    statement = (
        sa.select(*_ROW, _resource.c.study_id)
        .where(_resource.c.study_id.in_(studies), _resource.c.type == kind)
        .order_by(_resource.c.rid)
    )
    with engine.connect() as connection:
        rows = list(connection.execute(statement))
        older = _older(connection, [one.rid for one in rows if one.last_updated > moment], moment)
    by_study: dict[str, list[Past]] = {}
    for row in rows:
        found = row if row.last_updated <= moment else older.get(row.rid)
        if found is not None and not found.deleted:
            by_study.setdefault(row.study_id, []).append(_past(kind, row, found))
    return by_study


def changed_studies(engine: sa.Engine, since: int) -> list[int]:
    """Return the `rid` of the ImagingStudies that were changed, or of which an Observation was."""
    own = sa.select(_resource.c.rid).where(
        _resource.c.type == "ImagingStudy", _resource.c.last_updated > since
    )
    observed = sa.select(_resource.c.study_id).where(
        _resource.c.type == "Observation",
        _resource.c.last_updated > since,
        _resource.c.study_id.is_not(None),
    )
    of_observed = sa.select(_resource.c.rid).where(
        _resource.c.type == "ImagingStudy", _resource.c.id.in_(observed)
    )
    with engine.connect() as connection:
        return list(connection.scalars(sa.union(own, of_observed)))


def _past(kind: str, row: Any, found: Any) -> Past:
    return Past(
        row.rid,
        kind,
        row.id,
        found.version_id,
        found.last_updated,
        bool(found.deleted),
        found.body,
    )


def _page(
    connection: sa.Connection, kind: str, moment: int, since: int | None, after: int
) -> list[Any]:
    statement = sa.select(*_ROW).where(_resource.c.type == kind, _resource.c.rid > after)
    if since is not None:
        # What was changed after `since` and again after `moment` has a later time still.
        statement = statement.where(_resource.c.last_updated > since)
    return list(connection.execute(statement.order_by(_resource.c.rid).limit(PAGE)))


def _older(connection: sa.Connection, rids: list[int], moment: int) -> dict[int, Any]:
    """Return the newest version of each of `rids` that is not after `moment`."""
    if not rids:
        return {}
    statement = (
        sa.select(*_KEPT)
        .where(_version.c.rid.in_(rids), _version.c.last_updated <= moment)
        .order_by(_version.c.rid, _version.c.version_id)
    )
    return {row.rid: row for row in connection.execute(statement)}


def count_of(engine: sa.Engine, kind: str) -> int:
    """Return how many resources of a type there are about, deleted ones included."""
    statement = sa.select(sa.func.count()).where(_resource.c.type == kind)
    with engine.connect() as connection:
        return int(connection.scalar(statement) or 0)
