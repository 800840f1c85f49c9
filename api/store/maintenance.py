"""What looks after a database: what is in it, whether it is whole, and a copy of it."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from api.errors import RequestError
from api.store import schema
from api.store.reindexing import is_indexed
from api.store.sql import SqlStore

# Pages of a database file that are copied before a writer may have its turn.
_PAGES_AT_ONCE: Final = 4096
_SHOWN: Final = 5
_IS_LIVE: Final = schema.resource.c.deleted == sa.false()


@dataclass(frozen=True, slots=True)
class Contents:
    """How much a database holds.

    `resources` counts the live ones by type, `replaced` the versions that others have replaced.
    """

    resources: dict[str, int]
    replaced: int
    studies: int
    instances: int
    size: int
    indexed: bool


def contents_of(store: SqlStore) -> Contents:
    """Return how much is in a database; it counts everything, which takes a while."""
    by_type = (
        sa.select(schema.resource.c.type, sa.func.count().label("number"))
        .where(_IS_LIVE)
        .group_by(schema.resource.c.type)
        .order_by(schema.resource.c.type)
    )
    size = (
        "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
        if store.engine.dialect.name == "sqlite"
        else "SELECT pg_database_size(current_database())"
    )
    with store.engine.connect() as connection:

        def counted(table: sa.Table) -> int:
            return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0

        return Contents(
            {row.type: row.number for row in connection.execute(by_type)},
            counted(schema.version),
            counted(schema.study),
            counted(schema.instance),
            int(connection.scalar(sa.text(size)) or 0),
            is_indexed(store),
        )


def problems_of(store: SqlStore) -> Iterator[str]:
    """Yield what is wrong with a database, a sentence each; nothing where it is whole.

    It reads everything, and may take minutes.
    """
    with store.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            for (found,) in connection.execute(sa.text("PRAGMA integrity_check")):
                if found != "ok":
                    yield f"The file is damaged: {found}."
        for what, statement in _ORPHANS:
            number = connection.scalar(sa.select(sa.func.count()).select_from(statement.subquery()))
            if number:
                yield f"{what}: {number}."
        yield from _unreadable(connection)
    if not is_indexed(store):
        yield "Not everything is indexed for this release: run 'bodysite database reindex'."


def _without_resource(table: sa.Table) -> sa.Select[Any]:
    live = sa.select(schema.resource.c.rid).where(schema.resource.c.rid == table.c.rid, _IS_LIVE)
    return sa.select(table.c.rid).where(~live.exists())


def _orphans() -> Iterator[tuple[str, sa.Select[Any]]]:
    for table in (schema.token, schema.date, schema.text, schema.quantity):
        yield f"Rows of {table.name} without a resource", _without_resource(table)
    known = sa.select(schema.value.c.value_id).where(
        schema.value.c.value_id == schema.token.c.value_id
    )
    yield "Rows of token without a value", sa.select(schema.token.c.rid).where(~known.exists())
    studied = sa.select(schema.study.c.id).where(schema.study.c.id == schema.instance.c.study_id)
    yield (
        "Annotations of instances without a study",
        sa.select(schema.instance.c.study_id).where(~studied.exists()),
    )
    # A version more than there is, or the current one among the replaced ones.
    ahead = sa.select(schema.resource.c.rid).where(
        schema.resource.c.rid == schema.version.c.rid,
        schema.resource.c.version_id > schema.version.c.version_id,
    )
    yield (
        "Replaced versions that nothing has replaced",
        sa.select(schema.version.c.rid).where(~ahead.exists()),
    )


_ORPHANS: Final = tuple(_orphans())


def _unreadable(connection: sa.Connection) -> Iterator[str]:
    """Yield which live resources are no JSON, or not what their row says."""
    columns = ("rid", "type", "id", "version_id", "body")
    statement = sa.select(*(schema.resource.c[name] for name in columns)).where(_IS_LIVE)
    wrong = 0
    with connection.execution_options(yield_per=500).execute(statement) as rows:
        for row in rows:
            if _says(row):
                continue
            wrong += 1
            if wrong <= _SHOWN:
                yield f"{row.type}/{row.id} is not what its row says."
    if wrong > _SHOWN:
        yield f"So are {wrong - _SHOWN} others."


def _says(row: Any) -> bool:
    try:
        body = json.loads(row.body)
        said = (body["resourceType"], body["id"], body["meta"]["versionId"])
    except (ValueError, KeyError, TypeError):
        return False
    return bool(said == (row.type, row.id, str(row.version_id)))


def back_up(
    url: str, target: Path, progress: Callable[[int, int], None] = lambda _done, _all: None
) -> None:
    """Copy a SQLite database to a file, as it is at one moment; others may go on writing.

    The file is there whole or not at all.

    Raises
    ------
    RequestError
        The database is no SQLite file, or `target` is there already.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        name = parsed.database or "DATABASE"
        raise RequestError(
            "database",
            "it is on a PostgreSQL server",
            "a SQLite file",
            f"Copy it with PostgreSQL's own program: pg_dump -Fc -f FILE {name}.",
        )
    if not parsed.database or not Path(parsed.database).is_file():
        raise RequestError(
            "database", f"'{parsed.database}' is no file", "a SQLite file", "Check the path."
        )
    if target.exists():
        raise RequestError(
            str(target), "it is there already", "a new file", "Name another one, or remove it."
        )
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        with (
            closing(sqlite3.connect(parsed.database)) as source,
            closing(sqlite3.connect(part)) as copy,
        ):
            source.execute("PRAGMA busy_timeout=30000")
            source.backup(
                copy,
                pages=_PAGES_AT_ONCE,
                progress=lambda _status, left, total: progress(total - left, total),
            )
        _to_disk(part)
        part.rename(target)
        _to_disk(target.absolute().parent)
    finally:
        part.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
