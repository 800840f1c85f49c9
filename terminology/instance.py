"""Who an image is: the identifiers and facts of a dataset that FHIR's ImagingStudy asks for."""

from __future__ import annotations

import re
from typing import Final

from pydicom import Dataset

from terminology.acquisition import acquisition_of
from terminology.annotation import Instance
from terminology.elements import Elements, date_of, tag_text
from terminology.errors import DicomError

_UIDS: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
# PS3.5 section 9.1, tolerant of the leading zeros that old writers leave in.
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_TIME = re.compile(r"(\d{2}):?(\d{2}):?(\d{2})(?:\.\d+)?")
_ZONE = re.compile(r"([+-])(\d{2}):?(\d{2})")
# PS3.5 6.2: what (0008,0060), of value representation CS, can look like.
_MODALITY = re.compile(r"[A-Z0-9_]{1,16}", re.ASCII)


def is_modality(value: str) -> bool:
    """Return whether `value` has the form of a modality code."""
    return _MODALITY.fullmatch(value) is not None


def instance_of(dataset: Dataset) -> Instance:
    """Return the identifiers and facts of `dataset`.

    Raises
    ------
    DicomError
        A UID that FHIR needs is missing, empty or malformed; the message names the attribute.
    """
    elements = Elements(dataset)
    study, series, image = (_uid(elements, keyword) for keyword in _UIDS)
    return Instance(
        study_uid=study,
        series_uid=series,
        sop_instance_uid=image,
        sop_class_uid=elements.text("SOPClassUID") or None,
        modality=elements.text("Modality").upper() or None,
        patient_id=elements.text("PatientID") or None,
        issuer_of_patient_id=elements.text("IssuerOfPatientID") or None,
        accession_number=elements.text("AccessionNumber") or None,
        started=_started(elements),
        series_number=_whole(elements, "SeriesNumber"),
        instance_number=_whole(elements, "InstanceNumber"),
        acquisition=acquisition_of(elements),
    )


def _uid(elements: Elements, keyword: str) -> str:
    value = elements.text(keyword)
    if value and len(value) <= 64 and _UID.fullmatch(value):
        return value
    what = "is no UID" if value else "is missing or empty"
    raise DicomError(
        f"{tag_text(keyword)} {keyword}",
        what,
        "a UID of digits and dots, at most 64 characters",
        "Export the image again from its archive, or give it a UID before it is annotated.",
    )


def _whole(elements: Elements, keyword: str) -> int | None:
    value = elements.text(keyword).partition("\\")[0]
    try:
        return int(value)
    except ValueError:
        return None


def _started(elements: Elements) -> str | None:
    """Return the start of the study as a FHIR dateTime; a time needs a time zone to be one."""
    day = date_of(elements.text("StudyDate"))
    if day is None:
        return None
    text = day.isoformat()
    time = _TIME.match(elements.text("StudyTime"))
    zone = _ZONE.fullmatch(elements.text("TimezoneOffsetFromUTC"))
    if time is None or zone is None or time[1] > "23" or time[2] > "59" or time[3] > "59":
        return text
    return f"{text}T{time[1]}:{time[2]}:{time[3]}{zone[1]}{zone[2]}:{zone[3]}"
