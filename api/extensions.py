"""The extensions of ours that resources of images have, and their StructureDefinitions."""

from __future__ import annotations

from importlib import metadata
from typing import Any, Final

_BASE: Final = "https://w3id.org/bodysite/StructureDefinition"
_DATE: Final = "2026-11-20"
# FHIR has a place for the site of a series, and none for those of a study.
EXAMINED_SITE: Final = f"{_BASE}/examined-body-site"


def structure_definitions() -> dict[str, dict[str, Any]]:
    """Return the StructureDefinition of every extension of ours, by id."""
    resource_id = EXAMINED_SITE.rpartition("/")[2]
    return {
        resource_id: {
            "resourceType": "StructureDefinition",
            "id": resource_id,
            "url": EXAMINED_SITE,
            "version": metadata.version("bodysite"),
            "name": "ExaminedBodySite",
            "title": "Examined body site",
            "status": "active",
            "experimental": False,
            "date": _DATE,
            "publisher": "The Bodysite developers",
            "description": "A body site that an imaging study examines: the sites of its series,"
            " but none that contains another of them.",
            "fhirVersion": "4.0.1",
            "kind": "complex-type",
            "abstract": False,
            "context": [{"type": "element", "expression": "ImagingStudy"}],
            "type": "Extension",
            "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Extension",
            "derivation": "constraint",
            "differential": {
                "element": [
                    {
                        "id": "Extension",
                        "path": "Extension",
                        "short": "A body site that the study examines",
                        "definition": "A body site that the study examines, with its side where it"
                        " has one.",
                        "min": 0,
                        "max": "*",
                    },
                    {"id": "Extension.extension", "path": "Extension.extension", "max": "0"},
                    {"id": "Extension.url", "path": "Extension.url", "fixedUri": EXAMINED_SITE},
                    {
                        "id": "Extension.value[x]",
                        "path": "Extension.value[x]",
                        "short": "A SNOMED CT body structure, then its sided concept if there is"
                        " one",
                        "min": 1,
                        "type": [{"code": "CodeableConcept"}],
                        "binding": {
                            "strength": "required",
                            "description": "Body structures of SNOMED CT.",
                            "valueSet": "http://snomed.info/sct?fhir_vs=isa/123037004",
                        },
                    },
                ]
            },
        }
    }
