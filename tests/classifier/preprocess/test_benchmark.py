import json
import subprocess
import sys
from pathlib import Path

_BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "preprocess.py"


def test_the_benchmark_runs_and_compares_ways_that_agree():
    command = [sys.executable, str(_BENCHMARK), "--size", "500", "--rounds", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    hats = [line for line in lines if line.get("benchmark") == "top-bottom hat"]
    assert [line["equal"] for line in hats] == [True] * 3
    cartex = [line for line in lines if line.get("benchmark") == "cartoon and texture"]
    assert all(line["largest_difference_in_grey_levels"] < 0.01 for line in cartex)
    kinds = {line["benchmark"] for line in lines if "with_resize_ms" in line}
    assert kinds == {f"preprocessing {kind}" for kind in "ABCD"}
