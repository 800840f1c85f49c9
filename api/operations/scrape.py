"""Who may read `/metrics`: ASGI middleware ahead of authentication."""

from __future__ import annotations

import hmac
import ipaddress
from typing import Final, Literal

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.metrics import Metrics
from api.operations.observing import name_route
from api.responses import of_status

Access = Literal["service", "loopback", "anyone"]

_PATH: Final = "/metrics"
# What a proxy adds: with any of these, the program at the other end is the proxy.
_FORWARDED: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


class MetricsGate:
    """Answers `/metrics` to whom `access` or the token `secret` allows, ahead of all else.

    Under "service" it is an address like all others; under "loopback" nobody from another machine
    gets it, whatever token they show for the service.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, access: Access, secret: str | None = None
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._access = access
        self._secret = secret.encode() if secret else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, refuse, or pass on."""
        if scope["type"] != "http" or scope["path"] != _PATH:
            await self._app(scope, receive, send)
            return
        if scope["method"] in {"GET", "HEAD"} and self._allowed(scope):
            name_route(scope, _PATH)
            text = await run_in_threadpool(self._metrics.text)
            answer = Response(text, media_type=CONTENT_TYPE_LATEST)
            await answer(scope, receive, send)
        elif self._access == "loopback":
            name_route(scope, _PATH)
            refusal = of_status(
                403,
                "Metrics are for programs on the machine of the service"
                + (", or with their own token." if self._secret else ".")
                + " BODYSITE_METRICS_ACCESS decides on it.",
            )
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _allowed(self, scope: Scope) -> bool:
        if self._access == "anyone":
            return True
        headers = Headers(scope=scope)
        if self._secret is not None:
            scheme, _, token = headers.get("authorization", "").partition(" ")
            shown = token.strip().encode("utf-8", "replace")
            if scheme.lower() == "bearer" and hmac.compare_digest(shown, self._secret):
                return True
        return self._access == "loopback" and _is_local(scope, headers)


def _is_local(scope: Scope, headers: Headers) -> bool:
    client = scope.get("client")
    if client is None or any(name in headers for name in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return False
