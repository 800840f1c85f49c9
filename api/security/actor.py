"""Who asks: what authentication found, handed to everything that reads or writes for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from fastapi import Request
from starlette.types import Scope

from api.errors import RequestError
from api.security.scopes import ALL, grants

Interaction = Literal["c", "r", "u", "d", "s"]
CLIENT_SYSTEM: Final = "https://w3id.org/bodysite/NamingSystem/client"
_WORDS: Final = {"c": "create", "r": "read", "u": "update", "d": "delete", "s": "search"}


class ForbiddenError(RequestError):
    """What the scopes of the actor do not allow."""

    def __init__(self, where: str, interaction: str, kind: str) -> None:
        what = "every resource type" if kind == "*" else kind
        super().__init__(
            where,
            f"your token does not allow to {_WORDS.get(interaction, 'use')} {what}",
            f"the scope system/{kind}.{interaction} or user/{kind}.{interaction}",
            "Ask for a token with that scope.",
            status=403,
            issue="forbidden",
        )


@dataclass(frozen=True, slots=True)
class Actor:
    """A client or a person as authentication knows them.

    `scopes` are SMART scopes. `reference` is a FHIR Reference for Provenance and AuditEvent
    ``agent.who``, empty for nobody in particular.
    """

    name: str
    kind: Literal["anonymous", "static", "jwt"]
    scopes: tuple[str, ...]
    reference: Mapping[str, Any] = field(default_factory=dict)

    def may(self, interaction: str, kind: str) -> bool:
        """Return whether c, r, u, d or s is allowed on resources of `kind` (``*``: of all)."""
        return grants(self.scopes, interaction, kind)

    def require(self, interaction: str, kind: str, where: str = "Authorization") -> None:
        """Raise `ForbiddenError` (403) unless `may`."""
        if not self.may(interaction, kind):
            raise ForbiddenError(where, interaction, kind)


# Where no authentication is set up, which is allowed on loopback only, everybody may do everything.
ANONYMOUS: Final = Actor("anonymous", "anonymous", (ALL,))
# Who shows no token where one is asked for: sees what is open to all.
NOBODY: Final = Actor("anonymous", "anonymous", ())


_CURRENT: ContextVar[Actor] = ContextVar("actor", default=ANONYMOUS)


def current_actor() -> Actor:
    """Return for whom this thread or task works; outside of requests, for the service itself.

    For checks deep inside a search, which a client can lead through any resource type.
    """
    return _CURRENT.get()


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """Work for `actor`, in threads that are begun meanwhile, too."""
    token = _CURRENT.set(actor)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def static_actor(name: str, scopes: tuple[str, ...]) -> Actor:
    """Return the actor behind a token that the server was given by name."""
    identifier = {"system": CLIENT_SYSTEM, "value": name}
    return Actor(name, "static", scopes, {"identifier": identifier, "display": name})


def actor_of(request: Request) -> Actor:
    """Return who sent `request`, as the middleware found."""
    return actor_in(request.scope)


def actor_in(scope: Scope) -> Actor:
    """Return who asks, given the ASGI scope."""
    actor: Actor = scope.get("state", {}).get("actor", ANONYMOUS)
    return actor
