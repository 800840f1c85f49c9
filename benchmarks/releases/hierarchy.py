"""An invented is-a graph of SNOMED's shape: deep, many parents, a few with very many children.

Concepts are positions; the real ones of `model` come first. No is-a row follows from the others:
regular parents all lie one level up, and a grouper, which may lie higher, has only concepts
without children below it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from model import BRANCHES, FIXED, Branch
from numpy.typing import NDArray

Positions = NDArray[np.int64]

_INNER_SHARE = 0.35
_GROUPER_SHARE = 0.03
_SPREAD = 1.5
_FAN_OUT = 1.15
_LARGEST_FAMILY = 0.15
# Concepts without children have more parents than those with.
_LEAF_WEIGHT = 6.0
_FAR_SHARE = 0.02
_SKIPPING_SHARE = 0.12


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """The graph: `branch` is the position in `BRANCHES`, -1 for real concepts.

    `first_parent` gives every invented concept one parent, which comes before it; `child` and
    `parent` hold all is-a rows.
    """

    branch: Positions
    first_parent: Positions
    leaf: NDArray[np.bool_]
    child: Positions
    parent: Positions

    def __len__(self) -> int:
        return len(self.branch)

    def below(self, top: int) -> Positions:
        """Return the invented concepts of the branch of `top`, upper levels first."""
        (number,) = (i for i, branch in enumerate(BRANCHES) if branch.top == top)
        return np.flatnonzero(self.branch == number)


def make_hierarchy(chance: np.random.Generator, concepts: int, rows: int) -> Hierarchy:
    """Return `concepts` concepts with `rows` is-a rows, fewer where a branch is too small."""
    places = {fixed.code: place for place, fixed in enumerate(FIXED)}
    invented = max(concepts - len(FIXED), 2 * len(BRANCHES))
    total = len(FIXED) + invented
    branch = np.full(total, -1)
    first = np.full(total, -1)
    leaf = np.zeros(total, dtype=bool)
    pairs = [
        np.array([(place, places[parent])])
        for place, fixed in enumerate(FIXED)
        for parent in fixed.parents
    ]
    wanted = max(0, rows - invented - len(pairs))
    start = len(FIXED)
    for number, (one, size) in enumerate(zip(BRANCHES, _sizes(invented), strict=True)):
        grown = _grow(chance, one, size, start, places[one.top], wanted * size / invented)
        branch[start : start + size] = number
        first[start : start + size] = grown.first_parent
        leaf[start : start + size] = grown.leaf
        pairs.append(grown.pairs)
        start += size
    is_a = np.concatenate(pairs)
    return Hierarchy(branch, first, leaf, is_a[:, 0], is_a[:, 1])


def _sizes(invented: int) -> list[int]:
    shares = np.array([branch.share for branch in BRANCHES])
    sizes = np.maximum(2, np.floor(invented * shares / shares.sum())).astype(int)
    sizes[0] += invented - sizes.sum()
    return [int(size) for size in sizes]


@dataclass(frozen=True, slots=True)
class _Grown:
    first_parent: Positions
    leaf: NDArray[np.bool_]
    pairs: Positions


def _grow(
    chance: np.random.Generator, branch: Branch, size: int, start: int, top: int, extra: float
) -> _Grown:
    """Return one branch: level by level, each concept below one of the level before."""
    levels = _levels(size, branch.depth)
    bounds = start + np.concatenate([[0], np.cumsum(levels)])
    first = np.empty(size, dtype=np.int64)
    leaf = np.ones(size, dtype=bool)
    inner = np.array([top])
    ranks: list[Positions] = []
    inners: list[Positions] = []
    groupers: list[Positions] = []
    for depth, count in enumerate(levels):
        weights = chance.pareto(_FAN_OUT, len(inner)) + 0.05
        weights = np.minimum(weights, _LARGEST_FAMILY * weights.sum()) if depth > 1 else weights
        children = chance.multinomial(count, weights / weights.sum())
        rank = np.repeat(np.arange(len(inner)), children)
        here = np.arange(bounds[depth], bounds[depth + 1])
        first[here - start] = inner[rank]
        ranks.append(rank)
        inners.append(inner)
        if depth + 1 == len(levels):
            break
        order = chance.permutation(here)
        middle = max(1, min(round(_INNER_SHARE * count), levels[depth + 1]))
        inner = np.sort(order[:middle])
        leaf[inner - start] = False
        grouper = np.sort(order[middle : middle + round(_GROUPER_SHARE * count)])
        leaf[grouper - start] = False
        groupers.append(grouper)
    pairs = np.stack([np.arange(start, start + size), first], axis=1)
    more = _more_parents(chance, start, bounds, ranks, inners, groupers, leaf, first, round(extra))
    return _Grown(first, leaf, np.concatenate([pairs, more]))


def _levels(size: int, depth: float) -> list[int]:
    """Return how many concepts each level has: a bell curve around `depth`, none empty."""
    level = np.arange(1, round(2.2 * depth) + 1)
    share = np.exp(-0.5 * ((level - depth) / (depth / 3.5)) ** 2)
    counts = np.floor(size * share / share.sum()).astype(int)
    counts[np.argmax(share)] += size - counts.sum()
    return [int(count) for count in counts if count > 0]


def _more_parents(
    chance: np.random.Generator,
    start: int,
    bounds: Positions,
    ranks: list[Positions],
    inners: list[Positions],
    groupers: list[Positions],
    leaf: NDArray[np.bool_],
    first: Positions,
    rows: int,
) -> Positions:
    """Return `rows` further (child, parent) rows, most of them to relatives of the first parent."""
    size = len(first)
    rank = np.concatenate(ranks)
    level = np.repeat(np.arange(len(ranks)), [len(one) for one in ranks])
    width = np.array([len(inner) for inner in inners])
    offset = np.concatenate([[0], np.cumsum(width)])
    flat = np.concatenate(inners)
    group_width = np.array([len(one) for one in groupers] + [0])
    group_offset = np.concatenate([[0], np.cumsum(group_width)])
    group_flat = np.concatenate([*groupers, np.empty(0, dtype=np.int64)])
    weights = np.where(leaf, _LEAF_WEIGHT, 1.0) * np.minimum(chance.pareto(2.5, size) + 0.3, 6)
    weights[: bounds[min(2, len(ranks))] - start] = 0
    if not weights.any():
        return np.empty((0, 2), dtype=np.int64)
    weights /= weights.sum()
    total = start + size
    found = np.empty(0, dtype=np.int64)
    own = np.arange(size) * total + first
    for _ in range(12):
        missing = rows - len(found)
        if missing <= 0:
            break
        child = chance.choice(size, round(1.3 * missing) + 8, p=weights)
        depth = level[child]
        near = np.rint(chance.laplace(0, _SPREAD, len(child))).astype(np.int64)
        far = chance.random(len(child)) < _FAR_SHARE
        wide = width[depth]
        place = np.where(far, chance.integers(0, wide), np.abs(rank[child] + near) % wide)
        parent = flat[offset[depth] + place]
        # A grouper of a higher level, about as far along its level as the child along its own.
        upper = depth - 2 - chance.integers(0, 3, len(child))
        skips = leaf[child] & (upper >= 0) & (chance.random(len(child)) < _SKIPPING_SHARE)
        skips &= group_width[upper] > 0
        along = (rank[child] * group_width[upper]) // wide
        group = (along + np.abs(near)) % np.maximum(group_width[upper], 1)
        parent = (
            np.where(skips, group_flat[np.where(skips, group_offset[upper] + group, 0)], parent)
            if len(group_flat)
            else parent
        )
        fresh = np.setdiff1d(child * total + parent, own)
        fresh = np.setdiff1d(fresh, found)
        chance.shuffle(fresh)
        found = np.concatenate([found, fresh[:missing]])
    return np.stack([start + found // total, found % total], axis=1)
