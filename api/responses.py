"""How answers look on the wire: ``application/fhir+json``, OperationOutcome."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from api.negotiation import FHIR_JSON as FHIR_JSON
from api.outcome import outcome_of, outcome_of_status, status_of
from terminology.errors import BodySiteError


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


def of_error(error: BodySiteError) -> FhirResponse:
    """Return the OperationOutcome of an error under its HTTP status."""
    headers: Mapping[str, str] | None = getattr(error, "headers", None)
    return FhirResponse(outcome_of(error), status_code=status_of(error), headers=headers)


def of_status(status: int, text: str, headers: Mapping[str, str] | None = None) -> FhirResponse:
    """Return the OperationOutcome of a bare HTTP status."""
    return FhirResponse(outcome_of_status(status, text), status_code=status, headers=headers)
