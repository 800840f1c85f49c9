"""Several processes behind one address: what one of them was told, all of them know."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from api.cli import main
from tests.api.tx.asking import value

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
WORKERS = 3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server of several processes, and its address; it ends well when it is told to."""
    command = [
        *(sys.executable, "-c", "from api.cli import main; main()", "serve", "--port", "0"),
        *("--database", f"sqlite:///{tmp_path}/site.sqlite", "--workers", str(WORKERS)),
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().split(" on ")[1].split()[0]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_a_change_takes_effect_in_every_process(
    server: tuple[subprocess.Popen[str], str],
) -> None:
    address = server[1]
    resource = {
        "resourceType": "CodeSystem",
        "id": "rooms",
        "url": "http://x.org/rooms",
        "status": "active",
        "content": "complete",
        "concept": [{"code": "R1", "display": "0"}],
    }
    query = {"system": "http://x.org/rooms", "code": "R1"}
    for number in range(5):
        resource["concept"] = [{"code": "R1", "display": f"Room {number}"}]
        put = httpx.put(f"{address}/r4/CodeSystem/rooms", json=resource, timeout=60)
        assert put.status_code in {200, 201}
        for _ in range(4 * WORKERS):
            # Each request is a connection of its own, which any process may take.
            answer = httpx.get(f"{address}/r4/CodeSystem/$lookup", params=query, timeout=60)
            assert value(answer.json(), "display") == f"Room {number}"


def test_a_process_that_dies_is_replaced(server: tuple[subprocess.Popen[str], str]) -> None:
    process, address = server
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not listed.is_file():
        pytest.skip("the processes of a process are listed on Linux only")
    # One that ends before all have answered is no accident, but ends the service.
    until = time.monotonic() + 60
    while f"bodysite_processes {WORKERS}.0" not in httpx.get(f"{address}/metrics", timeout=60).text:
        assert time.monotonic() < until
        time.sleep(0.1)
    # The first child is multiprocessing's tracker of resources.
    os.kill(int(listed.read_text().split()[-1]), signal.SIGKILL)
    for _ in range(4 * WORKERS):
        assert httpx.get(f"{address}/health", timeout=60).status_code == 200


def test_a_port_in_use_is_refused(
    server: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    port = server[1].rpartition(":")[2]
    result = CliRunner().invoke(
        main,
        ["serve", "--port", port, "--workers", "2", "--database", f"sqlite:///{tmp_path}/x.sqlite"],
    )
    assert result.exit_code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr
