"""Files that bring down, hang or refuse the process that reads their pixels; imported by it."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, replace

from api.annotate_work import Work
from api.annotator import Annotator
from api.errors import RequestError
from classifier.errors import PredictionError
from classifier.prediction import Prediction
from terminology.annotation import Site

HAND = Site("85562004", "Hand", confidence=0.9)


@dataclass
class Hostile:
    """A model whose decoder does what a word in the file says, or sees a hand."""

    name: str = "Hostile"
    version: str = "1"

    def predict(self, source: bytes) -> Prediction:
        if b"KILL" in source:
            os.kill(os.getpid(), signal.SIGKILL)
        if b"EXIT" in source:
            os._exit(3)
        if b"HANG" in source:
            time.sleep(60)
        if b"REFUSE" in source:
            raise PredictionError("image", "it does not decode", "pixels", "Send others.")
        return Prediction("Hostile 1", examined=(HAND,))


@dataclass(frozen=True, slots=True)
class HostileWork(Work):
    def annotator(self) -> Annotator:
        return replace(self.reader(), predictor=Hostile())


@dataclass(frozen=True, slots=True)
class Refused(Work):
    def annotator(self) -> Annotator:
        raise RequestError("--model", "'x' is damaged", "a model", "Name another.")


@dataclass(frozen=True, slots=True)
class Stillborn(Work):
    def annotator(self) -> Annotator:
        os._exit(9)
