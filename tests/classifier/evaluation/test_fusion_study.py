import json

import numpy as np
import pytest
from click.testing import CliRunner

from classifier.calibration.climb import Climbing
from classifier.data.labels import Head, LabelSpace, Scores, Targets
from classifier.data.scores import save_scores
from classifier.errors import ReportError
from classifier.evaluate_cli import evaluate
from classifier.evaluation.fusion_section import fusion_figures, fusion_section
from classifier.evaluation.fusion_study import Noise, cross_calibrated, draw_headers, study
from classifier.fusion import FusionSettings
from classifier.fusion.nearness import Nearness
from terminology.vocabulary import LabelVocabulary

PARTS = (
    "816094009", "818981001", "816092008", "29836001", "68367000", "72696002", "30021000",
    "344001", "56459004", "85562004", "14975008", "16982005",
)  # fmt: skip


def sampled(graph, count, skill, seed=0):
    """Scores that mean what they say: the truth is drawn from the very probabilities.

    Some images are sure, by up to `skill`, and some are not at all.
    """
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 0.5, (count, len(PARTS)))
    logits[np.arange(count), rng.integers(0, len(PARTS), count)] += rng.uniform(0, skill, count)
    p = np.exp(logits)
    p /= p.sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(len(PARTS), p=row) for row in p])
    vocabulary = LabelVocabulary.of(graph, PARTS)
    nothing = np.zeros((count, len(vocabulary)), dtype=bool)
    return Scores(
        space=LabelSpace(vocabulary, {Head.EXAMINED: PARTS}, False),
        keys=tuple(map(str, range(count))),
        groups=tuple(str(number // 2) for number in range(count)),
        sources=("set",) * count,
        paths=("none",) * count,
        probabilities={Head.EXAMINED: p.astype(np.float32)},
        targets=Targets({Head.EXAMINED: np.eye(len(PARTS), dtype=bool)[truth]}, nothing, nothing),
    )


@pytest.fixture(scope="module")
def scores(graph):
    return sampled(graph, 1500, 12.0)


def figures(found):
    return {name: one["value"] for name, one in found["figures"].items()}


@pytest.mark.parametrize("climbing", [None, Climbing.of(0.1)])
def test_fused_is_better_than_either_alone(graph, scores, climbing):
    found = study(scores, graph, climbing=climbing, rng=np.random.default_rng(3), draws=200)
    told = figures(found)
    assert found["images"] == 1500
    assert found["patients"] == 750
    assert told["header"] == pytest.approx(0.847, abs=0.03)
    assert told["fused"] > max(told["header"], told["image"]) + 0.03
    assert told["union recall"] > max(told["header"], told["image"]) + 0.1
    assert told["conflict precision"] >= 0.9
    assert told["intersection precision"] > 0.95
    assert told["fused or above"] >= told["fused"]
    low, high = (found["figures"]["fused"][key] for key in ("low", "high"))
    assert low < told["fused"] < high


def test_the_same_seed_draws_the_same_headers(graph, scores):
    first, second, other = (
        figures(study(scores, graph, rng=np.random.default_rng(seed), draws=0))
        for seed in (3, 3, 4)
    )
    assert first == second
    assert first != other


def test_errors_are_as_many_and_as_near_as_asked_for(graph):
    truth = np.zeros(4000, dtype=np.intp) + PARTS.index("72696002")
    noise = Noise(error=0.2, near=0.75, missing=0.1)
    named = draw_headers(truth, PARTS, graph, noise, np.random.default_rng(1))
    assert np.mean(named == -1) == pytest.approx(0.1, abs=0.02)
    told = named[named >= 0]
    wrong = told[told != truth[0]]
    assert len(wrong) / len(told) == pytest.approx(0.2, abs=0.02)
    near = Nearness.of(graph)
    beside = np.mean([near.beside("72696002", PARTS[one]) for one in wrong])
    neighbours = sum(near.beside("72696002", code) for code in PARTS if code != "72696002")
    assert beside == pytest.approx(0.75 + 0.25 * neighbours / (len(PARTS) - 1), abs=0.04)


def test_headers_without_errors_are_followed(graph, scores):
    told = figures(study(scores, graph, Noise(error=0.0), rng=np.random.default_rng(0), draws=0))
    assert told["header"] == 1.0
    assert told["conflict recall"] is None
    assert told["fused"] > 0.95


def test_headers_that_name_nothing_leave_the_image(graph, scores):
    told = figures(study(scores, graph, Noise(missing=1.0), rng=np.random.default_rng(0), draws=0))
    assert told["header"] == 0.0
    assert told["fused"] == told["image"] == told["bayes"]


def test_settings_reach_the_fusion(graph, scores):
    never = FusionSettings(tau_hi=1.0)
    told = figures(study(scores, graph, settings=never, rng=np.random.default_rng(0), draws=0))
    assert told["conflict recall"] == 0.0


def test_overconfident_scores_are_calibrated_by_other_patients(graph, scores):
    p = scores.probabilities[Head.EXAMINED].astype(np.float64) ** 3
    p /= p.sum(axis=1, keepdims=True)
    loud = Scores(
        scores.space, scores.keys, scores.groups, scores.sources, scores.paths,
        {Head.EXAMINED: p.astype(np.float32)}, scores.targets,
    )  # fmt: skip
    mended = cross_calibrated(loud, graph).probabilities[Head.EXAMINED]
    before = np.abs(p - scores.probabilities[Head.EXAMINED]).mean()
    assert np.abs(mended - scores.probabilities[Head.EXAMINED]).mean() < before / 4
    assert (loud.probabilities[Head.EXAMINED] == p.astype(np.float32)).all()


def test_scores_that_cannot_be_studied_are_refused(graph, scores):
    vocabulary = scores.space.vocabulary
    rng = np.random.default_rng(0)
    unknown = Targets(
        {Head.EXAMINED: np.ones((1500, len(PARTS)), dtype=bool)},
        scores.targets.present,
        scores.targets.known,
    )
    for one in (
        Scores(LabelSpace(vocabulary, {}, False), (), (), (), (), {}, scores.targets.take([])),
        Scores(scores.space, scores.keys, scores.groups, scores.sources, scores.paths,
               scores.probabilities, unknown),
    ):  # fmt: skip
        with pytest.raises(ReportError):
            study(one, graph, rng=rng)


def test_evaluate_shows_fusion_in_lines_figures_and_page(graph, tmp_path):
    path = tmp_path / "scores.npz"
    save_scores(path, sampled(graph, 200, 12.0))
    out = tmp_path / "report"
    given = [str(path), "--fusion", "--draws", "20", "--worst", "0", "--out", str(out)]
    result = CliRunner().invoke(evaluate, given)
    assert result.exit_code == 0, result.output
    assert "Fusion, headers 15.3 % wrong: header 8" in result.output
    told = json.loads((out / "metrics.json").read_text())["fusion"]
    assert set(told) == {"15.3 % wrong", "15.3 % wrong, 30 % missing"}
    assert "Header and image" in (out / "index.html").read_text()


def test_a_figure_that_is_undefined_has_a_dash(graph):
    found = fusion_figures(sampled(graph, 3, 40.0), graph, draws=0)
    assert "–" in fusion_section(found).body
