"""A real server that is told to end while it works: nobody who was let in is left alone."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
from pathlib import Path

import httpx
import pytest

from api.operations.serving import refuse_newcomers
from api.store import SqlStore
from tests.api.conftest import make_dicom
from tests.api.operations.servers import MEDIA, PATIENCE, is_ready, running, storm, tell, until

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks into /proc")
CLIENTS = 12
# The main process of the server, in which an answer to a search takes as long as the test says.
SLOW = """
import threading, time
from pathlib import Path
from api.store import SqlStore
before = SqlStore.read
def read(self, kind, resource_id, *more):
    if resource_id == "slow":
        Path("begun").touch()
        while not Path("go").exists():
            time.sleep(0.02)
    return before(self, kind, resource_id, *more)
SqlStore.read = read
"""


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.databases
def test_no_request_that_was_let_in_is_broken_off(
    tmp_path: Path, database: str, workers: int
) -> None:
    with running(tmp_path, database, "--workers", str(workers)) as server:

        async def work() -> None:
            async with storm(server.address, CLIENTS) as seen:
                tell(server)
            assert seen.broken == []
            assert seen.statuses.keys() == {200}
            assert seen.refused == CLIENTS
            seen_by_all.extend(seen.stored)

        seen_by_all: list[str] = []
        asyncio.run(work())
        assert server.wait() == 0
        assert server.said("ended") == workers
        assert server.said("the time to finish is over: requests are cut off") == 0
    store = SqlStore(database)
    for study in seen_by_all:
        stored = store.read("ImagingStudy", study)
        assert stored is not None
        assert not stored.deleted
    store.close()
    if database.startswith("sqlite"):
        with sqlite3.connect(database.removeprefix("sqlite:///")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_ready_says_no_first_and_requests_are_still_taken(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/a.sqlite"
    with running(tmp_path, database, BODYSITE_DRAIN_SECONDS="600") as server:
        tell(server)
        until(lambda: not is_ready(server.address), server.process)
        ready = httpx.get(f"{server.address}/health/ready", timeout=PATIENCE)
        assert ready.status_code == 503
        assert ready.json()["reasons"] == ["the process is being stopped"]
        url = f"{server.address}/r4/ImagingStudy/$annotate"
        content = make_dicom(BodyPartExamined="HAND")
        answer = httpx.post(url, content=content, headers=MEDIA, timeout=PATIENCE)
        assert answer.status_code == 200
        assert answer.headers["connection"] == "close"
        assert httpx.get(f"{server.address}/health/live", timeout=PATIENCE).status_code == 200
        # A second signal ends it at once.
        tell(server)
        assert server.wait() == 128 + signal.SIGTERM


def slow_request(address: str) -> httpx.Response | None:
    try:
        return httpx.get(f"{address}/r4/ImagingStudy/slow", timeout=PATIENCE)
    except httpx.TransportError:
        return None


def test_a_request_that_runs_is_finished(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/a.sqlite"
    with running(tmp_path, database, code=SLOW, BODYSITE_SHUTDOWN_SECONDS="600") as server:

        async def work() -> httpx.Response | None:
            asked = asyncio.create_task(asyncio.to_thread(slow_request, server.address))
            await asyncio.to_thread(until, (tmp_path / "begun").exists)
            tell(server)
            await asyncio.to_thread(until, lambda: server.said("told to end") == 1)
            (tmp_path / "go").touch()
            return await asked

        answer = asyncio.run(work())
        assert answer is not None
        assert answer.status_code == 404
        assert server.wait() == 0


def test_a_request_that_takes_too_long_is_cut_off(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/a.sqlite"
    with running(tmp_path, database, code=SLOW, BODYSITE_SHUTDOWN_SECONDS="0") as server:

        async def work() -> None:
            asked = asyncio.create_task(asyncio.to_thread(slow_request, server.address))
            await asyncio.to_thread(until, (tmp_path / "begun").exists)
            tell(server)
            # It never goes on, and the process ends all the same.
            assert await asyncio.to_thread(server.wait) == 1
            answer = await asked
            assert answer is None or answer.status_code == 503

        asyncio.run(work())
        assert server.said("the time to finish is over: requests are cut off") == 1
        assert server.said("the process did not end in time and is ended") == 1


def test_of_several_processes_one_that_dies_is_replaced_and_all_end_with_the_first(
    tmp_path: Path,
) -> None:
    database = f"sqlite:///{tmp_path}/a.sqlite"
    arguments = ("--workers", "2")
    with running(tmp_path, database, *arguments, BODYSITE_DRAIN_SECONDS="600") as server:
        until(lambda: server.said("all processes answer") == 1, server.process)
        before = server.children()
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        until(lambda: server.said("a process ended and is replaced") == 1, server.process)
        until(lambda: len(set(server.children()) - set(before)) == 1, server.process)
        # Both processes count together, and the one that is gone is not among them.
        text = httpx.get(f"{server.address}/metrics", timeout=PATIENCE).text
        assert 'bodysite_requests_total{method="GET",route="/health/ready"' in text
        tell(server, signal.SIGINT)
        until(lambda: server.said("told to end") >= 1, server.process)
        after = server.children()
        tell(server, signal.SIGINT)
        assert server.wait() == 130
        assert not any(_serves(pid) for pid in {*before, *after})


def test_the_processes_end_when_the_one_that_started_them_is_gone(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/a.sqlite"
    with running(tmp_path, database, "--workers", "2") as server:
        until(lambda: server.said("all processes answer") == 1, server.process)
        children = server.children()
        server.process.kill()
        server.process.wait()
        # Those whose parent is gone are taken over, and vanish when they have ended.
        until(lambda: not any(_serves(pid) for pid in children))


def _serves(pid: int) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_systemd_is_told_when_the_service_is_ready_alive_and_ending(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE)
        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        database = f"sqlite:///{tmp_path}/a.sqlite"
        with running(tmp_path, database, "--workers", "2", **environment) as server:
            assert systemd.recv(1000).startswith(b"READY=1")
            assert systemd.recv(1000) == b"WATCHDOG=1"
            tell(server)
            while not (said := systemd.recv(1000)).startswith(b"STOPPING=1"):
                assert said == b"WATCHDOG=1"
            assert server.wait() == 0


def test_who_knocks_at_a_closing_door_is_not_let_in_and_who_was_in_is_heard() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address, timeout=5) as let_in:
            if not refuse_newcomers(listener):
                pytest.skip("this system has no filter for sockets")
            let_in.sendall(b"hello")
            taken, _ = listener.accept()
            with taken:
                assert taken.recv(5) == b"hello"
            listener.settimeout(0)
            with pytest.raises(OSError):
                socket.create_connection(address, timeout=0.2)
            with pytest.raises(BlockingIOError):
                listener.accept()
