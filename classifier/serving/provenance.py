"""`Provenance`: which collections a run learned from, and how often it saw each class."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from classifier.data.labels import Head, LabelSpace
from classifier.data.read import read_collection
from classifier.data.sample import Collection, Sample
from classifier.data.targets import encode
from classifier.errors import DataSetError
from classifier.training.config import TrainConfig
from terminology.library import Terminology

_CONFIG: Final = "config.toml"
_SPLITS: Final = "splits.csv"


@dataclass(frozen=True, slots=True)
class Provenance:
    """What an artefact says of the training of its model.

    Attributes
    ----------
    prior
        The share of each class of the examined part, by SCTID; sums to 1.
    sources
        For each collection `name`, `images`, and of each licence how many: `licences`.
    training, validation
        The images that the model learned from, and those that chose its epoch.
    """

    prior: Mapping[str, float] = field(default_factory=dict)
    sources: tuple[Mapping[str, Any], ...] = ()
    training: tuple[Sample, ...] = ()
    validation: tuple[Sample, ...] = ()


def provenance_of(
    folder: Path, split: str, space: LabelSpace, terminology: Terminology
) -> Provenance:
    """Return what a model learned from: the part ``train`` of its split.

    The collections of the run are read again, without their images.

    Parameters
    ----------
    folder
        Of the model: the run, or that of one split of a run over several.
    split
        The name of the split; empty where the run has one.

    Raises
    ------
    DataSetError
        A collection is no longer there or has other samples, or the run has no such split.
    ConfigError
        The configuration of the run is not understood.
    """
    run = folder if (folder / _CONFIG).is_file() else folder.parent
    parts = _parts(run / _SPLITS, split or "part")
    config = TrainConfig.read(run / _CONFIG)
    collections = [
        read_collection(one.kind, one.path, terminology, **one.options) for one in config.data.sets
    ]
    samples = [sample for one in collections for sample in one.samples]
    if absent := parts.keys() - {sample.key for sample in samples}:
        raise DataSetError(
            str(run / _SPLITS),
            f"{len(absent)} samples of the run are no longer in its data sets",
            "the data sets that it was trained on",
            "Put them back, or export without what they tell: --no-data.",
        )
    training = tuple(sample for sample in samples if parts.get(sample.key) == "train")
    licences: dict[str, Counter[str]] = {}
    for sample in training:
        licences.setdefault(sample.source, Counter())[sample.licence or "not stated"] += 1
    sources = tuple(
        {
            "name": name,
            "images": licences[name].total(),
            "licences": dict(sorted(licences[name].items())),
        }
        for name in sorted(licences)
    )
    learned = [_only(one, parts, "train") for one in collections]
    return Provenance(
        _prior(learned, space, terminology),
        sources,
        training,
        tuple(sample for sample in samples if parts.get(sample.key) == "validation"),
    )


def _prior(
    collections: Sequence[Collection], space: LabelSpace, terminology: Terminology
) -> dict[str, float]:
    """Return the share of each examined class, with one image more a class than there are.

    An image with a coarse label counts for the classes it allows, by how common these are.
    """
    codes = space.columns(Head.EXAMINED)
    if not codes:
        return {}
    allowed = encode(collections, space, terminology.graph).allowed[Head.EXAMINED]
    plain = allowed.sum(axis=1) == 1
    counts = 1.0 + allowed[plain].sum(axis=0)
    coarse = allowed[~plain & allowed.any(axis=1)] * counts
    if len(coarse):
        counts = counts + (coarse / coarse.sum(axis=1, keepdims=True)).sum(axis=0)
    return dict(zip(codes, np.asarray(counts / counts.sum()).tolist(), strict=True))


def _only(collection: Collection, parts: Mapping[str, str], part: str) -> Collection:
    chosen = tuple(one for one in collection.samples if parts.get(one.key) == part)
    return replace(collection, samples=chosen)


def _parts(path: Path, column: str) -> dict[str, str]:
    """Return the part of each sample of the run, by its key."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return {row["key"]: row[column] for row in csv.DictReader(stream)}
    except (OSError, KeyError, ValueError, csv.Error) as error:
        raise DataSetError(
            str(path),
            f"does not say what the model was trained on ({error})",
            "the split of a run of 'bodysite train'",
            "Name the folder of the run, or export without what its data tell: --no-data.",
        ) from error
