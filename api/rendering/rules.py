"""How elements that R4 and R5 name or shape differently answer to each other.

A rule need not be exact: `api.rendering.convert` notices what does not come back and keeps the
original in an extension. Elements that only one release has need no rule at all.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any, Final

from api.profiles.names import r4_profile, r5_profile
from api.rendering.audit import AUDIT
from api.rendering.shapes import (
    ABSENT,
    Part,
    Rule,
    as_concept,
    as_reference,
    coded,
    coding_of,
    concept_in,
    concept_of,
    concepts_and_references,
    each,
    one,
    reference_in,
    required_in_r4,
)
from terminology.concept import Laterality

_SIDES: Final = frozenset(side.coding.code for side in Laterality)
# FHIR R4, ValueSet device-nametype; FHIR R5, ValueSet device-nametype.
_NAME_KINDS: Final = {
    "udi-label-name": "registered-name",
    "patient-reported-name": "patient-reported-name",
}
_MILLISECONDS: Final = "ms"


# -- BodyStructure --------------------------------------------------------------------------------


def _located_up(part: Part) -> Part:
    """R5 asks for one included structure; a qualifier that is a side has an element of its own."""
    structure: Part = {"structure": part.get("location", dict(ABSENT))}
    qualifiers = list(part.get("locationQualifier", ()))
    if qualifiers and _is_side(qualifiers[0]):
        structure["laterality"] = qualifiers.pop(0)
    if qualifiers:
        structure["qualifier"] = qualifiers
    return {"includedStructure": [structure]}


def _located_down(part: Part) -> Part:
    structures = part.get("includedStructure", ())
    if not structures:
        return {}
    first = structures[0]
    found: Part = {}
    if first.get("structure", ABSENT) != ABSENT:
        found["location"] = first["structure"]
    qualifiers = [first["laterality"]] if "laterality" in first else []
    qualifiers += first.get("qualifier", ())
    if qualifiers:
        found["locationQualifier"] = qualifiers
    return found


def _is_side(concept: Part) -> bool:
    return any(coding.get("code") in _SIDES for coding in concept.get("coding", ()))


# -- Device ---------------------------------------------------------------------------------------


def _name_up(name: Part) -> Part:
    moved = {key: value for key, value in name.items() if key not in {"name", "_name", "type"}}
    if "name" in name:
        moved["value"] = name["name"]
    if "_name" in name:
        moved["_value"] = name["_name"]
    return {**moved, "type": _NAME_KINDS.get(name.get("type", ""), "user-friendly-name")}


def _name_down(name: Part) -> Part:
    dropped = {"value", "_value", "type", "display", "_display"}
    moved = {key: value for key, value in name.items() if key not in dropped}
    if "value" in name:
        moved["name"] = name["value"]
    if "_value" in name:
        moved["_name"] = name["_value"]
    kind = name.get("type", "")
    return {**moved, "type": "udi-label-name" if kind == "registered-name" else kind}


_VALUES: Final = {"valueQuantity": "valueQuantity", "valueCode": "valueCodeableConcept"}


def _properties_up(part: Part) -> Part:
    """R5 has one value a property, R4 lists of them."""
    found = [
        {"type": said.get("type", dict(ABSENT)), r5: value}
        for said in part.get("property", ())
        for r4, r5 in _VALUES.items()
        for value in said.get(r4, ())
    ]
    return {"property": found} if found else {}


def _properties_down(part: Part) -> Part:
    found = []
    for kind, group in groupby(part.get("property", ()), key=lambda said: said.get("type")):
        said: Part = {"type": kind} if kind is not None else {}
        for value in group:
            for r4, r5 in _VALUES.items():
                if r5 in value:
                    said.setdefault(r4, []).append(value[r5])
        found.append(said)
    return {"property": found} if found else {}


def _specialised_up(said: Part) -> Part:
    moved = {key: value for key, value in said.items() if key != "systemType"}
    return {**moved, "specification": said.get("systemType", dict(ABSENT))}


def _specialised_down(said: Part) -> Part:
    moved = {key: value for key, value in said.items() if key not in {"specification", "category"}}
    return {**moved, "systemType": said.get("specification", dict(ABSENT))}


def _required_in_r5(name: str) -> Rule:
    back = required_in_r4(name)
    return Rule(back.r5, back.r4, back.down, back.up)


# -- data types -----------------------------------------------------------------------------------


def _size_down(size: Any) -> int | None:
    text = str(size)
    return int(text) if text.isdecimal() and len(text) <= 10 and int(text) < 2**31 else None


def _sampled_up(part: Part) -> Part:
    if "period" not in part:
        return {"intervalUnit": _MILLISECONDS}
    return {"interval": part["period"], "intervalUnit": _MILLISECONDS}


def _sampled_down(part: Part) -> Part:
    if part.get("intervalUnit") == _MILLISECONDS and "interval" in part:
        return {"period": part["interval"]}
    return {"_period": ABSENT}


def _profiles(name: Any) -> Any:
    def moved(part: Part) -> Part:
        found = [claim for said in part.get("profile", ()) if (claim := name(said)) is not None]
        return {"profile": found} if found else {}

    return moved


# The elements of these paths; every other element is the same in both releases, or in one alone.
RULES: Final[dict[str, tuple[Rule, ...]]] = {
    **AUDIT,
    "ImagingStudy": (
        each("modality", "modality", concept_of, coding_of),
        concepts_and_references(
            "procedureCode", "procedureReference", "procedure", many=(True, False)
        ),
        concepts_and_references("reasonCode", "reasonReference", "reason", many=(True, True)),
    ),
    "ImagingStudy.series": (
        one("modality", "modality", concept_of, coding_of),
        one("laterality", "laterality", concept_of, coding_of),
        one(
            "bodySite",
            "bodySite",
            lambda coding: {"concept": concept_of(coding)},
            lambda said: coding_of(said["concept"]) if "concept" in said else None,
        ),
    ),
    "BodyStructure": (
        Rule(("location", "locationQualifier"), ("includedStructure",), _located_up, _located_down),
    ),
    "Device": (
        coded("status", {"unknown": None}, {}),
        each("deviceName", "name", _name_up, _name_down),
        each("specialization", "conformsTo", _specialised_up, _specialised_down),
        Rule(("property",), ("property",), _properties_up, _properties_down),
        one("type", "type", lambda kind: [kind], lambda kinds: kinds[0] if kinds else None),
        one("definition", "definition", as_reference, reference_in),
        one(
            "distinctIdentifier",
            "biologicalSourceEvent",
            lambda text: {"value": text},
            lambda identifier: identifier.get("value"),
        ),
    ),
    "Device.udiCarrier": (
        _required_in_r5("deviceIdentifier"),
        _required_in_r5("issuer"),
        coded("entryType", {}, {"electronic-transmission": "unknown"}),
    ),
    "Provenance": (
        required_in_r4("recorded"),
        each("reason", "authorization", as_concept, concept_in),
    ),
    # A derivation of any kind, and what was followed, have no code in the other release.
    "Provenance.entity": (coded("role", {"derivation": "source"}, {"instantiates": "derivation"}),),
    "Practitioner": (
        each(
            "communication",
            "communication",
            lambda language: {"language": language},
            lambda said: said.get("language"),
        ),
    ),
    "Task": (
        one("statusReason", "statusReason", as_concept, concept_in),
        concepts_and_references("reasonCode", "reasonReference", "reason", many=(False, False)),
        each("performerType", "requestedPerformer", as_concept, concept_in),
    ),
    "Attachment": (one("size", "size", str, _size_down),),
    "Meta": (Rule(("profile",), ("profile",), _profiles(r5_profile), _profiles(r4_profile)),),
    "Signature": (
        required_in_r4("type", [ABSENT]),
        required_in_r4("when"),
        required_in_r4("who", ABSENT),
    ),
    "Expression": (required_in_r4("language"),),
    "SampledData": (Rule(("period",), ("interval", "intervalUnit"), _sampled_up, _sampled_down),),
}
# Elements that change what the resource means: a release without them must not be read past them.
MODIFIERS: Final = frozenset({"Task.doNotPerform"})
# Choices of types that must be there, and may be of a type that the other release has not.
NEEDED: Final = {
    "Task.input": ("value", "valueCodeableConcept"),
    "Task.output": ("value", "valueCodeableConcept"),
}
