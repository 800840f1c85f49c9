"""Landmarks on radiographs: where joints and ends of bones lie, as a person saw them.

A table names them, one line an image, separated by tabs. Columns:

=========  =============================================================================
path       the image, as its manifest names it
landmarks  ``name x y`` parted by semicolons, x and y from 0 at the left and the upper
           edge to 1; a limb's from the trunk outwards, then those of the next limb
=========  =============================================================================

Columns beside these are for `classifier.data.manifest`, which takes them as corrections.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from classifier.data.rows import own_rows
from classifier.errors import DataSetError

# Ours, of pictures of other people's collections under open licences.
SHIPPED: Final = Path(__file__).parent / "open-radiographs.tsv"
# Of each kind of chain, from the trunk outwards. `CUT` is where a bone leaves the picture.
CUT: Final = "cut"
CHAINS: Final[Mapping[str, Sequence[str]]] = {
    "upper limb": ("shoulder", "elbow", "wrist", "knuckle", "fingertip", "thumb"),
    "lower limb": ("hip", "knee", "ankle", "heel", "toes"),
    "spine": ("skull-base", "c7-t1", "t12-l1", "l5-s1"),
    "clavicle": ("clavicle-medial", "clavicle-lateral"),
    "other": ("vertex", "symphysis"),
}
# What lies beside the axis may be named before or after its neighbours.
_BESIDE: Final = frozenset(
    {"thumb", "heel", "clavicle-medial", "clavicle-lateral", "vertex", "symphysis"}
)
_PLACE: Final = {
    name: (chain, rank) for chain, names in CHAINS.items() for rank, name in enumerate(names)
}
_POINT: Final = re.compile(r"([a-z0-9-]+) (-?\d*\.?\d+) (-?\d*\.?\d+)")
# An eye may set a point a little outside of the picture.
_OUTSIDE: Final = 0.05


@dataclass(frozen=True, slots=True)
class Landmark:
    """A named place, x and y in [0, 1] of the picture's width and height."""

    name: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Chain:
    """The landmarks of one limb, spine or clavicle, from the trunk outwards.

    `before` and `after` are where its first bone comes into the picture and its last one leaves
    it, where that was set.
    """

    kind: str
    points: Mapping[str, Landmark]
    before: Landmark | None = None
    after: Landmark | None = None


def read(path: Path) -> dict[str, tuple[Chain, ...]]:
    """Return the chains of every image of the table at `path`, by the image's path.

    Raises
    ------
    DataSetError
        The file is missing or malformed; a landmark is unknown or lies outside of its picture.
    """
    return {
        cells["path"]: chains(parse(cells["landmarks"], f"{path}:{line}"))
        for line, cells in own_rows(path, ("path", "landmarks"))
    }


def parse(cell: str, place: str) -> tuple[Landmark, ...]:
    """Return the landmarks of one cell, in its order; `place` is for the error."""
    points = []
    for words in filter(None, (one.strip() for one in cell.split(";"))):
        match = _POINT.fullmatch(words)
        if match is None or (match[1] not in _PLACE and match[1] != CUT):
            names = ", ".join([*_PLACE, CUT])
            raise DataSetError(place, f"'{words}'", f"'name x y', name of {names}", "Correct it.")
        point = Landmark(match[1], float(match[2]), float(match[3]))
        if not all(-_OUTSIDE <= at <= 1 + _OUTSIDE for at in (point.x, point.y)):
            raise DataSetError(
                place, f"'{words}'", "x and y from 0 to 1", "Give fractions of the picture's sides."
            )
        points.append(point)
    return tuple(points)


def chains(points: Sequence[Landmark]) -> tuple[Chain, ...]:
    """Return landmarks as limbs: a new one begins where a name does not lie farther outwards."""
    found: list[Chain] = []
    limb = _Limb()
    for at, point in enumerate(points):
        if point.name != CUT:
            if not limb.takes(point.name):
                found += limb.chains()
                limb = _Limb()
            limb.points[point.name] = point
            continue
        following = points[at + 1].name if at + 1 < len(points) else CUT
        if following != CUT and not (limb.points and limb.takes(following)):
            # The next bone comes into the picture here.
            found += limb.chains()
            limb = _Limb(before=point)
        elif limb.points:
            found += limb.chains(after=point)
            limb = _Limb()
    return (*found, *limb.chains())


@dataclass(slots=True)
class _Limb:
    """A chain that is not yet whole."""

    before: Landmark | None = None
    points: dict[str, Landmark] = field(default_factory=dict)

    def takes(self, name: str) -> bool:
        """Return whether the landmark may be of this limb."""
        kind, rank = _PLACE[name]
        ranks = [_PLACE[one][1] for one in self.points if one not in _BESIDE]
        return name not in self.points and (
            not self.points
            or (
                kind == _PLACE[next(iter(self.points))][0]
                and (name in _BESIDE or all(rank > other for other in ranks))
            )
        )

    def chains(self, after: Landmark | None = None) -> tuple[Chain, ...]:
        """Return the chain, where there is one."""
        if not self.points:
            return ()
        kind = _PLACE[next(iter(self.points))][0]
        ordered = sorted(self.points, key=lambda name: _PLACE[name][1])
        return (Chain(kind, {name: self.points[name] for name in ordered}, self.before, after),)
