"""What the commands `annotate` and `serve` share: the store they open, and how Ctrl-C ends them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from terminology.console import INTERRUPTED, misuse

if TYPE_CHECKING:
    from api.store import SqlStore

PHI: Final = click.Choice(["keep", "hash", "drop"])


def opened_store(url: str) -> SqlStore:
    """Return the store at `url`; end the command where it cannot be opened."""
    import sqlalchemy as sa

    from api.store import SqlStore

    try:
        return SqlStore(url)
    except (sa.exc.SQLAlchemyError, ImportError, OSError) as error:
        misuse(
            f"--database: '{without_password(url)}' cannot be opened ({type(error).__name__});"
            " expected a SQLAlchemy URL such as sqlite:///bodysite.sqlite. Check the path and its"
            " permissions."
        )


def without_password(url: str) -> str:
    """Return a database URL without its password."""
    import sqlalchemy as sa

    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except sa.exc.ArgumentError:
        return url.partition("?")[0] if "@" not in url else "(no URL)"


@contextlib.contextmanager
def quiet_interrupt() -> Iterator[None]:
    """Turn Ctrl-C into exit status 130 without a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
