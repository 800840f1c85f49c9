"""Tokens of an OpenID provider that runs beside the test, and attacks on them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from api.errors import RequestError
from api.security.errors import UnauthorizedError
from api.security.oidc import OidcSettings, OpenIdProvider
from tests.api.security.provider import AUDIENCE, Provider, running_provider


class Clock:
    """The clock of the process, put forward by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(provider: Provider, clock: Clock) -> OpenIdProvider:
    return OpenIdProvider(OidcSettings(provider.url, AUDIENCE), clock)


def verified(client: OpenIdProvider, token: str) -> Any:
    """Do what the service does with a token."""
    if client.wants_keys(token):
        client.refresh()
    return client.verify(token)


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256", "ES256", "ES384", "EdDSA"])
def test_a_token_of_the_provider_is_taken(
    provider: Provider, client: OpenIdProvider, algorithm: str
) -> None:
    provider.add("two", algorithm)
    actor = verified(client, provider.token("two", scope="system/ImagingStudy.rs user/*.r"))
    assert (actor.name, actor.kind) == ("client-a", "jwt")
    assert actor.scopes == ("system/ImagingStudy.rs", "user/*.r")
    assert actor.reference == {"identifier": {"system": provider.url, "value": "client-a"}}


def test_an_algorithm_that_the_key_does_not_name_is_that_of_its_type(
    provider: Provider, client: OpenIdProvider
) -> None:
    provider.add("two", "PS384", alg=None)
    assert verified(client, provider.token("two")).name == "client-a"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": 1}, "has expired"),
        ({"exp": None}, "does not hold"),
        ({"aud": "https://elsewhere.example"}, "for another service"),
        ({"aud": ["https://elsewhere.example"]}, "for another service"),
        ({"aud": None}, "does not hold"),
        ({"iss": "https://elsewhere.example"}, "of another issuer"),
        ({"iss": None}, "does not hold"),
        ({"nbf": 1 << 40, "exp": 1 << 41}, "does not hold yet"),
        ({"exp": "soon"}, "does not hold"),
        ({"sub": None}, "names nobody"),
        ({"sub": " "}, "names nobody"),
        ({"scope": 7}, "scopes are of a wrong form"),
        ({"scope": None, "scp": [1]}, "scopes are of a wrong form"),
    ],
)
def test_a_token_that_does_not_hold_is_refused(
    provider: Provider, client: OpenIdProvider, claims: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UnauthorizedError, match=reason) as caught:
        verified(client, provider.token(**claims))
    assert caught.value.status == 401
    assert 'error="invalid_token"' in caught.value.headers["WWW-Authenticate"]


def test_the_leeway_covers_clocks_that_differ(provider: Provider, client: OpenIdProvider) -> None:
    now = int(time.time())
    assert verified(client, provider.token(exp=now - 10, nbf=now + 10)).name == "client-a"


def test_who_it_is_and_scopes_as_other_providers_write_them(
    provider: Provider, client: OpenIdProvider
) -> None:
    token = provider.token(
        sub=None, client_id="app", scope=None, scp=["user/*.rs"], fhirUser="Practitioner/7"
    )
    actor = verified(client, token)
    assert (actor.name, actor.scopes) == ("app", ("user/*.rs",))
    assert actor.reference["reference"] == "Practitioner/7"
    patient = verified(client, provider.token(fhirUser="Patient/7"))
    assert "reference" not in patient.reference


def _encoded(content: Any) -> str:
    text = json.dumps(content).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def _forged(provider: Provider, kind: str) -> str:
    """Return a token that pretends."""
    whole = provider.token()
    header, content, signature = whole.split(".")
    public = (
        provider.keys["one"]
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    others = rsa.generate_private_key(65537, 2048)
    claims = jwt.decode(whole, options={"verify_signature": False})
    if kind == "none":
        return f"{_encoded({'alg': 'none', 'kid': 'one'})}.{content}."
    if kind == "None with the old signature":
        return f"{_encoded({'alg': 'None', 'kid': 'one'})}.{content}.{signature}"
    if kind == "HMAC with the public key":
        head = _encoded({"alg": "HS256", "typ": "JWT", "kid": "one"})
        digest = hmac.new(public, f"{head}.{content}".encode(), hashlib.sha256).digest()
        return f"{head}.{content}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"
    if kind == "another key under its name":
        return jwt.encode(claims, others, "RS256", {"kid": "one"})
    if kind == "a key in the header":
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk(others.public_key(), as_dict=True)
        return jwt.encode(claims, others, "RS256", {"kid": "one", "jwk": jwk})
    if kind == "a key elsewhere":
        return jwt.encode(claims, others, "RS256", {"kid": "one", "jku": "http://127.0.0.1:1/k"})
    if kind == "other content":
        return f"{header}.{_encoded({**claims, 'scope': 'system/*.cruds'})}.{signature}"
    if kind == "another algorithm of the same key":
        return jwt.encode(claims, provider.keys["one"], "PS512", {"kid": "one"})
    if kind == "critical headers":
        return jwt.encode(
            claims, provider.keys["one"], "RS256", {"kid": "one", "crit": ["x"], "x": 1}
        )
    assert kind == "an ECDSA header over an RSA key"
    return f"{_encoded({'alg': 'ES256', 'kid': 'one'})}.{content}.{signature}"


@pytest.mark.parametrize(
    "kind",
    [
        "none",
        "None with the old signature",
        "HMAC with the public key",
        "another key under its name",
        "a key in the header",
        "a key elsewhere",
        "other content",
        "another algorithm of the same key",
        "critical headers",
        "an ECDSA header over an RSA key",
    ],
)
def test_a_forged_token_is_refused(provider: Provider, client: OpenIdProvider, kind: str) -> None:
    with pytest.raises(UnauthorizedError):
        verified(client, _forged(provider, kind))
    assert set(provider.asked) == {"/.well-known/openid-configuration", "/keys"}


@pytest.mark.parametrize(
    "token", ["ey.ey.ey", "eyJhbGciOiJSUzI1NiJ9..", "ey" + "a" * 20_000 + ".b.c", "eyA.\xff.c"]
)
def test_what_is_no_token_is_refused(client: OpenIdProvider, token: str) -> None:
    client.refresh()
    with pytest.raises(UnauthorizedError):
        verified(client, token)


def test_a_new_key_is_fetched_but_not_more_often_than_the_floor(
    provider: Provider, client: OpenIdProvider, clock: Clock
) -> None:
    verified(client, provider.token())
    provider.add("two")
    fetched = provider.asked.count("/keys")
    for number in range(5):
        with pytest.raises(UnauthorizedError, match="no such key"):
            verified(client, provider.token("one", {"kid": f"made up {number}"}))
    assert provider.asked.count("/keys") == fetched
    clock.now += 11
    assert verified(client, provider.token("two")).name == "client-a"
    assert provider.asked.count("/keys") == fetched + 1


def test_a_key_that_was_withdrawn_holds_no_longer_than_the_cache(
    provider: Provider, client: OpenIdProvider, clock: Clock
) -> None:
    provider.add("two")
    token = provider.token("one")
    verified(client, token)
    provider.remove("one")
    clock.now += 601
    with pytest.raises(UnauthorizedError, match="no such key"):
        verified(client, token)


def test_an_outage_is_bridged_for_a_while(
    provider: Provider, client: OpenIdProvider, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    verified(client, provider.token())
    provider.away = True
    clock.now += 3600
    with caplog.at_level(logging.ERROR):
        assert verified(client, provider.token()).name == "client-a"
    assert "does not help" in caplog.text
    clock.now += 86_400
    with pytest.raises(RequestError) as caught:
        verified(client, provider.token())
    assert (caught.value.status, caught.value.issue) == (503, "transient")
    provider.away = False
    clock.now += 11
    assert verified(client, provider.token()).name == "client-a"


def test_a_provider_that_was_never_reached_lets_nobody_in(
    provider: Provider, client: OpenIdProvider
) -> None:
    provider.away = True
    with pytest.raises(RequestError) as caught:
        verified(client, provider.token())
    assert caught.value.status == 503


def test_a_discovery_document_of_another_issuer_is_not_believed(
    provider: Provider, client: OpenIdProvider
) -> None:
    provider.issuer = "https://elsewhere.example"
    client.refresh()
    assert client.provider is None


@pytest.mark.parametrize(
    "change",
    [{"use": "enc"}, {"alg": "RSA-OAEP"}, {"kty": "oct", "k": "c2VjcmV0"}, {"n": "AQAB"}],
)
def test_keys_that_do_not_sign_are_left_out(
    provider: Provider, client: OpenIdProvider, change: dict[str, Any]
) -> None:
    provider.add("two")
    provider.jwks[0].update(change)
    with pytest.raises(UnauthorizedError, match="no such key"):
        verified(client, provider.token())
    assert verified(client, provider.token("two")).name == "client-a"


def test_a_short_key_is_left_out(provider: Provider, client: OpenIdProvider) -> None:
    provider.add("short", "RS256", bits=1024)
    verified(client, provider.token())
    provider.keys["short"] = provider.keys["short"]
    with pytest.raises(UnauthorizedError):
        client.verify(provider.token("one", {"kid": "short"}))


@pytest.mark.parametrize(
    ("issuer", "audience"),
    [("http://login.example", "a"), ("ftp://x", "a"), ("", "a"), ("https://login.example", "")],
)
def test_settings_that_could_not_be_safe_are_refused(issuer: str, audience: str) -> None:
    with pytest.raises(RequestError):
        OidcSettings(issuer, audience)
