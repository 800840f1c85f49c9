"""Images for `make run`: drawn phantoms of a chest and a hand, and pictures that show no body.

    python benchmarks/demo_images.py FOLDER

The repository carries no image, so these are drawn: rays through ellipsoids and capsules of air,
soft tissue and bone (Beer-Lambert), with noise. They are no radiographs: what a model says of them
says nothing about how good it is. One header contradicts its image on purpose, one image has no
word in its header, one no header, and two show nothing that a body site could be said of. The same
pixels come out each time.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

_HEIGHT, _WIDTH = 640, 512
# Attenuation of a millimetre near 60 keV, rounded: soft tissue, bone.
_SOFT: Final = 0.021
_BONE: Final = 0.055
_LUNG: Final = 0.006
# A hand is taken with softer rays, which bone holds back more.
_BONE_OF_HAND: Final = 0.085
_MM: Final = 0.7
_PREFIX: Final = "1.2.826.0.1.3680043.10.999.7."

Field = NDArray[np.float32]


def _grid() -> tuple[Field, Field]:
    y, x = np.mgrid[:_HEIGHT, :_WIDTH].astype(np.float32)
    return x - _WIDTH / 2, y - _HEIGHT / 2


def _ellipsoid(x: Field, y: Field, at: Sequence[float], radii: Sequence[float]) -> Field:
    """Return how far a ray runs in an ellipsoid, in pixels; `radii` across, down and along it."""
    left = 1 - ((x - at[0]) / radii[0]) ** 2 - ((y - at[1]) / radii[1]) ** 2
    return np.asarray(2 * radii[2] * np.sqrt(np.maximum(left, 0)), dtype=np.float32)


def _capsule(x: Field, y: Field, start: Sequence[float], end: Sequence[float], r: float) -> Field:
    """Return how far a ray runs in a rod with round ends, in pixels."""
    along = np.array([end[0] - start[0], end[1] - start[1]])
    share = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(float(along @ along), 1)
    share = np.clip(share, 0, 1)
    square = (x - start[0] - share * along[0]) ** 2 + (y - start[1] - share * along[1]) ** 2
    return np.asarray(2 * np.sqrt(np.maximum(r * r - square, 0)), dtype=np.float32)


def _bone(x: Field, y: Field, start: Sequence[float], end: Sequence[float], r: float) -> Field:
    """Return what a long bone adds to soft tissue: a dense shell, a loose middle, knobs."""
    shell = _capsule(x, y, start, end, r) - 0.75 * _capsule(x, y, start, end, 0.6 * r)
    knobs = [_ellipsoid(x, y, at, (1.25 * r, 1.15 * r, 1.1 * r)) for at in (start, end)]
    return np.asarray(shell + 0.5 * np.maximum(*knobs), dtype=np.float32)


def hand() -> Field:
    """Return the attenuation of a hand, palm on the plate: (H, W)."""
    x, y = _grid()
    soft = np.maximum(
        _ellipsoid(x, y, (0, 80), (112, 135, 34)),
        0.5 * _capsule(x, y, (0, 170), (0, 400), 70),
    )
    bone = np.zeros_like(x)
    # Knuckle, tip, and where each finger's joints lie between them.
    fingers = (
        ((-62, 0), (-118, -205), 17),
        ((-22, -12), (-38, -262), 18),
        ((18, -10), (28, -250), 17),
        ((56, 8), (92, -190), 15),
    )
    for number, (knuckle, tip, r) in enumerate(fingers):
        soft = np.maximum(soft, _capsule(x, y, knuckle, tip, 1.45 * r))
        ends = [np.array(knuckle) + (np.array(tip) - knuckle) * t for t in (0.04, 0.46, 0.76, 0.97)]
        for at in range(3):
            step = (ends[at + 1] - ends[at]) / np.linalg.norm(ends[at + 1] - ends[at])
            width = r * (0.72, 0.6, 0.48)[at]
            bone += 1.3 * _bone(x, y, ends[at] + 5 * step, ends[at + 1] - 7 * step, width)
        base = (-38 + 24 * number, 128)
        bone += 1.3 * _bone(x, y, base, (knuckle[0], knuckle[1] + 8), 0.68 * r)
    soft = np.maximum(soft, _capsule(x, y, (-88, 95), (-205, -35), 27))
    for start, end, r in (((-52, 138), (-108, 72), 11), ((-114, 64), (-160, 16), 9)):
        bone += 1.3 * _bone(x, y, start, end, r)
    bone += 1.3 * _bone(x, y, (-165, 10), (-196, -26), 8)
    for row, count, top in ((0, 4, 152), (1, 4, 180)):
        for number in range(count):
            place = (-42 + 28 * number + 4 * row, top)
            bone += 0.8 * _ellipsoid(x, y, place, (15, 13, 12))
    bone += 0.6 * _bone(x, y, (-24, 224), (-26, 400), 25)
    bone += 0.7 * _bone(x, y, (38, 232), (36, 400), 15)
    return np.asarray(_MM * (_SOFT * soft + (_BONE_OF_HAND - _SOFT) * bone), dtype=np.float32)


def chest() -> Field:
    """Return the attenuation of an upright chest, seen from behind: (H, W)."""
    x, y = (0.86 * one for one in _grid())
    soft = np.maximum(
        _ellipsoid(x, y, (0, 90), (250, 430, 105)), _capsule(x, y, (-210, -190), (210, -190), 70)
    )
    soft = np.maximum(soft, _capsule(x, y, (0, -340), (0, -150), 60))
    heart = _ellipsoid(x, y, (34, 100), (84, 96, 75))
    heart = np.maximum(heart, _capsule(x, y, (6, -90), (20, 60), 40))
    lungs = np.zeros_like(x)
    for side in (-1, 1):
        lung = _ellipsoid(x, y, (side * 106, 5), (92, 222, 100))
        # The dome of the diaphragm ends it below, the heart fills a part of it.
        dome = ((x - side * 112) / 130) ** 2 + ((y - 268) / 120) ** 2 < 1
        lungs += np.where(dome, 0.1, 1) * np.maximum(lung - heart, 0)
    lungs = cv2.GaussianBlur(lungs, (0, 0), 2)
    vessels = np.zeros_like(x)
    for side in (-1, 1):
        for share in np.linspace(0, 1, 7):
            end = (side * (78 + 70 * share), -110 + 260 * share)
            vessels += _capsule(x, y, (side * 40, 5), end, 6)
    bone = 0.8 * _capsule(x, y, (0, -320), (0, 330), 22)
    for number in range(14):
        bone += 0.3 * _ellipsoid(x, y, (0, -300 + 46 * number), (28, 17, 20))
    for number in range(9):
        top = -192 + 46 * number
        reach = 150 + 58 * np.sin(np.pi * min(number + 3, 9) / 12)
        for side in (-1, 1):
            for drop, tilt, share in ((0, 0.3, 1.0), (62, -0.25, 0.45)):
                bend = top + drop + tilt * np.abs(x) + 0.0011 * x * x
                inside = (side * x > 18) & (np.abs(x) < reach)
                bone += share * 2 * np.sqrt(np.maximum(81 - (y - bend) ** 2, 0)) * inside
    for side in (-1, 1):
        bone += 1.2 * _bone(x, y, (side * 26, -196), (side * 205, -236), 11)
    found = _SOFT * soft - (_SOFT - _LUNG) * np.minimum(lungs, soft)
    found += 0.4 * _SOFT * vessels + (_BONE - _SOFT) * 0.6 * bone
    return np.asarray(_MM * np.maximum(found, 0), dtype=np.float32)


def turned(attenuation: Field, degrees: float) -> Field:
    """Return `attenuation` turned about its middle, air where nothing comes from: (H, W)."""
    turn = cv2.getRotationMatrix2D((_WIDTH / 2, _HEIGHT / 2), degrees, 1.0)
    return np.asarray(cv2.warpAffine(attenuation, turn, (_WIDTH, _HEIGHT)), dtype=np.float32)


def exposed(attenuation: Field, seed: int, gamma: float = 1.0) -> NDArray[np.uint16]:
    """Return a picture of 12 bits as a detector gives it, bone bright: uint16 (H, W).

    A `gamma` below 1 lifts what is dark, as the display curves of hands do.
    """
    rng = np.random.default_rng(seed)
    photons = rng.poisson(9000 * np.exp(-cv2.GaussianBlur(attenuation, (0, 0), 1.1))) + 1.0
    shown = -np.log(photons / 9000)
    low, high = np.percentile(shown, (0.5, 99.7))
    grey = np.clip((shown - low) / (high - low), 0, 1) ** gamma
    return np.asarray(grey * 4095, dtype=np.uint16)


def page() -> NDArray[np.uint8]:
    """Return a page of lines like print: uint8 (H, W)."""
    rng = np.random.default_rng(5)
    sheet = np.full((_HEIGHT, _WIDTH), 250, np.uint8)
    for top in range(60, _HEIGHT - 60, 22):
        left = 50
        while left < _WIDTH - 90:
            width = int(rng.integers(12, 60))
            cv2.putText(sheet, "n" * (width // 9), (left, top), 0, 0.45, 20, 1, cv2.LINE_AA)
            left += width + 12
    return sheet


def write_dicom(path: Path, image: NDArray[np.uint16], number: int, **elements: Any) -> None:
    """Write `image` as DX For Presentation, one study a file."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid(_PREFIX, [f"instance {number}"])
    dataset = Dataset()
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID = generate_uid(_PREFIX, [f"study {number}"])
    dataset.SeriesInstanceUID = generate_uid(_PREFIX, [f"series {number}"])
    dataset.Modality = "DX"
    dataset.PatientID = f"phantom-{number}"
    dataset.PatientName = "Phantom"
    dataset.StudyDate = "20260301"
    dataset.Rows, dataset.Columns = image.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    dataset.PixelData = image.tobytes()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    file = FileDataset(str(path), dataset, preamble=b"\0" * 128, file_meta=meta)
    file.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=True)


def write_demo(folder: Path) -> None:
    """Write the images into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    thorax, palm = exposed(chest(), 1), exposed(turned(hand(), 8), 2, gamma=0.4)
    said = {"BodyPartExamined": "CHEST", "ViewPosition": "PA"}
    write_dicom(folder / "chest.dcm", thorax, 1, **said)
    write_dicom(folder / "hand-called-chest.dcm", palm, 2, **said)
    write_dicom(folder / "hand-without-a-word.dcm", palm, 3)
    write_dicom(
        folder / "nothing-called-knee.dcm", np.full_like(palm, 1200), 4, BodyPartExamined="KNEE"
    )
    cv2.imwrite(str(folder / "hand.png"), (palm >> 4).astype(np.uint8))
    cv2.imwrite(str(folder / "page.png"), page())


if __name__ == "__main__":
    write_demo(Path(sys.argv[1]))
