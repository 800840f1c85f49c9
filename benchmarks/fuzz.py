"""Broken DICOM files, FHIR bodies and searches against a server of their own.

Usage: python benchmarks/fuzz.py [--count 10000] [--seed 1] [--only NUMBER] [--database URL]
           [--seconds 5] [--memory 2000] [--model FILE|none]

Every request has a number: the same seed and number give the same request again (--only). Prints
a line a fault (a status of 5xx, no answer within --seconds, an answer that is no JSON) and one JSON
object at the end; exit status 1 where there was a fault, or the server held more than --memory
megabytes.
"""

from __future__ import annotations

import argparse
import collections
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from mutations import KINDS, Broken, Mutations, whole_file

_ROOT = Path(__file__).resolve().parents[1]
_PROGRAM = "from api.cli import main; main()"
# A search for a whole type may take its time on a full database; this one is small.
_PATIENCE = 60.0


def main(arguments: list[str] | None = None) -> int:
    """Run and return the exit status."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", type=int)
    options.add_argument("--database")
    options.add_argument("--seconds", type=float, default=5.0)
    options.add_argument("--memory", type=int, default=2000)
    options.add_argument("--model")
    given = options.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        database = given.database or f"sqlite:///{folder}/fuzz.sqlite"
        more = ("--model", given.model) if given.model else ()
        with _server(database, folder, more) as (process, port):
            found = _run(given, process, port)
    print(json.dumps(found))
    return 1 if found["faults"] or found["max_rss_mb"] > given.memory else 0


def _run(given: argparse.Namespace, process: subprocess.Popen[str], port: int) -> dict[str, Any]:
    caller = _Caller(port)
    mutations = Mutations(given.seed, _resources(caller))
    numbers = range(given.count) if given.only is None else [given.only]
    statuses: collections.Counter[str] = collections.Counter()
    faults = 0
    slowest = (0.0, "")
    started = time.perf_counter()
    for number in numbers:
        broken = mutations.request(number)
        begun = time.perf_counter()
        status, problem = caller.send(broken, given.seconds)
        took = time.perf_counter() - begun
        statuses[str(status)] += 1
        if took > slowest[0]:
            slowest = (took, f"{number} {broken.label}")
        if problem is not None:
            faults += 1
            print(f"{number}\t{broken.label}\t{broken.method} {broken.path[:200]}\t{problem}")
        if process.poll() is not None:
            print(f"{number}\tthe server ended with {process.returncode}")
            faults += 1
            break
    return {
        "requests": sum(statuses.values()),
        "seed": given.seed,
        "faults": faults,
        "statuses": dict(sorted(statuses.items())),
        "seconds": round(time.perf_counter() - started, 1),
        "slowest": {"seconds": round(slowest[0], 2), "request": slowest[1]},
        "max_rss_mb": _max_rss(process.pid),
    }


class _Caller:
    """Sends one request after the other over one connection, or a new one where that broke."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def send(self, broken: Broken, seconds: float) -> tuple[int | str, str | None]:
        """Return the status, and what is wrong with the answer."""
        try:
            status, body = self.ask(broken, seconds)
        except TimeoutError:
            self._close()
            return "hang", f"no answer within {seconds} s"
        except (http.client.HTTPException, OSError) as error:
            self._close()
            try:
                # A server that refuses a request may close before it has read it.
                status, body = self.ask(broken, seconds)
            except (http.client.HTTPException, OSError):
                self._close()
                return "closed", type(error).__name__
        if status >= 500:
            return status, body[:300].decode("utf-8", "replace")
        if body and body[:1] not in b"{[<#" and status != 404:
            return status, f"no JSON: {body[:60]!r}"
        return status, None

    def ask(self, broken: Broken, seconds: float) -> tuple[int, bytes]:
        """Return status and body of an answer."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port)
        self._connection.timeout = seconds
        if self._connection.sock is not None:
            self._connection.sock.settimeout(seconds)
        self._connection.request(
            broken.method, broken.path, broken.body or None, dict(broken.headers)
        )
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _resources(caller: _Caller) -> list[dict[str, Any]]:
    """Annotate whole files, and return one resource or two of each type that came of it."""
    headers = {"content-type": "application/dicom"}
    for number in range(12):
        made = Broken("POST", "/r4/ImagingStudy/$annotate", "whole", headers, whole_file(number))
        caller.ask(made, _PATIENCE)
    found: list[dict[str, Any]] = []
    for kind in (*KINDS, "CodeSystem", "ValueSet", "ConceptMap"):
        status, body = caller.ask(Broken("GET", f"/r4/{kind}?_count=3", "whole"), _PATIENCE)
        if status == 200 and kind in KINDS:
            found += [one["resource"] for one in json.loads(body).get("entry", ())]
    return found


@contextmanager
def _server(
    database: str, folder: str, more: tuple[str, ...]
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-c", _PROGRAM, "serve", "--port", "0", "--database", database]
    with Path(folder, "server.log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            [*command, *more],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            cwd=folder,
        )
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            yield process, int(line.split(" on ")[1].split()[0].rpartition(":")[2])
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
            log.seek(0)
            places = (one[one.index("unexpected") :] for one in log if "unexpected" in one)
            counted = collections.Counter(one.partition(" of request")[0] for one in places)
            for place, number in counted.most_common():
                print(f"{number} times {place.rstrip()}", file=sys.stderr)


def _max_rss(pid: int) -> int:
    """Return the most memory that a process has held, in megabytes; 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    except OSError:
        return 0
    found = next((line.split()[1] for line in lines if line.startswith("VmHWM")), "0")
    return int(found) // 1024


if __name__ == "__main__":
    raise SystemExit(main())
