"""What a client is told of a job: accepted, under way, failed, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import JSONResponse, Response, StreamingResponse

from api.bundles import Entry, collection, dump
from api.jobs.parts import lines_of, unpacked
from api.jobs.queue import JobQueue
from api.jobs.records import DELETED, ERROR, JOURNAL, NDJSON, Job, Part, State
from api.outcome import outcome, outcome_of_status
from api.responses import FhirResponse
from api.store.rows import instant, moment, now

# More do not fit into one answer that a client can take in.
MAX_BUNDLED: Final = 1000
_SECOND: Final = 1_000_000
# What a client is asked to wait: a tenth of the time that the job is old.
_SHARE_TO_WAIT: Final = 10
_MAX_SECONDS_TO_WAIT: Final = 120
_OF_OUTCOMES: Final = "OperationOutcome"
_FAILED: Final = 400


def accepted(address: str) -> FhirResponse:
    """Return the answer to a kick-off; the status is to be asked for at `address`."""
    text = "The work goes on in the background; ask the address in Content-Location how it stands."
    return FhirResponse(
        outcome("information", "informational", text),
        status_code=202,
        headers={"Content-Location": address, "Location": address},
    )


def under_way(job: Job) -> Response:
    """Return the status of a job that waits or runs."""
    seconds = (now() - job.created) // _SECOND // _SHARE_TO_WAIT
    headers = {
        "X-Progress": progress_of(job),
        "Retry-After": str(min(max(seconds, 1), _MAX_SECONDS_TO_WAIT)),
        "Cache-Control": "no-store",
    }
    return Response(status_code=202, headers=headers)


def progress_of(job: Job) -> str:
    """Return how far a job is, in less than 100 characters."""
    done, of = job.progress.get("done", 0), job.progress.get("of", 0)
    if job.state is State.QUEUED and not done:
        return "queued"
    if not of:
        return "in progress"
    what = "files" if "annotated" in job.progress else "resources"
    # Of an export it is not known beforehand how many resources the filters let through.
    about = "" if what == "files" else "about "
    return f"{done} of {about}{of} {what}"


def failed(job: Job) -> FhirResponse:
    """Return the OperationOutcome of a job that failed."""
    return FhirResponse(job.result["outcome"], status_code=job.result["status"])


def manifest(
    job: Job, parts: Sequence[Part], address: str, expires: int, *, with_token: bool
) -> JSONResponse:
    """Return the list of the files of a job (Bulk Data Access 2.0.0, complete status).

    Parameters
    ----------
    address
        Where the status of the job is asked for; its files are below.
    expires
        When they are removed.
    with_token
        Whether reading them takes a bearer token.
    """
    listed: dict[str, list[dict[str, Any]]] = {"output": [], "deleted": [], "error": []}
    for part in parts:
        where, kind = _LISTED.get(part.name, ("output", part.name))
        if where:
            url = f"{address}/{part.file_name}"
            listed[where].append({"type": kind, "url": url, "count": part.count})
    content = {
        "transactionTime": instant(job.result["moment"]),
        "request": job.request["url"],
        "requiresAccessToken": with_token,
        **listed,
    }
    return JSONResponse(content, headers=_expiring(expires))


# Where the parts with names of their own are listed, and what is in them.
_LISTED: Final = {
    DELETED: ("deleted", "Bundle"),
    ERROR: ("error", _OF_OUTCOMES),
    JOURNAL: ("", ""),
}


def batch_response(
    job: Job, queue: JobQueue, parts: Sequence[Part], address: str, expires: int
) -> FhirResponse:
    """Return the Bundle that holds the answer to the request behind a job.

    FHIR R5, 3.2.5 (Asynchronous Interaction Request Pattern): the first entry is what the request
    would have been answered with. What is too much for a Bundle is where `location` leads.
    """
    status = HTTPStatus(job.result["status"])
    response: dict[str, Any] = {"status": f"{status.value} {status.phrase}"}
    entry: dict[str, Any] = {"response": response}
    listed = [part for part in parts if part.name != JOURNAL]
    if status < _FAILED and sum(part.count for part in listed) <= MAX_BUNDLED:
        base = job.request["base"]
        entries = [
            Entry(line, _full_url(base, line) if part.name != ERROR else None)
            for part in listed
            for line in lines_of(_whole(queue, job, part))
        ]
        whole = collection(entries)
        text = dump({"resourceType": "Bundle", "type": "batch-response", "entry": [entry]})
        return FhirResponse(f'{text[:-3]},"resource":{whole}}}]}}', headers=_expiring(expires))
    if status < _FAILED:
        text = f"There are more than {MAX_BUNDLED} resources: read the files listed at `location`."
        response["location"] = f"{address}/manifest"
        response["outcome"] = outcome("information", "informational", text)
    else:
        response["outcome"] = _what_failed(job, queue, listed, status)
    content = {"resourceType": "Bundle", "type": "batch-response", "entry": [entry]}
    return FhirResponse(content, headers=_expiring(expires))


def failed_batch_response(job: Job) -> FhirResponse:
    """Return the Bundle of a job that failed: the request for its status did not."""
    status = HTTPStatus(job.result["status"])
    response = {"status": f"{status.value} {status.phrase}", "outcome": job.result["outcome"]}
    content = {
        "resourceType": "Bundle",
        "type": "batch-response",
        "entry": [{"response": response}],
    }
    return FhirResponse(content)


def _what_failed(
    job: Job, queue: JobQueue, parts: Sequence[Part], status: HTTPStatus
) -> Mapping[str, Any]:
    issues: list[Any] = []
    for part in parts:
        if part.name == ERROR and len(issues) < MAX_BUNDLED:
            for line in lines_of(_whole(queue, job, part)):
                issues += json.loads(line)["issue"]
    if not issues:
        return outcome_of_status(status.value, "No file could be annotated.")
    return {"resourceType": _OF_OUTCOMES, "issue": issues[:MAX_BUNDLED]}


def file(part: Part, expires: int, *, gzipped: bool) -> Response:
    """Return a part; `gzipped` when the client takes it as it is kept."""
    headers = {**_expiring(expires), "Vary": "Accept-Encoding"}
    if gzipped:
        headers["Content-Encoding"] = "gzip"
        return Response(part.body, media_type=NDJSON, headers=headers)
    return StreamingResponse(unpacked(part), media_type=NDJSON, headers=headers)


def _whole(queue: JobQueue, job: Job, part: Part) -> Part:
    return queue.part(job.id, part.number) or Part(part.number, part.name, 0)


def _full_url(base: str, line: str) -> str:
    content = json.loads(line)
    return f"{base}/{content['resourceType']}/{content['id']}"


def _expiring(expires: int) -> dict[str, str]:
    return {
        "Expires": format_datetime(moment(expires), usegmt=True),
        "Cache-Control": "private, no-transform",
    }
