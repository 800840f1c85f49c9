"""The filters of `ValueSet.compose.include.filter` over SNOMED CT.

FHIR's page on SNOMED CT defines ``concept is-a``, ``concept descendent-of``, ``concept in``,
``constraint =`` and ``expressions =``, and makes inactive, moduleId, sufficientlyDefined, parent,
child and every attribute a property. The other operators mean what FHIR's list of filter operators
says. Whether an expression belongs to the result is decided by its meaning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
from pyroaring import BitMap, FrozenBitMap

from api.tx.errors import TxError
from api.tx.filters import not_understood
from api.tx.issues import Issue
from api.tx.snomed_expressions import PostCoordinated
from api.tx.snomed_properties import ATTRIBUTE_URI
from api.tx.snomed_selection import (
    ExpressionTest,
    SnomedSelection,
    any_expression,
    is_in_use,
    no_expression,
)
from terminology import ecl
from terminology.errors import EclError

if TYPE_CHECKING:
    from api.tx.snomed import SnomedProvider

_CONCEPT: Final = frozenset({"concept", "code"})
_TRUTH: Final = {"true": True, "false": False}


def selection(provider: SnomedProvider, prop: str, op: str, value: str) -> SnomedSelection:
    """Return the concepts that meet one filter.

    Raises
    ------
    TxError
        SNOMED CT has no such property or operator, the value is no truth value, or an expression
        constraint is wrong (``INVALID_ECL``) or names a concept that the release does not hold.
    """
    name = prop.removeprefix(ATTRIBUTE_URI)
    if name == "constraint" and op == "=":
        return constraint(provider, value)
    if name in _CONCEPT:
        return _by_place(provider, prop, op, value)
    by_flag = _FLAGS.get(name)
    if by_flag is not None and op == "=" and value in _TRUTH:
        return by_flag(provider, _TRUTH[value])
    if name in {"moduleId", "module"} and op in {"=", "in"}:
        modules = [_code(provider, one, prop, op, value) for one in _split(op, value)]
        rows = np.isin(provider.index.modules, [int(one) for one in modules])
        return _open(provider, BitMap(np.flatnonzero(rows).tolist()))
    if name in {"parent", "child"} and op in {"=", "in"}:
        return _by_neighbour(provider, name, prop, op, value)
    if provider.index.find(name) >= 0 and op in {"=", "in", "exists"}:
        return _by_attribute(provider, name, prop, op, value)
    raise not_understood(prop, op, value)


def constraint(provider: SnomedProvider, text: str) -> SnomedSelection:
    """Return what satisfies an expression constraint.

    Raises
    ------
    TxError
        The constraint is wrong, with HL7's message ``INVALID_ECL``.
    """
    index = provider.index
    try:
        members = ecl.evaluate(text, index)
    except EclError as error:
        raise _invalid_ecl(text, error) from error

    def satisfies(one: PostCoordinated) -> bool:
        return ecl.satisfies(text, index, one.candidate)

    return _open(provider, members, satisfies)


def _by_place(provider: SnomedProvider, prop: str, op: str, value: str) -> SnomedSelection:
    """Return the concepts by where they stand to one concept, by reference set or by code.

    FHIR's ``concept in`` takes a reference set; ``code in`` is the operator for lists.
    """
    index = provider.index
    if op in {"in", "not-in"}:
        found = BitMap()
        for one in _split(op, value):
            ordinal = index.find(_code(provider, one, prop, op, value))
            if prop == "code":
                found.add(ordinal)
            elif provider.is_refset(ordinal):
                found |= index.members(ordinal)
            else:
                raise _refused(prop, op, value, f"'{one}' is no reference set")
        return _open(provider, BitMap(index.all) - found if op == "not-in" else found)
    ordinal = index.find(_code(provider, value.strip(), prop, op, value))
    itself = BitMap([ordinal])
    match op:
        case "is-a":
            return _open(provider, index.descendants(ordinal) | itself, _below(ordinal))
        case "descendent-of":
            return _open(
                provider, BitMap(index.descendants(ordinal)), _below(ordinal, strictly=True)
            )
        case "is-not-a":
            inside = _below(ordinal)
            return _open(
                provider,
                BitMap(index.all) - index.descendants(ordinal) - itself,
                lambda one: not inside(one),
            )
        case "descendent-leaf":
            return _open(provider, provider.leaves & index.descendants(ordinal))
        case "generalizes":
            return _open(provider, index.ancestors(ordinal) | itself)
        case "child-of":
            return _open(provider, BitMap(index.children(ordinal)))
        case "=":
            return _open(provider, itself)
        case _:
            raise not_understood(prop, op, value)


def _by_neighbour(
    provider: SnomedProvider, name: str, prop: str, op: str, value: str
) -> SnomedSelection:
    """Return the concepts that have one of the values as their parent, or as their child."""
    index = provider.index
    found = BitMap()
    for one in _split(op, value):
        ordinal = index.find(_code(provider, one, prop, op, value))
        found |= index.children(ordinal) if name == "parent" else index.parents(ordinal)
    return _open(provider, found)


def _by_attribute(
    provider: SnomedProvider, attribute: str, prop: str, op: str, value: str
) -> SnomedSelection:
    """Return the concepts with an attribute, or with one of these values of it."""
    if op == "exists":
        if value not in _TRUTH:
            raise not_understood(prop, op, value)
        having = constraint(provider, f"* : {attribute} = *")
        everything = SnomedSelection(
            provider, BitMap(provider.index.all), any_expression, open_ended=True
        )
        return having if _TRUTH[value] else everything - having
    codes = [_code(provider, one, prop, op, value) for one in _split(op, value)]
    return constraint(provider, f"* : {attribute} = ({' OR '.join(codes)})")


def _inactive(provider: SnomedProvider, wanted: bool) -> SnomedSelection:
    index = provider.index
    if wanted:
        return _open(provider, BitMap(index.all) - index.active, lambda one: one.inactive)
    return _open(provider, index.active, is_in_use)


def _active(provider: SnomedProvider, wanted: bool) -> SnomedSelection:
    return _inactive(provider, not wanted)


def _sufficiently_defined(provider: SnomedProvider, wanted: bool) -> SnomedSelection:
    index = provider.index
    defined = BitMap(np.flatnonzero(index.defined).tolist())
    return _open(provider, defined if wanted else BitMap(index.all) - defined)


def _expressions(provider: SnomedProvider, wanted: bool) -> SnomedSelection:
    """Return everything, with expressions or without."""
    accepts = any_expression if wanted else no_expression
    return SnomedSelection(provider, BitMap(provider.index.all), accepts, open_ended=wanted)


_FLAGS: Final[dict[str, Callable[[SnomedProvider, bool], SnomedSelection]]] = {
    "inactive": _inactive,
    "active": _active,
    "sufficientlyDefined": _sufficiently_defined,
    "expressions": _expressions,
}


def _below(ordinal: int, *, strictly: bool = False) -> ExpressionTest:
    """Return the test whether a concept subsumes an expression; `strictly` without meaning it."""

    def is_below(one: PostCoordinated) -> bool:
        if strictly and one.candidate.equivalent == ordinal:
            return False
        return ordinal in one.candidate.supertypes()

    return is_below


def _open(
    provider: SnomedProvider,
    members: BitMap | FrozenBitMap,
    accepts: ExpressionTest = no_expression,
) -> SnomedSelection:
    return SnomedSelection(provider, BitMap(members), accepts, open_ended=True)


def _split(op: str, value: str) -> list[str]:
    parts = value.split(",") if op != "=" else [value]
    return list(dict.fromkeys(part.strip() for part in parts))


def _code(provider: SnomedProvider, code: str, prop: str, op: str, value: str) -> str:
    """Return `code`, or raise what a filter with an unknown concept is answered with."""
    if provider.index.find(code) < 0:
        raise _refused(prop, op, value, f"'{code}' is no concept of {provider.version}")
    return code


def _refused(prop: str, op: str, value: str, reason: str) -> TxError:
    refusal = not_understood(prop, op, value)
    (told,) = refusal.issues
    return TxError(replace(told, text=f"{told.text}: {reason}"), status=refusal.status)


def _invalid_ecl(text: str, error: EclError) -> TxError:
    place = "" if error.position is None else f" at character {error.position + 1}"
    reason = f"Invalid ECL expression: '{text}': ({error.what}{place}; expected {error.expected})"
    return TxError(Issue("error", "invalid", "vs-invalid", reason, "INVALID_ECL"), status=400)
