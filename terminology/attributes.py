"""The DICOM attributes that are read from a header, by what they say; nothing else is looked at.

A reader of files may leave every other element out. Tests hold the readers to these lists.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from terminology.acquisition import ATTRIBUTES as ACQUISITION
from terminology.elements import tag_of
from terminology.settings import TRUST

FRAME_ANATOMY: Final = "FrameAnatomySequence"
ANATOMY: Final = ("AnatomicRegionSequence", "PrimaryAnatomicStructureSequence")
BODY_PART: Final = "BodyPartExamined"
REQUEST: Final = "RequestAttributesSequence"
PROCEDURE_CODES: Final = ("RequestedProcedureCodeSequence", "ProcedureCodeSequence")
# What says the site as a code, and what says it in words of the series at hand.
SITE_CODES: Final = (FRAME_ANATOMY, *ANATOMY)
SERIES_WORDS: Final = (
    "SeriesDescription",
    "ProtocolName",
    "AcquisitionDeviceProcessingDescription",
    "PerformedProcedureStepDescription",
)
# Sides: (0020,0062) belongs to the image, (0020,0060) to the series. (0020,9072) is read with the
# anatomy of its frame.
SIDES: Final = ("ImageLaterality", "Laterality")
VIEW_POSITION: Final = "ViewPosition"
VIEW_CODES: Final = "ViewCodeSequence"
MODALITY: Final = "Modality"
# What may name a site and stands in the header itself, the most trusted first.
SITE_ATTRIBUTES: Final = tuple(keyword for keyword in TRUST if keyword != FRAME_ANATOMY)

# Who the image is, and what kind of image: `terminology.instance`, `terminology.patient`.
IDENTITY: Final = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "StudyDate",
    "SeriesDate",
    "AcquisitionDate",
    "ContentDate",
    "StudyTime",
    "TimezoneOffsetFromUTC",
    "AccessionNumber",
    MODALITY,
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientAge",
    "PatientSpeciesDescription",
    "PatientSpeciesCodeSequence",
    "SeriesNumber",
    "InstanceNumber",
    "Rows",
)
# What the image shows: `terminology.statements`.
CONTENT: Final = (
    *SITE_ATTRIBUTES,
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    *SIDES,
    VIEW_POSITION,
    VIEW_CODES,
)


@lru_cache(maxsize=1)
def header_tags() -> frozenset[int]:
    """Return the tags of these attributes."""
    return frozenset(int(tag_of(keyword)) for keyword in (*IDENTITY, *CONTENT, *ACQUISITION))
