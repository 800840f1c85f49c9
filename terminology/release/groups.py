"""The relationship groups of a release, numbered over concept-valued and concrete attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from terminology.release.arrays import Array


class GroupTable:
    """Every (concept, group) that has an attribute, in this order.

    Attributes
    ----------
    subject
        uint32 (groups,): the concept that has the group.
    grouped
        bool (groups,): whether it is a group at all; what stands in group 0 stands in none.
    of_relation, of_concrete
        int32, the number of a group for each row of the relations and of the concrete values.
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self.subject: NDArray[np.uint32] = arrays["group.subject"]
        self.grouped: NDArray[np.bool_] = arrays["group.grouped"]
        self.of_relation: NDArray[np.int32] = arrays["group.of_relation"]
        self.of_concrete: NDArray[np.int32] = arrays["group.of_concrete"]

    def __len__(self) -> int:
        return len(self.subject)


def group_arrays(
    relations: tuple[Array, Array], concretes: tuple[Array, Array]
) -> Iterator[tuple[str, Array]]:
    """Yield the arrays of `GroupTable`, from source and group of each row of both tables."""
    keys = [source.astype(np.int64) << 16 | group for source, group in (relations, concretes)]
    known = np.union1d(*(np.unique(one) for one in keys))
    yield "group.subject", (known >> 16).astype(np.uint32)
    yield "group.grouped", (known & 0xFFFF) != 0
    for name, one in zip(("of_relation", "of_concrete"), keys, strict=True):
        yield f"group.{name}", np.searchsorted(known, one).astype(np.int32)
