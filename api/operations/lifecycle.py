"""`Lifecycle`: what begins and ends with the process that answers, and whether it is ending."""

from __future__ import annotations

import contextlib
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from enum import StrEnum

from api.errors import place_of

logger = logging.getLogger(__name__)

Step = Callable[[], Awaitable[object] | object]


class State(StrEnum):
    """Where in its life a process is."""

    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPING = "stopping"


class Lifecycle:
    """The steps of one application, each a function or a coroutine function without arguments.

    Attributes
    ----------
    state
        RUNNING from the start of the application on, where nobody says otherwise: an application
        that is called without a server, as tests do, is running.
    """

    def __init__(self) -> None:
        self.state = State.RUNNING
        self._starts: list[Step] = []
        self._drains: list[Step] = []
        self._stops: list[Step] = []

    @property
    def ending(self) -> bool:
        """Whether the process has been told to end."""
        return self.state in {State.DRAINING, State.STOPPING}

    def at_start(self, step: Step) -> None:
        """Call `step` before the first request; what it raises ends the start."""
        self._starts.append(step)

    def at_drain(self, step: Step) -> None:
        """Call `step` when the process is told to end: take nothing new, requests still run."""
        self._drains.append(step)

    def at_stop(self, step: Step) -> None:
        """Call `step` when no request runs any more: hand back, write out, close.

        The steps are called in the reverse order of their being named; one that fails does not
        keep the others from being called.
        """
        self._stops.append(step)

    async def drain(self) -> None:
        """Tell the application that the end is near."""
        if self.ending:
            return
        self.state = State.DRAINING
        for step in self._drains:
            await _safely(step)

    @contextlib.asynccontextmanager
    async def lifespan(self, _app: object) -> AsyncIterator[None]:
        """Run the steps around the life of an ASGI application."""
        for step in self._starts:
            await _call(step)
        try:
            yield
        finally:
            await self.drain()
            self.state = State.STOPPING
            for step in reversed(self._stops):
                await _safely(step)


async def _call(step: Step) -> None:
    found = step()
    if inspect.isawaitable(found):
        await found


async def _safely(step: Step) -> None:
    try:
        await _call(step)
    except Exception as error:  # noqa: BLE001
        # The other steps are called all the same; the message may hold a patient's data.
        logger.error("at the end: %s at %s", type(error).__name__, place_of(error))
