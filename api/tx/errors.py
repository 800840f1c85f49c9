"""What the terminology engine refuses: one error that carries a whole OperationOutcome."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.errors import RequestError
from api.tx.issues import Issue, operation_outcome


class TxError(RequestError):
    """A terminology operation that has no answer.

    Parameters
    ----------
    issues
        What goes into the OperationOutcome; the first one names the error.
    status
        The HTTP status.
    """

    def __init__(self, *issues: Issue, status: int = 422) -> None:
        first = issues[0]
        super().__init__(
            first.expression[0] if first.expression else "request",
            first.text,
            "a request that the terminology holds an answer to",
            "Correct the request, or load the content that it names.",
            status=status,
            issue=first.code,
        )
        self.issues: Sequence[Issue] = issues

    def outcome(self) -> dict[str, Any]:
        """Return the OperationOutcome."""
        return operation_outcome(self.issues)
