"""What the service and the command line refuse, beside the errors of `terminology.errors`.

::

    BodySiteError
    ├── DicomError
    │   └── NotDicomError      the bytes are no DICOM at all, so a folder walk passes them by
    └── RequestError           the request as a whole; carries the HTTP status and the issue type
        ├── InvalidResourceError  a resource that is none; names each element
        ├── LimitError         more than the limits allow
        └── SearchError        a search parameter or a value of one

`api.outcome` turns each of them into one OperationOutcome.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from terminology.errors import BodySiteError, DicomError


class NotDicomError(DicomError):
    """Bytes that are something else than DICOM."""


class RequestError(BodySiteError):
    """A request that cannot be answered as it stands.

    Parameters
    ----------
    status
        The HTTP status to answer with.
    issue
        The code of FHIR's IssueType that names the reason.
    """

    def __init__(
        self,
        where: str,
        what: str,
        expected: str,
        remedy: str,
        *,
        status: int = 400,
        issue: str = "invalid",
    ) -> None:
        super().__init__(where, what, expected, remedy)
        self.status = status
        self.issue = issue


class LimitError(RequestError):
    """Input beyond a limit of the settings."""

    def __init__(
        self, where: str, what: str, expected: str, remedy: str, *, status: int = 413
    ) -> None:
        super().__init__(where, what, expected, remedy, status=status, issue="too-costly")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one element of a resource.

    Attributes
    ----------
    path
        The path of the element as FHIRPath has it.
    issue
        The code of FHIR's IssueType.
    text
        What was expected; never the value that was there.
    """

    path: str
    issue: str
    text: str


class InvalidResourceError(RequestError):
    """A resource that is not valid in its release of FHIR; one issue a problem."""

    def __init__(self, kind: str, problems: Sequence[Problem]) -> None:
        super().__init__(
            kind,
            f"the resource is not valid: {len(problems)} problem(s)",
            "; ".join(f"{one.path}: {one.text}" for one in problems),
            "Correct it.",
            status=422,
            issue="invalid",
        )
        self.problems = tuple(problems)


class SearchError(RequestError):
    """A search that asks for what is not there, or asks for it in a wrong form."""


def place_of(error: Exception) -> str:
    """Return the file, line and function that raised `error`.

    It is all that may be logged of an error that nobody expected, beside its type: the message
    may hold a patient's data.
    """
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}:{last.lineno} {last.name}"
