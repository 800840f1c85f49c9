"""Reference sets of a release: their members as columns, every field of every pattern."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from terminology.release.arrays import Array
from terminology.release.ordinals import places_in
from terminology.rf2.rows import RefsetRows, TextColumn


class RefsetTable:
    """The members of one reference set, active and inactive, sorted by component.

    Attributes
    ----------
    refset
        SCTID of the reference set.
    pattern
        As in the file name, such as "cissccRefset".
    fields, kinds
        Names of the further columns, and a letter for each: c an SCTID, i an integer, s text.
    active, effective_time, module, component
        bool, int32, int64 and int64 (members,); `component` is the `referencedComponentId`.
    """

    def __init__(self, facts: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        self.refset: str = facts["refset"]
        self.pattern: str = facts["pattern"]
        self.fields: tuple[str, ...] = tuple(facts["fields"])
        self.kinds: str = facts["kinds"]
        self._arrays = arrays
        self._prefix = f"refset.{self.refset}."
        self.active: NDArray[np.bool_] = self._column("active")
        self.effective_time: NDArray[np.int32] = self._column("effective_time")
        self.module: NDArray[np.int64] = self._column("module")
        self.component: NDArray[np.int64] = self._column("component")

    def __len__(self) -> int:
        return len(self.component)

    def id(self, row: int) -> str:
        """Return the UUID of a member."""
        return str(UUID(bytes=bytes(self._column("id")[row])))

    def field(self, name: str) -> NDArray[np.int64] | TextColumn:
        """Return a further column; `KeyError` when the pattern has none of that name."""
        position = self.fields.index(name) if name in self.fields else None
        if position is None:
            raise KeyError(name)
        if self.kinds[position] == "s":
            starts = self._column(f"field.{name}.starts")
            lengths = np.diff(starts).astype(np.int32)
            return TextColumn(self._column(f"field.{name}.data"), starts[:-1], lengths)
        return self._column(f"field.{name}")

    def rows_of(self, component: str | int) -> range:
        """Return the rows of one component."""
        number = int(component)
        return range(
            int(np.searchsorted(self.component, number, "left")),
            int(np.searchsorted(self.component, number, "right")),
        )

    def _column(self, name: str) -> Array:
        return self._arrays[self._prefix + name]


def refset_arrays(
    patterns: tuple[RefsetRows, ...],
) -> Iterator[tuple[dict[str, Any], list[tuple[str, Array]], Array, Array]]:
    """Yield, for each reference set: its facts, its arrays, and component and active by row."""
    for rows in patterns:
        order = np.lexsort((rows.referenced_component_id, rows.refset_id))
        refsets, starts = np.unique(rows.refset_id[order], return_index=True)
        ends = np.append(starts, len(order))[1:].tolist()
        for refset, start, end in zip(refsets.tolist(), starts.tolist(), ends, strict=True):
            chosen = order[start:end]
            prefix = f"refset.{refset}."
            component, active = rows.referenced_component_id[chosen], rows.active[chosen]
            arrays: list[tuple[str, Array]] = [
                (f"{prefix}id", rows.id[chosen]),
                (f"{prefix}active", active),
                (f"{prefix}effective_time", rows.effective_time[chosen]),
                (f"{prefix}module", rows.module_id[chosen]),
                (f"{prefix}component", component),
            ]
            for name, column in rows.fields.items():
                if isinstance(column, TextColumn):
                    offsets, data = packed(column, chosen)
                    arrays.append((f"{prefix}field.{name}.starts", offsets))
                    arrays.append((f"{prefix}field.{name}.data", data))
                else:
                    arrays.append((f"{prefix}field.{name}", column[chosen]))
            facts = {
                "refset": str(refset),
                "pattern": rows.pattern,
                "fields": list(rows.fields),
                "kinds": rows.kinds,
            }
            yield facts, arrays, component, active


def packed(column: TextColumn, rows: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return the text of `rows` in their order, one after the other: starts (n + 1,) and bytes."""
    starts, lengths = column.starts[rows], column.lengths[rows].astype(np.int64)
    offsets = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    data = np.empty(int(offsets[-1]), dtype=np.uint8)
    step = 1 << 16
    for begin in range(0, len(rows), step):
        part = slice(begin, min(begin + step, len(rows)))
        size = lengths[part]
        first = offsets[part.start]
        wanted = places_in(starts[part], size)
        data[first : first + len(wanted)] = column.data[wanted]
    return offsets, data
