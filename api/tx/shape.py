"""What the engine reads of a CodeSystem or ValueSet has the types that FHIR gives it.

Resources of a request come from strangers; a wrong type is refused here by its place, so that the
rest of the engine need not ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from api.tx.errors import TxError
from api.tx.issues import Issue


@dataclass(frozen=True, slots=True)
class Element:
    """What an element must be: ``text``, ``flag`` or the name of a shape."""

    kind: str
    many: bool = False
    required: bool = False


_TEXT: Final = Element("text")
_FLAG: Final = Element("flag")
_KEY: Final = Element("text", required=True)
_EXTENSIONS: Final = Element("Extension", many=True)
_DESIGNATIONS: Final = Element("Designation", many=True)

_SHAPES: Final[dict[str, Mapping[str, Element]]] = {
    "Parameters": {"parameter": Element("Parameter", many=True)},
    "Parameter": {
        "name": _KEY,
        "resource": Element("Resource"),
        "part": Element("Parameter", many=True),
    },
    "Resource": {"resourceType": _TEXT},
    "Extension": {"url": _TEXT, "extension": _EXTENSIONS},
    "Designation": {
        "language": _TEXT,
        "value": _TEXT,
        "use": Element("Coding"),
        "extension": _EXTENSIONS,
    },
    "Coding": {"system": _TEXT, "version": _TEXT, "code": _TEXT, "display": _TEXT},
    "CodeableConcept": {"coding": Element("Coding", many=True)},
    "CodeSystem": {
        **dict.fromkeys(
            ("url", "version", "language", "content", "status", "valueSet", "supplements"), _TEXT
        ),
        "caseSensitive": _FLAG,
        "property": Element("Definition", many=True),
        "concept": Element("Concept", many=True),
        "extension": _EXTENSIONS,
    },
    "Definition": {"code": _KEY, "uri": _TEXT, "type": _TEXT, "description": _TEXT},
    "Concept": {
        **dict.fromkeys(("code", "display", "definition"), _TEXT),
        "designation": _DESIGNATIONS,
        "property": Element("Property", many=True),
        "concept": Element("Concept", many=True),
        "extension": _EXTENSIONS,
    },
    "Property": {"code": _KEY},
    "ValueSet": {
        **dict.fromkeys(("url", "version", "language", "status"), _TEXT),
        "compose": Element("Compose"),
        "expansion": Element("Expansion"),
        "contained": Element("Contained", many=True),
        "extension": _EXTENSIONS,
    },
    "Contained": {"id": _TEXT, "url": _TEXT, "version": _TEXT, "compose": Element("Compose")},
    "Compose": {
        "inactive": _FLAG,
        "include": Element("Include", many=True),
        "exclude": Element("Include", many=True),
        "property": Element("text", many=True),
        "extension": _EXTENSIONS,
    },
    "Include": {
        "system": _TEXT,
        "version": _TEXT,
        "valueSet": Element("text", many=True),
        "concept": Element("Reference", many=True),
        "filter": Element("Filter", many=True),
    },
    "Reference": {
        "code": _TEXT,
        "display": _TEXT,
        "designation": _DESIGNATIONS,
        "extension": _EXTENSIONS,
    },
    "Filter": {"property": _TEXT, "op": _TEXT, "value": _TEXT},
    "Expansion": {"contains": Element("Contains", many=True)},
    "Contains": {
        **dict.fromkeys(("system", "version", "code"), _TEXT),
        "contains": Element("Contains", many=True),
    },
}


def require_shape(value: Any, shape: str, place: str) -> None:
    """Refuse `value` unless everything that the engine reads of it has the right type.

    Parameters
    ----------
    shape
        Parameters, CodeSystem, ValueSet, Coding or CodeableConcept.
    place
        Where it stands in the request.

    Raises
    ------
    TxError
        Something in it has another type than FHIR says.
    """
    # A stack and no recursion: a resource may nest as deep as its sender likes.
    pending: list[tuple[Any, str, str]] = [(value, shape, place)]
    while pending:
        element, name, where = pending.pop()
        if not isinstance(element, Mapping):
            raise _wrong(where, "an object")
        for key, wanted in _SHAPES[name].items():
            if key not in element:
                if wanted.required:
                    raise _wrong(f"{where}.{key}", "present")
                continue
            for item, at in _items(element[key], wanted, f"{where}.{key}"):
                if wanted.kind in _SHAPES:
                    pending.append((item, wanted.kind, at))
                elif not isinstance(item, str if wanted.kind == "text" else bool):
                    raise _wrong(at, "text" if wanted.kind == "text" else "true or false")


def _items(value: Any, wanted: Element, place: str) -> Iterator[tuple[Any, str]]:
    if not wanted.many:
        yield value, place
        return
    if not isinstance(value, list):
        raise _wrong(place, "a list")
    for number, item in enumerate(value):
        yield item, f"{place}[{number}]"


def _wrong(place: str, expected: str) -> TxError:
    text = f"{place} has the wrong type or is missing; expected it to be {expected}"
    return TxError(Issue("error", "structure", "invalid-data", text, None, (place,)), status=400)
