"""What the service is and how it is: metadata, published resources, health, metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.bundles import Entry, dump, searchset
from api.capability import capability_statement, operation_definitions, search_parameters
from api.deps import Service, ServiceDep
from api.errors import RequestError
from api.extensions import structure_definitions
from api.model.description import ModelDescription
from api.responses import FhirResponse, of_status
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
            return FhirResponse(terminology_capabilities(service.tx, release, base))
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
            with_tokens=bool(service.settings.tokens),
            keeps=service.tx.library is not None,
        )
        return FhirResponse(statement)

    return metadata


for _release in (R4, R5):
    router.add_api_route(
        f"/{_release.lower()}/metadata",
        _metadata(_release),
        methods=["GET"],
        name=f"metadata {_release}",
        summary=f"CapabilityStatement of FHIR {_release}; ?mode=terminology for code systems",
        response_class=FhirResponse,
    )


Published = Callable[[Service], dict[str, dict[str, Any]]]

# What comes with the service and lives in no store: resource type → resources by id.
_PUBLISHED: Final[dict[str, Published]] = {
    "OperationDefinition": lambda _: operation_definitions(),
    "SearchParameter": lambda _: search_parameters(),
    "StructureDefinition": lambda _: structure_definitions(),
}


def _list(kind: str, published: Published) -> Callable[..., FhirResponse]:
    def search(request: Request, service: ServiceDep, url: str | None = None) -> FhirResponse:
        address = f"{service.base(request)}/{kind}"
        found = {key: one for key, one in published(service).items() if url in (None, one["url"])}
        entries = [Entry(dump(one), f"{address}/{key}", "match") for key, one in found.items()]
        query = f"?{urlencode({'url': url})}" if url is not None else ""
        return FhirResponse(searchset(entries, [("self", address + query)], len(found)))

    return search


def _read(kind: str, published: Published) -> Callable[..., FhirResponse]:
    def read(resource_id: str, service: ServiceDep) -> FhirResponse:
        found = published(service).get(resource_id)
        if found is None:
            return of_status(404, f"{kind}: '{resource_id[:64]}' is not here.")
        return FhirResponse(found)

    return read


for _kind, _resources in _PUBLISHED.items():
    for _path, _route in ((f"/r4/{_kind}", _list), (f"/r4/{_kind}/{{resource_id}}", _read)):
        router.add_api_route(
            _path,
            _route(_kind, _resources),
            methods=["GET"],
            name=f"{_route.__name__.strip('_')} {_kind}",
            summary=f"{_route.__name__.strip('_').capitalize()} {_kind}",
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
