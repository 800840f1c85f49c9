"""ConceptMap between R5 and R4, which differ in it more than in any other terminology resource.

R4 says `equivalence`, read from the target, where R5 says `relationship`, read from the source, and
names attributes by URI where R5 has codes for them. See `api.tx.r4` for what travels in extensions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from api.tx.crossversion import (
    COMMON,
    X4,
    X5,
    Field,
    all_taken,
    extend,
    fields,
    lift,
    lower,
    taken,
)
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
_UNMAPPED_MODE: Final = {"use-source-code": "provided"}
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


# -- R5 → R4 ---------------------------------------------------------------------------------------


def concept_map_to_r4(resource: Json) -> Json:
    """Return a ConceptMap of R5 in R4 form."""
    attributes = {
        one["code"]: one["uri"]
        for one in resource.get("additionalAttribute", ())
        if "code" in one and "uri" in one
    }
    found = lower(_without_implied(resource), "ConceptMap", (*COMMON, *_MAP))
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


def concept_map_to_r5(resource: Json) -> Json:
    """Return a ConceptMap of R4 in R5 form."""
    found = lift(resource, "ConceptMap", (*COMMON, *_MAP))
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
