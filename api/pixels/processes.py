"""`DecodingProcesses`: images made ready for a network in processes that may die of them.

Each process works for one image at a time, so that one which dies, or is ended because it takes too
long, concerns that image alone; another is started when the next image comes. Processes are
started, not forked, when they are first needed.
"""

from __future__ import annotations

import multiprocessing
import queue
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final

from classifier.errors import PredictionError

Prepare = Callable[[bytes], Any]

_SPAWN: Final = multiprocessing.get_context("spawn")
_START_SECONDS: Final = 60.0
_DONE: Final = "done"
_REFUSED: Final = "refused"
_FAILED: Final = "failed"


class DecodingProcesses:
    """A handful of processes that make images ready.

    Parameters
    ----------
    prepare
        Called with the bytes of a file in such a process; it and what it returns can be pickled.
    count
        How many images are worked on at the same time; more wait.
    seconds
        After which a process is ended.
    memory
        Address space of a process in bytes.
    on_loss
        Called each time that a process has died or was ended.
    """

    def __init__(
        self,
        prepare: Prepare,
        *,
        count: int = 2,
        seconds: float = 30.0,
        memory: int = 4 << 30,
        on_loss: Callable[[], None] | None = None,
    ) -> None:
        self._seconds = seconds
        self._on_loss = on_loss
        self._closed = threading.Event()
        self._workers = [_Worker(prepare, memory) for _ in range(count)]
        # The last one that worked is the next one to: another is started only when it is busy.
        self._free: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in self._workers:
            self._free.put(worker)

    def __call__(self, content: bytes) -> Any:
        """Return what `prepare` makes of the file `content`.

        Raises
        ------
        PredictionError
            `prepare` returned it; or the process died of the file, took too long, or could not
            have the memory.
        """
        worker = self._free.get()
        try:
            return worker.ask(content, self._seconds)
        except _LostError as error:
            if self._on_loss is not None and not self._closed.is_set():
                self._on_loss()
            raise PredictionError(
                "image",
                f"the decoder {error}",
                "an image that decodes",
                "Open it in a viewer and export it again, uncompressed.",
            ) from error
        finally:
            self._free.put(worker)

    def close(self) -> None:
        """End the processes."""
        self._closed.set()
        for worker in self._workers:
            worker.end()


class _LostError(Exception):
    """A process that is no more, and why, as the end of a sentence."""


class _Worker:
    """One process, started when it is first asked and after each loss."""

    def __init__(self, prepare: Prepare, memory: int) -> None:
        self._prepare = prepare
        self._memory = memory
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def ask(self, content: bytes, seconds: float) -> Any:
        pipe = self._started()
        try:
            pipe.send_bytes(content)
            if not pipe.poll(seconds):
                raise _LostError(f"took longer than {seconds:g} seconds")
            said, answer = pipe.recv()
        except (OSError, EOFError) as error:
            reason = self.end()
            raise _LostError(f"broke down ({reason})") from error
        except _LostError:
            self.end()
            raise
        if said == _REFUSED:
            raise PredictionError(*answer)
        if said == _FAILED:
            # A process that had no memory left, or failed as nobody foresaw, starts anew.
            self.end()
            raise _LostError(f"failed ({answer})")
        return answer

    def end(self) -> str:
        """End the process if there is one, and return how it ended."""
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if pipe is not None:
            pipe.close()
        if process is None:
            return "it was not running"
        # One that died has its own status; kill does nothing to it.
        process.join(0.5)
        process.kill()
        process.join()
        code = process.exitcode or 0
        process.close()
        return signal.Signals(-code).name if code < 0 else f"status {code}"

    def _started(self) -> Connection:
        if self._pipe is not None and self._process is not None and self._process.is_alive():
            return self._pipe
        self.end()
        ours, theirs = _SPAWN.Pipe()
        process = _SPAWN.Process(
            target=_work, args=(theirs, self._prepare, self._memory), name="bodysite-decoder",
            daemon=True,
        )  # fmt: skip
        process.start()
        theirs.close()
        self._process, self._pipe = process, ours
        try:
            # Starting takes a second or two and is not the time of an image.
            if ours.poll(_START_SECONDS) and ours.recv() == "ready":
                return ours
        except (OSError, EOFError):
            pass
        raise _LostError(f"did not start ({self.end()})")


def _work(pipe: Connection, prepare: Prepare, memory: int) -> None:
    """Answer, image by image, until the other end of the pipe is closed."""
    import contextlib
    import resource

    # Ctrl-C goes to the whole group; the service ends this process when it ends itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # No core dumps: they would hold pixels.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    with contextlib.suppress(OSError, EOFError):
        pipe.send("ready")
        while True:
            content = pipe.recv_bytes()
            try:
                prepared = prepare(content)
            # What nobody foresaw is told by its kind: a message may hold values of the file.
            except Exception as error:  # noqa: BLE001
                pipe.send((_FAILED, type(error).__name__))
                continue
            if isinstance(prepared, PredictionError):
                parts = (prepared.where, prepared.what, prepared.expected, prepared.remedy)
                pipe.send((_REFUSED, parts))
            else:
                pipe.send((_DONE, prepared))
