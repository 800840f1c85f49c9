"""Stored values → the grey levels that are shown: one way for DICOM, pictures and arrays.

The order is that of PS3.4 N.2.1: stored → modality LUT → VOI → presentation → 8 bits.

Where nothing says how to show the values, neither a window nor a VOI LUT, this is done:

* Unsigned values of at most 8 bits, which no modality LUT changed, are shown as they are:
  value · 255 / (2^bits - 1).
* Other integers are stretched from their least to their largest value. Where the least and the
  largest 0.1 % of the pixels (the values that fewer than one pixel in 1,000 lies below, or above)
  take more than half of that range, they are clipped: one hot pixel does not decide the
  brightness. An image of one value is 0 everywhere.
* Floats, if all are in [0, 1], times 255; others as integers. NaN is 0 (black) and infinity the
  least or largest finite value; neither counts for the range.

So the same image gives equal arrays as PNG, as array and as DICOM. Presentation LUT Shape alone
is taken as such a silence: it says which end is bright. Strictly (PS3.4 N.2.1.4) the values would
then be P-Values over all that Bits Stored allow; an image "for presentation" fills that range, so
that both agree, and of one that does not, written by a converter, there would be little to see.

P-Values are linear in what an eye perceives (PS3.14); what comes out are P-Values in 8 bits, and
not what a certain screen would emit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from classifier.pixels.transform import LookUp, Rescale, Values, Window

Grey = NDArray[np.uint8]

# Fewer than one pixel in so many is an extreme; extremes may take so much of the range.
_RARE: Final = 1000
_MOST_BY_EXTREMES: Final = 0.5
_TABLE_BYTES: Final = 2
_SAMPLE_ROWS: Final = 128
# Values that are shown one by one, 8 MiB as float64.
_AT_ONCE: Final = 1 << 20
_IDENTITY: Final = np.arange(256, dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Stored:
    """One frame of single samples as stored.

    Attributes
    ----------
    values: integers or floats (H, W)
    bits
        How many bits of an integer hold the value.
    shift
        By how many bits the value lies above the lowest bit: High Bit + 1 - Bits Stored. `None`
        when the whole integer is the value.
    """

    values: NDArray[np.generic]
    bits: int
    shift: int | None = None

    @classmethod
    def of(cls, values: NDArray[np.generic]) -> Stored:
        """Return `values` as they are, all of their bits being the value."""
        return cls(values, 8 * values.dtype.itemsize)

    @property
    def is_float(self) -> bool:
        """Whether the values are floats."""
        return self.values.dtype.kind == "f"

    @property
    def signed(self) -> bool:
        """Whether the values may be negative."""
        return self.values.dtype.kind != "u"

    def meaning(self, words: NDArray[np.generic]) -> Values:
        """Return the values that `words`, of the type of `values`, hold."""
        if self.shift is None or self.is_float:
            return words.astype(np.float64)
        # PS3.5 8.1.1: the other bits say nothing of the value
        plain = words.astype(np.int64) >> self.shift
        plain &= (1 << self.bits) - 1
        if self.signed:
            plain -= (plain >> (self.bits - 1)) << self.bits
        return plain.astype(np.float64)


@dataclass(frozen=True, slots=True)
class Display:
    """How stored values are to be shown; by default nothing is said.

    Attributes
    ----------
    voi
        `None` when nothing says how to show the values.
    presentation
        A Presentation LUT Sequence, the output of which are P-Values (PS3.3 C.11.4).
    inverted
        Whether the least value is white.
    padding
        Stored values from and to which a pixel is no image; they are shown black.
    """

    modality: Rescale | LookUp = field(default_factory=Rescale)
    voi: Window | LookUp | None = None
    presentation: LookUp | None = None
    inverted: bool = False
    padding: tuple[float, float] | None = None


UNSPECIFIED: Final = Display()


def show(stored: Stored, display: Display = UNSPECIFIED) -> Grey:
    """Return what is shown: uint8 (H, W), 0 black, 255 white."""
    values = np.ascontiguousarray(stored.values)
    if not values.dtype.isnative:
        values = values.astype(values.dtype.newbyteorder("="))
    stored = Stored(values, stored.bits, stored.shift)
    if stored.is_float or values.dtype.itemsize > _TABLE_BYTES:
        return _show_each(stored, display)
    return _show_by_table(stored, display)


def integer_limits(bits: int, *, signed: bool) -> tuple[int, int]:
    """Return the least and the largest value that an integer of `bits` can hold."""
    half = 1 << (bits - 1)
    return (-half, half - 1) if signed else (0, 2 * half - 1)


def luminance(colours: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return the luminance (H, W) of RGB or RGBA (H, W, 3 or 4), in the type of `colours`.

    BT.601: 0.299 R + 0.587 G + 0.114 B. What is transparent lies on black.
    """
    rgb = np.ascontiguousarray(colours[..., :3])
    if not rgb.dtype.isnative:
        rgb = rgb.astype(rgb.dtype.newbyteorder("="))
    grey: NDArray[np.generic]
    if rgb.dtype in (np.uint8, np.uint16, np.float32):
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    else:
        grey = _as_type(rgb.astype(np.float64) @ np.array([0.299, 0.587, 0.114]), rgb.dtype)
    if colours.shape[2] == 3:
        return grey
    top = 1.0 if rgb.dtype.kind == "f" else float(np.iinfo(rgb.dtype).max)
    opacity = np.clip(colours[..., 3].astype(np.float64) / top, 0.0, 1.0)
    if (opacity == 1.0).all():
        return grey
    return _as_type(grey.astype(np.float64) * opacity, rgb.dtype)


def _as_type(values: Values, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    return values.astype(dtype) if dtype.kind == "f" else np.rint(values).astype(dtype)


def _show_by_table(stored: Stored, display: Display) -> Grey:
    """Look each pixel up in a table of all words there can be (65,536 at most)."""
    dtype = stored.values.dtype
    unsigned = np.dtype(f"u{dtype.itemsize}")
    words = stored.values.view(unsigned)
    size = 1 << (8 * dtype.itemsize)
    meaning = stored.meaning(np.arange(size, dtype=unsigned).view(dtype))
    valid = _valid(meaning, display)
    values = display.modality(meaning)
    bounds = _stated_bounds(stored, display)
    if bounds is None:
        bounds = _bounds_by_sample(words, values) if valid.all() and not stored.signed else None
        if bounds is None:
            counts = _counts(words)
            present = valid & (counts > 0)
            bounds = _bounds(values[present], counts[present])
        if bounds is None:
            return np.zeros(stored.values.shape, np.uint8)
    table = _levels(values, valid, display, bounds)
    if dtype == np.uint8 and np.array_equal(table, _IDENTITY):
        # Ten times as fast as looking each pixel up.
        return words.copy()
    shown: Grey = cv2.LUT(words, table.reshape(1, -1)).astype(np.uint8, copy=False)
    return shown.reshape(words.shape)


def _show_each(stored: Stored, display: Display) -> Grey:
    """Compute each pixel: floats and integers of 32 bits, for which there is no table."""
    flat = stored.values.ravel()
    bounds = _stated_bounds(stored, display)
    if bounds is None:
        values = np.concatenate([_measured(part, stored, display) for part in _parts(flat)])
        bounds = _bounds_of_all(values, is_float=stored.is_float)
        if bounds is None:
            return np.zeros(stored.values.shape, np.uint8)
        del values
    shown = np.empty(flat.shape, np.uint8)
    for part, out in zip(_parts(flat), _parts(shown), strict=True):
        meaning = stored.meaning(part)
        valid = _valid(meaning, display) & ~np.isnan(meaning)
        meaning[~valid] = 0.0
        with np.errstate(over="ignore"):  # beyond what a float holds is as white as infinity
            out[:] = _levels(display.modality(meaning), valid, display, bounds)
    return shown.reshape(stored.values.shape)


def _parts(values: NDArray[np.generic]) -> list[NDArray[np.generic]]:
    return [values[start : start + _AT_ONCE] for start in range(0, values.size, _AT_ONCE)]


def _measured(part: NDArray[np.generic], stored: Stored, display: Display) -> Values:
    """Return the values of `part` that count for the range."""
    meaning = stored.meaning(part)
    return display.modality(meaning[_valid(meaning, display) & np.isfinite(meaning)])


def _valid(meaning: Values, display: Display) -> NDArray[np.bool_]:
    if display.padding is None:
        return np.ones(meaning.shape, np.bool_)
    low, high = display.padding
    return ~((meaning >= low) & (meaning <= high))


def _stated_bounds(stored: Stored, display: Display) -> tuple[float, float] | None:
    """Return the values that are black and white, or `None` when the pixels must tell.

    With a window or VOI LUT, which have their own, they are without meaning.
    """
    if display.voi is not None:
        return (0.0, 1.0)
    modality = display.modality
    if isinstance(modality, LookUp):
        # PS3.3 C.11.1.1.1: the output of a modality LUT is unsigned
        whole = (0.0, float(modality.top))
        is_byte = modality.bits <= 8
    elif stored.is_float:
        return None
    else:
        limits = integer_limits(stored.bits, signed=stored.signed)
        ends = modality(np.array(limits, np.float64))
        whole = (float(ends.min()), float(ends.max()))
        is_byte = stored.bits <= 8 and not stored.signed and modality.is_identity
    # PS3.3 C.11.4: a presentation LUT maps every value there can be
    return whole if is_byte or display.presentation is not None else None


def _counts(words: NDArray[Any]) -> NDArray[np.number]:
    """Return how often each word occurs: (256,) or (65536,)."""
    size = 1 << (8 * words.dtype.itemsize)
    return cv2.calcHist([words], [0], None, [size], [0, size]).ravel()


def _bounds_by_sample(words: NDArray[Any], values: Values) -> tuple[float, float] | None:
    """Return the range to stretch if some rows prove that no extremes need clipping, else `None`.

    A radiograph is read thrice as fast as by counting all of its pixels. `values` is what each
    word stands for; all of them count.
    """
    sample = words[:: max(len(words) // _SAMPLE_ROWS, 1)]
    first, last = int(words.min()), int(words.max())
    steps = np.diff(values[first : last + 1])
    if len(sample) == len(words) or not ((steps >= 0).all() or (steps <= 0).all()):
        return None
    least, most = sorted((float(values[first]), float(values[last])))
    # If the rare pixels at either end of the whole image lie in the outer quarters of the range,
    # they take no more than half of it; the sample may hold enough of them.
    counts = _counts(sample)
    quarter = (1.0 - _MOST_BY_EXTREMES) / 2 * (most - least)
    rare = -(-words.size // _RARE)
    low, high = values <= least + quarter, values >= most - quarter
    if counts[low].sum() < rare or counts[high].sum() < rare or least == most:
        return None
    return (least, most)


def _bounds(values: Values, counts: NDArray[np.number]) -> tuple[float, float] | None:
    """Return the range to stretch of values that occur so often; `None` when it is empty."""
    if values.size == 0:
        return None
    order = np.argsort(values)
    values = values[order]
    at_most = np.cumsum(counts[order], dtype=np.float64)
    total = at_most[-1]
    rare = np.ceil(total / _RARE)
    low = values[np.searchsorted(at_most, rare)]
    high = values[np.searchsorted(at_most, total - rare + 1)]
    return _range(float(values[0]), float(low), float(high), float(values[-1]))


def _bounds_of_all(values: Values, *, is_float: bool) -> tuple[float, float] | None:
    """Return the range to stretch of all `values`, which are put in another order."""
    total = values.size
    if total == 0:
        return None
    least, most = float(values.min()), float(values.max())
    if is_float and least >= 0.0 and most <= 1.0:
        return (0.0, 1.0)
    rare = -(-total // _RARE)
    values.partition((rare - 1, total - rare))
    return _range(least, float(values[rare - 1]), float(values[total - rare]), most)


def _range(least: float, low: float, high: float, most: float) -> tuple[float, float] | None:
    if least == most:
        return None
    if low < high and (high - low) < _MOST_BY_EXTREMES * (most - least):
        return (low, high)
    return (least, most)


def _levels(
    values: Values, valid: NDArray[np.bool_], display: Display, bounds: tuple[float, float]
) -> Grey:
    """Return the grey level of each value that the modality LUT gave."""
    if display.voi is not None:
        level = display.voi.level(values)
    else:
        # Halved first: the distance of two floats may be more than a float can hold.
        low, half = bounds[0], bounds[1] / 2 - bounds[0] / 2
        level = np.clip((values / 2 - low / 2) / half, 0.0, 1.0)
    if display.presentation is not None:
        entries = len(display.presentation.entries)
        level = display.presentation.level(level * (entries - 1) + display.presentation.first)
    grey = np.rint(level * 255.0).astype(np.uint8)
    if display.inverted:
        np.subtract(255, grey, out=grey)
    grey[~valid] = 0
    return grey
