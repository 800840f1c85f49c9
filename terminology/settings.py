"""`HeaderSettings`: what a site may set about how headers are read.

The defaults are those of the design: codes before words, what is said of the image before what is
said of the series, and that before what is said of the study.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# The attributes that may name a site, the most trusted first.
TRUST: Final = (
    "FrameAnatomySequence",
    "AnatomicRegionSequence",
    "PrimaryAnatomicStructureSequence",
    "BodyPartExamined",
    "SeriesDescription",
    "ProtocolName",
    "AcquisitionDeviceProcessingDescription",
    "PerformedProcedureStepDescription",
    "RequestAttributesSequence",
    "RequestedProcedureDescription",
    "RequestedProcedureCodeSequence",
    "ProcedureCodeSequence",
    "StudyDescription",
)


@dataclass(frozen=True, slots=True)
class HeaderSettings:
    """The order of trust among attributes, and the thresholds of reading.

    `trust` lists DICOM keywords, the most trusted first; an attribute that it leaves out is not
    asked for a site. A site less sure than `accept_from` is withheld, as if not known. A statement
    less sure than `refine_from` does not refine what a more trusted attribute says. `misspellings`
    lets words be read by edit distance. `description_factor` and `meaning_factor` are what remains
    of the confidence of a word in a description and in a code meaning.
    """

    trust: tuple[str, ...] = TRUST
    accept_from: float = 0.0
    refine_from: float = 0.7
    misspellings: bool = True
    description_factor: float = 0.95
    meaning_factor: float = 0.9
