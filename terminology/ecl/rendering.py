"""Syntax tree → text, in the brief syntax; what is rendered parses to the same tree."""

from __future__ import annotations

import re
from typing import Final

from terminology.ecl.syntax import (
    Acceptability,
    AcceptabilityToken,
    ActiveCondition,
    AllOf,
    AlternateIdentifier,
    AnyOf,
    Attribute,
    AttributeComparison,
    BooleanComparison,
    Cardinality,
    ConceptComparison,
    ConceptCondition,
    ConceptFilter,
    ConceptReference,
    ConceptSet,
    Conjunction,
    Constraint,
    DescriptionCondition,
    DescriptionFilter,
    DescriptionIdCondition,
    DialectCondition,
    DialectIdCondition,
    Disjunction,
    Dotted,
    EffectiveTimeCondition,
    Exclusion,
    FieldCondition,
    Filtered,
    Group,
    Hierarchy,
    History,
    LanguageCondition,
    MemberCondition,
    MemberOf,
    ModuleCondition,
    NumericComparison,
    Refined,
    Refinement,
    SearchTerm,
    StatusCondition,
    StatusIdCondition,
    TermCondition,
    TextComparison,
    TimeComparison,
    TypeCondition,
    TypeIdCondition,
    Wildcard,
    WildSearch,
)

_UNQUOTED: Final = re.compile(r"[A-Za-z0-9._\-]+")
_Focus = ConceptReference | Wildcard | AlternateIdentifier
_Condition = DescriptionCondition | ConceptCondition | MemberCondition


def render(constraint: Constraint) -> str:
    """Return the constraint in brief syntax, with one space between parts and no comments.

    ``parse(render(tree)) == tree`` for every tree that `parse` returns.
    """
    match constraint:
        case Conjunction(operands):
            return " AND ".join(map(_sub, operands))
        case Disjunction(operands):
            return " OR ".join(map(_sub, operands))
        case Exclusion(kept, removed):
            return f"{_sub(kept)} MINUS {_sub(removed)}"
        case Refined(focus, refinement):
            return f"{_sub(focus)} : {_refinement(refinement)}"
        case Dotted(source, attributes):
            return " . ".join(map(_sub, (source, *attributes)))
        case _:
            return _sub(constraint)


def _sub(constraint: Constraint) -> str:
    """Render as a sub-expression: what is none is put into brackets."""
    match constraint:
        case History(operand, profile, refsets):
            inner = _sub(operand) if not isinstance(operand, History) else _bracketed(operand)
            if refsets is None:
                return f"{inner} {{{{ + {profile} }}}}"
            return f"{inner} {{{{ + HISTORY ({render(refsets)}) }}}}"
        case Filtered(operand, filters):
            simple = isinstance(operand, _Focus | MemberOf | Hierarchy)
            inner = _sub(operand) if simple else _bracketed(operand)
            return " ".join((inner, *map(_filter, filters)))
        case Hierarchy(operator, operand):
            simple = isinstance(operand, _Focus | MemberOf)
            return f"{operator} {_sub(operand) if simple else _bracketed(operand)}"
        case MemberOf(refsets, fields, filters):
            inner = _sub(refsets) if isinstance(refsets, _Focus) else _bracketed(refsets)
            chosen = f" [{', '.join(fields)}]" if fields else ""
            rows = (f" {{{{ M {_conditions(one)} }}}}" for one in filters)
            return f"^{chosen} {inner}{''.join(rows)}"
        case ConceptReference():
            return _concept(constraint)
        case AlternateIdentifier(scheme, identifier, term):
            shown = f"{scheme}#{identifier}"
            if not _UNQUOTED.fullmatch(identifier):
                shown = f'"{shown}"'
            return shown if term is None else f"{shown} |{term}|"
        case Wildcard():
            return "*"
        case _:
            return _bracketed(constraint)


def _bracketed(constraint: Constraint) -> str:
    return f"({render(constraint)})"


def _concept(concept: ConceptReference) -> str:
    return concept.code if concept.term is None else f"{concept.code} |{concept.term}|"


def _refinement(refinement: Refinement) -> str:
    match refinement:
        case AllOf(parts):
            return ", ".join(map(_part, parts))
        case AnyOf(parts):
            return " OR ".join(map(_part, parts))
        case _:
            return _part(refinement)


def _part(refinement: Refinement) -> str:
    match refinement:
        case Attribute(name, comparison, cardinality, reverse):
            flag = "R " if reverse else ""
            return f"{_cardinality(cardinality)}{flag}{_sub(name)} {_comparison(comparison)}"
        case Group(attributes, cardinality):
            return f"{_cardinality(cardinality)}{{ {_refinement(attributes)} }}"
        case _:
            return f"({_refinement(refinement)})"


def _cardinality(cardinality: Cardinality | None) -> str:
    if cardinality is None:
        return ""
    most = "*" if cardinality.maximum is None else cardinality.maximum
    return f"[{cardinality.minimum}..{most}] "


def _comparison(comparison: AttributeComparison | TimeComparison) -> str:
    match comparison:
        case ConceptComparison(equal, value):
            return f"{_sign(equal)} {_sub(value)}"
        case NumericComparison(comparator, number):
            return f"{comparator} #{number:f}"
        case TextComparison(equal, terms):
            return f"{_sign(equal)} {_search(terms)}"
        case BooleanComparison(equal, truth):
            return f"{_sign(equal)} {'true' if truth else 'false'}"
        case TimeComparison(comparator, times):
            dates = [f'"{time or ""}"' for time in times]
            return f"{comparator} {_set(dates)}"


def _sign(equal: bool) -> str:
    return "=" if equal else "!="


def _set(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({' '.join(parts)})"


def _search(terms: tuple[SearchTerm, ...]) -> str:
    return _set([_search_term(term) for term in terms])


def _search_term(term: SearchTerm) -> str:
    if isinstance(term, WildSearch):
        return f'wild:"{term.pattern}"'
    words = (word.replace("\\", "\\\\").replace('"', '\\"') for word in term.words)
    return f'"{" ".join(words)}"'


def _filter(one: DescriptionFilter | ConceptFilter) -> str:
    mark = "C" if isinstance(one, ConceptFilter) else "D"
    return f"{{{{ {mark} {_conditions(one.conditions)} }}}}"


def _conditions(conditions: tuple[_Condition, ...]) -> str:
    return ", ".join(map(_condition, conditions))


def _condition(condition: _Condition) -> str:
    match condition:
        case TermCondition(comparison):
            return f"term {_comparison(comparison)}"
        case LanguageCondition(equal, codes):
            return f"language {_sign(equal)} {_set(list(codes))}"
        case TypeCondition(equal, types):
            return f"type {_sign(equal)} {_set(list(types))}"
        case TypeIdCondition(equal, value):
            return f"typeId {_sign(equal)} {_concepts(value)}"
        case DialectCondition(equal, dialects, acceptability):
            shown = [one.alias + _acceptability(one.acceptability) for one in dialects]
            bare = len(dialects) == 1 and not dialects[0].acceptability
            listed = shown[0] if bare else f"({' '.join(shown)})"
            return f"dialect {_sign(equal)} {listed}{_acceptability(acceptability)}"
        case DialectIdCondition(equal, chosen, acceptability):
            if isinstance(chosen, tuple):
                each = (_concept(one.concept) + _acceptability(one.acceptability) for one in chosen)
                listed = f"({' '.join(each)})"
            else:
                listed = _sub(chosen)
            return f"dialectId {_sign(equal)} {listed}{_acceptability(acceptability)}"
        case ModuleCondition(equal, value):
            return f"moduleId {_sign(equal)} {_concepts(value)}"
        case EffectiveTimeCondition(comparison):
            return f"effectiveTime {_comparison(comparison)}"
        case ActiveCondition(comparison):
            return f"active {_comparison(comparison)}"
        case DescriptionIdCondition(equal, ids):
            return f"id {_sign(equal)} {_set(list(ids))}"
        case StatusCondition(equal, statuses):
            return f"definitionStatus {_sign(equal)} {_set(list(statuses))}"
        case StatusIdCondition(equal, value):
            return f"definitionStatusId {_sign(equal)} {_concepts(value)}"
        case FieldCondition(name, comparison):
            return f"{name} {_comparison(comparison)}"


def _concepts(value: Constraint | ConceptSet) -> str:
    if isinstance(value, ConceptSet):
        return f"({' '.join(map(_concept, value.concepts))})"
    return _sub(value)


def _acceptability(acceptability: Acceptability) -> str:
    if not acceptability:
        return ""
    shown = (
        one.value if isinstance(one, AcceptabilityToken) else _concept(one) for one in acceptability
    )
    return f" ({' '.join(shown)})"
