"""POST /r4/ImagingStudy/$annotate: images in, coded resources out."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from api.annotator import check_modality
from api.batch import (
    Batch,
    answer,
    once,
    stored_pictures,
    stored_studies,
    unstored_entries,
)
from api.deps import Service, ServiceDep
from api.errors import RequestError
from api.model.cancel import AbandonedError
from api.outcome import outcome_of, status_of
from api.responses import FHIR_JSON, FhirResponse
from api.uploads import ACCEPTED, Upload, items_of, receive
from api.watching import watched

router = APIRouter(prefix="/r4", tags=["imaging"])

_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_DOCUMENTATION: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            **dict.fromkeys(ACCEPTED, _BINARY),
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}}
                    },
                }
            },
            **{media: {"schema": {"type": "object"}} for media in (FHIR_JSON, "application/json")},
        },
    },
    "parameters": [
        {
            "name": "persist",
            "in": "query",
            "schema": {"type": "boolean", "default": True},
            "description": "false: answer without storing.",
        },
        {
            "name": "modality",
            "in": "query",
            "schema": {"type": "string", "pattern": "^[A-Z0-9_]{1,16}$"},
            "description": "What a plain picture is, such as DX; a DICOM file says it itself.",
        },
    ],
}


@router.post("/ImagingStudy/$annotate", response_class=FhirResponse, openapi_extra=_DOCUMENTATION)
async def annotate(request: Request, service: ServiceDep) -> FhirResponse:
    """Annotate images and store what is known of them.

    200 with a Bundle when one file at least went through, an OperationOutcome entry for every
    other one; 422 with an OperationOutcome when none did, 500 when that was a fault of ours.
    """
    persist = _persist(request)
    modality = check_modality(request.query_params.get("modality"))
    async with AsyncExitStack() as stack:
        uploads = await receive(request, service.settings.limits, stack)
        try:
            async with watched(request):
                return await run_in_threadpool(
                    _answer, service, uploads, modality, persist, service.base(request)
                )
        except AbandonedError as error:
            raise ClientDisconnect from error


def _answer(
    service: Service, uploads: list[Upload], modality: str | None, persist: bool, base: str
) -> FhirResponse:
    items = items_of(uploads, service.settings.limits)
    batch = Batch.of(service.annotator.annotate_all(items, modality))
    service.metrics.files.labels("annotated").inc(batch.annotated)
    service.metrics.files.labels("failed").inc(len(batch.failed))
    if not batch.annotated:
        issues = [issue for one in batch.failed for issue in outcome_of(one.error)["issue"]]
        ours = any(status_of(one.error) >= 500 for one in batch.failed)
        content = {"resourceType": "OperationOutcome", "issue": issues}
        return FhirResponse(content, status_code=500 if ours else 422)
    if persist:
        studies = stored_studies(batch, service.builder, service.store, base)
        pictures = stored_pictures(batch, service.builder, service.store, base)
        entries = once((*studies.values(), pictures))
    else:
        entries = unstored_entries(batch, service.builder, base)
    return FhirResponse(answer(batch, entries))


def _persist(request: Request) -> bool:
    value = request.query_params.get("persist", "true").lower()
    if value not in {"true", "false"}:
        raise RequestError(
            "persist", f"'{value[:50]}' is no boolean", "true or false", "Correct it."
        )
    return value == "true"
