"""What a reviewer at the command line says, as an Observation: confirmed, corrected, rejected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api import codes
from api.errors import RequestError
from api.fhir import concept
from api.review.completing import with_components
from api.review.statement import SERIES_UID
from terminology.concept import SNOMED, Laterality, View
from terminology.identifiers import sctid_problem
from terminology.library import Terminology

Json = dict[str, Any]


def site_said(words: str, terminology: Terminology) -> tuple[str, Laterality | None]:
    """Return the code of a site that is given by code or by words, and its side.

    Raises
    ------
    RequestError
        The words name no site, or several.
    """
    if sctid_problem(words) is None:
        return words, None
    reading = terminology.text.read(words)
    if len(reading.sites) != 1:
        named = ", ".join(f"{one.code} |{one.display}|" for one in reading.sites)
        raise RequestError(
            "--site",
            f"'{words[:80]}' names {named or 'no body site'}",
            "a SNOMED CT code of a body structure, or words for one",
            "Look one up: bodysite terminology search.",
        )
    return reading.sites[0].code, reading.sites[0].laterality or reading.laterality


def view_said(words: str, terminology: Terminology) -> View:
    """Return the view that is given by code or by words; `RequestError` when it is none."""
    known = terminology.text.words.views
    view = known.get(words) or terminology.text.read(words).view
    if view is None:
        raise RequestError(
            "--view",
            f"'{words[:80]}' is no view",
            "AP, PA, lateral, ... or a code of DICOM CID 4010",
            "Correct it.",
        )
    return view


def corrected(
    content: Mapping[str, Any],
    site: tuple[str, Laterality | None] | None,
    side: Laterality | None,
    view: View | None,
) -> Json:
    """Return an Observation with another site, side or view; what is `None` stays."""
    found = {**content, "status": "corrected"}
    if site is not None:
        code, own = site
        side = side or own
        found["bodySite"] = {"coding": [{"system": SNOMED, "code": code}]}
        found["valueCodeableConcept"] = {"coding": [{"system": SNOMED, "code": code}]}
    if side is not None:
        found = with_components(found, codes.LATERALITY, [concept(side.coding)])
    if view is not None:
        found = with_components(found, codes.VIEW, [concept(view)])
    return found


def new_verdict(study: Mapping[str, Any], series: str) -> Json:
    """Return an Observation on a series that has none, but for its site."""
    return {
        "resourceType": "Observation",
        "extension": [{"url": SERIES_UID, "valueId": series}],
        "status": "final",
        "code": codes.EXAMINED,
        "subject": study["subject"],
        "derivedFrom": [{"reference": f"ImagingStudy/{study['id']}"}],
    }
