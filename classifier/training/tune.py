"""The grid of `bodysite tune`: optimisers, learning rates and preprocessing, by cross-validation.

Only the training part of the split is used, in folds by patient with every label in each; the
test part is never seen. Each combination and fold is a small run of its own: what is done is not
done again, and one that was killed goes on where it was.
"""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Final

from classifier.data.labels import Head, Scores
from classifier.data.splits import Split, folds
from classifier.data.splits import load as load_splits
from classifier.data.splits import save as save_splits
from classifier.errors import TrainingError
from classifier.models.checkpoint import load_model
from classifier.training.config import OptimizerName, PreprocessKind, TrainConfig
from classifier.training.distributed import Group
from classifier.training.logs import Reporter
from classifier.training.loop import MODEL, Task, train
from classifier.training.precision import Precision
from classifier.training.preparation import Prepared, near_duplicates, prepare, split
from classifier.training.runs import CELLS, opened, write_json
from classifier.training.scoring import brief, outputs_of, scores_of
from terminology.files import written_whole
from terminology.library import Terminology

TABLE: Final = "tuning.csv"
RESULT: Final = "tuning.json"
WINNER: Final = "winner.toml"
CV_SPLITS: Final = "folds.csv"
# What stands for a head, the first that there is.
_MAIN: Final = ("accuracy", "mean_average_precision", "f1_micro")


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of the grid."""

    optimizer: OptimizerName
    lr: float
    preprocessing: PreprocessKind

    @property
    def name(self) -> str:
        """What its folder and its row are called."""
        return f"{self.optimizer}-{self.lr:g}-{self.preprocessing}"

    def applied(self, config: TrainConfig) -> TrainConfig:
        """Return `config` with this combination in it."""
        kind = self.preprocessing
        channels = 3 if kind in "CD" else config.preprocess.channels
        return replace(
            config,
            preprocess=replace(config.preprocess, kind=kind, channels=channels),
            network=replace(config.network, channels=channels),
            optimizer=replace(config.optimizer, name=self.optimizer, lr=self.lr),
        )


def run_tuning(
    config: TrainConfig,
    run: Path,
    terminology: Terminology,
    group: Group,
    reporter: Reporter,
    *,
    resume: bool,
) -> dict[str, Any]:
    """Train the grid of `config` into the folder `run`, and return what ``tuning.json`` holds.

    ``tuning.csv`` has a row a combination, the best first; ``winner.toml`` is `config` with the
    best one. Combinations are ranked by the mean over folds of their score, which is the mean over
    heads of the accuracy, or of the mean average precision of the visible head.

    Raises
    ------
    TrainingError
        There is a run and `resume` is false, or it is one of another configuration; or the split
        has no test part to keep apart; or every combination diverges.
    InterruptedRunError
        It was asked to stop; with `resume` it goes on.
    """
    if config.split.method not in ("holdout", "parts"):
        raise TrainingError(
            "split.method",
            f"'{config.split.method}', which has no one test part",
            "'holdout' or 'parts'",
            "Take one of these to tune; the winner can be trained with any.",
        )
    with opened(config, run, group, resume=resume), group.main_first():
        prepared = prepare(config, terminology, run if group.main else None, reporter)
        (outer,) = split(config, prepared, run, reporter)
        inner = _folds(config, prepared, outer, run, reporter)
    grid = config.tune
    cells = [
        Cell(*one) for one in product(grid.optimizers, grid.learning_rates, grid.preprocessing)
    ]
    found: dict[Cell, list[dict[str, Any]]] = {cell: [] for cell in cells}
    for number, fold in enumerate(inner, 1):
        for at, cell in enumerate(cells, 1):
            folder = run / CELLS / cell.name / f"fold-{number}"
            result = _trained(cell.applied(config), prepared, fold, folder, group)
            found[cell].append(result)
            reporter.say(
                f"fold {number}/{len(inner)}  {at}/{len(cells)}  {cell.name}  {_told(result)}"
            )
        if number < len(inner):
            best = sorted(cells, key=lambda cell: _rank(found[cell]))
            cells = best[: max(1, math.ceil(len(best) * grid.keep))]
    rows = [_row(cell, found[cell]) for cell in sorted(found, key=lambda c: _rank(found[c]))]
    winner = min(cells, key=lambda cell: _rank(found[cell]))
    if not any("score" in one for one in found[winner]):
        raise TrainingError(
            "[tune]",
            "every combination diverged",
            "a learning rate that one of them learns with",
            "Give smaller tune.learning_rates.",
        )
    result = {"winner": winner.name, "folds": len(inner), "table": rows}
    if group.main:
        _write(run, config, winner, rows, result)
    reporter.say(f"winner: {winner.name}, written as {run / WINNER}")
    return result


def _folds(
    config: TrainConfig, prepared: Prepared, outer: Split, run: Path, reporter: Reporter
) -> list[Split]:
    """Return the folds of what is not tested; their rows are those of `prepared`."""
    rows = sorted((*outer.train, *outer.validation))
    examples, samples = prepared.part(rows)
    path = run / CV_SPLITS
    if not path.exists():
        made = folds(
            samples,
            examples.targets,
            config.tune.folds,
            config.split.seed,
            validation=0,
            near=near_duplicates(config, examples.images, reporter),
        )
        save_splits(path, made, samples)
    return [
        Split(
            tuple(rows[row] for row in one.train),
            tuple(rows[row] for row in one.test),
            (),
            one.name,
        )
        for one in load_splits(path, samples)
    ]


def _trained(
    config: TrainConfig, prepared: Prepared, fold: Split, folder: Path, group: Group
) -> dict[str, Any]:
    """Return the result of one combination on one fold, training it if that is not done yet."""
    done = folder / "result.json"
    if group.told(done.exists()):
        found: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return found
    if group.main:
        folder.mkdir(parents=True, exist_ok=True)
    config = replace(config, train=replace(config.train, epochs=config.tune.epochs))
    taught, _ = prepared.part(fold.train)
    chosen, samples = prepared.part(fold.validation)
    result: dict[str, Any]
    try:
        course = train(Task(config, prepared.space, taught, chosen), folder, group, Reporter(None))
    except TrainingError as error:
        result = {"diverged": error.what}
    else:
        group.told(None)
        precision = Precision.of(config.train.amp, group.device)
        net = load_model(folder / MODEL, device=group.device).net
        outputs = outputs_of(net, chosen, config.preprocess, group, precision, config.train.workers)
        scores = scores_of(outputs, prepared.space, chosen, samples)
        result = _result(scores) | {
            "validation_loss": course.best,
            "best_epoch": course.best_epoch,
            "seconds": round(course.seconds, 1),
        }
    if group.main:
        # Only the result and the log stay: the grid has many folders.
        for path in folder.iterdir():
            if path.name != "log.csv":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        write_json(done, result)
    return result


def _result(scores: Scores) -> dict[str, Any]:
    heads = {
        head: next((found[name] for name in _MAIN if name in found), None)
        for head, found in brief(scores).items()
    }
    # What has one class is always right.
    told = {
        head: value
        for head, value in heads.items()
        if value is not None and len(scores.space.columns(Head(head))) > 1
    }
    return {"score": fmean(told.values()) if told else 0.0, "heads": told}


def _rank(results: Sequence[Mapping[str, Any]]) -> tuple[int, int, float, float]:
    """Return what combinations are sorted by: those that went further first, then the better."""
    good = [one for one in results if "score" in one]
    if not good:
        return (-len(results), len(results), 0.0, 0.0)
    return (
        -len(results),
        len(results) - len(good),
        -fmean(one["score"] for one in good),
        fmean(one["validation_loss"] for one in good),
    )


def _row(cell: Cell, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    good = [one for one in results if "score" in one]
    row: dict[str, Any] = {
        "optimizer": cell.optimizer,
        "learning_rate": cell.lr,
        "preprocessing": cell.preprocessing,
        "folds": len(results),
        "diverged": len(results) - len(good),
    }
    for name in ("score", "validation_loss"):
        values = [one[name] for one in good]
        row[name] = fmean(values) if values else None
        row[f"{name}_sd"] = stdev(values) if len(values) > 1 else None
    for head in sorted({head for one in good for head in one["heads"]}):
        row[head] = fmean(one["heads"][head] for one in good if head in one["heads"])
    row["seconds"] = round(sum(one["seconds"] for one in good), 1)
    return row


def _told(result: Mapping[str, Any]) -> str:
    if "score" not in result:
        return f"diverged: {result['diverged']}"
    return f"score {result['score']:.3f}  loss {result['validation_loss']:.4f}"


def _write(
    run: Path,
    config: TrainConfig,
    winner: Cell,
    rows: Sequence[Mapping[str, Any]],
    result: Mapping[str, Any],
) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with written_whole(run / TABLE) as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {
                name: f"{value:.6g}" if isinstance(value, float) else value
                for name, value in row.items()
            }
            for row in rows
        )
    with written_whole(run / WINNER) as stream:
        stream.write(winner.applied(config).to_toml())
    write_json(run / RESULT, result)
