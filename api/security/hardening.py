"""Addresses and hosts that are refused, and the headers that every answer has."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from starlette.types import Scope

from api.security.errors import BorderError

_MAX_PATH: Final = 4096
_MAX_QUERY: Final = 32 << 10
_MAX_HEADERS: Final = 64 << 10
_MAX_HEADER_LINES: Final = 100
# RFC 9110, 7.2 and 8.6, RFC 6750: two of these contradict each other.
_ONCE: Final = frozenset({b"host", b"authorization", b"content-length", b"content-type"})
# Control characters, backslashes, and parts that a proxy would resolve another way than we do.
_ODD_PATH: Final = re.compile(r"[\x00-\x1f\x7f\\]|(?:^|/)\.{1,2}(?:/|$)|//")
# Machines ask these by the address of the process, and they hold nothing of a patient.
_ANY_HOST: Final = ("/health", "/metrics")
_LOCAL_NAMES: Final = ("localhost", "127.0.0.1", "::1")
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?")
_PAGES: Final = ("/docs",)
_SCRIPT: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
_NOTHING: Final = "default-src 'none'; frame-ancestors 'none'"
# What is the same for everybody may be kept by who asked for it.
_PUBLIC: Final = re.compile(
    r"/(?:docs|openapi\.json|static-offline-docs|r[45]/(?:metadata|\.well-known"
    r"|CodeSystem|ValueSet|ConceptMap|NamingSystem|StructureDefinition|SearchParameter"
    r"|OperationDefinition))(?:/|$)"
)


def check_request(scope: Scope) -> None:
    """Refuse what no client of good will sends.

    Raises
    ------
    BorderError
        400 for an odd path or headers that contradict each other, 414 and 431 for too much.
    """
    path: str = scope["path"]
    if len(path) > _MAX_PATH or len(scope["query_string"]) > _MAX_QUERY:
        raise BorderError(
            "address",
            "it is too long",
            f"at most {_MAX_PATH} characters, and {_MAX_QUERY} bytes of parameters",
            "Search with POST [type]/_search.",
            status=414,
            issue="too-long",
        )
    if _ODD_PATH.search(path) or "\N{REPLACEMENT CHARACTER}" in path:
        raise _malformed("address", "it has '..', '//', control characters or broken UTF-8")
    seen: set[bytes] = set()
    size = 0
    for name, value in scope["headers"]:
        size += len(name) + len(value)
        if name in _ONCE:
            if name in seen:
                raise _malformed(name.decode("ascii"), "the header is there twice")
            seen.add(name)
        if name == b"transfer-encoding" and b"content-length" in seen:
            raise _malformed("Transfer-Encoding", "there is a Content-Length as well")
    if size > _MAX_HEADERS or len(scope["headers"]) > _MAX_HEADER_LINES:
        raise BorderError(
            "headers",
            "they are too long",
            f"at most {_MAX_HEADERS} bytes in {_MAX_HEADER_LINES} lines",
            "Send less of them.",
            status=431,
            issue="too-long",
        )


def _malformed(where: str, what: str) -> BorderError:
    return BorderError(
        where, what, "a plain request", "Correct the client.", status=400, issue="invalid"
    )


@dataclass(frozen=True, slots=True)
class Hosts:
    """The names that the service is called by; `None` where any will do.

    Without authentication, a page that a browser on this machine shows could call the service by a
    name of its own that leads here (DNS rebinding): then only names of this machine are taken.
    """

    names: frozenset[str] | None
    guarded: bool

    @classmethod
    def of(cls, public_url: str | None, others: Iterable[str], *, guarded: bool) -> Hosts:
        """Return the names in the settings, with those of this machine.

        Without any, every name is taken by a service that is `guarded` by tokens.
        """
        given = {one.lower() for one in others}
        if "*" in given:
            return cls(None, guarded=True)
        if public_url is not None:
            given.add((urlsplit(public_url).hostname or "").lower())
        if not given:
            return cls(None, guarded)
        return cls(frozenset((*given, *_LOCAL_NAMES)), guarded)

    def check(self, scope: Scope) -> None:
        """Refuse, with 421, a request that is meant for another host; with 400, for none."""
        path: str = scope["path"]
        if path.startswith(_ANY_HOST):
            return
        names = self.names
        if names is None:
            if self.guarded or not _is_address(scope):
                return
            names = frozenset(_LOCAL_NAMES)
        given = next((value for name, value in scope["headers"] if name == b"host"), b"")
        found = _HOST.fullmatch(given.decode("latin-1"))
        if found is None:
            raise _malformed("Host", "the header is missing or names no host")
        if found[1].strip("[]").lower() not in names:
            raise BorderError(
                "Host",
                "the service is not known by the name that was asked for",
                "a name of BODYSITE_PUBLIC_URL or BODYSITE_ALLOWED_HOSTS",
                "Use another address, or add the name there.",
                status=421,
                issue="processing",
            )


def check_local(scope: Scope) -> None:
    """Refuse, with 403, what comes from outside to a service without authentication.

    `bodysite serve` does not start that way; this holds for whatever else runs the application.
    """
    server = scope.get("server")
    if server and _is_address(scope) and not is_loopback(server[0]):
        raise BorderError(
            "service",
            "it can be reached from outside, and no authentication is set up",
            "BODYSITE_TOKEN_FILE, BODYSITE_TOKENS or BODYSITE_OIDC_ISSUER",
            "Set one, or listen on 127.0.0.1.",
            status=403,
            issue="security",
        )


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Return whether an IP address is reached from this machine only."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def _is_address(scope: Scope) -> bool:
    server = scope.get("server")
    return server is not None and _is_ip(str(server[0]))


@lru_cache(maxsize=256)
def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


class SecurityHeaders:
    """The headers of an answer, by its address.

    Parameters
    ----------
    https
        Clients know the service by https, and are told to stay with it.
    """

    def __init__(self, *, https: bool) -> None:
        self._common = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]
        if https:
            year = 365 * 24 * 3600
            self._common.append((b"strict-transport-security", f"max-age={year}".encode()))

    def of(self, path: str, present: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
        """Return what is to be added to an answer that has the headers `present`."""
        there = frozenset(present)
        found = [(name, value) for name, value in self._common if name not in there]
        if b"content-security-policy" not in there:
            found.append((b"content-security-policy", _NOTHING.encode()))
        if b"cache-control" not in there and not _PUBLIC.match(path):
            found.append((b"cache-control", b"no-store"))
        return found


def is_page(path: str) -> bool:
    """Return whether a person's browser shows what is at `path`, with scripts of ours in it."""
    return path in _PAGES


def policy_of_page(body: bytes) -> bytes:
    """Return the Content-Security-Policy of a help page: its own scripts and nothing else."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
        for script in _SCRIPT.findall(body)
    )
    return (
        "default-src 'none'; connect-src 'self'; img-src 'self' data:; font-src 'self';"
        f" style-src 'self' 'unsafe-inline'; script-src 'self' {hashes};"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ).encode()
