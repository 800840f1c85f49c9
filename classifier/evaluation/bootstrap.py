"""95 % intervals by drawing patients with replacement; `Counted`: statistics of sums over rows.

Almost every figure of a report is a function of sums over images (right answers, true positives of
a label, squared errors). The sums of each patient are taken once; a draw of patients is then a row
of weights, and ten thousand draws are one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]

DRAWS: Final = 10_000
LEVEL: Final = 0.95
# Weights that are held at once: float64, 16 MB.
_BLOCK_CELLS: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Counted:
    """Statistics that are functions of sums over rows.

    Attributes
    ----------
    names
        What the statistics are called, S of them.
    rows
        float64 (N, K): what each row adds to the sums.
    of
        Sums float64 (D, K) → statistics float64 (D, S); NaN where one is undefined.
    """

    names: tuple[str, ...]
    rows: Floats
    of: Callable[[Floats], Floats]

    def values(self) -> dict[str, float]:
        """Return each statistic over all rows; NaN where it is undefined."""
        found = self.of(self.rows.sum(axis=0, keepdims=True))[0]
        return dict(zip(self.names, map(float, found), strict=True))


@dataclass(frozen=True, slots=True)
class Interval:
    """Bounds of a percentile interval; `draws` is how many draws defined the statistic."""

    low: float
    high: float
    draws: int


def number_groups(groups: Sequence[str]) -> tuple[Places, int]:
    """Return the number of the group of each row, from 0 in sorted order, and their count."""
    names, places = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    return places.astype(np.intp).reshape(-1), len(names)


def intervals(
    counted: Counted,
    groups: Sequence[str],
    *,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Interval | None]:
    """Return the percentile interval of each statistic, groups being drawn with replacement.

    Efron & Tibshirani 1993, chapter 13; the group, not the image, is what is drawn, since images
    of one patient are not independent. The bounds are the (1 ± level) / 2 quantiles of the draws
    in which the statistic is defined. `None` where there are fewer than two groups, no draws, or
    none that defines it. The same `seed` gives the same bounds.
    """
    places, count = number_groups(groups)
    if count < 2 or draws < 1:
        return dict.fromkeys(counted.names)
    sums = np.zeros((count, counted.rows.shape[1]))
    np.add.at(sums, places, counted.rows)
    blocks = draw_weights(count, draws, seed, width=sums.shape[1])
    found = [counted.of(weights @ sums) for weights in blocks]
    return dict(zip(counted.names, bounds(np.concatenate(found), level), strict=True))


def weighted_intervals(
    statistic: Callable[[Floats], Floats],
    groups: Sequence[str],
    *,
    draws: int,
    seed: int = 0,
    level: float = LEVEL,
) -> list[Interval | None]:
    """Return the intervals of what is no function of sums, such as average precision.

    `statistic` takes the weights of the rows, float64 (D, N), and returns float64 (D, S).
    """
    places, count = number_groups(groups)
    if count < 2 or draws < 1:
        width = statistic(np.ones((1, len(places)))).shape[1]
        return [None] * width
    blocks = draw_weights(count, draws, seed, width=len(places))
    found = [statistic(weights[:, places]) for weights in blocks]
    return bounds(np.concatenate(found), level)


def draw_weights(
    count: int, draws: int, seed: int, *, width: int | None = None
) -> Iterator[Floats]:
    """Yield how often each of `count` groups is drawn: blocks float64 (D, count), rows sum to it.

    A block has at most as many rows as keep it, or an array of `width` columns, within 16 MB.
    What is drawn does not depend on the size of the blocks.
    """
    rng = np.random.default_rng(seed)
    size = max(1, _BLOCK_CELLS // max(count, width or 0))
    for start in range(0, draws, size):
        rows = min(size, draws - start)
        drawn = rng.integers(0, count, size=(rows, count), dtype=np.int64)
        drawn += np.arange(rows, dtype=np.int64)[:, None] * count
        weights = np.bincount(drawn.reshape(-1), minlength=rows * count)
        yield weights.reshape(rows, count).astype(np.float64)


def bounds(statistics: Floats, level: float = LEVEL) -> list[Interval | None]:
    """Return the interval of each column of draws, float64 (D, S); NaN draws are left out."""
    tails = [(1 - level) / 2, (1 + level) / 2]
    found: list[Interval | None] = []
    for column in statistics.T:
        defined = column[np.isfinite(column)]
        if len(defined):
            low, high = np.quantile(defined, tails)
            found.append(Interval(float(low), float(high), len(defined)))
        else:
            found.append(None)
    return found


def ratio(above: NDArray[Any], below: NDArray[Any]) -> Floats:
    """Return `above` / `below`, NaN where `below` is 0."""
    above, below = np.broadcast_arrays(above, below)
    empty = np.full(above.shape, np.nan)
    np.divide(above, below, out=empty, where=below != 0, dtype=np.float64)
    return empty


def zero_for_nan(values: Floats) -> Floats:
    """Return `values` with 0 in place of NaN."""
    return np.where(np.isnan(values), 0.0, values)


def mean_of_defined(values: Floats) -> Floats:
    """Return the mean over the last axis of what is not NaN; NaN where nothing is."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))
