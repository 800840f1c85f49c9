"""What a header says of the patient that bears on body sites: the age, and whether it is human."""

from __future__ import annotations

import re
from typing import Final

from terminology.elements import Elements, date_of
from terminology.folding import fold, tokens_of

_AGE = re.compile(r"(\d{1,3})\s*([DWMYdwmy]?)")
_YEARS_PER: Final = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0, "": 1.0}
_HUMAN: Final = frozenset({"", "human", "homo sapiens", "homo", "man", "mensch", "humain"})
# PS3.16 CID 7454, the SNOMED RT codes for it, their other SNOMED CT code in pydicom, and
# 278412004 |Human|, which HL7's medication examples use.
_HUMAN_CODES: Final = frozenset({"337915000", "278412004", "30996001", "L-85003", "L-85B00"})


def is_animal(elements: Elements) -> bool:
    """Return whether the species is stated and is not human."""
    species = fold(elements.text("PatientSpeciesDescription"))
    codes = [item.text("CodeValue") for item in elements.items("PatientSpeciesCodeSequence", 1)]
    named = " ".join(tokens_of(species)) not in _HUMAN
    return named or any(code and code not in _HUMAN_CODES for code in codes)


def flag_animals(elements: Elements) -> None:
    """Add a flag when the patient is an animal."""
    if is_animal(elements):
        elements.flags.append("The patient is an animal; human body sites may not hold")


def age_years(elements: Elements) -> float | None:
    """Return PatientAge in years, else the years from birth to the study; `None` without both."""
    if value := elements.text("PatientAge"):
        found = _AGE.fullmatch(value)
        if found is not None:
            if not found[2] or len(found[1]) != 3:
                elements.flags.append("PatientAge breaks its VR (nnnD, nnnW, nnnM or nnnY)")
            return round(int(found[1]) * _YEARS_PER[found[2].upper()], 3)
        elements.flags.append("PatientAge breaks its VR (nnnD, nnnW, nnnM or nnnY)")
    birth = date_of(elements.text("PatientBirthDate"))
    if birth is None:
        return None
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        taken = date_of(elements.text(keyword))
        if taken is not None:
            years = (taken - birth).days / 365.25
            return round(years, 3) if 0 <= years <= 130 else None
    return None
