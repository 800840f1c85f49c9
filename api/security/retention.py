"""Deletes resources of one type for good, with all of their versions and what they are found by."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from api.store import ResourceStore, Transaction, schema

_AT_ONCE: Final = 500
_BY_RID: Final = (
    schema.token,
    schema.date,
    schema.text,
    schema.quantity,
    schema.version,
    schema.resource,
)


def forget_before(store: ResourceStore, kind: str, before: int) -> int:
    """Delete the resources of `kind` that were changed last before a time; return how many.

    It goes in small transactions, so that others can write between them.

    Parameters
    ----------
    before
        Microseconds since 1970.
    """
    total = 0
    while True:
        gone = store.run(lambda tx: _forget_some(tx, kind, before))
        total += gone
        if gone < _AT_ONCE:
            return total


def _forget_some(tx: Transaction, kind: str, before: int) -> int:
    resource = schema.resource.c
    connection = tx.connection
    rids = list(
        connection.scalars(
            sa.select(resource.rid)
            .where(resource.type == kind, resource.last_updated < before)
            .order_by(resource.last_updated)
            .limit(_AT_ONCE)
        )
    )
    if not rids:
        return 0
    words = schema.full_text[connection.dialect.name]
    key = words.c.rowid if connection.dialect.name == "sqlite" else words.c.rid
    connection.execute(sa.delete(words).where(key.in_(rids)))
    for table in _BY_RID:
        connection.execute(sa.delete(table).where(table.c.rid.in_(rids)))
    return len(rids)
