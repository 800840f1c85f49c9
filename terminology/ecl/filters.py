"""Description and concept filters: rows of columns that meet every condition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from terminology.ecl.context import Codes, Context, one_of
from terminology.ecl.matching import Predicate, matcher
from terminology.ecl.scanning import wild_flags
from terminology.ecl.syntax import (
    Acceptability,
    AcceptabilityToken,
    ActiveCondition,
    Comparator,
    ConceptCondition,
    ConceptFilter,
    Constraint,
    DescriptionCondition,
    DescriptionFilter,
    DescriptionIdCondition,
    DialectAlias,
    DialectCondition,
    DialectIdCondition,
    EffectiveTimeCondition,
    LanguageCondition,
    ModuleCondition,
    SearchTerm,
    StatusCondition,
    StatusIdCondition,
    StatusToken,
    TermCondition,
    TimeComparison,
    TypeCondition,
    TypeIdCondition,
    TypeToken,
    WordSearch,
)
from terminology.release.descriptions import ACCEPTABLE_MARK, PREFERRED_MARK, DescriptionTable
from terminology.release.dialects import ALIASES
from terminology.release.ordinals import as_array, bitmap_of, places_in
from terminology.release.values import (
    ACCEPTABLE,
    DEFINED,
    DEFINITION,
    FSN,
    PREFERRED,
    PRIMITIVE,
    SYNONYM,
)

Flags = NDArray[np.bool_]
Rows = NDArray[np.integer]

_TYPES: Final[Mapping[TypeToken, str]] = {
    TypeToken.SYNONYM: SYNONYM,
    TypeToken.FULLY_SPECIFIED_NAME: FSN,
    TypeToken.DEFINITION: DEFINITION,
}
_STATUSES: Final[Mapping[StatusToken, str]] = {
    StatusToken.PRIMITIVE: PRIMITIVE,
    StatusToken.DEFINED: DEFINED,
}
_MARKS: Final[Mapping[str, int]] = {
    PREFERRED: PREFERRED_MARK,
    ACCEPTABLE: ACCEPTABLE_MARK,
    AcceptabilityToken.PREFERRED: PREFERRED_MARK,
    AcceptabilityToken.ACCEPTABLE: ACCEPTABLE_MARK,
}
# So few rows are read one by one; of more, the bytes are searched.
_FEW: Final = 5_000


def agreeing(flags: Flags, equal: bool) -> Flags:
    """Return the flags for =, and their opposite for !=."""
    return flags if equal else ~flags


def times_that(comparison: TimeComparison, times: NDArray[np.integer]) -> Flags:
    """Return which dates compare so with one of those asked for; with != with none of them.

    ECL 2.2 section 6.9: what has no date yet, 0, is neither before nor after any date.
    """
    wanted = comparison.times
    found: Flags = np.isin(times, wanted)
    dated = [time for time in wanted if time]
    match comparison.comparator:
        case Comparator.EQUAL:
            return found
        case Comparator.NOT_EQUAL:
            return ~found
        case Comparator.LESS_OR_EQUAL if dated:
            found |= (times < max(dated)) & (times != 0)
        case Comparator.GREATER_OR_EQUAL if dated:
            found |= times > min(dated)
        case Comparator.LESS if dated:
            found = (times < max(dated)) & (times != 0)
        case Comparator.GREATER if dated:
            found = times > min(dated)
        case Comparator.LESS | Comparator.GREATER:
            found = np.zeros(len(times), dtype=np.bool_)
    return found


def concepts_that(one: ConceptFilter, focus: BitMap, context: Context) -> BitMap:
    """Return the concepts of `focus` that meet every condition of a concept filter."""
    ordinals = as_array(focus)
    for condition in one.conditions:
        ordinals = ordinals[_concept_flags(condition, ordinals, context)]
    return bitmap_of(ordinals)


def admits_inactive(one: DescriptionFilter | ConceptFilter) -> bool:
    """Whether a filter asks for inactive concepts by name."""
    return isinstance(one, ConceptFilter) and any(
        isinstance(condition, ActiveCondition)
        and condition.comparison.equal != condition.comparison.value
        for condition in one.conditions
    )


def _concept_flags(condition: ConceptCondition, ordinals: Rows, context: Context) -> Flags:
    index = context.index
    match condition:
        case ActiveCondition(comparison):
            active = np.isin(ordinals, as_array(index.active))
            return agreeing(active, comparison.value == comparison.equal)
        case EffectiveTimeCondition(comparison):
            return times_that(comparison, index.effective_times[ordinals])
        case ModuleCondition(equal, value):
            return agreeing(one_of(index.modules[ordinals], context.codes(value)), equal)
        case StatusCondition(equal, statuses):
            wanted: Codes = np.array([int(_STATUSES[status]) for status in statuses])
        case StatusIdCondition(equal, value):
            wanted = context.codes(value)
    statuses_of = np.where(index.defined[ordinals], int(DEFINED), int(PRIMITIVE))
    return agreeing(one_of(statuses_of, wanted), equal)


def described_by(one: DescriptionFilter, focus: BitMap, context: Context) -> BitMap:
    """Return the concepts of `focus` that have a description which meets every condition.

    Only active descriptions are looked at, unless a condition is about that (section 6.8).
    """
    table = context.index.descriptions_table
    rows = _rows_of(focus, table, len(context.index))
    if not any(isinstance(condition, ActiveCondition) for condition in one.conditions):
        rows = rows[table.active[rows]]
    # Reading terms takes longest, and comes last.
    for condition in sorted(one.conditions, key=lambda part: isinstance(part, TermCondition)):
        rows = rows[_description_flags(condition, rows, table, context)]
    return bitmap_of(table.concept[rows])


def _rows_of(focus: BitMap, table: DescriptionTable, count: int) -> NDArray[np.int64]:
    ordinals = as_array(focus)
    if len(ordinals) == count:
        return np.arange(len(table))
    first = table.starts[ordinals]
    return places_in(first, table.starts[ordinals + 1] - first)


def _description_flags(
    condition: DescriptionCondition, rows: Rows, table: DescriptionTable, context: Context
) -> Flags:
    match condition:
        case ActiveCondition(comparison):
            return agreeing(table.active[rows], comparison.value == comparison.equal)
        case EffectiveTimeCondition(comparison):
            return times_that(comparison, table.effective_time[rows])
        case ModuleCondition(equal, value):
            return agreeing(_coded("module", context.codes(value), rows, table), equal)
        case TypeCondition(equal, types):
            codes = np.array([int(_TYPES[kind]) for kind in types])
            return agreeing(_coded("type", codes, rows, table), equal)
        case TypeIdCondition(equal, value):
            return agreeing(_coded("type", context.codes(value), rows, table), equal)
        case LanguageCondition(equal, languages):
            fitting = np.array(
                [one.lower() in languages for one in table.languages], dtype=np.bool_
            )
            return agreeing(fitting[table.language[rows]], equal)
        case DescriptionIdCondition(equal, ids):
            return agreeing(np.isin(table.id[rows], [int(one) for one in ids]), equal)
        case DialectCondition(equal, dialects, acceptability):
            pairs = [
                (_refset_of(one, context), one.acceptability or acceptability) for one in dialects
            ]
            return agreeing(_accepted(pairs, rows, table, context), equal)
        case DialectIdCondition(equal, chosen, acceptability):
            pairs = _referred(chosen, acceptability, context)
            return agreeing(_accepted(pairs, rows, table, context), equal)
        case TermCondition(comparison):
            matching = _terms_that_match(comparison.terms, rows, table, context)
            return agreeing(matching, comparison.equal)


def _coded(column: str, codes: Codes, rows: Rows, table: DescriptionTable) -> Flags:
    positions, known = table.coded(column)
    return one_of(known, codes)[positions[rows]]


# Dialects


def _refset_of(dialect: DialectAlias, context: Context) -> str:
    index = context.index
    code = ALIASES.get(dialect.alias) or index.dialects.get(dialect.alias)
    if code is None:
        raise context.error(
            dialect.position,
            f"unknown dialect '{dialect.alias}'",
            f"one of {', '.join(sorted(index.dialects))}",
            "Name the language reference set with dialectId.",
        )
    if code not in index.descriptions_table.language_refsets and index.find(code) < 0:
        raise context.error(
            dialect.position,
            f"the dialect '{dialect.alias}' is reference set {code}, which the release lacks",
            f"one of {', '.join(sorted(index.dialects))}",
        )
    return code


def _referred(
    chosen: Constraint | tuple[Any, ...], acceptability: Acceptability, context: Context
) -> list[tuple[str, Acceptability]]:
    index = context.index
    if not isinstance(chosen, tuple):
        return [(code, acceptability) for code in index.codes(context.evaluate(chosen))]
    return [
        (code, one.acceptability or acceptability)
        for one in chosen
        for code in index.codes(context.evaluate(one.concept))
    ]


def _accepted(
    pairs: list[tuple[str, Acceptability]],
    rows: Rows,
    table: DescriptionTable,
    context: Context,
) -> Flags:
    """Return which rows are in one of the language reference sets with that acceptability."""
    found = np.zeros(len(rows), dtype=np.bool_)
    for code, acceptability in pairs:
        wanted = _wanted_marks(acceptability, context)
        if code in table.language_refsets:
            found |= np.isin(table.acceptability(code)[rows], wanted)
    return found


def _wanted_marks(acceptability: Acceptability, context: Context) -> list[int]:
    wanted = []
    for one in acceptability:
        if isinstance(one, AcceptabilityToken):
            wanted.append(_MARKS[one])
            continue
        context.evaluate(one)
        if one.code not in _MARKS:
            raise context.error(
                one.position,
                f"'{one.code}' is no acceptability",
                f"{PREFERRED} |Preferred| or {ACCEPTABLE} |Acceptable|",
            )
        wanted.append(_MARKS[one.code])
    return wanted or [PREFERRED_MARK, ACCEPTABLE_MARK]


# Terms


def _terms_that_match(
    terms: tuple[SearchTerm, ...], rows: Rows, table: DescriptionTable, context: Context
) -> Flags:
    found = np.zeros(len(rows), dtype=np.bool_)
    for term in terms:
        missing = np.flatnonzero(~found)
        found[missing] = _matching(term, rows[missing], table, context)
    return found


def _matching(term: SearchTerm, rows: Rows, table: DescriptionTable, context: Context) -> Flags:
    found = np.zeros(len(rows), dtype=np.bool_)
    if not len(rows):
        return found
    if isinstance(term, WordSearch):
        words = [word for word in term.words if any(map(str.isalnum, word))]
        candidates = np.arange(len(rows))
        if words:
            candidates = np.flatnonzero(np.isin(rows, context.index.search.rows_matching(words)))
        if all(word.isascii() and word.isalnum() for word in term.words):
            found[candidates] = True
            return found
    else:
        if len(rows) > _FEW and term.pattern.isascii():
            return wild_flags(term, rows, table)
        candidates = np.arange(len(rows))
    tests: dict[int, Predicate] = {}
    for place in candidates.tolist():
        row = int(rows[place])
        language = int(table.language[row])
        if language not in tests:
            tests[language] = matcher((term,), table.languages[language])
        found[place] = tests[language](table.term(row))
    return found
