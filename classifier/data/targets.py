"""`encode`: samples and what their sources declare, as the arrays that losses and scores read.

Three states: present, absent, unknown. Nothing is absent because it was not mentioned, unless the
source says that it names everything there, and even then not what may share the frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.data.frame import FrameNeighbours
from classifier.data.labels import Head, LabelSpace, Targets, closure
from classifier.data.sample import EVERYTHING, Collection, Declaration, Sample
from classifier.data.space import (
    modality_class,
    nearest_examined,
    nearest_views,
    router_groups,
)
from terminology.concept import BODY_STRUCTURE
from terminology.graph import BodyStructureGraph
from terminology.vocabulary import canonical

# Examined, whether only a region, visible, absent, and what silence means.
_Stated = tuple[str | None, bool, tuple[str, ...], tuple[str, ...], Declaration]


def encode(
    collections: Sequence[Collection],
    space: LabelSpace,
    graph: BodyStructureGraph,
    *,
    neighbours: FrameNeighbours | None = None,
) -> Targets:
    """Return what is known of the samples of `collections`, in their order, in `space`.

    Present is what the source names, in the frame or as examined, and what subsumes that. Absent
    is what the source states to be absent with all below it, and, where its declaration is
    exhaustive, what it does not name and what cannot share the frame with what it names. Below a
    coarse label all is unknown. A sample that names nothing says nothing of the others. What is
    stated to be both there and absent is there.

    Parameters
    ----------
    space
        The heads and classes; it need not be built from these collections. A label that it does
        not hold counts for what it holds above.
    neighbours
        What may share a frame; by default the shipped table.

    Raises
    ------
    UnknownConceptError
        A sample names what the graph does not hold.
    """
    rows = [(s, c.declaration) for c in collections for s in c.samples]
    visible = _Visible(space, graph, neighbours or FrameNeighbours.load(graph))
    present = np.zeros((len(rows), len(space.vocabulary)), dtype=np.bool_)
    known = np.zeros_like(present)
    for at, (sample, declaration) in enumerate(rows):
        present[at], known[at] = visible.row(sample, declaration)
    allowed: dict[Head, NDArray[np.bool_]] = {
        head: _allowed(head, rows, space, graph) for head in space.heads if head is not Head.VISIBLE
    }
    return Targets(allowed, present, known)


def within_frame(targets: Targets, space: LabelSpace) -> Targets:
    """Return what is still known where only a part of each picture is shown, which part unknown.

    What was examined may be any part that was in the frame. Of those, no one is sure to be shown,
    but what subsumes all of them is; what was absent from the whole is absent. View, side and
    modality are those of the whole.
    """
    vocabulary = space.vocabulary
    columns = np.array([vocabulary.columns[code] for code in space.columns(Head.EXAMINED)], int)
    above = closure(vocabulary)
    allowed = dict(targets.allowed)
    kept = np.zeros_like(targets.present)
    if Head.EXAMINED in allowed:
        flags = allowed[Head.EXAMINED].copy()
        for row, present in enumerate(targets.present):
            if not flags[row].any():
                continue
            known = columns[flags[row]]
            there = present[columns] & ~above[known].any(axis=0)[columns]
            flags[row] |= there
            kept[row] = present & above[columns[flags[row]]].all(axis=0)
            if Head.ROUTER in allowed and there.any():
                allowed[Head.ROUTER] = allowed[Head.ROUTER].copy()
                allowed[Head.ROUTER][row] = False
        allowed[Head.EXAMINED] = flags
    return Targets(allowed, kept, (targets.known & ~targets.present) | kept)


def unheld(
    collections: Sequence[Collection], space: LabelSpace, graph: BodyStructureGraph
) -> dict[Head, Counter[str]]:
    """Return, per head, the labels of samples that `space` has no class for, with their samples.

    `encode` makes nothing of them. Of visible parts, those that count only for what is above.
    """
    found: dict[Head, Counter[str]] = {}
    for head in space.heads:
        counts: Counter[str] = Counter()
        for one in collections:
            for sample in one.samples:
                counts.update(_unheld(head, sample, one.declaration, space, graph))
        if counts:
            found[head] = counts
    return found


def _unheld(
    head: Head,
    sample: Sample,
    declaration: Declaration,
    space: LabelSpace,
    graph: BodyStructureGraph,
) -> set[str]:
    """Return the labels of one sample that are no class of `head`, nor stand for one."""
    names = space.columns(head)
    if head is Head.VISIBLE:
        parts = {*sample.visible, *([] if sample.examined is None else [sample.examined])}
        return {canonical(graph, code)[0] for code in parts - {BODY_STRUCTURE}}.difference(names)
    label = _label(head, sample, coarse=sample.coarse or declaration.coarse_only)
    if label is None or _possible(head, label, names, graph) & set(names):
        return set()
    return {str(label[0])}


def _allowed(
    head: Head,
    rows: Sequence[tuple[Sample, Declaration]],
    space: LabelSpace,
    graph: BodyStructureGraph,
) -> NDArray[np.bool_]:
    """Return bool (N, C): the classes of `head` that each sample leaves possible."""
    names = space.columns(head)
    flags = np.zeros((len(rows), len(names)), dtype=np.bool_)
    found: dict[tuple[object, ...], NDArray[np.bool_]] = {}
    for at, (sample, declaration) in enumerate(rows):
        label = _label(head, sample, coarse=sample.coarse or declaration.coarse_only)
        if label is None:
            continue
        if label not in found:
            possible = _possible(head, label, names, graph)
            found[label] = np.array([name in possible for name in names], dtype=np.bool_)
        flags[at] = found[label]
    return flags


def _label(head: Head, sample: Sample, *, coarse: bool) -> tuple[Any, ...] | None:
    """Return what a sample says that `head` is about; `None` for nothing."""
    examined = None if sample.examined == BODY_STRUCTURE else sample.examined
    match head:
        case Head.EXAMINED:
            return None if examined is None else (examined, coarse)
        case Head.ROUTER:
            if examined is None and sample.router_group is None:
                return None
            return (examined, coarse, sample.age_years, sample.router_group)
        case Head.VIEW:
            return None if sample.view is None else (sample.view,)
        case Head.MODALITY:
            modality = modality_class(sample.modality)
            return None if modality is None else (modality,)
        case Head.LATERALITY:
            return None if sample.laterality is None else (str(sample.laterality),)
        case Head.IRMA:
            return None if sample.irma is None else (sample.irma,)
        case Head.VISIBLE:
            raise AssertionError(head)


def _possible(
    head: Head, label: tuple[Any, ...], names: tuple[str, ...], graph: BodyStructureGraph
) -> frozenset[str]:
    match head:
        case Head.EXAMINED:
            code, coarse = label
            return nearest_examined(graph, code, names, coarse=coarse)
        case Head.ROUTER:
            code, coarse, age, stated = label
            groups = [stated] if stated else router_groups(graph, code, age, coarse=coarse)
            return frozenset(map(str, groups))
        case Head.VIEW:
            return nearest_views(label[0], names)
        case _:
            return frozenset(label)


class _Visible:
    """The rows of `present` and `known`; each distinct set of labels is worked out once."""

    def __init__(
        self, space: LabelSpace, graph: BodyStructureGraph, neighbours: FrameNeighbours
    ) -> None:
        self._vocabulary = space.vocabulary
        self._graph = graph
        self._neighbours = neighbours
        self._below_column = np.zeros(
            (len(space.vocabulary), len(space.vocabulary)), dtype=np.bool_
        )
        for column, below in enumerate(space.vocabulary.descendants):
            self._below_column[column, list(below)] = True
        self._rows: dict[_Stated, tuple[NDArray[np.bool_], NDArray[np.bool_]]] = {}
        self._beside: dict[str, NDArray[np.bool_]] = {}
        self._covered: dict[frozenset[str], NDArray[np.bool_]] = {}

    def row(
        self, sample: Sample, declaration: Declaration
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        coarse = sample.coarse or declaration.coarse_only
        stated = (sample.examined, coarse, sample.visible, sample.absent, declaration)
        if stated not in self._rows:
            self._rows[stated] = self._find(stated)
        return self._rows[stated]

    def _find(self, stated: _Stated) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        examined, coarse, visible, absent, declaration = stated
        named = self._canonical(visible if examined is None else (examined, *visible))
        regions = self._canonical(visible if declaration.coarse_only else ())
        if examined is not None and coarse:
            regions |= self._canonical((examined,))
        # A combined region that is not only where the part lies shows all its regions.
        for code in tuple(named - regions):
            named |= self._neighbours.shown(code)
        present = self._flags(
            one
            for code in named
            for one in self._graph.ancestors_or_self(code)
            if declaration.positive_closure or one == code
        )
        # What subsumes a part that is there cannot be absent, whatever the source declares.
        possible = self._flags(one for code in named for one in self._graph.ancestors_or_self(code))
        gone = self._flags(one for code in self._canonical(absent) for one in self._below(code))
        silent = np.zeros_like(present)
        if named and declaration.exhaustive_over:
            silent = self._under(declaration.exhaustive_over).copy()
            for code in named:
                silent &= ~self._unknown_beside(code)
        missing = (gone | silent) & ~possible
        # A region is not absent while a part of it may be there.
        missing &= ~(self._below_column & ~missing).any(axis=1)
        return present, present | missing

    def _canonical(self, codes: Sequence[str]) -> set[str]:
        return {canonical(self._graph, code)[0] for code in codes} - {BODY_STRUCTURE}

    def _below(self, code: str) -> list[str]:
        graph = self._graph
        return [one for one in self._vocabulary.codes if one == code or graph.subsumes(code, one)]

    def _flags(self, codes: Iterable[str]) -> NDArray[np.bool_]:
        flags = np.zeros(len(self._vocabulary), dtype=np.bool_)
        for code in codes:
            column = self._vocabulary.columns.get(code)
            if column is not None:
                flags[column] = True
        return flags

    def _under(self, regions: frozenset[str]) -> NDArray[np.bool_]:
        """Return the columns that a source speaks of when it is exhaustive over `regions`."""
        if regions not in self._covered:
            if EVERYTHING in regions:
                self._covered[regions] = np.ones(len(self._vocabulary), dtype=np.bool_)
            else:
                self._covered[regions] = self._flags(
                    one for code in self._canonical(sorted(regions)) for one in self._below(code)
                )
        return self._covered[regions]

    def _unknown_beside(self, code: str) -> NDArray[np.bool_]:
        """Return the columns that may be in the frame of `code` without being named."""
        if code not in self._beside:
            self._beside[code] = np.array(
                [self._neighbours.may_share(code, one) for one in self._vocabulary.codes],
                dtype=np.bool_,
            )
        return self._beside[code]
