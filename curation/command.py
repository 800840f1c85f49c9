"""What the programs share as commands: their options, and errors as messages."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from terminology.console import misuse
from terminology.errors import BodySiteError
from terminology.tables import mappings_folder


class CuratorCommand(click.Command):
    """A command of which a `BodySiteError` is a message on stderr and exit status 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except BodySiteError as error:
            misuse(str(error))


reference_option = click.option(
    "--reference",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    required=True,
    help="The folder of reference tables.",
)

folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    default=mappings_folder,
    help="Another folder of mapping tables.  [default: that of the clone]",
)

write_option = click.option("--write", is_flag=True, help="Write what differs into that folder.")


def today() -> str:
    """Return the day, in UTC, as tables are dated."""
    return datetime.now(UTC).date().isoformat()
