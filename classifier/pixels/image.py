"""`Image`: an opened image, the frames of which are decoded when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from classifier.errors import ImageError


class FrameReader(Protocol):
    """What decodes one frame of one kind of image."""

    @property
    def where(self) -> str:
        """How messages call the image."""

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return frame `index`, which there is: uint8 (H, W), 0 black, 255 white."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image of one or more frames.

    Attributes
    ----------
    frame_count
        At least 1; the pages of a TIFF count as frames.
    modality
        Modality (0008,0060) of a DICOM image, else `None`.
    dataset
        The header of a DICOM image, without pixels where it came from a file, else `None`. It is
        as the file has it, with all that it says of the patient.
    """

    frame_count: int
    modality: str | None
    dataset: Dataset | None = field(repr=False)
    reader: FrameReader = field(repr=False)

    def frame(self, index: int = 0) -> NDArray[np.uint8]:
        """Return frame `index` as it is shown: uint8 (H, W), 0 black, 255 white.

        Colours are given as luminance. Only this frame is decoded, and nothing is kept.

        Raises
        ------
        ImageError
            There is no such frame, or it does not decode.
        """
        if not 0 <= index < self.frame_count:
            raise ImageError(
                self.reader.where,
                f"there is no frame {index}",
                f"a frame from 0 to {self.frame_count - 1}",
                "Ask for one of these.",
            )
        return self.reader.read(index)

    def sample(self, count: int) -> tuple[int, ...]:
        """Return at most `count` frame indices, evenly spread, ascending, each once.

        They are the middles of `count` equal parts: one is the middle frame. All frames when
        there are no more than `count`.
        """
        if count < 1:
            raise ValueError(f"count is {count}; expected 1 or more")
        if count >= self.frame_count:
            return tuple(range(self.frame_count))
        return tuple((2 * part + 1) * self.frame_count // (2 * count) for part in range(count))
