"""A small code system of body sites and value sets over it, and how to ask about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from api.tx.context import Limits, StaticRegistry, TxContext
from api.tx.errors import TxError
from api.tx.expand import expand
from api.tx.validate import validate_code_system_code, validate_value_set_code

Json = dict[str, Any]
SITES = "https://example.org/fhir/CodeSystem/sites"
VIEWS = "https://example.org/fhir/CodeSystem/views"
NOTES = "https://example.org/fhir/CodeSystem/site-notes"
VALUE_SET = "https://example.org/fhir/ValueSet/"
EXTENSION = "http://hl7.org/fhir/StructureDefinition/"


def site(code: str, display: str, *inside: Json, **more: Any) -> Json:
    """Return a concept."""
    found: Json = {"code": code, "display": display, **more}
    if inside:
        found["concept"] = list(inside)
    return found


def german(text: str) -> list[Json]:
    """Return a German designation."""
    return [{"language": "de", "value": text}]


SITES_SYSTEM: Json = {
    "resourceType": "CodeSystem",
    "url": SITES,
    "version": "1.0.0",
    "name": "Sites",
    "language": "en",
    "status": "active",
    "caseSensitive": True,
    "content": "complete",
    "property": [
        {"code": "side", "type": "code", "uri": "https://example.org/side"},
        {"code": "rank", "type": "integer"},
        {
            "code": "group",
            "type": "boolean",
            "uri": "http://hl7.org/fhir/concept-properties#notSelectable",
        },
    ],
    "concept": [
        site(
            "trunk",
            "Trunk",
            site(
                "chest",
                "Chest",
                site("heart", "Heart", designation=german("Herz"), definition="Pumps."),
                site("lung", "Lung", property=[{"code": "side", "valueCode": "paired"}]),
                designation=german("Brustkorb"),
            ),
            site("belly", "Belly", property=[{"code": "status", "valueCode": "retired"}]),
            property=[{"code": "group", "valueBoolean": True}],
        ),
        site(
            "limb",
            "Limb",
            site("arm", "Arm", property=[{"code": "side", "valueCode": "paired"}]),
            site(
                "leg",
                "Leg",
                property=[
                    {"code": "side", "valueCode": "paired"},
                    {"code": "rank", "valueInteger": 2},
                ],
            ),
        ),
    ],
}

VIEWS_SYSTEM: Json = {
    "resourceType": "CodeSystem",
    "url": VIEWS,
    "version": "2",
    "name": "Views",
    "language": "en",
    "status": "draft",
    "caseSensitive": False,
    "content": "fragment",
    "concept": [site("PA", "Posteroanterior"), site("LAT", "Lateral"), site("arm", "Arm view")],
}

NOTES_SUPPLEMENT: Json = {
    "resourceType": "CodeSystem",
    "url": NOTES,
    "version": "3",
    "status": "active",
    "content": "supplement",
    "supplements": SITES,
    "property": [{"code": "note", "type": "string", "uri": "https://example.org/note"}],
    "concept": [
        {
            "code": "arm",
            "designation": [{"language": "nl", "value": "Bovenarm"}],
            "property": [{"code": "note", "valueString": "humerus"}],
        }
    ],
}


def value_set(name: str, *includes: Json, exclude: Iterable[Json] = (), **more: Any) -> Json:
    """Return a value set."""
    compose: Json = {"include": list(includes)}
    if excluded := list(exclude):
        compose["exclude"] = excluded
    compose |= more.pop("compose", {})
    return {
        "resourceType": "ValueSet",
        "url": VALUE_SET + name,
        "version": "1",
        "name": name.title(),
        "status": "active",
        "compose": compose,
        **more,
    }


def listed(system: str, *codes: str) -> Json:
    """Return an include that lists codes."""
    return {"system": system, "concept": [{"code": code} for code in codes]}


def by(prop: str, op: str, value: str, system: str = SITES) -> Json:
    """Return an include by one filter."""
    return {"system": system, "filter": [{"property": prop, "op": op, "value": value}]}


def imports(*names: str) -> Json:
    """Return an include of what all these value sets have in common."""
    return {"valueSet": [VALUE_SET + name for name in names]}


BASE = (
    SITES_SYSTEM,
    VIEWS_SYSTEM,
    NOTES_SUPPLEMENT,
    value_set("all", {"system": SITES}),
    value_set("trunk", by("concept", "is-a", "trunk")),
    value_set("paired", by("side", "=", "paired")),
    value_set("few", listed(SITES, "arm", "chest", "belly")),
)


def request(**arguments: Any) -> Json:
    """Return a Parameters resource; an underscore in a name stands for a hyphen."""
    entries: list[Json] = []
    for name, given in arguments.items():
        for value in given if isinstance(given, list) else [given]:
            entry: Json = {"name": name.replace("_", "-")}
            entry[_key(value)] = value
            entries.append(entry)
    return {"resourceType": "Parameters", "parameter": entries}


def _key(value: Any) -> str:
    if isinstance(value, Mapping):
        if "resourceType" in value:
            return "resource"
        return "valueCodeableConcept" if "coding" in value else "valueCoding"
    if isinstance(value, bool):
        return "valueBoolean"
    return "valueInteger" if isinstance(value, int) else "valueString"


def context(asked: Json, *resources: Json, limits: Limits | None = None) -> TxContext:
    """Return the terminology of this file and `resources` as a request sees it."""
    return TxContext.of(StaticRegistry(resources=[*BASE, *resources]), asked, limits=limits)


def expanded(*resources: Json, limits: Limits | None = None, **arguments: Any) -> Json:
    """Return an expansion; the last of `resources` is the value set unless `url` names another."""
    asked = _asking(resources, arguments)
    answer: Json = expand(asked, context(asked, *resources, limits=limits))
    return answer


def codes(*resources: Json, **arguments: Any) -> list[str]:
    """Return the codes of an expansion, those inside others too."""
    found: list[str] = []

    def walk(entries: Iterable[Json]) -> None:
        for entry in entries:
            found.append(entry["code"])
            walk(entry.get("contains", ()))

    walk(expanded(*resources, **arguments)["expansion"].get("contains", ()))
    return found


def validated(*resources: Json, **arguments: Any) -> dict[str, Any]:
    """Return the answer of a validation in a value set, by name; issues as a list."""
    asked = _asking(resources, arguments)
    return _by_name(validate_value_set_code(asked, context(asked, *resources)))


def validated_in_system(*resources: Json, **arguments: Any) -> dict[str, Any]:
    """Return the answer of a validation in a code system, by name; issues as a list."""
    asked = request(**arguments)
    return _by_name(validate_code_system_code(asked, context(asked, *resources)))


def issues(answer: Mapping[str, Any]) -> list[tuple[str, str | None, str | None]]:
    """Return severity, message id and place of each issue of an answer."""
    return [_brief(entry) for entry in answer.get("issues", ())]


def refusal(error: TxError) -> tuple[int, str | None, str]:
    """Return status, message id and text of an error."""
    first = error.outcome()["issue"][0]
    return error.status, _brief(first)[1], first["details"]["text"]


def parameter_values(expansion: Json, name: str) -> list[Any]:
    """Return the values of an expansion's parameters of one name."""
    found = [p for p in expansion["expansion"]["parameter"] if p["name"] == name]
    return [next(v for k, v in p.items() if k != "name") for p in found]


def _asking(resources: tuple[Json, ...], arguments: dict[str, Any]) -> Json:
    if resources and "url" not in arguments:
        arguments = {"url": resources[-1]["url"], **arguments}
    elif "url" in arguments and ":" not in arguments["url"]:
        arguments = {**arguments, "url": VALUE_SET + arguments["url"]}
    return request(**arguments)


def _by_name(answer: Json) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in answer["parameter"]:
        value = next(v for k, v in entry.items() if k != "name")
        found[entry["name"]] = value["issue"] if entry["name"] == "issues" else value
    return found


def _brief(entry: Json) -> tuple[str, str | None, str | None]:
    extensions = entry.get("extension") or [{}]
    return entry["severity"], extensions[0].get("valueString"), entry.get("expression", [None])[0]
