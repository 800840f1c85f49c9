"""What the service publishes of its own: SearchParameter and OperationDefinition resources."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from typing import Any, Final

from api.codes import ANNOTATION
from api.indexing import PARAMETERS, Parameter
from api.tx.resources_store import R4

Json = dict[str, Any]
BASE: Final = "https://w3id.org/bodysite"
HL7: Final = "http://hl7.org/fhir/SearchParameter"
DATE: Final = "2026-11-21"
ANNOTATE: Final = (
    "POST DICOM files (multipart/form-data, application/dicom, application/zip, FHIR Binary or"
    " Parameters) or pictures (image/png, image/jpeg, image/tiff), which a model reads, if one is"
    " loaded. ?persist=false stores nothing; ?modality= says what a picture is. With 'Prefer:"
    " respond-async' the work goes on in the background."
)
_SITES_OF: Final = f"Observation.where(code.coding.where(system = '{ANNOTATION}' and code ="
_EXPRESSIONS: Final = {
    ("ImagingStudy", "bodysite", "R4"): "ImagingStudy.series.bodySite",
    ("ImagingStudy", "bodysite", "R5"): "ImagingStudy.series.bodySite.concept",
    ("Observation", "body-site", "R4"): "Observation.bodySite",
    ("Observation", "body-site", "R5"): "Observation.bodySite",
    ("Observation", "visible-site", "R4"): f"{_SITES_OF} 'visible').exists()).component.code",
    ("Observation", "visible-site", "R5"): f"{_SITES_OF} 'visible').exists()).component.code",
    ("Observation", "review", "R4"): "(Observation.component.value as CodeableConcept)",
    ("Observation", "review", "R5"): "Observation.component.value.ofType(CodeableConcept)",
}
# Modifiers that R4 has no code for (SearchParameter.modifier is required in R4).
_MODIFIERS: Final = {
    "R4": frozenset(
        {"missing", "exact", "contains", "not", "text", "in", "not-in", "below", "above", "type",
         "identifier", "of-type"}
    ),
    "R5": frozenset(
        {"missing", "exact", "contains", "not", "text", "in", "not-in", "below", "above", "type",
         "identifier", "of-type"}
    ),
}  # fmt: skip


def definition_of(kind: str, parameter: Parameter, release: str) -> str:
    """Return the canonical address of the definition of a search parameter."""
    known = (parameter.definition or {}).get(release)
    if known is None:
        return f"{BASE}/SearchParameter/{kind}-{parameter.name}"
    return f"{HL7}/{known or f'{kind}-{parameter.name_in(release)}'}"


def search_parameters(release: str) -> Iterable[Json]:
    """Yield the SearchParameter resources that this service adds to FHIR, or widens."""
    for kind, parameters in PARAMETERS.items():
        for parameter in parameters:
            if release in parameter.releases and (kind, parameter.name, release) in _EXPRESSIONS:
                yield _search_parameter(kind, parameter, release)


def _search_parameter(kind: str, parameter: Parameter, release: str) -> Json:
    resource_id = f"{kind}-{parameter.name}"
    modifiers = [one for one in parameter.modifiers if one in _MODIFIERS[release]]
    found: Json = {
        "resourceType": "SearchParameter",
        "id": resource_id,
        "url": f"{BASE}/SearchParameter/{resource_id}",
        "version": metadata.version("bodysite"),
        "name": "".join(part.capitalize() for part in parameter.name.split("-")).join((kind, "")),
        "status": "active",
        "experimental": False,
        "date": DATE,
        "publisher": "The Bodysite developers",
        "description": parameter.documentation or f"{parameter.name} of {kind}.",
        "code": parameter.name_in(release),
        "base": [kind],
        "type": parameter.type,
        "expression": _EXPRESSIONS[kind, parameter.name, release],
        "multipleOr": True,
        "multipleAnd": True,
    }
    if modifiers:
        found["modifier"] = modifiers
    if parameter.definition:
        found["derivedFrom"] = definition_of(kind, parameter, release)
    return found


def operation_definitions(release: str) -> Iterable[Json]:
    """Yield the OperationDefinition of `$annotate`."""
    resource_id = "ImagingStudy-annotate"
    yield {
        "resourceType": "OperationDefinition",
        "id": resource_id,
        "url": f"{BASE}/OperationDefinition/{resource_id}",
        "version": metadata.version("bodysite"),
        "name": "Annotate",
        "title": "Give images their body sites",
        "status": "active",
        "kind": "operation",
        "experimental": False,
        "date": DATE,
        "publisher": "The Bodysite developers",
        "description": ANNOTATE,
        "affectsState": True,
        "code": "annotate",
        "resource": ["ImagingStudy"],
        "system": False,
        "type": True,
        "instance": False,
        "parameter": [
            _parameter("file", "in", "*", "Binary", "DICOM files, zips, pictures", release),
            _parameter("persist", "in", "1", "boolean", "false stores nothing", release),
            _parameter("modality", "in", "1", "code", "What plain pictures are", release),
            _parameter(
                "return",
                "out",
                "1",
                "Bundle",
                "ImagingStudy, Observation, Device, Provenance; an OperationOutcome for each file"
                " that failed",
                release,
            ),
        ],
    }


def _parameter(name: str, use: str, most: str, kind: str, text: str, release: str) -> Json:
    found: Json = {
        "name": name,
        "use": use,
        "min": 1 if name in {"file", "return"} else 0,
        "max": most,
        "documentation": text,
        "type": kind,
    }
    if release != R4 and use == "in":
        found["scope"] = ["type"]
    return found
