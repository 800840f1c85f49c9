"""The terminology operations, each by GET and by POST with a Parameters resource."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from api import operations
from api.deps import Service, ServiceDep, read_body
from api.errors import RequestError
from api.parameters import Arguments
from api.responses import FhirResponse
from api.uploads import JSON_TYPES

router = APIRouter(prefix="/r4", tags=["terminology"])

Operation = Callable[[Arguments, Service], dict[str, Any]]
_MAX_BODY_BYTES: Final = 1 << 20


def _get(name: str, operation: Operation) -> Callable[..., FhirResponse]:
    def run(request: Request, service: ServiceDep) -> FhirResponse:
        arguments = Arguments.of_query(name, request.query_params.multi_items())
        return FhirResponse(operation(arguments, service))

    return run


def _post(name: str, operation: Operation) -> Callable[..., Any]:
    async def run(request: Request, service: ServiceDep) -> FhirResponse:
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media not in JSON_TYPES:
            raise RequestError(
                "Content-Type",
                f"'{media[:100]}' is not accepted",
                " or ".join(JSON_TYPES),
                "Send a Parameters resource in JSON, or use GET.",
                status=415,
                issue="not-supported",
            )
        body = await read_body(request, _MAX_BODY_BYTES)
        arguments = Arguments.of_body(name, body, request.query_params.multi_items())
        return FhirResponse(await run_in_threadpool(operation, arguments, service))

    return run


_OPERATIONS: Final[dict[str, Operation]] = {
    "CodeSystem/$lookup": lambda asked, service: operations.lookup(
        asked, service.terminology.graph
    ),
    "CodeSystem/$subsumes": lambda asked, service: operations.subsumes(
        asked, service.terminology.graph
    ),
    "CodeSystem/$validate-code": lambda asked, service: operations.validate_code(
        asked, service.terminology.graph, in_value_set=False
    ),
    "ValueSet/$validate-code": lambda asked, service: operations.validate_code(
        asked, service.terminology.graph, in_value_set=True
    ),
    "ValueSet/$expand": lambda asked, service: operations.expand(asked, service.terminology.graph),
    "ConceptMap/$translate": lambda asked, service: operations.translate(
        asked, service.terminology.crosswalk
    ),
}

for _path, _operation in _OPERATIONS.items():
    _name = _path.partition("/")[2]
    for _method, _route in (("GET", _get), ("POST", _post)):
        router.add_api_route(
            f"/{_path}",
            _route(_name, _operation),
            methods=[_method],
            name=f"{_path} by {_method}",
            response_class=FhirResponse,
        )
