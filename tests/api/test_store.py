"""The SQL store: versions, concurrency, and queries."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from api.errors import RequestError
from api.records import Criterion, Query, Resource, Token
from api.store import SqlStore
from api.store.engine import open_engine
from tests.api.conftest import running_server

pytestmark = pytest.mark.databases


def study(number: int, *codes: str, note: str = "") -> Resource:
    tokens = tuple(Token("bodysite", "s", code) for code in codes)
    return Resource("ImagingStudy", f"s{number}", {"note": note, "codes": codes}, tokens)


def criterion(store: SqlStore, *codes: str, negated: bool = False) -> Criterion:
    in_use = store.codes_in_use("ImagingStudy", "bodysite", "s")
    return Criterion(tuple(in_use[code] for code in codes if code in in_use), negated)


def found(store: SqlStore, query: Query, count: int = 100, **cursor: int) -> list[str]:
    return [one.id for one in store.search(query, count, **cursor).matches]


def test_what_has_not_changed_keeps_its_version(store: SqlStore) -> None:
    (first,) = store.put([study(1, "a")])
    (same,) = store.put([study(1, "a")])
    (other,) = store.put([study(1, "a", note="new")])
    assert (first.version_id, same.version_id, other.version_id) == (1, 1, 2)
    assert same == first
    assert '"versionId":"2"' in other.body
    read = store.read("ImagingStudy", "s1")
    assert read is not None
    assert read.body == other.body
    assert store.read("ImagingStudy", "s2") is None


def test_changed_tokens_replace_the_old_ones(store: SqlStore) -> None:
    store.put([study(1, "a")])
    store.put([study(1, "b")])
    assert found(store, Query("ImagingStudy", (criterion(store, "a"),))) == []
    assert found(store, Query("ImagingStudy", (criterion(store, "b"),))) == ["s1"]


@pytest.mark.parametrize("few", [2000, 3], ids=["gathered", "walked"])
def test_criteria_select_the_same_by_either_plan(
    store: SqlStore, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.store.clauses.FEW", few)
    contents = {number: {"abc"[number % 3], "de"[number % 2]} for number in range(30)}
    store.put([study(number, *sorted(codes)) for number, codes in contents.items()])
    for positive, negative in (("a", ""), ("ab", ""), ("abc", "d"), ("d", "a"), ("", "bd")):
        expected = [
            f"s{number}"
            for number, codes in contents.items()
            if (not positive or codes & set(positive)) and not codes & set(negative)
        ]
        criteria = [criterion(store, *positive)] if positive else []
        if negative:
            criteria.append(criterion(store, *negative, negated=True))
        query = Query("ImagingStudy", tuple(criteria))
        assert found(store, query) == expected
        assert store.count(query) == len(expected)
        forward: list[str] = []
        after = None
        while True:
            page = store.search(query, 4, after=after)
            forward += [one.id for one in page.matches]
            if not page.has_next:
                break
            after = page.matches[-1].rid
        assert forward == expected
        backward: list[str] = []
        before = 10**9
        while True:
            page = store.search(query, 4, before=before)
            backward = [one.id for one in page.matches] + backward
            if not page.has_previous:
                break
            before = page.matches[0].rid
        assert backward == expected


def test_a_study_is_rebuilt_from_all_its_instances(store: SqlStore) -> None:
    def build(bodies: object, _verdicts: object) -> list[Resource]:
        return [study(1, *bodies), Resource("Provenance", "p", {"n": os.urandom(4).hex()})]  # type: ignore[misc]

    store.update_study("s1", {"1": "a"}, build)
    results = store.update_study("s1", {"2": "b"}, build)
    assert [one.version_id for one in results] == [2, 2]
    again = store.update_study("s1", {"2": "b"}, build)
    assert again == results
    assert found(store, Query("ImagingStudy", (criterion(store, "a"),))) == ["s1"]


def test_a_failing_build_leaves_nothing_behind(store: SqlStore) -> None:
    def build(_bodies: object, _verdicts: object) -> list[Resource]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.update_study("s1", {"1": "a"}, build)
    seen: list[object] = []
    store.update_study(
        "s1", {"2": "b"}, lambda bodies, _verdicts: seen.append(list(bodies)) or [study(1)]
    )
    assert seen == [["b"]]


def test_two_stores_on_one_file_share_salt_and_wait_for_each_other(database: str) -> None:
    stores = [SqlStore(database), SqlStore(database)]
    assert stores[0].salt == stores[1].salt
    assert len(stores[0].salt) == 32

    def build(bodies: object, _verdicts: object) -> list[Resource]:
        return [study(1, *bodies)]  # type: ignore[misc]

    def work(store: SqlStore, start: int) -> None:
        for number in range(start, start + 20):
            store.update_study("s1", {str(number): f"c{number}"}, build)

    threads = [
        threading.Thread(target=work, args=(stores[number % 2], number * 100))
        for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stores[0].codes_in_use("ImagingStudy", "bodysite", "s")) == 80
    read = stores[1].read("ImagingStudy", "s1")
    assert read is not None
    assert read.version_id == 80
    for store in stores:
        store.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("mysql://localhost/x", "'mysql' is not supported"),
    ],
)
def test_a_store_is_a_file_or_postgresql(url: str, reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        SqlStore(url)


def test_a_database_of_another_version_is_refused(database: str) -> None:
    SqlStore(database).close()
    engine = open_engine(database)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE setting SET value = '99' WHERE name = 'schema'"))
    engine.dispose()
    with pytest.raises(RequestError, match="version '99'"):
        SqlStore(database)


def test_a_server_ends_cleanly_on_ctrl_c(tmp_path: Path, database: str) -> None:
    with running_server(tmp_path, database) as (process, address):
        assert httpx.get(f"{address}/health").status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(15) in {0, 130}


def test_a_criterion_of_very_many_values_is_answered_in_time(
    store: SqlStore, database_kind: str
) -> None:
    # More than the parameters that SQLite takes by default, and than a criterion may bind.
    count = 34_000 if database_kind == "sqlite" else 4_000
    store.put([study(number, "all", f"c{number}") for number in range(count)])
    in_use = store.codes_in_use("ImagingStudy", "bodysite", "s")
    many = tuple(key for code, key in in_use.items() if code != "all")
    common = criterion(store, "all")
    begun = time.perf_counter()
    for query, expected in (
        (Query("ImagingStudy", (Criterion(many),)), count),
        (Query("ImagingStudy", (common, Criterion(many))), count),
        (Query("ImagingStudy", (Criterion(many, negated=True),)), 0),
        (Query("ImagingStudy", (common, Criterion(many[1:], negated=True))), 1),
    ):
        assert store.count(query) == expected
        assert len(found(store, query, 5)) == min(expected, 5)
    assert time.perf_counter() - begun < 20


def test_a_database_keeps_one_phi_policy_for_life(database: str) -> None:
    first = SqlStore(database)
    first.bind_policy("keep")
    first.bind_policy("keep")
    first.close()
    again = SqlStore(database)
    with pytest.raises(RequestError, match="stored under the PHI policy 'keep', not 'hash'"):
        again.bind_policy("hash")
    again.close()


def test_a_page_knows_its_total_only_where_it_is_right(store: SqlStore) -> None:
    store.put(
        [study(number, "1", "2") if number % 2 else study(number, "1") for number in range(9)]
    )
    query = Query("ImagingStudy", (criterion(store, "1", "2"),))
    whole = store.search(query, 100)
    assert whole.total == store.count(query) == len(whole.matches) == 9
    rids = [one.rid for one in whole.matches]
    for at in range(9):
        later = store.search(query, 3, after=rids[at])
        assert ([one.rid for one in later.matches], later.total) == (rids[at + 1 : at + 4], 9)
        earlier = store.search(query, 3, before=rids[at])
        assert [one.rid for one in earlier.matches] == rids[max(at - 3, 0) : at]
    both = Query("ImagingStudy", (criterion(store, "1"), criterion(store, "2")))
    narrowed = store.search(both, 100)
    assert len(narrowed.matches) == 4
    assert narrowed.total in (None, 4)
