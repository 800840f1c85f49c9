"""Manifests that Bodysite writes: of pictures that it made, for `bodysite train` to read."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from terminology.files import written_whole

MANIFEST: Final = "manifest.csv"


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


def begin(folder: Path) -> None:
    """Make `folder`, and remove its manifest of before, whose pictures are about to change."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)


def save(rows: Sequence[Row], folder: Path) -> None:
    """Write `rows` to the manifest of `folder`, whole or not at all."""
    with written_whole(folder / MANIFEST) as stream:
        table = csv.DictWriter(stream, list(Row.__slots__), lineterminator="\n")
        table.writeheader()
        table.writerows(asdict(row) for row in rows)
