"""`NormalForm`: what an expression or a concept means, spelled out so that meanings compare.

A defined concept is replaced by its nearest primitive ancestors and its attributes as the release
infers them; what the expression adds is put beside, and what is implied by the rest is left out.
`terminology.expressions.logic` makes normal forms and says how.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pyroaring import FrozenBitMap

from terminology.expressions.rendering import ordered
from terminology.expressions.syntax import (
    Attribute,
    AttributeGroup,
    AttributeValue,
    BooleanValue,
    ConceptReference,
    DefinitionStatus,
    Expression,
    NumericValue,
    StringValue,
)
from terminology.release.index import ReleaseIndex
from terminology.release.values import ConcreteValue


@dataclass(frozen=True, slots=True)
class NormalForm:
    """A meaning: ordinals of primitive concepts and the attributes that hold beside them.

    Attributes
    ----------
    focus
        The most specific primitive concepts that subsume it.
    ungrouped
        Attributes that are never in a group.
    groups
        The other attributes; what stood in no group is a group of one.
    unequalled
        For an expression that is only a subtype (``<<<``) of this meaning: its canonical text;
        nothing else is known to be below it. Empty otherwise.
    above
        Every concept that is known to subsume it by the hierarchy alone, the written focus concepts
        included; defined concepts that its attributes make supertypes are not in it.
    """

    focus: frozenset[int]
    ungrouped: frozenset[Pair]
    groups: frozenset[frozenset[Pair]]
    unequalled: str = ""
    above: FrozenBitMap = field(default_factory=FrozenBitMap, compare=False, repr=False)


Value = int | ConcreteValue | NormalForm
Pair = tuple[int, Value]


def normal_expression(form: NormalForm, index: ReleaseIndex) -> Expression:
    """Return a normal form as an expression in canonical order, to be rendered.

    Values that are concepts stay concepts: the hierarchy says what they imply.
    """
    return ordered(_expression(form, index))


def concrete(value: NumericValue | StringValue | BooleanValue) -> ConcreteValue:
    """Return a written number, text or truth value as the release would hold it."""
    match value:
        case NumericValue():
            return plain(ConcreteValue("decimal" if "." in value.text else "integer", value.text))
        case StringValue():
            return ConcreteValue("string", value.text)
        case BooleanValue():
            return ConcreteValue("boolean", "true" if value.truth else "false")


def plain(value: ConcreteValue) -> ConcreteValue:
    """Return a number in the one way that equal numbers share: no +, no zeros at the end."""
    if value.kind not in {"integer", "decimal"}:
        return value
    text = value.text.removeprefix("+")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if text == "-0":
        text = "0"
    return ConcreteValue("decimal" if "." in text else "integer", text)


def _expression(form: NormalForm, index: ReleaseIndex) -> Expression:
    def attributes(pairs: Iterable[Pair]) -> tuple[Attribute, ...]:
        return tuple(
            Attribute(ConceptReference(index.code(kind)), _written(value, index))
            for kind, value in pairs
        )

    return Expression(
        tuple(ConceptReference(index.code(one)) for one in form.focus),
        attributes(form.ungrouped),
        tuple(AttributeGroup(attributes(group)) for group in form.groups),
        DefinitionStatus.SUBTYPE_OF if form.unequalled else None,
    )


def _written(value: Value, index: ReleaseIndex) -> AttributeValue:
    match value:
        case int():
            return ConceptReference(index.code(value))
        case NormalForm():
            return _expression(value, index)
        case ConcreteValue(kind="string"):
            return StringValue(value.text)
        case ConcreteValue(kind="boolean"):
            return BooleanValue(value.text == "true")
        case _:
            return NumericValue(value.text)
