"""A CSV of header values → counts, row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from api.errors import RequestError
from terminology.scan import Inventory, on_one_line
from terminology.sheets import opened

_STEP: Final = 1000
# More images than there will ever be; 64 bits hold them.
_LONGEST_COUNT: Final = 18
_SHOWN: Final = 40


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
    SheetError
        The file cannot be read, lacks a column, or has a bad row.
    RequestError
        A count is none.
    """
    counted = () if count_column is None else (count_column,)
    with opened(path, tuple(dict.fromkeys((*keywords, *counted)))) as sheet:
        for number, (line, row) in enumerate(sheet.dicts(), 1):
            images = _images(path, line, row, count_column)
            values = tuple((keyword, on_one_line(row[name])) for name, keyword in keywords.items())
            inventory.add(tuple(pair for pair in values if pair[1]), 1, images)
            if number % _STEP == 0:
                watch(_STEP)


def _images(path: Path, line: int, row: Mapping[str, str], column: str | None) -> int:
    if column is None:
        return 1
    text = row[column].strip()
    if not text.isdecimal() or len(text) > _LONGEST_COUNT:
        raise RequestError(
            f"{path}:{line} {column}",
            f"'{text[:_SHOWN]}' is no count",
            f"a whole number of images, of at most {_LONGEST_COUNT} digits",
            "Correct the row, or leave out --count-column.",
        )
    return int(text)
