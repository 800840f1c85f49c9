"""What resources are found by: their rows in the tables of tokens, times, strings and amounts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from api.records import Resource, Token
from api.store.folding import folded
from api.store.schema import date, full_text, quantity, text, token
from api.store.schema import value as _value

# How many resources wait for each other to be indexed in one go.
_AT_ONCE: Final = 500
# (resource type, token) → its key in `token_value`.
ValueIds = dict[tuple[str, Token], int]

_VALUE_ID: Final = sa.select(_value.c.value_id).where(
    *(_value.c[name] == sa.bindparam(name) for name in ("type", "param", "code", "system"))
)
_CLEARED: Final[sa.BindParameter[int]] = sa.bindparam("cleared")
_CLEAR: Final[tuple[sa.Executable, ...]] = tuple(
    sa.delete(table).where(table.c.rid == _CLEARED) for table in (date, text, quantity)
)
_CLEAR_TOKENS: Final = sa.delete(token).where(token.c.rid == _CLEARED)
_TOKENS_OF: Final = sa.select(token.c.value_id).where(token.c.rid == sa.bindparam("of_rid"))
_REMOVE_TOKEN: Final = sa.delete(token).where(
    token.c.rid == sa.bindparam("of_rid"), token.c.value_id == sa.bindparam("of_value")
)


class _Statements:
    """Statements that the two databases spell differently."""

    def __init__(self, insert: Any, dialect: sa.Dialect, clear_text: str, add_text: str) -> None:
        self.value = insert(_value).on_conflict_do_nothing().returning(*_value.c)
        self.clear: tuple[sa.Executable, ...] = (*_CLEAR, sa.text(clear_text))
        # Many rows with each request: spelled once, for SQLAlchemy takes its time for each row.
        self.add_tokens, self.add_dates, self.add_texts, self.add_amounts, self.add_text = (
            str(statement.compile(dialect=dialect))
            for statement in (
                *(sa.insert(table) for table in (token, date, text, quantity)),
                sa.text(add_text),
            )
        )


_BY_DIALECT: Final[Mapping[str, _Statements]] = {
    "sqlite": _Statements(
        sqlite.insert,
        sqlite.dialect(paramstyle="named"),
        "DELETE FROM resource_text WHERE rowid = :cleared",
        "INSERT INTO resource_text (rowid, narrative, content) VALUES (:rid, :narrative, :content)",
    ),
    "postgresql": _Statements(
        postgresql.insert,
        sa.make_url("postgresql+psycopg://").get_dialect()(),
        "DELETE FROM resource_text WHERE rid = :cleared",
        "INSERT INTO resource_text (rid, narrative, content)"
        " VALUES (:rid, to_tsvector('simple', :narrative), to_tsvector('simple', :content))",
    ),
}
assert full_text.keys() == _BY_DIALECT.keys()  # noqa: S101


class Indexes:
    """Writes index rows over one connection, those of many resources at a time.

    Parameters
    ----------
    connection
        Connection of a transaction that writes.
    known
        Keys of token values that other transactions have committed.
    """

    def __init__(self, connection: sa.Connection, known: Mapping[tuple[str, Token], int]) -> None:
        self._connection = connection
        self._statements = _BY_DIALECT[connection.dialect.name]
        self._known = known
        # Keys that this transaction met or gave: good for others once it is committed.
        self.met: ValueIds = {}
        self._waiting: dict[int, Resource] = {}
        self._cleared: set[int] = set()

    def add(self, rid: int, resource: Resource) -> None:
        """Make a resource that has no index rows yet found by what it has."""
        self._waiting[rid] = resource
        if len(self._waiting) >= _AT_ONCE:
            self.flush()

    def clear(self, rid: int) -> None:
        """Make a resource found by nothing."""
        self._cleared.add(rid)
        self._waiting.pop(rid, None)

    def replace(self, rid: int, resource: Resource) -> None:
        """Make a resource found by what it has now, and by nothing else."""
        self.clear(rid)
        self.add(rid, resource)

    def flush(self) -> None:
        """Write what waits: ahead of a search, and of the end of the transaction."""
        run = self._connection.execute
        waiting, self._waiting = self._waiting, {}
        cleared, self._cleared = sorted(self._cleared), set()
        there: dict[int, set[int]] = {}
        if cleared:
            for statement in self._statements.clear:
                run(statement, [{"cleared": rid} for rid in cleared])
            gone = [{"cleared": rid} for rid in cleared if rid not in waiting]
            if gone:
                run(_CLEAR_TOKENS, gone)
            there = {rid: self._tokens_of(rid) for rid in cleared if rid in waiting}
        keys = self._keys({(one.type, token) for one in waiting.values() for token in one.tokens})
        spelled = self._statements
        for insert, rows in (
            (spelled.add_tokens, self._changed_tokens(waiting, keys, there)),
            (spelled.add_dates, _date_rows(waiting)),
            (spelled.add_texts, _text_rows(waiting)),
            (spelled.add_amounts, _amount_rows(waiting)),
            (spelled.add_text, _full_text_rows(waiting)),
        ):
            if rows:
                self._connection.exec_driver_sql(insert, rows)

    def _tokens_of(self, rid: int) -> set[int]:
        return set(self._connection.scalars(_TOKENS_OF, {"of_rid": rid}))

    def _changed_tokens(
        self, waiting: Mapping[int, Resource], keys: ValueIds, there: Mapping[int, set[int]]
    ) -> list[dict[str, Any]]:
        """Delete the tokens that resources have no more; return the rows of those that are new.

        A study has a token for each of its instances, and gets one more with each of them.
        """
        wanted = {
            rid: {keys[resource.type, one] for one in resource.tokens}
            for rid, resource in waiting.items()
        }
        gone = [
            {"of_rid": rid, "of_value": key}
            for rid, known in there.items()
            for key in sorted(known - wanted[rid])
        ]
        if gone:
            self._connection.execute(_REMOVE_TOKEN, gone)
        return [
            {"value_id": key, "rid": rid}
            for rid, found in wanted.items()
            for key in sorted(found - there.get(rid, set()))
        ]

    def _keys(self, wanted: Collection[tuple[str, Token]]) -> ValueIds:
        """Return the keys of token values; those that are new are given one."""
        keys: ValueIds = {}
        unknown = []
        for one in wanted:
            key = self._known.get(one) or self.met.get(one)
            if key is None:
                unknown.append(one)
            else:
                keys[one] = key
        if not unknown:
            return keys
        # In one order for all: no two writers wait for each other's values.
        unknown.sort()
        rows = [
            {"type": kind, "param": one.param, "system": one.system, "code": one.code}
            for kind, one in unknown
        ]
        for row in self._connection.execute(self._statements.value, rows):
            keys[row.type, Token(row.param, row.system, row.code)] = row.value_id
        for one, key_of in zip(unknown, rows, strict=True):
            if one not in keys:
                # It was there already.
                keys[one] = self._connection.scalars(_VALUE_ID, key_of).one()
            self.met[one] = keys[one]
        return keys


def _date_rows(waiting: Mapping[int, Resource]) -> list[dict[str, Any]]:
    return [
        {"rid": rid, "param": one.param, "low": one.low, "high": one.high}
        for rid, resource in waiting.items()
        for one in dict.fromkeys(resource.dates)
    ]


def _text_rows(waiting: Mapping[int, Resource]) -> list[dict[str, Any]]:
    return [
        {"rid": rid, "param": one.param, "folded": folded(one.text), "exact": one.text}
        for rid, resource in waiting.items()
        for one in sorted(set(resource.texts))
    ]


def _amount_rows(waiting: Mapping[int, Resource]) -> list[dict[str, Any]]:
    return [
        {
            "rid": rid,
            "param": one.param,
            "system": one.system,
            "code": one.code,
            "value": one.value,
        }
        for rid, resource in waiting.items()
        for one in sorted(set(resource.amounts))
    ]


def _full_text_rows(waiting: Mapping[int, Resource]) -> list[dict[str, Any]]:
    return [
        {"rid": rid, "narrative": folded(one.narrative), "content": folded(one.words)}
        for rid, one in waiting.items()
        if one.narrative or one.words
    ]


def index_of(resource: Resource) -> list[Any]:
    """Return what a resource is found by as JSON, in an order of its own."""
    parts: tuple[Iterable[Any], ...] = (
        ([one.param, one.system, one.code] for one in sorted(set(resource.tokens))),
        sorted(([one.param, one.low, one.high] for one in resource.dates), key=str),
        ([one.param, one.text] for one in sorted(set(resource.texts))),
        ([one.param, one.system, one.code, one.value] for one in sorted(set(resource.amounts))),
    )
    return [*map(list, parts), resource.narrative, resource.words]
