"""Tiny data sets of drawn pictures, each in the file layout of the public set that it stands for.

What is drawn differs by body part, so that a small net tells the parts apart after seconds; the
pictures of one patient are alike in brightness and scale. The same arguments give the same files.
Every function returns the folder that a reader of `classifier.data` is given.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Part:
    """A body part as the sets write it: SCTID, DICOM, UMLS, IRMA (axes D-A), UNIFESP."""

    name: str
    sct: str
    dicom: str
    cui: str
    irma: str
    unifesp: str
    draw: Callable[[Grey, int], None]


def picture(
    part: Part,
    patient: int,
    number: int,
    *,
    seed: int = 0,
    size: int | None = None,
    mirrored: bool = False,
) -> Grey:
    """Return image `number` of `patient`: uint8 (H, W), sides 48-80 or `size`, 0 is air.

    A right part is the mirror image of a left one.
    """
    whose = np.random.default_rng([seed, 1, patient])
    bright, scale = whose.uniform(0.7, 1.0), whose.uniform(0.85, 1.1)
    rng = np.random.default_rng([seed, 2, patient, number])
    height, width = (size, size) if size else (int(side) for side in rng.integers(48, 81, 2))
    canvas = np.zeros((96, 96), np.uint8)
    part.draw(canvas, int(230 * bright))
    if mirrored:
        canvas = np.ascontiguousarray(canvas[:, ::-1])
    turn = cv2.getRotationMatrix2D((48, 48), rng.uniform(-15, 15), scale * rng.uniform(0.85, 1.1))
    shift = np.zeros_like(turn)
    shift[:, 2] = rng.uniform(-6, 6, 2)
    moved = cv2.warpAffine(canvas, turn + shift, (96, 96))
    shrunk = cv2.resize(moved, (width, height), interpolation=cv2.INTER_AREA)
    # Uneven light keeps two pictures of one part from being near-duplicates.
    corners = rng.uniform(0, 45, (2, 2)).astype(np.float32)
    lit = shrunk + cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    noisy: Grey = np.clip(lit + rng.normal(6, 4, shrunk.shape), 0, 255).astype(np.uint8)
    return noisy


def roco(folder: Path, images: int = 24, *, seed: int = 0) -> Path:
    """ROCO of razorx89/roco-dataset: `images` over train, validation and test, two an article.

    As scripts/fetch.py leaves it: a picture is ``images/<archive>_<name of the article's file>``.
    """
    pairs = images // 2
    train = max(pairs * 3 // 5, 1)
    written = {"train": 2 * train, "validation": 2 * max((pairs - train) // 2, 1)}
    written["test"] = max(images - sum(written.values()), 0)
    numbers = iter(range(images))
    for division, count in written.items():
        place = folder / "data" / division / "radiology"
        (place / "images").mkdir(parents=True)
        lines: dict[str, list[str]] = {name: [] for name in _ROCO_FILES}
        lines["licences"].append("ROCO_ID,PMC_ID,CC")
        for number in (next(numbers) for _ in range(count)):
            _roco_image(place, lines, number, seed)
        for name, rows in lines.items():
            _write(place / f"{name}.txt", rows)
        other = folder / "data" / division / "non-radiology"
        other.mkdir()
        _write(other / "captions.txt", ["ROCO_81834\t A photograph."])
        _write(other / "cuis.txt", ["ROCO_81834\t\tC0553544"])
    return folder


def rocov2(folder: Path, images: int = 24, *, seed: int = 0) -> Path:
    """ROCOv2: three tables a part, pictures in the folders of the archives, two an article."""
    licences = ["ID,PMCID,Attribution,Link"]
    for division, count in (("train", images // 2), ("valid", images // 4), ("test", images // 4)):
        captions, concepts, manual = ["ID,Caption"], ["ID,CUIs"], ["ID,CUIs"]
        for number in range(count):
            part = PARTS[number % len(PARTS)]
            cuis, _, begins = _ROCO_MODALITIES[number % 6]
            key = f"ROCOv2_2023_{division}_{number + 1:06d}"
            captions.append(f'{key},"{begins} of the {part.name}, ""arrow""."')
            concepts.append(f"{key},{part.cui}")
            manual.append(f"{key},{cuis[0]}")
            article = f"PMC{number // 2 + 7000}"
            link = f"https://www.ncbi.nlm.nih.gov/pmc/articles/{article}/"
            licences.append(f"{key},{article},CC BY [Nobody et al. (2020)],{link}")
            place = folder / f"{division}_images" / division
            image = picture(part, number // 2, number, seed=seed)
            _picture(place / f"{key}.jpg", image)
        tables = {"captions": captions, "concepts": concepts, "concepts_manual": manual}
        for name, rows in tables.items():
            _write(folder / f"{division}_{name}.csv", rows)
    _write(folder / "license_information.csv", licences)
    return folder


def imageclef2009(folder: Path, images: int = 24, *, seed: int = 0) -> Path:
    """ImageCLEF 2009: two tables with the labels of 2005 to 2008, pictures in two folders.

    In training and test every sixth image has no label of 2005 and 2006 (``\\N``).
    """
    tests = max(images // 4, 1)
    for division, release, first, count in (
        ("train", "02", 1877, images - tests),
        ("test", "03", 900_000, tests),
    ):
        name = f"ImageCLEFmed2009_{division}"
        place = folder / f"{name}.{release}"
        place.mkdir(parents=True)
        rows = [";".join(IMAGECLEF_COLUMNS)]
        for number in range(count):
            column = number % len(PARTS)
            part = PARTS[column]
            code, mirrored = _irma(part, number)
            labels = [r"\N"] * 4
            if number % 6 != 5:
                labels = [str(column + 1), f"{code[:8]}-{code[9]}**-***", str(column + 11), code]
            cells = (str(first + number), code, *labels, code, code)
            rows.append(";".join(cells))
            image = picture(part, number // 2, first + number, seed=seed, mirrored=mirrored)
            _picture(place / f"{first + number}.png", image)
        _write(folder / f"{name}_codes.{release}.csv", rows)
    return folder


def imageclef2007(folder: Path, images: int = 24, *, seed: int = 0) -> Path:
    """ImageCLEF 2007: one table without a header, ``number;code``, pictures in two folders."""
    tests = max(images // 4, 1)
    rows = []
    for number in range(images):
        division = "test" if number >= images - tests else "train"
        place = folder / f"ImageCLEFmed2007_{division}"
        place.mkdir(parents=True, exist_ok=True)
        part = PARTS[number % len(PARTS)]
        code, mirrored = _irma(part, number)
        rows.append(f"{1880 + number};{code}")
        image = picture(part, number // 2, number, seed=seed, mirrored=mirrored)
        _picture(place / f"{1880 + number}.png", image)
    _write(folder / "image_codes.csv", rows)
    return folder


def unifesp(folder: Path, images: int = 24, *, seed: int = 0) -> Path:
    """UNIFESP X-ray body part classifier: train.csv and DICOM in nested folders, two a patient.

    Every fifth image shows abdomen and pelvis and has both labels.
    """
    rows = ["SOPInstanceUID,Target"]
    for number in range(images):
        part = PARTS[number % len(PARTS)]
        patient = number // 2
        both = number % 5 == 4
        target = "0 15" if both else part.unifesp
        study, series, instance = (
            f"1.2.826.0.1.3680043.8.498.{level}{seed}{which:04d}"
            for level, which in ((1, patient), (2, number), (3, number))
        )
        rows.append(f"{instance},{target} ")
        header = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "Modality": "CR"}
        image = picture(ABDOMEN if both else part, patient, number, seed=seed)
        place = folder / "train" / "train" / study / series
        dicom(place / f"{instance}-c.dcm", image, _who(patient, seed), instance, **header)
    _write(folder / "train.csv", rows)
    _write(folder / "sample_submission.csv", ["SOPInstanceUID,Target", "1.2.3.4,0 1 2"])
    return folder


def manifest(folder: Path, images: int = 24, *, seed: int = 0) -> Path:
    """A table of own images, ``manifest.csv``, three sources, two images a patient."""
    rows = []
    for number in range(images):
        part = PARTS[number % len(PARTS)]
        patient = number // 2
        source = f"hospital{patient % 3}"
        file = f"{source}/{number:04d}.jpg"
        side = ("L", "R", "")[number // len(PARTS) % 3] if part in PAIRED else ""
        image = picture(part, patient, number, seed=seed, mirrored=side == "R")
        _picture(folder / file, image)
        row = dict.fromkeys(MANIFEST_COLUMNS, "")
        row |= {
            "file": file,
            "source_repo": f"example/{source}",
            "licence": "CC0",
            "modality": "CR/DX (plain JPEG)",
            "body_part": part.name,
            "sct": part.sct,
            "view": ("frontal", "lateral", "AP", "")[number % 4],
            "laterality": side,
            "group": f"{source}:{patient}",
            "width": str(image.shape[1]),
            "height": str(image.shape[0]),
        }
        if part is ABDOMEN:
            row["also_visible"] = "pelvis"
        rows.append(row)
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, MANIFEST_COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return folder


def dicom_folder(folder: Path, images: int = 24, *, seed: int = 0) -> Path:
    """DICOM files with trusted headers, ``<patient>/<instance>.dcm``; some are children's."""
    for number in range(images):
        part = PARTS[number % len(PARTS)]
        patient = number // 2
        instance = f"1.2.826.0.1.3680043.8.498.4{seed}{number:04d}"
        header = {
            "StudyInstanceUID": f"1.2.826.0.1.3680043.8.498.5{seed}{patient:04d}",
            "SeriesInstanceUID": f"1.2.826.0.1.3680043.8.498.6{seed}{number:04d}",
            "Modality": "DX",
            "BodyPartExamined": part.dicom,
            "ViewPosition": ("AP", "PA", "LL")[number % 3],
        }
        side = "LR"[number // len(PARTS) % 2] if part in PAIRED else ""
        if side:
            header["ImageLaterality"] = side
        image = picture(part, patient, number, seed=seed, mirrored=side == "R")
        place = folder / f"patient{patient:03d}" / f"{instance}.dcm"
        dicom(place, image, _who(patient, seed), instance, **header)
    return folder


def image_folder(folder: Path, images: int = 24, *, seed: int = 0) -> Path:
    """A folder of torchvision's ImageFolder: a folder a class, named in English."""
    for number in range(images):
        part = PARTS[number % len(PARTS)]
        patient = number // len(PARTS) // 2
        image = picture(part, patient, number, seed=seed)
        _picture(folder / part.name / f"p{patient:03d}-{number:04d}.png", image)
    return folder


def dicom(
    path: Path, image: Grey, who: tuple[str, str], instance: str, **header: str | int
) -> Dataset:
    """Write `image` as 12 of 16 bits, every second one with black and white exchanged."""
    number, age = who
    dataset = Dataset()
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = instance
    dataset.PatientID = number
    dataset.PatientName = "Nobody^Drawn"
    dataset.PatientAge = age
    for keyword, value in header.items():
        setattr(dataset, keyword, value)
    stored = image.astype(np.uint16) * 16
    inverted = int(instance[-1]) % 2 == 1
    if inverted:
        stored = 4095 - stored
    dataset.Rows, dataset.Columns = image.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    dataset.PixelData = stored.astype("<u2").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return dataset


def _ellipse(image: Grey, grey: int, centre: tuple[int, int], axes: tuple[int, int]) -> None:
    cv2.ellipse(image, centre, axes, 0, 0, 360, grey, -1)


def _line(image: Grey, grey: int, *points: tuple[int, int], width: int = 10) -> None:
    for one, two in pairwise(points):
        cv2.line(image, one, two, grey, width)


def _chest(image: Grey, grey: int) -> None:
    _ellipse(image, grey, (48, 50), (42, 40))
    for side in (28, 68):
        _ellipse(image, grey // 5, (side, 50), (13, 28))


def _hand(image: Grey, grey: int) -> None:
    _ellipse(image, grey, (48, 66), (20, 18))
    for tip in ((14, 46), (28, 14), (44, 6), (60, 10), (74, 20)):
        _line(image, grey, (48, 66), tip, width=6)


def _knee(image: Grey, grey: int) -> None:
    _line(image, grey, (48, 4), (48, 40), width=22)
    _line(image, grey, (48, 56), (48, 92), width=22)
    _ellipse(image, grey // 2, (48, 48), (24, 8))


def _skull(image: Grey, grey: int) -> None:
    cv2.ellipse(image, (48, 44), (34, 38), 0, 0, 360, grey, 7)
    for side in (36, 60):
        _ellipse(image, grey // 2, (side, 52), (7, 6))


def _foot(image: Grey, grey: int) -> None:
    _line(image, grey, (24, 6), (24, 78), (88, 82), width=18)


def _abdomen(image: Grey, grey: int) -> None:
    cv2.rectangle(image, (10, 8), (86, 88), grey // 2, -1)
    for level in range(10, 80, 14):
        cv2.rectangle(image, (41, level), (55, level + 9), grey, -1)


CHEST = Part("chest", "816094009", "CHEST", "C0817096", "112-500", "3", _chest)
HAND = Part("hand", "85562004", "HAND", "C0018563", "120-410", "9", _hand)
KNEE = Part("knee", "72696002", "KNEE", "C0022742", "120-942", "11", _knee)
SKULL = Part("skull", "89546000", "SKULL", "C0037303", "220-230", "18", _skull)
FOOT = Part("foot", "56459004", "FOOT", "C0016504", "120-914", "6", _foot)
ABDOMEN = Part("abdomen", "818981001", "ABDOMEN", "C0000726", "127-700", "0", _abdomen)
PARTS = (CHEST, HAND, KNEE, SKULL, FOOT, ABDOMEN)
PAIRED = (HAND, KNEE, FOOT)
IMAGECLEF_COLUMNS = (
    *("image_id", "irma_code", "05_class", "05_irma_code_submask"),
    *("06_class", "06_irma_code", "07_irma_code", "08_irma_code"),
)
MANIFEST_COLUMNS = (
    *("file", "source_repo", "source_path", "licence", "licence_evidence", "modality"),
    *("body_part", "also_visible", "sct", "view", "laterality", "group", "width", "height"),
    *("sha256", "notes"),
)

_IRMA_RIGHT = {"120-942": "120-943", "120-914": "120-915"}
_ROCO_FILES = ("captions", "cuis", "semtypes", "keywords", "licences", "dlinks")
# What the set says with each modality: CUIs, keywords, the beginning of the caption.
_ROCO_MODALITIES: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (("C1306645", "C0043299", "C1962945"), ("radiograph",), "Radiograph"),
    (("C0040405", "C0040395"), ("scan", "tomography"), "CT scan"),
    (("C0024485",), ("mri",), "MRI"),
    (("C0041618",), ("ultrasound",), "Ultrasound"),
    (("C0002978",), ("angiogram",), "Angiogram"),
    (("C0032743",), ("pet",), "PET"),
    ((), (), "Picture"),
)


def _roco_image(place: Path, lines: dict[str, list[str]], number: int, seed: int) -> None:
    part = PARTS[number % len(PARTS)]
    cuis, keywords, begins = _ROCO_MODALITIES[number % len(_ROCO_MODALITIES)]
    article = number // 2
    key = f"ROCO_{number + 1:05d}"
    archive, file = f"PMC{3970251 + article}", f"case-{number + 1}-g{number % 3:03d}.jpg"
    # C0376152 is what the set gives for "arrow": no part of the body.
    listed = [*cuis, "C0376152", *([part.cui] if number % 8 != 7 else [])]
    lines["captions"].append(f"{key}\t {begins} of the {part.name} (arrow), case {article + 1}.")
    lines["cuis"].append("\t".join((key, "", *listed)))
    lines["semtypes"].append(f"{key}\t\tT029\tBody Location or Region")
    lines["keywords"].append("\t".join((key, "", "arrow", *keywords, part.name)))
    lines["licences"].append(f"{key},{archive}_{file},{('CC BY', 'NO-CC CODE')[number % 2]}")
    link = f"ftp://ftp.ncbi.nlm.nih.gov/pub/pmc/oa_package/1e/ed/{archive}.tar.gz"
    lines["dlinks"].append(f"{key}\twget -r {link} -P /path/to/Dir\t{file}")
    _picture(place / "images" / f"{archive}_{file}", picture(part, article, number, seed=seed))


def _irma(part: Part, number: int) -> tuple[str, bool]:
    """Return the code of an image, and whether it is of a right part: every second round."""
    right = number // len(PARTS) % 2 == 1 and part.irma in _IRMA_RIGHT
    return f"1121-{_IRMA_RIGHT[part.irma] if right else part.irma}-700", right


def _who(patient: int, seed: int) -> tuple[str, str]:
    """PatientID and PatientAge; every third patient is a child."""
    age = 4 + patient % 10 if patient % 3 == 2 else 30 + patient % 50
    return f"T{seed}{patient:04d}", f"{age:03d}Y"


def _write(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="")


def _picture(path: Path, image: Grey) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(path.suffix, image)
    assert done
    path.write_bytes(data.tobytes())


def files(folder: Path) -> Iterator[Path]:
    """Return all files below `folder`, sorted."""
    return iter(sorted(path for path in folder.rglob("*") if path.is_file()))
