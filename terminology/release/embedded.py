"""The embedded body structures as a release index, so that everything runs on them as well.

What the tables of mappings/ say becomes rows of a release: is-a and part-of edges both subsume (in
SNOMED CT anatomy a structure concept subsumes its parts), a part-of edge is a relationship
123005000 |Part of| as well, a sided concept is defined by its unsided one and 272741003
|Laterality|, and a former code is a member of 900000000000526001 |REPLACED BY association
reference set|.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np

from terminology.concept import Laterality
from terminology.release.build import compile_rows
from terminology.release.index import ReleaseIndex
from terminology.release.values import (
    ACCEPTABLE,
    DEFINED,
    IS_A,
    LATERALITY,
    PART_OF,
    PREFERRED,
    PRIMITIVE,
    REPLACED_BY,
    SYNONYM,
    US_ENGLISH,
)
from terminology.rf2.rows import (
    ConceptRows,
    ConcreteRows,
    DescriptionRows,
    Places,
    RefsetRows,
    RelationshipRows,
    ReleaseRows,
    TextColumn,
)
from terminology.structures import PART_OF_EDGE, BodyStructures, read_model
from terminology.tables import mappings_folder

# Terms of the tables are shown as they stand; SNOMED CT calls that "entire term case sensitive".
_CASE_SENSITIVE: Final = 900000000000017005


@lru_cache(maxsize=1)
def embedded_index() -> ReleaseIndex:
    """Return the index of the embedded subset, compiled at the first call and shared after it.

    Raises
    ------
    TableError
        A table of mappings/ has bad rows.
    """
    return index_of(BodyStructures.load())


def index_of(tables: BodyStructures) -> ReleaseIndex:
    """Return structures and the concept model of mappings/ as a release index."""
    facts, arrays = compile_rows(_rows(tables))
    held = dict(arrays)
    return ReleaseIndex(facts, held, embedded=True)


def _rows(tables: BodyStructures) -> ReleaseRows:
    stamp = tables.version.rpartition("/")[2]
    date = int(stamp) if stamp.isdecimal() else 0
    model = read_model(mappings_folder())
    terms: dict[str, tuple[str, ...]] = {one.code: (one.display,) for one in model}
    relations = [(one.code, one.parent, IS_A) for one in model if one.parent]
    defined: set[str] = set()
    for code, concept in tables.concepts.items():
        terms[code] = (concept.display, *concept.synonyms)
        side = concept.laterality
        if side is not None:
            relations.append((code, side.coding.code, LATERALITY))
            if concept.unsided is not None and side is not Laterality.BILATERAL:
                defined.add(code)
    for edge in tables.edges:
        relations.append((edge.child, edge.parent, IS_A))
        if edge.relation == PART_OF_EDGE:
            relations.append((edge.child, edge.parent, PART_OF))
    replaced = [
        (former, successor)
        for former, successors in tables.successors.items()
        for successor in successors
    ]
    codes = sorted(terms, key=int)
    return ReleaseRows(
        version=tables.version,
        concepts=ConceptRows(
            id=np.array(codes, dtype=np.int64),
            effective_time=_dates(date, len(codes)),
            active=np.ones(len(codes), dtype=np.bool_),
            module_id=np.zeros(len(codes), dtype=np.int64),
            definition_status_id=np.array(
                [int(DEFINED if code in defined else PRIMITIVE) for code in codes], dtype=np.int64
            ),
            places=_nowhere(len(codes)),
        ),
        descriptions=_descriptions([(code, term) for code in codes for term in terms[code]], date),
        relationships=_relationships(relations, date),
        concrete=_no_concrete_values(),
        language=_language(terms, codes, date),
        refsets=(_associations(replaced, date),),
    )


def _descriptions(terms: list[tuple[str, str]], date: int) -> DescriptionRows:
    count = len(terms)
    return DescriptionRows(
        # Rows of our own have no identifier: a number below 0 that the language members refer to.
        id=np.arange(-count, 0, dtype=np.int64),
        effective_time=_dates(date, count),
        active=np.ones(count, dtype=np.bool_),
        module_id=np.zeros(count, dtype=np.int64),
        concept_id=np.array([code for code, _ in terms], dtype=np.int64),
        language=np.zeros(count, dtype=np.uint8),
        languages=("en",),
        type_id=np.full(count, int(SYNONYM), dtype=np.int64),
        term=TextColumn.of([term for _, term in terms]),
        case_significance_id=np.full(count, _CASE_SENSITIVE, dtype=np.int64),
        places=_nowhere(count),
    )


def _language(terms: dict[str, tuple[str, ...]], codes: list[str], date: int) -> RefsetRows:
    marks = [
        int(ACCEPTABLE if place else PREFERRED)
        for code in codes
        for place in range(len(terms[code]))
    ]
    return _members(
        US_ENGLISH,
        list(range(-len(marks), 0)),
        "acceptabilityId",
        marks,
        date,
    )


def _associations(replaced: list[tuple[str, str]], date: int) -> RefsetRows:
    return _members(
        REPLACED_BY,
        [int(former) for former, _ in replaced],
        "targetComponentId",
        [int(successor) for _, successor in replaced],
        date,
    )


def _members(
    refset: str, components: list[int], name: str, values: list[int], date: int
) -> RefsetRows:
    count = len(components)
    return RefsetRows(
        pattern="cRefset",
        id=np.zeros((count, 16), dtype=np.uint8),
        effective_time=_dates(date, count),
        active=np.ones(count, dtype=np.bool_),
        module_id=np.zeros(count, dtype=np.int64),
        refset_id=np.full(count, int(refset), dtype=np.int64),
        referenced_component_id=np.array(components, dtype=np.int64),
        kinds="c",
        fields={name: np.array(values, dtype=np.int64)},
        places=_nowhere(count),
    )


def _relationships(relations: list[tuple[str, str, str]], date: int) -> RelationshipRows:
    count = len(relations)
    return RelationshipRows(
        id=np.zeros(count, dtype=np.int64),
        effective_time=_dates(date, count),
        active=np.ones(count, dtype=np.bool_),
        module_id=np.zeros(count, dtype=np.int64),
        source_id=np.array([row[0] for row in relations], dtype=np.int64),
        destination_id=np.array([row[1] for row in relations], dtype=np.int64),
        group=np.zeros(count, dtype=np.int32),
        type_id=np.array([row[2] for row in relations], dtype=np.int64),
        places=_nowhere(count),
    )


def _no_concrete_values() -> ConcreteRows:
    none = np.zeros(0, dtype=np.int64)
    return ConcreteRows(
        id=none,
        effective_time=_dates(0, 0),
        active=np.zeros(0, dtype=np.bool_),
        module_id=none,
        source_id=none,
        value=TextColumn.of([]),
        group=np.zeros(0, dtype=np.int32),
        type_id=none,
        places=_nowhere(0),
    )


def _dates(date: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.full(count, date, dtype=np.int32)


def _nowhere(count: int) -> Places:
    return Places(("mappings",), np.zeros(count, dtype=np.int16), np.zeros(count, dtype=np.int32))
