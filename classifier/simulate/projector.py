"""Cone-beam ray sums: `Camera`, and what it sees of a `Volume`.

Every slice of the volume across the main direction of the beam is seen through a homography, so
that OpenCV's perspective warp does the sampling; the sum over the slices is the ray sum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from classifier.simulate.volume import Volume


@dataclass(frozen=True, slots=True)
class Camera:
    """An X-ray tube, a detector, and how the picture is hung.

    Attributes
    ----------
    aim
        The point that the central ray passes, in mm (right, front, head).
    azimuth
        Degrees about the long axis of the body: 0 enters in front (AP), 90 on the patient's left,
        180 at the back (PA).
    elevation
        Degrees by which the tube is above, looking towards the feet.
    roll
        Degrees by which the picture is turned.
    mirrored
        Whether left and right of the picture, as seen from the tube, are exchanged. A PA picture
        is hung so, with the patient's right on the left.
    source, detector
        Distances of the tube and of the detector from `aim`, in mm.
    centre
        Of the picture, in mm on the detector, right and down of the central ray.
    pixel
        Edge of a pixel on the detector, in mm.
    size
        Width and height in pixels.
    """

    aim: tuple[float, float, float]
    azimuth: float = 0.0
    elevation: float = 0.0
    roll: float = 0.0
    mirrored: bool = False
    source: float = 1000.0
    detector: float = 150.0
    centre: tuple[float, float] = (0.0, 0.0)
    pixel: float = 1.2
    size: tuple[int, int] = (320, 320)

    def axes(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the directions of the beam, of the picture's right and of its lower edge."""
        turn, lean, roll = np.deg2rad([self.azimuth, self.elevation, self.roll])
        level = np.array([np.sin(turn), -np.cos(turn), 0.0])
        head = np.array([0.0, 0.0, 1.0])
        beam = np.cos(lean) * level - np.sin(lean) * head
        up = np.cos(lean) * head + np.sin(lean) * level
        right = np.cross(beam, up)
        if self.mirrored:
            right = -right
        return (
            beam,
            np.cos(roll) * right - np.sin(roll) * up,
            -(np.cos(roll) * up + np.sin(roll) * right),
        )

    def tube(self) -> NDArray[np.float64]:
        """Return where the rays start, in mm."""
        return np.asarray(np.array(self.aim) - self.axes()[0] * self.source)

    def rays(self) -> NDArray[np.float64]:
        """Return the matrix that makes (column, row, 1) the vector from the tube to the pixel."""
        beam, right, down = self.axes()
        corner = (
            beam * (self.source + self.detector)
            + right * (self.centre[0] - (self.size[0] - 1) / 2 * self.pixel)
            + down * (self.centre[1] - (self.size[1] - 1) / 2 * self.pixel)
        )
        return np.stack([right * self.pixel, down * self.pixel, corner], axis=1)

    def pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where `points` (N, 3) in mm are seen: (N, 2), column and row."""
        seen = (points - self.tube()) @ np.linalg.inv(self.rays()).T
        return np.asarray(seen[:, :2] / seen[:, 2:])

    def at(self, pixel: float, size: tuple[int, int], centre: tuple[float, float]) -> Self:
        """Return the same tube with another detector field."""
        return replace(self, pixel=pixel, size=size, centre=centre)


def project(volume: Volume, camera: Camera) -> NDArray[np.float32]:
    """Return the ray sums, float32 (H, W, 2): mm of water, and mm of bone in excess of it."""
    axis, homographies = _sweep(volume, camera)
    slices, _ = volume.slices(axis)
    total = np.zeros((camera.size[1], camera.size[0], 2), dtype=np.float32)
    for one, homography in zip(slices, homographies, strict=True):
        if one.any():
            total += cv2.warpPerspective(
                one, homography, camera.size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            )
    rays = camera.rays()
    columns, rows = np.meshgrid(np.arange(camera.size[0]), np.arange(camera.size[1]))
    vectors = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ rays.T
    # A ray that leans passes more of each slice.
    length = volume.spacing * np.linalg.norm(vectors, axis=-1) / np.abs(vectors[..., axis])
    return np.asarray(total * length[..., None], dtype=np.float32)


def shadows(volume: Volume, camera: Camera) -> dict[str, NDArray[np.bool_]]:
    """Return for each structure of `volume` where it is seen, bool (H, W)."""
    axis, homographies = _sweep(volume, camera)
    _, slices = volume.slices(axis)
    width, height = camera.size
    seen = np.zeros((256, width * height), dtype=bool)
    # Every other slice: no structure is thinner.
    for one, homography in zip(slices[::2], homographies[::2], strict=True):
        if one.any():
            values = cv2.warpPerspective(
                one, homography, camera.size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
            ).ravel()
            pixels = np.flatnonzero(values)
            seen[values[pixels], pixels] = True
    return {
        name: seen[value].reshape(height, width)
        for value, name in volume.names.items()
        if seen[value].any()
    }


def _sweep(volume: Volume, camera: Camera) -> tuple[int, NDArray[np.float64]]:
    """Return the axis across which to cut, and for each slice (S, 3, 3) from pixel to voxel."""
    axis = int(np.argmax(np.abs(camera.axes()[0])))
    row, column = (other for other in range(3) if other != axis)
    tube = (camera.tube() - volume.origin) / volume.spacing
    rays = camera.rays()
    depth = np.arange(volume.labels.shape[axis]) - tube[axis]
    return axis, np.stack(
        [
            tube[column] * rays[axis] + depth[:, None] * rays[column],
            tube[row] * rays[axis] + depth[:, None] * rays[row],
            np.broadcast_to(rays[axis], (len(depth), 3)),
        ],
        axis=1,
    )
