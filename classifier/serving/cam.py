"""Class activation maps (Zhou et al. 2016) of an artefact, without torch.

The same as `classifier.evaluation.saliency` makes of the network that the artefact was made of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from classifier.data.labels import Head
from classifier.serving.coherent import sigmoid, softmax

if TYPE_CHECKING:
    from classifier.serving.artefact import Artefact
    from classifier.serving.runtime import NetOutput


def class_activation(
    output: NetOutput, artefact: Artefact, head: Head, column: int, row: int = 0
) -> NDArray[np.float32]:
    """Return the signed map of the class `column` of `head`, float32 (h, w).

    Its mean is what the score of the class owes to the image; of a head with one right class,
    less the mean of that over its classes, since softmax does not see what all scores share.

    Parameters
    ----------
    output
        What the network of `artefact` said.
    row
        Which of its frames.
    """
    rows = artefact.head_weights[head]
    weights = rows[column]
    if head is not Head.VISIBLE and len(rows) > 1:
        weights = weights - rows.mean(axis=0)
    return np.asarray(np.tensordot(weights, output.maps[row], axes=1), dtype=np.float32)


def saliency(
    output: NetOutput, artefact: Artefact, head: Head, column: int, row: int = 0
) -> NDArray[np.float32]:
    """Return where the network sees the class, float32 (S, S) in [0, 1] over its input.

    The maximum is 1, or 0 where nothing speaks for the class. What makes a visible part probable
    may be another score: that of the likeliest part below it, or that of an examined part; then
    this one is shown.
    """
    if head is Head.VISIBLE:
        head, column = _speaker(output, artefact, column, row)
    raw = class_activation(output, artefact, head, column, row)
    size = artefact.preprocessing.size
    large = cv2.resize(raw, (size, size), interpolation=cv2.INTER_LINEAR)
    positive = np.maximum(large, 0)
    top = float(positive.max())
    return np.asarray(positive / top if top > 0 else positive, dtype=np.float32)


def _speaker(output: NetOutput, artefact: Artefact, column: int, row: int) -> tuple[Head, int]:
    """Return the head and the column that the probability of a visible part is from."""
    space = artefact.space
    below = {column, *space.vocabulary.descendants[column]}
    scores = output.scores[Head.VISIBLE][row : row + 1]
    loudest = max(sorted(below), key=lambda at: float(scores[0, at]))
    if Head.EXAMINED in output.scores:
        examined = softmax(output.scores[Head.EXAMINED][row : row + 1])[0]
        places = [space.vocabulary.columns[code] for code in space.columns(Head.EXAMINED)]
        inside = [at for at, place in enumerate(places) if place in below]
        if inside and float(examined[inside].sum()) > float(sigmoid(scores)[0, loudest]):
            return Head.EXAMINED, max(inside, key=lambda at: float(examined[at]))
    return Head.VISIBLE, loudest
