import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from classifier.data.labels import Head
from classifier.export_cli import export, model
from classifier.serving.artefact import read_artefact
from classifier.train_cli import train
from terminology.console import BodySiteGroup
from tests.classifier.training.small import PRESETS, TINY, data_of

ROOT = Path(__file__).resolve().parents[3]
MAIN = BodySiteGroup(commands={"export": export, "model": model, "train": train})


def run(*words: object) -> Result:
    return CliRunner().invoke(MAIN, [str(word) for word in words])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    changes = (*TINY, *PRESETS["uksh"].changes, f"data.cache={str(folder / 'cache')!r}")
    sets = [word for change in changes for word in ("--set", change)]
    data = data_of("uksh", folder)
    words = ("train", "--preset", "uksh", "--data", f"manifest:{data}", "--device", "cpu", *sets)
    done = run(*words, "--out", folder / "run")
    assert done.exit_code == 0, done.output
    return folder / "run"


def test_help_needs_no_torch() -> None:
    code = (
        "import sys; from classifier.export_cli import export, model; "
        "sys.exit(bool({'torch', 'numpy', 'cv2', 'onnx'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
    for option in ("--out", "--calibrate", "--shifted", "--novelty", "--card", "--float32"):
        assert option in run("export", "--help").output


def test_a_run_becomes_a_model_that_tells_what_it_is(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "own.bodysite"
    figures, card = tmp_path / "elsewhere.json", tmp_path / "card.md"
    figures.write_text('{"accuracy": 0.25}')
    card.write_text("# Our model\n", encoding="utf-8")
    words = ("--calibrate", trained / "scores-test.npz", "--novelty", 0.9, "--card", card)
    words = (*words, "--metrics", figures, "--name", "ours", "--version", 3, "--reducing-gap", 3)
    done = run("export", trained, "--out", out, *words, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    found = read_artefact(out)
    assert told["sha256"] == found.sha256
    assert told["compared_images"] is True
    assert told["largest_difference"] <= 1e-3
    assert (found.name, found.version, found.card) == ("ours", "3", "# Our model\n")
    assert found.preprocessing.reducing_gap == 3
    assert found.metrics["elsewhere"] == {"accuracy": 0.25}
    assert sum(found.prior.values()) == pytest.approx(1)
    assert sum(source["images"] for source in found.sources) > 0
    assert found.guards.novelty is not None
    assert str(trained.parent) not in json.dumps(dict(found.config))

    again = tmp_path / "again.bodysite"
    run("export", trained, "--out", again, *words)
    assert again.read_bytes() == out.read_bytes()

    shown = run("model", out).stdout
    for part in ("ours 3", found.sha256, "elsewhere.accuracy = 0.25", "examined ("):
        assert part in shown
    described = json.loads(run("model", out, "--json").stdout)
    assert described["prior"] == dict(found.prior)
    assert run("model", out, "--card").stdout.strip() == "# Our model"


def test_without_its_data_a_run_is_exported_when_that_is_said(trained: Path, tmp_path: Path):
    moved = tmp_path / "run"
    shutil.copytree(trained, moved)
    (moved / "splits.csv").unlink()
    refused = run("export", moved, "--out", tmp_path / "a.bodysite")
    assert refused.exit_code == 2
    assert "--no-data" in refused.stderr
    assert not (tmp_path / "a.bodysite").exists()
    done = run("export", moved / "model.pt", "--out", tmp_path / "a.bodysite", "--no-data")
    assert done.exit_code == 0, done.output
    found = read_artefact(tmp_path / "a.bodysite")
    assert (dict(found.prior), found.sources) == ({}, ())


def test_what_does_not_go_together_is_refused(trained: Path, tmp_path: Path):
    for words, message in [
        (("--alpha", 0.1), "go with --calibrate"),
        (("--novelty", 0.9, "--no-data"), "leave --no-data out"),
    ]:
        refused = run("export", trained, *words)
        assert (refused.exit_code, message in refused.stderr) == (2, True)
    empty = tmp_path / "empty"
    empty.mkdir()
    refused = run("export", empty)
    assert (refused.exit_code, "has no model.pt" in refused.stderr) == (2, True)
    refused = run("model", trained)
    assert (refused.exit_code, f"bodysite export {trained}" in refused.stderr) == (2, True)


def test_a_class_can_be_left_out(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "narrow.bodysite"
    space = json.loads((trained / "label-space.json").read_text(encoding="utf-8"))
    gone, *others = space["classes"]["examined"]
    words = ("--calibrate", trained / "scores-test.npz", "--without", gone)
    words = (*words, "--least", 0.9, 0.6)
    done = run("export", trained, "--out", out, *words)
    assert done.exit_code == 0, done.output
    found = read_artefact(out)
    assert list(found.space.columns(Head.EXAMINED)) == others
    assert set(found.prior) == set(others)
    assert gone in found.space.vocabulary.codes
    climbing = found.calibration.climbing
    assert (climbing.leaf, climbing.region) == (0.9, 0.6)
    refused = run("export", trained, "--out", out, "--without", "1")
    assert refused.exit_code == 2
    assert "'1' is no class of the head examined" in refused.output
