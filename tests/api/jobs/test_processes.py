"""Real server processes: killed in the middle of a job, several on one database, ended gently."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from api.records import Resource
from api.store import SqlStore
from api.store.schema import instance as instance_table
from tests.api.conftest import running_server
from tests.api.jobs.test_annotating import ZIP, archive

pytestmark = pytest.mark.databases

_PATIENTS = 3000
_FILES = 240
_STUDIES = 60


@pytest.fixture
def start(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], tuple[subprocess.Popen[str], httpx.Client]]]:
    """A function that starts another server process on the same database."""
    monkeypatch.setenv("BODYSITE_JOB_LEASE_SECONDS", "2")
    monkeypatch.setenv("BODYSITE_JOB_PART_BYTES", "4096")
    monkeypatch.setenv("BODYSITE_DATA_DIR", str(tmp_path / "uploads"))
    monkeypatch.setenv("BODYSITE_MODEL", "none")
    with ExitStack() as stack:

        def begin() -> tuple[subprocess.Popen[str], httpx.Client]:
            process, address = stack.enter_context(running_server(tmp_path, database))
            client = httpx.Client(base_url=address, timeout=60)
            return process, stack.enter_context(client)

        yield begin


def progress(client: httpx.Client, path: str) -> int | None:
    """Return how far a job is, `None` when it is done."""
    answer = client.get(path)
    if answer.status_code == 200:
        return None
    assert answer.status_code == 202, answer.text
    text = answer.headers["x-progress"]
    return int(text.split()[0]) if text[0].isdigit() else 0


def wait_for_progress(client: httpx.Client, path: str) -> None:
    """Wait until a job is in the middle of its work."""
    for _ in range(6000):
        found = progress(client, path)
        assert found is not None, f"done too soon to be interrupted: {client.get(path).text[:1000]}"
        if found:
            return
        time.sleep(0.02)
    pytest.fail("the job does not begin")


def done(client: httpx.Client, path: str) -> Any:
    """Return what came of a job."""
    for _ in range(2400):
        if progress(client, path) is None:
            content = client.get(path).json()
            answers = [one["response"] for one in content.get("entry", ())]
            assert all(one["status"] == "200 OK" for one in answers), answers
            return content
        time.sleep(0.05)
    pytest.fail("the job does not end")


def begun(answer: httpx.Response) -> str:
    assert answer.status_code == 202, answer.text
    return httpx.URL(answer.headers["content-location"]).path


def exported(client: httpx.Client, manifest: dict[str, Any]) -> list[str]:
    found = []
    for file in manifest["output"]:
        answer = client.get(httpx.URL(file["url"]).path)
        assert answer.status_code == 200
        found += [json.loads(line)["id"] for line in answer.text.splitlines()]
    return found


def test_an_export_outlives_kill_9_of_its_process(
    start: Callable[..., Any], store: SqlStore
) -> None:
    names = [f"p{number:04}" for number in range(_PATIENTS)]
    store.put([Resource("Patient", name, {"gender": "unknown"}) for name in names])
    first, client = start()
    path = begun(client.get("/r4/$export?_type=Patient", headers={"prefer": "respond-async"}))
    wait_for_progress(client, path)
    first.send_signal(signal.SIGKILL)
    first.wait()
    store.put([Resource("Patient", name, {"gender": "male"}) for name in names[::100]])
    _, other = start()
    manifest = done(other, path)
    assert exported(other, manifest) == names
    assert sum(one["count"] for one in manifest["output"]) == _PATIENTS


def test_an_upload_outlives_kill_9_of_its_process(
    start: Callable[..., Any], store: SqlStore, tmp_path: Path
) -> None:
    first, client = start()
    content = archive(_FILES, of=_FILES // _STUDIES)
    path = begun(client.post("/r4/ImagingStudy/$annotate", content=content, headers=ZIP))
    wait_for_progress(client, path)
    first.send_signal(signal.SIGKILL)
    first.wait()
    _, other = start()
    done(other, path)
    manifest = other.get(f"{path}/manifest").json()
    found = {one["type"]: 0 for one in manifest["output"]}
    for one in manifest["output"]:
        found[one["type"]] += one["count"]
    assert found["ImagingStudy"] == _STUDIES
    with store.engine.connect() as connection:
        rows = list(connection.execute(sa.select(instance_table.c.sop_instance_uid)))
    assert len(rows) == len(set(rows)) == _FILES
    assert [one.name for one in (tmp_path / "uploads").iterdir()] == ["place"]


def test_a_process_that_ends_gently_hands_its_job_to_another(
    start: Callable[..., Any], store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody waits for the lease to run out: the job was handed back.
    monkeypatch.setenv("BODYSITE_JOB_LEASE_SECONDS", "3600")
    names = [f"p{number:04}" for number in range(_PATIENTS)]
    store.put([Resource("Patient", name, {"gender": "unknown"}) for name in names])
    first, client = start()
    path = begun(client.get("/r4/$export?_type=Patient", headers={"prefer": "respond-async"}))
    wait_for_progress(client, path)
    first.send_signal(signal.SIGTERM)
    first.wait()
    _, other = start()
    assert exported(other, done(other, path)) == names


def test_two_processes_share_the_jobs_of_one_database(
    start: Callable[..., Any], store: SqlStore
) -> None:
    names = [f"p{number:03}" for number in range(300)]
    store.put([Resource("Patient", name, {"gender": "unknown"}) for name in names])
    clients = [start()[1] for _ in range(2)]
    paths = [
        begun(client.get("/r4/$export?_type=Patient", headers={"prefer": "respond-async"}))
        for client in clients * 3
    ]
    for number, path in enumerate(paths):
        # Each status is told, and each file is given out, by either process.
        client = clients[(number + 1) % 2]
        assert exported(client, done(client, path)) == names
