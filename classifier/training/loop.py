"""The training loop, readable from top to bottom.

A run can be killed at any moment and taken up again: its state is saved every so many seconds and
at the end of each epoch, and what a step does depends on that state and on its number alone. On a
CPU the weights are then the same, bit for bit, as without the interruption.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from classifier.data.labels import LabelSpace
from classifier.errors import TrainingError
from classifier.models.checkpoint import TrainedModel, save_model
from classifier.models.coherence import Coherence
from classifier.models.losses import LabelStatistics, total_loss
from classifier.models.network import BodySiteNet
from classifier.training import lr_finder, schedule
from classifier.training.batches import Batch, Batches, Examples, mixed
from classifier.training.config import TrainConfig
from classifier.training.distributed import Group
from classifier.training.interrupt import Interrupt, InterruptedRunError
from classifier.training.logs import Curves, Reporter, Row, write_log
from classifier.training.optimizers import make_optimizer
from classifier.training.precision import Precision
from classifier.training.scoring import outputs_of, validation_loss
from classifier.training.state import STATE, Course, Learner, averaged

MODEL: Final = "model.pt"
LOG: Final = "log.csv"
# What a generator is for, beside those of `classifier.training.batches`.
_DROPOUT: Final = 3


@dataclass(frozen=True)
class Task:
    """What is trained: a configuration, and the images that teach and that choose."""

    config: TrainConfig
    space: LabelSpace
    train: Examples
    validation: Examples


def train(task: Task, run: Path, group: Group, reporter: Reporter) -> Course:
    """Train into the folder `run`, from where it stands, and return how it went.

    ``model.pt`` is the model of the epoch with the least validation loss, ``log.csv`` has a row
    an epoch, ``state.pt`` is what the run is resumed from.

    Raises
    ------
    InterruptedRunError
        It was asked to stop, and has saved where it is.
    TrainingError
        The loss is no number any more, or a setting does not go with the device or the images.
    """
    config, table, device = task.config, task.config.train, group.device
    precision = Precision.of(table.amp, device)
    batches = _batches(task, group)
    steps = table.epochs * len(batches)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        net = BodySiteNet(config.network, task.space, seed=table.seed)
        net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        loss_of = _Loss(task, precision, device)
        resumed = (run / STATE).exists()
        rate = 0.0 if resumed else _base_rate(task, net, loss_of, batches, run, group, reporter)
        learner = Learner(
            net,
            make_optimizer(net, config.optimizer, rate),
            precision.scaler(),
            averaged(net, table.ema) if table.ema else None,
        )
        course = learner.load(run, device) if resumed else Course(rate)
        model = group.wrap(net)
        scored = learner.scored
        curves = run / "tensorboard" if table.tensorboard and group.main else None

        with Interrupt() as interrupt, Curves(curves, course.epoch + 1) as curve:
            while course.epoch < table.epochs and not _stale(course, table.patience):
                epoch, clock = course.epoch, _Clock(course)
                model.train()
                with reporter.bar(
                    f"epoch {epoch + 1}/{table.epochs}", len(batches), course.step
                ) as tell:
                    for step, batch in zip(
                        count(course.step), batches.epoch(epoch, course.step), strict=False
                    ):
                        _seed(table.seed, epoch, step, group.rank)
                        phase = config.schedule.phase(
                            epoch * len(batches) + step, steps, len(batches)
                        )
                        schedule.apply(learner.optimizer, course.lr, phase)
                        mixing = batches.mixing(epoch, step) if table.mixup else None
                        loss = loss_of.mixed(model, batch.to(device), table.mixup, mixing)
                        _update(loss, learner, config.optimizer.clip)
                        group.share_buffers(net)
                        if learner.average is not None:
                            learner.average.update_parameters(net)
                        course.step = step + 1
                        course.loss += _finite(float(loss.detach()), "training", epoch)
                        tell(course.step, f"loss {course.loss / course.step:.3f}")
                        stop, due = group.any(interrupt.asked, clock.due(table.save_seconds))
                        if (stop or due) and group.main:
                            clock.note()
                            learner.save(run, course)
                        if stop:
                            raise InterruptedRunError(
                                f"step {course.step} of {len(batches)} of epoch {epoch + 1}"
                            )
                outputs = outputs_of(
                    scored, task.validation, config.preprocess, group, precision, table.workers
                )
                total, each = validation_loss(outputs, task.space, task.validation, config.loss)
                clock.note()
                if _finite(total, "validation", epoch) < course.best:
                    course.best, course.best_epoch = total, epoch + 1
                    if group.main:
                        save_model(run / MODEL, _model(task, scored, course))
                rate = learner.optimizer.param_groups[0]["lr"]
                row = _row(course, group.mean(course.loss), total, each, rate)
                course.rows.append(row)
                course.epoch, course.step, course.loss = epoch + 1, 0, 0.0
                if group.main:
                    learner.save(run, course)
                    write_log(run / LOG, course.rows)
                curve.add(row)
                reporter.say(_line(row, course, table.epochs))
        if group.main:
            # A kill between the two may have left the log a row short.
            write_log(run / LOG, course.rows)
    return course


class _Clock:
    """Counts the seconds of a run, over its interruptions."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._noted = time.perf_counter()

    def due(self, seconds: float) -> bool:
        return time.perf_counter() - self._noted >= seconds

    def note(self) -> None:
        now = time.perf_counter()
        self._course.seconds += now - self._noted
        self._noted = now


class _Loss:
    """The loss of a batch, in the precision of the run."""

    def __init__(self, task: Task, precision: Precision, device: torch.device) -> None:
        self._space, self._settings = task.space, task.config.loss
        self._precision = precision
        self._coherence = Coherence(task.space.vocabulary).to(device)
        self._statistics = (
            LabelStatistics.of(task.train.targets).to(device)
            if self._settings.needs_statistics
            else None
        )

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        return self._of(self._outputs(model, batch.images), batch.targets)

    def mixed(
        self, model: nn.Module, batch: Batch, alpha: float, rng: np.random.Generator | None
    ) -> Tensor:
        """Return the loss of `batch` mixed with itself; as it is where `rng` is `None`."""
        mixture = None if rng is None else mixed(batch, alpha, rng)
        if mixture is None:
            return self(model, batch)
        outputs = self._outputs(model, mixture.images)
        first, second = self._of(outputs, mixture.first), self._of(outputs, mixture.second)
        return mixture.share * first + (1 - mixture.share) * second

    def _outputs(self, model: nn.Module, images: Tensor) -> Any:
        with self._precision.casting():
            return model(images)

    def _of(self, outputs: Any, targets: Mapping[str, Tensor]) -> Tensor:
        return total_loss(
            outputs, targets, self._space, self._settings, self._coherence, self._statistics
        )[0]


def _batches(task: Task, group: Group) -> Batches:
    config, table = task.config, task.config.train
    smallest = len(task.train) // -(-len(task.train) // table.batch)
    # A batch norm knows no spread of one value.
    if smallest // group.size < 2:
        raise TrainingError(
            "train.batch",
            f"{len(task.train)} images in batches of {table.batch} over {group.size} processes",
            "at least two images of every batch for every process",
            "Add images, or start fewer processes.",
        )
    return Batches(
        task.train,
        config.preprocess,
        config.augment,
        table.batch,
        seed=table.seed,
        rank=group.rank,
        ranks=group.size,
        workers=table.workers,
        pinned=group.device.type == "cuda",
        least_shown=table.least_shown,
        ramp=round(table.ramp * table.epochs),
    )


def _base_rate(
    task: Task,
    net: BodySiteNet,
    loss_of: _Loss,
    batches: Batches,
    run: Path,
    group: Group,
    reporter: Reporter,
) -> float:
    """Return the base rate: as given, or found by a sweep that rank 0 makes for all."""
    table = task.config.optimizer
    if table.lr != "find":
        return table.lr
    rate = 0.0
    if group.main:
        with reporter.bar("learning rate", lr_finder.STEPS) as tell:
            sweep = lr_finder.sweep(
                net,
                lambda model, lr: make_optimizer(model, table, lr),
                loss_of,
                (batch.to(group.device) for batch in _endless(batches)),
                tell=lambda step: tell(step, ""),
            )
        sweep.save(run)
        reporter.say(f"learning rate found: {sweep.suggestion:.2g}")
        rate = sweep.suggestion
    return group.told(rate)


def _endless(batches: Batches) -> Iterator[Batch]:
    # Epochs that training does not reach, so that it sees no picture a second time.
    for epoch in count(1_000_000):
        yield from batches.epoch(epoch)


def _seed(seed: int, epoch: int, step: int, rank: int) -> None:
    """Have torch's dropout draw from the number of the step: its layers take no generator."""
    sequence = np.random.SeedSequence([seed, _DROPOUT, epoch, step, rank])
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]))


def _update(loss: Tensor, learner: Learner, clip: float) -> None:
    learner.optimizer.zero_grad(set_to_none=True)
    learner.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    if clip:
        learner.scaler.unscale_(learner.optimizer)
        nn.utils.clip_grad_norm_(learner.net.parameters(), clip)
    learner.scaler.step(learner.optimizer)
    learner.scaler.update()


def _finite(loss: float, of: str, epoch: int) -> float:
    if not math.isfinite(loss):
        raise TrainingError(
            f"epoch {epoch + 1}",
            f"the {of} loss is '{loss}'",
            "a number",
            "Take a smaller optimizer.lr, or find one with optimizer.lr=find, in a new --out.",
        )
    return loss


def _stale(course: Course, patience: int) -> bool:
    return patience > 0 and course.epoch - course.best_epoch >= patience


def _row(
    course: Course, train_loss: float, total: float, each: Mapping[str, float], rate: float
) -> Row:
    losses = {f"validation_{head}": round(loss, 6) for head, loss in each.items()}
    return {
        "epoch": course.epoch + 1,
        "steps": course.step,
        "learning_rate": float(f"{rate:.6g}"),
        "train_loss": round(train_loss / course.step, 6),
        "validation_loss": round(total, 6),
        **losses,
        "best": int(course.best_epoch == course.epoch + 1),
        "seconds": round(course.seconds, 1),
    }


def _line(row: Row, course: Course, epochs: int) -> str:
    return (
        f"epoch {row['epoch']}/{epochs}  train {row['train_loss']:.4f}"
        f"  validation {row['validation_loss']:.4f}{' *' if row['best'] else ''}"
        f"  lr {row['learning_rate']:.2g}  {course.seconds:.0f} s"
    )


def _model(task: Task, net: BodySiteNet, course: Course) -> TrainedModel:
    config = task.config
    model = TrainedModel(
        net,
        task.space,
        config.preprocess,
        config.network,
        config.name,
        "",
        {"validation_loss": course.best, "best_epoch": course.best_epoch},
        config.published(),
    )
    return replace(model, version=model.weights_sha256[:12])
