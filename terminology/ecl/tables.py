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
        keys = [
            table.source.astype(np.int64) << 16 | table.group.astype(np.int64)
            for table in (relations, concretes)
        ]
        known, places = np.unique(np.concatenate(keys), return_inverse=True)
        numbers = places.astype(np.int32)
        self.subject: NDArray[np.uint32] = (known >> 16).astype(np.uint32)
        self.grouped: NDArray[np.bool_] = (known & 0xFFFF) != 0
        self.of_relation: NDArray[np.int32] = numbers[: len(keys[0])]
        self.of_concrete: NDArray[np.int32] = numbers[len(keys[0]) :]

    def __len__(self) -> int:
        return len(self.subject)


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
        values, numbers = self._values
        chosen = np.ones(len(self.concretes), dtype=np.bool_)
        if types is not None:
            kinds, places = self._concrete_types
            chosen = np.array([kind in types for kind in kinds], dtype=np.bool_)[places]
        if fits is not None and len(values):
            chosen = chosen & np.array([fits(value) for value in values], dtype=np.bool_)[numbers]
        return np.flatnonzero(chosen)

    @cached_property
    def groups(self) -> GroupTable:
        """The relationship groups."""
        return GroupTable(self.relations, self.concretes)

    @cached_property
    def _values(self) -> tuple[list[ConcreteValue], NDArray[np.int32]]:
        """The concrete values that occur, each once, and which of them each row has."""
        places: dict[ConcreteValue, int] = {}
        numbers = np.fromiter(
            (
                places.setdefault(self.concretes.value(row), len(places))
                for row in range(len(self.concretes))
            ),
            dtype=np.int32,
            count=len(self.concretes),
        )
        return list(places), numbers

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
