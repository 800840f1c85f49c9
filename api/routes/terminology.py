"""Terminology under `/r4` and `/r5`: the way from ASGI to `api.tx.dispatch` and back.

A middleware ahead of the router, for the sake of speed: a look at a concept takes microseconds, and
what a web framework does for a request takes many times that. What the help page says of these
addresses is in `api.tx.openapi`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from urllib.parse import parse_qsl

import anyio
import anyio.to_thread
from starlette.datastructures import URL
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.deps import read_body
from api.errors import LimitError, RequestError
from api.outcome import outcome_of, outcome_of_status, status_of
from api.responses import FHIR_JSON
from api.store.failures import STORE_FAILURES, store_failed
from api.tx.answers import Answer, Asked
from api.tx.dispatch import Dispatcher
from api.tx.operations import OPERATIONS
from api.tx.quick import MAX_BYTES
from api.tx.resources_store import ROOTS, TYPES
from api.uploads import JSON_TYPES
from terminology.errors import BodySiteError

logger = logging.getLogger(__name__)

MAX_OPERATION_BYTES: Final = 16 << 20
MAX_RESOURCE_BYTES: Final = 64 << 20
# Longer than what most proxies and servers let through; each value of it is decoded in the loop.
MAX_QUERY_BYTES: Final = 32 << 10
# Work in Python takes turns: more threads than these would only wait for one another.
_THREADS: Final = 4
_FORM: Final = "application/x-www-form-urlencoded"
_CONTENT_TYPE: Final = f"{FHIR_JSON}; charset=utf-8".encode()
GONE: Final = "request body: the client went away before it was complete."


@dataclass(frozen=True, slots=True)
class _Route:
    """What the metrics call an address: `scope["route"]`, as the router would have it."""

    path: str


class TerminologyRoutes:
    """ASGI middleware that answers what is about terminology and passes on everything else.

    Parameters
    ----------
    public_url
        The address that clients know the service by, where a proxy stands in front of it.
    """

    def __init__(self, app: ASGIApp, dispatcher: Dispatcher, public_url: str | None) -> None:
        self._app = app
        self._dispatcher = dispatcher
        self._public_url = public_url
        self._limiter: tuple[asyncio.AbstractEventLoop, anyio.CapacityLimiter] | None = None
        self._routes = {
            (root, *shape): _Route("/".join((root, *shape)))
            for root in ROOTS
            for shape in _shapes()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        root = scope["path"][:3] if scope["type"] == "http" else ""
        if root not in ROOTS:
            await self._app(scope, receive, send)
            return
        path = tuple(filter(None, scope["path"][3:].split("/")))
        if not self._is_ours(scope, path):
            await self._app(scope, receive, send)
            return
        scope["route"] = self._routes.get((root, *_shape(path)), _Route(f"{root}/(none)"))
        pretty = b"_pretty=true" in scope["query_string"]
        try:
            answer = await self._answer(scope, receive, ROOTS[root], path)
        except BodySiteError as error:
            answer = Answer(outcome_of(error), status_of(error))
        except ClientDisconnect:
            answer = Answer(outcome_of_status(400, GONE), 400)
        except STORE_FAILURES as error:
            answer = Answer(store_failed(error), 503)
        await _send(answer, send, pretty=pretty)

    def _is_ours(self, scope: Scope, path: tuple[str, ...]) -> bool:
        # "/r4x" is no address of ours; "/r4" takes Bundles, which have routes of their own.
        if not path or not scope["path"][3:].startswith("/"):
            return False
        return path[0] in TYPES or self._dispatcher.operation(path) is not None

    async def _answer(
        self, scope: Scope, receive: Receive, release: str, path: tuple[str, ...]
    ) -> Answer:
        method = scope["method"]
        query = scope["query_string"]
        if len(query) > MAX_QUERY_BYTES:
            raise LimitError(
                "query",
                f"it is {len(query)} bytes long",
                f"at most {MAX_QUERY_BYTES} bytes",
                "Send the parameters in the body of a POST.",
                status=414,
            )
        operation = self._dispatcher.operation(path)
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        body = None
        if method in {"POST", "PUT"}:
            _check_media(headers.get("content-type", ""), path)
            limit = MAX_OPERATION_BYTES if operation is not None else MAX_RESOURCE_BYTES
            body = await read_body(Request(scope, receive), limit)
        asked = Asked(
            release,
            method,
            path,
            parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else (),
            body,
            headers,
            self._base(scope) if operation is None else "",
        )
        size = len(query) + len(body or b"") + len(headers.get("accept-language", ""))
        if operation is not None and size <= MAX_BYTES:
            answer = self._dispatcher.answer_at_once(asked)
            if answer is not None:
                return answer
        return await anyio.to_thread.run_sync(
            self._dispatcher.answer, asked, limiter=self._threads()
        )

    def _threads(self) -> anyio.CapacityLimiter:
        """Return what keeps the number of threads small; made in the loop that it is for."""
        loop = asyncio.get_running_loop()
        if self._limiter is None or self._limiter[0] is not loop:
            self._limiter = (loop, anyio.CapacityLimiter(_THREADS))
        return self._limiter[1]

    def _base(self, scope: Scope) -> str:
        root: str = scope["path"][:3]
        if self._public_url:
            return self._public_url.rstrip("/") + root
        url = URL(scope=scope)
        return f"{url.scheme}://{url.netloc}{root}"


def _check_media(content_type: str, path: Sequence[str]) -> None:
    media = content_type.partition(";")[0].strip().lower()
    expected = (_FORM,) if path[-1:] == ("_search",) else JSON_TYPES
    if media not in expected:
        raise RequestError(
            "Content-Type",
            f"'{media[:100]}' is not accepted",
            " or ".join(expected),
            "Send a resource in JSON, or use GET.",
            status=415,
            issue="not-supported",
        )


async def _send(answer: Answer, send: Send, *, pretty: bool) -> None:
    headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    body = b""
    if answer.body is not None:
        body = encoded(answer.body, pretty=pretty)
        headers.append((b"content-type", _CONTENT_TYPE))
    if answer.body is not None or answer.status not in {204, 304}:
        headers.append((b"content-length", str(len(body)).encode()))
    start = {"type": "http.response.start", "status": answer.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})


def _number(value: object) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(type(value).__name__)


_COMPACT: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_number)
_PRETTY: Final = json.JSONEncoder(ensure_ascii=False, indent=2, default=_number)


def encoded(body: dict[str, Any] | str, *, pretty: bool) -> bytes:
    """Return a resource as JSON; half a surrogate pair, which UTF-8 cannot hold, becomes "?"."""
    if pretty:
        content = json.loads(body) if isinstance(body, str) else body
        return _PRETTY.encode(content).encode("utf-8", "replace")
    text = body if isinstance(body, str) else _COMPACT.encode(body)
    return text.encode("utf-8", "replace")


# -- what the metrics call an address --------------------------------------------------------------

_ID: Final = "{resource_id}"
_KNOWN: Final = frozenset(f"${one.name}" for one in OPERATIONS)


def _shape(path: Sequence[str]) -> tuple[str, ...]:
    """Return an address without what a client put into it."""
    return tuple(
        part if number == 0 or part in _KNOWN or part == "_search" else _ID
        for number, part in enumerate(path)
    )


def _shapes() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for kind in TYPES:
        found += [(kind,), (kind, _ID), (kind, "_search")]
    for one in OPERATIONS:
        found.append((one.type, f"${one.name}") if one.type else (f"${one.name}",))
        if one.instance:
            found.append((one.type, _ID, f"${one.name}"))
    return found
