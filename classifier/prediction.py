"""`Prediction` and `Predictor`: what a model says, and the interface it is asked through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from terminology.annotation import RouterGroup, Site
from terminology.concept import Laterality, View


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says about one image.

    `examined` holds candidates, most probable first, and is empty when the model abstains;
    `visible` every site it sees. Each site carries a calibrated probability as its confidence.
    The rest is `None` where the model has no such head or is not sure of an answer; `modality` is
    a DICOM code of Modality.
    """

    model: str
    examined: tuple[Site, ...] = ()
    visible: tuple[Site, ...] = ()
    view: View | None = None
    modality: str | None = None
    laterality: Laterality | None = None
    router: RouterGroup | None = None


class Predictor(Protocol):
    """A model that reads an image file: DICOM, PNG or JPEG."""

    @property
    def name(self) -> str:
        """The model's name, as Device and evidence show it."""

    @property
    def version(self) -> str:
        """The model's version."""

    def predict(self, source: bytes) -> Prediction:
        """Return what the model says about the image file `source`.

        Raises
        ------
        PredictionError
            The model cannot answer for this image; it can be asked for others. The header's
            answer then stands alone.
        """
