"""A store that does not answer: which exceptions say so, and what a client is told."""

from __future__ import annotations

import logging
from typing import Any, Final

import sqlalchemy as sa

from api.outcome import outcome

logger = logging.getLogger(__name__)

# The database is not there, locked or full; or no connection to it came free in time.
STORE_FAILURES: Final = (sa.exc.OperationalError, sa.exc.TimeoutError)
_TEXT: Final = "The store does not answer. Try again later; what is sent twice is stored once."


def store_failed(error: Exception) -> dict[str, Any]:
    """Return the OperationOutcome of a request that the store failed (status 503), and log it."""
    # The statement and its values may hold what a client sent: the type alone is logged.
    logger.error("the store failed: %s", type(error).__name__)
    return outcome("error", "transient", _TEXT)
