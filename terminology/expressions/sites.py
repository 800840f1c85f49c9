"""Sides of body sites: a site and its side put together, and taken apart again."""

from __future__ import annotations

from itertools import chain

from pyroaring import BitMap

from terminology.concept import Laterality
from terminology.expressions.errors import ExpressionError
from terminology.expressions.logic import logic
from terminology.expressions.model import concept_model
from terminology.expressions.normal import NormalForm
from terminology.expressions.parsing import read
from terminology.expressions.rendering import canonical
from terminology.expressions.subsumption import equal_concept, equivalent_concept, normalise
from terminology.expressions.syntax import (
    Attribute,
    AttributeGroup,
    ConceptReference,
    DefinitionStatus,
    Expression,
)
from terminology.expressions.validation import validate
from terminology.release.index import ReleaseIndex
from terminology.release.sides import SIDES_BY_CODE
from terminology.release.values import LATERALITY


def sided(code: str, laterality: Laterality, index: ReleaseIndex) -> str:
    """Return the code of a site on a side, or else the expression for it.

    The code where the release defines a concept that means just that; otherwise the canonical
    expression ``code:272741003=side``. A site that has the side already is returned as it is.

    Raises
    ------
    ExpressionError
        The site has no side, by the concept model, or has the other one.
    UnknownConceptError
        `code` is not in the release.
    """
    index.ordinal(code)
    expression = _on_side(code, laterality)
    text = canonical(expression)
    for finding in validate(expression, index):
        if finding.severity == "error" or finding.rule == "lateralizable":
            raise ExpressionError(
                text,
                None,
                finding.text,
                "a site of which there is one on each side",
                "Take the site without a side.",
            )
    concept = equivalent_concept(expression, index)
    return text if concept is None else index.code(concept)


def split(site: Expression | str, index: ReleaseIndex) -> tuple[str, Laterality | None]:
    """Return a site without its side, and the side; the side is `None` when it has none.

    Parameters
    ----------
    site
        A code or an expression.
    index
        The release that knows its concepts.

    Returns
    -------
    tuple of str and Laterality or None
        The site as a code, or as a canonical expression where it is refined by more than its side.
        Where the release has no single concept for a site without its side, the site still
        carries it.

    Raises
    ------
    ExpressionError
        The text does not parse, or names a concept that the release does not hold.
    """
    expression = read(site)
    form = normalise(expression, index)
    side = _side(form, index)
    concept = (
        index.find(expression.focus[0].code)
        if expression.is_concept
        else equal_concept(form, index)
    )
    text = canonical(expression) if concept is None else index.code(concept)
    if side is None:
        return text, None
    if concept is not None:
        unsided = _unsided(concept, side, index)
        return (text if unsided is None else index.code(unsided)), side
    plain = Expression(
        expression.focus,
        _without_laterality(expression.ungrouped),
        tuple(
            AttributeGroup(kept)
            for group in expression.groups
            if (kept := _without_laterality(group.attributes))
        ),
        expression.status if expression.status is DefinitionStatus.SUBTYPE_OF else None,
    )
    return (text if _side(normalise(plain, index), index) else canonical(plain)), side


def _side(form: NormalForm, index: ReleaseIndex) -> Laterality | None:
    """Return the side that a meaning has; `None` for none, any, or two that contradict.

    By SNOMED CT's concept model 272741003 |Laterality| stands in no group; in a release whose model
    groups it, it is looked for there as well.
    """
    kind = concept_model(index).laterality
    values = BitMap(
        value
        for one, value in chain(form.ungrouped, *form.groups)
        if one == kind and isinstance(value, int)
    )
    found = index.most_specific(values)
    return SIDES_BY_CODE.get(index.code(found[0])) if len(found) == 1 else None


def _unsided(concept: int, side: Laterality, index: ReleaseIndex) -> int | None:
    """Return the concept that `concept` is the sided form of, when the release has just one."""
    reasoner = logic(index)
    above = index.ancestors(concept)
    unsided = BitMap(one for one in above if _side(reasoner.concept_form(one), index) is None)
    whole = [
        one
        for one in unsided
        if equivalent_concept(_on_side(index.code(one), side), index) == concept
    ]
    nearest = whole or list(index.most_specific(unsided))
    return nearest[0] if len(nearest) == 1 else None


def _on_side(code: str, laterality: Laterality) -> Expression:
    side = Attribute(ConceptReference(LATERALITY), ConceptReference(laterality.coding.code))
    return Expression((ConceptReference(code),), (side,))


def _without_laterality(attributes: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    return tuple(one for one in attributes if one.name.code != LATERALITY)
