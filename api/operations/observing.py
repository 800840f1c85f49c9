"""One access line and one count a request, and the id that joins both with the client's own log."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import Metrics
from api.operations.lifecycle import Lifecycle
from api.operations.logs import request_id
from api.responses import of_status

access = logging.getLogger("bodysite.access")

_SEEN: Final = "bodysite.seen"
_UNROUTED: Final = "(none)"
# Asked every few seconds by machines: their lines would bury all others.
_QUIET: Final = frozenset({"/health/live", "/health/ready", "/metrics"})
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Neither is an answer that the application gave.
_NO_ANSWER: Final = 500
_ENDS: Final = (
    "The service is being stopped and did not finish this request; it may be stored or not."
    " Send it again: the same instance again updates, it never doubles."
)


@dataclass(slots=True)
class _Seen:
    """What the inner application found out about a request."""

    route: str = _UNROUTED
    actor: str | None = None


def name_route(scope: Scope, route: str) -> None:
    """Say which route a request took that no router will see."""
    seen = scope.get(_SEEN)
    if isinstance(seen, _Seen):
        seen.route = route


class RouteSeen:
    """ASGI middleware right around the router: tells `Observed` which route it was, and who asked.

    What lies between the two may pass on copies of the scope.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and look at the scope afterwards."""
        try:
            await self._app(scope, receive, send)
        finally:
            seen = scope.get(_SEEN)
            if isinstance(seen, _Seen):
                seen.route = getattr(scope.get("route"), "path", _UNROUTED)
                seen.actor = getattr(scope.get("state", {}).get("actor"), "name", None)


class Observed:
    """The outermost ASGI middleware: request id, access line, counts, and a polite end.

    The line has the method, the template of the route, the status, the time and who asked: never
    the path, the query or a value of them. While the process is ending, answers close their
    connections, and a request that is cut off is answered 503.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, lifecycle: Lifecycle) -> None:
        self._app = app
        self._metrics = metrics
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, then count and log."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        theirs = _given_id(scope["headers"])
        ours = theirs if theirs is not None and _ID.fullmatch(theirs) else uuid.uuid4().hex
        token = request_id.set(ours)
        seen = _Seen()
        scope[_SEEN] = seen
        status = _NO_ANSWER
        answering = False

        async def answer(message: Message) -> None:
            nonlocal status, answering
            if message["type"] == "http.response.start":
                status, answering = message["status"], True
                headers = list(message.get("headers", ()))
                headers.append((b"x-request-id", ours.encode("ascii")))
                if self._lifecycle.ending:
                    headers.append((b"connection", b"close"))
                message = {**message, "headers": headers}
            await send(message)

        try:
            await self._app(scope, receive, answer)
        except asyncio.CancelledError:
            if answering or not self._lifecycle.ending:
                raise
            refusal = of_status(503, _ENDS, {"Retry-After": "5"})
            await refusal(scope, receive, answer)
        finally:
            request_id.reset(token)
            seconds = time.perf_counter() - begun
            method = scope["method"] if scope["method"] in _METHODS else "(other)"
            self._metrics.answered(method, seen.route, status, seconds)
            level = logging.DEBUG if seen.route in _QUIET else logging.INFO
            if access.isEnabledFor(level):
                fields = {
                    "method": method,
                    "route": seen.route,
                    "status": status,
                    "ms": round(1000 * seconds, 1),
                    "request_id": ours,
                    "actor": seen.actor,
                }
                access.log(level, "request", extra={"fields": fields})


def _given_id(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    # FHIR R4, http.html#custom: a server may use the id that the client gave.
    for name, value in headers:
        if name == b"x-request-id":
            return value.decode("latin-1")
    return None
