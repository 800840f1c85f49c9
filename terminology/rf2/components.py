"""Tables of components → rows of a release: current states, checked references, sorted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terminology.rf2.errors import Problems
from terminology.rf2.latest import Mask, Members, Rows, superseded
from terminology.rf2.rows import (
    ConceptRows,
    ConcreteRows,
    DescriptionRows,
    IdentifierRows,
    RelationshipRows,
)
from terminology.rf2.tables import FileRows, Table, Values

_DEFINITION_STATUSES: Final = (900000000000074008, 900000000000073002)
_INFERRED: Final = 900000000000011006
_ADDITIONAL: Final = 900000000000227009
_EXISTENTIAL: Final = 900000000000451002
# ISO 639-1 has 183 codes.
_MOST_LANGUAGES: Final = 256
IN_RELEASE: Final = "a concept that is in the release"


@dataclass(frozen=True, slots=True)
class Context:
    """What the conversions of all tables share: the files and what is wrong in them."""

    files: list[FileRows]
    names: tuple[str, ...]
    problems: Problems

    def refuse(
        self, table: Table, column: str, rows: Rows, bad: Mask, what: str, expected: str
    ) -> None:
        """Make a problem of each of `rows` that is bad; `what` follows the value of the column."""
        wrong = rows[bad]
        room = self.problems.room
        for row in wrong[:room].tolist():
            value = int(table.array(column)[row])
            name = self.names[int(table.files[row])]
            self.problems.add(name, table.line(row), column, f"'{value}' {what}", expected)
        self.problems.count(max(len(wrong) - room, 0))

    def leave_out(self, table: Table, rows: Rows, why: Callable[[int], str]) -> None:
        """Report of each file how many of `rows` are left out."""
        if not len(rows):
            return
        for number, count in enumerate(np.bincount(table.files[rows]).tolist()):
            if count:
                self.files[number].left_out.append(f"{count} {why(count)}")

    def current(self, table: Table, key: NDArray[np.int64] | NDArray[np.uint8]) -> Rows:
        """Return the rows of a table without older states, in reading order."""
        old = superseded(key, table.array("effectiveTime"))
        self.leave_out(table, np.flatnonzero(old), older_states)
        return np.flatnonzero(~old)


def older_states(count: int) -> str:
    """Return the words for rows that a later one supersedes."""
    return "older state" if count == 1 else "older states"


def concept_rows(table: Table, context: Context) -> ConceptRows:
    """Return the concepts, sorted by id."""
    ids = table.array("id")
    rows = context.current(table, ids)
    rows = rows[np.argsort(ids[rows])]
    status = table.array("definitionStatusId")[rows]
    context.refuse(
        table,
        "definitionStatusId",
        rows,
        ~np.isin(status, _DEFINITION_STATUSES),
        "is no definition status",
        "900000000000074008 |Primitive| or 900000000000073002 |Defined|",
    )
    return ConceptRows(
        places=table.places(context.names, rows),
        id=table.take("id", rows),
        effective_time=table.take("effectiveTime", rows),
        active=table.take("active", rows),
        module_id=table.take("moduleId", rows),
        definition_status_id=table.take("definitionStatusId", rows),
    )


def description_rows(
    table: Table, concepts: Members, context: Context
) -> tuple[DescriptionRows, Members]:
    """Return the descriptions, sorted by concept and id, and the set of their ids."""
    ids = table.array("id")
    rows = context.current(table, ids)
    rows = rows[np.argsort(ids[rows])]
    known = Members(ids[rows])
    place = _check(table, "conceptId", rows, concepts, context)
    for column in ("typeId", "caseSignificanceId"):
        _check(table, column, rows, concepts, context)
    rows = rows[np.argsort(place, kind="stable")]
    codes, language = np.unique(table.take("languageCode", rows), return_inverse=True)
    if len(codes) > _MOST_LANGUAGES:
        name = context.names[int(table.files[0])]
        context.problems.add(
            name, 1, "languageCode", f"{len(codes)} languages occur", "the codes of ISO 639-1"
        )
    return (
        DescriptionRows(
            places=table.places(context.names, rows),
            id=table.take("id", rows),
            effective_time=table.take("effectiveTime", rows),
            active=table.take("active", rows),
            module_id=table.take("moduleId", rows),
            concept_id=table.take("conceptId", rows),
            language=language.astype(np.uint8),
            languages=tuple(chr(code >> 8) + chr(code & 255) for code in codes.tolist()),
            type_id=table.take("typeId", rows),
            term=table.take_texts("term", rows),
            case_significance_id=table.take("caseSignificanceId", rows),
        ),
        known,
    )


def relationship_rows(
    table: Table, concepts: Members, context: Context
) -> tuple[RelationshipRows, RelationshipRows | None, Members]:
    """Return inferred and additional relationships, sorted by source, group, type; and all ids."""
    ids = table.array("id")
    rows = context.current(table, ids)
    known = Members(ids[rows])
    source = _check(table, "sourceId", rows, concepts, context)
    _check(table, "destinationId", rows, concepts, context)
    order = _by_source(table, rows, source, _check(table, "typeId", rows, concepts, context))
    inferred, additional = _defining(table, rows, context)
    rows, inferred, additional = rows[order], inferred[order], additional[order]
    further = None
    if additional.any():
        further = _relationships(table, table.pick, rows[additional], context)
    return _relationships(table, table.take, rows[inferred], context), further, known


def _relationships(
    table: Table, column: Callable[[str, Rows], Values], rows: Rows, context: Context
) -> RelationshipRows:
    return RelationshipRows(
        id=column("id", rows),
        effective_time=column("effectiveTime", rows),
        active=column("active", rows),
        module_id=column("moduleId", rows),
        source_id=column("sourceId", rows),
        destination_id=column("destinationId", rows),
        group=column("relationshipGroup", rows),
        type_id=column("typeId", rows),
        places=table.places(context.names, rows),
    )


def concrete_rows(
    table: Table, concepts: Members, context: Context
) -> tuple[ConcreteRows, Members]:
    """Return the inferred concrete values, sorted by source, group, type; and all ids."""
    ids = table.array("id")
    rows = context.current(table, ids)
    known = Members(ids[rows])
    source = _check(table, "sourceId", rows, concepts, context)
    order = _by_source(table, rows, source, _check(table, "typeId", rows, concepts, context))
    inferred, additional = _defining(table, rows, context)
    context.leave_out(
        table, rows[additional], lambda count: "of characteristic type |Additional relationship|"
    )
    rows = rows[order][inferred[order]]
    return (
        ConcreteRows(
            places=table.places(context.names, rows),
            id=table.take("id", rows),
            effective_time=table.take("effectiveTime", rows),
            active=table.take("active", rows),
            module_id=table.take("moduleId", rows),
            source_id=table.take("sourceId", rows),
            value=table.take_texts("value", rows),
            group=table.take("relationshipGroup", rows),
            type_id=table.take("typeId", rows),
        ),
        known,
    )


def identifier_rows(
    table: Table, context: Context, unknown: Callable[[NDArray[np.int64]], Mask]
) -> IdentifierRows | None:
    """Return the alternate identifiers of components that are in the release."""
    if not len(table):
        return None
    every = np.arange(len(table))
    texts = table.take_texts("alternateIdentifier", every)
    schemes = table.array("identifierSchemeId").tolist()
    times = table.array("effectiveTime").tolist()
    latest: dict[tuple[int, str], int] = {}
    for row, scheme in enumerate(schemes):
        key = scheme, texts[row]
        before = latest.get(key)
        if before is None or times[row] >= times[before]:
            latest[key] = row
    current = np.array([row for _, row in sorted(latest.items())], dtype=np.int64)
    context.leave_out(table, np.setdiff1d(every, current), older_states)
    lost = unknown(table.array("referencedComponentId")[current])
    context.leave_out(table, current[lost], lambda count: "of components not in the release")
    rows = current[~lost]
    return IdentifierRows(
        places=table.places(context.names, rows),
        identifier_scheme_id=table.take("identifierSchemeId", rows),
        alternate_identifier=texts.take(rows),
        effective_time=table.take("effectiveTime", rows),
        active=table.take("active", rows),
        module_id=table.take("moduleId", rows),
        referenced_component_id=table.take("referencedComponentId", rows),
    )


def _check(table: Table, column: str, rows: Rows, concepts: Members, context: Context) -> Rows:
    """Return the positions of the concepts in a column; those not in the release are problems."""
    places = concepts.positions(table.array(column)[rows])
    context.refuse(table, column, rows, places < 0, "is not in the release", IN_RELEASE)
    return places


def _by_source(table: Table, rows: Rows, source: Rows, kind: Rows) -> Rows:
    """Return the order of `rows` by source, group and type, given as positions of concepts."""
    # 23, 16 and 24 bits: the three fit one number, which sorts at once.
    key = source << 40 | table.array("relationshipGroup")[rows].astype(np.int64) << 24 | kind
    return np.argsort(key, kind="stable")


def _defining(table: Table, rows: Rows, context: Context) -> tuple[Mask, Mask]:
    """Return which of `rows` are inferred and which additional; the others are left out."""
    kind = table.take("characteristicTypeId", rows)
    existential = table.take("modifierId", rows) == _EXISTENTIAL
    inferred, additional = (kind == one for one in (_INFERRED, _ADDITIONAL))
    context.leave_out(
        table,
        rows[~(inferred | additional)],
        lambda count: "of a characteristic type other than inferred or additional",
    )
    context.leave_out(
        table,
        rows[(inferred | additional) & ~existential],
        lambda count: "with a modifier other than |Existential restriction modifier|",
    )
    return inferred & existential, additional & existential
