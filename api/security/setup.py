"""The settings → what guards the application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api.security.access import Access
from api.security.audit import AuditTrail
from api.security.audit_event import AuditWriter
from api.security.gate import Authenticator, Gate
from api.security.hardening import Hosts, SecurityHeaders
from api.security.keys import read_key
from api.security.limits import Failures, RateLimit, Uploads
from api.security.oidc import OidcSettings, OpenIdProvider
from api.security.tokens import StaticTokens
from api.settings import Settings
from api.store import ResourceStore
from terminology.graph import BodyStructureGraph

# Tokens that do not hold: what one address may try in a minute.
_FAILURES_A_MINUTE: Final = 60
_READABLE: Final = (
    "Content-Location",
    "ETag",
    "Last-Modified",
    "Location",
    "Retry-After",
    "WWW-Authenticate",
    "X-Progress",
    "X-Request-Id",
)
_SENT: Final = (
    "Accept",
    "Authorization",
    "Content-Type",
    "If-Match",
    "If-Modified-Since",
    "If-None-Exist",
    "If-None-Match",
    "Prefer",
    "X-Request-Id",
)
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class Security:
    """What guards an application, for those who ask it: the statement of capabilities, SMART."""

    gate: Gate
    audit: AuditTrail
    provider: OpenIdProvider | None

    @classmethod
    def of(
        cls, settings: Settings, store: ResourceStore, graph: BodyStructureGraph, key: bytes
    ) -> Security:
        """Return it from the settings.

        Parameters
        ----------
        key
            Makes pseudonyms.

        Raises
        ------
        RequestError
            A file of tokens is wrong, or the settings of the OpenID provider are.
        """
        provider = _provider(settings)
        authenticator = Authenticator(_tokens(settings), provider)
        rate = settings.rate_limit
        gate = Gate(
            authenticator,
            Access(settings.terminology_access == "scoped"),
            Hosts.of(settings.public_url, settings.allowed_hosts, guarded=bool(authenticator)),
            Failures(_FAILURES_A_MINUTE),
            RateLimit(rate, settings.rate_burst or max(1, rate // 6)) if rate else None,
        )
        writer = AuditWriter(settings.phi, key, settings.public_url)
        trail = AuditTrail(store, graph, writer, settings.audit, settings.audit_days)
        return cls(gate, trail, provider)

    @property
    def guarded(self) -> bool:
        """Whether requests must show a token."""
        return bool(self.gate.authenticator)

    def border(self, settings: Settings) -> dict[str, Any]:
        """Return what `Border` is made with."""
        return {
            "gate": self.gate,
            "audit": self.audit,
            "headers": SecurityHeaders(
                https=(settings.public_url or "").lower().startswith("https://")
            ),
            "uploads": Uploads(settings.max_uploads_per_client),
            "idle": settings.max_idle_seconds,
            "min_rate": settings.min_bytes_per_second,
        }


def is_guarded(settings: Settings) -> bool:
    """Return whether the settings ask requests for a token."""
    return bool(settings.tokens or settings.token_file or settings.oidc_issuer)


def check_security(settings: Settings) -> None:
    """Raise what `Security.of` would raise, before anything is opened."""
    _provider(settings)
    _tokens(settings)
    if settings.phi_key_file is not None:
        read_key(settings.phi_key_file)


def add_outer(app: FastAPI, settings: Settings) -> None:
    """Add what stands ahead of authentication: other origins' questions, and trusted proxies."""
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=_METHODS,
            allow_headers=_SENT,
            expose_headers=_READABLE,
            max_age=600,
        )
    if settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.trusted_proxies))


def _tokens(settings: Settings) -> StaticTokens:
    fixed = [token.get_secret_value() for token in settings.tokens]
    return StaticTokens(fixed, settings.token_file)


def _provider(settings: Settings) -> OpenIdProvider | None:
    if settings.oidc_issuer is None:
        return None
    return OpenIdProvider(
        OidcSettings(
            settings.oidc_issuer, settings.oidc_audience or "", leeway=settings.oidc_leeway
        )
    )
