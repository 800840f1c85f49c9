"""Manifests that Bodysite writes: of pictures that it made, for `bodysite train` to read."""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from classifier.data.rows import MANIFEST
from terminology.files import written_whole


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the manifest; the columns are those of `classifier.data.manifest`."""

    path: str
    examined: str
    sct: str
    visible: str
    view: str
    laterality: str
    modality: str
    group: str
    source: str
    licence: str
    recipe: str
    origin: str = ""


class PictureFolder:
    """A folder that pictures are written into one by one, and its manifest.

    A manifest of before is removed at the start, since its pictures are about to change. A run that
    is stopped leaves a manifest of what it has, but for the last `every` pictures at most.
    """

    def __init__(self, folder: Path, *, every: int) -> None:
        self._folder = folder
        self._every = every
        self._rows: list[Row] = []
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)

    def add(self, image: NDArray[np.uint8], row: Row) -> Row:
        """Write `image`, uint8 (H, W), as the PNG that `row` names, and return the row."""
        _, data = cv2.imencode(".png", image)
        with written_whole(self._folder / row.path, binary=True) as stream:
            stream.write(data.tobytes())
        self._rows.append(row)
        if len(self._rows) % self._every == 0:
            self.save()
        return row

    def save(self) -> None:
        """Write the manifest of all pictures so far, whole or not at all."""
        with written_whole(self._folder / MANIFEST) as stream:
            table = csv.DictWriter(stream, list(Row.__slots__), lineterminator="\n")
            table.writeheader()
            table.writerows(asdict(row) for row in self._rows)
