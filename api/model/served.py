"""`ServedPredictor`: a model asked by many requests at once, each of which hears of its own."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

from api.model.batching import BatchingNet
from api.model.cancel import check_wanted
from api.model.description import ModelDescription
from api.model.figures import ModelFigures
from api.pixels.processes import DecodingProcesses
from api.pixels.syntaxes import is_risky
from classifier.data.labels import Head
from classifier.errors import PredictionError
from classifier.names import class_names
from terminology.annotation import Site

if TYPE_CHECKING:
    from api.limits import Limits
    from classifier.prediction import Prediction
    from classifier.serving.predictor import OnnxPredictor

# So many processes for what may end them: few archives hold such images.
_PROCESSES: Final = 2


class ServedPredictor:
    """A `Predictor` over the model of a file; threads may ask it at the same time.

    Images are decoded in the thread that asks, as many at once as there are cores; what may end the
    process is decoded in another (`api.pixels`). Their frames go through the network together
    (`api.model.batching`).

    Parameters
    ----------
    predictor
        Its network is replaced by one that joins questions.
    most, wait_s
        As of `BatchingNet`.

    Attributes
    ----------
    figures
        What has been done, counted.
    """

    def __init__(
        self,
        predictor: OnnxPredictor,
        limits: Limits,
        *,
        most: int = 16,
        wait_s: float = 0.002,
    ) -> None:
        self.figures = ModelFigures()
        self._predictor = predictor
        self._net = BatchingNet(predictor.net, most=most, wait_s=wait_s, observe=self.figures.batch)
        predictor.net = self._net
        self._processes = DecodingProcesses(
            predictor.preparer,
            count=_PROCESSES,
            seconds=limits.max_seconds_per_image,
            memory=limits.max_decoding_bytes,
            on_loss=self.figures.lost,
        )
        # Decoded images are large: as many at once as can be worked on, however many requests come.
        self._decoding = threading.BoundedSemaphore(max(2, os.cpu_count() or 1))
        space = predictor.space
        codes = space.columns(Head.EXAMINED) if Head.EXAMINED in space.heads else ()
        names = class_names(space, Head.EXAMINED, predictor.graph) if codes else ()
        self.description = ModelDescription(
            predictor.name,
            predictor.version,
            predictor.artefact.sha256,
            tuple(Site(code, name) for code, name in zip(codes, names, strict=True)),
        )

    @property
    def name(self) -> str:
        """The model's name."""
        return self.description.name

    @property
    def version(self) -> str:
        """The model's version."""
        return self.description.version

    def predict(self, source: bytes) -> Prediction:
        """Return what the model says about the image file `source`.

        Raises
        ------
        PredictionError
            The image does not decode, or the process that decoded it broke down.
        AbandonedError
            The client of the request has gone.
        """
        check_wanted()
        with self._net.coming():
            if is_risky(source):
                prepared = self._processes(source)
            else:
                with self._decoding:
                    prepared = self._predictor.preparer(source)
            if isinstance(prepared, PredictionError):
                raise prepared
            (found,) = self._predictor.read_prepared([prepared])
        if isinstance(found, PredictionError):
            raise found
        return self._predictor.answer(found.probabilities, found.reasons)

    def close(self) -> None:
        """End the thread of the network and the processes."""
        self._net.close()
        self._processes.close()
