"""Terminology resources between R5, which the engine speaks, and R4.

What R5 has and R4 lacks travels in HL7's cross-version extensions
(``http://hl7.org/fhir/5.0/StructureDefinition/extension-…``) and comes back out of them; what only
R4 says (the finer words of `equivalence`) in those of 4.0. Every function returns new dictionaries
along the path it changes and leaves what it was given alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from api.tx.crossversion import X4, X5, Field, all_taken, extend, fields, lift, lower, taken
from api.tx.parameters import value_of

Json = dict[str, Any]
# Where R4 has no word of R5's, and what R4 calls the others. Equivalence is read from the target,
# relationship from the source: "wider" = the TARGET is wider.
EQUIVALENCE: Final[Mapping[str, str]] = {
    "related-to": "relatedto",
    "equivalent": "equivalent",
    "source-is-narrower-than-target": "wider",
    "source-is-broader-than-target": "narrower",
    "not-related-to": "disjoint",
}
RELATIONSHIP: Final[Mapping[str, str]] = {
    "relatedto": "related-to",
    "inexact": "related-to",
    "equivalent": "equivalent",
    "equal": "equivalent",
    "wider": "source-is-narrower-than-target",
    "subsumes": "source-is-narrower-than-target",
    "narrower": "source-is-broader-than-target",
    "specializes": "source-is-broader-than-target",
    "disjoint": "not-related-to",
    "unmatched": "not-related-to",
}
EQUIVALENCE_EXTENSION: Final = f"{X4}ConceptMap.group.element.target.equivalence"
COMMENT_EXTENSION: Final = f"{X4}ConceptMap.group.element.target.comment"
# FHIR R4 invariant cmd-1: these two need a comment.
_COMMENTS: Final = {
    "narrower": "The target is narrower than the source.",
    "inexact": "The target is close to the source, but not the same.",
}
_R5_FILTER_OPERATORS: Final = frozenset({"child-of", "descendent-leaf"})
_UNMAPPED_MODE: Final = {"use-source-code": "provided"}


# R5 5.0.0, CanonicalResource and MetadataResource: what all three types have beyond R4.
_COMMON: Final = fields(
    "versionAlgorithm:[x] copyrightLabel:string approvalDate:date lastReviewDate:date"
    " effectivePeriod:Period topic:CodeableConcept* author:ContactDetail* editor:ContactDetail*"
    " reviewer:ContactDetail* endorser:ContactDetail* relatedArtifact:RelatedArtifact*"
)
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
_MAP: Final = (
    Field(
        "property",
        many=True,
        parts=fields("code:code uri:uri description:string type:code system:canonical"),
    ),
    Field(
        "additionalAttribute",
        many=True,
        parts=fields("code:code uri:uri description:string type:code"),
    ),
)
_ELEMENT: Final = fields("valueSet:canonical")
_TARGET: Final = (
    *fields("valueSet:canonical"),
    Field("property", many=True, parts=fields("code:code value:[x]")),
)
_UNMAPPED: Final = fields("relationship:code valueSet:canonical")


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
    found = lower(resource, "CodeSystem", _COMMON)
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
    found = lower(resource, "ValueSet", (*_COMMON, _SCOPE))
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


def _include_to_r4(one: Json) -> Json:
    return _include(lower(one, _OF_INCLUDE, _INCLUDE), _filter_to_r4, _designation_r4)


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


def _concept_map_to_r4(resource: Json) -> Json:
    attributes = {
        one["code"]: one["uri"]
        for one in resource.get("additionalAttribute", ())
        if "code" in one and "uri" in one
    }
    found = lower(_without_implied(resource), "ConceptMap", (*_COMMON, *_MAP))
    for side in ("source", "target"):
        for suffix in ("Uri", "Canonical"):
            if f"{side}Scope{suffix}" in found:
                found[side + suffix] = found.pop(f"{side}Scope{suffix}")
    identifiers = found.get("identifier")
    if isinstance(identifiers, list):
        found["identifier"] = identifiers[0]
        extend(
            found,
            [{"url": f"{X5}ConceptMap.identifier", "valueIdentifier": i} for i in identifiers[1:]],
        )
    if "group" in found:
        found["group"] = [_group_to_r4(group, attributes) for group in found["group"]]
    return found


def _without_implied(resource: Json) -> Json:
    """Return the map without definitions of attributes that R4's URIs say already."""
    used = {
        one.get("attribute")
        for group in resource.get("group", ())
        for element in group.get("element", ())
        for target in element.get("target", ())
        for name in ("dependsOn", "product")
        for one in target.get(name, ())
    }
    listed = resource.get("additionalAttribute", ())
    kept = [
        one
        for one in listed
        if one.get("code") not in used
        or one["code"] != _stem(one.get("uri", ""))
        or not set(one) <= {"code", "uri", "type"}
    ]
    if len(kept) == len(listed):
        return resource
    found = {key: value for key, value in resource.items() if key != "additionalAttribute"}
    return {**found, "additionalAttribute": kept} if kept else found


def _stem(uri: str) -> str:
    """Return the end of a URI, which is the code that R5 gets for it."""
    return uri.rstrip("/").replace("#", "/").rpartition("/")[2] or "attribute"


def _group_to_r4(group: Json, attributes: Mapping[str, str]) -> Json:
    found = dict(group)
    for side in ("source", "target"):
        url, mark, version = str(found.get(side, "")).partition("|")
        if mark:
            found[side], found[f"{side}Version"] = url, version
    if "element" in found:
        found["element"] = [_element_to_r4(one, attributes) for one in found["element"]]
    if "unmapped" in found:
        unmapped = lower(found["unmapped"], "ConceptMap.group.unmapped", _UNMAPPED)
        unmapped["mode"] = _UNMAPPED_MODE.get(unmapped.get("mode", ""), unmapped.get("mode"))
        if "otherMap" in unmapped:
            unmapped["url"] = unmapped.pop("otherMap")
        found["unmapped"] = unmapped
    return found


def _element_to_r4(element: Json, attributes: Mapping[str, str]) -> Json:
    found = lower(element, "ConceptMap.group.element", _ELEMENT)
    if found.pop("noMap", False):
        target: Json = {"equivalence": "unmatched"}
        comment = taken(found, COMMENT_EXTENSION)
        if comment is not None:
            target["comment"] = comment
        found["target"] = [target]
    elif "target" in found:
        found["target"] = [_target_to_r4(one, attributes) for one in found["target"]]
    return found


def _target_to_r4(target: Json, attributes: Mapping[str, str]) -> Json:
    found = lower(target, "ConceptMap.group.element.target", _TARGET)
    relationship = found.pop("relationship", "related-to")
    finer = taken(found, EQUIVALENCE_EXTENSION)
    found["equivalence"] = finer or EQUIVALENCE.get(relationship, "relatedto")
    if "comment" not in found and found["equivalence"] in _COMMENTS:
        found["comment"] = _COMMENTS[found["equivalence"]]
    for name in ("dependsOn", "product"):
        if name in found:
            found[name] = [_attribute_to_r4(one, attributes) for one in found[name]]
    return found


def _attribute_to_r4(one: Json, attributes: Mapping[str, str]) -> Json:
    attribute = one.get("attribute", "")
    found: Json = {"property": attributes.get(attribute, attribute)}
    value = value_of(one)
    if isinstance(value, Mapping) and "code" in value:
        found.update(
            {
                to: value[name]
                for name, to in (("system", "system"), ("code", "value"), ("display", "display"))
                if name in value
            }
        )
    elif isinstance(value, bool):
        found["value"] = "true" if value else "false"
    elif value is not None:
        found["value"] = str(value)
    return found


# -- R4 → R5 ---------------------------------------------------------------------------------------


def _code_system_to_r5(resource: Json) -> Json:
    found = lift(resource, "CodeSystem", _COMMON)
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
    found = lift(resource, "ValueSet", (*_COMMON, _SCOPE))
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


def _concept_map_to_r5(resource: Json) -> Json:
    found = lift(resource, "ConceptMap", (*_COMMON, *_MAP))
    for side in ("source", "target"):
        for suffix in ("Uri", "Canonical"):
            if side + suffix in found:
                found[f"{side}Scope{suffix}"] = found.pop(side + suffix)
    identifier = found.get("identifier")
    if isinstance(identifier, Mapping):
        more = all_taken(found, f"{X5}ConceptMap.identifier")
        found["identifier"] = [identifier, *more]
    attributes = _Attributes(found.get("additionalAttribute", ()))
    if "group" in found:
        found["group"] = [_group_to_r5(group, attributes) for group in found["group"]]
    if attributes.added:
        found["additionalAttribute"] = [*found.get("additionalAttribute", ()), *attributes.added]
    return found


class _Attributes:
    """The codes that R5 wants for what R4 names by URI, and the definitions that come with them."""

    def __init__(self, known: Sequence[Mapping[str, Any]]) -> None:
        self._codes = {one["uri"]: one["code"] for one in known if "uri" in one and "code" in one}
        self._used = {one.get("code") for one in known}
        self.added: list[Json] = []

    def code(self, uri: str, kind: str) -> str:
        """Return the code of the attribute `uri`, defined when it is new."""
        if uri in self._codes:
            return str(self._codes[uri])
        stem = _stem(uri)
        code, number = stem, 2
        while code in self._used:
            code, number = f"{stem}-{number}", number + 1
        self._codes[uri] = code
        self._used.add(code)
        self.added.append({"code": code, "uri": uri, "type": kind})
        return code


def _group_to_r5(group: Json, attributes: _Attributes) -> Json:
    found = dict(group)
    for side in ("source", "target"):
        version = found.pop(f"{side}Version", None)
        if version is not None:
            found[side] = f"{found.get(side, '')}|{version}"
    if "element" in found:
        found["element"] = [_element_to_r5(one, attributes) for one in found["element"]]
    if "unmapped" in found:
        unmapped = lift(found["unmapped"], "ConceptMap.group.unmapped", _UNMAPPED)
        if "url" in unmapped:
            unmapped["otherMap"] = unmapped.pop("url")
        if unmapped.get("mode") == "provided":
            unmapped["mode"] = "use-source-code"
            unmapped.setdefault("relationship", "equivalent")
        elif unmapped.get("mode") == "fixed":
            unmapped.setdefault("relationship", "related-to")
        found["unmapped"] = unmapped
    return found


def _element_to_r5(element: Json, attributes: _Attributes) -> Json:
    found = lift(element, "ConceptMap.group.element", _ELEMENT)
    targets = found.get("target")
    if not isinstance(targets, list):
        return found
    without = [
        one for one in targets if one.get("equivalence") == "unmatched" and "code" not in one
    ]
    if len(without) == len(targets):
        # R5 has a flag where R4 has a target without a code.
        del found["target"]
        found["noMap"] = True
        comments = [
            {"url": COMMENT_EXTENSION, "valueString": one["comment"]}
            for one in without
            if "comment" in one
        ]
        extend(found, comments[:1])
        return found
    found["target"] = [_target_to_r5(one, attributes) for one in targets if one not in without]
    return found


def _target_to_r5(target: Json, attributes: _Attributes) -> Json:
    found = lift(target, "ConceptMap.group.element.target", _TARGET)
    equivalence = found.pop("equivalence", "relatedto")
    relationship = RELATIONSHIP.get(equivalence, "related-to")
    found["relationship"] = relationship
    if EQUIVALENCE[relationship] != equivalence:
        extend(found, [{"url": EQUIVALENCE_EXTENSION, "valueCode": equivalence}])
    if found.get("comment") == _COMMENTS.get(equivalence):
        found.pop("comment", None)
    for name in ("dependsOn", "product"):
        if name in found:
            found[name] = [_attribute_to_r5(one, attributes) for one in found[name]]
    return found


def _attribute_to_r5(one: Json, attributes: _Attributes) -> Json:
    coded = "system" in one or "display" in one
    found: Json = {
        "attribute": attributes.code(one.get("property", ""), "Coding" if coded else "string")
    }
    if coded:
        names = (("system", "system"), ("value", "code"), ("display", "display"))
        found["valueCoding"] = {to: one[name] for name, to in names if name in one}
    elif "value" in one:
        found["valueString"] = one["value"]
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
    "ConceptMap": _concept_map_to_r4,
    "Parameters": lambda one: _parameters(one, resource_to_r4),
    "Bundle": lambda one: _bundle(one, resource_to_r4),
}
_TO_R5: Final[Mapping[str, Callable[[Json], Json]]] = {
    "CodeSystem": _code_system_to_r5,
    "ValueSet": _value_set_to_r5,
    "ConceptMap": _concept_map_to_r5,
    "Parameters": lambda one: _parameters(one, resource_to_r5),
    "Bundle": lambda one: _bundle(one, resource_to_r5),
}
