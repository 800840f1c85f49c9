"""Attributes of an invented hierarchy: relationships other than is-a, and concrete values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hierarchy import Hierarchy, Positions
from model import BRANCHES, CONCRETE_TOP, CONCRETE_TYPES, FIXED

_GROUP_SIZE = 2.5
# Values are drawn from the upper levels more often.
_SKEW = 2.0


@dataclass(frozen=True, slots=True)
class Attributes:
    """Rows source, type, value as positions, and their group."""

    source: Positions
    type: Positions
    value: Positions
    group: Positions


@dataclass(frozen=True, slots=True)
class Concretes:
    """Rows source and type as positions, their group, and a value such as "#2.5"."""

    source: Positions
    type: Positions
    group: Positions
    value: list[str]


def make_attributes(chance: np.random.Generator, hierarchy: Hierarchy, rows: int) -> Attributes:
    """Return `rows` attribute rows, none twice, as the branches say they are used."""
    places = {fixed.code: place for place, fixed in enumerate(FIXED)}
    below = {branch.top: hierarchy.below(branch.top) for branch in BRANCHES}
    weight = {
        branch.top: branch.attributes * len(below[branch.top]) for branch in BRANCHES if branch.uses
    }
    found = np.empty((0, 4), dtype=np.int64)
    for _ in range(6):
        missing = rows - len(found)
        if missing <= 0:
            break
        parts = [found]
        for branch in BRANCHES:
            if not branch.uses:
                continue
            count = round(1.02 * missing * weight[branch.top] / sum(weight.values())) + 1
            sources = below[branch.top]
            share = chance.gamma(2.0, 1.0, len(sources))
            source = chance.choice(sources, count, p=share / share.sum())
            use = chance.integers(0, len(branch.uses), count)
            value = np.empty(count, dtype=np.int64)
            for number, (_, top) in enumerate(branch.uses):
                chosen = np.flatnonzero(use == number)
                pool = below[top]
                at = (len(pool) * chance.random(len(chosen)) ** _SKEW).astype(np.int64)
                value[chosen] = pool[at]
            kind = np.array([places[code] for code, _ in branch.uses])[use]
            most = max(1.0, branch.attributes / _GROUP_SIZE)
            group = 1 + np.floor(chance.random(count) * most * 1.5).astype(np.int64)
            parts.append(np.stack([source, kind, value, group], axis=1))
        found = np.unique(np.concatenate(parts), axis=0)
        found = found[found[:, 0] != found[:, 2]]
    if len(found) > rows:
        found = found[np.sort(chance.permutation(len(found))[:rows])]
    return Attributes(*found.T)


def make_concretes(chance: np.random.Generator, hierarchy: Hierarchy) -> Concretes:
    """Return the concrete attributes: two a product."""
    places = {fixed.code: place for place, fixed in enumerate(FIXED)}
    products = hierarchy.below(CONCRETE_TOP)
    source = np.sort(np.concatenate([products, products]))
    kind = np.array([places[code] for code in CONCRETE_TYPES])[
        (np.arange(len(source)) + chance.integers(0, 2, len(products)).repeat(2)) % 3
    ]
    group = chance.integers(0, 3, len(source))
    amounts = chance.choice(
        ["#1", "#2", "#5", "#10", "#0.5", "#2.5", "#500", "#0.125"], len(source)
    )
    return Concretes(source, kind, group, [str(amount) for amount in amounts])
