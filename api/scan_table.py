"""A CSV of header values → counts, row by row."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from api.errors import RequestError
from terminology.scan import Inventory

_LARGEST_CELL: Final = 1 << 20
_STEP: Final = 1000


def add_table(
    inventory: Inventory,
    path: Path,
    keywords: Mapping[str, str],
    count_column: str | None,
    watch: Callable[[int], None] = lambda _: None,
) -> None:
    """Count the values of the CSV at `path`.

    Parameters
    ----------
    inventory
        What is added to.
    path
        UTF-8; cells set apart by commas, semicolons or tabs.
    keywords
        From the columns that are counted to the attributes that their values stood in.
    count_column
        The column with the number of images of each row; without one, a row is an image.
    watch
        Is told how many rows were read, now and then.

    Raises
    ------
    RequestError
        The file cannot be read, lacks a column, or has a bad row.
    """
    csv.field_size_limit(_LARGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            header = stream.readline()
            stream.seek(0)
            delimiter = max(",;\t", key=header.count)
            reader = csv.DictReader(stream, delimiter=delimiter)
            columns = tuple(reader.fieldnames or ())
            for name in (*keywords, *([count_column] if count_column else ())):
                if name not in columns:
                    raise RequestError(
                        f"{path}:1",
                        f"there is no column '{name}'",
                        f"one of {', '.join(columns) or 'none'}",
                        "Correct --column or --count-column.",
                    )
            for number, row in enumerate(reader, 1):
                images = _images(path, reader.line_num, row, count_column)
                values = tuple(
                    (keyword, " ".join((row[name] or "").split()))
                    for name, keyword in keywords.items()
                )
                inventory.add(tuple(pair for pair in values if pair[1]), 1, images)
                if number % _STEP == 0:
                    watch(_STEP)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RequestError(
            str(path),
            f"it cannot be read as CSV in UTF-8 ({type(error).__name__})",
            "a CSV file with a header",
            "Check the path, or save it as CSV UTF-8.",
        ) from error


def _images(path: Path, line: int, row: Mapping[str, str | None], column: str | None) -> int:
    if column is None:
        return 1
    text = (row[column] or "").strip()
    if not text.isdecimal():
        raise RequestError(
            f"{path}:{line} {column}",
            f"'{text}' is no count",
            "a whole number of images",
            "Correct the row, or leave out --count-column.",
        )
    return int(text)
