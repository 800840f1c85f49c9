"""The queue of jobs: two tables of the store, which all worker processes share.

Whoever takes a job holds a lease on it and renews it while it works. A process that died renews
nothing: when its lease has run out, the job is taken again and goes on where it stood. The end of
the lease is a fence as well: whoever lost the lease meanwhile (a process that was stopped and woke
up again) can commit nothing more.

Several processes may take jobs at once: on PostgreSQL a row that another one is taking is passed
over (SKIP LOCKED), on SQLite a transaction that writes is alone.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

import sqlalchemy as sa

from api.jobs.records import Job, Part, State
from api.store.engine import writing
from api.store.rows import now
from api.store.schema import job as _job
from api.store.schema import job_part as _part

_SECOND: Final = 1_000_000
_JOB_COLUMNS: Final = tuple(_job.c[name] for name in (
    "id", "kind", "owner", "state", "request", "progress", "result", "created", "updated",
    "lease_until", "cancel",
))  # fmt: skip
# A job that ended its process so many times at the same place would end the next one, too.
MAX_TAKEOVERS: Final = 3
TAKEOVERS: Final = "takeovers"


class LeaseLostError(Exception):
    """Another process holds the job now, or it was removed: nothing more may be written for it."""


class Lease:
    """The right to work on a job. Renewing it from another thread is safe."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.until = job.lease_until
        self.lock = threading.Lock()


class JobQueue:
    """Jobs in the database behind `engine`.

    Parameters
    ----------
    engine
        As of `api.store.engine.open_engine`.
    lease_seconds
        How long a process may be silent before its job is taken from it.
    writing
        What a writer of this process waits for, where the database has one writer at a time.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        lease_seconds: float = 60.0,
        writing: AbstractContextManager[object] | None = None,
    ) -> None:
        self.engine = engine
        self.lease_seconds = lease_seconds
        self._writing = writing or nullcontext()

    # -- what routes do -------------------------------------------------------------------------

    def submit(
        self, kind: str, owner: str, request: Mapping[str, Any], job_id: str | None = None
    ) -> Job:
        """Put a job into the queue and return it."""
        moment = now()
        job_id = job_id or str(uuid4())
        values = {
            "id": job_id,
            "kind": kind,
            "owner": owner,
            "state": State.QUEUED,
            "request": json.dumps(request),
            "progress": "{}",
            "result": None,
            "created": moment,
            "updated": moment,
            "lease_until": None,
            "cancel": False,
        }
        with self._write() as connection:
            connection.execute(sa.insert(_job).values(values))
        return Job(job_id, kind, owner, State.QUEUED, request, {}, {}, moment, moment)

    def read(self, job_id: str) -> Job | None:
        """Return a job, or `None`."""
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(*_JOB_COLUMNS).where(_job.c.id == job_id)).first()
        return _job_of(row) if row is not None else None

    def unfinished(self, owner: str) -> int:
        """Return how many jobs of an owner wait or run."""
        statement = sa.select(sa.func.count()).where(
            _job.c.owner == owner,
            _job.c.state.in_([State.QUEUED, State.RUNNING]),
            _job.c.cancel == sa.false(),
        )
        with self.engine.connect() as connection:
            return int(connection.scalar(statement) or 0)

    def figures(self) -> dict[tuple[str, str], int]:
        """Return how many jobs there are, by kind and state."""
        statement = sa.select(_job.c.kind, _job.c.state, sa.func.count()).group_by(
            _job.c.kind, _job.c.state
        )
        with self.engine.connect() as connection:
            return {(kind, state): count for kind, state, count in connection.execute(statement)}

    def cancel(self, job_id: str) -> None:
        """End a job and remove what it made; one that runs ends as soon as its process sees it."""
        with self._write() as connection:
            state = connection.scalar(
                sa.select(_job.c.state).where(_job.c.id == job_id).with_for_update()
            )
            if state == State.RUNNING:
                connection.execute(
                    sa.update(_job).where(_job.c.id == job_id).values(cancel=True, updated=now())
                )
            elif state is not None:
                _remove(connection, [job_id])

    def parts(self, job_id: str) -> list[Part]:
        """Return the parts of a job in the order in which they were made, without their bodies."""
        statement = (
            sa.select(_part.c.number, _part.c.media_type)
            .where(_part.c.job_id == job_id)
            .order_by(_part.c.number)
        )
        with self.engine.connect() as connection:
            return [
                Part.described(number, media) for number, media in connection.execute(statement)
            ]

    def part(self, job_id: str, number: int) -> Part | None:
        """Return one part with its body."""
        statement = sa.select(_part.c.media_type, _part.c.body).where(
            _part.c.job_id == job_id, _part.c.number == number
        )
        with self.engine.connect() as connection:
            row = connection.execute(statement).first()
        return Part.described(number, row.media_type, bytes(row.body)) if row is not None else None

    # -- what a runner does ---------------------------------------------------------------------

    def take(self, kinds: Collection[str]) -> Lease | None:
        """Return the lease on the oldest job of these kinds that nobody works on, or `None`."""
        moment = now()
        idle = sa.or_(_job.c.lease_until.is_(None), _job.c.lease_until < moment)
        statement = (
            sa.select(*_JOB_COLUMNS)
            .where(
                _job.c.state.in_([State.QUEUED, State.RUNNING]), idle, _job.c.kind.in_(list(kinds))
            )
            .order_by(_job.c.created, _job.c.id)
            .limit(1)
        )
        with self.engine.connect() as connection:
            # Looked at without the lock of a writer, which an idle process must not ask for.
            if connection.execute(statement).first() is None:
                return None
        with self._write() as connection:
            row = connection.execute(statement.with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            found = _job_of(row)
            progress = dict(found.progress)
            if found.state is State.RUNNING:
                progress[TAKEOVERS] = progress.get(TAKEOVERS, 0) + 1
            until = moment + int(self.lease_seconds * _SECOND)
            connection.execute(
                sa.update(_job)
                .where(_job.c.id == found.id)
                .values(
                    state=State.RUNNING,
                    lease_until=until,
                    progress=json.dumps(progress),
                    updated=moment,
                )
            )
        return Lease(
            replace(
                found, state=State.RUNNING, progress=progress, updated=moment, lease_until=until
            )
        )

    def renew(self, lease: Lease) -> bool:
        """Prolong a lease, and return whether the job is still wanted.

        Raises
        ------
        LeaseLostError
            Another process has the job, or it was removed.
        """
        with lease.lock:
            until = self._until(lease)
            with self._write() as connection:
                _fenced(connection, lease, {"lease_until": until})
                cancel = connection.scalar(
                    sa.select(_job.c.cancel).where(_job.c.id == lease.job.id)
                )
            lease.until = until
        return not cancel

    def commit(self, lease: Lease, progress: Mapping[str, Any], parts: Sequence[Part] = ()) -> bool:
        """Store parts and how far the work is, in one transaction; renew the lease.

        Returns
        -------
        bool
            Whether the job is still wanted.

        Raises
        ------
        LeaseLostError
            Another process has the job, or it was removed; nothing was stored.
        """
        with lease.lock:
            until = self._until(lease)
            values = {
                "lease_until": until,
                "progress": json.dumps(progress),
                "updated": now(),
            }
            with self._write() as connection:
                _fenced(connection, lease, values)
                _add_parts(connection, lease.job.id, parts)
                cancel = connection.scalar(
                    sa.select(_job.c.cancel).where(_job.c.id == lease.job.id)
                )
            lease.until = until
        return not cancel

    def finish(
        self,
        lease: Lease,
        state: State,
        result: Mapping[str, Any],
        parts: Sequence[Part] = (),
        *,
        without: str | None = None,
    ) -> None:
        """End a job; a cancelled one leaves nothing behind, parts named `without` go in any case.

        Raises
        ------
        LeaseLostError
            Another process has the job, or it was removed; nothing was stored.
        """
        with lease.lock, self._write() as connection:
            values = {
                "state": state,
                "result": json.dumps(result),
                "lease_until": None,
                "updated": now(),
            }
            _fenced(connection, lease, values)
            if state is State.CANCELLED:
                _remove(connection, [lease.job.id])
                return
            if without is not None:
                connection.execute(
                    sa.delete(_part).where(
                        _part.c.job_id == lease.job.id,
                        _part.c.media_type.contains(f";name={without};"),
                    )
                )
            _add_parts(connection, lease.job.id, parts)

    def hand_back(self, lease: Lease, *, seconds: float = 0.0) -> None:
        """Put a job back into the queue as it stands; nobody takes it for so many seconds."""
        with lease.lock, self._write() as connection:
            later = now() + int(seconds * _SECOND) if seconds else None
            _fenced(connection, lease, {"state": State.QUEUED, "lease_until": later})

    def expire(self, before: int) -> list[str]:
        """Remove the jobs that were over before a time, and return their ids."""
        old = sa.select(_job.c.id).where(
            _job.c.state.not_in([State.QUEUED, State.RUNNING]), _job.c.updated < before
        )
        with self.engine.connect() as connection:
            if connection.execute(old.limit(1)).first() is None:
                return []
        with self._write() as connection:
            ids = list(connection.scalars(old))
            _remove(connection, ids)
        return ids

    def unfinished_among(self, ids: Collection[str]) -> set[str]:
        """Return which of `ids` are jobs that wait or run."""
        statement = sa.select(_job.c.id).where(
            _job.c.id.in_(list(ids)), _job.c.state.in_([State.QUEUED, State.RUNNING])
        )
        with self.engine.connect() as connection:
            return set(connection.scalars(statement))

    def _until(self, lease: Lease) -> int:
        # Later than before whatever the clock says: the time is the fence.
        return max(now() + int(self.lease_seconds * _SECOND), lease.until + 1)

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        with self._writing, writing(self.engine) as connection:
            yield connection


def _fenced(connection: sa.Connection, lease: Lease, values: Mapping[str, Any]) -> None:
    """Change the job of a lease, if it is held still."""
    done = connection.execute(
        sa.update(_job)
        .where(
            _job.c.id == lease.job.id,
            _job.c.state == State.RUNNING,
            _job.c.lease_until == lease.until,
        )
        .values(**values)
    )
    if done.rowcount != 1:
        raise LeaseLostError


def _add_parts(connection: sa.Connection, job_id: str, parts: Sequence[Part]) -> None:
    if parts:
        rows = [
            {
                "job_id": job_id,
                "number": part.number,
                "media_type": part.media_type,
                "body": part.body,
            }
            for part in parts
        ]
        connection.execute(sa.insert(_part), rows)


def _remove(connection: sa.Connection, ids: Sequence[str]) -> None:
    connection.execute(sa.delete(_part).where(_part.c.job_id.in_(ids)))
    connection.execute(sa.delete(_job).where(_job.c.id.in_(ids)))


def _job_of(row: Any) -> Job:
    return Job(
        row.id,
        row.kind,
        row.owner,
        State(row.state),
        json.loads(row.request),
        json.loads(row.progress),
        json.loads(row.result) if row.result else {},
        row.created,
        row.updated,
        row.lease_until or 0,
        bool(row.cancel),
    )
