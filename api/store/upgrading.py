"""The version of the tables in a database, and how it becomes the newest.

Alembic's migrations make every table there is, those of `api.tx.resources_store` included. All of
them run in one transaction under a lock, so that of several processes that start at once the first
one does the work and the others find it done. A database that was made before there were
migrations has the tables of the first one, all or some of them; it makes what is missing.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from api.errors import RequestError
from api.store.engine import writing
from api.store.schema import SCHEMA_VERSION

HEAD: Final = "0002"
VERSION_TABLE: Final = "bodysite_version"
_SCRIPTS: Final = Path(__file__).parent / "migrations"
# Any number will do that other programs on the same PostgreSQL server do not lock.
_LOCK: Final = 0x626F647973697465
# Alembic's environment is one a process.
_ONE_AT_A_TIME: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class State:
    """What a database is: the revision of its tables, the version that it names, new or not.

    `revision` is `None` for an empty database and for one of before the migrations; `schema` is
    `None` for an empty one.
    """

    revision: str | None
    schema: str | None

    @property
    def current(self) -> bool:
        """Whether the tables are those of this release."""
        return self.revision == HEAD and self.schema == SCHEMA_VERSION

    @property
    def empty(self) -> bool:
        """Whether there is nothing yet."""
        return self.revision is None and self.schema is None


def state_of(connection: sa.Connection) -> State:
    """Return what a database is, without changing it."""
    inspector = sa.inspect(connection)
    revision = schema = None
    if inspector.has_table(VERSION_TABLE):
        revision = connection.scalar(sa.text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
    if inspector.has_table("setting"):
        schema = connection.scalar(sa.text("SELECT value FROM setting WHERE name = 'schema'"))
    return State(revision, schema)


def upgrade(engine: sa.Engine) -> None:
    """Make or bring up to this release the tables of a database.

    Raises
    ------
    RequestError
        A newer release made them.
    """
    with engine.connect() as connection, connection.begin():
        if _checked(state_of(connection)).current:
            return
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
            connection.execute(sa.text("SET LOCAL lock_timeout = 0"))
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        if not _checked(state_of(connection)).current:
            _migrate(connection)


def _checked(state: State) -> State:
    """Return `state`; `RequestError` where a newer release left it."""
    known = {str(number) for number in range(1, int(SCHEMA_VERSION) + 1)}
    newer = state.revision is not None and state.revision > HEAD
    if newer or (state.schema is not None and state.schema not in known):
        raise RequestError(
            "database",
            f"its tables have version '{state.schema}', revision '{state.revision}'",
            f"version '{SCHEMA_VERSION}' or an earlier one",
            "Use the release of Bodysite that made it, or start a new database.",
        )
    return state


def _migrate(connection: sa.Connection) -> None:
    # Alembic takes a while to load, and only an old or an empty database needs it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    with _ONE_AT_A_TIME:
        command.upgrade(config, "head")
