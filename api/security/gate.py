"""`Gate`: whether a request is let in, and as whose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import anyio.to_thread
from starlette.types import Scope

from api.security.access import ROOTS, WELL_KNOWN, Access
from api.security.actor import ANONYMOUS, NOBODY, Actor
from api.security.errors import UnauthorizedError
from api.security.hardening import Hosts, check_local, check_request
from api.security.limits import Failures, RateLimit
from api.security.oidc import OpenIdProvider, looks_like_jwt
from api.security.tokens import StaticTokens

_OPEN: Final = frozenset(
    {
        "/health",
        "/health/live",
        "/health/ready",
        "/.well-known/smart-configuration",
        *(f"{root}/{name}" for root in ROOTS for name in ("metadata", WELL_KNOWN)),
    }
)
_HEALTH: Final = "/health"


class Authenticator:
    """Who shows a bearer token: a static one, or one of the OpenID provider."""

    def __init__(self, tokens: StaticTokens, provider: OpenIdProvider | None = None) -> None:
        self._tokens = tokens
        self._provider = provider

    def __bool__(self) -> bool:
        """Return whether anybody is asked for a token at all."""
        return bool(self._tokens) or self._provider is not None

    async def actor(self, authorization: str) -> Actor:
        """Return who sends this header.

        Raises
        ------
        UnauthorizedError
            There is no token in it, or one that does not hold.
        RequestError
            503: it cannot be checked.
        """
        scheme, _, rest = authorization.partition(" ")
        token = rest.strip()
        if scheme.lower() != "bearer" or not token:
            raise UnauthorizedError("there is no bearer token", "Ask whoever runs the server.")
        found = self._tokens.find(token)
        if found is not None:
            return found
        provider = self._provider
        if provider is None or not looks_like_jwt(token):
            raise UnauthorizedError(
                "no known bearer token",
                "Ask whoever runs the server for one.",
                error="invalid_token",
            )
        if provider.wants_keys(token):
            await anyio.to_thread.run_sync(provider.refresh)
        return provider.verify(token)


@dataclass(frozen=True, slots=True)
class Gate:
    """What a request passes ahead of every route.

    The address counts for who shows no token; a client that does is counted by its name.
    """

    authenticator: Authenticator
    access: Access
    hosts: Hosts
    failures: Failures
    rate: RateLimit | None = None

    def check_form(self, scope: Scope) -> None:
        """Refuse what nobody may send; see `check_request`, `Hosts.check` and `check_local`."""
        check_request(scope)
        self.hosts.check(scope)
        if not self.authenticator and not scope["path"].startswith(_HEALTH):
            check_local(scope)

    async def actor(self, scope: Scope) -> Actor:
        """Return who sends a request.

        Raises
        ------
        RequestError
            401, or 429 after too many tokens that do not hold, or 503.
        """
        path = scope["path"]
        if not self.authenticator:
            return ANONYMOUS
        if path in _OPEN:
            return NOBODY
        address = address_of(scope) or ""
        self.failures.check(address)
        try:
            return await self.authenticator.actor(_authorization(scope))
        except UnauthorizedError as error:
            if "error=" in error.headers["WWW-Authenticate"]:
                self.failures.count(address)
            raise

    def admit(self, scope: Scope, actor: Actor) -> None:
        """Refuse what is too much for this client (429), or not allowed to it (403)."""
        if self.rate is not None and not scope["path"].startswith(_HEALTH):
            self.rate.check(client_of(scope, actor))
        conditional = any(name == b"if-none-exist" for name, _ in scope["headers"])
        if actor is not NOBODY:
            self.access.check(actor, scope["method"], scope["path"], conditional=conditional)


def client_of(scope: Scope, actor: Actor) -> str:
    """Return what a client is counted as."""
    if actor.kind == "anonymous":
        return f"address {address_of(scope)}"
    return f"{actor.kind} {actor.name}"


def address_of(scope: Scope) -> str | None:
    """Return the network address of a client, where there is one."""
    client = scope.get("client")
    return client[0] if client else None


def _authorization(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"authorization":
            return str(value.decode("latin-1"))
    return ""
