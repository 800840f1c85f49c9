"""Headers and studies for the benchmarks: made from the tables, the same for the same seed."""

from __future__ import annotations

import io
import random
import warnings
from collections.abc import Iterator

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from terminology.evaluation import read_observed

_CLASSES = {
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
}
_SIDES = ("", "", "L", "R")
_NOISE = ("", " AP", " lateral", " 2 views", " portable", " w/o contrast", " seitl.", " PA upright")
_ROOT = "1.2.826.0.1.3680043.10.1561"


def headers(count: int, seed: int = 1) -> Iterator[Dataset]:
    """Yield `count` datasets without pixels; words as archives have them, no two alike."""
    chance = random.Random(seed)
    words = [value.value for value in read_observed()]
    for number in range(count):
        modality = chance.choice(tuple(_CLASSES))
        dataset = Dataset()
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.SOPClassUID = _CLASSES[modality]
        dataset.SOPInstanceUID = f"{_ROOT}.{seed}.{number}.1.1"
        dataset.StudyInstanceUID = f"{_ROOT}.{seed}.{number}"
        dataset.SeriesInstanceUID = f"{_ROOT}.{seed}.{number}.1"
        dataset.Modality = modality
        dataset.PatientID = f"P{number}"
        dataset.PatientAge = f"{chance.randrange(1, 95):03d}Y"
        dataset.StudyDate = "20260101"
        dataset.InstanceNumber = 1
        word = chance.choice(words)
        kind = chance.random()
        if kind < 0.6 and len(word) <= 16 and word.isascii():
            with warnings.catch_warnings():
                # Words that break the rules of VR CS are just what archives hold.
                warnings.simplefilter("ignore")
                dataset.BodyPartExamined = word.upper()
            dataset.SeriesDescription = f"{word}{chance.choice(_NOISE)} {number}"
        else:
            dataset.StudyDescription = f"{modality} {word}{chance.choice(_NOISE)} {number}"
        dataset.ImageLaterality = chance.choice(_SIDES)
        yield dataset


def as_file(dataset: Dataset) -> bytes:
    """Return `dataset` as the bytes of a DICOM file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
