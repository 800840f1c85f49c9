"""Resources and Bundles under `/r4` and `/r5`: the way from ASGI to `api.rest.dispatch` and back.

A middleware ahead of the router, as for terminology: the addresses are one scheme for all types.
What the help page says of them is in `api.rest.openapi`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.deps import read_body
from api.errors import LimitError
from api.negotiation import FORM, JSON_PATCH, JSON_TYPES, check_sent
from api.outcome import outcome_of, outcome_of_status, status_of
from api.responses import FHIR_JSON
from api.rest.content import dump, loads
from api.rest.dispatch import ResourceDispatcher
from api.rest.kinds import KINDS
from api.rest.published import PUBLISHED
from api.routes.terminology import GONE, MAX_QUERY_BYTES
from api.security.actor import Actor, actor_in
from api.security.audit import note
from api.store.failures import STORE_FAILURES, store_failed
from api.transactions.bundles import Bundles
from api.tx.answers import Answer, Asked
from api.tx.resources_store import ROOTS
from terminology.errors import BodySiteError

logger = logging.getLogger(__name__)

MAX_RESOURCE_BYTES: Final = 16 << 20
MAX_FORM_BYTES: Final = 1 << 20
MAX_BUNDLE_BYTES: Final = 256 << 20
_CONTENT_TYPE: Final = f"{FHIR_JSON}; charset=utf-8".encode()


@dataclass(frozen=True, slots=True)
class _Route:
    """What the metrics call an address: `scope["route"]`, as the router would have it."""

    path: str


class ResourceRoutes:
    """ASGI middleware that answers for resources and Bundles, and passes on everything else.

    Parameters
    ----------
    max_bytes
        Of a Bundle.
    public_url
        The address that clients know the service by, where a proxy stands in front of it.
    """

    def __init__(
        self,
        app: ASGIApp,
        resources: ResourceDispatcher,
        bundles: Bundles,
        max_bytes: int,
        public_url: str | None,
    ) -> None:
        self._app = app
        self._resources = resources
        self._bundles = bundles
        self._max_bundle_bytes = min(max_bytes, MAX_BUNDLE_BYTES)
        self._public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        root = scope["path"][:3] if scope["type"] == "http" else ""
        if root not in ROOTS or scope["path"][3:4] not in {"", "/"}:
            await self._app(scope, receive, send)
            return
        path = tuple(filter(None, scope["path"][3:].split("/")))
        if not self._resources.takes(path):
            await self._app(scope, receive, send)
            return
        scope["route"] = _Route("/".join((root, *_shape(path))))
        answer = await self._guarded(scope, receive, ROOTS[root], path)
        await _send(answer, send, pretty=b"_pretty=true" in scope["query_string"])

    async def _guarded(
        self, scope: Scope, receive: Receive, release: str, path: tuple[str, ...]
    ) -> Answer:
        allowed = self._resources.allowed(path)
        if scope["method"] == "OPTIONS" and allowed:
            return Answer(None, 204, {"Allow": ", ".join((*allowed, "OPTIONS"))})
        try:
            return await self._answer(scope, receive, release, path)
        except BodySiteError as error:
            status = status_of(error)
            headers = {"Allow": ", ".join(allowed)} if status == 405 and allowed else {}
            return Answer(outcome_of(error), status, headers)
        except ClientDisconnect:
            return Answer(outcome_of_status(400, GONE), 400)
        except STORE_FAILURES as error:
            return Answer(store_failed(error), 503)

    async def _answer(
        self, scope: Scope, receive: Receive, release: str, path: tuple[str, ...]
    ) -> Answer:
        method, query = scope["method"], scope["query_string"]
        if len(query) > MAX_QUERY_BYTES:
            raise LimitError(
                "query",
                f"it is {len(query)} bytes long",
                f"at most {MAX_QUERY_BYTES} bytes",
                "Send the parameters in the body of a POST to _search.",
                status=414,
            )
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        asked = Asked(
            release,
            method,
            path,
            parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else (),
            None,
            headers,
            self._base(scope),
        )
        self._resources.check_method(asked)
        body = await self._body(scope, receive, asked)
        asked = Asked(release, method, path, asked.query, body, headers, asked.base)
        who = actor_in(scope)
        if path or method != "POST":
            return await run_in_threadpool(self._resources.answer, asked, who)
        return await run_in_threadpool(self._of_bundle, asked, who, scope)

    def _of_bundle(self, asked: Asked, who: Actor, scope: Scope) -> Answer:
        answer = self._bundles.answer(asked, who)
        body = answer.body if isinstance(answer.body, dict) else {}
        note(scope, _references(body))
        return answer

    async def _body(self, scope: Scope, receive: Receive, asked: Asked) -> bytes | None:
        if asked.method not in {"POST", "PUT", "PATCH"}:
            return None
        limit = MAX_RESOURCE_BYTES if asked.path else self._max_bundle_bytes
        if asked.path[-1:] == ("_search",):
            limit = MAX_FORM_BYTES
        media = asked.headers.get("content-type", "")
        if asked.path[-1:] != ("_search",):
            accepted = (JSON_PATCH,) if asked.method == "PATCH" else JSON_TYPES
            check_sent(media, asked.release, accepted)
        body = await read_body(Request(scope, receive), limit)
        if asked.path[-1:] == ("_search",) and body:
            check_sent(media, asked.release, (FORM,))
        return body

    def _base(self, scope: Scope) -> str:
        root: str = scope["path"][:3]
        if self._public_url:
            return self._public_url.rstrip("/") + root
        url = URL(scope=scope)
        return f"{url.scheme}://{url.netloc}{root}"


async def _send(answer: Answer, send: Send, *, pretty: bool) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in answer.headers.items()
    ]
    body = b""
    if answer.body is not None:
        body = _encoded(answer.body, pretty=pretty)
        headers.append((b"content-type", _CONTENT_TYPE))
    if answer.status not in {204, 304}:
        headers.append((b"content-length", str(len(body)).encode()))
    start = {"type": "http.response.start", "status": answer.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})


def _encoded(body: dict[str, Any] | str, *, pretty: bool) -> bytes:
    if isinstance(body, str):
        body = dump(loads(body), pretty=True) if pretty else body
    else:
        body = dump(body, pretty=pretty)
    return body.encode("utf-8", "replace")


def _shape(path: Sequence[str]) -> tuple[str, ...]:
    """Return an address without what a client put into it."""
    if not path:
        return ()
    known = path[0] in KINDS or path[0] in PUBLISHED or path[0] in {"_history", "_search"}
    head = path[0] if known else "{type}"
    rest = [
        "_search" if one == "_search" else "_history" if one == "_history" else "{resource_id}"
        for one in path[1:4]
    ]
    return (head, *rest)


def _references(bundle: dict[str, Any]) -> list[str]:
    """Return which resources the answers of a Bundle are about, as ``Type/id``."""
    found = []
    for entry in bundle.get("entry", ()):
        resource = entry.get("resource", {})
        location = entry.get("response", {}).get("location", "").split("/_history/")[0]
        if location:
            found.append("/".join(location.rsplit("/", 2)[-2:]))
        elif resource.get("id") and resource.get("resourceType") in KINDS:
            found.append(f"{resource['resourceType']}/{resource['id']}")
    return found
