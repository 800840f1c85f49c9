"""Access lines, request ids, counts, and who may read them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from api.metrics import Metrics
from api.operations.lifecycle import Lifecycle, State
from api.operations.observing import Observed
from tests.api.client import Client
from tests.api.conftest import make_dicom

Serve = Callable[..., Client]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """A function that returns the fields of the access lines so far."""
    caplog.set_level(logging.DEBUG, "bodysite.access")
    return lambda: [one.fields for one in caplog.records if one.name == "bodysite.access"]  # type: ignore[attr-defined]


def test_an_access_line_has_the_route_and_no_value_of_the_request(
    client: Client, lines: Callable[[], list[dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    client.get("/r4/ImagingStudy/secret-4711?patient=4711")
    client.get("/secret-4711")
    client.get("/r4/CodeSystem/$lookup?code=4711")
    found = lines()
    assert [one["route"] for one in found] == [
        "/r4/ImagingStudy/{resource_id}",
        "(none)",
        "/r4/CodeSystem/$lookup",
    ]
    assert [one["method"] for one in found] == ["GET"] * 3
    assert found[0]["status"] == 404
    assert found[0]["ms"] >= 0
    assert found[0]["actor"] == "anonymous"
    assert "4711" not in caplog.text + str(found)


def test_annotating_leaves_no_patient_in_any_line(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client.annotate(make_dicom(BodyPartExamined="HAND"))
    client.annotate(make_dicom(BodyPartExamined="HAND")[:700])
    said = " ".join(f"{one.getMessage()} {vars(one)}" for one in caplog.records)
    for secret in ("Mustermann", "P-4711", "ACC-0815", "19640812"):
        assert secret not in said


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abc-1", True),
        ("9f1c2e8a-0000-4000-8000-000000000001", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("", False),
        ("a b", False),
        ("a\tb", False),
        ("<script>", False),
        ("é", False),
        ("-x", False),
    ],
)
def test_a_request_id_comes_back_when_it_is_one(client: Client, given: str, kept: bool) -> None:
    headers = {"X-Request-Id": given.encode()}
    answered = client.get("/health/live", headers=headers).headers["x-request-id"]
    assert (answered == given) is kept
    assert answered.isascii()
    assert 0 < len(answered) <= 64


def test_an_answer_without_a_given_id_has_one_of_its_own(client: Client) -> None:
    first, second = (client.get("/nowhere").headers["x-request-id"] for _ in range(2))
    assert first != second


def test_probes_are_lines_of_the_lowest_level_only(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "bodysite.access")
    for path in ("/health/live", "/health/ready", "/metrics"):
        assert client.get(path).status_code == 200
    assert not [one for one in caplog.records if one.name == "bodysite.access"]


def test_a_method_that_is_none_is_no_label(client: Client) -> None:
    client.request("SECRET4711", "/r4/ImagingStudy")
    text = client.get("/metrics").text
    assert 'method="(other)"' in text
    assert "4711" not in text


SCRAPE = "/metrics"
BEARER = {"Authorization": "Bearer scrape"}
SERVICE = {"Authorization": "Bearer service"}


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        # As any other address: with a token where one is asked for.
        ({}, {}, 200),
        ({"tokens": "service"}, {}, 401),
        ({"tokens": "service"}, SERVICE, 200),
        # Its own token opens it, and the tokens of the service do, too.
        ({"tokens": "service", "metrics_token": "scrape"}, BEARER, 200),
        ({"tokens": "service", "metrics_token": "scrape"}, SERVICE, 200),
        ({"tokens": "service", "metrics_token": "scrape"}, {"Authorization": "Bearer x"}, 401),
        # Only this machine, and not what a proxy on it passes on.
        ({"tokens": "service", "metrics_access": "loopback"}, {}, 200),
        ({"tokens": "service", "metrics_access": "loopback"}, {"X-Forwarded-For": "::1"}, 403),
        ({"metrics_access": "loopback"}, {"Forwarded": "for=192.0.2.1"}, 403),
        (
            {"metrics_access": "loopback", "metrics_token": "scrape"},
            {"X-Forwarded-For": "192.0.2.1", **BEARER},
            200,
        ),
        ({"tokens": "service", "metrics_access": "anyone"}, {}, 200),
    ],
)
def test_metrics_are_for_whom_the_settings_say(
    serve: Serve, settings: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    answer = serve(**settings).get(SCRAPE, headers=headers)
    assert answer.status_code == status
    assert ("bodysite_processes" in answer.text) is (status == 200)


def test_metrics_for_loopback_are_not_for_other_machines(serve: Serve) -> None:
    app = serve(metrics_access="loopback", tokens="service").app

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=("192.0.2.7", 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
            return await client.get(SCRAPE, headers=SERVICE)

    answer = asyncio.run(ask())
    assert answer.status_code == 403
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_the_token_of_metrics_opens_nothing_else(serve: Serve) -> None:
    client = serve(tokens="service", metrics_token="scrape")
    assert client.get("/r4/ImagingStudy", headers=BEARER).status_code == 401


async def _answers(send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


SCOPE = {"type": "http", "method": "GET", "path": "/x", "headers": []}


def observed(app: Any, state: State) -> Observed:
    lifecycle = Lifecycle()
    lifecycle.state = state
    return Observed(app, Metrics(), lifecycle)


@pytest.mark.parametrize(
    ("state", "closes"), [(State.RUNNING, False), (State.DRAINING, True), (State.STOPPING, True)]
)
def test_answers_close_their_connection_when_the_end_is_near(state: State, closes: bool) -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def app(_scope: Any, _receive: Any, inner: Any) -> None:
        await _answers(inner)

    asyncio.run(observed(app, state)(dict(SCOPE), None, send))  # type: ignore[arg-type]
    assert ((b"connection", b"close") in sent[0]["headers"]) is closes


def test_a_request_that_is_cut_off_at_the_end_is_told_so() -> None:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        await asyncio.sleep(3600)

    async def cut() -> None:
        call = observed(app, State.DRAINING)(dict(SCOPE), None, send)  # type: ignore[arg-type]
        task = asyncio.create_task(call)
        await asyncio.sleep(0)
        task.cancel()
        await task

    asyncio.run(cut())
    assert sent[0]["status"] == 503
    assert (b"retry-after", b"5") in sent[0]["headers"]
    assert b"OperationOutcome" in sent[1]["body"]


def test_a_request_that_its_client_left_is_not_answered() -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise asyncio.CancelledError

    async def nothing(_message: Any) -> None:
        raise AssertionError("nobody is there")

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(observed(app, State.RUNNING)(dict(SCOPE), None, nothing))  # type: ignore[arg-type]
