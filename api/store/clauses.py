"""Conditions → SQL: what holds of a resource, and where those of which it holds are gathered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from api.records import Criterion
from api.store.conditions import (
    AllOf,
    AnyOf,
    Coded,
    Condition,
    During,
    Identified,
    LinkedFrom,
    Links,
    Measured,
    Named,
    Not,
    Present,
    Updated,
    Worded,
)
from api.store.folding import folded
from api.store.schema import date as _date
from api.store.schema import full_text as _full_text
from api.store.schema import quantity as _quantity
from api.store.schema import resource as _resource
from api.store.schema import text as _text
from api.store.schema import token as _token
from api.store.schema import value as _value

# Up to so many matches are gathered and sorted.
FEW: Final = 2000
_CHUNK: Final = 500
_PASSED: Final = 50
_LAST_CHARACTER: Final = "\U0010ffff"
_TABLES: Final = {"date": _date, "text": _text, "amount": _quantity}

Rid = sa.ColumnElement[int]
Bool = sa.ColumnElement[bool]


def among(column: sa.ColumnElement[int], values: Sequence[int]) -> Bool:
    """Return ``column IN values``; many are written out, which is quicker than as parameters."""
    if len(values) <= _PASSED:
        return column.in_(values)
    return column.in_(sa.bindparam(None, values, sa.Integer, expanding=True, literal_execute=True))


class Clauses:
    """Makes SQL of conditions for one connection.

    Parameters
    ----------
    connection
        Which is asked for the keys of tokens, and speaks SQLite or PostgreSQL.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._sqlite = connection.dialect.name == "sqlite"

    # -- looking up ---------------------------------------------------------------------------

    def resolved(self, condition: Condition, kinds: Sequence[str], few: Few) -> Condition:
        """Return `condition` with keys for codes, and with ids for links where they are few.

        Parameters
        ----------
        kinds
            Types of the resources that it is asked of.
        few
            Types of resources and a resolved condition → the rids, or `None` where they are many.
        """
        match condition:
            case Coded():
                return Criterion(self._keys(condition, kinds))
            case Links(param, target, where):
                inner = self.resolved(where, (target,), few)
                found = few((target,), inner)
                if found is None:
                    return Links(param, target, inner)
                ids = self._ids(found)
                links = Coded(param, tuple((target, one) for one in ids))
                return Criterion(self._keys(links, kinds))
            case LinkedFrom(source, param, where):
                inner = self.resolved(where, (source,), few)
                found = few((source,), inner)
                if found is None:
                    return LinkedFrom(source, param, inner)
                return Identified(self._linked(found, source, param, kinds))
            case AllOf(conditions):
                return AllOf(tuple(self.resolved(one, kinds, few) for one in conditions))
            case AnyOf(conditions):
                return _joined([self.resolved(one, kinds, few) for one in conditions])
            case Not(inner_condition):
                return Not(self.resolved(inner_condition, kinds, few))
            case _:
                return condition

    def _keys(self, condition: Coded, kinds: Sequence[str]) -> tuple[int, ...]:
        found: set[int] = set()
        values = condition.values
        for start in range(0, len(values), _CHUNK):
            chunk = values[start : start + _CHUNK]
            statement = sa.select(_value.c.value_id).where(
                _value.c.type.in_(kinds), _value.c.param == condition.param, _any(chunk)
            )
            found.update(self._connection.scalars(statement))
        return tuple(sorted(found))

    def _ids(self, rids: Sequence[int]) -> list[str]:
        if not rids:
            return []
        statement = sa.select(_resource.c.id).where(_resource.c.rid.in_(rids))
        return list(self._connection.scalars(statement))

    def _linked(
        self, rids: Sequence[int], source: str, param: str, kinds: Sequence[str]
    ) -> tuple[str, ...]:
        if not rids:
            return ()
        statement = (
            sa.select(_value.c.code)
            .distinct()
            .join(_token, _token.c.value_id == _value.c.value_id)
            .where(
                _token.c.rid.in_(rids),
                _value.c.type == source,
                _value.c.param == param,
                _value.c.system.in_(kinds),
            )
        )
        return tuple(sorted(self._connection.scalars(statement)))

    # -- conditions ---------------------------------------------------------------------------

    def of(self, condition: Condition, rid: Rid, kinds: Sequence[str], *, own: bool) -> Bool:
        """Return what says that a resolved `condition` holds of the resource `rid`.

        Parameters
        ----------
        own
            Whether `rid` is that of the table of resources in the statement.
        """
        match condition:
            case Criterion(values, negated):
                held = self._has_token(values, rid)
                return ~held if negated else held
            case AllOf(conditions):
                parts = [self.of(one, rid, kinds, own=own) for one in conditions]
                return sa.and_(sa.true(), *parts)
            case AnyOf(conditions):
                parts = [self.of(one, rid, kinds, own=own) for one in conditions]
                return sa.or_(sa.false(), *parts)
            case Not(inner):
                return ~self.of(inner, rid, kinds, own=own)
            case During() | Named() | Measured() | Worded():
                source = self.source(condition, kinds)
                assert source is not None  # noqa: S101
                if isinstance(condition, Worded):
                    # A match of full text is made once, not for every resource.
                    return rid.in_(source)
                column = source.selected_columns[0]
                return sa.exists(source.where(column == rid).with_only_columns(sa.literal(1)))
            case Present():
                return self._present(condition, rid, kinds)
            case Links():
                return self._links(condition, rid, kinds)
            case Updated() | Identified() | LinkedFrom():
                return self._of_itself(condition, rid, kinds, own=own)
            case Coded():
                raise AssertionError

    def _has_token(self, values: Sequence[int], rid: Rid) -> Bool:
        if not values:
            return sa.false()
        other = _token.alias()
        key: sa.ColumnElement[int] = other.c.value_id
        if len(values) > FEW:
            # The sum keeps the planner from trying every value for every resource.
            key = key + 0
        return sa.exists(sa.select(sa.literal(1)).where(other.c.rid == rid, among(key, values)))

    def _present(self, condition: Present, rid: Rid, kinds: Sequence[str]) -> Bool:
        if condition.table == "token":
            token, value = _token.alias(), _value.alias()
            statement = (
                sa.select(sa.literal(1))
                .select_from(token.join(value, value.c.value_id == token.c.value_id))
                .where(
                    token.c.rid == rid,
                    value.c.type.in_(kinds),
                    value.c.param.in_(condition.params),
                )
            )
            return sa.exists(statement)
        table = _TABLES[condition.table]
        return sa.exists(
            sa.select(sa.literal(1)).where(table.c.rid == rid, table.c.param.in_(condition.params))
        )

    def _links(self, condition: Links, rid: Rid, kinds: Sequence[str]) -> Bool:
        token, value, target = _token.alias(), _value.alias(), _resource.alias()
        inner = self.of(condition.where, target.c.rid, (condition.target,), own=False)
        return sa.exists(
            sa.select(sa.literal(1))
            .select_from(
                token.join(value, value.c.value_id == token.c.value_id).join(
                    target,
                    sa.and_(target.c.type == condition.target, target.c.id == value.c.code),
                )
            )
            .where(
                token.c.rid == rid,
                value.c.type.in_(kinds),
                value.c.param == condition.param,
                value.c.system == condition.target,
                target.c.deleted == sa.false(),
                inner,
            )
        )

    def _of_itself(
        self,
        condition: Updated | Identified | LinkedFrom,
        rid: Rid,
        kinds: Sequence[str],
        *,
        own: bool,
    ) -> Bool:
        """Return what is said of the row of a resource, or of that of `rid`."""
        row = _resource if own else _resource.alias()
        if isinstance(condition, Updated):
            held = _updated(condition, row.c.last_updated)
        elif isinstance(condition, Identified):
            held = row.c.id.in_(condition.ids)
        else:
            token, value = _token.alias(), _value.alias()
            inner = self.of(condition.where, token.c.rid, (condition.source,), own=False)
            held = sa.exists(
                sa.select(sa.literal(1))
                .select_from(value.join(token, token.c.value_id == value.c.value_id))
                .where(
                    value.c.type == condition.source,
                    value.c.param == condition.param,
                    value.c.system == row.c.type,
                    value.c.code == row.c.id,
                    inner,
                )
            )
        if own:
            return held
        return sa.exists(sa.select(sa.literal(1)).select_from(row).where(row.c.rid == rid, held))

    # -- gathering ----------------------------------------------------------------------------

    def source(self, condition: Condition, kinds: Sequence[str]) -> sa.Select[Any] | None:
        """Return what selects the rids of which `condition` holds, some maybe several times.

        They may be among those of other types. `None` where no index has them together.
        """
        match condition:
            case Criterion(values, negated=False):
                # Not DISTINCT: PostgreSQL would gather all of them before the first.
                return sa.select(_token.c.rid).where(among(_token.c.value_id, values))
            case During(param):
                return _rids(_date).where(_date.c.param == param, _during(condition))
            case Named(param):
                return _rids(_text).where(_text.c.param == param, self._named(condition))
            case Measured(param):
                return _rids(_quantity).where(_quantity.c.param == param, *_measured(condition))
            case Identified(ids):
                return sa.select(_resource.c.rid).where(
                    _resource.c.type.in_(kinds), _resource.c.id.in_(ids)
                )
            case Worded():
                return self._worded(condition)
            case _:
                return None

    def _named(self, condition: Named) -> Bool:
        plain = folded(condition.text)
        if condition.how == "exact":
            return sa.and_(_text.c.folded == plain, _text.c.exact == condition.text)
        if condition.how == "contains":
            return _text.c.folded.contains(plain, autoescape=True)
        if not self._sqlite:
            return _text.c.folded.startswith(plain, autoescape=True)
        # SQLite compares text by its characters, so that a prefix is a range of the index.
        return sa.and_(_text.c.folded >= plain, _text.c.folded < plain + _LAST_CHARACTER)

    def _worded(self, condition: Worded) -> sa.Select[Any]:
        if self._sqlite:
            asked = " OR ".join(f"({_fts5(one)})" for one in condition.alternatives)
            match = sa.literal_column("resource_text").op("MATCH")(
                f"{{{condition.column}}} : ({asked})"
            )
            # The statement around it may go through the same table.
            return sa.select(_full_text["sqlite"].c.rowid).where(match).correlate(None)
        table = _full_text["postgresql"].alias()
        asked = " | ".join(f"({_tsquery(one)})" for one in condition.alternatives)
        vector: sa.ColumnElement[Any] = table.c[condition.column]
        query = sa.func.to_tsquery(sa.literal_column("'simple'"), asked)
        return sa.select(table.c.rid).where(vector.op("@@")(query))


Few = Callable[[Sequence[str], Condition], Sequence[int] | None]


def _joined(conditions: Iterable[Condition]) -> Condition:
    """Return an `AnyOf`, tokens and ids of several of its parts as one condition each."""
    keys: set[int] = set()
    ids: set[str] = set()
    others: list[Condition] = []
    for one in conditions:
        if isinstance(one, Criterion) and not one.negated:
            keys.update(one.values)
        elif isinstance(one, Identified):
            ids.update(one.ids)
        else:
            others.append(one)
    if ids:
        others.append(Identified(tuple(sorted(ids))))
    if keys or not others:
        others.append(Criterion(tuple(sorted(keys))))
    return others[0] if len(others) == 1 else AnyOf(tuple(others))


def _any(values: Iterable[tuple[str | None, str | None]]) -> Bool:
    codes: dict[str | None, list[str]] = {}
    parts: list[Bool] = []
    for system, code in values:
        if code is not None:
            codes.setdefault(system, []).append(code)
        elif system is not None:
            parts.append(_value.c.system == system)
        else:
            parts.append(sa.true())
    for system, wanted in codes.items():
        held = _value.c.code.in_(wanted)
        parts.append(held if system is None else sa.and_(held, _value.c.system == system))
    return sa.or_(sa.false(), *parts)


def _rids(table: sa.Table) -> sa.Select[Any]:
    return sa.select(table.c.rid)


def _during(asked: During) -> Bool:
    """Return how a time stands to the period asked for (FHIR R4, 3.1.1.4.7)."""
    low, high = _date.c.low, _date.c.high
    within = sa.and_(low >= asked.low, high <= asked.high)
    above = sa.or_(high.is_(None), high > asked.high)
    below = sa.or_(low.is_(None), low < asked.low)
    match asked.comparison:
        case "eq":
            return within
        case "ne":
            return sa.or_(above, below)
        case "gt":
            return above
        case "lt":
            return below
        case "ge":
            return sa.or_(above, within)
        case "le":
            return sa.or_(below, within)
        case "sa":
            return low >= asked.high
        case "eb":
            return high <= asked.low
        case "ap":
            return sa.and_(
                sa.or_(low.is_(None), low < asked.high), sa.or_(high.is_(None), high > asked.low)
            )


def _updated(asked: Updated, moment: sa.ColumnElement[int]) -> Bool:
    match asked.comparison:
        case "eq" | "ap":
            return sa.and_(moment >= asked.low, moment < asked.high)
        case "ne":
            return sa.or_(moment < asked.low, moment >= asked.high)
        case "gt" | "sa":
            return moment >= asked.high
        case "lt" | "eb":
            return moment < asked.low
        case "ge":
            return moment >= asked.low
        case "le":
            return moment < asked.high


def _measured(asked: Measured) -> Iterable[Bool]:
    """Yield how an amount stands to the one asked for (FHIR R4, 3.1.1.4.11)."""
    value = _quantity.c.value
    if asked.system is not None:
        yield _quantity.c.system == asked.system
    if asked.code is not None:
        yield _quantity.c.code == asked.code
    match asked.comparison:
        case "eq" | "ap":
            yield sa.and_(value >= asked.low, value < asked.high)
        case "ne":
            yield sa.or_(value < asked.low, value >= asked.high)
        case "gt" | "sa":
            yield value > asked.value
        case "lt" | "eb":
            yield value < asked.value
        case "ge":
            yield value >= asked.value
        case "le":
            yield value <= asked.value


def _fts5(phrases: Sequence[tuple[tuple[str, ...], bool]]) -> str:
    # SQLite, FTS5, 3.1-3.3: the words are letters and digits only.
    return " AND ".join(f'"{" ".join(words)}"{" *" if open_ else ""}' for words, open_ in phrases)


def _tsquery(phrases: Sequence[tuple[tuple[str, ...], bool]]) -> str:
    # PostgreSQL, 12.3.2: the words are letters and digits only.
    return " & ".join(
        "(" + " <-> ".join(f"'{word}'" for word in words) + (":*" if open_ else "") + ")"
        for words, open_ in phrases
    )
