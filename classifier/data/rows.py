"""Text files of data sets, by line: UTF-8, with or without byte order mark, any line ends."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from classifier.data.leftovers import Leftovers
from classifier.errors import DataSetError

# The manifest of a folder of images.
MANIFEST: Final = "manifest.csv"


def read_text(path: Path) -> str:
    """Return the text of `path`, line ends as they stand.

    Raises
    ------
    DataSetError
        The file is missing, or no UTF-8: the line is named.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DataSetError(str(path), reason, "a text file", "Check the path.") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataSetError(
            f"{path}:{line}",
            f"byte {data[error.start]:#04x} is no UTF-8",
            "text in UTF-8",
            "Save the file as UTF-8.",
        ) from error


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of `path` that are not blank, with their number from 1.

    Only a line feed ends a line: captions hold characters that end one for `str.splitlines`.
    """
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            yield number, line.rstrip("\r")


def table_rows(
    path: Path, needed: Sequence[str], leftovers: Leftovers, *, delimiter: str = ","
) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the rows below the header line, by column in lower case, with their number from 1.

    Cells have no blanks around them. A row with more or fewer cells than the header is counted
    as broken.

    Raises
    ------
    DataSetError
        The file is missing, no UTF-8, or its header lacks a column of `needed`.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if missing := [name for name in needed if name.lower() not in header]:
            raise DataSetError(
                f"{path}:1",
                f"no column '{missing[0]}' among '{', '.join(header)}'",
                f"the columns {', '.join(needed)}, parted by '{delimiter}'",
                "Take the file as the data set has it.",
            )
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            leftovers.rows += 1
            if len(cells) != len(header):
                where, what = leftovers.place(path, reader.line_num), f"{len(cells)} cells"
                reason = "a row with the wrong number of cells"
                leftovers.broken(where, reason, what, f"{len(header)} cells")
                continue
            row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
            yield reader.line_num, row
    except csv.Error as error:
        raise DataSetError(
            f"{path}:{reader.line_num}",
            str(error),
            "a row of a CSV file",
            "Take the file as the data set has it.",
        ) from error


def own_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the rows of a table of ours, parted by tabs: all whole, each about another image.

    The first column of `needed` names the image.

    Raises
    ------
    DataSetError
        As `table_rows`; a row has more or fewer cells than the header, or names an image again.
    """
    leftovers = Leftovers(path.parent)
    seen: set[str] = set()
    for line, cells in table_rows(path, needed, leftovers, delimiter="\t"):
        image = cells[needed[0]]
        if image in seen:
            raise DataSetError(
                f"{path}:{line}",
                f"'{image}' again: it is named a second time",
                "one row for an image",
                "Join the rows.",
            )
        seen.add(image)
        yield line, cells
    for one in leftovers.left_out():
        raise DataSetError(
            str(path.parent / one.example),
            one.reason,
            "as many cells as the header has, parted by tabs",
            "Correct the line.",
        )
