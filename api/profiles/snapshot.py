"""Snapshots of profiles: the elements of the base type, with the differential laid over them.

What elements a type has comes from `api.rendering.structure`, so nothing of HL7's own definitions
is in here but names, types and cardinalities.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from api.rendering.structure import R4, Element, Structure, structure

Definition = dict[str, Any]
_FHIR: Final = "http://hl7.org/fhir/StructureDefinition"
_STRING: Final = "http://hl7.org/fhirpath/System.String"
_VERSIONS: Final = {R4: "4.0.1", "R5": "5.0.0"}
# FHIR R4 and R5: value sets of status codes, which resources of ours are bound to.
_CODES: Final = {
    "ImagingStudy.status": "imagingstudy-status",
    "Observation.status": "observation-status",
}
# Elements that change the meaning of the rest (FHIR R4, 2.3.0.4).
_MODIFIERS: Final = {
    "implicitRules": "This element is labeled as a modifier because the implicit rules may provide"
    " additional knowledge about the resource that modifies its meaning or interpretation",
    "modifierExtension": "Modifier extensions are expected to modify the meaning or interpretation"
    " of the element that contains them",
    "status": "This element is labeled as a modifier because it contains codes that mark the"
    " resource as not currently valid",
}


def snapshot(kind: str, release: str, differential: Sequence[Definition]) -> list[Definition]:
    """Return the elements of a type with those of a differential, in the order of the type.

    Parameters
    ----------
    differential
        Elements by `id`; slices stand behind the element that they are of.
    """
    elements = list(_base(kind, release))
    places = {one["id"]: one for one in elements}
    for one in differential:
        known = places.get(one["id"])
        if known is not None:
            known.update(one)
            continue
        new = _derived(one, places, kind, release)
        places[one["id"]] = new
        elements.insert(_behind(one["id"], elements), new)
    return elements


def _derived(
    one: Definition, places: Mapping[str, Definition], kind: str, release: str
) -> Definition:
    """Return an element of a slice, or one inside a data type, completed by what it is of."""
    plain = places.get(_unsliced(one["id"]), {})
    if not plain:
        plain = _inside(one["path"], places, kind, release)
    # What is required of all is not required of each slice.
    dropped = {"slicing", "id", "sliceName"} | ({"min"} if "sliceName" in one else set())
    kept = {key: value for key, value in plain.items() if key not in dropped}
    return {"min": 0, **kept, **one}


def _inside(path: str, places: Mapping[str, Definition], kind: str, release: str) -> Definition:
    above, _, last = path.rpartition(".")
    group, _, choice = last.partition("[")
    for type_ in places.get(above, {}).get("type", ()):
        of = structure(type_["code"], release, kind)
        found = list(of.group(group).values()) if of is not None else []
        if of is not None and found:
            one = _element(found[0], path, f"{of.path}.{last}", release)
            return {**one, "type": [_type(item) for item in found]} if choice else one
    return {}


def _unsliced(element_id: str) -> str:
    return ".".join(part.partition(":")[0] for part in element_id.split("."))


def _behind(element_id: str, elements: Sequence[Definition]) -> int:
    """Return the place behind the last element that `element_id` is under or a slice of."""
    parts = element_id.split(".")
    for length in range(len(parts), 0, -1):
        heads = {".".join(parts[:length])}
        if ":" in parts[length - 1]:
            heads.add(".".join((*parts[: length - 1], parts[length - 1].partition(":")[0])))
        at = [
            place
            for place, one in enumerate(elements)
            if any(
                one["id"] == head or one["id"].startswith((f"{head}.", f"{head}:"))
                for head in heads
            )
        ]
        if at:
            return at[-1] + 1
    return len(elements)


def _base(kind: str, release: str) -> Iterator[Definition]:
    of = structure(kind, release)
    assert of is not None, kind  # noqa: S101
    yield {
        "id": kind,
        "path": kind,
        "short": of.short,
        "definition": of.short,
        "min": 0,
        "max": "*",
        "base": {"path": kind, "min": 0, "max": "*"},
        "isModifier": False,
        "isSummary": False,
    }
    yield from _children(of, kind, kind, release, frozenset({kind}))


def _children(
    of: Structure, path: str, kind: str, release: str, above: frozenset[str]
) -> Iterator[Definition]:
    for group, choice in _grouped(of):
        element = choice[0]
        several = len(choice) > 1
        here = f"{path}.{group}[x]" if several else f"{path}.{group}"
        inner = structure(element.type, release, kind)
        one = _element(element, here, f"{of.path}.{here.rpartition('.')[2]}", release)
        if several:
            one["type"] = [_type(item) for item in choice]
        elif inner is not None and inner.is_inner:
            if inner.path != here or inner.name in above:
                del one["type"]
                yield {**one, "contentReference": f"#{inner.path}"}
                continue
            one["type"] = [{"code": "BackboneElement"}]
        yield one
        if inner is not None and inner.is_inner and not several:
            yield from _children(inner, here, kind, release, above | {inner.name})


def _grouped(of: Structure) -> Iterable[tuple[str, list[Element]]]:
    groups: dict[str, list[Element]] = {}
    for element in of.elements.values():
        groups.setdefault(element.group, []).append(element)
    return groups.items()


def _element(element: Element, path: str, of: str, release: str) -> Definition:
    name = path.rpartition(".")[2]
    low, high = int(element.required), "*" if element.many else "1"
    found: Definition = {
        "id": path,
        "path": path,
        "short": element.short,
        "definition": element.short,
        "min": low,
        "max": high,
        "base": {"path": of, "min": low, "max": high},
        "type": [_type(element)],
        "isModifier": name in _MODIFIERS,
        "isSummary": False,
    }
    if name in _MODIFIERS:
        found["isModifierReason"] = _MODIFIERS[name]
    if path in _CODES:
        url = f"http://hl7.org/fhir/ValueSet/{_CODES[path]}|{_VERSIONS[release]}"
        found["binding"] = {"strength": "required", "valueSet": url}
    return found


def _type(element: Element) -> Definition:
    if element.name == "id":
        # FHIR R4, 2.4.0: the id of an element is a string of FHIRPath's.
        kind = [
            {
                "url": f"{_FHIR}/structuredefinition-fhir-type",
                "valueUrl": "string",
            }
        ]
        return {"extension": kind, "code": _STRING}
    if element.type == "Reference" and element.targets:
        return {
            "code": "Reference",
            "targetProfile": [f"{_FHIR}/{target}" for target in element.targets],
        }
    return {"code": element.type}
