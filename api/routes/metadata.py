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
from api.concept_maps import concept_maps
from api.deps import Service, ServiceDep
from api.responses import FhirResponse, of_status

router = APIRouter(tags=["service"])


@router.get("/", include_in_schema=False)
def start() -> RedirectResponse:
    """Lead a person who typed the bare address to the help page."""
    return RedirectResponse("/docs")


@router.get("/r4/metadata", response_class=FhirResponse)
def metadata(request: Request, service: ServiceDep) -> FhirResponse:
    """Return the CapabilityStatement."""
    version = service.terminology.graph.version
    with_tokens = bool(service.settings.tokens)
    statement = capability_statement(service.base(request), version, with_tokens=with_tokens)
    return FhirResponse(statement)


Published = Callable[[Service], dict[str, dict[str, Any]]]

# What comes with the service and lives in no store: resource type → resources by id.
_PUBLISHED: Final[dict[str, Published]] = {
    "ConceptMap": lambda service: concept_maps(service.terminology.crosswalk),
    "OperationDefinition": lambda _: operation_definitions(),
    "SearchParameter": lambda _: search_parameters(),
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
    """Say whether the store answers and which terminology is loaded."""
    service.store.read("Device", "-")
    graph = service.terminology.graph
    return JSONResponse(
        {"status": "ok", "terminology": {"version": graph.version, "concepts": len(graph)}}
    )


@router.get("/metrics", response_class=Response)
def metrics(service: ServiceDep) -> Response:
    """Return the counters for Prometheus."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)
