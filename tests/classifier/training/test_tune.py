import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from classifier.data.splits import Split
from classifier.errors import TrainingError
from classifier.training import tune
from classifier.training.config import TrainConfig
from classifier.training.distributed import Group
from classifier.training.interrupt import InterruptedRunError
from classifier.training.logs import Reporter
from classifier.training.tune import Cell, run_tuning
from terminology.library import Terminology
from tests.classifier.training.small import config_of

CPU = Group(torch.device("cpu"))
GRID = (
    'tune.optimizers=["sgd", "adam"]',
    "tune.learning_rates=[0.01]",
    'tune.preprocessing=["A", "D"]',
    "tune.folds=2",
    "tune.epochs=1",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sets")


def tuned(config: TrainConfig, run: Path, library: Terminology, **given: Any) -> dict[str, Any]:
    return run_tuning(config, run, library, CPU, Reporter(), **({"resume": False} | given))


def results(run: Path) -> dict[str, int]:
    return {
        str(path.relative_to(run)): path.stat().st_mtime_ns
        for path in sorted(run.rglob("result.json"))
    }


def test_grid_is_ranked_and_the_winner_can_be_trained(
    data: Path, tmp_path: Path, terminology: Terminology
) -> None:
    config = config_of("uksh", data, *GRID)
    run = tmp_path / "run"
    result = tuned(config, run, terminology)
    with (run / "tuning.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["optimizer"], row["preprocessing"]) for row in rows} == {
        (optimizer, kind) for optimizer in ("sgd", "adam") for kind in "AD"
    }
    assert {row["folds"] for row in rows} == {"2"}
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert all(float(row["score_sd"]) >= 0 for row in rows)
    assert json.loads((run / "tuning.json").read_text(encoding="utf-8")) == result
    winner = TrainConfig.read(run / "winner.toml")
    first = rows[0]
    assert (winner.optimizer.name, winner.preprocess.kind) == (
        first["optimizer"],
        first["preprocessing"],
    )
    assert winner.preprocess.channels == (3 if first["preprocessing"] == "D" else 1)
    assert winner.network.channels == winner.preprocess.channels
    assert winner.train == config.train
    # Of 60 trainings, weights would fill the disk.
    assert not list(run.rglob("*.pt"))


def test_test_part_is_never_seen(
    data: Path, tmp_path: Path, terminology: Terminology, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Split] = []
    trained = tune._trained

    def noted(config: Any, prepared: Any, fold: Split, *given: Any) -> Any:
        seen.append(fold)
        return trained(config, prepared, fold, *given)

    monkeypatch.setattr(tune, "_trained", noted)
    outer: list[Split] = []
    split = tune.split

    def kept(*given: Any) -> list[Split]:
        outer.extend(split(*given))
        return outer

    monkeypatch.setattr(tune, "split", kept)
    tuned(config_of("uksh", data, *GRID), tmp_path / "run", terminology)
    used = {row for fold in seen for part in fold.parts().values() for row in part}
    assert used == {*outer[0].train, *outer[0].validation}
    assert used.isdisjoint(outer[0].test)
    assert len(outer[0].test) > 0
    for fold in seen:
        assert set(fold.train).isdisjoint(fold.validation)


def test_interrupted_grid_goes_on_where_it_was(
    data: Path, tmp_path: Path, terminology: Terminology, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run = config_of("uksh", data, *GRID), tmp_path / "run"
    whole = tuned(config, tmp_path / "whole", terminology)
    train, calls = tune.train, []

    def stopping(*given: Any) -> Any:
        calls.append(None)
        if len(calls) == 4:
            raise InterruptedRunError("step 1 of 3 of epoch 1")
        return train(*given)

    monkeypatch.setattr(tune, "train", stopping)
    with pytest.raises(InterruptedRunError):
        tuned(config, run, terminology)
    before = results(run)
    assert len(before) == 3
    again = tuned(config, run, terminology, resume=True)
    assert len(calls) == 4 + 5
    assert before.items() <= results(run).items()
    for result in (whole, again):
        for row in result["table"]:
            del row["seconds"]
    assert again == whole


def test_halving_drops_the_worse_after_each_fold(
    data: Path, tmp_path: Path, terminology: Terminology
) -> None:
    config = config_of("uksh", data, *GRID, "tune.keep=0.5")
    result = tuned(config, tmp_path / "run", terminology)
    assert [row["folds"] for row in result["table"]] == [2, 2, 1, 1]
    best = result["table"][0]
    assert result["winner"] == Cell(best["optimizer"], 0.01, best["preprocessing"]).name


def test_combination_that_diverges_comes_last(
    data: Path, tmp_path: Path, terminology: Terminology
) -> None:
    config = config_of(
        "uksh",
        data,
        *GRID,
        'tune.optimizers=["sgd"]',
        "tune.learning_rates=[100.0, 0.01]",
        'tune.preprocessing=["A"]',
        "tune.epochs=6",
        "optimizer.clip=0.0",
        "schedule.name=constant",
    )
    result = tuned(config, tmp_path / "run", terminology)
    assert [row["learning_rate"] for row in result["table"]] == [0.01, 100.0]
    assert result["table"][1]["diverged"] > 0


def test_split_without_a_test_part_is_refused(
    data: Path, tmp_path: Path, terminology: Terminology
) -> None:
    config = config_of("uksh", data, *GRID, "split.method=folds")
    with pytest.raises(TrainingError, match="'folds', which has no one test part"):
        tuned(config, tmp_path / "run", terminology)
