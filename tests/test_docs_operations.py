"""docs/operations.md: the backups are made and restored; names and files are those of the code."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from api.app import create_app
from api.operations.logs import JsonLines
from api.settings import Settings
from api.store import SqlStore
from terminology.library import Terminology, load_terminology
from tests.api import postgresql
from tests.api.client import Client
from tests.api.conftest import make_dicom

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
BACKUPS = [text.strip() for text in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S)]
QUIET = Settings(model="none", audit="off")
LOWER_LIMB = "http://snomed.info/sct|61685007"


@pytest.fixture(scope="module")
def terminology() -> Terminology:
    return load_terminology()


def stored(database: str, terminology: Terminology) -> SqlStore:
    """A store with a knee in it, still open: the service runs while it is backed up."""
    store = SqlStore(database)
    client = Client(create_app(QUIET, terminology=terminology, store=store))
    assert client.annotate(make_dicom(BodyPartExamined="KNEE")).status_code == 200
    assert client.annotate(make_dicom(BodyPartExamined="HEAD")).status_code == 200
    return store


def below(database: str, terminology: Terminology) -> int:
    store = SqlStore(database)
    client = Client(create_app(QUIET, terminology=terminology, store=store))
    found = client.get("/r4/ImagingStudy", params={"bodysite:below": LOWER_LIMB})
    store.close()
    return int(found.json()["total"])


def bash(command: str, folder: Path, **environment: str) -> None:
    done = subprocess.run(
        ["bash", "-euc", command],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr


def test_there_are_three_commands() -> None:
    assert [one.split()[0] for one in BACKUPS] == ["sqlite3", "pg_dump", "pg_restore"]


def _with_sqlite3(folder: Path) -> None:
    if shutil.which("sqlite3") is None:
        pytest.skip("needs sqlite3")
    bash(BACKUPS[0], folder)


def _with_python(folder: Path) -> None:
    (command,) = re.findall(r"`(python3 -c \"import sqlite3[^`]*)`", PAGE)
    bash(command, folder)


@pytest.mark.parametrize("backup", [_with_sqlite3, _with_python])
def test_a_backup_of_sqlite_is_restored_and_searched(
    tmp_path: Path, terminology: Terminology, backup: Callable[[Path], None]
) -> None:
    store = stored(f"sqlite:///{tmp_path}/bodysite.sqlite", terminology)
    backup(tmp_path)
    store.close()
    with sqlite3.connect(tmp_path / "backup.sqlite") as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    copy.close()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(tmp_path / "backup.sqlite", elsewhere)
    assert below(f"sqlite:///{elsewhere}/backup.sqlite", terminology) == 1


def test_a_backup_of_postgresql_is_restored_into_a_second_server(
    tmp_path: Path, terminology: Terminology
) -> None:
    programs = postgresql.programs()
    if programs is None or not (programs / "pg_dump").exists():
        pytest.skip("needs PostgreSQL with its client programs")
    path = f"{programs}:{os.environ['PATH']}"
    with postgresql.running() as first, postgresql.running() as second:
        with first.database(empty=True) as archive:
            store = stored(archive, terminology)
            salt = store.salt
            bash(BACKUPS[1], tmp_path, PATH=path, ARCHIVE=_plain(archive))
            store.close()
        with second.database(empty=True) as restored:
            bash(BACKUPS[2], tmp_path, PATH=path, RESTORED=_plain(restored))
            assert below(restored, terminology) == 1
            copy = SqlStore(restored)
            # Pseudonyms go on as they were.
            assert copy.salt == salt
            copy.close()


def _plain(url: str) -> str:
    """Return an address as PostgreSQL's programs take it."""
    parts = urlsplit(url)
    return urlunsplit(("postgresql", *parts[1:]))


def test_every_figure_that_is_listed_is_told(tmp_path: Path, terminology: Terminology) -> None:
    store = stored(f"sqlite:///{tmp_path}/a.sqlite", terminology)
    client = Client(create_app(QUIET, terminology=terminology, store=store))
    client.annotate(make_dicom(BodyPartExamined="KNEE"))
    client.get("/health/live")
    told = client.get("/metrics").text
    store.close()
    section = PAGE.partition("## Figures\n")[2].partition("\n## ")[0]
    listed = re.findall(r"`(bodysite_\w+)`", section.partition("`metrics_access`")[0])
    assert len(listed) > 5
    for name in listed:
        if "model_batch" not in name and "decoders" not in name:
            assert re.search(rf"^{name}[ {{_]", told, re.MULTILINE), name


def test_the_access_line_has_the_keys_that_are_shown() -> None:
    (shown,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.M | re.S)
    from logging import LogRecord

    record = LogRecord("bodysite.access", 20, "", 1, "request", (), None)
    record.fields = dict.fromkeys(("method", "route", "status", "ms", "request_id", "actor"), "x")
    assert json.loads(shown).keys() == json.loads(JsonLines().format(record)).keys()


def test_the_settings_that_are_named_exist() -> None:
    section = PAGE.partition("## Settings\n")[2].partition("\n## ")[0]
    for line in section.splitlines():
        if line.startswith("| `"):
            for name in re.findall(r"`(\w+)`", line.split("|")[1]):
                assert name in Settings.model_fields, name
