"""`bodysite config`: the settings of the service as they are in force here."""

from __future__ import annotations

import json
from pathlib import Path

import click

from api.commands import config_option


@click.group()
def config() -> None:
    """Show the settings of the service, and who set each of them."""


@config.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object: value and source by name.")
def show(config: Path | None, as_json: bool) -> None:
    """Print what 'bodysite serve' would start with: environment, secrets, file and defaults.

    Secrets, and passwords in the address of the database, are never printed.
    """
    from api.operations.configuration import load_configuration

    found = load_configuration({}, config)
    if not as_json:
        for line in found.lines():
            click.echo(line)
        return
    told = {
        name: {"value": value, "source": found.sources.get(name, "default")}
        for name, value in found.shown().items()
    }
    click.echo(json.dumps(told, ensure_ascii=False, indent=2))
