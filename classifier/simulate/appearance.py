"""From ray sums to a picture as an archive has it: dose, scatter, detector, processing, film."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

# Per mm of water, and per mm of bone in excess of its density (photoelectric absorption), at
# 50-90 kV behind 20 cm of water.
_WATER: Final = (0.017, 0.022)
_BONE: Final = (0.014, 0.032)
# So much water on a ray is body.
_SKIN_MM: Final = 4.0


def develop(
    sums: NDArray[np.float32], rng: np.random.Generator, *, marker: str = ""
) -> NDArray[np.uint8]:
    """Return a picture, uint8 (H, W), bone white but for the few that are left inverted.

    Parameters
    ----------
    sums
        float32 (H, W, 2) of `projector.project`.
    marker
        Letter of the side that may stand on it.
    """
    water, bone = rng.uniform(*_WATER), rng.uniform(*_BONE)
    thickness = rng.uniform(0.75, 1.1)
    absorbed = thickness * water * sums[..., 0] + bone * sums[..., 1]
    image = _processed(_exposed(absorbed, rng), sums[..., 0] > _SKIN_MM, rng)
    if marker and rng.random() < 0.4:
        image = _marked(image, marker, rng)
    if rng.random() < 0.3:
        image = _collimated(image, rng)
    if rng.random() < 0.12:
        image = _framed(image, rng)
    if rng.random() < 0.05:
        image = 1.0 - image
    return np.asarray(np.clip(np.rint(image * 255), 0, 255), dtype=np.uint8)


def _exposed(absorbed: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the absorption that a detector measures, with scatter, blur and quantum noise."""
    dose = np.exp(-absorbed).astype(np.float32)
    behind = float(np.percentile(dose, 30))
    wide = 0.08 * max(dose.shape)
    # Air around the body scatters nothing.
    scattered = cv2.GaussianBlur(np.minimum(dose, 4 * behind), (0, 0), wide)
    dose += rng.uniform(0.05, 0.9) * scattered
    sharp = rng.uniform(0.3, 1.0)
    dose = np.asarray(cv2.GaussianBlur(dose, (0, 0), sharp), dtype=np.float32)
    quanta = 10 ** rng.uniform(2.7, 4.5) / max(behind, 1e-6)
    counted = dose * quanta + rng.normal(0.0, 1.0, dose.shape) * np.sqrt(dose * quanta)
    measured = np.maximum(counted, 1.0) / quanta
    return np.asarray(-np.log(measured), dtype=np.float32)


def _processed(
    signal: NDArray[np.float32], body: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return the signal windowed to [0, 1]: equalised, sharpened, with the curve of a film."""
    if rng.random() < 0.7:
        # What every vendor does: the slow part of the picture is flattened.
        slow = cv2.GaussianBlur(signal, (0, 0), rng.uniform(0.06, 0.2) * max(signal.shape))
        signal = signal - rng.uniform(0.2, 0.65) * slow
    # Most machines look for the body and set the window by it; some take what comes.
    inside = signal[body] if rng.random() < 0.8 and body.mean() > 0.05 else signal
    low = np.percentile(inside, rng.uniform(0.2, 4.0))
    high = np.percentile(inside, rng.uniform(98.5, 99.95))
    image = np.clip((signal - low) / max(float(high - low), 1e-4), -0.2, 1.2).astype(np.float32)
    if rng.random() < 0.5:
        fine = cv2.GaussianBlur(image, (0, 0), rng.uniform(1.0, 4.0))
        image = image + rng.uniform(0.2, 1.1) * (image - fine)
    image = np.clip(image, 0.0, 1.0)
    if rng.random() < 0.4:
        tiles = cv2.createCLAHE(float(rng.uniform(1.0, 3.5)), (4, 4))
        image = tiles.apply((image * 65535).astype(np.uint16)).astype(np.float32) / 65535
    if rng.random() < 0.4:
        # Characteristic curve: flat at both ends.
        slope = rng.uniform(4.0, 8.0)
        ends = 1 / (1 + np.exp(slope * 0.5)), 1 / (1 + np.exp(-slope * 0.5))
        image = (1 / (1 + np.exp(-slope * (image - 0.5))) - ends[0]) / (ends[1] - ends[0])
    image = np.clip(image, 0.0, 1.0) ** rng.uniform(0.7, 1.6)
    return np.asarray(image * rng.uniform(0.8, 1.0), dtype=np.float32)


def _marked(
    image: NDArray[np.float32], letter: str, rng: np.random.Generator
) -> NDArray[np.float32]:
    size = rng.uniform(0.6, 1.4) * max(image.shape) / 320
    row, column = rng.uniform(0.1, 0.95) * image.shape[0], rng.uniform(0.02, 0.12) * image.shape[1]
    if letter == "L":
        column = image.shape[1] - column - 20 * size
    stamp = cv2.putText(
        np.zeros(image.shape, dtype=np.uint8),
        letter,
        (int(column), int(row)),
        cv2.FONT_HERSHEY_SIMPLEX,
        size,
        255,
        max(1, round(2 * size)),
        cv2.LINE_AA,
    )
    return np.asarray(np.maximum(image, stamp / 255.0), dtype=np.float32)


def _collimated(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the picture with the shadow of the collimator on some of its edges."""
    height, width = image.shape
    cut = rng.uniform(0.0, 0.1, 4) * (rng.random(4) < 0.6)
    corners = np.array(
        [
            [cut[0] * width, cut[1] * height],
            [(1 - cut[2]) * width, cut[1] * height],
            [(1 - cut[2]) * width, (1 - cut[3]) * height],
            [cut[0] * width, (1 - cut[3]) * height],
        ]
    ) + rng.normal(0.0, 0.006 * max(image.shape), (4, 2))
    field = np.zeros(image.shape, dtype=np.float32)
    cv2.fillConvexPoly(field, np.rint(corners).astype(np.int32), 1.0)
    soft = cv2.GaussianBlur(field, (0, 0), rng.uniform(0.6, 2.5))
    outside = 0.0 if rng.random() < 0.6 else rng.uniform(0.0, 0.25)
    if rng.random() < 0.15:
        outside = rng.uniform(0.85, 1.0)
    return np.asarray(image * soft + outside * (1 - soft), dtype=np.float32)


def _framed(image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the picture on the black (or, scanned, white) ground of a larger one."""
    top, bottom, left, right = (int(side) for side in rng.uniform(0.0, 0.12, 4) * max(image.shape))
    ground = 0.0 if rng.random() < 0.8 else 1.0
    return np.pad(image, ((top, bottom), (left, right)), constant_values=ground)
