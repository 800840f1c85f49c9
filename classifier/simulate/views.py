"""`Recipe`: what a view aims at and from where; `RECIPES`, those known by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.errors import SimulationError
from classifier.simulate.projector import Camera, shadows
from classifier.simulate.volume import Volume

# The field on which frames are found: large enough for a trunk, in pixels of so many mm.
_WIDE: Final = (200, 200)
_WIDE_MM: Final = 5.0
_TRIES: Final = 40


@dataclass(frozen=True, slots=True)
class Recipe:
    """A view, and how much it varies.

    Attributes
    ----------
    name
        By which it is asked for.
    examined
        SCTID of what it aims at.
    view
        The word for it: AP, PA, lateral, oblique.
    aim
        Regular expression of the structures that the frame is laid around.
    margin
        Least and largest ratio of the frame to the shadow of `aim`, across and along.
    azimuths
        Of which one is drawn; ± `sway` degrees.
    elevations
        Least and largest.
    laterality
        ``L`` or ``R`` for one side of the body.
    keep
        So much of the shadow of `aim` is in the frame at least.
    part
        Top and bottom of the part of the shadow of `aim` that counts, as shares of its height.
    """

    name: str
    examined: str
    view: str
    aim: str
    margin: tuple[tuple[float, float], tuple[float, float]]
    azimuths: tuple[float, ...] = (0.0,)
    sway: float = 8.0
    elevations: tuple[float, float] = (-8.0, 8.0)
    laterality: str = ""
    keep: float = 0.6
    part: tuple[float, float] = (0.0, 1.0)


_LATERAL: Final = (90.0, 270.0)
_OBLIQUE: Final = (-45.0, -35.0, 35.0, 45.0, 140.0, 220.0)
_TRUNK: Final = r"(hip|sacrum|vertebrae|liver|spleen|kidney|colon|rib).*"
_HAND: Final = r"(phalanx|metacarpal|carpal)_\w+"
_LUMBAR: Final = r"vertebrae_(L\d|S1)"
RECIPES: Final = {
    recipe.name: recipe
    for recipe in (
        Recipe("abdomen-ap", "818981001", "AP", _TRUNK, ((0.8, 1.3), (0.8, 1.1)), (0.0,)),
        Recipe("abdomen-pa", "818981001", "PA", _TRUNK, ((0.8, 1.3), (0.8, 1.1)), (180.0,)),
        Recipe(
            "abdomen-lateral", "818981001", "lateral", _TRUNK, ((0.9, 1.4), (0.75, 1.0)), _LATERAL
        ),
        Recipe(
            "pelvis-ap",
            "816092008",
            "AP",
            r"(hip|sacrum|hip_joint)_?\w*",
            ((0.95, 1.3), (0.95, 1.4)),
            (0.0,),
        ),
        Recipe(
            "pelvis-oblique",
            "816092008",
            "oblique",
            r"(hip|sacrum|hip_joint)_?\w*",
            ((0.95, 1.3), (0.95, 1.4)),
            (-40.0, 40.0),
        ),
        Recipe(
            "hip-ap-left",
            "29836001",
            "AP",
            r"hip_joint_left",
            ((1.5, 3.2), (1.5, 3.4)),
            (0.0,),
            laterality="L",
        ),
        Recipe(
            "hip-ap-right",
            "29836001",
            "AP",
            r"hip_joint_right",
            ((1.5, 3.2), (1.5, 3.4)),
            (0.0,),
            laterality="R",
        ),
        Recipe(
            "hip-oblique-left",
            "29836001",
            "oblique",
            r"hip_joint_left",
            ((1.5, 3.2), (1.5, 3.4)),
            (-40.0, 40.0),
            laterality="L",
        ),
        Recipe(
            "hip-oblique-right",
            "29836001",
            "oblique",
            r"hip_joint_right",
            ((1.5, 3.2), (1.5, 3.4)),
            (-40.0, 40.0),
            laterality="R",
        ),
        Recipe("lumbar-ap", "122496007", "AP", _LUMBAR, ((1.1, 2.6), (0.9, 1.25)), (0.0, 180.0)),
        Recipe(
            "lumbar-lateral", "122496007", "lateral", _LUMBAR, ((0.9, 1.9), (0.85, 1.25)), _LATERAL
        ),
        Recipe(
            "lumbar-oblique", "122496007", "oblique", _LUMBAR, ((1.1, 2.2), (0.9, 1.25)), _OBLIQUE
        ),
        Recipe(
            "lumbosacral-lateral",
            "122496007",
            "lateral",
            r"vertebrae_(L[45]|S1)|sacrum",
            ((1.0, 1.6), (0.9, 1.3)),
            _LATERAL,
        ),
        Recipe(
            "thoracolumbar-ap",
            "1217256009",
            "AP",
            r"vertebrae_(T1[12]|L[123])",
            ((1.2, 2.6), (0.95, 1.3)),
            (0.0,),
        ),
        Recipe(
            "thoracolumbar-lateral",
            "1217256009",
            "lateral",
            r"vertebrae_(T1[12]|L[123])",
            ((1.0, 1.9), (0.95, 1.3)),
            _LATERAL,
        ),
        Recipe(
            "sacrum-ap",
            "54735007",
            "AP",
            r"sacrum|vertebrae_S1",
            ((1.2, 2.0), (1.1, 1.8)),
            (0.0,),
            elevations=(-20.0, 0.0),
        ),
        Recipe(
            "sacrum-lateral",
            "54735007",
            "lateral",
            r"sacrum|vertebrae_S1",
            ((1.1, 2.0), (1.1, 1.7)),
            _LATERAL,
        ),
        Recipe(
            "thigh-ap-left",
            "68367000",
            "AP",
            r"femur_left",
            ((1.0, 1.5), (0.9, 1.15)),
            (0.0,),
            laterality="L",
        ),
        Recipe(
            "thigh-ap-right",
            "68367000",
            "AP",
            r"femur_right",
            ((1.0, 1.5), (0.9, 1.15)),
            (0.0,),
            laterality="R",
        ),
        Recipe("hand-pa", "85562004", "PA", _HAND, ((1.05, 1.4), (0.95, 1.15)), (180.0,)),
        Recipe(
            "hand-oblique",
            "85562004",
            "oblique",
            _HAND,
            ((1.05, 1.5), (0.95, 1.15)),
            (140.0, 220.0),
        ),
        Recipe("wrist-pa", "8205005", "PA", r"carpal_bones", ((1.6, 2.6), (2.4, 5.0)), (180.0,)),
        Recipe("knee-ap", "72696002", "AP", r"knee_\w+", ((1.5, 2.4), (1.8, 3.4))),
        Recipe(
            "knee-lateral", "72696002", "lateral", r"knee_\w+", ((1.5, 2.4), (1.8, 3.4)), _LATERAL
        ),
        Recipe(
            "skull-ap",
            "89546000",
            "AP",
            r"skull",
            ((1.0, 1.4), (1.0, 1.4)),
            (0.0, 180.0),
            elevations=(-10.0, 15.0),
        ),
        Recipe(
            "skull-towne",
            "89546000",
            "AP",
            r"skull",
            ((1.0, 1.4), (1.0, 1.4)),
            (0.0,),
            elevations=(25.0, 35.0),
        ),
        Recipe(
            "skull-lateral",
            "89546000",
            "lateral",
            r"skull",
            ((1.0, 1.4), (1.0, 1.4)),
            _LATERAL,
            elevations=(-5.0, 5.0),
        ),
        Recipe(
            "skull-oblique",
            "89546000",
            "oblique",
            r"skull",
            ((1.0, 1.4), (1.0, 1.4)),
            (-45.0, 45.0),
        ),
    )
}


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A camera with its frame laid, and what falls where on the wide field.

    Attributes
    ----------
    camera
        For the picture.
    shadows
        Of every structure on the wide field, bool (200, 200).
    frame
        bool (200, 200): what of the wide field is in the picture.
    """

    camera: Camera
    shadows: dict[str, NDArray[np.bool_]]
    frame: NDArray[np.bool_]


def recipes_for(volume: Volume, patterns: Sequence[str] = ()) -> tuple[Recipe, ...]:
    """Return the recipes whose aim `volume` has; of those, where `patterns` name some, these.

    Raises
    ------
    SimulationError
        A pattern names no recipe, or none that this volume can be used for.
    """
    from fnmatch import fnmatchcase

    possible = tuple(
        recipe
        for recipe in RECIPES.values()
        if volume.box(_matching(volume.names.values(), recipe.aim)) is not None
    )
    for pattern in patterns:
        if not any(fnmatchcase(recipe.name, pattern) for recipe in possible):
            raise SimulationError(
                "--views",
                f"'{pattern}'",
                "views of this volume: " + ", ".join(recipe.name for recipe in possible),
                "Name one of them, or several with *.",
            )
    return tuple(
        recipe
        for recipe in possible
        if not patterns or any(fnmatchcase(recipe.name, pattern) for pattern in patterns)
    )


def shoot(volume: Volume, recipe: Recipe, rng: np.random.Generator, *, pixels: int = 320) -> Shot:
    """Return a camera for `recipe`, drawn from `rng`; its picture is `pixels` long.

    Raises
    ------
    SimulationError
        The volume has nothing to aim at, or is cut off too near to it.
    """
    centre = _centre(volume, recipe)
    for _ in range(_TRIES):
        azimuth = float(rng.choice(recipe.azimuths))
        wide = Camera(
            aim=tuple(centre),
            azimuth=azimuth + rng.uniform(-recipe.sway, recipe.sway),
            elevation=rng.uniform(*recipe.elevations),
            roll=float(np.clip(rng.normal(0.0, 3.0), -12.0, 12.0)),
            # From behind, and half of the lateral ones: the other way round.
            mirrored=90 < azimuth % 360 < 270
            if recipe.view != "lateral"
            else bool(rng.random() < 0.5),
            source=rng.uniform(750.0, 1700.0),
            detector=rng.uniform(80.0, 260.0),
            pixel=_WIDE_MM,
            size=_WIDE,
        )
        seen = shadows(volume, wide)
        box = _frame(volume, recipe, wide, seen, rng)
        if box is not None:
            return _shot(wide, seen, box, pixels)
    raise SimulationError(
        f"view '{recipe.name}'",
        "no frame fits into the volume",
        f"a volume that holds {recipe.aim} whole, with some room around",
        "Leave this view out for this volume.",
    )


def _matching(names: Iterable[str], aim: str) -> list[str]:
    return [name for name in names if re.fullmatch(aim, name)]


def _centre(volume: Volume, recipe: Recipe) -> NDArray[np.float64]:
    found = volume.box(_matching(volume.names.values(), recipe.aim))
    if found is None:
        raise SimulationError(
            f"view '{recipe.name}'",
            "nothing to aim at",
            f"a volume with {recipe.aim}",
            "Leave this view out for this volume.",
        )
    return np.asarray((found[0] + found[1]) / 2)


def _frame(
    volume: Volume,
    recipe: Recipe,
    wide: Camera,
    seen: dict[str, NDArray[np.bool_]],
    rng: np.random.Generator,
) -> tuple[float, float, float, float] | None:
    """Return left, top, right, bottom in pixels of the wide field; `None` where nothing fits."""
    aim = np.any([seen[name] for name in _matching(seen, recipe.aim)], axis=0)
    rows, columns = np.flatnonzero(aim.any(axis=1)), np.flatnonzero(aim.any(axis=0))
    top, height = float(rows[0]), float(rows[-1] - rows[0] + 1)
    top, height = top + recipe.part[0] * height, (recipe.part[1] - recipe.part[0]) * height
    left, width = float(columns[0]), float(columns[-1] - columns[0] + 1)
    across, along = (rng.uniform(*one) for one in recipe.margin)
    middle = left + width / 2 + rng.normal(0.0, 0.05) * width
    centre = top + height / 2 + rng.normal(0.0, 0.05) * height
    wanted = (width * across, height * along)
    # No film is longer than twice its width.
    wanted = (max(wanted[0], wanted[1] / 2), max(wanted[1], wanted[0] / 2))
    box = [
        middle - wanted[0] / 2,
        centre - wanted[1] / 2,
        middle + wanted[0] / 2,
        centre + wanted[1] / 2,
    ]
    if volume.room is not None:
        valid = _valid_rows(volume, volume.room, wide, box)
        if not valid[int(np.clip(centre, 0, len(valid) - 1))]:
            return None
        ends = np.flatnonzero(~valid)
        above, below = ends[ends < centre], ends[ends > centre]
        if len(above):
            box[1] = max(box[1], float(above[-1] + 1))
        if len(below):
            box[3] = min(box[3], float(below[0]))
        if (box[2] - box[0]) > 2.0 * (box[3] - box[1]):
            return None
    inside = _mask(box)
    shown = np.count_nonzero(aim & inside) / np.count_nonzero(aim)
    return (box[0], box[1], box[2], box[3]) if shown >= recipe.keep else None


def _valid_rows(
    volume: Volume, room: tuple[float, float], wide: Camera, box: Sequence[float]
) -> NDArray[np.bool_]:
    """Return for every row whether all its rays stay between the cut ends of the body."""
    low = volume.origin[2]
    high = low + (volume.labels.shape[2] - 1) * volume.spacing
    half = max(volume.labels.shape[:2]) * volume.spacing / 2.6
    rows = np.arange(wide.size[1])
    tube, rays = wide.tube(), wide.rays()
    valid = np.ones(len(rows), dtype=bool)
    for column in (box[0], box[2]):
        points = np.stack([np.full(len(rows), column), rows, np.ones(len(rows))]) * 1.0
        vectors = (rays @ points).T
        reach = vectors @ wide.axes()[0]
        # Halfway through the body, little of what was added may be seen.
        for depth, share in ((-half, 0.0), (0.0, 0.9), (half, 0.0)):
            z = tube[2] + vectors[:, 2] * (wide.source + depth) / reach
            valid &= (z >= low + share * room[0]) & (z <= high - share * room[1])
    return valid


def _mask(box: Sequence[float]) -> NDArray[np.bool_]:
    columns, rows = np.meshgrid(np.arange(_WIDE[0]), np.arange(_WIDE[1]))
    return np.asarray((columns >= box[0]) & (columns < box[2]) & (rows >= box[1]) & (rows < box[3]))


def _shot(
    wide: Camera,
    seen: dict[str, NDArray[np.bool_]],
    box: tuple[float, float, float, float],
    pixels: int,
) -> Shot:
    width, height = box[2] - box[0], box[3] - box[1]
    scale = pixels / max(width, height)
    size = (round(width * scale), round(height * scale))
    centre = (
        ((box[0] + box[2]) / 2 - _WIDE[0] / 2) * _WIDE_MM,
        ((box[1] + box[3]) / 2 - _WIDE[1] / 2) * _WIDE_MM,
    )
    camera = replace(wide, pixel=_WIDE_MM / scale, size=size, centre=centre)
    return Shot(camera, seen, _mask(box))
