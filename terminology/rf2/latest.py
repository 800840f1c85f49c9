"""Which rows of a component are current, and which components a release holds."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]

_MANY: Final = 10_000
_SAMPLE: Final = 1_000
_FEW: Final = 200
# Odd, so that multiplying loses nothing.
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)


def superseded(key: NDArray[Any], effective_time: NDArray[np.int32]) -> Mask:
    """Return which rows are older states of a component that has a later row.

    Of rows with one key the one with the latest `effective_time` is current, and of several such
    rows the last one.

    Parameters
    ----------
    key
        int64 (rows,), or uint8 (rows, 16) for UUIDs.
    effective_time
        int32 (rows,).
    """
    exact = key.view(np.uint64) if key.ndim == 2 else key[:, np.newaxis].view(np.uint64)
    # Two UUIDs may share the mixed value; what it brings together is then compared exactly.
    mixed = exact[:, 0] if exact.shape[1] == 1 else exact[:, 0] ^ (exact[:, 1] * _MIX)
    old = np.zeros(len(key), dtype=np.bool_)
    ranked = np.sort(mixed)
    same = ranked[1:] == ranked[:-1]
    if not same.any():
        return old
    order = np.argsort(mixed)
    shared = np.zeros(len(key), dtype=np.bool_)
    shared[1:] |= same
    shared[:-1] |= same
    rows = np.sort(order[shared])
    keys = tuple(exact[rows].T)
    rows = rows[np.lexsort((rows, effective_time[rows], *keys))]
    old[rows[:-1]] = (exact[rows[1:]] == exact[rows[:-1]]).all(axis=1)
    return old


def _positions(ranked: Ids, ids: Ids) -> Rows:
    if not len(ranked):
        return np.full(len(ids), -1, dtype=np.int64)
    found = np.searchsorted(ranked, ids)
    found[found == len(ranked)] = 0
    found[ranked[found] != ids] = -1
    return found


class Members:
    """A set of identifiers with their positions in sorted order."""

    def __init__(self, ids: Ids) -> None:
        self.ids = ids if (ids[1:] >= ids[:-1]).all() else np.sort(ids)

    def positions(self, ids: Ids) -> Rows:
        """Return the position of each id, -1 where it is no member."""
        if len(ids) < _MANY:
            return _positions(self.ids, ids)
        # A column of types or modules has few values: they are looked up once.
        common = np.unique(ids[:: len(ids) // _SAMPLE])
        if len(common) > _FEW:
            return _positions(self.ids, ids)
        place = _positions(common, ids)
        found = _positions(self.ids, common)[place]
        rare = np.flatnonzero(place < 0)
        found[rare] = _positions(self.ids, ids[rare])
        return found

    def lacks(self, ids: Ids) -> Mask:
        """Return which ids are no members."""
        return self.positions(ids) < 0
