"""Transactions: versions, conflicts, what persons own, and writers that meet."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from api.records import PERSON, Amount, Criterion, DateRange, Query, Resource, Stored, Text, Token
from api.store import SqlStore, Transaction, VersionConflictError
from api.store.schema import date, quantity, text, token, version

pytestmark = pytest.mark.databases


def patient(name: str = "a", *, origin: Any = "machine", **more: Any) -> Resource:
    tokens = (Token("name", "s", name),)
    return Resource("Patient", "p1", {"name": name, **more}, tokens, origin=origin)


def observation(number: int, value: str, *, origin: Any = "machine") -> Resource:
    content = {"value": value}
    return Resource("Observation", f"o{number}", content, (Token("v", "s", value),), origin=origin)


def test_every_version_can_be_read_again(store: SqlStore) -> None:
    with store.transaction() as one:
        one.put(patient("a"), create_only=True)
    with store.transaction() as one:
        one.put(patient("b"))
    with store.transaction() as one:
        gone = one.delete("Patient", "p1")
        assert one.delete("Patient", "p1") is None
    assert gone is not None
    assert (gone.version_id, gone.deleted, gone.method, gone.body) == (3, True, "DELETE", "")
    store.put([patient("c")])
    versions = [store.read_version("Patient", "p1", number) for number in (1, 2, 3, 4)]
    assert [one and (one.version_id, one.method, one.deleted) for one in versions] == [
        (1, "POST", False),
        (2, "PUT", False),
        (3, "DELETE", True),
        (4, "PUT", False),
    ]
    assert [json.loads(one.body)["name"] for one in versions if one and one.body] == [*"abc"]
    assert store.read_version("Patient", "p1", 5) is None
    assert store.read_version("Patient", "p2", 1) is None


def test_history_is_newest_first_and_pages_are_stable(store: SqlStore) -> None:
    for name in "abc":
        store.put([patient(name), observation(1, name)])
    store.run(lambda one: one.delete("Observation", "o1"))
    everything = store.history()
    found = [(one.type, one.version_id) for one in everything.versions]
    assert found[0] == ("Observation", 4)
    versions = [("Observation", number) for number in (1, 2, 3, 4)]
    assert sorted(found) == [*versions, *(("Patient", number) for number in (1, 2, 3))]
    assert everything.next is None
    assert store.history("Patient", "p1").total == 3
    paged: list[tuple[str, int]] = []
    before = None
    for _ in range(10):
        page = store.history(count=2, before=before)
        paged += [(one.type, one.version_id) for one in page.versions]
        before = page.next
        store.put([Resource("Device", f"d{len(paged)}", {})])
        if before is None:
            break
    assert paged == found, "what was written meanwhile is newer than any page behind"
    kinds = {one.type for one in store.history("Patient").versions}
    assert kinds == {"Patient"}


def test_history_knows_what_was_current_at_a_time(store: SqlStore) -> None:
    for name in "abc":
        store.put([patient(name)])
    # Times of our own: the three were stored within one millisecond.
    with store.engine.begin() as connection:
        for number, when in ((1, 10), (2, 20)):
            kept = version.update().where(version.c.version_id == number)
            connection.execute(kept.values(last_updated=when))
        connection.execute(sa.text("UPDATE resource SET last_updated = 30"))

    def current(low: int | None, high: int | None) -> list[int]:
        page = store.history("Patient", "p1", at=(low, high))
        assert page.total == len(page.versions)
        return [one.version_id for one in page.versions]

    assert current(None, 10) == []
    assert current(0, 11) == [1]
    assert current(15, 16) == [1]
    assert current(15, 21) == [2, 1]
    assert current(20, 21) == [2]
    assert current(40, None) == [3]
    assert [one.version_id for one in store.history(since=20).versions] == [3, 2]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda one: one.put(patient("x"), expected_version=1), 412),
        (lambda one: one.delete("Patient", "p1", 3), 412),
        (lambda one: one.put(patient("x"), create_only=True), 409),
        (lambda one: one.put(observation(9, "x"), expected_version=1), 412),
    ],
)
def test_a_change_to_another_version_is_refused(
    store: SqlStore, change: Callable[[Transaction], object], status: int
) -> None:
    store.put([patient("a")])
    store.put([patient("b")])
    with pytest.raises(VersionConflictError) as refused:
        store.run(change)
    assert refused.value.status == status
    assert store.read("Observation", "o9") is None
    left = store.read("Patient", "p1")
    assert left is not None
    assert left.version_id == 2


def test_a_transaction_is_stored_whole_or_not_at_all(store: SqlStore) -> None:
    def fails(one: Transaction) -> None:
        one.put(patient("only here"))
        one.put(observation(1, "a"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.run(fails)
    assert store.read("Patient", "p1") is None
    assert store.history().versions == ()
    # Keys that the transaction had given are not taken for known.
    store.put([patient("only here")])
    values = store.find_values("Patient", "name", system="s", code="only here")
    assert store.count(Query("Patient", (Criterion(values),))) == 1


def test_a_transaction_finds_what_it_wrote(store: SqlStore) -> None:
    store.put([patient("a")])
    values = store.find_values("Patient", "name", system="s", code="a")
    query = Query("Patient", (Criterion(values),))
    with store.transaction() as one:
        one.put(Resource("Patient", "p2", {"name": "a"}, (Token("name", "s", "a"),)))
        assert [found.id for found in one.matching(query, 10)] == ["p1", "p2"]
        one.delete("Patient", "p1")
        assert [found.id for found in one.matching(query, 10)] == ["p2"]
        assert one.study_of("Patient", "p2") is None


def test_what_only_the_index_says_makes_no_version(store: SqlStore) -> None:
    (first,) = store.put([patient("a")])
    found_by = (
        Resource("Patient", "p1", {"name": "a"}, (Token("name", "s", "other"),)),
        Resource("Patient", "p1", {"name": "a"}, dates=(DateRange("birthdate", 1, None),)),
        Resource("Patient", "p1", {"name": "a"}, texts=(Text("name", "Jürgen  GROß"),)),
        Resource("Patient", "p1", {"name": "a"}, amounts=(Amount("size", "u", "cm", 1.5),)),
        Resource("Patient", "p1", {"name": "a"}, narrative="Knie", words="Knie links"),
    )
    for resource in found_by:
        assert store.put([resource]) == [first]
    with store.engine.connect() as connection:
        for table in (token, date, text, quantity):
            assert connection.execute(sa.select(table)).all() == [], table.name
    store.put([found_by[2]])
    with store.engine.connect() as connection:
        row = connection.execute(sa.select(text)).one()
    assert (row.folded, row.exact) == ("jurgen gross", "Jürgen  GROß")


def test_meta_of_a_resource_is_kept_beside_that_of_the_store(store: SqlStore) -> None:
    meta = {"profile": ["https://a"], "versionId": "77", "lastUpdated": "1999"}
    (stored,) = store.put([patient("a", meta=meta)])
    found = json.loads(stored.body)["meta"]
    assert found["profile"] == ["https://a"]
    assert found["versionId"] == "1"
    assert not found["lastUpdated"].startswith("1999")
    assert store.put([patient("a", meta={"profile": ["https://a"]})]) == [stored]


def test_the_machine_leaves_what_a_person_owns_alone(store: SqlStore) -> None:
    seen: list[list[str]] = []

    def build(bodies: Sequence[str], verdicts: Sequence[Stored]) -> list[Resource]:
        seen.append([one.id for one in verdicts])
        return [observation(number, body) for number, body in enumerate(bodies)]

    store.update_study("s", {"1": "a", "2": "b"}, build)
    with store.transaction() as one:
        corrected = one.put(observation(1, "mine", origin=PERSON))
        assert one.study_of("Observation", "o1") == "s"
    kept = store.update_study("s", {"1": "x", "2": "y"}, build)
    assert kept[1] == corrected
    assert kept[1].origin == PERSON
    assert json.loads(kept[0].body)["value"] == "x"
    # Nor is it deleted when the machine has nothing to say there.
    store.update_study("s", {}, lambda _bodies, _verdicts: [observation(0, "x")])
    assert store.read("Observation", "o1") == corrected
    assert seen == [[], ["o1"]]
    # Deleted by a person, it is the machine's again.
    store.run(lambda one: one.delete("Observation", "o1"))
    again = store.rebuild_study("s", build)
    assert [one.id for one in again] == ["o0"], "what was deleted stays so until more is known"
    again = store.update_study("s", {"1": "z"}, build)
    assert [(one.id, one.origin) for one in again] == [("o0", "machine"), ("o1", "machine")]


def test_a_study_without_annotations_is_not_rebuilt(store: SqlStore) -> None:
    def build(_bodies: object, _verdicts: object) -> list[Resource]:
        raise AssertionError

    assert store.rebuild_study("unknown", build) == []


def test_of_several_writers_one_at_a_time_wins(store: SqlStore) -> None:
    store.put([patient("0")])
    won: list[int] = []
    conflicts: list[int] = []

    def work(number: int) -> None:
        for _ in range(15):

            def change(one: Transaction) -> None:
                there = one.read("Patient", "p1")
                assert there is not None
                name = f"{number}.{there.version_id}"
                one.put(patient(name), expected_version=there.version_id)

            try:
                store.run(change)
                won.append(number)
            except VersionConflictError:
                conflicts.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = store.read("Patient", "p1")
    assert left is not None
    assert left.version_id == 1 + len(won)
    assert len(won) + len(conflicts) == 60
    assert store.history("Patient", "p1").total == left.version_id


def test_writers_in_each_others_way_try_again(store: SqlStore) -> None:
    store.put([observation(1, "0"), observation(2, "0")])
    both = threading.Barrier(2)

    def work(first: int, second: int) -> None:
        tries: list[int] = []

        def change(one: Transaction) -> None:
            tries.append(1)
            one.put(observation(first, f"{first}"))
            if len(tries) == 1 and store.engine.dialect.name == "postgresql":
                both.wait(20)
            one.put(observation(second, f"{first}"))

        store.run(change)

    threads = [threading.Thread(target=work, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [store.read("Observation", one) for one in ("o1", "o2")]
    values = {json.loads(one.body)["value"] for one in found if one}
    assert len(values) == 1, "the one that came last wrote both"


def test_the_same_new_resource_from_several_writers_is_stored_once(store: SqlStore) -> None:
    def build(bodies: Sequence[str], _verdicts: object) -> list[Resource]:
        return [observation(1, "|".join(bodies)), Resource("Device", "d", {"n": 1})]

    def work(number: int) -> None:
        for one in range(5):
            store.update_study("s", {f"{number}.{one}": f"{number}.{one}"}, build)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    study = store.read("Observation", "o1")
    device = store.read("Device", "d")
    assert study is not None
    assert device is not None
    assert (study.version_id, device.version_id) == (20, 1)
    assert len(json.loads(study.body)["value"].split("|")) == 20


def test_writers_that_read_meanwhile_leave_each_other_connections(store: SqlStore) -> None:
    store.put([patient("a")])
    begun = threading.Barrier(40)
    problems: list[BaseException] = []

    def write(number: int) -> None:
        try:
            begun.wait(30)
            with store.transaction() as one:
                one.put(Resource("Patient", f"q{number}", {"name": "b"}, ()))
                # Over a connection of its own.
                assert store.read("Patient", "p1") is not None
        except BaseException as error:  # noqa: BLE001
            problems.append(error)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(40)]
    for one in writers:
        one.start()
    for one in writers:
        one.join(60)
    assert problems == []
    assert all(store.read("Patient", f"q{number}") for number in range(40))
