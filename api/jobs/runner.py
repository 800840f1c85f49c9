"""The thread of a worker process that takes jobs from the queue and does them, one at a time.

A second thread renews the lease while a job runs, since one step of the work may take long. When
the process is asked to end, the job at hand commits what it has and goes back into the queue, so
that another process, or the next one, goes on with it at once.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from api.errors import RequestError, place_of
from api.jobs.queue import MAX_TAKEOVERS, TAKEOVERS, JobQueue, Lease, LeaseLostError
from api.jobs.records import Job, Part, State
from api.outcome import outcome_of, status_of
from api.store.failures import STORE_FAILURES
from terminology.errors import BodySiteError

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS: Final = 1.0
_SECONDS_BETWEEN_CLEANINGS: Final = 60.0
# After a failure of the store, which may be short.
_SECONDS_TO_RETRY: Final = 5.0
# What a job may take to end when the process is asked to.
_SECONDS_TO_STOP: Final = 60.0


class _CancelledError(Exception):
    """Nobody wants the job any more."""


class _StoppingError(Exception):
    """The process is asked to end."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended, the last parts that it made, and which parts it needs no more."""

    state: State
    result: Mapping[str, Any] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    without: str | None = None


class Task:
    """A job at hand, as the function that does it sees it."""

    def __init__(self, queue: JobQueue, lease: Lease, stopping: threading.Event) -> None:
        self._queue = queue
        self._lease = lease
        self._stopping = stopping
        self.unwanted = threading.Event()
        self.lost = threading.Event()

    @property
    def job(self) -> Job:
        """The job as it was taken."""
        return self._lease.job

    def check(self) -> None:
        """Go on, or leave the job where it stands: it is unwanted, lost, or the process ends."""
        if self.lost.is_set():
            raise LeaseLostError
        if self.unwanted.is_set():
            raise _CancelledError
        if self._stopping.is_set():
            raise _StoppingError

    def commit(self, progress: Mapping[str, Any], parts: Sequence[Part] = ()) -> None:
        """Store parts and progress in one transaction, then as `check`."""
        if not self._queue.commit(self._lease, progress, parts):
            self.unwanted.set()
        self.check()


Work = Callable[[Task], Ending]


class JobRunner:
    """Takes jobs and does them.

    Parameters
    ----------
    work
        Returns kind of job → the function that does it.
    clean
        Called now and then: removes what is kept no longer.
    over
        Called with a job that is over.
    timed
        Called with a job, how it ended, and the seconds that this process worked on it.
    """

    def __init__(
        self,
        queue: JobQueue,
        work: Callable[[], Mapping[str, Work]],
        clean: Callable[[], None],
        over: Callable[[Job], None],
        timed: Callable[[Job, State, float], None],
    ) -> None:
        self._queue = queue
        self._work = work
        self._clean = clean
        self._over = over
        self._timed = timed
        self._stopping = threading.Event()
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to take jobs in a thread of its own."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="bodysite-jobs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Hand the job at hand back, and end the thread."""
        self._stopping.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(_SECONDS_TO_STOP)
            self._thread = None

    def wake(self) -> None:
        """Look for a job now: one was put into the queue by this process."""
        self._wanted.set()

    def run_waiting(self) -> int:
        """Do what waits in the queue, in this thread, and return how many jobs were taken."""
        taken = 0
        while not self._stopping.is_set():
            lease = self._queue.take(tuple(self._work()))
            if lease is None:
                break
            taken += 1
            self._do(lease)
        return taken

    def _run(self) -> None:
        cleaned = 0.0
        while not self._stopping.is_set():
            self._wanted.clear()
            try:
                self.run_waiting()
                if time.monotonic() - cleaned > _SECONDS_BETWEEN_CLEANINGS:
                    cleaned = time.monotonic()
                    self._clean()
            except Exception as error:  # noqa: BLE001 (the thread must outlive a store that fails)
                logger.error("jobs: unexpected %s at %s", type(error).__name__, place_of(error))
                self._stopping.wait(_SECONDS_TO_RETRY)
            self._wanted.wait(_SECONDS_BETWEEN_LOOKS)

    def _do(self, lease: Lease) -> None:
        job = lease.job
        task = Task(self._queue, lease, self._stopping)
        begun = time.perf_counter()
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(lease, task, ended), daemon=True)
        renewing.start()
        try:
            ending = self._ending(task)
        except LeaseLostError:
            logger.warning("job %s: another process has taken it", job.id)
            return
        except _StoppingError:
            self._hand_back(lease)
            return
        except STORE_FAILURES as error:
            # The statement and its values may hold identifiers: the type alone is logged.
            logger.error("job %s: the store failed: %s", job.id, type(error).__name__)
            self._hand_back(lease, _SECONDS_TO_RETRY)
            return
        finally:
            ended.set()
            renewing.join()
        try:
            self._queue.finish(
                lease, ending.state, ending.result, ending.parts, without=ending.without
            )
        except LeaseLostError:
            logger.warning("job %s: another process has taken it", job.id)
            return
        self._over(job)
        self._timed(job, ending.state, time.perf_counter() - begun)

    def _ending(self, task: Task) -> Ending:
        job = task.job
        try:
            if job.cancel:
                raise _CancelledError
            if job.progress.get(TAKEOVERS, 0) > MAX_TAKEOVERS:
                raise _ended_its_process(job)
            return self._work()[job.kind](task)
        except _CancelledError:
            return Ending(State.CANCELLED)
        except BodySiteError as error:
            return _failed(error)
        except (LeaseLostError, _StoppingError, *STORE_FAILURES):
            raise
        except Exception as error:  # noqa: BLE001 (a fault of ours in one job must not end the thread)
            logger.error(
                "job %s: unexpected %s at %s", job.id, type(error).__name__, place_of(error)
            )
            return _failed(_fault(job))

    def _hand_back(self, lease: Lease, seconds: float = 0.0) -> None:
        with contextlib.suppress(LeaseLostError, *STORE_FAILURES):
            self._queue.hand_back(lease, seconds=seconds)

    def _renew(self, lease: Lease, task: Task, ended: threading.Event) -> None:
        while not ended.wait(self._queue.lease_seconds / 4):
            try:
                if not self._queue.renew(lease):
                    task.unwanted.set()
            except LeaseLostError:
                task.lost.set()
                return
            except sa.exc.SQLAlchemyError as error:
                logger.warning("job %s: %s while renewing", lease.job.id, type(error).__name__)


def _failed(error: BodySiteError) -> Ending:
    return Ending(State.FAILED, {"status": status_of(error), "outcome": outcome_of(error)})


def _fault(job: Job) -> RequestError:
    return RequestError(
        f"job {job.id}",
        "the work failed because of a fault of the service",
        "an end of the work, or a reason why there is none",
        "The log names the kind of error and the place; please report both. What was stored before"
        " stays stored.",
        status=500,
        issue="exception",
    )


def _ended_its_process(job: Job) -> RequestError:
    return RequestError(
        f"job {job.id}",
        f"the work has ended the process that did it {job.progress[TAKEOVERS]} times at the same"
        " place",
        "work that goes on",
        "Look for a lack of memory in the log of the system, or send less at once.",
        status=500,
        issue="exception",
    )
