"""Bulk export as HL7 FHIR Bulk Data Access 2.0.0 has it."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import fhir.resources
import fhir.resources.R4B
import pytest

from api.errors import RequestError
from api.jobs.runner import Task
from api.jobs.snapshot import cut
from api.records import Resource
from api.rendering import rendered
from api.store import SqlStore
from api.store.rows import now
from tests.api.conftest import make_dicom
from tests.api.jobs.conftest import ASYNC, Polling

pytestmark = pytest.mark.databases


# What is stored with three studies, of one site each.
_BESIDE = {"Observation": 3, "BodyStructure": 3, "Provenance": 3, "Device": 1}


class Killed(BaseException):
    """The process is gone: nothing may catch it."""


@pytest.fixture
def export(polling: Callable[..., Polling]) -> Polling:
    """A service with three studies."""
    found = polling()
    for part in ("HAND", "KNEE", "CHEST"):
        dicom = make_dicom(BodyPartExamined=part, Modality="CT" if part == "CHEST" else "DX")
        assert found.client.annotate(dicom).status_code == 200
    return found


def put(store: SqlStore, *names: str, note: str = "") -> None:
    store.put([Resource("Patient", name, {"gender": note or "unknown"}) for name in names])


def counts(manifest: dict[str, Any]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for file in manifest["output"]:
        found[file["type"]] += file["count"]
    return dict(found)


@pytest.mark.parametrize(
    ("release", "models"), [("r4", fhir.resources.R4B), ("r5", fhir.resources)], ids=["R4", "R5"]
)
def test_all_that_is_stored_is_exported_in_either_release(
    export: Polling, release: str, models: Any
) -> None:
    manifest = export.manifest(f"/{release}/$export")
    assert manifest["request"] == f"http://testserver/{release}/$export"
    assert manifest["requiresAccessToken"] is False
    assert (manifest["deleted"], manifest["error"]) == ([], [])
    assert counts(manifest) == {"ImagingStudy": 3, **_BESIDE}
    for content in export.lines(manifest["output"]):
        models.get_fhir_model_class(content["resourceType"]).model_validate(content)
        if content["resourceType"] == "ImagingStudy":
            site = content["series"][0]["bodySite"]
            assert ("concept" in site) is (release == "r5")


def test_the_status_tells_how_it_stands(export: Polling) -> None:
    address = export.kick_off("/r4/$export")
    waiting = export.client.get(address)
    assert (waiting.status_code, waiting.content) == (202, b"")
    assert waiting.headers["x-progress"] == "queued"
    assert int(waiting.headers["retry-after"]) >= 1
    export.jobs.run_waiting()
    done = export.client.get(address)
    assert done.status_code == 200
    assert done.headers["content-type"] == "application/json"
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", done.headers["expires"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", done.json()["transactionTime"])


def test_a_body_of_parameters_asks_as_an_address_does(export: Polling) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "_type", "valueString": "ImagingStudy"},
            {"name": "_type", "valueString": "Device"},
            {"name": "_outputFormat", "valueString": "ndjson"},
        ],
    }
    manifest = export.manifest("/r4/$export", method="POST", json=body)
    assert counts(manifest) == {"ImagingStudy": 3, "Device": 1}
    assert export.client.post("/r4/$export", headers=ASYNC).status_code == 202


def test_what_is_about_patients_is_exported_for_patients(export: Polling, store: SqlStore) -> None:
    store.put([Resource("Practitioner", "d1", {}), Resource("Patient", "p1", {})])
    manifest = export.manifest("/r4/Patient/$export")
    assert set(counts(manifest)) == {"Patient", "ImagingStudy", *_BESIDE}
    assert manifest["request"] == "http://testserver/r4/Patient/$export"
    assert "Practitioner" in counts(export.manifest("/r4/$export"))


def test_audit_events_are_exported_to_those_who_name_them(export: Polling, store: SqlStore) -> None:
    store.put([Resource("AuditEvent", "a1", {})])
    assert "AuditEvent" not in counts(export.manifest("/r4/$export"))
    assert counts(export.manifest("/r4/$export?_type=AuditEvent"))["AuditEvent"] >= 1


def test_changes_and_deletions_since_a_time(export: Polling, store: SqlStore) -> None:
    put(store, "kept", "changed", "gone")
    since = export.manifest("/r4/$export")["transactionTime"]
    put(store, "changed", note="male")
    put(store, "new")
    store.run(lambda transaction: transaction.delete("Patient", "gone"))
    manifest = export.manifest(f"/r4/$export?_since={since}")
    assert counts(manifest) == {"Patient": 2}
    assert {one["id"] for one in export.lines(manifest["output"])} == {"changed", "new"}
    (bundle,) = export.lines(manifest["deleted"])
    assert bundle["type"] == "transaction"
    assert bundle["entry"] == [{"request": {"method": "DELETE", "url": "Patient/gone"}}]
    later = manifest["transactionTime"]
    nothing = export.manifest(f"/r4/$export?_since={later}")
    assert (nothing["output"], nothing["deleted"]) == ([], [])


def test_elements_are_kept_with_those_that_must_be(export: Polling) -> None:
    manifest = export.manifest(
        "/r4/$export?_type=ImagingStudy,Device&_elements=ImagingStudy.started"
    )
    for content in export.lines(manifest["output"]):
        subsetted = any(one["code"] == "SUBSETTED" for one in content["meta"].get("tag", ()))
        if content["resourceType"] == "ImagingStudy":
            assert set(content) == {"resourceType", "id", "meta", "status", "subject", "started"}
            assert subsetted
        else:
            assert len(content) > 4
            assert not subsetted


def test_searches_filter_one_type_and_add_up(export: Polling) -> None:
    knee, chest = "ImagingStudy?bodysite=72696002", "ImagingStudy?modality=CT"
    manifest = export.manifest(
        "/r4/$export", method="POST", json=parameters(_typeFilter=f"{knee},{chest}")
    )
    assert counts(manifest) == {"ImagingStudy": 2, **_BESIDE}
    below = export.manifest(
        "/r4/$export?_type=ImagingStudy&_typeFilter=ImagingStudy%3Fbodysite%3Abelow%3D61685007"
    )
    assert counts(below) == {"ImagingStudy": 1}
    nothing = export.manifest(
        "/r4/$export?_type=ImagingStudy&_typeFilter=ImagingStudy%3Fmodality%3DMR"
    )
    assert nothing["output"] == []


def test_a_filter_sees_the_state_of_the_instant(export: Polling, store: SqlStore) -> None:
    address = export.kick_off(
        "/r4/$export?_type=ImagingStudy&_typeFilter=ImagingStudy%3Fmodality%3DCT"
    )
    commit = Task.commit
    deleted: list[str] = []

    def commit_and_delete(self: Task, *arguments: Any) -> None:
        commit(self, *arguments)
        if not deleted:
            found = json.loads(export.client.get("/r4/ImagingStudy?modality=CT").text)
            deleted.append(found["entry"][0]["resource"]["id"])
            store.run(lambda transaction: transaction.delete("ImagingStudy", deleted[0]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "commit", commit_and_delete)
        export.jobs.run_waiting()
    (found,) = export.lines(export.client.get(address).json()["output"])
    assert [found["id"]] == deleted


def parameters(**values: str) -> dict[str, Any]:
    listed = [{"name": name, "valueString": value} for name, value in values.items()]
    return {"resourceType": "Parameters", "parameter": listed}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$export?_outputFormat=text/csv", "application/fhir+ndjson"),
        ("$export?_since=yesterday", "instant"),
        ("$export?_since=2026-11-20", "instant"),
        ("$export?_since=2026-13-20T10:00:00Z", "instant"),
        ("$export?_type=Medication", "ImagingStudy"),
        ("Patient/$export?_type=Practitioner", "ImagingStudy"),
        ("$export?_type=Device&_typeFilter=ImagingStudy%3Fmodality%3DCT", "Device"),
        ("$export?_typeFilter=ImagingStudy", "search"),
        ("$export?_typeFilter=ImagingStudy%3F_sort%3D-started", "_sort"),
        ("$export?_typeFilter=ImagingStudy%3F_include%3DImagingStudy:subject", "_include"),
        ("$export?_typeFilter=ImagingStudy%3Fnonsense%3D1", "nonsense"),
        ("$export?_elements=a.b.c", "commas"),
        ("$export?patient=Patient/1", "patient"),
        ("$export?includeAssociatedData=LatestProvenanceResources", "includeAssociatedData"),
        ("$export?_until=2026-11-20T10:00:00Z", "_until"),
    ],
)
def test_what_cannot_be_exported_is_refused(
    polling: Callable[..., Polling], path: str, expected: str
) -> None:
    answer = polling().client.get(f"/r4/{path}", headers=ASYNC)
    assert answer.status_code == 400
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert expected in outcome["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    "body",
    [
        "[",
        "[]",
        '{"resourceType":"Patient"}',
        '{"resourceType":"Parameters","parameter":[{"name":"_type"}]}',
        '{"resourceType":"Parameters","parameter":[1]}',
        '{"resourceType":"Parameters","parameter":{}}',
        '{"resourceType":"Parameters","parameter":[{"name":1,"valueString":"a"}]}',
        "[" * 100_000,
    ],
)
def test_a_body_that_is_no_parameters_is_refused(
    polling: Callable[..., Polling], body: str
) -> None:
    headers = {**ASYNC, "content-type": "application/fhir+json"}
    answer = polling().client.post("/r4/$export", content=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_lenient_handling_tells_what_it_ignored(export: Polling) -> None:
    headers = {"prefer": "respond-async, handling=lenient"}
    manifest = export.manifest(
        "/r4/$export?_type=Device,Medication&includeAssociatedData=x", headers=headers
    )
    assert counts(manifest) == {"Device": 1}
    said = [one["issue"][0] for one in export.lines(manifest["error"])]
    assert [one["severity"] for one in said] == ["warning", "warning"]
    assert "'Medication'" in said[1]["diagnostics"]


def test_nobody_else_sees_a_job(export: Polling, act_as: Callable[..., None]) -> None:
    act_as("one", "system/*.rs")
    address = export.kick_off("/r4/$export")
    export.jobs.run_waiting()
    manifest = export.client.get(address).json()
    assert manifest["requiresAccessToken"] is True
    file = manifest["output"][0]["url"]
    act_as("two", "system/*.cruds")
    for method, url in (("GET", address), ("DELETE", address), ("GET", file)):
        assert export.client.request(method, url).status_code == 404
    act_as("one", "system/*.rs")
    assert export.client.get(file).status_code == 200
    # Another address of the same job is not there: its files are of one release.
    assert export.client.get(address.replace("/r4/", "/r5/")).status_code == 404


def test_scopes_narrow_what_is_exported(export: Polling, act_as: Callable[..., None]) -> None:
    act_as("one", "system/ImagingStudy.rs", "user/Device.read", "system/Observation.r")
    manifest = export.manifest("/r4/$export")
    assert set(counts(manifest)) == {"ImagingStudy", "Device"}
    refused = export.client.get("/r4/$export?_type=Observation", headers=ASYNC)
    assert refused.status_code == 403
    files = {one["type"]: one["url"] for one in manifest["output"]}
    act_as("one", "system/Device.rs")
    assert export.client.get(files["Device"]).status_code == 200
    assert export.client.get(files["ImagingStudy"]).status_code == 403
    act_as("one", "system/ImagingStudy.cud")
    assert export.client.get("/r4/$export", headers=ASYNC).status_code == 403


def test_files_come_compressed_to_those_who_take_it(export: Polling) -> None:
    url = export.manifest("/r4/$export?_type=ImagingStudy")["output"][0]["url"]
    plain = export.client.get(url, headers={"accept-encoding": "identity"})
    packed = export.client.get(url, headers={"accept-encoding": "br, gzip;q=0.8"})
    refused = export.client.get(url, headers={"accept-encoding": "gzip;q=0"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in refused.headers
    assert plain.content == packed.content == refused.content
    assert plain.headers["vary"] == "Accept-Encoding"
    for accept in ("application/fhir+ndjson", "application/ndjson", "*/*"):
        assert export.client.get(url, headers={"accept": accept}).status_code == 200


def test_a_cancelled_job_is_gone(export: Polling) -> None:
    waiting = export.kick_off("/r4/$export")
    assert export.client.request("DELETE", waiting).status_code == 202
    assert export.client.get(waiting).status_code == 404
    assert export.client.request("DELETE", waiting).status_code == 404
    assert export.jobs.run_waiting() == 0
    done = export.kick_off("/r4/$export")
    export.jobs.run_waiting()
    file = export.client.get(done).json()["output"][0]["url"]
    assert export.client.request("DELETE", done).status_code == 202
    assert {export.client.get(url).status_code for url in (done, file)} == {404}


def test_cancelling_stops_a_job_that_runs(polling: Callable[..., Polling], store: SqlStore) -> None:
    export = polling(job_part_bytes=1024)
    put(store, *(f"p{number:03}" for number in range(100)))
    address = export.kick_off("/r4/$export")
    commit = Task.commit
    commits = 0

    def commit_and_cancel(self: Task, *arguments: Any) -> None:
        nonlocal commits
        commits += 1
        if commits == 3:
            assert export.client.get(address).headers["x-progress"].endswith("resources")
            assert export.client.request("DELETE", address).status_code == 202
        commit(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "commit", commit_and_cancel)
        assert export.jobs.run_waiting() == 1
    assert commits == 3
    assert export.client.get(address).status_code == 404
    assert export.jobs.queue.figures() == {}


@pytest.mark.parametrize("killed_at", [1, 2, 3, 7])
def test_a_job_whose_process_died_goes_on_without_gap_or_doubling(
    polling: Callable[..., Polling],
    store: SqlStore,
    let_leases_run_out: Callable[[], None],
    killed_at: int,
) -> None:
    export = polling(job_part_bytes=1024)
    names = [f"p{number:03}" for number in range(100)]
    put(store, *names)
    address = export.kick_off("/r4/$export?_type=Patient")
    commit = Task.commit
    commits = 0

    def commit_or_die(self: Task, *arguments: Any) -> None:
        nonlocal commits
        commits += 1
        if commits == killed_at:
            # Half of the times the process dies before the transaction, half of the times after.
            if killed_at % 2:
                commit(self, *arguments)
            raise Killed
        commit(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "commit", commit_or_die)
        with pytest.raises(Killed):
            export.jobs.run_waiting()
    put(store, "p000", "p099", note="male")
    put(store, "q000")
    assert export.jobs.run_waiting() == 0
    let_leases_run_out()
    assert export.jobs.run_waiting() == 1
    manifest = export.client.get(address).json()
    found = list(export.lines(manifest["output"]))
    assert [one["id"] for one in found] == names
    assert {one["gender"] for one in found} == {"unknown"}
    assert len(manifest["output"]) > 5


def test_a_job_that_ends_its_process_again_and_again_fails(
    polling: Callable[..., Polling], let_leases_run_out: Callable[[], None]
) -> None:
    export = polling()
    address = export.kick_off("/r4/$export")

    def die(*_: Any) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "commit", die)
        for _ in range(4):
            with pytest.raises(Killed):
                export.jobs.run_waiting()
            let_leases_run_out()
        assert export.jobs.run_waiting() == 1
    answer = export.client.get(address)
    assert answer.status_code == 500
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_a_fault_of_ours_fails_the_job_and_no_other(
    export: Polling, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("P-4711")

    first = export.kick_off("/r4/$export")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("api.jobs.export.cut", fail)
        export.jobs.run_waiting()
    answer = export.client.get(first)
    assert answer.status_code == 500
    assert "P-4711" not in answer.text + caplog.text
    assert counts(export.manifest("/r4/$export"))


def test_a_client_has_so_many_jobs_at_a_time(polling: Callable[..., Polling]) -> None:
    export = polling(max_jobs=2)
    export.kick_off("/r4/$export")
    last = export.kick_off("/r4/$export")
    refused = export.client.get("/r4/$export", headers=ASYNC)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    export.client.request("DELETE", last)
    export.kick_off("/r4/$export")


def test_what_a_job_made_expires(export: Polling, monkeypatch: pytest.MonkeyPatch) -> None:
    address = export.kick_off("/r4/$export")
    export.jobs.run_waiting()
    export.jobs.clean()
    assert export.client.get(address).status_code == 200
    monkeypatch.setattr("api.jobs.service.now", lambda: now() + 25 * 3600 * 1_000_000)
    export.jobs.clean()
    assert export.client.get(address).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["_jobs/nothing", "_jobs/nothing/manifest", "_jobs/nothing/Patient-1.ndjson", "_jobs/x/y"],
)
def test_there_is_nothing_where_no_job_is(polling: Callable[..., Polling], path: str) -> None:
    answer = polling().client.get(f"/r4/{path}")
    assert answer.status_code == 404
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_files_that_are_not_of_the_job_are_not_there(export: Polling) -> None:
    url = export.manifest("/r4/$export?_type=Device")["output"][0]["url"]
    address = url.rpartition("/")[0]
    for name in ("Patient-1.ndjson", "Device-2.ndjson", "Device-1.json", "journal-1.ndjson"):
        assert export.client.get(f"{address}/{name}").status_code == 404


def test_a_resource_that_cannot_be_rendered_is_told_of(
    export: Polling, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(body: Any, release: str) -> Any:
        if body["resourceType"] == "Device":
            raise RequestError("Device", "it has no form in R5", "one", "None.")
        return rendered(body, release)

    monkeypatch.setattr(export.jobs._exporting, "_render", refuse)
    manifest = export.manifest("/r5/$export?_type=Device,ImagingStudy")
    assert counts(manifest) == {"ImagingStudy": 3}
    (said,) = export.lines(manifest["error"])
    assert "no form in R5" in said["issue"][0]["diagnostics"]


def test_the_queue_is_seen_in_the_metrics(export: Polling) -> None:
    export.kick_off("/r4/$export")
    export.jobs.run_waiting()
    export.kick_off("/r4/$export")
    text = export.client.get("/metrics").text
    assert 'bodysite_jobs{state="queued"} 1.0' in text
    assert 'bodysite_jobs{state="done"} 1.0' in text
    assert 'bodysite_job_seconds_count{kind="export",state="done"} 1.0' in text


def test_parts_are_kept_compressed(export: Polling) -> None:
    address = export.kick_off("/r4/$export?_type=ImagingStudy")
    export.jobs.run_waiting()
    job_id = address.rpartition("/")[2]
    part = export.jobs.queue.part(job_id, 1)
    assert part is not None
    assert gzip.decompress(part.body).count(b"\n") == part.count == 3


def test_the_instant_is_not_in_the_future(store: SqlStore) -> None:
    begun = now()
    assert begun - 1000 <= cut(store.engine, at_least=begun) <= now()
