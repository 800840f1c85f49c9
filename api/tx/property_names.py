"""Which property of a code system says that a concept is inactive, abstract or above another.

A CodeSystem may call such a property what it likes and name its meaning by URI, or use the common
code without saying so; both are understood.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

CONCEPT_PROPERTIES: Final = "http://hl7.org/fhir/concept-properties#"
STANDARDS_STATUS_URL: Final = (
    "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status"
)

# Meaning → the codes that stand for it where no property is declared with its URI.
_COMMON_CODES: Final[dict[str, tuple[str, ...]]] = {
    "notSelectable": ("notSelectable", "not-selectable", "abstract"),
    "inactive": ("inactive",),
    "status": ("status",),
    "deprecated": ("deprecated",),
    "retired": ("retired",),
    "parent": ("parent", "subsumedBy"),
    "child": ("child",),
}
_INACTIVE_STATUSES: Final = frozenset({"inactive", "retired"})


@dataclass(frozen=True, slots=True)
class PropertyNames:
    """The codes of one code system's properties by what they mean."""

    codes: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, declared: Iterable[Mapping[str, Any]]) -> PropertyNames:
        """Return the names of a CodeSystem with these `property` declarations."""
        codes = {meaning: set(common) for meaning, common in _COMMON_CODES.items()}
        for definition in declared:
            uri = definition.get("uri") or ""
            if uri.startswith(CONCEPT_PROPERTIES):
                meaning = uri.removeprefix(CONCEPT_PROPERTIES)
                codes.setdefault(meaning, set()).add(definition["code"])
        return cls({meaning: frozenset(found) for meaning, found in codes.items()})

    def values(self, concept: Mapping[str, Any], meaning: str) -> list[Any]:
        """Return the values that `concept` has for one meaning."""
        codes = self.codes.get(meaning, frozenset())
        return [
            property_value(p)[1] for p in concept.get("property") or () if p.get("code") in codes
        ]

    def flagged(self, concept: Mapping[str, Any], meaning: str) -> bool:
        """Return whether a boolean property of that meaning is true."""
        return any(value is True or value == "true" for value in self.values(concept, meaning))

    def is_inactive(self, concept: Mapping[str, Any]) -> bool:
        """Return whether the concept is not for new use."""
        if self.flagged(concept, "inactive"):
            return True
        if any(str(value) in _INACTIVE_STATUSES for value in self.values(concept, "status")):
            return True
        return standards_status(concept) == "withdrawn"

    def status(self, concept: Mapping[str, Any]) -> str | None:
        """Return the text of the concept's status, stated or implied."""
        stated = self.values(concept, "status")
        if stated:
            return str(stated[0])
        for meaning in ("deprecated", "inactive", "retired"):
            if self.flagged(concept, meaning):
                return meaning
        return standards_status(concept)


def property_value(prop: Mapping[str, Any]) -> tuple[str, Any]:
    """Return kind and value of a concept's property; the kind is spelled as FHIR does."""
    for key, value in prop.items():
        if key.startswith("value") and len(key) > 5:
            kind = key[5:]
            return kind if kind == "Coding" else kind[0].lower() + kind[1:], value
    return "string", None


def standards_status(element: Mapping[str, Any]) -> str | None:
    """Return the standards-status extension of a resource or concept."""
    for extension in element.get("extension") or ():
        if extension.get("url") == STANDARDS_STATUS_URL:
            found = extension.get("valueCode") or extension.get("valueString")
            return str(found) if found else None
    return None
