"""Which concept replaced which, by the historical associations of a release."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pyroaring import BitMap, FrozenBitMap

from terminology.release.index import ReleaseIndex, as_array
from terminology.release.values import HISTORICAL


def historical_pairs(
    index: ReleaseIndex, within: BitMap | FrozenBitMap
) -> Iterator[tuple[str, str]]:
    """Yield (former code, successor) for the successors `within` a set of ordinals."""
    chosen = np.isin(index.arrays["association.refset"], [int(code) for code in HISTORICAL])
    chosen &= np.isin(index.arrays["association.target"], as_array(within))
    for row in np.flatnonzero(chosen).tolist():
        yield (
            index.code(int(index.arrays["association.source"][row])),
            index.code(int(index.arrays["association.target"][row])),
        )
