"""Bearer tokens of an OpenID provider: its keys are fetched, its JSON Web Tokens are checked.

Nothing in a token says where keys come from or how it is checked: the provider is the one of the
settings, the algorithms are fixed and asymmetric, the headers ``jku``, ``jwk``, ``x5u`` and ``x5c``
are never looked at (RFC 8725, 3.1 and 3.10).
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from api.errors import RequestError
from api.security.actor import Actor
from api.security.errors import UnauthorizedError

logger = logging.getLogger(__name__)

# RFC 7518, 3.1 and RFC 8037, 3.1: by the type of key. "none" and the HMACs are not among them.
_BY_TYPE: Final[dict[str, tuple[str, ...]]] = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
ALGORITHMS: Final = tuple(name for names in _BY_TYPE.values() for name in names)
DISCOVERY: Final = "/.well-known/openid-configuration"
_MAX_TOKEN: Final = 16 << 10
_MAX_DOCUMENT: Final = 1 << 20
_TIMEOUT: Final = (3.0, 5.0)
_MIN_RSA_BITS: Final = 2048
_AGAIN: Final = "Ask for a new token and send that."
# SMART App Launch 2.2.0, 5.1: `fhirUser` is the address of the resource that is the person.
_FHIR_USER: Final = re.compile(
    r"(?:https?://[^\s?#]{1,200}/)?(Practitioner|PractitionerRole|Person)/[A-Za-z0-9.\-]{1,64}",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """Which provider, and what its tokens must say.

    `issuer` and `audience` are compared as they stand. Keys are fetched again when they are older
    than `max_age` seconds or a token names an unknown one, but never within `floor` seconds of the
    last try. While the provider cannot be reached, the keys that were fetched last go on to hold
    for `stale` seconds.
    """

    issuer: str
    audience: str
    leeway: float = 30.0
    max_age: float = 600.0
    floor: float = 10.0
    stale: float = 86_400.0

    def __post_init__(self) -> None:
        _check_url(self.issuer, "BODYSITE_OIDC_ISSUER")
        if not self.audience:
            raise RequestError(
                "BODYSITE_OIDC_AUDIENCE",
                "it is empty, so that tokens for any other service would be taken",
                "the 'aud' that the provider gives to tokens for this server",
                "Set it.",
                status=500,
            )


@dataclass(frozen=True, slots=True)
class Provider:
    """What the discovery document of a provider says, as far as it is used or told on."""

    jwks_uri: str
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    introspection_endpoint: str | None = None
    revocation_endpoint: str | None = None
    registration_endpoint: str | None = None
    grant_types: tuple[str, ...] = ()
    authentication_methods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Key:
    """A public key, and the algorithms that it signs with."""

    key: Any
    algorithms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Keys:
    """Keys by their id, and when (by the clock of the process) they were fetched."""

    provider: Provider
    by_id: Mapping[str | None, _Key]
    fetched: float


class OpenIdProvider:
    """Checks tokens of one provider.

    `verify` works with the keys that are at hand; where `wants_keys` says so, `refresh` is to be
    called first, which asks the provider and blocks meanwhile.
    """

    def __init__(self, settings: OidcSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: _Keys | None = None
        self._tried: float | None = None

    @property
    def issuer(self) -> str:
        """The issuer that tokens must name."""
        return self._settings.issuer

    @property
    def provider(self) -> Provider | None:
        """What the provider says of itself, once it was asked."""
        return self._keys.provider if self._keys is not None else None

    def wants_keys(self, token: str | None = None) -> bool:
        """Return whether the keys are to be fetched before `token` is looked at."""
        now = self._clock()
        if self._tried is not None and now - self._tried < self._settings.floor:
            return False
        if self._keys is None or now - self._keys.fetched > self._settings.max_age:
            return True
        return token is not None and self._names_unknown_key(token, self._keys)

    def refresh(self) -> None:
        """Ask the provider for its keys; when that fails, what was known goes on to hold."""
        with self._lock:
            now = self._clock()
            if self._tried is not None and now - self._tried < self._settings.floor:
                return
            self._tried = now
            try:
                provider = _discovered(self._settings.issuer)
                keys = _parsed_keys(_document(provider.jwks_uri, "jwks_uri"))
            except RequestError as error:
                logger.error("the OpenID provider does not help: %s", error)
                return
            self._keys = _Keys(provider, keys, self._clock())

    def verify(self, token: str) -> Actor:
        """Return who the token was given to.

        Raises
        ------
        UnauthorizedError
            It does not hold; why is told in general terms.
        RequestError
            503: the keys of the provider cannot be had.
        """
        if len(token) > _MAX_TOKEN:
            raise _invalid("it is too long")
        header = _header(token)
        keys = self._keys
        if keys is None or self._clock() - keys.fetched > self._settings.stale:
            raise RequestError(
                "Authorization",
                "tokens cannot be checked: the OpenID provider does not answer",
                "a provider that can be reached",
                "Try again later.",
                status=503,
                issue="transient",
            )
        key = keys.by_id.get(header.get("kid"))
        if key is None:
            raise _invalid("the provider has no such key")
        try:
            claims = jwt.decode(
                token,
                key.key,
                # Those of the type of this key: what a token claims of itself decides nothing.
                algorithms=list(key.algorithms),
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=self._settings.leeway,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise _invalid("it has expired") from error
        except jwt.InvalidAudienceError as error:
            raise _invalid("it is for another service") from error
        except jwt.InvalidIssuerError as error:
            raise _invalid("it is of another issuer") from error
        except jwt.ImmatureSignatureError as error:
            raise _invalid("it does not hold yet") from error
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise _invalid("it does not hold") from error
        return _actor(claims, self._settings.issuer)

    def _names_unknown_key(self, token: str, keys: _Keys) -> bool:
        try:
            return _header(token).get("kid") not in keys.by_id
        except UnauthorizedError:
            return False


def looks_like_jwt(token: str) -> bool:
    """Return whether `token` has the form of a signed JSON Web Token."""
    return token.count(".") == 2 and token.startswith("ey")


def _invalid(what: str) -> UnauthorizedError:
    return UnauthorizedError(f"the token is not taken: {what}", _AGAIN, error="invalid_token")


def _header(token: str) -> dict[str, Any]:
    """Return the header of a token that is signed in a way that is allowed."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise _invalid("it is no JSON Web Token") from error
    kid = header.get("kid")
    if header.get("alg") not in ALGORITHMS or not (kid is None or isinstance(kid, str)):
        raise _invalid("its signature is of a kind that is not allowed")
    # RFC 7515, 4.1.11: what is critical and not understood makes the token invalid.
    if "crit" in header:
        raise _invalid("it has critical headers")
    return header


def _actor(claims: Mapping[str, Any], issuer: str) -> Actor:
    name = next(
        (
            value
            for value in (claims.get(key) for key in ("sub", "client_id", "azp"))
            if isinstance(value, str) and value.strip()
        ),
        None,
    )
    if name is None:
        raise _invalid("it names nobody")
    scopes = claims.get("scope", claims.get("scp", ""))
    if isinstance(scopes, str):
        scopes = scopes.split()
    if not isinstance(scopes, list) or not all(isinstance(one, str) for one in scopes):
        raise _invalid("its scopes are of a wrong form")
    reference: dict[str, Any] = {"identifier": {"system": issuer, "value": name[:255]}}
    user = claims.get("fhirUser")
    found = _FHIR_USER.fullmatch(user) if isinstance(user, str) else None
    if found is not None:
        reference = {"reference": found[0], "type": found[1], **reference}
    return Actor(name[:255], "jwt", tuple(scopes), reference)


# -- what the provider publishes -------------------------------------------------------------------


def _discovered(issuer: str) -> Provider:
    # OpenID Connect Discovery 1.0, 4.1 and 4.3: the issuer of the document is the one asked for.
    found = _document(issuer.rstrip("/") + DISCOVERY, "BODYSITE_OIDC_ISSUER")
    if found.get("issuer") != issuer:
        raise _unusable("BODYSITE_OIDC_ISSUER", "its discovery document is of another issuer")
    uri = found.get("jwks_uri")
    if not isinstance(uri, str):
        raise _unusable("BODYSITE_OIDC_ISSUER", "its discovery document names no jwks_uri")
    _check_url(uri, "jwks_uri")

    def text(key: str) -> str | None:
        value = found.get(key)
        return value if isinstance(value, str) else None

    def texts(key: str) -> tuple[str, ...]:
        value = found.get(key)
        return (
            tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()
        )

    return Provider(
        uri,
        text("authorization_endpoint"),
        text("token_endpoint"),
        text("introspection_endpoint"),
        text("revocation_endpoint"),
        text("registration_endpoint"),
        texts("grant_types_supported"),
        texts("token_endpoint_auth_methods_supported"),
    )


def _parsed_keys(document: Mapping[str, Any]) -> dict[str | None, _Key]:
    """Return the keys that may sign, by id; a set of one key may leave out the id."""
    listed = document.get("keys")
    found: dict[str | None, _Key] = {}
    usable: list[_Key] = []
    for one in listed if isinstance(listed, list) else ():
        key = _parsed_key(one) if isinstance(one, dict) else None
        if key is None:
            continue
        usable.append(key)
        if isinstance(one.get("kid"), str):
            found[one["kid"]] = key
    if len(usable) == 1:
        found.setdefault(None, usable[0])
    if not found:
        raise _unusable("jwks_uri", "it has no key that can be used")
    return found


def _parsed_key(one: Mapping[str, Any]) -> _Key | None:
    """Return a public key that may sign; secrets and keys to encrypt with are none of ours."""
    algorithms = _BY_TYPE.get(str(one.get("kty")), ())
    algorithm = one.get("alg", "")
    if algorithm:
        algorithms = tuple(name for name in algorithms if name == algorithm)
    if not algorithms or one.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK({name: value for name, value in one.items() if name != "d"}).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < _MIN_RSA_BITS:
        return None
    return _Key(key, algorithms)


def _document(url: str, where: str) -> dict[str, Any]:
    try:
        with requests.get(
            url,
            timeout=_TIMEOUT,
            allow_redirects=False,
            stream=True,
            headers={"Accept": "application/json"},
        ) as answer:
            if answer.status_code != 200:
                raise _unusable(where, f"it answers with status {answer.status_code}")
            content = bytearray()
            for chunk in answer.iter_content(1 << 16):
                content += chunk
                if len(content) > _MAX_DOCUMENT:
                    raise _unusable(where, "its answer is too long")
        found = json.loads(bytes(content))
    except (requests.RequestException, ValueError) as error:
        raise _unusable(where, f"it cannot be read ({type(error).__name__})") from error
    if not isinstance(found, dict):
        raise _unusable(where, "its answer is no JSON object")
    return found


def _unusable(where: str, what: str) -> RequestError:
    return RequestError(
        where,
        what,
        "an OpenID provider that publishes its keys",
        "Check the address, and whether this machine reaches it.",
        status=503,
        issue="transient",
    )


def _check_url(url: str, where: str) -> None:
    """Refuse what is not https; plain http is for a provider on the same machine only."""
    parts = urlsplit(url)
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and local)):
        return
    raise RequestError(
        where,
        "it is no https address",
        "https://…",
        "Keys that come over a plain connection can be anybody's.",
        status=500,
    )
