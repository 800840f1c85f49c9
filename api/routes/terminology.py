"""The terminology operations, each by GET and by POST with a Parameters resource."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class _Route:
    """An operation with what the help page says of it: parameter → (meaning, example)."""

    run: Operation
    summary: str
    parameters: Mapping[str, tuple[str, str]]


_SNOMED: Final = ("The code system", "http://snomed.info/sct")
_HAND: Final = ("The code", "85562004")
_VERSION: Final = ("Another version than the one that is loaded is refused", "")
_VALUE_SET: Final = (
    "?fhir_vs, ?fhir_vs=isa/CODE or ?fhir_vs=ecl/EXPRESSION of SNOMED CT",
    "http://snomed.info/sct?fhir_vs=ecl/<< 85562004 MINUS << 7569003",
)
_ROUTES: Final[dict[str, _Route]] = {
    "CodeSystem/$lookup": _Route(
        lambda asked, service: operations.lookup(asked, service.terminology.graph),
        "Terms, parents, children, side and history of a concept",
        {
            "system": _SNOMED,
            "code": _HAND,
            "property": ("Only this property; may be repeated", ""),
            "version": _VERSION,
        },
    ),
    "CodeSystem/$subsumes": _Route(
        lambda asked, service: operations.subsumes(asked, service.terminology.graph),
        "How code A stands to code B",
        {
            "system": _SNOMED,
            "codeA": ("The code that may be above", "53120007"),
            "codeB": ("The code that may be below", "85562004"),
            "version": _VERSION,
        },
    ),
    "CodeSystem/$validate-code": _Route(
        lambda asked, service: operations.validate_code(
            asked, service.terminology.graph, in_value_set=False
        ),
        "Whether a code is in the code system",
        {"url": _SNOMED, "code": _HAND, "display": ("A term to check", ""), "version": _VERSION},
    ),
    "ValueSet/$validate-code": _Route(
        lambda asked, service: operations.validate_code(
            asked, service.terminology.graph, in_value_set=True
        ),
        "Whether a code is in a value set",
        {"url": _VALUE_SET, "system": _SNOMED, "code": _HAND, "display": ("A term to check", "")},
    ),
    "ValueSet/$expand": _Route(
        lambda asked, service: operations.expand(asked, service.terminology.graph),
        "The concepts of a value set",
        {
            "url": _VALUE_SET,
            "filter": ("Words or their beginnings", ""),
            "count": ("Size of the page", "20"),
            "offset": ("Concepts to pass over", "0"),
            "includeDesignations": ("true adds the synonyms", ""),
        },
    ),
    "ConceptMap/$translate": _Route(
        lambda asked, service: operations.translate(asked, service.terminology.crosswalk),
        "From a code of another system to SNOMED CT, and back",
        {
            "system": (
                "The system of the code; with SNOMED CT the way leads back",
                "https://w3id.org/bodysite/CodeSystem/irma-anatomy",
            ),
            "code": ("The code, or the word of Body Part Examined", "414"),
            "version": ("Another version than the one that is mapped has no answer", ""),
            "targetsystem": ("Only this system, on the way back", ""),
            "url": ("Only this ConceptMap", ""),
        },
    ),
}
_BODY: Final = {
    "required": True,
    "content": {
        media: {"schema": {"type": "object", "description": "A Parameters resource"}}
        for media in JSON_TYPES
    },
}


def _query(parameters: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "query",
            "schema": {"type": "string"},
            "description": meaning,
            **({"example": example} if example else {}),
        }
        for name, (meaning, example) in parameters.items()
    ]


for _path, _known in _ROUTES.items():
    _name = _path.partition("/")[2]
    for _method, _made, _extra in (
        ("GET", _get, {"parameters": _query(_known.parameters)}),
        ("POST", _post, {"requestBody": _BODY}),
    ):
        router.add_api_route(
            f"/{_path}",
            _made(_name, _known.run),
            methods=[_method],
            name=f"{_path} by {_method}",
            summary=_known.summary,
            response_class=FhirResponse,
            openapi_extra=_extra,
        )
