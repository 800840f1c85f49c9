"""Timing and memory, and the table of figures beside what was wanted."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement.

    Attributes
    ----------
    wanted
        None where nothing was asked for.
    more_is_better
        Whether `wanted` is the least, not the most.
    note
        What was measured exactly.
    """

    name: str
    measured: float
    unit: str
    wanted: float | None = None
    more_is_better: bool = False
    note: str = ""

    @property
    def margin(self) -> float | None:
        """How many times better than wanted; below 1 the figure was missed."""
        if self.wanted is None or not self.measured:
            return None
        ratio = self.measured / self.wanted
        return ratio if self.more_is_better else 1 / ratio


class Report:
    """Figures, printed as they come; the table at the end."""

    def __init__(self) -> None:
        self.figures: list[Figure] = []

    def add(self, figure: Figure) -> None:
        """Keep a figure and print it."""
        self.figures.append(figure)
        print(_line(figure), flush=True)

    def missed(self) -> list[Figure]:
        """Return the figures that are worse than wanted."""
        return [one for one in self.figures if one.margin is not None and one.margin < 1]

    def save(self, path: Path, about: dict[str, object]) -> None:
        """Write everything as one JSON object."""
        rows = [{**asdict(one), "margin": one.margin} for one in self.figures]
        path.write_text(json.dumps({**about, "figures": rows}, indent=1) + "\n", "utf-8")


def _line(figure: Figure) -> str:
    sign = "≥" if figure.more_is_better else "≤"
    wanted = "" if figure.wanted is None else f"{sign} {figure.wanted:g}"
    margin = "" if figure.margin is None else f"{figure.margin:.1f}×"
    mark = " MISSED" if figure.margin is not None and figure.margin < 1 else ""
    return (
        f"{figure.name:<52} {figure.measured:>12,.3f} {figure.unit:<9} {wanted:>10} {margin:>9}"
        f"{mark}{'  ' + figure.note if figure.note else ''}"
    )


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median_of(work: Callable[[], object], rounds: int = 9) -> float:
    """Return the median of several timings, in seconds."""
    return statistics.median(timed(work) for _ in range(rounds))


def percentile(seconds: Sequence[float], share: float) -> float:
    """Return the value that `share` (0 to 1) of the timings do not exceed."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def private_mib() -> float:
    """Return the private memory of this process (Linux), in MiB."""
    lines = Path("/proc/self/smaps_rollup").read_text("ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


@dataclass(frozen=True, slots=True)
class Run:
    """A process that has ended: `seconds` on the wall, `cpu` of user and system, `peak` in MiB."""

    seconds: float
    cpu: float
    peak: float


def run_process(command: Sequence[str], *, limit: float) -> Run:
    """Run a command and measure it; `SystemExit` when it fails or takes longer than `limit`."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.perf_counter() - start > limit:
                process.kill()
            time.sleep(0.02)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Run(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
