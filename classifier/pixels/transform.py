"""The stages between stored and shown values: `Rescale`, `LookUp`, `Window`.

Each is a function of float64 arrays of any shape. Nothing here knows of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

LINEAR: Final = "LINEAR"
LINEAR_EXACT: Final = "LINEAR_EXACT"
SIGMOID: Final = "SIGMOID"


@dataclass(frozen=True, slots=True)
class Rescale:
    """Rescale Slope and Intercept (PS3.3 C.11.1.1.2); the slope may be negative."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, values: Values) -> Values:
        """Return slope · values + intercept."""
        if self.is_identity:
            return values
        return values * self.slope + self.intercept

    @property
    def is_identity(self) -> bool:
        """Whether values stay as they are."""
        return self.slope == 1.0 and self.intercept == 0.0


@dataclass(frozen=True, slots=True)
class LookUp:
    """A look-up table (PS3.3 C.11.1.1.1, C.11.2.1.1): modality, VOI or presentation.

    Attributes
    ----------
    first
        The input value that the first entry stands for.
    entries: uint16 (N,)
        The output values.
    bits
        The output is in [0, 2^bits - 1].
    """

    first: int
    entries: NDArray[np.uint16]
    bits: int

    def __call__(self, values: Values) -> Values:
        """Return the entry of each value; below the first and above the last, these two."""
        # A table has whole inputs; after a slope with a fraction the nearest is taken.
        place = np.rint(values) - self.first
        place = np.clip(place, 0, len(self.entries) - 1).astype(np.intp)
        return np.asarray(self.entries[place], np.float64)

    @property
    def top(self) -> int:
        """The largest output that `bits` allow."""
        return (1 << self.bits) - 1

    def level(self, values: Values) -> Values:
        """Return the output in [0, 1]."""
        return self(values) / self.top


@dataclass(frozen=True, slots=True)
class Window:
    """Window Center and Width with a VOI LUT Function (PS3.3 C.11.2.1.2, C.11.2.1.3)."""

    center: float
    width: float
    function: str = LINEAR

    def level(self, values: Values) -> Values:
        """Return what is shown, in [0, 1]."""
        center, width = self.center, self.width
        if self.function == SIGMOID:
            # PS3.3 C.11.2.1.3.1; an exponent beyond 700 overflows, and is 0 or 1 long before
            exponent = np.clip(-4.0 * (values - center) / width, -700.0, 700.0)
            return np.asarray(1.0 / (1.0 + np.exp(exponent)), np.float64)
        # PS3.3 C.11.2.1.3.2; a width below 1 is allowed for LINEAR_EXACT alone, and those who
        # write it with LINEAR mean it so (PET and dose in fractions).
        if self.function == LINEAR_EXACT or width < 1.0:
            return np.clip((values - center) / width + 0.5, 0.0, 1.0)
        # PS3.3 C.11.2.1.2.1
        center -= 0.5
        width -= 1.0
        if width == 0.0:
            return (values > center).astype(np.float64)
        return np.clip((values - center) / width + 0.5, 0.0, 1.0)
