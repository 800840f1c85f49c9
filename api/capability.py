"""`metadata` and `/r4/SearchParameter`: what really works, out of the tables that do it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from typing import Any, Final

from api.codes import ANNOTATION
from api.responses import FHIR_JSON
from api.search import PARAMETERS, Parameter
from api.tx.catalog import SEARCH
from api.tx.operations import OPERATIONS, Operation
from api.tx.resources_store import R4, TYPES
from api.tx.service import FHIR_VERSIONS

_BASE: Final = "https://w3id.org/bodysite"
_DEFINITIONS: Final = "http://hl7.org/fhir/OperationDefinition"
_HL7_PARAMETER: Final = "http://hl7.org/fhir/SearchParameter"
_DATE: Final = "2026-11-20"
_EXPRESSIONS: Final = {
    "bodysite": "ImagingStudy.series.bodySite",
    "body-site": "Observation.bodySite",
    "visible-site": f"Observation.where(code.coding.where(system = '{ANNOTATION}'"
    " and code = 'visible').exists()).component.code",
}
# Parameters that R4 itself defines: name there, by resource type and name here.
_OF_R4: Final = {
    ("ImagingStudy", "bodysite"): "ImagingStudy-bodysite",
    ("ImagingStudy", "modality"): "ImagingStudy-modality",
    ("ImagingStudy", "identifier"): "clinical-identifier",
    ("ImagingStudy", "patient"): "clinical-patient",
    ("Observation", "patient"): "clinical-patient",
    ("ImagingStudy", "series"): "ImagingStudy-series",
    ("ImagingStudy", "status"): "ImagingStudy-status",
    ("Observation", "code"): "clinical-code",
    ("Observation", "category"): "Observation-category",
    ("Observation", "status"): "Observation-status",
    ("Observation", "derived-from"): "Observation-derived-from",
}
_ANNOTATE: Final = (
    "POST DICOM files (multipart/form-data, application/dicom, application/zip, FHIR Binary or"
    " Parameters) or pictures (image/png, image/jpeg, image/tiff), which a model reads, if one is"
    " loaded. ?persist=false stores nothing; ?modality= says what a picture is."
)
# Operations that FHIR itself defines, and where HL7 defines the others.
_TX_DEFINITIONS: Final = {
    "batch-validate-code": "http://hl7.org/fhir/uv/tx-ecosystem/OperationDefinition"
}
# A server that says this is one of HL7's terminology servers in what it offers.
_TERMINOLOGY_SERVER: Final = "http://hl7.org/fhir/CapabilityStatement/terminology-server"

# What HL7's terminology servers have to say: FHIR has no code for a service that asks nobody.
_OPEN: Final = {
    "service": [{"text": "None: whoever reaches this address may ask."}],
    "description": "Start the service with --token-file to let in only those who show it.",
}
_WITH_TOKENS: Final = {
    "service": [
        {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                    "code": "OAuth",
                    "display": "OAuth",
                }
            ],
            "text": "A bearer token (RFC 6750), from whoever runs the server.",
        }
    ],
    "description": "Every request but metadata and /health shows a bearer token:"
    " 'Authorization: Bearer TOKEN'.",
}

# What comes with the service and can be read and searched, by its canonical address.
_PUBLISHED: Final = ("OperationDefinition", "SearchParameter", "StructureDefinition")
_URL: Final = {"name": "url", "type": "uri", "documentation": "The canonical address."}
_DEFINED: Final = frozenset(
    {"url", "version", "name", "title", "status", "identifier", "publisher"}
)


def capability_statement(
    base: str, versions: Sequence[str], release: str, *, with_tokens: bool, keeps: bool
) -> dict[str, Any]:
    """Return the CapabilityStatement of the endpoint at `base`.

    Parameters
    ----------
    versions
        The versions of SNOMED CT that are here, the default first.
    release
        R4 or R5. Images are searched for and annotated in R4 only.
    keeps
        Whether a site's own terminology resources can be stored.
    """
    resources: list[dict[str, Any]] = []
    if release == R4:
        resources += [_searchable(kind) for kind in sorted(PARAMETERS)]
        resources += [
            {
                "type": kind,
                "interaction": [{"code": "read"}, {"code": "search-type"}],
                "searchParam": [_URL],
            }
            for kind in _PUBLISHED
        ]
    resources += [_terminology(kind, keeps=keeps) for kind in TYPES]
    resources.sort(key=lambda one: str(one["type"]))
    rest: dict[str, Any] = {
        "mode": "server",
        "resource": resources,
        "interaction": [{"code": "batch"}],
        "operation": [_operation(one) for one in OPERATIONS if not one.type],
    }
    rest["security"] = _WITH_TOKENS if with_tokens else _OPEN
    return {
        "resourceType": "CapabilityStatement",
        "url": f"{base}/metadata",
        "version": metadata.version("bodysite"),
        "name": "Bodysite",
        "title": "Bodysite: SNOMED CT body sites for radiology images",
        "status": "active",
        "experimental": False,
        "date": _DATE,
        "publisher": "The Bodysite developers",
        "description": "For research and data curation; this is no medical device. SNOMED CT:"
        f" {', '.join(versions)}.",
        "kind": "instance",
        "instantiates": [_TERMINOLOGY_SERVER],
        "contact": [{"telecom": [{"system": "url", "value": _BASE}]}],
        "software": {
            "name": "Bodysite",
            "version": metadata.version("bodysite"),
            "releaseDate": _DATE,
        },
        "implementation": {"description": "Bodysite", "url": base},
        "fhirVersion": FHIR_VERSIONS[release],
        "format": [FHIR_JSON, "json"],
        "rest": [rest],
    }


def _terminology(kind: str, *, keeps: bool) -> dict[str, Any]:
    written = ("create", "update", "delete") if keeps else ()
    resource: dict[str, Any] = {
        "type": kind,
        "interaction": [{"code": code} for code in ("read", "search-type", *written)],
        "versioning": "versioned-update",
        "conditionalCreate": keeps,
        "conditionalUpdate": keeps,
        "searchParam": [
            {
                "name": name,
                **({"definition": f"{_HL7_PARAMETER}/{kind}-{name}"} if name in _DEFINED else {}),
                "type": "token" if one.type == "id" else one.type,
                "documentation": one.text,
            }
            for name, one in SEARCH[kind].items()
        ],
        "operation": [_operation(one) for one in OPERATIONS if one.type == kind],
    }
    return resource


def _operation(one: Operation) -> dict[str, Any]:
    of = one.type or "ConceptMap"
    definitions = _TX_DEFINITIONS.get(one.name, _DEFINITIONS)
    return {
        "name": one.name,
        "definition": f"{definitions}/{of}-{one.name}",
        "documentation": f"{one.summary}.",
    }


def operation_definitions() -> dict[str, dict[str, Any]]:
    """Return the OperationDefinition of `$annotate`, the one operation that is ours, by id."""
    resource_id = "ImagingStudy-annotate"
    return {
        resource_id: {
            "resourceType": "OperationDefinition",
            "id": resource_id,
            "url": f"{_BASE}/OperationDefinition/{resource_id}",
            "version": metadata.version("bodysite"),
            "name": "Annotate",
            "title": "Give images their body sites",
            "status": "active",
            "kind": "operation",
            "date": _DATE,
            "publisher": "The Bodysite developers",
            "description": _ANNOTATE,
            "affectsState": True,
            "code": "annotate",
            "resource": ["ImagingStudy"],
            "system": False,
            "type": True,
            "instance": False,
            "parameter": [
                _operation_parameter("file", "in", "*", "Binary", "DICOM files, zips, pictures"),
                _operation_parameter("persist", "in", "1", "boolean", "false stores nothing"),
                _operation_parameter("modality", "in", "1", "code", "What plain pictures are"),
                _operation_parameter(
                    "return",
                    "out",
                    "1",
                    "Bundle",
                    "ImagingStudy, Observation, Device, Provenance; an OperationOutcome for each"
                    " file that failed",
                ),
            ],
        }
    }


def _operation_parameter(name: str, use: str, most: str, kind: str, text: str) -> dict[str, Any]:
    least = 1 if name in {"file", "return"} else 0
    return {
        "name": name,
        "use": use,
        "min": least,
        "max": most,
        "documentation": text,
        "type": kind,
    }


def search_parameters() -> dict[str, dict[str, Any]]:
    """Return the SearchParameter resources that this service adds or widens, by id."""
    found = {}
    for kind, parameters in PARAMETERS.items():
        for parameter in parameters:
            if parameter.body_site:
                resource = _search_parameter(kind, parameter)
                found[resource["id"]] = resource
    return found


def _searchable(kind: str) -> dict[str, Any]:
    resource: dict[str, Any] = {"type": kind, "interaction": [{"code": "read"}]}
    if not PARAMETERS[kind]:
        return resource
    resource["interaction"].append({"code": "search-type"})
    resource["versioning"] = "versioned"
    resource["searchInclude" if kind == "Observation" else "searchRevInclude"] = [
        "Observation:derived-from"
    ]
    resource["searchParam"] = [_search_param(kind, one) for one in PARAMETERS[kind]]
    for name, typed, definition, text in (
        ("_id", "token", "Resource-id", "Logical ids, set apart by commas."),
        ("_lastUpdated", "date", "Resource-lastUpdated", "With eq, ge, gt, le, lt, sa, eb."),
    ):
        resource["searchParam"].append(
            {
                "name": name,
                "definition": f"{_HL7_PARAMETER}/{definition}",
                "type": typed,
                "documentation": text,
            }
        )
    if kind == "ImagingStudy":
        resource["operation"] = [
            {
                "name": "annotate",
                "definition": f"{_BASE}/OperationDefinition/ImagingStudy-annotate",
                "documentation": _ANNOTATE,
            }
        ]
    return resource


def _search_param(kind: str, parameter: Parameter) -> dict[str, Any]:
    standard = _OF_R4.get((kind, parameter.name))
    own = f"{_BASE}/SearchParameter/{kind}-{parameter.name}"
    aliases = f" Also as {', '.join(parameter.aliases)}." if parameter.aliases else ""
    return {
        "name": parameter.name,
        "definition": f"{_HL7_PARAMETER}/{standard}" if standard else own,
        "type": parameter.type,
        "documentation": parameter.documentation + aliases,
    }


def _search_parameter(kind: str, parameter: Parameter) -> dict[str, Any]:
    resource_id = f"{kind}-{parameter.name}"
    standard = _OF_R4.get((kind, parameter.name))
    resource: dict[str, Any] = {
        "resourceType": "SearchParameter",
        "id": resource_id,
        "url": f"{_BASE}/SearchParameter/{resource_id}",
        "version": metadata.version("bodysite"),
        "name": "".join(part.title() for part in resource_id.split("-")),
        "status": "active",
        "date": _DATE,
        "publisher": "The Bodysite developers",
        "description": parameter.documentation,
        "code": parameter.name,
        "base": [kind],
        "type": "token",
        "expression": _EXPRESSIONS[parameter.name],
        "multipleOr": True,
        "multipleAnd": True,
        "modifier": list(parameter.modifiers),
    }
    if standard:
        resource["derivedFrom"] = f"{_HL7_PARAMETER}/{standard}"
    return resource
