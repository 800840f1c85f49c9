"""Writers to one SQLite file get their turn, whoever else writes to it all the time."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from api.records import Resource
from api.store import SqlStore
from api.store.engine import open_engine, writing
from api.store.file_turns import NEXT, TURN, FileTurn
from api.store.schema import setting

_HOLDER = """
import sys
from api.store.file_turns import FileTurn
turn = FileTurn(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = tmp_path / "a.sqlite"
    path.touch(0o640)
    return str(path)


def test_one_holds_it_at_a_time(database: str) -> None:
    turn = FileTurn(database)
    with pytest.raises(sa.exc.TimeoutError):
        FileTurn(database, seconds=0.01)
    turn.release()
    turn.release()
    FileTurn(database, seconds=0.01).release()
    there = {one.name: one.stat().st_mode & 0o777 for one in Path(database).parent.iterdir()}
    assert there == {"a.sqlite": 0o640, f"a.sqlite{TURN}": 0o640, f"a.sqlite{NEXT}": 0o640}


def test_a_folder_that_cannot_be_written_to_is_a_failure_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(sa.exc.OperationalError):
        FileTurn(str(tmp_path / "none" / "a.sqlite"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser gives files away")
def test_a_command_of_the_superuser_locks_nobody_out(database: str) -> None:
    os.chown(database, 65534, 65534)
    FileTurn(database).release()
    for suffix in (TURN, NEXT):
        assert Path(database + suffix).stat().st_uid == 65534


def test_who_has_just_had_it_comes_behind_who_waits(database: str) -> None:
    order: list[str] = []
    turn = FileTurn(database)

    def wait() -> None:
        with FileTurn(database):
            order.append("other")

    other = threading.Thread(target=wait)
    other.start()
    while not _is_taken(database + NEXT):
        pass
    for _ in range(3):
        turn.release()
        turn = FileTurn(database)
        order.append("first")
    turn.release()
    other.join()
    assert order[0] == "other"


def _is_taken(path: str) -> bool:
    fcntl = pytest.importorskip("fcntl")
    if not Path(path).exists():
        return False
    with Path(path).open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_process_that_is_killed_leaves_its_turn(database: str) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(sa.exc.TimeoutError):
        FileTurn(database, seconds=0.01)
    holder.kill()
    holder.wait()
    holder.communicate()
    FileTurn(database, seconds=1).release()


def test_a_failure_gives_the_turn_back(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/a.sqlite")
    with contextlib.suppress(ZeroDivisionError), store.transaction():
        raise ZeroDivisionError
    with contextlib.suppress(ZeroDivisionError), writing(store.engine):
        raise ZeroDivisionError
    FileTurn(str(tmp_path / "a.sqlite"), seconds=0.01).release()
    store.close()


def test_one_that_writes_seldom_is_not_kept_waiting(tmp_path: Path) -> None:
    """SQLite alone lets a writer wait for seconds, and fail, beside those that write on and on."""
    url = f"sqlite:///{tmp_path}/a.sqlite"
    busy, other = SqlStore(url), open_engine(url)
    ending = threading.Event()
    written = [0]

    def write() -> None:
        while not ending.is_set():
            busy.put([Resource("Patient", "p", {"n": str(written[0])})])
            written[0] += 1

    threads = [threading.Thread(target=write) for _ in range(4)]
    for one in threads:
        one.start()
    most = 0
    try:
        for number in range(20):
            before = written[0]
            with writing(other) as connection:
                connection.execute(sa.insert(setting).values(name=f"n{number}", value=""))
                most = max(most, written[0] - before)
    finally:
        ending.set()
        for one in threads:
            one.join()
        busy.close()
        other.dispose()
    # Those that share the commit before it, and those that it finds on their way.
    assert most <= 2 * 32 + 4
