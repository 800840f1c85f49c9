"""OperationDefinitions of bulk export, and what a CapabilityStatement says of it.

HL7 publishes its own, which ours name as their base: ours say which parameters this server takes.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any, Final

from api.jobs.export import KINDS
from api.tx.service import FHIR_VERSIONS

_HL7: Final = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition"
_OURS: Final = "https://w3id.org/bodysite/OperationDefinition"
_DATE: Final = "2026-11-21"
_SYSTEM: Final = "export"
_PATIENT: Final = "patient-export"
_MANY: Final = "*"
# Name, type, how many, and what it does here.
_PARAMETERS: Final = (
    ("_outputFormat", "string", "1", "application/fhir+ndjson, application/ndjson or ndjson."),
    (
        "_since",
        "instant",
        "1",
        (
            "Only resources that were changed after this time; those that were deleted since are"
            " listed under `deleted`."
        ),
    ),
    (
        "_type",
        "string",
        _MANY,
        (
            f"Resource types, set apart by commas: {', '.join(KINDS)}. Without it, all that the"
            " client may read but AuditEvent."
        ),
    ),
    (
        "_typeFilter",
        "string",
        _MANY,
        (
            "Searches of one type each, set apart by commas; a resource of that type must match"
            " one of them."
        ),
    ),
    ("_elements", "string", _MANY, "Elements to keep, set apart by commas, as name or Type.name."),
)


def operation_definitions(release: str) -> dict[str, dict[str, Any]]:
    """Return the OperationDefinitions by id, in a release of FHIR."""
    return {
        _SYSTEM: _definition(_SYSTEM, "Export", "all resources", release),
        _PATIENT: {
            **_definition(_PATIENT, "PatientExport", "the resources of patients", release),
            "system": False,
            "type": True,
            "resource": ["Patient"],
        },
    }


def system_operations() -> list[dict[str, str]]:
    """Return what CapabilityStatement.rest.operation says of export."""
    return [_stated(_SYSTEM, "Everything that is stored and that the client may read.")]


def patient_operations() -> list[dict[str, str]]:
    """Return what CapabilityStatement.rest.resource.operation says of it for Patient."""
    return [_stated(_PATIENT, "What is about patients, and the devices that said so.")]


def _stated(name: str, text: str) -> dict[str, str]:
    # Bulk Data Access 2.0.0, CapabilityStatement: the canonical is HL7's.
    documentation = f"{text} GET or POST with 'Prefer: respond-async'; NDJSON."
    return {"name": "export", "definition": f"{_HL7}/{name}", "documentation": documentation}


def _definition(name: str, title: str, what: str, release: str) -> dict[str, Any]:
    return {
        "resourceType": "OperationDefinition",
        "id": name,
        "url": f"{_OURS}/{name}",
        "version": metadata.version("bodysite"),
        "name": title,
        "title": f"Bulk export of {what}",
        "status": "active",
        "kind": "operation",
        "experimental": False,
        "date": _DATE,
        "publisher": "The Bodysite developers",
        "description": f"Exports {what} as NDJSON files, in the background: the answer is 202, and"
        " the address in Content-Location tells how it stands (HL7 FHIR Bulk Data Access, FHIR"
        f" {FHIR_VERSIONS[release]}). What is exported is the state of one moment, the"
        " transactionTime.",
        "affectsState": False,
        "code": "export",
        "base": f"{_HL7}/{name}",
        "system": True,
        "type": False,
        "instance": False,
        "parameter": [
            {
                "name": parameter,
                "use": "in",
                "min": 0,
                "max": many,
                "documentation": documentation,
                "type": kind,
            }
            for parameter, kind, many, documentation in _PARAMETERS
        ],
    }
