import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from click.testing import CliRunner, Result

from classifier.data.labels import Head, LabelSpace
from classifier.evaluate_cli import predict
from classifier.explain_cli import HEADS, explain
from classifier.models.checkpoint import save_model
from classifier.serving.artefact import write_artefact
from terminology.console import BodySiteGroup
from terminology.graph import BodyStructureGraph
from tests.classifier.evaluation.drawn import drawn_space, tiny_model
from tests.classifier.serving.conftest import artefact_of
from tests.classifier.tinysets import CHEST, HAND, picture


@pytest.fixture(autouse=True)
def _no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BODYSITE_MODEL", raising=False)


def run(*arguments: object) -> Result:
    group = BodySiteGroup(name="bodysite", commands=[explain, predict])
    return CliRunner().invoke(group, [str(one) for one in arguments], catch_exceptions=False)


def objects(result: Result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]


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
    return folder


def test_the_heads_to_choose_from_are_all_there_are():
    assert tuple(Head) == HEADS


def test_explain_draws_the_most_probable_class(images: Path, model: Path, tmp_path: Path):
    out = tmp_path / "seen.png"
    result = run("explain", images / "a.png", "--model", model, "--out", out, "--json")
    (told,) = objects(result)
    (answer,) = objects(run("predict", images / "a.png", "--model", model, "--json"))
    assert told["code"] == answer["examined"][0]["code"]
    assert told["probability"] == pytest.approx(answer["examined"][0]["confidence"], abs=1e-5)
    assert cv2.imread(str(out)).shape[1] > 300


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--label", "56459004"), "56459004"),
        (("--label", "FOOT"), "56459004"),
        (("--label", "wris", "--method", "gradcam"), "8205005"),
        (("--head", "view", "--label", "lateral"), "399067008"),
        (("--head", "visible", "--label", "Knee", "--method", "gradcam"), "72696002"),
    ],
)
def test_explain_takes_codes_words_and_parts_of_words(images, model, tmp_path, options, code):
    out = tmp_path / "seen.png"
    result = run("explain", images / "a.png", "--model", model, "--out", out, *options, "--json")
    assert result.exit_code == 0, result.stderr
    assert objects(result)[0]["code"] == code
    assert out.is_file()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--label", "tail"), "'tail' is no class of the head examined"),
        (("--label", "e"), "means"),
        (("--head", "router"), "the model has no 'router'"),
        (("--frame", "3"), "there is no frame 3"),
    ],
)
def test_explain_says_what_it_cannot_do(images, model, tmp_path, options, message):
    out = tmp_path / "seen.png"
    result = run("explain", images / "a.png", "--model", model, "--out", out, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not out.exists()


def test_explain_of_what_is_no_model(images: Path, tmp_path: Path):
    (tmp_path / "model.pt").write_bytes(b"no model")
    result = run("explain", images / "a.png", "--model", tmp_path / "model.pt")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")


@pytest.fixture(scope="module")
def artefact(space: LabelSpace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .bodysite file of the same net."""
    path = tmp_path_factory.mktemp("served") / "tiny.bodysite"
    write_artefact(path, artefact_of(tiny_model(space)))
    return path


def test_a_served_model_explains_as_its_network_does(
    images: Path, model: Path, artefact: Path, tmp_path: Path
):
    drawn = []
    for number, file in enumerate((model, artefact)):
        out = tmp_path / f"{number}.png"
        options = ("--label", "Hand", "--out", out, "--json")
        result = run("explain", images / "a.png", "--model", file, *options)
        assert result.exit_code == 0, result.stderr
        (told,) = objects(result)
        assert (told["code"], told["method"]) == ("85562004", "cam")
        drawn.append(cv2.imread(str(out)).astype(int)[60:])
    # Below the caption, which has probabilities.
    assert drawn[0].shape == drawn[1].shape
    assert abs(drawn[0] - drawn[1]).max() <= 3


def test_several_images_are_drawn_into_a_folder(images: Path, artefact: Path, tmp_path: Path):
    broken = images / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nno more")
    out = tmp_path / "out"
    out.mkdir()
    given = (images / "a.png", broken, images / "deeper" / "b.jpg")
    result = run("explain", *given, "--model", artefact, "--out", out)
    assert result.exit_code == 1
    assert "broken.png" in result.stderr
    assert sorted(one.name for one in out.iterdir()) == ["a.explained.png", "b.explained.png"]
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == [
        str(out / "a.explained.png"),
        str(out / "b.explained.png"),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "gradcam"), "needs the gradients"),
        (("--model", "none"), "'none' explains nothing"),
        (("--model", "nowhere.bodysite"), "there is no file"),
    ],
)
def test_what_a_served_model_cannot_explain(images, artefact, tmp_path, options, message):
    out = tmp_path / "seen.png"
    result = run("explain", images / "a.png", "--model", artefact, "--out", out, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not out.exists()


def test_two_images_are_never_drawn_into_one_file(images, artefact, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    same = images / "deeper" / "a.png"
    same.write_bytes((images / "a.png").read_bytes())
    result = run("explain", images / "a.png", same, "--model", artefact)
    assert result.exit_code == 2
    assert "two images would be drawn into a.explained.png" in result.stderr
    result = run("explain", images / "a.png", same, "--model", artefact, "--out", "one.png")
    assert "one.png is no folder, and there are 2 images" in result.stderr


def test_neither_torch_nor_matplotlib_is_needed(images: Path, artefact: Path, tmp_path: Path):
    code = (
        "import sys\n"
        "for name in ('torch', 'torchvision', 'matplotlib', 'scipy', 'sklearn', 'onnx'):\n"
        "    sys.modules[name] = None\n"
        "from classifier.explain_cli import explain\n"
        "explain()"
    )
    out = tmp_path / "seen.png"
    words = [str(images / "a.png"), "--model", str(artefact), "--out", str(out)]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert out.is_file()


def test_help_needs_nothing_heavy():
    code = (
        "import sys; from classifier.explain_cli import explain\n"
        "heavy = {'torch', 'numpy', 'cv2', 'matplotlib', 'onnxruntime', 'pydicom', 'PIL'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
