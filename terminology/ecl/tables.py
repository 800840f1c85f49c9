"""What evaluation derives from the attributes of an index, once, when first asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Final
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from terminology.release.index import ReleaseIndex
from terminology.release.relations import Concretes, Relations
from terminology.release.values import ConcreteValue

Rows = NDArray[np.integer]


class GroupTable:
    """The relationship groups of a release, numbered over concept-valued and concrete attributes.

    Attributes
    ----------
    subject
        uint32 (groups,): the concept that has the group.
    grouped
        bool (groups,): whether it is a group at all; what stands in group 0 stands in none.
    of_relation, of_concrete
        int32, a number of a group for each row of the relations and of the concrete values.
    """

    def __init__(self, relations: Relations, concretes: Concretes) -> None:
        # Both are sorted by source and group already.
        parts = [_runs(table) for table in (relations, concretes)]
        known = _merged(parts[0][0], parts[1][0])
        numbers = [np.searchsorted(known, keys).astype(np.int32)[runs] for keys, runs in parts]
        self.subject: NDArray[np.uint32] = (known >> 16).astype(np.uint32)
        self.grouped: NDArray[np.bool_] = (known & 0xFFFF) != 0
        self.of_relation: NDArray[np.int32] = numbers[0]
        self.of_concrete: NDArray[np.int32] = numbers[1]

    def __len__(self) -> int:
        return len(self.subject)


def _runs(table: Relations | Concretes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the (source, group) pairs of a table as numbers, and the place of each row's pair."""
    keys = table.source.astype(np.int64) << 16 | table.group
    if not len(keys):
        return keys, keys
    changed = np.concatenate(([True], keys[1:] != keys[:-1]))
    return keys[changed], np.cumsum(changed) - 1


def _merged(many: NDArray[np.int64], few: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the union of two ascending arrays without doubles, without sorting the longer one."""
    fresh = few[~np.isin(few, many, assume_unique=True, kind="sort")] if len(many) else few
    return np.insert(many, np.searchsorted(many, fresh), fresh)


class AttributeTables:
    """The attributes of an index, chosen by their types and values."""

    def __init__(self, relations: Relations, concretes: Concretes, count: int) -> None:
        self.relations = relations
        self.concretes = concretes
        self.count = count

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
    def groups(self) -> GroupTable:
        """The relationship groups."""
        return GroupTable(self.relations, self.concretes)

    @cached_property
    def _concrete_types(self) -> tuple[list[int], NDArray[np.integer]]:
        kinds, places = np.unique(self.concretes.type, return_inverse=True)
        return kinds.tolist(), places


_TABLES: Final[WeakKeyDictionary[ReleaseIndex, AttributeTables]] = WeakKeyDictionary()


def tables_of(index: ReleaseIndex) -> AttributeTables:
    """Return the tables of an index, made once and kept as long as it."""
    found = _TABLES.get(index)
    if found is None:
        found = _TABLES[index] = AttributeTables(index.relations, index.concretes, len(index))
    return found
