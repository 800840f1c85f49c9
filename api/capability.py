"""`metadata`: what really works, out of the tables that do it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import Any, Final

from api.indexing import Parameter, parameters_of
from api.jobs.definitions import patient_operations, system_operations
from api.negotiation import FHIR_JSON, JSON_PATCH
from api.profiles import profiles
from api.rest.definitions import ANNOTATE, BASE, DATE, HL7, definition_of
from api.rest.kinds import KINDS, READ_ONLY
from api.rest.published import PARAMETERS as OF_PUBLISHED
from api.rest.published import PUBLISHED
from api.tx.catalog import SEARCH
from api.tx.operations import OPERATIONS, Operation
from api.tx.resources_store import TYPES
from api.tx.service import FHIR_VERSIONS

Json = dict[str, Any]
_DEFINITIONS: Final = "http://hl7.org/fhir/OperationDefinition"
# Operations that FHIR itself defines, and where HL7 defines the others.
_TX_DEFINITIONS: Final = {
    "batch-validate-code": "http://hl7.org/fhir/uv/tx-ecosystem/OperationDefinition"
}
# A server that says this is one of HL7's terminology servers in what it offers.
_TERMINOLOGY_SERVER: Final = "http://hl7.org/fhir/CapabilityStatement/terminology-server"
_READ: Final = ("read", "vread", "history-instance", "history-type", "search-type")
_WRITE: Final = ("create", "update", "patch", "delete")
_OF_TERMINOLOGY: Final = frozenset(
    {"url", "version", "name", "title", "status", "identifier", "publisher"}
)
_CONTROL: Final = (
    ("_text", "string", "Resource-text", "Words of the narrative."),
    ("_content", "string", "Resource-content", "Words of the whole resource."),
)

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
# SMART App Launch 2.2.0, 8.1: where tokens come from is in .well-known/smart-configuration.
_WITH_PROVIDER: Final = {
    "service": [
        {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                    "code": "SMART-on-FHIR",
                    "display": "SMART-on-FHIR",
                }
            ],
            "text": "A bearer token of the OpenID provider in .well-known/smart-configuration.",
        }
    ],
    "description": _WITH_TOKENS["description"],
}


def capability_statement(
    base: str,
    versions: Sequence[str],
    release: str,
    *,
    with_tokens: bool,
    keeps: bool,
    with_provider: bool = False,
) -> Json:
    """Return the CapabilityStatement of the endpoint at `base`.

    Parameters
    ----------
    versions
        The versions of SNOMED CT that are here, the default first.
    with_tokens
        Whether requests must show a bearer token.
    keeps
        Whether a site's own terminology resources can be stored.
    with_provider
        Whether the tokens of an OpenID provider are taken.
    """
    guarded = _WITH_PROVIDER if with_provider else _WITH_TOKENS
    resources = [_stored(kind, release) for kind in KINDS]
    resources += [_published(kind) for kind in PUBLISHED]
    resources += [_terminology(kind, keeps=keeps) for kind in TYPES]
    resources.sort(key=lambda one: str(one["type"]))
    return {
        "resourceType": "CapabilityStatement",
        "url": f"{base}/metadata",
        "version": metadata.version("bodysite"),
        "name": "Bodysite",
        "title": "Bodysite: SNOMED CT body sites for radiology images",
        "status": "active",
        "experimental": False,
        "date": DATE,
        "publisher": "The Bodysite developers",
        "description": "For research and data curation; this is no medical device. SNOMED CT:"
        f" {', '.join(versions)}.",
        "kind": "instance",
        "instantiates": [_TERMINOLOGY_SERVER],
        "contact": [{"telecom": [{"system": "url", "value": BASE}]}],
        "software": {
            "name": "Bodysite",
            "version": metadata.version("bodysite"),
            "releaseDate": DATE,
        },
        "implementation": {"description": "Bodysite", "url": base},
        "fhirVersion": FHIR_VERSIONS[release],
        "format": [FHIR_JSON, "json"],
        "patchFormat": [JSON_PATCH],
        "rest": [
            {
                "mode": "server",
                "security": guarded if with_tokens else _OPEN,
                "resource": resources,
                "interaction": [
                    {"code": code}
                    for code in ("transaction", "batch", "history-system", "search-system")
                ],
                "operation": [
                    *(
                        _operation(one)
                        for one in OPERATIONS
                        # What changes something needs a database to keep it in.
                        if not one.type and (keeps or not one.changes)
                    ),
                    *system_operations(),
                ],
            }
        ],
    }


def _stored(kind: str, release: str) -> Json:
    """Return what can be done with a type that lives in the store."""
    writable = kind not in READ_ONLY
    codes = (*_READ, *(_WRITE if writable else ()))
    found: Json = {
        "type": kind,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{kind}",
        "supportedProfile": [one["url"] for one in profiles(release) if one["type"] == kind],
        "interaction": [{"code": code} for code in codes],
        "versioning": "versioned-update" if writable else "versioned",
        "readHistory": True,
        "updateCreate": writable,
        "conditionalCreate": writable,
        "conditionalRead": "full-support",
        "conditionalUpdate": writable,
    }
    if release != "R4":
        found["conditionalPatch"] = writable
    found["conditionalDelete"] = "single" if writable else "not-supported"
    if not found["supportedProfile"]:
        # FHIR has no empty arrays.
        del found["supportedProfile"]
    found["referencePolicy"] = ["literal", "logical"]
    includes = sorted(_includes(kind, release))
    if includes:
        found["searchInclude"] = includes
    reverse = sorted(_reverse_includes(kind, release))
    if reverse:
        found["searchRevInclude"] = reverse
    found["searchParam"] = list(_search_params(kind, release))
    operations = list(_operations_of(kind))
    if operations:
        found["operation"] = operations
    return found


def _includes(kind: str, release: str) -> Iterable[str]:
    """Yield the references of a type that lead to a type in the store."""
    for name, parameter in parameters_of(kind, release).items():
        if parameter.type == "reference" and set(parameter.targets) & set(KINDS):
            yield f"{kind}:{name}"


def _reverse_includes(kind: str, release: str) -> Iterable[str]:
    for other in KINDS:
        for name, parameter in parameters_of(other, release).items():
            if parameter.type == "reference" and kind in parameter.targets:
                yield f"{other}:{name}"


def _search_params(kind: str, release: str) -> Iterable[Json]:
    for name, parameter in parameters_of(kind, release).items():
        yield {
            "name": name,
            "definition": definition_of(kind, parameter, release),
            "type": parameter.type,
            "documentation": _documented(name, parameter, release),
        }
    for name, typed, definition, text in _CONTROL:
        yield {
            "name": name,
            "definition": f"{HL7}/{definition}",
            "type": typed,
            "documentation": text,
        }


def _documented(name: str, parameter: Parameter, release: str) -> str:
    said = [parameter.documentation] if parameter.documentation else []
    if name != parameter.name_in(release):
        said.append(f"The same as {parameter.name_in(release)}.")
    if parameter.modifiers and not parameter.documentation:
        said.append("Modifiers: " + ", ".join(f":{one}" for one in parameter.modifiers) + ".")
    return " ".join(said) or f"{name} of the resource."


def _operations_of(kind: str) -> Iterable[Json]:
    if kind == "ImagingStudy":
        yield {
            "name": "annotate",
            "definition": f"{BASE}/OperationDefinition/ImagingStudy-annotate",
            "documentation": ANNOTATE,
        }
    if kind == "Patient":
        yield from patient_operations()


def _published(kind: str) -> Json:
    return {
        "type": kind,
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "versioning": "no-version",
        "conditionalRead": "not-match",
        "searchParam": [
            {"name": name, "type": typed, "documentation": text}
            for name, (typed, text) in OF_PUBLISHED.items()
        ],
    }


def _terminology(kind: str, *, keeps: bool) -> Json:
    written = ("create", "update", "delete") if keeps else ()
    return {
        "type": kind,
        "interaction": [{"code": code} for code in ("read", "search-type", *written)],
        "versioning": "versioned-update",
        "conditionalCreate": keeps,
        "conditionalUpdate": keeps,
        "searchParam": [
            {
                "name": name,
                **({"definition": f"{HL7}/{kind}-{name}"} if name in _OF_TERMINOLOGY else {}),
                "type": "token" if one.type == "id" else one.type,
                "documentation": one.text,
            }
            for name, one in SEARCH[kind].items()
        ],
        "operation": [_operation(one) for one in OPERATIONS if one.type == kind],
    }


def _operation(one: Operation) -> Json:
    of = one.type or "ConceptMap"
    definitions = _TX_DEFINITIONS.get(one.name, _DEFINITIONS)
    return {
        "name": one.name,
        "definition": f"{definitions}/{of}-{one.name}",
        "documentation": f"{one.summary}.",
    }
