"""Tables that people bring: a CSV as a spreadsheet or a database writes it, read row by row.

Commas, semicolons and tabs set cells apart. Whatever could put a value under the wrong column is
refused with its line: a quote that is never closed, a row with too many cells, a name twice.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from terminology.errors import BodySiteError

LARGEST_CELL: Final = 1 << 20
_DELIMITERS: Final = ",;\t"


class SheetError(BodySiteError):
    """A CSV that cannot be read, lacks a column, or has a row that does not fit its header."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """An open CSV: its columns, what sets its cells apart, and its rows, each with its line.

    A row has a cell a column. Spreadsheets leave out empty cells at the end of a row; such a row
    is filled up, and `SheetError` raised for a row that is longer than the header.
    """

    columns: tuple[str, ...]
    delimiter: str
    rows: Iterator[tuple[int, list[str]]]

    def dicts(self) -> Iterator[tuple[int, dict[str, str]]]:
        """Yield each row as a `dict`, with its line."""
        for line, cells in self.rows:
            yield line, dict(zip(self.columns, cells, strict=True))


@contextmanager
def opened(path: Path, wanted: Sequence[str], *, ragged: bool = True) -> Iterator[Sheet]:
    """Yield the CSV at `path`, which must have the columns `wanted`, each once.

    With `ragged` false, a row that is shorter than the header is refused as well.

    Raises
    ------
    SheetError
        The file cannot be read, is not UTF-8, or lacks a column; from its rows, while they are
        read, when one is no row of this table.
    """
    csv.field_size_limit(LARGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            columns, delimiter = _header(path, stream, wanted)
            _require(path, columns, wanted)
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            next(reader, None)
            yield Sheet(columns, delimiter, _rows(path, reader, len(columns), ragged))
    except OSError as error:
        raise SheetError(
            str(path),
            f"it cannot be read as CSV ({error.strerror or type(error).__name__})",
            "a CSV file with a header",
            "Check the path and its permissions.",
        ) from error
    except UnicodeDecodeError as error:
        raise SheetError(
            str(path),
            "it cannot be read as CSV: it has bytes that are not UTF-8",
            "a CSV file in UTF-8",
            "Save it as 'CSV UTF-8'.",
        ) from error


def _header(path: Path, stream: IO[str], wanted: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Return the columns and what sets them apart: that by which the wanted ones are found."""
    found: list[tuple[int, int, tuple[str, ...], str]] = []
    problem: csv.Error | None = None
    for delimiter in _DELIMITERS:
        stream.seek(0)
        try:
            columns = tuple(next(csv.reader(stream, delimiter=delimiter, strict=True), ()))
        except csv.Error as error:
            problem = problem or error
            continue
        found.append((len(set(wanted) & set(columns)), len(columns), columns, delimiter))
    stream.seek(0)
    if not found:
        raise _no_row(path, 1, problem)
    _, _, columns, delimiter = max(found, key=lambda one: one[:2])
    return columns, delimiter


def _require(path: Path, columns: tuple[str, ...], wanted: Sequence[str]) -> None:
    for name in wanted:
        if name not in columns:
            raise SheetError(
                f"{path}:1",
                f"there is no column '{name}'",
                f"one of {', '.join(columns)}" if any(columns) else "a header in the first line",
                "Correct the name of the column, or the first line of the file.",
            )
    for name in columns:
        if name and columns.count(name) > 1:
            raise SheetError(
                f"{path}:1",
                f"the column '{name}' stands there {columns.count(name)} times",
                "each column once",
                "Rename or drop one of them.",
            )


def _rows(
    path: Path, reader: Iterator[list[str]], width: int, ragged: bool
) -> Iterator[tuple[int, list[str]]]:
    line = 1
    try:
        for cells in reader:
            line = reader.line_num  # type: ignore[attr-defined]
            if not cells:
                continue
            if len(cells) > width or (len(cells) < width and not ragged):
                raise SheetError(
                    f"{path}:{line}",
                    f"{'more' if len(cells) > width else 'fewer'} cells than the header has",
                    f"{width} cells",
                    "Put a value that holds the separator in quotes.",
                )
            yield line, cells + [""] * (width - len(cells))
    except csv.Error as error:
        raise _no_row(path, reader.line_num, error) from error  # type: ignore[attr-defined]


def _no_row(path: Path, line: int, error: csv.Error | None) -> SheetError:
    return SheetError(
        f"{path}:{line}",
        f"it cannot be read as CSV ({error})",
        f"a row of CSV, with each quote closed and no cell beyond {LARGEST_CELL} characters",
        "Correct the row, or save the file as 'CSV UTF-8' once more.",
    )
