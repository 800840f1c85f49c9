"""What docs/database.md says is so: its commands run, its tables are there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from api.records import Resource
from api.store import SqlStore
from api.store import engine as engines
from api.store.engine import open_engine
from api.store.upgrading import VERSION_TABLE

pytestmark = pytest.mark.databases
_PAGE = (Path(__file__).parents[3] / "docs" / "database.md").read_text("utf-8")


def commands(heading: str) -> list[str]:
    """Return the shell blocks below a heading."""
    section = _PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


def test_every_table_is_described(database: str, database_kind: str) -> None:
    SqlStore(database).close()
    engine = open_engine(database)
    there = set(sa.inspect(engine).get_table_names())
    engine.dispose()
    if database_kind == "sqlite":
        # What FTS5 keeps behind its table.
        there = {one for one in there if not one.startswith(("resource_text_", "sqlite_"))}
    described = {
        name
        for row in re.findall(r"^\| (`.*?) \|", _PAGE, re.MULTILINE)
        for name in re.findall(r"`([a-z_]+)`", row)
    }
    assert described == there
    assert VERSION_TABLE in described


def test_settings_of_connections_are_those_of_the_code() -> None:
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        seconds = engines._ON_POSTGRESQL[name].removesuffix("s")
        assert f"`{name}` {seconds} s" in _PAGE
    more = engines.MORE_CONNECTIONS
    assert f"keeps {engines.CONNECTIONS} connections open and opens {more} more" in _PAGE
    assert f"wants {engines.CONNECTIONS + more} for each" in _PAGE


def test_a_copy_is_restored_as_the_page_says(database_kind: str, tmp_path: Path) -> None:
    if database_kind != "sqlite":
        pytest.skip("PostgreSQL's own programs copy and restore; docs/operations.md has them")
    store = SqlStore(f"sqlite:///{tmp_path}/bodysite.sqlite")
    content = {"resourceType": "Patient", "id": "p", "gender": "female"}
    store.put([Resource("Patient", "p", content)])
    (looked_after, restored) = commands("Looking after it")
    run(looked_after, tmp_path)
    store.put([Resource("Patient", "later", {**content, "id": "later"})])
    salt = store.salt
    store.close()
    assert "The database is whole." in run(restored, tmp_path)
    again = SqlStore(f"sqlite:///{tmp_path}/bodysite.sqlite")
    assert again.salt == salt
    assert again.read("Patient", "p") is not None
    assert again.read("Patient", "later") is None
    again.close()


def run(script: str, folder: Path) -> str:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
