"""`CheckpointPredictor`: a trained model that reads images and answers in concepts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray

from classifier.data.labels import Head, LabelSpace
from classifier.errors import ImageError, PredictionError
from classifier.models.checkpoint import TrainedModel
from classifier.models.coherence import Coherence
from classifier.models.probabilities import probabilities
from classifier.names import class_names, view_of
from classifier.pixels.quiet import quiet
from classifier.pixels.read import open_image
from classifier.prediction import Prediction
from classifier.voting import Whole, vote
from terminology.annotation import RouterGroup, Site
from terminology.concept import Laterality

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from terminology.graph import BodyStructureGraph

Probabilities = dict[Head, NDArray[np.float32]]
Source = bytes | str | Path | NDArray[np.generic]
FRAMES: Final = 8


@dataclass(frozen=True, slots=True)
class Answering:
    """How probable something must be to be said.

    Attributes
    ----------
    candidate
        A candidate for the examined part.
    visible
        A visible part.
    single
        The one view, modality, side or router group that is answered.
    """

    candidate: float = 0.05
    visible: float = 0.5
    single: float = 0.5


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model says of one image file.

    Attributes
    ----------
    probabilities
        float32 (C,) for each head: the vote of the frames that were looked at.
    frames, frame_count
        Those frames, from 0, and how many there are.
    study, series, instance
        DICOM UIDs; `None` of a plain picture.
    """

    probabilities: Probabilities
    frames: tuple[int, ...]
    frame_count: int
    study: str | None = None
    series: str | None = None
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class _Opened:
    """An image whose frames are ready for the network."""

    tensors: list[NDArray[np.float32]]
    frames: tuple[int, ...]
    frame_count: int
    study: str | None
    series: str | None
    instance: str | None


class CheckpointPredictor:
    """A `Predictor` over a trained model.

    Parameters
    ----------
    model
        The network is put into evaluation mode and stays on its device.
    graph
        Names the sites as its release does; without it, as the release of the training did.
    frames
        How many frames of a multi-frame image are looked at, evenly spread.
    batch
        How many frames the network is shown at once.
    """

    def __init__(
        self,
        model: TrainedModel,
        graph: BodyStructureGraph | None = None,
        *,
        frames: int = FRAMES,
        batch: int = 32,
        answering: Answering | None = None,
    ) -> None:
        self.model = model
        self.graph = graph
        self.frames = frames
        self.batch = batch
        self.answering = answering or Answering()
        self._net = model.net.eval()
        self._device = next(self._net.parameters()).device
        self._coherence = Coherence(model.space.vocabulary).to(self._device)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    @property
    def version(self) -> str:
        """The model's version."""
        return self.model.version

    @property
    def space(self) -> LabelSpace:
        """The heads and their classes."""
        return self.model.space

    def probabilities(self, grey: NDArray[np.uint8]) -> Probabilities:
        """Return what the model says of one frame, float32 (C,) for each head.

        Parameters
        ----------
        grey
            uint8 (H, W), 0 is black.
        """
        return {head: rows[0] for head, rows in self.of_frames([grey]).items()}

    def of_frames(self, frames: Iterable[NDArray[np.uint8]]) -> Probabilities:
        """Return what the model says of N >= 1 frames, float32 (N, C) for each head."""
        return self.of_tensors(self.model.preprocessing(frame) for frame in frames)

    def of_tensors(self, tensors: Iterable[NDArray[np.float32]]) -> Probabilities:
        """Return what the model says of N >= 1 preprocessed frames, float32 (N, C) for each head.

        Each is float32 (channels, S, S), as the preprocessing of the model makes it.
        """
        parts: list[Probabilities] = []
        for chunk in _chunks(tensors, self.batch):
            with torch.inference_mode():
                x = torch.from_numpy(np.stack(chunk)).to(self._device)
                found = probabilities(self._net(x), self.space, self._coherence)
            parts.append({head: rows.float().cpu().numpy() for head, rows in found.items()})
        return {head: np.concatenate([part[head] for part in parts]) for head in self.space.heads}

    def read(self, source: Source) -> Reading:
        """Return what the model says of an image: the bytes of a file, a path or an array.

        Frames of a multi-frame image are sampled and their votes joined (`classifier.voting`).

        Raises
        ------
        PredictionError
            The image does not decode.
        """
        found = next(self.read_many([source]))
        if isinstance(found, PredictionError):
            raise found
        return found

    def read_many(self, sources: Iterable[Source]) -> Iterator[Reading | PredictionError]:
        """Yield what the model says of each source, or why it cannot; in their order.

        The network is shown frames of several images at once.
        """
        waiting: list[_Opened | PredictionError] = []
        for source in sources:
            waiting.append(self._open(source))
            if sum(len(one.tensors) for one in waiting if isinstance(one, _Opened)) >= self.batch:
                yield from self._voted(waiting)
                waiting = []
        yield from self._voted(waiting)

    def predict(self, source: Source) -> Prediction:
        """Return what the model says of an image: the bytes of a file, a path or an array.

        Raises
        ------
        PredictionError
            The image does not decode.
        """
        return self.answer(self.read(source).probabilities)

    def predict_many(self, sources: Iterable[Source]) -> Iterator[Prediction | PredictionError]:
        """Yield the answer to each source, or why there is none; the others are not concerned."""
        for found in self.read_many(sources):
            if isinstance(found, PredictionError):
                yield found
            else:
                yield self.answer(found.probabilities)

    def _open(self, source: Source) -> _Opened | PredictionError:
        try:
            image = open_image(source)
            frames = image.sample(self.frames)
            tensors = [self.model.preprocessing(image.frame(index)) for index in frames]
        except ImageError as error:
            return PredictionError(error.where, error.what, error.expected, error.remedy)
        return _Opened(tensors, tuple(frames), image.frame_count, *_uids(image.dataset))

    def _voted(
        self, opened: Sequence[_Opened | PredictionError]
    ) -> Iterator[Reading | PredictionError]:
        images = [one for one in opened if isinstance(one, _Opened)]
        rows = self.of_tensors(tensor for one in images for tensor in one.tensors) if images else {}
        start = 0
        for one in opened:
            if isinstance(one, PredictionError):
                yield one
                continue
            own = {head: found[start : start + len(one.tensors)] for head, found in rows.items()}
            start += len(one.tensors)
            yield Reading(
                vote(self.space, own, Whole.INSTANCE),
                one.frames,
                one.frame_count,
                one.study,
                one.series,
                one.instance,
            )

    def answer(self, found: Probabilities) -> Prediction:
        """Return the probabilities of one image, series or study, (C,) for each head, in concepts.

        Candidates for the examined part come most probable first, as do visible parts; what is
        less probable than `answering` asks for is left out.
        """
        view, side, group = (
            self._single(found, head) for head in (Head.VIEW, Head.LATERALITY, Head.ROUTER)
        )
        return Prediction(
            model=f"{self.name} {self.version}".strip(),
            examined=self._sites(found, Head.EXAMINED, self.answering.candidate),
            visible=self._sites(found, Head.VISIBLE, self.answering.visible),
            view=None if view is None else view_of(view),
            modality=self._single(found, Head.MODALITY),
            laterality=None if side is None else Laterality(side),
            router=None if group is None else RouterGroup(group),
        )

    def _sites(self, found: Probabilities, head: Head, least: float) -> tuple[Site, ...]:
        if head not in found:
            return ()
        names, codes = class_names(self.space, head, self.graph), self.space.columns(head)
        # Sorted by name where equally probable: the order of the columns says nothing.
        rows = sorted(zip(-found[head], names, codes, strict=True))
        return tuple(
            Site(code, name, confidence=float(-negative))
            for negative, name, code in rows
            if -negative >= least
        )

    def _single(self, found: Probabilities, head: Head) -> str | None:
        if head not in found:
            return None
        best = int(found[head].argmax())
        sure = float(found[head][best]) >= self.answering.single
        return self.space.columns(head)[best] if sure else None


def _uids(header: Dataset | None) -> tuple[str | None, str | None, str | None]:
    """Return the UIDs of the study, the series and the instance, as they are written."""
    if header is None:
        return None, None, None
    with quiet():
        study, series, instance = (
            str(header.get(f"{level}InstanceUID") or "").strip() or None
            for level in ("Study", "Series", "SOP")
        )
    return study, series, instance


def _chunks(
    items: Iterable[NDArray[np.float32]], size: int
) -> Iterator[Sequence[NDArray[np.float32]]]:
    chunk: list[NDArray[np.float32]] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
