"""From the terms of a release to the arrays in which words are looked up.

All rows of the description table are put in one order, in which results are shown: what is active
first, then shorter terms, then by term and code. The position in this order is a row's rank, and
the lists of rows that have a word hold ranks, so that the first of a list are the first to show.

=====================  ========================================================================
terms.words.data       uint8, the words in UTF-8, sorted, one after the other
terms.words.starts     uint32 (words + 1,)
terms.ranks            uint32, for each word the ranks of the rows that have it, ascending
terms.ranks.starts     uint32 (words + 1,)
terms.rows             uint32 (rows,), rank → row of the description table
terms.concepts         uint32 (rows,), rank → ordinal of the concept
terms.kinds            uint8 (rows,), rank → `SYNONYM_KIND`, `FSN_KIND` or `OTHER_KIND`
terms.lengths          uint8 (rows,), rank → how many words the term has, at most `MOST_WORDS`
terms.parts            int64 (`PARTS`,), where each part of the order ends
terms.common           uint32 (ranges, 2), ranges of words which many rows have one of
terms.common.bits      uint8 (ranges, ⌈rows / 8⌉), the ranks of those rows, lowest bit first
=====================  ========================================================================

`terminology.release.terms` reads them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from terminology.release.folding import filed, folding_of
from terminology.release.values import FSN, SYNONYM
from terminology.rf2.rows import TextColumn

SYNONYM_KIND: Final = 0
FSN_KIND: Final = 1
OTHER_KIND: Final = 2
# The parts of the order: (description active, concept active), and last what is no name at all.
ACTIVE, INACTIVE_CONCEPT, INACTIVE_TERM, INACTIVE_BOTH, NO_NAME = range(5)
PARTS: Final = 5
# Words of a term are counted up to here.
MOST_WORDS: Final = 255

_CHUNK: Final = 1 << 15
# A range of words is common when one row in so many, and no fewer than so many, has one of them.
_COMMON_SHARE: Final = 16
_COMMON_LEAST: Final = 4096
_SPACE: Final = 0x20
_ASCII_END: Final = 0x80
_LOWERED: Final = np.array(
    [
        ord(chr(one).lower()) if chr(one).isalnum() and one < _ASCII_END else _SPACE
        for one in range(256)
    ],
    dtype=np.uint8,
)

Progress = Callable[[float], None]


def term_arrays(
    *,
    terms: TextColumn,
    concept: NDArray[np.uint32],
    language: NDArray[np.uint8],
    languages: tuple[str, ...],
    active: NDArray[np.bool_],
    type_id: NDArray[np.int64],
    codes: NDArray[np.int64],
    concept_active: NDArray[np.bool_],
    progress: Progress | None = None,
) -> dict[str, NDArray[Any]]:
    """Return the arrays of the module's table for the rows of a description table.

    Parameters
    ----------
    terms, concept, language, active, type_id
        Columns of the table, a row each; `concept` has ordinals, `language` positions in
        `languages`, `type_id` SCTIDs.
    codes, concept_active
        By ordinal: the SCTID, and whether the concept is active.
    progress
        Told how much of the work is done, in [0, 1].
    """
    tell = progress or (lambda done: None)
    words = _Words(terms, language, languages)
    for done in words.read():
        tell(0.6 * done)
    kinds = np.full(len(terms), OTHER_KIND, dtype=np.uint8)
    kinds[type_id == int(SYNONYM)] = SYNONYM_KIND
    kinds[type_id == int(FSN)] = FSN_KIND
    parts = (2 * ~active + ~concept_active[concept]).astype(np.int64)
    parts[kinds == OTHER_KIND] = NO_NAME
    order = np.lexsort((codes[concept], text_order(terms), parts))
    tell(0.75)
    rank = np.empty(len(order), dtype=np.uint32)
    rank[order] = np.arange(len(order), dtype=np.uint32)
    arrays: dict[str, NDArray[Any]] = {
        "terms.rows": order.astype(np.uint32),
        "terms.concepts": concept[order].astype(np.uint32),
        "terms.kinds": kinds[order],
        "terms.lengths": words.lengths[order],
        "terms.parts": np.cumsum(np.bincount(parts, minlength=PARTS)),
    }
    arrays.update(words.sorted_lists(rank))
    tell(1.0)
    return arrays


def text_order(terms: TextColumn) -> NDArray[np.int64]:
    """Return int64 (rows,), a number a row that sorts as (characters, term); equal if the same."""
    characters = np.zeros(len(terms), dtype=np.int64)
    for begin in range(0, len(terms), _CHUNK):
        text, offsets = _lines(terms, begin, min(begin + _CHUNK, len(terms)))
        first_bytes = ((text & 0xC0) != 0x80).astype(np.int64)
        characters[begin : begin + len(offsets)] = np.add.reduceat(first_bytes, offsets) - 1
    numbers = np.zeros(len(terms), dtype=np.int64)
    by_length = np.argsort(characters, kind="stable")
    used = 0
    bounds = np.flatnonzero(np.diff(characters[by_length])) + 1
    for rows in np.split(by_length, bounds):
        sizes = terms.lengths[rows].astype(np.int64)
        width = int(sizes.max(initial=0))
        if not width:
            used += 1
            continue
        columns = np.arange(width)
        inside = columns < sizes[:, None]
        table = np.zeros((len(rows), width), dtype=np.uint8)
        table[inside] = terms.data[(terms.starts[rows][:, None] + columns)[inside]]
        # The order of UTF-8 bytes is that of code points.
        distinct, places = np.unique(table.view(f"S{width}").ravel(), return_inverse=True)
        numbers[rows] = places + used
        used += len(distinct)
    return numbers


class _Words:
    """The words of all terms, numbered as they are met, with the row of each."""

    def __init__(
        self, terms: TextColumn, language: NDArray[np.uint8], languages: tuple[str, ...]
    ) -> None:
        self._terms = terms
        self._language = language
        self._foldings = [folding_of(one) for one in languages]
        self._numbers = _Numbers()
        self._found: list[NDArray[np.uint32]] = []
        self._rows: list[NDArray[np.uint32]] = []
        self.lengths = np.zeros(len(terms), dtype=np.uint8)

    def read(self) -> Iterator[float]:
        """Read all terms, yielding how much is done."""
        count = len(self._terms)
        for begin in range(0, count, _CHUNK):
            end = min(begin + _CHUNK, count)
            text, offsets = _lines(self._terms, begin, end)
            foreign = np.maximum.reduceat(text, offsets) >= _ASCII_END
            self._read_ascii(text, offsets, foreign, begin)
            self._read_folded(np.flatnonzero(foreign) + begin)
            yield end / count

    def _read_ascii(
        self,
        text: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        foreign: NDArray[np.bool_],
        begin: int,
    ) -> None:
        """Read the rows that are all ASCII: at once, since every language folds them alike."""
        folded = _LOWERED[text]
        if foreign.any():
            folded[np.repeat(foreign, np.diff(offsets, append=len(text)))] = _SPACE
        inside = folded != _SPACE
        first = inside.copy()
        first[1:] &= ~inside[:-1]
        counts = np.add.reduceat(first.astype(np.int64), offsets)
        found = folded.tobytes().split()
        rows = np.arange(begin, begin + len(offsets), dtype=np.uint32)
        self._found.append(np.fromiter(map(self._numbers.__getitem__, found), np.uint32))
        self._rows.append(np.repeat(rows, counts))
        self.lengths[begin : begin + len(offsets)] = np.minimum(counts, MOST_WORDS)

    def _read_folded(self, rows: NDArray[np.int64]) -> None:
        found: list[int] = []
        counts = []
        for row in rows.tolist():
            folding = self._foldings[self._language[row]]
            words = folding.words(self._terms[row])
            files = filed(words)
            found.extend(self._numbers[word.encode()] for word in files)
            counts.append(len(files))
            self.lengths[row] = min(len(words), MOST_WORDS)
        self._found.append(np.array(found, dtype=np.uint32))
        self._rows.append(np.repeat(rows.astype(np.uint32), counts))

    def sorted_lists(self, rank: NDArray[np.uint32]) -> dict[str, NDArray[Any]]:
        """Return the words in their order and the ranks that have each; this empties the object."""
        words = sorted(self._numbers)
        place = np.empty(len(words), dtype=np.uint64)
        place[np.fromiter((self._numbers[word] for word in words), np.int64, len(words))] = (
            np.arange(len(words), dtype=np.uint64)
        )
        empty = [np.zeros(0, dtype=np.uint32)]
        pairs = place[np.concatenate(self._found or empty)] << np.uint64(32)
        self._found.clear()
        pairs |= rank[np.concatenate(self._rows or empty)]
        self._rows.clear()
        pairs.sort()
        fresh = np.ones(len(pairs), dtype=np.bool_)
        fresh[1:] = pairs[1:] != pairs[:-1]
        pairs = pairs[fresh]
        del fresh
        ranks = (pairs & np.uint64(0xFFFFFFFF)).astype(np.uint32)
        pairs >>= np.uint64(32)
        sizes = np.bincount(pairs.astype(np.int64), minlength=len(words))
        starts = _starts(sizes)
        common = _common_ranges(words, starts, max(_COMMON_LEAST, len(rank) // _COMMON_SHARE))
        return {
            "terms.words.data": np.frombuffer(b"".join(words), dtype=np.uint8),
            "terms.words.starts": _starts(np.fromiter(map(len, words), np.int64, len(words))),
            "terms.ranks": ranks,
            "terms.ranks.starts": starts,
            "terms.common": np.array(common, dtype=np.uint32).reshape(-1, 2),
            "terms.common.bits": _bits(common, starts, ranks, len(rank)),
        }


class _Numbers(dict[bytes, int]):
    """Word → number; a new word gets the next one."""

    def __missing__(self, word: bytes) -> int:
        number = self[word] = len(self)
        return number


def _lines(terms: TextColumn, begin: int, end: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the terms of rows `begin` to `end`, each with a line feed behind, and their starts."""
    sizes = terms.lengths[begin:end].astype(np.int64) + 1
    offsets = np.cumsum(sizes) - sizes
    total = int(sizes.sum())
    places = np.arange(total) + np.repeat(terms.starts[begin:end] - offsets, sizes)
    # The place of a line feed may lie behind the last byte of all.
    text = terms.data.take(places, mode="clip") if len(terms.data) else np.zeros(total, np.uint8)
    text[offsets + sizes - 1] = 0x0A
    return text, offsets


def _starts(sizes: NDArray[np.int64]) -> NDArray[np.uint32]:
    starts = np.zeros(len(sizes) + 1, dtype=np.uint32)
    np.cumsum(sizes, out=starts[1:])
    return starts


def _common_ranges(
    words: list[bytes], starts: NDArray[np.uint32], least: int
) -> list[tuple[int, int]]:
    """Return the ranges of two words or more that share a beginning and have many ranks."""
    found = []
    waiting = [(0, len(words), b"")]
    while waiting:
        low, high, shared = waiting.pop()
        at = low + (low < high and words[low] == shared)
        while at < high:
            beginning = words[at][: len(shared) + 1]
            end = bisect_left(words, beginning + b"\xff", at, high)
            if int(starts[end]) - int(starts[at]) >= least and end - at > 1:
                if (at, end) != (low, high):
                    found.append((at, end))
                waiting.append((at, end, beginning))
            at = end
    return sorted(found)


def _bits(
    ranges: list[tuple[int, int]],
    starts: NDArray[np.uint32],
    ranks: NDArray[np.uint32],
    rows: int,
) -> NDArray[np.uint8]:
    bits = np.zeros((len(ranges), (rows + 7) // 8), dtype=np.uint8)
    for at, (low, high) in enumerate(ranges):
        has = np.zeros(rows, dtype=np.bool_)
        has[ranks[starts[low] : starts[high]]] = True
        bits[at] = np.packbits(has, bitorder="little")
    return bits
