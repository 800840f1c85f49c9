"""What subsumes what: expressions and codes alike, by their normal forms.

Nothing here is strict: a meaning subsumes itself.
"""

from __future__ import annotations

from typing import Literal

from pyroaring import BitMap

from terminology.expressions.logic import Logic, logic
from terminology.expressions.normal import NormalForm, Value
from terminology.expressions.parsing import read
from terminology.expressions.syntax import Expression
from terminology.release.index import ReleaseIndex

Outcome = Literal["equivalent", "subsumes", "subsumed-by", "not-subsumed"]


def normalise(expression: Expression | str, index: ReleaseIndex) -> NormalForm:
    """Return the normal form of an expression, or of a concept given by its code.

    Two expressions of one meaning may still have different forms where a value is once a concept
    and once the nested expression that defines it; `compare` sees through that.

    Raises
    ------
    ExpressionError
        The text does not parse, or names a concept that the release does not hold.
    """
    return logic(index).form(read(expression))


def subsumes(a: Expression | str, b: Expression | str, index: ReleaseIndex) -> bool:
    """Return whether `a` subsumes, or means the same as, `b`; each an expression or a code.

    Raises
    ------
    ExpressionError
        A text does not parse, or names a concept that the release does not hold.
    """
    reasoner = logic(index)
    return reasoner.subsumes(_value(a, reasoner, index), _value(b, reasoner, index))


def compare(a: Expression | str, b: Expression | str, index: ReleaseIndex) -> Outcome:
    """Return the outcome of FHIR's `$subsumes` for two expressions or codes.

    One of "equivalent", "subsumes" (A is above B), "subsumed-by", "not-subsumed".

    Raises
    ------
    ExpressionError
        A text does not parse, or names a concept that the release does not hold.
    """
    reasoner = logic(index)
    first, second = _value(a, reasoner, index), _value(b, reasoner, index)
    above, below = reasoner.subsumes(first, second), reasoner.subsumes(second, first)
    if above and below:
        return "equivalent"
    if above:
        return "subsumes"
    return "subsumed-by" if below else "not-subsumed"


def supertypes(expression: Expression | str, index: ReleaseIndex) -> BitMap:
    """Return all concepts that subsume `expression`, one that means the same included.

    For a concept by its code these are its ancestors and itself.

    Raises
    ------
    ExpressionError
        The text does not parse, or names a concept that the release does not hold.
    """
    return supertypes_of(normalise(expression, index), index)


def parents(expression: Expression | str, index: ReleaseIndex) -> BitMap:
    """Return the most specific concepts that subsume `expression` and do not mean the same.

    Raises
    ------
    ExpressionError
        The text does not parse, or names a concept that the release does not hold.
    """
    form, reasoner = normalise(expression, index), logic(index)
    found = supertypes_of(form, index)
    same = [one for one in index.most_specific(found) if reasoner.subsumes(form, one)]
    return index.most_specific(found - BitMap(same))


def equivalent_concept(expression: Expression | str, index: ReleaseIndex) -> int | None:
    """Return the concept that means the same as `expression`, or `None`.

    There is one only where the release defines it sufficiently: a primitive concept means more
    than its attributes say.

    Raises
    ------
    ExpressionError
        The text does not parse, or names a concept that the release does not hold.
    """
    return equal_concept(normalise(expression, index), index)


def supertypes_of(form: NormalForm, index: ReleaseIndex) -> BitMap:
    """Return all concepts that subsume a normal form, one that means the same included."""
    return BitMap(logic(index).supertypes(form))


def equal_concept(form: NormalForm, index: ReleaseIndex) -> int | None:
    """Return the concept that means the same as a normal form, or `None`."""
    reasoner = logic(index)
    for concept in index.most_specific(supertypes_of(form, index)):
        if reasoner.subsumes(form, concept):
            return concept
    return None


def _value(thing: Expression | str, reasoner: Logic, index: ReleaseIndex) -> Value:
    """Return an ordinal for a concept: the release's own hierarchy then decides."""
    expression = read(thing)
    form = reasoner.form(expression)
    return index.find(expression.focus[0].code) if expression.is_concept else form
