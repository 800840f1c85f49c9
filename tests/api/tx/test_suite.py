"""HL7's terminology-ecosystem cases against a real server process with an index of the RF2 subset.

The cases, the subset and the runner are not in the repository: BODYSITE_SHARED names the folder
that has them.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from terminology.release.build import build_index
from terminology.rf2.reader import read_release
from tests.api.tx.small_release import VERSION

pytestmark = [pytest.mark.live, pytest.mark.slow]
ROOT = Path(__file__).parents[3]
# What is known not to pass, and why: the template names an edition that is not here.
KNOWN = {"snomed/validate-code-pc-none"}


@pytest.fixture(scope="module")
def cases() -> Path:
    folder = Path(os.environ.get("BODYSITE_SHARED", ROOT.parent / "shared")) / "tx-ecosystem"
    if not (folder / "tx_suite.py").is_file():
        pytest.skip(f"no cases in {folder}: BODYSITE_SHARED names the folder that has them")
    return folder


@pytest.fixture(scope="module")
def address(cases: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    index = folder / "subset.index"
    build_index(read_release([cases / "rf2"], version_uri=VERSION), index)
    command = [
        *(sys.executable, "-c", "from api.cli import main; main()", "serve", "--port", "0"),
        *("--database", f"sqlite:///{folder}/site.sqlite", "--release", str(index)),
        *("--workers", "2"),
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=folder,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split(" on ")[1].split()[0]
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.parametrize("root", ["r4", "r5"])
def test_the_cases_pass(cases: Path, address: str, root: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    command = [
        *(sys.executable, str(cases / "tx_suite.py"), "--base", f"{address}/{root}"),
        *("--suite-dir", str(cases / "tests"), "--modes", "general,snomed"),
        *("--json", str(report)),
    ]
    subprocess.run(command, capture_output=True, timeout=300, check=False)
    found = json.loads(report.read_text("utf-8"))
    assert found["fhirVersion"] == {"r4": "4.0.1", "r5": "5.0.0"}[root]
    run = [one for one in found["tests"] if not one["skipped"]]
    failed = {one["name"]: one["difference"] for one in run if not one["pass"]}
    assert len(run) > 200
    assert {name: failed[name] for name in failed.keys() - KNOWN} == {}
