"""How an image was taken: the technical attributes of a header that an ImagingStudy has room for.

They are numbers, codes and the names of devices. Values of other forms, and free text of people,
are left out, but for what stands in `Attribute.text`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from terminology.annotation import Attribute
from terminology.elements import Elements

# PS3.3 C.8.7.2, C.8.11.3, C.8.1, C.8.2, C.8.3, C.8.9, C.8.4, C.8.5: numbers, each in the unit that
# the standard gives it.
NUMBERS: Final = (
    "KVP",
    "ExposureTime",
    "ExposureTimeInms",
    "ExposureTimeInuS",
    "Exposure",
    "ExposureInmAs",
    "ExposureInuAs",
    "XRayTubeCurrent",
    "XRayTubeCurrentInmA",
    "XRayTubeCurrentInuA",
    "CTDIvol",
    "MagneticFieldStrength",
    "EchoTime",
    "EffectiveEchoTime",
    "RepetitionTime",
    "InversionTime",
    "FlipAngle",
    "SliceThickness",
    "TransducerFrequency",
    "PulseRepetitionFrequency",
    "UltrasoundColorDataPresent",
)
CODES: Final = (
    "ImageType",
    "ScanningSequence",
    "SequenceVariant",
    "SeriesType",
    "Units",
    "TransducerType",
    "BurnedInAnnotation",
)
NAMES: Final = ("ConvolutionKernel", "Manufacturer", "ManufacturerModelName")
SPACING: Final = "PixelSpacing"
CONTRAST: Final = ("ContrastBolusAgent", "ContrastBolusAgentSequence")
REASONS: Final = ("ReasonForTheRequestedProcedure", "ReasonForStudy")
TRACER: Final = "RadiopharmaceuticalInformationSequence"
TRACER_CODES: Final = ("RadionuclideCodeSequence", "RadiopharmaceuticalCodeSequence")
TRACER_NUMBERS: Final = ("RadionuclideTotalDose", "RadionuclideHalfLife")
# Of the time between the injection and the image; DICOM has the two times.
TRACER_SECONDS: Final = "TracerExposureTime"
_INJECTION: Final = "RadiopharmaceuticalStartTime"
_ACQUISITION: Final = "AcquisitionTime"
REGIONS: Final = "SequenceOfUltrasoundRegions"
# What ultrasound says of a region of the image, and enhanced multi-frame images of all frames.
_OF_REGION: Final = ("TransducerFrequency", "PulseRepetitionFrequency")
_SHARED: Final = "SharedFunctionalGroupsSequence"
_GROUPS: Final = {
    "PixelMeasuresSequence": ("SliceThickness",),
    "MRTimingAndRelatedParametersSequence": ("RepetitionTime", "FlipAngle"),
    "MREchoSequence": ("EffectiveEchoTime",),
    "CTXRayDetailsSequence": ("KVP",),
    "CTExposureSequence": ("ExposureTimeInms", "XRayTubeCurrentInmA", "ExposureInmAs", "CTDIvol"),
}
# The attributes of the header itself that are read here.
ATTRIBUTES: Final = (
    *NUMBERS,
    *CODES,
    *NAMES,
    SPACING,
    *CONTRAST,
    *REASONS,
    TRACER,
    _ACQUISITION,
    REGIONS,
    _SHARED,
)
# PS3.5 6.2: the value representation CS.
_CODE: Final = re.compile(r"[A-Z0-9_ ]{1,16}", re.ASCII)
_NAME: Final = re.compile(r"[\w .,+/&()\-]{1,64}")
_NUMERAL: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,2})?", re.ASCII)
_TIME: Final = re.compile(r"(\d{2}):?(\d{2}):?(\d{2})(\.\d{1,6})?", re.ASCII)
_CODED: Final = re.compile(r"[\w./{}%()-]{1,16}", re.ASCII)
_DAY: Final = 86_400
_NO: Final = frozenset({"", "NO", "NONE", "N", "0", "WITHOUT", "UNKNOWN"})
_LONGEST_TEXT: Final = 1024


def acquisition_of(elements: Elements) -> tuple[Attribute, ...]:
    """Return what a header says of how the image was taken, each attribute once."""
    found = {one.keyword: one for one in _read(elements)}
    return tuple(found.values())


def _read(elements: Elements) -> Iterator[Attribute]:
    for group in elements.items(_SHARED, 1):
        for sequence, keywords in _GROUPS.items():
            for item in group.items(sequence, 1):
                yield from _numbers(item, keywords)
                if sequence == "PixelMeasuresSequence":
                    yield from _spacing(item)
    for region in elements.items(REGIONS, 1):
        yield from _numbers(region, _OF_REGION)
    yield from _numbers(elements, NUMBERS)
    yield from _spacing(elements)
    for keyword in CODES:
        parts = [part.strip() for part in elements.text(keyword).upper().split("\\")]
        codes = [part if _CODE.fullmatch(part) else "" for part in parts]
        if any(codes):
            yield Attribute(keyword, "\\".join(codes))
    for keyword in NAMES:
        value = elements.text(keyword)
        if _NAME.fullmatch(value):
            yield Attribute(keyword, value)
    agent = elements.text(CONTRAST[0]).upper()
    if agent not in _NO or elements.items(CONTRAST[1], 1):
        yield Attribute(CONTRAST[0], "YES")
    reason = next((text for keyword in REASONS if (text := elements.text(keyword))), "")
    if reason:
        yield Attribute(REASONS[0], "", reason[:_LONGEST_TEXT])
    for item in elements.items(TRACER, 1):
        yield from _tracer(item, elements)


def _tracer(item: Elements, header: Elements) -> Iterator[Attribute]:
    yield from _numbers(item, TRACER_NUMBERS)
    for keyword in TRACER_CODES:
        for coded in item.items(keyword, 1):
            scheme, code = coded.text("CodingSchemeDesignator"), coded.text("CodeValue")
            if _CODED.fullmatch(scheme) and _CODED.fullmatch(code):
                yield Attribute(keyword, f"{scheme}|{code}", coded.text("CodeMeaning") or None)
    if name := item.text("Radiopharmaceutical"):
        yield Attribute("Radiopharmaceutical", "", name)
    begin, taken = _seconds(item.text(_INJECTION)), _seconds(header.text(_ACQUISITION))
    if begin is not None and taken is not None:
        # Times of day only: an image of the next day comes out too early.
        yield Attribute(TRACER_SECONDS, _numeral((taken - begin) % _DAY))


def _numbers(elements: Elements, keywords: tuple[str, ...]) -> Iterator[Attribute]:
    for keyword in keywords:
        value = elements.number(keyword)
        if value is not None:
            yield Attribute(keyword, _numeral(value))


def _spacing(elements: Elements) -> Iterator[Attribute]:
    parts = elements.text(SPACING).split("\\")
    if len(parts) == 2 and all(_NUMERAL.fullmatch(part.strip()) for part in parts):
        yield Attribute(SPACING, "\\".join(_numeral(float(part)) for part in parts))


def _seconds(time: str) -> float | None:
    found = _TIME.match(time)
    if found is None:
        return None
    return int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3]) + float(found[4] or 0)


def _numeral(value: float) -> str:
    return f"{value:.10g}"
