"""The folder of reference tables: CSV files with facts drawn from public sources."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from terminology.errors import RowProblem, TableError

CANDIDATES_FILE: Final = "cui_sct_candidates.csv"
LOCATIONS_FILE: Final = "anatomic_locations.csv"
UBERON_FILE: Final = "uberon_xrefs.csv"
TERMS_FILE: Final = "dicom_body_part_examined.csv"
CONTEXT_GROUPS_FILE: Final = "dicom_cid_body_structures.csv"


def reference_rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV that has at least `columns`.

    Raises
    ------
    TableError
        There is no such file, or it lacks a column.
    """
    try:
        stream = path.open(encoding="utf-8", newline="")
    except FileNotFoundError:
        problem = RowProblem(path.name, 1, "file", f"no file in {path.parent}", "a reference table")
        raise TableError([problem]) from None
    with stream:
        reader = csv.DictReader(stream)
        for column in columns:
            if column not in (reader.fieldnames or ()):
                found = RowProblem(path.name, 1, "header", f"no column '{column}'", str(columns))
                raise TableError([found])
        yield from reader
