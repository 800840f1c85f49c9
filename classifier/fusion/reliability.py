"""`HeaderReliability`: how often the headers of a site name what the images show.

What a site counted is a table of three facts: the header said this, a person who looked said that,
so many times. Until there is one, the default of `FusionSettings` answers: a share of headers is
wrong, and most of those name a neighbour of what is right.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from classifier.fusion.settings import FusionSettings
from terminology.errors import RowProblem, TableError
from terminology.files import written_whole
from terminology.graph import BodyStructureGraph
from terminology.tables import read_rows
from terminology.vocabulary import canonical

#: What a header says that names no site: nothing at all, or words that nobody understands.
MISSING: Final = "missing"
UNMAPPED: Final = "unmapped"
_NO_SITE: Final = {MISSING: "no value", UNMAPPED: "a value without a site"}

_COLUMNS: Final = ("header", "header_display", "verdict", "verdict_display", "count")
_DIGITS: Final = 18  # the longest SCTID


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a person found of `count` images with one header value.

    Attributes
    ----------
    header
        The SCTID of the site that the header named, its words, `MISSING` or `UNMAPPED`; empty is
        missing.
    verdict
        The SCTID of the site that the image shows.
    where
        The row that says so, for messages.
    """

    header: str
    verdict: str
    count: int = 1
    where: tuple[str, int] = ("agreement", 0)


@dataclass(frozen=True, slots=True, eq=False)
class HeaderReliability:
    """How many images of each site had a header of each value.

    Attributes
    ----------
    counts
        By value of the header (a code, `MISSING` or `UNMAPPED`) and code of the image's site, each
        as `terminology.vocabulary.canonical` has it.
    """

    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many images were counted."""
        return sum(self.counts.values())

    @classmethod
    def learn(
        cls,
        rows: Iterable[Agreement],
        graph: BodyStructureGraph,
        site_of: Callable[[str], str | None] | None = None,
    ) -> Self:
        """Return what `rows` say together; rows of one value and verdict are added.

        Parameters
        ----------
        site_of
            The SCTID of the site that words of a header name, or `None`: they count as
            `UNMAPPED`. Without it, words are refused.

        Raises
        ------
        TableError
            A code that is none of `graph`, words that cannot be read, a count below 0; every bad
            row is named.
        """
        counts: Counter[tuple[str, str]] = Counter()
        problems: list[RowProblem] = []
        for row in rows:
            try:
                value = _value(row.header, graph, site_of)
            except _NotAValueError as error:
                problems.append(RowProblem(*row.where, "header", str(error), _EXPECTED_HEADER))
                continue
            if row.verdict not in graph:
                what = f"'{row.verdict}' is not in the graph"
                problems.append(RowProblem(*row.where, "verdict", what, "a body structure"))
                continue
            if row.count < 0:
                what = f"'{row.count}'"
                problems.append(RowProblem(*row.where, "count", what, "a whole number, 0 or more"))
                continue
            counts[value, canonical(graph, row.verdict)[0]] += row.count
        if problems:
            raise TableError(problems)
        return cls({key: counts[key] for key in sorted(counts) if counts[key]})

    @classmethod
    def read(cls, path: Path, graph: BodyStructureGraph) -> Self:
        """Return what `write` wrote to `path`.

        Raises
        ------
        TableError
            The file is missing or malformed, or names codes that are none of `graph`.
        """
        problems: list[RowProblem] = []
        rows: list[Agreement] = []
        for row in read_rows(path, _COLUMNS):
            if (count := _whole(row["count"])) is None:
                problems.append(row.problem("count", f"'{row['count']}'", _EXPECTED_COUNT))
            else:
                where = (row.file, row.line)
                rows.append(Agreement(row["header"], row["verdict"], count, where))
        if problems:
            raise TableError(problems)
        return cls.learn(rows, graph)

    @classmethod
    def of(cls, settings: FusionSettings, graph: BodyStructureGraph) -> HeaderReliability:
        """Return the table that `settings` name, or the one where nothing was counted.

        Raises
        ------
        TableError
            The file is missing or malformed, or names codes that are none of `graph`.
        """
        if settings.reliability is None:
            return NOTHING_COUNTED
        return cls.read(settings.reliability, graph)

    def write(self, path: Path, graph: BodyStructureGraph) -> None:
        """Write the table to `path`, tab-separated, whole or not at all; sorted by its codes.

        Raises
        ------
        OSError
            The folder is missing or not writable, or the disk is full.
        """
        with written_whole(path) as stream:
            stream.write("\t".join(_COLUMNS) + "\n")
            for (value, truth), count in sorted(self.counts.items()):
                shown = _NO_SITE.get(value) or graph.lookup(value).display
                cells = (value, shown, truth, graph.lookup(truth).display, str(count))
                stream.write("\t".join(cells) + "\n")


#: Nothing was counted: the default of the settings answers.
NOTHING_COUNTED: Final = HeaderReliability()


def read_agreement(path: Path) -> list[Agreement]:
    """Return the rows of a site's own table: `.tsv` with tabs, anything else with commas.

    Its first line names the columns: ``header``, ``verdict`` and, where a row stands for several
    images, ``count``; further columns are passed over. A row without a verdict is one that nobody
    has looked at, and says nothing.

    Raises
    ------
    TableError
        The file is missing, is not UTF-8, lacks a column, or counts what is no whole number.
    """
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    problems: list[RowProblem] = []
    rows: list[Agreement] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, delimiter=delimiter, strict=True)
            names = reader.fieldnames or []
            for column in ("header", "verdict"):
                if column not in names:
                    raise _unreadable(path, f"the columns are {', '.join(names) or 'none'}")
            for cells in reader:
                verdict = (cells["verdict"] or "").strip()
                written = (cells.get("count") or "1").strip()
                if not verdict:
                    continue
                if (count := _whole(written)) is None:
                    problem = RowProblem(
                        path.name, reader.line_num, "count", f"'{written}'", _EXPECTED_COUNT
                    )
                    problems.append(problem)
                    continue
                where = (path.name, reader.line_num)
                rows.append(Agreement((cells["header"] or "").strip(), verdict, count, where))
    except OSError as error:
        raise _unreadable(path, f"it cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, f"it is no table ({error})") from None
    if problems:
        raise TableError(problems)
    return rows


_EXPECTED_HEADER: Final = f"a body structure, words of a header, '{MISSING}' or '{UNMAPPED}'"
_EXPECTED_COUNT: Final = "a whole number, 0 or more"


class _NotAValueError(Exception):
    """A header value that stands for nothing."""


def _value(
    text: str, graph: BodyStructureGraph, site_of: Callable[[str], str | None] | None
) -> str:
    if not text:
        return MISSING
    if text in _NO_SITE:
        return text
    if text in graph:
        return canonical(graph, text)[0]
    if text.isdigit() and len(text) <= _DIGITS and site_of is None:
        raise _NotAValueError(f"'{text}' is not in the graph")
    if site_of is None:
        raise _NotAValueError(f"'{text}' is no code")
    found = site_of(text)
    return UNMAPPED if found is None else canonical(graph, found)[0]


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def _unreadable(path: Path, what: str) -> TableError:
    expected = "a table with the columns header and verdict, and count if it likes, in UTF-8"
    return TableError([RowProblem(path.name, 1, "file", what, expected)])
