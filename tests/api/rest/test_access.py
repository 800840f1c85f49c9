"""Each entry of a Bundle needs what it would need by itself."""

from __future__ import annotations

from typing import Any

import pytest

from api.security.actor import Actor
from tests.api.client import Client
from tests.api.rest.conftest import sample
from tests.api.rest.test_bundles import bundle, entry, statuses


@pytest.fixture
def reader(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A service whose client may read and search patients, and nothing else."""
    actor = Actor("reader", "static", ("system/Patient.rs",))
    monkeypatch.setattr("api.routes.resources.actor_in", lambda _scope: actor)
    return client


_BODY: list[dict[str, Any]] = [
    entry("GET", "Patient?_id=x"),
    entry("GET", "Device?_id=x"),
    entry("PUT", "Patient/x", sample("Patient", id="x")),
    entry("GET", "CodeSystem/$lookup?system=http://snomed.info/sct&code=85562004"),
]


def test_a_batch_does_what_is_allowed(reader: Client) -> None:
    answer = reader.post("/r4", json=bundle(*_BODY, kind="batch"))
    assert statuses(answer) == ["200", "403", "403", "200"]
    assert reader.get("/r4/Patient/x").status_code == 404


def test_a_transaction_with_something_forbidden_is_refused(reader: Client) -> None:
    assert reader.post("/r4", json=bundle(*_BODY)).status_code == 403
    assert reader.post("/r4", json=bundle(_BODY[0])).status_code == 200
