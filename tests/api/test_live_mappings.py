"""A site's own tables, edited while the service runs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from api.app import create_app, terminology_over
from api.cli import main
from api.settings import Settings
from api.store import SqlStore
from terminology.live import INTERVAL, LiveTerminology
from tests.api.client import Client
from tests.api.conftest import make_dicom

PACKAGES = Path(__file__).parents[2]
WORD = "QWXZ"
# Long enough for a machine that is busy; nothing is measured.
PATIENCE = 60.0


def mappings(*arguments: str) -> None:
    result = CliRunner().invoke(
        main, ["mappings", *arguments, "--author", "person:jane"], catch_exceptions=False
    )
    assert result.exit_code == 0, result.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


@pytest.fixture
def client(store: SqlStore, folder: Path, clock: list[float]) -> Client:
    graph = terminology_over(()).latest.graph
    live = LiveTerminology(graph, folder, clock=lambda: clock[0])
    return Client(create_app(Settings(), terminology=live, store=store))


def sites_of(answer: Any) -> list[str]:
    """Return the codes of the series in the Bundle of an $annotate."""
    return [
        series["bodySite"]["code"]
        for entry in answer["entry"]
        if entry["resource"]["resourceType"] == "ImagingStudy"
        for series in entry["resource"]["series"]
        if "bodySite" in series
    ]


def test_the_next_annotation_knows_the_decision(
    client: Client, folder: Path, clock: list[float]
) -> None:
    file = make_dicom(BodyPartExamined=WORD)
    assert sites_of(client.annotate(file).json()) == []
    mappings("add", WORD, "72696002", "--mappings", str(folder))
    clock[0] += INTERVAL
    assert sites_of(client.annotate(file).json()) == ["72696002"]
    mappings("undo", "--mappings", str(folder))
    clock[0] += INTERVAL
    assert sites_of(client.annotate(make_dicom(BodyPartExamined=WORD)).json()) == []


def test_the_next_translation_knows_the_decision(
    client: Client, folder: Path, clock: list[float]
) -> None:
    def translated() -> str:
        query = {
            "url": "https://w3id.org/bodysite/ConceptMap/header-words",
            "system": "https://w3id.org/bodysite/CodeSystem/header-words",
            "code": WORD,
        }
        return client.get("/r4/ConceptMap/$translate", params=query).text

    assert "72696002" not in translated()
    mappings("add", WORD, "72696002", "--mappings", str(folder))
    clock[0] += INTERVAL
    assert "72696002" in translated()


def test_health_tells_what_is_served_and_what_is_wrong(
    client: Client, folder: Path, clock: list[float]
) -> None:
    def health() -> Any:
        clock[0] += INTERVAL
        answer = client.get("/health")
        assert answer.status_code == 200
        return answer.json()["mappings"]

    assert (health()["decisions"], health()["problem"]) == (0, None)
    mappings("add", WORD, "72696002", "--mappings", str(folder))
    assert health()["decisions"] == 1
    table = folder / "header-words.sssom.tsv"
    good = table.read_text("utf-8")
    table.write_text(good.replace("72696002", "72696003"), "utf-8")
    assert "check digit" in health()["problem"][0]
    assert sites_of(client.annotate(make_dicom(BodyPartExamined=WORD)).json()) == ["72696002"]
    table.write_text(good, "utf-8")
    assert health()["problem"] is None


def test_without_a_folder_health_says_nothing_of_one(serve: Callable[..., Client]) -> None:
    assert serve().get("/health").json()["mappings"] is None


@contextlib.contextmanager
def running(*arguments: str, folder: Path, **environment: str) -> Iterator[str]:
    """Yield the address of a real server."""
    command = [sys.executable, "-c", "from api.cli import main; main()", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--database", f"sqlite:///{folder}/store.sqlite", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGES), **environment},
        cwd=folder,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split(" on ")[1].split()[0]
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def until(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(INTERVAL / 2)
    return True


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_running_server_serves_a_decision_in_every_process(
    tmp_path: Path, folder: Path, workers: str
) -> None:
    file = make_dicom(BodyPartExamined=WORD)
    media = {"content-type": "application/dicom"}

    with running("--workers", workers, folder=tmp_path, BODYSITE_MAPPINGS=str(folder)) as address:

        def ask() -> list[str]:
            # A connection of its own each time, so that each process is met.
            url = f"{address}/r4/ImagingStudy/$annotate?persist=false"
            answer = httpx.post(url, content=file, headers=media, timeout=PATIENCE)
            return sites_of(answer.json())

        def translate() -> str:
            url = f"{address}/r4/ConceptMap/$translate"
            system = "https://w3id.org/bodysite/CodeSystem/header-words"
            query = {"system": system, "code": WORD, "targetsystem": "http://snomed.info/sct"}
            return httpx.get(url, params=query, timeout=PATIENCE).text

        assert ask() == []
        mappings("add", WORD, "72696002", "--mappings", str(folder))
        assert until(lambda: all(ask() == ["72696002"] for _ in range(8)))
        assert until(lambda: all("72696002" in translate() for _ in range(8)))


def test_a_server_does_not_start_on_bad_rows(tmp_path: Path, folder: Path) -> None:
    mappings("add", WORD, "72696002", "--mappings", str(folder))
    table = folder / "header-words.sssom.tsv"
    table.write_text(table.read_text("utf-8").replace("72696002", "72696003"), "utf-8")
    store = f"sqlite:///{tmp_path}/store.sqlite"
    arguments = ["serve", "--port", "0", "--database", store, "--mappings", str(folder)]
    for workers in ("1", "2"):
        result = CliRunner().invoke(main, [*arguments, "--workers", workers])
        assert result.exit_code == 2
        assert "check digit" in result.stderr


@pytest.mark.parametrize("option", ["--mappings", "--settings"])
def test_what_does_not_exist_is_refused(tmp_path: Path, option: str) -> None:
    for command in (["serve"], ["annotate", str(tmp_path)]):
        result = CliRunner().invoke(main, [*command, option, str(tmp_path / "none")])
        assert result.exit_code == 2
        assert "does not exist" in result.stderr


def test_annotate_knows_the_decisions(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(make_dicom(BodyPartExamined=WORD))
    mappings("add", WORD, "72696002", "--mappings", str(folder))
    with_table = CliRunner().invoke(main, ["annotate", str(path), "--mappings", str(folder)])
    without = CliRunner().invoke(main, ["annotate", str(path)])
    assert '"72696002"' in with_table.stdout
    assert '"72696002"' not in without.stdout
