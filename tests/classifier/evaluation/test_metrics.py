import json

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from classifier.data.labels import Head, LabelSpace, Scores, Targets
from classifier.errors import DataSetError
from classifier.evaluation.irma_error import Branching, run_score
from classifier.evaluation.metrics import LOWER_IS_BETTER, evaluate
from terminology.sources.irma import IrmaCode
from terminology.sources.irma_lists import embedded_lists
from terminology.vocabulary import LabelVocabulary

NAMES = ("limb", "trunk", "foot", "hand")
VOCABULARY = LabelVocabulary(NAMES, tuple(n.title() for n in NAMES), ((), (), (0,), (0,)), "1")
CLASSES = ("trunk", "foot", "hand")
CODES = ("1121-120-463-700", "1121-120-461-700", "1121-120-411-700", "1121-127-700-500")
SPACE = LabelSpace(
    VOCABULARY, {Head.EXAMINED: CLASSES, Head.MODALITY: ("CR", "CT"), Head.IRMA: CODES}
)
DRAWS = 200


def softmax(values):
    raised = np.exp(values)
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def coherent(visible):
    visible[:, 0] = visible[:, [0, 2, 3]].max(axis=1)
    return visible


def made(count=80, seed=0, skill=2.0):
    """Scores with plain, coarse (foot or hand) and unknown rows, two sources, pairs of images."""
    rng = np.random.default_rng(seed)
    allowed, probabilities, truth = {}, {}, {}
    for head in (Head.EXAMINED, Head.MODALITY, Head.IRMA):
        classes = len(SPACE.columns(head))
        truth[head] = rng.integers(0, classes, count)
        allowed[head] = np.eye(classes, dtype=bool)[truth[head]]
        noise = rng.normal(size=(count, classes))
        probabilities[head] = softmax(noise + skill * allowed[head])
    allowed[Head.EXAMINED][::9] = [False, True, True]
    allowed[Head.EXAMINED][4::11] = False
    present = np.zeros((count, 4), dtype=bool)
    for row, one in enumerate(truth[Head.EXAMINED]):
        present[row, list(VOCABULARY.closed([VOCABULARY.columns[CLASSES[one]]]))] = True
    known = np.ones_like(present)
    known[::7, 2:] = False
    visible = np.clip(present * 0.3 + rng.random((count, 4)) * 0.7, 0, 1).astype(np.float32)
    columns = [VOCABULARY.columns[code] for code in CLASSES]
    visible[:, columns] = np.maximum(visible[:, columns], probabilities[Head.EXAMINED])
    probabilities[Head.VISIBLE] = coherent(visible)
    return Scores(
        space=SPACE,
        keys=tuple(f"k{at}" for at in range(count)),
        groups=tuple(f"g{at // 2}" for at in range(count)),
        sources=tuple("north" if at % 3 else "south" for at in range(count)),
        paths=tuple(f"{at}.png" for at in range(count)),
        probabilities=probabilities,
        targets=Targets(allowed, present & known, known),
    )


@pytest.fixture(scope="module")
def scores():
    return made()


@pytest.fixture(scope="module")
def figures(scores):
    return evaluate(scores, draws=DRAWS)


def all_scores(figures):
    for part in (figures["heads"], *figures["by_source"].values()):
        for head, found in part.items():
            for name, score in found["scores"].items():
                yield head, name, score


def test_the_figures_are_json_and_come_back_the_same(figures):
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_every_score_has_a_value_within_its_interval_and_a_floor_or_says_why_not(figures):
    seen = set()
    for head, name, score in all_scores(figures):
        seen.add((head, name))
        assert set(score) == {"value", "low", "high", "draws", "floors", "n", "reason"}
        assert (score["value"] is None) == (score["reason"] is not None), name
        assert score["floors"], name
        assert score["low"] is None or score["low"] <= score["high"]
    assert {"accuracy", "compatible_accuracy", "macro_f1", "top_5", "ece", "brier", "nll"} <= {
        name for head, name in seen if head == "modality"
    }
    assert {"hP", "hF_macro", "lca_F", "exact", "wrong", "aurc"} <= {
        name for head, name in seen if head == "examined"
    }
    assert {"micro_f1", "macro_f1", "map", "subset_accuracy", "hamming_loss", "hR", "lca_P"} <= {
        name for head, name in seen if head == "visible"
    }
    assert ("irma", "irma_error") in seen


def test_a_model_with_skill_beats_every_floor_and_one_without_does_not(figures):
    for name, score in figures["heads"]["examined"]["scores"].items():
        for floor in score["floors"].values():
            if name in {"accuracy", "macro_f1", "hF", "lca_F", "map", "top_3"}:
                assert score["value"] >= floor
            if name in {"brier", "aurc", "wrong"}:
                assert name in LOWER_IS_BETTER
                assert score["value"] <= floor
    blind = evaluate(made(skill=0.0), draws=0)["heads"]["modality"]["scores"]["accuracy"]
    assert blind["value"] < blind["floors"]["majority class"] + 0.15


def test_the_figures_are_those_of_scikit_learn(scores, figures):
    allowed = scores.targets.allowed[Head.EXAMINED]
    plain = allowed.sum(axis=1) == 1
    truth = allowed.argmax(axis=1)[plain]
    said = scores.probabilities[Head.EXAMINED].argmax(axis=1)[plain]
    found = figures["heads"]["examined"]
    assert found["n_plain"] == plain.sum()
    assert found["n_coarse"] + found["n_plain"] + found["n_unknown"] == 80
    values = {name: score["value"] for name, score in found["scores"].items()}
    assert values["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(truth, said))
    assert values["macro_f1"] == pytest.approx(
        sklearn_metrics.f1_score(truth, said, average="macro")
    )
    assert found["confusion"] == sklearn_metrics.confusion_matrix(truth, said).tolist()
    assert values["exact"] == pytest.approx(values["accuracy"])
    majority = np.bincount(truth).max() / len(truth)
    assert found["scores"]["accuracy"]["floors"] == pytest.approx(
        {"majority class": majority, "prior probability": majority}
    )


def test_compatible_accuracy_is_over_coarse_rows_too(scores, figures):
    allowed = scores.targets.allowed[Head.EXAMINED]
    some = allowed.any(axis=1)
    said = scores.probabilities[Head.EXAMINED].argmax(axis=1)
    score = figures["heads"]["examined"]["scores"]["compatible_accuracy"]
    assert score["value"] == pytest.approx(allowed[np.arange(80), said][some].mean())
    assert score["n"] == some.sum()


def test_mean_average_precision_says_over_how_many_labels(scores, figures):
    targets = scores.targets
    expected = [
        sklearn_metrics.average_precision_score(
            targets.present[targets.known[:, at], at],
            scores.probabilities[Head.VISIBLE][targets.known[:, at], at],
        )
        for at in range(4)
    ]
    found = figures["heads"]["visible"]
    assert found["scores"]["map"]["value"] == pytest.approx(np.mean(expected))
    assert found["labels_with_positives"] == 4
    listed = [entry["average_precision"]["value"] for entry in found["per_label"]]
    assert listed == pytest.approx(expected)
    assert [entry["name"] for entry in found["per_label"]] == ["Limb", "Trunk", "Foot", "Hand"]


def test_coherent_answers_have_the_micro_precision_as_hierarchical_precision(figures):
    found = {name: one["value"] for name, one in figures["heads"]["visible"]["scores"].items()}
    assert found["hP"] == pytest.approx(found["micro_precision"])
    assert found["hR"] == pytest.approx(found["micro_recall"])
    assert found["hF"] == pytest.approx(found["micro_f1"])


def test_hamming_has_the_floor_of_nothing_predicted_beside_it(scores, figures):
    known, present = scores.targets.known, scores.targets.present
    floor = figures["heads"]["visible"]["scores"]["hamming_loss"]["floors"]["nothing predicted"]
    assert floor == pytest.approx(present[known].mean())


def test_coherent_scores_have_no_violations_and_others_are_counted(scores, figures):
    found = figures["heads"]["visible"]["violations"]
    assert (found["above_parent"], found["below_examined"]) == (0, 0)
    broken = made()
    broken.probabilities[Head.VISIBLE][:3] = [0.0, 0.0, 0.0, 0.9]
    counted = evaluate(broken, draws=0)["heads"]["visible"]["violations"]
    assert counted == {"images": 80, "above_parent": 3, "below_examined": 3}


def test_the_irma_score_is_that_of_the_codes(scores, figures):
    codes = [IrmaCode.parse(code) for code in CODES]
    truth = scores.targets.allowed[Head.IRMA].argmax(axis=1)
    said = scores.probabilities[Head.IRMA].argmax(axis=1)
    branching = Branching.of(embedded_lists().of("2008"))
    expected = run_score([codes[at] for at in truth], [codes[at] for at in said], branching)
    found = figures["heads"]["irma"]
    assert found["irma"]["version"] == "2008"
    assert found["irma"]["run_score"] == pytest.approx(expected)
    assert found["scores"]["irma_error"]["value"] == pytest.approx(expected / 80)
    assert found["scores"]["irma_error"]["floors"]["nothing predicted"] == pytest.approx(0.5)
    hedged = found["scores"]["irma_error_hedged"]["value"]
    assert hedged == pytest.approx(found["irma"]["run_score_hedged"] / 80)


def test_codes_of_no_list_have_no_irma_score_and_say_so():
    codes = ("1121-120-4z3-700", "1121-120-463-700")
    space = LabelSpace(VOCABULARY, {Head.IRMA: codes}, visible=False)
    allowed = {Head.IRMA: np.eye(2, dtype=bool)}
    nothing = np.zeros((2, 4), dtype=bool)
    two = ("a", "b")
    scores = Scores(
        space, two, two, two, two, {Head.IRMA: np.eye(2, dtype=np.float32)},
        Targets(allowed, nothing, nothing),
    )  # fmt: skip
    score = evaluate(scores, draws=10)["heads"]["irma"]["scores"]["irma_error"]
    assert score["value"] is None
    assert "list" in score["reason"]


def test_every_source_has_its_own_figures(scores, figures):
    assert figures["sources"] == {"north": 53, "south": 27}
    rows = [at for at, source in enumerate(scores.sources) if source == "south"]
    truth = scores.targets.allowed[Head.MODALITY].argmax(axis=1)[rows]
    said = scores.probabilities[Head.MODALITY].argmax(axis=1)[rows]
    found = figures["by_source"]["south"]["modality"]
    assert found["scores"]["accuracy"]["value"] == pytest.approx((truth == said).mean())
    assert found["n"] == 27
    assert "confusion" not in found


def test_the_same_seed_gives_the_same_figures(scores, figures):
    assert evaluate(scores, draws=DRAWS) == figures
    other = evaluate(scores, draws=DRAWS, seed=1)
    one, two = (f["heads"]["examined"]["scores"]["accuracy"] for f in (figures, other))
    assert one["value"] == two["value"]
    assert (one["low"], one["high"]) != (two["low"], two["high"])


def test_a_threshold_moves_what_is_answered(scores, figures):
    strict = evaluate(scores, draws=0, threshold=0.8)
    one, two = (f["heads"]["visible"]["scores"]["micro_recall"] for f in (strict, figures))
    assert one["value"] < two["value"]
    assert strict["settings"]["threshold"] == 0.8


@pytest.mark.parametrize("count", [0, 1, 3])
def test_few_images_or_none_give_defined_results(count):
    figures = evaluate(made(count), draws=20)
    json.dumps(figures, allow_nan=False)
    assert figures["samples"] == count
    if count < 2:
        assert all(score["low"] is None for _, _, score in all_scores(figures))
    if count == 0:
        assert all(score["value"] is None for _, _, score in all_scores(figures))
        assert all(score["reason"] for _, _, score in all_scores(figures))


def test_nothing_known_gives_reasons_and_no_figures():
    scores = made()
    for flags in (*scores.targets.allowed.values(), scores.targets.present, scores.targets.known):
        flags[:] = False
    figures = evaluate(scores, draws=20)
    for _, _, score in all_scores(figures):
        assert score["value"] is None
        assert score["reason"] == "no image with a known label"
    assert figures["heads"]["examined"]["n_unknown"] == 80


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.pop(Head.EXAMINED), "examined.*missing"),
        (lambda p: p.update({Head.EXAMINED: p[Head.EXAMINED][:, :2]}), r"shape \(80, 2\)"),
        (lambda p: p[Head.VISIBLE].__setitem__((0, 0), np.nan), "not in \\[0, 1\\]"),
        (lambda p: p[Head.MODALITY].__setitem__((0, 0), 0.0), "add up to 1"),
    ],
)
def test_scores_that_would_mislead_are_refused(change, message):
    scores = made()
    scores.probabilities[Head.MODALITY][0] = [0.5, 0.5]
    change(scores.probabilities)
    with pytest.raises(DataSetError, match=message):
        evaluate(scores, draws=0)
