"""Index what was stored before: after an upgrade, or after another release of the terminology.

It goes over the resources in their order, some hundred in a transaction, and keeps how far it came
in the setting `reindexing`: one that was interrupted goes on there. Others may read and write
meanwhile; what they write is indexed by them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from api.records import Resource
from api.store.schema import INDEX_VERSION
from api.store.schema import resource as _resource
from api.store.sql import SqlStore
from api.store.transaction import Transaction

# Type and content of a resource → the same with what it is found by.
Indexed = Callable[[str, Mapping[str, Any]], Resource]
# How many resources are done, of how many.
Progress = Callable[[int, int], None]

_AT_ONCE: Final = 200
_VERSION: Final = "index"
_REACHED: Final = "reindexing"
_LIVE: Final = _resource.c.deleted == sa.false()


def is_indexed(store: SqlStore) -> bool:
    """Return whether everything is found by all that this release searches for."""
    return store.setting(_VERSION) == INDEX_VERSION


def reindex(
    store: SqlStore, indexed: Indexed, progress: Progress = lambda _done, _all: None
) -> int:
    """Index every resource again; return how many were done by this call.

    No resource gets a new version.

    Parameters
    ----------
    indexed
        What finds out by what a resource is to be found.
    """
    reached = _reached(store)
    total, done = _counted(store, reached)
    before = done
    progress(done, total)
    while True:
        rids = _next(store, reached)
        if not rids:
            break
        found, last = rids, rids[-1]

        def work(transaction: Transaction, found: list[int] = found, last: int = last) -> int:
            count = transaction.index_again(found, indexed)
            transaction.set(_REACHED, json.dumps({"index": INDEX_VERSION, "rid": last}))
            return count

        store.run(work)
        reached = last
        done += len(rids)
        progress(done, max(done, total))
    store.run(_finished)
    return done - before


def _finished(transaction: Transaction) -> None:
    transaction.set(_VERSION, INDEX_VERSION)
    transaction.set(_REACHED, None)


def _reached(store: SqlStore) -> int:
    """Return where an earlier call that had the same in mind was interrupted."""
    found = store.setting(_REACHED)
    if found is None:
        return 0
    place = json.loads(found)
    return int(place["rid"]) if place["index"] == INDEX_VERSION else 0


def _counted(store: SqlStore, reached: int) -> tuple[int, int]:
    """Return how many resources there are, and how many of them were done before."""
    counted = sa.select(sa.func.count()).select_from(_resource).where(_LIVE)
    with store.engine.connect() as connection:
        total = connection.scalar(counted) or 0
        done = connection.scalar(counted.where(_resource.c.rid <= reached)) if reached else 0
    return total, done or 0


def _next(store: SqlStore, reached: int) -> list[int]:
    statement = (
        sa.select(_resource.c.rid)
        .where(_resource.c.rid > reached, _LIVE)
        .order_by(_resource.c.rid)
        .limit(_AT_ONCE)
    )
    with store.engine.connect() as connection:
        return list(connection.scalars(statement))
