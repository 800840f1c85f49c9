import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from classifier.data.labels import Head, LabelSpace, Scores
from classifier.errors import ReportError
from classifier.evaluation import report
from classifier.evaluation.metrics import evaluate
from classifier.evaluation.mistakes import worst_mistakes
from classifier.evaluation.report import write_report
from classifier.models.checkpoint import TrainedModel
from classifier.names import class_names
from terminology.graph import BodyStructureGraph
from tests.classifier.evaluation.drawn import PARTS, VIEWS, drawn_scores, drawn_space, tiny_model
from tests.classifier.evaluation.test_page import Checked


@pytest.fixture(scope="module")
def space(graph: BodyStructureGraph) -> LabelSpace:
    return drawn_space(graph)


@pytest.fixture(scope="module")
def model(space: LabelSpace) -> TrainedModel:
    return tiny_model(space)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for number in range(60):
        shape = (40 + number % 9, 52)
        cv2.imwrite(str(folder / f"{number}.png"), rng.integers(0, 256, shape, np.uint8))
    return folder


@pytest.fixture(scope="module")
def scores(space: LabelSpace, images: Path) -> Scores:
    return drawn_scores(space, 60, paths=str(images), skill=1.0)


@pytest.fixture(scope="module")
def metrics(scores: Scores) -> dict:
    return evaluate(scores, draws=50)


@pytest.fixture(scope="module")
def small(space: LabelSpace) -> tuple[Scores, dict]:
    """Scores of one head of two classes, and their figures: a report of few plots."""
    views = LabelSpace(space.vocabulary, {Head.VIEW: VIEWS}, visible=False)
    scores = drawn_scores(views, 24)
    return scores, evaluate(scores, draws=5)


@pytest.fixture(scope="module")
def whole(scores, metrics, model, space, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reports") / "first"
    log = folder.with_name("log.csv")
    log.write_text(
        "epoch,steps,learning_rate,train_loss,validation_loss,validation_examined,"
        "validation_view,best,seconds\n1,4,0.001,2.5,2.25,2,0.25,1,3\n2,4,0.0005,2,2.5,2,0.5,0,6\n"
    )
    write_report(
        folder,
        scores,
        metrics,
        model,
        others={"linear": drawn_scores(space, 60, skill=0.2)},
        logs={"": log},
        config="[train]\nname = '<b>'\n",
        title="Evaluation of a < b",
        about=["Drawn by lot."],
        worst=5,
    )
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_folder_holds_figures_tables_plots_and_pictures(whole: Path):
    found = {str(one.relative_to(whole)) for one in whole.rglob("*") if one.is_file()}
    heads = ("examined", "visible", "view")
    expected = {"index.html", "metrics.json", "comparison.csv", "plots/learning-curves.png"}
    expected |= {
        f"{name}.csv" for name in ("scores", "per-class", "per-label", "per-source", "predictions")
    }
    expected |= {f"confusion-{head}.csv" for head in heads}
    plots = ("classes", "confusion", "reliability", "precision-recall")
    expected |= {f"plots/{head}-{plot}.png" for head in heads for plot in plots}
    expected |= {f"plots/{head}-coverage.png" for head in ("examined", "view")}
    expected |= {f"worst/{head}-{number:02}.jpg" for head in heads for number in range(1, 6)}
    assert found == expected


def test_nothing_else_is_left_beside_the_report(whole: Path):
    assert {one.name for one in whole.parent.iterdir()} == {"first", "log.csv"}


def test_the_page_is_well_formed_and_fetches_nothing(whole: Path):
    text = (whole / "index.html").read_text(encoding="utf-8")
    checked = Checked(text)
    assert checked.wrong == []
    sources = [image["src"] for image in checked.all("img")]
    assert len(sources) == 15 + 15
    assert all(one.startswith("data:image/") for one in sources)
    assert all(image["alt"] for image in checked.all("img"))
    without_pictures = re.sub(r"data:image/[^\"]*", "", text)
    assert not re.search(r"https?:|src=\"[^\"]|<script|<link", without_pictures)
    targets = {element.get("id") for _, element in checked.elements}
    assert {link["href"].removeprefix("#") for link in checked.all("a")} <= targets


def test_the_page_shows_values_with_interval_and_floor_and_the_simpler_model(whole: Path, metrics):
    text = (whole / "index.html").read_text(encoding="utf-8")
    accuracy = metrics["heads"]["examined"]["scores"]["accuracy"]
    assert f"{accuracy['value']:.3f}" in text
    assert f"{accuracy['low']:.3f} to {accuracy['high']:.3f}" in text
    assert f"{accuracy['floors']['majority class']:.3f} <small>majority class</small>" in text
    assert '<th scope="col" class="number">linear</th>' in text
    assert "Drawn by lot." in text
    assert "name = &#x27;&lt;b&gt;&#x27;" in text
    assert "The least validation loss is 2.250, after epoch 1." in text


def test_the_metrics_are_those_that_were_given(whole: Path, metrics: dict):
    told = json.loads((whole / "metrics.json").read_text(encoding="utf-8"))
    assert told.pop("abstention")["images"] > 0
    assert told == metrics


def test_the_answers_are_told_for_each_image(whole: Path, scores: Scores):
    found = rows(whole / "predictions.csv")
    assert [row["key"] for row in found] == list(scores.keys)
    allowed = scores.targets.allowed[Head.EXAMINED]
    for at, row in enumerate(found):
        best = int(scores.probabilities[Head.EXAMINED][at].argmax())
        assert row["examined_code"] == PARTS[best]
        assert float(row["examined_probability"]) == pytest.approx(
            scores.probabilities[Head.EXAMINED][at, best], abs=1e-4
        )
        known = allowed[at].any()
        assert row["examined_right"] == (str(int(allowed[at, best])) if known else "")
        truth = row["examined_truth"].split(";") if row["examined_truth"] else []
        assert truth == [code for code, flag in zip(PARTS, allowed[at], strict=True) if flag]
        said = scores.probabilities[Head.VISIBLE][at] >= 0.5
        missed = scores.targets.present[at] & ~said
        codes = np.array(scores.space.vocabulary.codes)
        assert row["visible_missed"] == ";".join(codes[missed])
        assert row["visible"] == ";".join(codes[said])
    assert not any("group" in name for name in found[0])


def test_tables_have_the_figures_of_classes_and_sources(whole: Path, metrics: dict):
    found = rows(whole / "per-class.csv")
    assert len(found) == len(PARTS) + len(VIEWS)
    first, entry = found[0], metrics["heads"]["examined"]["per_class"][0]
    assert first["display"] == entry["name"]
    assert float(first["recall"]) == entry["recall"]["value"]
    assert float(first["f1_high"]) == entry["f1"]["high"]
    assert {row["source"] for row in rows(whole / "per-source.csv")} == set(metrics["sources"])
    assert {row["model"] for row in rows(whole / "comparison.csv")} == {"model", "linear"}
    with (whole / "confusion-visible.csv").open(encoding="utf-8") as stream:
        table = list(csv.reader(stream))
    assert table[0][-1] == "no predicted label"
    assert [[int(cell) for cell in row[1:]] for row in table[1:]] == metrics["heads"]["visible"][
        "confusion"
    ]


def test_a_report_is_not_replaced_unless_asked(whole: Path, scores, metrics):
    before = (whole / "index.html").read_bytes()
    with pytest.raises(ReportError, match="stands there already"):
        write_report(whole, scores, metrics)
    assert (whole / "index.html").read_bytes() == before


def test_a_report_is_replaced_whole(tmp_path: Path, small):
    folder = tmp_path / "deep" / "report"
    write_report(folder, *small, worst=0, title="First")
    (folder / "stale.txt").write_text("of the first")
    assert write_report(folder, *small, worst=0, title="Second", replace=True) == (
        folder / "index.html"
    )
    assert not (folder / "stale.txt").exists()
    assert "<title>Second</title>" in (folder / "index.html").read_text(encoding="utf-8")
    assert [one.name for one in folder.parent.iterdir()] == ["report"]


def test_a_folder_that_is_no_report_is_never_replaced(tmp_path: Path, small):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.txt").write_text("mine")
    with pytest.raises(ReportError, match="it is no report"):
        write_report(folder, *small, replace=True)
    assert (folder / "chapter.txt").read_text() == "mine"
    assert [one.name for one in tmp_path.iterdir()] == ["thesis"]


def test_an_empty_folder_is_filled(tmp_path: Path, small):
    write_report(tmp_path, *small, worst=0)
    assert (tmp_path / "index.html").is_file()


def test_after_an_error_the_former_report_stands(tmp_path, small, monkeypatch):
    folder = tmp_path / "report"
    write_report(folder, *small, worst=0, title="First")

    def fail(*_: object) -> None:
        raise RuntimeError("in the middle")

    monkeypatch.setattr(report, "write_tables", fail)
    with pytest.raises(RuntimeError):
        write_report(folder, *small, worst=0, title="Second", replace=True)
    assert "<title>First</title>" in (folder / "index.html").read_text(encoding="utf-8")
    assert [one.name for one in tmp_path.iterdir()] == ["report"]


def test_images_that_are_gone_are_named(tmp_path: Path, space: LabelSpace, model):
    scores = drawn_scores(space, 30, paths=str(tmp_path / "gone"))
    write_report(tmp_path / "report", scores, evaluate(scores, draws=5), model, worst=3)
    text = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "Without a picture, since the file cannot be read: set/" in text
    assert not list((tmp_path / "report" / "worst").iterdir())


def test_each_image_is_drawn_with_the_model_that_scored_it(tmp_path, scores, metrics, model):
    asked = []

    def of(key: str) -> TrainedModel | None:
        asked.append(key)
        return model if key.endswith(("0", "2", "4", "6", "8")) else None

    write_report(tmp_path / "report", scores, metrics, model_of=of, worst=4)
    expected = [
        scores.keys[one.row]
        for head in scores.space.heads
        for one in worst_mistakes(scores, head, metrics["heads"][str(head)]["names"], 4)
    ]
    assert asked == expected
    widths = {}
    for path in sorted((tmp_path / "report" / "worst").iterdir()):
        widths[path.name] = cv2.imread(str(path)).shape[1] / cv2.imread(str(path)).shape[0]
    for key, width in zip(expected, [widths[name] for name in _by_head(widths)], strict=True):
        assert (width > 1.7) == (of(key) is not None)


def _by_head(names: dict[str, float]) -> list[str]:
    order = {"examined": 0, "visible": 1, "view": 2}
    return sorted(names, key=lambda name: (order[name[:-7]], name))


@pytest.mark.parametrize("parts", [PARTS[:1], PARTS[:2]])
def test_models_of_one_class_or_of_one_head_are_reported(
    tmp_path: Path, graph: BodyStructureGraph, parts: tuple[str, ...]
):
    space = LabelSpace(drawn_space(graph, parts).vocabulary, {Head.EXAMINED: parts}, visible=False)
    scores = drawn_scores(space, 24)
    write_report(tmp_path / "report", scores, evaluate(scores, draws=20), others={"x": scores})
    text = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "Visible parts" not in text
    assert ("No image is wrong." in text) == (len(parts) == 1)


def test_a_head_of_which_nothing_is_known_says_so(tmp_path: Path, scores: Scores):
    unknown = {head: flags & False for head, flags in scores.targets.allowed.items()}
    nothing = replace(
        scores,
        targets=replace(
            scores.targets,
            allowed=unknown,
            present=scores.targets.present & False,
            known=scores.targets.known & False,
        ),
    )
    write_report(tmp_path / "report", nothing, evaluate(nothing, draws=20))
    text = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "no image with a known label" in text
    assert not list((tmp_path / "report" / "plots").iterdir())


def test_a_score_of_parts_that_are_never_absent_is_marked(tmp_path: Path, scores: Scores):
    known = scores.targets.present
    silent = replace(scores, targets=replace(scores.targets, known=known))
    for name, given in (("silent", silent), ("telling", scores)):
        write_report(tmp_path / name, given, evaluate(given, draws=0), worst=0)
        text = (tmp_path / name / "index.html").read_text(encoding="utf-8")
        assert ("no part is known to be absent: says little" in text) == (given is silent)


def test_displays_of_any_script_are_shown_as_text(tmp_path: Path, scores: Scores, space):
    vocabulary = replace(
        space.vocabulary,
        displays=tuple(f"部位 <{at}> $x$" for at in range(len(space.vocabulary))),
    )
    named = replace(scores, space=replace(space, vocabulary=vocabulary))
    write_report(tmp_path / "report", named, evaluate(named, draws=0), worst=1)
    text = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert Checked(text).wrong == []
    assert "部位 &lt;1&gt; $x$" in text


def test_the_surest_mistakes_come_first_and_two_of_a_patient_at_most(scores: Scores):
    head = Head.EXAMINED
    found = worst_mistakes(scores, head, class_names(scores.space, head), 100)
    probabilities, allowed = scores.probabilities[head], scores.targets.allowed[head]
    assert [one.probability for one in found] == sorted(
        (one.probability for one in found), reverse=True
    )
    for one in found:
        assert one.said == probabilities[one.row].argmax()
        assert allowed[one.row].any()
        assert not allowed[one.row, one.said]
    groups = [scores.groups[one.row] for one in found]
    assert max(groups.count(group) for group in groups) <= 2
    wrong = allowed.any(axis=1) & ~allowed[np.arange(60), probabilities.argmax(axis=1)]
    assert {scores.groups[row] for row in np.flatnonzero(wrong)} == set(groups)


def test_a_part_that_is_missed_or_wrongly_seen_is_told(scores: Scores):
    head = Head.VISIBLE
    names = class_names(scores.space, head)
    for one in worst_mistakes(scores, head, names, 100):
        present = scores.targets.present[one.row, one.said]
        assert scores.targets.known[one.row, one.said]
        assert one.missed == present
        assert (one.probability >= 0.5) != present
        assert one.truth == f"{names[one.said]} is {'' if present else 'not '}visible"
