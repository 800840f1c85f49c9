"""The rules that elements of R4 and R5 answer to each other by, and the shapes they mostly have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Part = dict[str, Any]

_ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
# What stands where a release asks for a value that there is none of.
ABSENT: Final[Part] = {"extension": [{"url": _ABSENT, "valueCode": "unknown"}]}


@dataclass(frozen=True, slots=True)
class Rule:
    """Elements of R4 and the elements of R5 that say the same.

    `up` takes the elements `r4` that are there, by name, and returns those of `r5`; `down` the
    other way. What the extensions of a primitive are is under the name with an underscore.
    """

    r4: tuple[str, ...]
    r5: tuple[str, ...]
    up: Callable[[Part], Part]
    down: Callable[[Part], Part]


def renamed(r4: str, r5: str) -> Rule:
    """Return the rule of an element that has another name and is otherwise the same."""

    def to(old: str, new: str) -> Callable[[Part], Part]:
        names = {old: new, f"_{old}": f"_{new}"}
        return lambda part: {names[key]: value for key, value in part.items()}

    return Rule((r4,), (r5,), to(r4, r5), to(r5, r4))


def one(
    r4: str,
    r5: str,
    up: Callable[[Any], Any],
    down: Callable[[Any], Any],
    *,
    absent: bool = False,
) -> Rule:
    """Return the rule of an element whose value is put in another shape; `None` leaves it out.

    With `absent`, R4 requires the element: what is not known is said to be so.
    """

    def upward(part: Part) -> Part:
        value = part.get(r4)
        new = None if value is None or (absent and value == ABSENT) else up(value)
        return {} if new is None else {r5: new}

    def downward(part: Part) -> Part:
        value = part.get(r5)
        new = None if value is None else down(value)
        if new is None:
            return {r4: ABSENT} if absent else {}
        return {r4: new}

    return Rule((r4,), (r5,), upward, downward)


def each(r4: str, r5: str, up: Callable[[Any], Any], down: Callable[[Any], Any]) -> Rule:
    """Return the rule of a list whose items are put in another shape; `None` leaves one out."""

    def to(old: str, new: str, shape: Callable[[Any], Any]) -> Callable[[Part], Part]:
        def moved(part: Part) -> Part:
            found = [item for item in map(shape, part.get(old, ())) if item is not None]
            return {new: found} if found else {}

        return moved

    return Rule((r4,), (r5,), to(r4, r5, up), to(r5, r4, down))


def required_in_r4(name: str, absent: Any = None) -> Rule:
    """Return the rule of an element that R4 requires and R5 does not.

    `absent` stands for it where there is none; a primitive has extensions in its place.
    """
    absent = {f"_{name}": ABSENT} if absent is None else {name: absent}
    return Rule(
        (name,),
        (name,),
        lambda part: {} if part == absent else part,
        lambda part: part or dict(absent),
    )


def coded(name: str, up: Mapping[str, str | None], down: Mapping[str, str | None]) -> Rule:
    """Return the rule of a code that each release takes of a list of its own.

    `None` stands for a code that the other release has nothing for.
    """

    def to(codes: Mapping[str, str | None]) -> Callable[[Part], Part]:
        def moved(part: Part) -> Part:
            if part.get(name) not in codes:
                return part
            code = codes[part[name]]
            return {} if code is None else {**part, name: code}

        return moved

    return Rule((name,), (name,), to(up), to(down))


def concept_of(coding: Part) -> Part:
    """Return a Coding as a CodeableConcept."""
    return {"coding": [coding]}


def coding_of(concept: Part) -> Part:
    """Return the first Coding of a CodeableConcept, its text where it has none."""
    for coding in concept.get("coding", ()):
        return dict(coding)
    return {"display": concept["text"]} if "text" in concept else dict(ABSENT)


def as_concept(value: Part) -> Part:
    """Return a CodeableReference of a concept."""
    return {"concept": value}


def concept_in(value: Part) -> Part | None:
    """Return the concept of a CodeableReference."""
    return value.get("concept")


def as_reference(value: Part) -> Part:
    """Return a CodeableReference of a resource."""
    return {"reference": value}


def reference_in(value: Part) -> Part | None:
    """Return the reference of a CodeableReference."""
    return value.get("reference")


def concepts_and_references(
    concepts: str, references: str, r5: str, *, many: tuple[bool, bool]
) -> Rule:
    """Return the rule of two elements that R5 has one list of CodeableReferences for.

    `many` says of the concepts and of the references whether R4 has room for several.
    """

    def listed(part: Part, name: str, several: bool) -> list[Any]:
        return list(part.get(name, ())) if several else [part[name]] if name in part else []

    def up(part: Part) -> Part:
        found = [as_concept(value) for value in listed(part, concepts, many[0])]
        found += [as_reference(value) for value in listed(part, references, many[1])]
        return {r5: found} if found else {}

    def down(part: Part) -> Part:
        found: Part = {}
        for name, inside, several in (
            (concepts, concept_in, many[0]),
            (references, reference_in, many[1]),
        ):
            values = [value for item in part.get(r5, ()) if (value := inside(item)) is not None]
            if values:
                found[name] = values if several else values[0]
        return found

    return Rule((concepts, references), (r5,), up, down)
