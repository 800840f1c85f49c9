"""The commands `train` and `tune`: progress on stderr, the numbers of the result on stdout."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from classifier.data.arguments import named_sets, reader_option
from terminology.console import (
    INTERRUPTED,
    BodySiteGroup,
    echo_json,
    mappings_option,
    misuse,
    release_option,
)

if TYPE_CHECKING:
    from classifier.training.config import TrainConfig
    from classifier.training.distributed import Group
    from classifier.training.logs import Reporter

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _shared(command: _Command) -> _Command:
    """Add the arguments that both commands take."""
    for add in reversed(
        (
            click.argument("config", required=False, type=click.Path(path_type=Path)),
            click.option("--preset", metavar="NAME", help="A configuration that is shipped."),
            click.option(
                "--data",
                "sets",
                multiple=True,
                metavar="KIND:PATH",
                help="A data set, in place of those of the configuration; may be repeated.",
            ),
            reader_option,
            click.option(
                "--out",
                type=click.Path(path_type=Path, file_okay=False),
                metavar="RUN",
                help="Folder of the run.  [default: runs/NAME]",
            ),
            click.option(
                "--set",
                "changes",
                multiple=True,
                metavar="KEY=VALUE",
                help="Change a value, such as train.epochs=2; may be repeated.",
            ),
            click.option("--resume", is_flag=True, help="Go on with the run that is there."),
            click.option(
                "--device",
                type=click.Choice(["auto", "cpu", "cuda"]),
                default="auto",
                show_default=True,
                help="auto takes a GPU where there is one.",
            ),
            release_option,
            mappings_option,
            click.option("--json", "as_json", is_flag=True, help="The result as one JSON object."),
        )
    ):
        command = add(command)
    return command


@click.command()
@_shared
def train(**given: Any) -> None:
    """Train a classifier as CONFIG, a TOML file, or a preset says.

    A run that was interrupted goes on with --resume; its folder, --out, is then enough. On several
    GPUs of one machine: torchrun --nproc-per-node N -m classifier.train_cli train ...
    """
    from classifier.training.runs import run_training

    _run(given, run_training)


@click.command()
@_shared
def tune(**given: Any) -> None:
    """Compare optimisers, learning rates and preprocessing by cross-validation.

    The grid is the table [tune] of CONFIG. The test part of the split is never looked at. The
    best combination is written as winner.toml, to train with.
    """
    from classifier.training.tune import run_tuning

    _run(given, run_tuning)


def _run(given: dict[str, Any], job: Callable[..., dict[str, Any]]) -> None:
    """Run `job` as the options say, and show what it returns."""
    from classifier.training.distributed import joined
    from classifier.training.interrupt import InterruptedRunError
    from terminology.library import load_terminology

    config, run = _config(given)
    with joined(given["device"]) as group:
        reporter = _reporter(group)
        terminology = load_terminology(given["release"], given["mappings"], None)
        try:
            metrics = job(config, run, terminology, group, reporter, resume=given["resume"])
        except InterruptedRunError as stopped:
            if group.main:
                click.echo(f"Interrupted at {stopped}; it is saved. Go on with:", err=True)
                click.echo(f"  {_again(run)}", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        if group.main:
            _show(metrics, run, as_json=given["as_json"])


def _config(given: dict[str, Any]) -> tuple[TrainConfig, Path]:
    """Return the configuration and the folder of the run."""
    from classifier.training.config import DataSet, TrainConfig
    from classifier.training.runs import CONFIG

    file, preset, out = given["config"], given["preset"], given["out"]
    sets = [
        DataSet(one.kind, one.path.resolve(), options=one.options)
        for one in named_sets(given["sets"], given["options"])
    ]
    if file is not None and preset is not None:
        misuse('CONFIG and --preset were both given. Give one; a file may say base = "NAME".')
    if file is None and preset is None:
        if not (given["resume"] and out is not None):
            misuse("no CONFIG. Give a TOML file, or --preset NAME, or --resume --out RUN.")
        if not (out / CONFIG).exists():
            misuse(f"--resume: there is no run in {out}. Name its folder with --out.")
        file = out / CONFIG
    if file is not None:
        config = TrainConfig.read(file, given["changes"], sets)
    else:
        config = TrainConfig.preset(preset, given["changes"], sets)
    return config, out or Path("runs") / config.name


def _reporter(group: Group) -> Reporter:
    from rich.console import Console

    from classifier.training.logs import Reporter

    return Reporter(Console(stderr=True) if group.main else None)


def _again(run: Path) -> str:
    command = click.get_current_context().info_name
    return f"bodysite {command} --resume --out {shlex.quote(os.fspath(run))}"


def _show(metrics: dict[str, Any], run: Path, *, as_json: bool) -> None:
    if as_json:
        echo_json({"run": str(run), **metrics})
        return
    click.echo(f"{run}")
    for part in ("validation", "test"):
        for head, found in metrics.get(part, {}).items():
            for name, value in found.items():
                shown = value if isinstance(value, int) else f"{value:.4f}"
                click.echo(f"{part}\t{head}\t{name.replace('_', ' ')}\t{shown}")
    if "winner" in metrics:
        click.echo(f"winner\t{metrics['winner']}")


@click.group(cls=BodySiteGroup)
def main() -> None:
    """Train and tune classifiers; what torchrun starts."""


main.add_command(train)
main.add_command(tune)

if __name__ == "__main__":
    main()
