"""What is wrong with a release: every bad row with its file, line and column."""

from __future__ import annotations

from terminology.errors import BodySiteError, RowProblem

# Problems kept in full; further ones are counted.
LIMIT = 100
_SHOWN = 5


class ReleaseError(BodySiteError):
    """A release that cannot be read.

    Attributes
    ----------
    problems
        The first bad cells, at most `LIMIT`; empty when the fault lies in no row, such as a
        missing file.
    total
        How many there are in the files that were read.
    """

    def __init__(
        self,
        where: str,
        what: str,
        expected: str,
        remedy: str,
        *,
        problems: tuple[RowProblem, ...] = (),
        total: int = 0,
    ) -> None:
        self.problems = problems
        self.total = max(total, len(problems))
        super().__init__(where, what, expected, remedy)

    def __str__(self) -> str:
        """Return the message: the first bad rows, one a line, and how many more there are."""
        if len(self.problems) < 2:
            return super().__str__()
        lines = [str(problem) for problem in self.problems[:_SHOWN]]
        if self.total > _SHOWN:
            lines.append(f"... and {self.total - _SHOWN} more.")
        return "\n".join([*lines, self.remedy])


class Problems:
    """Gathers what is wrong while a release is read."""

    def __init__(self) -> None:
        self.found: list[RowProblem] = []
        self.total = 0

    @property
    def room(self) -> int:
        """Return how many more are kept in full."""
        return LIMIT - len(self.found)

    def add(self, file: str, line: int, column: str, what: str, expected: str) -> None:
        """Count a problem, and keep it while there is room."""
        self.total += 1
        if self.room:
            self.found.append(RowProblem(file, line, column, what, expected))

    def count(self, more: int) -> None:
        """Count problems that are not kept."""
        self.total += more

    def raise_any(self, remedy: str) -> None:
        """Raise `ReleaseError` when something was found."""
        if not self.found:
            return
        first = self.found[0]
        raise ReleaseError(
            f"{first.file}:{first.line} {first.slot}",
            first.what,
            first.expected,
            remedy,
            problems=tuple(self.found),
            total=self.total,
        )
