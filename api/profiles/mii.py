"""What the German medical informatics initiative (module imaging) asks for beside FHIR itself.

Its extensions of a series, an instance and an Observation, filled out of the attributes of DICOM
headers. A slot that holds one value is filled when all images that state it agree; a value that
its value set does not hold is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydicom.sr.codedict import codes as dicom_codes

from api.profiles.names import MII
from terminology.acquisition import CONTRAST, REASONS, SPACING, TRACER_SECONDS
from terminology.annotation import Attribute, BodySiteAnnotation, Instance
from terminology.concept import DICOM, SNOMED

_DEFINITION: Final = f"{MII}/StructureDefinition"
STUDY: Final = f"{_DEFINITION}/mii-pr-bildgebung-bildgebungsstudie"
OBSERVATION: Final = f"{_DEFINITION}/mii-pr-bildgebung-radiologische-beobachtung"
BODY_STRUCTURE: Final = f"{_DEFINITION}/mii-pr-bildgebung-koerperstruktur"
DEVICE: Final = f"{_DEFINITION}/mii-pr-bildgebung-geraet"
SERIES_UID: Final = f"{_DEFINITION}/mii-ex-bildgebung-series-uid"
SOP_INSTANCE_UID: Final = f"{_DEFINITION}/mii-ex-bildgebung-sop-instanz-uid"
REASON: Final = f"{_DEFINITION}/mii-ex-bildgebung-bildgebungsgrund"
CATEGORY: Final = {
    "system": "http://loinc.org",
    "code": "18782-3",
    "display": "Radiology Study observation (narrative)",
}
_MODALITY: Final = f"{_DEFINITION}/mii-ex-bildgebung-modalitaet"
_CONTRAST: Final = f"{_DEFINITION}/mii-ex-bildgebung-kontrastmittel"
_THICKNESS: Final = f"{_DEFINITION}/mii-ex-bildgebung-serie-schichtdicke"
_DETAILS: Final = f"{_DEFINITION}/mii-ex-bildgebung-instanz-details"
_SYSTEM: Final = f"{MII}/CodeSystem/mii-cs-bildgebung"
_UCUM: Final = "http://unitsofmeasure.org"
PROJECTION: Final = frozenset({"MG", "CR", "DX"})

Extension = dict[str, Any]


def _listed(codes: str) -> frozenset[str]:
    return frozenset(codes.split())


# The value sets and code systems of the module, by their names.
_SCANNING: Final = _listed("SE IR GR EP RM")
_VARIANTS: Final = _listed("SK MTC SS TRSS SP MP OSP NONE")
_TRANSDUCERS: Final = _listed(
    "SECTOR_PHASED SECTOR_MECH SECTOR_ANNULAR LINEAR CURVED_LINEAR SINGLE_CRYSTAL SPLIT_XTAL_CWD"
    " IV_PHASED IV_ROT_XTAL IV_ROT_MIRROR ENDOCAV_PA ENDOCAV_MECH ENDOCAV_CLA ENDOCAV_AA"
    " ENDOCAV_LINEAR VECTOR_PHASED"
)
_SERIES_TYPES: Final = (_listed("STATIC DYNAMIC GATED WHOLEBODY"), _listed("IMAGE REPROJECTION"))
# The first and second value of ImageType, then the third and fourth by modality.
_IMAGE_TYPES: Final = (_listed("ORIGINAL DERIVED"), _listed("PRIMARY SECONDARY"))
_IMAGE_TYPES_OF: Final[Mapping[str, tuple[frozenset[str], ...]]] = {
    "CT": (_listed("AXIAL LOCALIZER"),),
    "MR": (
        _listed(
            "DENSITYMAP DIFFUSIONMAP IMAGEADDITION MODULUSSUBTRACT MPR OTHER PHASEMAP PHASESUBTRACT"
            " PROJECTIONIMAGE T1MAP T2MAP VELOCITYMAP"
        ),
    ),
    "NM": (
        _listed("STATIC DYNAMIC GATED WHOLEBODY TOMO GATEDTOMO RECONTOMO RECONGATEDTOMO"),
        _listed("EMISSION TRANSMISSION"),
    ),
    "US": (
        _listed(
            "ABDOMINAL BREAST CHEST ENDOCAVITARY ENDORECTAL ENDOVAGINAL EPICARDIAL FETAL_HEART"
            " GYNECOLOGY INTRACARDIAC INTRAOPERATIVE INTRAVASCULAR MUSCULOSKELETAL NEONATAL_HEAD"
            " OBSTETRICAL OPHTHALMIC PEDIATRIC PELVIC RETROPERITONEAL SCROTAL SMALL_PARTS TEE"
            " THYROID TRANSCRANIAL TTE US_BIOPSY VASCULAR"
        ),
        _listed("0001 0002 0004 0008 0010 0020 0040 0100 0200 0400"),
    ),
}
# PS3.3 C.8.9.1 Units: what PS3.16 CID 84 has for the defined terms.
_UNITS: Final = {
    "CNTS": "{counts}",
    "PCNT": "%",
    "CM2": "cm2",
    "PROPCNTS": "{propcounts}",
    "BQML": "Bq/ml",
    "UMOLML": "umol/ml",
    "MLG": "ml/g",
    "1CM": "/cm",
    "CPS": "{counts}/s",
    "PROPCPS": "{propcounts}/s",
    "MLMING": "ml/min/g",
    "CM2ML": "cm2/ml",
    "GML": "g/ml{SUVbw}",
}
# Beyond it, field strengths are those of old devices, which wrote Gauss.
_STRONGEST_TESLA: Final = 30.0


@dataclass(frozen=True, slots=True)
class _Quantity:
    """A slot for a number: the attributes that fill it, each with the factor to its unit."""

    name: str
    unit: str
    code: str
    sources: tuple[tuple[str, float], ...]

    def of(self, stated: Mapping[str, Attribute]) -> Extension | None:
        for keyword, factor in self.sources:
            if keyword in stated:
                value = float(stated[keyword].value) * factor
                return {"url": self.name, **_quantity(value, self.unit, self.code)}
        return None


_X_RAY: Final = (
    _Quantity("KVP", "kilovolt", "kV", (("KVP", 1.0),)),
    _Quantity(
        "exposureTime",
        "milliseconds",
        "ms",
        (("ExposureTimeInms", 1.0), ("ExposureTimeInuS", 1e-3), ("ExposureTime", 1.0)),
    ),
    _Quantity(
        "exposure",
        "milliampere second",
        "mA.s",
        (("ExposureInmAs", 1.0), ("ExposureInuAs", 1e-3), ("Exposure", 1.0)),
    ),
    _Quantity(
        "xRayTubeCurrent",
        "milliampere",
        "mA",
        (("XRayTubeCurrentInmA", 1.0), ("XRayTubeCurrentInuA", 1e-3), ("XRayTubeCurrent", 1.0)),
    ),
)
_RESONANCE: Final = (
    _Quantity("echoTime", "milliseconds", "ms", (("EffectiveEchoTime", 1.0), ("EchoTime", 1.0))),
    _Quantity("repetitionTime", "milliseconds", "ms", (("RepetitionTime", 1.0),)),
    _Quantity("inversionTime", "milliseconds", "ms", (("InversionTime", 1.0),)),
    _Quantity("flipAngle", "plane angle degree", "deg", (("FlipAngle", 1.0),)),
)
_FIELD: Final = _Quantity("magneticFieldStrength", "tesla", "T", (("MagneticFieldStrength", 1.0),))
_DOSE: Final = _Quantity("CTDIvol", "milligray", "mGy", (("CTDIvol", 1.0),))
_WAITED: Final = _Quantity("tracerExposureTime", "Seconds", "s", ((TRACER_SECONDS, 1.0),))
_HALF_LIFE: Final = _Quantity(
    "radionuclideHalfLife", "Seconds", "s", (("RadionuclideHalfLife", 1.0),)
)
_ULTRASOUND: Final = (
    _Quantity("transducerFrequency", "kilohertz", "kHz", (("TransducerFrequency", 1.0),)),
    _Quantity("pulseRepetitionFrequency", "hertz", "Hz", (("PulseRepetitionFrequency", 1.0),)),
)
_SLICE: Final = _Quantity("sliceThickness", "millimeter", "mm", (("SliceThickness", 1.0),))


# -- a series -------------------------------------------------------------------------------------


def projection(views: Sequence[Mapping[str, Any]], more: Iterable[Extension] = ()) -> Extension:
    """Return the extension of a projection radiograph, with its view if there is one only."""
    view = [{"url": "viewPosition", "valueCodeableConcept": one} for one in views]
    return {
        "url": f"{_MODALITY}-mg-cr-dx",
        "extension": [*more, *(view if len(view) == 1 else [])],
    }


def series_extensions(
    modality: str, members: Sequence[BodySiteAnnotation], views: Sequence[Mapping[str, Any]]
) -> Iterator[Extension]:
    """Yield the extensions of a series: how it was taken, contrast medium, slice thickness."""
    stated = _agreed(members)
    if modality in PROJECTION:
        found = projection(views, _present(_X_RAY, stated))
    else:
        name, slots = _OF_MODALITY.get(modality, ("", _nothing))
        found = {"url": f"{_MODALITY}-{name}", "extension": list(slots(stated))}
    if found["extension"]:
        yield found
    if CONTRAST[0] in stated:
        yes = {"url": "contrastBolus", "valueBoolean": True}
        yield {"url": _CONTRAST, "extension": [yes]}
    thickness = _SLICE.of(stated)
    if thickness is not None:
        yield {**thickness, "url": _THICKNESS}


def _agreed(members: Sequence[BodySiteAnnotation]) -> dict[str, Attribute]:
    """Return the attributes in which all instances that state them agree, and any contrast."""
    found: dict[str, set[Attribute]] = {}
    for one in members:
        for attribute in one.instance.acquisition if one.instance else ():
            found.setdefault(attribute.keyword, set()).add(attribute)
    return {keyword: next(iter(values)) for keyword, values in found.items() if len(values) == 1}


def _nothing(_stated: Mapping[str, Attribute]) -> Iterator[Extension]:
    return iter(())


def _tomography(stated: Mapping[str, Attribute]) -> Iterator[Extension]:
    yield from _present((_DOSE, *_X_RAY), stated)
    if "ConvolutionKernel" in stated:
        yield {"url": "convolutionalKernel", "valueString": stated["ConvolutionKernel"].value}


def _resonance(stated: Mapping[str, Attribute]) -> Iterator[Extension]:
    field = stated.get("MagneticFieldStrength")
    if field is not None and 0 < float(field.value) <= _STRONGEST_TESLA:
        yield from _present((_FIELD,), stated)
    for name, keyword, system, known in (
        ("scanningSequence", "ScanningSequence", "scanning-sequence", _SCANNING),
        ("scanningSequenceVariant", "SequenceVariant", "scanning-sequence-variant", _VARIANTS),
    ):
        for code in _values(stated, keyword):
            if code in known:
                yield {"url": name, "valueCodeableConcept": {"coding": [_own(system, code)]}}
    yield from _present(_RESONANCE, stated)


def _nuclear(dose: _Quantity) -> Callable[[Mapping[str, Attribute]], Iterator[Extension]]:
    def slots(stated: Mapping[str, Attribute]) -> Iterator[Extension]:
        words = stated.get("Radiopharmaceutical")
        for name, keyword in (
            ("radiopharmaceutical", "RadiopharmaceuticalCodeSequence"),
            ("radionuclide", "RadionuclideCodeSequence"),
        ):
            text = words.text if words and name == "radiopharmaceutical" else None
            concept = _coded(stated.get(keyword), text)
            if concept:
                yield {"url": name, "valueCodeableConcept": concept}
        yield from _present((_WAITED,), stated)
        unit = _UNITS.get(next(iter(_values(stated, "Units")), ""))
        if unit is not None:
            yield {
                "url": "units",
                "valueCodeableConcept": {"coding": [{"system": _UCUM, "code": unit}]},
            }
        yield from _present((dose, _HALF_LIFE), stated)

    return slots


def _emission(stated: Mapping[str, Attribute]) -> Iterator[Extension]:
    yield from _nuclear(_BECQUEREL)(stated)
    types = [
        _own("series-type", code)
        for code, known in zip(_values(stated, "SeriesType"), _SERIES_TYPES, strict=False)
        if code in known
    ]
    if types:
        yield {"url": "seriesType", "valueCodeableConcept": {"coding": types}}


def _ultrasound(stated: Mapping[str, Attribute]) -> Iterator[Extension]:
    transducer = next(iter(_values(stated, "TransducerType")), "").replace(" ", "_")
    if transducer in _TRANSDUCERS:
        concept = {"coding": [_own("transducer-type", transducer)]}
        yield {"url": "transducerType", "valueCodeableConcept": concept}
    yield from _present(_ULTRASOUND, stated)
    colour = stated.get("UltrasoundColorDataPresent")
    if colour is not None and colour.value in {"0", "1"}:
        yield {"url": "ultrasoundColor", "valueBoolean": colour.value == "1"}


# PS3.3 C.8.9.2 and C.8.4.9: the dose is in becquerels in PET, in megabecquerels elsewhere.
_BECQUEREL: Final = _Quantity(
    "radionuclideTotalDose", "Becquerel", "Bq", (("RadionuclideTotalDose", 1.0),)
)
_MEGABECQUEREL: Final = _Quantity(
    "radionuclideTotalDose", "Megabecquerel", "MBq", (("RadionuclideTotalDose", 1.0),)
)
_OF_MODALITY: Final[
    Mapping[str, tuple[str, Callable[[Mapping[str, Attribute]], Iterator[Extension]]]]
] = {
    "CT": ("ct", _tomography),
    "MR": ("mr", _resonance),
    "NM": ("nm", _nuclear(_MEGABECQUEREL)),
    "PT": ("pt", _emission),
    "US": ("us", _ultrasound),
}


# -- an instance, a study, a device ---------------------------------------------------------------


def instance_extensions(instance: Instance, modality: str) -> list[Extension]:
    """Return the details of an instance: pixel spacing, slice thickness, type of image."""
    stated = {one.keyword: one for one in instance.acquisition}
    slots: list[Extension] = []
    spacing = _values(stated, SPACING)
    if len(spacing) == 2:
        # PS3.3 10.7.1.3: the distance of rows, which is vertical, comes first.
        for name, value in (("pixelSpacingX", spacing[1]), ("pixelSpacingY", spacing[0])):
            slots.append({"url": name, **_quantity(float(value), "millimeter", "mm")})
    slots += _present((_SLICE,), stated)
    known = (*_IMAGE_TYPES, *_IMAGE_TYPES_OF.get(modality, ()))
    types = [
        _own("instance-image-type", code)
        for value, codes in zip(_values(stated, "ImageType"), known, strict=False)
        if (code := value if value in codes else value.replace(" ", "")) in codes
    ]
    if types:
        slots.append({"url": "imageType", "valueCodeableConcept": {"coding": types}})
    burned = stated.get("BurnedInAnnotation")
    if burned is not None and burned.value in {"YES", "NO"}:
        slots.append({"url": "burnedInAnnotation", "valueBoolean": burned.value == "YES"})
    return [{"url": _DETAILS, "extension": slots}] if slots else []


def study_extensions(annotations: Iterable[BodySiteAnnotation]) -> list[Extension]:
    """Return the extensions of a study: why it was made, where the policy lets that out."""
    for annotation in annotations:
        for one in annotation.instance.acquisition if annotation.instance else ():
            if one.keyword == REASONS[0] and one.text:
                return [{"url": REASON, "valueString": one.text}]
    return []


def scanner_of(members: Sequence[BodySiteAnnotation]) -> tuple[str, str] | None:
    """Return maker and model of the device that took a series, where its images agree."""
    stated = _agreed(members)
    maker, model = (stated.get(one) for one in ("Manufacturer", "ManufacturerModelName"))
    if maker is None and model is None:
        return None
    return maker.value if maker else "", model.value if model else ""


def scanner(maker: str, model: str) -> dict[str, Any]:
    """Return the Device that takes images."""
    name = {"name": model, "type": "model-name"}
    return {
        "meta": {"profile": [DEVICE]},
        "status": "active",
        "manufacturer": maker,
        "deviceName": [name] if model else [],
    }


def described(members: Iterable[BodySiteAnnotation], keyword: str) -> str | None:
    """Return what a description says in the form that the PHI policy lets out."""
    for member in members:
        for statement in member.header:
            if statement.keyword == keyword and statement.value:
                return statement.value
    return None


# -- values ---------------------------------------------------------------------------------------


def _present(slots: Iterable[_Quantity], stated: Mapping[str, Attribute]) -> Iterator[Extension]:
    for slot in slots:
        found = slot.of(stated)
        if found is not None:
            yield found


def _quantity(value: float, unit: str, code: str) -> Extension:
    rounded = round(value, 6)
    number: float = int(rounded) if rounded.is_integer() else rounded
    return {"valueQuantity": {"value": number, "unit": unit, "system": _UCUM, "code": code}}


def _values(stated: Mapping[str, Attribute], keyword: str) -> list[str]:
    return stated[keyword].value.split("\\") if keyword in stated else []


def _own(system: str, code: str) -> dict[str, str]:
    return {"system": f"{_SYSTEM}-{system}", "code": code}


def _coded(attribute: Attribute | None, text: str | None) -> dict[str, Any]:
    """Return a code of a header as a CodeableConcept; empty where there is nothing to say."""
    concept: dict[str, Any] = {}
    if attribute is not None:
        scheme, _, code = attribute.value.partition("|")
        system = _SCHEMES.get(scheme)
        if system is not None:
            display = _meaning(scheme, code)
            shown = {"display": display} if display else {}
            concept["coding"] = [{"system": system, "code": code, **shown}]
            text = text or attribute.text or display
    if text:
        concept["text"] = text
    return concept


_SCHEMES: Final = {"SCT": SNOMED, "SRT": "http://snomed.info/srt", "DCM": DICOM}


def _meaning(scheme: str, code: str) -> str | None:
    """Return the meaning of a radionuclide or radiopharmaceutical out of PS3.16."""
    if scheme != "SCT":
        return None
    for context in (dicom_codes.cid18, dicom_codes.cid25, dicom_codes.cid4020, dicom_codes.cid4021):
        for name in context.dir():
            found = getattr(context, name)
            if found.value == code:
                return str(found.meaning)
    return None
