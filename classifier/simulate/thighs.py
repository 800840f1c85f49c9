"""Thighs below a CT volume that ends at the hips: drawn on from its last slice.

The femur becomes a round shaft, what else is bone ends round, the trunk parts into two legs. A
picture of the hip or the pelvis would else show the cut, and one of the thigh could not be had.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

# In mm and Hounsfield units: an adult's.
_SHAFT_MM: Final = 14.0
_ROUND_MM: Final = 16.0
_FAT_MM: Final = 12.0
_CORTEX: Final = 1000.0
_MARROW: Final = (250.0, 20.0)
_MUSCLE: Final = 55.0
_FAT: Final = -100.0
METAL: Final = 1500.0


def drawn_on(
    hounsfield: NDArray[np.float32],
    labels: NDArray[np.uint8],
    names: Mapping[int, str],
    spacing: float,
    length: float,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return the volume with `length` mm of thighs below, on the same grid of `spacing` mm.

    Both are (R, A, S), the lowest slice first; the slices that are added come before it.
    """
    count = round(length / spacing)
    slice_hu, slice_labels = hounsfield[:, :, 0], labels[:, :, 0]
    bones = {
        name: slice_labels == value
        for value, name in names.items()
        if name.startswith(("femur_", "hip_")) and np.any(slice_labels == value)
    }
    body = _filled(slice_hu > -350)
    grid = np.meshgrid(*map(np.arange, slice_hu.shape), indexing="ij")
    place = np.stack(grid, axis=-1).astype(np.float64) * spacing
    inside = {name: _depth(mask, spacing) for name, mask in bones.items()}
    skin = _depth(body, spacing)
    legs = _legs(body, place)
    soft = _softened(slice_hu, np.any(list(bones.values()), axis=0), skin)
    centres = {name: place[mask].mean(axis=0) for name, mask in bones.items()}
    middle = float(np.mean([centre[0] for centre in centres.values()]))
    values = {name: value for value, name in names.items()}
    new_hu = np.empty((*slice_hu.shape, count), dtype=np.float32)
    new_labels = np.zeros((*slice_hu.shape, count), dtype=np.uint8)
    for step in range(1, count + 1):
        below = step * spacing
        outline = _mix(skin, legs - 0.03 * below, below / 70)
        drawn = _mix(soft, np.where(outline > _FAT_MM, _MUSCLE, _FAT), below / 40)
        drawn = np.where(outline > 0, drawn, -1000.0)
        for name, depth in inside.items():
            if name.startswith("femur_"):
                # The shaft leans towards the knee.
                centre = centres[name] + [0.06 * below * np.sign(middle - centres[name][0]), 0.0]
                shaft = _SHAFT_MM - np.linalg.norm(place - centre, axis=-1)
                depth = _mix(depth, shaft, below / 70)
                bone = _bone(depth, below)
            else:
                depth = depth - (_ROUND_MM - np.sqrt(max(_ROUND_MM**2 - below**2, 0.0)))
                depth = depth - (1e3 if below > _ROUND_MM else 0.0)
                bone = _bone(depth, 0.0)
            bone = _mix(np.where(slice_hu > 100, slice_hu, bone), bone, below / 12)
            held = depth > 0
            drawn = np.where(held, bone, drawn)
            new_labels[held, count - step] = values[name]
        drawn = np.where((slice_hu > METAL) & (below < 120), slice_hu, drawn)
        new_hu[:, :, count - step] = drawn
    return (
        np.concatenate([new_hu, hounsfield], axis=2),
        np.concatenate([new_labels, labels], axis=2),
    )


def _mix(
    first: NDArray[np.float64], second: NDArray[np.float64], share: float
) -> NDArray[np.float64]:
    """Return what lies between, from the first at 0 to the second at 1, without a kink."""
    part = float(np.clip(share, 0.0, 1.0))
    part = part * part * (3 - 2 * part)
    return np.asarray((1 - part) * first + part * second)


def _depth(mask: NDArray[np.bool_], spacing: float) -> NDArray[np.float64]:
    """Return how far inside `mask` a pixel is, in mm; negative outside."""
    from scipy import ndimage

    within = ndimage.distance_transform_edt(mask)
    return np.asarray((within - ndimage.distance_transform_edt(~mask)) * spacing)


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy import ndimage

    return np.asarray(ndimage.binary_fill_holes(mask))


def _legs(body: NDArray[np.bool_], place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far inside one of two round legs a pixel is, in mm."""
    points = place[body]
    low, high = points.min(axis=0), points.max(axis=0)
    middle, width = (low + high) / 2, (high - low)[0]
    radius = width / 4 * 0.97
    across, deep = place[..., 0] - middle[0], place[..., 1] - middle[1]
    nearest = np.minimum(np.hypot(across - width / 4, deep), np.hypot(across + width / 4, deep))
    return np.asarray(radius - nearest)


def _softened(
    slice_hu: NDArray[np.float32], bone: NDArray[np.bool_], skin: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the slice with muscle for bone, blurred so that it leaves no stripes."""
    from scipy import ndimage

    grown = ndimage.binary_dilation(bone | (slice_hu > 200), iterations=3)
    soft = np.where(grown, _MUSCLE, np.clip(slice_hu, -150, 150))
    soft = np.where(skin > 0, soft, _FAT)
    return np.asarray(ndimage.gaussian_filter(soft, 5.0), dtype=np.float64)


def _bone(depth: NDArray[np.float64], below: float) -> NDArray[np.float64]:
    """Return Hounsfield units of bone with a cortex that thickens down the shaft."""
    shell = 1.5 + 4.5 * min(below / 70, 1.0)
    core = _MARROW[0] + (_MARROW[1] - _MARROW[0]) * min(below / 70, 1.0)
    return np.where(depth < shell, _CORTEX, core)
