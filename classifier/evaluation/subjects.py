"""What `bodysite evaluate` is given: a run's folder, a file of scores, a model with collections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from classifier.data.labels import Head, Scores
from classifier.data.scores import load_scores
from classifier.errors import ReportError
from classifier.names import view_of

if TYPE_CHECKING:
    from classifier.data.sample import Collection
    from classifier.evaluation.assess import Assessment
    from classifier.models.checkpoint import TrainedModel
    from classifier.training.logs import Reporter
    from terminology.library import Terminology

_CONFIG: Final = "config.toml"
_POOLED: Final = "scores.npz"
_SPLITS: Final = "splits.csv"
_MODEL: Final = "model.pt"
_CELLS: Final = "cells"
_LOG: Final = "log.csv"
_REFUSED_SHOWN: Final = 5
_LABELS_SHOWN: Final = 5


@dataclass(frozen=True)
class Subject:
    """Scores to report on, and what is known of where they are from.

    Attributes
    ----------
    name
        What the report is called after.
    model_of
        The model that scored a sample, by its key; `None` where it is not known.
    logs
        ``log.csv`` of each training, by name.
    config
        The configuration of the training, as TOML.
    about
        Sentences on the data and the model.
    frames
        The frame of each sample by its key; a key that is not there: not known.
    narrowed
        Sentences on labels of the data that the model has no class for.
    """

    name: str
    scores: Scores
    model_of: Callable[[str], TrainedModel | None] = lambda _: None
    logs: Mapping[str, Path] = field(default_factory=dict)
    config: str | None = None
    about: tuple[str, ...] = ()
    frames: Mapping[str, int] = field(default_factory=dict)
    narrowed: tuple[str, ...] = ()


def is_run(path: Path) -> bool:
    """Return whether `path` is the folder of a run."""
    return (path / _CONFIG).is_file()


def of_scores(path: Path) -> Subject:
    """Return what the file of scores at `path` holds.

    Raises
    ------
    DataSetError
        It is no file of scores.
    """
    return Subject(path.stem, load_scores(path), about=(f"Scores of {path.name}.",))


def of_run(run: Path, part: str = "test") -> Subject:
    """Return the scores of a run: of the tests of all its splits, or of `part` of its one split.

    Raises
    ------
    ReportError
        The run is not finished, or has no such part.
    DataSetError
        Its scores are damaged.
    """
    config = (run / _CONFIG).read_text(encoding="utf-8")
    name = run.resolve().name
    folds = sorted(
        (one for one in run.glob("fold-*") if one.is_dir()),
        key=lambda one: (len(one.name), one.name),
    )
    if folds:
        return _of_folds(run, name, folds, part, config)
    path = run / f"scores-{part}.npz"
    if not path.is_file():
        raise _no_scores(run, part)
    model = _loaded_once(run / _MODEL)
    about = f"Run {name}, the {part} images, which no weight was fitted to."
    if part == "validation":
        about += " They chose the epoch, so the figures are too good."
    return Subject(
        f"{name}, {part}",
        load_scores(path),
        lambda _: model(),
        {"": run / _LOG} if (run / _LOG).is_file() else {},
        config,
        (about, _trained(run)),
    )


def _of_folds(run: Path, name: str, folds: Sequence[Path], part: str, config: str) -> Subject:
    if part != "test":
        raise ReportError(
            f"--part {part}",
            f"'{run}' is a run over {len(folds)} splits",
            "the pooled test of all its splits",
            f"Leave --part out, or evaluate one split: {folds[0]}/scores-{part}.npz.",
        )
    if not (run / _POOLED).is_file():
        raise _no_scores(run, part)
    models = [_loaded_once(fold / _MODEL) for fold in folds]
    of_key = {
        key: at
        for at, fold in enumerate(folds)
        for key in load_scores(fold / "scores-test.npz").keys
    }
    about = (
        f"Run {name}: {len(folds)} splits. Each image is scored by the model of the split that"
        " tests it, which was not trained on it nor on others of its patient."
    )
    return Subject(
        name,
        load_scores(run / _POOLED),
        lambda key: models[of_key[key]]() if key in of_key else None,
        {fold.name: fold / _LOG for fold in folds if (fold / _LOG).is_file()},
        config,
        (about, _trained(folds[0])),
    )


def of_model(
    path: Path,
    collections: Sequence[Collection],
    terminology: Terminology,
    *,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[Subject, Assessment]:
    """Return what the model at `path` says of `collections`.

    Raises
    ------
    CheckpointError
        It is no model.
    DataSetError
        The collections share an image.
    ReportError
        No image can be read, or the collections say nothing that the model answers.
    """
    from classifier.data.read import check_named_once
    from classifier.data.targets import encode, unheld
    from classifier.evaluation.assess import assess
    from classifier.models.checkpoint import load_model
    from classifier.predict import CheckpointPredictor

    model = load_model(path)
    check_named_once(collections)
    samples = [sample for one in collections for sample in one.samples]
    targets = encode(collections, model.space, terminology.graph)
    if not (targets.known.any() or any(flags.any() for flags in targets.allowed.values())):
        raise ReportError(
            "--data",
            "the labels say nothing about any class of the model",
            f"labels within {', '.join(model.space.heads)}",
            "Evaluate it on images of what it was trained for.",
        )
    found = assess(CheckpointPredictor(model), samples, targets, advance=advance)
    if not found.scores.keys:
        raise ReportError(
            "--data",
            f"none of {len(samples)} images can be read",
            "images that decode",
            f"The first: {found.refused[0][1]}" if found.refused else "Name other collections.",
        )
    names = ", ".join(one.name for one in collections)
    whole = (
        f"Model {model.name} {model.version} on {names}. Whether these images were among those that"
        " it was trained on is not known here."
    )
    narrowed = tuple(
        _narrowed(head, labels, terminology)
        for head, labels in unheld(collections, model.space, terminology.graph).items()
    )
    about = [whole, *narrowed]
    if found.refused:
        shown = "; ".join(
            f"{sample.key}: {error.what}" for sample, error in found.refused[:_REFUSED_SHOWN]
        )
        more = len(found.refused) - _REFUSED_SHOWN
        about.append(
            f"Left out are {len(found.refused)} images that cannot be read: {shown}"
            + (f"; and {more} others." if more > 0 else ".")
        )
    subject = Subject(
        f"{model.name} on {names}",
        found.scores,
        lambda _: model,
        config=_plain(model.config) if model.config else None,
        about=tuple(about),
        frames={sample.key: sample.frame for sample in samples},
        narrowed=narrowed,
    )
    return subject, found


def _narrowed(head: Head, labels: Counter[str], terminology: Terminology) -> str:
    """Return a sentence on the labels of a head that a model has no class for."""
    shown = ", ".join(
        _named(head, code, terminology) for code, _ in labels.most_common(_LABELS_SHOWN)
    )
    more = f", and {len(labels) - _LABELS_SHOWN} others" if len(labels) > _LABELS_SHOWN else ""
    then = (
        "what is above them is asked for"
        if head is Head.VISIBLE
        else "the figures of the head are without these images"
    )
    return (
        f"{head}: the model has no class for labels on {labels.total()} images"
        f" ({shown}{more}); {then}."
    )


def _named(head: Head, code: str, terminology: Terminology) -> str:
    if head is Head.VIEW:
        return view_of(code).display
    if code in terminology.graph:
        return f"{code} |{terminology.graph.lookup(code).display}|"
    return code


def run_baselines(
    run: Path, scores: Scores, part: str, terminology: Terminology, reporter: Reporter
) -> tuple[dict[str, Scores], dict[str, int]]:
    """Return what the baselines say of the images that a run was scored on, by name.

    Each is fitted on the training part of the run, for a run over splits on that of each. Also
    the frame of each sample by its key.

    Raises
    ------
    ReportError
        The data are no longer those that the run was made from.
    """
    from classifier.data.splits import load as load_splits
    from classifier.evaluation.baselines import BASELINES, baseline_scores
    from classifier.training.config import TrainConfig
    from classifier.training.preparation import prepare

    prepared = prepare(TrainConfig.read(run / _CONFIG), terminology, None, reporter)
    if prepared.space.to_json() != scores.space.to_json():
        raise _changed(run, "its data now call for other classes")
    parts: dict[str, list[Scores]] = {name: [] for name in BASELINES}
    for split in load_splits(run / _SPLITS, prepared.samples):
        train, _ = prepared.part(split.train)
        test, samples = prepared.part(split.parts()[part])
        train_images, test_images = (
            np.stack([one.images[row] for row in range(len(one))]) for one in (train, test)
        )
        for name in BASELINES:
            reporter.say(f"{name}{f', {split.name}' if split.name else ''}")
            parts[name].append(
                baseline_scores(
                    name,
                    prepared.space,
                    train_images,
                    train.targets,
                    test_images,
                    test.targets,
                    samples,
                )
            )
    found = {name: Scores.pooled(each) for name, each in parts.items()}
    for one in found.values():
        if set(one.keys) != set(scores.keys):
            raise _changed(run, "its images are no longer those that were scored")
    return found, {sample.key: sample.frame for sample in prepared.samples}


def _loaded_once(path: Path) -> Callable[[], TrainedModel | None]:
    """Return what loads the model at `path` when it is first asked for."""

    @cache
    def load() -> TrainedModel | None:
        from classifier.models.checkpoint import load_model

        return load_model(path) if path.is_file() else None

    return load


def _trained(folder: Path) -> str:
    """Return how long a training took, in a sentence; empty where that is not known."""
    import json

    try:
        told: Mapping[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        images = ", ".join(f"{count:,} {name}" for name, count in told["images"].items())
        return (
            f"{'The first split' if folder.name.startswith('fold-') else 'It'} had {images} images,"
            f" {told['epochs']} epochs in {told['seconds']:,.0f} s; epoch {told['best_epoch']} was"
            " kept."
        )
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _plain(config: Mapping[str, Any]) -> str:
    import json

    return json.dumps(config, ensure_ascii=False, indent=1)


def _no_scores(run: Path, part: str) -> ReportError:
    if (run / _CELLS).is_dir():
        return ReportError(
            str(run),
            "it is a run of 'tune', which looks at no test image",
            "a run of 'train'",
            f"Train its winner: bodysite train {run / 'winner.toml'} --out RUN",
        )
    there = sorted(one.stem.removeprefix("scores-") for one in run.glob("scores-*.npz"))
    return ReportError(
        str(run),
        f"the run has no scores of its {part} images",
        "a run that is finished and has such a part",
        f"It has {' and '.join(there)}: name one with --part."
        if there
        else f"Finish it: bodysite train --resume --out {run}",
    )


def _changed(run: Path, what: str) -> ReportError:
    return ReportError(
        str(run),
        what,
        "the data, the release and the code that the run was made with",
        "Leave --baselines out, or train again.",
    )
