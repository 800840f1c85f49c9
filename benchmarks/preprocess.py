"""Speed and memory of preprocessing and augmentation, beside the same maths on whole images.

Usage: python benchmarks/preprocess.py [--size 2000] [--rounds 15]

Prints one JSON object a line. Ratios compare two ways of doing the same work in one process, asked
in turn; times are milliseconds of the clock, the best of the rounds, with as many threads as each
way takes by itself, and `cpu_ms` is what all threads took together. Memory is the peak that one
call adds to a fresh process, what it returns included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from classifier.preprocess.cartex import CartexSettings, cartoon_texture
from classifier.preprocess.hat import hat, scaled_element
from classifier.preprocess.pipeline import Preprocessing
from classifier.preprocess.resize import resize
from classifier.training.augment import POLICIES, Augmentation

_SMALL = 224
_AUGMENTED = 128


def main() -> None:
    """Run the measurements and print them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--size", type=int, default=2000)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--memory-of", choices=["ours", "plain"], help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.memory_of:
        # Put together from a small picture: making a large one has a higher peak.
        image = np.tile(picture(250), (chosen.size // 250, chosen.size // 250))
        print(added_memory(image, cartoon_texture if chosen.memory_of == "ours" else plain_cartex))
        return
    image = picture(chosen.size)
    show(
        {
            "machine": platform.machine(),
            "python": platform.python_version(),
            "opencv": cv2.__version__,
            "cores": os.cpu_count(),
        }
    )
    cartex(image, chosen.rounds)
    hats(image, chosen.rounds)
    resizes(image, chosen.rounds)
    kinds(image, chosen.rounds)
    augmentation(image, 20 * chosen.rounds)


def show(figures: dict[str, object]) -> None:
    """Print figures as one line of JSON."""
    print(json.dumps(figures), flush=True)


def picture(size: int) -> NDArray[np.uint8]:
    """Return shading, shapes and noise, as radiographs have them, uint8 (size, size)."""
    chance = np.random.default_rng(1)
    coarse = chance.random((8, 8)).astype(np.float32) * 160
    found = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    for _ in range(40):
        centre = tuple(int(place) for place in chance.integers(size, size=2))
        axes = tuple(int(side) for side in chance.integers(size // 100 + 2, size // 8, size=2))
        shape = np.zeros_like(found)
        cv2.ellipse(shape, centre, axes, float(chance.integers(180)), 0, 360, 40.0, -1)
        found += cv2.GaussianBlur(shape, (0, 0), 1.5)
    found += (
        cv2.GaussianBlur(chance.standard_normal(found.shape).astype(np.float32), (0, 0), 1) * 20
    )
    return np.clip(found, 0, 255).astype(np.uint8)


def cartex(image: NDArray[np.uint8], rounds: int) -> None:
    """Measure Cartoon+Texture at full size and at the network's, beside scipy on whole images."""
    for one, count in ((image, rounds), (resize(image, _SMALL), 10 * rounds)):
        ours, plain = measured(count, partial(cartoon_texture, one), partial(plain_cartex, one))
        figures: dict[str, object] = {
            "benchmark": "cartoon and texture",
            "pixels": one.shape[0],
            "ms": round(ours.ms, 2),
            "cpu_ms": round(ours.cpu_ms, 2),
            "scipy_whole_image_ms": round(plain.ms, 2),
            "ratio": round(plain.ms / ours.ms, 1),
            "largest_difference_in_grey_levels": round(
                float(np.abs(cartoon_texture(one)[0] - plain_cartex(one)[0]).max()), 4
            ),
        }
        if one is image:
            figures["added_mib"] = in_a_fresh_process("ours", len(image))
            figures["scipy_whole_image_added_mib"] = in_a_fresh_process("plain", len(image))
        show(figures)


def hats(image: NDArray[np.uint8], rounds: int) -> None:
    """Measure the hat with 15×15 and with the default at full size, and at the network's."""
    small = resize(image, _SMALL)
    for one, element in ((image, 15), (image, scaled_element(len(image))), (small, 15)):
        ours, opencv, scipy = measured(
            rounds if one is image else 10 * rounds,
            partial(hat, one, element),
            partial(opencv_hat, one, element),
            partial(scipy_hat, one, element),
        )
        show(
            {
                "benchmark": "top-bottom hat",
                "pixels": len(one),
                "element": element,
                "ms": round(ours.ms, 2),
                "cpu_ms": round(ours.cpu_ms, 2),
                "opencv_ms": round(opencv.ms, 2),
                "scipy_ms": round(scipy.ms, 2),
                "ratio_opencv": round(opencv.ms / ours.ms, 1),
                "ratio_scipy": round(scipy.ms / ours.ms, 1),
                "equal": bool(np.array_equal(hat(one, element), scipy_hat(one, element))),
            }
        )


def resizes(image: NDArray[np.uint8], rounds: int) -> None:
    """Measure the antialiased resize, whole and after a box, beside what OpenCV offers."""
    whole = resize(image, _SMALL).astype(int)
    ways: dict[str, Callable[[], NDArray[np.uint8]]] = {
        "bicubic": lambda: resize(image, _SMALL),
        "bicubic_reducing_gap_3": lambda: resize(image, _SMALL, reducing_gap=3.0),
        "bicubic_reducing_gap_2": lambda: resize(image, _SMALL, reducing_gap=2.0),
        "opencv_area": lambda: cv2.resize(image, (_SMALL,) * 2, interpolation=cv2.INTER_AREA),
        "opencv_cubic": lambda: cv2.resize(image, (_SMALL,) * 2, interpolation=cv2.INTER_CUBIC),
    }
    for name, best in zip(ways, measured(rounds, *ways.values()), strict=True):
        away = np.abs(ways[name]() - whole)
        show(
            {
                "benchmark": "resize",
                "way": name,
                "pixels": [len(image), _SMALL],
                "ms": round(best.ms, 2),
                "mean_grey_levels_from_bicubic": round(float(away.mean()), 3),
                "largest": int(away.max()),
            }
        )


def kinds(image: NDArray[np.uint8], rounds: int) -> None:
    """Measure preprocessing A to D, from the fitted image and from the whole."""
    for kind in ("A", "B", "C", "D"):
        preprocessing = Preprocessing(kind, _SMALL)
        fitted = preprocessing.fit_image(image)
        tensor, whole = measured(
            rounds, partial(preprocessing.tensor, fitted), partial(preprocessing, image)
        )
        show(
            {
                "benchmark": f"preprocessing {kind}",
                "pixels": _SMALL,
                "ms": round(tensor.ms, 2),
                "with_resize_ms": round(whole.ms, 2),
            }
        )


def augmentation(image: NDArray[np.uint8], rounds: int) -> None:
    """Measure the mean time of an augmentation, drawn anew each time."""
    fitted = resize(image, _AUGMENTED)
    for policy in POLICIES:
        augment = Augmentation.named(policy)
        rng = np.random.default_rng(1)
        start = time.perf_counter()
        for _ in range(rounds):
            augment.apply_grey(fitted, rng)
        ms = 1000 * (time.perf_counter() - start) / rounds
        show(
            {
                "benchmark": f"augmentation {policy}",
                "pixels": _AUGMENTED,
                "mean_ms": round(ms, 3),
            }
        )


def plain_cartex(image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return cartoon and texture with numpy and scipy on the whole image, in float32."""
    settings = CartexSettings()
    away = np.arange(settings.taps) - settings.taps // 2
    kernel = np.exp(-(away**2) / (2 * settings.sigma**2))
    kernel /= kernel.sum()
    grey = image.astype(np.float32)

    def blur(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        across = ndimage.correlate1d(plane, kernel, axis=1, mode="reflect")
        return ndimage.correlate1d(across, kernel, axis=0, mode="reflect")

    def variation(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        return blur(np.hypot(ndimage.sobel(plane, axis=0), ndimage.sobel(plane, axis=1)))

    high = grey
    for _ in range(settings.passes + 1):
        high = high - blur(high)
    before, after = variation(grey), variation(grey - high)
    ratio = np.zeros_like(grey)
    np.divide(before - after, before, out=ratio, where=before > 0)
    weight = np.clip((ratio - settings.a1) / (settings.a2 - settings.a1), 0, 1)
    texture = weight * high
    return grey - texture, texture


def scipy_hat(image: NDArray[np.uint8], element: int) -> NDArray[np.uint8]:
    """Return the hat with scipy's opening and closing."""
    opened, closed = (
        way(image, (element, element)).astype(np.int16)
        for way in (ndimage.grey_opening, ndimage.grey_closing)
    )
    return np.clip(3 * image.astype(np.int16) - opened - closed, 0, 255).astype(np.uint8)


def opencv_hat(image: NDArray[np.uint8], element: int) -> NDArray[np.uint8]:
    """Return the hat with OpenCV's opening and closing."""
    shape = np.ones((element, element), np.uint8)
    opened, closed = (
        cv2.morphologyEx(image, way, shape) for way in (cv2.MORPH_OPEN, cv2.MORPH_CLOSE)
    )
    both = cv2.add(opened, closed, dtype=cv2.CV_16S)
    return cv2.addWeighted(image, 3, both, -1, 0, dtype=cv2.CV_8U)


@dataclass(slots=True)
class Best:
    """The best milliseconds so far, of the clock and of all threads."""

    ms: float = float("inf")
    cpu_ms: float = float("inf")


def measured(rounds: int, *ways: Callable[[], object]) -> list[Best]:
    """Return the best times of each way, asked in turn."""
    found = [Best() for _ in ways]
    for _ in range(rounds):
        for best, way in zip(found, ways, strict=True):
            start, worked = time.perf_counter(), time.process_time()
            way()
            best.cpu_ms = min(best.cpu_ms, 1000 * (time.process_time() - worked))
            best.ms = min(best.ms, 1000 * (time.perf_counter() - start))
    return found


def in_a_fresh_process(way: str, size: int) -> float | None:
    """Return what `added_memory` finds in a process that has done nothing before."""
    command = [sys.executable, __file__, "--memory-of", way, "--size", str(size)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    return None if found == "None" else float(found)


def added_memory(image: NDArray[np.uint8], way: Callable[[NDArray[np.uint8]], object]) -> object:
    """Return how many MiB above what was resident the peak of a call is; `None` off Linux.

    The peak of a process is never lowered, so this is too much, not too little, where something
    before the call had a higher one.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return None

    def resident(name: str) -> int:
        lines = (line.split() for line in status.read_text().splitlines())
        return next(int(line[1]) for line in lines if line[0] == name)

    # What is loaded and started at the first calls is not the image's.
    way(image[:300, :300])
    before = resident("VmRSS:")
    kept = way(image)
    added = resident("VmHWM:") - before
    del kept
    return round(added / 1024, 1)


if __name__ == "__main__":
    main()
