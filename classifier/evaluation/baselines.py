"""Models without a network: linear on pixels, and the nearest neighbours. What a net must beat.

Both see the image shrunk to 32×32 pixels, each pixel standardised by the training images, and of
that the first 128 principal components (randomised SVD, seeded), which are a linear map of pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances
from sklearn.utils.extmath import randomized_svd

from classifier.data.labels import Head, LabelSpace, Scores, Targets
from classifier.data.sample import Sample
from classifier.errors import DataSetError
from classifier.evaluation.bootstrap import Flags, Places
from classifier.evaluation.classification import truth_of
from terminology.vocabulary import LabelVocabulary

Images = NDArray[np.uint8]
Features = NDArray[np.float32]
Probabilities = NDArray[np.float32]

LINEAR: Final = "linear"
NEAREST: Final = "nearest-neighbour"

_SIDE: Final = 32
_COMPONENTS: Final = 128
_BLOCK: Final = 512


class Baseline(Protocol):
    """A model of features, float32 (N, F): fitted on some, asked for others."""

    def one_class(
        self, train: Features, truth: Places, classes: int, test: Features
    ) -> Probabilities:
        """Return float32 (N, `classes`), rows sum to 1; `truth` intp (M,) of the training rows."""

    def many_labels(
        self, train: Features, present: Flags, known: Flags, test: Features
    ) -> Probabilities:
        """Return float32 (N, V) in [0, 1], each label from the training rows where it is known."""


@dataclass(frozen=True, slots=True)
class LinearOnPixels:
    """Logistic regression: multinomial over the classes, one a label for the visible parts.

    `strength` is scikit-learn's C, the inverse of the L2 penalty.
    """

    strength: float = 0.1
    iterations: int = 300

    def one_class(
        self, train: Features, truth: Places, classes: int, test: Features
    ) -> Probabilities:
        """Return the probabilities of a multinomial regression; 0 for a class without a row."""
        found = np.zeros((len(test), classes), dtype=np.float32)
        seen = np.unique(truth)
        if len(seen) < 2:
            found[:, seen] = 1
        else:
            found[:, seen] = self._model("lbfgs").fit(train, truth).predict_proba(test)
        return found

    def many_labels(
        self, train: Features, present: Flags, known: Flags, test: Features
    ) -> Probabilities:
        """Return a regression of each label; its share where that is 0 or 1."""
        found = np.zeros((len(test), known.shape[1]), dtype=np.float32)
        for label in range(known.shape[1]):
            at = np.flatnonzero(known[:, label])
            there = present[at, label]
            if there.any() and not there.all():
                model = self._model("newton-cholesky").fit(train[at], there)
                found[:, label] = model.predict_proba(test)[:, 1]
            else:
                found[:, label] = float(there.any())
        return found

    def _model(self, solver: str) -> Any:
        # Newton's method is quick for one label of many rows, and slow for many classes at once.
        return LogisticRegression(
            C=self.strength, max_iter=self.iterations, tol=1e-3, solver=solver
        )


@dataclass(frozen=True, slots=True)
class NearestNeighbour:
    """The labels of the `k` nearest training images, weighted by 1 / distance."""

    k: int = 5

    def one_class(
        self, train: Features, truth: Places, classes: int, test: Features
    ) -> Probabilities:
        """Return the weighted shares of the classes among the nearest."""
        table = np.zeros((len(truth), classes), dtype=np.float32)
        table[np.arange(len(truth)), truth] = 1
        return self._vote(train, table, test)

    def many_labels(
        self, train: Features, present: Flags, known: Flags, test: Features
    ) -> Probabilities:
        """Return the weighted share of "there" among the nearest of which the label is known."""
        found = np.zeros((len(test), known.shape[1]), dtype=np.float32)
        # Labels that the same rows know have the same neighbours.
        patterns: dict[bytes, list[int]] = {}
        for label in range(known.shape[1]):
            patterns.setdefault(known[:, label].tobytes(), []).append(label)
        for labels in patterns.values():
            at = np.flatnonzero(known[:, labels[0]])
            if len(at):
                table = present[at][:, labels].astype(np.float32)
                found[:, labels] = self._vote(train[at], table, test)
        return found

    def _vote(self, train: Features, table: NDArray[np.float32], test: Features) -> Probabilities:
        k = min(self.k, len(train))
        found = np.zeros((len(test), table.shape[1]), dtype=np.float32)
        for start in range(0, len(test), _BLOCK):
            distances = pairwise_distances(test[start : start + _BLOCK], train)
            near = np.argsort(distances, axis=1, kind="stable")[:, :k]
            weights = 1 / (np.take_along_axis(distances, near, axis=1) + 1e-6)
            weights /= weights.sum(axis=1, keepdims=True)
            found[start : start + _BLOCK] = np.einsum("nk,nkc->nc", weights, table[near])
        return np.clip(found, 0.0, 1.0)


BASELINES: Final[Mapping[str, Baseline]] = {LINEAR: LinearOnPixels(), NEAREST: NearestNeighbour()}


@dataclass(frozen=True, slots=True)
class _PixelFeatures:
    """What both baselines see of an image."""

    mean: Features
    scale: Features
    components: Features

    @classmethod
    def of(cls, images: Images, seed: int) -> Self:
        """Return the features that the training `images` define."""
        pixels = _shrunk(images)
        mean, scale = pixels.mean(axis=0), pixels.std(axis=0)
        scale[scale == 0] = 1
        standardised = (pixels - mean) / scale
        count = min(_COMPONENTS, *pixels.shape)
        _, _, components = randomized_svd(standardised, count, random_state=seed)
        return cls(mean, scale, np.asarray(components.T, dtype=np.float32))

    def __call__(self, images: Images) -> Features:
        standardised = (_shrunk(images) - self.mean) / self.scale
        return np.asarray(standardised @ self.components, dtype=np.float32)


def baseline_scores(
    name: str,
    space: LabelSpace,
    train_images: Images,
    train_targets: Targets,
    test_images: Images,
    test_targets: Targets,
    samples: Sequence[Sample],
    *,
    seed: int = 0,
) -> Scores:
    """Return what the baseline `name` says of the test images, scores like a model's.

    A head with one right class learns from the rows that leave one class: a coarse row teaches it
    nothing. Without such rows it gives all classes the same probability. A label of the visible
    parts learns from the rows where it is known, and is never answered where none is. The visible
    parts are made coherent: no part above its region, none below its probability as the examined
    one.

    Parameters
    ----------
    name
        `LINEAR` or `NEAREST`.
    train_images, test_images
        uint8 (N, S, S), as `Preprocessing.fit_image` gives them.
    samples
        Of the test images, in their order.

    Raises
    ------
    DataSetError
        An unknown name, no training image, or images, targets and samples of different numbers.
    """
    _check(name, train_images, train_targets, test_images, test_targets, samples)
    baseline = BASELINES[name]
    features = _PixelFeatures.of(train_images, seed)
    train = features(train_images)
    test = features(test_images) if len(test_images) else np.zeros((0, train.shape[1]), np.float32)
    found: dict[Head, Probabilities] = {}
    for head in space.heads:
        classes = len(space.columns(head))
        if not len(test):
            found[head] = np.zeros((0, classes), dtype=np.float32)
        elif head is Head.VISIBLE:
            present, known = train_targets.present, train_targets.known
            found[head] = baseline.many_labels(train, present, known, test)
        else:
            truth = truth_of(train_targets.allowed[head])
            at = np.flatnonzero(truth >= 0)
            found[head] = (
                baseline.one_class(train[at], truth[at], classes, test)
                if len(at)
                else np.full((len(test), classes), 1 / classes, dtype=np.float32)
            )
    if Head.VISIBLE in found:
        found[Head.VISIBLE] = _coherent(found[Head.VISIBLE], space, found.get(Head.EXAMINED))
    return Scores(
        space=space,
        keys=tuple(sample.key for sample in samples),
        groups=tuple(sample.group for sample in samples),
        sources=tuple(sample.source for sample in samples),
        paths=tuple(str(sample.path) for sample in samples),
        probabilities=found,
        targets=test_targets,
    )


def _check(
    name: str,
    train_images: Images,
    train_targets: Targets,
    test_images: Images,
    test_targets: Targets,
    samples: Sequence[Sample],
) -> None:
    problem = None
    if name not in BASELINES:
        problem = f"'{name}'", f"one of {', '.join(BASELINES)}", "Name one of these baselines."
    elif not len(train_images):
        problem = "no training image", "at least one", "Look at the split of the run."
    elif len(train_images) != len(train_targets) or not (
        len(test_images) == len(test_targets) == len(samples)
    ):
        sizes = (
            f"{len(train_images)} training images with {len(train_targets)} targets, "
            f"{len(test_images)} test images with {len(test_targets)} targets and "
            f"{len(samples)} samples"
        )
        problem = (
            sizes,
            "as many images as targets and samples",
            "Take all of them from the same split.",
        )
    if problem:
        raise DataSetError("baseline", *problem)


def _shrunk(images: Images) -> Features:
    """Return the images at 32×32, each in one row, float32 (N, 1024) in [0, 1]."""
    small = [cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for image in images]
    return np.asarray(small, dtype=np.float32).reshape(len(images), -1) / np.float32(255)


def _coherent(
    visible: Probabilities, space: LabelSpace, examined: Probabilities | None
) -> Probabilities:
    """Return `visible` with each label at least as likely as all below it and as being examined."""
    vocabulary: LabelVocabulary = space.vocabulary
    found = visible.copy()
    if examined is not None:
        for column, code in enumerate(space.columns(Head.EXAMINED)):
            label = vocabulary.columns[code]
            found[:, label] = np.maximum(found[:, label], examined[:, column])
    # Parents stand before their children: from the last column up, each is raised once.
    for column in reversed(range(len(vocabulary))):
        for parent in vocabulary.parents[column]:
            found[:, parent] = np.maximum(found[:, parent], found[:, column])
    return found
