import csv
import io
import json
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner, Result

from classifier.data.labels import Head, LabelSpace
from classifier.data.scores import load_scores, save_scores
from classifier.evaluate_cli import evaluate, predict
from classifier.models.checkpoint import save_model
from classifier.train_cli import train
from terminology.console import BodySiteGroup
from terminology.graph import BodyStructureGraph
from tests.classifier.evaluation.drawn import drawn_scores, drawn_space, tiny_model
from tests.classifier.tinysets import CHEST, HAND, KNEE, dicom, manifest, picture


def run(*arguments: object) -> Result:
    group = BodySiteGroup(name="bodysite", commands=[evaluate, predict, train])
    return CliRunner().invoke(group, [str(one) for one in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def space(graph: BodyStructureGraph) -> LabelSpace:
    return drawn_space(graph)


@pytest.fixture(scope="module")
def model(space: LabelSpace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.pt"
    save_model(path, tiny_model(space))
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "deeper").mkdir(parents=True)
    cv2.imwrite(str(folder / "a.png"), picture(CHEST, 1, 1))
    cv2.imwrite(str(folder / "deeper" / "b.jpg"), picture(HAND, 2, 2))
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study of two series: a chest in two images, a knee in one; UIDs end in a digit."""
    folder = tmp_path / "study"
    folder.mkdir()
    for number, (part, series) in enumerate([(CHEST, "1.5.1"), (CHEST, "1.5.1"), (KNEE, "1.5.2")]):
        dicom(
            folder / f"image{number}",
            picture(part, number, number),
            ("1", "040Y"),
            f"1.5.{number}.2",
            StudyInstanceUID="1.5",
            SeriesInstanceUID=series,
        )
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over two splits of drawn pictures, an epoch each."""
    folder = tmp_path_factory.mktemp("trained")
    manifest(folder / "set", 48)
    settings = {
        "data.cache": folder / "cache",
        "labels.heads": '["examined", "view"]',
        "labels.min_images": 1,
        "preprocess.size": 32,
        "network.backbone": "resnet10",
        "network.width": 4.0,
        "split.method": "folds",
        "split.k": 2,
        "split.near_duplicates": -1,
        "train.epochs": 1,
        "train.batch": 8,
        "train.workers": 0,
    }
    changes = [item for key, value in settings.items() for item in ("--set", f"{key}={value}")]
    data = f"manifest:{folder / 'set'}"
    result = run("train", "--preset", "default", "--data", data, *changes, "--out", folder / "run")
    assert result.exit_code == 0, result.output
    return folder / "run"


def objects(result: Result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_predict_says_a_line_an_image(images: Path, model: Path):
    result = run("predict", images, "--model", model)
    assert result.exit_code == 0
    names = [line.split("\t")[0] for line in result.stdout.splitlines()]
    assert names == [str(images / "a.png"), str(images / "deeper" / "b.jpg")]
    assert all(" |" in line for line in result.stdout.splitlines())


def test_predict_as_json(images: Path, model: Path, space: LabelSpace):
    result = run("predict", images / "a.png", "--model", model, "--json")
    (answer,) = objects(result)
    assert answer["files"] == [str(images / "a.png")]
    assert answer["model"] == "Tiny net 7"
    assert answer["error"] is None
    assert answer["frames"] == [0]
    assert {site["code"] for site in answer["examined"]} <= set(space.columns(Head.EXAMINED))
    confidences = [site["confidence"] for site in answer["examined"]]
    assert confidences == sorted(confidences, reverse=True)
    assert set(answer["examined"][0]) == {"code", "display", "laterality", "confidence", "sided"}


def test_predict_as_csv(images: Path, model: Path):
    result = run("predict", images, "--model", model, "--csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["name"] for row in rows] == [str(images / "a.png"), str(images / "deeper/b.jpg")]
    assert all(row["examined_display"] and not row["error"] for row in rows)


def test_predict_names_what_does_not_decode_and_goes_on(images: Path, model: Path):
    (images / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    result = run("predict", images, "--model", model, "--json")
    assert result.exit_code == 1
    assert "broken.png" in result.stderr
    answers = {Path(one["name"]).name: one for one in objects(result)}
    assert answers["broken.png"]["error"]["what"]
    assert answers["broken.png"]["examined"] == []
    assert answers["a.png"]["error"] is None
    assert answers["b.jpg"]["error"] is None


def test_predict_of_nothing_readable_is_misuse(tmp_path: Path, model: Path):
    (tmp_path / "one.png").write_bytes(b"nothing")
    assert run("predict", tmp_path / "one.png", "--model", model).exit_code == 2
    (tmp_path / "empty").mkdir()
    result = run("predict", tmp_path / "empty", "--model", model)
    assert result.exit_code == 2
    assert "no image in there" in result.stderr


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("image", {"image0": 1, "image1": 1, "image2": 1}),
        ("series", {"1.5.1": 2, "1.5.2": 1}),
        ("study", {"1.5": 3}),
    ],
)
def test_predict_by_image_series_and_study(study: Path, model: Path, by: str, expected: dict):
    result = run("predict", study, "--model", model, "--by", by, "--json")
    assert result.exit_code == 0
    found = {Path(one["name"]).name: len(one["files"]) for one in objects(result)}
    assert found == expected


def test_a_picture_without_uids_is_a_series_of_its_own(images: Path, model: Path):
    alone = objects(run("predict", images, "--model", model, "--json"))
    series = objects(run("predict", images, "--model", model, "--json", "--by", "series"))
    assert [one["files"] for one in series] == [one["files"] for one in alone]
    for one, other in zip(series, alone, strict=True):
        assert [site["code"] for site in one["examined"]] == [
            site["code"] for site in other["examined"]
        ]


def test_predict_refuses_two_forms(images: Path, model: Path):
    result = run("predict", images, "--model", model, "--csv", "--json")
    assert result.exit_code == 2
    assert "Choose one" in result.stderr


def test_evaluate_scores(tmp_path: Path, space: LabelSpace):
    views = LabelSpace(space.vocabulary, {Head.VIEW: space.columns(Head.VIEW)}, visible=False)
    save_scores(tmp_path / "scores.npz", drawn_scores(views, 40))
    result = run("evaluate", tmp_path / "scores.npz", "--draws", 20, "--worst", 2)
    assert result.exit_code == 0, result.stderr
    first, *lines = result.stdout.splitlines()
    assert first == str(tmp_path / "scores-report" / "index.html")
    assert any(line.startswith("view\taccuracy\t0.") for line in lines)
    assert Path(first).is_file()
    again = run("evaluate", tmp_path / "scores.npz", "--draws", 20)
    assert again.exit_code == 2
    assert "--force" in again.stderr
    replaced = run("evaluate", tmp_path / "scores.npz", "--draws", 0, "--force", "--json")
    (told,) = objects(replaced)
    assert told["report"] == first
    assert told["samples"] == 40


def test_evaluate_a_model_on_a_collection(tmp_path: Path, model: Path):
    manifest(tmp_path / "set", 12)
    broken = next(one for one in sorted((tmp_path / "set").rglob("*")) if one.suffix == ".jpg")
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    data = f"manifest:{tmp_path / 'set'}"
    out = tmp_path / "report"
    options = ("--data", data, "--out", out, "--draws", 10, "--worst", 2)
    result = run("evaluate", model, *options)
    assert result.exit_code == 1
    assert broken.name in result.stderr
    text = (out / "index.html").read_text(encoding="utf-8")
    assert "Left out are 1 images that cannot be read" in text
    assert list((out / "worst").glob("examined-*.jpg"))


def test_evaluate_says_which_labels_the_model_has_no_class_for(tmp_path: Path, model: Path):
    folder = tmp_path / "set"
    folder.mkdir()
    for number, part in enumerate((CHEST, HAND, KNEE)):
        cv2.imwrite(str(folder / f"{number}.png"), picture(part, number, number))
    rows = ["path,examined", "0.png,chest", "1.png,hand", "2.png,abdomen"]
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    done = run(
        "evaluate", model, "--data", f"manifest:{folder}", "--out", tmp_path / "out", "--draws", 10
    )
    assert done.exit_code == 0, done.stderr
    (line,) = [one for one in done.stderr.splitlines() if one.startswith("examined:")]
    assert "on 1 images (818981001 |Abdomen|); the figures of the head are without these" in line
    assert "818981001 |Abdomen|" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_evaluate_refuses_what_is_no_scores_without_advice_to_load_it_unsafely(tmp_path: Path):
    (tmp_path / "some.toml").write_text("name = 1\n")
    refused = run("evaluate", tmp_path / "some.toml")
    assert refused.exit_code == 2
    assert "it is no .npz file" in refused.stderr
    assert "pickle" not in refused.stderr


def test_evaluate_a_run_over_splits_with_baselines(trained: Path, tmp_path: Path):
    out = tmp_path / "report"
    result = run("evaluate", trained, "--out", out, "--draws", 20, "--worst", 2, "--baselines")
    assert result.exit_code == 0, result.output
    text = (out / "index.html").read_text(encoding="utf-8")
    assert ">linear</th>" in text
    assert ">nearest-neighbour</th>" in text
    assert "2 splits. Each image is scored by the model of the split that tests it" in text
    assert {one.name for one in (out / "plots").glob("learning*")} == {
        "learning-curves-fold-1.png",
        "learning-curves-fold-2.png",
    }
    keys = set(load_scores(trained / "scores.npz").keys)
    with (out / "predictions.csv").open(encoding="utf-8") as stream:
        assert {row["key"] for row in csv.DictReader(stream)} == keys
    wide = [cv2.imread(str(one)).shape for one in (out / "worst").iterdir()]
    assert wide
    assert all(shape[1] > 1.2 * shape[0] for shape in wide)


def test_evaluate_one_split_of_a_run(trained: Path, tmp_path: Path):
    run_folder = tmp_path / "one"
    run_folder.mkdir()
    for name in ("model.pt", "log.csv", "scores-validation.npz", "metrics.json"):
        (run_folder / name).write_bytes((trained / "fold-1" / name).read_bytes())
    (run_folder / "config.toml").write_bytes((trained / "config.toml").read_bytes())
    missing = run("evaluate", run_folder, "--draws", 0)
    assert missing.exit_code == 2
    assert "It has validation: name one with --part" in missing.stderr
    result = run("evaluate", run_folder, "--part", "validation", "--draws", 0, "--worst", 1)
    assert result.exit_code == 0, result.stderr
    text = (run_folder / "report" / "index.html").read_text(encoding="utf-8")
    assert "They chose the epoch, so the figures are too good." in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("model.pt",), "MODEL goes with --data"),
        (("scores.npz", "--data", "manifest:x"), "--data goes with a MODEL"),
        (("scores.npz", "--baselines"), "--baselines goes with a RUN"),
        (("scores.npz", "--part", "validation"), "--part goes with a RUN"),
        (("folder",), "is no run"),
        (("model.pt", "--data", "manifest"), "expected KIND:PATH"),
        (("scores.npz",), "a file of scores"),
    ],
)
def test_evaluate_says_what_goes_with_what(tmp_path: Path, options: tuple[str, ...], message: str):
    (tmp_path / "folder").mkdir()
    (tmp_path / "model.pt").write_bytes(b"")
    (tmp_path / "scores.npz").write_bytes(b"")
    result = run("evaluate", tmp_path / options[0], *options[1:])
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_run_that_is_not_finished_is_named_so(tmp_path: Path):
    (tmp_path / "config.toml").write_text("")
    (tmp_path / "fold-1").mkdir()
    result = run("evaluate", tmp_path)
    assert result.exit_code == 2
    assert "bodysite train --resume" in result.stderr


def test_a_run_of_tune_is_named_so(tmp_path: Path):
    (tmp_path / "config.toml").write_text("name = 'tiny'\n")
    (tmp_path / "cells").mkdir()
    result = run("evaluate", tmp_path)
    assert result.exit_code == 2
    assert "it is a run of 'tune'" in result.stderr
    assert "winner.toml --out RUN" in result.stderr


def test_help_needs_nothing_heavy():
    import subprocess
    import sys

    code = (
        "import sys; from classifier.evaluate_cli import evaluate, predict\n"
        "heavy = {'torch', 'numpy', 'cv2', 'matplotlib', 'sklearn', 'pydicom'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
