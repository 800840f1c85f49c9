"""The benchmark of load runs through on a real server and prints what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LOAD = Path(__file__).parents[2] / "benchmarks" / "load.py"


def test_a_short_load_has_no_error_and_shows_every_kind() -> None:
    options = (
        "--seconds",
        "3",
        "--ingest",
        "1",
        "--batch",
        "5",
        "--clients",
        "8",
        "--workers",
        "1",
    )
    done = subprocess.run(
        [sys.executable, str(LOAD), *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    machine, *measured = [json.loads(line) for line in done.stdout.splitlines()]
    assert machine["workers"] == 1
    found = {one["benchmark"]: one for one in measured}
    assert found["memory at the end"]["megabytes_now"][0] > 50
    for kind in ("instance", "zip"):
        ingest = found[f"ingest, one {kind} a request"]
        assert ingest["instances"] > 0
        assert ingest["errors"] == {}
    mixed = found["mixed load"]
    assert mixed["errors"] == {}
    assert {"annotate", "read", "search below"} <= mixed["milliseconds"].keys()
    for figures in mixed["milliseconds"].values():
        assert figures["p50"] <= figures["p95"] <= figures["p99"] <= figures["max"]
