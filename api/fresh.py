"""Before a request is answered: whether the site's own tables have changed."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from terminology.live import LiveTerminology


class FreshMappings:
    """Lets the request that finds the tables changed wait for the new ones; all others go on."""

    def __init__(self, app: ASGIApp, live: LiveTerminology) -> None:
        self._app = app
        self._live = live

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look at the tables, at most so often as `LiveTerminology` does, and go on."""
        if scope["type"] == "http" and self._live.due:
            await run_in_threadpool(self._live.current)
        await self._app(scope, receive, send)
