"""The worst images: where a model was surest and wrong, with what it looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from classifier.data.labels import Head, Scores
from classifier.errors import ImageError

if TYPE_CHECKING:
    from classifier.models.checkpoint import TrainedModel

_HEIGHT: Final = 260
_WIDEST: Final = 640
_QUALITY: Final = 82
_NAMED_CLASSES: Final = 3


@dataclass(frozen=True, slots=True)
class Mistake:
    """One wrong answer.

    Attributes
    ----------
    row
        Of the scores.
    said
        The column that was answered; for the visible parts, the label that is wrong.
    probability
        What the model gave for `said`.
    truth
        What the label says, in words.
    missed
        Whether a visible part was not seen; otherwise something was said that is not so.
    """

    row: int
    head: Head
    said: int
    probability: float
    truth: str
    missed: bool = False

    @property
    def certainty(self) -> float:
        """How sure the model was of what is wrong, in [0, 1]."""
        return 1 - self.probability if self.missed else self.probability


def worst_mistakes(
    scores: Scores, head: Head, names: Sequence[str], most: int, threshold: float = 0.5
) -> list[Mistake]:
    """Return at most `most` images on which `head` is wrong, the surest first.

    Of one patient, at most two. An answer at or below a coarse label is not wrong. A visible part
    is said from `threshold` on; of an image, its surest wrong label is taken.
    """
    found = list(
        _visible(scores, names, threshold)
        if head is Head.VISIBLE
        else _answers(scores, head, names)
    )
    found.sort(key=lambda one: (-one.certainty, scores.keys[one.row]))
    chosen: list[Mistake] = []
    of_group: dict[str, int] = {}
    for one in found:
        group = scores.groups[one.row]
        of_group[group] = of_group.get(group, 0) + 1
        if of_group[group] <= 2:
            chosen.append(one)
        if len(chosen) == most:
            break
    return chosen


def truth_words(allowed: NDArray[np.bool_], names: Sequence[str]) -> str:
    """Return what a label leaves possible, bool (C,), in words; empty where nothing is known."""
    at = np.flatnonzero(allowed).tolist()
    if len(at) <= _NAMED_CLASSES:
        return " or ".join(names[one] for one in at)
    return (
        " or ".join(names[one] for one in at[:_NAMED_CLASSES])
        + f" or {len(at) - _NAMED_CLASSES} others"
    )


def _answers(scores: Scores, head: Head, names: Sequence[str]) -> Iterator[Mistake]:
    probabilities, allowed = scores.probabilities[head], scores.targets.allowed[head]
    said = probabilities.argmax(axis=1)
    rows = np.arange(len(said))
    for row in np.flatnonzero(allowed.any(axis=1) & ~allowed[rows, said]):
        column = int(said[row])
        yield Mistake(
            int(row),
            head,
            column,
            float(probabilities[row, column]),
            truth_words(allowed[row], names),
        )


def _visible(scores: Scores, names: Sequence[str], threshold: float) -> Iterator[Mistake]:
    probabilities, targets = scores.probabilities[Head.VISIBLE], scores.targets
    wrong = targets.known & ((probabilities >= threshold) != targets.present)
    certainty = np.where(targets.present, 1 - probabilities, probabilities)
    for row in np.flatnonzero(wrong.any(axis=1)):
        column = int(np.where(wrong[row], certainty[row], -1).argmax())
        missed = bool(targets.present[row, column])
        yield Mistake(
            int(row),
            Head.VISIBLE,
            column,
            float(probabilities[row, column]),
            f"{names[column]} is {'' if missed else 'not '}visible",
            missed,
        )


def mistake_picture(
    mistake: Mistake, path: str, frame: int | None, model: TrainedModel | None
) -> bytes | None:
    """Return the image as a JPEG, beside it what the model saw of `mistake.said`, if there is one.

    `None` where the image cannot be read any more, or has several frames and `frame` is `None`.
    """
    from classifier.evaluation.overlays import beside, overlay, place
    from classifier.pixels.read import open_image

    try:
        image = open_image(Path(path))
        if frame is None and image.frame_count > 1:
            return None
        grey = image.frame(frame or 0)
    except ImageError:
        return None
    panels = [grey]
    if model is not None:
        from classifier.evaluation.saliency import saliency

        seen = saliency(model.net, model.preprocessing(grey), mistake.head, mistake.said)
        panels.append(
            overlay(grey, place(seen, (grey.shape[0], grey.shape[1]), model.preprocessing))
        )
    aspect = sum(panel.shape[1] / panel.shape[0] for panel in panels)
    picture = beside(*panels, height=max(32, min(_HEIGHT, round(_WIDEST / aspect))))
    return encoded(picture, ".jpg")


def encoded(picture: NDArray[np.uint8], ending: str) -> bytes:
    """Return uint8 RGB (H, W, 3) as a file of the format of `ending`: ``.jpg`` or ``.png``."""
    settings = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY] if ending == ".jpg" else []
    done, data = cv2.imencode(ending, np.ascontiguousarray(picture[..., ::-1]), settings)
    if not done:
        raise ValueError(f"no {ending} of an array {picture.shape} {picture.dtype}")
    return data.tobytes()
