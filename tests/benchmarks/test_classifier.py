"""The benchmarks of the classifier run through and print what they measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(name: str, *options: str) -> list[dict[str, Any]]:
    command = [sys.executable, str(_BENCHMARKS / name), *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("name", "options", "benchmarks"),
    [
        (
            "pixels.py",
            ("--size", "100", "--rounds", "1"),
            {"DICOM file to grey levels: window", "one frame of 200, RLE"},
        ),
        (
            "coherence.py",
            ("--concepts", "20", "--batch", "2"),
            {"coherence", "coherence and its gradient"},
        ),
    ],
)
def test_a_benchmark_runs_through(
    name: str, options: tuple[str, ...], benchmarks: set[str]
) -> None:
    machine, *measured = run(name, *options)
    assert machine["cores"]
    assert benchmarks <= {one["benchmark"] for one in measured}


def test_the_benchmark_of_training_runs_through() -> None:
    measured = run("training.py", "--images", "16", "--side", "64", "--rounds", "1")
    steps = {one.get("step") for one in measured}
    assert {"decode once", "batches alone", "training, ours", "ratio"} <= steps


def test_the_benchmark_of_serving_shows_every_ratio() -> None:
    sizes = ("--size", "300", "--rounds", "1", "--threads", "1", "--batch", "2")
    machine, told, *measured = run("serving.py", *sizes, "--reducing-gap", "2")
    assert machine["threads"] == 1
    assert told["preprocessing"]["reducing_gap"] == 2
    found = {one["benchmark"]: one for one in measured}
    assert {"DICOM file to prediction", "array to prediction", "ready to prediction"} <= set(found)
    for name in ("ONNX Runtime", "ONNX Runtime, one", "ResNet50 eager, 224 pixels"):
        assert found[name]["times_torch_eager"] > 0
        assert found[name]["times_resnet50_eager"] > 0
    memory = found["memory of a process that answers"]
    assert memory["torch"] is False
    assert memory["loaded_mib"] > 0
