"""Close-ups cut from pictures, and their manifest, which `bodysite train` reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from classifier.closeups.frames import Frame, Recipe, frame, recipes_for, visible_parts
from classifier.closeups.landmarks import Chain
from classifier.data.sample import Sample
from classifier.data.written import PictureFolder, Row
from classifier.pixels.read import read_image
from terminology.concept import Laterality

SOURCE: Final = "close-ups"
_EVERY: Final = 200
_TRIES: Final = 8
# So much of a frame lies on the picture; the rest is black, as beside a collimated beam.
_COVERED: Final = 0.93
# Fewer pixels show no anatomy.
_LEAST: Final = 40
# Of a whole picture, what a close-up is at most: a frame of all of it would be the picture again.
_MOST: Final = 0.7
_ENLARGED: Final = 2.0


@dataclass(frozen=True, slots=True)
class Cut:
    """One close-up to be made: which picture, and around which landmarks."""

    sample: Sample
    chains: tuple[Chain, ...]
    recipe: Recipe
    axis: tuple[tuple[float, float], tuple[float, float]]


def planned(
    samples: Sequence[Sample],
    landmarks: Mapping[str, Sequence[Chain]],
    most: int,
    seed: int,
    *,
    limits: Mapping[str, int] | None = None,
) -> list[Cut]:
    """Return the close-ups that `samples` have landmarks for, `most` of each part at most.

    A part that is more often seen loses its surplus by lot, so that each picture has its chance;
    one that is less often seen is cut up to three times from each picture.

    Parameters
    ----------
    landmarks
        Limbs by the key of the sample.
    limits
        Instead of `most`, by the name of the part; 0 for none.
    """
    by_part: dict[str, list[Cut]] = {}
    for sample in samples:
        chains = tuple(landmarks.get(sample.key, ()))
        for recipe, start, end in recipes_for(chains):
            axis = ((start.x, start.y), (end.x, end.y))
            by_part.setdefault(recipe.name, []).append(Cut(sample, chains, recipe, axis))
    rng = np.random.default_rng([seed, 0])
    found: list[Cut] = []
    for name, cuts in sorted(by_part.items()):
        limit = (limits or {}).get(name, most)
        order = np.concatenate([rng.permutation(len(cuts)) for _ in range(3)])[:limit]
        found += [cuts[at] for at in order]
    return found


def close_up(
    cut: Cut, image: NDArray[np.uint8], rng: np.random.Generator, *, pixels: int = 320
) -> tuple[NDArray[np.uint8], tuple[str, ...]] | None:
    """Return a close-up of `image`, uint8 (H, W), and the SCTIDs of what it shows.

    `None` where no frame that was drawn lies on the picture, or it would be too small or all of it.
    """
    height, width = image.shape
    scale = np.array([width, height], dtype=np.float64)
    start, end = (np.array(one) * scale for one in cut.axis)
    for _ in range(_TRIES):
        drawn = frame(cut.recipe, start, end, rng)
        across, down = drawn.size
        if (
            drawn.covered(width, height) >= _COVERED
            and min(across, down) >= _LEAST
            and across * down <= _MOST * width * height
        ):
            return _shown(drawn, image, pixels), visible_parts(drawn, cut.chains, scale)
    return None


def _shown(drawn: Frame, image: NDArray[np.uint8], pixels: int) -> NDArray[np.uint8]:
    across, down = drawn.size
    factor = min(pixels / max(across, down), _ENLARGED)
    width, height = max(round(across * factor), 1), max(round(down * factor), 1)
    ends = np.stack([drawn.corner, drawn.corner + drawn.across, drawn.corner + drawn.down])
    target = np.array([[0, 0], [width, 0], [0, height]], dtype=np.float32)
    # Pixels are areas: their middles lie half a pixel within.
    affine = cv2.getAffineTransform(ends.astype(np.float32) - 0.5, target - 0.5)
    found: NDArray[np.uint8] = cv2.warpAffine(  # type: ignore[assignment]
        image,
        affine,
        (width, height),
        # `warpAffine` takes INTER_AREA for INTER_LINEAR, and does not average over areas.
        flags=cv2.INTER_LINEAR if factor < 1 else cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    return found


def write(
    cuts: Sequence[Cut], folder: Path, seed: int, *, pixels: int = 320
) -> Iterator[Row | None]:
    """Write each close-up as a PNG into `folder`, yielding its row; at the end, the manifest.

    `None` for one that no frame was found for. A close-up is of its picture's patient.
    """
    written = PictureFolder(folder, every=_EVERY)
    for number, cut in enumerate(cuts):
        sample = cut.sample
        made = close_up(
            cut,
            read_image(sample.path, sample.frame),
            np.random.default_rng([seed, 1, number]),
            pixels=pixels,
        )
        if made is None:
            yield None
            continue
        image, visible = made
        side = sample.laterality
        row = Row(
            path=f"{cut.recipe.name}-{number:05d}.png",
            examined="",
            sct=cut.recipe.code,
            visible=";".join(visible),
            view=sample.view or "",
            laterality=str(side) if side in (Laterality.LEFT, Laterality.RIGHT) else "",
            modality=sample.modality or "",
            group=sample.group,
            source=SOURCE,
            licence=sample.licence or "",
            recipe=cut.recipe.name,
            origin=sample.key,
        )
        yield written.add(image, row)
    written.save()
