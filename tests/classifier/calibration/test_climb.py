import numpy as np
import pytest

from classifier.calibration.climb import (
    DIVISIONS,
    TOO_BROAD,
    Climber,
    Climbing,
    climb,
    climber_of,
    is_answerable,
    prediction_set,
)
from classifier.data.labels import Head, LabelSpace
from terminology.graph import BodyStructureGraph
from terminology.vocabulary import LabelVocabulary

HAND, FOOT, ANKLE, KNEE, CHEST = "85562004", "56459004", "344001", "72696002", "816094009"
PELVIS, HIP, WRIST, SPINE, LUMBAR = (
    "816092008",
    "29836001",
    "8205005",
    "421060004",
    "122496007",
)
UPPER_LIMB, LOWER_LIMB, LIMB, WRIST_OR_HAND = "53120007", "61685007", "66019005", "307113009"
CLASSES = (HAND, FOOT, ANKLE, KNEE, CHEST, PELVIS, HIP, WRIST, SPINE, LUMBAR, "127949000")
SURE = Climbing(0.05, 0.9, 0.8)


def space_of(graph: BodyStructureGraph, classes: tuple[str, ...] = CLASSES) -> LabelSpace:
    return LabelSpace(LabelVocabulary.of(graph, classes), {Head.EXAMINED: classes})


def posterior(space: LabelSpace, **shares: float) -> np.ndarray:
    names = {f"c{code}": at for at, code in enumerate(space.columns(Head.EXAMINED))}
    found = np.zeros(len(names), dtype=np.float32)
    for name, share in shares.items():
        found[names[name]] = share
    return found


@pytest.mark.parametrize(
    ("shares", "code", "mass", "leaf"),
    [
        ({f"c{HAND}": 0.95, f"c{FOOT}": 0.05}, HAND, 0.95, True),
        # The hand is not sure enough; with the wrist it is.
        ({f"c{HAND}": 0.6, f"c{WRIST}": 0.3, f"c{CHEST}": 0.1}, WRIST_OR_HAND, 0.9, False),
        ({f"c{HAND}": 0.5, "c127949000": 0.35, f"c{CHEST}": 0.15}, UPPER_LIMB, 0.85, False),
        # The most probable leaf is the hand, and the answer lies elsewhere.
        (
            {f"c{HAND}": 0.2, f"c{FOOT}": 0.3, f"c{ANKLE}": 0.1, f"c{KNEE}": 0.4},
            LOWER_LIMB,
            0.8,
            False,
        ),
        # A class that subsumes another: its own probability is not that of the other.
        ({f"c{SPINE}": 0.5, f"c{LUMBAR}": 0.4, f"c{CHEST}": 0.1}, SPINE, 0.9, False),
        ({f"c{SPINE}": 0.95, f"c{LUMBAR}": 0.05}, SPINE, 1.0, True),
        ({f"c{LUMBAR}": 0.92, f"c{SPINE}": 0.08}, LUMBAR, 0.92, True),
    ],
)
def test_the_most_specific_concept_that_is_sure_enough_is_answered(
    graph: BodyStructureGraph, shares: dict[str, float], code: str, mass: float, leaf: bool
):
    space = space_of(graph)
    found = climb(space, graph, posterior(space, **shares), SURE)
    assert found is not None
    assert (found.code, found.leaf) == (code, leaf)
    assert found.mass == pytest.approx(mass, abs=1e-6)


@pytest.mark.parametrize(
    "shares",
    [
        # Only the limb would be sure enough.
        {f"c{HAND}": 0.5, f"c{FOOT}": 0.5},
        {f"c{CHEST}": 0.5, f"c{FOOT}": 0.5},
        {f"c{CHEST}": 0.75, f"c{FOOT}": 0.25},
    ],
)
def test_nothing_is_answered_where_no_region_is_sure_enough(
    graph: BodyStructureGraph, shares: dict[str, float]
):
    space = space_of(graph)
    assert LIMB in space.vocabulary
    assert climb(space, graph, posterior(space, **shares), SURE) is None


def test_a_number_stands_for_one_minus_alpha(graph: BodyStructureGraph):
    space = space_of(graph)
    p = posterior(space, **{f"c{HAND}": 0.8, f"c{FOOT}": 0.2})
    assert climb(space, None, p, 0.2) is not None
    assert climb(space, None, p, 0.19) is None
    assert Climbing.of(0.2) == Climbing(0.2, 0.8, 0.8)


@pytest.mark.parametrize("values", [(0.0, 0.9, 0.9), (0.5, 0.9, 0.9), (0.1, 0.5, 0.9), (0.1, 1, 2)])
def test_thresholds_that_let_two_answers_exclude_each_other_are_refused(values: tuple[float, ...]):
    with pytest.raises(ValueError, match="expected"):
        Climbing(*values)


def test_a_lone_class_is_no_surer_under_another_name(graph: BodyStructureGraph):
    # 307113009 |Wrist and/or hand| holds the hand and nothing else: the same bet.
    vocabulary = LabelVocabulary.of(graph, (HAND, WRIST_OR_HAND, CHEST, FOOT))
    climber = Climber(vocabulary, (HAND, CHEST, FOOT))
    p = np.array([[0.85, 0.15, 0.0]])
    assert climber.answers(climber.masses(p), SURE).tolist() == [-1]


def test_what_is_answered_holds_the_probability_whatever_the_posterior(graph: BodyStructureGraph):
    space = space_of(graph)
    climber = climber_of(space, graph)
    rng = np.random.default_rng(0)
    drawn = rng.dirichlet(np.full(len(CLASSES), 0.15), size=2000)
    masses = climber.masses(drawn)
    answers = climber.answers(masses, SURE)
    assert 0.2 < (answers >= 0).mean() < 1
    sure = masses[np.arange(len(drawn)), answers]
    assert sure[answers >= 0].min() >= SURE.region - 1e-6
    assert not set(answers[answers >= 0].tolist()) & set(np.flatnonzero(~climber.answerable))
    for row, column in zip(masses, answers, strict=True):
        below = space.vocabulary.descendants[column] if column >= 0 else range(len(row))
        for other in below:
            least = SURE.leaf if climber.single[other] else SURE.region
            assert row[other] < least or not climber.answerable[other]
    again = [climber.climb(row, SURE) for row in drawn[:50]]
    codes = [None if one is None else one.code for one in again]
    assert codes == [None if at < 0 else climber.codes[at] for at in answers[:50]]


def test_several_parents_leave_one_answer(graph: BodyStructureGraph):
    # The pelvis lies in |Abdomen and Pelvis| and in |Pelvis and lower extremities|.
    classes = (PELVIS, HIP, "818981001", HAND)
    space = space_of(graph, classes)
    p = np.array([0.9, 0.05, 0.05, 0.0], dtype=np.float32)
    found = climb(space, graph, p, Climbing(0.05, 0.97, 0.9))
    assert found is not None
    assert found.code in {"818982008", "1231522001"}
    assert found == climb(space, graph, p, Climbing(0.05, 0.97, 0.9))


def test_concepts_that_hold_several_divisions_of_the_body_are_the_listed_ones(
    graph: BodyStructureGraph,
):
    held = {
        code
        for part in DIVISIONS
        for code in graph.ancestors(part)
        if sum(one == code or graph.subsumes(code, one) for one in DIVISIONS) > 1
    }
    assert held == TOO_BROAD
    for code in (*DIVISIONS, "774007", "1231522001", SPINE, CHEST):
        assert is_answerable(code, graph)
        assert is_answerable(code)
    for code in held:
        assert not is_answerable(code, graph)


def test_the_prediction_set_holds_what_is_probable_and_the_best():
    p = np.array([0.3, 0.3, 0.38, 0.02])
    assert prediction_set(("b", "a", "c", "d"), p, 0.3) == ("c", "a", "b")
    assert prediction_set(("b", "a", "c", "d"), p, 0.9) == ("c",)
    assert prediction_set(("b", "a", "c", "d"), p, 0.0) == ("c", "a", "b", "d")
