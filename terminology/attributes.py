"""The DICOM attributes that are read from a header, all of them; nothing else is looked at.

A reader of files may leave every other element out. Tests hold the readers to this list.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from terminology.elements import tag_of
from terminology.settings import TRUST

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
    "Modality",
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
    *(keyword for keyword in TRUST if keyword != "FrameAnatomySequence"),
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "ImageLaterality",
    "Laterality",
    "ViewPosition",
    "ViewCodeSequence",
)


@lru_cache(maxsize=1)
def header_tags() -> frozenset[int]:
    """Return the tags of these attributes."""
    return frozenset(int(tag_of(keyword)) for keyword in (*IDENTITY, *CONTENT))
