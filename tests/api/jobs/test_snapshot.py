"""The state of one instant, though resources are changed and deleted meanwhile."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from api.jobs.snapshot import changed_studies, cut, past, past_of_studies
from api.records import Resource
from api.store import SqlStore
from api.store.rows import now

pytestmark = pytest.mark.databases


def resource(name: str, note: str = "", kind: str = "Patient") -> Resource:
    return Resource(kind, name, {"note": note})


def notes(found: Any) -> dict[str, str]:
    return {one.id: json.loads(one.body)["note"] for one in found}


def moment_of(store: SqlStore) -> int:
    return cut(store.engine, at_least=now())


def delete(store: SqlStore, name: str, kind: str = "Patient") -> None:
    store.run(lambda transaction: transaction.delete(kind, name))


def test_changes_after_the_instant_do_not_show(store: SqlStore) -> None:
    store.put([resource("kept", "1"), resource("changed", "1"), resource("deleted", "1")])
    moment = moment_of(store)
    store.put([resource("changed", "2"), resource("new", "2")])
    store.put([resource("changed", "3")])
    delete(store, "deleted")
    expected = {"kept": "1", "changed": "1", "deleted": "1"}
    assert notes(past(store.engine, "Patient", moment)) == expected
    later = notes(past(store.engine, "Patient", moment_of(store)))
    assert later == {"kept": "1", "changed": "3", "new": "2"}


def test_what_is_acknowledged_is_in_the_instant(store: SqlStore) -> None:
    for number in range(20):
        store.put([resource(f"p{number}")])
        assert len(notes(past(store.engine, "Patient", moment_of(store)))) == number + 1


def test_only_changes_after_a_time_are_told(store: SqlStore) -> None:
    store.put([resource("old", "1"), resource("changed", "1"), resource("gone", "1")])
    since = moment_of(store)
    store.put([resource("changed", "2"), resource("new", "1")])
    delete(store, "gone")
    moment = moment_of(store)
    assert notes(past(store.engine, "Patient", moment, since=since)) == {"changed": "2", "new": "1"}
    all_of_them = list(past(store.engine, "Patient", moment, since=since, deleted=True))
    assert {(one.id, one.deleted) for one in all_of_them} == {
        ("changed", False),
        ("new", False),
        ("gone", True),
    }


def test_the_work_goes_on_behind_any_resource(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.jobs.snapshot.PAGE", 3)
    store.put([resource(f"p{number:02}") for number in range(10)])
    moment = moment_of(store)
    whole = list(past(store.engine, "Patient", moment))
    assert [one.id for one in whole] == [f"p{number:02}" for number in range(10)]
    for place, one in enumerate(whole):
        rest = past(store.engine, "Patient", moment, after=one.rid)
        assert list(rest) == whole[place + 1 :]
    only = [one.rid for one in whole if one.rid % 2]
    chosen = list(past(store.engine, "Patient", moment, only=only))
    assert [one.rid for one in chosen] == only
    rest = past(store.engine, "Patient", moment, only=only, after=only[1])
    assert [one.rid for one in rest] == only[2:]


def test_nothing_is_committed_later_into_an_instant(store: SqlStore) -> None:
    """Writers that began before the instant and commit after it would be missed by the next one."""
    ending = threading.Event()
    problems: list[BaseException] = []

    def write(of: int) -> None:
        number = 0
        try:
            while not ending.is_set():
                number += 1

                def change(transaction: Any, number: int = number) -> None:
                    transaction.put(resource(f"w{of}-{number % 7}", str(number)))
                    # Others commit meanwhile.
                    time.sleep(0.003)
                    transaction.put(resource(f"x{of}-{number % 5}", str(number)))

                store.run(change)
        except BaseException as problem:  # noqa: BLE001
            problems.append(problem)

    threads = [threading.Thread(target=write, args=(of,)) for of in range(4)]
    for one in threads:
        one.start()
    try:
        seen = []
        for _ in range(8):
            moment = moment_of(store)
            seen.append((moment, list(past(store.engine, "Patient", moment))))
    finally:
        ending.set()
        for one in threads:
            one.join()
    assert not problems
    assert len(seen[-1][1]) > 10
    for moment, found in seen:
        assert list(past(store.engine, "Patient", moment)) == found


def test_observations_come_with_their_studies_as_they_were(store: SqlStore) -> None:
    for study in ("s1", "s2"):
        observed = [resource(f"{study}-o{number}", "1", "Observation") for number in (1, 2)]
        store.put([resource(study, "1", "ImagingStudy"), *observed], study)
    moment = moment_of(store)
    store.put([resource("s1-o1", "2", "Observation")], "s1")
    delete(store, "s1-o2", "Observation")
    found = past_of_studies(store.engine, "Observation", ["s1", "s2"], moment)
    assert {key: notes(them) for key, them in found.items()} == {
        "s1": {"s1-o1": "1", "s1-o2": "1"},
        "s2": {"s2-o1": "1", "s2-o2": "1"},
    }
    rids = changed_studies(store.engine, moment)
    changed = past(store.engine, "ImagingStudy", moment_of(store), only=rids)
    assert [one.id for one in changed] == ["s1"]


def test_a_transaction_that_is_open_for_long_is_behind_the_instant(
    store: SqlStore, database_kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database_kind != "postgresql":
        pytest.skip("SQLite has one writer at a time, for which the instant waits")
    monkeypatch.setattr("api.jobs.snapshot._SECONDS_TO_WAIT", 0.05)
    store.put([resource("before", "1")])
    seen: list[int] = []

    def write(transaction: Any) -> None:
        transaction.put(resource("slow", "1"))
        other = threading.Thread(target=lambda: seen.append(moment_of(store)))
        other.start()
        other.join()

    store.run(write)
    (moment,) = seen
    assert notes(past(store.engine, "Patient", moment)) == {"before": "1"}
    later = moment_of(store)
    assert notes(past(store.engine, "Patient", later, since=moment)) == {"slow": "1"}
