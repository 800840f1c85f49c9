"""Releases made in memory: rows of RF2 without any file."""

import numpy as np

from terminology.release.build import compile_rows
from terminology.release.index import ReleaseIndex
from terminology.release.values import FSN, IS_A, PREFERRED, PRIMITIVE, SYNONYM, US_ENGLISH
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

ROOT = "138875005"
BODY = "123037004"
DATE = 20260131


def ids(values):
    return np.array([int(value) for value in values], dtype=np.int64)


def places(count):
    return Places(
        ("small.txt",), np.zeros(count, dtype=np.int16), np.arange(2, count + 2, dtype=np.int32)
    )


def members(rows, name="targetComponentId"):
    """(refset, component, value) → the rows of a reference set of the pattern cRefset."""
    rows = sorted(rows, key=lambda row: (int(row[0]), int(row[1])))
    count = len(rows)
    return RefsetRows(
        pattern="cRefset",
        id=np.zeros((count, 16), dtype=np.uint8),
        effective_time=np.full(count, DATE, dtype=np.int32),
        active=np.ones(count, dtype=np.bool_),
        module_id=np.full(count, 900000000000207008, dtype=np.int64),
        refset_id=ids(row[0] for row in rows),
        referenced_component_id=ids(row[1] for row in rows),
        kinds="c",
        fields={name: ids(row[2] for row in rows)},
        places=places(count),
    )


def release_rows(names, is_a, attributes=(), refsets=(), inactive=(), version="test"):
    """Return the rows of a release.

    `names` code → preferred term; `is_a` (child, parent); `attributes` (source, type, value) or
    (source, type, value, group); `refsets` (refset, component, target); `inactive` codes.
    """
    codes = sorted(names, key=int)
    relations = [(child, IS_A, parent, 0) for child, parent in is_a]
    relations += [(*row, 0) if len(row) == 3 else row for row in attributes]
    relations.sort(key=lambda row: (int(row[0]), row[3], int(row[1])))
    count, terms = len(codes), [(code, names[code]) for code in codes]
    texts = [text for _, term in terms for text in (f"{term} (body structure)", term)]
    none = ids([])
    return ReleaseRows(
        version=version,
        concepts=ConceptRows(
            id=ids(codes),
            effective_time=np.full(count, DATE, dtype=np.int32),
            active=np.array([code not in inactive for code in codes]),
            module_id=np.full(count, 900000000000207008, dtype=np.int64),
            definition_status_id=np.full(count, int(PRIMITIVE), dtype=np.int64),
            places=places(count),
        ),
        descriptions=DescriptionRows(
            id=np.arange(1, 2 * count + 1, dtype=np.int64),
            effective_time=np.full(2 * count, DATE, dtype=np.int32),
            active=np.ones(2 * count, dtype=np.bool_),
            module_id=np.full(2 * count, 900000000000207008, dtype=np.int64),
            concept_id=np.repeat(ids(codes), 2),
            language=np.zeros(2 * count, dtype=np.uint8),
            languages=("en",),
            type_id=np.tile(ids([FSN, SYNONYM]), count),
            term=TextColumn.of(texts),
            case_significance_id=np.full(2 * count, 900000000000448009, dtype=np.int64),
            places=places(2 * count),
        ),
        relationships=RelationshipRows(
            id=np.zeros(len(relations), dtype=np.int64),
            effective_time=np.full(len(relations), DATE, dtype=np.int32),
            active=np.ones(len(relations), dtype=np.bool_),
            module_id=np.full(len(relations), 900000000000207008, dtype=np.int64),
            source_id=ids(row[0] for row in relations),
            destination_id=ids(row[2] for row in relations),
            group=np.array([row[3] for row in relations], dtype=np.int32),
            type_id=ids(row[1] for row in relations),
            places=places(len(relations)),
        ),
        concrete=ConcreteRows(
            id=none,
            effective_time=np.zeros(0, dtype=np.int32),
            active=np.zeros(0, dtype=np.bool_),
            module_id=none,
            source_id=none,
            value=TextColumn.of([]),
            group=np.zeros(0, dtype=np.int32),
            type_id=none,
            places=places(0),
        ),
        language=members(
            [(US_ENGLISH, number, PREFERRED) for number in range(1, 2 * count + 1)],
            "acceptabilityId",
        ),
        refsets=(members(refsets),) if refsets else (),
    )


def release(*args, **kwargs):
    """Return the index of `release_rows` of the same arguments."""
    facts, arrays = compile_rows(release_rows(*args, **kwargs))
    held = dict(arrays)
    return ReleaseIndex(facts, held)
