"""`Server`: uvicorn's, which ends so that nobody who was let in is left without an answer.

Told to end (SIGTERM, SIGINT), it passes through four steps:

1. `/health/ready` says 503 and answers close their connections; for `drain_seconds` requests are
   taken all the same, until a load balancer has noticed.
2. No connection is taken any more. What the kernel had taken for us is still answered.
3. Requests that run may go on for `shutdown_seconds`. Then they are cut off: 503 where that can
   still be said; what their transaction had done is rolled back.
4. The steps of the `Lifecycle` are called: jobs are handed back, logs written, the store closed.

A second signal ends the process at once; the database rolls back what was not committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, Final

import uvicorn
from fastapi import FastAPI

from api.operations.lifecycle import Lifecycle
from api.operations.systemd import Notifier
from api.security.protocol import OPTIONS
from api.settings import Settings

logger = logging.getLogger(__name__)

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
# What the end may take beyond the two times that are set: connections that linger, the last steps.
GRACE_S: Final = 10.0
# How long a connection that is open and silent may still bring the request that is under way.
_LINGER_S: Final = 0.5
_TICK_S: Final = 0.02
# A request makes some thousands of objects.
_NEW_OBJECTS: Final = 20_000


class Server(uvicorn.Server):
    """One process that answers with `app`.

    Parameters
    ----------
    beat
        Called ten times a second as long as the event loop turns.
    obeys
        `False` for one of several processes: signals beyond the first are for the process that
        started it, which ends it the hard way when told to.
    parent
        The process that started it; when that one is gone, this one ends too.
    """

    def __init__(
        self,
        app: FastAPI,
        settings: Settings,
        *,
        notifier: Notifier | None = None,
        beat: Callable[[], None] | None = None,
        obeys: bool = True,
        parent: int | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="on",
                # Ours says less, and JSON when asked to.
                access_log=False,
                log_config=None,
                timeout_graceful_shutdown=None,
                **OPTIONS,
            )
        )
        self._lifecycle: Lifecycle = app.state.lifecycle
        self._settings = settings
        self._notifier = notifier or Notifier()
        self._beat = beat
        self._obeys = obeys
        self._parent = parent
        self._beaten = 0.0
        self._limit: threading.Timer | None = None
        self.ended_by: signal.Signals | None = None

    # -- signals ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals that end a process; unlike uvicorn's, do not raise them once more."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.signal(one, self.handle_exit) for one in SIGNALS}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the end, or end at once."""
        if self.should_exit and self._obeys:
            # Buffers of the log are unbuffered by its handler; nothing else needs writing.
            os._exit(128 + sig)
        self.ended_by = self.ended_by or signal.Signals(sig)
        self.should_exit = True

    # -- life ---------------------------------------------------------------------------------

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        spare_collector()
        if self.started:
            self._notifier.ready()
            self._sign_of_life()

    async def on_tick(self, counter: int) -> bool:
        """Return whether to end."""
        self._sign_of_life()
        if self._parent is not None and os.getppid() != self._parent:
            logger.error("the process that started this one is gone")
            return True
        return await super().on_tick(counter)

    def _sign_of_life(self) -> None:
        if self._beat is not None:
            self._beat()
        every = self._notifier.watchdog_seconds
        now = time.monotonic()
        # sd_watchdog_enabled(3) recommends half the time.
        if every is not None and now - self._beaten > every / 2:
            self._beaten = now
            self._notifier.alive()

    # -- the end ------------------------------------------------------------------------------

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End as the module says."""
        settings = self._settings
        limit = settings.drain_seconds + settings.shutdown_seconds + GRACE_S
        self._limit = _end_after(limit)
        self._notifier.stopping(limit)
        logger.info("told to end", extra={"fields": {"running": len(self.server_state.tasks)}})
        await self._lifecycle.drain()
        await self._wait(settings.drain_seconds)
        await self._take_no_more(sockets or [])
        await self._wait(_LINGER_S, lambda: not self.server_state.connections)
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self._wait(settings.shutdown_seconds, self._is_idle)
        if not self._is_idle():
            await self._cut_off()
        await self.lifespan.shutdown()
        logger.info("ended")

    def let_live(self) -> None:
        """Do not end the process the hard way, unless a thread would keep it from ending."""
        main = threading.main_thread()
        busy = [one for one in threading.enumerate() if one is not main and not one.daemon]
        if self._limit is not None and not busy:
            self._limit.cancel()

    async def _take_no_more(self, sockets: Sequence[socket.socket]) -> None:
        """Close the listeners with no connection left in their queues."""
        for listener in sockets:
            refuse_newcomers(listener)
        # The event loop takes everything that waits in the queues when it turns.
        for _ in range(5):
            await asyncio.sleep(_TICK_S)
        for listener in sockets:
            # Another process may hold the same socket open: closing it here would not be enough.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
        for server in self.servers:
            server.close()
        for listener in sockets:
            listener.close()

    def _is_idle(self) -> bool:
        return not (self.server_state.connections or self.server_state.tasks)

    async def _cut_off(self) -> None:
        running = list(self.server_state.tasks)
        logger.warning(
            "the time to finish is over: requests are cut off",
            extra={"fields": {"running": len(running)}},
        )
        for task in running:
            task.cancel()
        await self._wait(GRACE_S / 2, lambda: not self.server_state.tasks)

    async def _wait(self, seconds: float, done: Callable[[], bool] | None = None) -> None:
        """Wait for `done`, at most so long, with signs of life."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not (done is not None and done()):
            self._sign_of_life()
            await asyncio.sleep(_TICK_S)


def _end_after(seconds: float) -> threading.Timer:
    """End the process the hard way when it has not ended by itself by then.

    A thread that works on what was cut off cannot be stopped otherwise; the database rolls back.
    """

    def end() -> None:
        logger.error("the process did not end in time and is ended")
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    return timer


class _Instruction(ctypes.Structure):
    """``struct sock_filter`` of Linux's linux/filter.h."""

    _fields_ = (
        ("code", ctypes.c_uint16),
        ("jt", ctypes.c_uint8),
        ("jf", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    )


# Of asm-generic/socket.h; the module socket does not name it.
_SO_ATTACH_FILTER: Final = 26
# RFC 9293, 3.1: the byte of the flags; SYN 0x02, ACK 0x10.
_WITHOUT_SYN: Final = (
    (0x30, 0, 0, 13),  # load byte 13 of the TCP header
    (0x54, 0, 0, 0x12),  # keep SYN and ACK of it
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFF),  # take
)


def refuse_newcomers(listener: socket.socket) -> bool:
    """Make the kernel ignore who knocks at `listener` from now on; return whether it does.

    Without it, a connection that the kernel takes between our last look at the queue and the
    closing of the listener would be reset. Who is ignored knocks again a second later and is
    refused then, or meets the next process. Only Linux can do this; elsewhere that gap, of
    microseconds, remains.
    """
    if not sys.platform.startswith("linux"):
        return False
    program = (_Instruction * len(_WITHOUT_SYN))(*(_Instruction(*one) for one in _WITHOUT_SYN))
    # struct sock_fprog: the number of instructions, padding, their address.
    packed = struct.pack("HP", len(_WITHOUT_SYN), ctypes.addressof(program))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, packed)
    except OSError:
        return False
    return True


def run(
    app: FastAPI, settings: Settings, listeners: Sequence[socket.socket], **options: Any
) -> int:
    """Answer with `app` on `listeners` until told to end; return the exit status.

    It is 130 after Ctrl-C, as shells have it, else 0. `options` are those of `Server`.
    """
    server = Server(app, settings, **options)
    server.run(sockets=list(listeners))
    server.let_live()
    return status_of(server.ended_by)


def spare_collector() -> None:
    """Keep Python's garbage collector from what is there for good.

    It would go through the terminology, half a million objects, again and again, a fifth of a
    second each time; and it looks at what is new more often than there are requests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 20, 20)


def status_of(sig: int | None) -> int:
    """Return the exit status of a process that a signal ended in good order."""
    return 128 + sig if sig == signal.SIGINT else 0
