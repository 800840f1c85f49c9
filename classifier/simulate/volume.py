"""`Volume`: what X-rays pass through, on a cubic grid, with a label for every voxel.

Axes are the patient's, as NIfTI has them: the first index grows to the patient's right, the second
to the front, the third to the head. Reading NIfTI needs nibabel (the extra ``simulate``).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.errors import SimulationError
from classifier.simulate import dry_skull, thighs

AIR: Final = 0
# Two more are needed for the hip joints.
_LABELS: Final = 253
_SIDED: Final = re.compile(r"left|right")
# Hounsfield units: above them a voxel holds bone or metal, and absorbs more than by its density.
_BONE_HU: Final = 130.0
_HIGHEST_HU: Final = 2200.0
_SKIN_HU: Final = -350.0
_BONE_FOR_METAL: Final = 350.0
# What is added: thighs below; where the body goes on, the last slice again, for rays that lean.
_THIGH_MM: Final = 270.0
_MORE_MM: Final = 60.0
# Of air around a skull, for skin.
_MARGIN_MM: Final = 12.0
# About the hip joint: head, neck and trochanters of the femur.
_HIP_MM: Final = 60.0
_UP: Final = np.array([0.0, 0.0, 1.0])
# Of a grid of 8 bit, which has no Hounsfield units: what its values are stretched over.
_BYTE_HU: Final = (-1000.0, 1400.0)


@dataclass(frozen=True, eq=False)
class Volume:
    """What absorbs, and what it is.

    Attributes
    ----------
    matter
        float32 (R, A, S, 2), 0 is air: density in units of water, and the excess of bone over it.
    labels
        uint8 (R, A, S), 0 where there is nothing to name.
    names
        The structure of every value in `labels`.
    spacing
        Edge of a voxel, in mm.
    origin
        Where the centre of voxel (0, 0, 0) lies, in mm.
    room
        Where the body goes on below and above the grid, so many mm of it are there for rays that
        lean only: a picture must not show the cut. `None` for a body that is whole.
    """

    matter: NDArray[np.float32]
    labels: NDArray[np.uint8]
    names: Mapping[int, str]
    spacing: float
    origin: NDArray[np.float64]
    room: tuple[float, float] | None = None
    _boxes: dict[int, NDArray[np.int64]] = field(default_factory=dict, init=False, repr=False)
    _turned: dict[int, tuple[NDArray[np.float32], NDArray[np.uint8]]] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        if self.matter.shape[:3] != self.labels.shape or self.matter.shape[3:] != (2,):
            raise SimulationError(
                "volume",
                f"arrays of {self.matter.shape} and {self.labels.shape}",
                "matter (R, A, S, 2) and labels (R, A, S)",
                "Give both on one grid.",
            )

    def value(self, name: str) -> int:
        """Return the value of the structure `name`, 0 when the volume has none."""
        return next((value for value, known in self.names.items() if known == name), 0)

    def box(self, names: Iterable[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Return the lowest and the highest corner of the structures `names`, in mm."""
        if not self._boxes:
            from scipy import ndimage

            for value, found in enumerate(ndimage.find_objects(self.labels), start=1):
                if found is not None:
                    self._boxes[value] = np.array([[one.start, one.stop - 1] for one in found])
        boxes = [self._boxes[value] for name in names if (value := self.value(name)) in self._boxes]
        if not boxes:
            return None
        corners = np.stack(boxes)
        return self.position(corners[..., 0].min(axis=0)), self.position(
            corners[..., 1].max(axis=0)
        )

    def mirrored(self) -> Volume:
        """Return the body with left and right exchanged, and so their names."""
        other = {"left": "right", "right": "left"}
        names = {
            value: _SIDED.sub(lambda side: other[side[0]], name)
            for value, name in self.names.items()
        }
        origin = self.origin.copy()
        origin[0] = -(origin[0] + (self.labels.shape[0] - 1) * self.spacing)
        return replace(
            self, matter=self.matter[::-1], labels=self.labels[::-1], names=names, origin=origin
        )

    def position(self, index: NDArray[Any]) -> NDArray[np.float64]:
        """Return where voxels lie, in mm: (..., 3) for (..., 3)."""
        return np.asarray(self.origin + index * self.spacing, dtype=np.float64)

    def slices(self, axis: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return matter and labels with `axis` first, each slice in one piece; made once."""
        if axis not in self._turned:
            self._turned[axis] = (
                np.ascontiguousarray(np.moveaxis(self.matter, axis, 0)),
                np.ascontiguousarray(np.moveaxis(self.labels, axis, 0)),
            )
        return self._turned[axis]


def matter_of(hounsfield: NDArray[Any]) -> NDArray[np.float32]:
    """Return density and bone, float32 (..., 2), of CT numbers."""
    clipped = np.clip(hounsfield, -1000.0, _HIGHEST_HU).astype(np.float32)
    # The definition of the unit: 0 is water, -1000 is air.
    density = 1.0 + clipped / 1000.0
    bone = np.maximum(clipped - _BONE_HU, 0.0) / 1000.0
    return np.stack([density, bone], axis=-1)


def read_volume(
    path: Path,
    labels: Path,
    names: Path,
    *,
    spacing: float = 2.0,
    metal: bool = True,
) -> Volume:
    """Return the CT volume of a NIfTI file, resampled to cubes and without the table.

    Parameters
    ----------
    path
        Hounsfield units.
    labels
        A label map on the same grid.
    names
        CSV with the columns ``value`` and ``structure`` for `labels`.
    spacing
        Edge of a voxel, in mm.
    metal
        Whether implants stay; without, bone stands in their place.

    Raises
    ------
    SimulationError
        A file is missing or no NIfTI, the grids differ, or the table lacks a column.
    """
    from scipy import ndimage

    grid, affine = _nifti(path)
    if grid.dtype == np.uint8:
        raise SimulationError(
            str(path),
            "a grid of 8 bit",
            "Hounsfield units, which go below zero",
            "Give the CT volume as it was reconstructed; a scanned dry skull with --dry-skull.",
        )
    hounsfield = np.clip(grid, -1024, 3071).astype(np.float32)
    if not metal:
        implants = ndimage.binary_dilation(hounsfield > thighs.METAL)
        hounsfield[implants] = np.minimum(hounsfield[implants], _BONE_FOR_METAL)
    hounsfield[~_body(hounsfield)] = -1000.0
    raw, other = _nifti(labels)
    if raw.shape != grid.shape or not np.allclose(other, affine, atol=1e-2):
        raise SimulationError(
            str(labels),
            f"a grid of {raw.shape}",
            f"the grid of {path.name}, {grid.shape}, with the same position",
            "Resample the label map to the volume.",
        )
    if raw.min() < 0 or raw.max() > _LABELS:
        raise SimulationError(
            str(labels),
            f"values from {raw.min()} to {raw.max()}",
            f"whole numbers from 0 to {_LABELS}",
            "Number the structures anew.",
        )
    marks, table = raw.astype(np.uint8), _names(names)
    matrix, offset, shape, origin = _cubes(grid.shape, affine, spacing)
    fine = ndimage.affine_transform(
        hounsfield, matrix, offset, output_shape=shape, order=3, mode="constant", cval=-1000.0
    )
    marks = ndimage.affine_transform(
        marks, matrix, offset, output_shape=shape, order=0, mode="constant", cval=AIR
    )
    # The outermost slices are half air after the cubic interpolation.
    fine, marks, origin = fine[:, :, 1:-1], marks[:, :, 1:-1], origin + _UP * spacing
    lowest = {table.get(value, "") for value in np.unique(marks[:, :, 0]).tolist()}
    below, more = 0, round(_MORE_MM / spacing)
    if any(name.startswith("femur_") for name in lowest):
        count = fine.shape[2]
        fine, marks = thighs.drawn_on(fine, marks, table, spacing, _THIGH_MM)
        origin = origin - _UP * (fine.shape[2] - count) * spacing
    else:
        below = more
        origin = origin - _UP * more * spacing
    ends = ((0, 0), (0, 0), (below, more))
    fine, marks = np.pad(fine, ends, mode="edge"), np.pad(marks, ends, mode="edge")
    table = _with_hip_joints(marks, table, spacing)
    # Light blur: at 3 mm the steps of the slices show as bands on smooth bone.
    fine = ndimage.gaussian_filter(fine, 1.2 / spacing)
    room = (below * spacing, more * spacing)
    return Volume(matter_of(fine), marks, table, spacing, origin, room)


def read_dry_skull(path: Path, *, spacing: float = 1.5) -> Volume:
    """Return the head made of a NIfTI scan of a dry skull; see `dry_skull`.

    A grid of 8 bit, which has no Hounsfield units, is stretched over air to bone.
    """
    from scipy import ndimage

    grid, affine = _nifti(path)
    hounsfield = grid.astype(np.float32)
    if grid.dtype == np.uint8:
        low, high = _BYTE_HU
        hounsfield = low + (high - low) * (hounsfield / 255.0)
    matrix, offset, shape, origin = _cubes(grid.shape, affine, spacing)
    margin = round(_MARGIN_MM / spacing)
    fine = ndimage.affine_transform(
        hounsfield,
        matrix,
        offset - matrix @ np.full(3, margin),
        output_shape=tuple(n + 2 * margin for n in shape),
        order=3,
        mode="constant",
        cval=-1000.0,
    )
    head, labels = dry_skull.dressed(fine, spacing)
    return Volume(
        matter_of(ndimage.gaussian_filter(head, 0.6)),
        labels,
        dry_skull.NAMES,
        spacing,
        origin - margin * spacing,
    )


def _at_the_end(marks: NDArray[np.uint8], names: Mapping[int, str]) -> list[str]:
    return [names[value] for value in np.unique(marks[:, :, 0]).tolist() if value in names]


def _with_hip_joints(
    marks: NDArray[np.uint8], names: Mapping[int, str], spacing: float
) -> dict[int, str]:
    """Name the upper end of each femur ``hip_joint_left`` or ``_right`` in `marks`, in place."""
    from scipy import ndimage

    table = dict(names)
    of = {name: value for value, name in names.items()}
    for side in ("left", "right"):
        femur = marks == of.get(f"femur_{side}", -1)
        bone = marks == of.get(f"hip_{side}", -1)
        near = femur & ndimage.binary_dilation(bone, iterations=3)
        if not near.any():
            continue
        centre = np.argwhere(near).mean(axis=0)
        where = np.argwhere(femur)
        upper = where[np.linalg.norm(where - centre, axis=1) * spacing < _HIP_MM]
        value = max(table) + 1
        marks[tuple(upper.T)] = value
        table[value] = f"hip_joint_{side}"
    return table


def _nifti(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return a grid whose axes grow to the right, the front and the head, and its affine."""
    try:
        import nibabel
    except ImportError as error:
        raise SimulationError(
            str(path),
            "nibabel is not installed",
            "the packages that read NIfTI",
            "Install them: pip install 'bodysite[simulate]'.",
        ) from error
    try:
        image = nibabel.funcs.as_closest_canonical(nibabel.load(path))  # type: ignore[no-untyped-call]
        return np.asarray(image.dataobj), np.asarray(image.affine, dtype=np.float64)
    except (OSError, EOFError, nibabel.filebasedimages.ImageFileError) as error:
        raise SimulationError(
            str(path), f"it cannot be read: {error}", "a NIfTI file of one volume", "Check it."
        ) from error


def _names(path: Path) -> dict[int, str]:
    with path.open(encoding="utf-8", newline="") as stream:
        table = csv.DictReader(stream)
        columns = list(table.fieldnames or ())
        rows = [(table.line_num, row) for row in table]
    if not {"value", "structure"} <= set(columns):
        raise SimulationError(
            f"{path}:1",
            f"the columns {', '.join(columns)}",
            "the columns 'value' and 'structure'",
            "Correct the first line.",
        )
    for line, row in rows:
        if not row["value"].isdecimal() or int(row["value"]) > _LABELS:
            raise SimulationError(
                f"{path}:{line}",
                f"the value '{row['value']}'",
                f"a whole number up to {_LABELS}",
                "Correct the line.",
            )
    return {int(row["value"]): row["structure"] for _, row in rows if int(row["value"])}


def _body(hounsfield: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the largest connected thing, without what it lies on."""
    from scipy import ndimage

    solid = ndimage.binary_opening(hounsfield > _SKIN_HU, iterations=2)
    parts, count = ndimage.label(solid)
    if not count:
        return np.asarray(hounsfield > _SKIN_HU)
    largest = parts == np.argmax(np.bincount(parts.ravel())[1:]) + 1
    grown = ndimage.binary_dilation(largest, iterations=3)
    # Lungs and bowel gas are air inside the body.
    return np.stack([ndimage.binary_fill_holes(one) for one in np.moveaxis(grown, 2, 0)], axis=2)


def _cubes(
    shape: tuple[int, ...], affine: NDArray[np.float64], spacing: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[int, ...], NDArray[np.float64]]:
    """Return how cubes of `spacing` mm find their values in a grid, their number, and their place.

    A grid that leans (gantry tilt) is put upright by it.
    """
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape])).reshape(3, -1).T
    places = corners @ affine[:3, :3].T + affine[:3, 3]
    low, high = places.min(axis=0), places.max(axis=0)
    inverse = np.asarray(np.linalg.inv(affine[:3, :3]), dtype=np.float64)
    count = tuple(int(n) for n in np.ceil((high - low) / spacing) + 1)
    return inverse * spacing, inverse @ (low - affine[:3, 3]), count, low
