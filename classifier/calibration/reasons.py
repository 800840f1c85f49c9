"""`Reason`: why an image is not one that a model can answer for."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """The code of a reason; `sentence` says it to a person."""

    TOO_SMALL = "too-small"
    TOO_NARROW = "too-narrow"
    BLANK = "blank"
    TWO_TONES = "two-tones"
    COLOUR_PHOTOGRAPH = "colour-photograph"
    DOCUMENT = "document"
    ANIMAL = "animal"
    PHANTOM = "phantom"
    UNLIKE_TRAINING = "unlike-training"

    @property
    def sentence(self) -> str:
        """What the reason means, for the user."""
        return _SENTENCES[self]


_SENTENCES: Final = {
    Reason.TOO_SMALL: "The image has too few rows or columns to show a part of the body.",
    Reason.TOO_NARROW: "One side of the image is much longer than the other: a strip, no picture.",
    Reason.BLANK: "The image is blank: hardly anything in it differs from the rest.",
    Reason.TWO_TONES: "The image has next to no greys: a mask, a drawing or a silhouette.",
    Reason.COLOUR_PHOTOGRAPH: "The image is a photograph in colour, made by visible light.",
    Reason.DOCUMENT: "The image looks like a page of text or a texture of small marks.",
    Reason.ANIMAL: "The header says that an animal was examined.",
    Reason.PHANTOM: "The header says that a test object was imaged, not a patient.",
    Reason.UNLIKE_TRAINING: "The image is unlike any that the model was trained on.",
}
