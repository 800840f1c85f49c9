"""`IrmaList`: the codes of the four IRMA axes in one version of the list, with their texts.

The list of 2008 is that of all ImageCLEF image sets; the list of 2003 is the published one, which
gives some codes other meanings (463 is the acromio-scapula joint there and the right
humero-scapular joint here). Both stand in ``irma-codes.tsv``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

from terminology.errors import IdentifierError, RowProblem, TableError, UnknownSystemError
from terminology.identifiers import irma_problem
from terminology.sources.irma import UNSPECIFIED, Axis, IrmaCode, specified
from terminology.tables import Row, mappings_folder, read_rows

CODES_TABLE: Final = "irma-codes.tsv"
_COLUMNS: Final = ("axis", "code", "parent", "text", "version", "source", "comment")
_STEP: Final = " > "
_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class IrmaEntry:
    """One line of a list. `text` stands as printed; `comment` says what is odd about it."""

    axis: Axis
    code: str
    parent: str | None
    text: str
    ref: str
    comment: str | None = None


@dataclass(frozen=True)
class IrmaList:
    """The list of one `version`; `entries` by axis and code."""

    version: str
    entries: Mapping[tuple[Axis, str], IrmaEntry]

    def __len__(self) -> int:
        return len(self.entries)

    def entry(self, axis: Axis, code: str) -> IrmaEntry | None:
        """Return the line for `code`, short or at full width; `None` when the list lacks it.

        The line is the one that says as much as `code`: 930 and 93 are the same line, and so is
        93*, of which no more is known. Unspecified as a whole is the line 0, not known as a
        whole is none.
        """
        said = specified(code)
        if said:
            return self.entries.get((axis, said))
        return self.entries.get((axis, UNSPECIFIED)) if code[:1] == UNSPECIFIED else None

    def path(self, axis: Axis, code: str) -> str | None:
        """Return the text of `code` with those above it, broadest first, joined by ``>``.

        "unspecified" is left out but where the whole axis is. `None` when the list lacks `code`.
        """
        entry = self.entry(axis, code)
        texts: list[str] = []
        while entry is not None:
            texts.append(entry.text)
            entry = self.entries.get((axis, entry.parent)) if entry.parent else None
        return _STEP.join(reversed(texts)) or None

    def children(self, axis: Axis, code: str) -> tuple[str, ...]:
        """Return the codes one level below `code`, sorted; of ``""``, those at the top."""
        return self._children.get((axis, specified(code)), ())

    def check(self, code: IrmaCode, where: str = "code") -> None:
        """Raise `IdentifierError` at the first axis and position that the list does not hold."""
        for axis in Axis:
            self.check_part(axis, code.part(axis), where)

    def check_part(self, axis: Axis, code: str, where: str = "code") -> None:
        """Raise `IdentifierError` at the first position of `code` that the list does not hold."""
        said = specified(code)
        for at in range(1, len(said) + 1):
            if (axis, said[:at]) in self.entries:
                continue
            above = said[: at - 1]
            known = self.children(axis, above)
            shown = ", ".join(known[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
            raise IdentifierError(
                f"{where}, {axis} axis, position {at}",
                f"'{said[:at]}' is not in the IRMA list of {self.version}",
                shown or f"nothing more specific than {above}",
                "Check the version of the list, or write 0 for unspecified or * for not known.",
            )

    @cached_property
    def _children(self) -> Mapping[tuple[Axis, str], tuple[str, ...]]:
        found: dict[tuple[Axis, str], list[str]] = defaultdict(list)
        for axis, code in sorted(self.entries):
            found[axis, self.entries[axis, code].parent or ""].append(code)
        return {key: tuple(codes) for key, codes in found.items()}


class IrmaLists:
    """The lists of all versions, the newest last."""

    def __init__(self, lists: Mapping[str, IrmaList]) -> None:
        self._lists = dict(sorted(lists.items()))

    @classmethod
    def load(cls, folder: Path | None = None) -> IrmaLists:
        """Return the lists of ``irma-codes.tsv`` in `folder`, by default the embedded ones.

        Raises
        ------
        TableError
            With every bad row: an unknown axis, a malformed or doubled code, a parent that is not
            the code without its last character, or not in the list.
        """
        problems: list[RowProblem] = []
        good: list[tuple[Row, Axis]] = []
        lists: dict[str, dict[tuple[Axis, str], IrmaEntry]] = defaultdict(dict)
        for row in read_rows((folder or mappings_folder()) / CODES_TABLE, _COLUMNS):
            if problem := _problem(row):
                problems.append(problem)
                continue
            axis, code = Axis(row["axis"]), row["code"]
            good.append((row, axis))
            entries = lists[row["version"]]
            if (axis, code) in entries:
                expected = "each code of an axis once a version"
                problems.append(row.problem("code", f"'{code}' a second time", expected))
            entries[axis, code] = IrmaEntry(
                axis=axis,
                code=code,
                parent=row["parent"] or None,
                text=row["text"],
                ref=row.ref,
                comment=row["comment"] or None,
            )
        for row, axis in good:
            parent, version = row["parent"], row["version"]
            if parent and (axis, parent) not in lists[version]:
                problems.append(row.problem("parent", f"'{parent}'", f"a code of {version}"))
        if problems:
            raise TableError(sorted(problems, key=lambda one: one.line))
        return cls({version: IrmaList(version, entries) for version, entries in lists.items()})

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions, the newest last."""
        return tuple(self._lists)

    def of(self, version: str | None = None) -> IrmaList:
        """Return the list of `version`, without one the newest.

        Raises
        ------
        UnknownSystemError
            There is no list of that version.
        """
        name = version or self.versions[-1]
        try:
            return self._lists[name]
        except KeyError:
            raise UnknownSystemError(
                "version",
                f"'{version}' of the IRMA code",
                " or ".join(self.versions),
                "Name one of these versions, or none for the newest.",
            ) from None


@lru_cache(maxsize=1)
def embedded_lists() -> IrmaLists:
    """Return the lists that came with this installation, read at the first call."""
    return IrmaLists.load()


def _problem(row: Row) -> RowProblem | None:
    """Return what is wrong with `row` by itself."""
    if row["axis"] not in set(Axis):
        return row.problem("axis", f"'{row['axis']}'", f"one of {', '.join(Axis)}")
    code = row["code"]
    if reason := irma_problem(code, Axis(row["axis"]).width):
        return row.problem("code", f"'{code}' {reason}", "a code of the axis")
    if row["parent"] != code[:-1]:
        return row.problem("parent", f"'{row['parent']}' of '{code}'", f"'{code[:-1]}'")
    for slot in ("text", "version", "source"):
        if not row[slot]:
            return row.problem(slot, "empty", "a value")
    return None
