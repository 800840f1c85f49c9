"""From a configuration to what can be trained on: samples, label space, targets, images, splits."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.data.duplicates import group_near_duplicates, image_hash
from classifier.data.labels import Head, LabelSpace, Targets
from classifier.data.read import check_named_once, read_collection
from classifier.data.sample import Collection, Sample
from classifier.data.space import build_space
from classifier.data.splits import Split, folds, holdout, leave_one_source_out, own_parts
from classifier.data.splits import load as load_splits
from classifier.data.splits import save as save_splits
from classifier.data.targets import encode, within_frame
from classifier.errors import TrainingError
from classifier.names import view_of
from classifier.training.batches import Examples
from classifier.training.cache import CachedImages, Undecodable, cached, default_folder
from classifier.training.config import DataSet, TrainConfig
from classifier.training.logs import Reporter
from terminology.files import written_whole
from terminology.library import Terminology

SPLITS: Final = "splits.csv"
SPACE: Final = "label-space.json"
LEFT_OUT: Final = "left-out.csv"
_SHOWN: Final = 5
_SIDE: Final = re.compile(r"\b(left|right)\b")


@dataclass(frozen=True)
class Prepared:
    """Samples in the order of their sets, with their images and what is known of them."""

    samples: tuple[Sample, ...]
    space: LabelSpace
    examples: Examples

    def part(self, rows: Sequence[int]) -> tuple[Examples, tuple[Sample, ...]]:
        """Return the images and the samples of `rows`."""
        return self.examples.take(rows), tuple(self.samples[row] for row in rows)


def prepare(
    config: TrainConfig,
    terminology: Terminology,
    run: Path | None,
    reporter: Reporter,
    *,
    space: LabelSpace | None = None,
) -> Prepared:
    """Return what `config` trains on, decoding images that are not in the cache.

    Images that do not decode are left out before classes are counted; ``left-out.csv`` in `run`
    names them. The label space is written to `run`, or must be the one that is there.

    Parameters
    ----------
    run
        `None` writes nothing.
    space
        The label space of a model, in which the labels are to be read; by default they make one.

    Raises
    ------
    DataSetError
        A set cannot be read, or says nothing that a head asks for.
    TrainingError
        There are no sets or no samples, too many images do not decode, or the data are no longer
        those that the run was started with.
    """
    collections = [_read(one, terminology, reporter) for one in _sets(config)]
    collections = [_chosen(one, config.data.where, "data.where") for one in collections]
    samples = tuple(sample for one in collections for sample in one.samples)
    check_named_once(collections)
    images, usable, undecodable = _fitted(samples, config, config.preprocess.size, reporter)
    _check_decoded(undecodable, len(samples), config, reporter)
    if run is not None:
        _write_left_out(run / LEFT_OUT, collections, undecodable)
    keys = {samples[row].key for row in usable}
    collections = [
        replace(one, samples=tuple(sample for sample in one.samples if sample.key in keys))
        for one in collections
    ]
    if space is None:
        space = build_space(
            collections, terminology.graph, config.labels.heads, min_images=config.labels.min_images
        )
    if run is not None:
        _keep_space(run / SPACE, space)
    targets = encode(collections, space, terminology.graph)
    kept = tuple(samples[row] for row in usable)
    classes = ", ".join(f"{head} {len(space.columns(head))}" for head in space.heads)
    reporter.say(f"{len(kept)} images; classes: {classes}")
    if space.visible and not (targets.known & ~targets.present).any():
        reporter.say(
            "visible: no part is known to be absent from any image, so that the head learns to see"
            " everything. Where a set names all that it shows, say so in its options"
            ' (manifest: exhaustive_over = ["*"]; others: exhaustive = true).'
        )
    _check_mirrors(config, space)
    detailed = None
    if config.train.detail > 1:
        size = round(config.preprocess.size * config.train.detail)
        detailed, *_ = _fitted(kept, config, size, reporter)
    within = within_frame(targets, space) if config.train.least_shown else None
    return Prepared(kept, space, Examples(images, targets, detailed, within))


def _fitted(
    samples: Sequence[Sample], config: TrainConfig, size: int, reporter: Reporter
) -> tuple[CachedImages, tuple[int, ...], tuple[Undecodable, ...]]:
    """Return the images of `samples` with sides of `size`, which decode, and which do not."""
    with reporter.bar(f"decoding images to {size} pixels", len(samples)) as tell:
        return cached(
            samples,
            replace(config.preprocess, size=size),
            config.data.cache or default_folder(),
            tell=lambda done, total: tell(len(samples) - total + done, ""),
        )


def _check_mirrors(config: TrainConfig, space: LabelSpace) -> None:
    """Raise where a mirrored picture would be another view."""
    views = [view_of(code).display for code in space.columns(Head.VIEW)]
    sided = [name for name in views if _SIDE.search(name)]
    if config.augment.mirrors and sided:
        raise TrainingError(
            "[augment]",
            f"images are mirrored, and the view '{sided[0]}' tells left from right",
            "no mirroring, or views without a side",
            "Set flip and dihedral to 0, or raise labels.min_images.",
        )


def split(config: TrainConfig, prepared: Prepared, run: Path, reporter: Reporter) -> list[Split]:
    """Return the splits in `run`; those that `config` asks for are made and kept there first.

    Raises
    ------
    DataSetError
        There are too few patients, or the splits in `run` are of other samples.
    TrainingError
        A part that is needed holds nothing.
    """
    path = run / SPLITS
    if not path.exists():
        save_splits(path, _split(config, prepared, reporter), prepared.samples)
    splits = load_splits(path, prepared.samples)
    for one in splits:
        for name in ("train", "validation"):
            if not one.parts()[name]:
                raise TrainingError(
                    f"{path} {one.name}",
                    f"the part '{name}' is empty",
                    "images in every part",
                    "Add images, or change the shares in [split].",
                )
    return splits


def _split(config: TrainConfig, prepared: Prepared, reporter: Reporter) -> list[Split]:
    """Return the splits of all images; those of `split.train_only` only train.

    They are left out where their patient chooses or tests, and where the picture that they were cut
    out of trains no more: it may be too much like one that is tested.
    """
    near = near_duplicates(config, prepared.examples.images, reporter)
    only = config.split.train_only
    rows = [at for at, one in enumerate(prepared.samples) if one.source not in only]
    if len(rows) == len(prepared.samples):
        return _divided(config, prepared.samples, prepared.examples.targets, near)
    if not rows:
        raise TrainingError(
            "split.train_only",
            "it names every source",
            "images to choose and test by",
            "Name fewer sources.",
        )
    extra = tuple(sorted(set(range(len(prepared.samples))).difference(rows)))
    splits = _divided(
        config,
        tuple(prepared.samples[row] for row in rows),
        prepared.examples.targets.take(rows),
        None if near is None else near[rows],
    )
    groups = [one.group for one in prepared.samples]
    keys = {prepared.samples[row].key for row in rows}
    found = []
    for one in splits:
        kept_apart = {groups[rows[at]] for at in (*one.validation, *one.test)}
        gone = keys.difference(prepared.samples[rows[at]].key for at in one.train)
        own = [
            at
            for at in extra
            if groups[at] not in kept_apart and prepared.samples[at].origin not in gone
        ]
        found.append(
            Split(
                tuple(sorted((*(rows[at] for at in one.train), *own))),
                tuple(rows[at] for at in one.validation),
                tuple(rows[at] for at in one.test),
                one.name,
            )
        )
    return found


def _divided(
    config: TrainConfig,
    samples: tuple[Sample, ...],
    targets: Targets,
    near: NDArray[np.intp] | None,
) -> list[Split]:
    table = config.split
    match table.method:
        case "holdout":
            return [
                holdout(
                    samples,
                    targets,
                    table.seed,
                    validation=table.validation,
                    test=table.test,
                    near=near,
                )
            ]
        case "parts":
            return [own_parts(samples, targets, table.seed, validation=table.validation, near=near)]
        case "folds":
            return folds(
                samples, targets, table.k, table.seed, validation=table.validation, near=near
            )
        case "sources":
            return leave_one_source_out(
                samples,
                targets,
                table.seed,
                validation=table.validation,
                least=table.least,
                near=near,
            )


def near_duplicates(
    config: TrainConfig, images: CachedImages, reporter: Reporter
) -> NDArray[np.intp] | None:
    """Return the near-duplicate group of each image, intp (N,); `None` where none are looked for.

    The fitted images are compared, so that copies of other sizes are alike.
    """
    if config.split.near_duplicates < 0:
        return None
    found = np.zeros((len(images), 2), dtype=np.uint64)
    with reporter.bar("near-duplicates", len(images)) as tell:
        for row in range(len(images)):
            found[row] = image_hash(images[row])
            tell(row + 1, "")
    return group_near_duplicates(found, distance=config.split.near_duplicates)


def _sets(config: TrainConfig) -> tuple[DataSet, ...]:
    if not config.data.sets:
        raise TrainingError(
            "data.sets",
            "there is no data set",
            "at least one",
            "Name one with --data KIND:PATH, or as [[data.sets]] with kind and path.",
        )
    return config.data.sets


def _read(one: DataSet, terminology: Terminology, reporter: Reporter) -> Collection:
    collection = read_collection(one.kind, one.path, terminology, **one.options)
    reporter.say(f"{one.kind} {one.path}: {len(collection.samples)} samples")
    for left in collection.left_out:
        reporter.say(f"  left out {left.count}: {left.reason}, such as {left.example}")
    return _chosen(collection, one.where, f"where of '{one.kind}:{one.path}'")


def _chosen(collection: Collection, where: Mapping[str, tuple[str, ...]], place: str) -> Collection:
    """Return the samples whose fields have one of the values in `where`."""
    if not where:
        return collection
    samples = tuple(
        sample
        for sample in collection.samples
        if all(str(getattr(sample, name) or "") in values for name, values in where.items())
    )
    if not samples:
        there = {
            name: sorted({str(getattr(one, name)) for one in collection.samples})[:_SHOWN]
            for name in where
        }
        raise TrainingError(
            place,
            f"no sample of '{collection.name}' is chosen",
            "; ".join(f"{name} one of {', '.join(values)}" for name, values in there.items()),
            "Correct the values, or leave the set out.",
        )
    return replace(collection, samples=samples)


def _check_decoded(
    undecodable: Sequence[Undecodable], count: int, config: TrainConfig, reporter: Reporter
) -> None:
    for one in undecodable[:_SHOWN]:
        reporter.say(f"left out: {one.path}: {one.reason}")
    if len(undecodable) > _SHOWN:
        reporter.say(f"left out: {len(undecodable)} images in all that do not decode")
    if len(undecodable) > config.data.most_undecodable * count or len(undecodable) == count:
        first = undecodable[0] if undecodable else None
        raise TrainingError(
            "data.sets",
            f"{len(undecodable)} of {count} images do not decode"
            + ("" if first is None else f", such as {first.path}: {first.reason}"),
            f"at most a share of {config.data.most_undecodable:g}",
            "Repair the set, or raise data.most_undecodable.",
        )


def _write_left_out(
    path: Path, collections: Sequence[Collection], undecodable: Sequence[Undecodable]
) -> None:
    with written_whole(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("where", "count", "reason"))
        for collection in collections:
            for left in collection.left_out:
                writer.writerow((f"{collection.name}: {left.example}", left.count, left.reason))
        for one in undecodable:
            writer.writerow((one.key, 1, one.reason))


def _keep_space(path: Path, space: LabelSpace) -> None:
    """Write the label space, or check that it is the one that is there."""
    text = json.dumps(space.to_json(), ensure_ascii=False, indent=1) + "\n"
    if not path.exists():
        with written_whole(path) as stream:
            stream.write(text)
    elif path.read_text(encoding="utf-8") != text:
        raise TrainingError(
            str(path),
            "the data now call for other classes",
            "the data and the release that the run was started with",
            "Start a new run with another --out.",
        )
