"""`_summary` and `_elements`: what is left of a resource, and the tag that tells it is a part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.errors import SearchError
from api.rest.elements import OBJECT, elements_of, model_of

Json = dict[str, Any]
SUMMARIES: Final = ("true", "text", "data", "count", "false")
_SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}
_ALWAYS: Final = frozenset({"resourceType", "id", "meta", "implicitRules", "modifierExtension"})


@dataclass(frozen=True, slots=True)
class View:
    """Which part of a resource is asked for; the whole of it without either."""

    summary: str = "false"
    elements: tuple[str, ...] = ()

    @classmethod
    def of(cls, parameters: Iterable[tuple[str, str]]) -> View:
        """Return the view that search parameters ask for.

        Raises
        ------
        SearchError
            `_summary` has a value that FHIR does not know, or stands beside `_elements`.
        """
        summary, elements = "false", []
        for name, value in parameters:
            if name == "_summary":
                summary = value
            elif name == "_elements":
                elements += [one.strip() for one in value.split(",") if one.strip()]
        if summary not in SUMMARIES:
            expected = ", ".join(SUMMARIES)
            raise SearchError("_summary", "the value is none of them", expected, "Correct it.")
        if elements and summary != "false":
            # FHIR R4, 3.1.1.5.9: both together mean nothing.
            raise SearchError("_elements", "_summary is there too", "one of both", "Choose one.")
        return cls(summary, tuple(elements))

    @property
    def whole(self) -> bool:
        """Whether nothing is left out."""
        return not self.elements and self.summary in {"false", "count"}

    def shown(self, content: Json, release: str) -> Json:
        """Return what is left of a resource, tagged as a part; the resource itself for all."""
        if self.whole:
            return content
        kind = content["resourceType"]
        model = model_of(kind, release)
        known = elements_of(model, release)
        mandatory = _ALWAYS | {name for name, one in known.items() if one.required}
        if self.elements:
            wanted = _top_level(self.elements, kind)
            kept = _only(content, mandatory | wanted)
        elif self.summary == "text":
            kept = _only(content, mandatory | {"text"})
        elif self.summary == "data":
            kept = {name: value for name, value in content.items() if name != "text"}
        else:
            kept = _summary(content, model, kind, release)
        meta = kept.get("meta", {})
        tags = [one for one in meta.get("tag", ()) if one.get("code") != _SUBSETTED["code"]]
        head: Json = {name: kept.pop(name) for name in ("resourceType", "id") if name in kept}
        return {**head, **kept, "meta": {**meta, "tag": [*tags, _SUBSETTED]}}


def _top_level(elements: Sequence[str], kind: str) -> set[str]:
    """Return the elements of a type that are named as ``name`` or ``Type.name``."""
    found = set()
    for one in elements:
        head, _, rest = one.partition(".")
        if not rest:
            found.add(head)
        elif head == kind:
            found.add(rest.partition(".")[0])
        elif head[:1].islower():
            found.add(head)
    return found


def _only(content: Json, names: Iterable[str]) -> Json:
    wanted = set(names)
    return {
        name: value
        for name, value in content.items()
        if name.removeprefix("_") in wanted or _choice_in(name.removeprefix("_"), wanted)
    }


def _choice_in(name: str, wanted: set[str]) -> bool:
    """Return whether a choice such as ``valueString`` is named without its type."""
    return any(name.startswith(one) and name[len(one) : len(one) + 1].isupper() for one in wanted)


def _summary(content: Json, model: Any, kind: str, release: str) -> Json:
    """Return the elements that the definition of a type has in its summary, at every level."""
    known = elements_of(model, release)
    kept: Json = {}
    for name, value in content.items():
        plain = name.removeprefix("_")
        element = known.get(plain)
        if name != "resourceType" and (
            element is None or not (element.summary or element.required or plain in _ALWAYS)
        ):
            continue
        # The parts of a type itself have summaries of their own; data types are shown whole.
        if element is not None and element.form == OBJECT and name == plain:
            inner = element.model
            if str(inner.__name__).startswith(kind) and inner.__name__ != kind:
                many = isinstance(value, list)
                parts = [
                    _summary(one, inner, kind, release) for one in (value if many else [value])
                ]
                parts = [one for one in parts if one]
                if not parts:
                    continue
                value = parts if many else parts[0]
        kept[name] = value
    return kept
