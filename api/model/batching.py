"""`BatchingNet`: the frames of requests that come at the same time go through the network at once.

One thread asks the network. While it is busy, frames queue; when it is free, it takes all that wait
up to `most`. It waits for more only while images are on their way (`coming`), and never longer than
`wait_s`: a request that is alone is not kept waiting.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from api.model.cancel import AbandonedError, cancellation
from classifier.serving.runtime import Net, NetOutput

Observe = Callable[[int, float], None]


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """Frames of one request, float32 (N, C, S, S), and where the answer to them goes."""

    x: NDArray[np.float32]
    answer: Future[NetOutput] = field(default_factory=Future)
    cancelled: threading.Event | None = field(default_factory=cancellation)


class BatchingNet:
    """A network that joins the questions of several threads; each gets the answer to its own.

    Parameters
    ----------
    net
        What is asked, by one thread.
    most
        How many frames it is shown at once; a question with more is asked as it is.
    wait_s
        How long the first question waits for images that are on their way.
    observe
        Told after each batch how many frames it had and how many seconds it took.
    """

    def __init__(
        self,
        net: Net,
        *,
        most: int = 16,
        wait_s: float = 0.002,
        observe: Observe | None = None,
    ) -> None:
        self._net = net
        self._most = most
        self._wait_s = wait_s
        self._observe = observe
        self._waiting: deque[_Job] = deque()
        self._coming = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._serve, name="bodysite-model", daemon=True)
        self._thread.start()

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Announce an image whose frames will be asked for within the block."""
        with self._changed:
            self._coming += 1
        try:
            yield
        finally:
            with self._changed:
                self._coming -= 1
                self._changed.notify_all()

    def run(self, x: NDArray[np.float32]) -> NetOutput:
        """Return what the network says of N >= 1 preprocessed frames, float32 (N, C, S, S).

        Raises
        ------
        AbandonedError
            The request of this thread was given up before its turn came.
        """
        job = _Job(x)
        with self._changed:
            if not self._closed:
                self._waiting.append(job)
                self._changed.notify_all()
                queued = True
            else:
                queued = False
        return job.answer.result() if queued else self._net.run(x)

    def close(self) -> None:
        """Answer what waits and end the thread; later questions are not joined."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _serve(self) -> None:
        while jobs := self._gather():
            wanted = []
            for job in jobs:
                if job.cancelled is not None and job.cancelled.is_set():
                    job.answer.set_exception(AbandonedError())
                else:
                    wanted.append(job)
            if wanted:
                self._answer(wanted)

    def _gather(self) -> list[_Job]:
        """Return the questions of one batch, in their order; none when the work is over."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            until = time.monotonic() + self._wait_s
            while self._may_grow() and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            jobs: list[_Job] = []
            frames = 0
            while self._waiting and (not jobs or frames + len(self._waiting[0].x) <= self._most):
                jobs.append(self._waiting.popleft())
                frames += len(jobs[-1].x)
            return jobs

    def _may_grow(self) -> bool:
        frames = sum(len(job.x) for job in self._waiting)
        return not self._closed and frames < self._most and self._coming > len(self._waiting)

    def _answer(self, jobs: Sequence[_Job]) -> None:
        begun = time.perf_counter()
        try:
            found = self._net.run(
                np.concatenate([job.x for job in jobs]) if jobs[1:] else jobs[0].x
            )
        # Whatever it is, each request hears of its own frames alone.
        except Exception as error:  # noqa: BLE001
            if len(jobs) == 1:
                jobs[0].answer.set_exception(error)
                return
            for job in jobs:
                self._answer([job])
            return
        if self._observe is not None:
            self._observe(len(found.pooled), time.perf_counter() - begun)
        start = 0
        for job in jobs:
            job.answer.set_result(_rows(found, start, start + len(job.x)))
            start += len(job.x)


def _rows(found: NetOutput, start: int, stop: int) -> NetOutput:
    return NetOutput(
        {head: rows[start:stop] for head, rows in found.scores.items()},
        found.pooled[start:stop],
        found.maps[start:stop],
    )
