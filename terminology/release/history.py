"""Which concept replaced which, by the historical associations of a release."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from pyroaring import BitMap, FrozenBitMap

from terminology.release.index import ReleaseIndex
from terminology.release.values import HISTORICAL


def historical_pairs(
    index: ReleaseIndex, within: BitMap | FrozenBitMap
) -> Iterator[tuple[str, str]]:
    """Yield (former code, successor) for the successors `within` a set of ordinals.

    A successor that was replaced in its turn leads on to its own successors.
    """
    chosen = np.isin(index.arrays["association.refset"], [int(code) for code in HISTORICAL])
    now: dict[int, list[int]] = defaultdict(list)
    for row in np.flatnonzero(chosen).tolist():
        source = int(index.arrays["association.source"][row])
        now[source].append(int(index.arrays["association.target"][row]))
    for former in now:
        seen = {former}
        waiting = list(now[former])
        while waiting:
            target = waiting.pop()
            if target in seen:
                continue
            seen.add(target)
            if target in within:
                yield index.code(former), index.code(target)
            else:
                waiting.extend(now.get(target, ()))
