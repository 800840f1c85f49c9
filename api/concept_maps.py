"""The mapping tables as FHIR ConceptMap resources: what stands in a table, in FHIR's words.

A table is one ConceptMap, with a group for each code system that its objects are of. What a
$translate answers with them is the business of `api.tx.table_maps`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from api.tx.r4_maps import COMMENT_EXTENSION, EQUIVALENCE, EQUIVALENCE_EXTENSION, RELATIONSHIP
from terminology import sssom
from terminology.concept import SNOMED, Coding
from terminology.mapping import BROAD, CLOSE, EXACT, NARROW, MappingSet, SemanticMapping

Json = dict[str, Any]
CONCEPT_MAPS: Final = "https://w3id.org/bodysite/ConceptMap/"
PUBLISHER: Final = "The Bodysite developers"
# What the product of a match is: the side, as ImagingStudy.series.laterality has it, and the
# projection, which FHIR has no element for.
LATERALITY: Final = "http://hl7.org/fhir/ImagingStudy#series.laterality"
VIEW: Final = "https://w3id.org/bodysite/ConceptMap#view"
# What a mapping depends on: the DICOM attribute that a value stood in, and the modality.
FIELD: Final = "https://w3id.org/bodysite/ConceptMap#field"
MODALITY: Final = "https://w3id.org/bodysite/ConceptMap#modality"
# What kind of thing a target is that is no body structure.
CATEGORY: Final = "https://w3id.org/bodysite/ConceptMap#category"
# FHIR R4 ConceptMapEquivalence is read from the target: "wider" = the TARGET is wider, which is
# skos:broadMatch, the OBJECT being broader.
EQUIVALENT_OF: Final[Mapping[str, str]] = MappingProxyType(
    {EXACT: "equivalent", CLOSE: "inexact", BROAD: "wider", NARROW: "narrower"}
)
RELATED_TO: Final = "relatedto"
_DISJOINT: Final = "disjoint"
# FHIR R4 and R5, invariant cmd-1: these need a comment.
_COMMENTS: Final = {
    "narrower": "The target is narrower than the source.",
    _DISJOINT: "The pair was refused.",
}
_ATTRIBUTES: Final = {
    "series.laterality": (LATERALITY, "Coding"),
    "view": (VIEW, "Coding"),
    "field": (FIELD, "string"),
}
_CATEGORY: Final = {
    "code": "category",
    "uri": CATEGORY,
    "description": "What kind of thing the target is, where it is no body structure.",
    "type": "string",
}
_DATE = re.compile(r"\d{4}(-\d\d(-\d\d)?)?")
_NAME_ENDS = re.compile(r"[^A-Za-z0-9]+")


def concept_map(table: MappingSet) -> Json:
    """Return a table as a ConceptMap in R5 form, complete."""
    return {**concept_map_head(table, table.name, CONCEPT_MAPS + table.name), **groups_of(table)}


def concept_map_head(table: MappingSet, resource_id: str, url: str) -> Json:
    """Return what the ConceptMap of a table says before its groups."""
    about = table.metadata
    rows = table.mappings
    used = {
        "series.laterality": any(row.object_laterality is not None for row in rows),
        "view": any(row.object_view is not None for row in rows),
        "field": any(row.subject_field is not None for row in rows),
    }
    attributes = [
        {"code": code, "uri": uri, "type": kind}
        for code, (uri, kind) in _ATTRIBUTES.items()
        if used[code]
    ]
    content: Json = {
        "resourceType": "ConceptMap",
        "id": resource_id,
        "url": url,
        "version": str(about["mapping_set_version"]),
        "name": computable_name(resource_id),
        "title": about.get("mapping_set_title"),
        "status": "active",
        "experimental": False,
        "date": date_of(table),
        "publisher": PUBLISHER,
        "description": about.get("mapping_set_description"),
        "copyright": about["license"],
        "property": [_CATEGORY] if any(row.object_category for row in rows) else None,
        "additionalAttribute": attributes or None,
    }
    return {name: value for name, value in content.items() if value is not None}


def groups_of(table: MappingSet) -> Json:
    """Return the groups of a table, that of SNOMED CT first, as the rest of its ConceptMap."""
    system, version = str(table.metadata["subject_source"]), version_of(table)
    source = f"{system}|{version}" if version else system
    groups: dict[str, dict[str, list[SemanticMapping]]] = defaultdict(lambda: defaultdict(list))
    unmapped: dict[str, SemanticMapping] = {}
    for row in table.mappings:
        code = sssom.subject_code(row)
        if row.no_match:
            unmapped.setdefault(code, row)
        else:
            groups[sssom.object_system(row)][code].append(row)
    mapped = {code for elements in groups.values() for code in elements}
    for code, row in unmapped.items():
        if code not in mapped:
            groups[SNOMED][code] = [row]
    made = [
        {
            "source": source,
            "target": target,
            "element": [_element(code, rows) for code, rows in sorted(groups[target].items())],
        }
        for target in sorted(groups, key=lambda one: (one != SNOMED, one))
    ]
    return {"group": made} if made else {}


def equivalence_of(row: SemanticMapping) -> str:
    """Return R4's word for the predicate of a row, read from the target."""
    return _DISJOINT if row.negated else EQUIVALENT_OF.get(row.predicate_id, RELATED_TO)


def version_of(table: MappingSet) -> str | None:
    """Return the version of the code system that a table maps from, as FHIR writes it.

    A canonical has no spaces: "PS3.16 2026" becomes "PS3.16-2026".
    """
    version = str(table.metadata.get("subject_source_version") or "")
    return "-".join(version.split()) or None


def view_coding(code: str) -> Coding:
    """Return the coding of a projection, a concept of CID 4010, 4012 or 4014."""
    return Coding(SNOMED, code)


def computable_name(resource_id: str) -> str:
    """Return the name for programs: capitals, no hyphens, a letter first."""
    name = "".join(word[:1].upper() + word[1:] for word in _NAME_ENDS.split(resource_id))
    return name if name[:1].isalpha() else f"Map{name}"


def date_of(table: MappingSet) -> str | None:
    """Return when a table was last changed, `None` when nothing in it is a date."""
    for slot in ("mapping_date", "mapping_set_version"):
        value = str(table.metadata.get(slot, ""))
        if _DATE.fullmatch(value):
            return value
    return None


def _element(code: str, rows: Iterable[SemanticMapping]) -> Json:
    element: Json = {"code": code}
    for row in rows:
        if "display" not in element and row.subject_id is not None and row.subject_label:
            element["display"] = row.subject_label
        if row.no_match:
            element["noMap"] = True
            if row.comment:
                element["extension"] = [{"url": COMMENT_EXTENSION, "valueString": row.comment}]
        else:
            element.setdefault("target", []).append(_target(row))
    return element


def _target(row: SemanticMapping) -> Json:
    equivalence = equivalence_of(row)
    relationship = RELATIONSHIP[equivalence]
    target: Json = {"code": sssom.object_code(row), "relationship": relationship}
    if row.object_label:
        target["display"] = row.object_label
    if EQUIVALENCE[relationship] != equivalence:
        target["extension"] = [{"url": EQUIVALENCE_EXTENSION, "valueCode": equivalence}]
    if comment := row.comment or _COMMENTS.get(equivalence):
        target["comment"] = comment
    if row.object_category:
        target["property"] = [{"code": "category", "valueString": row.category}]
    if row.subject_field:
        target["dependsOn"] = [{"attribute": "field", "valueString": row.subject_field}]
    products = []
    if row.object_laterality is not None:
        products.append(("series.laterality", row.object_laterality.coding))
    if row.object_view is not None:
        products.append(("view", view_coding(row.object_view)))
    if products:
        target["product"] = [
            {"attribute": attribute, "valueCoding": _coding(coding)}
            for attribute, coding in products
        ]
    return target


def _coding(coding: Coding) -> Json:
    found = {"system": coding.system, "code": coding.code, "display": coding.display}
    return {key: value for key, value in found.items() if value}
