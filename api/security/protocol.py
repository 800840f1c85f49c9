"""HTTP of uvicorn with bounds on what it has none for: the time and the size of a request's head.

Without them a client that sends a byte now and then keeps a connection for good, and one that never
ends its headers fills the memory (slowloris). What a body may take, `TimedBody` says.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Long enough for a slow line; browsers and proxies open connections ahead, and need them sooner.
HEAD_SECONDS: Final = 20.0
# How long the rest of a body is read whose request was answered already, such as with 413.
DRAIN_SECONDS: Final = 30.0
_MAX_HEAD: Final = 128 << 10
_TOO_LARGE: Final = "The head of the request is too large."


class GuardedProtocol(HttpToolsProtocol):
    """One connection."""

    head_seconds = HEAD_SECONDS
    drain_seconds = DRAIN_SECONDS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._in_head = False
        self._in_body = False
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._expect(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget about time."""
        self._expect(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head goes on for too long."""
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > _MAX_HEAD:
            self.send_400_response(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin with a head."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        self._expect(self.head_seconds)

    def on_headers_complete(self) -> None:
        """Go on with the body, which the application has its own time for."""
        self._in_head = False
        self._in_body = True
        self._expect(None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Be done with the request."""
        self._in_body = False
        self._expect(None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Read what is left of a body that nobody waits for any more, but not for good."""
        if self._in_body:
            self._expect(self.drain_seconds)
        super().on_response_complete()

    def _expect(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None:
            self._deadline = self.loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


# Of `uvicorn.Config`. Who stands behind a proxy is for the application to say, which is told whom
# to believe; nothing here speaks WebSocket; what serves this is nobody's business.
OPTIONS: Final[dict[str, Any]] = {
    "http": GuardedProtocol,
    "ws": "none",
    "proxy_headers": False,
    "server_header": False,
}
