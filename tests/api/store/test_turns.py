"""Writers to a SQLite file that share a commit: each is stored, or learns that it is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from api.records import Criterion, Query, Resource, Token
from api.store import SqlStore, Transaction


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{tmp_path}/turns.sqlite")
    yield store
    store.close()


def device(name: str) -> Resource:
    return Resource("Device", name, {"n": name}, (Token("n", "s", name),))


class Writers:
    """Threads that write while one holds the turn, so that those behind it share its commit."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.errors: dict[str, BaseException] = {}
        self._threads: list[threading.Thread] = []

    def start(self, name: str, *, fails: BaseException | None = None) -> None:
        def work(one: Transaction) -> None:
            one.put(device(name))
            if fails is not None:
                raise fails

        def run() -> None:
            try:
                self.store.run(work)
            except BaseException as error:  # noqa: BLE001 - it is looked at by the test
                self.errors[name] = error

        thread = threading.Thread(target=run)
        self._threads.append(thread)
        thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def await_waiting(self, count: int) -> None:
        turns = self.store._turns
        assert turns is not None
        while turns._waiting < count:
            threading.Event().wait(0.005)


def commits(store: SqlStore) -> list[object]:
    seen: list[object] = []
    sa.event.listen(store.engine, "commit", seen.append)
    return seen


def test_those_that_wait_share_a_commit(store: SqlStore) -> None:
    seen = commits(store)
    writers = Writers(store)
    with store.transaction() as first:
        first.put(device("first"))
        for number in range(5):
            writers.start(f"d{number}")
        # The turn is not passed on before all of them wait for it.
        writers.await_waiting(5)
    writers.join()
    assert len(seen) == 1
    assert writers.errors == {}
    assert all(store.read("Device", one) for one in ("first", "d0", "d1", "d2", "d3", "d4"))


def test_one_that_fails_takes_no_other_with_it(store: SqlStore) -> None:
    writers = Writers(store)
    with store.transaction() as first:
        first.put(device("first"))
        writers.start("good")
        writers.await_waiting(1)
        writers.start("bad", fails=ZeroDivisionError())
        writers.start("also good")
        writers.await_waiting(3)
    writers.join()
    assert {name: type(error) for name, error in writers.errors.items()} == {
        "bad": ZeroDivisionError
    }
    assert store.read("Device", "bad") is None
    # What the one that failed had made known is not taken for known.
    store.put([device("bad")])
    for name in ("first", "good", "also good", "bad"):
        values = store.find_values("Device", "n", system="s", code=name)
        assert store.count(Query("Device", (Criterion(values),))) == 1


def test_the_first_may_fail_while_others_wait(store: SqlStore) -> None:
    writers = Writers(store)

    def work(one: Transaction) -> None:
        one.put(device("first"))
        writers.start("second")
        writers.await_waiting(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.run(work)
    writers.join()
    assert writers.errors == {}
    assert store.read("Device", "first") is None
    assert store.read("Device", "second") is not None


def test_a_commit_that_fails_is_told_to_all(store: SqlStore) -> None:
    writers = Writers(store)

    def refuses(_connection: object) -> None:
        raise OSError("the disk is gone")

    sa.event.listen(store.engine, "commit", refuses)
    with pytest.raises(OSError, match="the disk is gone"), store.transaction() as first:  # noqa: PT012
        first.put(device("first"))
        writers.start("second")
        writers.await_waiting(1)
    writers.join()
    assert {name: type(error) for name, error in writers.errors.items()} == {"second": OSError}
    sa.event.remove(store.engine, "commit", refuses)
    assert store.history().versions == ()
    store.put([device("first"), device("second")])
    assert len(store.history().versions) == 2


def test_a_transaction_that_the_database_gave_up_is_lost_for_all(store: SqlStore) -> None:
    writers = Writers(store)

    def work(one: Transaction) -> None:
        one.put(device("first"))
        writers.start("second")
        writers.await_waiting(1)
        # As SQLite itself does when the disk is full.
        driver = one.connection.connection.driver_connection
        assert driver is not None
        driver.execute("ROLLBACK")

    with pytest.raises(sa.exc.SQLAlchemyError):
        store.run(work)
    writers.join()
    # The second one had a transaction of its own.
    assert writers.errors == {}
    assert [one.id for one in store.history().versions] == ["second"]


def test_other_connections_of_the_process_may_have_a_turn(store: SqlStore) -> None:
    writers = Writers(store)
    for _ in range(3):
        with store.writing, store.engine.connect() as connection:
            connection = connection.execution_options(bodysite_writes=True)
            writers.start(f"d{_}")
            with connection.begin():
                connection.execute(sa.text("INSERT INTO setting VALUES (:n, 'x')"), {"n": f"t{_}"})
    writers.join()
    assert writers.errors == {}
    assert store.setting("t2") == "x"
    assert len(store.history().versions) == 3
