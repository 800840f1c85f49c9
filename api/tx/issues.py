"""The issues that an answer or an error carries, and the OperationOutcome that holds them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

MESSAGE_ID_URL: Final = "http://hl7.org/fhir/StructureDefinition/operationoutcome-message-id"
ISSUE_TYPE_SYSTEM: Final = "http://hl7.org/fhir/tools/CodeSystem/tx-issue-type"


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue of an OperationOutcome.

    Parameters
    ----------
    severity
        error, warning or information.
    code
        A code of FHIR's IssueType.
    kind
        A code of HL7's tx-issue-type, `None` when none fits.
    text
        For a person.
    message_id
        The name of the message in HL7's table, `None` when it has none.
    expression
        FHIRPath of the request element at fault.
    """

    severity: str
    code: str
    kind: str | None
    text: str
    message_id: str | None = None
    expression: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the issue as FHIR has it."""
        found: dict[str, Any] = {}
        if self.message_id:
            found["extension"] = [{"url": MESSAGE_ID_URL, "valueString": self.message_id}]
        found["severity"] = self.severity
        found["code"] = self.code
        details: dict[str, Any] = {}
        if self.kind:
            details["coding"] = [{"system": ISSUE_TYPE_SYSTEM, "code": self.kind}]
        details["text"] = self.text
        found["details"] = details
        if self.expression:
            found["expression"] = list(self.expression)
        return found


def operation_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """Return an OperationOutcome with these issues."""
    return {"resourceType": "OperationOutcome", "issue": [issue.as_json() for issue in issues]}
