"""A DICOM header → how its pixels are stored (`Layout`) and shown (`Display`), frame by frame."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from classifier.pixels.display import Display, integer_limits
from classifier.pixels.lookup import read_lookup
from classifier.pixels.malformed import MalformedError
from classifier.pixels.transform import LINEAR, LINEAR_EXACT, SIGMOID, LookUp, Rescale, Window

MONOCHROME1: Final = "MONOCHROME1"
MONOCHROME2: Final = "MONOCHROME2"
PALETTE: Final = "PALETTE COLOR"

_FUNCTIONS: Final = (LINEAR, LINEAR_EXACT, SIGMOID)
_INVERSE: Final = "INVERSE"
# What pixel data other than integers are called, and their bits.
_FLOAT_BITS: Final = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
_FLOAT_PADDING: Final = {"FloatPixelData": "Float", "DoubleFloatPixelData": "DoubleFloat"}
# PS3.4 Figure N.2-1 and PS3.3 C.8.7.1.1.2: of these two, whose modality LUT leads back to what is
# linear in X-ray intensity, it is not part of the way to the screen.
_FLUOROSCOPY: Final = ("XA", "RF", "XRF")
_NOT_LINEAR: Final = ("LOG", "DISP")


@dataclass(frozen=True, slots=True)
class Layout:
    """The Image Pixel Module (PS3.3 C.7.6.3): how a frame is stored."""

    keyword: str
    rows: int
    columns: int
    samples: int
    photometric: str
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar: int
    little_endian: bool

    @property
    def is_float(self) -> bool:
        """Whether the values are floats."""
        return self.keyword in _FLOAT_BITS

    @property
    def is_grey(self) -> bool:
        """Whether the values are grey levels, and no indices of a palette."""
        return self.photometric in (MONOCHROME1, MONOCHROME2)

    @property
    def shift(self) -> int:
        """By how many bits the value lies above the lowest bit."""
        # PS3.5 8.1.1 has High Bit = Bits Stored - 1; before 2014 it could be anywhere.
        if self.bits_stored <= self.high_bit < self.bits_allocated:
            return self.high_bit + 1 - self.bits_stored
        return 0


def read_layout(dataset: Dataset, keyword: str, *, little_endian: bool) -> Layout:
    """Return how the pixel element `keyword` is stored.

    Raises
    ------
    MalformedError
        An attribute is missing or cannot be so.
    """
    bits = _FLOAT_BITS.get(keyword) or _integer(dataset, "BitsAllocated")
    stored = bits if keyword in _FLOAT_BITS else _integer(dataset, "BitsStored", bits)
    layout = Layout(
        keyword=keyword,
        rows=_integer(dataset, "Rows"),
        columns=_integer(dataset, "Columns"),
        samples=_integer(dataset, "SamplesPerPixel", 1),
        photometric=str(dataset.get("PhotometricInterpretation") or "").strip().upper(),
        # An absent, empty or zero number of frames is that of a single-frame image.
        frames=_integer(dataset, "NumberOfFrames", 1) or 1,
        bits_allocated=bits,
        bits_stored=stored,
        high_bit=_integer(dataset, "HighBit", stored - 1),
        signed=_integer(dataset, "PixelRepresentation", 0) == 1,
        planar=_integer(dataset, "PlanarConfiguration", 0),
        little_endian=little_endian,
    )
    if layout.rows < 1 or layout.columns < 1 or layout.frames < 1:
        raise MalformedError("Rows, Columns or Number of Frames is not positive")
    if not 1 <= stored <= bits:
        raise MalformedError(f"Bits Stored is {stored}, Bits Allocated {bits}")
    return layout


def read_display(dataset: Dataset, layout: Layout, index: int) -> Display:
    """Return how frame `index` of grey levels is to be shown.

    What a frame's own functional groups say goes before the shared ones, these before the rest.
    """
    pixels = _group(dataset, index, "PixelValueTransformationSequence")
    modality = _modality(dataset, pixels, layout)
    signed = layout.signed if isinstance(modality, Rescale) else False
    if isinstance(modality, Rescale) and not modality.is_identity:
        ends = integer_limits(layout.bits_stored, signed=layout.signed)
        signed = min(modality.slope * end + modality.intercept for end in ends) < 0
    presentation = _items(dataset, "PresentationLUTSequence")
    shape = str(dataset.get("PresentationLUTShape") or "").strip().upper()
    return Display(
        modality=modality,
        voi=_voi(_group(dataset, index, "FrameVOILUTSequence"), layout, signed=signed),
        presentation=_lookup(presentation[0], layout, signed=False) if presentation else None,
        # PS3.3 C.7.6.3.1.2 and C.11.6.1.2: MONOCHROME1 and INVERSE say the same, once. The output
        # of a presentation LUT is P-Values, in which more is brighter whatever went in.
        inverted=not presentation and (layout.photometric == MONOCHROME1 or shape == _INVERSE),
        padding=_padding(dataset, layout),
    )


def _modality(dataset: Dataset, pixels: Dataset, layout: Layout) -> Rescale | LookUp:
    """Return the modality LUT (PS3.3 C.11.1); the sequence goes before slope and intercept."""
    tables = _items(dataset, "ModalityLUTSequence")
    relation = str(dataset.get("PixelIntensityRelationship") or "").strip().upper()
    if dataset.get("Modality") in _FLUOROSCOPY and relation in _NOT_LINEAR:
        tables = []
    if tables:
        return _lookup(tables[0], layout, signed=layout.signed)
    slope = _first(_numbers(pixels, "RescaleSlope"), 1.0)
    intercept = _first(_numbers(pixels, "RescaleIntercept"), 0.0)
    # A slope of 0 would leave one value: some writers put it where they have none.
    return Rescale(slope or 1.0, intercept)


def _voi(source: Dataset, layout: Layout, *, signed: bool) -> Window | LookUp | None:
    """Return the VOI LUT or else the window; of several the first that can be (PS3.3 C.11.2)."""
    tables = _items(source, "VOILUTSequence")
    if tables:
        return _lookup(tables[0], layout, signed=signed)
    functions = source.get("VOILUTFunction") or LINEAR
    function = str(functions if isinstance(functions, str) else functions[0]).strip().upper()
    if function not in _FUNCTIONS:
        function = LINEAR  # PS3.3 C.11.2.1.3: the default
    centers, widths = _numbers(source, "WindowCenter"), _numbers(source, "WindowWidth")
    for center, width in zip(centers, widths, strict=False):
        # A width of 0, or none, is what some write who have no window.
        if width > 0 and math.isfinite(center) and math.isfinite(width):
            return Window(center, width, function)
    return None


def _padding(dataset: Dataset, layout: Layout) -> tuple[float, float] | None:
    """Return from and to which stored value a pixel is no image (PS3.3 C.7.5.1.1.2)."""
    kind = _FLOAT_PADDING.get(layout.keyword, "")
    values = _numbers(dataset, f"{kind}PixelPaddingValue")
    if not values:
        return None
    ends = [values[0], _first(_numbers(dataset, f"{kind}PixelPaddingRangeLimit"), values[0])]
    if layout.signed and not layout.is_float:
        # Written as unsigned by some, as -2000 is 63536
        half = 1 << (layout.bits_allocated - 1)
        ends = [end - 2 * half if end >= half else end for end in ends]
    return (min(ends), max(ends))


def _group(dataset: Dataset, index: int, macro: str) -> Dataset:
    """Return what holds the attributes of a functional group macro (PS3.3 C.7.6.16)."""
    frames = _items(dataset, "PerFrameFunctionalGroupsSequence")
    own = _items(frames[index], macro) if index < len(frames) else []
    if own:
        return own[0]
    shared = _items(dataset, "SharedFunctionalGroupsSequence")
    common = _items(shared[0], macro) if shared else []
    return common[0] if common else dataset


def _items(dataset: Dataset, keyword: str) -> list[Dataset] | Sequence:
    value = dataset.get(keyword)
    return value if isinstance(value, Sequence) else []


def _lookup(item: Dataset, layout: Layout, *, signed: bool) -> LookUp:
    return read_lookup(item, signed=signed, little_endian=layout.little_endian)


def _integer(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    numbers = _numbers(dataset, keyword)
    if numbers and numbers[0] == int(numbers[0]):
        return int(numbers[0])
    if default is None:
        raise MalformedError(f"{keyword} is missing or no number")
    return default


def _numbers(dataset: Dataset, keyword: str) -> list[float]:
    """Return the values of an attribute as numbers; none where it is absent or empty."""
    value = dataset.get(keyword)
    if value is None or value == "":
        return []
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        value = [value]
    try:
        return [float(part) for part in value if part is not None and part != ""]
    except (TypeError, ValueError) as error:
        raise MalformedError(f"{keyword} is no number") from error


def _first(numbers: list[float], default: float) -> float:
    return numbers[0] if numbers and math.isfinite(numbers[0]) else default
