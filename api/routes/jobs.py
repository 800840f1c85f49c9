"""Work behind an answer: bulk export, large uploads to `$annotate`, and how they stand.

HL7 FHIR Bulk Data Access 2.0.0; FHIR R4 3.1.6 and FHIR R5 3.2.5, 3.2.6 (asynchronous patterns).
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.annotator import check_modality
from api.deps import ServiceDep, read_body
from api.errors import RequestError
from api.jobs import answers
from api.jobs.annotating import AnnotateRequest
from api.jobs.export import EXPORT, PATIENT_LEVEL, SYSTEM_LEVEL, ExportRequest, asked_export
from api.jobs.records import DELETED, ERROR, JOURNAL, NDJSON, Job, Part, State
from api.jobs.service import Jobs
from api.negotiation import check_sent
from api.outcome import outcome
from api.responses import FHIR_JSON, FhirResponse, of_status
from api.security.actor import Actor, actor_of
from api.tx.resources_store import R4, R5
from api.uploads import receive

router = APIRouter(tags=["jobs"])

_MAX_BODY: Final = 1 << 20
_PREFERENCE: Final = re.compile(r"\s*([A-Za-z-]+)\s*(?:=\s*\"?([A-Za-z-]*)\"?)?\s*(?:;.*)?")
_FILE_NAME: Final = re.compile(r"([A-Za-z]{1,64})-([0-9]{1,9})\.ndjson", re.ASCII)
_STATUS: Final = "How a job stands: 202 while it goes on, 200 with what came of it."
_OUTPUT_FORMATS: Final = frozenset({"application/fhir+ndjson", "application/ndjson", "ndjson"})
_DOCUMENTED: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": name,
            "in": "query",
            "schema": {"type": "string"},
            "description": description,
        }
        for name, description in (
            ("_outputFormat", "application/fhir+ndjson"),
            ("_since", "Only what was changed after this instant, and what was deleted."),
            ("_type", "Resource types, set apart by commas."),
            ("_typeFilter", "Searches, such as ImagingStudy?modality=DX; one of them must match."),
            ("_elements", "Elements, set apart by commas."),
        )
    ]
}


_DOCUMENTED_BODY: Final[dict[str, Any]] = {
    **_DOCUMENTED,
    "requestBody": {
        "description": "The same parameters as a FHIR Parameters resource",
        "content": {FHIR_JSON: {"schema": {"type": "object"}}},
    },
}
_JSON: Final = "application/json"
_OF_MANIFEST: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The manifest", "content": {_JSON: {}}}
}
_OF_STATUS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "What came of it", "content": {_JSON: {}, FHIR_JSON: {}}},
    202: {"description": "It goes on: X-Progress, Retry-After"},
}
_OF_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Newline-delimited JSON", "content": {NDJSON: {}}}
}


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


JobsDep = Annotated[Jobs, Depends(_jobs)]


def preferences(request: Request) -> dict[str, str]:
    """Return what the `Prefer` headers ask for, by name in lower case (RFC 7240, 2)."""
    found: dict[str, str] = {}
    for header in request.headers.getlist("prefer"):
        for one in header.split(","):
            match = _PREFERENCE.fullmatch(one)
            if match is not None:
                found.setdefault(match[1].lower(), (match[2] or "").lower())
    return found


def wants_async(request: Request) -> bool:
    """Return whether the client would rather be told where to ask later."""
    return "respond-async" in preferences(request)


def release_of(request: Request) -> str:
    """Return the release of FHIR that the address of a request names."""
    return R5 if request.url.path.startswith("/r5/") else R4


async def begin_annotating(request: Request, service: ServiceDep, release: str) -> FhirResponse:
    """Keep the files of an `$annotate` and answer 202: they are annotated in the background."""
    query = request.query_params
    if query.get("persist", "true").lower() != "true":
        raise RequestError(
            "persist",
            "what is not stored cannot be annotated in the background",
            "persist=true",
            "Leave out persist, or send the files without 'Prefer: respond-async'.",
            issue="not-supported",
        )
    wanted = query.get("_outputFormat")
    if wanted is not None and wanted.replace(" ", "+") not in _OUTPUT_FORMATS:
        raise RequestError(
            "_outputFormat",
            f"'{wanted[:100]}' is not supported",
            "application/fhir+ndjson",
            "Correct it; without it, the answer is a Bundle.",
            issue="not-supported",
        )
    base = service.base(request, release)
    asked = AnnotateRequest(
        release,
        base,
        f"{base}/ImagingStudy/$annotate",
        0,
        check_modality(query.get("modality")),
        manifest=wanted is not None,
    )
    jobs, actor = _jobs(request), actor_of(request)
    await run_in_threadpool(jobs.check_room, actor)
    async with AsyncExitStack() as stack:
        uploads = await receive(request, service.settings.limits, stack)
        job = await run_in_threadpool(jobs.begin_annotating, uploads, asked, actor)
    return answers.accepted(_address(base, job))


def _export(release: str, level: str) -> Callable[..., Awaitable[FhirResponse]]:
    async def export(request: Request, service: ServiceDep, jobs: JobsDep) -> FhirResponse:
        base = service.base(request, release)
        path = "$export" if level == SYSTEM_LEVEL else "Patient/$export"
        query = f"?{request.url.query}" if request.url.query else ""
        parameters = list(request.query_params.multi_items())
        if request.method == "POST":
            parameters += await _posted(request, release)

        def begin() -> Job:
            actor = actor_of(request)
            asked: ExportRequest = asked_export(
                parameters,
                level=level,
                release=release,
                base=base,
                url=f"{base}/{path}{query}",
                actor=actor,
                query_of=jobs.query_of,
                lenient=preferences(request).get("handling") == "lenient",
            )
            return jobs.begin_export(asked, actor)

        return answers.accepted(_address(base, await run_in_threadpool(begin)))

    return export


async def _posted(request: Request, release: str) -> list[tuple[str, str]]:
    """Return the parameters that the body of a kick-off holds, a FHIR Parameters resource."""
    body = await read_body(request, _MAX_BODY)
    if not body.strip():
        return []
    check_sent(request.headers.get("content-type", ""), release)
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _no_parameters("the body is not JSON") from error
    if not isinstance(content, dict) or content.get("resourceType") != "Parameters":
        raise _no_parameters("the body is no Parameters resource")
    found = []
    listed = content.get("parameter", [])
    for place, one in enumerate(listed if isinstance(listed, list) else [None]):
        values = [
            value
            for key, value in (one.items() if isinstance(one, dict) else ())
            if key.startswith("value")
        ]
        name = one.get("name") if isinstance(one, dict) else None
        if not isinstance(name, str) or len(values) != 1:
            raise _no_parameters(f"Parameters.parameter[{place}] has no name or not one value")
        found.append((name, values[0] if isinstance(values[0], str) else json.dumps(values[0])))
    return found


def _no_parameters(what: str) -> RequestError:
    return RequestError(
        "request body",
        what,
        "a Parameters resource whose parameters have a name and a value, or no body",
        "Correct the body, or put the parameters into the address.",
        issue="structure",
    )


def _status(release: str) -> Callable[..., Response]:
    def status(request: Request, job_id: str, service: ServiceDep, jobs: JobsDep) -> Response:
        job = jobs.find(job_id, release, actor_of(request))
        if job is None:
            return _gone()
        if not job.state.is_over:
            return answers.under_way(job)
        bulk = job.kind == EXPORT or job.request.get("manifest", False)
        if job.state is State.FAILED:
            return answers.failed(job) if bulk else answers.failed_batch_response(job)
        address = _address(service.base(request, release), job)
        parts = jobs.queue.parts(job.id)
        if bulk:
            return _manifest(request, jobs, job, parts, address)
        return answers.batch_response(job, jobs.queue, parts, address, jobs.expires(job))

    return status


def _listed(release: str) -> Callable[..., Response]:
    def listed(request: Request, job_id: str, service: ServiceDep, jobs: JobsDep) -> Response:
        job = jobs.find(job_id, release, actor_of(request))
        if job is None or job.state is not State.DONE:
            return _gone()
        address = _address(service.base(request, release), job)
        return _manifest(request, jobs, job, jobs.queue.parts(job.id), address)

    return listed


def _manifest(
    request: Request, jobs: Jobs, job: Job, parts: Sequence[Part], address: str
) -> Response:
    with_token = actor_of(request).kind != "anonymous"
    return answers.manifest(job, parts, address, jobs.expires(job), with_token=with_token)


def _cancel(release: str) -> Callable[..., Response]:
    def cancel(request: Request, job_id: str, jobs: JobsDep) -> Response:
        job = jobs.find(job_id, release, actor_of(request))
        if job is None:
            return _gone()
        jobs.cancel(job)
        text = "The job is cancelled, and what it made is removed."
        if job.kind != EXPORT:
            text += " What was annotated before stays stored."
        return FhirResponse(outcome("information", "informational", text), status_code=202)

    return cancel


def _file(release: str) -> Callable[..., Response]:
    def file(request: Request, job_id: str, name: str, jobs: JobsDep) -> Response:
        actor = actor_of(request)
        job = jobs.find(job_id, release, actor)
        match = _FILE_NAME.fullmatch(name)
        if job is None or job.state is not State.DONE or match is None:
            return _gone()
        part = jobs.queue.part(job.id, int(match[2]))
        if part is None or part.name != match[1] or part.name == JOURNAL:
            return _gone()
        _check_scopes(actor, job, part)
        gzipped = _takes_gzip(request.headers.get("accept-encoding", ""))
        return answers.file(part, jobs.expires(job), gzipped=gzipped)

    return file


def _check_scopes(actor: Actor, job: Job, part: Part) -> None:
    """Let a client read only what it could read elsewhere: its scopes may be fewer by now."""
    kinds = job.request.get("kinds", ()) if part.name in {DELETED, ERROR} else (part.name,)
    for kind in kinds:
        actor.require("r", kind)


def _takes_gzip(header: str) -> bool:
    """Return whether an Accept-Encoding lets gzip through (RFC 9110, 12.5.3)."""
    for one in header.lower().split(","):
        coding, _, weight = one.partition(";")
        if coding.strip() in {"gzip", "x-gzip"}:
            return not re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", weight)
    return False


def _gone() -> FhirResponse:
    return of_status(404, "No such job is here: it was cancelled, has expired, or is not yours.")


def _address(base: str, job: Job) -> str:
    return f"{base}/_jobs/{job.id}"


for _release in (R4, R5):
    _root = f"/{_release.lower()}"
    for _path, _level in (("/$export", SYSTEM_LEVEL), ("/Patient/$export", PATIENT_LEVEL)):
        # One route a method: the description of the service names each operation by its own id.
        for _method, _documented in (("GET", _DOCUMENTED), ("POST", _DOCUMENTED_BODY)):
            router.add_api_route(
                _root + _path,
                _export(_release, _level),
                methods=[_method],
                name=f"export {_level} {_release} {_method}",
                summary="Export resources as NDJSON files, in the background",
                response_class=FhirResponse,
                status_code=202,
                openapi_extra=_documented,
            )
    for _path, _make, _method, _summary, _code, _responses in (
        ("/_jobs/{job_id}", _status, "GET", _STATUS, 200, _OF_STATUS),
        ("/_jobs/{job_id}", _cancel, "DELETE", "Cancel a job, or remove its files", 202, {}),
        ("/_jobs/{job_id}/manifest", _listed, "GET", "The files of a job", 200, _OF_MANIFEST),
        ("/_jobs/{job_id}/{name}", _file, "GET", "Resources, one JSON a line", 200, _OF_FILE),
    ):
        router.add_api_route(
            _root + _path,
            _make(_release),
            methods=[_method],
            name=f"{_summary} {_release}",
            summary=_summary,
            response_class=FhirResponse if not _responses else Response,
            status_code=_code,
            responses=_responses,
        )
