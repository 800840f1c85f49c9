"""What a server that is killed leaves behind: everything acknowledged once, nothing half-written.

Usage: python benchmarks/crash.py [--database URL] [--kills 10] [--streams 50] [--seconds 5]
           [--workers 1]

A real server takes images from many streams at once; many of them are of the same studies. It is
killed (SIGKILL, all its processes) in the middle of that, started again, and so on; then the
database is looked at. Prints one JSON object; exit status 1 where something was lost, stored twice
or left half-written.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).resolve().parent))
from generate import as_file, headers

from api.resources import study_id
from api.store import SqlStore
from api.store.maintenance import problems_of
from api.store.schema import instance, resource

_URL = "/r4/ImagingStudy/$annotate"


def main() -> None:
    """Kill, look, print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--database", help="a SQLite file of its own where none is named")
    options.add_argument("--kills", type=int, default=10)
    options.add_argument("--streams", type=int, default=50)
    options.add_argument("--seconds", type=float, default=5, help="between two kills")
    options.add_argument("--workers", type=int, default=1)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = chosen.database or f"sqlite:///{folder}/crash.sqlite"
        figures = crash(url, chosen.kills, chosen.streams, chosen.seconds, chosen.workers)
    print(json.dumps(figures))
    if figures["problems"]:
        raise SystemExit(1)


@dataclass(slots=True)
class Sent:
    """What was sent, SOP Instance UID → Study Instance UID, and what was acknowledged."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    tried: dict[str, str] = field(default_factory=dict)
    acknowledged: Counter[str] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)


def crash(url: str, kills: int, streams: int, seconds: float, workers: int) -> dict[str, Any]:
    """Return what was sent, and what of it is wrong after so many kills."""
    sent = Sent()
    for number in range(kills):
        before = len(sent.acknowledged)
        with serving(url, workers) as (process, address):
            over = threading.Event()
            threads = [
                threading.Thread(target=stream, args=(address, number, one, sent, over))
                for one in range(streams)
            ]
            for thread in threads:
                thread.start()
            # Some seconds, and until something was acknowledged at all.
            end = time.monotonic() + seconds * random.uniform(0.5, 1.5)
            while time.monotonic() < end or len(sent.acknowledged) == before:
                time.sleep(0.01)
                if process.poll() is not None:
                    raise RuntimeError("the server ended by itself")
            os.killpg(process.pid, signal.SIGKILL)
            over.set()
            for thread in threads:
                thread.join()
    problems = found_wrong(url, sent)
    return {
        "benchmark": "kill -9 under load",
        "database": sa.make_url(url).get_backend_name(),
        "kills": kills,
        "streams": streams,
        "workers": workers,
        "sent": len(sent.tried),
        "acknowledged": len(sent.acknowledged),
        "refused": dict(sent.refused),
        "problems": problems,
    }


@contextmanager
def serving(url: str, workers: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a server in a process group of its own; it is killed at the end."""
    command = [sys.executable, "-c", "from api.cli import main; main()", "serve", "--port", "0"]
    said = tempfile.TemporaryFile("w+")  # noqa: SIM115
    process = subprocess.Popen(
        [*command, "--database", url, "--workers", str(workers), "--model", "none"],
        stdout=subprocess.PIPE,
        stderr=said,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
        start_new_session=True,
    )
    with said, process:
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            if " on " not in line:
                said.seek(0)
                raise RuntimeError(f"the server did not start: {said.read()[-2000:]}")
            yield process, line.split(" on ")[1].split()[0]
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def stream(address: str, kill: int, number: int, sent: Sent, over: threading.Event) -> None:
    """Send images one after the other until the server is gone: some new, some sent before."""
    chance = random.Random(f"{kill}.{number}")
    with httpx.Client(base_url=address, timeout=30) as client:
        for dataset in headers(100_000, seed=1000 * (kill + 1) + number):
            # Every other image is of a study that other streams send images of, too.
            if chance.random() < 0.5:
                dataset.StudyInstanceUID = f"1.2.826.0.1.3680043.10.1561.7.{chance.randrange(8)}"
            uid, study = str(dataset.SOPInstanceUID), str(dataset.StudyInstanceUID)
            with sent.lock:
                sent.tried[uid] = study
            for _ in range(2 if chance.random() < 0.1 else 1):
                try:
                    answer = client.post(
                        _URL,
                        content=as_file(dataset),
                        headers={"content-type": "application/dicom"},
                    )
                except httpx.TransportError:
                    if over.is_set():
                        return
                    # A server of several processes may not answer yet.
                    time.sleep(0.05)
                    continue
                with sent.lock:
                    if answer.status_code == 200:
                        sent.acknowledged[uid] += 1
                    else:
                        sent.refused[answer.status_code] += 1
            if over.is_set():
                return


def found_wrong(url: str, sent: Sent) -> list[str]:
    """Return what is lost, doubled or half-written, a sentence each."""
    store = SqlStore(url)
    try:
        wrong = list(problems_of(store))
        with store.engine.connect() as connection:
            rows = connection.execute(sa.select(instance.c.sop_instance_uid, instance.c.study_id))
            annotated: dict[str, list[str]] = {}
            for uid, study in rows:
                annotated.setdefault(study, []).append(uid)
            statement = sa.select(resource.c.id, resource.c.body).where(
                resource.c.type == "ImagingStudy", resource.c.deleted == sa.false()
            )
            bodies = {one.id: json.loads(one.body) for one in connection.execute(statement)}
    finally:
        store.close()
    stored = Counter(uid for uids in annotated.values() for uid in uids)
    shown = Counter(uid for body in bodies.values() for uid in _instances(body))
    for uid in sent.acknowledged:
        if stored[uid] != 1 or shown[uid] != 1:
            wrong.append(f"{uid} was acknowledged, and is there {stored[uid]}, {shown[uid]} times.")
        elif study_id(sent.tried[uid]) not in bodies:
            wrong.append(f"{uid} is in another study.")
    if shown != stored:
        wrong.append(f"{len(shown - stored) + len(stored - shown)} instances are half-written.")
    for uid in stored.keys() - sent.tried.keys():
        wrong.append(f"{uid} was never sent.")
    return wrong


def _instances(study: dict[str, Any]) -> Iterator[str]:
    for series in study.get("series", ()):
        for one in series.get("instance", ()):
            yield str(one["uid"])


if __name__ == "__main__":
    main()
