"""Files annotated in several processes, in order; a process that dies loses one file only.

A decoder of a hostile file may end its process, fill its memory or never return. The file that a
process was at when it died, or that it spends too long on, becomes an error with its name; another
process takes its place. `concurrent.futures` gives up a whole pool when one process dies.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Final

from api.annotate_work import Done, Unit, Work, annotate_from, fault
from api.annotator import Annotated, Failed, Result
from classifier.errors import PredictionError
from terminology.errors import BodySiteError

if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext, SpawnProcess

# Units that are handed out before the oldest is done: results wait in memory for their turn.
_AHEAD: Final = 16
_POLL_SECONDS: Final = 1.0
_JOIN_SECONDS: Final = 5.0
_READY: Final = "ready"
_AT: Final = "at"
_RESULT: Final = "result"
_END: Final = "end"
_REFUSED: Final = "refused"


def annotate_in_processes(units: Iterable[Unit], work: Work, processes: int) -> Iterator[Done]:
    """Yield each unit with its results, in the order of `units`, read by so many processes.

    A file may take as long as its header and its pixels may by `work.limits`.

    Raises
    ------
    BodySiteError
        A process cannot load what `work` says.
    """
    pool = _Pool(work, processes)
    try:
        yield from pool.run(iter(units))
    finally:
        pool.close()


@dataclass(slots=True)
class _Job:
    """A unit that a process is at: its place, its results so far, the item it is at."""

    number: int
    unit: Unit
    results: list[Result] = field(default_factory=list)
    at: str | None = None


class _Worker:
    """A process, and what it is doing."""

    def __init__(self, context: SpawnContext, work: Work) -> None:
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=_serve, args=(theirs, work), daemon=True
        )
        with _sigint_held():
            self.process.start()
        # Only the process holds that end: its death is the end of the stream.
        theirs.close()
        self.ready = False
        self.job: _Job | None = None
        self.since = time.monotonic()

    def give(self, job: _Job) -> None:
        """Start on `job`; what it has results for is not done again."""
        self.job = job
        job.at = None
        self.since = time.monotonic()
        # Where the process is gone, the next look at it finds out.
        with contextlib.suppress(OSError):
            self.connection.send((job.unit, len(job.results)))

    def end(self) -> None:
        """End the process now."""
        self.connection.close()
        self.process.kill()
        self.process.join(_JOIN_SECONDS)


class _Pool:
    def __init__(self, work: Work, processes: int) -> None:
        self._context = get_context("spawn")
        self._work = work
        self._seconds = work.limits.max_seconds_per_file + work.limits.max_seconds_per_image
        self._ahead = _AHEAD * processes
        self._done: dict[int, Done] = {}
        self._again: list[_Job] = []
        self._workers: list[_Worker] = []
        try:
            for _ in range(processes):
                self._workers.append(_Worker(self._context, work))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers:
            worker.end()

    def run(self, units: Iterator[Unit]) -> Iterator[Done]:
        """Yield each unit with its results, in order."""
        given = told = 0
        more = True
        while more or told < given:
            for worker in self._workers:
                if not worker.ready or worker.job is not None:
                    continue
                if self._again:
                    worker.give(self._again.pop())
                elif more and given - told < self._ahead:
                    unit = next(units, None)
                    if unit is None:
                        more = False
                        continue
                    worker.give(_Job(given, unit))
                    given += 1
            if told in self._done:
                yield self._done.pop(told)
                told += 1
                continue
            if more or told < given:
                self._listen()

    def _listen(self) -> None:
        """Take what the processes have to say, and look after those that are gone."""
        heard = set(wait([worker.connection for worker in self._workers], _POLL_SECONDS))
        for at, worker in enumerate(self._workers):
            if worker.connection in heard:
                try:
                    kind, content = worker.connection.recv()
                except (EOFError, OSError):
                    self._replace(at, "")
                else:
                    self._take(worker, kind, content)
            elif worker.job is not None and time.monotonic() - worker.since > self._seconds:
                self._replace(at, f"reading it took more than {self._seconds:.0f} seconds")

    def _take(self, worker: _Worker, kind: str, content: Any) -> None:
        worker.since = time.monotonic()
        if kind == _READY:
            worker.ready = True
        elif kind == _REFUSED:
            raise _unpacked_error(content)
        elif worker.job is not None:
            if kind == _AT:
                worker.job.at = content
            elif kind == _RESULT:
                worker.job.results.append(_unpacked(content))
                worker.job.at = None
            else:
                self._finish(worker.job)
                worker.job = None

    def _finish(self, job: _Job) -> None:
        self._done[job.number] = Done(job.unit, tuple(job.results))

    def _replace(self, at: int, why: str) -> None:
        """Put another process into the place of one that died or is to die."""
        worker = self._workers[at]
        worker.end()
        code = worker.process.exitcode
        if not worker.ready:
            raise BodySiteError(
                "--processes",
                f"a process ended while it loaded the terminology and the model ({_ended(code)})",
                "processes that start",
                "Give it more memory, or fewer processes; --processes 1 needs none.",
            )
        job = worker.job
        if job is not None:
            why = why or f"the process that read it ended ({_ended(code)})"
            job.results.append(fault(job.at or job.unit.path, why))
            # Of a zip, the members behind the one that did it are still to be read.
            if job.at is not None and job.at != job.unit.path:
                self._again.append(job)
            else:
                self._finish(job)
        self._workers[at] = _Worker(self._context, self._work)


@contextlib.contextmanager
def _sigint_held() -> Iterator[None]:
    """Hold Ctrl-C back; a process that is started meanwhile never hears of it.

    It is the business of this process, and would end others with a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit status {code}"


def _serve(connection: Connection, work: Work) -> None:
    """Annotate what comes over `connection`, until it is closed."""
    # Where it could not be held back.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        annotator = work.annotator()
    except BodySiteError as error:
        connection.send((_REFUSED, _packed_error(error)))
        return
    with contextlib.suppress(EOFError, OSError):
        connection.send((_READY, None))
        while True:
            unit, skip = connection.recv()
            for name, result in annotate_from(unit, skip, annotator, work.modality):
                if result is None:
                    connection.send((_AT, name))
                else:
                    connection.send((_RESULT, _packed(result)))
            connection.send((_END, None))


def _packed(result: Result) -> Any:
    # An error is made of four parts and does not pickle as it stands.
    error = result.error if isinstance(result, Failed) else result.refused
    if error is None:
        return result, None
    if isinstance(result, Failed):
        return (result.name, result.passed_by), _packed_error(error)
    return replace(result, refused=None), _packed_error(error)


def _unpacked(content: Any) -> Result:
    result, packed = content
    error = None if packed is None else _unpacked_error(packed)
    if isinstance(result, Annotated):
        return replace(result, refused=error) if isinstance(error, PredictionError) else result
    name, passed_by = result
    assert error is not None  # noqa: S101
    return Failed(name, error, passed_by)


def _packed_error(error: BodySiteError) -> Any:
    return type(error), error.args, vars(error)


def _unpacked_error(content: Any) -> BodySiteError:
    kind, args, state = content
    error: BodySiteError = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error
