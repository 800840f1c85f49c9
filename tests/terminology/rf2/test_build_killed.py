"""A killed build leaves the old index in use, whole; the next build removes what it left."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from terminology.release.build import build_index
from terminology.release.index import ReleaseIndex
from terminology.rf2 import read_release

from .conftest import EXAMPLE, ROOT

COMMAND = "from terminology.build_cli import build; build()"
# The process kills itself when it comes to a place that is called in the midst of its work.
SUICIDE = """
import os, pathlib, signal, sys
place, count = sys.argv.pop(1), int(sys.argv.pop(1))
def wrapped(function):
    calls = 0
    def call(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call
if place == "write":
    import terminology.release.build as module
    def arrays(*args, **kwargs):
        facts, found = compile_rows(*args, **kwargs)
        take = wrapped(lambda one: one)
        return facts, (take(one) for one in found)
    compile_rows, module.compile_rows = module.compile_rows, arrays
elif place == "fsync":
    os.fsync = wrapped(os.fsync)
else:
    pathlib.Path.replace = wrapped(pathlib.Path.replace)
from terminology.build_cli import build
build()
"""
OLD = "http://snomed.info/sct/19999999103/version/20250101"
NEW = "http://snomed.info/sct/19999999103/version/20260101"
KILLS = int(os.environ.get("BODYSITE_KILLS", "3"))


@pytest.fixture(scope="module")
def built() -> Path:
    """The release that is built; another one can be named for a longer run by hand."""
    return Path(os.environ.get("BODYSITE_KILL_RELEASE", EXAMPLE))


def build(release: Path, out: Path, version: str) -> bytes:
    build_index(read_release([release], version_uri=version), out)
    return out.read_bytes()


def start(script: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("place", "count"), [("write", 1), ("write", 12), ("fsync", 1), ("replace", 1)]
)
def test_killed_at_the_worst_places_the_old_index_stays(built, tmp_path, place, count):
    out = tmp_path / "served.index"
    old = build(built, out, OLD)
    process = start(SUICIDE, place, count, built, "-o", out, "--version-uri", NEW)
    assert process.wait() == -signal.SIGKILL
    assert out.read_bytes() == old
    assert len(list(tmp_path.iterdir())) == 2
    build(built, out, NEW)
    assert [one.name for one in tmp_path.iterdir()] == ["served.index"]
    assert ReleaseIndex.open(out).version == NEW


def test_killed_at_random_the_index_is_the_old_or_the_new_one(built, tmp_path):
    out = tmp_path / "served.index"
    (tmp_path / "other").mkdir()
    new = build(built, tmp_path / "other" / "new.index", NEW)
    old = build(built, out, OLD)
    arguments = (built, "-o", out, "--version-uri", NEW)
    began = time.monotonic()
    assert start(COMMAND, *arguments).wait() == 0
    lasting = time.monotonic() - began
    chance = random.Random(20260101)  # noqa: S311
    for _ in range(KILLS):
        out.write_bytes(old)
        process = start(COMMAND, *arguments)
        time.sleep(chance.uniform(0, lasting))
        process.kill()
        process.wait()
        assert out.read_bytes() in (old, new)
        # What one killed build leaves is gone before the next one writes.
        assert len(list(tmp_path.iterdir())) <= 3
    build(built, out, NEW)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["other", "served.index"]
