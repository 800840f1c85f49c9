"""Speed and memory of a DICOM radiograph on its way to a network, beside pydicom's own way.

Usage: python benchmarks/pixels.py [--size 2000] [--rounds 15]

Prints one JSON object a line. The file is uncompressed, 16 bits allocated, as detectors write it.
Both ways are asked in turn, in one process and of one file; times are milliseconds on the clock,
the best of all rounds. Memory is the most that one reading holds at a time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, RLELossless

from classifier.pixels.read import read_image
from classifier.preprocess.pipeline import Preprocessing

# The exact filter, and the one that first halves as often as leaves twice the pixels.
_NETWORK = Preprocessing("A")
_REDUCING = Preprocessing("A", reducing_gap=2.0)
_SMALL = "small.dcm"
_WINDOW = {"WindowCenter": 2000, "WindowWidth": 3000}
_KINDS: dict[str, Mapping[str, object]] = {
    "window": {**_WINDOW, "RescaleSlope": 1, "RescaleIntercept": 0},
    "sigmoid window, MONOCHROME1": {
        **_WINDOW,
        "VOILUTFunction": "SIGMOID",
        "PhotometricInterpretation": "MONOCHROME1",
    },
    "nothing says how to show it": {},
}


def main() -> None:
    """Run the measurements and print them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--size", type=int, default=2000)
    options.add_argument("--rounds", type=int, default=15)
    chosen = options.parse_args()
    show(
        {
            "machine": platform.machine(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        radiograph(16, _WINDOW).save_as(Path(folder) / _SMALL, enforce_file_format=True)
        for number, (kind, attributes) in enumerate(_KINDS.items()):
            path = Path(folder) / f"{number}.dcm"
            radiograph(chosen.size, attributes).save_as(path, enforce_file_format=True)
            compare(kind, path, chosen.rounds)
        multi_frame(Path(folder) / "frames.dcm", chosen.rounds)


def show(figures: dict[str, object]) -> None:
    """Print figures as one line of JSON."""
    print(json.dumps(figures), flush=True)


def radiograph(size: int, attributes: Mapping[str, object], frames: int = 1) -> Dataset:
    """Return a smooth image of 12 bits with noise."""
    chance = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size
    smooth = 2000 + 1500 * np.sin(7 * x) * np.cos(8 * y)
    values = smooth + chance.normal(0, 30, (frames, size, size))
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = DigitalXRayImageStorageForPresentation
    made.SOPInstanceUID = pydicom.uid.generate_uid()
    made.Modality = "DX"
    made.Rows = made.Columns = size
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.PixelRepresentation = 0
    if frames > 1:
        made.NumberOfFrames = frames
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    made.PixelData = values.clip(0, 4095).astype(np.uint16).tobytes()
    made["PixelData"].VR = "OW"
    return made


def by_pydicom(path: Path) -> NDArray[np.uint8]:
    """Return grey levels as a user of pydicom writes it."""
    dataset = pydicom.dcmread(path)
    values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    low, high = float(values.min()), float(values.max())
    level = (values - low) / (high - low)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        level = 1 - level
    return (level * 255).astype(np.uint8)


def compare(kind: str, path: Path, rounds: int) -> None:
    """Measure one file by all ways."""
    ours, network, reducing, theirs = measured(
        rounds,
        lambda: read_image(path),
        lambda: _NETWORK(read_image(path)),
        lambda: _REDUCING(read_image(path)),
        lambda: by_pydicom(path),
    )
    show(
        {
            "benchmark": f"DICOM file to grey levels: {kind}",
            "read_image_ms": round(ours, 2),
            "to_network_input_224_ms": round(network, 2),
            "to_network_input_224_reducing_gap_2_ms": round(reducing, 2),
            "pydicom_ms": round(theirs, 2),
            "ratio": round(theirs / ours, 1),
            "read_image_peak_mib": added_memory(read_image, path),
            "pydicom_peak_mib": added_memory(by_pydicom, path),
        }
    )


def multi_frame(path: Path, rounds: int) -> None:
    """Measure one frame of 200, compressed, beside decoding them all."""
    made = radiograph(128, _WINDOW, frames=200)
    made.compress(RLELossless)
    made.save_as(path, enforce_file_format=True)
    ours, theirs = measured(
        min(rounds, 3), lambda: read_image(path, 150), lambda: by_pydicom(path)[150]
    )
    show(
        {
            "benchmark": "one frame of 200, RLE",
            "read_image_ms": round(ours, 2),
            "pydicom_all_frames_ms": round(theirs, 2),
            "ratio": round(theirs / ours, 1),
        }
    )


def measured(rounds: int, *ways: Callable[[], object]) -> list[float]:
    """Return the best milliseconds of each way, asked in turn."""
    best = [float("inf")] * len(ways)
    for _ in range(rounds):
        for place, way in enumerate(ways):
            start = time.perf_counter()
            way()
            best[place] = min(best[place], 1000 * (time.perf_counter() - start))
    return best


def added_memory(way: Callable[[Path], object], path: Path) -> float:
    """Return the peak MiB that one reading allocates, through Python and numpy."""
    way(path.with_name(_SMALL))  # what is loaded and started once is not of the image
    tracemalloc.start()
    way(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return round(peak / (1 << 20), 1)


if __name__ == "__main__":
    main()
