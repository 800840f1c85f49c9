"""Our errors → one OperationOutcome and an HTTP status. No other file decides on either."""

from __future__ import annotations

import re
from typing import Any, Final

from api.errors import InvalidResourceError, RequestError
from api.tx.errors import TxError
from terminology.errors import (
    BodySiteError,
    DicomError,
    EclError,
    IdentifierError,
    UnknownConceptError,
    UnknownSystemError,
)

# Error type → HTTP status and code of FHIR's IssueType; the first that fits, from the top.
_BY_TYPE: Final[tuple[tuple[type[BodySiteError], int, str], ...]] = (
    (IdentifierError, 400, "code-invalid"),
    (UnknownConceptError, 404, "not-found"),
    (UnknownSystemError, 404, "not-found"),
    (EclError, 400, "invalid"),
    (DicomError, 422, "structure"),
)

_MAX_TEXT: Final = 4000
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_BY_STATUS: Final = {
    400: "invalid",
    401: "login",
    404: "not-found",
    405: "not-supported",
    406: "not-supported",
    409: "conflict",
    410: "deleted",
    412: "conflict",
    413: "too-costly",
    414: "too-long",
    415: "not-supported",
    422: "processing",
}


def status_of(error: BodySiteError) -> int:
    """Return the HTTP status that answers `error`."""
    return _status_and_issue(error)[0]


def outcome_of(error: BodySiteError) -> dict[str, Any]:
    """Return the OperationOutcome of `error`: where, what, expected, what to do.

    One of a terminology operation has its issues in it already, in HL7's words.
    """
    if isinstance(error, TxError):
        found = error.outcome()
        for issue in found["issue"]:
            issue["details"]["text"] = _shown(issue["details"]["text"])
        return found
    if isinstance(error, InvalidResourceError):
        issues = [
            {
                "severity": "error",
                "code": one.issue,
                "details": {"text": _shown(one.path)},
                "diagnostics": _shown(f"{one.path}: expected {one.text}."),
                "expression": [_shown(one.path)],
            }
            for one in error.problems
        ]
        return {"resourceType": "OperationOutcome", "issue": issues}
    return outcome("error", _status_and_issue(error)[1], str(error), error.where)


def outcome_of_status(status: int, text: str) -> dict[str, Any]:
    """Return the OperationOutcome of a bare HTTP status."""
    fallback = "exception" if status >= 500 else "invalid"
    return outcome("error", _BY_STATUS.get(status, fallback), text)


def outcome(severity: str, issue: str, text: str, where: str | None = None) -> dict[str, Any]:
    """Return an OperationOutcome with one issue.

    Parameters
    ----------
    severity
        fatal, error, warning or information.
    issue
        A code of IssueType.
    text
        For a person; FHIR's `diagnostics`.
    where
        The file or request element; FHIR's `details.text`, since R4 has `expression` for
        FHIRPath only.
    """
    found: dict[str, Any] = {"severity": severity, "code": issue}
    if where and where.strip():
        found["details"] = {"text": _shown(where)}
    found["diagnostics"] = _shown(text)
    return {"resourceType": "OperationOutcome", "issue": [found]}


def _shown(text: str) -> str:
    """Return `text` as a FHIR string may be: no control characters, and no echo of a megabyte."""
    if len(text) > _MAX_TEXT:
        text = f"{text[: _MAX_TEXT // 2]} … {text[-_MAX_TEXT // 2 :]}"
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _status_and_issue(error: BodySiteError) -> tuple[int, str]:
    if isinstance(error, RequestError):
        return error.status, error.issue
    for kind, status, issue in _BY_TYPE:
        if isinstance(error, kind):
            return status, issue
    return 500, "exception"
