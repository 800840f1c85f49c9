"""The canonical addresses of the profiles and extensions of ours, and of those that others wrote.

A profile is of one release of FHIR: those of R5 have an address of their own.
"""

from __future__ import annotations

from typing import Final

BASE: Final = "https://w3id.org/bodysite/StructureDefinition"
STUDY: Final = f"{BASE}/imaging-study"
EXAMINED: Final = f"{BASE}/examined-site-observation"
VISIBLE: Final = f"{BASE}/visible-sites-observation"
# FHIR has a place for the site of a series, and none for those of a study.
EXAMINED_SITE: Final = f"{BASE}/examined-body-site"
# What the machine had said when a person judged it.
JUDGED_ANSWER: Final = f"{BASE}/judged-answer"
_R5: Final = "-r5"
PROFILES: Final = (STUDY, EXAMINED, VISIBLE)

# The German medical informatics initiative, module imaging.
MII: Final = "https://www.medizininformatik-initiative.de/fhir/ext/modul-bildgebung"


def of_release(url: str, release: str) -> str:
    """Return the address of a profile of ours in a release."""
    return url + _R5 if release == "R5" else url


def r5_profile(url: str) -> str | None:
    """Return what an R5 resource claims for a claim of the R4 one; `None` for nothing."""
    if url in PROFILES:
        return url + _R5
    return None if url.startswith(MII) else url


def r4_profile(url: str) -> str:
    """Return what an R4 resource claims for a claim of the R5 one."""
    name = url.removesuffix(_R5)
    return name if name in PROFILES else url
