"""`ImagePredictor`: a network that reads images and answers in concepts, on any runtime.

What lies between a file and an answer, in this order: decoding, the guards of pixels, the
preprocessing, the network, probabilities that do not contradict one another, the guards of
features, the vote of the frames, calibration, and the climb to a concept that is sure enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from classifier.calibration.climb import Climber, climber_of, prediction_set
from classifier.data.labels import Head, LabelSpace
from classifier.errors import ImageError, PredictionError
from classifier.names import class_names, view_of
from classifier.pixels.quiet import quiet
from classifier.pixels.read import open_image
from classifier.prediction import Prediction
from classifier.serving.coherent import Coherent
from classifier.voting import Whole, vote
from terminology.annotation import RouterGroup, Site
from terminology.concept import Laterality
from terminology.elements import BROKEN

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from classifier.calibration.calibration import Calibration
    from classifier.calibration.guards import GuardSettings
    from classifier.preprocess.pipeline import Preprocessing
    from classifier.serving.runtime import Net
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
        A visible part; a calibration has a threshold of its own.
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
        float32 (C,) for each head: the calibrated vote of the frames that were looked at.
    frames, frame_count
        Those frames, from 0, and how many there are.
    study, series, instance
        DICOM UIDs; `None` of a plain picture.
    reasons
        Why the model cannot answer for the image; empty when it can.
    """

    probabilities: Probabilities
    frames: tuple[int, ...]
    frame_count: int
    study: str | None = None
    series: str | None = None
    instance: str | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image whose frames are ready for the network.

    Attributes
    ----------
    tensors
        float32 (N, channels, S, S), as the preprocessing makes them.
    reasons
        For each of these frames, what the guards of pixels say against it.
    """

    tensors: NDArray[np.float32]
    reasons: tuple[tuple[str, ...], ...]
    frames: tuple[int, ...]
    frame_count: int
    study: str | None = None
    series: str | None = None
    instance: str | None = None


@dataclass(frozen=True, slots=True)
class FramePreparer:
    """What makes images ready for a network; it can be sent to another process.

    Attributes
    ----------
    frames
        How many frames of a multi-frame image are looked at, evenly spread.
    guards
        `None` refuses nothing.
    """

    preprocessing: Preprocessing
    frames: int = FRAMES
    guards: GuardSettings | None = None

    def __call__(self, source: Source) -> Prepared | PredictionError:
        """Return an image made ready, or why it does not decode."""
        try:
            image = open_image(source)
            frames = image.sample(self.frames)
            tensors, reasons = [], []
            for index in frames:
                grey = image.frame(index)
                reasons.append(
                    () if self.guards is None else _texts(self.guards.guard_pixels(image, grey))
                )
                tensors.append(self.preprocessing(grey))
        except ImageError as error:
            return PredictionError(error.where, error.what, error.expected, error.remedy)
        return Prepared(
            np.stack(tensors), tuple(reasons), frames, image.frame_count, *_uids(image.dataset)
        )


class ImagePredictor:
    """A `Predictor` over a network.

    Parameters
    ----------
    net
        May be asked from several threads at once, if the predictor is.
    preprocessing
        What the network was trained with.
    graph
        Names the sites as its release does; without it, as the release of the training did.
    frames
        How many frames of a multi-frame image are looked at, evenly spread.
    batch
        How many frames the network is shown at once.
    calibration
        `None` takes the probabilities of the network as they are, and answers with the most
        probable class, never with one above it.
    guards
        `None` answers for every image.
    prior
        How often training saw each class of the examined part.
    """

    def __init__(
        self,
        net: Net,
        space: LabelSpace,
        preprocessing: Preprocessing,
        *,
        name: str,
        version: str,
        graph: BodyStructureGraph | None = None,
        frames: int = FRAMES,
        batch: int = 32,
        answering: Answering | None = None,
        calibration: Calibration | None = None,
        guards: GuardSettings | None = None,
        prior: Mapping[str, float] | None = None,
    ) -> None:
        self.net = net
        self.space = space
        self.graph = graph
        self.batch = batch
        self.answering = answering or Answering()
        self.calibration = calibration
        self.guards = guards
        self.prior = dict(prior or {})
        self.preparer = FramePreparer(preprocessing, frames, guards)
        self._name, self._version = name, version
        self._coherent = Coherent(space)
        self._names = {head: class_names(space, head, graph) for head in space.heads}

    @property
    def name(self) -> str:
        """The model's name."""
        return self._name

    @property
    def version(self) -> str:
        """The model's version."""
        return self._version

    @property
    def preprocessing(self) -> Preprocessing:
        """What turns a frame into the network's input."""
        return self.preparer.preprocessing

    def probabilities(self, grey: NDArray[np.uint8]) -> Probabilities:
        """Return what the network says of one frame, float32 (C,) for each head; uncalibrated.

        Parameters
        ----------
        grey
            uint8 (H, W), 0 is black.
        """
        return {head: rows[0] for head, rows in self.of_frames([grey]).items()}

    def of_frames(self, frames: Iterable[NDArray[np.uint8]]) -> Probabilities:
        """Return what the network says of N >= 1 frames, float32 (N, C) a head; uncalibrated."""
        return self.of_tensors(self.preprocessing(frame) for frame in frames)

    def of_tensors(self, tensors: Iterable[NDArray[np.float32]]) -> Probabilities:
        """Return what the network says of N >= 1 preprocessed frames, float32 (N, C) a head.

        Each is float32 (channels, S, S), as the preprocessing of the model makes it. The
        probabilities are coherent and not calibrated.
        """
        return self._seen(tensors)[0]

    def _seen(
        self, tensors: Iterable[NDArray[np.float32]]
    ) -> tuple[Probabilities, NDArray[np.float32]]:
        """Return the probabilities of each head and the pooled features of N >= 1 frames."""
        parts: list[Probabilities] = []
        pooled: list[NDArray[np.float32]] = []
        for chunk in _chunks(tensors, self.batch):
            output = self.net.run(np.stack(chunk))
            parts.append(self._coherent(output.scores))
            pooled.append(output.pooled)
        joined = {head: np.concatenate([part[head] for part in parts]) for head in self.space.heads}
        return joined, np.concatenate(pooled)

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
        return self.read_prepared(map(self.preparer, sources))

    def read_prepared(
        self, images: Iterable[Prepared | PredictionError]
    ) -> Iterator[Reading | PredictionError]:
        """Yield what the model says of images that its `preparer` made ready; in their order.

        An error takes its place among the answers.
        """
        waiting: list[Prepared | PredictionError] = []
        for image in images:
            waiting.append(image)
            if sum(len(one.tensors) for one in waiting if isinstance(one, Prepared)) >= self.batch:
                yield from self._voted(waiting)
                waiting = []
        yield from self._voted(waiting)

    def predict(self, source: Source) -> Prediction:
        """Return what the model says about an image: the bytes of a file, a path or an array.

        Raises
        ------
        PredictionError
            The image does not decode.
        """
        found = self.read(source)
        return self.answer(found.probabilities, found.reasons)

    def predict_many(self, sources: Iterable[Source]) -> Iterator[Prediction | PredictionError]:
        """Yield the answer to each source, or why there is none; the others are not concerned."""
        for found in self.read_many(sources):
            if isinstance(found, PredictionError):
                yield found
            else:
                yield self.answer(found.probabilities, found.reasons)

    def _voted(
        self, images: Sequence[Prepared | PredictionError]
    ) -> Iterator[Reading | PredictionError]:
        opened = [one for one in images if isinstance(one, Prepared)]
        if not opened:
            yield from (one for one in images if isinstance(one, PredictionError))
            return
        rows, pooled = self._seen(tensor for one in opened for tensor in one.tensors)
        votes: list[Probabilities] = []
        reasons: list[tuple[str, ...]] = []
        start = 0
        for one in opened:
            at = slice(start, start + len(one.tensors))
            start = at.stop
            kept, against = self._admitted(one.reasons, pooled[at])
            own = {head: found[at][kept] for head, found in rows.items()}
            votes.append(vote(self.space, own, Whole.INSTANCE))
            reasons.append(against)
        calibrated = iter(zip(self._calibrated(votes), reasons, strict=True))
        for image in images:
            if isinstance(image, PredictionError):
                yield image
                continue
            found, against = next(calibrated)
            yield Reading(
                found,
                image.frames,
                image.frame_count,
                image.study,
                image.series,
                image.instance,
                against,
            )

    def _admitted(
        self, of_pixels: Sequence[tuple[str, ...]], pooled: NDArray[np.float32]
    ) -> tuple[list[int], tuple[str, ...]]:
        """Return the frames that vote, and what is said against the image.

        Frames that a guard refuses do not vote beside others; where it refuses all, the image is
        refused, for every reason that was given.
        """
        against = list(of_pixels)
        if self.guards is not None:
            against = [
                tuple(dict.fromkeys((*pixels, *_texts(self.guards.guard_features(features)))))
                for pixels, features in zip(of_pixels, pooled, strict=True)
            ]
        kept = [at for at, reasons in enumerate(against) if not reasons]
        if kept:
            return kept, ()
        every = tuple(dict.fromkeys(reason for reasons in against for reason in reasons))
        return list(range(len(against))), every

    def _calibrated(self, votes: Sequence[Probabilities]) -> list[Probabilities]:
        if self.calibration is None:
            return list(votes)
        stacked = {head: np.stack([one[head] for one in votes]) for head in self.space.heads}
        found = self.calibration.apply(self.space, stacked)
        return [{head: found[head][at] for head in self.space.heads} for at in range(len(votes))]

    def answer(self, found: Probabilities, reasons: Sequence[str] = ()) -> Prediction:
        """Return the probabilities of one image, series or study, (C,) for each head, in concepts.

        Candidates for the examined part come most probable first, as do visible parts; what is
        less probable than `answering` asks for is left out. With a calibration the answer stands
        before the candidates: the most specific concept that is sure enough; where none is, there
        is neither. With `reasons` there is no answer to anything.
        """
        model = f"{self.name} {self.version}".strip()
        if reasons:
            return Prediction(model, reasons=tuple(reasons))
        view, side, group, modality = (
            self._single(found, head)
            for head in (Head.VIEW, Head.LATERALITY, Head.ROUTER, Head.MODALITY)
        )
        singles = {"view": view, "modality": modality, "laterality": side, "router": group}
        posterior = found.get(Head.EXAMINED)
        codes = self.space.columns(Head.EXAMINED)
        return Prediction(
            model=model,
            examined=self._examined(found),
            visible=self._visible(found),
            view=None if view is None else view_of(view[0]),
            modality=None if modality is None else modality[0],
            laterality=None if side is None else Laterality(side[0]),
            router=None if group is None else RouterGroup(group[0]),
            posterior={}
            if posterior is None
            else dict(zip(codes, map(float, posterior), strict=True)),
            prior=dict(self.prior),
            prediction_set=self._prediction_set(posterior),
            confidences={name: one[1] for name, one in singles.items() if one is not None},
        )

    @cached_property
    def _climber(self) -> Climber:
        return climber_of(self.space, self.graph)

    def _examined(self, found: Probabilities) -> tuple[Site, ...]:
        if Head.EXAMINED not in found:
            return ()
        candidates = self._sites(found, Head.EXAMINED, self.answering.candidate)
        if self.calibration is None:
            return candidates
        climbed = self._climber.climb(found[Head.EXAMINED], self.calibration.climbing)
        if climbed is None:
            return ()
        answer = Site(climbed.code, self._display(climbed.code), confidence=climbed.mass)
        return (answer, *(site for site in candidates if site.code != climbed.code))

    def _visible(self, found: Probabilities) -> tuple[Site, ...]:
        calibration = self.calibration
        least = self.answering.visible if calibration is None else calibration.visible_least
        return self._sites(found, Head.VISIBLE, least)

    def _prediction_set(self, posterior: NDArray[np.float32] | None) -> tuple[str, ...]:
        if posterior is None or self.calibration is None or not self.calibration.set_least:
            return ()
        return prediction_set(
            self.space.columns(Head.EXAMINED), posterior, self.calibration.set_least
        )

    def _display(self, code: str) -> str:
        if self.graph is not None and code in self.graph:
            return self.graph.lookup(code).display
        vocabulary = self.space.vocabulary
        return vocabulary.displays[vocabulary.columns[code]]

    def _sites(self, found: Probabilities, head: Head, least: float) -> tuple[Site, ...]:
        if head not in found:
            return ()
        # Sorted by name where equally probable: the order of the columns says nothing.
        rows = sorted(zip(-found[head], self._names[head], self.space.columns(head), strict=True))
        return tuple(
            Site(code, name, confidence=float(-negative))
            for negative, name, code in rows
            if -negative >= least
        )

    def _single(self, found: Probabilities, head: Head) -> tuple[str, float] | None:
        """Return the class of a head with one right class, and how probable it is."""
        if head not in found:
            return None
        best = int(found[head].argmax())
        sure = float(found[head][best])
        return (self.space.columns(head)[best], sure) if sure >= self.answering.single else None


def _texts(reasons: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(str, reasons))


def _uids(header: Dataset | None) -> tuple[str | None, str | None, str | None]:
    """Return the UIDs of the study, the series and the instance, as they are written.

    One whose element breaks the standard is none.
    """
    if header is None:
        return None, None, None
    with quiet():
        study, series, instance = (
            _uid(header, f"{level}InstanceUID") for level in ("Study", "Series", "SOP")
        )
    return study, series, instance


def _uid(header: Dataset, keyword: str) -> str | None:
    try:
        return str(header.get(keyword) or "").strip() or None
    except BROKEN:
        return None


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
