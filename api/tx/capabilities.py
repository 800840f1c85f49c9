"""TerminologyCapabilities: what code systems are here, and what the operations take."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from typing import Any, Final

from api.tx.provider import CodeSystemProvider
from api.tx.resources_store import R4
from api.tx.service import FHIR_VERSIONS, TerminologyService

Json = dict[str, Any]
_DATE: Final = "2026-11-20"
# What $expand understands and lets change its answer.
EXPANSION_PARAMETERS: Final = (
    "activeOnly",
    "check-system-version",
    "count",
    "default-valueset-version",
    "designation",
    "displayLanguage",
    "exclude-system",
    "excludeNested",
    "excludeNotForUI",
    "filter",
    "force-system-version",
    "includeDefinition",
    "includeDesignations",
    "offset",
    "property",
    "system-version",
    "tx-resource",
    "url",
    "useSupplement",
    "valueSet",
    "valueSetVersion",
)


def terminology_capabilities(service: TerminologyService, release: str, base: str) -> Json:
    """Return the TerminologyCapabilities of an endpoint."""
    version = metadata.version("bodysite")
    return {
        "resourceType": "TerminologyCapabilities",
        "url": f"{base}/metadata?mode=terminology",
        "version": version,
        "name": "BodysiteTerminologyCapabilities",
        "title": "Bodysite terminology service",
        "status": "active",
        "experimental": False,
        "date": _DATE,
        "publisher": "The Bodysite developers",
        "description": "SNOMED CT for body sites, the vocabularies mapped to it, and a site's own"
        f" resources, as FHIR {FHIR_VERSIONS[release]}.",
        "kind": "instance",
        "software": {"name": "Bodysite", "version": version},
        "implementation": {"description": "Bodysite", "url": base},
        "lockedDate": False,
        "codeSystem": list(_code_systems(service, release)),
        "expansion": {
            "hierarchical": True,
            "paging": True,
            "incomplete": False,
            "parameter": [{"name": name} for name in EXPANSION_PARAMETERS],
            "textFilter": "The beginnings of words, in any order; accents and case do not count.",
        },
        # A search for value sets by code looks at what they list, not at what they expand to.
        "codeSearch": "explicit" if release == R4 else "in-compose-or-expansion",
        "validateCode": {"translations": True},
        "translation": {"needsMap": False},
        "closure": {"translation": False},
    }


def _code_systems(service: TerminologyService, release: str) -> Iterable[Json]:
    registry = service.registry(release)
    for url in service.systems(release):
        versions = registry.code_systems(url)
        if not versions:
            continue
        entry: Json = {"uri": url}
        if release != R4:
            # As the CodeSystem resource states it: the embedded subset is a fragment.
            entry["content"] = versions[0].metadata.get("content", versions[0].content)
        named = [_version(one, is_default=one is versions[0]) for one in versions if one.version]
        if named:
            entry["version"] = named
        # An expansion of SNOMED CT is no tree, but its concepts subsume one another.
        entry["subsumption"] = any(
            one.hierarchical or "hierarchyMeaning" in one.metadata for one in versions
        )
        yield entry


def _version(provider: CodeSystemProvider, *, is_default: bool) -> Json:
    found: Json = {
        "code": provider.version,
        "isDefault": is_default,
        "compositional": provider.metadata.get("compositional", False),
    }
    if provider.language:
        found["language"] = [provider.language]
    filters = [
        {"code": one["code"], "op": one["operator"]}
        for one in provider.metadata.get("filter", ())
        if one.get("code") and one.get("operator")
    ]
    if filters:
        found["filter"] = filters
    properties = [one.code for one in provider.properties]
    if properties:
        found["property"] = properties
    return found
