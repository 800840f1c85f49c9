"""The command `bodysite terminology build`: a release as published → the index that is served."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from terminology.console import echo_json, misuse

if TYPE_CHECKING:
    from terminology.rf2 import ReleaseRows

Progress = Callable[[str, float], None]

# Of the whole work, reading takes about this share.
_READING: Final = 0.4
# Of the report where stdout is no terminal.
_WIDTH: Final = 160


@click.command()
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="PATH...",
    type=click.Path(exists=True, path_type=Path),
)
@click.option(
    "-o",
    "--out",
    required=True,
    metavar="INDEX",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The index file. What stands there stays in use until the new one is complete.",
)
@click.option(
    "--version-uri",
    metavar="URI",
    help="The version to serve it as, such as"
    " http://snomed.info/xsct/31000003106/version/20250909."
    "  [default: what the module dependencies of the release say]",
)
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
def build(paths: tuple[Path, ...], out: Path, version_uri: str | None, as_json: bool) -> None:
    """Compile a SNOMED CT release into an index.

    PATH is the folder or the zip of an RF2 release as it was published. Several are read as one:
    an edition, then the extensions of it. The Snapshot files are read; the Full ones where there is
    no Snapshot.
    """
    from terminology.rf2 import read_release
    from terminology.rf2.names import parse_name

    if not out.parent.is_dir():
        misuse(f"-o: the folder {out.parent} does not exist. Create it, or name another file.")
    if any(_is_same(out, path) for path in paths) or parse_name(out.name):
        misuse(f"-o: {out} is a file of the release itself. Name another file; nothing was read.")
    with _interrupt_is_quiet(), _progress() as progress:
        rows = read_release(
            paths,
            version_uri=version_uri,
            progress=lambda name, done: progress(f"reading {Path(name).name}", _READING * done),
        )
        try:
            _build(rows, out, progress)
        except OSError as error:
            misuse(
                f"-o: {out} cannot be written ({error.strerror or error}); what stood there is"
                " unchanged. Check the permissions and the free space of its folder."
            )
    unrooted = _unrooted(out)
    if as_json:
        echo_json(_facts(rows, out, unrooted))
        return
    _print(rows, out)
    if unrooted:
        click.echo(
            f"{unrooted:,} active concepts have no way to the root. Module concepts have none in an"
            " extract; many of them mean that relationship rows are missing.",
            err=True,
        )


def _is_same(out: Path, path: Path) -> bool:
    return out.resolve() == path.resolve()


def _build(rows: ReleaseRows, out: Path, progress: Progress) -> None:
    from terminology.release.build import build_index

    build_index(
        rows, out, progress=lambda step, done: progress(step, _READING + (1 - _READING) * done)
    )


@contextlib.contextmanager
def _interrupt_is_quiet() -> Iterator[None]:
    """Turn Ctrl-C into exit status 130 without a traceback."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("Interrupted; nothing was written.", err=True)
        raise click.exceptions.Exit(130) from None


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """Yield a bar on stderr, if that is a terminal; it is told the step and the share done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    shown = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda step, done: bar.update(task, description=step, completed=done)


def _unrooted(out: Path) -> int:
    """Return how many active concepts of an index are not below its root."""
    from terminology.release.index import ReleaseIndex

    index = ReleaseIndex.open(out)
    return len(index.active - index.rooted)


def _facts(rows: ReleaseRows, out: Path, unrooted: int) -> dict[str, object]:
    return {
        "version": rows.version,
        "index": str(out),
        "active_without_way_to_root": unrooted,
        "files": [
            {
                "name": one.name,
                "content": one.content,
                "rows": one.rows,
                "active": one.active,
                "left_out": one.left_out,
            }
            for one in rows.report
        ],
    }


def _print(rows: ReleaseRows, out: Path) -> None:
    """Print the report as a table that a terminal of any width and a file can hold."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("content", overflow="fold")
    table.add_column("rows", justify="right")
    table.add_column("active", justify="right")
    table.add_column("left out", overflow="fold")
    for one in rows.report:
        # The package and the folders above a file say little that its name does not.
        name = one.name.rpartition("/")[2]
        counts = (f"{one.rows:,}", f"{one.active:,}") if one.rows else ("", "")
        table.add_row(escape(name), one.content, *counts, escape(one.left_out or ""))
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(table)
    click.echo(f"{rows.version}\nwritten to {out}")
