"""How answers look on the wire: ``application/fhir+json``, ETag, OperationOutcome."""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import format_datetime
from typing import Any

from starlette.responses import Response

from api.outcome import outcome_of, outcome_of_status, status_of
from api.records import Stored
from terminology.errors import BodySiteError

FHIR_JSON = "application/fhir+json"


class FhirResponse(Response):
    """A resource as JSON text or as a dictionary."""

    media_type = FHIR_JSON

    def render(self, content: Any) -> bytes:
        """Return the body; half a surrogate pair, which UTF-8 cannot hold, becomes "?"."""
        if isinstance(content, str):
            return content.encode("utf-8", "replace")
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Name the character set: FHIR JSON is UTF-8 always."""
        super().init_headers(headers)
        if self.headers.get("content-type") == FHIR_JSON:
            self.headers["content-type"] = f"{FHIR_JSON}; charset=utf-8"


def of_stored(stored: Stored, if_none_match: str | None) -> Response:
    """Return a stored resource, or "not modified" when the client has this version."""
    etag = f'W/"{stored.version_id}"'
    headers = {"ETag": etag, "Last-Modified": format_datetime(stored.last_updated, usegmt=True)}
    if if_none_match is not None and _names(if_none_match, stored.version_id):
        return Response(status_code=304, headers=headers)
    return FhirResponse(stored.body, headers=headers)


def _names(if_none_match: str, version_id: int) -> bool:
    """Return whether If-None-Match names a version, compared weakly (RFC 9110, 13.1.2)."""
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in tags or f'"{version_id}"' in tags


def of_error(error: BodySiteError) -> FhirResponse:
    """Return the OperationOutcome of an error under its HTTP status."""
    headers: Mapping[str, str] | None = getattr(error, "headers", None)
    return FhirResponse(outcome_of(error), status_code=status_of(error), headers=headers)


def of_status(status: int, text: str, headers: Mapping[str, str] | None = None) -> FhirResponse:
    """Return the OperationOutcome of a bare HTTP status."""
    return FhirResponse(outcome_of_status(status, text), status_code=status, headers=headers)
