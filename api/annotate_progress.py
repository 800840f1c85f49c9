"""How far `bodysite annotate` is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

import click

from api.annotate_work import walk

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LINE_SECONDS: Final = 10.0


class Watch:
    """Counts files as they are done; this one shows nothing.

    A zip counts as one file. Kept files were done by an earlier run.
    """

    def __init__(self) -> None:
        self.count = 0
        self.kept_count = 0
        self.total: int | None = None

    def done(self, number: int = 1) -> None:
        """Count files that were annotated."""
        self.count += number

    def kept(self, number: int = 1) -> None:
        """Count files that need not be annotated again."""
        self.kept_count += number

    def close(self) -> None:
        """Show the last of it: no more files come."""


class _Lines(Watch):
    """Says a line every ten seconds, and one at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._started = self._said = time.monotonic()

    def done(self, number: int = 1) -> None:
        super().done(number)
        if time.monotonic() - self._said >= _LINE_SECONDS:
            self._say()

    def close(self) -> None:
        self._say()

    def _say(self) -> None:
        self._said = time.monotonic()
        click.echo(
            progress_line(self.count, self.kept_count, self.total, self._said - self._started),
            err=True,
        )


class _Bar(Watch):
    """Moves a bar."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        super().__init__()
        self._progress = progress
        self._task = task
        self._started = time.monotonic()

    def done(self, number: int = 1) -> None:
        super().done(number)
        self._show()

    def kept(self, number: int = 1) -> None:
        super().kept(number)
        self._show()

    def _show(self) -> None:
        seconds = time.monotonic() - self._started
        self._progress.update(
            self._task,
            completed=self.count + self.kept_count,
            total=self.total,
            of="?" if self.total is None else f"{self.total:,}",
            rate=_rate(self.count, seconds),
            left=_left(self.count, self.kept_count, self.total, seconds),
        )


def progress_line(count: int, kept: int, total: int | None, seconds: float) -> str:
    """Return how far it is, in words."""
    of = "" if total is None else f" of {total:,}"
    rate = _rate(count, seconds)
    left = _left(count, kept, total, seconds)
    return ", ".join(text for text in (f"{count + kept:,}{of} files", rate, left) if text)


def _rate(count: int, seconds: float) -> str:
    return f"{count / seconds:,.1f} a second" if count and seconds > 0 else ""


def _left(count: int, kept: int, total: int | None, seconds: float) -> str:
    if total is None or not count:
        return ""
    rest = round((total - kept - count) * seconds / count)
    if rest <= 0:
        return ""
    hours, minutes = rest // 3600, rest % 3600 // 60
    return f"{hours}:{minutes:02}:{rest % 60:02} left"


@contextlib.contextmanager
def watching(paths: Sequence[str], shown: bool) -> Iterator[Watch]:
    """Yield what counts the files under `paths`, shown on stderr if `shown`.

    They are counted beforehand by a thread, for the time that is left: reading does not wait.
    """
    if not shown:
        yield Watch()
        return
    with _shown() as watch:
        stop = threading.Event()
        counter = threading.Thread(target=_count, args=(paths, watch, stop), daemon=True)
        counter.start()
        ended = False
        try:
            yield watch
            ended = True
        finally:
            stop.set()
            counter.join()
            if ended:
                # Done before they were all counted.
                watch.total = watch.count + watch.kept_count
            watch.close()


@contextlib.contextmanager
def _shown() -> Iterator[Watch]:
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.fields[of]} files"),
        TextColumn("{task.fields[rate]}"),
        TextColumn("{task.fields[left]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("annotate", total=None, of="?", rate="", left="")
        yield _Bar(progress, task)


def _count(paths: Sequence[str], watch: Watch, stop: threading.Event) -> None:
    number = 0
    for _ in walk(paths):
        number += 1
        if stop.is_set():
            return
    watch.total = number
