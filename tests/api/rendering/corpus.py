"""Images of every kind, to make resources of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom.data
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

PYDICOM_FILES = sorted((Path(str(pydicom.data.__file__)).parent / "test_files").glob("*.dcm"))
_X_RAY = {"KVP": "70", "ExposureTime": "12", "Exposure": "3", "XRayTubeCurrent": "250"}
_COMMON = {
    "BodyPartExamined": "CHEST",
    "Manufacturer": "Maker",
    "ManufacturerModelName": "Model 7",
    "PixelSpacing": ["0.2", "0.3"],
    "ImageType": ["ORIGINAL", "PRIMARY"],
    "BurnedInAnnotation": "NO",
    "SeriesDescription": "Thorax p.a.",
}


def _item(**elements: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def _coded(value: str, meaning: str) -> Sequence:
    return Sequence([_item(CodeValue=value, CodingSchemeDesignator="SCT", CodeMeaning=meaning)])


_TRACER = {
    "AcquisitionTime": "101500",
    "RadiopharmaceuticalInformationSequence": Sequence(
        [
            _item(
                Radiopharmaceutical="FDG for Mustermann",
                RadiopharmaceuticalStartTime="091500",
                RadionuclideTotalDose="250",
                RadionuclideHalfLife="6586.2",
                RadionuclideCodeSequence=_coded("77004003", "^18^Fluorine"),
                RadiopharmaceuticalCodeSequence=_coded("35321007", "Fluorodeoxyglucose F^18^"),
            )
        ]
    ),
}
GENERATED: dict[str, dict[str, Any]] = {
    "CR": {**_COMMON, **_X_RAY, "ViewPosition": "PA"},
    "DX": {**_COMMON, **_X_RAY, "ViewPosition": "AP", "ExposureInuAs": "3200"},
    "MG": {**_COMMON, **_X_RAY, "BodyPartExamined": "BREAST", "ImageLaterality": "L",
           "ViewPosition": "MLO"},
    "CT": {**_COMMON, **_X_RAY, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"],
           "CTDIvol": 4.04, "ConvolutionKernel": "B30f", "SliceThickness": "1.5",
           "ContrastBolusAgent": "Ultravist 370"},
    "MR": {**_COMMON, "BodyPartExamined": "KNEE", "Laterality": "R",
           "ImageType": ["DERIVED", "SECONDARY", "T1 MAP"], "MagneticFieldStrength": "3",
           "ScanningSequence": ["SE", "IR"], "SequenceVariant": ["SK", "SP"], "EchoTime": "30",
           "RepetitionTime": "2000", "InversionTime": "150", "FlipAngle": "90",
           "SliceThickness": "3"},
    "NM": {**_COMMON, **_TRACER, "ImageType": ["ORIGINAL", "PRIMARY", "WHOLE BODY", "EMISSION"]},
    "PT": {**_COMMON, **_TRACER, "Units": "BQML", "SeriesType": ["STATIC", "IMAGE"],
           "SliceThickness": "3"},
    "US": {**_COMMON, "BodyPartExamined": "ABDOMEN", "TransducerType": "CURVED LINEAR",
           "UltrasoundColorDataPresent": 1,
           "ImageType": ["ORIGINAL", "PRIMARY", "ABDOMINAL", "0001"],
           "SequenceOfUltrasoundRegions": Sequence(
               [_item(TransducerFrequency=3500, PulseRepetitionFrequency=1200)])},
}  # fmt: skip
