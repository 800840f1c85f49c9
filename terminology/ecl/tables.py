"""The attributes of an index as evaluation chooses them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from terminology.release.index import ReleaseIndex
from terminology.release.values import ConcreteValue

Rows = NDArray[np.integer]


class AttributeTables:
    """The attributes of an index, chosen by their types and values."""

    def __init__(self, index: ReleaseIndex) -> None:
        self.relations = index.relations
        self.concretes = index.concretes
        self.groups = index.groups
        self.count = len(index)

    def relation_rows(self, types: BitMap | None) -> Rows | slice:
        """Return the relations of some types; `None` for all."""
        if types is None:
            return slice(None)
        known = [kind for kind in self.relations.types if kind in types]
        if len(known) == len(self.relations.types):
            return slice(None)
        order = self.relations.by_type_destination
        parts = [order[self.relations.type_range(kind)] for kind in known]
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint32)

    def concrete_rows(
        self, types: BitMap | None, fits: Callable[[ConcreteValue], bool] | None = None
    ) -> Rows:
        """Return the concrete values of some types that pass a test."""
        chosen = np.ones(len(self.concretes), dtype=np.bool_)
        if types is not None:
            kinds, places = self._concrete_types
            chosen = np.array([kind in types for kind in kinds], dtype=np.bool_)[places]
        if fits is not None:
            passed = np.array([fits(value) for value in self.concretes.values], dtype=np.bool_)
            chosen = chosen & passed[self.concretes.number]
        return np.flatnonzero(chosen)

    @cached_property
    def _concrete_types(self) -> tuple[list[int], NDArray[np.integer]]:
        kinds, places = np.unique(self.concretes.type, return_inverse=True)
        return kinds.tolist(), places


def tables_of(index: ReleaseIndex) -> AttributeTables:
    """Return the tables of an index, made once and kept as long as it."""
    return index.derived(AttributeTables)
