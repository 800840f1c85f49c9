"""Migrations: what they make, databases of before them, several processes, newer releases."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from api.errors import RequestError
from api.records import Resource
from api.store import SqlStore
from api.store.engine import open_engine
from api.store.reindexing import is_indexed
from api.store.schema import metadata
from api.store.upgrading import HEAD, VERSION_TABLE, state_of, upgrade
from api.tx.resources_store import ResourceLibrary
from api.tx.resources_store import metadata as terminology_metadata
from tests.api import postgresql

pytestmark = pytest.mark.databases

# As the last release without migrations made them.
_BEFORE = """
CREATE TABLE setting (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE study (id TEXT NOT NULL PRIMARY KEY);
CREATE TABLE instance_annotation (
  study_id TEXT NOT NULL REFERENCES study (id), sop_instance_uid TEXT NOT NULL,
  body TEXT NOT NULL, PRIMARY KEY (study_id, sop_instance_uid));
CREATE TABLE resource (
  rid {serial}, type TEXT NOT NULL, id TEXT NOT NULL, study_id TEXT,
  version_id INTEGER NOT NULL, last_updated BIGINT NOT NULL, deleted BOOLEAN NOT NULL,
  digest TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (type, id));
CREATE INDEX resource_by_order ON resource (type, deleted, rid);
CREATE INDEX resource_by_study ON resource (study_id);
CREATE INDEX resource_by_time ON resource (type, last_updated);
CREATE TABLE token_value (
  value_id {small_serial}, type TEXT NOT NULL, param TEXT NOT NULL,
  code TEXT NOT NULL, system TEXT NOT NULL, UNIQUE (type, param, code, system));
CREATE TABLE token (
  value_id INTEGER NOT NULL, rid BIGINT NOT NULL, PRIMARY KEY (value_id, rid)){without};
CREATE INDEX token_by_resource ON token (rid, value_id);
INSERT INTO setting VALUES ('schema', '1');
INSERT INTO setting VALUES ('salt', '{salt}');
INSERT INTO study VALUES ('s1');
INSERT INTO instance_annotation VALUES ('s1', '1.2.3', '{{"a":1}}');
INSERT INTO resource (type, id, study_id, version_id, last_updated, deleted, digest, body)
  VALUES ('ImagingStudy', 's1', 's1', 4, 1700000000000000, {false}, 'x',
  '{{"resourceType":"ImagingStudy","id":"s1","meta":{{"versionId":"4"}},"status":"available"}}');
INSERT INTO resource (type, id, study_id, version_id, last_updated, deleted, digest, body)
  VALUES ('Observation', 'o1', 's1', 2, 1700000000000000, {true}, 'x', '{{}}');
INSERT INTO token_value (type, param, code, system) VALUES ('ImagingStudy', 'bodysite', 'c', 's');
INSERT INTO token VALUES (1, 1);
"""


def make_before(url: str) -> None:
    """Make a database as it was before the migrations."""
    sqlite = url.startswith("sqlite")
    statements = _BEFORE.format(
        serial="INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT" if sqlite else "BIGSERIAL PRIMARY KEY",
        small_serial="INTEGER NOT NULL PRIMARY KEY" if sqlite else "SERIAL PRIMARY KEY",
        without=" WITHOUT ROWID" if sqlite else "",
        false="0" if sqlite else "false",
        true="1" if sqlite else "true",
        salt="00" * 32,
    )
    engine = open_engine(url)
    with engine.connect() as connection:
        connection = connection.execution_options(bodysite_writes=True)
        with connection.begin():
            for statement in statements.split(";\n"):
                if statement.strip():
                    connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture
def empty(database_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database without any table."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.sqlite"
        return
    server: postgresql.Server = request.getfixturevalue("postgresql_server")
    with server.database(empty=True) as url:
        yield url


@contextlib.contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def differences(url: str) -> list[object]:
    """Return how the tables in a database differ from those that the code knows."""
    with connected(url) as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": VERSION_TABLE,
                "compare_type": True,
                "include_object": lambda _thing, name, *_: (
                    not str(name).startswith("resource_text")
                ),
            },
        )
        return [*compare_metadata(context, [metadata, terminology_metadata])]


def test_the_migrations_make_what_the_code_knows(empty: str) -> None:
    SqlStore(empty).close()
    assert differences(empty) == []
    with connected(empty) as connection:
        state = state_of(connection)
    assert (state.revision, state.schema, state.current) == (HEAD, "2", True)


@pytest.mark.parametrize("terminology_first", [False, True])
def test_a_database_of_before_the_migrations_is_brought_up(
    empty: str, *, terminology_first: bool
) -> None:
    make_before(empty)
    if terminology_first:
        ResourceLibrary(empty).close()
    store = SqlStore(empty)
    assert differences(empty) == []
    assert store.salt == bytes(32)
    study = store.read("ImagingStudy", "s1")
    assert study is not None
    assert (study.version_id, study.origin, study.method) == (4, "machine", "PUT")
    gone = store.read("Observation", "o1")
    assert gone is not None
    assert (gone.deleted, gone.method) == (True, "DELETE")
    assert not is_indexed(store)
    # It goes on as any other: the version is kept that is there now.
    store.put([Resource("ImagingStudy", "s1", {"status": "cancelled"})])
    versions = store.history("ImagingStudy", "s1").versions
    assert [one.version_id for one in versions] == [5, 4]
    store.close()
    SqlStore(empty).close()


def test_tables_of_the_terminology_alone_are_brought_up(empty: str) -> None:
    engine = open_engine(empty)
    with engine.begin() as connection:
        terminology_metadata.create_all(connection)
        connection.execute(sa.text("INSERT INTO terminology_state VALUES ('resources', 7)"))
    engine.dispose()
    store = SqlStore(empty)
    library = ResourceLibrary(empty)
    assert library.counter == 7
    assert is_indexed(store)
    library.close()
    store.close()
    assert differences(empty) == []


def _salt(url: str) -> str:
    store = SqlStore(url)
    try:
        store.put([Resource("Device", "d", {})])
        return store.salt.hex()
    finally:
        store.close()


@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
def test_several_processes_may_start_at_once(empty: str, *, old: bool) -> None:
    if old:
        make_before(empty)
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        salts = set(pool.map(_salt, [empty] * 6, chunksize=1))
    assert len(salts) == 1
    assert differences(empty) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE bodysite_version SET version_num = '9999'",
        "UPDATE setting SET value = '3' WHERE name = 'schema'",
    ],
)
def test_a_database_of_a_newer_release_is_refused(database: str, statement: str) -> None:
    SqlStore(database).close()
    engine = open_engine(database)
    with engine.begin() as connection:
        connection.execute(sa.text(statement))
    for opened in (SqlStore, ResourceLibrary):
        with pytest.raises(RequestError, match="expected version '2' or an earlier one"):
            opened(database)
    with engine.begin() as connection:
        assert not state_of(connection).current
    engine.dispose()


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    empty: str,
) -> None:
    make_before(empty)
    engine = open_engine(empty)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE date_value (x TEXT)"))
    with pytest.raises(sa.exc.SQLAlchemyError):
        upgrade(engine)
    with engine.connect() as connection:
        state = state_of(connection)
        columns = {one["name"] for one in sa.inspect(connection).get_columns("resource")}
    assert (state.revision, state.schema) == (None, "1")
    assert "origin" not in columns
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE date_value"))
    upgrade(engine)
    engine.dispose()
    assert differences(empty) == []
