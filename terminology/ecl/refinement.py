"""Refinements: which concepts of a focus have the attributes that are asked for.

Rows of the attribute columns are chosen by type and value; what remains is counting them, by
concept or by relationship group.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from terminology.ecl.context import Context
from terminology.ecl.matching import matcher
from terminology.ecl.syntax import (
    AllOf,
    AnyOf,
    Attribute,
    AttributeComparison,
    BooleanComparison,
    Cardinality,
    Comparator,
    ConceptComparison,
    Group,
    NumericComparison,
    Refinement,
    TextComparison,
    Wildcard,
)
from terminology.ecl.tables import AttributeTables, tables_of
from terminology.release.ordinals import bitmap_of_flags, flags_of
from terminology.release.values import ConcreteValue

Flags = NDArray[np.bool_]
Rows = NDArray[np.integer]
# ECL 2.2 section 6.3, default cardinalities: of an attribute and of a group alike.
ONE_OR_MORE: Final = Cardinality(1, None)
COMPARE: Final[dict[Comparator, Callable[[Any, Any], bool]]] = {
    Comparator.EQUAL: operator.eq,
    Comparator.NOT_EQUAL: operator.ne,
    Comparator.LESS: operator.lt,
    Comparator.LESS_OR_EQUAL: operator.le,
    Comparator.GREATER: operator.gt,
    Comparator.GREATER_OR_EQUAL: operator.ge,
}


def refine(refinement: Refinement, focus: BitMap, context: Context) -> BitMap:
    """Return the concepts of `focus` that satisfy a refinement."""
    match refinement:
        case AllOf(parts):
            for part in parts:
                focus = refine(part, focus, context)
            return focus
        case AnyOf(parts):
            return BitMap.union(*(refine(part, focus, context) for part in parts))
        case Group():
            return _Groups(refinement, focus, context).satisfied()
        case Attribute():
            return _attribute(refinement, focus, context)


def values(source: BitMap, name: BitMap | None, context: Context) -> BitMap:
    """Return the values of attributes (`None`: of any) of the concepts in `source`."""
    tables = tables_of(context.index)
    rows = tables.relation_rows(name)
    flags = np.zeros(tables.count, dtype=np.bool_)
    chosen = flags_of(source, tables.count)[tables.relations.source[rows]]
    flags[tables.relations.destination[rows][chosen]] = True
    return bitmap_of_flags(flags)


def fits(comparison: AttributeComparison) -> Callable[[ConcreteValue], bool]:
    """Return the test of a concrete value; a value of another kind than asked for fails it."""
    match comparison:
        case NumericComparison(comparator, wanted):
            compare = COMPARE[comparator]
            return lambda value: _compares(value.number, wanted, compare)
        case TextComparison(equal, terms):
            # ECL 2.2 section 6.2, note 1: concrete values of type string are case sensitive.
            matches = matcher(terms, case_sensitive=True)
            return lambda value: value.kind == "string" and matches(value.text) == equal
        case BooleanComparison(equal, truth):
            return lambda value: (
                value.kind == "boolean" and ((value.text == "true") == truth) == equal
            )
        case ConceptComparison(equal, wanted_value):
            # Section 6.2, any attribute value: the wildcard stands for concrete values as well.
            any_value = equal and isinstance(wanted_value, Wildcard)
            return lambda value: any_value


def within(counts: NDArray[np.integer], cardinality: Cardinality) -> Flags:
    """Return which counts a cardinality allows."""
    allowed: Flags = counts >= cardinality.minimum
    if cardinality.maximum is not None:
        allowed &= counts <= cardinality.maximum
    return allowed


def _compares(number: Decimal | None, wanted: Decimal, compare: Callable[[Any, Any], bool]) -> bool:
    return number is not None and compare(number, wanted)


@dataclass(frozen=True, slots=True)
class _Matches:
    """Rows that match an attribute: of the relations, and of the concrete values."""

    relations: Rows
    concretes: Rows


def _matches(attribute: Attribute, context: Context) -> _Matches:
    tables = tables_of(context.index)
    # Both are evaluated before anything is decided: an unknown concept is an error in any case.
    names = _names(attribute, context)
    comparison = attribute.comparison
    if not isinstance(comparison, ConceptComparison):
        if attribute.reverse:
            raise context.error(
                attribute.position,
                "a reversed attribute is compared with a concrete value",
                "concepts: the sources of the attribute",
            )
        empty = np.zeros(0, dtype=np.int64)
        return _Matches(empty, tables.concrete_rows(names, fits(comparison)))
    rows = tables.relation_rows(names)
    relations = tables.relations
    if isinstance(comparison.value, Wildcard):
        chosen = np.full(len(relations.source[rows]), comparison.equal)
    else:
        ends = relations.source if attribute.reverse else relations.destination
        wanted = flags_of(context.evaluate(comparison.value), tables.count)
        chosen = wanted[ends[rows]] == comparison.equal
    found = np.flatnonzero(chosen) if isinstance(rows, slice) else rows[chosen]
    if attribute.reverse or not (comparison.equal and isinstance(comparison.value, Wildcard)):
        return _Matches(found, np.zeros(0, dtype=np.int64))
    return _Matches(found, tables.concrete_rows(names))


def _names(attribute: Attribute, context: Context) -> BitMap | None:
    if isinstance(attribute.name, Wildcard):
        return None
    return context.evaluate(attribute.name)


def _attribute(attribute: Attribute, focus: BitMap, context: Context) -> BitMap:
    found = _matches(attribute, context)
    cardinality = attribute.cardinality or ONE_OR_MORE
    tables = tables_of(context.index)
    if attribute.reverse:
        subjects = _reversed_subjects(found.relations, tables, cardinality)
    else:
        subjects = np.concatenate(
            (
                tables.relations.source[found.relations],
                tables.concretes.source[found.concretes],
            )
        )
    return _counted(subjects, cardinality, focus, tables.count)


def _reversed_subjects(
    rows: Rows, tables: AttributeTables, cardinality: Cardinality
) -> NDArray[np.uint32]:
    """Return the destinations, each once a source: ECL 2.2 section 6.3, reverse cardinalities."""
    destinations = tables.relations.destination[rows]
    if cardinality == ONE_OR_MORE:
        return destinations
    pairs = destinations.astype(np.int64) << 32 | tables.relations.source[rows]
    return (np.unique(pairs) >> 32).astype(np.uint32)


def _counted(
    subjects: NDArray[np.uint32], cardinality: Cardinality, focus: BitMap, count: int
) -> BitMap:
    """Return the concepts of `focus` that occur among `subjects` as often as is allowed."""
    if cardinality == ONE_OR_MORE:
        flags = np.zeros(count, dtype=np.bool_)
        flags[subjects] = True
    else:
        flags = within(np.bincount(subjects, minlength=count), cardinality)
    return focus & bitmap_of_flags(flags)


class _Groups:
    """The groups over which one `{ … }` is decided.

    As a rule they are the relationship groups of the focus concepts. Where every attribute is
    reversed, they are the groups of the concepts that refer to the focus. Where only some are, an
    attribute of the group must refer to its own concept (ECL 2.2 section 6.2, note 3).
    """

    def __init__(self, group: Group, focus: BitMap, context: Context) -> None:
        self._group = group
        self._focus = focus
        self._context = context
        self._tables = tables_of(context.index)
        groups, relations = self._tables.groups, self._tables.relations
        self._inverted = all(one.reverse for one in _attributes(group.attributes))
        if self._inverted:
            near = flags_of(focus, self._tables.count)[relations.destination]
            rows = np.flatnonzero(near & groups.grouped[groups.of_relation])
            pairs = relations.destination[rows].astype(np.int64) << 32 | groups.of_relation[rows]
            keys, places = np.unique(pairs, return_inverse=True)
            self._subject = (keys >> 32).astype(np.uint32)
            self._of_relation: Rows = np.full(len(relations), -1, dtype=np.int64)
            self._of_relation[rows] = places
            self._grouped = np.ones(len(keys), dtype=np.bool_)
        else:
            self._subject, self._grouped = groups.subject, groups.grouped
            self._of_relation = groups.of_relation

    def satisfied(self) -> BitMap:
        """Return the concepts of the focus that have as many such groups as is allowed."""
        chosen = self._holding(self._group.attributes) & self._grouped
        cardinality = self._group.cardinality or ONE_OR_MORE
        return _counted(self._subject[chosen], cardinality, self._focus, self._tables.count)

    def _holding(self, refinement: Refinement) -> Flags:
        """Return the groups that satisfy a part of the braces."""
        match refinement:
            case AllOf(parts):
                return reduce(operator.and_, map(self._holding, parts))
            case AnyOf(parts):
                return reduce(operator.or_, map(self._holding, parts))
            case Attribute():
                return self._having(refinement)
            case Group():
                raise AssertionError("the grammar has no group within a group")

    def _having(self, attribute: Attribute) -> Flags:
        found = _matches(attribute, self._context)
        rows = found.relations
        relations = self._tables.relations
        if attribute.reverse and not self._inverted:
            rows = rows[relations.source[rows] == relations.destination[rows]]
        numbers = self._of_relation[rows]
        if self._inverted:
            numbers = numbers[numbers >= 0]
        elif len(found.concretes):
            of_concrete = self._tables.groups.of_concrete[found.concretes]
            numbers = np.concatenate((numbers, of_concrete))
        cardinality = attribute.cardinality or ONE_OR_MORE
        if cardinality == ONE_OR_MORE:
            flags = np.zeros(len(self._subject), dtype=np.bool_)
            flags[numbers] = True
            return flags
        return within(np.bincount(numbers, minlength=len(self._subject)), cardinality)


def _attributes(refinement: Refinement) -> list[Attribute]:
    match refinement:
        case AllOf(parts) | AnyOf(parts):
            return [one for part in parts for one in _attributes(part)]
        case Attribute():
            return [refinement]
        case Group(attributes):
            return _attributes(attributes)
