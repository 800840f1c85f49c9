"""`$annotate` in the background: progress, resume, cancel, and what comes of it."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fhir.resources
import fhir.resources.R4B
import httpx
import pytest
import sqlalchemy as sa
from fhir.resources.R4B.bundle import Bundle

from api.jobs.runner import Task
from api.jobs.spool import Spool
from api.store import SqlStore
from api.store.schema import instance as instance_table
from api.store.schema import job_part as part_table
from tests.api.conftest import ROOT, make_dicom
from tests.api.jobs.conftest import Polling

pytestmark = pytest.mark.databases

ANNOTATE = "/r4/ImagingStudy/$annotate"
ZIP = {"prefer": "respond-async", "content-type": "application/zip"}


class Killed(BaseException):
    """The process is gone: nothing may catch it."""


@pytest.fixture
def annotate(polling: Callable[..., Polling], tmp_path: Path) -> Callable[..., Polling]:
    """A function that makes a service with a folder for uploads."""
    return lambda **settings: polling(data_dir=tmp_path / "uploads", **settings)


def archive(count: int, *, of: int = 1, **others: bytes) -> bytes:
    """Return a zip of so many images, in studies of so many images each."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        for number in range(count):
            study = number // of
            content = make_dicom(
                StudyInstanceUID=f"{ROOT}.7.{study}",
                SeriesInstanceUID=f"{ROOT}.8.{study}",
                SOPInstanceUID=f"{ROOT}.9.{number}",
                BodyPartExamined="KNEE",
            )
            zipped.writestr(f"Mustermann/{number}.dcm", content)
        for name, content in others.items():
            zipped.writestr(name, content)
    return out.getvalue()


def sent(service: Polling, content: bytes, query: str = "") -> str:
    answer = service.client.post(f"{ANNOTATE}{query}", content=content, headers=ZIP)
    assert answer.status_code == 202, answer.text
    address: str = answer.headers["content-location"]
    return address


def answered(service: Polling, address: str) -> dict[str, Any]:
    """Return the answer to the request behind a job, as the Bundle tells it."""
    answer = service.client.get(address)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert bundle["type"] == "batch-response"
    (entry,) = bundle["entry"]
    found: dict[str, Any] = entry
    return found


def stored(store: SqlStore) -> tuple[int, int]:
    """Return how many studies and how many instances the store has."""
    with store.engine.connect() as connection:
        studies, instances = (
            connection.scalar(sa.select(sa.func.count(column.distinct())))
            for column in (instance_table.c.study_id, instance_table.c.sop_instance_uid)
        )
    return studies or 0, instances or 0


def uploads(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "uploads").iterdir() if path.is_dir()]


def test_the_answer_is_that_of_the_request_itself(annotate: Callable[..., Polling]) -> None:
    service = annotate()
    content = archive(3, **{"notes.txt": b"none"})
    address = sent(service, content)
    assert service.client.get(address).headers["x-progress"] == "queued"
    assert service.jobs.run_waiting() == 1
    entry = answered(service, address)
    assert entry["response"]["status"] == "200 OK"
    Bundle.model_validate(service.client.get(address).json())
    direct = service.client.post(
        ANNOTATE, content=content, headers={"content-type": "application/zip"}
    ).json()

    def described(bundle: dict[str, Any]) -> list[Any]:
        found = [
            (one["resource"]["resourceType"], one["resource"].get("id")) for one in bundle["entry"]
        ]
        return sorted(found, key=str)

    assert described(entry["resource"]) == described(direct)
    for one in entry["resource"]["entry"]:
        kind = one["resource"]["resourceType"]
        fhir.resources.R4B.get_fhir_model_class(kind).model_validate(one["resource"])
        assert one["fullUrl"].startswith(("http://testserver/r4/", "urn:uuid:"))


@pytest.mark.parametrize(
    ("options", "files"),
    [
        ({"files": [("file", ("a.dcm", make_dicom())), ("file", ("b.dcm", make_dicom()))]}, 2),
        ({"content": make_dicom(), "headers": {"content-type": "application/dicom"}}, 1),
        (
            {
                "json": {
                    "resourceType": "Parameters",
                    "parameter": [
                        {"name": "file", "resource": {"resourceType": "Binary", "data": "!"}},
                        {"name": "file", "resource": {"resourceType": "Binary", "data": "AAAA"}},
                    ],
                }
            },
            2,
        ),
    ],
    ids=["multipart", "dicom", "parameters"],
)
def test_uploads_of_every_kind_are_taken(
    annotate: Callable[..., Polling], options: dict[str, Any], files: int
) -> None:
    service = annotate()
    headers = {**options.get("headers", {}), "prefer": "respond-async"}
    answer = service.client.post(ANNOTATE, **{**options, "headers": headers})
    assert answer.status_code == 202, answer.text
    service.jobs.run_waiting()
    address = answer.headers["content-location"]
    job = service.jobs.queue.read(address.rpartition("/")[2])
    assert job is not None
    assert (job.progress["done"], job.progress["of"]) == (files, files)


def test_where_nothing_went_through_the_request_failed(annotate: Callable[..., Polling]) -> None:
    service = annotate()
    address = sent(service, archive(0, a=b"none", b=b"neither"))
    service.jobs.run_waiting()
    entry = answered(service, address)
    assert entry["response"]["status"].startswith("422 ")
    assert "resource" not in entry
    assert len(entry["response"]["outcome"]["issue"]) == 2


def test_an_output_format_asks_for_files(annotate: Callable[..., Polling]) -> None:
    service = annotate()
    address = sent(service, archive(3, a=b"none"), "?_outputFormat=application/fhir%2Bndjson")
    service.jobs.run_waiting()
    manifest = service.client.get(address).json()
    found = {one["type"]: one["count"] for one in manifest["output"]}
    assert found == {
        "ImagingStudy": 3, "Observation": 3, "BodyStructure": 3, "Provenance": 3, "Device": 1,
    }  # fmt: skip
    assert len(list(service.lines(manifest["output"]))) == 13
    assert len(list(service.lines(manifest["error"]))) == 1
    assert manifest["request"].endswith("/r4/ImagingStudy/$annotate")


def test_what_is_too_much_for_a_bundle_is_in_files(
    annotate: Callable[..., Polling], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.jobs.answers.MAX_BUNDLED", 5)
    service = annotate()
    address = sent(service, archive(3))
    service.jobs.run_waiting()
    entry = answered(service, address)
    assert "resource" not in entry
    assert entry["response"]["status"] == "200 OK"
    manifest = service.client.get(entry["response"]["location"]).json()
    assert sum(one["count"] for one in manifest["output"]) == 13


def test_progress_is_told_in_files(
    annotate: Callable[..., Polling], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.jobs.annotating._FILES_AT_ONCE", 2)
    service = annotate()
    address = sent(service, archive(5))
    commit = Task.commit
    told = []

    def commit_and_ask(self: Task, *arguments: Any) -> None:
        commit(self, *arguments)
        told.append(service.client.get(address).headers["x-progress"])

    monkeypatch.setattr(Task, "commit", commit_and_ask)
    service.jobs.run_waiting()
    assert told == ["2 of 5 files", "4 of 5 files", "5 of 5 files"]


@pytest.mark.parametrize("killed_at", [1, 2, 3])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_job_whose_process_died_goes_on_and_doubles_nothing(
    annotate: Callable[..., Polling],
    store: SqlStore,
    let_leases_run_out: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    killed_at: int,
    before: bool,
) -> None:
    monkeypatch.setattr("api.jobs.annotating._FILES_AT_ONCE", 4)
    service = annotate()
    address = sent(service, archive(12, of=3))
    commit = Task.commit
    commits = 0

    def commit_or_die(self: Task, *arguments: Any) -> None:
        nonlocal commits
        commits += 1
        if commits == killed_at:
            if not before:
                commit(self, *arguments)
            raise Killed
        commit(self, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "commit", commit_or_die)
        with pytest.raises(Killed):
            service.jobs.run_waiting()
    assert 0 < stored(store)[1] <= 12
    let_leases_run_out()
    assert service.jobs.run_waiting() == 1
    assert stored(store) == (4, 12)
    entries = answered(service, address)["resource"]["entry"]
    kinds = [one["resource"]["resourceType"] for one in entries]
    assert (kinds.count("ImagingStudy"), kinds.count("Observation")) == (4, 4)
    for one in entries:
        if one["resource"]["resourceType"] == "ImagingStudy":
            assert one["resource"]["numberOfInstances"] == 3


def test_cancelling_stops_the_work_and_removes_the_upload(
    annotate: Callable[..., Polling],
    store: SqlStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.jobs.annotating._FILES_AT_ONCE", 2)
    service = annotate()
    address = sent(service, archive(10))
    commit = Task.commit
    commits = 0

    def commit_and_cancel(self: Task, *arguments: Any) -> None:
        nonlocal commits
        commits += 1
        if commits == 2:
            assert service.client.request("DELETE", address).status_code == 202
        commit(self, *arguments)

    monkeypatch.setattr(Task, "commit", commit_and_cancel)
    assert service.jobs.run_waiting() == 1
    assert service.client.get(address).status_code == 404
    assert stored(store) == (4, 4)
    assert uploads(tmp_path) == []
    waiting = sent(service, archive(1))
    assert len(uploads(tmp_path)) == 1
    service.client.request("DELETE", waiting)
    assert uploads(tmp_path) == []


def test_uploads_are_private_and_go_when_they_are_done(
    annotate: Callable[..., Polling], tmp_path: Path
) -> None:
    service = annotate()
    sent(service, archive(1))
    (name,) = uploads(tmp_path)
    folder = tmp_path / "uploads" / name
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    service.jobs.run_waiting()
    assert uploads(tmp_path) == []


@pytest.mark.parametrize("phi", ["keep", "hash", "drop"])
def test_names_of_files_are_kept_only_where_identifiers_are(
    annotate: Callable[..., Polling], store: SqlStore, phi: str
) -> None:
    service = annotate(phi=phi)
    bad = {"Mustermann/scan.txt": b"none"}
    address = sent(service, archive(2, **bad))
    service.jobs.run_waiting()
    text = service.client.get(address).text
    assert ("Mustermann" in text) is (phi == "keep")
    assert ("file 3 of 3" in text) is (phi != "keep")
    with store.engine.connect() as connection:
        bodies = list(connection.scalars(sa.select(part_table.c.body)))
    kept = b"".join(gzip.decompress(body) for body in bodies)
    assert (b"Mustermann" in kept) is (phi == "keep")


def test_a_process_leaves_uploads_that_lie_elsewhere(
    polling: Callable[..., Polling], tmp_path: Path
) -> None:
    here = polling(data_dir=tmp_path / "here")
    there = polling(data_dir=tmp_path / "there")
    beside = polling(data_dir=tmp_path / "here")
    address = sent(here, archive(1))
    assert there.jobs.run_waiting() == 0
    sent(there, archive(1))
    assert there.jobs.run_waiting() == 1
    assert beside.jobs.run_waiting() == 1
    assert answered(there, address)["response"]["status"] == "200 OK"


def test_an_upload_that_is_gone_is_told_of(
    annotate: Callable[..., Polling], tmp_path: Path
) -> None:
    service = annotate()
    address = sent(service, archive(1))
    (name,) = uploads(tmp_path)
    (tmp_path / "uploads" / name / "0").unlink()
    service.jobs.run_waiting()
    entry = answered(service, address)
    assert entry["response"]["status"].startswith("500 ")
    assert "Send them again" in entry["response"]["outcome"]["issue"][0]["diagnostics"]


def test_litter_is_removed_in_time(
    annotate: Callable[..., Polling], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = annotate()
    sent(service, archive(1))
    (wanted,) = uploads(tmp_path)
    for name in ("left-behind", "half.part"):
        (tmp_path / "uploads" / name).mkdir()
    service.jobs.clean()
    assert len(uploads(tmp_path)) == 3
    real = Spool.clean.__globals__["time"].time
    monkeypatch.setattr("api.jobs.spool.time.time", lambda: real() + 7 * 3600)
    service.jobs.clean()
    assert uploads(tmp_path) == [wanted]


@pytest.mark.parametrize(
    ("settings", "query", "status", "said"),
    [
        ({}, "?persist=false", 400, "persist"),
        ({}, "?modality=nonsense%20", 400, "modality"),
        ({}, "?_outputFormat=text/csv", 400, "_outputFormat"),
        ({"max_files": 2}, "", 413, "more than 2 files"),
        ({"max_body_bytes": 100}, "", 413, "100 bytes"),
    ],
)
def test_what_cannot_be_done_is_refused_at_once(
    annotate: Callable[..., Polling],
    tmp_path: Path,
    settings: dict[str, Any],
    query: str,
    status: int,
    said: str,
) -> None:
    service = annotate(**settings)
    answer = service.client.post(f"{ANNOTATE}{query}", content=archive(3), headers=ZIP)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["issue"][0]["diagnostics"]
    assert not (tmp_path / "uploads").exists() or uploads(tmp_path) == []


def test_a_client_has_so_many_uploads_at_a_time(annotate: Callable[..., Polling]) -> None:
    service = annotate(max_jobs=1)
    sent(service, archive(1))
    answer: httpx.Response = service.client.post(ANNOTATE, content=archive(1), headers=ZIP)
    assert answer.status_code == 429
    assert answer.headers["retry-after"]


def test_the_answer_is_in_the_release_of_the_request(annotate: Callable[..., Polling]) -> None:
    service = annotate()
    answer = service.client.post("/r5/ImagingStudy/$annotate", content=archive(1), headers=ZIP)
    assert answer.status_code == 202
    service.jobs.run_waiting()
    address = answer.headers["content-location"]
    assert "/r5/_jobs/" in address
    bundle = service.client.get(address).json()
    entry = bundle["entry"][0]["resource"]["entry"][0]
    assert entry["fullUrl"].startswith("http://testserver/r5/ImagingStudy/")
    assert "concept" in entry["resource"]["series"][0]["bodySite"]
    fhir.resources.get_fhir_model_class("Bundle").model_validate(json.loads(json.dumps(bundle)))
