"""`/health/live` and `/health/ready`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from api.operations.lifecycle import State
from tests.api.client import Client

Serve = Callable[..., Client]


def test_live_and_ready_are_open_and_never_kept(serve: Serve) -> None:
    client = serve(tokens="secret")
    for path, status in (("/health/live", "live"), ("/health/ready", "ready")):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.json()["status"] == status
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "error",
    [
        sa.exc.OperationalError("SELECT secret", {}, Exception("password=secret")),
        sa.exc.TimeoutError(),
        OSError("secret"),
    ],
)
def test_not_ready_without_the_store_and_live_all_the_same(
    client: Client, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def away(*_: object) -> None:
        raise error

    monkeypatch.setattr(type(client.app.state.service.store), "read", away)
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"store": False, "terminology": True, "model": True}
    assert answer.json()["reasons"] == [f"store: it cannot be asked ({type(error).__name__})"]
    assert "secret" not in answer.text
    assert client.get("/health/live").status_code == 200


def test_a_store_that_says_why_it_is_not_fit_is_quoted(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = client.app.state.service.store
    monkeypatch.setattr(
        type(store), "check", lambda _: "its tables are of version 1", raising=False
    )
    assert client.get("/health/ready").json()["reasons"] == ["store: its tables are of version 1"]


def test_not_ready_while_the_end_is_near(client: Client) -> None:
    client.app.state.lifecycle.state = State.DRAINING
    answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["the process is being stopped"]
    assert client.get("/health/live").status_code == 200


@pytest.mark.parametrize(
    ("model", "status"),
    # A file that is named and not loaded is an accident; none at all is a decision.
    [("none", 200), (None, 200), ("a.bodysite", 503)],
)
def test_a_model_that_is_named_must_be_there(serve: Serve, model: Any, status: int) -> None:
    answer = serve(model=model).get("/health/ready")
    assert answer.status_code == status
    assert answer.json()["checks"]["model"] is (status == 200)
