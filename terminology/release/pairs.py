"""Subsumption of many pairs at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terminology.release.arrays import Array

# Pairs a step: what a step works on stays in the processor's cache.
_STEP: Final = 1 << 15
# Fewer pairs than this are not worth a second thread.
_ALONE: Final = 4 * _STEP
_THREADS: Final = min(4, os.cpu_count() or 1)


class PairTest:
    """Whether one ordinal is strictly above another, for arrays of pairs.

    Three tests, each for the pairs that the one before left open: the range of ordinals that are
    below a concept (which settles pairs that have nothing to do with each other), the interval of
    its tree, and a binary search among the ancestors of the lower one.
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self._subtree: NDArray[np.uint32] = arrays["isa.subtree"]
        self._first: NDArray[np.uint32] = arrays["isa.first"]
        self._last: NDArray[np.uint32] = arrays["isa.last"]
        self._values: NDArray[np.uint32] = arrays["isa.ancestors.values"]
        starts = arrays["isa.ancestors.starts"]
        self._starts: NDArray[np.uint32] = starts[:-1].astype(np.uint32)
        self._lengths: NDArray[np.uint32] = np.diff(starts).astype(np.uint32)

    def __call__(
        self, ancestors: NDArray[np.uint32], descendants: NDArray[np.uint32]
    ) -> NDArray[np.bool_]:
        """Return bool of the shape of both arguments (uint32)."""
        above = np.ravel(ancestors).astype(np.uint32, copy=False)
        below = np.ravel(descendants).astype(np.uint32, copy=False)
        found = np.empty(len(above), dtype=np.bool_)

        def test(start: int) -> None:
            part = slice(start, start + _STEP)
            found[part] = self._test(above[part], below[part])

        steps = range(0, len(above), _STEP)
        if len(above) <= _ALONE or _THREADS == 1:
            for start in steps:
                test(start)
        else:
            # NumPy lets go of the interpreter lock while it works.
            list(self._threads.map(test, steps))
        return found.reshape(np.shape(ancestors))

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_THREADS, thread_name_prefix="subsumes")

    def _test(self, above: NDArray[np.uint32], below: NDArray[np.uint32]) -> NDArray[np.bool_]:
        open_ = np.flatnonzero(below <= self._last[above])
        found = np.zeros(len(above), dtype=np.bool_)
        if not len(open_):
            return found
        above, below = above[open_], below[open_]
        # Unsigned: what comes before `above` wraps round to a large number.
        tree = (below - above - np.uint32(1)) < (self._subtree[above] - np.uint32(1))
        found[open_] = tree
        left = np.flatnonzero(~tree & (below >= self._first[above]))
        open_, above, below = open_[left], above[left], below[left]
        found[open_] = self._listed(above, below)
        return found

    def _listed(self, above: NDArray[np.uint32], below: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Search the sorted ancestors of `below`, none of them empty, for `above`."""
        low, size = self._starts[below], self._lengths[below]
        some = size > 0
        if not some.all():
            listed = np.zeros(len(above), dtype=np.bool_)
            listed[some] = self._listed(above[some], below[some])
            return listed
        for _ in range(int(size.max(initial=1)).bit_length()):
            half = size >> 1
            low += half * (self._values[low + half - 1 * (half > 0)] < above)
            size -= half
        return np.asarray(self._values[low] == above)
