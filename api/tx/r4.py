"""Terminology resources between R5, which the engine speaks, and R4.

What R5 has and R4 lacks travels in HL7's cross-version extensions
(``http://hl7.org/fhir/5.0/StructureDefinition/extension-…``) and comes back out of them; what only
R4 says (the finer words of `equivalence`) in those of 4.0. Every function returns new dictionaries
along the path it changes and leaves what it was given alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from api.tx.crossversion import COMMON, X5, Field, fields, lift, lower
from api.tx.r4_maps import concept_map_to_r4, concept_map_to_r5

Json = dict[str, Any]
_R5_FILTER_OPERATORS: Final = frozenset({"child-of", "descendent-leaf"})


_ADDITIONAL_USE: Final = fields("additionalUse:Coding*")
_SCOPE: Final = Field("scope", parts=fields("inclusionCriteria:string exclusionCriteria:string"))
_COMPOSE: Final = fields("property:string*")
_INCLUDE: Final = fields("copyright:string")
_EXPANSION: Final = (
    *fields("next:string"),
    Field("property", many=True, parts=fields("code:code uri:uri")),
)
_CONTAINS: Final = (
    Field(
        "property",
        many=True,
        parts=(
            *fields("code:code value:[x]"),
            Field("subProperty", many=True, parts=fields("code:code value:[x]")),
        ),
    ),
)


def resource_to_r4(resource: Json) -> Json:
    """Return an R5 resource in R4 form; types that do not differ come back as they are."""
    convert = _TO_R4.get(resource.get("resourceType", ""))
    return resource if convert is None else convert(resource)


def resource_to_r5(resource: Json) -> Json:
    """Return an R4 resource in R5 form; types that do not differ come back as they are."""
    convert = _TO_R5.get(resource.get("resourceType", ""))
    return resource if convert is None else convert(resource)


# -- Parameters and Bundle: the resources inside ---------------------------------------------------


def _parameters(resource: Json, convert: Callable[[Json], Json]) -> Json:
    listed = resource.get("parameter")
    if not isinstance(listed, list):
        return resource
    found = [_parameter(entry, convert) for entry in listed]
    if all(new is old for new, old in zip(found, listed, strict=True)):
        return resource
    return {**resource, "parameter": found}


def _parameter(entry: Json, convert: Callable[[Json], Json]) -> Json:
    inner = entry.get("resource")
    if isinstance(inner, dict):
        converted = convert(inner)
        return entry if converted is inner else {**entry, "resource": converted}
    parts = entry.get("part")
    if isinstance(parts, list) and parts:
        found = [_parameter(one, convert) for one in parts]
        if any(new is not old for new, old in zip(found, parts, strict=True)):
            return {**entry, "part": found}
    return entry


def _bundle(resource: Json, convert: Callable[[Json], Json]) -> Json:
    entries = [
        {**entry, "resource": convert(entry["resource"])} if "resource" in entry else entry
        for entry in resource.get("entry", ())
    ]
    return {**resource, "entry": entries} if entries else resource


# -- R5 → R4 ---------------------------------------------------------------------------------------


def _code_system_to_r4(resource: Json) -> Json:
    found = lower(resource, "CodeSystem", COMMON)
    if "filter" in found:
        found["filter"] = [_operators_to_r4(one) for one in found["filter"]]
    _concepts(found, lambda one: lower(one, "CodeSystem.concept.designation", _ADDITIONAL_USE))
    return found


def _operators_to_r4(definition: Json) -> Json:
    operators = definition.get("operator", [])
    if not _R5_FILTER_OPERATORS & set(operators):
        return definition
    extended = [
        _op_extension("CodeSystem.filter.operator", op) if op in _R5_FILTER_OPERATORS else None
        for op in operators
    ]
    plain = [None if op in _R5_FILTER_OPERATORS else op for op in operators]
    return {**definition, "operator": plain, "_operator": extended}


def _value_set_to_r4(resource: Json) -> Json:
    found = lower(resource, "ValueSet", (*COMMON, _SCOPE))
    if "compose" in found:
        found["compose"] = _compose(
            lower(found["compose"], "ValueSet.compose", _COMPOSE),
            lambda one: _include(lower(one, _OF_INCLUDE, _INCLUDE), _filter_to_r4, _designation_r4),
        )
    if "expansion" in found:
        expansion = lower(found["expansion"], "ValueSet.expansion", _EXPANSION)
        if "contains" in expansion:
            expansion["contains"] = [_contains_to_r4(one) for one in expansion["contains"]]
        found["expansion"] = expansion
    return found


_OF_INCLUDE: Final = "ValueSet.compose.include"
_OF_FILTER: Final = f"{_OF_INCLUDE}.filter.op"
_OF_DESIGNATION: Final = f"{_OF_INCLUDE}.concept.designation"


def _filter_to_r4(one: Json) -> Json:
    if one.get("op") not in _R5_FILTER_OPERATORS:
        return one
    found = dict(one)
    found["_op"] = _op_extension(_OF_FILTER, found.pop("op"))
    return found


def _designation_r4(one: Json) -> Json:
    return lower(one, _OF_DESIGNATION, _ADDITIONAL_USE)


def _op_extension(element: str, code: str) -> Json:
    return {"extension": [{"url": X5 + element, "valueCode": code}]}


def _contains_to_r4(item: Json) -> Json:
    if "property" in item:
        item = lower(item, "ValueSet.expansion.contains", _CONTAINS)
    if "contains" in item:
        item = {**item, "contains": [_contains_to_r4(one) for one in item["contains"]]}
    return item


# -- R4 → R5 ---------------------------------------------------------------------------------------


def _code_system_to_r5(resource: Json) -> Json:
    found = lift(resource, "CodeSystem", COMMON)
    if "filter" in found:
        found["filter"] = [_operators_to_r5(one) for one in found["filter"]]
    _concepts(found, lambda one: lift(one, "CodeSystem.concept.designation", _ADDITIONAL_USE))
    return found


def _operators_to_r5(definition: Json) -> Json:
    extended = definition.get("_operator")
    if not isinstance(extended, list):
        return definition
    found = dict(definition)
    del found["_operator"]
    plain = found.get("operator") or [None] * len(extended)
    found["operator"] = [
        op if op is not None else _code_of(more, "CodeSystem.filter.operator")
        for op, more in zip(plain, extended, strict=False)
    ]
    return found


def _value_set_to_r5(resource: Json) -> Json:
    found = lift(resource, "ValueSet", (*COMMON, _SCOPE))
    if "compose" in found:
        found["compose"] = _compose(
            lift(found["compose"], "ValueSet.compose", _COMPOSE),
            _include_to_r5,
        )
    if "expansion" in found:
        expansion = lift(found["expansion"], "ValueSet.expansion", _EXPANSION)
        if "contains" in expansion:
            expansion["contains"] = [_contains_to_r5(one) for one in expansion["contains"]]
        found["expansion"] = expansion
    return found


def _include_to_r5(one: Json) -> Json:
    return _include(lift(one, _OF_INCLUDE, _INCLUDE), _filter_to_r5, _designation_r5)


def _filter_to_r5(one: Json) -> Json:
    code = _code_of(one.get("_op"), _OF_FILTER)
    if code is None:
        return one
    found = {**one, "op": code}
    del found["_op"]
    return found


def _designation_r5(one: Json) -> Json:
    return lift(one, _OF_DESIGNATION, _ADDITIONAL_USE)


def _code_of(extended: Any, element: str) -> str | None:
    if not isinstance(extended, Mapping):
        return None
    for extension in extended.get("extension", ()):
        if extension.get("url") == X5 + element:
            code: str | None = extension.get("valueCode")
            return code
    return None


def _contains_to_r5(item: Json) -> Json:
    found = lift(item, "ValueSet.expansion.contains", _CONTAINS)
    if "contains" in found:
        found["contains"] = [_contains_to_r5(one) for one in found["contains"]]
    return found


# -- walking ------------------------------------------------------------------------


def _concepts(node: Json, change: Callable[[Json], Json]) -> None:
    """Change the designations of the concepts of `node`, however deep; `node` is ours."""
    if "concept" not in node:
        return
    found = []
    for one in node["concept"]:
        concept = dict(one)
        if "designation" in concept:
            concept["designation"] = [change(each) for each in concept["designation"]]
        _concepts(concept, change)
        found.append(concept)
    node["concept"] = found


def _compose(compose: Json, change: Callable[[Json], Json]) -> Json:
    for name in ("include", "exclude"):
        if name in compose:
            compose[name] = [change(one) for one in compose[name]]
    return compose


def _include(
    include: Json, change: Callable[[Json], Json], designate: Callable[[Json], Json]
) -> Json:
    if "filter" in include:
        include["filter"] = [change(one) for one in include["filter"]]
    if "concept" in include:
        include["concept"] = [
            {**one, "designation": [designate(each) for each in one["designation"]]}
            if "designation" in one
            else one
            for one in include["concept"]
        ]
    return include


_TO_R4: Final[Mapping[str, Callable[[Json], Json]]] = {
    "CodeSystem": _code_system_to_r4,
    "ValueSet": _value_set_to_r4,
    "ConceptMap": concept_map_to_r4,
    "Parameters": lambda one: _parameters(one, resource_to_r4),
    "Bundle": lambda one: _bundle(one, resource_to_r4),
}
_TO_R5: Final[Mapping[str, Callable[[Json], Json]]] = {
    "CodeSystem": _code_system_to_r5,
    "ValueSet": _value_set_to_r5,
    "ConceptMap": concept_map_to_r5,
    "Parameters": lambda one: _parameters(one, resource_to_r5),
    "Bundle": lambda one: _bundle(one, resource_to_r5),
}
