"""A service over a temporary store with the embedded terminology, and DICOM made on the spot."""

from __future__ import annotations

import contextlib
import io
import itertools
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from api.app import create_app
from api.settings import Settings
from api.store import SqlStore
from terminology.library import Terminology, load_terminology
from tests.api import postgresql
from tests.api.client import Client

_NUMBERS = itertools.count(1)
ROOT = "1.2.826.0.1.3680043.10.999"
CHOICE = "BODYSITE_TEST_DATABASE"
DATABASES = ("sqlite", "postgresql")


_LOGGERS = ("", "api", "bodysite", "classifier", "terminology", "uvicorn", "uvicorn.error")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Put logging back as it was: what a command sets up is for its process."""
    loggers = [logging.getLogger(name) for name in (*_LOGGERS, "uvicorn.access")]
    before = [(one, one.level, list(one.handlers), one.disabled) for one in loggers]
    shown = warnings.showwarning
    yield
    warnings.showwarning = shown
    for one, level, handlers, disabled in before:
        one.setLevel(level)
        one.handlers[:] = handlers
        one.disabled = disabled


def make_dicom(**elements: Any) -> bytes:
    """Return a small DICOM file; each call is another instance of another study unless told."""
    number = next(_NUMBERS)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = elements.pop("TransferSyntaxUID", ExplicitVRLittleEndian)
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    dataset.StudyInstanceUID = f"{ROOT}.1.{number}"
    dataset.SeriesInstanceUID = f"{ROOT}.2.{number}"
    dataset.SOPInstanceUID = f"{ROOT}.3.{number}"
    dataset.Modality = "DX"
    dataset.PatientID = "P-4711"
    dataset.PatientName = "Mustermann^Erika"
    dataset.PatientBirthDate = "19640812"
    dataset.AccessionNumber = "ACC-0815"
    dataset.StudyDate = "20260301"
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", f"{ROOT}.3.{number}")
    out = io.BytesIO()
    file = FileDataset("", dataset, preamble=b"\0" * 128, file_meta=meta)
    file.save_as(out, implicit_vr=False, little_endian=True, enforce_file_format=True)
    return out.getvalue()


def sample(name: str) -> bytes:
    """Return a file that pydicom's wheel carries."""
    path = get_testdata_file(name, download=False)
    assert path is not None
    return Path(str(path)).read_bytes()


@contextlib.contextmanager
def running_server(
    folder: Path, database: str | None = None, *arguments: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A real server process and its address."""
    command = [sys.executable, "-c", "from api.cli import main; main()", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--database", database or f"sqlite:///{folder}/kill.sqlite", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=folder,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield process, line.split(" on ")[1].split()[0]
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture(scope="session")
def terminology() -> Terminology:
    return load_terminology()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.Server]:
    """A server of the tests' own."""
    if postgresql.programs() is None:
        reason = "PostgreSQL is not installed; `pip install pgserver` or install the Debian package"
        if os.environ.get(CHOICE) == "postgresql":
            pytest.fail(f"{CHOICE}=postgresql: {reason}")
        pytest.skip(reason)
    with postgresql.running() as server:
        yield server


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of a module marked `databases` on both, unless one was chosen."""
    marked = metafunc.definition.get_closest_marker("databases") is not None
    if "database_kind" in metafunc.fixturenames and marked and CHOICE not in os.environ:
        metafunc.parametrize("database_kind", DATABASES)


@pytest.fixture
def database_kind() -> str:
    """Which database the tests run on: BODYSITE_TEST_DATABASE, SQLite where it is not set."""
    chosen = os.environ.get(CHOICE, "sqlite")
    assert chosen in DATABASES, f"{CHOICE}={chosen}: expected one of {DATABASES}"
    return chosen


@pytest.fixture
def database(database_kind: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database of the test's own."""
    if database_kind == "postgresql":
        server: postgresql.Server = request.getfixturevalue("postgresql_server")
        with server.database() as url:
            yield url
    else:
        folder: Path = request.getfixturevalue("tmp_path")
        yield f"sqlite:///{folder}/store.sqlite"


@pytest.fixture
def store(database: str) -> Iterator[SqlStore]:
    store = SqlStore(database)
    yield store
    store.close()


@pytest.fixture
def serve(store: SqlStore, terminology: Terminology) -> Callable[..., Client]:
    """A function that makes a client of a service with the given settings.

    Unless they say so, no AuditEvents come behind the answers.
    """

    def make(**settings: Any) -> Client:
        chosen = Settings(**{"audit": "off", **settings})
        return Client(create_app(chosen, terminology=terminology, store=store))

    return make


@pytest.fixture
def client(serve: Callable[..., Client]) -> Client:
    return serve()
