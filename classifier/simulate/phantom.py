"""Procedural bodies of capsules and ellipsoids, with exact labels: nothing external is needed.

They look like sketches, and are for demonstrations and tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.errors import SimulationError
from classifier.simulate.volume import Volume, matter_of

_MUSCLE: Final = 45.0
_CORTEX: Final = 1100.0
_MARROW: Final = 180.0
_Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Solid:
    """A capsule from `start` to `end`, in mm; flattened where `radii` are three.

    Attributes
    ----------
    name
        Of the structure; empty for soft tissue around.
    radii
        Across (right), deep (front) and along (head), in mm.
    shell
        Of cortical bone, in mm; 0 for soft tissue.
    """

    name: str
    start: _Point
    end: _Point
    radii: _Point
    shell: float = 0.0

    def depth(self, places: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how far inside `places` (..., 3) are, in mm; negative outside."""
        scale = np.array(self.radii, dtype=np.float32)
        start, end = np.array(self.start) / scale, np.array(self.end) / scale
        line = (end - start).astype(np.float32)
        to = places / scale - start.astype(np.float32)
        share = np.clip(to @ line / max(float(line @ line), 1e-9), 0.0, 1.0)
        distance = np.linalg.norm(to - share[..., None] * line, axis=-1)
        return np.asarray((1.0 - distance) * scale.min(), dtype=np.float32)


def phantom(kind: str) -> Volume:
    """Return the phantom of that name: one of `KINDS`.

    Raises
    ------
    SimulationError
        There is no such phantom.
    """
    if kind not in KINDS:
        raise SimulationError(
            "--phantom", f"'{kind}'", "one of " + ", ".join(KINDS), "Name one of these."
        )
    solids, spacing = KINDS[kind]
    return cast(solids(), spacing)


def cast(solids: Sequence[Solid], spacing: float) -> Volume:
    """Return the volume of `solids`, of which later ones replace earlier ones."""
    ends = np.array([[solid.start, solid.end] for solid in solids])
    radii = np.array([solid.radii for solid in solids])
    low = (ends.min(axis=1) - radii).min(axis=0) - 2 * spacing
    high = (ends.max(axis=1) + radii).max(axis=0) + 2 * spacing
    shape = tuple(int(n) for n in np.ceil((high - low) / spacing) + 1)
    hounsfield = np.full(shape, -1000.0, dtype=np.float32)
    labels = np.zeros(shape, dtype=np.uint8)
    named = dict.fromkeys(solid.name for solid in solids if solid.name)
    names = dict(enumerate(named, start=1))
    values = {name: value for value, name in names.items()}
    for solid, (start, end) in zip(solids, ends, strict=True):
        first = np.floor((np.minimum(start, end) - solid.radii - low) / spacing).astype(int)
        last = np.ceil((np.maximum(start, end) + solid.radii - low) / spacing).astype(int) + 1
        box = tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))
        grid = np.stack(np.meshgrid(*[np.arange(s.start, s.stop) for s in box], indexing="ij"), -1)
        depth = solid.depth((grid * spacing + low).astype(np.float32))
        inside = depth > 0
        if solid.shell:
            content = np.where(depth < solid.shell, _CORTEX, _MARROW)
        else:
            content = np.full(depth.shape, _MUSCLE)
        hounsfield[box][inside] = content[inside]
        if solid.name:
            labels[box][inside] = values[solid.name]
    return Volume(matter_of(hounsfield), labels, names, spacing, np.asarray(low))


def _hand() -> list[Solid]:
    """Return a left hand, its palm to the front, its fingers up."""
    bones: list[Solid] = []
    flesh: list[Solid] = []

    def bone(name: str, start: _Point, end: _Point, radius: float, around: float) -> None:
        bones.append(Solid(name, start, end, (radius, radius, radius), 1.4))
        # The ends of a long bone are wider than its shaft.
        for point in (start, end):
            bones.append(Solid(name, point, point, (1.35 * radius,) * 3, 0.8))
        flesh.append(Solid("", start, end, (around, around, around)))

    # Index to little finger: how far across, the metacarpal's length, those of the phalanges.
    rays: tuple[tuple[float, float, _Point], ...] = (
        (-24.0, 58.0, (30.0, 18.0, 13.0)),
        (-8.0, 60.0, (34.0, 22.0, 15.0)),
        (7.0, 56.0, (31.0, 20.0, 15.0)),
        (21.0, 50.0, (25.0, 15.0, 13.0)),
    )
    for number, (across, length, phalanges) in enumerate(rays, start=2):
        spread = across * 0.35
        bone(
            f"metacarpal_{number}",
            (across * 0.6, 0.0, 28.0),
            (across, 0.0, 28.0 + length),
            3.6,
            10.5,
        )
        along, place = 28.0 + length + 9.0, across
        for joint, one in enumerate(phalanges, start=1):
            tip = place + spread * one / 90
            radius = 3.6 - 0.5 * joint
            bone(
                f"phalanx_{number}_{joint}",
                (place, 0.0, along),
                (tip, 0.0, along + one),
                radius,
                8.5,
            )
            along, place = along + one + 7.0, tip
    bone("metacarpal_1", (-22.0, 6.0, 24.0), (-44.0, 12.0, 58.0), 4.0, 11.0)
    bone("phalanx_1_1", (-48.0, 13.0, 67.0), (-60.0, 14.0, 92.0), 3.6, 9.5)
    bone("phalanx_1_2", (-62.0, 14.0, 100.0), (-69.0, 14.0, 118.0), 3.0, 9.0)
    for number in range(8):
        across, along = -15.0 + 10.5 * (number % 4), 6.0 + 11.0 * (number // 4)
        bones.append(
            Solid("carpal_bones", (across, 0.0, along), (across, 0.0, along), (6.2, 6.5, 6.2), 1.0)
        )
    bone("radius", (-9.0, 0.0, -14.0), (-7.0, 0.0, -90.0), 6.5, 22.0)
    bone("ulna", (12.0, -2.0, -12.0), (10.0, 0.0, -90.0), 4.8, 18.0)
    palm = [
        Solid("", (-12.0, 0.0, 20.0), (-6.0, 0.0, 80.0), (26.0, 12.0, 14.0)),
        Solid("", (8.0, 0.0, 20.0), (6.0, 0.0, 74.0), (24.0, 12.0, 14.0)),
        Solid("", (0.0, 0.0, -95.0), (0.0, 0.0, 22.0), (28.0, 17.0, 20.0)),
    ]
    return [*palm, *flesh, *bones]


def _knee() -> list[Solid]:
    """Return a left leg from the middle of the thigh to that of the lower leg."""
    return [
        Solid("", (0.0, -8.0, 0.0), (8.0, -8.0, 190.0), (62.0, 68.0, 60.0)),
        Solid("", (0.0, -12.0, -190.0), (0.0, -8.0, 0.0), (50.0, 56.0, 50.0)),
        Solid("femur_left", (0.0, 0.0, 40.0), (14.0, 0.0, 190.0), (14.0, 14.0, 14.0), 5.0),
        Solid("femur_left", (0.0, -2.0, 30.0), (0.0, -2.0, 55.0), (26.0, 20.0, 22.0), 2.5),
        Solid("knee_condyle", (22.0, -6.0, 22.0), (20.0, -6.0, 30.0), (20.0, 27.0, 20.0), 2.0),
        Solid("knee_condyle", (-22.0, -6.0, 22.0), (-20.0, -6.0, 30.0), (20.0, 27.0, 20.0), 2.0),
        Solid("tibia", (0.0, -2.0, -40.0), (-2.0, 0.0, -190.0), (13.0, 14.0, 13.0), 5.0),
        Solid("tibia", (0.0, -2.0, -24.0), (0.0, -2.0, -46.0), (27.0, 20.0, 14.0), 2.5),
        Solid("knee_plateau", (-18.0, -5.0, -13.0), (18.0, -5.0, -13.0), (20.0, 24.0, 11.0), 2.0),
        Solid("fibula", (-34.0, -18.0, -30.0), (-30.0, -14.0, -190.0), (6.5, 6.5, 6.5), 2.2),
        Solid("fibula", (-35.0, -18.0, -28.0), (-35.0, -18.0, -38.0), (10.0, 10.0, 10.0), 1.5),
        Solid("knee_patella", (0.0, 36.0, 22.0), (0.0, 36.0, 30.0), (19.0, 9.0, 17.0), 2.0),
    ]


def _trunk() -> list[Solid]:
    """Return a body from the lower chest to the thighs, with the names of a CT label map."""
    solids = [
        Solid("", (-60.0, 0.0, -60.0), (-60.0, 0.0, 240.0), (105.0, 95.0, 60.0)),
        Solid("", (60.0, 0.0, -60.0), (60.0, 0.0, 240.0), (105.0, 95.0, 60.0)),
        Solid("liver", (70.0, 10.0, 190.0), (20.0, 25.0, 205.0), (65.0, 60.0, 50.0)),
        Solid("kidney_right", (60.0, -35.0, 110.0), (66.0, -35.0, 140.0), (26.0, 22.0, 28.0)),
        Solid("kidney_left", (-60.0, -35.0, 118.0), (-66.0, -35.0, 148.0), (26.0, 22.0, 28.0)),
        Solid("urinary_bladder", (0.0, 25.0, -55.0), (0.0, 25.0, -50.0), (42.0, 34.0, 30.0)),
    ]
    levels = ("L5", "L4", "L3", "L2", "L1", "T12", "T11", "T10", "T9")
    for number, level in enumerate(levels):
        along, back = 22.0 + 33.0 * number, -45.0
        wide = 25.0 - 0.9 * number
        name = f"vertebrae_{level}"
        solids += [
            Solid(name, (0.0, back, along - 4), (0.0, back, along + 4), (wide, 19.0, 13.0), 1.8),
            Solid(name, (-32.0, back - 16, along), (32.0, back - 16, along), (7.0, 6.0, 5.0), 1.5),
            Solid(name, (0.0, back - 20, along), (0.0, back - 40, along - 8), (4.0, 8.0, 9.0), 1.5),
        ]
    for side, sign in (("right", 1.0), ("left", -1.0)):
        for number, rib in enumerate((12, 11, 10, 9)):
            along = 22.0 + 33.0 * (5 + number)
            points = (
                (24.0, -62.0, along),
                (90.0, -62.0, along - 14),
                (132.0, -20.0, along - 34),
                (138.0, 20.0, along - 50),
            )[: 2 + number]
            solids += [
                Solid(
                    f"rib_{side}_{rib}",
                    (sign * a[0], a[1], a[2]),
                    (sign * b[0], b[1], b[2]),
                    (5.0, 4.0, 6.0),
                    1.4,
                )
                for a, b in pairwise(points)
            ]
        hip = f"hip_{side}"
        solids += [
            Solid(hip, (sign * 50, -45.0, 0.0), (sign * 112, 5.0, 40.0), (16.0, 20.0, 34.0), 2.0),
            Solid(hip, (sign * 60, -30.0, -20.0), (sign * 84, 0.0, -52.0), (17.0, 18.0, 20.0), 2.0),
            Solid(hip, (sign * 76, 10.0, -62.0), (sign * 8, 42.0, -92.0), (9.0, 9.0, 9.0), 2.0),
            Solid(
                hip, (sign * 74, -12.0, -70.0), (sign * 52, -18.0, -124.0), (12.0, 13.0, 12.0), 2.0
            ),
            Solid(hip, (sign * 52, -16.0, -122.0), (sign * 10, 36.0, -102.0), (8.0, 8.0, 8.0), 2.0),
            Solid("", (sign * 76, 0.0, -250.0), (sign * 80, 0.0, -80.0), (78.0, 78.0, 70.0)),
        ]
    for side, sign in (("right", 1.0), ("left", -1.0)):
        joint = f"hip_joint_{side}"
        solids += [
            Solid(joint, (sign * 90, 0.0, -66.0), (sign * 91, 0.0, -66.0), (23.0, 23.0, 23.0), 1.8),
            Solid(
                joint, (sign * 96, 0.0, -72.0), (sign * 124, 0.0, -102.0), (15.0, 15.0, 15.0), 2.0
            ),
            Solid(
                joint, (sign * 132, -4.0, -92.0), (sign * 128, 0.0, -118.0), (13.0, 14.0, 13.0), 2.0
            ),
            Solid(
                f"femur_{side}",
                (sign * 124, 0.0, -126.0),
                (sign * 104, 0.0, -300.0),
                (14.0,) * 3,
                5.0,
            ),
        ]
    bones = [solid for solid in solids if solid.shell]
    sacrum = Solid("sacrum", (0.0, -52.0, -6.0), (0.0, -74.0, -62.0), (38.0, 16.0, 24.0), 2.0)
    return [*(solid for solid in solids if not solid.shell), *bones, sacrum]


# What stands behind each name, and the edge of its voxels in mm.
KINDS: Final[dict[str, tuple[Callable[[], list[Solid]], float]]] = {
    "hand": (_hand, 0.8),
    "knee": (_knee, 1.6),
    "trunk": (_trunk, 2.5),
}
