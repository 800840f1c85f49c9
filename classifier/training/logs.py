"""What a run says while it goes: bars on a terminal, else a line an epoch; `log.csv`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from terminology.files import written_whole

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

Row = Mapping[str, int | float | str]


class Reporter:
    """Speaks to `console`, on a terminal with bars; `None` is silence."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console

    def say(self, text: str) -> None:
        """Write one line."""
        if self._console is not None:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def bar(self, title: str, total: int, done: int = 0) -> Iterator[Callable[[int, str], None]]:
        """Yield what is called with how much is done, and with what stands beside the bar."""
        if self._console is None or not self._console.is_terminal or not total:
            yield lambda done, beside: None
            return
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[beside]}"),
            console=self._console,
            transient=True,
        ) as progress:
            task = progress.add_task(title, total=total, completed=done, beside="")
            yield lambda done, beside: progress.update(task, completed=done, beside=beside)


def write_log(path: Path, rows: Sequence[Row]) -> None:
    """Write all `rows` so far: a run that is resumed neither doubles nor loses one."""
    with written_whole(path) as stream:
        writer = csv.DictWriter(stream, rows[0] if rows else (), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


class Curves:
    """The rows of the log as TensorBoard curves, where they are asked for."""

    def __init__(self, folder: Path | None, first_epoch: int) -> None:
        self._writer: SummaryWriter | None = None
        if folder is not None:
            from torch.utils.tensorboard.writer import SummaryWriter

            # What was written after the state that the run was resumed from is hidden.
            self._writer = SummaryWriter(str(folder), purge_step=first_epoch)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def add(self, row: Row) -> None:
        """Add one row of the log."""
        if self._writer is None:
            return
        epoch = int(row["epoch"])
        for name, value in row.items():
            if name != "epoch" and not isinstance(value, str):
                self._writer.add_scalar(name, value, epoch)
        self._writer.flush()
