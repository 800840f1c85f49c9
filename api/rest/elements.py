"""The elements of FHIR's types, as the models of fhir.resources describe them.

R4B stands for R4: for the types kept here their elements are the same, but for the targets of
`Observation.subject`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

import fhir.resources
import fhir.resources.R4B

from api.tx.resources_store import R4

OBJECT: Final = "object"
RESOURCE: Final = "resource"
_WHOLE: Final = frozenset({"Integer", "Integer64", "PositiveInt", "UnsignedInt"})
# FHIR R4, 10.1: R4B lets an Observation be about more than R4 does.
_R4_TARGETS: Final = {
    ("Observation", "subject"): frozenset({"Device", "Group", "Location", "Patient"}),
}


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a type.

    Attributes
    ----------
    form
        What JSON has for one value of it: "boolean", "integer", "decimal", "string", "object" or
        "resource".
    model
        The model of an object.
    targets
        The types that a reference may lead to; empty for any.
    choice
        The name of the choice that it is of, such as ``value`` for `valueString`.
    """

    name: str
    form: str
    many: bool
    model: Any = None
    targets: frozenset[str] = frozenset()
    summary: bool = False
    required: bool = False
    choice: str | None = None


def model_of(kind: str, release: str) -> Any:
    """Return the model of a resource type, `None` when the release has no such type."""
    try:
        package = fhir.resources.R4B if release == R4 else fhir.resources
        return package.get_fhir_model_class(kind)
    except (AttributeError, LookupError, ValueError):
        return None


@cache
def elements_of(model: Any, release: str) -> Mapping[str, Element]:
    """Return the elements of a model by the name that JSON has for them."""
    kind = str(model.__name__)
    found = {}
    for name, field in model.model_fields.items():
        element = field.alias or name
        if name == "fhir_comments":
            continue
        form, many, inner = _form(field.annotation)
        extra = field.json_schema_extra or {}
        targets = frozenset(extra.get("enum_reference_types", ()))
        if release == R4:
            targets = _R4_TARGETS.get((kind, element), targets)
        if "Resource" in targets:
            targets = frozenset()
        found[element] = Element(
            element,
            form,
            many,
            inner,
            targets,
            summary=bool(extra.get("summary_element_property")),
            required=bool(extra.get("element_required")) or field.is_required(),
            choice=extra.get("one_of_many"),
        )
    return found


def _form(annotation: Any) -> tuple[str, bool, Any]:
    """Return the form of an annotation, whether it is a list, and the model of an object."""
    inner = _without_none(annotation)
    if get_origin(inner) is list:
        form, model = _form_of_one(_without_none(get_args(inner)[0]))
        return form, True, model
    form, model = _form_of_one(inner)
    return form, False, model


def _form_of_one(inner: Any) -> tuple[str, Any]:
    if hasattr(inner, "get_model_klass"):
        model = inner.get_model_klass()
        return (RESOURCE, None) if model.__name__ == "Resource" else (OBJECT, model)
    if inner is bool:
        return "boolean", None
    if get_origin(inner) is Annotated:
        name = type(get_args(inner)[1]).__name__
        if name in _WHOLE:
            return "integer", None
        if name == "Decimal":
            return "decimal", None
    return "string", None


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in {Union, UnionType}:
        return next(one for one in get_args(annotation) if one is not type(None))
    return annotation
