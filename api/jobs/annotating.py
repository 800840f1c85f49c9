"""`$annotate` of a large upload: the job that works through it and stores study by study.

Files are taken in the order in which they came, so many at a time. Each time their studies are
stored, which is idempotent by SOP Instance UID, and then how far the work is. A process that dies
between the two leaves files that are annotated once more and stored as they are already.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa

from api.annotator import Annotator, Result
from api.batch import Batch, once, outcome_entries, stored_pictures, stored_studies
from api.errors import RequestError
from api.inputs import Item, Rejected
from api.jobs.export import Render
from api.jobs.parts import PartWriter, journal, line, lines_of
from api.jobs.queue import JobQueue
from api.jobs.records import ERROR, JOURNAL, State
from api.jobs.runner import Ending, Task
from api.jobs.spool import Spool
from api.outcome import outcome_of, status_of
from api.phi import PhiPolicy
from api.resources import ResourceBuilder
from api.store import ResourceStore
from api.store.rows import now
from api.store.schema import resource as _resource
from api.tx.resources_store import R4
from api.uploads import items_of

ANNOTATE: Final = "annotate"
_FILES_AT_ONCE: Final = 50
_SECONDS_AT_ONCE: Final = 5.0
_RESOURCES_AT_ONCE: Final = 500


def kind_at(place: str) -> str:
    """Return the kind of the jobs whose uploads lie in a place."""
    return f"{ANNOTATE}@{place}"


@dataclass(frozen=True, slots=True)
class AnnotateRequest:
    """What is to be annotated; `files` is how many files the upload holds."""

    release: str
    base: str
    url: str
    files: int
    modality: str | None = None
    manifest: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the request as the queue keeps it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Progress:
    """How many files are done, and how they went; `number` is that of the next part."""

    done: int = 0
    of: int = 0
    annotated: int = 0
    failed: int = 0
    faults: int = 0
    number: int = 1


@dataclass(frozen=True, slots=True)
class Parts:
    """What the work takes from the running service; the annotator follows a site's own tables."""

    annotator: Callable[[], Annotator]
    builder: ResourceBuilder
    store: ResourceStore
    counted: Callable[[str, int], None]


class AnnotateWork:
    """Does jobs of the kind `kind_at` a place.

    What is kept of a job lies in the database, so it obeys the PHI policy: unless that is `keep`,
    what went wrong with a file is told by its number, not by its name.
    """

    def __init__(
        self,
        queue: JobQueue,
        spool: Spool,
        parts: Parts,
        policy: PhiPolicy,
        render: Render,
        part_bytes: int,
    ) -> None:
        self._queue = queue
        self._spool = spool
        self._parts = parts
        self._policy = policy
        self._render = render
        self._part_bytes = part_bytes

    def __call__(self, task: Task) -> Ending:
        """Annotate what is not done yet."""
        request = AnnotateRequest(**task.job.request)
        kept = {name: task.job.progress.get(name) for name in _Progress.__slots__}
        progress = _Progress(**{name: value for name, value in kept.items() if value is not None})
        progress = replace(progress, of=request.files)
        with ExitStack() as stack:
            annotator = self._parts.annotator()
            # The time of one request is no bound on work that nobody waits for.
            limits = replace(annotator.limits, max_seconds_per_request=float("inf"))
            uploads = self._spool.open(task.job.id, stack)
            items = islice(items_of(uploads, limits), progress.done, None)
            wanted = _while_wanted(items, task)
            if self._policy is not PhiPolicy.KEEP:
                wanted = _numbered(wanted, progress.done, request.files)
            for chunk in _chunks(annotator.annotate_all(wanted, request.modality)):
                progress = self._stored(task, progress, chunk)
        return self._ending(task, request, progress)

    def _stored(self, task: Task, progress: _Progress, chunk: list[Result]) -> _Progress:
        """Store what is known of some files, and then how far the work is."""
        batch = Batch.of(chunk)
        builder, store = self._parts.builder, self._parts.store
        studies = stored_studies(batch, builder, store, "")
        pictures = stored_pictures(batch, builder, store, "")
        content = {
            "refs": [one.full_url for one in once((*studies.values(), pictures))],
            "outcomes": [one.body for one in outcome_entries(batch)],
        }
        self._parts.counted("annotated", batch.annotated)
        self._parts.counted("failed", len(batch.failed))
        part = journal(progress.number, content)
        progress = replace(
            progress,
            done=progress.done + len(chunk),
            annotated=progress.annotated + batch.annotated,
            failed=progress.failed + len(batch.failed),
            faults=progress.faults + sum(status_of(one.error) >= 500 for one in batch.failed),
            number=progress.number + 1,
        )
        task.commit(asdict(progress), [part])
        return progress

    def _ending(self, task: Task, request: AnnotateRequest, progress: _Progress) -> Ending:
        """Return the parts to hand out: the resources as they are now, and what went wrong."""
        refs: dict[str, None] = {}
        outcomes: list[str] = []
        for part in self._queue.parts(task.job.id):
            whole = self._queue.part(task.job.id, part.number) if part.name == JOURNAL else None
            for text in lines_of(whole) if whole is not None else ():
                content = json.loads(text)
                refs.update(dict.fromkeys(content["refs"]))
                outcomes += content["outcomes"]
        writer = PartWriter(progress.number, self._part_bytes)
        parts = []
        for kind, body in self._bodies(list(refs)):
            task.check()
            release = request.release
            text = body if release == R4 else line(self._render(json.loads(body), release))
            writer.add(kind, text)
            if writer.is_full:
                parts += writer.take()
        for text in outcomes:
            writer.add(ERROR, text)
        parts += writer.take()
        status = 200 if progress.annotated else 500 if progress.faults else 422
        result = {"status": status, "moment": now()}
        return Ending(State.DONE, result, tuple(parts), without=JOURNAL)

    def _bodies(self, refs: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield type and content of the resources that are there still."""
        for start in range(0, len(refs), _RESOURCES_AT_ONCE):
            chosen = [ref.strip("/").split("/") for ref in refs[start : start + _RESOURCES_AT_ONCE]]
            statement = sa.select(_resource.c.type, _resource.c.id, _resource.c.body).where(
                _resource.c.id.in_([resource_id for _, resource_id in chosen]),
                _resource.c.deleted == sa.false(),
            )
            with self._queue.engine.connect() as connection:
                found = {(row.type, row.id): row.body for row in connection.execute(statement)}
            for kind, resource_id in chosen:
                if (kind, resource_id) in found:
                    yield kind, found[kind, resource_id]


def _numbered(items: Iterator[Item | Rejected], done: int, of: int) -> Iterator[Item | Rejected]:
    """Yield items under their numbers instead of their names, which may be those of patients."""
    for number, item in enumerate(items, done + 1):
        name = f"file {number} of {of}"
        if isinstance(item, Item):
            yield replace(item, name=name)
        else:
            error = item.error
            found = outcome_of(error)["issue"][0]
            yield Rejected(
                name,
                RequestError(
                    name,
                    error.what,
                    error.expected,
                    error.remedy,
                    status=status_of(error),
                    issue=found["code"],
                ),
            )


def _while_wanted(items: Iterator[Item | Rejected], task: Task) -> Iterator[Item | Rejected]:
    for item in items:
        task.check()
        yield item


def _chunks(results: Iterator[Result]) -> Iterator[list[Result]]:
    """Yield results in lists, so many and not after so long."""
    chunk: list[Result] = []
    begun = time.monotonic()
    for result in results:
        chunk.append(result)
        if len(chunk) >= _FILES_AT_ONCE or time.monotonic() - begun > _SECONDS_AT_ONCE:
            yield chunk
            chunk, begun = [], time.monotonic()
    if chunk:
        yield chunk
