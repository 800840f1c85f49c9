"""Real servers that are told to end, and clients that keep them busy meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.api.conftest import make_dicom

ROOT = Path(__file__).parents[3]
# A busy machine takes its time; nothing here is measured.
PATIENCE = 180.0
MEDIA = {"content-type": "application/dicom"}


@dataclass
class Running:
    """A server, its address, and the lines that it logged."""

    process: subprocess.Popen[str]
    address: str
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        text = self.log.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in text if line.startswith("{")]

    def said(self, message: str) -> int:
        return sum(line["message"] == message for line in self.lines())

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def children(self) -> list[int]:
        """The processes that answer, where there are several."""
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        found = []
        for pid in map(int, task.read_text().split()):
            with contextlib.suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found


@contextlib.contextmanager
def running(
    folder: Path, database: str, *arguments: str, code: str = "", **environment: str
) -> Iterator[Running]:
    """A server over `database` that is ready; `code` is run in its main process first."""
    log = folder / "log"
    command = [sys.executable, "-c", f"{code}\nfrom api.cli import main; main()", "serve"]
    settings = {
        "BODYSITE_MODEL": "none",
        "BODYSITE_LOG_FORMAT": "json",
        "BODYSITE_DATABASE": database,
        "BODYSITE_AUDIT": "off",
        "PYTHONPATH": str(ROOT),
    }
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            [*command, "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
            env={**os.environ, **settings, **environment},
            cwd=folder,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert " on " in line, log.read_text(encoding="utf-8")
        server = Running(process, line.split(" on ")[1].split()[0], log)
        while not is_ready(server.address):
            assert process.poll() is None, log.read_text(encoding="utf-8")
            time.sleep(0.1)
        yield server
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def until(condition: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process is None or process.poll() is None, "the server has ended"
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


def is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health/ready", timeout=PATIENCE).status_code == 200
    except httpx.TransportError:
        return False


@dataclass
class Storm:
    """What clients saw until nobody answered any more."""

    statuses: Counter[int] = field(default_factory=Counter)
    stored: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    refused: int = 0

    async def client(self, address: str, *, writes: bool) -> None:
        """Ask again and again, on connections that are kept, until a connection is refused."""
        async with httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client:
            while True:
                try:
                    if writes:
                        answer = await client.post(
                            "/r4/ImagingStudy/$annotate",
                            content=make_dicom(BodyPartExamined="HAND"),
                            headers=MEDIA,
                        )
                    else:
                        answer = await client.get("/r4/ImagingStudy?_count=5")
                except httpx.ConnectError:
                    # Not let in: nothing was promised.
                    self.refused += 1
                    return
                except httpx.TransportError as error:
                    self.broken.append(repr(error))
                    return
                self.statuses[answer.status_code] += 1
                if writes and answer.status_code == 200:
                    self.stored += [
                        entry["resource"]["id"]
                        for entry in answer.json()["entry"]
                        if entry.get("resource", {}).get("resourceType") == "ImagingStudy"
                    ]


@contextlib.asynccontextmanager
async def storm(address: str, clients: int) -> AsyncIterator[Storm]:
    """Clients at work, half of them writing; at the end all have been refused."""
    found = Storm()
    tasks = [
        asyncio.create_task(found.client(address, writes=bool(number % 2)))
        for number in range(clients)
    ]
    while len(found.stored) < clients or found.statuses.total() < 3 * clients:
        await asyncio.sleep(0.05)
    yield found
    await asyncio.gather(*tasks)


def tell(server: Running, sig: signal.Signals = signal.SIGTERM) -> None:
    server.process.send_signal(sig)
