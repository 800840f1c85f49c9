"""A real OpenID provider: an HTTP server of its own, with keys of its own."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

AUDIENCE = "https://bodysite.example/fhir"


@dataclass
class Provider:
    """What the provider has, and what it was asked."""

    url: str = ""
    keys: dict[str, Any] = field(default_factory=dict)
    algorithms: dict[str, str] = field(default_factory=dict)
    jwks: list[dict[str, Any]] = field(default_factory=list)
    issuer: str | None = None
    away: bool = False
    asked: list[str] = field(default_factory=list)

    def add(self, kid: str, algorithm: str = "RS256", **published: Any) -> None:
        """Make a key and publish it."""
        key: Any
        if algorithm.startswith("ES"):
            curve = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1}[algorithm]()
            key = ec.generate_private_key(curve)
            jwk = jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        elif algorithm == "EdDSA":
            key = ed25519.Ed25519PrivateKey.generate()
            jwk = jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
        else:
            key = rsa.generate_private_key(65537, published.pop("bits", 2048))
            jwk = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        self.keys[kid], self.algorithms[kid] = key, algorithm
        entry = {**jwk, "kid": kid, "use": "sig", "alg": algorithm, **published}
        self.jwks.append({name: value for name, value in entry.items() if value is not None})

    def remove(self, kid: str) -> None:
        """Take a key out of what is published."""
        self.jwks = [one for one in self.jwks if one.get("kid") != kid]

    def token(self, kid: str = "one", headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a token that holds but for `claims`; `None` leaves one out."""
        now = int(time.time())
        content = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "client-a",
            "exp": now + 300,
            "iat": now,
            "scope": "system/ImagingStudy.rs",
            **claims,
        }
        return jwt.encode(
            {name: value for name, value in content.items() if value is not None},
            self.keys[kid],
            self.algorithms[kid],
            {"kid": kid, **(headers or {})},
        )


@contextlib.contextmanager
def running_provider() -> Iterator[Provider]:
    """Run a provider with one RSA key named "one"."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.asked.append(self.path)
            documents = {
                "/.well-known/openid-configuration": {
                    "issuer": provider.issuer or provider.url,
                    "jwks_uri": f"{provider.url}/keys",
                    "token_endpoint": f"{provider.url}/token",
                    "authorization_endpoint": f"{provider.url}/authorize",
                    "token_endpoint_auth_methods_supported": ["private_key_jwt"],
                },
                "/keys": {"keys": provider.jwks},
            }
            found = documents.get(self.path)
            if found is None or provider.away:
                self.send_error(503 if provider.away else 404)
                return
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_port}"
    provider.add("one")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
