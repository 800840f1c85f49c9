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

from terminology.release.folding import Folding, filed, folding_of
from terminology.release.ordinals import places_in
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
# Bytes of letters that are not ASCII stay; what parts words becomes a space.
_LOWERED: Final = np.array(
    [
        one if one >= _ASCII_END else ord(chr(one).lower()) if chr(one).isalnum() else _SPACE
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
    reading = _Words(terms, language, languages)
    for done in reading.read():
        tell(0.5 * done)
    words, found, found_rows, lengths = reading.take()
    tell(0.6)
    kinds = np.full(len(terms), OTHER_KIND, dtype=np.uint8)
    kinds[type_id == int(SYNONYM)] = SYNONYM_KIND
    kinds[type_id == int(FSN)] = FSN_KIND
    parts = (2 * ~active + ~concept_active[concept]).astype(np.int64)
    parts[kinds == OTHER_KIND] = NO_NAME
    order = np.lexsort((codes[concept], text_order(terms), parts))
    rank = np.empty(len(order), dtype=np.uint32)
    rank[order] = np.arange(len(order), dtype=np.uint32)
    tell(0.8)
    ranks, starts = _lists(words, found, rank[found_rows])
    del found, found_rows
    common = _common_ranges(words, starts, max(_COMMON_LEAST, len(rank) // _COMMON_SHARE))
    tell(0.9)
    return {
        "terms.words.data": np.frombuffer(b"".join(words), dtype=np.uint8),
        "terms.words.starts": _starts(np.fromiter(map(len, words), np.int64, len(words))),
        "terms.ranks": ranks,
        "terms.ranks.starts": starts,
        "terms.rows": order.astype(np.uint32),
        "terms.concepts": concept[order].astype(np.uint32),
        "terms.kinds": kinds[order],
        "terms.lengths": lengths[order],
        "terms.parts": np.cumsum(np.bincount(parts, minlength=PARTS)),
        "terms.common": np.array(common, dtype=np.uint32).reshape(-1, 2),
        "terms.common.bits": _bits(common, starts, ranks, len(rank)),
    }


def text_order(terms: TextColumn) -> NDArray[np.int64]:
    """Return int64 (rows,), a number a row that sorts as (characters, term); equal if the same."""
    characters = np.zeros(len(terms), dtype=np.int64)
    for begin in range(0, len(terms), _CHUNK):
        text, offsets = _lines(terms, np.arange(begin, min(begin + _CHUNK, len(terms))))
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
    """The words of all terms, numbered as they are met, with the row of each.

    The text is parted at what is no letter and no digit in ASCII, all rows at once; only the
    distinct pieces are folded, in each language by its own rules.
    """

    def __init__(
        self, terms: TextColumn, language: NDArray[np.uint8], languages: tuple[str, ...]
    ) -> None:
        self._terms = terms
        self._foldings = list(dict.fromkeys(folding_of(one) for one in languages))
        group_of = [self._foldings.index(folding_of(one)) for one in languages]
        self._groups = np.array(group_of, dtype=np.uint8)[language]
        self._pieces = [_Numbers() for _ in self._foldings]
        # For each part that was read: its folding, the pieces and the row of each of them.
        self._found: list[tuple[int, NDArray[np.uint32], NDArray[np.uint32]]] = []

    def read(self) -> Iterator[float]:
        """Read all terms, yielding how much is done."""
        count = len(self._terms)
        for begin in range(0, count, _CHUNK):
            groups = self._groups[begin : begin + _CHUNK]
            for group in np.unique(groups).tolist():
                self._read_part(group, np.flatnonzero(groups == group) + begin)
            yield min(begin + _CHUNK, count) / count

    def _read_part(self, group: int, rows: NDArray[np.int64]) -> None:
        text, offsets = _lines(self._terms, rows)
        text = _LOWERED[text]
        inside = text != _SPACE
        first = inside.copy()
        first[1:] &= ~inside[:-1]
        counts = np.add.reduceat(first.astype(np.int64), offsets)
        pieces = map(self._pieces[group].__getitem__, text.tobytes().split())
        found = np.fromiter(pieces, np.uint32, int(counts.sum()))
        self._found.append((group, found, np.repeat(rows.astype(np.uint32), counts)))

    def take(self) -> tuple[list[bytes], NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint8]]:
        """Return the words, sorted; word and row of all that was found; how many a row has.

        This empties the object. Spellings count as one word.
        """
        numbers = _Numbers()
        filed_as = [
            _filed_as(folding, pieces, numbers)
            for folding, pieces in zip(self._foldings, self._pieces, strict=True)
        ]
        self._pieces.clear()
        words = sorted(numbers)
        place = np.empty(len(words), dtype=np.uint32)
        place[np.fromiter(map(numbers.__getitem__, words), np.int64, len(words))] = np.arange(
            len(words), dtype=np.uint32
        )
        none = np.zeros(0, dtype=np.uint32)
        all_words, all_rows = [none], [none]
        lengths = np.zeros(len(self._terms), dtype=np.int64)
        for group, found, rows in self._found:
            flat, starts, counts = filed_as[group]
            np.add.at(lengths, rows, counts[found])
            sizes = np.diff(starts)[found]
            all_words.append(place[flat[places_in(starts[found], sizes)]])
            all_rows.append(np.repeat(rows, sizes))
        self._found.clear()
        return (
            words,
            np.concatenate(all_words),
            np.concatenate(all_rows),
            np.minimum(lengths, MOST_WORDS).astype(np.uint8),
        )


class _Numbers(dict[bytes, int]):
    """Word → number; a new word gets the next one."""

    def __missing__(self, word: bytes) -> int:
        number = self[word] = len(self)
        return number


def _filed_as(
    folding: Folding, pieces: _Numbers, numbers: _Numbers
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the words under which pieces of text are filed, and how many words they are.

    Those of piece `i` are ``flat[starts[i] : starts[i + 1]]``, numbered by `numbers`.
    """
    flat: list[int] = []
    sizes, counts = [], []
    for piece in pieces:
        if piece.isascii():
            flat.append(numbers[piece])
            sizes.append(1)
            counts.append(1)
        else:
            words = folding.words(piece.decode())
            files = filed(words)
            flat.extend(numbers[word.encode()] for word in files)
            sizes.append(len(files))
            counts.append(len(words))
    return (
        np.array(flat, dtype=np.int64),
        _starts(np.array(sizes, dtype=np.int64)).astype(np.int64),
        np.array(counts, dtype=np.int64),
    )


def _lists(
    words: list[bytes],
    found: NDArray[np.uint32],
    ranks: NDArray[np.uint32],
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the ranks of each word, ascending and once, one word after the other, and starts."""
    pairs = found.astype(np.uint64) << np.uint64(32)
    pairs |= ranks
    pairs.sort()
    fresh = np.ones(len(pairs), dtype=np.bool_)
    fresh[1:] = pairs[1:] != pairs[:-1]
    pairs = pairs[fresh]
    ranks = (pairs & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    pairs >>= np.uint64(32)
    return ranks, _starts(np.bincount(pairs.astype(np.int64), minlength=len(words)))


def _lines(
    terms: TextColumn, rows: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the terms of `rows`, each with a line feed behind, and where each begins."""
    sizes = terms.lengths[rows].astype(np.int64) + 1
    offsets = np.cumsum(sizes) - sizes
    places = places_in(terms.starts[rows], sizes)
    # The place of a line feed may lie behind the last byte of all.
    text = (
        terms.data.take(places, mode="clip")
        if len(terms.data)
        else np.zeros(len(places), dtype=np.uint8)
    )
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
