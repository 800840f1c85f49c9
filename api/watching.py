"""`watched`: notice when the client of a request goes while it is being answered."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

from starlette.requests import Request

from api.model.cancel import cancellable


@contextlib.asynccontextmanager
async def watched(request: Request) -> AsyncIterator[None]:
    """Give up the work for `request`, whose body was read to its end, when its client goes.

    `api.model.cancel.check_wanted` then raises in the threads that work for it.
    """
    gone = threading.Event()

    async def wait() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone.set()

    watching = asyncio.create_task(wait())
    try:
        with cancellable(gone):
            yield
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
