"""An expression as expression constraints ask for it: `terminology.ecl.candidate.Candidate`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from pyroaring import BitMap

from terminology.ecl.candidate import Candidate, CandidateAttribute
from terminology.expressions.normal import NormalForm, Pair
from terminology.expressions.subsumption import equal_concept, normalise, supertypes_of
from terminology.expressions.syntax import Expression
from terminology.release.index import ReleaseIndex


def candidate(expression: Expression | str, index: ReleaseIndex) -> Candidate:
    """Return `expression` as something that `terminology.ecl.satisfies` can be asked about.

    Raises
    ------
    ExpressionError
        The text does not parse, or names a concept that the release does not hold.
    """
    return ExpressionCandidate(normalise(expression, index), index)


class ExpressionCandidate:
    """A normal form; what is asked for is computed once."""

    def __init__(self, form: NormalForm, index: ReleaseIndex) -> None:
        self._form = form
        self._index = index

    @cached_property
    def equivalent(self) -> int | None:
        """The concept that means the same, where the release defines one."""
        return equal_concept(self._form, self._index)

    def supertypes(self) -> BitMap:
        """Return the concepts that subsume the expression, `equivalent` among them."""
        return BitMap(self._supertypes)

    def ungrouped(self) -> tuple[CandidateAttribute, ...]:
        """Return the attributes that are never in a group."""
        return self._attributes(self._form.ungrouped)

    def groups(self) -> tuple[tuple[CandidateAttribute, ...], ...]:
        """Return the attributes of each group, in no order that means anything."""
        return tuple(self._attributes(group) for group in self._form.groups)

    @cached_property
    def _supertypes(self) -> BitMap:
        return supertypes_of(self._form, self._index)

    def _attributes(self, pairs: Iterable[Pair]) -> tuple[CandidateAttribute, ...]:
        return tuple(
            (
                kind,
                ExpressionCandidate(value, self._index) if isinstance(value, NormalForm) else value,
            )
            for kind, value in pairs
        )
