"""The engine that the tables live in: SQLite or PostgreSQL, each set up to lose nothing.

On both, a commit is on the disk when it returns.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa

from api.errors import RequestError
from api.store.file_turns import FileTurn

# What a process keeps open to PostgreSQL, and how many more it opens when all of them are busy.
CONNECTIONS: Final = 8
MORE_CONNECTIONS: Final = 16
# More threads than these do not run in a process.
SQLITE_MORE_CONNECTIONS: Final = 56
_SECONDS_FOR_A_CONNECTION: Final = 30
# A statement that takes longer is of no use to the client that waits for it; a writer that waits
# longer for another one is stuck; a transaction that idles longer was forgotten by its process.
_ON_POSTGRESQL: Final = {
    "application_name": "bodysite",
    "statement_timeout": "60s",
    "lock_timeout": "30s",
    "idle_in_transaction_session_timeout": "120s",
    "timezone": "UTC",
    "synchronous_commit": "on",
    # The indexes of tokens are read by narrow ranges; compiling costs more than it saves.
    "jit": "off",
}
_ON_SQLITE: Final = {
    "busy_timeout": "30000",
    "journal_mode": "WAL",
    "synchronous": "FULL",
    "foreign_keys": "ON",
    # What a checkpoint copies it copies once, however often it was written meanwhile.
    "wal_autocheckpoint": "4000",
    "cache_size": "-65536",
    "mmap_size": "268435456",
}
_WRITES: Final = "bodysite_writes"
_FILE: Final = "bodysite_file"


def open_engine(url: str, *, connections: int = CONNECTIONS) -> sa.Engine:
    """Return an engine; on SQLite a commit is on the disk when it returns.

    Who writes takes the connection from `writing`. ``postgresql://`` means the driver psycopg.

    Raises
    ------
    RequestError
        The URL names another database, or no file.
    """
    parsed = sa.make_url(url)
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return _open_postgresql(parsed, connections)
    if backend != "sqlite":
        raise RequestError(
            "database",
            f"'{backend}' is not supported",
            "sqlite or postgresql",
            "Name one of them, such as sqlite:///bodysite.sqlite.",
        )
    if parsed.database in (None, "", ":memory:"):
        raise RequestError(
            "database",
            f"'{url}' names no file",
            "a file, such as sqlite:///bodysite.sqlite",
            "Give the store a file; a temporary one will do.",
        )
    return _open_sqlite(parsed)


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Yield a connection in a transaction that writes; on SQLite, when it is its turn.

    Raises
    ------
    sqlalchemy.exc.TimeoutError
        Others wrote to the SQLite file all the time.
    """
    with engine.connect() as connection, turn_of(connection):
        connection = to_write(connection)
        with connection.begin():
            yield connection


def turn_of(connection: sa.Connection) -> FileTurn:
    """Return a connection's turn at writing, which is to be released; on PostgreSQL, at once."""
    return FileTurn(connection.info.get(_FILE, ""))


def to_write(connection: sa.Connection) -> sa.Connection:
    """Return a connection whose transactions take SQLite's write lock when they begin."""
    return connection.execution_options(**{_WRITES: True})


def _open_postgresql(url: sa.URL, connections: int) -> sa.Engine:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    engine = sa.create_engine(
        url,
        # A plan is made for the values asked for, not for all: codes differ in number by thousands.
        connect_args={"prepare_threshold": None},
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=connections,
        max_overflow=MORE_CONNECTIONS,
        pool_timeout=_SECONDS_FOR_A_CONNECTION,
    )

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            for name, value in _ON_POSTGRESQL.items():
                cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
        connection.commit()

    return engine


def _open_sqlite(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(
        url,
        connect_args={"check_same_thread": False},
        hide_parameters=True,
        # Opening the file again costs as much as an answer.
        pool_size=CONNECTIONS,
        max_overflow=SQLITE_MORE_CONNECTIONS,
        pool_timeout=_SECONDS_FOR_A_CONNECTION,
    )

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, record: Any) -> None:
        # SQLAlchemy begins transactions, not the driver.
        connection.isolation_level = None
        for name, value in _ON_SQLITE.items():
            connection.execute(f"PRAGMA {name}={value}").close()
        ((_, _, record.info[_FILE]),) = connection.execute("PRAGMA database_list").fetchall()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A writer takes its lock at once: one that read first would fail instead of waiting.
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
