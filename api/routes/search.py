"""Read and search of the resources in the store."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.deps import Service, ServiceDep, read_body
from api.errors import RequestError
from api.responses import FhirResponse, of_status, of_stored
from api.search import PARAMETERS, SearchRequest

router = APIRouter(prefix="/r4", tags=["resources"])

_FORM: Final = "application/x-www-form-urlencoded"
_MAX_FORM_BYTES: Final = 1 << 20
_FHIR_ID: Final = re.compile(r"[A-Za-z0-9.\-]{1,64}", re.ASCII)
_STRICT: Final = re.compile(r"handling\s*=\s*\"?strict", re.IGNORECASE)

Prefer = Annotated[str | None, Header()]
IfNoneMatch = Annotated[str | None, Header()]


def _search(
    service: Service,
    request: Request,
    kind: str,
    parameters: list[tuple[str, str]],
    prefer: str | None,
) -> FhirResponse:
    asked = SearchRequest(
        kind=kind,
        parameters=tuple(parameters),
        base=service.base(request),
        strict=bool(_STRICT.search(prefer or "")),
    )
    return FhirResponse(service.searcher.search(asked))


def _get(kind: str) -> Callable[..., FhirResponse]:
    def search(request: Request, service: ServiceDep, prefer: Prefer = None) -> FhirResponse:
        return _search(service, request, kind, request.query_params.multi_items(), prefer)

    return search


def _post(kind: str) -> Callable[..., Any]:
    async def search(request: Request, service: ServiceDep, prefer: Prefer = None) -> FhirResponse:
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await read_body(request, _MAX_FORM_BYTES)
        if media != _FORM and body:
            raise RequestError(
                "Content-Type",
                f"'{media[:100]}' is not accepted",
                _FORM,
                "Send the search parameters as a form, or use GET.",
                status=415,
                issue="not-supported",
            )
        parameters = [
            *request.query_params.multi_items(),
            *parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True),
        ]
        return await run_in_threadpool(_search, service, request, kind, parameters, prefer)

    return search


def _read(kind: str) -> Callable[..., Response]:
    def read(resource_id: str, service: ServiceDep, if_none_match: IfNoneMatch = None) -> Response:
        stored = None
        if _FHIR_ID.fullmatch(resource_id):
            stored = service.store.read(kind, resource_id)
        if stored is None:
            return of_status(404, f"{kind}: '{resource_id[:64]}' is not stored here.")
        if stored.deleted:
            return of_status(410, f"{kind}: '{resource_id[:64]}' was deleted.")
        return of_stored(stored, if_none_match)

    return read


def _documented(kind: str) -> dict[str, Any]:
    return {
        "parameters": [
            {
                "name": parameter.name + modifier,
                "in": "query",
                "schema": {"type": "string"},
                "description": parameter.documentation,
            }
            for parameter in PARAMETERS[kind]
            for modifier in (("", ":below") if parameter.body_site else ("",))
        ]
    }


for _kind, _parameters in PARAMETERS.items():
    if _parameters:
        router.add_api_route(
            f"/{_kind}",
            _get(_kind),
            methods=["GET"],
            name=f"search {_kind}",
            summary=f"Search {_kind}",
            response_class=FhirResponse,
            openapi_extra=_documented(_kind),
        )
        router.add_api_route(
            f"/{_kind}/_search",
            _post(_kind),
            methods=["POST"],
            name=f"search {_kind} by POST",
            summary=f"Search {_kind} by a form",
            response_class=FhirResponse,
        )
    router.add_api_route(
        f"/{_kind}/{{resource_id}}",
        _read(_kind),
        methods=["GET"],
        name=f"read {_kind}",
        summary=f"Read {_kind}",
        response_class=FhirResponse,
    )
