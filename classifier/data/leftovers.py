"""`Leftovers`: the rows and files that a reader cannot use, counted by reason and never lost.

What is missing or says nothing is left out, with a count and an example. What breaks the form of
its file is left out as well while it is rare; a file of which more than a tenth is broken is not
what it is taken for, and is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from classifier.data.sample import LeftOut
from classifier.errors import DataSetError

# Up to one broken row in so many is left out, not refused.
_FEW: Final = 10
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class _Broken:
    where: str
    what: str
    expected: str


class Leftovers:
    """What cannot be used of the data set at `path`; examples name files relative to it.

    `rows` counts all rows that were read, used or not.
    """

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self._path = path
        self._reasons: dict[str, list[str]] = {}
        self._broken: list[_Broken] = []

    def place(self, file: Path, line: int | None = None) -> str:
        """Return `file`, relative to the data set where it is in it, with the line from 1."""
        shown = file.relative_to(self._path) if file.is_relative_to(self._path) else file
        return shown.as_posix() if line is None else f"{shown.as_posix()}:{line}"

    def leave(self, reason: str, example: str) -> None:
        """Count a row or file that is well-formed and cannot be used."""
        self._reasons.setdefault(reason, []).append(example)

    def broken(self, where: str, reason: str, what: str, expected: str) -> None:
        """Count a row that breaks the form of its file; `what` is refused, `reason` is its kind."""
        self._broken.append(_Broken(where, what, expected))
        self.leave(reason, f"{where}: {what}")

    def first(self, files: Sequence[Path]) -> Path:
        """Return the first of the files of one image, and count the others."""
        for file in files[1:]:
            self.leave("another file of an image that has one", self.place(file))
        return files[0]

    def left_out(self) -> tuple[LeftOut, ...]:
        """Return what was counted, the most frequent reason first."""
        found = (LeftOut(reason, len(all_), all_[0]) for reason, all_ in self._reasons.items())
        return tuple(sorted(found, key=lambda one: (-one.count, one.reason)))

    def forbid(self, reason: str, expected: str, remedy: str) -> None:
        """Raise `DataSetError` when anything was left out for `reason`."""
        if found := self._reasons.get(reason):
            raise DataSetError(found[0], f"{reason} ({len(found)} in all)", expected, remedy)

    def check(self, samples: int, remedy: str) -> None:
        """Raise `DataSetError` when too many rows are broken, or no sample came of them.

        Every broken row is named, up to a limit.
        """
        if self._broken and (len(self._broken) * _FEW > self.rows or not samples):
            first, *others = self._broken
            what = f"{first.what}; {len(self._broken)} of {self.rows} rows are broken"
            if others:
                dots = ", …" if len(others) > _SHOWN else ""
                what += f": also {', '.join(one.where for one in others[:_SHOWN])}{dots}"
            raise DataSetError(first.where, what, first.expected, remedy)
        if not samples:
            reasons = "; ".join(
                f"{one.reason} ({one.count}, such as {one.example})" for one in self.left_out()
            )
            what = f"no image can be used: {reasons or 'there is none'}"
            raise DataSetError(str(self._path), what, "at least one image with its label", remedy)
