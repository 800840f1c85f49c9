"""How much one client may ask for: requests a minute, uploads at once, time for a body.

Counted by the process that answers: with several workers, a client may have as many times more.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from starlette.types import Message, Receive

from api.security.errors import SlowBodyError, TooManyError

# Clients that are remembered; the one that was quiet for longest is forgotten first.
_CLIENTS: Final = 10_000


class Buckets:
    """A token bucket for each client: `rate` a minute, `burst` at once.

    A client that is forgotten starts with a full bucket again.
    """

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = rate / 60
        self._burst = max(1, burst)
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> float:
        """Take one; return 0, or how many seconds there is none for."""
        wait = self.wait(client)
        if wait == 0:
            level, now = self._levels[client]
            self._levels[client] = (level - 1, now)
        return wait

    def wait(self, client: str) -> float:
        """Return 0 when there is one to take, else the seconds until there is."""
        now = self._clock()
        level, then = self._levels.get(client, (float(self._burst), now))
        level = min(self._burst, level + (now - then) * self._per_second)
        self._levels[client] = (level, now)
        self._levels.move_to_end(client)
        while len(self._levels) > _CLIENTS:
            self._levels.popitem(last=False)
        return 0.0 if level >= 1 else (1 - level) / self._per_second


class RateLimit:
    """Refuses what comes faster than `rate` a minute with bursts of `burst`: 429, Retry-After."""

    def __init__(self, rate: int, burst: int) -> None:
        self._rate = rate
        self._buckets = Buckets(rate, burst)

    def check(self, client: str) -> None:
        """Count a request of `client`; `TooManyError` when it has had its share."""
        wait = self._buckets.take(client)
        if wait:
            raise TooManyError(
                "you send more requests than one client may",
                f"at most {self._rate} a minute",
                math.ceil(wait),
            )


class Failures:
    """Refuses an address that has shown too many tokens that do not hold, until it has waited."""

    def __init__(self, rate: int) -> None:
        self._buckets = Buckets(rate, rate)

    def check(self, address: str) -> None:
        """Raise `TooManyError` while `address` is to wait."""
        wait = self._buckets.wait(address)
        if wait:
            raise TooManyError(
                "too many tokens that do not hold came from your address",
                "a token that holds",
                math.ceil(wait),
            )

    def count(self, address: str) -> None:
        """Count a token that did not hold."""
        self._buckets.take(address)


class Uploads:
    """Counts the bodies that clients are sending at the same time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[str, int] = {}

    def begin(self, client: str) -> None:
        """Count one more; `TooManyError` when there are as many as allowed."""
        found = self._open.get(client, 0)
        if found >= self._limit:
            raise TooManyError(
                "you send too many bodies at the same time", f"at most {self._limit}", 1
            )
        self._open[client] = found + 1

    def end(self, client: str) -> None:
        """Count one less."""
        left = self._open.get(client, 1) - 1
        if left > 0:
            self._open[client] = left
        else:
            self._open.pop(client, None)


class TimedBody:
    """`receive` of a request whose body may not come too slowly.

    Each part must come within `idle` seconds of being asked for, and all of it at `min_rate` bytes
    a second on average, once `idle` seconds are over. Time that the service itself takes between
    two parts does not count.
    """

    def __init__(self, receive: Receive, idle: float, min_rate: int) -> None:
        self._receive = receive
        self._idle = idle
        self._min_rate = min_rate
        self._waited = 0.0
        self._bytes = 0
        self._whole = False

    async def __call__(self) -> Message:
        """Return the next part; `SlowBodyError` when it does not come."""
        if self._whole:
            # What is waited for now is that the client goes away, which may take as long as it may.
            return await self._receive()
        begun = time.monotonic()
        allowed = self._idle + self._bytes / self._min_rate - self._waited
        try:
            async with asyncio.timeout(max(0.0, min(self._idle, allowed))):
                message = await self._receive()
        except TimeoutError as error:
            raise SlowBodyError(self._idle) from error
        self._waited += time.monotonic() - begun
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
        return message
