"""BodyStructure: the examined sites of a study, each with its side as a qualifier.

R4 and R5 let an Observation have a coded site, and R5 forbids it a reference to a BodyStructure
beside that (invariant obs-8): the reference is in the extension that HL7 has for it, in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from api.fhir import concept, logical_id, resource
from api.findings import Finding, Key
from api.profiles import mii
from api.records import Resource, Token
from terminology.concept import SNOMED, Coding
from terminology.graph import BodyStructureGraph

BODY_SITE: Final = "http://hl7.org/fhir/StructureDefinition/bodySite"
# FHIR R5, 2.1.10: how R4 keeps the element of R5, which has room for the reference.
_SERIES_SITE: Final = (
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-ImagingStudy.series.bodySite"
)


def structure_id(study: str, key: Key) -> str:
    """Return the logical id of the BodyStructure of a site and side in a study."""
    return logical_id("body-structure", study, key[0], key[1] or "")


def body_structures(
    study: str,
    findings: Iterable[Finding],
    subject: Mapping[str, Any],
    graph: BodyStructureGraph,
    *,
    for_mii: bool,
) -> Iterator[Resource]:
    """Yield the BodyStructure of every site and side among `findings`, each once.

    Parameters
    ----------
    study
        Logical id of the ImagingStudy.
    """
    for key, finding in sorted({one.key: one for one in findings}.items(), key=str):
        site, side = finding.best.site, finding.laterality
        content = {
            "meta": {"profile": [mii.BODY_STRUCTURE]} if for_mii else {},
            "location": concept(Coding(SNOMED, site.code, site.display)),
            "locationQualifier": [concept(side.coding)] if side is not None else [],
            "patient": dict(subject),
        }
        sided = graph.sided(site.code, side) if side is not None else None
        extra = [Token("location", SNOMED, sided)] if sided is not None else []
        yield resource("BodyStructure", structure_id(study, key), content, graph, extra)


def referring(resource_id: str) -> dict[str, Any]:
    """Return the extension of a coded site that refers to its BodyStructure."""
    reference = {"reference": f"BodyStructure/{resource_id}"}
    return {"url": BODY_SITE, "valueReference": reference}


def series_site(site: Mapping[str, Any], resource_id: str) -> dict[str, Any]:
    """Return the extension that keeps the site of a series as R5 has it.

    Parameters
    ----------
    site
        The site as a CodeableConcept, whose first Coding R4 has in the element itself.
    """
    parts: list[dict[str, Any]] = [
        {"url": "_datatype", "valueString": "CodeableReference"},
        {"url": "concept", "valueCodeableConcept": dict(site)},
        {"url": "reference", "valueReference": {"reference": f"BodyStructure/{resource_id}"}},
    ]
    return {"url": _SERIES_SITE, "extension": parts}
