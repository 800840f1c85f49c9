import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classifier.calibration.calibration import fit
from classifier.calibration.outcomes import Outcome
from classifier.data.labels import Head, LabelSpace, Scores
from classifier.evaluation.abstention import abstention
from classifier.evaluation.sections import abstention_tables
from terminology.graph import BodyStructureGraph
from tests.classifier.evaluation.drawn import drawn_scores, drawn_space


@pytest.fixture(scope="module")
def space(graph: BodyStructureGraph) -> LabelSpace:
    return drawn_space(graph)


@pytest.fixture(scope="module")
def scores(space: LabelSpace) -> Scores:
    return drawn_scores(space, 900, skill=2.5)


@pytest.fixture(scope="module")
def found(scores: Scores, graph: BodyStructureGraph) -> dict:
    figures = abstention(scores, graph, draws=100, alphas=(0.05, 0.1), alpha=0.1)
    assert figures is not None
    return figures


def values(figures: dict) -> dict[str, float]:
    return {name: one["value"] for name, one in figures.items()}


def test_the_outcomes_make_up_all_images(found: dict, scores: Scores):
    plain = scores.targets.allowed[Head.EXAMINED].sum(axis=1) == 1
    assert found["images"] == plain.sum()
    assert sum(one["n"] for one in found["regions"]) == plain.sum()
    assert sum(one["n"] for one in found["sources"].values()) == plain.sum()
    for part in (*found["alphas"], *found["regions"], *found["sources"].values()):
        shares = values(part["figures"])
        assert sum(shares[kind] for kind in Outcome) == pytest.approx(1)
        assert shares["right"] == pytest.approx(shares["exact"] + shares["ancestor"])
    one = values(found["alphas"][1]["figures"])
    mean = sum(part["n"] * part["figures"]["exact"]["value"] for part in found["regions"])
    assert mean / found["images"] == pytest.approx(one["exact"])


def test_a_stricter_alpha_answers_fewer_leaves_and_errs_less(found: dict):
    strict, loose = (values(one["figures"]) for one in found["alphas"])
    assert strict["leaf_coverage"] < loose["leaf_coverage"]
    assert strict["leaf_accuracy"] > loose["leaf_accuracy"]
    assert loose["leaf_accuracy"] >= 0.9
    for one in found["alphas"]:
        for name, figure in one["figures"].items():
            assert figure["low"] <= figure["value"] <= figure["high"], name


def test_sets_hold_the_right_class_as_often_as_wanted(found: dict):
    for one in found["sets"]:
        assert values(one["figures"])["covered"] == pytest.approx(one["coverage"], abs=0.03)
    sizes = [values(one["figures"])["size"] for one in found["sets"]]
    assert sizes == sorted(sizes)


def test_calibration_errs_less_after_than_before(found: dict, scores: Scores):
    assert set(found["ece"]) == {str(head) for head in scores.space.heads}
    visible = found["ece"]["visible"]
    assert visible["after"]["value"] < visible["before"]["value"]


def test_no_image_is_calibrated_by_its_own_patient(scores: Scores, graph: BodyStructureGraph):
    # The truths of one patient are turned round: the figures of the others stay.
    rows = np.flatnonzero(np.asarray(scores.groups) != scores.groups[0])
    changed = {head: flags.copy() for head, flags in scores.targets.allowed.items()}
    own = np.setdiff1d(np.arange(len(scores.keys)), rows)
    changed[Head.EXAMINED][own] = np.roll(changed[Head.EXAMINED][own], 1, axis=1)
    other = replace(scores, targets=replace(scores.targets, allowed=changed))
    first, second = (fit(one.take(rows), graph, alpha=0.1).to_json() for one in (scores, other))
    assert first == second


def test_the_same_seed_gives_the_same_figures(scores: Scores, graph: BodyStructureGraph):
    few = scores.take(np.arange(300))
    first, second = (abstention(few, graph, draws=20, alphas=(0.1,)) for _ in range(2))
    assert first == second


def test_sources_left_out_make_it_more_careful(scores: Scores, graph: BodyStructureGraph):
    rows = np.random.default_rng(0).permutation(len(scores.keys))
    moved = replace(
        scores, probabilities={head: one[rows] for head, one in scores.probabilities.items()}
    )
    calm, careful = (
        abstention(scores, graph, draws=0, alphas=(0.1,), shifted=one) for one in (None, moved)
    )
    assert calm is not None
    assert careful is not None
    assert careful["alphas"][0]["region"] > calm["alphas"][0]["region"]
    shares = [values(one["alphas"][0]["figures"])["abstained"] for one in (calm, careful)]
    assert shares[0] < shares[1]
    assert careful["alphas"][0]["figures"]["right"]["low"] is None


def test_there_are_no_figures_of_too_few_patients_or_without_the_head(
    scores: Scores, space: LabelSpace, graph: BodyStructureGraph
):
    assert abstention(scores.take(np.arange(9)), graph) is None
    views = {Head.VIEW: scores.probabilities[Head.VIEW]}
    bare = LabelSpace(space.vocabulary, {Head.VIEW: space.columns(Head.VIEW)}, visible=False)
    assert abstention(replace(scores, space=bare, probabilities=views), graph) is None


def test_nothing_known_gives_figures_without_values(scores: Scores, graph: BodyStructureGraph):
    none = {head: flags & False for head, flags in scores.targets.allowed.items()}
    empty = replace(scores, targets=replace(scores.targets, allowed=none))
    found = abstention(empty, graph, draws=10, alphas=(0.1,))
    assert found is not None
    assert found["images"] == 0
    assert found["alphas"][0]["figures"]["right"]["value"] is None
    json.dumps(found, allow_nan=False)
    assert "–" in abstention_tables(found)


def test_the_tables_show_the_figures(found: dict):
    html = abstention_tables(found)
    right = found["alphas"][0]["figures"]["right"]
    assert f"{right['value']:.3f} <small>{right['low']:.3f} to {right['high']:.3f}</small>" in html
    for one in found["regions"]:
        assert one["name"] in html
    assert "Answers by part, at alpha 0.1" in html
    assert "Examined part" in html


def test_every_figure_is_in_the_documentation(found: dict):
    text = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
    part = text.split("## Where it abstains")[1].split("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", part))
    assert {*found["alphas"][0]["figures"], "covered", "size"} <= named
