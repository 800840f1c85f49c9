"""A server that is killed under load has lost nothing and left nothing half-written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.databases
_BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "crash.py"


@pytest.mark.slow
def test_what_was_acknowledged_outlasts_kills(database: str) -> None:
    options = ("--kills", "2", "--streams", "6", "--seconds", "1", "--workers", "2")
    done = subprocess.run(
        [sys.executable, str(_BENCHMARK), "--database", database, *options],
        capture_output=True,
        text=True,
        cwd=_BENCHMARK.parents[1],
    )
    assert done.stdout, done.stderr
    figures = json.loads(done.stdout)
    assert figures["problems"] == []
    assert figures["acknowledged"] > 0
    assert figures["refused"] == {}
