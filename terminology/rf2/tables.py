"""Rows of files as columns: lines, separators, cells; blocks of some megabytes at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from terminology.rf2.cells import PAD, Cells, TextPiece, parse
from terminology.rf2.errors import Problems
from terminology.rf2.kinds import reason
from terminology.rf2.layouts import Column, columns_of, expected_header
from terminology.rf2.packages import ReleaseFile
from terminology.rf2.rows import Places, TextColumn

_BLOCK: Final = 8 << 20
_MARK: Final = b"\xef\xbb\xbf"
_TAB: Final = 9
_NEWLINE: Final = 10
_RETURN: Final = 13
_QUOTED: Final = 60
_NOWHERE: Final = np.zeros(0, dtype=np.int64)
_NO_CELLS: Final = Cells(bytes(PAD), _NOWHERE, _NOWHERE)

Values = NDArray[Any]
Advance = Callable[[ReleaseFile, int], None]


@dataclass(slots=True)
class FileRows:
    """What one file held: counts, and why rows of it were left out."""

    file: ReleaseFile
    rows: int = 0
    active: int = 0
    left_out: list[str] = field(default_factory=list)


class Table:
    """The rows of all files with the same columns, in reading order."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self.columns = columns
        self._pieces: dict[str, list[Values | TextPiece]] = {one.name: [] for one in columns}
        self._files: list[NDArray[np.int16]] = []
        self._lines: list[NDArray[np.int32]] = []

    def append(
        self, values: dict[str, Values | TextPiece], file: int, lines: NDArray[np.int32]
    ) -> None:
        """Add the rows of a block that stand in these lines of a file."""
        for name, piece in values.items():
            self._pieces[name].append(piece)
        self._files.append(np.full(len(lines), file, dtype=np.int16))
        self._lines.append(lines)

    def array(self, name: str) -> Values:
        """Return a column of numbers."""
        pieces = self._pieces[name]
        if not pieces:
            kind = next(column.kind for column in self.columns if column.name == name)
            pieces.append(parse(kind, _NO_CELLS)[0])
        arrays = [piece for piece in pieces if isinstance(piece, np.ndarray)]
        if len(arrays) > 1:
            arrays = [np.concatenate(arrays)]
            pieces[:] = arrays
        return arrays[0]

    def pick(self, name: str, rows: NDArray[np.int64]) -> Values:
        """Return the chosen rows of a column of numbers."""
        picked: Values = self.array(name)[rows]
        return picked

    def take(self, name: str, rows: NDArray[np.int64]) -> Values:
        """Return the chosen rows of a column of numbers, which the table then gives up."""
        taken = self.pick(name, rows)
        del self._pieces[name]
        return taken

    def texts(self, name: str) -> TextColumn:
        """Return a column of text."""
        pieces = [piece for piece in self._pieces[name] if isinstance(piece, TextPiece)]
        if not pieces:
            return TextColumn.of([])
        if len(pieces) > 1:
            lengths = np.concatenate([piece.lengths for piece in pieces])
            pieces = [TextPiece(np.concatenate([piece.data for piece in pieces]), lengths)]
            self._pieces[name][:] = pieces
        (whole,) = pieces
        starts = np.zeros(len(whole.lengths), dtype=np.int64)
        np.cumsum(whole.lengths[:-1], out=starts[1:])
        return TextColumn(whole.data, starts, whole.lengths)

    def take_texts(self, name: str, rows: NDArray[np.int64]) -> TextColumn:
        """Return the chosen rows of a column of text, which the table then gives up."""
        texts = self.texts(name)
        del self._pieces[name]
        return texts.take(rows)

    def places(self, names: tuple[str, ...], rows: NDArray[np.int64]) -> Places:
        """Return where the chosen rows stand in the files `names`."""
        return Places(names, self.files[rows], self._whole(self._lines, np.int32)[rows])

    @property
    def files(self) -> NDArray[np.int16]:
        """Return the number of the file of each row."""
        return self._whole(self._files, np.int16)

    def line(self, row: int) -> int:
        """Return the line of a row in its file."""
        return int(self._whole(self._lines, np.int32)[row])

    @staticmethod
    def _whole(pieces: list[NDArray[Any]], dtype: type[np.generic]) -> NDArray[Any]:
        if len(pieces) != 1:
            pieces[:] = [np.concatenate(pieces) if pieces else np.zeros(0, dtype=dtype)]
        return pieces[0]

    def __len__(self) -> int:
        return len(self.files)


def header_of(file: ReleaseFile, problems: Problems) -> tuple[Column, ...] | None:
    """Return the columns of a file; a header that is not as the standard has it is a problem."""
    with contextlib.closing(file.parts(1 << 16)) as parts:
        first = next(parts, b"")
    line = first.removeprefix(_MARK).partition(b"\n")[0].removesuffix(b"\r")
    text = line.decode("utf-8", "replace")
    columns = columns_of(file.name, text.split("\t"))
    if columns is None:
        what = f"the header is {_quoted(text)}" if first else "the file is empty"
        problems.add(file.shown, 1, "header", what, expected_header(file.name))
    return columns


def read_into(
    table: Table,
    columns: tuple[Column, ...],
    number: int,
    found: FileRows,
    problems: Problems,
    advance: Advance,
) -> None:
    """Append the rows of a file to `table`; `advance` is told the bytes of each block.

    `columns` may stand in another order than those of `table`. Rows with another number of columns
    are problems and are passed by; bad cells are problems, and their rows worth nothing.
    """
    line = 1
    for block in _blocks(found.file):
        advance(found.file, len(block))
        if line == 1:
            _, _, block = block.partition(b"\n")
            line = 2
            if not block:
                continue
        line += _read_block(table, columns, number, found, problems, block, line)


def _blocks(file: ReleaseFile) -> Iterator[bytes]:
    """Yield the file in whole lines; a newline that is missing at the end is put there."""
    rest = b""
    for part in file.parts(_BLOCK):
        cut = part.rfind(b"\n") + 1
        if cut:
            yield rest + part[:cut]
            rest = part[cut:]
        else:
            rest += part
    if rest:
        yield rest + b"\n"


def _read_block(
    table: Table,
    columns: tuple[Column, ...],
    number: int,
    found: FileRows,
    problems: Problems,
    block: bytes,
    line: int,
) -> int:
    """Append the rows of a block that begins with `line`; return how many lines it has."""
    shown = found.file.shown
    _check_encoding(shown, columns, problems, block, line)
    padded = bytes(PAD) + block
    letters = np.frombuffer(padded, dtype=np.uint8)[PAD:]
    separators = np.flatnonzero((letters == _TAB) | (letters == _NEWLINE))
    ends, starts, rows, lines = _rows(len(columns), shown, problems, letters, separators, line)
    values: dict[str, Values | TextPiece] = {}
    for place, column in enumerate(columns):
        end = np.ascontiguousarray(ends[:, place])
        if place == len(columns) - 1:
            end -= (letters[end - 1] == _RETURN) & (end > starts)
        cells = Cells(padded, starts, end)
        values[column.name], bad = parse(column.kind, cells)
        if bad.any():
            _explain(shown, column, cells, np.flatnonzero(bad), rows, problems)
        starts = end + 1
    table.append(values, number, rows)
    found.rows += len(rows)
    active = values["active"]
    found.active += int(np.count_nonzero(active)) if isinstance(active, np.ndarray) else 0
    return lines


def _rows(
    count: int,
    shown: str,
    problems: Problems,
    letters: NDArray[np.uint8],
    separators: NDArray[np.int64],
    line: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], int]:
    """Return the ends of the cells (rows, columns), the starts of the rows, their lines, all lines.

    Only of the rows with `count` columns.
    """
    closing = np.flatnonzero(letters[separators] == _NEWLINE)
    cells = np.diff(closing, prepend=-1)
    starts = np.concatenate(([0], separators[closing[:-1]] + 1))
    lines = np.arange(line, line + len(closing), dtype=np.int32)
    fitting = cells == count
    if fitting.all():
        return separators.reshape(-1, count), starts, lines, len(lines)
    wrong = np.flatnonzero(~fitting)
    room = problems.room
    for row in wrong[:room].tolist():
        what = f"the row has {cells[row]} columns" if cells[row] > 1 else "the row has one column"
        problems.add(shown, int(lines[row]), "row", what, f"{count} columns")
    problems.count(max(len(wrong) - room, 0))
    first = closing[fitting] - (count - 1)
    ends = separators[first[:, np.newaxis] + np.arange(count)]
    return ends, starts[fitting], lines[fitting], len(lines)


def _explain(
    shown: str,
    column: Column,
    cells: Cells,
    bad: NDArray[np.int64],
    lines: NDArray[np.int32],
    problems: Problems,
) -> None:
    room = problems.room
    for row in bad[:room].tolist():
        text = cells.text(row)
        why = reason(column.kind, text) or "is not valid"
        problems.add(
            shown, int(lines[row]), column.name, f"{_quoted(text)} {why}", column.kind.value
        )
    problems.count(max(len(bad) - room, 0))


def _check_encoding(
    shown: str, columns: tuple[Column, ...], problems: Problems, block: bytes, line: int
) -> None:
    if block.isascii():
        return
    try:
        block.decode()
    except UnicodeDecodeError:
        for number, one in enumerate(block.split(b"\n"), line):
            try:
                one.decode()
            except UnicodeDecodeError as error:
                place = one.count(b"\t", 0, error.start)
                slot = columns[place].name if place < len(columns) else "row"
                what = f"the bytes {one[error.start : error.end].hex(' ')} are not UTF-8"
                problems.add(shown, number, slot, what, "UTF-8 text")


def _quoted(text: str) -> str:
    return f"'{text}'" if len(text) <= _QUOTED else f"'{text[:_QUOTED]}…'"
