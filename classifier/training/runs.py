"""A run: its folder, its splits, its models and their scores.

A run over several splits trains each in a folder of its own, and pools the scores of the tests,
so that every image is scored by a model that has not seen it.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch

from classifier.data.labels import Scores
from classifier.data.scores import load_scores, save_scores
from classifier.data.splits import Split
from classifier.errors import TrainingError
from classifier.models.checkpoint import load_model, package_versions, save_model
from classifier.training.config import TrainConfig
from classifier.training.distributed import Group
from classifier.training.logs import Reporter
from classifier.training.loop import MODEL, Task, train
from classifier.training.precision import Precision
from classifier.training.preparation import SPACE, SPLITS, Prepared, prepare, split
from classifier.training.scoring import brief, outputs_of, scores_of
from classifier.training.state import Course
from terminology.errors import BodySiteError
from terminology.files import written_whole
from terminology.library import Terminology

CONFIG: Final = "config.toml"
METRICS: Final = "metrics.json"
POOLED: Final = "scores.npz"
# What a run of tune has, and one of train has not.
CELLS: Final = "cells"
VERSIONS: Final = "versions.json"
# What may differ when a run is resumed: it does not change what is computed.
_FREE: Final = frozenset({"train.workers", "train.save_seconds", "train.tensorboard", "data.cache"})


def run_training(
    config: TrainConfig,
    run: Path,
    terminology: Terminology,
    group: Group,
    reporter: Reporter,
    *,
    resume: bool,
) -> dict[str, Any]:
    """Train as `config` says into the folder `run`, and return what ``metrics.json`` holds.

    Raises
    ------
    TrainingError
        There is a run and `resume` is false, or it is one of another configuration, or of `tune`.
    InterruptedRunError
        It was asked to stop; with `resume` it goes on.
    """
    if (run / CELLS).exists():
        raise TrainingError(
            str(run),
            "it is a run of 'tune'",
            "one of 'train'",
            f"Train its winner: bodysite train {run / 'winner.toml'} --out RUN.",
        )
    with opened(config, run, group, resume=resume), group.main_first():
        prepared = prepare(config, terminology, run if group.main else None, reporter)
        splits = split(config, prepared, run, reporter)
    if len(splits) == 1:
        return _train_split(config, prepared, splits[0], run, group, reporter)
    results = {}
    for number, one in enumerate(splits, 1):
        folder = run / f"fold-{number}"
        if group.main:
            folder.mkdir(exist_ok=True)
        reporter.say(f"{folder.name} of {len(splits)}: {one.name}")
        results[folder.name] = _train_split(config, prepared, one, folder, group, reporter)
    metrics: dict[str, Any] = {"folds": results}
    if group.main:
        parts = [load_scores(run / name / "scores-test.npz") for name in results]
        scores = Scores.pooled(parts)
        save_scores(run / POOLED, scores)
        metrics = {"test": brief(scores), "folds": results}
        write_json(run / METRICS, metrics)
    return metrics


@contextmanager
def opened(config: TrainConfig, run: Path, group: Group, *, resume: bool) -> Iterator[None]:
    """Open the folder of a run while its data are prepared.

    Where that is refused, a run that was new is none: it can be started again in the same folder,
    with what was wrong put right.

    Raises
    ------
    TrainingError
        As of `open_run`.
    """
    new = not (run / CONFIG).exists()
    if group.main:
        open_run(config, run, group, resume=resume)
    set_threads(config)
    try:
        yield
    except BodySiteError:
        if new and group.main:
            for name in (CONFIG, VERSIONS, SPACE, SPLITS):
                (run / name).unlink(missing_ok=True)
        raise


def open_run(config: TrainConfig, run: Path, group: Group, *, resume: bool) -> None:
    """Make the folder of a run and write its configuration, or check that it is the one there.

    Raises
    ------
    TrainingError
        There is a run and `resume` is false, or it is one of another configuration, or the
        folder cannot be written.
    """
    path = run / CONFIG
    if path.exists():
        if not resume:
            raise TrainingError(
                str(run),
                "there is a run already",
                "a folder without one",
                "Go on with it by --resume, or name another folder with --out.",
            )
        changed = set(TrainConfig.read(path).differences(config)) - _FREE
        if changed:
            raise TrainingError(
                str(path),
                f"the run was started with another {', '.join(sorted(changed))}",
                "the configuration it was started with",
                "Resume it with --out alone, or start a new one.",
            )
        return
    try:
        run.mkdir(parents=True, exist_ok=True)
        write_json(
            run / VERSIONS,
            package_versions()
            | {
                "machine": platform.machine(),
                "processor": _processor(),
                "cores": os.cpu_count(),
                "device": str(group.device),
                "gpu": torch.cuda.get_device_name(group.device)
                if group.device.type == "cuda"
                else None,
                "processes": group.size,
            },
        )
        with written_whole(path) as stream:
            stream.write(config.to_toml())
    except OSError as error:
        raise TrainingError(
            str(run),
            f"it cannot be written ({error.strerror})",
            "a folder for the run",
            "Name another with --out.",
        ) from error


def set_threads(config: TrainConfig) -> None:
    """Have torch take as many threads as the configuration says."""
    if config.train.threads:
        torch.set_num_threads(config.train.threads)


def _train_split(
    config: TrainConfig,
    prepared: Prepared,
    one: Split,
    folder: Path,
    group: Group,
    reporter: Reporter,
) -> dict[str, Any]:
    """Train and score one split into `folder`, if that is not done yet."""
    done = folder / METRICS
    if group.told(done.exists()):
        found: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return found
    train_part, _ = prepared.part(one.train)
    validation, _ = prepared.part(one.validation)
    task = Task(config, prepared.space, train_part, validation)
    course = train(task, folder, group, reporter)
    # The others read the model when it is written.
    group.told(None)
    scores = {
        name: _scores(config, prepared, rows, folder, group)
        for name, rows in (("validation", one.validation), ("test", one.test))
        if rows
    }
    metrics = _metrics(one, course, scores)
    if group.main:
        for name, found_scores in scores.items():
            save_scores(folder / f"scores-{name}.npz", found_scores)
        model = load_model(folder / MODEL)
        save_model(folder / MODEL, replace(model, metrics=metrics))
        write_json(done, metrics)
        for name in scores:
            reporter.say(f"{name}: {_told(metrics[name])}")
    group.told(None)
    return metrics


def _scores(
    config: TrainConfig, prepared: Prepared, rows: tuple[int, ...], folder: Path, group: Group
) -> Scores:
    examples, samples = prepared.part(rows)
    net = load_model(folder / MODEL, device=group.device).net
    precision = Precision.of(config.train.amp, group.device)
    outputs = outputs_of(net, examples, config.preprocess, group, precision, config.train.workers)
    return scores_of(outputs, prepared.space, examples, samples)


def _metrics(one: Split, course: Course, scores: Mapping[str, Scores]) -> dict[str, Any]:
    return {
        "split": one.name,
        "images": {name: len(rows) for name, rows in one.parts().items()},
        "epochs": course.epoch,
        "best_epoch": course.best_epoch,
        "validation_loss": course.best,
        "learning_rate": course.lr,
        "seconds": round(course.seconds, 1),
    } | {name: brief(found) for name, found in scores.items()}


def _told(numbers: Mapping[str, Mapping[str, float]]) -> str:
    return ", ".join(
        f"{head} {name.replace('_', ' ')} {value:.3f}"
        for head, found in numbers.items()
        for name, value in found.items()
        if name != "images"
    )


def write_json(path: Path, value: object) -> None:
    """Write `value` as JSON, whole or not at all."""
    with written_whole(path) as stream:
        stream.write(json.dumps(value, ensure_ascii=False, indent=1) + "\n")


def _processor() -> str:
    """Return the name of the CPU."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()
