"""`Prediction` and `Predictor`: what a model says, and the interface it is asked through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from terminology.annotation import RouterGroup, Site
from terminology.concept import Laterality, View


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says about one image.

    Every probability is calibrated. `None` and empty mean that the model has no such head, or is
    not sure of an answer.

    Attributes
    ----------
    examined
        The answer first, then the candidates, most probable first. The answer is the most
        specific concept that the model is sure enough of, which may subsume the candidates; empty
        when it abstains.
    visible
        Every site it sees.
    modality
        A DICOM code of Modality.
    posterior, prior
        The probability of each class of the examined part, by SCTID, and how often training saw
        it; each sums to 1, and is empty where there is no such head.
    prediction_set
        Classes of the examined part among which the right one is with the probability that the
        model was calibrated for.
    confidences
        How probable the answers `view`, `modality`, `laterality` and `router` are, by these names.
    reasons
        Codes of `classifier.calibration.guards.Reason`: why the image is not one that the model
        can answer for. `examined` and `visible` are empty then.
    """

    model: str
    examined: tuple[Site, ...] = ()
    visible: tuple[Site, ...] = ()
    view: View | None = None
    modality: str | None = None
    laterality: Laterality | None = None
    router: RouterGroup | None = None
    posterior: Mapping[str, float] = field(default_factory=dict)
    prior: Mapping[str, float] = field(default_factory=dict)
    prediction_set: tuple[str, ...] = ()
    confidences: Mapping[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()


class Predictor(Protocol):
    """A model that reads an image file: DICOM, PNG, JPEG or TIFF."""

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
