"""Short ways to write a Parameters resource and to read one."""

from __future__ import annotations

from typing import Any

SCT = "http://snomed.info/sct"
IRMA = "https://w3id.org/bodysite/CodeSystem/irma-anatomy"
UNIFESP = "https://w3id.org/bodysite/CodeSystem/unifesp"
DICOM = "https://w3id.org/bodysite/CodeSystem/dicom-body-part-examined"


def request(*entries: dict[str, Any], **texts: Any) -> dict[str, Any]:
    """Return a Parameters resource; keywords become parameters by the type of their value."""
    kinds = {str: "valueString", bool: "valueBoolean", int: "valueInteger", dict: "resource"}
    more = [{"name": name, kinds[type(value)]: value} for name, value in texts.items()]
    return {"resourceType": "Parameters", "parameter": [*entries, *more]}


def tx(resource: dict[str, Any]) -> dict[str, Any]:
    """Return the parameter that brings a resource along."""
    return {"name": "tx-resource", "resource": resource}


def coding(name: str, system: str, code: str, **fields: str) -> dict[str, Any]:
    """Return a parameter with a Coding."""
    return {"name": name, "valueCoding": {"system": system, "code": code, **fields}}


def all_values(answer: dict[str, Any], name: str) -> list[Any]:
    """Return what every parameter called `name` holds; parts as a dictionary."""
    return [_value(one) for one in answer.get("parameter", []) if one["name"] == name]


def value(answer: dict[str, Any], name: str) -> Any:
    """Return the one value called `name`."""
    (found,) = all_values(answer, name)
    return found


def matches(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the matches of a translation."""
    return all_values(answer, "match")


def _value(one: dict[str, Any]) -> Any:
    if "part" in one:
        return {part["name"]: _value(part) for part in one["part"]}
    return next(found for key, found in one.items() if key != "name")
