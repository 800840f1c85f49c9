"""The foreign vocabularies of the crosswalk as CodeSystem, ValueSet and ConceptMap, in R5 form.

IRMA's anatomical axis, the UNIFESP labels, DICOM Body Part Examined and the UMLS CUIs: every code
that a table maps from is a concept, so that the codes themselves can be looked up, validated and
expanded, not only translated. Code systems are complete where the table covers every code of its
source, and a fragment where it does not (UMLS).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from api.concept_maps import concept_maps
from api.tx.r4 import resource_to_r5
from terminology import sssom
from terminology.crosswalk import DICOM_BODY_PART, IRMA_ANATOMY, UMLS, Crosswalk
from terminology.mapping import EXACT, MappingSet, SemanticMapping

Json = dict[str, Any]
_BASE: Final = "https://w3id.org/bodysite"
_PUBLISHER: Final = "The Bodysite developers"
# What is said of a code system beyond its table; the others are complete and case-sensitive.
_FRAGMENTS: Final = frozenset({UMLS})
_CASE_INSENSITIVE: Final = frozenset({DICOM_BODY_PART})
_TITLES: Final = {
    IRMA_ANATOMY: "IRMA code, anatomical axis",
    DICOM_BODY_PART: "DICOM Body Part Examined (0018,0015), defined terms",
    UMLS: "UMLS concept unique identifiers of body structures",
}
_IRMA_SEPARATOR: Final = " > "


@lru_cache(maxsize=4)
def builtin_resources(crosswalk: Crosswalk) -> tuple[Json, ...]:
    """Return the CodeSystem, ValueSet and ConceptMap resources of every crosswalk table."""
    found: list[Json] = []
    for system in crosswalk.systems:
        mapping_set = crosswalk.mapping_set(system)
        code_system = _code_system(system, mapping_set)
        found += [code_system, _value_set(code_system)]
    found += [resource_to_r5(one) for one in concept_maps(crosswalk).values()]
    return tuple(found)


def _code_system(system: str, mapping_set: MappingSet) -> Json:
    about = mapping_set.metadata
    # A code system of ours is called as its address ends, another's as the table.
    own = system.startswith(_BASE)
    name = system.rpartition("/")[2] if own else mapping_set.name
    version = about.get("subject_source_version")
    concepts = _concepts(system, mapping_set.mappings)
    found: Json = {
        "resourceType": "CodeSystem",
        "id": name,
        "url": system,
        "version": str(version) if version else None,
        "name": "".join(word.capitalize() for word in name.split("-")),
        "title": _TITLES.get(system, str(about.get("mapping_set_title", name)).split(" to ")[0]),
        "status": "active",
        "experimental": False,
        "date": str(about["mapping_set_version"]),
        "publisher": _PUBLISHER,
        "description": f"The codes that the table {mapping_set.name} maps from.",
        "copyright": about["license"],
        "caseSensitive": system not in _CASE_INSENSITIVE,
        "valueSet": f"{_BASE}/ValueSet/{name}",
        "hierarchyMeaning": "grouped-by" if system == IRMA_ANATOMY else None,
        "compositional": False,
        "content": "fragment" if system in _FRAGMENTS else "complete",
        "count": None if system in _FRAGMENTS else len(concepts),
        "concept": _nested(concepts) if system == IRMA_ANATOMY else concepts,
    }
    return {key: value for key, value in found.items() if value is not None}


def _concepts(system: str, rows: Iterable[SemanticMapping]) -> list[Json]:
    """Return the concepts in the order of the table, each code once."""
    found: dict[str, Json] = {}
    for row in rows:
        code = sssom.subject_code(row)
        concept = found.setdefault(code, {"code": code})
        label = row.subject_label
        if row.subject_type == sssom.LITERAL:
            # The string is the code; what PS3.16 calls it is the display.
            label = row.object_label if row.predicate_id == EXACT and not row.no_match else None
        elif system == IRMA_ANATOMY and label:
            path = label.split(_IRMA_SEPARATOR)
            # "unspecified" alone would not say of what.
            label = ", ".join(path[-2:]) if path[-1] == "unspecified" else path[-1]
        if label and "display" not in concept:
            concept["display"] = label
    return list(found.values())


def _nested(concepts: Iterable[Json]) -> list[Json]:
    """Return IRMA's codes as the tree that they are: a code is under the one it prolongs."""
    by_code: dict[str, Json] = {}
    top: list[Json] = []
    for concept in sorted(concepts, key=lambda one: str(one["code"])):
        by_code[concept["code"]] = concept
        above = by_code.get(concept["code"][:-1])
        if above is None:
            top.append(concept)
        else:
            above.setdefault("concept", []).append(concept)
    return top


def _value_set(code_system: Json) -> Json:
    """Return the value set of all codes of a code system."""
    names = ("version", "name", "title", "status", "experimental", "date", "publisher", "copyright")
    found: Json = {
        "resourceType": "ValueSet",
        "id": code_system["id"],
        "url": code_system["valueSet"],
        **{name: code_system[name] for name in names if name in code_system},
        "immutable": True,
    }
    include = {"system": code_system["url"]}
    if "version" in code_system:
        include["version"] = code_system["version"]
    else:
        found["version"] = code_system["date"]
    found["compose"] = {"include": [include]}
    return found
