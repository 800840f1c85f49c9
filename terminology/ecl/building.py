"""What the parser calls for each rule of the grammar: parts in, a syntax tree out.

Here is also refused what the rules of the grammar cannot: check digits, cardinalities the wrong way
round, filters in the wrong order.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

from lark import Token, Transformer, v_args

from terminology.ecl.syntax import (
    Acceptability,
    AcceptabilityToken,
    ActiveCondition,
    AllOf,
    AlternateIdentifier,
    AnyOf,
    Attribute,
    BooleanComparison,
    Cardinality,
    Comparator,
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
    DialectAlias,
    DialectCondition,
    DialectIdCondition,
    DialectReference,
    Disjunction,
    Dotted,
    EffectiveTimeCondition,
    Exclusion,
    FieldCondition,
    Filtered,
    Group,
    Hierarchy,
    History,
    HistoryProfile,
    LanguageCondition,
    MemberCondition,
    MemberOf,
    ModuleCondition,
    NumericComparison,
    Operator,
    Refined,
    Refinement,
    SearchTerm,
    StatusCondition,
    StatusIdCondition,
    StatusToken,
    TermCondition,
    TextComparison,
    TimeComparison,
    TypeCondition,
    TypeIdCondition,
    TypeToken,
    Wildcard,
    WildSearch,
    WordSearch,
)
from terminology.errors import EclError
from terminology.identifiers import sctid_problem, verhoeff_ok

_BLANK: Final = " \t\r\n"
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_NUMBERS: Final = re.compile(r"[0-9]+")
# No release has more attributes than this many digits can count.
_LONGEST_COUNT: Final = 9
_DESCRIPTION_PARTITIONS: Final = frozenset({"01", "11"})
_OPERATORS: Final = {
    "LESS": Operator.DESCENDANT_OF,
    "DESCENDANT_OF": Operator.DESCENDANT_OF,
    "DESCENDANT_OR_SELF_OF": Operator.DESCENDANT_OR_SELF_OF,
    "CHILD_OF": Operator.CHILD_OF,
    "CHILD_OR_SELF_OF": Operator.CHILD_OR_SELF_OF,
    "GREATER": Operator.ANCESTOR_OF,
    "ANCESTOR_OF": Operator.ANCESTOR_OF,
    "ANCESTOR_OR_SELF_OF": Operator.ANCESTOR_OR_SELF_OF,
    "PARENT_OF": Operator.PARENT_OF,
    "PARENT_OR_SELF_OF": Operator.PARENT_OR_SELF_OF,
    "TOP": Operator.TOP,
    "BOTTOM": Operator.BOTTOM,
}
_COMPARATORS: Final = {
    "EQUAL": Comparator.EQUAL,
    "NOT_EQUAL": Comparator.NOT_EQUAL,
    "LESS": Comparator.LESS,
    "LESS_OR_EQUAL": Comparator.LESS_OR_EQUAL,
    "GREATER": Comparator.GREATER,
    "GREATER_OR_EQUAL": Comparator.GREATER_OR_EQUAL,
}
_PROFILES: Final = {
    "min": HistoryProfile.MINIMUM,
    "mod": HistoryProfile.MODERATE,
    "max": HistoryProfile.MAXIMUM,
}


class RefusalError(Exception):
    """What the builder refuses; `of` makes the error that names the expression."""

    def __init__(self, position: int, what: str, expected: str, remedy: str = "") -> None:
        super().__init__(what)
        self.position = position
        self.what = what
        self.expected = expected
        self.remedy = remedy

    def of(self, expression: str) -> EclError:
        """Return the error for the whole expression."""
        return EclError(expression, self.position, self.what, self.expected, self.remedy)


def builder() -> Transformer[Token, Constraint]:
    """Return what the parser calls: one method a rule, each named as in the grammar."""
    return _Builder()


@v_args(inline=True)
class _Builder(Transformer[Token, Constraint]):
    def start(self, constraint: Constraint) -> Constraint:
        return constraint

    def conjunction(self, *operands: Constraint) -> Constraint:
        return Conjunction(operands)

    def disjunction(self, *operands: Constraint) -> Constraint:
        return Disjunction(operands)

    def exclusion(self, kept: Constraint, removed: Constraint) -> Constraint:
        return Exclusion(kept, removed)

    def refined(self, focus: Constraint, colon: Token, refinement: Refinement) -> Constraint:
        return Refined(focus, refinement, _at(colon))

    def dotted(self, source: Constraint, *parts: Token | Constraint) -> Constraint:
        attributes = tuple(part for part in parts if not isinstance(part, Token))
        return Dotted(source, attributes, _at(parts[0]))

    # Sub-expressions

    def sub(
        self,
        operator: tuple[Operator, int] | None,
        member_of: tuple[tuple[str, ...], int] | None,
        focus: Constraint,
        *filters: _Filter,
    ) -> Constraint:
        found = focus
        _check_order(filters, member_of is not None)
        if member_of is not None:
            rows = tuple(one.conditions for one in filters if one.kind == "M")
            found = MemberOf(found, member_of[0], rows, member_of[1])
        if operator is not None:
            found = Hierarchy(operator[0], found, operator[1])
        chosen = [one for one in filters if one.kind in {"C", "D"}]
        if chosen:
            made = tuple(
                ConceptFilter(one.conditions)
                if one.kind == "C"
                else DescriptionFilter(one.conditions)
                for one in chosen
            )
            found = Filtered(found, made, chosen[0].position)
        for one in filters:
            if one.kind == "+":
                profile, refsets = one.conditions
                found = History(found, profile, refsets, one.position)
        return found

    def focus(self, concept: ConceptReference) -> Constraint:
        return concept

    def nested(self, expression: Constraint) -> Constraint:
        return expression

    def wildcard(self, token: Token) -> Constraint:
        return Wildcard(_at(token))

    def concept(self, token: Token, term: Token | None) -> ConceptReference:
        code = str(token)
        if reason := sctid_problem(code):
            raise RefusalError(
                _at(token),
                f"'{code}' {reason},",
                "a SNOMED CT concept identifier",
                "Check for a lost or doubled digit.",
            )
        return ConceptReference(code, _term(term), _at(token))

    def alternate(self, token: Token, term: Token | None) -> Constraint:
        scheme, _, identifier = token.replace('"', "").partition("#")
        quoted = token.type == "ALTERNATE_QUOTED"
        return AlternateIdentifier(scheme, identifier, _term(term), _at(token), quoted)

    def operator(self, token: Token) -> tuple[Operator, int]:
        return _OPERATORS[token.type], _at(token)

    def member_of(
        self, token: Token, fields: tuple[str, ...] | None
    ) -> tuple[tuple[str, ...], int]:
        return fields or (), _at(token)

    def fields(self, *names: Token) -> tuple[str, ...]:
        found = tuple(str(name) for name in names)
        return ("*",) if len(found) == 1 and found[0].lower() == "any" else found

    # Refinements

    def all_of(self, *parts: Refinement) -> Refinement:
        return AllOf(parts)

    def any_of(self, *parts: Refinement) -> Refinement:
        return AnyOf(parts)

    def group(self, cardinality: Token | None, brace: Token, attributes: Refinement) -> Refinement:
        place = brace if cardinality is None else cardinality
        return Group(attributes, _cardinality(cardinality), _at(place))

    def attribute(
        self, cardinality: Token | None, reverse: Token | None, name: Constraint, comparison: Any
    ) -> Refinement:
        place = _place(name)
        return Attribute(name, comparison, _cardinality(cardinality), reverse is not None, place)

    def concepts_equal(self, _equal: Token, value: Constraint) -> ConceptComparison:
        return ConceptComparison(True, value)

    def concepts_differ(self, _differ: Token, value: Constraint) -> ConceptComparison:
        return ConceptComparison(False, value)

    def numeric(self, comparator: Comparator, number: Token) -> NumericComparison:
        return NumericComparison(comparator, Decimal(number[1:]))

    def text_equal(self, _equal: Token, terms: tuple[SearchTerm, ...]) -> TextComparison:
        return TextComparison(True, terms)

    def text_differs(self, _differ: Token, terms: tuple[SearchTerm, ...]) -> TextComparison:
        return TextComparison(False, terms)

    def boolean_equal(self, _equal: Token, value: Token) -> BooleanComparison:
        return BooleanComparison(True, value.lower() == "true")

    def boolean_differs(self, _differ: Token, value: Token) -> BooleanComparison:
        return BooleanComparison(False, value.lower() == "true")

    def comparator(self, token: Token) -> Comparator:
        return _COMPARATORS[token.type]

    time_comparator = comparator
    date_comparator = comparator

    def search_one(self, term: SearchTerm) -> tuple[SearchTerm, ...]:
        return (term,)

    def search_set(self, *terms: SearchTerm) -> tuple[SearchTerm, ...]:
        return terms

    def words(self, *tokens: Token) -> SearchTerm:
        parts = re.split(f"[{_BLANK}]+", tokens[-1][1:-1].strip(_BLANK))
        return WordSearch(tuple(_ESCAPE.sub(r"\1", part) for part in parts))

    def wild(self, *tokens: Token) -> SearchTerm:
        return WildSearch(str(tokens[-1][1:-1]))

    # Filters

    def description_filter(
        self, brace: Token, _mark: Token | None, *conditions: DescriptionCondition
    ) -> _Filter:
        return _Filter("D", conditions, _at(brace))

    def concept_filter(self, brace: Token, _mark: Token, *conditions: ConceptCondition) -> _Filter:
        return _Filter("C", conditions, _at(brace))

    def member_filter(self, brace: Token, _mark: Token, *conditions: MemberCondition) -> _Filter:
        return _Filter("M", conditions, _at(brace))

    def history_profile(self, brace: Token, profile: Token) -> _Filter:
        return _Filter("+", (_PROFILES[profile[-3:].lower()], None), _at(brace))

    def history(self, brace: Token, _word: Token, refsets: Constraint | None) -> _Filter:
        profile = HistoryProfile.ALL if refsets is None else None
        return _Filter("+", (profile, refsets), _at(brace))

    def term_equal(
        self, _key: Token, _equal: Token, terms: tuple[SearchTerm, ...]
    ) -> TermCondition:
        return TermCondition(TextComparison(True, terms))

    def term_differs(
        self, _key: Token, _differ: Token, terms: tuple[SearchTerm, ...]
    ) -> TermCondition:
        return TermCondition(TextComparison(False, terms))

    def language_condition(
        self, _key: Token, sign: Token, codes: tuple[str, ...]
    ) -> LanguageCondition:
        return LanguageCondition(_equal(sign), codes)

    def languages(self, *codes: Token) -> tuple[str, ...]:
        return tuple(code.lower() for code in codes)

    def type_condition(
        self, _key: Token, sign: Token, types: tuple[TypeToken, ...]
    ) -> TypeCondition:
        return TypeCondition(_equal(sign), types)

    def types(self, *types: TypeToken) -> tuple[TypeToken, ...]:
        return types

    def type(self, token: Token) -> TypeToken:
        return TypeToken[token.type]

    def type_id_condition(
        self, _key: Token, sign: Token, value: Constraint | ConceptSet
    ) -> TypeIdCondition:
        return TypeIdCondition(_equal(sign), value)

    def concept_set(self, *concepts: ConceptReference) -> ConceptSet:
        return ConceptSet(concepts)

    def dialect_condition(
        self,
        _key: Token,
        sign: Token,
        dialects: tuple[DialectAlias, ...],
        acceptability: Acceptability | None,
    ) -> DialectCondition:
        return DialectCondition(_equal(sign), dialects, acceptability or ())

    def dialect_one(self, alias: Token) -> tuple[DialectAlias, ...]:
        return (self.dialect(alias, None),)

    def dialect_set(self, *dialects: DialectAlias) -> tuple[DialectAlias, ...]:
        return dialects

    def dialect(self, alias: Token, acceptability: Acceptability | None) -> DialectAlias:
        return DialectAlias(alias.lower(), acceptability or (), _at(alias))

    def dialect_id_condition(
        self,
        _key: Token,
        sign: Token,
        dialects: Constraint | tuple[DialectReference, ...],
        acceptability: Acceptability | None,
    ) -> DialectIdCondition:
        return DialectIdCondition(_equal(sign), dialects, acceptability or ())

    def dialect_ids_sub(self, value: Constraint) -> Constraint:
        return value

    def dialect_ids_one(
        self, concept: ConceptReference, acceptability: Acceptability
    ) -> tuple[DialectReference, ...]:
        return (DialectReference(concept, acceptability),)

    def dialect_ids_set(self, *dialects: DialectReference) -> tuple[DialectReference, ...]:
        return dialects

    def dialect_id(
        self, concept: ConceptReference, acceptability: Acceptability | None
    ) -> DialectReference:
        return DialectReference(concept, acceptability or ())

    def acceptability(self, *parts: Token | ConceptReference) -> Acceptability:
        return tuple(
            AcceptabilityToken[part.type] if isinstance(part, Token) else part for part in parts
        )

    def id_condition(
        self, _key: Token, sign: Token, ids: tuple[str, ...]
    ) -> DescriptionIdCondition:
        return DescriptionIdCondition(_equal(sign), ids)

    def ids(self, *tokens: Token) -> tuple[str, ...]:
        for token in tokens:
            if reason := _description_id_problem(token):
                raise RefusalError(
                    _at(token),
                    f"'{token}' {reason},",
                    "a SNOMED CT description identifier",
                    "Check for a lost or doubled digit.",
                )
        return tuple(str(token) for token in tokens)

    def status_condition(
        self, _key: Token, sign: Token, statuses: tuple[StatusToken, ...]
    ) -> StatusCondition:
        return StatusCondition(_equal(sign), statuses)

    def statuses(self, *tokens: Token) -> tuple[StatusToken, ...]:
        return tuple(StatusToken[token.type] for token in tokens)

    def status_id_condition(
        self, _key: Token, sign: Token, value: Constraint | ConceptSet
    ) -> StatusIdCondition:
        return StatusIdCondition(_equal(sign), value)

    def module_condition(
        self, _key: Token, sign: Token, value: Constraint | ConceptSet
    ) -> ModuleCondition:
        return ModuleCondition(_equal(sign), value)

    def effective_time_one(
        self, _key: Token, comparator: Comparator, time: Token
    ) -> EffectiveTimeCondition:
        return EffectiveTimeCondition(TimeComparison(comparator, (_time(time),)))

    def effective_time_set(
        self, _key: Token, comparator: Comparator, *times: Token
    ) -> EffectiveTimeCondition:
        return EffectiveTimeCondition(TimeComparison(comparator, tuple(map(_time, times))))

    def active_condition(self, _key: Token, sign: Token, value: Token) -> ActiveCondition:
        return ActiveCondition(BooleanComparison(_equal(sign), value.lower() in {"1", "true"}))

    def field_condition(self, name: Token, comparison: Any) -> FieldCondition:
        # In quotes an alternate identifier and a text look alike; a field is compared with a text.
        if isinstance(comparison, ConceptComparison):
            value = comparison.value
            if isinstance(value, AlternateIdentifier) and value.quoted and value.term is None:
                words = WordSearch(tuple(f"{value.scheme}#{value.identifier}".split()))
                comparison = TextComparison(comparison.equal, (words,))
        return FieldCondition(str(name), comparison, _at(name))

    def time_one(self, comparator: Comparator | Token, time: Token) -> TimeComparison:
        if isinstance(comparator, Token):
            comparator = _COMPARATORS[comparator.type]
        return TimeComparison(comparator, (_time(time),))

    def time_set(self, comparator: Comparator, *times: Token) -> TimeComparison:
        return TimeComparison(comparator, tuple(map(_time, times)))


class _Filter:
    """A filter on its way from its rule to the sub-expression it belongs to."""

    __slots__ = ("conditions", "kind", "position")

    def __init__(self, kind: str, conditions: tuple[Any, ...], position: int) -> None:
        self.kind = kind
        self.conditions = conditions
        self.position = position


def _check_order(filters: tuple[_Filter, ...], has_member_of: bool) -> None:
    last = ""
    for one in filters:
        if one.kind == "M" and not has_member_of:
            raise RefusalError(
                one.position,
                "a member filter has no reference set to filter",
                "it to stand behind ^ and the reference set",
                "Write it as ^ refset {{ M … }}.",
            )
        if last == "+" or (one.kind == "M" and last in {"C", "D"}):
            raise RefusalError(
                one.position,
                "this filter is out of order",
                "member filters, then concept and description filters, then one history supplement",
                "Put the part in front of it into brackets.",
            )
        last = one.kind


def _at(token: Any) -> int:
    return token.start_pos or 0


def _place(constraint: Constraint) -> int:
    while isinstance(constraint, (Conjunction, Disjunction, Exclusion)):
        constraint = (
            constraint.kept if isinstance(constraint, Exclusion) else constraint.operands[0]
        )
    return constraint.position


def _term(token: Token | None) -> str | None:
    return None if token is None else token[1:-1].strip(_BLANK)


def _equal(sign: Token) -> bool:
    return sign.type == "EQUAL"


def _time(token: Token) -> int:
    return int(token[1:-1] or 0)


def _cardinality(token: Token | None) -> Cardinality | None:
    if token is None:
        return None
    found = _NUMBERS.findall(token)
    if any(len(number) > _LONGEST_COUNT for number in found):
        raise RefusalError(
            _at(token),
            "a cardinality has a number too large",
            f"numbers of at most {_LONGEST_COUNT} digits, or * for many",
        )
    numbers = [int(number) for number in found]
    least, most = numbers[0], numbers[1] if len(numbers) > 1 else None
    if most is not None and most < least:
        raise RefusalError(
            _at(token),
            f"the cardinality '{token}' has more at least than at most",
            "the smaller number first",
        )
    return Cardinality(least, most)


def _description_id_problem(code: str) -> str | None:
    if not 6 <= len(code) <= 18 or code[0] == "0":
        return "is no SNOMED CT identifier"
    if not verhoeff_ok(code):
        return "fails the SNOMED CT check digit"
    if code[-3:-1] not in _DESCRIPTION_PARTITIONS:
        return f"has partition {code[-3:-1]}, which names no description"
    return None
