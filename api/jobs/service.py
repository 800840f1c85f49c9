"""`Jobs`: queue, spool and runner of one process, as the routes are handed them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import sqlalchemy as sa
from prometheus_client import Histogram

from api.jobs.annotating import AnnotateRequest, AnnotateWork, Parts, kind_at
from api.jobs.export import EXPORT, ExportRequest, ExportWork, Render
from api.jobs.queue import JobQueue
from api.jobs.records import Job, State
from api.jobs.runner import JobRunner, Work
from api.jobs.spool import Spool
from api.records import Query
from api.security.actor import Actor
from api.security.errors import TooManyError
from api.store.rows import now
from api.uploads import Upload

if TYPE_CHECKING:
    from api.deps import Service

_HOUR: Final = 3600 * 1_000_000
_SECONDS_TO_WAIT: Final = 30


class Jobs:
    """What a process does behind its answers.

    Parameters
    ----------
    render
        A resource as it is stored, and a release → the resource in that release.
    """

    def __init__(self, service: Service, render: Render) -> None:
        settings, store = service.settings, service.store
        self.queue = JobQueue(
            store.engine, lease_seconds=settings.job_lease_seconds, writing=store.writing
        )
        self._searcher = service.searcher
        self._spool = Spool(settings.data_dir or data_dir_of(store.engine.url))
        self._max_files = settings.max_files
        self._max_jobs = settings.max_jobs
        self._kept = int(settings.job_retention_hours * _HOUR)
        self._files = service.metrics.files
        parts = Parts(lambda: service.annotator, service.builder, service.store, self._counted)
        self._annotating = AnnotateWork(
            self.queue, self._spool, parts, settings.phi, render, settings.job_part_bytes
        )
        self._exporting = ExportWork(self.queue, self.query_of, render, settings.job_part_bytes)
        self._seconds = Histogram(
            "bodysite_job_seconds",
            "Time that a process worked on a job, by kind and how it ended.",
            ("kind", "state"),
            registry=service.metrics.registry,
            buckets=(0.1, 1, 10, 60, 600, 3600, 36_000),
        )
        service.metrics.watch(
            "bodysite_jobs",
            "Jobs of bulk export and of large uploads, by state.",
            self._figures,
            label="state",
            shared=True,
        )
        self._runner = JobRunner(
            self.queue, self._work, clean=self.clean, over=self._over, timed=self._timed
        )

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to take jobs."""
        self._runner.start()

    def stop(self) -> None:
        """Hand back what is being done, and take nothing more."""
        self._runner.stop()

    def run_waiting(self) -> int:
        """Do all that waits, in this thread, and return how many jobs were taken."""
        return self._runner.run_waiting()

    def clean(self) -> None:
        """Remove jobs that are kept no longer, and uploads without a job."""
        self.queue.expire(now() - self._kept)
        self._spool.clean(self.queue.unfinished_among)

    def query_of(self, kind: str, parameters: Sequence[tuple[str, str]], release: str) -> Query:
        """Return the query of the store that search parameters of a release mean."""
        return self._searcher.query_of(kind, tuple(parameters), release=release)

    # -- what clients ask for -----------------------------------------------------------------

    def begin_export(self, request: ExportRequest, actor: Actor) -> Job:
        """Put an export into the queue."""
        self.check_room(actor)
        job = self.queue.submit(EXPORT, owner_of(actor), request.as_json())
        self._runner.wake()
        return job

    def begin_annotating(
        self, uploads: Sequence[Upload], request: AnnotateRequest, actor: Actor
    ) -> Job:
        """Keep an upload on the disk, and put its annotation into the queue."""
        job_id = str(uuid4())
        request = AnnotateRequest(
            **{**request.as_json(), "files": self._spool.keep(job_id, uploads, self._max_files)}
        )
        kind = kind_at(self._spool.make_place())
        try:
            job = self.queue.submit(kind, owner_of(actor), request.as_json(), job_id)
        except BaseException:
            self._spool.remove(job_id)
            raise
        self._runner.wake()
        return job

    def check_room(self, actor: Actor) -> None:
        """Raise `TooManyError` when a client has as many jobs as it may have."""
        if self.queue.unfinished(owner_of(actor)) >= self._max_jobs:
            raise TooManyError(
                f"{self._max_jobs} of your jobs wait or run already",
                f"at most {self._max_jobs} at a time; DELETE cancels one",
                _SECONDS_TO_WAIT,
            )

    def find(self, job_id: str, release: str, actor: Actor) -> Job | None:
        """Return a job of this client; `None` where there is none, and for jobs of others."""
        job = self.queue.read(job_id)
        if job is None or job.is_gone or job.owner != owner_of(actor):
            return None
        return job if job.request.get("release") == release else None

    def cancel(self, job: Job) -> None:
        """End a job and remove what it made."""
        self.queue.cancel(job.id)
        if self.queue.read(job.id) is None:
            self._spool.remove(job.id)

    def expires(self, job: Job) -> int:
        """Return when a job that is over is removed, in microseconds since 1970."""
        return job.updated + self._kept

    # -- what the runner asks for ---------------------------------------------------------------

    def _work(self) -> Mapping[str, Work]:
        """Return what this process can do: uploads that lie elsewhere it cannot annotate."""
        place = self._spool.place
        work: dict[str, Work] = {EXPORT: self._exporting}
        return work if place is None else {**work, kind_at(place): self._annotating}

    def _counted(self, outcome: str, count: int) -> None:
        self._files.labels(outcome).inc(count)

    def _over(self, job: Job) -> None:
        self._spool.remove(job.id)

    def _timed(self, job: Job, state: State, seconds: float) -> None:
        self._seconds.labels(job.kind.partition("@")[0], str(state)).observe(seconds)

    def _figures(self) -> Mapping[str, float]:
        figures: Counter[str] = Counter({str(state): 0 for state in State})
        for (_, state), count in self.queue.figures().items():
            figures[state] += count
        return dict(figures)


def owner_of(actor: Actor) -> str:
    """Return whose a job is: the name of a client and how it was made sure of."""
    return f"{actor.kind}:{actor.name}"


def data_dir_of(url: sa.URL) -> Path:
    """Return where uploads wait unless it is set: beside the file of the database, or here."""
    if url.get_backend_name() == "sqlite" and url.database:
        path = Path(url.database).absolute()
        return path.with_name(f"{path.name}-uploads")
    return Path("bodysite-uploads").absolute()
