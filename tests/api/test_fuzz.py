"""Broken files, bodies and searches: a few hundred here, ten thousand in `benchmarks/fuzz.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_broken_requests_are_refused_and_nothing_falls_over() -> None:
    command = [sys.executable, "-W", "ignore", str(ROOT / "benchmarks" / "fuzz.py")]
    done = subprocess.run(
        # What is slow on a busy machine is no fault here.
        [*command, "--count", "250", "--seed", "7", "--model", "none", "--seconds", "60"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["requests"] == 250
    assert {"200", "400", "422"} <= set(seen["statuses"])
