"""A served index under load: raw sockets with keep-alive, so that the client costs little.

Client and server share the machine: on two cores the server has less than two to itself.
"""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Load:
    """A load run: `seconds` of each request, how many `failed` to be answered with 200."""

    seconds: tuple[float, ...]
    whole: float
    failed: int
    first_failure: str

    @property
    def per_second(self) -> float:
        """Requests answered in a second."""
        return len(self.seconds) / self.whole


class Served:
    """`bodysite serve` on a free port, for the length of a with block; the value is the port."""

    def __init__(self, index: Path, workers: int) -> None:
        self._index = index
        self._workers = workers

    def __enter__(self) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        self._folder = tempfile.TemporaryDirectory()
        command = ["serve", "--port", str(port), "--workers", str(self._workers)]
        command += ["--database", f"sqlite:///{self._folder.name}/bench.sqlite"]
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from api.cli import main; main()",
                *command,
                "--release",
                str(self._index),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                    return port
            except OSError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.1)
        self.__exit__(None, None, None)
        raise SystemExit("bodysite serve did not start")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()


def load(port: int, paths: Sequence[str], connections: int) -> Load:
    """Send GET requests for `paths`, shared among connections, each of which waits its turn."""
    return asyncio.run(_load(port, paths, connections))


async def _load(port: int, paths: Sequence[str], connections: int) -> Load:
    waiting = iter(paths)
    seconds: list[float] = []
    failures: list[str] = []

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for path in waiting:
            begun = time.perf_counter()
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                "Accept: application/fhir+json\r\n\r\n".encode("ascii")
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1]) if length else 0)
            seconds.append(time.perf_counter() - begun)
            if not head.startswith(b"HTTP/1.1 200"):
                failures.append(f"{path}: {head[:20]!r} {body[:200]!r}")
        writer.close()
        await writer.wait_closed()

    start = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    whole = time.perf_counter() - start
    return Load(tuple(seconds), whole, len(failures), failures[0] if failures else "")
