"""The crosswalk tables as FHIR ConceptMap resources (R4)."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from typing import Any, Final

from fhir.resources.R4B.conceptmap import ConceptMap

from terminology import sssom
from terminology.concept import SNOMED
from terminology.crosswalk import Crosswalk
from terminology.mapping import BROAD, CLOSE, EXACT, NARROW, MappingSet, SemanticMapping

CONCEPT_MAPS: Final = "https://w3id.org/bodysite/ConceptMap/"
# What the product of a match is: the side, as ImagingStudy.series.laterality has it.
LATERALITY: Final = "http://hl7.org/fhir/ImagingStudy#series.laterality"
# FHIR R4 ConceptMapEquivalence is read from the target: "wider" = the TARGET is wider, which is
# skos:broadMatch, the OBJECT being broader.
EQUIVALENCE: Final = {EXACT: "equivalent", CLOSE: "inexact", BROAD: "wider", NARROW: "narrower"}
RELATED_TO: Final = "relatedto"
# FHIR R4 invariant cmd-1: these two need a comment.
_COMMENTS: Final = {
    "narrower": "The target is narrower than the source.",
    "inexact": "The target is close to the source, but not the same.",
}


@lru_cache(maxsize=4)
def concept_maps(crosswalk: Crosswalk) -> dict[str, dict[str, Any]]:
    """Return every crosswalk table as a ConceptMap, by logical id, sorted."""
    found = (_concept_map(crosswalk.mapping_set(system)) for system in crosswalk.systems)
    return {resource["id"]: resource for resource in sorted(found, key=lambda one: str(one["id"]))}


def _concept_map(mapping_set: MappingSet) -> dict[str, Any]:
    about = mapping_set.metadata
    by_subject: dict[str, list[SemanticMapping]] = defaultdict(list)
    for row in mapping_set.mappings:
        by_subject[sssom.subject_code(row)].append(row)
    content = {
        "resourceType": "ConceptMap",
        "id": mapping_set.name,
        "url": CONCEPT_MAPS + mapping_set.name,
        "version": about["mapping_set_version"],
        "name": "".join(word.capitalize() for word in mapping_set.name.split("-")),
        "title": about.get("mapping_set_title"),
        "status": "active",
        "experimental": False,
        "date": about["mapping_set_version"],
        "description": about.get("mapping_set_description"),
        "copyright": about["license"],
        "group": [
            {
                "source": about["subject_source"],
                "sourceVersion": about.get("subject_source_version"),
                "target": SNOMED,
                "element": [_element(code, rows) for code, rows in by_subject.items()],
            }
        ],
    }
    present = {name: value for name, value in content.items() if value is not None}
    return dict(ConceptMap.model_validate(present).model_dump(mode="json", exclude_none=True))


def _element(code: str, rows: list[SemanticMapping]) -> dict[str, Any]:
    element: dict[str, Any] = {"code": code, "target": [_target(row) for row in rows]}
    if rows[0].subject_id is not None and rows[0].subject_label:
        element["display"] = rows[0].subject_label
    return element


def _target(row: SemanticMapping) -> dict[str, Any]:
    if row.no_match:
        return {"equivalence": "unmatched", "comment": row.comment or "No counterpart."}
    equivalence = "disjoint" if row.negated else EQUIVALENCE.get(row.predicate_id, RELATED_TO)
    target: dict[str, Any] = {"code": sssom.object_code(row), "equivalence": equivalence}
    if row.object_label:
        target["display"] = row.object_label
    if comment := row.comment or _COMMENTS.get(equivalence):
        target["comment"] = comment
    if row.object_laterality is not None:
        side = row.object_laterality.coding
        target["product"] = [
            {
                "property": LATERALITY,
                "system": side.system,
                "value": side.code,
                "display": side.display,
            }
        ]
    return target
