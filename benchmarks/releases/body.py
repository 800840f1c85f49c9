"""Body sites of an invented hierarchy: structure, entire and part; left and right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hierarchy import Hierarchy, Positions
from model import ANATOMY
from numpy.typing import NDArray
from terms import Vocabulary, phrase

_LATERALIZABLE_SHARE = 0.4
_FURTHER_LATERALIZABLE = 0.12


@dataclass(frozen=True, slots=True)
class BodySites:
    """Which anatomical concepts belong together, by position.

    `structure`, `entire` and `part` run in parallel; so do `sided`, `unsided` and `left`.
    `lateralizable` is sorted.
    """

    structure: Positions
    entire: Positions
    part: Positions
    sided: Positions
    unsided: Positions
    left: NDArray[np.bool_]
    lateralizable: Positions

    def names(self, words: Sequence[tuple[int, ...]], vocabulary: Vocabulary) -> dict[int, str]:
        """Return the names that say what these concepts are."""
        found: dict[int, str] = {}

        def site(place: int) -> str:
            return phrase([vocabulary.words[rank] for rank in words[place]])

        for structure, entire, part in zip(
            self.structure.tolist(), self.entire.tolist(), self.part.tolist(), strict=True
        ):
            name = site(structure)
            lower = name[0].lower() + name[1:]
            found[structure] = f"{name} structure"
            found[entire] = f"Entire {lower}"
            found[part] = f"{name} part"
        for sided, unsided, left in zip(
            self.sided.tolist(), self.unsided.tolist(), self.left.tolist(), strict=True
        ):
            name = site(unsided)
            found[sided] = f"{'Left' if left else 'Right'} {name[0].lower()}{name[1:]}"
        return found


def body_sites(chance: np.random.Generator, hierarchy: Hierarchy) -> BodySites:
    """Return the sites: an entire and a part below each structure that has children enough."""
    anatomy = hierarchy.below(ANATOMY)
    leaves = anatomy[hierarchy.leaf[anatomy]]
    # Leaves in order of their first parent, so that each family is a run.
    leaves = leaves[np.argsort(hierarchy.first_parent[leaves], kind="stable")]
    parents, first, size = np.unique(
        hierarchy.first_parent[leaves], return_index=True, return_counts=True
    )
    fit = (size >= 2) & (hierarchy.branch[parents] >= 0)
    structure, start, size = parents[fit], first[fit], size[fit]
    entire, part = leaves[start], leaves[start + 1]
    paired = (size >= 4) & (chance.random(len(size)) < _LATERALIZABLE_SHARE)
    left, right = leaves[start[paired] + 2], leaves[start[paired] + 3]
    unsided = structure[paired]
    further = anatomy[chance.random(len(anatomy)) < _FURTHER_LATERALIZABLE]
    sided = np.concatenate([left, right])
    lateralizable = np.setdiff1d(
        np.concatenate([unsided, entire[paired], part[paired], further]), sided
    )
    return BodySites(
        structure,
        entire,
        part,
        sided,
        np.concatenate([unsided, unsided]),
        np.repeat([True, False], len(unsided)),
        lateralizable,
    )
