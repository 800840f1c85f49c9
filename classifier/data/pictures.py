"""`Pictures`: the image files of a data set, found by the names that its tables give."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

SUFFIXES: Final = frozenset(
    {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".pgm", ".dcm"}
)


def stem_of(name: str) -> str:
    """Return a file's `name` without its suffix where that is one of an image, in lower case.

    Names have points of their own: ``CRIONM2014-931546.003.jpg``.
    """
    lower = name.lower()
    for suffix in SUFFIXES:
        if lower.endswith(suffix):
            return lower.removesuffix(suffix)
    return lower


class Pictures:
    """The image files at any depth of `folder`, by what `key` makes of their names."""

    def __init__(self, folder: Path, key: Callable[[str], str] = stem_of) -> None:
        self._key = key
        self._by_key: defaultdict[str, list[Path]] = defaultdict(list)
        self._asked: set[str] = set()
        for path in sorted(_files(folder)):
            if path.suffix.lower() in SUFFIXES:
                self._by_key[key(path.name)].append(path)

    def of(self, name: str) -> tuple[Path, ...]:
        """Return the files of `name`, those called so to the letter first, else sorted.

        The suffix may be missing or another one: sets are passed on converted.
        """
        key = self._key(name)
        self._asked.add(key)
        return tuple(sorted(self._by_key.get(key, ()), key=lambda path: path.name != name))

    def unused(self) -> list[Path]:
        """Return the files that were not asked for, sorted."""
        left = self._by_key.keys() - self._asked
        return sorted(path for key in left for path in self._by_key[key])


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files at any depth; folders that are links are followed, each folder once."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(place, name) for name in names)
