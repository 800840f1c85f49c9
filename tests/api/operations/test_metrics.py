"""What is counted, in one process and in several."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from api.metrics import Metrics
from tests.api.client import Client

ROOT = Path(__file__).parents[3]


def test_a_figure_that_is_watched_is_looked_up_when_it_is_asked_for() -> None:
    metrics = Metrics()
    now = {"queued": 2.0, "running": 0.0}
    metrics.watch("bodysite_jobs", "Jobs.", lambda: now, label="state", shared=True)
    metrics.watch("bodysite_waiting", "Waiting.", lambda: now["queued"])
    assert b'bodysite_jobs{state="queued"} 2.0' in metrics.text()
    now["queued"] = 5.0
    assert b'bodysite_jobs{state="queued"} 5.0' in metrics.text()
    assert b"bodysite_waiting 5.0" in metrics.text()


@pytest.mark.parametrize("shared", [True, False])
def test_a_figure_that_cannot_be_had_takes_no_other_with_it(*, shared: bool) -> None:
    metrics = Metrics()

    def away() -> float:
        raise OSError

    metrics.watch("bodysite_away", "Away.", away, shared=shared)
    text = metrics.text()
    assert b"bodysite_processes 1.0" in text
    assert b"bodysite_away 1" not in text


def test_the_memory_of_the_process_is_told() -> None:
    (line,) = (
        one for one in Metrics().text().splitlines() if one.startswith(b"bodysite_resident_bytes ")
    )
    assert 1 << 20 < float(line.split()[1]) < 1 << 40


_COUNT = """
import sys
from api.metrics import Metrics
from tests.api.client import Client
metrics = Metrics()
assert metrics.several
for _ in range(int(sys.argv[1])):
    metrics.answered("GET", "/r4/ImagingStudy", 200, 0.003)
metrics.files.labels("annotated").inc(int(sys.argv[1]))
metrics.watch("bodysite_pool", "Pool.", lambda: int(sys.argv[1]), label=None)
metrics.watch("bodysite_jobs", "Jobs.", lambda: {"queued": 7}, label="state", shared=True)
metrics.sample()
print("counted", flush=True)
sys.stdin.readline()
print(metrics.text().decode())
"""


def test_several_processes_count_together(tmp_path: Path) -> None:
    from prometheus_client.multiprocess import mark_process_dead

    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _COUNT, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for count in (3, 4)
    ]
    for one in started:
        assert one.stdout is not None
        assert one.stdout.readline() == "counted\n"
    # One is gone without a farewell; what it had at that moment is not counted any more.
    started[0].kill()
    started[0].communicate()
    mark_process_dead(started[0].pid, str(tmp_path))  # type: ignore[no-untyped-call]
    text, _ = started[1].communicate("\n")
    lines = set(text.splitlines())
    assert (
        'bodysite_requests_total{method="GET",route="/r4/ImagingStudy",status="200"} 7.0' in lines
    )
    assert 'bodysite_request_seconds_bucket{le="0.005",route="/r4/ImagingStudy"} 7.0' in lines
    assert 'bodysite_files_total{outcome="annotated"} 7.0' in lines
    assert "bodysite_processes 1.0" in lines
    assert "bodysite_pool 4.0" in lines
    assert 'bodysite_jobs{state="queued"} 7.0' in lines


def test_the_store_and_the_audit_trail_are_watched(client: Client) -> None:
    client.get("/r4/ImagingStudy")
    text = client.get("/metrics").text
    assert 'bodysite_store_connections{state="busy"}' in text
    assert "bodysite_audit_queue " in text
