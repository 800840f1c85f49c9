"""Several processes that answer behind one address.

Each has a listening socket of its own on the same port, among which the kernel spreads connections;
of one socket that all share, whichever process wakes first takes all connections that wait. The
sockets belong to the process that starts the others: when one dies, its successor takes over the
socket with the connections that wait in it.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, MutableSequence, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import SpawnProcess
from multiprocessing.sharedctypes import RawArray
from types import FrameType
from typing import Any, Final

from fastapi import FastAPI

from api.metrics import SHARED_FOLDER
from api.operations.logs import configure_logging
from api.operations.serving import GRACE_S, SIGNALS, run, status_of
from api.operations.systemd import Notifier
from api.settings import Settings
from terminology.errors import BodySiteError

logger = logging.getLogger(__name__)

_TICK_S: Final = 0.1
# A process whose event loop has stood still for so long answers nobody.
_STILL_S: Final = 60.0
# Before a process that died is replaced once more; doubled each time, up to the second.
_PAUSE_S: Final = (0.0, 30.0)
_FAILED: Final = 3


class WorkerError(BodySiteError):
    """A process that did not start, so that the others would not, either."""


def run_workers(
    settings: Settings, listeners: Sequence[socket.socket], notifier: Notifier | None = None
) -> int:
    """Answer on `listeners` with as many processes until told to end; return the exit status.

    A process that dies is replaced. The status is that of `api.operations.serving.run`.

    Raises
    ------
    WorkerError
        A process ended before it had answered anything: the others would, too.
    """
    with _counted():
        return _Supervisor(settings, listeners, notifier or Notifier()).run()


@contextlib.contextmanager
def _counted() -> Iterator[None]:
    """Give the processes that are started meanwhile a folder to count in together."""
    before = os.environ.get(SHARED_FOLDER)
    with tempfile.TemporaryDirectory(prefix="bodysite-metrics-") as folder:
        os.environ[SHARED_FOLDER] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ[SHARED_FOLDER]
            else:
                os.environ[SHARED_FOLDER] = before


@dataclass(slots=True)
class _Worker:
    """One process, and the times at which it was started and replaced."""

    process: SpawnProcess
    started: float
    pause: float = field(default=_PAUSE_S[0])
    again: float | None = None


class _Supervisor:
    """Starts the processes, replaces them, and ends them."""

    def __init__(
        self, settings: Settings, listeners: Sequence[socket.socket], notifier: Notifier
    ) -> None:
        self._settings = settings
        self._listeners = list(listeners)
        self._notifier = notifier
        self._context = multiprocessing.get_context("spawn")
        # When each event loop turned last, on the clock that all processes share; 0 for not yet.
        self._beats: MutableSequence[float] = RawArray("d", len(self._listeners))
        self._workers: list[_Worker] = []
        self._signals: list[int] = []
        self._ready = False
        self._beaten = 0.0

    def run(self) -> int:
        """Return when all processes have ended."""
        before = {one: signal.signal(one, self._told) for one in SIGNALS}
        try:
            for number in range(len(self._listeners)):
                self._workers.append(self._start(number))
            while not self._signals:
                for number in range(len(self._workers)):
                    self._look_after(number)
                self._tell()
                time.sleep(_TICK_S)
            return self._end()
        except BaseException:
            self._kill()
            raise
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def _told(self, sig: int, _frame: FrameType | None) -> None:
        self._signals.append(sig)

    def _start(self, number: int, pause: float = _PAUSE_S[0]) -> _Worker:
        self._beats[number] = 0.0
        process = self._context.Process(
            target=_serve,
            args=(
                _packed(self._settings),
                self._listeners[number],
                self._beats,
                number,
                os.getpid(),
            ),
            name=f"bodysite-{number}",
        )
        process.start()
        return _Worker(process, time.monotonic(), pause)

    def _look_after(self, number: int) -> None:
        worker = self._workers[number]
        now = time.monotonic()
        if worker.again is not None:
            if now >= worker.again:
                self._workers[number] = self._start(number, worker.pause)
            return
        beat = self._beats[number]
        if worker.process.is_alive():
            if not beat or now - beat < _STILL_S:
                return
            logger.error("a process stands still and is ended", extra=_pid(worker))
            worker.process.kill()
        worker.process.join()
        _forget(worker)
        if not self._ready and not beat:
            raise WorkerError(
                "workers",
                "a process ended before it answered",
                "processes that start",
                "The lines above say why; 'bodysite serve --workers 1' may say more.",
            )
        logger.error("a process ended and is replaced", extra=_pid(worker))
        least, most = _PAUSE_S
        lived = now - worker.started > most
        worker.pause = least if lived else min(most, max(1.0, 2 * worker.pause))
        worker.again = now + (least if lived else worker.pause)

    def _tell(self) -> None:
        """Tell systemd that all answer, and give signs of life for as long as they do."""
        if not all(self._beats):
            return
        if not self._ready:
            self._ready = True
            self._notifier.ready()
            logger.info("all processes answer", extra={"fields": {"processes": len(self._workers)}})
        every = self._notifier.watchdog_seconds
        now = time.monotonic()
        if every is not None and now - self._beaten > every / 2:
            self._beaten = now
            self._notifier.alive()

    def _end(self) -> int:
        """End all processes; with a second signal, or when they take too long, the hard way."""
        limit = self._settings.drain_seconds + self._settings.shutdown_seconds + 2 * GRACE_S
        self._notifier.stopping(limit)
        end = time.monotonic() + limit
        for worker in self._workers:
            # One that does not answer yet has nothing to finish, and no ear for it.
            worker.process.terminate()
        while any(worker.process.is_alive() for worker in self._workers):
            if len(self._signals) > 1 or time.monotonic() > end:
                logger.error("processes did not end by themselves and are ended")
                self._kill()
                return 128 + self._signals[-1] if len(self._signals) > 1 else _FAILED
            time.sleep(_TICK_S / 4)
        for worker in self._workers:
            worker.process.join()
        return status_of(self._signals[0])

    def _kill(self) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()


def _pid(worker: _Worker) -> dict[str, Any]:
    fields = {"worker": worker.process.name, "status": worker.process.exitcode}
    return {"fields": fields}


def _forget(worker: _Worker) -> None:
    """Take what a process that is gone had at this moment out of the sums; its counts stay."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.process.pid, os.environ[SHARED_FOLDER])  # type: ignore[no-untyped-call]


def _packed(settings: Settings) -> dict[str, Any]:
    """Return the values of `settings` for another process, secrets included."""
    return {name: getattr(settings, name) for name in type(settings).model_fields}


def _serve(
    values: dict[str, Any],
    listener: socket.socket,
    beats: MutableSequence[float],
    number: int,
    parent: int,
) -> None:
    """Be one of several processes."""
    # Until the server listens to signals, the first one ends it: it has nothing to finish yet.
    for one in SIGNALS:
        signal.signal(one, signal.SIG_DFL if one == signal.SIGTERM else signal.SIG_IGN)
    settings = Settings(**values)
    configure_logging(settings.log_format, settings.log_level)

    def beat() -> None:
        beats[number] = time.monotonic()

    try:
        with contextlib.ExitStack() as stack:
            app = worker(settings, stack)
            status = run(app, settings, [listener], beat=beat, obeys=False, parent=parent)
    except Exception:
        # As a line of the log: type and places, without the message.
        logger.exception("a process cannot go on")
        status = 1
    logging.shutdown()
    # Everything is closed. Taking the terminology apart, object by object, would take seconds.
    os._exit(status)


def worker(settings: Settings, stack: contextlib.ExitStack) -> FastAPI:
    """Return the application of one process; what it has open is closed with `stack`."""
    from api.app import create_app, open_releases, terminology_over
    from api.model.loading import open_model
    from api.store import SqlStore
    from api.tx.resources_store import ResourceLibrary

    releases = open_releases(settings.releases)
    terminology = terminology_over(releases, settings)
    model = stack.enter_context(open_model(settings, terminology.latest.graph))
    store = stack.enter_context(contextlib.closing(SqlStore(settings.database)))
    library = stack.enter_context(contextlib.closing(ResourceLibrary(settings.database)))
    return create_app(
        settings,
        terminology=terminology,
        predictor=model.predictor,
        absent=model.problem,
        store=store,
        releases=releases,
        library=library,
    )
