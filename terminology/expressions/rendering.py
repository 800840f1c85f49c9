"""`Expression` → text: as written, without terms, with the release's terms, in canonical order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Any, Final, TypeVar

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

# Code → the term to write, or `None` for no term.
Terms = Callable[[str], str | None]
_P = TypeVar("_P")
_TERM: Final = re.compile(
    r"[!-{}~\x80-\ud7ff\ue000-\U0010ffff]+(?: +[!-{}~\x80-\ud7ff\ue000-\U0010ffff]+)*"
)


def render(expression: Expression, terms: bool | Terms = True) -> str:
    """Return `expression` in compositional grammar, without any blank that is not in a term.

    Parameters
    ----------
    expression
        Its parts keep their order; `canonical` puts them in the order that stands for all.
    terms
        `True` for the terms that were written, `False` for none, or a function that gives the
        term of a code. A term that the grammar cannot hold (empty, with | or a control character)
        is left out.
    """
    status = "" if expression.status is None else expression.status.value
    return status + _expression(expression, terms)


def canonical(expression: Expression) -> str:
    """Return the one text for all ways to write `expression`: no terms, sorted, nothing twice.

    The definition status ``===`` is what none means, so it is left out. Two expressions of one
    meaning may still differ; `compare` decides that.
    """
    return render(ordered(expression), terms=False)


def describe(expression: Expression, index: ReleaseIndex, languages: Iterable[str] = ()) -> str:
    """Return the display of an expression: as written, with the preferred term of each concept.

    For a concept alone it is that term, without the code. `languages` are BCP-47 tags in the order
    of preference. A concept that the release does not hold keeps its code only.
    """
    wanted = tuple(languages)

    def term(code: str) -> str | None:
        ordinal = index.find(code)
        return None if ordinal < 0 else index.display(ordinal, wanted)

    if expression.is_concept:
        return term(expression.focus[0].code) or expression.focus[0].code
    return render(expression, term)


def ordered(expression: Expression) -> Expression:
    """Return `expression` in canonical order: each part sorted by code, repetitions removed."""
    status = expression.status
    return Expression(
        _once(expression.focus, key=lambda one: (len(one.code), one.code)),
        _ordered_attributes(expression.ungrouped),
        _once(
            (AttributeGroup(_ordered_attributes(one.attributes)) for one in expression.groups),
            key=lambda group: [_attribute_key(one) for one in group.attributes],
        ),
        None if status is DefinitionStatus.EQUIVALENT_TO else status,
    )


def _once(parts: Iterable[_P], key: Callable[[_P], Any]) -> tuple[_P, ...]:
    """Sort `parts` and keep one of those with the same key, the first."""
    kept: list[tuple[Any, _P]] = []
    for one in sorted(((key(part), part) for part in parts), key=itemgetter(0)):
        if not kept or kept[-1][0] != one[0]:
            kept.append(one)
    return tuple(part for _, part in kept)


def _ordered_attributes(attributes: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    return _once(
        (Attribute(one.name, _ordered_value(one.value)) for one in attributes), key=_attribute_key
    )


def _ordered_value(value: AttributeValue) -> AttributeValue:
    if isinstance(value, Expression):
        # One that says the same concept twice is that concept, as if it stood there alone.
        held = ordered(value)
        return held.focus[0] if held.is_concept else held
    if isinstance(value, NumericValue):
        return NumericValue(_plain_number(value.text), value.position)
    return value


def _plain_number(text: str) -> str:
    digits = text.lstrip("+")
    return digits[1:] if digits.startswith("-") and not digits.strip("-0.") else digits


def _attribute_key(attribute: Attribute) -> tuple[int, str, int, int, str]:
    code, value = attribute.name.code, attribute.value
    text = _value(value, False)
    rank = 0 if isinstance(value, ConceptReference) else 1
    return len(code), code, rank, len(text), text


def _expression(expression: Expression, terms: bool | Terms) -> str:
    focus = "+".join(_concept(one, terms) for one in expression.focus)
    parts = [_attribute(one, terms) for one in expression.ungrouped]
    parts += ["{" + _attributes(one.attributes, terms) + "}" for one in expression.groups]
    return f"{focus}:{','.join(parts)}" if parts else focus


def _attributes(attributes: tuple[Attribute, ...], terms: bool | Terms) -> str:
    return ",".join(_attribute(one, terms) for one in attributes)


def _attribute(attribute: Attribute, terms: bool | Terms) -> str:
    return f"{_concept(attribute.name, terms)}={_value(attribute.value, terms)}"


def _value(value: AttributeValue, terms: bool | Terms) -> str:
    match value:
        case ConceptReference():
            return _concept(value, terms)
        case Expression():
            return f"({_expression(value, terms)})"
        case NumericValue():
            return f"#{value.text}"
        case StringValue():
            escaped = value.text.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
        case BooleanValue():
            return "true" if value.truth else "false"


def _concept(concept: ConceptReference, terms: bool | Terms) -> str:
    term = concept.term if terms is True else terms(concept.code) if terms else None
    return f"{concept.code}|{term}|" if term and _TERM.fullmatch(term) else concept.code
