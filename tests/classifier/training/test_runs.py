import csv
import json
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from classifier.data.labels import Head
from classifier.data.scores import load_scores
from classifier.errors import DataSetError, TrainingError
from classifier.models.checkpoint import load_model
from classifier.training import interrupt, loop
from classifier.training.config import TrainConfig, preset_names
from classifier.training.distributed import Group
from classifier.training.interrupt import InterruptedRunError
from classifier.training.logs import Reporter
from classifier.training.preparation import prepare, split
from classifier.training.runs import run_training
from terminology.errors import BodySiteError
from terminology.library import Terminology
from tests.classifier.training.small import PRESETS, config_of, data_of

ROOT = Path(__file__).resolve().parents[3]
CPU = Group(torch.device("cpu"))
# 36 images less validation and test, in batches of 8 at most: 3 steps an epoch or more.
STEPS = 6


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sets")


def job(preset: str, data: Path, run: Path) -> dict[str, Any]:
    """Where and how often a preset's run saves, and when it is killed."""
    order = sorted(PRESETS).index(preset)
    rng = np.random.default_rng([2026, order])
    # One in two saves a state each step; the others are thrown back to the end of an epoch.
    often = order % 2 == 0
    return {
        "preset": preset,
        "data": str(data),
        "run": str(run),
        "changes": [f"train.save_seconds={0 if often else 1000}"],
        "at": "save" if order == 2 else "step",
        "number": int(rng.integers(1, STEPS)),
    }


@pytest.fixture(scope="session")
def killed(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Runs of every preset that were killed with SIGKILL."""
    folder = tmp_path_factory.mktemp("killed")
    jobs = [job(preset, data, folder / preset) for preset in sorted(PRESETS)]
    for preset in PRESETS:
        data_of(preset, data)
    done = subprocess.run(
        [sys.executable, "-m", "tests.classifier.training.killed"],
        cwd=ROOT,
        input=json.dumps(jobs),
        text=True,
        stdout=subprocess.PIPE,
        check=True,
    )
    assert json.loads(done.stdout) == [signal.SIGKILL] * len(jobs)
    return {preset: folder / preset for preset in PRESETS}


def trained(config: TrainConfig, run: Path, terminology: Terminology, **given: Any) -> Any:
    return run_training(config, run, terminology, CPU, Reporter(), resume=False, **given)


def resumed(config: TrainConfig, run: Path, terminology: Terminology) -> Any:
    return run_training(config, run, terminology, CPU, Reporter(), resume=True)


def without_time(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        del row["seconds"]
    return rows


def tensors(value: Any, name: str = "") -> dict[str, torch.Tensor]:
    """All tensors in a state file, by their place in it."""
    if isinstance(value, torch.Tensor):
        return {name: value}
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    found: dict[str, torch.Tensor] = {}
    if isinstance(value, dict | list | tuple):
        for key, one in pairs:
            if isinstance(one, torch.Tensor | dict | list | tuple):
                found |= tensors(one, f"{name}.{key}")
    return found


def assert_equal_runs(one: Path, other: Path) -> None:
    states = [tensors(torch.load(run / "state.pt", weights_only=True)) for run in (one, other)]
    assert states[0].keys() == states[1].keys()
    assert len(states[0]) > 20
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
    models = [load_model(run / "model.pt") for run in (one, other)]
    assert models[0].weights_sha256 == models[1].weights_sha256
    assert models[0].version == models[1].version
    assert without_time(one / "log.csv") == without_time(other / "log.csv")
    for name in ("splits.csv", "label-space.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    first, second = (load_scores(run / "scores-test.npz") for run in (one, other))
    assert first.keys == second.keys
    for head, values in first.probabilities.items():
        assert np.array_equal(values, second.probabilities[head])


def test_every_shipped_preset_is_tested() -> None:
    assert set(PRESETS) == set(preset_names())


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_preset_killed_and_resumed_gives_the_same_weights(
    preset: str, data: Path, killed: dict[str, Path], tmp_path: Path, terminology: Terminology
) -> None:
    config = config_of(preset, data, *job(preset, data, tmp_path)["changes"])
    run = tmp_path / "whole"
    metrics = trained(config, run, terminology)
    assert metrics["epochs"] == 2
    assert not (killed[preset] / "metrics.json").exists()

    resumed(config, killed[preset], terminology)

    assert_equal_runs(run, killed[preset])
    assert [row["epoch"] for row in without_time(run / "log.csv")] == ["1", "2"]
    model = load_model(run / "model.pt")
    assert model.name == f"bodysite-{preset}"
    assert model.metrics == metrics
    assert set(model.space.heads) == set(config.labels.heads)
    for name in ("config.toml", "versions.json", "scores-validation.npz", "left-out.csv"):
        assert (run / name).exists(), name
    assert (run / "lr-finder.png").exists() == (config.optimizer.lr == "find")


def test_run_that_is_complete_is_not_trained_again(
    data: Path, tmp_path: Path, terminology: Terminology, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of("uksh", data)
    metrics = trained(config, tmp_path / "run", terminology)
    monkeypatch.setattr("classifier.training.runs.train", None)
    assert resumed(config, tmp_path / "run", terminology) == metrics


def test_run_that_is_there_is_not_overwritten(
    data: Path, tmp_path: Path, terminology: Terminology
) -> None:
    config = config_of("uksh", data)
    trained(config, tmp_path / "run", terminology)
    with pytest.raises(TrainingError, match=r"there is a run already.*--resume"):
        trained(config, tmp_path / "run", terminology)
    other = config_of("uksh", data, "train.batch=6", "train.workers=0")
    with pytest.raises(TrainingError, match=r"started with another train\.batch;"):
        resumed(other, tmp_path / "run", terminology)


def test_interrupted_run_saves_and_goes_on(
    data: Path, tmp_path: Path, terminology: Terminology, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of("default", data)
    trained(config, tmp_path / "whole", terminology)

    class AskedAtOnce(interrupt.Interrupt):
        def __init__(self) -> None:
            super().__init__()
            self.asked = True

    monkeypatch.setattr(loop, "Interrupt", AskedAtOnce)
    with pytest.raises(InterruptedRunError, match="step 1 of 3 of epoch 1"):
        trained(config, tmp_path / "run", terminology)
    # One step at a time, and once at the end of each epoch.
    for where in ("2 of 3 of epoch 1", "3 of 3 of epoch 1", "1 of 3 of epoch 2"):
        with pytest.raises(InterruptedRunError, match=f"step {where}"):
            resumed(config, tmp_path / "run", terminology)
    monkeypatch.undo()
    resumed(config, tmp_path / "run", terminology)
    assert_equal_runs(tmp_path / "whole", tmp_path / "run")


def test_folds_score_every_image_once_and_resume_at_a_fold(
    data: Path, tmp_path: Path, terminology: Terminology
) -> None:
    config = config_of("uksh", data, "split.method=folds", "split.k=3", "train.epochs=1")
    run = tmp_path / "run"
    metrics = trained(config, run, terminology)
    scores = load_scores(run / "scores.npz")
    assert len(scores.keys) == len(set(scores.keys)) == 36
    assert sorted(metrics["folds"]) == ["fold-1", "fold-2", "fold-3"]
    assert metrics["test"]["examined"]["images"] == 36
    whole = (run / "scores.npz").read_bytes()

    # As if it had been killed in the second fold.
    first = (run / "fold-1" / "model.pt").stat().st_mtime_ns
    for fold in ("fold-2", "fold-3"):
        (run / fold / "metrics.json").unlink()
    (run / "fold-3" / "state.pt").unlink()
    resumed(config, run, terminology)
    assert (run / "fold-1" / "model.pt").stat().st_mtime_ns == first
    again = load_scores(run / "scores.npz")
    assert again.keys == scores.keys
    for head, values in scores.probabilities.items():
        assert np.array_equal(values, again.probabilities[head])
    assert len((run / "scores.npz").read_bytes()) == len(whole)


def test_each_source_is_left_out_once(data: Path, tmp_path: Path, terminology: Terminology) -> None:
    config = config_of("uksh", data, "split.method=sources", "train.epochs=1")
    metrics = trained(config, tmp_path / "run", terminology)
    assert [one["split"] for one in metrics["folds"].values()] == [
        "hospital0",
        "hospital1",
        "hospital2",
    ]
    for fold in metrics["folds"]:
        scores = load_scores(tmp_path / "run" / fold / "scores-test.npz")
        assert len(set(scores.sources)) == 1


def test_sources_that_only_train_are_in_no_other_part(
    data: Path, tmp_path: Path, terminology: Terminology
) -> None:
    config = config_of("default", data)
    prepared = prepare(config, terminology, None, Reporter())
    sources = sorted({one.source for one in prepared.samples})
    kept = config_of("default", data, f"split.train_only=[{sources[0]!r}]")
    (tmp_path / "run").mkdir()
    [one] = split(kept, prepared, tmp_path / "run", Reporter())
    by_part = {
        name: {prepared.samples[row].source for row in rows} for name, rows in one.parts().items()
    }
    assert sources[0] in by_part["train"]
    assert sources[0] not in by_part["validation"] | by_part["test"]
    only = {row for row, two in enumerate(prepared.samples) if two.source == sources[0]}
    assert only <= set(one.train)
    assert len({*one.train, *one.validation, *one.test}) == sum(map(len, one.parts().values()))

    nothing = config_of("default", data, f"split.train_only={json.dumps(sources)}")
    with pytest.raises(TrainingError, match="names every source"):
        split(nothing, prepared, tmp_path, Reporter())


def test_what_only_trains_is_left_out_where_its_patient_is_tested(
    data: Path, tmp_path: Path, terminology: Terminology
) -> None:
    config = config_of("default", data, "split.method=folds", "split.k=3")
    prepared = prepare(config, terminology, None, Reporter())
    # The pictures of one source are of patients of another.
    extra, other = sorted({one.source for one in prepared.samples})[:2]
    groups = sorted({one.group for one in prepared.samples if one.source == other})
    samples = [
        replace(one, group=groups[at % len(groups)]) if one.source == extra else one
        for at, one in enumerate(prepared.samples)
    ]
    prepared = replace(prepared, samples=tuple(samples))
    kept = config_of(
        "default", data, "split.method=folds", "split.k=3", f"split.train_only=[{extra!r}]"
    )
    (tmp_path / "run").mkdir()
    for one in split(kept, prepared, tmp_path / "run", Reporter()):
        apart = {samples[row].group for row in (*one.validation, *one.test)}
        training = {samples[row].group for row in one.train}
        assert not apart & training
        assert any(samples[row].source == extra for row in one.train)


def test_what_was_cut_out_of_a_picture_trains_where_the_picture_does(
    data: Path, tmp_path: Path, terminology: Terminology
) -> None:
    prepared = prepare(config_of("default", data), terminology, None, Reporter())
    extra, other = sorted({one.source for one in prepared.samples})[:2]
    whole = cycle(one.key for one in prepared.samples if one.source == other)
    samples = [
        replace(one, origin=next(whole)) if one.source == extra else one for one in prepared.samples
    ]
    prepared = replace(prepared, samples=tuple(samples))
    kept = config_of("default", data, f"split.train_only=[{extra!r}]")
    (tmp_path / "run").mkdir()
    [one] = split(kept, prepared, tmp_path / "run", Reporter())
    training = {samples[row].key for row in one.train}
    cut = [samples[row].origin for row in one.train if samples[row].source == extra]
    assert cut
    assert set(cut) <= training
    assert len(cut) < sum(two.source == extra for two in samples)


def test_patience_ends_a_run(data: Path, tmp_path: Path, terminology: Terminology) -> None:
    # So high a rate that nothing is learnt after the first epochs.
    config = config_of(
        "uksh", data, "train.epochs=30", "train.patience=2", "optimizer.lr=1.0", "train.ema=0.0"
    )
    metrics = trained(config, tmp_path / "run", terminology)
    assert metrics["epochs"] == metrics["best_epoch"] + 2 < 30


def test_labels_weights_and_rates_reach_the_loop(
    data: Path, tmp_path: Path, terminology: Terminology
) -> None:
    config = config_of(
        "default",
        data,
        "loss.logit_adjustment=1.0",
        "loss.balance_cap=5.0",
        "schedule.name=cosine",
        "optimizer.lr=0.002",
        "schedule.end=0.5",
        "train.tensorboard=true",
    )
    metrics = trained(config, tmp_path / "run", terminology)
    assert metrics["learning_rate"] == 0.002
    last = without_time(tmp_path / "run" / "log.csv")[-1]
    assert float(last["learning_rate"]) == pytest.approx(0.001)
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))


def test_eight_images_are_learnt_by_heart(
    data: Path, tmp_path: Path, terminology: Terminology
) -> None:
    config = config_of(
        "uksh",
        data,
        "augment.policy=none",
        "train.epochs=20",
        "train.ema=0.0",
        "train.mixup=0.0",
        "train.patience=0",
        "optimizer.name=adam",
        "optimizer.lr=0.005",
        "optimizer.weight_decay=0.0",
        "loss.label_smoothing=0.0",
    )
    trained(config, tmp_path / "run", terminology)
    losses = [float(row["train_loss"]) for row in without_time(tmp_path / "run" / "log.csv")]
    assert losses[-1] < 0.1 * losses[0]


def test_loss_that_is_no_number_ends_the_run(
    data: Path, tmp_path: Path, terminology: Terminology
) -> None:
    config = config_of(
        "uksh",
        data,
        "optimizer.lr=100.0",
        "optimizer.clip=0.0",
        "train.epochs=30",
        "schedule.name=constant",
    )
    with pytest.raises(TrainingError, match=r"loss is '(nan|inf)'.*smaller optimizer\.lr"):
        trained(config, tmp_path / "run", terminology)


def test_run_that_was_refused_before_it_began_can_be_started_again(
    data: Path, tmp_path: Path, terminology: Terminology
) -> None:
    run = tmp_path / "run"
    with pytest.raises(BodySiteError, match="head 'irma'"):
        trained(config_of("uksh", data, 'labels.heads=["irma"]'), run, terminology)
    assert not (run / "config.toml").exists()
    trained(config_of("uksh", data, "train.epochs=1"), run, terminology)
    assert (run / "model.pt").exists()


def test_refusal_leaves_a_run_that_was_there_as_it_is(
    tmp_path: Path, terminology: Terminology
) -> None:
    config = config_of("uksh", tmp_path / "data", "train.epochs=1")
    run = tmp_path / "run"
    trained(config, run, terminology)
    before = sorted(one.name for one in run.iterdir())
    (tmp_path / "data" / "manifest" / "manifest.csv").unlink()
    with pytest.raises(BodySiteError):
        resumed(config, run, terminology)
    assert sorted(one.name for one in run.iterdir()) == before


def test_data_that_changed_are_refused(tmp_path: Path, terminology: Terminology) -> None:
    config = config_of("uksh", tmp_path / "data", "train.epochs=1")
    run = tmp_path / "run"
    trained(config, run, terminology)
    (run / "metrics.json").unlink()
    manifest = tmp_path / "data" / "manifest" / "manifest.csv"
    lines = manifest.read_text(encoding="utf-8").splitlines(keepends=True)
    manifest.write_text("".join(lines[:-6]), encoding="utf-8")
    with pytest.raises(Exception, match="samples are not in both"):
        resumed(config, run, terminology)


def test_images_are_chosen_by_their_fields(
    data: Path, tmp_path: Path, terminology: Terminology
) -> None:
    config = config_of("uksh", data, 'data.where.source=["hospital0", "hospital1"]')
    trained(config, tmp_path / "run", terminology)
    assert set(load_scores(tmp_path / "run" / "scores-test.npz").sources) <= {
        "hospital0",
        "hospital1",
    }
    with pytest.raises(TrainingError, match=r"no sample .* is chosen; expected source one of hos"):
        trained(
            config_of("uksh", data, 'data.where.source=["clinic"]'), tmp_path / "none", terminology
        )


def test_heads_without_labels_train_on_the_others(
    data: Path, tmp_path: Path, terminology: Terminology
) -> None:
    config = config_of("default", data)
    trained(config, tmp_path / "run", terminology)
    scores = load_scores(tmp_path / "run" / "scores-validation.npz")
    # Every fourth image has no view.
    assert (~scores.targets.allowed[Head.VIEW].any(axis=1)).any()


def test_images_that_do_not_decode_are_left_out_unless_they_are_many(
    tmp_path: Path, terminology: Terminology
) -> None:
    config = config_of("uksh", tmp_path / "data", "train.epochs=1")
    files = sorted((tmp_path / "data" / "manifest").rglob("*.jpg"))
    files[0].write_bytes(b"\xff\xd8\xff no picture")
    metrics = trained(config, tmp_path / "run", terminology)
    assert sum(metrics["images"].values()) == 35
    left_out = (tmp_path / "run" / "left-out.csv").read_text(encoding="utf-8")
    assert files[0].stem in left_out
    for path in files[1:10]:
        path.write_bytes(b"\xff\xd8\xff no picture")
    with pytest.raises(TrainingError, match=r"10 of 36 images do not decode.*share of 0\.05"):
        trained(config, tmp_path / "other", terminology)


def test_bf16_trains_on_a_cpu_and_fp16_is_refused(
    data: Path, tmp_path: Path, terminology: Terminology
) -> None:
    trained(config_of("default", data, "train.amp=bf16"), tmp_path / "run", terminology)
    trained(config_of("default", data), tmp_path / "whole", terminology)
    losses = [
        float(without_time(tmp_path / run / "log.csv")[-1]["validation_loss"])
        for run in ("run", "whole")
    ]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    with pytest.raises(TrainingError, match="'fp16' on a CPU; expected 'auto', 'off' or 'bf16'"):
        trained(config_of("default", data, "train.amp=fp16"), tmp_path / "none", terminology)


def test_set_that_is_named_twice_is_refused(
    data: Path, tmp_path: Path, terminology: Terminology
) -> None:
    config = config_of("uksh", data)
    twice = replace(config, data=replace(config.data, sets=config.data.sets * 2))
    with pytest.raises(DataSetError, match=r"is there twice, and 35 others.*Name each set once"):
        trained(twice, tmp_path / "run", terminology)


def test_labels_can_be_read_in_the_space_of_a_model(
    data: Path, tmp_path: Path, terminology: Terminology
) -> None:
    whole = prepare(config_of("uksh", data), terminology, None, Reporter())
    part = config_of("uksh", data, 'data.where.source=["hospital0"]')
    own = prepare(part, terminology, None, Reporter())
    read = prepare(part, terminology, None, Reporter(), space=whole.space)
    assert own.space != whole.space
    assert read.space == whole.space
    assert read.examples.targets.known.shape == (len(read.samples), len(whole.space.vocabulary))
