"""How well header values are read: right, wrong and unanswered, counted over a table of values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from terminology.concept import Laterality
from terminology.tables import mappings_folder, read_rows
from terminology.text import TextReader

OBSERVED_TABLE: Final = "header-values-observed.tsv"
_COLUMNS: Final = ("value", "language", "field", "sct", "also_acceptable", "source")


@dataclass(frozen=True, slots=True)
class Expected:
    """A header value and the codes that are right as its first answer; none when it has no site.

    `laterality` is compared only when `check_laterality` is set.
    """

    value: str
    codes: frozenset[str]
    modality: str | None = None
    laterality: Laterality | None = None
    check_laterality: bool = False


@dataclass(frozen=True, slots=True)
class Miss:
    """A value that was read wrongly, or not at all (`given` is then `None`)."""

    value: str
    expected: tuple[str, ...]
    given: str | None


@dataclass(frozen=True, slots=True)
class Figures:
    """The counts over a table; `right + wrong + none == total`."""

    total: int
    right: int
    wrong: int
    none: int
    misses: tuple[Miss, ...] = field(default=())

    def share(self, count: int) -> float:
        """Return `count` in per cent of all values, 0 for an empty table."""
        return 100 * count / self.total if self.total else 0.0

    def as_dict(self) -> dict[str, object]:
        """Return the counts and the misses, ready for JSON."""
        return {
            "total": self.total,
            "right": self.right,
            "wrong": self.wrong,
            "none": self.none,
            "misses": [
                {"value": miss.value, "expected": list(miss.expected), "given": miss.given}
                for miss in self.misses
            ],
        }

    def __str__(self) -> str:
        return (
            f"{self.total} values: {self.right} right ({self.share(self.right):.1f} %), "
            f"{self.wrong} wrong ({self.share(self.wrong):.1f} %), "
            f"{self.none} without an answer ({self.share(self.none):.1f} %)"
        )


def read_observed(folder: Path | None = None) -> list[Expected]:
    """Return the observed header values of the tables in `folder` and their codes.

    A value that sources give several codes accepts each of them.
    """
    rows = read_rows((folder or mappings_folder()) / OBSERVED_TABLE, _COLUMNS)
    codes: dict[str, set[str]] = {}
    for row in rows:
        accepted = codes.setdefault(row["value"].casefold(), set())
        accepted.update(filter(None, (row["sct"], *row["also_acceptable"].split("|"))))
    return [Expected(row["value"], frozenset(codes[row["value"].casefold()])) for row in rows]


def evaluate(reader: TextReader, rows: Iterable[Expected]) -> Figures:
    """Return how many of `rows` `reader` answers rightly, wrongly and not at all.

    Right is a first answer among the accepted codes or their successors, a sided one being
    answered as the unsided concept with its side; where no site is expected, right is no answer.
    """
    right = wrong = none = 0
    misses: list[Miss] = []
    for row in rows:
        reading = reader.read(row.value, modality=row.modality)
        first = reading.sites[0] if reading.sites else None
        given = first.code if first is not None else None
        accepted = row.codes | {_current(reader, code) for code in row.codes}
        if first is not None and first.laterality is not None:
            # A sided concept is answered as the unsided one and its side.
            accepted |= {_of_side(reader, code, first.laterality) for code in accepted}
        side_right = not row.check_laterality or reading.laterality == row.laterality
        if (given in accepted or (given is None and not accepted)) and side_right:
            right += 1
            continue
        if given is None and accepted:
            none += 1
        else:
            wrong += 1
        misses.append(Miss(row.value, tuple(sorted(row.codes)), given))
    return Figures(right + wrong + none, right, wrong, none, tuple(misses))


def _of_side(reader: TextReader, code: str, side: Laterality) -> str:
    if code not in reader.graph:
        return code
    unsided, own = reader.graph.unsided(code)
    return unsided if own is side else code


def _current(reader: TextReader, code: str) -> str:
    return reader.graph.current(code) if code in reader.graph else code
