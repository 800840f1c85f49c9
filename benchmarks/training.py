"""Training images a second of the default net, beside the loop that is usually written.

Usage: python benchmarks/training.py [--images 384] [--side 1024] [--rounds 3] [--preset default]

Both train the same network with the same optimiser and batch on the same JPEG files, in one
process, in turn. Ours is `classifier.training.loop.train` with all that is around a step: cache,
augmentation, moving average, mixup, validation, log and state. The other is a `DataLoader` with
as many processes as there are cores, PIL, and transforms of torchvision that vary the pictures
about as much. Prints one JSON object a line; rates are the best of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from classifier.data.sample import Collection, Sample
from classifier.data.space import build_space
from classifier.data.targets import encode
from classifier.models.network import BodySiteNet
from classifier.models.vision import torchvision
from classifier.training.batches import Batches, Examples
from classifier.training.cache import cached
from classifier.training.config import TrainConfig
from classifier.training.distributed import Group
from classifier.training.logs import Reporter
from classifier.training.loop import Task, train
from terminology.graph import BodyStructureGraph

EPOCHS = 3
CPU = torch.device("cpu")
# Hand, chest, knee, skull and foot.
PARTS = ("85562004", "816094009", "72696002", "89546000", "56459004")
# Pictures that differ; the rest are copies.
_DRAWN = 64
VIEWS = ("399348003", "399067008")


def main() -> None:
    """Run the measurements and print them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--images", type=int, default=384)
    options.add_argument("--side", type=int, default=1024)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--preset", default="default")
    given = options.parse_args()
    cores = os.cpu_count() or 1
    changes = (f"train.epochs={EPOCHS}", "labels.min_images=1", f"train.workers={cores}")
    config = TrainConfig.preset(given.preset, changes)
    show({"cores": cores, "torch": torch.__version__, "threads": torch.get_num_threads()})
    with tempfile.TemporaryDirectory() as folder:
        samples = pictures(Path(folder), given.images, given.side)
        collection = Collection("drawn", samples)
        graph = BodyStructureGraph.load()
        space = build_space([collection], graph, config.labels.heads)
        started = time.perf_counter()
        images, _, _ = cached(samples, config.preprocess, Path(folder) / "cache")
        seconds = time.perf_counter() - started
        show({"step": "decode once", "images_a_second": round(given.images / seconds, 1)})
        examples = Examples(images, encode([collection], space, graph))
        task = Task(config, space, examples, examples.take(range(16)))
        show({"step": "batches alone", "images_a_second": rate(given.images, batches_of(task))})
        plain = Plain(task, samples, cores)
        ours_best = plain_best = 0.0
        for number in range(given.rounds):
            run = Path(folder) / f"run{number}"
            run.mkdir()
            ours_best = max(
                ours_best,
                rate(
                    given.images * EPOCHS, lambda run=run: train(task, run, Group(CPU), Reporter())
                ),
            )
            plain_best = max(plain_best, rate(given.images * EPOCHS, plain.train))
        show({"step": "training, ours", "images_a_second": ours_best})
        show({"step": "training, plain loop", "images_a_second": plain_best})
        show({"step": "ratio", "ours_to_plain": round(ours_best / plain_best, 2)})


def show(line: dict[str, Any]) -> None:
    """Print one line."""
    print(json.dumps(line), flush=True)


def rate(images: int, work: Any) -> float:
    """Return how many images a second `work` takes."""
    started = time.perf_counter()
    work()
    return round(images / (time.perf_counter() - started), 1)


def pictures(folder: Path, count: int, side: int) -> tuple[Sample, ...]:
    """Return samples of JPEG files of `side` pixels, of about the detail of a radiograph."""
    made: list[Sample] = []
    for number in range(count):
        path = folder / f"{number:05d}.jpg"
        if number < _DRAWN:
            rng = np.random.default_rng(number)
            coarse = rng.integers(0, 256, (16, 16), np.uint8)
            image = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
            noise = rng.normal(0, 4, image.shape)
            cv2.imwrite(str(path), np.clip(image + noise, 0, 255).astype(np.uint8))
        else:
            shutil.copy(made[number - _DRAWN].path, path)
        made.append(
            Sample(
                f"drawn/{number}",
                path,
                "drawn",
                f"drawn:{number}",
                examined=PARTS[number % len(PARTS)],
                view=VIEWS[number % len(VIEWS)],
                modality=("DX", "CT")[number % 7 == 0],
            )
        )
    return tuple(made)


def batches_of(task: Task) -> Any:
    """Return what makes the batches of an epoch and leaves it at that."""
    config = task.config
    made = Batches(
        task.train,
        config.preprocess,
        config.augment,
        config.train.batch,
        workers=config.train.workers,
    )
    return lambda: sum(1 for _ in made.epoch(0))


class Pictures(Dataset[tuple[torch.Tensor, int]]):
    """Files that are opened, resized and varied by PIL and torchvision each time."""

    def __init__(self, samples: tuple[Sample, ...], size: int, channels: int) -> None:
        self.samples, self.size, self.channels = samples, size, channels

    @cached_property
    def transform(self) -> Any:
        """What varies a picture; each process makes its own."""
        transforms = torchvision().transforms
        return transforms.Compose(
            [
                transforms.Resize((self.size, self.size), antialias=True),
                transforms.RandomAffine(15, translate=(0.08, 0.08), scale=(0.7, 1.2)),
                transforms.ColorJitter(0.2, 0.2),
                transforms.RandomInvert(0.1),
                transforms.Grayscale(self.channels),
                transforms.ToTensor(),
                transforms.RandomErasing(0.3),
            ]
        )

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        with Image.open(self.samples[row].path) as image:
            return self.transform(image.convert("L")), row % len(PARTS)


class Plain:
    """The usual loop: cross-entropy of one head, AdamW, no average, nothing saved."""

    def __init__(self, task: Task, samples: tuple[Sample, ...], workers: int) -> None:
        config = task.config
        # One head is less to do than ours have.
        self.head = config.labels.heads[0]
        self.net = BodySiteNet(replace(config.network, weights=None), task.space, seed=0)
        self.net.to(memory_format=torch.channels_last).train()
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-3, weight_decay=0.05)
        data = Pictures(samples, config.preprocess.size, config.preprocess.channels)
        self.loader = DataLoader(
            data,
            config.train.batch,
            shuffle=True,
            num_workers=workers,
            persistent_workers=True,
            multiprocessing_context="forkserver",
        )
        # The processes start before the clock does.
        self.epoch()

    def train(self) -> None:
        """Train as long as ours does."""
        for _ in range(EPOCHS):
            self.epoch()

    def epoch(self) -> None:
        """Train one epoch."""
        for images, classes in self.loader:
            self.optimizer.zero_grad(set_to_none=True)
            outputs = self.net(images.to(memory_format=torch.channels_last))[self.head]
            loss = nn.functional.cross_entropy(outputs, classes)
            loss.backward()
            self.optimizer.step()


if __name__ == "__main__":
    main()
