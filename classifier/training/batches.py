"""Batches: cached images, augmented and preprocessed, with their targets.

What a batch holds depends on the seed, the epoch and the place in it alone, so that a run can be
taken up at any step. Threads prepare the next batches while one is trained on; OpenCV and NumPy
let them run beside each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from classifier.data.labels import Head, Targets
from classifier.preprocess.pipeline import Preprocessing
from classifier.training.augment import Augmentation
from classifier.training.cache import CachedImages

# What a generator is for: order, augmentation and mixing of one epoch must not share one.
_ORDER, _AUGMENT, _MIX = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Batch:
    """Some images and what is known of them.

    Attributes
    ----------
    images
        float32 (B, C, S, S), as `Preprocessing.tensor` makes them.
    targets
        By name of the head: bool (B, classes) that are possible; ``present`` and ``known`` for
        the columns of the vocabulary.
    """

    images: Tensor
    targets: dict[str, Tensor]

    def to(self, device: torch.device) -> Batch:
        """Return the batch on `device`, its channels last in memory."""
        images = self.images.to(device, non_blocking=True, memory_format=torch.channels_last)
        return Batch(
            images,
            {name: one.to(device, non_blocking=True) for name, one in self.targets.items()},
        )


@dataclass(frozen=True)
class Examples:
    """Images with their targets, row by row.

    Attributes
    ----------
    detailed
        The same images with more pixels, to draw look-alikes from; `None`: from `images`.
    within
        What is known of a part of each image (`classifier.data.targets.within_frame`); `None`:
        a part keeps the targets of the whole.
    """

    images: CachedImages
    targets: Targets
    detailed: CachedImages | None = None
    within: Targets | None = None

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: Sequence[int]) -> Examples:
        """Return some of the rows."""
        return Examples(
            self.images.take(rows),
            self.targets.take(rows),
            None if self.detailed is None else self.detailed.take(rows),
            None if self.within is None else self.within.take(rows),
        )


@dataclass(frozen=True)
class Batches:
    """The batches of an epoch.

    Attributes
    ----------
    augmentation
        `None` leaves the images as they are, and in their order.
    size
        Images of a batch over all processes; batches of an epoch differ by one at most.
    least_shown
        A look-alike that shows a smaller share of the area of its image has the targets of a part
        of it, `Examples.within`.
    rank, ranks
        Which process this is, of how many: each takes every `ranks`-th image of a batch.
    ramp
        Epochs over which the augmentation grows to its full strength.
    workers
        Threads that prepare batches ahead; 0 prepares each when it is asked for.
    """

    examples: Examples
    preprocessing: Preprocessing
    augmentation: Augmentation | None
    size: int
    seed: int = 0
    rank: int = 0
    ranks: int = 1
    workers: int = 0
    pinned: bool = False
    least_shown: float = 0.0
    ramp: int = 0

    def __len__(self) -> int:
        return -(-len(self.examples) // self.size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of `epoch`, from the `start`-th on."""
        parts = self._parts(epoch)[start:]
        if not self.workers:
            for rows in parts:
                yield self._batch(epoch, rows)
            return
        ahead: deque[Future[Batch]] = deque()
        pool = ThreadPoolExecutor(self.workers, "batches")
        try:
            waiting = iter(parts)
            for rows in waiting:
                ahead.append(pool.submit(self._batch, epoch, rows))
                if len(ahead) > self.workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def mixing(self, epoch: int, step: int) -> np.random.Generator:
        """Return the generator for mixing the images of one step."""
        return np.random.default_rng([self.seed, _MIX, epoch, step, self.rank])

    def _parts(self, epoch: int) -> list[NDArray[np.intp]]:
        """Return the rows of each batch of `epoch` that this process takes."""
        rows = np.arange(len(self.examples))
        if self.augmentation is not None:
            rows = np.random.default_rng([self.seed, _ORDER, epoch]).permutation(rows)
        return [part[self.rank :: self.ranks] for part in np.array_split(rows, len(self))]

    def _batch(self, epoch: int, rows: NDArray[np.intp]) -> Batch:
        looks = [self._look(epoch, int(row)) for row in rows]
        images = np.stack([image for image, _ in looks])
        targets = as_tensors(self.examples.targets.take(rows))
        if self.examples.within is not None:
            parts = torch.tensor([shown < self.least_shown for _, shown in looks])
            within = as_tensors(self.examples.within.take(rows))
            targets = {
                name: torch.where(parts[:, None], within[name], one)
                for name, one in targets.items()
            }
        batch = Batch(torch.from_numpy(images), targets)
        return batch if not self.pinned else _pinned(batch)

    def _look(self, epoch: int, row: int) -> tuple[NDArray[np.float32], float]:
        """Return what the network is fed, and the share of the image's area that it shows."""
        fitted = self.examples.images[row]
        if self.augmentation is None:
            return self.preprocessing.tensor(fitted), 1.0
        # The picture is varied first and filtered then, as another picture would be.
        rng = np.random.default_rng([self.seed, _AUGMENT, epoch, row])
        detailed = self.examples.detailed
        source = fitted if detailed is None else detailed[row]
        augmentation = self.augmentation
        if epoch < self.ramp:
            augmentation = augmentation.scaled((epoch + 1) / (self.ramp + 1))
        look = augmentation.look(source, rng, len(fitted))
        return self.preprocessing.tensor(look.image), look.shown


def as_tensors(targets: Targets) -> dict[str, Tensor]:
    """Return targets under the names that the losses know them by."""
    tensors = {str(head): torch.from_numpy(flags) for head, flags in targets.allowed.items()}
    tensors["present"] = torch.from_numpy(targets.present)
    tensors["known"] = torch.from_numpy(targets.known)
    return tensors


def _pinned(batch: Batch) -> Batch:
    return Batch(
        batch.images.pin_memory(), {name: one.pin_memory() for name, one in batch.targets.items()}
    )


@dataclass(frozen=True, slots=True)
class Mixed:
    """A batch of which each image holds a share of another one.

    The loss is `share` times that for `first`, and the rest times that for `second`. Only the
    heads of parts are asked what is in a mixture, unless `share` is so large that it is none.
    """

    images: Tensor
    first: dict[str, Tensor]
    second: dict[str, Tensor]
    share: float


# Below this share an image is a mixture, and has no view, no modality and no side.
_WHOLE = 0.9
# Above this share there is nothing to see of the other image.
_ALONE = 0.99


def mixed(batch: Batch, alpha: float, rng: np.random.Generator) -> Mixed | None:
    """Return `batch` mixed with itself in another order; `None` leaves it as it is.

    Zhang et al., arXiv:1710.09412, with one share a batch, the larger one for the image itself.
    """
    drawn = rng.beta(alpha, alpha)
    share = float(max(drawn, 1 - drawn))
    order = torch.from_numpy(rng.permutation(len(batch.images))).to(batch.images.device)
    if share > _ALONE:
        return None
    parts = {str(Head.EXAMINED), "present", "known"}

    def asked(targets: dict[str, Tensor], *, whole: bool) -> dict[str, Tensor]:
        return {
            name: one if whole or name in parts else torch.zeros_like(one)
            for name, one in targets.items()
        }

    other = {name: one[order] for name, one in batch.targets.items()}
    return Mixed(
        batch.images * share + batch.images[order] * (1 - share),
        asked(batch.targets, whole=share >= _WHOLE),
        asked(other, whole=False),
        share,
    )
