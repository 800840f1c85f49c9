"""What the commands `annotate` and `serve` share: the store they open, and how Ctrl-C ends them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from terminology.console import FINDINGS, INTERRUPTED, misuse

if TYPE_CHECKING:
    from api.store import SqlStore

PHI: Final = click.Choice(["keep", "hash", "drop"])

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Settings of the service, a TOML file, or BODYSITE_CONFIG."
    "  [default: /etc/bodysite/bodysite.toml, where it is there]",
)


def opened_store(url: str) -> SqlStore:
    """Return the store at `url`; end the command where it cannot be opened."""
    import sqlalchemy as sa

    from api.store import SqlStore

    try:
        return SqlStore(url)
    except sa.exc.OperationalError as error:
        if url.startswith("sqlite"):
            _not_opened(url, error)
        # Not the fault of who typed the command: systemd should try again.
        click.echo(
            f"Error: --database: '{without_password(url)}' does not answer; expected a server that"
            " takes connections. Start it, or wait and try again.",
            err=True,
        )
        raise click.exceptions.Exit(FINDINGS) from None
    except (sa.exc.SQLAlchemyError, ImportError, OSError) as error:
        _not_opened(url, error)


def _not_opened(url: str, error: Exception) -> NoReturn:
    misuse(
        f"--database: '{without_password(url)}' cannot be opened ({type(error).__name__});"
        " expected a SQLAlchemy URL such as sqlite:///bodysite.sqlite. Check the path and its"
        " permissions."
    )


def without_password(url: str) -> str:
    """Return a database URL without its password."""
    from api.operations.configuration import without_secrets

    return without_secrets(url)


@contextlib.contextmanager
def quiet_interrupt() -> Iterator[None]:
    """Turn Ctrl-C into exit status 130 without a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Interrupted.", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
