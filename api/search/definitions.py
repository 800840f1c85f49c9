"""What can be searched, as a server says it: SearchParameter resources and CapabilityStatement."""

from __future__ import annotations

from importlib import metadata
from typing import Any, Final

from api.codes import ANNOTATION
from api.indexing import COMMON, PARAMETERS, Parameter
from api.profiles.names import EXAMINED_SITE

Json = dict[str, Any]
_BASE: Final = "https://w3id.org/bodysite/SearchParameter"
_HL7: Final = "http://hl7.org/fhir/SearchParameter"
_DATE: Final = "2026-11-21"
_SITES: Final = f"extension('{EXAMINED_SITE}').value"
_OF_ANNOTATION: Final = f"code.coding.where(system = '{ANNOTATION}' and code = "
# FHIRPath of the parameters that are ours or widened, by type of resource, name and release.
_EXPRESSIONS: Final = {
    ("ImagingStudy", "bodysite", "R4"): f"ImagingStudy.series.bodySite | ImagingStudy.{_SITES}",
    ("ImagingStudy", "bodysite", "R5"): "ImagingStudy.series.bodySite.concept | ImagingStudy."
    + _SITES,
    ("Observation", "body-site", ""): "Observation.bodySite",
    (
        "Observation",
        "visible-site",
        "",
    ): f"Observation.where({_OF_ANNOTATION}'visible').exists()).component.code",
    (
        "Observation",
        "review",
        "",
    ): f"Observation.component.where({_OF_ANNOTATION}'review').exists()).value",
    ("BodyStructure", "location", "R4"): "BodyStructure.location",
    ("BodyStructure", "location", "R5"): "BodyStructure.includedStructure.structure",
    (
        "BodyStructure",
        "excluded_structure",
        "R5",
    ): "BodyStructure.excludedStructure.structure",
}
_FULL_TEXT: Final = (
    ("_text", "DomainResource-text", "Words of the narrative."),
    (
        "_content",
        "Resource-content",
        'Words, with the names of sites in all languages: words, knie*, "words in order", OR.',
    ),
)


def search_params_of(kind: str, release: str) -> list[Json]:
    """Return the `searchParam` elements of a type of resource in the CapabilityStatement."""
    found = [
        _search_param(kind, one, release)
        for one in (*COMMON, *PARAMETERS[kind])
        if release in one.releases
    ]
    found += [
        {"name": name, "type": "string", "documentation": text, "definition": f"{_HL7}/{hl7}"}
        for name, hl7, text in _FULL_TEXT
    ]
    return sorted(found, key=lambda one: str(one["name"]))


def includes_of(kind: str, release: str) -> list[str]:
    """Return what `_include` of a type of resource takes."""
    return ["*"] + [
        f"{kind}:{one.name_in(release)}"
        for one in PARAMETERS[kind]
        if one.type == "reference" and release in one.releases
    ]


def revincludes_of(kind: str, release: str) -> list[str]:
    """Return what `_revinclude` of a type of resource takes."""
    return [
        f"{source}:{one.name_in(release)}"
        for source, rows in PARAMETERS.items()
        for one in rows
        if one.type == "reference" and release in one.releases and kind in one.targets
    ]


def search_parameters(release: str) -> list[Json]:
    """Return the SearchParameter resources of what is ours, or more than HL7's, by id."""
    found = [
        _search_parameter(kind, one, release)
        for kind, rows in PARAMETERS.items()
        for one in rows
        if release in one.releases and (one.body_site or one.definition is None)
    ]
    return sorted(found, key=lambda one: str(one["id"]))


def _definition(kind: str, parameter: Parameter, release: str) -> str:
    known = (parameter.definition or {}).get(release)
    return f"{_HL7}/{known}" if known else f"{_BASE}/{kind}-{parameter.name_in(release)}"


def _search_param(kind: str, parameter: Parameter, release: str) -> Json:
    aliases = [one for one in parameter.aliases if one != parameter.name_in(release)]
    parts = [parameter.documentation] if parameter.documentation else []
    if aliases:
        parts.append(f"Also as {', '.join(aliases)}.")
    if parameter.modifiers:
        parts.append("Modifiers: " + ", ".join(f":{one}" for one in parameter.modifiers) + ".")
    found = {
        "name": parameter.name_in(release),
        "definition": _definition(kind, parameter, release),
        "type": parameter.type,
    }
    return found | ({"documentation": " ".join(parts)} if parts else {})


def _search_parameter(kind: str, parameter: Parameter, release: str) -> Json:
    name = parameter.name_in(release)
    # An id has no underscore (FHIR R4, 2.24.0.2).
    resource_id = f"{kind}-{name}".replace("_", "-")
    resource: Json = {
        "resourceType": "SearchParameter",
        "id": resource_id,
        "url": f"{_BASE}/{resource_id}",
        "version": metadata.version("bodysite"),
        "name": "".join(part.title() for part in resource_id.split("-")),
        "status": "active",
        "experimental": False,
        "date": _DATE,
        "publisher": "The Bodysite developers",
        "description": parameter.documentation or f"{name} of {kind}",
        "code": name,
        "base": [kind],
        "type": parameter.type,
        "expression": _EXPRESSIONS.get((kind, parameter.name, release))
        or _EXPRESSIONS[kind, parameter.name, ""],
        "multipleOr": True,
        "multipleAnd": True,
        "modifier": [one for one in parameter.modifiers if one != "of-type"],
    }
    known = (parameter.definition or {}).get(release)
    if known:
        resource["derivedFrom"] = f"{_HL7}/{known}"
    return resource
