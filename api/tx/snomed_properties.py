"""The properties of SNOMED CT concepts: what `$lookup` tells and value sets filter by.

FHIR names inactive, sufficientlyDefined, moduleId, effectiveTime, normalForm and normalFormTerse,
and makes every attribute a property. Ours are the side of a body structure, its unsided and sided
concepts, its structure, entire and part, and what replaced a concept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from pyroaring import BitMap

from api.tx.provider import Concept, PropertyDefinition, PropertyValue
from api.tx.snomed_expressions import PostCoordinated, stated_attributes
from terminology.concept import Laterality
from terminology.expressions import describe, normal_expression, normalise, render
from terminology.expressions.syntax import (
    AttributeValue,
    BooleanValue,
    ConceptReference,
    Expression,
    NumericValue,
    StringValue,
)
from terminology.release.anatomy import Anatomy
from terminology.release.sides import sides_of
from terminology.release.values import HISTORICAL, ConcreteValue

if TYPE_CHECKING:
    from api.tx.snomed import SnomedProvider

# SNOMED CT URI Standard: the URI of a concept, here of an attribute.
ATTRIBUTE_URI: Final = "http://snomed.info/id/"
_CONCEPT_PROPERTIES: Final = "http://hl7.org/fhir/concept-properties#"
_ANATOMY: Final = frozenset({"structure", "entire", "part", "*"})
_NORMAL_FORMS: Final = frozenset({"normalForm", "normalFormTerse", "*"})
_STATED: Final = (
    PropertyDefinition("parent", "code", f"{_CONCEPT_PROPERTIES}parent", "Right above by is-a"),
    PropertyDefinition("child", "code", f"{_CONCEPT_PROPERTIES}child", "Right below by is-a"),
    PropertyDefinition("inactive", "boolean", f"{_CONCEPT_PROPERTIES}inactive", "Not in use"),
    PropertyDefinition(
        "effectiveTime",
        "dateTime",
        f"{_CONCEPT_PROPERTIES}effectiveDate",
        "When the concept last changed",
    ),
    PropertyDefinition("module", "code", None, "The module of the concept"),
    PropertyDefinition("moduleId", "code", None, "The module of the concept, under FHIR's name"),
    PropertyDefinition("sufficientlyDefined", "boolean", None, "Its attributes define the concept"),
    PropertyDefinition("normalForm", "string", None, "The definition as an expression, with terms"),
    PropertyDefinition("normalFormTerse", "string", None, "The definition as an expression"),
    PropertyDefinition("laterality", "code", None, "The side of a sided body structure"),
    PropertyDefinition("unsided", "code", None, "The same body structure without its side"),
    PropertyDefinition("sided", "code", None, "The same body structure on one side"),
    PropertyDefinition("structure", "code", None, "The structure that it is the whole or part of"),
    PropertyDefinition("entire", "code", None, "The whole of the structure"),
    PropertyDefinition("part", "code", None, "The proper parts of the structure"),
    PropertyDefinition("successor", "code", None, "What replaced it, or is the same"),
    PropertyDefinition("predecessor", "code", None, "What it replaced, or is the same"),
)


def definitions(provider: SnomedProvider) -> Sequence[PropertyDefinition]:
    """Return the properties that concepts of a release may have; attributes by code, last."""
    index = provider.index
    attributes = BitMap(index.relations.types) | BitMap(index.concretes.type.tolist())
    return (
        *_STATED,
        *(
            PropertyDefinition(code, "code", ATTRIBUTE_URI + code, provider.term(code))
            for code in index.codes(attributes)
        ),
    )


def shown_by_default(provider: SnomedProvider, concept: Concept) -> list[PropertyValue]:
    """Return what a concept is shown with without being asked, but for its neighbours."""
    return list(_once(_values(provider, concept, every=False)))


def listed(provider: SnomedProvider, concept: Concept) -> list[PropertyValue]:
    """Return what an expansion can show of a concept, which is all that takes no reasoning."""
    found = (*_values(provider, concept, every=True), *_neighbours(provider, concept))
    return list(_once(found))


def asked_for(
    provider: SnomedProvider, concept: Concept, wanted: frozenset[str]
) -> list[PropertyValue]:
    """Return the properties named by code, ``*`` for all, and others; but for its neighbours."""
    found = list(_values(provider, concept, every=True))
    if wanted & _ANATOMY and not isinstance(concept.ref, PostCoordinated):
        found += _anatomy(provider, concept.ref)
    if wanted & _NORMAL_FORMS:
        found += _normal_forms(provider, concept)
    return list(_once(found))


def _values(provider: SnomedProvider, concept: Concept, *, every: bool) -> Iterator[PropertyValue]:
    focus = provider.focus(concept)
    yield PropertyValue("inactive", "boolean", provider.status(concept).inactive)
    if len(focus) == 1:
        yield from _of_row(provider, focus[0], every=every)
    for ordinal in focus:
        yield from _attributes(provider, ordinal)
    if isinstance(concept.ref, PostCoordinated):
        for code, value in stated_attributes(concept.ref.expression):
            yield _stated(provider, code, value)
    else:
        yield from _sides(provider, concept.ref)
        yield from _history(provider, concept.ref, every=every)


def _neighbours(provider: SnomedProvider, concept: Concept) -> Iterator[PropertyValue]:
    for name, found in (("parent", provider.parents), ("child", provider.children)):
        for one in found(concept):
            yield PropertyValue(name, "code", one.code, provider.display(one))


def _of_row(provider: SnomedProvider, ordinal: int, *, every: bool) -> Iterator[PropertyValue]:
    index = provider.index
    if index.embedded:
        # The dates and modules of the embedded tables are not those of SNOMED CT.
        return
    date = str(index.effective_time(ordinal))
    yield PropertyValue("effectiveTime", "dateTime", f"{date[:4]}-{date[4:6]}-{date[6:]}")
    module = index.module(ordinal)
    yield PropertyValue("module", "code", module, provider.term(module))
    if every:
        yield PropertyValue("moduleId", "code", module, provider.term(module))
        yield PropertyValue("sufficientlyDefined", "boolean", index.is_defined(ordinal))


def _attributes(provider: SnomedProvider, ordinal: int) -> Iterator[PropertyValue]:
    index = provider.index
    for attribute in index.attributes(ordinal):
        code = index.code(attribute.type)
        if isinstance(attribute.value, ConcreteValue):
            yield PropertyValue(code, *_concrete(attribute.value.kind, attribute.value.text))
        else:
            target = index.code(attribute.value)
            yield PropertyValue(code, "code", target, index.display(attribute.value))


def _stated(provider: SnomedProvider, code: str, value: AttributeValue) -> PropertyValue:
    match value:
        case ConceptReference():
            return PropertyValue(code, "code", value.code, provider.term(value.code))
        case Expression():
            text = render(value, terms=False)
            return PropertyValue(code, "code", text, render(value, provider.term))
        case NumericValue():
            kind = "decimal" if "." in value.text else "integer"
            return PropertyValue(code, *_concrete(kind, value.text))
        case BooleanValue():
            return PropertyValue(code, "boolean", value.truth)
        case StringValue():
            return PropertyValue(code, "string", value.text)


def _concrete(kind: str, text: str) -> tuple[str, Any]:
    """Return kind and value as `PropertyValue` has them."""
    match kind:
        case "integer":
            return kind, int(text)
        case "decimal":
            return kind, Decimal(text)
        case "boolean":
            return kind, text == "true"
        case _:
            return "string", text


def _sides(provider: SnomedProvider, ordinal: int) -> Iterator[PropertyValue]:
    sides, code = sides_of(provider.index), provider.index.code(ordinal)
    unsided, side = sides.of.get(code, (None, None))
    found = [] if side is None else [("laterality", side.coding.code)]
    found += [] if unsided is None else [("unsided", unsided)]
    found += [("sided", one) for way in Laterality if (one := sides.sided.get((code, way)))]
    for name, one in found:
        yield PropertyValue(name, "code", one, provider.term(one))


def _anatomy(provider: SnomedProvider, ordinal: int) -> Iterator[PropertyValue]:
    code = provider.index.code(ordinal)
    triple = provider.index.derived(Anatomy).triple(code)
    if triple is None:
        return
    for name, one in (
        ("structure", triple.structure),
        ("entire", triple.entire),
        ("part", triple.part),
    ):
        if one is not None and one != code:
            yield PropertyValue(name, "code", one, provider.term(one))


def _history(provider: SnomedProvider, ordinal: int, *, every: bool) -> Iterator[PropertyValue]:
    index = provider.index
    for association in index.associations(ordinal):
        replaces = association.refset in HISTORICAL
        if replaces or every:
            name = "successor" if replaces else association.refset
            yield PropertyValue(name, "code", association.target, provider.term(association.target))
    for association in index.associated(ordinal):
        if association.refset in HISTORICAL:
            term = provider.term(association.target)
            yield PropertyValue("predecessor", "code", association.target, term)


def _normal_forms(provider: SnomedProvider, concept: Concept) -> Iterator[PropertyValue]:
    index = provider.index
    form = normal_expression(normalise(concept.code, index), index)
    yield PropertyValue("normalForm", "string", describe(form, index))
    yield PropertyValue("normalFormTerse", "string", render(form, terms=False))


def _once(found: Iterable[PropertyValue]) -> Iterator[PropertyValue]:
    """Yield each property once: an attribute may stand in several groups."""
    seen = set()
    for one in found:
        key = (one.code, str(one.value))
        if key not in seen:
            seen.add(key)
            yield one
