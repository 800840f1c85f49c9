"""Expression constraints over a `ReleaseIndex`, as sets of ordinals."""

from __future__ import annotations

from pyroaring import BitMap

from terminology.ecl.context import Context
from terminology.ecl.filters import admits_inactive, concepts_that, described_by
from terminology.ecl.members import chosen_rows, members, with_history
from terminology.ecl.ordinals import apply
from terminology.ecl.parsing import parse
from terminology.ecl.refinement import refine, values
from terminology.ecl.rendering import render
from terminology.ecl.syntax import (
    AlternateIdentifier,
    ConceptFilter,
    ConceptReference,
    Conjunction,
    Constraint,
    Disjunction,
    Dotted,
    Exclusion,
    Filtered,
    Hierarchy,
    History,
    MemberOf,
    Refined,
    Wildcard,
)
from terminology.release.index import ReleaseIndex


def evaluate(constraint: str | Constraint, index: ReleaseIndex) -> BitMap:
    """Return the ordinals of the concepts that a constraint names; the set is the caller's own.

    Inactive concepts are in it where the constraint names them: by code, as members, by a filter,
    by a history supplement. The wildcard `*` is the root 138875005 and what is below it, so that an
    active concept without a way to the root is not in it; where a concept filter asks for what is
    inactive, it is that as well. The cardinality of an attribute counts rows of the release: the
    same attribute with the same value in two groups counts twice, as HL7's tests for terminology
    services demand; a reversed one counts the concepts that refer (ECL 2.2 section 6.3).

    Raises
    ------
    EclError
        The text does not parse, or the release cannot answer: it lacks a concept, a dialect or a
        field that the constraint names. For a text, `position` says where.
    """
    evaluator = Evaluator.of(constraint, index)
    return evaluator.evaluate(evaluator.parsed(constraint))


def select(
    constraint: str | Constraint, index: ReleaseIndex
) -> tuple[tuple[str, ...], list[tuple[str | int, ...]]]:
    """Return the fields that ``^ [a, b] refset`` chooses, and a tuple of values for each member.

    SCTIDs are text, numbers are int; each tuple is there once, and they are sorted. Any other
    constraint gives the one field `referencedComponentId` and the codes of its concepts.

    Raises
    ------
    EclError
        As for `evaluate`, and a chosen field that no reference set has.
    """
    evaluator = Evaluator.of(constraint, index)
    tree = evaluator.parsed(constraint)
    if isinstance(tree, MemberOf) and tree.fields:
        return chosen_rows(tree, evaluator.context)
    found = index.codes(evaluator.evaluate(tree))
    return ("referencedComponentId",), [(code,) for code in found]


class Evaluator:
    """Evaluates the parts of one constraint; `context` is what the other modules are handed."""

    def __init__(self, index: ReleaseIndex, expression: str, *, located: bool) -> None:
        self.context = Context(index, expression, located, self.evaluate)
        self._index = index

    @classmethod
    def of(cls, constraint: str | Constraint, index: ReleaseIndex) -> Evaluator:
        """Return the evaluator of a constraint; the positions of a tree refer to no text."""
        if isinstance(constraint, str):
            return cls(index, constraint, located=True)
        return cls(index, render(constraint), located=False)

    @staticmethod
    def parsed(constraint: str | Constraint) -> Constraint:
        """Return the tree of a constraint."""
        return parse(constraint) if isinstance(constraint, str) else constraint

    def evaluate(self, constraint: Constraint) -> BitMap:
        """Return the concepts that a constraint, or a part of one, names."""
        match constraint:
            case ConceptReference(code, _, position):
                return BitMap([self._ordinal(code, position)])
            case Wildcard():
                return BitMap(self._index.rooted)
            case AlternateIdentifier():
                return BitMap([self._alternate(constraint)])
            case Hierarchy(operator, operand):
                return apply(operator, self.evaluate(operand), self._index)
            case MemberOf():
                return members(constraint, self.context)
            case Filtered():
                return self._filtered(constraint)
            case History(operand):
                return with_history(constraint, self.evaluate(operand), self.context)
            case Conjunction(operands):
                return BitMap.intersection(*map(self.evaluate, operands))
            case Disjunction(operands):
                return self._union(operands)
            case Exclusion(kept, removed):
                return self.evaluate(kept) - self.evaluate(removed)
            case Refined(focus, refinement):
                return refine(refinement, self.evaluate(focus), self.context)
            case Dotted(source, attributes):
                found = self.evaluate(source)
                for name in attributes:
                    kinds = None if isinstance(name, Wildcard) else self.evaluate(name)
                    found = values(found, kinds, self.context)
                return found

    def _union(self, operands: tuple[Constraint, ...]) -> BitMap:
        """Return the union; a long list of codes makes no set for each."""
        found, sets = BitMap(), []
        for operand in operands:
            if isinstance(operand, ConceptReference):
                found.add(self._ordinal(operand.code, operand.position))
            else:
                sets.append(self.evaluate(operand))
        return BitMap.union(found, *sets)

    def _filtered(self, constraint: Filtered) -> BitMap:
        found = self.evaluate(constraint.operand)
        if isinstance(constraint.operand, Wildcard) and any(
            map(admits_inactive, constraint.filters)
        ):
            found |= self._index.all - self._index.active
        for one in constraint.filters:
            if isinstance(one, ConceptFilter):
                found = concepts_that(one, found, self.context)
            else:
                found = described_by(one, found, self.context)
        return found

    def _ordinal(self, code: str, position: int) -> int:
        ordinal = self._index.find(code)
        if ordinal < 0:
            raise self.context.error(
                position,
                f"unknown concept '{code}'",
                f"a concept of {self._index.version}",
                "Look it up with 'bodysite terminology search'; ECL sees this release alone.",
            )
        return ordinal

    def _alternate(self, identifier: AlternateIdentifier) -> int:
        ordinal = self._index.find_alternate(identifier.scheme, identifier.identifier)
        if ordinal is None:
            raise self.context.error(
                identifier.position,
                f"unknown alternate identifier '{identifier.scheme}#{identifier.identifier}'",
                f"an identifier that {self._index.version} gives a concept",
                "Name the concept by its SNOMED CT identifier.",
            )
        return int(ordinal)
