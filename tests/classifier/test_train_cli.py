import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from classifier.train_cli import main
from classifier.training.config import TrainConfig
from classifier.training.state import STATE
from tests.classifier.training.small import PRESETS, TINY, data_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data_of("uksh", tmp_path_factory.mktemp("sets"))


def arguments(data: Path, *more: str) -> list[str]:
    changes = (*TINY, *PRESETS["uksh"].changes, f"data.cache={str(data.parent / 'cache')!r}")
    sets = [word for change in (*changes, *more) for word in ("--set", change)]
    return ["--preset", "uksh", "--data", f"manifest:{data}", "--device", "cpu", *sets]


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_help_needs_no_torch() -> None:
    code = (
        "import sys; from classifier.train_cli import train, tune; "
        "sys.exit(bool({'torch', 'numpy', 'cv2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
    for command in ("train", "tune"):
        shown = run(command, "--help").output
        for option in ("--preset", "--data", "--out", "--set", "--resume", "--device", "--json"):
            assert option in shown


def test_training_shows_its_scores_and_where_they_are(data: Path, tmp_path: Path) -> None:
    done = run("train", *arguments(data), "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    first, *lines = done.stdout.splitlines()
    assert first == str(tmp_path / "run")
    assert any(re.fullmatch(r"test\texamined\taccuracy\t[01]\.\d{4}", line) for line in lines)
    # A line an epoch where there is no terminal.
    assert re.search(r"epoch 1/2  train \d.*validation \d", done.stderr)

    refused = run("train", *arguments(data), "--out", tmp_path / "run")
    assert refused.exit_code == 2
    assert "there is a run already" in refused.stderr

    again = run("train", "--resume", "--out", tmp_path / "run", "--json")
    assert again.exit_code == 0, again.output
    answer = json.loads(again.stdout)
    assert answer["run"] == str(tmp_path / "run")
    assert answer["epochs"] == 2


def test_tuning_shows_its_winner(data: Path, tmp_path: Path) -> None:
    changes = (
        'tune.optimizers=["sgd"]',
        "tune.learning_rates=[0.01, 0.001]",
        'tune.preprocessing=["A"]',
        "tune.folds=2",
        "tune.epochs=1",
    )
    done = run("tune", *arguments(data, *changes), "--out", tmp_path / "run", "--json")
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["winner"] in {"sgd-0.01-A", "sgd-0.001-A"}
    winner = TrainConfig.read(tmp_path / "run" / "winner.toml")
    assert f"sgd-{winner.optimizer.lr:g}-A" == answer["winner"]
    plain = run("tune", "--resume", "--out", tmp_path / "run")
    assert plain.stdout.splitlines()[-1].startswith("winner\t")
    refused = run("train", "--resume", "--out", tmp_path / "run")
    assert refused.exit_code == 2
    assert "it is a run of 'tune'" in refused.stderr
    assert "winner.toml --out RUN" in refused.stderr


def test_ctrl_c_saves_and_says_how_to_go_on(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    words = [*arguments(data, "train.epochs=100000", "train.patience=0"), "--out", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", "classifier.train_cli", "train", *words],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not (folder / STATE).exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert re.search(r"Interrupted at step \d+ of \d+ of epoch \d+; it is saved", said)
    assert f"bodysite train --resume --out {folder}" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no CONFIG. Give a TOML file, or --preset NAME"),
        (["--resume"], "no CONFIG"),
        (["--resume", "--out", "nowhere"], "--resume: there is no run in nowhere"),
        (["own.toml", "--preset", "uksh"], "CONFIG and --preset were both given"),
        (["own.toml"], "own.toml: it cannot be read"),
        (["--preset", "best"], "--preset: 'best' is no preset; expected one of cheng-irma"),
        (["--preset", "uksh", "--data", "images"], "'images'; expected KIND:PATH"),
        (["--preset", "uksh", "--data", "mnist:images"], "'mnist'; expected one of roco"),
        (["--preset", "uksh", "--set", "train.epoch=1"], "Did you mean 'epochs'?"),
        (["--preset", "uksh"], "data.sets: there is no data set"),
        (["--preset", "uksh", "--data", "roco:nowhere"], "there is no such path"),
    ],
)
@pytest.mark.parametrize("command", ["train", "tune"])
def test_misuse_is_a_message_and_status_2(
    command: str, words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = run(command, *words)
    assert refused.exit_code == 2
    assert message in refused.stderr
    assert "Traceback" not in refused.stderr
