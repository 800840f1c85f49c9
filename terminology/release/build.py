"""From the rows of a release to the arrays of its index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from terminology.errors import RowProblem, TableError
from terminology.release.arrays import Array, write_arrays
from terminology.release.codes import code_arrays
from terminology.release.descriptions import description_arrays
from terminology.release.groups import group_arrays
from terminology.release.hierarchy import CycleError, depth_first, hierarchy_arrays
from terminology.release.ordinals import bitmap_of
from terminology.release.refsets import packed, refset_arrays
from terminology.release.relations import relation_arrays
from terminology.release.termarrays import term_arrays
from terminology.release.values import DEFINED, IS_A
from terminology.rf2.rows import ConceptRows, Places, RelationshipRows, ReleaseRows, TextColumn

Progress = Callable[[str, float], None]


def build_index(rows: ReleaseRows, out: Path, *, progress: Progress | None = None) -> None:
    """Write the index of a release to `out`, whole or not at all.

    `progress` is told the step and how much of all the work is done, in [0, 1].

    Raises
    ------
    TableError
        The is-a relationships hold a cycle; its rows are named.
    OSError
        `out` cannot be written.
    """
    facts, arrays = compile_rows(rows, progress=progress)
    write_arrays(out, facts, arrays)


def compile_rows(
    rows: ReleaseRows, *, progress: Progress | None = None
) -> tuple[dict[str, Any], Iterator[tuple[str, Array]]]:
    """Return the facts and, one at a time, the arrays of the index of a release.

    The facts are complete only when the arrays have been consumed.

    Raises
    ------
    TableError
        The is-a relationships hold a cycle; its rows are named.
    """
    tell = progress or (lambda step, done: None)
    tell("hierarchy", 0.0)
    order = _ordinals(rows.concepts, rows.relationships)
    facts: dict[str, Any] = {
        "version": rows.version,
        "refsets": [],
        "report": [
            {
                "name": one.name,
                "content": one.content,
                "rows": one.rows,
                "active": one.active,
                "left_out": one.left_out,
            }
            for one in rows.report
        ],
    }
    return facts, _all(rows, order, facts, tell)


@dataclass(frozen=True, slots=True)
class _Ordinals:
    """The order of the concepts: `walk` by ordinal, `place` by row, edges as ordinals."""

    walk: NDArray[np.int64]
    place: NDArray[np.int64]
    ids: NDArray[np.int64]
    subtree: NDArray[np.uint32]
    levels: NDArray[np.int64]
    child: NDArray[np.uint32]
    parent: NDArray[np.uint32]

    def of(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the ordinals of codes, -1 for what is no concept of the release."""
        rows = np.searchsorted(self.ids, codes)
        rows[rows == len(self.ids)] = 0
        if not len(self.ids):
            return np.full(len(codes), -1, dtype=np.int64)
        return np.where(self.ids[rows] == codes, self.place[rows], -1)


def _ordinals(concepts: ConceptRows, relationships: RelationshipRows) -> _Ordinals:
    ids = concepts.id
    is_a = np.flatnonzero(relationships.active & (relationships.type_id == int(IS_A)))
    child, parent = (
        np.searchsorted(ids, column[is_a])
        for column in (relationships.source_id, relationships.destination_id)
    )
    both = concepts.active[child] & concepts.active[parent]
    is_a, child, parent = is_a[both], child[both], parent[both]
    pairs = np.unique(child.astype(np.int64) * len(ids) + parent)
    child, parent = np.divmod(pairs, max(len(ids), 1))
    try:
        walk, subtree, levels = depth_first(len(ids), child, parent)
    except CycleError as error:
        codes = ids[error.positions]
        raise TableError(_cycle_problems(codes, relationships)) from None
    # What is inactive comes after what is active; a concept without is-a rows keeps its place.
    active = concepts.active[walk]
    order = np.concatenate((np.flatnonzero(active), np.flatnonzero(~active)))
    walk, subtree, levels = walk[order], subtree[order], levels[order]
    place = np.empty(len(ids), dtype=np.int64)
    place[walk] = np.arange(len(ids))
    return _Ordinals(
        walk,
        place,
        ids,
        subtree,
        levels,
        place[child].astype(np.uint32),
        place[parent].astype(np.uint32),
    )


def _cycle_problems(codes: NDArray[np.int64], relationships: RelationshipRows) -> list[RowProblem]:
    path = " → ".join(str(code) for code in [*codes.tolist(), int(codes[0])])
    problems = []
    for child, parent in pairwise([*codes.tolist(), int(codes[0])]):
        hit = np.flatnonzero(
            relationships.active
            & (relationships.type_id == int(IS_A))
            & (relationships.source_id == child)
            & (relationships.destination_id == parent)
        )
        places: Places = relationships.places
        file = places.files[int(places.file[hit[0]])]
        line = int(places.line[hit[0]])
        problems.append(
            RowProblem(file, line, "destinationId", f"a cycle {path}", "a hierarchy without cycles")
        )
    return problems


def _all(
    rows: ReleaseRows, order: _Ordinals, facts: dict[str, Any], tell: Progress
) -> Iterator[tuple[str, Array]]:
    count = len(order.ids)
    yield from _concept_arrays(rows.concepts, order)
    yield from hierarchy_arrays(
        count,
        order.child,
        order.parent,
        order.subtree,
        order.levels,
        lambda done: tell("hierarchy", 0.25 * done),
    )
    tell("attributes", 0.25)
    grouped: dict[str, Array] = {}
    for name, array in chain(_relations(rows, order, count), _concretes(rows, order)):
        if name in _FOR_GROUPS:
            grouped[name] = array
        yield name, array
    relations, concretes = (
        (grouped[f"{table}.source"], grouped[f"{table}.group"])
        for table in ("relation", "concrete")
    )
    yield from group_arrays(relations, concretes)
    del grouped, relations, concretes
    yield from _additional(rows, order)
    yield from _identifiers(rows, order)
    tell("descriptions", 0.35)
    described, arrays = description_arrays(
        rows.descriptions, rows.language, order.of(rows.descriptions.concept_id), count
    )
    facts["descriptions"] = described
    kept: dict[str, Array] = {}
    for name, array in arrays:
        if name in _FOR_TERMS:
            kept[name] = array
        yield name, array
    tell("text search", 0.5)
    starts = kept["description.term.starts"]
    terms = TextColumn(kept["description.term.data"], starts[:-1], np.diff(starts).astype(np.int32))
    yield from term_arrays(
        terms=terms,
        concept=kept["description.concept"],
        language=kept["description.language"],
        languages=tuple(described["languages"]),
        active=kept["description.active"],
        type_id=kept["description.type.codes"][kept["description.type"]],
        codes=rows.concepts.id[order.walk],
        concept_active=rows.concepts.active[order.walk],
        progress=lambda done: tell("text search", 0.5 + 0.4 * done),
    ).items()
    del kept, terms
    tell("reference sets", 0.9)
    yield from _refsets(rows, order, facts)
    tell("done", 1.0)


_FOR_GROUPS: Final = frozenset(
    {"relation.source", "relation.group", "concrete.source", "concrete.group"}
)
_FOR_TERMS: Final = frozenset(
    {
        "description.term.starts",
        "description.term.data",
        "description.concept",
        "description.language",
        "description.active",
        "description.type",
        "description.type.codes",
    }
)


def _concept_arrays(concepts: ConceptRows, order: _Ordinals) -> Iterator[tuple[str, Array]]:
    walk = order.walk
    yield "concept.id", concepts.id[walk]
    yield "concept.active", concepts.active[walk]
    yield "concept.effective_time", concepts.effective_time[walk]
    yield "concept.module", concepts.module_id[walk]
    yield "concept.defined", concepts.definition_status_id[walk] == int(DEFINED)
    has_children = np.zeros(len(walk), dtype=np.bool_)
    has_children[order.parent] = True
    yield from code_arrays(concepts.id[walk], order.subtree, has_children).items()


def _relations(rows: ReleaseRows, order: _Ordinals, count: int) -> Iterator[tuple[str, Array]]:
    table = rows.relationships
    chosen = np.flatnonzero(table.active & (table.type_id != int(IS_A)))
    source, kind, destination = (
        order.of(column[chosen])
        for column in (table.source_id, table.type_id, table.destination_id)
    )
    known = rows.concepts.active[order.walk[source]]
    yield from relation_arrays(
        source[known], kind[known], destination[known], table.group[chosen][known], count
    )


def _additional(rows: ReleaseRows, order: _Ordinals) -> Iterator[tuple[str, Array]]:
    """Yield the relationships that no definition rests on, such as 123005000 |Part of|."""
    none = np.zeros(0, dtype=np.int64)
    source, kind, destination = none, none, none
    if rows.additional is not None:
        table = rows.additional
        chosen = np.flatnonzero(table.active)
        source, kind, destination = (
            order.of(column[chosen])
            for column in (table.source_id, table.type_id, table.destination_id)
        )
    for name, column in (("source", source), ("type", kind), ("destination", destination)):
        yield f"additional.{name}", column.astype(np.uint32)


def _identifiers(rows: ReleaseRows, order: _Ordinals) -> Iterator[tuple[str, Array]]:
    """Yield the active codes of other schemes for concepts, sorted by scheme and code."""
    table = rows.identifiers
    scheme, ordinals = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    starts, data = np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.uint8)
    if table is not None:
        ordinals = order.of(table.referenced_component_id)
        chosen = np.flatnonzero(table.active & (ordinals >= 0))
        scheme, ordinals = table.identifier_scheme_id[chosen], ordinals[chosen]
        starts, data = packed(table.alternate_identifier, chosen)
    yield "identifier.scheme", scheme
    yield "identifier.concept", ordinals.astype(np.uint32)
    yield "identifier.code.starts", starts
    yield "identifier.code.data", data


def _concretes(rows: ReleaseRows, order: _Ordinals) -> Iterator[tuple[str, Array]]:
    table = rows.concrete
    chosen = np.flatnonzero(table.active)
    source, kind = order.of(table.source_id[chosen]), order.of(table.type_id[chosen])
    known = rows.concepts.active[order.walk[source]]
    chosen, source, kind = chosen[known], source[known], kind[known]
    by = np.lexsort((kind, table.group[chosen], source))
    starts = np.zeros(len(order.ids) + 1, dtype=np.int64)
    np.cumsum(np.bincount(source, minlength=len(order.ids)), out=starts[1:])
    # Few values differ: each is kept once, so that a comparison reads each once.
    numbers: dict[str, int] = {}
    number = [numbers.setdefault(table.value[row], len(numbers)) for row in chosen[by].tolist()]
    texts = TextColumn.of(list(numbers))
    offsets, data = packed(texts, np.arange(len(texts)))
    yield "concrete.source", source[by].astype(np.uint32)
    yield "concrete.type", kind[by].astype(np.uint32)
    yield "concrete.group", table.group[chosen][by].astype(np.uint16)
    yield "concrete.starts", starts
    yield "concrete.number", np.array(number, dtype=np.int32)
    yield "concrete.values.starts", offsets
    yield "concrete.values.data", data


def _refsets(
    rows: ReleaseRows, order: _Ordinals, facts: dict[str, Any]
) -> Iterator[tuple[str, Array]]:
    associations: list[tuple[Array, Array, Array]] = []
    for about, arrays, component, active in refset_arrays(rows.refsets):
        ordinals = order.of(component)
        members = bitmap_of(ordinals[active & (ordinals >= 0)])
        members.run_optimize()
        about["active"] = int(np.count_nonzero(active))
        facts["refsets"].append(about)
        yield from arrays
        yield (
            f"refset.{about['refset']}.members",
            np.frombuffer(members.serialize(), dtype=np.uint8),
        )
        if "targetComponentId" in about["fields"]:
            fields = {name.rpartition(".")[2]: array for name, array in arrays}
            targets = order.of(fields["targetComponentId"])
            known = active & (ordinals >= 0) & (targets >= 0)
            refset = np.full(int(np.count_nonzero(known)), int(about["refset"]), dtype=np.int64)
            associations.append((ordinals[known], targets[known], refset))
    source, target, refset = (
        np.concatenate(parts) if associations else np.zeros(0, dtype=np.int64)
        for parts in (zip(*associations, strict=True) if associations else ((), (), ()))
    )
    by = np.lexsort((target, refset, source))
    yield "association.source", source[by].astype(np.uint32)
    yield "association.target", target[by].astype(np.uint32)
    yield "association.refset", refset[by]
    yield "association.by_target", np.argsort(target[by], kind="stable").astype(np.uint32)
