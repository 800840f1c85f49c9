"""What all command groups share: errors become a message on stderr and an exit status."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import click

from terminology.errors import BodySiteError, TableError

DONE = 0
FINDINGS = 1
MISUSE = 2
# As shells say it of a program that Ctrl-C ended: 128 and the number of SIGINT.
INTERRUPTED = 130


release_option = click.option(
    "--release",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="BODYSITE_RELEASE",
    metavar="INDEX",
    help="An index that 'bodysite terminology build' made, or BODYSITE_RELEASE."
    "  [default: the embedded subset]",
)


class _OwnTables(click.Path):
    """A folder that is there: a name that is mistyped must not mean "no tables"."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            remedy = "Make it with mkdir, or with the first 'bodysite mappings add'."
            raise click.BadParameter(f"{error.message} {remedy}", ctx, param) from None


mappings_option = click.option(
    "--mappings",
    type=_OwnTables(exists=True, file_okay=False, path_type=Path),
    envvar="BODYSITE_MAPPINGS",
    metavar="DIR",
    help="A site's own tables, which override the shipped ones, or BODYSITE_MAPPINGS.",
)

settings_option = click.option(
    "--settings",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="BODYSITE_HEADER_SETTINGS",
    metavar="FILE",
    help="How headers are read, a TOML file, or BODYSITE_HEADER_SETTINGS.",
)


class BodySiteGroup(click.Group):
    """A command group: a `BodySiteError` is a message on stderr and exit status 2; Ctrl-C, 130."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a pipe closed by its reader ends it quietly."""
        try:
            return super().invoke(ctx)
        except TableError as error:
            for problem in error.problems:
                click.echo(str(problem), err=True)
            ctx.exit(MISUSE)
        except BodySiteError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(MISUSE)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)


def misuse(message: str) -> NoReturn:
    """End the command with `message` on stderr and exit status 2."""
    click.echo(f"Error: {message}", err=True)
    raise click.exceptions.Exit(MISUSE)


def echo_json(value: object) -> None:
    """Write `value` as one line of JSON on stdout."""
    text = json.dumps(value, ensure_ascii=False)
    # A byte of a file name that is not UTF-8 is a lone surrogate; JSON has an escape for it.
    click.echo(text.encode("utf-8", "backslashreplace").decode())
