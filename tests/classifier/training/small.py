"""The presets made so small that each trains two epochs in a second, on sets of drawn pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from classifier.training.config import DataSet, TrainConfig
from tests.classifier import tinysets


@dataclass(frozen=True)
class Small:
    """A preset with the set that it is for, and what makes it small."""

    kind: str
    make: Callable[..., Path]
    changes: tuple[str, ...] = ()


TINY = (
    "preprocess.size=32",
    "train.epochs=2",
    "train.batch=8",
    "train.threads=1",
    "labels.min_images=2",
    "split.near_duplicates=-1",
)
RESNET = ("network.backbone=resnet10", "network.width=8")
RATE = ("optimizer.lr=0.001",)
PRESETS = {
    # The rate is found by a sweep.
    "cheng-roco": Small("roco", tinysets.roco, RESNET),
    "cheng-irma": Small("imageclef", tinysets.imageclef2007, (*RESNET, *RATE)),
    "cheng-snomed": Small("unifesp", tinysets.unifesp, (*RESNET, *RATE, "optimizer.name=adagrad")),
    "router": Small("dicom", tinysets.dicom_folder, ("network.width=0.25",)),
    "uksh": Small("manifest", tinysets.manifest, (*RESNET, "optimizer.name=sgd")),
    # Everything that draws random numbers is on.
    "default": Small(
        "manifest", tinysets.manifest, (*RESNET, "network.dropout=0.2", "train.mixup=1.0")
    ),
    # As it ships, but smaller.
    "radiograph": Small(
        "manifest", tinysets.manifest, (*RESNET, "split.validation=0.2", "split.test=0.2")
    ),
}


def data_of(preset: str, folder: Path) -> Path:
    """Return the set of `preset` in `folder`, made if it is not there."""
    small = PRESETS[preset]
    place = folder / small.kind
    if not place.exists():
        place.mkdir(parents=True)
        small.make(place, 36)
    return place


def config_of(preset: str, data: Path, *changes: str) -> TrainConfig:
    """Return the small configuration of `preset` on the set in `data`."""
    small = PRESETS[preset]
    sets = (DataSet(small.kind, data_of(preset, data)),)
    cache = f"data.cache={str(data / 'cache')!r}"
    return TrainConfig.preset(preset, (*TINY, cache, *small.changes, *changes), sets)
