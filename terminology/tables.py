"""The folder of tables, and how a plain TSV of ours is read. No rule of any vocabulary is here.

The tables lie in the installed package `mappings`; every reader takes another folder as well, so
that a site can work on a copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from terminology.errors import RowProblem, TableError


def mappings_folder() -> Path:
    """Return the folder of the tables that came with this installation."""
    return Path(str(files("mappings")))


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table: its file and line (from 1) and the cells by column name."""

    file: str
    line: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    @property
    def ref(self) -> str:
        """The row as evidence names it: ``file:line``."""
        return f"{self.file}:{self.line}"

    def problem(self, slot: str, what: str, expected: str) -> RowProblem:
        """Return what is wrong with this row, ready for a `TableError`."""
        return RowProblem(self.file, self.line, slot, what, expected)


def read_rows(path: Path, columns: Sequence[str]) -> list[Row]:
    """Return the rows of the TSV at `path`, whose header must be `columns` exactly.

    Empty lines and lines that begin with ``#`` are skipped but counted.

    Raises
    ------
    TableError
        The file is missing, is not UTF-8, its header differs, or rows have too few or too many
        cells. All bad rows are named.
    """
    problems: list[RowProblem] = []
    rows: list[Row] = []
    header: list[str] | None = None
    for number, line in numbered_lines(path):
        if not line or line.startswith("#"):
            continue
        cells = line.split("\t")
        if header is None:
            header = cells
            if header != list(columns):
                raise TableError(
                    [RowProblem(path.name, number, "header", repr(cells), f"{list(columns)!r}")]
                )
        elif len(cells) != len(header):
            problems.append(
                RowProblem(path.name, number, "row", f"{len(cells)} cells", f"{len(header)} cells")
            )
        else:
            rows.append(Row(path.name, number, dict(zip(header, cells, strict=True))))
    if header is None:
        problems.append(RowProblem(path.name, 1, "header", "no header", f"{list(columns)!r}"))
    if problems:
        raise TableError(problems)
    return rows


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a UTF-8 text file with their numbers, from 1, without line ends."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TableError(
            [RowProblem(path.name, 1, "file", f"no file in {path.parent}", "a table")]
        ) from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise TableError(
            [RowProblem(path.name, line, "encoding", "bytes that are not UTF-8", "UTF-8 text")]
        ) from None
    yield from enumerate(text.removesuffix("\n").split("\n"), start=1)
