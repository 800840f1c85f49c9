"""`GuardSettings`: what keeps a model from answering for what is no image of a patient.

The guards of pixels are cheap, and come before the network; that of features after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from classifier.calibration.colours import colourful
from classifier.calibration.novelty import Novelty
from classifier.calibration.reasons import Reason
from classifier.errors import CalibrationError
from classifier.pixels.image import Image
from classifier.pixels.quiet import quiet

Grey = NDArray[np.uint8]

_FORMAT: Final = "bodysite-guards-1"
_NOVELTY: Final = "novelty"
# Tones are counted, and marks looked for, in a copy of at most this many rows and columns.
_SIDE: Final = 768
# Tails that a speck or a line of text may fill.
_TAIL: Final = 0.005
# Sizes of a mark, such as a letter or a short word: rows, and shares of the longer side.
_MARK_ROWS: Final = 3
_MARK_HEIGHT: Final = 0.08
_MARK_WIDTH: Final = 0.15
# More ink than this is no page.
_MOST_INK: Final = 0.3
# Two tones differ by so many grey levels, and the rarer one has this share of the pixels.
_APART: Final = 100
_BOTH: Final = 0.05
_FEW_LEVELS: Final = 8
# PS3.3 C.7.3.1.1.1: modalities of visible light.
_VISIBLE_LIGHT: Final = frozenset({"ES", "GM", "SM", "XC", "OP", "DMS"})
# How species is written of people, who have none in most headers (PS3.3 C.7.1.1).
_HUMAN: Final = ("homo sapiens", "human")
# SNOMED CT 337915000 |Homo sapiens|, and the former code of SNOMED RT.
_HUMAN_CODES: Final = frozenset({"337915000", "L-85B00"})
_YES: Final = ("YES", "BOTH")


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """From where on an image is refused.

    Attributes
    ----------
    least_side
        Rows and columns that an image has at least.
    most_aspect
        How often the shorter side may go into the longer one.
    least_range
        Grey levels (of 255) between the darkest and the brightest half per cent.
    two_tones
        The share of the pixels that two grey levels, far apart, may have together.
    colour_difference, most_colour
        The share of the pixels that may have a colour of their own, by so much of 255.
    mark_contrast, least_marks, marks_of_ink
        So many small marks, which differ from the background by so much of 255 and make up so
        much of all that does, are text or texture.
    novelty
        `None` refuses nothing for its features.
    """

    least_side: int = 32
    most_aspect: float = 4.0
    least_range: int = 16
    two_tones: float = 0.9
    colour_difference: float = 16.0
    most_colour: float = 0.2
    mark_contrast: int = 60
    least_marks: int = 30
    marks_of_ink: float = 0.6
    novelty: Novelty | None = field(default=None, compare=False)

    def fitted(
        self, features: NDArray[Any], others: NDArray[Any] | None = None, *, passed: float = 0.99
    ) -> Self:
        """Return these settings with the novelty of `Novelty.fit`."""
        return replace(self, novelty=Novelty.fit(features, others, passed=passed))

    def guard_pixels(self, image: Image, grey: Grey) -> tuple[Reason, ...]:
        """Return what is said against a frame before the network sees it.

        Parameters
        ----------
        image
            The header and the colours are its.
        grey
            uint8 (H, W), the frame as shown.
        """
        return tuple(dict.fromkeys((*self._of_header(image), *self._of_grey(image, grey))))

    def guard_features(self, pooled: NDArray[Any]) -> tuple[Reason, ...]:
        """Return what is said against a frame whose pooled features are `pooled`, (F,)."""
        if self.novelty is not None and self.novelty.is_novel(pooled):
            return (Reason.UNLIKE_TRAINING,)
        return ()

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values; the rest is in `arrays`."""
        numbers = {
            one.name: getattr(self, one.name) for one in fields(self) if one.name != _NOVELTY
        }
        farthest = None if self.novelty is None else self.novelty.farthest
        return {"format": _FORMAT, **numbers, "farthest": farthest}

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays of the settings, by name; empty without `novelty`."""
        return {} if self.novelty is None else self.novelty.arrays()

    @classmethod
    def from_json(
        cls, data: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]] | None = None
    ) -> Self:
        """Return the settings that `to_json` and `arrays` gave.

        Raises
        ------
        CalibrationError
            They are of another format, or something is missing.
        """
        try:
            values = dict(data)
            if (found := values.pop("format")) != _FORMAT:
                raise ValueError(f"its format is '{found}'")
            farthest = values.pop("farthest")
            novelty = None
            if farthest is not None:
                novelty = Novelty.of_arrays(arrays or {}, float(farthest))
            return cls(**values, novelty=novelty)
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(
                "guards",
                f"they cannot be read ({type(error).__name__}: {error})",
                f"what this version writes, {_FORMAT}",
                "Export the model again.",
            ) from error

    def _of_header(self, image: Image) -> Iterator[Reason]:
        if image.modality in _VISIBLE_LIGHT:
            yield Reason.COLOUR_PHOTOGRAPH
        if image.dataset is not None:
            with quiet():
                if _is_animal(image.dataset):
                    yield Reason.ANIMAL
                if _is_phantom(image.dataset):
                    yield Reason.PHANTOM

    def _of_grey(self, image: Image, grey: Grey) -> Iterator[Reason]:
        short, long = sorted(grey.shape)
        if short < self.least_side:
            yield Reason.TOO_SMALL
            return
        if long > self.most_aspect * short:
            yield Reason.TOO_NARROW
        step = -(-long // _SIDE)
        # Every n-th row and column: averaging them would take longer than the network.
        small = np.ascontiguousarray(grey[::step, ::step])
        share = cv2.calcHist([small], [0], None, [256], [0, 256]).ravel().astype(np.float64)
        share /= share.sum()
        reached = np.cumsum(share)
        dark, bright = np.searchsorted(reached, [_TAIL, 1 - _TAIL])
        if bright - dark < self.least_range:
            yield Reason.BLANK
            return
        if self._is_marks(small, share):
            yield Reason.DOCUMENT
        elif self._has_two_tones(share):
            yield Reason.TWO_TONES
        if colourful(image, self.colour_difference) > self.most_colour:
            yield Reason.COLOUR_PHOTOGRAPH

    def _has_two_tones(self, share: NDArray[np.float64]) -> bool:
        """Return whether two grey levels, given the share of each of 256, are nearly all."""
        second, first = np.argsort(share, kind="stable")[-2:]
        together = share[first] + share[second]
        # A black frame alone makes one tone, and its neighbour a second one that hardly differs.
        apart = abs(int(first) - int(second)) >= _APART and share[second] >= _BOTH
        few = int(np.count_nonzero(share)) <= _FEW_LEVELS
        return bool(few or (apart and together >= self.two_tones))

    def _is_marks(self, grey: Grey, share: NDArray[np.float64]) -> bool:
        """Return whether what differs from the commonest grey level is many small marks.

        Parameters
        ----------
        grey
            uint8 (H, W), at most 768 rows and columns.
        share
            Of each of 256 grey levels in it.
        """
        background = int(share.argmax())
        low, high = background - self.mark_contrast, background + self.mark_contrast
        if share[: max(low, 0)].sum() + share[high + 1 :].sum() > _MOST_INK:
            return False
        ink = (grey < low) | (grey > high)
        _, _, found, _ = cv2.connectedComponentsWithStats(ink.view(np.uint8), connectivity=8)
        rows, columns, area = (
            found[1:, at] for at in (cv2.CC_STAT_HEIGHT, cv2.CC_STAT_WIDTH, cv2.CC_STAT_AREA)
        )
        longest = max(grey.shape)
        mark = (rows >= _MARK_ROWS) & (rows <= _MARK_HEIGHT * longest)
        mark &= columns <= _MARK_WIDTH * longest
        enough = int(mark.sum()) >= self.least_marks
        return bool(enough and area[mark].sum() >= self.marks_of_ink * area.sum())


def _is_animal(header: Dataset) -> bool:
    """Return whether the species is told, and not human, or what only an animal has.

    PS3.3 C.7.1.1: breed (0010,2292) and neutering (0010,2203) are of non-human patients.
    """
    if header.get("PatientBreedDescription") or header.get("PatientSexNeutered"):
        return True
    words = str(header.get("PatientSpeciesDescription") or "").strip().casefold()
    if words:
        return not any(one in words for one in _HUMAN)
    items = header.get("PatientSpeciesCodeSequence") or ()
    codes = {str(item.get("CodeValue") or "").strip() for item in items} - {""}
    return bool(codes) and not codes & _HUMAN_CODES


def _is_phantom(header: Dataset) -> bool:
    """Return whether Quality Control Subject (0010,0200) or Image (0028,0300) says so."""
    told = (header.get("QualityControlSubject"), header.get("QualityControlImage"))
    return any(str(one or "").strip().upper() in _YES for one in told)
