"""Ask a model about the images of collections: `Scores` beside what their labels say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from classifier.data.labels import Scores, Targets
from classifier.data.sample import Sample
from classifier.errors import ImageError
from classifier.pixels.read import read_image

if TYPE_CHECKING:
    from classifier.predict import CheckpointPredictor


@dataclass(frozen=True, slots=True)
class Assessment:
    """The scores of the images that decode; `refused` are the others, with what is wrong."""

    scores: Scores
    refused: tuple[tuple[Sample, ImageError], ...]


def assess(
    predictor: CheckpointPredictor,
    samples: Sequence[Sample],
    targets: Targets,
    *,
    advance: Callable[[int], None] = lambda _: None,
) -> Assessment:
    """Return what the model of `predictor` says of every sample that can be read.

    Parameters
    ----------
    targets
        Of the samples, in their order and in the label space of the model.
    advance
        Called with how many images were read since the last call.
    """
    kept: list[int] = []
    refused: list[tuple[Sample, ImageError]] = []

    def tensors() -> Iterator[NDArray[np.float32]]:
        for row, sample in enumerate(samples):
            try:
                grey = read_image(sample.path, frame=sample.frame)
            except ImageError as error:
                refused.append((sample, error))
            else:
                kept.append(row)
                yield predictor.model.preprocessing(grey)
            advance(1)

    found = predictor.of_tensors(tensors())
    taken = [samples[row] for row in kept]
    return Assessment(
        Scores(
            space=predictor.space,
            keys=tuple(sample.key for sample in taken),
            groups=tuple(sample.group for sample in taken),
            sources=tuple(sample.source for sample in taken),
            paths=tuple(str(sample.path) for sample in taken),
            probabilities={head: found[head] for head in predictor.space.heads},
            targets=targets.take(kept),
        ),
        tuple(refused),
    )
