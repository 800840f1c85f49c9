"""The exceptions of Bodysite.

::

    BodySiteError
    ├── IdentifierError        a code is not a code: check digit, length, partition
    ├── UnknownConceptError    a well-formed code that the release does not hold
    ├── UnknownSystemError     a code system that no table maps from
    ├── TableError             rows of a table in mappings/ are wrong; all of them are named
    ├── IndexFileError         an index file is missing, damaged or of another format
    ├── ReleaseError           rows or files of an RF2 release are wrong; they are named
    ├── EclError               an expression constraint cannot be parsed or evaluated
    ├── ExpressionError        a post-coordinated expression cannot be parsed
    ├── SettingsError          a file of header settings says what nothing understands
    ├── DecisionError          a site's decision cannot be taken as it stands
    ├── JournalError           the journal of a site's decisions cannot be read or written
    ├── ReferenceFileError     a file to measure against is missing or malformed
    └── DicomError             a file or dataset cannot be read as DICOM

Every message says where, what was refused, what was expected and what to do, and the exception
carries the four parts as attributes, so that the HTTP border and the command line can show them
apart. No message holds a patient's name, an identifier or a pixel value.
"""

from __future__ import annotations

from dataclasses import dataclass


class BodySiteError(Exception):
    """The root of all errors that Bodysite raises on purpose.

    Parameters
    ----------
    where
        The place: ``file:line slot``, a DICOM attribute, a request element, an option.
    what
        What was refused, with the value in quotes.
    expected
        What would have been accepted.
    remedy
        What the reader can do about it.
    """

    def __init__(self, where: str, what: str, expected: str, remedy: str) -> None:
        self.where = where
        self.what = what
        self.expected = expected
        self.remedy = remedy
        super().__init__(f"{where}: {what}; expected {expected}. {remedy}")


class IdentifierError(BodySiteError):
    """A code that is malformed by the rules of its own system."""


class UnknownConceptError(BodySiteError):
    """A well-formed SNOMED CT code that is not in the release in use."""

    def __init__(self, code: str, version: str, where: str = "code") -> None:
        self.code = code
        super().__init__(
            where,
            f"'{code}' is not a concept of {version}",
            "a concept under 123037004 |Body structure| that the loaded release holds",
            "Look it up with 'bodysite terminology search'.",
        )


class UnknownSystemError(BodySiteError):
    """A code system that no mapping table has as its subject."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One thing wrong with one row: `line` counts from 1 and includes the ``#`` block."""

    file: str
    line: int
    slot: str
    what: str
    expected: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.slot}: {self.what}; expected {self.expected}."


class TableError(BodySiteError):
    """A table that cannot be used; `problems` holds every bad row, not only the first."""

    def __init__(self, problems: list[RowProblem]) -> None:
        self.problems = tuple(problems)
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(
            f"{first.file}:{first.line} {first.slot}",
            first.what + more,
            first.expected,
            "Correct the rows; 'bodysite mappings check' lists them all.",
        )


class EclError(BodySiteError):
    """An expression constraint that cannot be evaluated; `position` counts characters from 0."""

    def __init__(
        self, expression: str, position: int | None, what: str, expected: str, remedy: str = ""
    ) -> None:
        self.expression = expression
        self.position = position
        place = "ECL" if position is None else f"ECL at character {position + 1}"
        super().__init__(
            place,
            f"{what} in '{expression}'",
            expected,
            remedy or "See SNOMED International's ECL 2.2 specification for the syntax.",
        )


class IndexFileError(BodySiteError):
    """A file that is no usable index of a release."""


class DicomError(BodySiteError):
    """A file that is not DICOM, or DICOM that cannot be annotated."""
