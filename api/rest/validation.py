"""Whether what a client sends is a resource of FHIR R4 or R5: its form, codes and rules.

fhir.resources checks cardinalities, the forms of simple values, choices and unknown elements. What
it lets pass is checked here: JSON of another type, required codes, where references lead, and
rules that FHIR writes as invariants. A problem names the element and never repeats its value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from pydantic import ValidationError

from api.errors import InvalidResourceError, Problem
from api.rest.bindings import REQUIRED_CODES
from api.rest.elements import OBJECT, RESOURCE, Element, elements_of, model_of

Json = dict[str, Any]
_MAX_PROBLEMS: Final = 20
_REFERENCE: Final = re.compile(
    r"(?:https?://[^?#]+/)?([A-Z][A-Za-z]+)/[A-Za-z0-9.\-]{1,64}(?:/_history/[A-Za-z0-9.\-]{1,64})?"
)
_CONDITIONAL: Final = re.compile(r"([A-Z][A-Za-z]+)\?")


def validated(content: Json, release: str) -> Json:
    """Return `content` when it is a valid resource of its type.

    Raises
    ------
    InvalidResourceError
        With up to 20 problems, each with the path of its element.
    """
    kind = content["resourceType"]
    model = model_of(kind, release)
    if model is None:
        problem = Problem(kind, "not-supported", f"FHIR {release} has no such type")
        raise InvalidResourceError(kind, [problem])
    found = _some(_of_form(content, model, kind, release, content))
    if not found:
        try:
            model.model_validate(content)
        except ValidationError as error:
            found = list(_of_model(error, kind))[:_MAX_PROBLEMS]
        except (KeyError, ValueError, TypeError, AttributeError, ArithmeticError):
            # A few checks of fhir.resources fall over what they did not expect.
            found = [Problem(kind, "structure", "a value is not of the type of its element")]
    if not found:
        found = _some(_of_rules(content, kind, release))
    if found:
        raise InvalidResourceError(kind, found)
    return content


def check_form(content: Json, release: str) -> None:
    """Refuse a resource, valid before, for what has been put into its references since.

    Raises
    ------
    InvalidResourceError
        A reference leads to a type that its element may not name.
    """
    kind = content["resourceType"]
    found = _some(_of_form(content, model_of(kind, release), kind, release, content))
    if found:
        raise InvalidResourceError(kind, found)


def _some(problems: Iterator[Problem]) -> list[Problem]:
    return [one for one, _ in zip(problems, range(_MAX_PROBLEMS), strict=False)]


# -- the form -------------------------------------------------------------------------------------


def _of_form(node: Json, model: Any, place: str, release: str, root: Json) -> Iterator[Problem]:
    """Yield where JSON is not of the type of an element, and what a code or a reference may not."""
    known = elements_of(model, release)
    name_of_type = str(model.__name__)
    for name, value in node.items():
        if name == "resourceType" and (node is root or "contained" in place):
            continue
        element = known.get(name)
        if element is None:
            yield Problem(f"{place}.{name[:64]}", "structure", "there is no such element")
            continue
        path = f"{place}.{name}"
        many = isinstance(value, list) if name.startswith("_") else element.many
        if many != isinstance(value, list):
            yield Problem(path, "structure", "a list" if many else "one value, not a list")
            continue
        for number, one in enumerate(value if many else [value]):
            at = f"{path}[{number}]" if many else path
            if one is not None:
                yield from _of_value(one, element, name_of_type, at, release, root)
            elif not _may_be_null(node, name):
                yield Problem(at, "structure", "null without an extension")


def _of_value(
    value: Any, element: Element, of: str, place: str, release: str, root: Json
) -> Iterator[Problem]:
    if element.form == RESOURCE:
        yield from _of_contained(value, place, release, root)
    elif element.form == OBJECT:
        if not isinstance(value, dict):
            yield Problem(place, "structure", "an object")
            return
        yield from _of_form(value, element.model, place, release, root)
        if element.model.__name__ == "Reference":
            yield from _of_reference(value, element, place)
    elif not _FORMS[element.form](value):
        yield Problem(place, "value", f"a JSON {_NAMES[element.form]}")
    else:
        allowed = REQUIRED_CODES[release].get((of, element.name))
        if allowed is not None and value not in allowed:
            yield Problem(place, "code-invalid", f"one of {', '.join(sorted(allowed))}")


def _of_contained(value: Any, place: str, release: str, root: Json) -> Iterator[Problem]:
    kind = value.get("resourceType") if isinstance(value, dict) else None
    model = model_of(kind, release) if isinstance(kind, str) else None
    if model is None or not model.has_resource_base():
        yield Problem(place, "structure", "a resource with its resourceType")
    elif "contained" in value:
        # FHIR R4, 2.4: dom-2.
        yield Problem(f"{place}.contained", "invariant", "no resource in a contained one (dom-2)")
    else:
        yield from _of_form(value, model, place, release, root)


def _may_be_null(node: Json, name: str) -> bool:
    """Return whether null may stand in a list: its extensions, or its values, are beside it."""
    return (name[1:] if name.startswith("_") else f"_{name}") in node


_FORMS: Final[dict[str, Callable[[Any], bool]]] = {
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "decimal": lambda value: (
        isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    ),
    "string": lambda value: isinstance(value, str),
}
_NAMES: Final = {
    "boolean": "boolean",
    "integer": "number without a fraction",
    "decimal": "number",
    "string": "string",
}


def _of_reference(value: Json, element: Element, place: str) -> Iterator[Problem]:
    """Yield a reference that leads to a type that its element may not name."""
    if not element.targets:
        return
    expected = f"a reference to {' or '.join(sorted(element.targets))}"
    text = value.get("reference")
    if isinstance(text, str):
        match = _REFERENCE.fullmatch(text) or _CONDITIONAL.match(text)
        if match is not None and match.group(1) not in element.targets:
            yield Problem(f"{place}.reference", "value", expected)
    named = value.get("type")
    if isinstance(named, str) and named not in element.targets:
        yield Problem(f"{place}.type", "value", expected)


# -- what fhir.resources says ---------------------------------------------------------------------

_SAID: Final = {
    "missing": ("required", "the element is required"),
    "extra_forbidden": ("structure", "there is no such element"),
    "string_pattern_mismatch": ("value", "a value of the form that the type has"),
}


def _of_model(error: ValidationError, kind: str) -> Iterator[Problem]:
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        path = kind + "".join(
            f"[{part}]" if isinstance(part, int) else f".{str(part)[:64]}" for part in one["loc"]
        )
        said = _SAID.get(one["type"])
        if said is None and "multiple" in one["msg"]:
            said = ("structure", "one value of each choice, not several")
        elif said is None and "required" in one["msg"].lower():
            said = ("required", "a required element")
        issue, text = said or ("value", "a value of the form that the type has")
        yield Problem(path, issue, text)


_QUANTITIES: Final = frozenset({"Quantity", "Age", "Count", "Distance", "Duration"})


# -- rules ----------------------------------------------------------------------------------------


def _of_rules(content: Json, kind: str, release: str) -> Iterator[Problem]:
    """Yield what breaks an invariant of FHIR."""
    yield from _of_contained_use(content, kind)
    if kind == "Observation":
        yield from _of_observation(content, kind)
    if kind == "Task":
        written, modified = content.get("authoredOn"), content.get("lastModified")
        if isinstance(written, str) and isinstance(modified, str) and modified < written[:4]:
            yield Problem("Task.lastModified", "invariant", "not before authoredOn (inv-1)")
    yield from _of_types(content, model_of(kind, release), kind, release)


def _of_observation(content: Json, place: str) -> Iterator[Problem]:
    # FHIR R4, 10.1: obs-6 and obs-7; component has the like of obs-6 in R5.
    valued = any(name.startswith("value") for name in content)
    if valued and "dataAbsentReason" in content:
        text = "no dataAbsentReason beside a value (obs-6)"
        yield Problem(f"{place}.dataAbsentReason", "invariant", text)
    codes = _codings(content.get("code"))
    for number, one in enumerate(content.get("component", ())):
        at = f"{place}.component[{number}]"
        if valued and codes & _codings(one.get("code")):
            text = "no component with the code of the Observation that has a value (obs-7)"
            yield Problem(f"{at}.code", "invariant", text)
    for number, one in enumerate(content.get("referenceRange", ())):
        if not {"low", "high", "text"} & one.keys():
            at = f"{place}.referenceRange[{number}]"
            yield Problem(at, "invariant", "low, high or text (obs-3)")


def _codings(concept: Any) -> set[tuple[Any, Any]]:
    codings = concept.get("coding", ()) if isinstance(concept, dict) else ()
    return {(one.get("system"), one.get("code")) for one in codings if one.get("code")}


def _of_contained_use(content: Json, kind: str) -> Iterator[Problem]:
    """Yield references into the resource that lead nowhere (ref-1), and idle contained ones."""
    contained = content.get("contained", [])
    there = {f"#{one.get('id')}" for one in contained}
    used: set[str] = set()
    for place, reference in references_in(content, kind):
        text = reference.get("reference")
        if isinstance(text, str) and text.startswith("#"):
            used.add(text)
            if text != "#" and text not in there:
                yield Problem(f"{place}.reference", "invariant", "a contained resource (ref-1)")
    for number, one in enumerate(contained):
        # FHIR R4, 2.4: dom-3.
        inside = any(reference.get("reference") == "#" for _, reference in references_in(one, ""))
        if f"#{one.get('id')}" not in used and not inside:
            text = "a contained resource that is referred to (dom-3)"
            yield Problem(f"{kind}.contained[{number}]", "invariant", text)


def references_in(node: Any, place: str) -> Iterator[tuple[str, Json]]:
    """Yield every Reference in `node` with its path; contained resources are looked into."""
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield place, node
        for name, value in node.items():
            yield from references_in(value, f"{place}.{name}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from references_in(value, f"{place}[{number}]")


def _of_types(node: Json, model: Any, place: str, release: str) -> Iterator[Problem]:
    """Yield what breaks an invariant of a data type."""
    kind = str(model.__name__)
    # FHIR R4, 2.5.3.1 ext-1; 2.24.0.6 qty-3 and per-1; R4B and R5 have the same.
    if kind == "Extension" and ("extension" in node) == any(
        name.lstrip("_").startswith("value") for name in node
    ):
        yield Problem(place, "invariant", "either a value or extensions (ext-1)")
    if kind in _QUANTITIES and "code" in node and "system" not in node:
        yield Problem(place, "invariant", "a system beside the code of a unit (qty-3)")
    if kind == "Period":
        start, end = node.get("start"), node.get("end")
        if isinstance(start, str) and isinstance(end, str) and _is_after(start, end):
            yield Problem(place, "invariant", "an end that is not before the start (per-1)")
    known = elements_of(model, release)
    for name, value in node.items():
        element = known.get(name)
        if element is None or element.form not in {OBJECT, RESOURCE}:
            continue
        many = isinstance(value, list)
        for number, one in enumerate(value if many else [value]):
            if isinstance(one, dict):
                inner = element.model
                if element.form == RESOURCE:
                    inner = model_of(one["resourceType"], release)
                at = f"{place}.{name}[{number}]" if many else f"{place}.{name}"
                yield from _of_types(one, inner, at, release)


def _is_after(start: str, end: str) -> bool:
    """Return whether `start` is after `end` on any day; hours of other zones are left alone."""
    length = min(len(start), len(end), 10)
    return start[:length] > end[:length]
