"""What data sets say: for every label, how many images have it, have it not, or do not tell."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from classifier.data.labels import Head, LabelSpace, Targets
from classifier.data.sample import Collection, Sample
from classifier.data.space import build_space, view_display
from classifier.data.targets import encode
from classifier.errors import DataSetError
from terminology.files import written_whole
from terminology.graph import BodyStructureGraph

# Of near-duplicates, so many groups are named.
_SHOWN: Final = 10
_COLUMNS: Final = ("head", "label", "display", "source", "positives", "negatives", "unknown")


@dataclass(frozen=True, slots=True)
class LabelCount:
    """How many images of one source have a label, have it not, or do not tell."""

    head: Head
    label: str
    display: str
    source: str
    positives: int
    negatives: int
    unknown: int


@dataclass(frozen=True, slots=True)
class SourceCount:
    """What one source brings: images, patients, images with a coarse label only."""

    collection: str
    source: str
    images: int
    patients: int
    coarse: int
    licences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unused:
    """What a collection could not use, and why."""

    collection: str
    reason: str
    count: int
    example: str


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Images that look the same: groups of two or more, and the keys of the largest."""

    groups: int
    images: int
    across_patients: int
    across_sources: int
    largest: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class DataReport:
    """What several collections say in one label space."""

    sources: tuple[SourceCount, ...]
    labels: tuple[LabelCount, ...]
    unused: tuple[Unused, ...]
    duplicates: NearDuplicates | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)

    def write_csv(self, path: Path) -> None:
        """Write the labels to `path`, a row for a label and a source, whole or not at all."""
        with written_whole(path) as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(_COLUMNS)
            table.writerows([getattr(one, column) for column in _COLUMNS] for one in self.labels)


def report(
    collections: Sequence[Collection],
    graph: BodyStructureGraph,
    *,
    min_images: int = 1,
    near: NDArray[np.intp] | None = None,
) -> DataReport:
    """Return what `collections` say, with every head of which they say anything.

    Parameters
    ----------
    min_images
        As of `build_space`.
    near
        The near-duplicate group of each sample, intp (N,), in the order of the samples.

    Raises
    ------
    DataSetError
        The collections say nothing of any head.
    """
    samples = [sample for one in collections for sample in one.samples]
    space = _space(collections, graph, min_images)
    targets = encode(collections, space, graph)
    return DataReport(
        _sources(collections),
        tuple(_labels(samples, space, targets, graph)),
        (*_unused(collections), *_contradictions(collections, graph)),
        None if near is None else _near_duplicates(samples, near),
    )


def _space(
    collections: Sequence[Collection], graph: BodyStructureGraph, min_images: int
) -> LabelSpace:
    heads = []
    for head in Head:
        try:
            build_space(collections, graph, [head], min_images=min_images)
        except DataSetError:
            continue
        heads.append(head)
    if not heads:
        names = ", ".join(f"'{one.name}'" for one in collections)
        raise DataSetError(
            names, "no sample has any label", "at least one label", "Choose another data set."
        )
    return build_space(collections, graph, heads, min_images=min_images)


def _sources(collections: Sequence[Collection]) -> tuple[SourceCount, ...]:
    members: defaultdict[tuple[str, str], list[Sample]] = defaultdict(list)
    for collection in collections:
        for sample in collection.samples:
            members[collection.name, sample.source].append(sample)
    coarse = {one.name for one in collections if one.declaration.coarse_only}
    return tuple(
        SourceCount(
            collection,
            source,
            len(found),
            len({one.group for one in found}),
            sum(one.coarse or (collection in coarse and bool(one.examined)) for one in found),
            tuple(sorted({one.licence for one in found if one.licence})),
        )
        for (collection, source), found in sorted(members.items())
    )


def _labels(
    samples: Sequence[Sample], space: LabelSpace, targets: Targets, graph: BodyStructureGraph
) -> list[LabelCount]:
    names, source = np.unique([one.source for one in samples], return_inverse=True)
    found = []
    for head in space.heads:
        if head is Head.VISIBLE:
            positive, unknown = targets.present, ~targets.known
        else:
            allowed = targets.allowed[head]
            one_left = allowed.sum(axis=1, keepdims=True) == 1
            positive = allowed & one_left
            # What a label leaves open is unknown; with no label all is.
            unknown = (allowed & ~one_left) | ~allowed.any(axis=1, keepdims=True)
        for column, label in enumerate(space.columns(head)):
            display = _display(head, label, graph)
            for number, name in enumerate(names):
                own = source == number
                have = int(positive[own, column].sum())
                open_ = int(unknown[own, column].sum())
                lack = int(own.sum()) - have - open_
                found.append(LabelCount(head, label, display, str(name), have, lack, open_))
    return found


def _display(head: Head, label: str, graph: BodyStructureGraph) -> str:
    if head in (Head.EXAMINED, Head.VISIBLE):
        return graph.lookup(label).display
    return view_display(label) if head is Head.VIEW else label


def _unused(collections: Sequence[Collection]) -> list[Unused]:
    return [
        Unused(collection.name, one.reason, one.count, one.example)
        for collection in collections
        for one in collection.left_out
    ]


def _contradictions(collections: Sequence[Collection], graph: BodyStructureGraph) -> list[Unused]:
    """Return how many samples state a part to be absent that another label of theirs implies."""
    found = []
    for collection in collections:
        keys = [one.key for one in collection.samples if _contradicts(one, graph)]
        if keys:
            reason = "a part is stated absent and, by another label, present: it counts as present"
            found.append(Unused(collection.name, reason, len(keys), keys[0]))
    return found


def _contradicts(sample: Sample, graph: BodyStructureGraph) -> bool:
    if not sample.absent:
        return False
    named = {*sample.visible, *([sample.examined] if sample.examined else [])}
    there = {above for code in named for above in graph.ancestors_or_self(code)}
    return not there.isdisjoint(sample.absent)


def _near_duplicates(samples: Sequence[Sample], near: NDArray[np.intp]) -> NearDuplicates:
    members: defaultdict[int, list[Sample]] = defaultdict(list)
    for sample, group in zip(samples, near.tolist(), strict=True):
        members[group].append(sample)
    groups = [found for found in members.values() if len(found) > 1]
    largest = sorted(groups, key=lambda found: (-len(found), found[0].key))[:_SHOWN]
    return NearDuplicates(
        len(groups),
        sum(map(len, groups)),
        sum(len({one.group for one in found}) > 1 for found in groups),
        sum(len({one.source for one in found}) > 1 for found in groups),
        tuple(tuple(one.key for one in found) for found in largest),
    )
