"""Wild searches over the terms of a whole release, in their bytes.

Hardly any term has accents; those that have are read as `terminology.ecl.matching` does. In the
others a letter is a byte, and case is all that may differ.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from terminology.ecl.matching import glob, literals, matcher
from terminology.ecl.syntax import WildSearch
from terminology.release.descriptions import DescriptionTable

Flags = NDArray[np.bool_]
Rows = NDArray[np.integer]

_BLOCK: Final = 1 << 16
_ASCII_END: Final = 0x80
# A text so long is looked for in all terms at once; a shorter one is in too many of them.
_LONG: Final = 3


def wild_flags(term: WildSearch, rows: Rows, table: DescriptionTable) -> Flags:
    """Return which rows, ascending, have a term that matches a wild search in ASCII."""
    pieces = [piece.lower().encode() for piece in literals(term)]
    longest = max(pieces, key=len)
    escaped = [re.escape(piece).decode() for piece in pieces]
    matches = re.compile(glob(escaped).encode(), re.DOTALL).fullmatch
    starts, data = table.terms
    found = np.zeros(len(rows), dtype=np.bool_)
    for first in range(0, len(rows), _BLOCK):
        part = rows[first : first + _BLOCK]
        begin = int(starts[part[0]])
        raw = data[begin : int(starts[part[-1] + 1])]
        text = bytes(raw).lower()
        left, right = starts[part] - begin, starts[part + 1] - begin
        accented = np.zeros(len(part), dtype=np.bool_)
        if not text.isascii():
            before = np.concatenate(([0], np.cumsum(raw >= _ASCII_END)))
            accented = before[right] > before[left]
        worth = ~accented
        if len(longest) >= _LONG:
            worth &= _having(longest, text, left)
        places = np.flatnonzero(worth)
        for place, low, high in zip(
            places.tolist(), left[places].tolist(), right[places].tolist(), strict=True
        ):
            if matches(text, low, high) is not None:
                found[first + place] = True
        for place in np.flatnonzero(accented).tolist():
            row = int(part[place])
            test = matcher((term,), table.languages[table.language[row]])
            found[first + place] = test(table.term(row))
    return found


def _having(sought: bytes, text: bytes, left: NDArray[np.int64]) -> Flags:
    """Return which of the terms that begin at `left` may hold a text."""
    hits, at = [], text.find(sought)
    while at >= 0:
        hits.append(at)
        at = text.find(sought, at + 1)
    flags = np.zeros(len(left), dtype=np.bool_)
    places = np.searchsorted(left, np.array(hits, dtype=np.int64), "right") - 1
    flags[places[places >= 0]] = True
    return flags
