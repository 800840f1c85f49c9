"""The compiled index against networkx and plain dictionaries, on random releases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import FrozenBitMap

from terminology.errors import IdentifierError, TableError, UnknownConceptError
from terminology.identifiers import verhoeff_ok
from terminology.release.build import build_index, compile_rows
from terminology.release.index import ReleaseIndex
from terminology.release.values import Attribute, ConcreteValue
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

ROOT = 138875005
IS_A = 116680003
MODULE = 900000000000207008
VERSION = f"http://snomed.info/sct/{MODULE}/version/20260101"
# What is no position of a graph: attribute types, a reference set, an association.
TYPES = (363698007, 116676008)
SIMPLE, ASSOCIATION = 723264001, 900000000000526001

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@cache
def sctid(item: int, partition: str = "00") -> int:
    """Return the identifier of an item: its digits, the partition, the check digit."""
    stem = f"{item}{partition}"
    return int(next(stem + digit for digit in "0123456789" if verhoeff_ok(stem + digit)))


def codes_for(count: int) -> list[int]:
    """Return `count` identifiers in no order of size, short and long ones; the root is first."""
    long = 4_000_000_000_000
    items = [(7919 * i) % 65_537 + (long if i % 7 == 3 else 100) for i in range(1, count)]
    return [ROOT, *(sctid(item) for item in items)][:count]


@dataclass(frozen=True)
class Drawn:
    """A release as its test sees it: positions; rows with False are inactive."""

    size: int
    is_a: tuple[tuple[int, int, bool], ...]
    retired: frozenset[int] = frozenset()
    attributes: tuple[tuple[int, int, int, int, bool], ...] = ()
    concretes: tuple[tuple[int, int, int, str, bool], ...] = ()
    members: tuple[tuple[int, bool], ...] = ()
    associations: tuple[tuple[int, int, bool], ...] = ()
    codes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.codes.extend(codes_for(self.size))

    @property
    def graph(self) -> nx.DiGraph:
        """Active is-a rows between active concepts, child → parent."""
        graph = nx.DiGraph()
        graph.add_nodes_from(self.codes)
        graph.add_edges_from(
            (self.codes[child], self.codes[parent])
            for child, parent, active in self.is_a
            if active and not {child, parent} & self.retired
        )
        return graph


@st.composite
def releases(draw: st.DrawFn) -> Drawn:
    """Draw a release without cycles; positions stand for concepts, in no topological order."""
    size = draw(st.integers(1, 24))
    place = st.integers(0, size - 1)
    rank = draw(st.permutations(range(size)))
    edges = draw(st.lists(st.tuples(place, place, st.booleans() | st.just(True)), max_size=60))
    rows = st.tuples(place, st.integers(0, 2), st.integers(0, 1), place, st.booleans())
    values = st.sampled_from(["#10", "#-2.50", '"a tab, a "quote""', "true"])
    amounts = st.tuples(place, st.integers(0, 2), st.integers(0, 1), values, st.booleans())
    return Drawn(
        size,
        tuple(
            (a, b, active) if rank[a] > rank[b] else (b, a, active)
            for a, b, active in edges
            if a != b
        ),
        frozenset(draw(st.sets(place, max_size=3))),
        tuple(draw(st.lists(rows, max_size=20))),
        tuple(draw(st.lists(amounts, max_size=6, unique_by=lambda row: row[:4]))),
        tuple(draw(st.lists(st.tuples(place, st.booleans()), max_size=8))),
        tuple(draw(st.lists(st.tuples(place, place, st.booleans()), max_size=8))),
    )


def rows_of(drawn: Drawn) -> ReleaseRows:
    """Return the rows that a reader would hand over, sorted as `rf2.rows` says."""
    codes = np.array(drawn.codes, dtype=np.int64)
    active = np.array([place not in drawn.retired for place in range(drawn.size)], dtype=bool)
    extra = np.array([*TYPES, SIMPLE, ASSOCIATION, IS_A, MODULE], dtype=np.int64)
    ids = np.concatenate([codes, extra])
    active = np.concatenate([active, np.ones(len(extra), dtype=bool)])
    order = np.argsort(ids)
    count = len(ids)
    relationships = [
        (drawn.codes[child], 0, IS_A, drawn.codes[parent], on) for child, parent, on in drawn.is_a
    ] + [
        (drawn.codes[source], group, TYPES[kind], drawn.codes[value], on)
        for source, group, kind, value, on in drawn.attributes
    ]
    relationships.sort()
    concretes = sorted(
        (drawn.codes[source], group, TYPES[kind], value, on)
        for source, group, kind, value, on in drawn.concretes
    )
    members = sorted((drawn.codes[place], on) for place, on in drawn.members)
    associations = sorted(
        (drawn.codes[source], drawn.codes[target], on) for source, target, on in drawn.associations
    )
    return ReleaseRows(
        VERSION,
        ConceptRows(
            ids[order],
            _times(count),
            active[order],
            _modules(count),
            np.full(count, 900000000000074008, dtype=np.int64),
            _places(count),
        ),
        _no_descriptions(),
        RelationshipRows(
            **_common(relationships, "02"),
            source_id=_column(row[0] for row in relationships),
            destination_id=_column(row[3] for row in relationships),
            group=np.array([row[1] for row in relationships], dtype=np.int32),
            type_id=_column(row[2] for row in relationships),
        ),
        ConcreteRows(
            **_common(concretes, "02"),
            source_id=_column(row[0] for row in concretes),
            value=TextColumn.of([row[3] for row in concretes]),
            group=np.array([row[1] for row in concretes], dtype=np.int32),
            type_id=_column(row[2] for row in concretes),
        ),
        _refset("cRefset", 900000000000509007, [], {"acceptabilityId": _column([])}, "c"),
        (
            _refset("Refset", SIMPLE, members, {}, ""),
            _refset(
                "cRefset",
                ASSOCIATION,
                associations,
                {"targetComponentId": _column(row[1] for row in associations)},
                "c",
            ),
        ),
    )


def _column(values: Iterable[int]) -> np.ndarray:
    return np.array(list(values), dtype=np.int64)


def _times(count: int) -> np.ndarray:
    return np.full(count, 20260101, dtype=np.int32)


def _modules(count: int) -> np.ndarray:
    return np.full(count, MODULE, dtype=np.int64)


def _places(count: int) -> Places:
    return Places(
        ("drawn.txt",), np.zeros(count, dtype=np.int16), np.arange(2, count + 2, dtype=np.int32)
    )


def _common(rows: Sequence[tuple[object, ...]], partition: str) -> dict[str, object]:
    return {
        "id": _column(sctid(100 + at, partition) for at in range(len(rows))),
        "effective_time": _times(len(rows)),
        "active": np.array([row[-1] for row in rows], dtype=bool),
        "module_id": _modules(len(rows)),
        "places": _places(len(rows)),
    }


def _refset(
    pattern: str, refset: int, rows: list[tuple[object, ...]], fields: dict[str, object], kinds: str
) -> RefsetRows:
    common = _common(rows, "02")
    common["id"] = np.arange(16 * len(rows), dtype=np.uint8).reshape(-1, 16)
    return RefsetRows(
        pattern=pattern,
        refset_id=np.full(len(rows), refset, dtype=np.int64),
        referenced_component_id=_column(row[0] for row in rows),
        kinds=kinds,
        fields=fields,
        **common,
    )


def _no_descriptions() -> DescriptionRows:
    return DescriptionRows(
        **_common([], "01"),
        concept_id=_column([]),
        language=np.zeros(0, dtype=np.uint8),
        languages=("en",),
        type_id=_column([]),
        term=TextColumn.of([]),
        case_significance_id=_column([]),
    )


def index_of(drawn: Drawn) -> ReleaseIndex:
    facts, arrays = compile_rows(rows_of(drawn))
    made = dict(arrays)
    return ReleaseIndex(facts, made)


def codes_in(index: ReleaseIndex, ordinals: Iterable[int]) -> set[int]:
    return {int(index.code(ordinal)) for ordinal in ordinals}


@quick
@given(releases())
def test_hierarchy_is_that_of_networkx(drawn: Drawn) -> None:
    index, graph = index_of(drawn), drawn.graph
    for code in drawn.codes:
        own = index.ordinal(str(code))
        # Edges go from child to parent, so networkx calls our descendants ancestors.
        assert codes_in(index, index.parents(own)) == set(graph.successors(code))
        assert codes_in(index, index.children(own)) == set(graph.predecessors(code))
        assert codes_in(index, index.ancestors(own)) == nx.descendants(graph, code)
        assert codes_in(index, index.descendants(own)) == nx.ancestors(graph, code)


@quick
@given(releases())
def test_no_closure_contains_its_start(drawn: Drawn) -> None:
    index = index_of(drawn)
    for own in range(len(index)):
        for closure in (index.parents, index.children, index.ancestors, index.descendants):
            assert isinstance(closure(own), FrozenBitMap)
            assert own not in closure(own)


@quick
@given(releases())
def test_every_pair_is_compared_as_by_a_path(drawn: Drawn) -> None:
    index, graph = index_of(drawn), drawn.graph
    pairs = list(product(drawn.codes, repeat=2))
    expected = [a != d and nx.has_path(graph, d, a) for a, d in pairs]
    above, below = (
        np.array([index.ordinal(str(code)) for code in side], dtype=np.uint32)
        for side in zip(*pairs, strict=True)
    )
    assert index.subsumes_many(above, below).tolist() == expected
    assert [index.is_above(a, d) for a, d in zip(above.tolist(), below.tolist(), strict=True)] == (
        expected
    )
    for (a, d), over in zip(pairs, expected, strict=True):
        assert index.subsumes(str(a), str(d)) is over
        under = a != d and nx.has_path(graph, a, d)
        outcome = "equivalent" if a == d else "not-subsumed"
        outcome = "subsumes" if over else "subsumed-by" if under else outcome
        assert index.compare(str(a), str(d)) == outcome


@quick
@given(releases(), st.data())
def test_nearest_common_is_what_nothing_common_lies_below(
    drawn: Drawn, data: st.DataObject
) -> None:
    index, graph = index_of(drawn), drawn.graph
    chosen = data.draw(st.lists(st.sampled_from(drawn.codes), min_size=1, max_size=3))
    common = set.intersection(*(nx.descendants(graph, code) | {code} for code in chosen))
    nearest = {code for code in common if not nx.ancestors(graph, code) & common}
    found = index.nearest_common(index.ordinal(str(code)) for code in chosen)
    assert codes_in(index, found) == nearest


@quick
@given(releases(), st.data())
def test_most_specific_has_no_descendant_in_the_set(drawn: Drawn, data: st.DataObject) -> None:
    index, graph = index_of(drawn), drawn.graph
    chosen = data.draw(st.sets(st.sampled_from(drawn.codes)))
    expected = {code for code in chosen if not nx.ancestors(graph, code) & chosen}
    found = index.most_specific(index.ordinals(str(code) for code in chosen))
    assert codes_in(index, found) == expected


@quick
@given(releases())
def test_ordinals_are_a_numbering_of_the_codes_with_inactive_ones_last(drawn: Drawn) -> None:
    index = index_of(drawn)
    others = {*TYPES, SIMPLE, ASSOCIATION, IS_A, MODULE}
    assert sorted(index.ids.tolist()) == sorted({*drawn.codes, *others})
    for code in drawn.codes:
        assert index.code(index.ordinal(str(code))) == str(code)
        assert index.find(code) == index.find(str(code)) == index.ordinal(str(code))
    retired = {drawn.codes[place] for place in drawn.retired}
    active = [index.is_active(ordinal) for ordinal in range(len(index))]
    assert {int(index.code(o)) for o, on in enumerate(active) if not on} == retired
    assert active == sorted(active, reverse=True)
    assert set(index.active) == {ordinal for ordinal, on in enumerate(active) if on}
    assert set(index.all) == set(range(len(index)))


@quick
@given(releases())
def test_rooted_is_the_root_and_what_is_below_it(drawn: Drawn) -> None:
    index = index_of(drawn)
    assert codes_in(index, index.rooted) == nx.ancestors(drawn.graph, ROOT) | {ROOT}


@quick
@given(releases())
def test_attributes_are_the_active_rows_of_active_concepts_once(drawn: Drawn) -> None:
    index = index_of(drawn)
    for place, code in enumerate(drawn.codes):
        rows = {
            Attribute(group, index.ordinal(str(TYPES[kind])), index.ordinal(str(drawn.codes[to])))
            for source, group, kind, to, on in drawn.attributes
            if on and source == place and place not in drawn.retired
        }
        amounts = [
            Attribute(group, index.ordinal(str(TYPES[kind])), ConcreteValue.parse(value))
            for source, group, kind, value, on in drawn.concretes
            if on and source == place
        ]
        found = index.attributes(index.ordinal(str(code)))
        assert list(found) == sorted(found, key=lambda one: (one.group, one.type))
        concepts = [one for one in found if isinstance(one.value, int)]
        assert len(concepts) == len(rows)
        assert set(concepts) == rows
        if place not in drawn.retired:
            assert {one for one in found if not isinstance(one.value, int)} == set(amounts)


@quick
@given(releases())
def test_relations_stand_in_both_orders(drawn: Drawn) -> None:
    table = index_of(drawn).relations
    forward = list(
        zip(
            table.source.tolist(),
            table.group.tolist(),
            table.type.tolist(),
            table.destination.tolist(),
            strict=True,
        )
    )
    assert forward == sorted(set(forward))
    backward = [
        (forward[row][2], forward[row][3], forward[row][0]) for row in table.by_type_destination
    ]
    assert backward == sorted((kind, to, source) for source, _, kind, to in forward)
    for kind in {row[2] for row in forward}:
        part = table.by_type_destination[table.type_range(kind)]
        assert sorted(part.tolist()) == [at for at, row in enumerate(forward) if row[2] == kind]


@quick
@given(releases())
def test_rows_have_one_group_number_where_source_and_group_are_the_same(drawn: Drawn) -> None:
    index = index_of(drawn)
    groups = index.groups
    numbered = [
        (number, (source, group))
        for table, numbers in (
            (index.relations, groups.of_relation),
            (index.concretes, groups.of_concrete),
        )
        for number, source, group in zip(
            numbers.tolist(), table.source.tolist(), table.group.tolist(), strict=True
        )
    ]
    pairs = sorted({pair for _, pair in numbered})
    assert all(pairs[number] == pair for number, pair in numbered)
    assert list(zip(groups.subject.tolist(), groups.grouped.tolist(), strict=True)) == [
        (source, group != 0) for source, group in pairs
    ]
    assert len(groups) == len(pairs)


@quick
@given(releases())
def test_members_and_associations_are_the_active_rows(drawn: Drawn) -> None:
    index = index_of(drawn)
    members = {drawn.codes[place] for place, on in drawn.members if on}
    assert codes_in(index, index.members(index.ordinal(str(SIMPLE)))) == members
    for code in drawn.codes:
        expected = sorted(
            str(drawn.codes[target])
            for source, target, on in drawn.associations
            if on and drawn.codes[source] == code
        )
        found = index.associations(index.ordinal(str(code)))
        assert {one.refset for one in found} <= {str(ASSOCIATION)}
        assert sorted(one.target for one in found) == expected


@quick
@given(drawn=releases())
def test_file_answers_as_the_arrays_in_memory(tmp_path: Path, drawn: Drawn) -> None:
    path = tmp_path / "one.index"
    build_index(rows_of(drawn), path)
    stored, memory = ReleaseIndex.open(path), index_of(drawn)
    assert stored.version == memory.version == VERSION
    assert stored.ids.tolist() == memory.ids.tolist()
    for own in range(len(memory)):
        assert stored.descendants(own) == memory.descendants(own)
        assert stored.ancestors(own) == memory.ancestors(own)
        assert stored.attributes(own) == memory.attributes(own)
        assert stored.associations(own) == memory.associations(own)


@pytest.mark.parametrize(("size", "parents"), [(1500, 1.2), (1500, 4.0), (600, 40.0)])
def test_wide_and_dense_graphs(size: int, parents: float) -> None:
    chance = np.random.default_rng(size)
    edges = []
    for child in range(1, size):
        count = min(child, 1 + chance.poisson(parents))
        near = chance.integers(max(0, child - 300), child, count)
        edges.extend((child, int(parent), True) for parent in set(near.tolist()))
    drawn = Drawn(size, tuple(edges))
    index, graph = index_of(drawn), drawn.graph
    ordinals = np.array([index.ordinal(str(code)) for code in drawn.codes], dtype=np.uint32)
    above, below = np.meshgrid(ordinals, ordinals[:: max(1, size // 150)], indexing="ij")
    found = index.subsumes_many(above, below)
    assert found.shape == above.shape
    for column, code in enumerate(drawn.codes[:: max(1, size // 150)]):
        ancestors = nx.descendants(graph, code)
        assert found[:, column].tolist() == [one in ancestors for one in drawn.codes]
        assert codes_in(index, index.ancestors(index.ordinal(str(code)))) == ancestors
        assert codes_in(index, index.descendants(index.ordinal(str(code)))) == nx.ancestors(
            graph, code
        )


@pytest.mark.parametrize("length", [2, 3, 7])
def test_cycle_is_refused_with_its_rows(length: int) -> None:
    ring = tuple((at, (at + 1) % length, True) for at in range(length))
    with pytest.raises(TableError) as caught:
        index_of(Drawn(length + 2, (*ring, (length, 0, True))))
    for place in range(length):
        assert str(codes_for(length + 2)[place]) in str(caught.value)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("85562004", UnknownConceptError),
        ("85562005", IdentifierError),
        ("", IdentifierError),
        ("0", IdentifierError),
        (" 138875005", IdentifierError),
        ("138875005 ", IdentifierError),
        ("0138875005", IdentifierError),
        ("+138875005", IdentifierError),
        ("138_875_005", IdentifierError),
        ("138875005.0", IdentifierError),
        ("١٣٨٨٧٥٠٠٥", IdentifierError),
        ("9" * 30, IdentifierError),
    ],
)
def test_no_other_text_passes_for_a_code(code: str, error: type[Exception]) -> None:
    index = index_of(Drawn(3, ((1, 0, True), (2, 1, True))))
    known = index.code(1)
    assert code not in index
    assert index.find(code) == -1
    with pytest.raises(error):
        index.ordinal(code)
    with pytest.raises(error):
        index.subsumes(code, known)
    with pytest.raises(error):
        index.subsumes(known, code)
    with pytest.raises(error):
        index.compare(code, code)
