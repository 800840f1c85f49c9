"""The small values that travel through Bodysite: codings, concepts, sides, views."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SNOMED: Final = "http://snomed.info/sct"
DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"

BODY_STRUCTURE: Final = "123037004"


@dataclass(frozen=True, slots=True)
class Coding:
    """A code of a system, as FHIR has it. Two are equal when all four fields are."""

    system: str
    code: str
    display: str | None = None
    version: str | None = None


class Laterality(StrEnum):
    """The side, kept apart from the site at every step."""

    LEFT = "left"
    RIGHT = "right"
    BILATERAL = "bilateral"

    @property
    def coding(self) -> Coding:
        """The SNOMED CT qualifier of DICOM PS3.16 CID 244."""
        code, display = _LATERALITY_CODES[self]
        return Coding(SNOMED, code, display)

    @classmethod
    def from_dicom(cls, value: str) -> Laterality | None:
        """Return the side of (0020,0060) or (0020,0062); `None` for U, empty or anything else."""
        return _DICOM_SIDES.get(value.strip().upper())


_LATERALITY_CODES: Final = {
    Laterality.LEFT: ("7771000", "Left"),
    Laterality.RIGHT: ("24028007", "Right"),
    Laterality.BILATERAL: ("51440002", "Right and left"),
}
# PS3.3 C.7.3.1.1.1 and C.8.11.3: R, L, U (unpaired), B (both).
_DICOM_SIDES: Final = {
    "L": Laterality.LEFT,
    "R": Laterality.RIGHT,
    "B": Laterality.BILATERAL,
}


@dataclass(frozen=True, slots=True)
class Concept:
    """A body structure of the release in use.

    `display` is the term to show; `synonyms` are further terms that text search finds.
    A sided concept has its side in `laterality` and, where there is one, its unsided counterpart
    in `unsided`.
    """

    code: str
    display: str
    synonyms: tuple[str, ...] = ()
    unsided: str | None = None
    laterality: Laterality | None = None

    @property
    def coding(self) -> Coding:
        """The concept as a coding, without a version."""
        return Coding(SNOMED, self.code, self.display)

    def __str__(self) -> str:
        return f"{self.code} |{self.display}|"


@dataclass(frozen=True, slots=True)
class View:
    """A projection: a SNOMED CT code of CID 4010, 4012 or 4014, and its ViewPosition if any."""

    code: str
    display: str
    dicom: str | None = None
