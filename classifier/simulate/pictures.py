"""Simulated pictures and their manifest, which `bodysite train` reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from classifier.data.written import PictureFolder, Row
from classifier.simulate.appearance import develop
from classifier.simulate.labels import visible_parts
from classifier.simulate.projector import project
from classifier.simulate.views import Recipe, shoot
from classifier.simulate.volume import Volume

_EVERY: Final = 50


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A simulated radiograph, uint8 (H, W), and what is known of it."""

    image: NDArray[np.uint8]
    recipe: Recipe
    visible: tuple[str, ...]


def picture(
    volume: Volume,
    recipe: Recipe,
    rng: np.random.Generator,
    *,
    pixels: int = 320,
    structures: bool = False,
) -> Picture:
    """Return a picture of `volume` as `recipe` has it, `pixels` long; `structures`: organs too."""
    shot = shoot(volume, recipe, rng, pixels=pixels)
    image = develop(project(volume, shot.camera), rng, marker=recipe.laterality)
    visible = visible_parts(shot.shadows, shot.frame, structures=structures)
    return Picture(image, recipe, tuple(dict.fromkeys((recipe.examined, *visible))))


def pictures(
    volumes: Sequence[Volume],
    recipes: Sequence[Recipe],
    count: int,
    seed: int,
    *,
    pixels: int = 320,
    structures: bool = False,
) -> Iterator[Picture]:
    """Yield `count` pictures, the recipes in turn; each depends on `seed` and its number only."""
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        yield picture(
            volumes[int(rng.integers(len(volumes)))],
            recipes[index % len(recipes)],
            rng,
            pixels=pixels,
            structures=structures,
        )


def write(
    taken: Iterator[Picture], folder: Path, *, source: str, group: str, licence: str
) -> Iterator[Row]:
    """Write each picture as a PNG into `folder`, yielding its row; at the end, the manifest."""
    written = PictureFolder(folder, every=_EVERY)
    for number, one in enumerate(taken):
        recipe = one.recipe
        row = Row(
            path=f"{recipe.name}-{number:05d}.png",
            examined="",
            sct=recipe.examined,
            visible=";".join(one.visible),
            view=recipe.view,
            laterality=recipe.laterality,
            modality="DX",
            group=group,
            source=source,
            licence=licence,
            recipe=recipe.name,
        )
        yield written.add(one.image, row)
    written.save()
