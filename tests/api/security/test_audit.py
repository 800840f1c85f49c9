"""AuditEvents: what becomes one, what stands in it, and that none is lost."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from api.phi import PhiPolicy
from api.security.actor import ANONYMOUS, static_actor
from api.security.audit import AuditTrail
from api.security.audit_event import AuditWriter, Deed, Happened, deed_of, merged
from api.security.errors import BorderError
from api.store import SqlStore
from terminology.library import Terminology
from tests.api.checks import checked
from tests.api.client import Client
from tests.api.conftest import make_dicom
from tests.api.security.conftest import ADMIN, VIEWER

BOT = static_actor("bot", ("system/*.cruds",))


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/r4/ImagingStudy/1", Deed("R", "read", "ImagingStudy", "1")),
        ("HEAD", "/r4/ImagingStudy/1", Deed("R", "read", "ImagingStudy", "1")),
        ("GET", "/r4/ImagingStudy/1/_history/2", Deed("R", "vread", "ImagingStudy", "1")),
        ("GET", "/r4/ImagingStudy/1/_history", Deed("R", "history-instance", "ImagingStudy", "1")),
        ("GET", "/r4/ImagingStudy", Deed("E", "search-type", "ImagingStudy")),
        ("POST", "/r4/ImagingStudy/_search", Deed("E", "search-type", "ImagingStudy")),
        ("POST", "/r4/Patient", Deed("C", "create", "Patient")),
        ("PUT", "/r5/Patient/1", Deed("U", "update", "Patient", "1")),
        ("PATCH", "/r4/Patient/1", Deed("U", "patch", "Patient", "1")),
        ("DELETE", "/r4/Patient/1", Deed("D", "delete", "Patient", "1")),
        ("POST", "/r4", Deed("E", "batch")),
        ("GET", "/r4/_history", Deed("R", "history-system")),
        (
            "POST",
            "/r4/ImagingStudy/$annotate",
            Deed("E", "operation", "ImagingStudy", operation="$annotate"),
        ),
        ("GET", "/r4/$export", Deed("E", "operation", operation="$export")),
        ("GET", "/r4/CodeSystem/$lookup", None),
        ("GET", "/r4/metadata", None),
        ("GET", "/health", None),
        ("GET", "/docs", None),
    ],
)
def test_a_request_is_about(method: str, path: str, expected: Deed | None) -> None:
    assert deed_of(method, path) == expected


def event(policy: str, path: str, method: str = "GET", **changes: Any) -> dict[str, Any]:
    deed = deed_of(method, path)
    assert deed is not None
    happened = Happened(
        changes.pop("actor", BOT),
        "192.0.2.7",
        deed,
        changes.pop("status", 200),
        recorded=datetime(2026, 3, 1, tzinfo=UTC),
        **changes,
    )
    return checked(AuditWriter(PhiPolicy(policy), b"key").event(happened))


def test_an_event_says_who_did_what_to_what() -> None:
    found = event("keep", "/r4/ImagingStudy/s1", "DELETE")
    assert found["subtype"][0]["code"] == "delete"
    assert (found["action"], found["outcome"]) == ("D", "0")
    assert found["recorded"] == "2026-03-01T00:00:00.000+00:00"
    agent = found["agent"][0]
    assert agent["who"]["identifier"]["value"] == "bot"
    assert agent["network"] == {"address": "192.0.2.7", "type": "2"}
    assert found["entity"][0]["what"]["reference"] == "ImagingStudy/s1"
    assert event("keep", "/r4/Patient", actor=ANONYMOUS)["agent"][0]["who"] == {
        "display": "anonymous"
    }


@pytest.mark.parametrize(("status", "outcome"), [(200, "0"), (304, "0"), (403, "4"), (500, "8")])
def test_how_it_went(status: int, outcome: str) -> None:
    assert event("keep", "/r4/Patient/1", status=status)["outcome"] == outcome


def test_a_query_is_kept_under_keep_alone() -> None:
    query = "patient.identifier=CANARY"
    kept = event("keep", "/r4/ImagingStudy", query=query)["entity"][0]
    assert base64.b64decode(kept["query"]).decode() == f"ImagingStudy?{query}"
    for policy in ("hash", "drop"):
        found = event(policy, "/r4/ImagingStudy", query=query)
        assert "CANARY" not in json.dumps(found)
        assert base64.b64encode(query.encode()).decode()[:20] not in json.dumps(found)
        assert found["entity"][0]["name"] == "ImagingStudy"


def test_addresses_and_what_is_not_there_follow_the_policy() -> None:
    hashed = event("hash", "/r4/Patient/CANARY", status=404)
    assert "CANARY" not in json.dumps(hashed)
    assert hashed["agent"][0]["network"]["address"] != "192.0.2.7"
    assert "network" not in event("drop", "/r4/Patient/1")["agent"][0]
    assert event("hash", "/r4/Patient/1")["entity"][0]["what"]["reference"] == "Patient/1"


# -- the trail -------------------------------------------------------------------------------------


def trail_of(store: SqlStore, terminology: Terminology, level: str = "all") -> AuditTrail:
    writer = AuditWriter(PhiPolicy.HASH, b"key")
    return AuditTrail(store, terminology.graph, writer, level, 30)  # type: ignore[arg-type]


def happened(path: str = "/r4/Patient/1", method: str = "GET", status: int = 200) -> Happened:
    deed = deed_of(method, path)
    assert deed is not None
    return Happened(BOT, "192.0.2.7", deed, status)


def stored(store: SqlStore) -> list[dict[str, Any]]:
    page = store.history("AuditEvent", None, 1000)
    return [json.loads(one.body) for one in page.versions]


@pytest.mark.parametrize(
    ("level", "expected"),
    [("all", {"R", "E", "U", "D"}), ("writes", {"U", "D", "refused"}), ("off", set())],
)
def test_the_level_says_what_becomes_an_event(
    store: SqlStore, terminology: Terminology, level: str, expected: set[str]
) -> None:
    trail = trail_of(store, terminology, level)
    trail.take(happened())
    trail.take(happened("/r4/Patient"))
    trail.take(happened(method="PUT"))
    trail.take(happened(method="DELETE"))
    trail.take(happened(status=403))
    trail.close()
    found = {
        "refused" if one["outcomeDesc"].endswith("403") and level == "writes" else one["action"]
        for one in stored(store)
    }
    assert found == expected


def test_closing_stores_everything(store: SqlStore, terminology: Terminology) -> None:
    trail = trail_of(store, terminology)
    for number in range(650):
        trail.take(happened(f"/r4/Patient/{number}"))
    trail.close()
    assert len(stored(store)) == 650


def test_like_requests_are_one_event_that_names_what_they_made() -> None:
    deed = deed_of("POST", "/r4/ImagingStudy/$annotate")
    assert deed is not None
    begun = datetime(2026, 3, 1, tzinfo=UTC)
    several = [
        Happened(BOT, None, deed, 200, "", (f"ImagingStudy/{number}",), begun)
        for number in range(150)
    ]
    other = Happened(BOT, None, deed, 422, recorded=begun)
    first, second, third = merged([*several[:50], other, *several[50:]])
    assert (len(first.references), second, len(third.references)) == (100, other, 50)
    found = checked(AuditWriter(PhiPolicy.HASH, b"key").event(first))
    assert found["outcomeDesc"] == "HTTP status 200, 100 requests"
    assert found["period"]["start"].startswith("2026-03-01T00:00:00")
    assert len(found["entity"]) == 101


def test_what_the_store_cannot_take_waits(
    store: SqlStore,
    terminology: Terminology,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    trail = trail_of(store, terminology)
    run = store.run

    def fail(_: object) -> Any:
        raise sa.exc.OperationalError("INSERT CANARY", {}, Exception("disk"))

    monkeypatch.setattr(store, "run", fail)
    trail.take(happened())
    with caplog.at_level(logging.ERROR), pytest.raises(sa.exc.OperationalError):
        trail.flush()
    monkeypatch.setattr(store, "run", run)
    trail.close()
    assert len(stored(store)) == 1
    assert "CANARY" not in caplog.text


def test_when_too_much_waits_nothing_more_happens(
    store: SqlStore, terminology: Terminology, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.security.audit._FULL", 0)
    with pytest.raises(BorderError) as caught:
        trail_of(store, terminology).check()
    assert caught.value.status == 503


def test_what_is_too_old_is_deleted_for_good(store: SqlStore, terminology: Terminology) -> None:
    trail = trail_of(store, terminology)
    for number in range(3):
        trail.take(happened(f"/r4/Patient/{number}"))
    trail.close()
    assert trail.prune() == 0
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE resource SET last_updated = last_updated / 2"))
    assert trail.prune() == 3
    assert stored(store) == []
    with store.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM token")) == 0


# -- through the service ---------------------------------------------------------------------------


def flushed(client: Client, store: SqlStore) -> list[dict[str, Any]]:
    client.app.state.security.audit.flush()
    return [checked(one) for one in stored(store)]


def test_writes_and_refusals_are_written_down(
    serve: Callable[..., Client], store: SqlStore, token_file: Any
) -> None:
    client = serve(token_file=token_file, audit="writes")
    dicom = {"content-type": "application/dicom"}
    answer = client.post(
        "/r4/ImagingStudy/$annotate",
        content=make_dicom(BodyPartExamined="HAND"),
        headers={**dicom, **ADMIN},
    )
    assert answer.status_code == 200
    assert client.get("/r4/ImagingStudy", headers=ADMIN).status_code == 200
    assert client.get("/r4/Observation", headers=VIEWER).status_code == 403
    assert client.get("/r4/Observation").status_code == 401
    found = flushed(client, store)
    assert sorted(one["outcomeDesc"][-3:] for one in found) == ["200", "401", "403"]
    done = next(one for one in found if one["outcome"] == "0")
    assert done["agent"][0]["who"]["display"] == "admin"
    names = [entity.get("what", {}).get("reference", "") for entity in done["entity"]]
    assert any(name.startswith("ImagingStudy/") for name in names)


def test_reads_are_written_down_when_all_is(serve: Callable[..., Client], store: SqlStore) -> None:
    client = serve(audit="all")
    client.get("/r4/ImagingStudy?modality=CT")
    client.get("/r4/ImagingStudy/none")
    codes = sorted(one["subtype"][0]["code"] for one in flushed(client, store))
    assert codes == ["read", "search-type"]
