"""`NumberedParts`: the second finger, the fifth toe, digit II of a foot, out of their table.

Where in a value the number of a part stands is the business of `terminology.counting`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from terminology.errors import RowProblem, TableError
from terminology.identifiers import sctid_problem
from terminology.tables import Row, read_rows

NUMBERED_TABLE: Final = "header-numbered-parts.tsv"
_COLUMNS: Final = (
    "part",
    "part_display",
    "beside",
    "beside_display",
    "number",
    "code",
    "display",
    "source",
)


@dataclass(frozen=True, slots=True)
class NumberedParts:
    """The table, by part and number; `beside` is another part of the value, or nothing."""

    rows: dict[tuple[str, int], dict[str, Row]] = field(default_factory=dict)
    parts: frozenset[str] = frozenset()

    @classmethod
    def load(cls, folder: Path) -> NumberedParts:
        """Return the table in `folder`.

        Raises
        ------
        TableError
            The table is missing or has bad rows.
        """
        rows = read_rows(folder / NUMBERED_TABLE, _COLUMNS)
        problems: list[RowProblem] = []
        found: dict[tuple[str, int], dict[str, Row]] = {}
        for row in rows:
            for slot in ("part", "code", "beside"):
                if row[slot] and (reason := sctid_problem(row[slot])):
                    problems.append(row.problem(slot, f"'{row[slot]}' {reason}", "an SCTID"))
            if not row["number"].isdecimal():
                problems.append(row.problem("number", f"'{row['number']}'", "a number"))
                continue
            others = found.setdefault((row["part"], int(row["number"])), {})
            if others.setdefault(row["beside"], row) is not row:
                expected = "each number of a part once"
                problems.append(row.problem("number", f"'{row['number']}' a second time", expected))
        if problems:
            raise TableError(problems)
        return cls(found, frozenset(part for part, _ in found))

    def find(self, part: str, number: int, named: Collection[str]) -> Row | None:
        """Return the row of a part with a number; `named` are all parts of the value."""
        rows = self.rows.get((part, number), {})
        return next((rows[other] for other in rows if other in named), rows.get(""))
