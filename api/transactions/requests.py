"""Who answers a request that is an entry: terminology, resources, annotation."""

from __future__ import annotations

from collections.abc import Callable

from api.errors import RequestError
from api.rest.dispatch import ResourceDispatcher
from api.security.access import Access
from api.security.actor import Actor
from api.store import Transaction
from api.tx.answers import Answer, Asked
from api.tx.dispatch import Dispatcher
from api.tx.resources_store import TYPES

ANNOTATE = ("ImagingStudy", "$annotate")


class Requests:
    """Answers one request of a Bundle, whatever it is about, as its address by itself would.

    Parameters
    ----------
    annotate
        Answers ``ImagingStudy/$annotate`` with a Binary or Parameters.
    """

    def __init__(
        self,
        terminology: Dispatcher,
        resources: ResourceDispatcher,
        annotate: Callable[[Asked], Answer],
        access: Access,
    ) -> None:
        self.terminology = terminology
        self.resources = resources
        self._annotate = annotate
        self._access = access

    def check(self, asked: Asked, who: Actor) -> None:
        """Refuse, with 403, what the client may not do."""
        path = f"/{asked.release.lower()}/{'/'.join(asked.path)}"
        conditional = "if-none-exist" in asked.headers
        self._access.check(who, asked.method, path, conditional=conditional)

    def is_terminology(self, asked: Asked) -> bool:
        """Return whether a request is about terminology."""
        return asked.path[0] in TYPES or self.terminology.operation(asked.path) is not None

    def answer(self, asked: Asked, who: Actor, tx: Transaction | None = None) -> Answer:
        """Return the answer.

        Raises
        ------
        BodySiteError
            The request cannot be answered as it stands.
        """
        self.check(asked, who)
        if self.is_terminology(asked):
            return self.terminology.answer(asked)
        if asked.path == ANNOTATE:
            if asked.method != "POST":
                raise RequestError(
                    "method",
                    "this address does not take it",
                    "POST",
                    "Send a Binary or Parameters.",
                    status=405,
                    issue="not-supported",
                )
            return self._annotate(asked)
        return self.resources.answer(asked, who, tx)
