"""Why a person should look at an instance: codes that programs sort a list by."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from classifier.fusion.settings import FusionSettings


class Review(StrEnum):
    """The codes of fusion; beside them stand the codes of a model's own reasons.

    Attributes
    ----------
    CONFLICT
        The image shows another part than the header names; the header was not followed, or the
        model has no posterior to weigh the two by.
    VIEW_CONFLICT, LATERALITY_CONFLICT, MODALITY_CONFLICT
        The image, surely enough, shows another view, side or modality than the header says.
    HEADER_CONFLICT
        Attributes of the header contradict one another.
    LOW_CONFIDENCE
        What header and image say together is not probable enough, or the model has no answer that
        it is sure enough of where no header bears it out; also where the image is followed,
        against the header, without being sure enough for a conflict.
    NO_ANSWER
        Neither header nor image names a site.
    """

    CONFLICT = "conflict"
    VIEW_CONFLICT = "view-conflict"
    LATERALITY_CONFLICT = "laterality-conflict"
    MODALITY_CONFLICT = "modality-conflict"
    HEADER_CONFLICT = "header-conflict"
    LOW_CONFIDENCE = "low-confidence"
    NO_ANSWER = "no-answer"


def reviewed(
    found: Iterable[Review], reasons: Iterable[str], settings: FusionSettings
) -> tuple[str, ...]:
    """Return the codes, each once: the model's `reasons`, then those found, as `Review` has them.

    Codes that the settings leave out are left out.
    """
    held = set(found)
    codes = [*reasons, *(str(code) for code in Review if code in held)]
    return tuple(dict.fromkeys(code for code in codes if code not in settings.review_without))
