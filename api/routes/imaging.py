"""POST ImagingStudy/$annotate under /r4 and /r5: images in, coded resources out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
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
from api.bundles import dump
from api.deps import Service, ServiceDep
from api.errors import RequestError
from api.model.cancel import AbandonedError
from api.outcome import outcome_of, status_of
from api.rendering import rendered
from api.responses import FHIR_JSON, FhirResponse
from api.routes.jobs import begin_annotating, release_of, wants_async
from api.security.audit import note
from api.tx.answers import Answer, Asked
from api.tx.resources_store import R4, R5
from api.uploads import ACCEPTED, Upload, items_of, of_json, receive
from api.watching import watched

router = APIRouter(tags=["imaging"])

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


async def annotate(request: Request, service: ServiceDep) -> FhirResponse:
    """Annotate images and store what is known of them.

    200 with a Bundle when one file at least went through, an OperationOutcome entry for every
    other one; 422 with an OperationOutcome when none did, 500 when that was a fault of ours. With
    "Prefer: respond-async", 202 at once: the work goes on in the background.
    """
    release = release_of(request)
    if wants_async(request):
        return await begin_annotating(request, service, release)
    parameters = request.query_params
    persist = asked_to_persist(parameters)
    modality = check_modality(parameters.get("modality"))
    base = service.base(request, release)
    async with AsyncExitStack() as stack:
        uploads = await receive(request, service.settings.limits, stack)
        try:
            async with watched(request):
                answer = await run_in_threadpool(
                    annotated, service, uploads, modality, persist, base, release
                )
        except AbandonedError as error:
            raise ClientDisconnect from error
    note(request.scope, answer.references)
    return FhirResponse(answer.body, status_code=answer.status)


for _release in (R4, R5):
    router.add_api_route(
        f"/{_release.lower()}/ImagingStudy/$annotate",
        annotate,
        methods=["POST"],
        name=f"annotate {_release}",
        summary=f"Annotate images; answers in FHIR {_release}",
        response_class=FhirResponse,
        openapi_extra=_DOCUMENTATION,
        responses={202: {"description": "Accepted: Content-Location says where to ask"}},
    )


@dataclass(frozen=True, slots=True)
class Annotations:
    """The answer to images: a Bundle, or an OperationOutcome; `references` are of what is kept."""

    body: str | dict[str, Any]
    status: int = 200
    references: tuple[str, ...] = ()


def annotated(
    service: Service,
    uploads: Sequence[Upload],
    modality: str | None,
    persist: bool,
    base: str,
    release: str,
) -> Annotations:
    """Return what is known of uploads, in a release of FHIR; stored when `persist`."""
    items = items_of(uploads, service.settings.limits)
    batch = Batch.of(service.annotator.annotate_all(items, modality))
    service.metrics.files.labels("annotated").inc(batch.annotated)
    service.metrics.files.labels("failed").inc(len(batch.failed))
    if not batch.annotated:
        issues = [issue for one in batch.failed for issue in outcome_of(one.error)["issue"]]
        ours = any(status_of(one.error) >= 500 for one in batch.failed)
        content = {"resourceType": "OperationOutcome", "issue": issues}
        return Annotations(content, 500 if ours else 422)
    if persist:
        studies = stored_studies(batch, service.builder, service.store, base)
        pictures = stored_pictures(batch, service.builder, service.store, base)
        entries = once((*studies.values(), pictures))
    else:
        entries = unstored_entries(batch, service.builder, base)
    addresses = (entry.full_url or "" for entry in entries)
    references = tuple("/".join(one.rsplit("/", 2)[-2:]) for one in addresses) if persist else ()
    if release != R4:
        entries = [replace(one, body=dump(rendered(one.body, release))) for one in entries]
    return Annotations(answer(batch, entries), 200, references)


def annotated_entry(service: Service, asked: Asked) -> Answer:
    """Return the answer to an entry of a Bundle: a Binary or Parameters to annotate."""
    parameters = dict(asked.query)
    body = asked.body if isinstance(asked.body, dict) else {}
    uploads = of_json(dump(body).encode())
    modality = check_modality(parameters.get("modality"))
    persist = asked_to_persist(parameters)
    found = annotated(service, uploads, modality, persist, asked.base, asked.release)
    return Answer(found.body, found.status)


def asked_to_persist(parameters: Mapping[str, str]) -> bool:
    """Return whether what is known of images is to be stored; `RequestError` for no boolean."""
    value = parameters.get("persist", "true").lower()
    if value not in {"true", "false"}:
        raise RequestError(
            "persist", f"'{value[:50]}' is no boolean", "true or false", "Correct it."
        )
    return value == "true"
