"""Speed and memory of a model that is served, beside torch and ResNet50.

Usage: python benchmarks/serving.py [--model FILE.bodysite] [--size 2000] [--rounds 15]
                                    [--threads 2] [--batch 32] [--reducing-gap 3]

Prints one JSON object a line. Without a file, the shipped model is timed; where none is shipped,
the network of its recipe with weights that were never trained, which are as fast. torch runs the
same network, with weights of its own. What is compared is asked in turn, in one process, so that a
machine that is busy with other things is so for all; times are milliseconds, the best of all
rounds: on the clock, and of all cores together, which a busy machine changes less. Ratios are of
the latter. Memory is that of a process of its own, which answers and does nothing else. OpenVINO
is timed where it is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from classifier.calibration.guards import GuardSettings
from classifier.data.labels import Head, LabelSpace
from classifier.models.checkpoint import TrainedModel
from classifier.models.network import BodySiteNet, NetworkSpec
from classifier.models.vision import torchvision
from classifier.predict import TorchNet
from classifier.preprocess.pipeline import Preprocessing
from classifier.serving.artefact import Artefact, read_artefact, shipped_model, write_artefact
from classifier.serving.assemble import assembled
from classifier.serving.openvino import OpenVinoNet, Precision
from classifier.serving.predictor import load_predictor
from classifier.serving.provenance import Provenance
from classifier.serving.runtime import OnnxNet
from terminology.graph import BodyStructureGraph
from terminology.vocabulary import LabelVocabulary

_PARTS = ("85562004", "56459004", "816094009", "72696002", "8205005", "69536005", "816092008")
_VIEWS = ("399348003", "399067008")
_SERVER = """
import sys
from pathlib import Path
from classifier.serving.predictor import load_predictor

def resident():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024

predictor = load_predictor(Path(sys.argv[1]), threads=1)
loaded = resident()
for _ in range(20):
    predictor.predict(Path(sys.argv[2]))
print(round(loaded), round(resident()), "torch" in sys.modules)
"""


def main() -> None:
    """Run the measurements and print them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", type=Path)
    options.add_argument("--size", type=int, default=2000)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options.add_argument("--batch", type=int, default=32)
    options.add_argument("--reducing-gap", type=float)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    show(
        {
            "machine": platform.machine(),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
            "threads": chosen.threads,
            "rounds": chosen.rounds,
        }
    )
    where = chosen.model or shipped_model()
    made = read_artefact(where) if where else untrained()
    if chosen.reducing_gap is not None:
        gap = replace(made.preprocessing, reducing_gap=chosen.reducing_gap)
        made = replace(made, preprocessing=gap)
    show(
        {"model": made.name, "version": made.version, "preprocessing": made.preprocessing.to_json()}
    )
    with tempfile.TemporaryDirectory() as folder:
        path, image = Path(folder) / "model.bodysite", Path(folder) / "image.dcm"
        write_artefact(path, made)
        pixels = radiograph(chosen.size)
        as_dicom(pixels).save_as(image, enforce_file_format=True)
        one_image(path, image, pixels, chosen.rounds, chosen.threads)
        throughput(made, chosen)
        memory(path, image)


def show(figures: Mapping[str, object]) -> None:
    """Print one line."""
    print(json.dumps(figures), flush=True)


@dataclass(frozen=True)
class Times:
    """The least milliseconds on the clock, and of all cores together."""

    clock: float
    cpu: float

    def shown(self, images: int = 1) -> dict[str, float]:
        """Return both as they are printed, for each of `images`."""
        return {"ms": round(self.clock / images, 3), "cpu_ms": round(self.cpu / images, 3)}


def best(jobs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Times]:
    """Return the least times of each job; they are run in turn, once unmeasured."""
    found = dict.fromkeys(jobs, Times(float("inf"), float("inf")))
    for number in range(rounds + 1):
        for name, job in jobs.items():
            clock, cpu = time.perf_counter(), time.process_time()
            job()
            clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
            if number:
                least = found[name]
                found[name] = Times(min(least.clock, clock * 1e3), min(least.cpu, cpu * 1e3))
    return found


def one_image(
    path: Path, image: Path, pixels: NDArray[np.uint16], rounds: int, threads: int
) -> None:
    """Time a file and an array on the way to a `Prediction`, and the steps between."""
    predictor = load_predictor(path, threads=threads)
    prepared = predictor.preparer(pixels)
    times = best(
        {
            "DICOM file to prediction": lambda: predictor.predict(image),
            "array to prediction": lambda: predictor.predict(pixels),
            "DICOM file made ready": lambda: predictor.preparer(image),
            "array made ready": lambda: predictor.preparer(pixels),
            "ready to prediction": lambda: list(predictor.read_prepared([prepared])),
        },
        rounds,
    )
    for name, each in times.items():
        show({"benchmark": name, "side": len(pixels), **each.shown()})


def throughput(artefact: Artefact, chosen: argparse.Namespace) -> None:
    """Time batches on every runtime, beside torch's eager mode of the same network and ResNet50."""
    preprocessing = artefact.preprocessing
    shape = (preprocessing.channels, preprocessing.size, preprocessing.size)
    x = np.random.default_rng(0).random((chosen.batch, *shape), dtype=np.float32)
    net = OnnxNet(artefact, threads=chosen.threads)
    eager = TorchNet(BodySiteNet(spec_of(artefact), artefact.space, seed=0))
    large = torchvision().models.resnet50(weights=None).eval()
    few = torch.rand(max(1, chosen.batch // 8), 3, 224, 224)
    jobs: dict[str, Callable[[], object]] = {
        "torch eager": lambda: eager.run(x),
        "ONNX Runtime": lambda: net.run(x),
        "torch eager, one": lambda: eager.run(x[:1]),
        "ONNX Runtime, one": lambda: net.run(x[:1]),
        "ResNet50 eager, 224 pixels": lambda: _inferred(large, few),
    }
    reference = net.run(x).pooled
    differ: dict[str, float] = {}
    if find_spec("openvino"):
        for precision in get_args(Precision):
            name = f"OpenVINO {precision}"
            other = OpenVinoNet(artefact, threads=chosen.threads, precision=precision)
            jobs[name] = partial(other.run, x)
            jobs[f"{name}, one"] = partial(other.run, x[:1])
            apart = np.abs(other.run(x).pooled - reference).max() / np.abs(reference).max()
            differ[name] = float(apart)
    times = best(jobs, chosen.rounds)
    images = {
        name: 1 if name.endswith("one") else len(few) if "ResNet50" in name else chosen.batch
        for name in jobs
    }
    each = {name: one.cpu / images[name] for name, one in times.items()}
    for name, milliseconds in each.items():
        beside = "torch eager, one" if name.endswith("one") else "torch eager"
        large_one = each["ResNet50 eager, 224 pixels"]
        show(
            {
                "benchmark": name,
                "batch": images[name],
                **times[name].shown(images[name]),
                "times_torch_eager": round(each[beside] / milliseconds, 2),
                "times_resnet50_eager": round(large_one / milliseconds, 2),
                **({"features_differ": round(differ[name], 5)} if name in differ else {}),
            }
        )


def _inferred(net: torch.nn.Module, x: torch.Tensor) -> object:
    with torch.inference_mode():
        return net(x)


def memory(path: Path, image: Path) -> None:
    """Show what a process that only answers holds."""
    done = subprocess.run(
        [sys.executable, "-c", _SERVER, str(path), str(image)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    loaded, answered, with_torch = done.stdout.split()
    show(
        {
            "benchmark": "memory of a process that answers",
            "loaded_mib": int(loaded),
            "after_20_images_mib": int(answered),
            "torch": with_torch == "True",
            "file_bytes": path.stat().st_size,
        }
    )


def spec_of(artefact: Artefact) -> NetworkSpec:
    """Return which network it is, as the configuration of its training says."""
    settings = artefact.config["network"]
    named = {name: settings[name] for name in ("backbone", "width") if name in settings}
    return NetworkSpec(**named, channels=artefact.preprocessing.channels)


def untrained() -> Artefact:
    """Return the network of the shipped recipe as it is before training."""
    vocabulary = LabelVocabulary.of(BodyStructureGraph.load(), _PARTS)
    space = LabelSpace(vocabulary, {Head.EXAMINED: _PARTS, Head.VIEW: _VIEWS}, True)
    spec = NetworkSpec("resnet18", width=32, channels=1)
    preprocessing = Preprocessing("A", 128, "pad", channels=1, reducing_gap=3.0)
    net = BodySiteNet(spec, space, seed=0).eval()
    model = TrainedModel(net, space, preprocessing, spec, "untrained", "0")
    made = assembled(
        model, BodyStructureGraph.load(), guards=GuardSettings(), provenance=Provenance()
    ).artefact
    return replace(made, config={"network": spec.to_json()})


def radiograph(size: int) -> NDArray[np.uint16]:
    """Return a bright disc with noise, uint16 (size, size), of 12 bits."""
    rows, columns = np.mgrid[:size, :size] / size
    disc = np.clip(1.1 - 2 * np.hypot(rows - 0.5, columns - 0.5), 0, 1) * 3600
    noise = np.random.default_rng(0).integers(0, 200, (size, size))
    return np.asarray(disc + noise, dtype=np.uint16)


def as_dicom(pixels: NDArray[np.uint16]) -> Dataset:
    """Return a digital radiograph, uncompressed, as a detector writes it."""
    dataset = Dataset()
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    dataset.Modality = "DX"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = 2000, 3600
    dataset.PixelData = pixels.astype("<u2").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


if __name__ == "__main__":
    main()
