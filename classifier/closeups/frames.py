"""Frames around landmarks: what a radiograph of one part would show, and what is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import hypot
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.closeups.landmarks import CHAINS, Chain, Landmark

_Point = NDArray[np.float64]
# Stands for the place where a bone leaves the picture, in the tables below.
_BEFORE, _AFTER = "before", "after"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a part is framed.

    Attributes
    ----------
    name
        Of the part; the pictures' names begin with it.
    code
        Its SCTID, the examined part of the picture.
    start, end
        Landmarks: the frame's axis runs from one to the other, and their distance is its unit.
    at
        Where the middle of the frame lies on the axis, least and largest: 0 at `start`, 1 at `end`.
    length, width
        Least and largest, along the axis and across.
    over
        Probability that what lies outwards is hung upwards, as fingers are.
    upright
        Whether the picture's own edges stay the frame's: bodies are not turned.
    """

    name: str
    code: str
    start: str
    end: str
    at: tuple[float, float]
    length: tuple[float, float]
    width: tuple[float, float]
    over: float = 0.0
    upright: bool = False

    @property
    def limb(self) -> bool:
        """Whether it is a limb's: those may lie askew on the detector."""
        return not self.upright and self.start not in CHAINS["spine"]


# Sides of frames are those of collimated radiographs of adults: a finger 10 cm long and 3 to 7
# wide, a wrist 10 to 18 by 8 to 15, a knee 18 to 32 by 15 to 26, in units of the bones beside.
RECIPES: Final = (
    Recipe("finger", "7569003", "knuckle", "fingertip", (0.55, 0.55), (0.9, 1.6), (0.4, 1.0), 0.6),
    Recipe("thumb", "76505004", "wrist", "thumb", (0.68, 0.68), (0.7, 1.05), (0.4, 0.75), 0.6),
    Recipe("hand", "85562004", "wrist", "fingertip", (0.5, 0.5), (1.1, 1.45), (0.75, 1.15), 0.6),
    Recipe("wrist", "8205005", "wrist", "fingertip", (0.06, 0.06), (0.55, 0.95), (0.45, 0.8), 0.5),
    Recipe("wrist", "8205005", "elbow", "wrist", (1.04, 1.04), (0.4, 0.7), (0.32, 0.55), 0.5),
    Recipe("wrist", "8205005", _BEFORE, "wrist", (1.04, 1.04), (0.7, 1.3), (0.6, 1.1), 0.5),
    Recipe("forearm", "14975008", "elbow", "wrist", (0.35, 0.65), (0.8, 1.35), (0.35, 0.75), 0.4),
    Recipe("elbow", "127949000", "elbow", "wrist", (0.04, 0.04), (0.55, 1.0), (0.5, 0.9), 0.3),
    Recipe("elbow", "127949000", "shoulder", "elbow", (0.97, 0.97), (0.5, 0.85), (0.45, 0.8), 0.3),
    Recipe("elbow", "127949000", "elbow", _AFTER, (0, 0), (0.8, 1.6), (0.7, 1.4), 0.3),
    Recipe("elbow", "127949000", _BEFORE, "elbow", (1, 1), (0.8, 1.6), (0.7, 1.4), 0.3),
    Recipe("upper-arm", "40983000", "shoulder", "elbow", (0.35, 0.65), (0.8, 1.3), (0.4, 0.8)),
    Recipe("shoulder", "16982005", "shoulder", "elbow", (0.08, 0.08), (0.6, 0.95), (0.6, 0.95)),
    Recipe("shoulder", "16982005", "shoulder", _AFTER, (0.05, 0.05), (0.9, 1.5), (0.9, 1.5)),
    Recipe(
        "shoulder",
        "16982005",
        "clavicle-medial",
        "clavicle-lateral",
        (1.05, 1.05),
        (1.0, 1.5),
        (1.0, 1.5),
        upright=True,
    ),
    Recipe(
        "clavicle",
        "51299004",
        "clavicle-medial",
        "clavicle-lateral",
        (0.52, 0.52),
        (1.1, 1.5),
        (0.55, 1.0),
        upright=True,
    ),
    Recipe("hip", "29836001", "hip", "knee", (0.03, 0.03), (0.45, 0.8), (0.4, 0.7)),
    Recipe("hip", "29836001", "hip", _AFTER, (0.05, 0.05), (0.9, 1.6), (0.8, 1.4)),
    Recipe("thigh", "68367000", "hip", "knee", (0.35, 0.65), (0.8, 1.25), (0.4, 0.7)),
    Recipe("knee", "72696002", "knee", "ankle", (0.02, 0.02), (0.45, 0.8), (0.38, 0.65)),
    Recipe("knee", "72696002", "hip", "knee", (0.99, 0.99), (0.4, 0.75), (0.35, 0.6)),
    Recipe("knee", "72696002", "knee", _AFTER, (0, 0), (0.9, 1.7), (0.75, 1.3)),
    Recipe("knee", "72696002", _BEFORE, "knee", (1, 1), (0.9, 1.7), (0.75, 1.3)),
    Recipe("lower-leg", "30021000", "knee", "ankle", (0.35, 0.65), (0.8, 1.3), (0.35, 0.65)),
    Recipe("ankle", "344001", "knee", "ankle", (0.97, 0.97), (0.4, 0.65), (0.33, 0.55)),
    Recipe("ankle", "344001", _BEFORE, "ankle", (0.97, 0.97), (0.7, 1.4), (0.6, 1.1)),
    Recipe("foot", "56459004", "ankle", "toes", (0.52, 0.52), (1.15, 1.45), (0.6, 0.95), 0.3),
    Recipe("foot", "56459004", "heel", "toes", (0.5, 0.5), (1.1, 1.3), (0.5, 0.8), 0.3),
    Recipe("cervical", "122494005", "skull-base", "c7-t1", (0.5, 0.5), (1.1, 1.5), (0.8, 1.2)),
    Recipe("thoracic", "122495006", "c7-t1", "t12-l1", (0.5, 0.5), (0.95, 1.2), (0.35, 0.6)),
    Recipe("lumbar", "122496007", "t12-l1", "l5-s1", (0.5, 0.5), (1.15, 1.6), (0.6, 1.0)),
)
# Both hips in the picture, and nothing to measure them by but their distance.
_HIP_OF_PELVIS: Final = Recipe(
    "hip", "29836001", "hip", "hip", (0, 0), (0.9, 1.5), (0.9, 1.5), upright=True
)
# What lies between two landmarks, and what a single one is. Both hips show 816092008 |Pelvis|.
_BONES: Final[Mapping[tuple[str, str], str]] = {
    ("shoulder", "elbow"): "40983000",
    ("elbow", "wrist"): "14975008",
    ("wrist", "knuckle"): "85562004",
    ("knuckle", "fingertip"): "7569003",
    ("wrist", "fingertip"): "85562004",
    ("hip", "knee"): "68367000",
    ("knee", "ankle"): "30021000",
    ("ankle", "toes"): "56459004",
    ("skull-base", "c7-t1"): "122494005",
    ("c7-t1", "t12-l1"): "122495006",
    ("t12-l1", "l5-s1"): "122496007",
    ("clavicle-medial", "clavicle-lateral"): "51299004",
    (_BEFORE, "elbow"): "40983000",
    (_BEFORE, "wrist"): "14975008",
    (_BEFORE, "knee"): "68367000",
    (_BEFORE, "ankle"): "30021000",
    ("shoulder", _AFTER): "40983000",
    ("elbow", _AFTER): "14975008",
    ("hip", _AFTER): "68367000",
    ("knee", _AFTER): "30021000",
}
_JOINTS: Final[Mapping[str, str]] = {
    "shoulder": "16982005",
    "elbow": "127949000",
    "wrist": "8205005",
    "thumb": "76505004",
    "hip": "29836001",
    "knee": "72696002",
    "ankle": "344001",
}
# So much of a bone has to be in the frame, and to be so long in it, in frames' longer sides.
_SHARE: Final = 0.4
_REACH: Final = 0.15
# Of the limbs that are turned, so many are turned askew.
_ASKEW: Final = 0.2
# A joint at the very edge is not seen.
_EDGE: Final = 0.04


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A rectangle on a picture, which may be turned, and how it is hung.

    Attributes
    ----------
    corner, down, across
        In pixels, x and y: the upper left corner of what is shown, and its two sides.
    """

    recipe: Recipe
    corner: _Point
    across: _Point
    down: _Point

    @property
    def size(self) -> tuple[float, float]:
        """Return width and height in pixels of the picture."""
        return float(hypot(*self.across)), float(hypot(*self.down))

    def inside(self, points: _Point, edge: float = 0.0) -> NDArray[np.bool_]:
        """Return which of `points` (N, 2) lie within, and `edge` of the sides away from them."""
        sides = np.stack([self.across, self.down], axis=1)
        at = np.linalg.solve(sides, (points - self.corner).T)
        found: NDArray[np.bool_] = np.all((at >= edge) & (at <= 1 - edge), axis=0)
        return found

    def covered(self, width: int, height: int) -> float:
        """Return which share of the frame lies on a picture of `width` by `height` pixels."""
        steps = (np.arange(16) + 0.5) / 16
        grid = self.corner + (
            steps[:, None, None] * self.across + steps[None, :, None] * self.down
        ).reshape(-1, 2)
        return float(np.mean(np.all((grid >= 0) & (grid <= (width, height)), axis=1)))


def recipes_for(chains: Sequence[Chain]) -> Iterator[tuple[Recipe, Landmark, Landmark]]:
    """Yield the recipes that a picture has the landmarks for, with the ends of each axis."""
    for chain in chains:
        done: set[str] = set()
        for recipe in RECIPES:
            start, end = _landmark(chain, recipe.start), _landmark(chain, recipe.end)
            # The first that fits has the better unit: both ends of a bone before a cut one.
            if (
                start
                and end
                and recipe.name not in done
                and _adjacent(chain, recipe.start, recipe.end)
            ):
                done.add(recipe.name)
                yield recipe, start, end
    hips = [chain.points["hip"] for chain in chains if "hip" in chain.points]
    if len(hips) == 2 and not any("knee" in chain.points for chain in chains):
        for start, end in (hips, hips[::-1]):
            yield _HIP_OF_PELVIS, start, end


def frame(
    recipe: Recipe, start: _Point, end: _Point, rng: np.random.Generator, *, kept: float = 0.4
) -> Frame:
    """Return a frame drawn for `recipe`, whose axis runs from `start` to `end`, in pixels.

    With the probability `kept`, and always where the recipe is `upright`, the picture's own edges
    are the frame's; else the limb is turned upright, or upside down as the recipe has it, or now
    and then lies askew.
    """
    axis = end - start
    unit = float(hypot(*axis))
    length, width = (unit * rng.uniform(*sides) for sides in (recipe.length, recipe.width))
    middle = start + rng.uniform(*recipe.at) * axis + rng.normal(0, 0.04, 2) * min(length, width)
    if recipe.upright or rng.random() < kept:
        lying = abs(axis[0]) > abs(axis[1])
        across, down = (length, width) if lying else (width, length)
        sides = np.array([across, 0.0]), np.array([0.0, down])
    else:
        turn = np.arctan2(axis[1], axis[0])
        if recipe.limb and rng.random() < _ASKEW:
            turn += np.radians(rng.uniform(-60, 60))
            width = max(width, 0.7 * length)
        else:
            turn += np.radians(rng.normal(0, 4)) + np.pi * (rng.random() < recipe.over)
        along = np.array([np.cos(turn), np.sin(turn)])
        sides = width * np.array([along[1], -along[0]]), length * along
    return Frame(recipe, middle - (sides[0] + sides[1]) / 2, *sides)


def visible_parts(frame_: Frame, chains: Sequence[Chain], scale: _Point) -> tuple[str, ...]:
    """Return the SCTIDs of what is in the frame for sure; what is not named may be in it.

    `scale` is the picture's width and height in pixels.
    """
    found = [frame_.recipe.code]
    longer = max(frame_.size)
    hips = 0
    for chain in chains:
        for name, code in _JOINTS.items():
            if name in chain.points and frame_.inside(_at(chain.points[name], scale), _EDGE)[0]:
                found.append(code)
                hips += name == "hip"
        for (start, end), code in _BONES.items():
            first, last = _landmark(chain, start), _landmark(chain, end)
            if first and last and _adjacent(chain, start, end):
                ends = _at(first, scale)[0], _at(last, scale)[0]
                steps = np.linspace(0, 1, 24)[:, None]
                share = float(frame_.inside(ends[0] + steps * (ends[1] - ends[0])).mean())
                if share >= _SHARE and share * hypot(*(ends[1] - ends[0])) >= _REACH * longer:
                    found.append(code)
    if hips > 1:
        found.append("816092008")
    return tuple(dict.fromkeys(found))


def _at(point: Landmark, scale: _Point) -> _Point:
    return np.array([[point.x, point.y]]) * scale


def _landmark(chain: Chain, name: str) -> Landmark | None:
    if name == _BEFORE:
        return chain.before
    if name == _AFTER:
        return chain.after
    return chain.points.get(name)


def _adjacent(chain: Chain, start: str, end: str) -> bool:
    """Return whether a cut bone is the chain's first or last one."""
    names = list(chain.points)
    return (start != _BEFORE or end == names[0]) and (end != _AFTER or start == names[-1])
