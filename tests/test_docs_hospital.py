"""docs/quickstart-hospital.md: every command is run, as a new user would, on a real PostgreSQL.

What differs from the page: a free port, the socket of the tests' own server, and the packages that
are installed already.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api import postgresql

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "quickstart-hospital.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(sh|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "#~#~#"
SIDE = "#-#-#"


def script() -> tuple[str, list[str]]:
    """Return the page as one script for bash, and what its console blocks say is printed."""
    lines: list[str] = []
    shown: list[str] = []
    for kind, text in BLOCK.findall(PAGE):
        if "pip install" in text:
            continue
        if kind == "sh":
            lines.append(text)
        else:
            for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                lines.append(f"echo '{MARK}'; {command}; echo '{SIDE}'")
                shown.append(output.strip())
    return "\n".join(lines), shown


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The folder that the page was run in, and what it printed."""
    for tool in ("bash", "curl", "openssl", "sha256sum"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    programs = postgresql.programs()
    if programs is None or not (programs / "createuser").exists():
        pytest.skip("needs PostgreSQL with its client programs")
    folder = tmp_path_factory.mktemp("hospital")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with postgresql.running() as server:
        where = re.search(r"host=([^&]+)", server.url("postgres"))
        assert where is not None
        text, _ = script()
        text = text.replace("@localhost/imaging", f"@/imaging?host={where[1]}")
        text = text.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
        text = text.replace("port = 8000", f"port = {port}")
        path = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent), str(programs)]
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("BODYSITE_")
        }
        # Job control for "kill %1"; the wait for the server is not without an end.
        process = subprocess.Popen(
            ["bash", "-mc", f"set -euo pipefail\ntrap 'kill -9 %1' ERR\n{text}"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **environment,
                "PATH": ":".join([*path, os.environ["PATH"]]),
                "PYTHONPATH": str(ROOT),
                "PGHOST": where[1],
                "PGUSER": "bodysite",
                "PGDATABASE": "postgres",
                "LC_ALL": "C.UTF-8",
            },
            start_new_session=True,
        )
        try:
            out, errors = process.communicate(timeout=580)
        except subprocess.TimeoutExpired:
            out, errors = "", "it did not end"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        log = folder / "bodysite.log"
        told = log.read_text(encoding="utf-8")[-3000:] if log.exists() else ""
        assert process.returncode == 0, f"{out}\n{errors}\n{told}"
        yield folder, out


def test_every_command_prints_what_is_shown(place: tuple[Path, str]) -> None:
    _, out = place
    printed = [part.partition(SIDE)[0].strip() for part in out.split(MARK)[1:]]
    assert printed == script()[1]


def test_check_shows_no_secret_and_where_settings_come_from(place: tuple[Path, str]) -> None:
    folder, out = place
    assert re.search(r"^workers = 2 +# file .*bodysite\.toml$", out, re.MULTILINE)
    assert "choose-another" not in out
    assert "choose-another" not in (folder / "bodysite.log").read_text(encoding="utf-8")


def test_every_image_was_taken(place: tuple[Path, str]) -> None:
    folder, out = place
    taken = re.findall(r"^200 (images/\S+)$", out, re.MULTILINE)
    assert len(taken) == 4
    assert {one.name for one in (folder / "images").iterdir()} == {Path(one).name for one in taken}


def test_who_asked_is_in_the_log_and_in_the_figures(place: tuple[Path, str]) -> None:
    folder, _ = place
    lines = (folder / "lines.txt").read_text(encoding="utf-8").splitlines()
    assert sum('"route":"/r4/ImagingStudy/$annotate"' in line for line in lines) == 4
    figures = (folder / "figures.txt").read_text(encoding="utf-8")
    assert "bodysite_processes 2.0" in figures
    assert 'bodysite_files_total{outcome="annotated"} 4.0' in figures


def test_the_extras_that_are_installed_exist() -> None:
    extras = re.findall(r"bodysite\[([\w,]+)\]", PAGE)
    assert extras
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for one in extras:
        assert set(one.split(",")) <= project["optional-dependencies"].keys()
