"""Resources of a release at random, as its structures have them."""

from __future__ import annotations

import random
from typing import Any

from api.rendering.structure import COMMON, Element, Structure, structure

KINDS = (
    "ImagingStudy",
    "Observation",
    "Device",
    "Provenance",
    "BodyStructure",
    "Task",
    "AuditEvent",
    "Patient",
    "Practitioner",
)
_PRIMITIVES: dict[str, Any] = {
    "boolean": [True, False],
    "integer": [-3, 0, 12],
    "integer64": ["9007199254740993", "7"],
    "positiveInt": [1, 7],
    "unsignedInt": [0, 5],
    "decimal": [0.5, 12.25],
    "date": ["2026-03-01", "2026"],
    "dateTime": ["2026-03-01", "2026-03-01T10:00:00Z"],
    "instant": ["2026-03-01T10:00:00.000Z"],
    "time": ["10:00:00"],
    "base64Binary": ["AAEC"],
    "uri": ["urn:oid:1.2.3", "http://example.org/a"],
    "url": ["http://example.org/b"],
    "canonical": ["http://example.org/c"],
    "oid": ["urn:oid:1.2"],
    "uuid": ["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
    "id": ["x1"],
    "code": ["left", "7771000", "active"],
    "string": ["text", "Müller"],
    "markdown": ["*words*"],
}
_CODES = {
    "Device.status": ["active", "inactive", "unknown"],
    "AuditEvent.outcome": ["0", "4", "8", "12"],
    "AuditEvent.outcome.code": ["success", "fatal", "information"],
    "Provenance.entity.role": ["derivation", "source", "instantiates"],
    "SampledData.intervalUnit": ["ms", "s"],
}
_SHUNNED = frozenset({"Narrative", "Resource", "Extension", "Meta"})


class Sampler:
    """Makes resources of one release out of one source of chance."""

    def __init__(self, release: str, chance: random.Random) -> None:
        self.release = release
        self.chance = chance

    def resource(self, kind: str) -> dict[str, Any]:
        found = self.structure(kind, kind)
        whole = {"resourceType": kind, "id": "a", **self.node(found, kind, 0)}
        if kind != "Patient" and self.chance.random() < 0.1:
            inside = self.chance.choice(("Device", "Patient"))
            whole["contained"] = [self.resource(inside)]
        return whole

    def structure(self, name: str, kind: str) -> Structure:
        found = structure(name, self.release, kind)
        assert found is not None, name
        return found

    def node(self, of: Structure, kind: str, depth: int) -> dict[str, Any]:
        content: dict[str, Any] = {}
        chosen = self.chance.random() * (0.9 if depth < 2 else 0.3)
        groups: dict[str, list[Element]] = {}
        for element in of.elements.values():
            if element.name in COMMON or element.name in {"meta", "implicitRules"}:
                continue
            if element.type in _SHUNNED:
                continue
            groups.setdefault(element.group, []).append(element)
        needs_value = {
            "UsageContext",
            "Task.input",
            "Task.output",
            "AuditEvent.entity.detail",
            "Device.property",
        }
        for group, elements in groups.items():
            required = any(one.required for one in elements) or (
                group == "value" and of.path in needs_value
            )
            if not required and self.chance.random() > chosen:
                continue
            element = self.chance.choice(elements)
            content.update(self.element(element, of, kind, depth))
        if self.chance.random() < 0.15:
            content["extension"] = [self.extension(kind)]
        if not content:
            content["extension"] = [{"url": "http://example.org/e", "valueCode": "x"}]
        return content

    def element(self, element: Element, of: Structure, kind: str, depth: int) -> dict[str, Any]:
        count = self.chance.randint(1, 3) if element.many and depth < 3 else 1
        if element.is_primitive:
            pool = _CODES.get(f"{of.path}.{element.name}", _PRIMITIVES[element.type])
            values = [self.chance.choice(pool) for _ in range(count)]
        else:
            inner = self.structure(element.type, kind)
            values = [self.node(inner, kind, depth + 1) for _ in range(count)]
        found: dict[str, Any] = {element.name: values if element.many else values[0]}
        if element.is_primitive and self.chance.random() < 0.1:
            said = [{"extension": [self.extension(kind)]}, *[None] * (count - 1)]
            found[f"_{element.name}"] = said if element.many else said[0]
        return found

    def extension(self, kind: str) -> dict[str, Any]:
        found = self.structure("Extension", kind)
        values = [
            one
            for one in found.elements.values()
            if one.group == "value" and one.type not in _SHUNNED
        ]
        element = self.chance.choice(values)
        said = self.element(element, found, kind, 3)
        # The classes that check do not know an extension of an extension's value.
        return {"url": "http://example.org/x", element.name: said[element.name]}
