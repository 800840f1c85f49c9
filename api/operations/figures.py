"""Figures of the parts of a service that do not count for themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sqlalchemy.pool import QueuePool

from api.metrics import Metrics
from api.store import ResourceStore


class _Audit(Protocol):
    @property
    def waiting(self) -> int: ...


def watch_parts(metrics: Metrics, store: ResourceStore, audit: _Audit) -> None:
    """Show the connections to the store, where it has such, and what waits to be audited."""
    metrics.watch(
        "bodysite_audit_queue",
        "What happened and is not stored as AuditEvent yet.",
        lambda: audit.waiting,
    )
    engine = getattr(store, "engine", None)
    pool = getattr(engine, "pool", None)
    if not isinstance(pool, QueuePool):
        return

    def connections() -> Mapping[str, float]:
        return {"busy": pool.checkedout(), "idle": pool.checkedin()}

    metrics.watch(
        "bodysite_store_connections",
        "Connections to the database.",
        connections,
        label="state",
    )
