"""A PostgreSQL server of the tests' own: started once, a fresh database for each test."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from api.store import SqlStore

_TEMPLATE = "bodysite_template"
# Nothing of the tests is to outlast the machine: their databases need not reach the disk.
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum": "off",
}


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, or `None`.

    Those of the machine come first, where Debian keeps them out of PATH too; then the wheel
    `pgserver`, which brings its own.
    """
    found = shutil.which("initdb")
    if found is not None and shutil.which("postgres") is not None:
        return Path(found).resolve().parent
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: int(one.parts[-3])
    )
    if debian:
        return debian[-1].parent
    spec = importlib.util.find_spec("pgserver")
    if spec is None or spec.origin is None:
        return None
    wheel = Path(spec.origin).parent / "pginstall" / "bin"
    return wheel if (wheel / "initdb").exists() else None


class Server:
    """A running server, over a socket in a folder that no one else may enter."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._engine = sa.create_engine(
            _driver(self.url("postgres")), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
        )
        self._run(f"CREATE DATABASE {_TEMPLATE}")
        store = SqlStore(self.url(_TEMPLATE))
        with store.engine.begin() as connection:
            # Each database makes a salt of its own.
            connection.execute(sa.text("DELETE FROM setting WHERE name = 'salt'"))
        store.close()

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://bodysite@/{database}?host={self._folder}"

    @contextmanager
    def database(self, *, empty: bool = False) -> Iterator[str]:
        """Yield the URL of a fresh database, with our tables in it unless it is to be empty."""
        name = f"test_{next(self._numbers)}"
        template = "template0" if empty else _TEMPLATE
        self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        with self._engine.connect() as connection:
            connection.execute(sa.text(statement))


@contextmanager
def running() -> Iterator[Server]:
    """Yield a server; it and all its databases are gone afterwards."""
    bin_folder = programs()
    assert bin_folder is not None
    folder = Path(tempfile.mkdtemp(prefix="bodysite-pg-"))
    who: dict[str, Any] = {}
    if os.getuid() == 0:
        # PostgreSQL does not run as root.
        who = {"user": "nobody", "group": "nogroup", "extra_groups": [], "cwd": folder}
        shutil.chown(folder, "nobody", "nogroup")
    data = folder / "data"
    process = None
    try:
        subprocess.run(
            [
                *(bin_folder / "initdb", "-D", data, "-U", "bodysite", "-A", "trust"),
                *("-E", "UTF8", "--locale=C", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            **who,
        )
        options = [f"-c{name}={value}" for name, value in _SETTINGS.items()]
        process = subprocess.Popen(
            [bin_folder / "postgres", "-D", data, "-k", folder, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **who,
        )
        _await(folder, process)
        yield Server(folder)
    finally:
        if process is not None:
            process.terminate()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _await(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Return as soon as the server answers."""
    url = _driver(f"postgresql://bodysite@/postgres?host={folder}")
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    for _ in range(600):
        assert process.poll() is None, "PostgreSQL did not start"
        try:
            with engine.connect():
                return
        except sa.exc.OperationalError:
            time.sleep(0.05)
    raise AssertionError("PostgreSQL does not answer")


def _driver(url: str) -> sa.URL:
    return sa.make_url(url).set(drivername="postgresql+psycopg")
