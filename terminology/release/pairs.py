"""Subsumption of many pairs at once.

The tree interval of the hierarchy settles a part of the pairs. All other pairs of the closure stand
in a hash table that is exact: the number of a pair is multiplied by an odd constant, which no two
pairs survive alike; the upper bits of the product name a bucket and the bucket holds the rest of
them. A bucket has eight places, one line of the processor's cache has four buckets; the few
pairs that found no place are in a sorted list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terminology.release.arrays import Array

# Fibonacci hashing: 2**64 divided by the golden ratio, odd.
_FACTOR: Final = np.uint64(0x9E3779B97F4A7C15)
_PLACES: Final = 8
_EMPTY: Final = np.uint16(0xFFFF)
# A bucket is to hold so many pairs on average; more than eight are rare then.
_LOAD: Final = 2.5
_REST_BITS: Final = 16
# Pairs a step: what a step works on stays in the processor's cache.
_STEP: Final = 1 << 14


def pair_arrays(
    ancestor_starts: NDArray[np.int64],
    ancestors: NDArray[np.uint32],
    subtree: NDArray[np.uint32],
    has_children: NDArray[np.bool_],
) -> Iterator[tuple[str, Array]]:
    """Yield the arrays of `PairTest`: ``isa.pairs.high``, ``.table``, ``.overflow``, ``.shifts``.

    Parameters
    ----------
    ancestor_starts, ancestors
        The ancestors of each ordinal, as in ``isa.ancestors.*``.
    subtree
        ``isa.subtree``.
    has_children
        By ordinal.
    """
    count = len(subtree)
    low_bits = max(1, count.bit_length())
    inner = int(has_children.sum())
    total = inner.bit_length() + low_bits
    above, below = _outside_the_tree(ancestor_starts, ancestors, subtree)
    bits = max(1, total - _REST_BITS, int(np.ceil(np.log2(max(len(above), 2) / _LOAD))))
    bits = min(bits, max(1, total))
    pad = 64 - total
    # 0 for a concept with nothing below it: no pair has it on the left.
    high = np.zeros(count, dtype=np.uint64)
    high[has_children] = np.arange(1, inner + 1, dtype=np.uint64) << np.uint64(low_bits + pad)
    products = high[above]
    products += below.astype(np.uint64) << np.uint64(pad)
    products *= _FACTOR
    products.sort()
    bucket = (products >> np.uint64(64 - bits)).astype(np.int64)
    rest = _rest(products, pad, total - bits)
    firsts = np.flatnonzero(np.diff(bucket, prepend=-1))
    sizes = np.diff(firsts, append=len(bucket))
    place = np.arange(len(bucket)) - np.repeat(firsts, sizes)
    fits = (place < _PLACES) & (rest != _EMPTY)
    table = np.full((1 << bits, _PLACES), _EMPTY, dtype=np.uint16)
    table[bucket[fits], place[fits]] = rest[fits]
    yield "isa.pairs.high", high
    yield "isa.pairs.table", table
    yield "isa.pairs.overflow", products[~fits]
    yield "isa.pairs.shifts", np.array([pad, bits, total - bits], dtype=np.int64)


def _outside_the_tree(
    starts: NDArray[np.int64], ancestors: NDArray[np.uint32], subtree: NDArray[np.uint32]
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the pairs (above, below) of the closure that the tree interval does not settle."""
    below = np.repeat(np.arange(len(subtree), dtype=np.uint32), np.diff(starts))
    open_ = (below - ancestors - np.uint32(1)) >= (subtree[ancestors] - np.uint32(1))
    return ancestors[open_], below[open_]


def _rest(products: NDArray[np.uint64], pad: int, bits: int) -> NDArray[np.uint16]:
    rest = products >> np.uint64(pad)
    rest &= np.uint64((1 << bits) - 1)
    return rest.astype(np.uint16)


class PairTest:
    """Whether one ordinal is strictly above another, for arrays of pairs."""

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._subtree: NDArray[np.uint32] = arrays["isa.subtree"]
        self._high: NDArray[np.uint64] = arrays["isa.pairs.high"]
        # Sixteen bytes as one number: numpy gathers single numbers faster than rows.
        self._buckets: NDArray[np.complex128] = arrays["isa.pairs.table"].view(np.complex128)[:, 0]
        self._overflow: NDArray[np.uint64] = arrays["isa.pairs.overflow"]
        self._pad, bits, self._rest_bits = arrays["isa.pairs.shifts"].tolist()
        self._bucket_shift = np.uint64(64 - bits)

    def __call__(
        self, ancestors: NDArray[np.uint32], descendants: NDArray[np.uint32]
    ) -> NDArray[np.bool_]:
        """Return bool of the shape of both arguments (uint32)."""
        above, below = np.ravel(ancestors), np.ravel(descendants)
        found = np.empty(len(above), dtype=np.bool_)
        for start in range(0, len(above), _STEP):
            part = slice(start, start + _STEP)
            found[part] = self._test(above[part], below[part])
        return found.reshape(np.shape(ancestors))

    def _test(self, above: NDArray[np.uint32], below: NDArray[np.uint32]) -> NDArray[np.bool_]:
        # Unsigned: what comes before `above` wraps round to a large number.
        found: NDArray[np.bool_] = (below - above - np.uint32(1)) < (
            self._subtree[above] - np.uint32(1)
        )
        high = self._high[above]
        open_ = np.flatnonzero((high > 0) & ~found)
        if len(open_):
            found[open_] = self._in_table(high[open_], below[open_])
        return found

    def _in_table(self, high: NDArray[np.uint64], below: NDArray[np.uint32]) -> NDArray[np.bool_]:
        products = below.astype(np.uint64)
        products <<= np.uint64(self._pad)
        products += high
        products *= _FACTOR
        buckets = self._buckets.take((products >> self._bucket_shift).view(np.int64))
        places = buckets.view(np.uint16).reshape(-1, _PLACES)
        rest = _rest(products, self._pad, self._rest_bits)
        same = places == rest[:, np.newaxis]
        # The rest that marks an empty place is never in the table.
        hit: NDArray[np.bool_] = (same.view(np.uint64)[:, 0] != 0) & (rest != _EMPTY)
        doubtful = np.flatnonzero((places[:, -1] != _EMPTY) | (rest == _EMPTY))
        if len(doubtful) and len(self._overflow):
            wanted = products[doubtful]
            at = np.searchsorted(self._overflow, wanted)
            at[at == len(self._overflow)] = 0
            hit[doubtful] |= self._overflow[at] == wanted
        return hit
