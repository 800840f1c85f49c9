"""The command `database`: what is in the database, and what looks after it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.commands import config_option, opened_store, quiet_interrupt, without_password
from terminology.console import FINDINGS, BodySiteGroup, echo_json, release_option

if TYPE_CHECKING:
    from api.records import Resource
    from api.settings import Settings
    from api.store import SqlStore
    from terminology.graph import BodyStructureGraph


@click.group("database", cls=BodySiteGroup)
def database() -> None:
    """Look after the database: what is in it, upgrade, index again, check, copy."""


def _where(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which database is meant."""
    named = click.option("--database", "url", metavar="URL", help="As of 'bodysite serve'.")
    return config_option(named(command))


@database.command()
@_where
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def info(url: str | None, config: Path | None, as_json: bool) -> None:
    """Show the version of the tables and how much they hold, without changing anything."""
    from api.store.engine import open_engine
    from api.store.schema import SCHEMA_VERSION
    from api.store.upgrading import state_of

    url = _settings(url, config).database
    _refuse_missing(url)
    engine = open_engine(url)
    try:
        with _reached(url), engine.connect() as connection:
            state = state_of(connection)
    finally:
        engine.dispose()
    found: dict[str, Any] = {
        "database": without_password(url),
        "version": state.schema,
        "expected": SCHEMA_VERSION,
        "current": state.current,
    }
    if state.current:
        from api.store.maintenance import contents_of

        with _opened(url) as store:
            contents = contents_of(store)
            found |= {
                "indexed": contents.indexed,
                "phi": store.setting("phi"),
                "bytes": contents.size,
                "studies": contents.studies,
                "instances": contents.instances,
                "replaced_versions": contents.replaced,
                "resources": contents.resources,
            }
    if as_json:
        echo_json(found)
        return
    for name, value in found.items():
        click.echo(f"{name:18} {value}")


@database.command()
@_where
def upgrade(url: str | None, config: Path | None) -> None:
    """Bring the tables up to this release; 'bodysite serve' does the same when it starts."""
    from api.store.reindexing import is_indexed

    with _opened(_settings(url, config).database) as store:
        click.echo("The tables are those of this release.")
        if not is_indexed(store):
            click.echo("What is stored is not indexed for it: run 'bodysite database reindex'.")


@database.command()
@_where
@release_option
def reindex(url: str | None, config: Path | None, release: Path | None) -> None:
    """Find out again by what each resource is found. Interrupted, it goes on where it was.

    Needed after an upgrade that says so. With another release of SNOMED CT it brings the words of
    that release into full-text search; searches by code need nothing of the kind.
    """
    from api.store.reindexing import reindex as index_again

    settings = _settings(url, config)
    indexed = _indexer(_graph(settings, release))
    with (
        quiet_interrupt(),
        _opened(settings.database) as store,
        _progress("resources") as progress,
    ):
        done = index_again(store, indexed, progress)
    click.echo(f"{done} resources were indexed.")


@database.command()
@_where
def check(url: str | None, config: Path | None) -> None:
    """Look whether the database is whole; exit status 1 where it is not."""
    from api.store.maintenance import problems_of

    with _opened(_settings(url, config).database) as store:
        problems = list(problems_of(store))
    for problem in problems:
        click.echo(problem)
    if problems:
        raise click.exceptions.Exit(FINDINGS)
    click.echo("The database is whole.")


@database.command()
@_where
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
def backup(url: str | None, config: Path | None, target: Path) -> None:
    """Copy a SQLite database to the file TARGET while the service goes on.

    A PostgreSQL database is copied by pg_dump.
    """
    from api.store.maintenance import back_up

    url = _settings(url, config).database
    _refuse_missing(url)
    with quiet_interrupt(), _reached(url), _progress("pages") as progress:
        back_up(url, target, progress)
    click.echo(f"{target} is a copy of {without_password(url)}.")


def _settings(url: str | None, config: Path | None) -> Settings:
    from api.operations.configuration import load_configuration

    return load_configuration({} if url is None else {"database": url}, config).settings


def _opened(url: str) -> contextlib.closing[SqlStore]:
    _refuse_missing(url)
    return contextlib.closing(opened_store(url))


def _refuse_missing(url: str) -> None:
    """End the command where there is no such file: opening it would make one."""
    import sqlalchemy as sa

    from terminology.console import misuse

    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        return
    file = parsed.database or ""
    if parsed.get_backend_name() == "sqlite" and file and not Path(file).exists():
        misuse(f"--database: there is no file '{file}'. Name the database that is to be looked at.")


@contextlib.contextmanager
def _reached(url: str) -> Iterator[None]:
    """End the command with a message where the database cannot be reached."""
    import sqlite3

    import sqlalchemy as sa

    from terminology.console import misuse

    try:
        yield
    except (sa.exc.SQLAlchemyError, sqlite3.Error, ImportError, OSError) as error:
        misuse(
            f"--database: '{without_password(url)}' cannot be opened ({type(error).__name__})."
            " Check the URL, and that its server can be reached."
        )


def _graph(settings: Settings, release: Path | None) -> BodyStructureGraph:
    from api.app import open_releases, terminology_over

    paths = (release,) if release is not None else settings.releases
    return terminology_over(open_releases(paths), settings).latest.graph


def _indexer(graph: BodyStructureGraph) -> Callable[[str, Any], Resource]:
    from api.indexing import indexed

    return lambda kind, content: indexed(kind, content, graph=graph)


@contextlib.contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield what shows on stderr how far the work has come, where a person looks at it."""
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    with click.progressbar(length=0, label=what, file=sys.stderr, show_pos=True) as bar:

        def show(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        yield show
