import numpy as np
import pytest

from classifier.data.labels import Head, LabelSpace
from classifier.voting import Whole, lifted, product_of_experts, vote
from terminology.graph import BodyStructureGraph
from terminology.vocabulary import LabelVocabulary

HAND, WRIST, FOOT, CHEST = "85562004", "8205005", "56459004", "816094009"
UPPER_LIMB = "53120007"


@pytest.fixture(scope="module")
def space(graph: BodyStructureGraph) -> LabelSpace:
    return LabelSpace(
        LabelVocabulary.of(graph, [HAND, WRIST, FOOT, CHEST]),
        {
            Head.EXAMINED: (HAND, FOOT, CHEST),
            Head.VIEW: ("399348003", "399067008"),
            Head.MODALITY: ("DX", "CT"),
        },
    )


def rows(*values: list[float]) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_product_of_experts_of_equal_members_is_that_member():
    one = [0.7, 0.2, 0.1]
    assert product_of_experts(rows(one, one, one)) == pytest.approx(one, abs=1e-6)


def test_a_repeated_member_does_not_make_the_vote_surer():
    once = product_of_experts(rows([0.6, 0.4], [0.5, 0.5]))
    often = product_of_experts(rows(*[[0.6, 0.4], [0.5, 0.5]] * 8))
    assert often == pytest.approx(once, abs=1e-6)


def test_product_of_experts_is_the_normalised_geometric_mean():
    # sqrt(.9 * .4) = .6 and sqrt(.1 * .6) = .244949, together .844949.
    found = product_of_experts(rows([0.9, 0.1], [0.4, 0.6]))
    assert found == pytest.approx([0.7101, 0.2899], abs=1e-4)


def test_no_single_member_has_a_veto():
    certain_against = product_of_experts(rows([0.98, 0.02], [0.98, 0.02], [0.0, 1.0]))
    assert certain_against[0] > 0.01
    assert np.isfinite(certain_against).all()


def test_members_that_are_all_zero_for_a_class_give_a_distribution():
    found = product_of_experts(rows([1.0, 0.0], [0.0, 1.0]))
    assert found == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize("whole", list(Whole))
def test_one_member_keeps_its_answer(space: LabelSpace, whole: Whole):
    member = {
        Head.EXAMINED: rows([0.7, 0.2, 0.1]),
        Head.VIEW: rows([0.8, 0.2]),
        Head.VISIBLE: np.full((1, len(space.vocabulary)), 0.9, dtype=np.float32),
    }
    found = vote(space, member, whole)
    for head, values in member.items():
        assert found[head] == pytest.approx(values[0], abs=1e-6)
        assert found[head].dtype == np.float32


def test_visible_in_any_frame_is_visible_in_the_instance(space: LabelSpace):
    frames = np.full((8, len(space.vocabulary)), 0.2, dtype=np.float32)
    hand = space.vocabulary.columns[HAND]
    frames[3, [hand, *space.vocabulary.ancestors[hand]]] = 0.9
    found = vote(space, {Head.VISIBLE: frames}, Whole.INSTANCE)[Head.VISIBLE]
    assert found[hand] == pytest.approx(0.9)
    # Noisy-or would say 1 - .8^8 = .83 of what every frame says is not there.
    assert found[space.vocabulary.columns[CHEST]] == pytest.approx(0.2)


def test_a_series_of_two_views_is_one_part_and_both_views(space: LabelSpace):
    instances = {
        Head.EXAMINED: rows([0.9, 0.05, 0.05], [0.8, 0.1, 0.1]),
        Head.VIEW: rows([0.98, 0.02], [0.04, 0.96]),
    }
    found = vote(space, instances, Whole.SERIES)
    assert found[Head.VIEW] == pytest.approx([0.51, 0.49], abs=1e-6)
    assert found[Head.EXAMINED][0] > 0.85


def test_a_study_of_two_parts_is_half_of_each(space: LabelSpace):
    series = {Head.EXAMINED: rows([0.98, 0.01, 0.01], [0.01, 0.98, 0.01])}
    found = vote(space, series, Whole.STUDY)[Head.EXAMINED]
    assert found == pytest.approx([0.495, 0.495, 0.01], abs=1e-6)


def test_what_is_examined_is_visible_and_so_are_its_regions(space: LabelSpace):
    vocabulary = space.vocabulary
    found = lifted(space, np.full(len(vocabulary), 0.1, dtype=np.float32), rows([0.7, 0.3, 0.0])[0])
    hand = vocabulary.columns[HAND]
    assert found[hand] == pytest.approx(0.7)
    assert all(found[above] >= found[hand] for above in vocabulary.ancestors[hand])
    assert found[vocabulary.columns[FOOT]] == pytest.approx(0.3)
    assert found[vocabulary.columns[CHEST]] == pytest.approx(0.1)


def test_a_region_is_as_visible_as_the_examined_parts_in_it_are_together(graph: BodyStructureGraph):
    vocabulary = LabelVocabulary.of(graph, [HAND, WRIST, FOOT, UPPER_LIMB])
    space = LabelSpace(vocabulary, {Head.EXAMINED: (HAND, WRIST, FOOT)})
    none = np.zeros(len(vocabulary), dtype=np.float32)
    found = lifted(space, none, rows([0.4, 0.35, 0.25])[0])
    assert found[vocabulary.columns[UPPER_LIMB]] == pytest.approx(0.75)
    assert found[vocabulary.columns[FOOT]] == pytest.approx(0.25)


def test_votes_stay_coherent_on_random_members(space: LabelSpace):
    rng = np.random.default_rng(5)
    vocabulary = space.vocabulary
    for _ in range(20):
        raw = rng.random((4, len(vocabulary))).astype(np.float32)
        for column in reversed(range(len(vocabulary))):
            for parent in vocabulary.parents[column]:
                raw[:, parent] = np.maximum(raw[:, parent], raw[:, column])
        examined = rng.dirichlet(np.ones(3), 4).astype(np.float32)
        found = vote(space, {Head.VISIBLE: raw, Head.EXAMINED: examined}, Whole.INSTANCE)
        visible = found[Head.VISIBLE]
        for column in range(len(vocabulary)):
            assert all(visible[above] >= visible[column] for above in vocabulary.ancestors[column])
        for code, probability in zip(
            space.columns(Head.EXAMINED), found[Head.EXAMINED], strict=True
        ):
            assert visible[vocabulary.columns[code]] >= probability
        assert found[Head.EXAMINED].sum() == pytest.approx(1, abs=1e-5)
