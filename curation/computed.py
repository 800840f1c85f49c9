"""Tables that a program makes: their text, their date, and how they are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from terminology import sssom
from terminology.files import written_whole
from terminology.mapping import MappingSet, SemanticMapping

# Stands in a metadata block for the day on which the table was made.
DATE: Final = "{date}"
_MAPPING_DATE: Final = re.compile(r'^#mapping_date: "([\d-]+)"$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ComputedTable:
    """A table by file name: how many rows it has, and its text for the day it is made."""

    file: str
    rows: int
    text_of: Callable[[str], str]

    def text(self, present: str, today: str) -> str:
        """Return the table, dated as `present` where nothing but the date would change."""
        dated = _MAPPING_DATE.search(present)
        if dated and self.text_of(dated[1]) == present:
            return present
        return self.text_of(today)


def sssom_table(file: str, block: str, rows: Sequence[SemanticMapping]) -> ComputedTable:
    """Return the SSSOM table of `rows`; `block` is its metadata, with `DATE` for the day."""
    name = file.removesuffix(".sssom.tsv")

    def text_of(date: str) -> str:
        lines = block.strip().replace(DATE, date).split("\n")
        return sssom.dumps(MappingSet(name, {}, tuple(rows), tuple(lines)))

    return ComputedTable(file, len(rows), text_of)


def plain_table(file: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> ComputedTable:
    """Return the TSV of `rows`, sorted by its first column; it has no date."""
    lines = ["\t".join(row) for row in (columns, *sorted(rows, key=lambda row: row[0]))]
    text = "\n".join(lines) + "\n"
    return ComputedTable(file, len(rows), lambda _: text)


def bring_up(tables: Iterable[ComputedTable], folder: Path, today: str, *, write: bool) -> None:
    """Say of each table whether the file in `folder` is as it is made now; write those that differ.

    Raises
    ------
    OSError
        The folder is not writable.
    """
    for table in tables:
        path = folder / table.file
        present = path.read_text(encoding="utf-8") if path.exists() else ""
        text = table.text(present, today)
        if text == present:
            state = "as it is"
        elif write:
            with written_whole(path) as stream:
                stream.write(text)
            state = "written"
        else:
            state = "differs; --write writes it"
        click.echo(f"{table.rows:6d}  {table.file}: {state}")
