"""`AuditTrail`: what happened is written into the store, in batches, behind the answers."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Final, Literal

from starlette.types import Scope

from api.errors import place_of
from api.indexing import indexed
from api.records import Resource
from api.security.audit_event import MAX_ENTITIES, AuditWriter, Happened, merged
from api.security.errors import BorderError
from api.security.retention import forget_before
from api.store import ResourceStore
from terminology.graph import BodyStructureGraph

logger = logging.getLogger(__name__)

Audited = Literal["all", "writes", "off"]

_BATCH: Final = 500
_EVERY_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 2.0
_FULL: Final = 20_000
_PRUNE_SECONDS: Final = 3600.0
_DAY_MICROSECONDS: Final = 24 * 3600 * 1_000_000
_NOTED: Final = "audited"


def note(scope: Scope, references: Iterable[str]) -> None:
    """Tell the audit trail which resources (``Type/id``) a request is about.

    Routes call it for what the address does not say: the studies that were annotated, the entries
    of a batch.
    """
    noted = scope.setdefault("state", {}).setdefault(_NOTED, [])
    noted.extend(reference for reference in references if len(noted) < MAX_ENTITIES)


def noted(scope: Scope) -> tuple[str, ...]:
    """Return what routes noted."""
    return tuple(scope.get("state", {}).get(_NOTED, ()))


class AuditTrail:
    """Takes what happened, and stores it as AuditEvent from a thread of its own.

    A process that is killed loses what it took within the last half second; one that is told to
    end calls `close`, which stores everything.

    Parameters
    ----------
    level
        "all" that touches resources, "writes" (with exports and refusals), or nothing.
    days
        How long events are kept; 0 keeps them for good.
    """

    def __init__(
        self,
        store: ResourceStore,
        graph: BodyStructureGraph,
        writer: AuditWriter,
        level: Audited,
        days: int,
    ) -> None:
        self._store = store
        self._graph = graph
        self._writer = writer
        self._level = level
        self._days = days
        self._waiting: deque[Happened] = deque()
        self._wake = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._writing = threading.Lock()
        self._pruned: float | None = None

    @property
    def waiting(self) -> int:
        """How many events are not stored yet."""
        return len(self._waiting)

    def check(self) -> None:
        """Refuse, with 503, while more waits than is held: what is not written must not happen."""
        if len(self._waiting) >= _FULL:
            raise BorderError(
                "audit",
                "what happens cannot be written down at the moment",
                "a database that takes AuditEvents",
                "Try again later.",
                status=503,
                issue="transient",
                headers={"Retry-After": "5"},
            )

    def wants(self, one: Happened) -> bool:
        """Return whether the settings ask for `one` to be written down."""
        if self._level == "off":
            return False
        return self._level == "all" or one.deed.changes or one.status in (401, 403)

    def take(self, one: Happened) -> None:
        """Write `one` down, soon."""
        if not self.wants(one):
            return
        with self._wake:
            self._waiting.append(one)
            if self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
                self._thread.start()
            if len(self._waiting) >= _BATCH:
                self._wake.notify()

    def flush(self) -> None:
        """Store everything that was taken; what the store cannot take stays for later."""
        with self._writing:
            while self._waiting:
                batch = [self._waiting[number] for number in range(min(_BATCH, len(self._waiting)))]
                self._store_all([self._resource(one) for one in merged(batch)])
                for _ in batch:
                    self._waiting.popleft()

    def close(self) -> None:
        """Store everything and take up no more threads."""
        with self._wake:
            self._closing = True
            self._wake.notify()
            thread = self._thread
        if thread is not None:
            thread.join()
        self.flush()

    def prune(self) -> int:
        """Delete what is older than it is to be kept; return how many events went."""
        if not self._days:
            return 0
        before = time.time_ns() // 1000 - self._days * _DAY_MICROSECONDS
        return forget_before(self._store, "AuditEvent", before)

    def _resource(self, one: Happened) -> Resource:
        return indexed("AuditEvent", self._writer.event(one), graph=self._graph)

    def _store_all(self, resources: list[Resource]) -> None:
        self._store.run(lambda tx: tx.create(resources))

    def _run(self) -> None:
        while True:
            with self._wake:
                if len(self._waiting) < _BATCH and not self._closing:
                    self._wake.wait(_EVERY_SECONDS)
                if self._closing or not self._waiting:
                    # What comes next starts another one.
                    self._thread = None
                    return
            try:
                self.flush()
                self._prune_in_time()
            except Exception as error:  # noqa: BLE001
                # The message may hold the statement with its values.
                logger.error("AuditEvents wait: %s at %s", type(error).__name__, place_of(error))
                self._pause()

    def _prune_in_time(self) -> None:
        now = time.monotonic()
        if self._pruned is None or now - self._pruned >= _PRUNE_SECONDS:
            self._pruned = now
            self.prune()

    def _pause(self) -> None:
        with self._wake:
            if not self._closing:
                self._wake.wait(_RETRY_SECONDS)
