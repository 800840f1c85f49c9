"""POST of a Bundle to the base: a batch or a transaction, R4 or R5."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any, Final

from api.errors import LimitError, RequestError, place_of
from api.outcome import outcome_of, outcome_of_status, status_of
from api.rest.content import parse_json
from api.security.actor import Actor
from api.store.failures import STORE_FAILURES, store_failed
from api.transactions.entries import answered, asked_of, entries_of
from api.transactions.requests import Requests
from api.transactions.transaction import Transactions
from api.tx.answers import Answer, Asked
from terminology.errors import BodySiteError

logger = logging.getLogger(__name__)

Json = dict[str, Any]
# Objects and arrays of a Bundle.
_MOST: Final = 1_000_000
_UNEXPECTED: Final = (
    "The server failed unexpectedly at this entry. Its log names the kind of error and the place."
    " Please report both."
)


class Bundles:
    """Answers Bundles of requests.

    Parameters
    ----------
    seconds
        Time for the entries of one batch; those that are left over are refused.
    """

    def __init__(self, requests: Requests, seconds: float) -> None:
        self._requests = requests
        self._transactions = Transactions(requests)
        self._seconds = seconds

    def answer(self, asked: Asked, who: Actor) -> Answer:
        """Return the Bundle that answers the one in the body.

        Raises
        ------
        BodySiteError
            The body is no such Bundle, or an entry of a transaction cannot be done: then nothing
            was stored.
        """
        bundle = parse_json(asked.body, _MOST) if isinstance(asked.body, bytes) else None
        if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
            raise RequestError(
                "request body",
                "it is no Bundle",
                "a Bundle of type batch or transaction",
                "Send one, or use the address of the type.",
                issue="structure",
            )
        kind = bundle.get("type")
        if kind not in ("batch", "transaction"):
            raise RequestError(
                "Bundle.type",
                "a Bundle of this type cannot be done",
                "batch or transaction",
                "Send one of both.",
                issue="not-supported",
            )
        entries = entries_of(bundle)
        if kind == "transaction":
            answers = self._transactions.answers(entries, asked, who)
        else:
            end = time.monotonic() + self._seconds
            answers = [self._entry(entry, asked, who, end) for entry in entries]
        found: Json = {"resourceType": "Bundle", "type": f"{kind}-response"}
        if answers:
            found["entry"] = answers
        return Answer(found)

    def _entry(self, entry: Any, asked: Asked, who: Actor, end: float) -> Json:
        """Return the answer to one entry; whatever goes wrong with it, the others stand."""
        try:
            left = end - time.monotonic()
            if left < 0:
                raise _no_time(self._seconds)
            one = replace(asked_of(entry, asked), seconds=left)
            head = one.method == "HEAD"
            if head:
                one = replace(one, method="GET")
            return answered(self._requests.answer(one, who), head=head)
        except BodySiteError as error:
            return _failed(status_of(error), outcome_of(error))
        except STORE_FAILURES as error:
            return _failed(503, store_failed(error))
        except Exception as error:  # noqa: BLE001
            logger.error("unexpected %s at %s", type(error).__name__, place_of(error))
            return _failed(500, outcome_of_status(500, _UNEXPECTED))


def _no_time(seconds: float) -> LimitError:
    return LimitError(
        "Bundle.entry",
        f"the time for the batch, {seconds:g} seconds, was over",
        "entries that take less time",
        "Send this entry again, in another batch.",
        status=503,
    )


def _failed(status: int, content: Json) -> Json:
    return {"response": {"status": str(status), "outcome": content}}
