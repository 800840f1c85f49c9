"""What the service is and how it is: metadata, search parameters, health, metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.bundles import Entry, dump, searchset
from api.capability import capability_statement, search_parameters
from api.deps import ServiceDep
from api.responses import FhirResponse, of_status

router = APIRouter(tags=["service"])


@router.get("/r4/metadata", response_class=FhirResponse)
def metadata(request: Request, service: ServiceDep) -> FhirResponse:
    """Return the CapabilityStatement."""
    version = service.terminology.graph.version
    return FhirResponse(capability_statement(service.base(request), version))


@router.get("/r4/SearchParameter", response_class=FhirResponse)
def list_search_parameters(request: Request, service: ServiceDep) -> FhirResponse:
    """Return the search parameters of this service as a searchset."""
    address = f"{service.base(request)}/SearchParameter"
    found = search_parameters()
    entries = [Entry(dump(one), f"{address}/{key}", "match") for key, one in found.items()]
    return FhirResponse(searchset(entries, [("self", address)], len(found)))


@router.get("/r4/SearchParameter/{resource_id}", response_class=FhirResponse)
def read_search_parameter(resource_id: str) -> FhirResponse:
    """Return one search parameter."""
    found = search_parameters().get(resource_id)
    if found is None:
        return of_status(404, f"SearchParameter: '{resource_id[:64]}' is not here.")
    return FhirResponse(found)


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
