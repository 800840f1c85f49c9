import json
from dataclasses import replace

import numpy as np
import pytest

from classifier.calibration.calibration import (
    Calibration,
    calibrated,
    fit,
    fit_climbing,
    fit_scaling,
    identity,
)
from classifier.calibration.climb import Climbing, climber_of
from classifier.calibration.outcomes import Outcome, outcome_table, outcomes
from classifier.calibration.scaling import Platt
from classifier.calibration.thresholds import Limits
from classifier.data.labels import Head, LabelSpace, Scores, Targets
from classifier.errors import CalibrationError
from classifier.evaluation.calibration import ece
from classifier.evaluation.multilabel import violations
from terminology.graph import BodyStructureGraph
from tests.classifier.evaluation.drawn import PARTS, drawn_scores, drawn_space


@pytest.fixture(scope="module")
def space(graph: BodyStructureGraph) -> LabelSpace:
    return drawn_space(graph)


@pytest.fixture(scope="module")
def scores(space: LabelSpace) -> Scores:
    return drawn_scores(space, 1500, skill=4.0)


@pytest.fixture(scope="module")
def fitted(scores: Scores, graph: BodyStructureGraph) -> Calibration:
    return fit(scores, graph, alpha=0.05)


def accuracy_of_leaves(scores: Scores, calibration: Calibration) -> tuple[float, float]:
    climber = climber_of(scores.space)
    p = calibration.apply(scores.space, scores.probabilities)[Head.EXAMINED]
    allowed = scores.targets.allowed[Head.EXAMINED]
    answers = climber.answers(climber.masses(p), calibration.climbing)
    plain = allowed.sum(axis=1) == 1
    leaf = climber.leaves(p, answers, calibration.climbing) & plain
    right = answers == climber.columns[allowed.argmax(axis=1)]
    return float(leaf.sum() / plain.sum()), float(right[leaf].mean())


def test_the_identity_changes_nothing(scores: Scores, space: LabelSpace):
    found = identity(space).apply(space, scores.probabilities)
    assert list(found) == list(scores.probabilities)
    for head in (Head.EXAMINED, Head.VIEW):
        assert (found[head] == scores.probabilities[head]).all()


def test_calibrated_probabilities_mean_what_they_say(
    scores: Scores, space: LabelSpace, fitted: Calibration
):
    fresh = drawn_scores(space, 1500, skill=4.0, seed=9)
    allowed = fresh.targets.allowed[Head.EXAMINED]
    plain = allowed.sum(axis=1) == 1

    def error(one: Scores) -> float:
        p = one.probabilities[Head.EXAMINED][plain]
        return ece(p.max(axis=1), allowed[plain][np.arange(plain.sum()), p.argmax(axis=1)])

    after = calibrated(fresh, fitted)
    assert error(after) < 0.04
    # Four times too sure.
    p = scores.probabilities[Head.EXAMINED].astype(np.float64) ** 4
    sure = {**scores.probabilities, Head.EXAMINED: p / p.sum(axis=1, keepdims=True)}
    again = fit_scaling(replace(scores, probabilities=sure))
    ratio = again.temperatures[Head.EXAMINED] / fitted.temperatures[Head.EXAMINED]
    assert ratio == pytest.approx(4, rel=0.01)
    known = fresh.targets.known
    cells = [
        ece(one.probabilities[Head.VISIBLE][known], fresh.targets.present[known])
        for one in (fresh, after)
    ]
    assert cells[1] < cells[0]


def test_calibrated_probabilities_stay_coherent(
    scores: Scores, space: LabelSpace, fitted: Calibration
):
    assert not fitted.visible.is_identity
    found = fitted.apply(space, scores.probabilities)
    assert all(found[head].dtype == np.float32 for head in space.heads)
    columns = np.array([space.vocabulary.columns[code] for code in space.columns(Head.EXAMINED)])
    broken = violations(found[Head.VISIBLE], space.vocabulary, found[Head.EXAMINED], columns)
    assert (broken.above_parent, broken.below_examined) == (0, 0)
    assert found[Head.EXAMINED].sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("alpha", [0.03, 0.05, 0.1])
def test_answered_leaves_of_other_patients_are_as_right_as_asked(
    scores: Scores, space: LabelSpace, graph: BodyStructureGraph, alpha: float
):
    found = fit(scores, graph, alpha=alpha, wrong_region=0.2)
    assert found.missed == ()
    coverage, accuracy = accuracy_of_leaves(drawn_scores(space, 3000, skill=4.0, seed=5), found)
    assert accuracy >= 1 - alpha
    assert coverage > 0.3


def test_sources_left_out_raise_the_thresholds(
    scores: Scores, space: LabelSpace, graph: BodyStructureGraph
):
    # There the model is as sure as here, and every fifth answer is about another picture.
    moved = drawn_scores(space, 1500, skill=4.0, seed=3)
    rows = np.arange(len(moved.keys))
    rows[::5] = np.roll(rows[::5], 1)
    moved = replace(
        moved, probabilities={head: one[rows] for head, one in moved.probabilities.items()}
    )
    limits = Limits(0.05, 0.15, None)
    scaling = fit_scaling(scores)
    own = fit_climbing(scaling, scores, graph, limits).climbing
    raised = fit_climbing(scaling, scores, graph, limits, shifted=moved)
    assert raised.climbing.region >= own.region
    assert raised.climbing.leaf >= raised.climbing.region
    strict = fit_climbing(scaling, scores, graph, Limits(0.05, 0.01, 0.05), shifted=moved)
    assert any("Of the" in one or "sources left out" in one for one in strict.missed)
    climber = climber_of(space, graph)
    p = scaling.apply(space, moved.probabilities)[Head.EXAMINED]
    allowed = moved.targets.allowed[Head.EXAMINED]
    plain = allowed.sum(axis=1) == 1
    truth = climber.columns[allowed[plain].argmax(axis=1)]
    answers = climber.answers(climber.masses(p[plain]), raised.climbing)
    found = outcomes(outcome_table(climber), truth, answers)
    assert found[:, list(Outcome).index(Outcome.WRONG_REGION)].mean() <= 0.15


def test_too_few_images_are_told(space: LabelSpace, graph: BodyStructureGraph):
    found = fit(drawn_scores(space, 60, skill=4.0), graph)
    assert len(found.missed) == 2
    assert found.climbing == Climbing(0.03, 0.97, 0.95)


def test_several_files_are_as_one(scores: Scores, space: LabelSpace, graph: BodyStructureGraph):
    other = drawn_scores(space, 300, seed=4)
    joined = fit([scores, other], graph)
    assert joined == fit([scores, other], graph)
    assert joined.temperatures != fit(scores, graph).temperatures


def test_scores_of_other_classes_are_refused(
    scores: Scores, graph: BodyStructureGraph, space: LabelSpace
):
    other = drawn_scores(drawn_space(graph, PARTS[:5]), 60)
    for call in (
        lambda: fit([scores, other], graph),
        lambda: fit(scores, graph, shifted=other),
        lambda: fit_climbing(identity(space), scores, graph, Limits(0.1, 0.1), shifted=other),
        lambda: fit([], graph),
    ):
        with pytest.raises(CalibrationError, match="scores"):
            call()


def test_a_model_without_the_examined_part_has_temperatures_alone(
    scores: Scores, space: LabelSpace, graph: BodyStructureGraph
):
    bare = replace(
        scores,
        space=LabelSpace(space.vocabulary, {Head.VIEW: space.columns(Head.VIEW)}, visible=False),
        probabilities={Head.VIEW: scores.probabilities[Head.VIEW]},
    )
    found = fit(bare, graph)
    assert set(found.temperatures) == {Head.VIEW}
    assert list(found.apply(bare.space, bare.probabilities)) == [Head.VIEW]


def test_a_calibration_is_the_same_after_it_was_written(fitted: Calibration):
    text = json.dumps(fitted.to_json(), allow_nan=False)
    assert Calibration.from_json(json.loads(text)) == fitted
    assert isinstance(Calibration.from_json(json.loads(text)).visible, Platt)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "bodysite-calibration-0"},
        {"climbing": {"alpha": 0.03, "leaf": 0.2, "region": 0.9}},
        {"climbing": {"alpha": 0.03}, "set_least": None},
        {"temperatures": {"nose": 1.0}},
        {"visible": None},
    ],
)
def test_a_damaged_calibration_is_refused(fitted: Calibration, change: dict):
    with pytest.raises(CalibrationError, match="cannot be read"):
        Calibration.from_json({**fitted.to_json(), **change})
    with pytest.raises(CalibrationError, match="cannot be read"):
        Calibration.from_json({})


@pytest.mark.parametrize(
    ("truth", "answer", "outcome"),
    [
        ("85562004", "85562004", Outcome.EXACT),
        ("85562004", "53120007", Outcome.ANCESTOR),
        ("85562004", "8205005", Outcome.SAME_REGION),
        ("53120007", "85562004", Outcome.SAME_REGION),
        # The limb holds both, and is no region to answer.
        ("85562004", "56459004", Outcome.WRONG_REGION),
        ("85562004", None, Outcome.ABSTAINED),
    ],
)
def test_every_answer_has_one_outcome(
    graph: BodyStructureGraph, truth: str, answer: str | None, outcome: Outcome
):
    space = drawn_space(graph, (*PARTS, "29836001", "127949000"))
    climber = climber_of(space, graph)
    at = space.vocabulary.columns
    said = -1 if answer is None else at[answer]
    found = outcomes(outcome_table(climber), np.array([at[truth]]), np.array([said]))
    assert [kind for kind, flag in zip(Outcome, found[0], strict=True) if flag] == [outcome]


def test_rare_classes_are_made_up_for(space: LabelSpace, graph: BodyStructureGraph):
    rng = np.random.default_rng(5)
    count, classes = 600, len(space.columns(Head.EXAMINED))
    truth = np.where(rng.random(count) < 0.9, 0, rng.integers(1, classes, count))
    # A model that sees something, and expects what it was trained on.
    logits = rng.normal(size=(count, classes)) + 2.0 * np.eye(classes)[truth]
    logits[:, 0] += 2.5
    rows = np.exp(logits - logits.max(axis=1, keepdims=True))
    rows /= rows.sum(axis=1, keepdims=True)
    groups = tuple(map(str, range(count)))
    allowed = {Head.EXAMINED: np.eye(classes, dtype=bool)[truth]}
    nothing = np.zeros((count, len(space.vocabulary)), bool)
    one = Scores(
        replace(space, classes={Head.EXAMINED: space.columns(Head.EXAMINED)}, visible=False),
        groups,
        groups,
        groups,
        groups,
        {Head.EXAMINED: rows.astype(np.float32)},
        Targets(allowed, nothing, nothing),
    )

    def recall(calibration: Calibration) -> float:
        found = calibration.apply(one.space, one.probabilities)[Head.EXAMINED]
        assert np.allclose(found.sum(axis=1), 1, atol=1e-5)
        right = found.argmax(axis=1) == truth
        return float(np.mean([right[truth == at].mean() for at in np.unique(truth)]))

    plain, balanced = fit(one, graph, balance=0.0), fit(one, graph)
    assert not plain.weights
    assert recall(balanced) > recall(plain) + 0.1
    trained = {
        code: float((truth == at).mean())
        for at, code in enumerate(one.space.columns(Head.EXAMINED))
    }
    expected = balanced.prior(trained)
    assert sum(expected.values()) == pytest.approx(1)
    first, *others = one.space.columns(Head.EXAMINED)
    assert expected[first] < trained[first]
    assert all(expected[code] >= trained[code] for code in others)
    assert Calibration.from_json(balanced.to_json()) == balanced
    assert plain.prior(trained) == pytest.approx(trained)
