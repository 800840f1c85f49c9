"""The benchmark of header words runs through and prints what it measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_WORDS = Path(__file__).parents[2] / "benchmarks" / "words.py"


def test_every_measurement_is_printed_with_its_ratio():
    command = [sys.executable, str(_WORDS), "--values", "60", "--files", "5"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    machine, *measured = [json.loads(line) for line in done.stdout.splitlines()]
    assert machine["python"]
    assert [one["benchmark"] for one in measured] == [
        "values never seen",
        "values that are misspelt",
        "pandas column",
        "folder of DICOM files, header only",
    ]
    assert all(one["ratio"] > 0 for one in measured)
    assert measured[0]["answered"] > 40


def test_the_benchmark_of_the_service_runs_through():
    service = _WORDS.with_name("service.py")
    command = [sys.executable, str(service), "--headers", "20", "--studies", "60"]
    done = subprocess.run([*command, "--requests", "2"], check=True, capture_output=True, text=True)
    measured = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"header reader", "$annotate", "fill"} <= {one.get("benchmark") for one in measured}
