import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminology.concept import BODY_STRUCTURE, Laterality
from terminology.errors import UnknownConceptError
from terminology.graph import BodyStructureGraph
from terminology.vocabulary import LabelVocabulary, canonical, is_place

HAND, FINGER, THUMB, KNEE = "85562004", "7569003", "76505004", "72696002"
UPPER_LIMB, CHEST, HEART = "53120007", "816094009", "80891009"
GRAPH = BodyStructureGraph.load()
CODES = st.sets(st.sampled_from(GRAPH.codes()), max_size=25)


@pytest.fixture(scope="module")
def graph() -> BodyStructureGraph:
    return GRAPH


def test_a_vocabulary_holds_what_was_named_and_the_regions_that_tell_it_apart(
    graph: BodyStructureGraph,
) -> None:
    vocabulary = LabelVocabulary.of(graph, [THUMB, HAND, KNEE, CHEST])

    assert {THUMB, HAND, KNEE, CHEST} <= set(vocabulary.codes)
    # |Limb| subsumes the three but not the chest; the upper limb exactly what the hand does.
    assert "66019005" in vocabulary
    assert UPPER_LIMB not in vocabulary
    assert vocabulary.version == graph.version


@pytest.mark.parametrize("kind", ["785818007", "39352004", "82680008", "420473002"])
def test_kinds_of_places_are_labels_only_when_they_are_named(
    graph: BodyStructureGraph, kind: str
) -> None:
    codes = ["24136001", "72696002", THUMB, "29707007", CHEST, "818981001"]

    assert kind not in LabelVocabulary.of(graph, codes)
    assert kind in LabelVocabulary.of(graph, [*codes, kind])
    assert not is_place(graph, kind)


def test_sided_and_former_codes_count_as_unsided_codes_of_today(graph: BodyStructureGraph) -> None:
    left_hand = graph.sided(HAND, Laterality.LEFT)
    assert left_hand is not None

    assert canonical(graph, left_hand) == (HAND, Laterality.LEFT)
    assert canonical(graph, "51185008") == (CHEST, None)
    assert LabelVocabulary.of(graph, [left_hand, "51185008"]).codes == tuple(sorted([HAND, CHEST]))


def test_the_root_is_no_label(graph: BodyStructureGraph) -> None:
    assert LabelVocabulary.of(graph, [BODY_STRUCTURE]).codes == ()


def test_a_code_that_is_no_body_structure_is_refused(graph: BodyStructureGraph) -> None:
    with pytest.raises(UnknownConceptError):
        LabelVocabulary.of(graph, ["73211009"])


def test_an_empty_vocabulary_has_no_levels() -> None:
    empty = LabelVocabulary((), (), (), "")

    assert (len(empty), empty.levels, empty.closed([])) == (0, (), frozenset())


def test_the_nearest_label_of_a_part_that_is_none(graph: BodyStructureGraph) -> None:
    vocabulary = LabelVocabulary.of(graph, [HAND, CHEST])

    assert vocabulary.nearest(graph, THUMB) == (HAND,)
    assert vocabulary.nearest(graph, HEART) == (CHEST,)
    assert vocabulary.nearest(graph, KNEE) == ()


@settings(max_examples=60, deadline=None)
@given(CODES)
def test_columns_stand_after_what_subsumes_them_and_edges_are_those_of_the_graph(
    codes: set[str],
) -> None:
    vocabulary = LabelVocabulary.of(GRAPH, codes)

    for column, code in enumerate(vocabulary.codes):
        held = {vocabulary.columns[one] for one in GRAPH.ancestors(code) if one in vocabulary}
        assert vocabulary.ancestors[column] == held
        assert all(above < column for above in held)
        assert all(column in vocabulary.descendants[above] for above in held)
        between = set().union(*(vocabulary.ancestors[one] for one in vocabulary.parents[column]))
        assert not between & set(vocabulary.parents[column])
        assert vocabulary.closed([column]) == held | {column}
    levels = [column for level in vocabulary.levels for column in level]
    assert sorted(levels) == list(range(len(vocabulary)))


@settings(max_examples=30, deadline=None)
@given(CODES)
def test_a_vocabulary_is_the_same_after_json_and_for_any_order(codes: set[str]) -> None:
    vocabulary = LabelVocabulary.of(GRAPH, codes)

    assert LabelVocabulary.from_json(vocabulary.to_json()) == vocabulary
    assert LabelVocabulary.of(GRAPH, sorted(codes, reverse=True)) == vocabulary
