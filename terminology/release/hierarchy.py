"""The is-a hierarchy compiled: depth-first ordinals, ancestors as arrays, descendants as bitmaps.

A concept's ordinal is its place in a depth-first walk over a spanning tree, in which every concept
hangs from its deepest parent. Most of what is below a concept then follows it without a gap, which
keeps the bitmaps small; the tree interval alone settles most subsumption tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from terminology.release.arrays import Array
from terminology.release.pairs import pair_arrays

Ordinals = NDArray[np.uint32]
_NO_PARENT: Final = -1


class CycleError(ValueError):
    """The edges hold a cycle; `positions` are the concepts on it, each below the next."""

    def __init__(self, positions: list[int]) -> None:
        self.positions = positions
        super().__init__("the hierarchy has a cycle")


@dataclass(frozen=True, slots=True)
class Csr:
    """Lists of numbers, one a concept: list `i` is `values[starts[i] : starts[i + 1]]`, sorted."""

    starts: NDArray[np.int64]
    values: Ordinals

    @classmethod
    def of_pairs(cls, keys: Array, values: Array, count: int) -> Csr:
        """Return the lists of `values` (uint32) by `keys` in 0..count-1."""
        order = np.lexsort((values, keys))
        starts = np.zeros(count + 1, dtype=np.int64)
        np.cumsum(np.bincount(keys, minlength=count), out=starts[1:])
        return cls(starts, values[order].astype(np.uint32))

    def lists(self) -> list[list[int]]:
        """Return plain lists, for a loop over all of them."""
        flat, starts = self.values.tolist(), self.starts.tolist()
        return [flat[a:b] for a, b in pairwise(starts)]


def depth_first(
    count: int, child: Array, parent: Array
) -> tuple[NDArray[np.int64], Ordinals, NDArray[np.int64]]:
    """Return the order of a depth-first walk, the size of each subtree and how deep each lies.

    Parameters
    ----------
    count
        Concepts are 0..count-1.
    child, parent
        The edges, each once.

    Returns
    -------
    order : int64 (count,)
        The concepts as they are met; concepts without any edge come last.
    subtree : uint32 (count,)
        By place in `order`: concepts in the tree below, itself included.
    levels : int64 (count,)
        By place in `order`: edges on the longest way to a concept without parents.

    Raises
    ------
    CycleError
        There is a cycle.
    """
    above = Csr.of_pairs(child, parent, count)
    below = Csr.of_pairs(parent, child, count)
    levels = _levels(count, above, below)
    tree: list[int] = [_NO_PARENT] * count
    for concept, parents in enumerate(above.lists()):
        if parents:
            tree[concept] = max(parents, key=lambda one: (levels[one], -one))
    hanging: list[list[int]] = [[] for _ in range(count)]
    for concept in range(count - 1, -1, -1):
        if tree[concept] != _NO_PARENT:
            hanging[tree[concept]].append(concept)
    linked = np.zeros(count, dtype=bool)
    linked[child] = True
    linked[parent] = True
    order: list[int] = []
    sizes = [1] * count
    for start in (i for i in range(count) if tree[i] == _NO_PARENT and linked[i]):
        stack = [start]
        while stack:
            concept = stack.pop()
            order.append(concept)
            stack.extend(hanging[concept])
    for concept in reversed(order):
        if tree[concept] != _NO_PARENT:
            sizes[tree[concept]] += sizes[concept]
    order.extend(np.flatnonzero(~linked).tolist())
    walk = np.array(order, dtype=np.int64)
    return (
        walk,
        np.array(sizes, dtype=np.uint32)[walk],
        np.array(levels, dtype=np.int64)[walk],
    )


def hierarchy_arrays(
    count: int,
    child: Ordinals,
    parent: Ordinals,
    subtree: Ordinals,
    levels: NDArray[np.int64],
    progress: Callable[[float], None] | None = None,
) -> Iterator[tuple[str, Array]]:
    """Yield the arrays of the hierarchy over ordinals that `depth_first` gave.

    ``isa.parents.*``, ``isa.children.*`` and ``isa.ancestors.*`` are lists (`Csr`);
    ``isa.descendants.*`` are serialised bitmaps: those of concept `i` are the bytes
    ``data[starts[i] : starts[i + 1]]``, none for a leaf. ``isa.pairs.*`` are those of `PairTest`.
    """
    above = Csr.of_pairs(child, parent, count)
    below = Csr.of_pairs(parent, child, count)
    yield "isa.subtree", subtree
    for name, lists in (("parents", above), ("children", below)):
        yield f"isa.{name}.starts", lists.starts
        yield f"isa.{name}.values", lists.values
    parents = above.lists()
    downwards = np.argsort(levels, kind="stable").tolist()
    ancestors = [BitMap()] * count
    arrays: list[Array] = [np.zeros(0, dtype=np.uint32)] * count
    for done, concept in enumerate(downwards):
        found = BitMap(parents[concept])
        for one in parents[concept]:
            found |= ancestors[one]
        ancestors[concept] = found
        arrays[concept] = np.array(found.to_array(), dtype=np.uint32)
        if progress is not None and done % 50_000 == 0:
            progress(done / count / 2)
    starts = np.zeros(count + 1, dtype=np.int64)
    np.cumsum([len(one) for one in arrays], out=starts[1:])
    listed = np.concatenate(arrays) if arrays else np.zeros(0, dtype=np.uint32)
    del ancestors, arrays
    yield "isa.ancestors.starts", starts
    yield "isa.ancestors.values", listed
    yield from pair_arrays(starts, listed, subtree, np.diff(below.starts) > 0)
    del listed
    children = below.lists()
    descendants: dict[int, BitMap] = {}
    blobs: list[bytes] = [b""] * count
    for done, concept in enumerate(reversed(downwards)):
        if children[concept]:
            found = BitMap(children[concept])
            for one in children[concept]:
                if one in descendants:
                    found |= descendants[one]
            found.run_optimize()
            descendants[concept] = found
            blobs[concept] = found.serialize()
        if progress is not None and done % 50_000 == 0:
            progress(0.5 + done / count / 2)
    starts = np.zeros(count + 1, dtype=np.int64)
    np.cumsum([len(blob) for blob in blobs], out=starts[1:])
    yield "isa.descendants.starts", starts
    yield "isa.descendants.data", np.frombuffer(b"".join(blobs), dtype=np.uint8)


def _levels(count: int, above: Csr, below: Csr) -> list[int]:
    """Return the length of the longest way to a concept without parents."""
    waiting = np.diff(above.starts).tolist()
    children = below.lists()
    levels = [0] * count
    ready = [concept for concept in range(count) if not waiting[concept]]
    for concept in ready:
        level = levels[concept] + 1
        for one in children[concept]:
            if level > levels[one]:
                levels[one] = level
            waiting[one] -= 1
            if not waiting[one]:
                ready.append(one)
    if len(ready) < count:
        raise CycleError(_cycle(above.lists(), {i for i in range(count) if waiting[i]}))
    return levels


def _cycle(parents: list[list[int]], left: set[int]) -> list[int]:
    """Return one cycle among the concepts that the topological order could not place."""
    # Every concept that is left has a parent that is left: going up comes round at last.
    path: list[int] = []
    seen: dict[int, int] = {}
    concept = min(left)
    while concept not in seen:
        seen[concept] = len(path)
        path.append(concept)
        concept = next(one for one in parents[concept] if one in left)
    return path[seen[concept] :]
