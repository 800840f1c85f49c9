"""What holds for every request before a route sees it: who asks, which format, HEAD, counting."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import place_of
from api.metrics import Metrics
from api.responses import FHIR_JSON, of_status

logger = logging.getLogger(__name__)

_OPEN_PATHS: Final = frozenset({"/health", "/r4/metadata", "/r5/metadata"})
_FHIR: Final = ("/r4", "/r5")
_JSON_TYPES: Final = frozenset(
    {"application/fhir+json", "application/json", "text/json", "application/*", "*/*", "json"}
)
_UNROUTED: Final = "(none)"
_UNEXPECTED: Final = (
    "The server failed unexpectedly; nothing was stored. Its log names the kind of error and the"
    " place. Please report both."
)


class Border:
    """ASGI middleware. Paths under ``/r4`` and ``/r5`` answer in JSON only, and say so: 406."""

    def __init__(self, app: ASGIApp, tokens: Sequence[str], metrics: Metrics) -> None:
        self._app = app
        self._digests = [_digest(token) for token in tokens]
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        inner: Scope = dict(scope)
        head = scope["method"] == "HEAD"
        if head:
            inner["method"] = "GET"
        status = 500
        begun_to_answer = False

        async def answer(message: Message) -> None:
            nonlocal status, begun_to_answer
            if message["type"] == "http.response.start":
                status, begun_to_answer = message["status"], True
            elif head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        try:
            refusal = self._refusal(inner)
            if refusal is not None:
                await refusal(inner, receive, answer)
            else:
                await self._app(inner, receive, answer)
        except Exception as error:  # noqa: BLE001
            # Left alone, the server would log the error's message, which may hold a patient's data.
            logger.error("unexpected %s at %s", type(error).__name__, place_of(error))
            if not begun_to_answer:
                await of_status(500, _UNEXPECTED)(inner, receive, answer)
        finally:
            route = getattr(inner.get("route"), "path", _UNROUTED)
            self._metrics.requests.labels(scope["method"], route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - begun)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        path = scope["path"]
        if self._digests and path not in _OPEN_PATHS and not self._known(headers):
            return of_status(
                401,
                "Authorization: no known bearer token; expected 'Authorization: Bearer TOKEN'."
                " Ask whoever runs the server for one.",
                {"WWW-Authenticate": 'Bearer realm="bodysite"'},
            )
        if path.startswith(_FHIR):
            wanted = _wanted_format(scope, headers)
            if wanted is not None:
                return of_status(
                    406,
                    f"Accept or _format: '{wanted}' cannot be answered; expected"
                    " application/fhir+json. Ask for JSON.",
                )
        return None

    def _known(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        shown = _digest(token.strip())
        # Every token is compared, so that the time says nothing about which one is near.
        matches = [hmac.compare_digest(shown, digest) for digest in self._digests]
        return scheme.lower() == "bearer" and any(matches)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _wanted_format(scope: Scope, headers: Headers) -> str | None:
    """Return the format that was asked for and cannot be had, else `None`.

    `_format` wins over Accept (FHIR R4, 3.1.0.1.10); a "+" that was not encoded is a space.
    """
    query = scope["query_string"]
    formats = dict(parse_qsl(query.decode("latin-1"))) if b"_format" in query else {}
    asked = formats.get("_format") or headers.get("accept") or "*/*"
    if asked == FHIR_JSON:
        return None
    types = [part.partition(";")[0].strip().lower().replace(" ", "+") for part in asked.split(",")]
    return None if any(one in _JSON_TYPES for one in types) else asked[:100]
