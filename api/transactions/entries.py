"""The entries of a Bundle → requests, each as it would have come by itself."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from api.errors import InvalidResourceError, LimitError, Problem, RequestError
from api.negotiation import JSON_PATCH
from api.rest.content import check_values, loads
from api.tx.answers import Answer, Asked
from terminology.errors import BodySiteError

Json = dict[str, Any]
MAX_ENTRIES: Final = 1000
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# RFC 3986: an address with a scheme, or without one of another host.
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_CONDITIONS: Final = {
    "ifMatch": "if-match",
    "ifNoneMatch": "if-none-match",
    "ifNoneExist": "if-none-exist",
    "ifModifiedSince": "if-modified-since",
}
# Of the Bundle as a whole, not of its entries.
_OWN_HEADERS: Final = frozenset({*_CONDITIONS.values(), "content-type", "content-length"})


def entries_of(bundle: Mapping[str, Any]) -> list[Any]:
    """Return the entries of a Bundle.

    Raises
    ------
    LimitError
        413: they are too many, or no list.
    """
    entries = bundle.get("entry", [])
    if not isinstance(entries, list) or len(entries) > MAX_ENTRIES:
        raise LimitError(
            "Bundle.entry",
            "the entries are too many, or no list",
            f"at most {MAX_ENTRIES}",
            "Send them in parts.",
        )
    return entries


def asked_of(entry: Any, bundle: Asked) -> Asked:
    """Return what an entry asks, under the endpoint that its Bundle was sent to.

    Raises
    ------
    RequestError
        400: the entry is no request.
    """
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(request, dict) or not all(
        isinstance(request.get(name), str) for name in ("method", "url")
    ):
        raise RequestError(
            "Bundle.entry.request",
            "method and url are missing",
            "a method, and an address below the base",
            "Correct the entry.",
            issue="required",
        )
    method = request["method"]
    if method not in _METHODS:
        raise RequestError(
            "Bundle.entry.request.method",
            "it is none of HTTP's",
            " or ".join(_METHODS),
            "Correct the entry.",
            issue="code-invalid",
        )
    below, _, query = _below(request["url"], bundle.base).partition("?")
    path = tuple(unquote(one) for one in below.split("/") if one)
    if not path:
        raise RequestError(
            "Bundle.entry.request.url",
            "it names nothing below the base",
            "an address that metadata lists",
            "Correct the entry; Bundles do not nest.",
            status=404,
            issue="not-found",
        )
    headers = {k: v for k, v in bundle.headers.items() if k not in _OWN_HEADERS}
    for name, header in _CONDITIONS.items():
        if isinstance(request.get(name), str):
            headers[header] = request[name]
    resource = entry.get("resource")
    if isinstance(resource, dict):
        check_values(resource)
    body: bytes | Json | None = resource if isinstance(resource, dict) else None
    if method == "PATCH":
        body = _patch(resource)
    elif method not in {"POST", "PUT"}:
        body = None
    query_pairs = parse_qsl(query, keep_blank_values=True)
    return Asked(bundle.release, method, path, query_pairs, body, headers, bundle.base)


def _patch(resource: Any) -> bytes:
    """Return the JSON Patch that an entry carries as a Binary (FHIR R4, 3.1.0.8.3)."""
    data = resource.get("data") if isinstance(resource, dict) else None
    try:
        if (
            isinstance(data, str)
            and resource.get("resourceType") == "Binary"
            and resource.get("contentType") == JSON_PATCH
        ):
            return base64.b64decode(re.sub(r"\s+", "", data), validate=True)
    except (binascii.Error, ValueError):
        pass
    raise RequestError(
        "Bundle.entry.resource",
        "the patch cannot be read",
        f"a Binary with contentType '{JSON_PATCH}' and base64 data",
        "Correct the entry.",
        issue="structure",
    )


def _below(url: str, base: str) -> str:
    """Return the part of an entry's address under the base; it may have been sent without."""
    if base and url.startswith(f"{base}/"):
        return url[len(base) :]
    if _ABSOLUTE.match(url):
        raise RequestError(
            "Bundle.entry.request.url",
            "it is no address of this service",
            f"an address below {base}",
            "Write it without the base.",
            issue="value",
        )
    return url


def answered(answer: Answer, *, head: bool = False) -> Json:
    """Return the entry of an answer."""
    response: Json = {"status": str(answer.status)}
    for header, name in (("Location", "location"), ("ETag", "etag")):
        if header in answer.headers:
            response[name] = answer.headers[header]
    if "Last-Modified" in answer.headers:
        modified = parsedate_to_datetime(answer.headers["Last-Modified"])
        response["lastModified"] = modified.isoformat().replace("+00:00", "Z")
    if answer.body is None or head:
        return {"response": response}
    body = loads(answer.body) if isinstance(answer.body, str) else answer.body
    if body["resourceType"] == "OperationOutcome":
        return {"response": {**response, "outcome": body}}
    return {"resource": body, "response": response}


def placed(number: int, error: BodySiteError, status: int, issue: str) -> BodySiteError:
    """Return the error of an entry as one of its Bundle: it says which entry."""
    place = f"Bundle.entry[{number}]"
    if isinstance(error, InvalidResourceError):
        problems = [
            Problem(f"{place}.resource{_inside(one.path)}", one.issue, one.text)
            for one in error.problems
        ]
        return InvalidResourceError(place, problems)
    return RequestError(
        f"{place} {error.where}",
        error.what,
        error.expected,
        error.remedy,
        status=status,
        issue=issue,
    )


def _inside(path: str) -> str:
    """Return a path without the type that it begins with."""
    _, dot, rest = path.partition(".")
    return f"{dot}{rest}"
