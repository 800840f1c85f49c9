"""What holds for every request before a route sees it: who asks, which format, HEAD.

And for every answer: the headers of security, and what is written down of it.
"""

from __future__ import annotations

import logging
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import place_of
from api.negotiation import unacceptable
from api.responses import of_error, of_status
from api.security.actor import NOBODY, Actor, acting
from api.security.audit import AuditTrail, noted
from api.security.audit_event import Deed, Happened, deed_of, reference_of
from api.security.gate import Gate, address_of, client_of
from api.security.hardening import SecurityHeaders, is_page, policy_of_page
from api.security.limits import TimedBody, Uploads
from api.tx.resources_store import ROOTS
from terminology.errors import BodySiteError

logger = logging.getLogger(__name__)

_FHIR: Final = ("/r4", "/r5")
_FILES: Final = ".ndjson"
_UNEXPECTED: Final = (
    "The server failed unexpectedly; nothing was stored. Its log names the kind of error and the"
    " place. Please report both."
)


class Border:
    """ASGI middleware. Paths under ``/r4`` and ``/r5`` answer in JSON only, and say so: 406.

    Parameters
    ----------
    idle
        Seconds within which the next part of a body must come.
    min_rate
        Bytes a second at which a body must come on average.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        gate: Gate,
        audit: AuditTrail,
        headers: SecurityHeaders,
        uploads: Uploads,
        idle: float,
        min_rate: int,
    ) -> None:
        self._app = app
        self._gate = gate
        self._audit = audit
        self._headers = headers
        self._uploads = uploads
        self._idle = idle
        self._min_rate = min_rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] == "websocket":
            # Nothing here speaks it, and nothing would check who does.
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        inner: Scope = dict(scope)
        inner["state"] = {**scope.get("state", {}), "actor": NOBODY}
        if scope["method"] == "HEAD":
            inner["method"] = "GET"
        deed = deed_of(scope["method"], scope["path"])
        answer = _Answer(scope, send, self._headers)
        try:
            await self._enter(inner, receive, answer, deed)
        except BodySiteError as error:
            # A status of its own is all that counts here: no route has seen the request.
            refusal = of_error(error)
            refusal.headers.update(getattr(error, "headers", {}))
            await refusal(inner, receive, answer)
        except Exception as error:  # noqa: BLE001
            # Left alone, the server would log the error's message, which may hold a patient's data.
            logger.error("unexpected %s at %s", type(error).__name__, place_of(error))
            if not answer.begun:
                await of_status(500, _UNEXPECTED)(inner, receive, answer)
        finally:
            if deed is not None and answer.status is not None:
                self._write_down(inner, answer, deed)

    async def _enter(
        self, scope: Scope, receive: Receive, answer: _Answer, deed: Deed | None
    ) -> None:
        self._gate.check_form(scope)
        actor = scope["state"]["actor"] = await self._gate.actor(scope)
        if deed is not None:
            self._audit.check()
        self._gate.admit(scope, actor)
        refusal = _unacceptable(scope)
        if refusal is not None:
            await refusal(scope, receive, answer)
            return
        with acting(actor):
            if _has_body(scope):
                await self._with_body(scope, receive, answer, actor)
            else:
                await self._app(scope, receive, answer)

    async def _with_body(
        self, scope: Scope, receive: Receive, answer: _Answer, actor: Actor
    ) -> None:
        client = client_of(scope, actor)
        self._uploads.begin(client)
        try:
            await self._app(scope, TimedBody(receive, self._idle, self._min_rate), answer)
        finally:
            self._uploads.end(client)

    def _write_down(self, scope: Scope, answer: _Answer, deed: Deed) -> None:
        references = noted(scope)
        if answer.reference is not None:
            references = (answer.reference, *references)
        self._audit.take(
            Happened(
                scope["state"]["actor"],
                address_of(scope),
                deed,
                answer.status or 500,
                scope["query_string"].decode("latin-1"),
                references,
            )
        )


class _Answer:
    """`send` of a request: adds headers, leaves out the body of HEAD, remembers the status."""

    def __init__(self, scope: Scope, send: Send, headers: SecurityHeaders) -> None:
        self._scope = scope
        self._send = send
        self._headers = headers
        self._held: Message | None = None
        self.status: int | None = None
        self.reference: str | None = None

    @property
    def begun(self) -> bool:
        """Whether the client has had anything yet."""
        return self.status is not None and self._held is None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": self._completed(list(message.get("headers", ())))}
            if is_page(self._scope["path"]):
                # What its scripts are is known with its body.
                self._held = message
                return
        elif message["type"] == "http.response.body":
            if self._held is not None:
                await self._send_held(message.get("body", b""))
            if self._scope["method"] == "HEAD":
                message = {**message, "body": b""}
        await self._send(message)

    def _completed(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        named = {name.lower(): value for name, value in headers}
        self.reference = reference_of(named)
        if self.status == 408 and b"connection" not in named:
            # What is left of the body would be taken for the next request.
            headers.append((b"connection", b"close"))
        return headers + self._headers.of(self._scope["path"], named)

    async def _send_held(self, body: bytes) -> None:
        assert self._held is not None  # noqa: S101
        held, self._held = self._held, None
        headers = [one for one in held["headers"] if one[0] != b"content-security-policy"]
        headers.append((b"content-security-policy", policy_of_page(body)))
        await self._send({**held, "headers": headers})


def _has_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


def _unacceptable(scope: Scope) -> ASGIApp | None:
    """Return the refusal of a format that the service does not speak."""
    path = scope["path"]
    if not path.startswith(_FHIR) or path.endswith(_FILES):
        # The files of an export are what their job was asked for, whatever Accept says.
        return None
    accept = Headers(scope=scope).get("accept")
    wanted = unacceptable(scope["query_string"], accept, ROOTS.get(path[:3]))
    if wanted is None:
        return None
    return of_status(
        406,
        f"Accept or _format: '{wanted}' cannot be answered; expected"
        " application/fhir+json. Ask for JSON.",
    )
