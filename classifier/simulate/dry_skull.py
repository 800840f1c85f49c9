"""A scanned dry skull made a head again: test objects out, soft tissue in."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

# Hounsfield units. Plastic lies between what is air and what is bone.
_PLASTIC: Final = (-10.0, 560.0)
_BONE: Final = 450.0
_TISSUE: Final = 40.0
# In mm: objects are thicker than the edge of bone; nose and sinuses are narrower than the brain.
_EDGE_MM: Final = 3.0
_NARROW_MM: Final = 9.0
_SCALP_MM: Final = 6.0
_VAULT_MM: Final = 14.0
NAMES: Final = {1: "skull", 2: "facial_bones", 3: "soft_tissue", 4: "brain"}


def dressed(
    hounsfield: NDArray[np.float32], spacing: float
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return the head, and labels with the values of `NAMES`, on the grid of `hounsfield`.

    Air in the nose and the sinuses stays. What is no part of the largest bone, such as a head
    rest, goes.
    """
    from scipy import ndimage

    def away(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return the distance of every voxel to `mask` within its axial slice, in mm."""
        return np.stack([_distance(one) for one in np.moveaxis(mask, 2, 0)], axis=2) * spacing

    plastic = (hounsfield > _PLASTIC[0]) & (hounsfield < _PLASTIC[1])
    core = away(~plastic) > _EDGE_MM
    objects = ndimage.binary_dilation(core, iterations=round((_EDGE_MM + 3.0) / spacing))
    clean = np.where(objects & (hounsfield < _PLASTIC[1] + 100), -1000.0, hounsfield)
    bone = _largest(clean > _BONE)
    clean = np.where(ndimage.binary_dilation(bone, iterations=2), clean, -1000.0)
    hull = np.stack([_convex(one) for one in np.moveaxis(bone, 2, 0)], axis=2)
    hull = ndimage.gaussian_filter(hull.astype(np.float32), _SCALP_MM / spacing) > 0.3
    spaces = hull & ~bone
    wide = away(~spaces) > _NARROW_MM
    brain = _largest(wide)
    tissue = ((away(wide) < _NARROW_MM + spacing) & spaces) | (hull & (away(bone) < 4.0) & ~bone)
    head = np.where(tissue, np.maximum(clean, _TISSUE), clean).astype(np.float32)
    vault = ndimage.binary_dilation(brain, iterations=round((_NARROW_MM + _VAULT_MM) / spacing))
    labels = np.zeros(bone.shape, dtype=np.uint8)
    labels[tissue], labels[brain] = 3, 4
    labels[bone] = np.where(vault[bone], 1, 2)
    return head, labels


def _distance(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    if not mask.any():
        return np.full(mask.shape, float(sum(mask.shape)), dtype=np.float32)
    free = np.ascontiguousarray(~mask).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(free, cv2.DIST_L2, 5), dtype=np.float32)


def _convex(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the convex hull of a slice."""
    filled = np.zeros(mask.shape, dtype=np.uint8)
    points = np.argwhere(mask)[:, ::-1]
    if len(points):
        cv2.fillConvexPoly(filled, cv2.convexHull(points.astype(np.int32)), 1)
    return filled.astype(bool)


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy import ndimage

    parts, _ = ndimage.label(mask)
    return np.asarray(parts == np.argmax(np.bincount(parts.ravel())[1:]) + 1)
