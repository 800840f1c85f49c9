"""What the tests of jobs share: a client that polls, and jobs that run when the test says so."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from api.jobs.service import Jobs
from api.security.actor import Actor
from api.store import SqlStore
from api.store.schema import job as job_table
from tests.api.client import Client

ASYNC = {"prefer": "respond-async"}


class Polling:
    """A client of a service whose jobs run in the thread of the test."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @property
    def jobs(self) -> Jobs:
        jobs: Jobs = self.client.app.state.jobs
        return jobs

    def kick_off(self, path: str, **options: Any) -> str:
        """Return the address of the status of an export that was begun."""
        options.setdefault("headers", ASYNC)
        answer = self.client.request(options.pop("method", "GET"), path, **options)
        assert answer.status_code == 202, answer.text
        address: str = answer.headers["content-location"]
        return address

    def manifest(self, path: str, **options: Any) -> dict[str, Any]:
        """Return the manifest of an export that was begun and done."""
        address = self.kick_off(path, **options)
        assert self.jobs.run_waiting() == 1
        answer = self.client.get(address)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def lines(self, files: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the resources in files of a manifest."""
        for file in files:
            answer = self.client.get(file["url"])
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/fhir+ndjson"
            lines = answer.text.splitlines()
            assert len(lines) == file["count"]
            for line in lines:
                resource = json.loads(line)
                assert resource["resourceType"] == file["type"]
                yield resource


@pytest.fixture
def polling(serve: Callable[..., Client]) -> Callable[..., Polling]:
    """A function that makes such a client of a service with the given settings."""
    return lambda **settings: Polling(serve(**settings))


@pytest.fixture
def let_leases_run_out(store: SqlStore) -> Callable[[], None]:
    """A function after which every running job may be taken by another process."""

    def run_out() -> None:
        with store.engine.begin() as connection:
            connection.execute(
                sa.update(job_table).where(job_table.c.state == "running").values(lease_until=1)
            )

    return run_out


@pytest.fixture
def act_as(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """A function that makes requests those of a client with a name and scopes."""

    def act(name: str, *scopes: str) -> None:
        actor = Actor(name, "static", scopes)
        monkeypatch.setattr("api.routes.jobs.actor_of", lambda _request: actor)

    return act
