"""`/.well-known/smart-configuration`: where clients get tokens, and what these can say."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool

from api.responses import of_status
from api.rest.kinds import KINDS
from api.security.oidc import Provider
from api.security.setup import Security

router = APIRouter(tags=["service"])

_PATH: Final = "/.well-known/smart-configuration"
# SMART App Launch 2.2.0, 8: what a server may say that it can.
_CAPABILITIES: Final = ("permission-v1", "permission-v2", "permission-user")
_BY_METHOD: Final = {
    "private_key_jwt": "client-confidential-asymmetric",
    "client_secret_basic": "client-confidential-symmetric",
    "client_secret_post": "client-confidential-symmetric",
    "none": "client-public",
}


async def configuration(request: Request) -> Response:
    """Return it; 404 where tokens come from no OpenID provider, 503 while that one is away."""
    security: Security = request.app.state.security
    provider = security.provider
    if provider is None:
        return of_status(404, "The tokens of this service come from whoever runs it.")
    if provider.wants_keys():
        await run_in_threadpool(provider.refresh)
    known = provider.provider
    if known is None:
        return of_status(503, "The OpenID provider does not answer; try again later.")
    return JSONResponse(_document(provider.issuer, known))


def _document(issuer: str, known: Provider) -> dict[str, Any]:
    clients = (_BY_METHOD.get(method) for method in known.authentication_methods)
    found: dict[str, Any] = {
        "issuer": issuer,
        "jwks_uri": known.jwks_uri,
        "authorization_endpoint": known.authorization_endpoint,
        "token_endpoint": known.token_endpoint,
        "introspection_endpoint": known.introspection_endpoint,
        "revocation_endpoint": known.revocation_endpoint,
        "registration_endpoint": known.registration_endpoint,
        "grant_types_supported": list(known.grant_types) or ["client_credentials"],
        "token_endpoint_auth_methods_supported": list(known.authentication_methods),
        "scopes_supported": [
            f"{context}/{kind}.cruds" for context in ("system", "user") for kind in ("*", *KINDS)
        ],
        "code_challenge_methods_supported": ["S256"],
        "capabilities": [
            *_CAPABILITIES,
            *dict.fromkeys(one for one in clients if one is not None),
        ],
    }
    return {name: value for name, value in found.items() if value not in (None, [])}


for _root in ("", "/r4", "/r5"):
    router.add_api_route(
        _root + _PATH,
        configuration,
        methods=["GET"],
        name=f"smart configuration {_root or '/'}",
        summary="Where clients of SMART on FHIR get their tokens",
        response_class=JSONResponse,
    )
