"""Read what the service says back through fhir.resources, and check the codes it leaves open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhir.resources.R4B import get_fhir_model_class

# Required bindings of R4 that fhir.resources does not check.
_CODES = {
    ("ImagingStudy", "status"): {"registered", "available", "cancelled", "entered-in-error"},
    ("Observation", "status"): {"registered", "preliminary", "final", "amended", "corrected"},
    ("Device", "status"): {"active", "inactive", "entered-in-error", "unknown"},
    ("Bundle", "type"): {"collection", "searchset"},
    ("ValueSet", "status"): {"draft", "active", "retired", "unknown"},
    ("SearchParameter", "status"): {"draft", "active", "retired", "unknown"},
    ("CapabilityStatement", "status"): {"draft", "active", "retired", "unknown"},
    ("CapabilityStatement", "kind"): {"instance", "capability", "requirements"},
}
_ISSUES = {
    "invalid", "structure", "required", "value", "invariant", "security", "login", "unknown",
    "expired", "forbidden", "suppressed", "processing", "not-supported", "duplicate",
    "multiple-matches", "not-found", "deleted", "too-long", "code-invalid", "extension",
    "too-costly", "business-rule", "conflict", "transient", "lock-error", "no-store", "exception",
    "timeout", "incomplete", "throttled", "informational",
}  # fmt: skip
_EQUIVALENCES = {"relatedto", "equivalent", "equal", "wider", "subsumes", "narrower", "inexact"}


def checked(resource: dict[str, Any]) -> dict[str, Any]:
    """Return `resource` after parsing it and everything in it as R4B, bindings included."""
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    for one in _all(resource):
        kind = one["resourceType"]
        for (of, element), allowed in _CODES.items():
            if of == kind:
                assert one[element] in allowed, (kind, element, one[element])
        for issue in one.get("issue", []):
            assert issue["severity"] in {"fatal", "error", "warning", "information"}
            assert issue["code"] in _ISSUES, issue["code"]
        for parameter in one.get("parameter", []) if kind == "Parameters" else []:
            for part in parameter.get("part", []):
                if part["name"] == "equivalence":
                    assert part["valueCode"] in _EQUIVALENCES
    _no_empty(resource)
    if resource["resourceType"] == "Bundle":
        urls = [entry["fullUrl"] for entry in resource.get("entry", [])]
        assert len(urls) == len(set(urls))
    return resource


def of_type(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the resources of a type in a Bundle, in order."""
    found = [entry["resource"] for entry in bundle.get("entry", [])]
    return [one for one in found if one["resourceType"] == kind]


def issues(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the issues of every OperationOutcome in a Bundle, or of one that stands alone."""
    if bundle["resourceType"] == "OperationOutcome":
        return bundle["issue"]
    return [issue for one in of_type(bundle, "OperationOutcome") for issue in one["issue"]]


def _all(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield resource
    for entry in resource.get("entry", []):
        yield from _all(entry["resource"])


def _no_empty(value: Any) -> None:
    assert value not in ("", [], {}, None)
    if isinstance(value, dict):
        for one in value.values():
            _no_empty(one)
    elif isinstance(value, list):
        for one in value:
            _no_empty(one)
