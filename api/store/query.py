"""Search over the tables: a `Query` → SQL → the resources that match.

A search by few matches gathers them from an index; one by many walks the resources in order until
a page is full.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import sqlalchemy as sa

from api.records import Criterion, Page, Position, Query, SortKey, Stored
from api.store import clauses
from api.store.clauses import Clauses, Rid, among
from api.store.conditions import AllOf, AnyOf, Condition, Identified, Worded
from api.store.counting import distinct_resources
from api.store.rows import STORED_COLUMNS, stored_of
from api.store.schema import date as _date
from api.store.schema import full_text as _full_text
from api.store.schema import quantity as _quantity
from api.store.schema import resource as _resource
from api.store.schema import text as _text
from api.store.schema import token as _token
from api.store.schema import value as _value

_EVER: Final = 1 << 62
Total = Literal["known", "few", "all"]


def search(
    connection: sa.Connection,
    query: Query,
    count: int,
    *,
    after: int | Position | None = None,
    before: int | Position | None = None,
    total: Total = "known",
) -> Page:
    """Return one page of matches behind `after`, or the last ones ahead of `before`.

    Parameters
    ----------
    after, before
        `first` or `last` of another page; without `sort`, a `rid` is enough.
    total
        Whether to count all matches: "all"; "few", where that takes little; "known", where the
        search came to know their number.
    """
    asked = _Asked.of(connection, query)
    if asked.never:
        return Page((), has_previous=False, has_next=False, total=0)
    backward = before is not None
    bound = before if backward else after
    position = (bound,) if isinstance(bound, int) else bound
    if query.sort:
        found, known = asked.sorted(count + 1, position, backward=backward)
    else:
        rid = None if position is None else position[-1]
        rids, known = asked.ordered(count + 1, rid, backward=backward)
        found = [(one,) for one in rids]
    more = len(found) > count
    found = found[:count]
    if backward:
        found.reverse()
    stored = _read(connection, [one[-1] for one in found])
    # One that was deleted meanwhile is not there any more.
    found = [one for one in found if one[-1] in stored]
    return Page(
        tuple(stored[one[-1]] for one in found),
        has_previous=more if backward else after is not None,
        has_next=True if backward else more,
        total=asked.total(known, total),
        first=tuple(found[0]) if found else (),
        last=tuple(found[-1]) if found else (),
    )


def count(connection: sa.Connection, query: Query, limit: int | None = None) -> int:
    """Return how many resources match; with a `limit`, no more than that are counted."""
    asked = _Asked.of(connection, query)
    return 0 if asked.never else asked.count(limit)


def matching(connection: sa.Connection, query: Query, limit: int) -> list[Stored]:
    """Return the first `limit` matches in search order."""
    return list(search(connection, query, limit).matches)


def _read(connection: sa.Connection, rids: Sequence[int]) -> dict[int, Stored]:
    statement = sa.select(*STORED_COLUMNS).where(
        _resource.c.rid.in_(rids), _resource.c.deleted == sa.false()
    )
    return {row.rid: stored_of(row) for row in connection.execute(statement)}


class _Asked:
    """A query with its tokens looked up, and the ways to its matches.

    Attributes
    ----------
    never
        Whether a condition cannot hold of any resource.
    """

    def __init__(
        self,
        connection: sa.Connection,
        kinds: Sequence[str],
        conditions: Sequence[Condition],
        sort: Sequence[SortKey] = (),
    ) -> None:
        self._connection = connection
        self._clauses = Clauses(connection)
        self._kinds = kinds
        self._sort = sort
        self._conditions = _flat(conditions)
        self.never = any(_never(one) for one in self._conditions)
        self._gathered: list[int] | None = None
        self._probed = False

    @classmethod
    def of(cls, connection: sa.Connection, query: Query) -> _Asked:
        """Look up the tokens and the links of `query`."""

        def few(kinds: Sequence[str], condition: Condition) -> list[int] | None:
            inner = cls(connection, kinds, (condition,))
            return [] if inner.never else inner.few()

        resolve = Clauses(connection).resolved
        conditions = [
            resolve(one, query.kinds, few)
            for one in (
                *query.criteria,
                *(() if query.ids is None else (Identified(query.ids),)),
                *query.where,
            )
        ]
        return cls(connection, query.kinds, conditions, query.sort)

    # -- ways to the matches ------------------------------------------------------------------

    def ordered(
        self, limit: int, bound: int | None, *, backward: bool
    ) -> tuple[list[int], int | None]:
        """Return up to `limit` rids in search order (descending when `backward`).

        Where all matches were few enough to be gathered, their number comes with them.
        """
        found = self.few()
        if found is not None:
            ahead = found[::-1] if backward else found
            if bound is not None:
                ahead = [rid for rid in ahead if (rid < bound if backward else rid > bound)]
            return ahead[:limit], len(found)
        column, statement = self._walk()
        if bound is not None:
            statement = statement.where(column < bound if backward else column > bound)
        statement = statement.order_by(column.desc() if backward else column).limit(limit)
        return list(self._connection.scalars(statement)), None

    def sorted(
        self, limit: int, bound: Position | None, *, backward: bool
    ) -> tuple[list[Position], int | None]:
        """Return up to `limit` matches by the sort keys, each as its values and its rid."""
        found = self.few()
        if found is not None and not found:
            return [], 0
        sqlite = self._connection.dialect.name == "sqlite"
        keys = [
            _key(one, sqlite=sqlite).label(f"key{place}") for place, one in enumerate(self._sort)
        ]
        conditions = (
            [_resource.c.rid.in_(found)]
            if found is not None
            else [*self._live(), *self._held(self._conditions, _resource.c.rid, own=True)]
        )
        inner = sa.select(*keys, _resource.c.rid).where(*conditions).subquery()
        columns = [inner.c[f"key{place}"] for place in range(len(keys))]
        statement = sa.select(*columns, inner.c.rid)
        if bound is not None:
            statement = statement.where(
                _beyond(self._sort, columns, inner.c.rid, bound, backward=backward)
            )
        for one, column in zip(self._sort, columns, strict=True):
            if one.by not in {"id", "updated"}:
                # What has no value comes last.
                missing = column.is_(None)
                statement = statement.order_by(missing.desc() if backward else missing)
            statement = statement.order_by(
                column.desc() if one.descending != backward else column.asc()
            )
        last = inner.c.rid.desc() if backward else inner.c.rid.asc()
        rows = self._connection.execute(statement.order_by(last).limit(limit))
        return [tuple(row) for row in rows], None if found is None else len(found)

    def count(self, limit: int | None) -> int:
        """Return how many resources match, up to `limit`."""
        found = self.few()
        if found is not None:
            return len(found)
        only = self._conditions[0] if len(self._conditions) == 1 else None
        if limit is None and isinstance(only, Criterion) and not only.negated:
            return distinct_resources(self._connection, only.values)
        _, statement = self._walk(walking=limit is not None)
        if limit is not None:
            statement = statement.limit(limit)
        counted = sa.select(sa.func.count()).select_from(statement.subquery())
        return int(self._connection.scalar(counted) or 0)

    def total(self, known: int | None, wanted: Total) -> int | None:
        """Return how many resources match, where it is `known` or `wanted`."""
        if known is not None or wanted == "known":
            return known
        if wanted == "all":
            return self.count(None)
        if len(self._conditions) == 1 and isinstance(self._conditions[0], Criterion):
            # They are many: that is known already.
            return None
        counted = self.count(clauses.FEW + 1)
        return counted if counted <= clauses.FEW else None

    def few(self) -> list[int] | None:
        """Return all matches in search order, or `None` where they are many."""
        if not self._probed:
            self._gathered = self._gather()
            self._probed = True
        return self._gathered

    def _gather(self) -> list[int] | None:
        for condition in self._conditions:
            source = self._clauses.source(condition, self._kinds)
            if source is None:
                continue
            probed = self._connection.scalars(source.limit(clauses.FEW + 1)).all()
            if len(probed) > clauses.FEW:
                continue
            rest = [one for one in self._conditions if one is not condition]
            if not rest and isinstance(condition, Criterion):
                # Tokens are kept for live resources only, and their keys are those of one type.
                return sorted(set(probed))
            if not probed:
                return []
            column = _resource.c.rid
            statement = sa.select(column).where(
                column.in_(set(probed)), *self._live(), *self._held(rest, column, own=True)
            )
            return sorted(self._connection.scalars(statement))
        return None

    def _walk(self, *, walking: bool = True) -> tuple[Rid, sa.Select[Any]]:
        """Return the column of rids and what selects all matches, in the order of an index.

        Parameters
        ----------
        walking
            Whether the resources are gone through in order; else they are gathered.
        """
        for condition in self._conditions:
            if isinstance(condition, Criterion) and not condition.negated:
                rest = [one for one in self._conditions if one is not condition]
                column: Rid = _token.c.rid
                key: sa.ColumnElement[int] = _token.c.value_id
                # The sum keeps the planner from gathering and sorting all matches instead.
                chosen = among(key + 0 if walking else key, condition.values)
                statement = sa.select(column).where(chosen, *self._held(rest, column, own=False))
                # One resource may carry several of the values.
                distinct = walking or len(condition.values) > 1
                return column, statement.distinct() if distinct else statement
        for condition in self._conditions:
            if isinstance(condition, Worded) and self._connection.dialect.name == "sqlite":
                source = self._clauses.source(condition, self._kinds)
                assert source is not None  # noqa: S101
                rest = [one for one in self._conditions if one is not condition]
                row: Rid = _full_text["sqlite"].c.rowid
                live = sa.exists(
                    sa.select(sa.literal(1)).where(
                        _resource.c.rid == row,
                        *self._live(),
                        *self._held(rest, _resource.c.rid, own=True),
                    )
                )
                return row, source.where(live)
        rid: Rid = _resource.c.rid
        held = self._held(self._conditions, rid, own=True)
        return rid, sa.select(rid).where(*self._live(), *held)

    def _live(self) -> list[sa.ColumnElement[bool]]:
        one = len(self._kinds) == 1
        kind = _resource.c.type
        return [
            kind == self._kinds[0] if one else kind.in_(self._kinds),
            _resource.c.deleted == sa.false(),
        ]

    def _held(
        self, conditions: Sequence[Condition], rid: Rid, *, own: bool
    ) -> list[sa.ColumnElement[bool]]:
        return [self._clauses.of(one, rid, self._kinds, own=own) for one in conditions]


def _flat(conditions: Any) -> list[Condition]:
    found: list[Condition] = []
    for one in conditions:
        found += _flat(one.conditions) if isinstance(one, AllOf) else [one]
    return found


def _never(condition: Condition) -> bool:
    match condition:
        case Criterion(values, negated):
            return not values and not negated
        case Identified(ids):
            return not ids
        case AnyOf(conditions):
            return all(_never(one) for one in conditions)
        case _:
            return False


def _key(key: SortKey, *, sqlite: bool) -> sa.ColumnElement[Any]:
    """Return what a resource is sorted by; NULL where it has no value."""

    def text(column: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
        # PostgreSQL sorts by the language of the database unless told; SQLite by characters.
        return column if sqlite else column.collate("C")

    rid = _resource.c.rid
    if key.by == "id":
        return text(_resource.c.id)
    if key.by == "updated":
        return _resource.c.last_updated
    most = sa.func.max if key.descending else sa.func.min
    if key.by == "token":
        statement = (
            sa.select(most(text(_value.c.code)))
            .select_from(_token.join(_value, _value.c.value_id == _token.c.value_id))
            .where(
                _token.c.rid == rid, _value.c.type == _resource.c.type, _value.c.param == key.param
            )
        )
        return statement.scalar_subquery()
    value: sa.ColumnElement[Any]
    if key.by == "date":
        table: sa.Table = _date
        # An open end is before, or behind, every other one.
        end = _date.c.high if key.descending else _date.c.low
        value = sa.func.coalesce(end, _EVER if key.descending else -_EVER)
    elif key.by == "text":
        table, value = _text, text(_text.c.folded)
    else:
        table, value = _quantity, _quantity.c.value
    return (
        sa.select(most(value))
        .where(table.c.rid == rid, table.c.param == key.param)
        .scalar_subquery()
    )


def _beyond(
    keys: Sequence[SortKey],
    columns: Sequence[sa.ColumnElement[Any]],
    rid: sa.ColumnElement[int],
    bound: Position,
    *,
    backward: bool,
) -> sa.ColumnElement[bool]:
    """Return what says that a match comes behind `bound`, or ahead of it."""
    *values, last = bound
    beyond: sa.ColumnElement[bool] = rid < last if backward else rid > last
    for key, column, value in reversed(list(zip(keys, columns, values, strict=True))):
        descending = key.descending != backward
        if value is None:
            # What has no value is last: nothing is behind it but its like.
            further = column.is_not(None) if backward else sa.false()
            same = column.is_(None)
        else:
            further = column < value if descending else column > value
            if not backward and key.by not in {"id", "updated"}:
                further = sa.or_(further, column.is_(None))
            same = column == value
        beyond = sa.or_(further, sa.and_(same, beyond))
    return beyond
