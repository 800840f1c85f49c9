"""Reference sets: members, member filters, chosen fields, history supplements."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from terminology.ecl.context import Codes, Context, one_of
from terminology.ecl.filters import agreeing, times_that
from terminology.ecl.matching import matcher
from terminology.ecl.ordinals import ordinals_of_codes
from terminology.ecl.refinement import COMPARE
from terminology.ecl.syntax import (
    ActiveCondition,
    BooleanComparison,
    Comparator,
    ConceptComparison,
    EffectiveTimeCondition,
    FieldCondition,
    History,
    HistoryProfile,
    MemberCondition,
    MemberOf,
    ModuleCondition,
    NumericComparison,
    TextComparison,
    TimeComparison,
    Wildcard,
)
from terminology.release.ordinals import as_array
from terminology.release.refsets import RefsetTable
from terminology.release.values import (
    HISTORICAL_ASSOCIATION,
    HISTORICAL_ASSOCIATIONS,
    PARTIALLY_EQUIVALENT_TO,
    REPLACED_BY,
    SAME_AS,
    WAS_A,
)
from terminology.rf2.rows import TextColumn

Flags = NDArray[np.bool_]
Rows = NDArray[np.integer]
Column = NDArray[np.int64] | TextColumn

COMPONENT: Final = "referencedComponentId"
_TARGET: Final = "targetComponentId"
_ID: Final = "id"
# ECL 2.2 section 6.11, profiles.
_MINIMUM: Final = (SAME_AS,)
_MODERATE: Final = (SAME_AS, REPLACED_BY, WAS_A, PARTIALLY_EQUIVALENT_TO)
_TRUTHS: Final = frozenset({"1", "true"})


def members(member_of: MemberOf, context: Context) -> BitMap:
    """Return the concepts that `^` gives: referenced components, or the values of one field.

    Raises
    ------
    EclError
        Several fields are chosen, or one that holds no concepts: neither is a set of concepts.
    """
    index = context.index
    refsets = context.evaluate(member_of.refsets)
    fields = member_of.fields or (COMPONENT,)
    if len(fields) > 1 or fields == ("*",):
        raise context.error(
            member_of.position,
            "several fields of a reference set are no set of concepts",
            "one field such as targetComponentId",
            "Ask for the rows of the members instead; only the whole expression may give rows.",
        )
    if fields == (COMPONENT,) and not member_of.filters:
        known = refsets & BitMap(index.refsets)
        return BitMap.union(BitMap(), *(index.members(one) for one in known))
    found = BitMap()
    for table, rows in _rows(member_of, refsets, context):
        if fields[0] not in _fields(table):
            continue
        values = _column(table, fields[0])
        if isinstance(values, TextColumn) or _kind(table, fields[0]) != "c":
            raise context.error(
                member_of.position,
                f"the field '{fields[0]}' of reference set {table.refset} holds no concepts",
                "a field that holds concepts, such as targetComponentId",
                "Ask for the rows of the members instead.",
            )
        found |= ordinals_of_codes(index, values[rows])
    return found


def chosen_rows(
    member_of: MemberOf, context: Context
) -> tuple[tuple[str, ...], list[tuple[str | int, ...]]]:
    """Return the fields that `^ [a, b]` chooses and their values, a tuple a row, each row once.

    SCTIDs are text. Rows are sorted; a field that a reference set does not have is empty there.
    """
    refsets = context.evaluate(member_of.refsets)
    parts = _rows(member_of, refsets, context)
    fields = member_of.fields or (COMPONENT,)
    if fields == ("*",):
        names = [COMPONENT, *(name for table, _ in parts for name in table.fields)]
        fields = tuple(dict.fromkeys(names))
    found: set[tuple[str | int, ...]] = set()
    for table, rows in parts:
        columns = [
            _shown(table, name, rows) if name in _fields(table) else [""] * len(rows)
            for name in fields
        ]
        found.update(zip(*columns, strict=True))
    return fields, sorted(found, key=lambda row: [str(value).rjust(20) for value in row])


def with_history(history: History, found: BitMap, context: Context) -> BitMap:
    """Return `found` and the members of history reference sets whose target is in it."""
    index = context.index
    wanted = index.ids[as_array(found)]
    result = BitMap(found)
    for refset in _history_refsets(history, context):
        table = index.refsets.get(refset)
        if table is None or _TARGET not in table.fields:
            continue
        target = table.field(_TARGET)
        rows = table.active & np.isin(target, wanted)  # type: ignore[arg-type]
        result |= ordinals_of_codes(index, table.component[rows])
    return result


def _history_refsets(history: History, context: Context) -> Iterable[int]:
    index = context.index
    if history.refsets is not None and not isinstance(history.refsets, Wildcard):
        return context.evaluate(history.refsets)
    codes: tuple[str, ...]
    if history.profile is HistoryProfile.MINIMUM:
        codes = _MINIMUM
    elif history.profile is HistoryProfile.MODERATE:
        codes = _MODERATE
    else:
        above = index.find(HISTORICAL_ASSOCIATION)
        if above >= 0:
            return index.descendants(above)
        # A release that lacks the parent has its children all the same.
        codes = HISTORICAL_ASSOCIATIONS
    return [ordinal for ordinal in map(index.find, codes) if ordinal >= 0]


# Rows and fields


def _rows(member_of: MemberOf, refsets: BitMap, context: Context) -> list[tuple[RefsetTable, Rows]]:
    """Return tables and the rows that pass the filters; active ones unless these say otherwise."""
    tables = [table for one, table in context.index.refsets.items() if one in refsets]
    conditions = [condition for one in member_of.filters for condition in one]
    _check_fields(member_of, conditions, tables, context)
    any_state = any(isinstance(condition, ActiveCondition) for condition in conditions)
    tests = [_test(condition, context) for condition in conditions]
    found = []
    for table in tables:
        rows: Rows = np.arange(len(table)) if any_state else np.flatnonzero(table.active)
        for test in tests:
            rows = rows[test(table, rows)]
        found.append((table, rows))
    return found


def _check_fields(
    member_of: MemberOf,
    conditions: list[MemberCondition],
    tables: list[RefsetTable],
    context: Context,
) -> None:
    # Section 6.1, note 1: a field that none of the reference sets has is an error.
    asked = [(name, member_of.position) for name in member_of.fields if name != "*"]
    asked += [
        (condition.field_name, condition.position)
        for condition in conditions
        if isinstance(condition, FieldCondition)
    ]
    known = {name for table in tables for name in _fields(table)}
    for name, position in asked:
        if tables and name not in known:
            raise context.error(
                position,
                f"no such reference set has a field '{name}'",
                f"one of {', '.join(sorted(known))}",
                "Field names are written as the release files have them.",
            )


def _fields(table: RefsetTable) -> tuple[str, ...]:
    return (COMPONENT, _ID, *table.fields)


def _column(table: RefsetTable, name: str) -> Column:
    return table.component if name == COMPONENT else table.field(name)


def _shown(table: RefsetTable, name: str, rows: Rows) -> list[str | int]:
    if name == _ID:
        return [table.id(row) for row in rows.tolist()]
    column = _column(table, name)
    if isinstance(column, TextColumn):
        return [column[row] for row in rows.tolist()]
    numbers: list[int] = column[rows].tolist()
    return [str(one) for one in numbers] if _kind(table, name) == "c" else list(numbers)


_Test = Callable[[RefsetTable, Rows], Flags]


def _test(condition: MemberCondition, context: Context) -> _Test:
    """Return the test of rows; what a condition names is evaluated once, and here."""
    match condition:
        case ActiveCondition(truth):
            return lambda table, rows: agreeing(table.active[rows], truth.value == truth.equal)
        case EffectiveTimeCondition(times):
            return lambda table, rows: times_that(times, table.effective_time[rows])
        case ModuleCondition(equal, value):
            codes = context.codes(value)
            return lambda table, rows: agreeing(one_of(table.module[rows], codes), equal)
        case FieldCondition(_, comparison):
            wanted: Codes = (
                context.codes(comparison.value)
                if isinstance(comparison, ConceptComparison)
                else np.zeros(0, dtype=np.int64)
            )
            return lambda table, rows: _field_flags(condition, wanted, table, rows, context)


def _field_flags(
    condition: FieldCondition,
    wanted: Codes,
    table: RefsetTable,
    rows: Rows,
    context: Context,
) -> Flags:
    """Return which rows have a field that compares so; `wanted` has the codes of a concept set."""
    name, comparison = condition.field_name, condition.comparison
    if name not in _fields(table):
        return np.zeros(len(rows), dtype=np.bool_)
    kind = _kind(table, name)
    if kind == "s" and not isinstance(comparison, (ConceptComparison, NumericComparison)):
        return _each(_shown(table, name, rows), _text_test(comparison))
    column = None if name == _ID else _column(table, name)
    if isinstance(column, np.ndarray):
        numbers = column[rows]
        match comparison:
            case ConceptComparison(equal) if kind == "c":
                return agreeing(one_of(numbers, wanted), equal)
            case NumericComparison() if kind == "i":
                return _each(numbers.tolist(), _number_test(comparison))
            case BooleanComparison(equal, truth) if kind == "i":
                return agreeing(numbers != 0, truth == equal)
            case TimeComparison() if kind == "i":
                return times_that(comparison, numbers)
    raise context.error(
        condition.position,
        f"the field '{name}' of reference set {table.refset} is compared with "
        f"{_ASKED[type(comparison)]}",
        _HELD[kind],
    )


_ASKED: Final = {
    ConceptComparison: "concepts",
    NumericComparison: "a number",
    TextComparison: "a text",
    TimeComparison: "a date",
    BooleanComparison: "a truth value",
}
_HELD: Final = {
    "c": "concepts: the field holds identifiers",
    "i": "a number such as #1",
    "s": "a text in quotes",
}


def _kind(table: RefsetTable, name: str) -> str:
    """Return c for SCTIDs, i for integers, s for text."""
    if name in {COMPONENT, _ID}:
        return "c" if name == COMPONENT else "s"
    return table.kinds[table.fields.index(name)]


def _each(values: list[str | int], test: Callable[[str | int], bool]) -> Flags:
    """Test each value that occurs once."""
    known: dict[str | int, bool] = {}
    for value in values:
        if value not in known:
            known[value] = test(value)
    return np.array([known[value] for value in values], dtype=np.bool_)


def _number_test(comparison: NumericComparison) -> Callable[[str | int], bool]:
    compare = COMPARE[comparison.comparator]
    return lambda value: compare(value, comparison.value)


def _text_test(
    comparison: TextComparison | TimeComparison | BooleanComparison,
) -> Callable[[str | int], bool]:
    match comparison:
        case TextComparison(equal, terms):
            matches = matcher(terms)
            return lambda value: matches(str(value)) == equal
        case BooleanComparison(equal, truth):
            return lambda value: ((str(value).lower() in _TRUTHS) == truth) == equal
        case TimeComparison(Comparator.EQUAL, (0,)):
            return lambda value: not value
        case TimeComparison(Comparator.NOT_EQUAL, (0,)):
            return lambda value: bool(value)
        case TimeComparison():
            return lambda value: _time_fits(str(value), comparison)


def _time_fits(value: str, comparison: TimeComparison) -> bool:
    # Section 6.9: a time of day or a zone behind the date does not count.
    date = value[:8]
    if value and not (date.isdecimal() and len(date) == 8):
        return False
    return bool(times_that(comparison, np.array([int(date or 0)], dtype=np.int32))[0])
