import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from classifier.data.scores import load_scores
from classifier.errors import TrainingError
from classifier.training.distributed import Group, joined
from tests.classifier.training.small import data_of

ROOT = Path(__file__).resolve().parents[3]


def test_two_processes_train_one_model(tmp_path: Path) -> None:
    data_of("default", tmp_path / "sets")
    run = tmp_path / "run"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "-m", "tests.classifier.training.two"),
            *map(str, (tmp_path / "sets", run, tmp_path)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    notes = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    # Of each epoch: the weights, the running statistics and what is said of the validation part.
    assert notes[0]["weights"] == notes[1]["weights"]
    assert len(set(notes[0]["weights"])) == 2
    assert [note["said"]["share"] for note in notes] == [[0, 2, 4], [1, 3]]
    for note in notes:
        assert note["said"]["gathered"] == [0, 1, 2, 3, 4]
        assert note["said"]["any"] == [True, False]
        assert note["said"]["mean"] == 0.5
        assert note["said"]["told"] == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["epochs"] == 2
    assert json.loads((run / "versions.json").read_text())["processes"] == 2
    scores = load_scores(run / "scores-test.npz")
    assert len(set(scores.keys)) == len(scores.keys) == metrics["images"]["test"]


def test_alone_a_group_is_what_it_is_given() -> None:
    group = Group(torch.device("cpu"))
    net = torch.nn.Linear(1, 1)
    assert group.wrap(net) is net
    assert group.gather([1, 2]) == [1, 2]
    assert group.share([1, 2]) == [1, 2]
    assert group.any(True, False) == (True, False)
    assert (group.mean(2.5), group.told("x"), group.main) == (2.5, "x", True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_that_is_not_there_is_refused() -> None:
    with (
        pytest.raises(TrainingError, match="'cuda' for process 1, and 0 GPUs are there"),
        joined("cuda"),
    ):
        pass
    with joined("auto") as group:
        assert group.device.type == "cpu"
