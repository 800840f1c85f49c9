"""Updates of studies that wait at the same time are written together, or fail alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from api.records import PERSON, Resource, Stored, Token
from api.store import SqlStore, StudyUpdate
from api.store.ahead import BuiltAhead
from api.store.precedence import Precedence
from api.store.together import Together

pytestmark = pytest.mark.databases


def update(study: str, uid: str = "1", build: Any = None) -> StudyUpdate:
    def observed(bodies: Sequence[str], _owned: Sequence[Stored]) -> list[Resource]:
        content = {"bodies": list(bodies)}
        tokens = (Token("n", "s", study),)
        return [
            Resource("Observation", f"{study}-o", content, tokens),
            Resource("Device", "shared", {"n": 1}),
        ]

    return StudyUpdate(study, {uid: f"{study}.{uid}"}, build or observed)


def bodies(stored: Sequence[Stored]) -> list[str]:
    found: list[str] = json.loads(stored[0].body)["bodies"]
    return found


class Store:
    """Stands in the place of a database: it waits until it may write, and keeps what it wrote."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.begun = threading.Event()
        self.written: list[list[str]] = []
        self.errors: dict[str, BaseException] = {}

    def write(self, take: Callable[[], Sequence[StudyUpdate]]) -> list[list[Stored]]:
        self.begun.set()
        assert self.may.wait(30)
        ids = [one.study_id for one in take()]
        self.written.append(ids)
        for one in ids:
            if one in self.errors:
                raise self.errors[one]
        return [[Stored("Patient", one, 1, "", "{}")] for one in ids]


class Writers:
    """Threads that update studies; what each got, or what it failed with."""

    def __init__(self, together: Together) -> None:
        self._together = together
        self._threads: list[threading.Thread] = []
        self.got: dict[str, Any] = {}

    def start(self, *studies: str) -> None:
        def run() -> None:
            try:
                found = self._together.update([update(one) for one in studies])
                self.got["+".join(studies)] = [one[0].id for one in found]
            except BaseException as error:  # noqa: BLE001 - it is looked at by the test
                self.got["+".join(studies)] = error

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def await_waiting(self, count: int) -> None:
        while len(self._together._waiting) < count:
            threading.Event().wait(0.002)

    def join(self) -> None:
        for one in self._threads:
            one.join(30)
            assert not one.is_alive()


def test_what_waits_when_the_transaction_begins_is_in_it() -> None:
    store = Store()
    writers = Writers(Together(store.write, 1))
    writers.start("a")
    assert store.begun.wait(30)
    for one in "bcd":
        writers.start(one)
    writers.await_waiting(4)
    store.may.set()
    writers.join()
    assert [sorted(one) for one in store.written] == [["a", "b", "c", "d"]]
    assert writers.got == {one: [one] for one in "abcd"}


def test_updates_of_one_study_follow_each_other() -> None:
    store = Store()
    writers = Writers(Together(store.write, 1))
    writers.start("a", "b", "a")
    writers.start("a")
    writers.await_waiting(4)
    store.may.set()
    writers.join()
    assert [one.count("a") for one in store.written] == [1, 1, 1]
    assert writers.got == {"a+b+a": ["a", "b", "a"], "a": ["a"]}


def three_together(error: Exception) -> tuple[Store, Writers]:
    """Return what became of three studies that wait together, the second of which fails."""
    store = Store()
    store.errors["b"] = error
    writers = Writers(Together(store.write, 1))
    for one in "abc":
        writers.start(one)
    writers.await_waiting(3)
    store.may.set()
    writers.join()
    return store, writers


def test_a_failure_is_that_of_one_only() -> None:
    store, writers = three_together(ZeroDivisionError())
    assert isinstance(writers.got.pop("b"), ZeroDivisionError)
    assert writers.got == {"a": ["a"], "c": ["c"]}
    assert len(store.written) == 4


def test_a_database_that_fails_is_asked_once() -> None:
    store, writers = three_together(sa.exc.OperationalError("", {}, Exception()))
    assert len(store.written) == 1
    assert all(isinstance(one, sa.exc.OperationalError) for one in writers.got.values())


def test_many_writers_on_several_transactions_are_all_served() -> None:
    store = Store()
    store.may.set()
    writers = Writers(Together(store.write, 3))
    for number in range(200):
        writers.start(f"s{number % 40}")
    writers.join()
    assert sum(map(len, store.written)) == 200
    assert all(found == [name] for name, found in writers.got.items())


def test_studies_are_stored_with_few_statements(store: SqlStore) -> None:
    seen: list[str] = []

    def count(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    def of(first: int, number: int) -> int:
        seen.clear()
        found = store.update_studies(update(f"s{first + one}") for one in range(number))
        assert [bodies(one) for one in found] == [[f"s{first + one}.1"] for one in range(number)]
        return len(seen)

    of(0, 1)
    sa.event.listen(store.engine, "before_cursor_execute", count)
    one = of(1, 1)
    assert of(2, 40) <= one + 2


def test_studies_new_known_owned_and_gone_in_one_go(store: SqlStore) -> None:
    def builds(*names: str) -> Any:
        def build(bodies: Sequence[str], owned: Sequence[Stored]) -> list[Resource]:
            assert [one.id for one in owned] in ([], ["mine"])
            return [Resource("Observation", one, {"bodies": list(bodies)}) for one in names]

        return build

    store.update_studies([update("known", build=builds("k1", "k2", "mine"))])
    store.put([Resource("Observation", "mine", {"bodies": ["a person"]}, origin=PERSON)], "known")
    store.put([Resource("Observation", "early", {"bodies": []})], "new2")
    found = store.update_studies(
        [
            update("new1", build=builds("n1")),
            update("known", "2", builds("k1", "mine")),
            update("new2", build=builds("n2", "early")),
        ]
    )
    assert [[(one.id, one.version_id) for one in some] for some in found] == [
        [("n1", 1)],
        [("k1", 2), ("mine", 2)],
        [("n2", 1), ("early", 2)],
    ]
    assert bodies(found[1]) == ["known.1", "known.2"]
    assert bodies(found[1][1:]) == ["a person"]
    gone = store.read("Observation", "k2")
    assert gone is not None
    assert gone.deleted


def test_a_device_is_as_the_last_study_has_it(store: SqlStore) -> None:
    def builds(version: str) -> Any:
        return lambda *_: [Resource("Device", "shared", {"version": version})]

    versions = {"a": "1", "b": "1", "c": "2"}
    found = store.update_studies(update(one, build=builds(v)) for one, v in versions.items())
    assert [(one.version_id, json.loads(one.body)["version"]) for (one,) in found] == [
        (1, "1"),
        (1, "1"),
        (2, "2"),
    ]


def test_one_that_cannot_be_built_stores_nothing_and_hinders_no_other(store: SqlStore) -> None:
    def fails(_bodies: Any, _owned: Any) -> list[Resource]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.update_studies([update("bad", build=fails)])
    (good,) = store.update_studies([update("good")])
    assert bodies(good) == ["good.1"]
    store.rebuild_study("bad", lambda *_: pytest.fail("it has annotations"))


def test_what_comes_between_the_building_and_the_transaction_is_not_lost(store: SqlStore) -> None:
    other = update("s", "2")
    asked: list[int] = []

    def build(bodies: Sequence[str], owned: Sequence[Stored]) -> Sequence[Resource]:
        asked.append(len(bodies))
        if len(asked) == 1:
            # Another process stores an instance meanwhile.
            store.run(lambda one: one.update_studies([other]))
        return other.build(bodies, owned)

    (found,) = store.update_studies([update("s", "1", build)])
    assert bodies(found) == ["s.1", "s.2"]
    assert asked == [1, 2]


def test_the_same_is_built_once() -> None:
    asked: list[Sequence[str]] = []

    def build(bodies: Sequence[str], _owned: Any) -> list[Resource]:
        asked.append(bodies)
        return []

    ahead = BuiltAhead(build)
    for known in (["a"], ["a"], ["a", "b"], ["a", "b"]):
        ahead(known, [])
    ahead(["a", "b"], [Stored("Observation", "o", 1, "", "{}")])
    ahead(["a", "b"], [Stored("Observation", "o", 2, "", "{}")])
    assert len(asked) == 4


def test_nobody_prepares_while_one_writes() -> None:
    precedence = Precedence()
    prepared = threading.Event()

    def prepare() -> None:
        with precedence.preparing():
            prepared.set()

    with precedence.writing():
        thread = threading.Thread(target=prepare)
        thread.start()
        assert not prepared.wait(0.05)
    assert prepared.wait(30)
    thread.join()
