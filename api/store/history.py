"""Versions of resources: the current ones, and those that others have replaced."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from api.records import HistoryPage, Stored
from api.store.rows import STORED_COLUMNS, stored_of
from api.store.schema import resource as _resource
from api.store.schema import version as _version

# Where a page ends: time, rid and version of its last entry.
Cursor = tuple[int, int, int]

_KEPT_COLUMNS: Final = (
    _resource.c.type,
    _resource.c.id,
    _version.c.version_id,
    _version.c.last_updated,
    _version.c.body,
    _version.c.deleted,
    _version.c.rid,
    _resource.c.origin,
    _version.c.method,
)
_KEPT: Final = sa.select(*_KEPT_COLUMNS).join_from(
    _version, _resource, _version.c.rid == _resource.c.rid
)
_CURRENT: Final = sa.select(*STORED_COLUMNS)
_ONE_KEPT: Final = _KEPT.where(
    _resource.c.type == sa.bindparam("kind"),
    _resource.c.id == sa.bindparam("resource_id"),
    _version.c.version_id == sa.bindparam("wanted"),
)
_ONE_CURRENT: Final = _CURRENT.where(
    _resource.c.type == sa.bindparam("kind"),
    _resource.c.id == sa.bindparam("resource_id"),
    _resource.c.version_id == sa.bindparam("wanted"),
)


def read_version(
    connection: sa.Connection, kind: str, resource_id: str, version_id: int
) -> Stored | None:
    """Return a version of a resource, a deletion included, or `None`."""
    key = {"kind": kind, "resource_id": resource_id, "wanted": version_id}
    row = connection.execute(_ONE_CURRENT, key).first()
    if row is None:
        row = connection.execute(_ONE_KEPT, key).first()
    return None if row is None else stored_of(row)


def history(
    connection: sa.Connection,
    kind: str | None,
    resource_id: str | None,
    count: int,
    *,
    since: int | None = None,
    at: tuple[int | None, int | None] | None = None,
    before: Cursor | None = None,
) -> HistoryPage:
    """Return versions, the newest first.

    Parameters
    ----------
    kind, resource_id
        The resources; `None` for those of all types, or all of a type.
    since
        Microseconds since 1970: versions that were made from then on.
    at
        Versions that were current at some time from the first number on, before the second one.
    before
        The cursor that came with the page ahead.
    """
    current: sa.Select[Any] = _CURRENT
    kept: sa.Select[Any] = _KEPT
    for name, wanted in (("type", kind), ("id", resource_id)):
        if wanted is not None:
            current = current.where(_resource.c[name] == wanted)
            kept = kept.where(_resource.c[name] == wanted)
    current = _in_time(current, _resource, since, at)
    kept = _in_time(kept, _version, since, at)
    total = None
    if resource_id is not None:
        total = sum(
            connection.scalar(sa.select(sa.func.count()).select_from(one.subquery())) or 0
            for one in (current, kept)
        )
    rows: list[Any] = [
        *connection.execute(_page(current, _resource, count + 1, before)),
        *connection.execute(_page(kept, _version, count + 1, before)),
    ]
    rows.sort(key=_place, reverse=True)
    more = len(rows) > count
    rows = rows[:count]
    return HistoryPage(
        tuple(stored_of(row) for row in rows),
        _place(rows[-1]) if more and rows else None,
        total,
    )


def _place(row: Any) -> Cursor:
    return row.last_updated, row.rid, row.version_id


def _page(
    statement: sa.Select[Any], table: sa.Table, limit: int, before: Cursor | None
) -> sa.Select[Any]:
    place = (table.c.last_updated, table.c.rid, table.c.version_id)
    if before is not None:
        # The first condition says nothing new, but is one that an index answers.
        statement = statement.where(
            table.c.last_updated <= before[0],
            sa.tuple_(*place) < sa.tuple_(*map(sa.literal, before)),
        )
    return statement.order_by(*(column.desc() for column in place)).limit(limit)


def _in_time(
    statement: sa.Select[Any],
    table: sa.Table,
    since: int | None,
    at: tuple[int | None, int | None] | None,
) -> sa.Select[Any]:
    if since is not None:
        statement = statement.where(table.c.last_updated >= since)
    if at is None:
        return statement
    low, high = at
    if high is not None:
        statement = statement.where(table.c.last_updated < high)
    if low is not None and table is _version:
        # It was current until the next version was made.
        later = _version.alias()
        ended = (
            sa.select(later.c.last_updated)
            .where(later.c.rid == _version.c.rid, later.c.version_id == _version.c.version_id + 1)
            .scalar_subquery()
        )
        statement = statement.where(sa.func.coalesce(ended, _resource.c.last_updated) > low)
    return statement
