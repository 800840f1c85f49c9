"""The attributes of a release as columns: relationships other than is-a, and concrete values."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from terminology.release.arrays import Array
from terminology.release.values import ConcreteValue

Numbers = NDArray[np.uint32] | memoryview


class Relations:
    """Active inferred relationships other than is-a, sorted by source, group, type, destination.

    Attributes
    ----------
    source, type, destination
        uint32 (rows,), ordinals.
    group
        uint16 (rows,); 0 for what stands in no group.
    by_type_destination
        uint32 (rows,): the rows in the order of type, destination, source.
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self.source: NDArray[np.uint32] = arrays["relation.source"]
        self.type: NDArray[np.uint32] = arrays["relation.type"]
        self.destination: NDArray[np.uint32] = arrays["relation.destination"]
        self.group: NDArray[np.uint16] = arrays["relation.group"]
        self.by_type_destination: NDArray[np.uint32] = arrays["relation.by_type"]
        self._destinations = self.destination.data
        self._starts: NDArray[np.int64] = arrays["relation.starts"]
        types: NDArray[np.uint32] = arrays["relation.types"]
        starts: NDArray[np.int64] = arrays["relation.type_starts"]
        self._types = {
            one: slice(int(starts[i]), int(starts[i + 1])) for i, one in enumerate(types.tolist())
        }

    def __len__(self) -> int:
        return len(self.source)

    @property
    def types(self) -> tuple[int, ...]:
        """The attributes that occur, by ordinal."""
        return tuple(self._types)

    def of(self, ordinal: int) -> slice:
        """Return the rows whose source is this concept."""
        return slice(int(self._starts[ordinal]), int(self._starts[ordinal + 1]))

    def type_range(self, ordinal: int) -> slice:
        """Return the part of `by_type_destination` that has this attribute; empty when none."""
        return self._types.get(ordinal, slice(0, 0))

    def with_value(self, kind: int, value: int) -> NDArray[np.uint32]:
        """Return the rows that have this attribute with this destination."""
        rows = self.by_type_destination[self.type_range(kind)]
        left, right = span(self._destinations, value, rows.data)
        return rows[left:right]

    def to(self, ordinal: int) -> NDArray[np.uint32]:
        """Return the rows whose destination is this concept, of every attribute."""
        found = [self.with_value(kind, ordinal) for kind in self._types]
        return np.concatenate(found) if found else np.zeros(0, dtype=np.uint32)


class Concretes:
    """Active inferred concrete values, sorted by source, group, type.

    Attributes
    ----------
    source, type
        uint32 (rows,), ordinals.
    group
        uint16 (rows,).
    number
        int32 (rows,), a position in `values`.
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self.source: NDArray[np.uint32] = arrays["concrete.source"]
        self.type: NDArray[np.uint32] = arrays["concrete.type"]
        self.group: NDArray[np.uint16] = arrays["concrete.group"]
        self.number: NDArray[np.int32] = arrays["concrete.number"]
        self._starts: NDArray[np.int64] = arrays["concrete.starts"]
        self._texts: NDArray[np.int64] = arrays["concrete.values.starts"]
        self._data: NDArray[np.uint8] = arrays["concrete.values.data"]

    def __len__(self) -> int:
        return len(self.source)

    def of(self, ordinal: int) -> slice:
        """Return the rows whose source is this concept."""
        return slice(int(self._starts[ordinal]), int(self._starts[ordinal + 1]))

    def value(self, row: int) -> ConcreteValue:
        """Return the value of a row."""
        return self.values[int(self.number[row])]

    @cached_property
    def values(self) -> tuple[ConcreteValue, ...]:
        """The values that occur, each once."""
        return tuple(
            ConcreteValue.parse(bytes(self._data[start:end]).decode())
            for start, end in pairwise(self._texts.tolist())
        )


def span(column: Numbers, value: int, order: Numbers | None = None) -> tuple[int, int]:
    """Return where a value begins and ends in a sorted column, or in `order` of the column.

    Bisection by hand: `numpy.searchsorted` copies the column, or what `order` makes of it. The
    memory of both, `.data`, is read faster than they are.
    """
    places = range(len(column)) if order is None else range(len(order))

    def at(place: int) -> int:
        return int(column[place if order is None else order[place]])

    left = bisect_left(places, value, key=at)
    return left, bisect_right(places, value, left, key=at)


def relation_arrays(
    source: Array, kind: Array, destination: Array, group: Array, count: int
) -> Iterator[tuple[str, Array]]:
    """Yield the arrays of `Relations`; equal rows are kept once."""
    order = np.lexsort((destination, kind, group, source))
    rows = [part[order] for part in (source, kind, destination, group)]
    if len(order):
        changed = np.zeros(len(order), dtype=bool)
        changed[0] = True
        for part in rows:
            changed[1:] |= part[1:] != part[:-1]
        rows = [part[changed] for part in rows]
    source, kind, destination, group = rows
    starts = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(source, minlength=count), out=starts[1:])
    by_type = np.lexsort((source, destination, kind))
    types, firsts = np.unique(kind[by_type], return_index=True)
    yield "relation.starts", starts
    yield "relation.source", source.astype(np.uint32)
    yield "relation.type", kind.astype(np.uint32)
    yield "relation.destination", destination.astype(np.uint32)
    yield "relation.group", group.astype(np.uint16)
    yield "relation.by_type", by_type.astype(np.uint32)
    yield "relation.types", types.astype(np.uint32)
    yield "relation.type_starts", np.append(firsts, len(by_type)).astype(np.int64)
