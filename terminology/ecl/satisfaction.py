"""Whether a post-coordinated expression satisfies an expression constraint.

An expression is placed in the hierarchy by the concepts that subsume it. It has no descriptions, is
no member of a reference set, and is above nothing; childOf and parentOf are about classified
concepts (ECL 2.2 section 6.1) and never hold for it. Where the release defines a concept that means
the same, that concept is asked about instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from terminology.ecl.candidate import Candidate, CandidateAttribute
from terminology.ecl.evaluation import Evaluator
from terminology.ecl.refinement import ONE_OR_MORE, fits
from terminology.ecl.syntax import (
    AllOf,
    AnyOf,
    Attribute,
    Cardinality,
    ConceptComparison,
    Conjunction,
    Constraint,
    Disjunction,
    Exclusion,
    Group,
    Hierarchy,
    History,
    Operator,
    Refined,
    Refinement,
    Wildcard,
)
from terminology.release.index import ReleaseIndex
from terminology.release.values import ConcreteValue


def satisfies(constraint: str | Constraint, index: ReleaseIndex, candidate: Candidate) -> bool:
    """Return whether an expression satisfies a constraint.

    Raises
    ------
    EclError
        As for `evaluate`.
    """
    evaluator = Evaluator.of(constraint, index)
    tree = evaluator.parsed(constraint)
    # Evaluated in any case, so that a constraint that names unknown concepts is always an error.
    concepts = evaluator.evaluate(tree)
    if candidate.equivalent is not None:
        return candidate.equivalent in concepts
    return _Judge(evaluator).holds(tree, candidate)


class _Judge:
    """Judges expressions by one constraint."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def holds(self, constraint: Constraint, candidate: Candidate) -> bool:
        match constraint:
            case Wildcard():
                return True
            case Hierarchy(operator, operand):
                return self._below(operator, operand, candidate)
            case Conjunction(operands):
                return all(self.holds(one, candidate) for one in operands)
            case Disjunction(operands):
                return any(self.holds(one, candidate) for one in operands)
            case Exclusion(kept, removed):
                return self.holds(kept, candidate) and not self.holds(removed, candidate)
            case Refined(focus, refinement):
                return self.holds(focus, candidate) and self._refined(refinement, candidate)
            case History(operand):
                return self.holds(operand, candidate)
            case _:
                # A concept, members, values of attributes, concepts with descriptions.
                return False

    def _below(self, operator: Operator, operand: Constraint, candidate: Candidate) -> bool:
        match operator:
            case Operator.DESCENDANT_OF:
                return self._is_below(operand, candidate)
            case Operator.DESCENDANT_OR_SELF_OF:
                return self._is_below(operand, candidate) or self.holds(operand, candidate)
            case Operator.TOP:
                return self.holds(operand, candidate) and not self._is_below(operand, candidate)
            case (
                Operator.CHILD_OR_SELF_OF
                | Operator.ANCESTOR_OR_SELF_OF
                | Operator.PARENT_OR_SELF_OF
                | Operator.BOTTOM
            ):
                return self.holds(operand, candidate)
            case _:
                return False

    def _is_below(self, operand: Constraint, candidate: Candidate) -> bool:
        return not candidate.supertypes().isdisjoint(self._evaluator.evaluate(operand))

    # Refinements

    def _refined(self, refinement: Refinement, candidate: Candidate) -> bool:
        match refinement:
            case AllOf(parts):
                return all(self._refined(part, candidate) for part in parts)
            case AnyOf(parts):
                return any(self._refined(part, candidate) for part in parts)
            case Attribute():
                every = [*candidate.ungrouped()]
                for group in candidate.groups():
                    every.extend(group)
                return self._enough(refinement, every)
            case Group(attributes, cardinality):
                count = sum(self._in_group(attributes, group) for group in candidate.groups())
                return _allows(cardinality, count)

    def _in_group(self, refinement: Refinement, group: Sequence[CandidateAttribute]) -> bool:
        match refinement:
            case AllOf(parts):
                return all(self._in_group(part, group) for part in parts)
            case AnyOf(parts):
                return any(self._in_group(part, group) for part in parts)
            case Attribute():
                return self._enough(refinement, group)
            case Group(attributes):
                return self._in_group(attributes, group)

    def _enough(self, attribute: Attribute, among: Sequence[CandidateAttribute]) -> bool:
        if attribute.reverse:
            # No release refers to an expression.
            return _allows(attribute.cardinality, 0)
        any_name = isinstance(attribute.name, Wildcard)
        names = None if any_name else self._evaluator.evaluate(attribute.name)
        count = sum(
            self._fits(attribute, value) for name, value in among if names is None or name in names
        )
        return _allows(attribute.cardinality, count)

    def _fits(self, attribute: Attribute, value: int | Candidate | ConcreteValue) -> bool:
        comparison = attribute.comparison
        if isinstance(value, ConcreteValue):
            return fits(comparison)(value)
        if not isinstance(comparison, ConceptComparison):
            return False
        if isinstance(comparison.value, Wildcard):
            return comparison.equal
        concept = value if isinstance(value, int) else value.equivalent
        if concept is not None:
            return (concept in self._evaluator.evaluate(comparison.value)) == comparison.equal
        assert not isinstance(value, int)  # noqa: S101
        return self.holds(comparison.value, value) == comparison.equal


def _allows(cardinality: Cardinality | None, count: int) -> bool:
    wanted = cardinality or ONE_OR_MORE
    return count >= wanted.minimum and (wanted.maximum is None or count <= wanted.maximum)
