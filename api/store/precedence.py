"""Who holds the turn at writing goes before those of its process who prepare what comes next.

Python runs one thread of a process at a time. A writer that shares it with dozens of others keeps
the file for many times as long as it takes to write, while the writers of other processes wait.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Precedence:
    """One thread prepares at a time, and none begins while one writes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._writing = 0
        self._preparing = False

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Begin as soon as nobody writes, and nobody else prepares."""
        with self._changed:
            self._changed.wait_for(lambda: not self._writing and not self._preparing)
            self._preparing = True
        try:
            yield
        finally:
            with self._changed:
                self._preparing = False
                self._changed.notify()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Let nobody begin to prepare before the block ends."""
        with self._changed:
            self._writing += 1
        try:
            yield
        finally:
            with self._changed:
                self._writing -= 1
                self._changed.notify()
