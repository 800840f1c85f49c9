"""Rows of the table of resources → values."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Final

from api.records import Stored
from api.store.schema import resource as _resource

STORED_COLUMNS: Final = (
    _resource.c.type,
    _resource.c.id,
    _resource.c.version_id,
    _resource.c.last_updated,
    _resource.c.body,
    _resource.c.deleted,
    _resource.c.rid,
    _resource.c.origin,
    _resource.c.method,
)


def stored_of(row: Any) -> Stored:
    """Return a row with `STORED_COLUMNS` as a value."""
    return Stored(
        row.type,
        row.id,
        row.version_id,
        moment(row.last_updated),
        row.body,
        bool(row.deleted),
        row.rid,
        row.origin,
        row.method,
    )


def now() -> int:
    """Return the time in microseconds since 1970, cut to what `lastUpdated` shows."""
    return time.time_ns() // 1_000_000 * 1000


def moment(microseconds: int) -> datetime:
    """Return the time that a column holds."""
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)


def instant(microseconds: int) -> str:
    """Return the time as FHIR's instant, to the millisecond."""
    return moment(microseconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")
