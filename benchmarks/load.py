"""A hospital's day in a minute: many clients with a mixed load on a real server.

Usage: python benchmarks/load.py [--seconds 60] [--clients 64] [--workers 2] [--database URL]
           [--ingest 10] [--batch 50] [--processes 1] [--address URL] [--token TOKEN]

The server is started on a SQLite file of its own, or on the database that --database names
(postgresql+psycopg://…; an empty one); --address asks one that runs already. First header-only
DICOM is sent for --ingest seconds, one instance a request, then again in zips of --batch; then
--clients clients annotate, read, search below a site, turn pages, correct, look at histories, at
metadata and at concepts for --seconds. Prints one JSON object a line: errors, requests a second,
percentiles of each kind in milliseconds, memory of the processes. Exit status 1 when there was an
error.

The clients run in --processes processes of their own. They need cores, too: on a machine that has
few, what is measured is both.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import multiprocessing
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parent))
from generate import as_file, headers

DICOM = {"Content-Type": "application/dicom"}
ZIP = {"Content-Type": "application/zip"}
FHIR = {"Content-Type": "application/fhir+json"}
ANNOTATE = "/r4/ImagingStudy/$annotate"
SNOMED = "http://snomed.info/sct"
# Everything, lower limb, chest, knee, hand, head.
SITES = ("123037004", "61685007", "816094009", "72696002", "85562004", "69536005")
# Kind of request → how often of 100.
MIX = {
    "annotate": 20,
    "read": 25,
    "search below": 20,
    "page": 10,
    "update": 5,
    "history": 5,
    "metadata": 5,
    "lookup": 10,
}
_TEMPLATES = 400
_UID = "1.2.826.0.1.3680043.10.1561."
_PATIENCE_S = 60


@dataclass
class Figures:
    """What one process of clients saw."""

    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)
    instances: int = 0
    lasted: float = 0.0

    def add(self, other: Figures) -> None:
        """Take what another process saw into account."""
        for kind, found in other.seconds.items():
            self.seconds[kind] += found
        self.errors += other.errors
        self.instances += other.instances
        self.lasted = max(self.lasted, other.lasted)


class Files:
    """Header-only DICOM files without end, no two of the same instance."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._templates = []
        for dataset in headers(_TEMPLATES, seed=seed):
            # Of fixed lengths, so that they can be replaced in the finished file.
            for keyword, end in (("Study", "1"), ("Series", "2"), ("SOP", "3")):
                setattr(dataset, f"{keyword}InstanceUID", self._uid(0, 0, end))
            self._templates.append(as_file(dataset))
        self._numbers = count(1)
        self._run = random.SystemRandom().randrange(10**9)

    @staticmethod
    def _uid(run: int, number: int, end: str) -> str:
        return f"{_UID}1{run:09d}.1{number:09d}.{end}"

    def next(self) -> bytes:
        """Return another file."""
        found = self._chance.choice(self._templates)
        return found.replace(
            self._uid(0, 0, "")[:-1].encode(),
            self._uid(self._run, next(self._numbers), "")[:-1].encode(),
        )

    def zipped(self, number: int) -> bytes:
        """Return a zip of so many."""
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name in range(number):
                archive.writestr(f"{name}.dcm", self.next())
        return out.getvalue()


class Client:
    """One client: what it has stored, and where it is in a search."""

    def __init__(
        self, session: aiohttp.ClientSession, address: str, files: Files, seed: int, out: Figures
    ) -> None:
        self._session = session
        self._address = address
        self._files = files
        self._chance = random.Random(seed)
        self._out = out
        self._studies: list[str] = []
        self._observations: list[str] = []
        self._next: str | None = None
        self._kinds: dict[str, Callable[[], Awaitable[Any]]] = {
            "annotate": self._annotate,
            "read": self._read,
            "search below": self._search,
            "page": self._page,
            "update": self._update,
            "history": self._history,
            "metadata": lambda: self._ask("metadata", "GET", "/r4/metadata"),
            "lookup": self._lookup,
        }

    async def work(self, until: float) -> None:
        """Ask one thing after another until the time is over."""
        await self._annotate()
        kinds, weights = list(MIX), list(MIX.values())
        while time.monotonic() < until:
            (kind,) = self._chance.choices(kinds, weights)
            await self._kinds[kind]()

    async def send(self, until: float, batch: int | None) -> None:
        """Annotate only: single files, or zips of `batch`."""
        while time.monotonic() < until:
            if batch is None:
                await self._annotate("instance")
                self._out.instances += 1
            else:
                body = await asyncio.to_thread(self._files.zipped, batch)
                if await self._ask("zip", "POST", ANNOTATE, body, ZIP) is not None:
                    self._out.instances += batch

    async def _annotate(self, kind: str = "annotate") -> None:
        found = await self._ask(kind, "POST", ANNOTATE, self._files.next(), DICOM)
        for entry in (found or {}).get("entry", ()):
            resource = entry.get("resource", {})
            if resource.get("resourceType") == "ImagingStudy":
                self._studies.append(resource["id"])
            elif resource.get("resourceType") == "Observation":
                self._observations.append(resource["id"])

    async def _read(self) -> None:
        if self._studies:
            study = self._chance.choice(self._studies)
            await self._ask("read", "GET", f"/r4/ImagingStudy/{study}")

    async def _search(self) -> None:
        site = self._chance.choice(SITES)
        query = f"bodysite:below={SNOMED}%7C{site}&_count=20"
        self._follow(await self._ask("search below", "GET", f"/r4/ImagingStudy?{query}"))

    async def _page(self) -> None:
        if self._next is None:
            await self._search()
        elif (asked := self._next) is not None:
            self._follow(await self._ask("page", "GET", asked))

    def _follow(self, bundle: dict[str, Any] | None) -> None:
        links = (bundle or {}).get("link", ())
        address = next((one["url"] for one in links if one["relation"] == "next"), None)
        self._next = None if address is None else "/r4" + address.partition("/r4")[2]

    async def _update(self) -> None:
        """Confirm what the machine said, as a person does who looked at the image."""
        if not self._observations:
            return
        path = f"/r4/Observation/{self._chance.choice(self._observations)}"
        observation = await self._ask("read", "GET", path)
        if observation is None:
            return
        observation["status"] = "final"
        observation["performer"] = [{"display": "Reader 1"}]
        observation["note"] = [{"text": f"Looked at, {self._chance.random()}."}]
        headers = {**FHIR, "If-Match": f'W/"{observation["meta"]["versionId"]}"'}
        await self._ask("update", "PUT", path, json.dumps(observation).encode(), headers)

    async def _history(self) -> None:
        if self._studies:
            study = self._chance.choice(self._studies)
            await self._ask("history", "GET", f"/r4/ImagingStudy/{study}/_history")

    async def _lookup(self) -> None:
        query = f"system={SNOMED}&code={self._chance.choice(SITES)}"
        await self._ask("lookup", "GET", f"/r4/CodeSystem/$lookup?{query}")

    async def _ask(
        self,
        kind: str,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any] | None:
        """Return the answer, and count it; `None` for an error."""
        begun = time.perf_counter()
        try:
            async with self._session.request(
                method, self._address + path, data=body, headers=headers
            ) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self._out.errors[f"{kind}: {type(error).__name__}"] += 1
            return None
        self._out.seconds[kind].append(time.perf_counter() - begun)
        if answer.status >= 400:
            self._out.errors[f"{kind}: {answer.status}"] += 1
            return None
        found: dict[str, Any] = json.loads(content)
        return found


def clients_of(options: argparse.Namespace, seed: int, number: int, kind: str) -> Figures:
    """Be one process of `number` clients."""
    return asyncio.run(_clients(options, seed, number, kind))


async def _clients(options: argparse.Namespace, seed: int, number: int, kind: str) -> Figures:
    out = Figures()
    files = Files(seed)
    headers = {"Authorization": f"Bearer {options.token}"} if options.token else {}
    async with aiohttp.ClientSession(
        headers=headers,
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=_PATIENCE_S),
    ) as session:
        everyone = [
            Client(session, options.address, files, 1000 * seed + one, out) for one in range(number)
        ]
        begun = time.monotonic()
        if kind == "mixed":
            until = begun + options.seconds
            await asyncio.gather(*(one.work(until) for one in everyone))
        else:
            until = begun + options.ingest
            batch = options.batch if kind == "zip" else None
            await asyncio.gather(*(one.send(until, batch) for one in everyone))
        out.lasted = time.monotonic() - begun
    return out


def run(options: argparse.Namespace, clients: int, kind: str) -> Figures:
    """Return what all clients saw."""
    share, rest = divmod(clients, options.processes)
    numbers = [share + (number < rest) for number in range(options.processes)]
    found = Figures()
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        asked = [(options, seed, number, kind) for seed, number in enumerate(numbers, 1) if number]
        for one in pool.starmap(clients_of, asked):
            found.add(one)
    return found


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Return percentiles by nearest rank, in milliseconds."""
    ordered = sorted(seconds)
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    found = {
        name: round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)
        for name, share in shares.items()
    }
    return {"requests": len(ordered), **found, "max": round(1000 * ordered[-1], 1)}


@contextmanager
def server(options: argparse.Namespace, folder: Path) -> Iterator[int | None]:
    """Yield the process id of a server with so many workers; `None` where one runs already."""
    if options.address:
        options.address = options.address.rstrip("/")
        yield None
        return
    database = options.database or f"sqlite:///{folder}/load.sqlite"
    arguments = ["serve", "--port", "0", "--workers", str(options.workers)]
    process = subprocess.Popen(
        [sys.executable, "-c", "from api.cli import main; main()", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={
            "BODYSITE_MODEL": "none",
            "BODYSITE_LOG_LEVEL": "warning",
            **os.environ,
            "BODYSITE_DATABASE": database,
        },
    )
    try:
        line = process.stdout.readline() if process.stdout is not None else ""
        if " on " not in line:
            raise SystemExit("bodysite serve did not start")
        options.address = line.split(" on ")[1].split()[0]
        _wait(options.address, options.workers)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _wait(address: str, workers: int) -> None:
    """Wait until every process answers."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{address}/metrics", timeout=60) as answer:  # noqa: S310
                lines = answer.read().decode().splitlines()
        except OSError:
            lines = []
        if f"bodysite_processes {workers}.0" in lines:
            return
        time.sleep(0.2)
    raise SystemExit("the workers of bodysite serve did not start")


def megabytes(pid: int) -> dict[str, list[int]]:
    """Return the memory of a server and its workers, now and at most."""
    found: dict[str, list[int]] = {"megabytes_now": [], "megabytes_at_most": []}
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    workers = [
        one for one in children if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()
    ]
    for one in [str(pid), *workers]:
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{one}/status").read_text().splitlines()
        )
        for name, key in (("megabytes_now", "VmRSS"), ("megabytes_at_most", "VmHWM")):
            found[name].append(int(status[key].split()[0]) // 1024)
    return found


def show(figures: dict[str, object]) -> None:
    """Print figures as one line of JSON."""
    print(json.dumps(figures), flush=True)


def main() -> int:
    """Run the measurements and print them."""
    reader = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    reader.add_argument("--seconds", type=float, default=60)
    reader.add_argument("--clients", type=int, default=64)
    reader.add_argument("--workers", type=int, default=2)
    reader.add_argument("--database")
    reader.add_argument("--ingest", type=float, default=10)
    reader.add_argument("--batch", type=int, default=50)
    reader.add_argument("--processes", type=int, default=1)
    reader.add_argument("--address")
    reader.add_argument("--token")
    options = reader.parse_args()
    errors = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pid = stack.enter_context(server(options, folder))
        show(
            {
                "machine": platform.machine(),
                "python": platform.python_version(),
                "cores": os.cpu_count(),
                "database": (options.database or "sqlite").partition(":")[0],
                "workers": options.workers if pid is not None else None,
            }
        )
        if pid is not None:
            show({"benchmark": "memory at the start", **megabytes(pid)})
        for kind, clients in (("instance", options.clients), ("zip", 4)):
            if options.ingest > 0:
                found = run(options, clients, kind)
                errors += found.errors.total()
                show(
                    {
                        "benchmark": f"ingest, one {kind} a request",
                        "clients": clients,
                        "instances": found.instances,
                        "instances_per_second": round(found.instances / found.lasted, 1),
                        **({kind: percentiles(found.seconds[kind])} if found.seconds[kind] else {}),
                        "errors": dict(found.errors),
                    }
                )
        found = run(options, options.clients, "mixed")
        errors += found.errors.total()
        total = sum(map(len, found.seconds.values()))
        show(
            {
                "benchmark": "mixed load",
                "clients": options.clients,
                "seconds": round(found.lasted, 1),
                "requests": total,
                "requests_per_second": round(total / found.lasted, 1),
                "errors": dict(found.errors),
                "milliseconds": {
                    kind: percentiles(seconds) for kind, seconds in sorted(found.seconds.items())
                },
            }
        )
        if pid is not None:
            show({"benchmark": "memory at the end", **megabytes(pid)})
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
