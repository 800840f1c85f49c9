"""`quiet`: libraries that warn of odd files, with values of the header in the words, are silent."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# The filters are those of the whole process, and restoring them in another order than they were
# set would leave them changed.
_LOCK: Final = threading.RLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore warnings; one thread at a time."""
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
