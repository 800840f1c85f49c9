"""Which elements the types of a FHIR release have, as the classes of fhir.resources say."""

from __future__ import annotations

import sys
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from fhir.resources import get_fhir_model_class as r5_class
from fhir.resources.R4B import get_fhir_model_class as r4_class

R4: Final = "R4"
R5: Final = "R5"
_CLASS_OF: Final = {R4: r4_class, R5: r5_class}
# R4B, whose classes stand for those of R4, has types that R4 (4.0.1) has not.
_LATER: Final = frozenset({"CodeableReference", "RatioRange"})
# What every element has, and what is handled apart from the rest.
COMMON: Final = frozenset({"id", "extension", "modifierExtension", "resourceType", "contained"})


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type.

    `type` is the name of a data type, or of the class of a backbone element. `group` is the name
    that a choice of types goes by (``value`` of ``valueString``), else the name itself.
    """

    name: str
    type: str
    many: bool
    required: bool
    group: str
    short: str
    targets: tuple[str, ...] = ()

    @property
    def is_primitive(self) -> bool:
        """Whether it is a JSON literal, with its extensions in a property of their own."""
        return self.type[0].islower()


@dataclass(frozen=True, slots=True)
class Structure:
    """A resource, data type or backbone element: its elements, and the path that they begin with.

    The path is that of FHIR's own definitions: ``ImagingStudy.series``, ``Attachment``. `is_inner`
    marks a backbone element and its like, which is no type that an extension could have.
    """

    name: str
    path: str
    elements: Mapping[str, Element]
    is_resource: bool
    is_inner: bool
    short: str = ""

    def group(self, name: str) -> dict[str, Element]:
        """Return the elements that go by `name`: several where it is a choice of types."""
        return {key: one for key, one in self.elements.items() if one.group == name}


@cache
def structure(name: str, release: str, kind: str = "") -> Structure | None:
    """Return the type `name`, `None` where the release has none.

    Parameters
    ----------
    kind
        The resource or data type that a backbone element is part of.
    """
    found = _class(name, release, kind)
    if found is None:
        return None
    elements = {}
    fields = {field.alias or key: field for key, field in found.model_fields.items()}
    # In the order of the definition, which the classes keep apart from their fields.
    for alias in dict.fromkeys((*found.elements_sequence(), *fields)):
        field = fields[alias]
        known = field.json_schema_extra or {}
        if not known.get("element_property"):
            continue
        many, type_name = _type(field.annotation)
        if release == R4 and type_name in _LATER:
            continue
        elements[alias] = Element(
            alias,
            type_name,
            many,
            bool(known.get("element_required") or field.is_required()),
            str(known.get("one_of_many") or alias),
            field.title or "",
            tuple(known.get("enum_reference_types", ())),
        )
    owner = _owner(found)
    inner = owner != name
    path = _paths(owner, release).get(name, name) if inner else name
    # The first paragraph is of the classes, the second of the type.
    said = (found.__doc__ or "").split("\n\n")[1:2]
    short = " ".join(" ".join(said).split()).partition(".")[0] or name
    return Structure(name, path, elements, _is_resource(found), inner, short)


def _owner(found: type[Any]) -> str:
    """Return the resource or data type that a class is part of, which its module is named after."""
    module = found.__module__.rpartition(".")[2]
    name = found.__name__
    ends = [place for place, letter in enumerate(name) if letter.isupper()] + [len(name)]
    return next((name[:end] for end in ends[1:] if name[:end].lower() == module), name)


def _is_resource(found: type[Any]) -> bool:
    return any(base.__name__ == "Resource" for base in found.__mro__)


@cache
def _class(name: str, release: str, kind: str) -> type[Any] | None:
    parts = [place for place, letter in enumerate(name) if letter.isupper()]
    for start in (kind, name, *(name[:place] for place in parts[1:])):
        try:
            owner = _CLASS_OF[release](start) if start else None
        except (LookupError, ValueError):
            # Each of its functions says in its own way that there is no such type.
            continue
        if owner is None:
            continue
        found = getattr(sys.modules[owner.__module__], name, None)
        if isinstance(found, type):
            return found
    return None


@cache
def _paths(kind: str, release: str) -> Mapping[str, str]:
    """Return the path of every backbone element of a resource, the nearest to its own name."""
    found: dict[str, str] = {}
    waiting = [(kind, kind)]
    while waiting:
        name, path = waiting.pop(0)
        owner = _class(name, release, kind)
        if owner is None:
            continue
        for key, field in owner.model_fields.items():
            if not (field.json_schema_extra or {}).get("element_property"):
                continue
            inner = _type(field.annotation)[1]
            below = f"{path}.{field.alias or key}"
            # Where one backbone element serves at several places, it is named after its first.
            own = "".join(part[0].upper() + part[1:] for part in below.split(".")) == inner
            if inner.startswith(kind) and inner != kind and (inner not in found or own):
                again = inner in found
                found[inner] = below
                if not again:
                    waiting.append((inner, below))
    return found


def _type(annotation: Any) -> tuple[bool, str]:
    """Return whether there may be several, and the name of the type as FHIR writes it."""
    many = False
    while True:
        origin = typing.get_origin(annotation)
        arguments = typing.get_args(annotation)
        if hasattr(annotation, "__metadata__"):
            name = type(annotation.__metadata__[-1]).__name__
            return many, _primitive(name)
        if origin is list:
            many = True
            annotation = arguments[0]
        elif arguments:
            annotation = next(one for one in arguments if one is not type(None))
        elif annotation is bool:
            return many, "boolean"
        else:
            return many, annotation.__name__.removesuffix("Type")


def _primitive(name: str) -> str:
    name = {"EncodedBytes": "Base64Binary", "UuidVersion": "Uuid"}.get(name, name)
    return name[0].lower() + name[1:]
