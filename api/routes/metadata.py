"""What the service is and how it is: metadata, health, metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.capability import capability_statement
from api.deps import Service, ServiceDep
from api.errors import RequestError
from api.model.description import ModelDescription
from api.negotiation import is_pretty
from api.responses import FhirResponse
from api.rest.content import dump as json_text
from api.security.setup import is_guarded
from api.tx.capabilities import terminology_capabilities
from api.tx.resources_store import R4, R5

router = APIRouter(tags=["service"])


@router.get("/", include_in_schema=False)
def start() -> RedirectResponse:
    """Lead a person who typed the bare address to the help page."""
    return RedirectResponse("/docs")


def _metadata(release: str) -> Callable[..., FhirResponse]:
    def metadata(request: Request, service: ServiceDep, mode: str = "full") -> FhirResponse:
        base = service.base(request, release)
        if mode == "terminology":
            return _shown(terminology_capabilities(service.tx, release, base), request)
        if mode not in {"full", "normative"}:
            raise RequestError(
                "mode",
                f"'{mode[:40]}' is no mode",
                "full, normative or terminology",
                "Correct it, or leave it out.",
                issue="value",
            )
        statement = capability_statement(
            base,
            [str(one.version) for one in service.tx.releases],
            release,
            with_tokens=is_guarded(service.settings),
            keeps=service.tx.library is not None,
            with_provider=service.settings.oidc_issuer is not None,
        )
        return _shown(statement, request)

    return metadata


def _shown(content: dict[str, Any], request: Request) -> FhirResponse:
    pretty = is_pretty(request.query_params.multi_items())
    return FhirResponse(json_text(content, pretty=pretty))


for _release in (R4, R5):
    router.add_api_route(
        f"/{_release.lower()}/metadata",
        _metadata(_release),
        methods=["GET"],
        name=f"metadata {_release}",
        summary=f"CapabilityStatement of FHIR {_release}; ?mode=terminology for code systems",
        response_class=FhirResponse,
    )


@router.get("/health")
def health(service: ServiceDep) -> JSONResponse:
    """Say whether the store answers, which terminology is loaded, and which model reads pixels.

    `mappings` tells of a site's own tables; with a `problem`, an older state of them answers.
    """
    service.store.read("Device", "-")
    graph = service.terminology.graph
    return JSONResponse(
        {
            "status": "ok",
            "terminology": {"version": graph.version, "concepts": len(graph)},
            "releases": [one.version for one in service.tx.releases],
            "model": _model(service),
            "mappings": service.live.state.as_dict() if service.live.folder is not None else None,
        }
    )


def _model(service: Service) -> dict[str, Any]:
    """Return who the model is; without one, why there is none and what to do."""
    if service.predictor is None:
        return {"loaded": False, "problem": service.absent}
    return {"loaded": True, **ModelDescription.of(service.predictor).as_dict()}


@router.get("/metrics", response_class=Response)
def metrics(service: ServiceDep) -> Response:
    """Return the counters for Prometheus."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)
