"""What `bodysite annotate` does to one file: found, read, answered; the same in every process.

`Work` is the recipe that a process makes its annotator from. A unit is a file, or a zip as a whole.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from api.annotator import Annotator, Failed, Result
from api.inputs import Item, Rejected, from_paths
from api.phi import PhiGuard
from terminology.errors import DicomError

if TYPE_CHECKING:
    from api.limits import Limits


@dataclass(frozen=True, slots=True)
class Unit:
    """A file to annotate. `named` is whether the caller named it, not a folder."""

    path: str
    named: bool


@dataclass(frozen=True, slots=True)
class Done:
    """A unit with its results: one of a file, one a member of a zip, in their order."""

    unit: Unit
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Work:
    """What a process needs to annotate as the command was asked to.

    Attributes
    ----------
    release, mappings, settings
        As `terminology.library.load_terminology` takes them; the settings are of fusion, too.
    model
        The file of a model; `None` when pixels are not read.
    threads
        How many threads the network runs on; `None` leaves it to the runtime.
    modality
        What plain pictures are.
    absent
        Why there is no model, in words, if one was wanted.
    """

    guard: PhiGuard
    limits: Limits
    release: Path | None = None
    mappings: Path | None = None
    settings: Path | None = None
    model: Path | None = None
    threads: int | None = None
    modality: str | None = None
    absent: str | None = None

    def reader(self) -> Annotator:
        """Return an annotator that reads headers alone."""
        from classifier.fusion import FusionSettings, HeaderReliability
        from terminology.library import load_terminology

        terminology = load_terminology(self.release, self.mappings, self.settings)
        fusion = FusionSettings() if self.settings is None else FusionSettings.read(self.settings)
        return Annotator(
            terminology,
            self.guard,
            self.limits,
            absent=self.absent,
            fusion=fusion,
            reliability=HeaderReliability.of(fusion, terminology.graph),
        )

    def annotator(self) -> Annotator:
        """Return an annotator that decodes all images itself: one of many processes."""
        reader = self.reader()
        if self.model is None:
            return reader
        from classifier.serving.predictor import load_predictor

        predictor = load_predictor(self.model, reader.terminology.graph, threads=self.threads)
        return replace(reader, predictor=predictor)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Annotator]:
        """Yield an annotator for one process: what may end it is decoded in another."""
        reader = self.reader()
        if self.model is None:
            yield reader
            return
        from api.model.served import ServedPredictor
        from classifier.serving.predictor import load_predictor

        loaded = load_predictor(self.model, reader.terminology.graph, threads=self.threads)
        # Nobody else asks: there is nothing to wait for.
        with contextlib.closing(ServedPredictor(loaded, self.limits, wait_s=0)) as predictor:
            yield replace(reader, predictor=predictor)


def walk(paths: Iterable[str]) -> Iterator[Unit]:
    """Yield the files under `paths`, those of a folder before its folders, both sorted.

    Links to folders are not followed. A folder that cannot be listed stands among the files: it
    is not passed by in silence.
    """
    for given in paths:
        if given == "-" or not Path(given).is_dir() or _is_closed(given):
            yield Unit(given, named=True)
            continue
        for root, folders, files in os.walk(given):
            folders.sort()
            closed = {name for name in folders if _is_closed(Path(root, name))}
            for name in sorted([*files, *closed]):
                path = Path(root, name)
                if name in closed or path.is_file():
                    yield Unit(str(path), named=False)


def items_of(unit: Unit, limits: Limits) -> Iterator[Item | Rejected]:
    """Yield what `unit` holds: itself, or the members when it is a zip."""
    if unit.path != "-" and Path(unit.path).is_dir():
        yield Rejected(unit.path, _closed(unit.path))
        return
    for item in from_paths([unit.path], limits):
        if isinstance(item, Item) and not unit.named:
            yield replace(item, named=False)
        else:
            yield item


def annotate_units(
    units: Iterable[Unit], annotator: Annotator, modality: str | None = None
) -> Iterator[Done]:
    """Yield each unit with its results, one after another in this process."""
    for unit in units:
        items = items_of(unit, annotator.limits)
        yield Done(unit, tuple(annotator.annotate_all(items, modality)))


def annotate_from(
    unit: Unit, skip: int, annotator: Annotator, modality: str | None = None
) -> Iterator[tuple[str, Result | None]]:
    """Yield the name of each item of `unit` with no result, then again with its result.

    The first `skip` items are passed over.
    """
    for item in islice(items_of(unit, annotator.limits), skip, None):
        yield item.name, None
        for result in annotator.annotate_all([item], modality):
            yield item.name, result


def fault(name: str, what: str) -> Failed:
    """Return the result for a file that took the process that read it with it."""
    return Failed(
        name,
        DicomError(
            name,
            f"{what}; nothing is said of the file",
            "a file that decodes",
            "The other files are not concerned. Annotate this one alone with --model none to read"
            " its header.",
        ),
    )


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _is_closed(folder: str | Path) -> bool:
    return not os.access(folder, os.R_OK | os.X_OK)


def _closed(folder: str) -> DicomError:
    return DicomError(
        folder,
        "the folder cannot be read",
        "a folder with permission to list it",
        "Check its permissions; nothing below it was annotated.",
    )
