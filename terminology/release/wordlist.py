"""The words of a release in their order: by beginning, and by likeness where one is misspelt."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import OSA

# (letters, edits): a word of so many letters may differ by so many edits.
_EDITS: Final = ((8, 2), (4, 1))
_AFTER_ALL: Final = b"\xff"

Range = tuple[int, int]


class WordList:
    """Sorted words in UTF-8, read in place; a range is (first, behind the last).

    Parameters
    ----------
    data, starts
        uint8, the words one after the other, and uint32 (words + 1,), where each begins.
    """

    def __init__(self, data: NDArray[np.uint8], starts: NDArray[np.uint32]) -> None:
        self._data = data
        self._starts = starts
        self._data_view = data.data
        self._starts_view = starts.data

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __getitem__(self, place: int) -> bytes:
        starts = self._starts_view
        return bytes(self._data_view[starts[place] : starts[place + 1]])

    def beginning(self, beginning: str) -> Range:
        """Return the range of the words that begin so."""
        key = beginning.encode()
        low = bisect_left(self, key)
        return low, bisect_left(self, key + _AFTER_ALL, low)

    def exactly(self, word: str) -> Range:
        """Return the range of the word, which holds nothing or the word alone."""
        key = word.encode()
        low = bisect_left(self, key)
        return low, low + (low < len(self) and self[low] == key)

    def like(self, word: str) -> list[Range]:
        """Return ranges of words which `word` may be a misspelling of, or the beginning of one.

        A word that is there is like itself only. Of 4 letters, it may differ by one edit, of 8 by
        two; two letters exchanged are one edit. The first letter is taken to be right, unless a
        single edit of it gives a word. Whole words come first; only where none is near enough are
        beginnings compared. Only the nearest are returned.
        """
        edits = next((most for letters, most in _EDITS if len(word) >= letters), 0)
        low, high = self.exactly(word)
        if not edits or low < high:
            return [(low, high)][: high - low]
        size = len(word.encode())
        low, high = self.beginning(word[0])
        lengths = np.diff(self._starts[low : high + 1].astype(np.int64))
        # One edit adds or takes away a letter, which may have two bytes, in other scripts three.
        spread = edits * (2 if word.isascii() else 3)
        near = np.flatnonzero(np.abs(lengths - size) <= spread)
        whole = _nearest(word, self._cut(near + low, size + spread), edits)
        if whole:
            return [self.exactly(one) for one in whole]
        other = [
            found for one in self._first_changed(word) if (found := self.exactly(one))[1] > found[0]
        ]
        if other:
            return other
        long_enough = np.flatnonzero(lengths >= size - spread)
        beginnings: dict[str, None] = {}
        for width in range(size - edits, size + edits + 1):
            beginnings.update(dict.fromkeys(self._cut(long_enough + low, width)))
        return [self.beginning(one) for one in _nearest(word, beginnings, edits)]

    @cached_property
    def _letters(self) -> tuple[str, ...]:
        """The letters that words begin with."""
        found = []
        place = 0
        while place < len(self):
            found.append(self[place].decode()[0])
            place = self.beginning(found[-1])[1]
        return tuple(found)

    def _first_changed(self, word: str) -> list[str]:
        """Return `word` with one edit at its first letter."""
        changed = [word[1:], word[1] + word[0] + word[2:]]
        for letter in self._letters:
            changed += [letter + word[1:], letter + word]
        return sorted({one for one in changed if one != word})

    def _cut(self, places: NDArray[np.int64], width: int) -> list[str]:
        """Return the distinct words at ascending `places`, cut to so many bytes."""
        if not len(places):
            return []
        starts = self._starts[places].astype(np.int64)
        lengths = self._starts[places + 1] - starts
        columns = np.arange(width)
        table = self._data.take(starts[:, None] + columns, mode="clip")
        table[columns >= lengths[:, None]] = 0
        rows = table.view(f"S{width}").ravel()
        fresh = np.ones(len(rows), dtype=np.bool_)
        fresh[1:] = rows[1:] != rows[:-1]
        return [one.decode(errors="ignore") for one in rows[fresh].tolist()]


def _nearest(word: str, choices: Iterable[str], edits: int) -> list[str]:
    """Return the choices with the fewest edits from `word`, sorted; none beyond `edits`."""
    found = process.extract(
        word, list(choices), scorer=OSA.distance, score_cutoff=edits, limit=None
    )
    least = min((distance for _, distance, _ in found), default=None)
    return sorted({choice for choice, distance, _ in found if distance == least})
