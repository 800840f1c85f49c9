"""Indexing again, checking, and copies of a database."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from api.cli import main
from api.errors import RequestError
from api.records import Criterion, DateRange, Query, Resource, Text, Token
from api.store import SqlStore
from api.store.maintenance import back_up, contents_of, problems_of
from api.store.reindexing import is_indexed, reindex
from api.store.schema import date, resource, setting, text, token

pytestmark = pytest.mark.databases


def indexed(kind: str, content: Mapping[str, Any]) -> Resource:
    name = str(content["name"])
    return Resource(
        kind,
        str(content["id"]),
        content,
        (Token("name", "s", name),),
        (DateRange("date", 1, 2),),
        (Text("name", name),),
        words=name,
    )


def stored(store: SqlStore, count: int) -> list[Resource]:
    resources = [
        indexed("Patient", {"resourceType": "Patient", "id": f"p{n}", "name": f"n{n}"})
        for n in range(count)
    ]
    store.put(resources)
    return resources


def rows(store: SqlStore) -> list[Any]:
    """Return all index rows, and the versions of what they are of."""
    with store.engine.connect() as connection:
        found: list[Any] = []
        for table in (token, date, text):
            found += sorted(map(tuple, connection.execute(sa.select(table))), key=str)
        full = sa.text("SELECT count(*) FROM resource_text")
        found.append(connection.scalar(full))
        versions = sa.select(resource.c.id, resource.c.version_id).order_by(resource.c.rid)
        return [*found, *map(tuple, connection.execute(versions))]


def damage(store: SqlStore) -> None:
    with store.engine.begin() as connection:
        for table in (token, date, text):
            connection.execute(sa.delete(table))
        connection.execute(sa.text("DELETE FROM resource_text"))
        connection.execute(sa.delete(setting).where(setting.c.name == "index"))


def test_indexing_again_makes_the_same_rows_and_no_versions(store: SqlStore) -> None:
    resources = stored(store, 450)
    store.run(lambda one: one.delete("Patient", "p7"))
    before = rows(store)
    damage(store)
    assert not is_indexed(store)
    assert len(list(problems_of(store))) == 1
    shown: list[tuple[int, int]] = []
    assert reindex(store, indexed, lambda done, total: shown.append((done, total))) == 449
    assert shown[0] == (0, 449)
    assert shown[-1] == (449, 449)
    assert rows(store) == before
    assert is_indexed(store)
    # What is put again is known to be the same.
    assert [one.version_id for one in store.put(resources[8:20])] == [1] * 12


def test_an_interrupted_indexing_goes_on_where_it_was(store: SqlStore) -> None:
    stored(store, 450)
    before = rows(store)
    damage(store)

    def stops(done: int, _total: int) -> None:
        if done == 400:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reindex(store, indexed, stops)
    assert not is_indexed(store)
    shown: list[int] = []
    assert reindex(store, indexed, lambda done, _total: shown.append(done)) == 50
    assert shown == [400, 450]
    assert rows(store) == before
    assert is_indexed(store)


def test_writers_go_on_while_it_is_indexed_again(store: SqlStore) -> None:
    stored(store, 250)
    other = SqlStore(store.engine.url.render_as_string(hide_password=False))

    def writes(_done: int, _total: int) -> None:
        number = next(numbers, None)
        if number is None:
            return
        new = {"resourceType": "Patient", "id": f"p{number}", "name": "changed"}
        other.put([indexed("Patient", new)])

    numbers = iter((248, 249, 250))
    reindex(store, indexed, writes)
    other.close()
    values = store.find_values("Patient", "name", system="s", code="changed")
    found = store.search(Query("Patient", (Criterion(values),)), 10).matches
    assert [one.id for one in found] == ["p248", "p249", "p250"]
    assert list(problems_of(store)) == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE resource SET body = '{' WHERE id = 'p1'", "Patient/p1 is not what its row says."),
        ("UPDATE resource SET version_id = 9 WHERE id = 'p1'", "Patient/p1 is not what its row"),
        ("DELETE FROM resource WHERE id = 'p1'", "Rows of token without a resource: 1."),
        ("DELETE FROM token_value", "Rows of token without a value: 3."),
        (
            "INSERT INTO resource_version VALUES (1, 1, 5, 'PUT', false, '{}')",
            "Replaced versions that nothing has replaced: 1.",
        ),
    ],
)
def test_what_is_not_whole_is_named(store: SqlStore, statement: str, said: str) -> None:
    stored(store, 3)
    assert list(problems_of(store)) == []
    with store.engine.begin() as connection:
        connection.execute(sa.text(statement))
    assert any(one.startswith(said) for one in problems_of(store))


def test_contents_are_counted(store: SqlStore) -> None:
    stored(store, 3)
    store.put([Resource("Patient", "p0", {"name": "x"})])
    store.update_study("s", {"1": "a"}, lambda _b, _v: [Resource("Observation", "o", {})])
    found = contents_of(store)
    assert found.resources == {"Observation": 1, "Patient": 3}
    assert (found.replaced, found.studies, found.instances, found.indexed) == (1, 1, 1, True)
    assert found.size > 0


def test_a_copy_is_whole_while_others_write(
    store: SqlStore, database_kind: str, database: str, tmp_path: Path
) -> None:
    target = tmp_path / "copy.sqlite"
    if database_kind != "sqlite":
        with pytest.raises(RequestError, match=r"pg_dump -Fc -f FILE test_\d+"):
            back_up(database, target)
        return
    stored(store, 300)
    done = threading.Event()

    def writes() -> None:
        number = 0
        while not done.is_set():
            number += 1
            store.put([Resource("Observation", f"o{number}", {"value": number})])

    writer = threading.Thread(target=writes)
    writer.start()
    try:
        back_up(database, target)
    finally:
        done.set()
        writer.join()
    copy = SqlStore(f"sqlite:///{target}")
    assert list(problems_of(copy)) == []
    assert copy.salt == store.salt
    assert contents_of(copy).resources["Patient"] == 300
    copy.close()
    with pytest.raises(RequestError, match="it is there already"):
        back_up(database, target)
    assert not list(tmp_path.glob("*.part"))


def command(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["database", *arguments])
    return result.exit_code, result.output


def test_the_commands_look_after_a_database(
    store: SqlStore, database: str, database_kind: str, tmp_path: Path
) -> None:
    store.bind_policy("hash")
    content = {"resourceType": "Patient", "id": "p", "name": [{"family": "Mustermann"}]}
    store.put([Resource("Patient", "p", content)])
    where = ("--database", database)
    assert command("upgrade", *where) == (0, "The tables are those of this release.\n")
    assert command("check", *where) == (0, "The database is whole.\n")
    damage(store)
    status, said = command("check", *where)
    assert status == 1
    assert "bodysite database reindex" in said
    status, said = command("upgrade", *where)
    assert "not indexed" in said
    assert command("reindex", *where) == (0, "1 resources were indexed.\n")
    status, said = command("info", "--json", *where)
    found = json.loads(said)
    assert status == 0
    assert (found["current"], found["indexed"], found["phi"]) == (True, True, "hash")
    assert found["resources"] == {"Patient": 1}
    assert "resources" in command("info", *where)[1]
    status, said = command("backup", *where, str(tmp_path / "copy.sqlite"))
    assert (status, "pg_dump" in said) == ((0, False) if database_kind == "sqlite" else (2, True))
    values = store.find_values("Patient", "family", system=None, code=None)
    with store.engine.connect() as connection:
        folded = connection.scalars(sa.select(text.c.folded).where(text.c.param == "family")).all()
    assert (values, folded) == ((), ["mustermann"])


def test_a_service_does_not_start_on_what_it_would_not_find(store: SqlStore, database: str) -> None:
    stored(store, 1)
    damage(store)
    result = CliRunner().invoke(main, ["serve", "--port", "0", "--database", database])
    assert result.exit_code == 2
    assert "bodysite database reindex --database" in result.output


@pytest.mark.parametrize("name", ["info", "upgrade", "reindex", "check", "backup"])
def test_a_database_that_is_not_there_is_not_made(name: str, tmp_path: Path) -> None:
    file = tmp_path / "missing.sqlite"
    more = [str(tmp_path / "copy")] if name == "backup" else []
    status, said = command(name, "--database", f"sqlite:///{file}", *more)
    assert status == 2
    assert f"there is no file '{file}'" in said
    assert not file.exists()
