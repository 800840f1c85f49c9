"""Several processes that answer behind one address.

Each has a listening socket of its own on the same port, among which the kernel spreads connections;
of one socket that all share, whichever process wakes first takes all connections that wait.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from api.app import create_app, open_releases, terminology_over
from api.model.loading import open_model
from api.settings import Settings
from api.store import SqlStore
from api.tx.resources_store import ResourceLibrary

_WORKER: Final = "api.workers:worker"
_SETTINGS: Final = "BODYSITE_WORKER_SETTINGS"


def run_workers(
    settings: Settings, listeners: Sequence[socket.socket], options: dict[str, Any]
) -> None:
    """Answer on `listeners` with as many processes until the command is ended.

    A process that dies is replaced; `options` are of `uvicorn.Config`.
    """
    config = uvicorn.Config(_WORKER, factory=True, workers=settings.workers, **options)
    with _environment(settings):
        _Workers(config, list(listeners)).run()


class _Workers(Multiprocess):
    """uvicorn's supervisor, which hands each process one of the sockets instead of all."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        self._listeners = sockets
        self._turns = cycle(range(len(sockets)))
        super().__init__(config, sockets)

    @property
    def sockets(self) -> list[socket.socket]:
        """The socket of the process that is to be started now."""
        started = len(self.processes)
        if started < len(self._listeners):
            return [self._listeners[started]]
        dead = (n for n, one in enumerate(self.processes) if not one.process.is_alive())
        number = next(dead, None)
        chosen = next(self._turns) if number is None else number
        return [self._listeners[chosen % len(self._listeners)]]

    @sockets.setter
    def sockets(self, sockets: list[socket.socket]) -> None:
        self._listeners = sockets


@contextlib.contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    """Hand `settings` to the processes that are started meanwhile."""
    content = settings.model_dump(mode="json")
    content["tokens"] = [token.get_secret_value() for token in settings.tokens]
    os.environ[_SETTINGS] = json.dumps(content)
    try:
        yield
    finally:
        del os.environ[_SETTINGS]


def worker() -> FastAPI:
    """Return the application of one of several processes; its store closes with the process."""
    settings = Settings(**json.loads(os.environ[_SETTINGS]))
    releases = open_releases(settings.releases)
    terminology = terminology_over(releases, settings)
    model = open_model(settings, terminology.latest.graph)
    return create_app(
        settings,
        terminology=terminology,
        predictor=model.predictor,
        absent=model.problem,
        store=SqlStore(settings.database),
        releases=releases,
        library=ResourceLibrary(settings.database),
    )
