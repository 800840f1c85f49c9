"""Requests that nobody waits for any more: what is not done for them yet is left.

The token of a request is a context variable: the thread that a request is answered in has it, and
whoever queues work of that thread takes it along.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

_CURRENT: Final[ContextVar[threading.Event | None]] = ContextVar("cancelled", default=None)


class AbandonedError(Exception):
    """The client has gone, so nothing more is done for its request."""


def cancellation() -> threading.Event | None:
    """Return what is set when the client of the request at hand has gone, if there is one."""
    return _CURRENT.get()


def check_wanted() -> None:
    """Raise `AbandonedError` when the client of the request at hand has gone."""
    token = _CURRENT.get()
    if token is not None and token.is_set():
        raise AbandonedError


@contextlib.contextmanager
def cancellable(token: threading.Event) -> Iterator[None]:
    """Make `token` that of the request at hand: for this context, and threads begun with it."""
    reset = _CURRENT.set(token)
    try:
        yield
    finally:
        _CURRENT.reset(reset)
