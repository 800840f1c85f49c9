"""The tables of the store and the engine that they live in, SQLite or PostgreSQL.

::

    setting              name → value: the salt, the schema version
    study                one row a study: what a writer locks
    instance_annotation  one JSON a SOP instance: what a study's resources are rebuilt from
    resource             the current version of every resource, with `rid`, the order of search
    token_value          each distinct (resource type, parameter, system, code) in use, once
    token                which resource carries which value
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from api.errors import RequestError

metadata = sa.MetaData()
setting = sa.Table(
    "setting",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
study = sa.Table("study", metadata, sa.Column("id", sa.Text, primary_key=True))
instance = sa.Table(
    "instance_annotation",
    metadata,
    sa.Column("study_id", sa.Text, sa.ForeignKey("study.id"), primary_key=True),
    sa.Column("sop_instance_uid", sa.Text, primary_key=True),
    sa.Column("body", sa.Text, nullable=False),
)
resource = sa.Table(
    "resource",
    metadata,
    sa.Column(
        "rid",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("study_id", sa.Text, nullable=True),
    sa.Column("version_id", sa.Integer, nullable=False),
    sa.Column("last_updated", sa.BigInteger, nullable=False),
    sa.Column("deleted", sa.Boolean, nullable=False, default=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.UniqueConstraint("type", "id"),
    sqlite_autoincrement=True,
)
sa.Index("resource_by_order", resource.c.type, resource.c.deleted, resource.c.rid)
sa.Index("resource_by_study", resource.c.study_id)
sa.Index("resource_by_time", resource.c.type, resource.c.last_updated)
value = sa.Table(
    "token_value",
    metadata,
    sa.Column("value_id", sa.Integer, primary_key=True),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("param", sa.Text, nullable=False),
    sa.Column("code", sa.Text, nullable=False),
    sa.Column("system", sa.Text, nullable=False),
    sa.UniqueConstraint("type", "param", "code", "system"),
)
token = sa.Table(
    "token",
    metadata,
    sa.Column("value_id", sa.Integer, primary_key=True),
    sa.Column("rid", sa.BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)
sa.Index("token_by_resource", token.c.rid, token.c.value_id)


def open_engine(url: str) -> sa.Engine:
    """Return an engine; on SQLite a commit is on the disk when it returns.

    A connection with the execution option `bodysite_writes` takes SQLite's write lock at once.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise RequestError(
            "database",
            f"'{parsed.get_backend_name()}' is not supported",
            "sqlite or postgresql",
            "Name one of them, such as sqlite:///bodysite.sqlite.",
        )
    if parsed.get_backend_name() != "sqlite":
        return sa.create_engine(parsed, pool_pre_ping=True, hide_parameters=True)
    if parsed.database in (None, "", ":memory:"):
        raise RequestError(
            "database",
            f"'{url}' names no file",
            "a file, such as sqlite:///bodysite.sqlite",
            "Give the store a file; a temporary one will do.",
        )
    engine = sa.create_engine(
        parsed, connect_args={"check_same_thread": False}, hide_parameters=True
    )

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        # SQLAlchemy begins transactions, not the driver.
        connection.isolation_level = None
        for pragma in (
            "busy_timeout=30000",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-65536",
            "mmap_size=268435456",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A writer takes its lock at once: one that read first would fail instead of waiting.
        writes = connection.get_execution_options().get("bodysite_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
