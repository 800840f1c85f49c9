"""Find concepts by words as one types them, in an order that never changes.

Words are looked up in the arrays of `terminology.release.termarrays`, which are read in place; what
they find is put in order by `terminology.release.hits`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from itertools import zip_longest
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pyroaring import AbstractBitMap, BitMap

from terminology.release.descriptions import DescriptionTable
from terminology.release.folding import Folding, folding_of, sought
from terminology.release.hits import Hit, Matches, RankedTerms, Ranks, SearchResult
from terminology.release.ordinals import distinct, flags_of
from terminology.release.termarrays import (
    ACTIVE,
    INACTIVE_BOTH,
    INACTIVE_CONCEPT,
    MOST_WORDS,
    NO_NAME,
)
from terminology.release.wordlist import Range, WordList

__all__ = ["Hit", "Matches", "SearchResult", "TermSearch"]

# So few numbers are sorted rather than marked in an array of all.
_FEW: Final = 4096
# A text of more words than a person types into a box is not taken as misspelt.
_TYPED: Final = 8
# The lists of so many words are not looked into one by one.
_SEVERAL: Final = 8
_LONGEST_CODE: Final = 18
_SHORTEST_CODE: Final = 6


@dataclass(frozen=True, slots=True)
class _Reading:
    """A text as some languages read it: their positions, its words, the beginnings to look up."""

    languages: tuple[int, ...]
    words: list[tuple[str, ...]]
    sought: list[tuple[str, ...]]


class TermSearch:
    """Text search over the terms of a release.

    A concept is found when every word of the text begins a word of one of its terms, in any order.
    Case, accents and punctuation do not count, by the rules of each term's own language (see
    `terminology.release.folding`). A text that is the code of a concept, or of a description, finds
    that concept. Text definitions are not searched.

    The order is total, so that pages fit together: exact matches first; then the preferred terms of
    the languages asked for, language by language, other synonyms, fully specified names; within
    these, what is active, shorter terms, the term by code points, the code. A concept stands once,
    by its first term in this order.

    Parameters
    ----------
    arrays
        What `terminology.release.termarrays.term_arrays` made.
    table
        The description table it was made from.
    find
        Code as a number → ordinal, -1 when the release does not hold it.
    """

    def __init__(
        self,
        arrays: Mapping[str, NDArray[Any]],
        table: DescriptionTable,
        find: Callable[[int], int],
    ) -> None:
        self._table = table
        self._find = find
        self._words = WordList(arrays["terms.words.data"], arrays["terms.words.starts"])
        self._ranks: Ranks = arrays["terms.ranks"]
        self._starts: NDArray[np.uint32] = arrays["terms.ranks.starts"]
        self._terms = RankedTerms(arrays, table)
        self._rows, self._concepts = self._terms.rows, self._terms.concepts
        self._lengths: NDArray[np.uint8] = arrays["terms.lengths"]
        self._parts: list[int] = arrays["terms.parts"].tolist()
        self._bits: NDArray[np.uint8] = arrays["terms.common.bits"]
        self._common: dict[Range, int] = {
            (low, high): at for at, (low, high) in enumerate(arrays["terms.common"].tolist())
        }
        self._foldings: dict[Folding, tuple[int, ...]] = {}
        for place, language in enumerate(table.languages):
            folding = folding_of(language)
            self._foldings[folding] = (*self._foldings.get(folding, ()), place)

    def search(
        self,
        text: str,
        *,
        within: AbstractBitMap | None = None,
        languages: Iterable[str] = (),
        limit: int | None = 20,
        offset: int = 0,
        inactive: bool = False,
        inactive_terms: bool = False,
        fuzzy: bool = True,
    ) -> SearchResult:
        """Return the concepts that `text` finds, from `offset` on; none for a text without words.

        Parameters
        ----------
        within
            Ordinals to choose from; `None` for all.
        languages
            BCP-47 tags in order of preference. They decide the order, and which term of a concept
            is shown; terms of other languages are found too.
        limit
            `None` for all.
        inactive, inactive_terms
            Whether inactive concepts are found, and whether inactive descriptions are searched.
        fuzzy
            When the text matches nothing, in `within` or elsewhere, words of 4 letters or more may
            be misspelt; not in a text of more than 8 words.
        """
        found = self.matches(
            text, within=within, inactive=inactive, inactive_terms=inactive_terms, fuzzy=fuzzy
        )
        return found.page(languages, limit=limit, offset=offset)

    def matching(
        self,
        text: str,
        *,
        within: AbstractBitMap | None = None,
        inactive: bool = False,
        inactive_terms: bool = False,
        fuzzy: bool = True,
    ) -> BitMap:
        """Return the ordinals of all concepts that `search` finds."""
        found = self.matches(
            text, within=within, inactive=inactive, inactive_terms=inactive_terms, fuzzy=fuzzy
        )
        return BitMap(found.ordinals)

    def rows_matching(self, words: Sequence[str]) -> NDArray[np.uint32]:
        """Return the rows of the description table of which the term has all `words`, ascending.

        This is ``match:`` of an ECL term filter: every one of `words` begins a word of the term, in
        any order. Rows of every type and language, active or not, are returned. Nothing matches no
        words at all.
        """
        ranks = self._having(self._readings(" ".join(words)), self._parts[NO_NAME])
        return distinct(self._rows[ranks], len(self._rows))

    def matches(
        self,
        text: str,
        *,
        within: AbstractBitMap | None = None,
        inactive: bool = False,
        inactive_terms: bool = False,
        fuzzy: bool = True,
    ) -> Matches:
        """Return all that `search` finds, to be counted and shown page by page."""

        def shown(ranks: Ranks) -> Ranks:
            return self._within(self._visible(ranks, inactive, inactive_terms), within)

        if inactive_terms:
            end = self._parts[INACTIVE_BOTH]
        else:
            end = self._parts[INACTIVE_CONCEPT if inactive else ACTIVE]
        coded = shown(self._coded(text.strip()))
        if len(coded):
            return Matches(self._terms, coded, coded)
        readings = self._readings(text)
        found = self._visible(self._having(readings, end), inactive, inactive_terms)
        if (
            len(found)
            or not fuzzy
            or max((len(one.sought) for one in readings), default=0) > _TYPED
        ):
            ranks = self._within(found, within)
            return Matches(self._terms, ranks, self._exact(readings, ranks))
        like = cache(self._words.like)
        for known_too in (False, True):
            found = self._visible(
                self._misspelt(readings, end, like, known_too), inactive, inactive_terms
            )
            if len(found):
                break
        ranks = self._within(found, within)
        return Matches(self._terms, ranks, ranks[:0], fuzzy=len(ranks) > 0)

    def _readings(self, text: str) -> list[_Reading]:
        """Return `text` as the languages of the release read it, if any of them sees words."""
        found: list[_Reading] = []
        for folding, languages in self._foldings.items():
            words = folding.words(text)
            for place, same in enumerate(found):
                # Most texts are the same in all languages, and looked up once.
                if same.words == words:
                    found[place] = _Reading(same.languages + languages, words, same.sought)
                    break
            else:
                found.append(_Reading(languages, words, sought(words)))
        return [one for one in found if one.words]

    def _having(self, readings: list[_Reading], end: int) -> Ranks:
        """Return the ranks below `end` that have words that begin as the readings say."""
        return self._union(
            readings,
            lambda one: self._all_of(
                ([self._words.beginning(spelt) for spelt in word] for word in _needed(one.sought)),
                end,
            ),
        )

    def _misspelt(
        self,
        readings: list[_Reading],
        end: int,
        like: Callable[[str], list[Range]],
        known_too: bool,
    ) -> Ranks:
        """Return the ranks that match when unknown words are misspelt, or `known_too` any word."""

        def meant(spellings: tuple[str, ...]) -> list[Range]:
            known = [self._words.beginning(one) for one in spellings]
            if any(low < high for low, high in known) and not known_too:
                return known
            return known + like(spellings[0])

        return self._union(
            readings, lambda one: self._all_of((meant(word) for word in one.sought), end)
        )

    def _exact(self, readings: list[_Reading], ranks: Ranks) -> Ranks:
        """Return those of `ranks` whose terms have the words of a reading and no more, in order."""

        def equal_to(one: _Reading) -> Ranks:
            equal = ranks[self._lengths[ranks] == min(len(one.words), MOST_WORDS)]
            for word in one.sought:
                equal = equal[self._has(equal, [self._words.exactly(same) for same in word])]
            known: dict[tuple[int, str], bool] = {}
            same = [self._same_words(rank, one.words, known) for rank in equal.tolist()]
            return np.compress(same, equal)

        return self._union(readings, equal_to) if len(ranks) else ranks

    def _same_words(
        self, rank: int, words: list[tuple[str, ...]], known: dict[tuple[int, str], bool]
    ) -> bool:
        """Whether a term has these words in this order; `known` keeps what was found out."""
        row = int(self._rows[rank])
        key = (int(self._table.language[row]), self._table.term(row))
        if key not in known:
            term = folding_of(self._table.languages[key[0]]).words(key[1])
            known[key] = len(term) == len(words) and all(
                not set(have).isdisjoint(want) for have, want in zip(term, words, strict=True)
            )
        return known[key]

    def _union(self, readings: list[_Reading], ranks_of: Callable[[_Reading], Ranks]) -> Ranks:
        """Return the ranks of all readings, each with the terms of its own languages."""
        if len(readings) == 1 and len(readings[0].languages) == len(self._table.languages):
            return ranks_of(readings[0])
        parts = [np.zeros(0, dtype=np.uint32)]
        for one in readings:
            ranks = ranks_of(one)
            own = np.zeros(len(self._table.languages), dtype=np.bool_)
            own[list(one.languages)] = True
            parts.append(ranks[own[self._table.language[self._rows[ranks]]]])
        found = np.concatenate(parts)
        found.sort()
        return found

    def _all_of(self, words: Iterable[list[Range]], end: int) -> Ranks:
        """Return the ranks below `end` that have, for each word, one of its ranges; ascending."""
        ranges = []
        for word in words:
            ranges.append([one for one in word if one[0] < one[1]])
            if not ranges[-1]:
                break
        if not ranges or not ranges[-1]:
            return np.zeros(0, dtype=np.uint32)
        ranges.sort(key=self._size)
        bits = [self._bits_of(word) for word in ranges]
        if all(one is not None for one in bits):
            both = reduce(np.bitwise_and, [one[: end // 8 + 1] for one in bits if one is not None])
            has = np.unpackbits(both, count=end, bitorder="little")
            return np.flatnonzero(has.view(np.bool_)).astype(np.uint32)
        ranks = self._any_of(ranges[0], end)
        for word, common in zip(ranges[1:], bits[1:], strict=True):
            if not len(ranks):
                break
            if common is not None:
                has = (common[ranks >> 3] >> (ranks & 7).astype(np.uint8)) & 1
                ranks = ranks[has.view(np.bool_)]
            else:
                ranks = ranks[self._has(ranks, word)]
        return ranks

    def _size(self, ranges: list[Range]) -> int:
        return sum(int(self._starts[high]) - int(self._starts[low]) for low, high in ranges)

    def _bits_of(self, ranges: list[Range]) -> NDArray[np.uint8] | None:
        """Return the ranks of a word as bits, where they are stored."""
        place = self._common.get(ranges[0]) if len(ranges) == 1 else None
        return None if place is None else self._bits[place]

    def _any_of(self, ranges: list[Range], end: int) -> Ranks:
        """Return the ranks below `end` that have a word of one of the ranges, ascending."""
        if len(ranges) == 1 and ranges[0][1] - ranges[0][0] == 1:
            low, high = ranges[0]
            own = self._ranks[self._starts[low] : self._starts[high]]
            return own[: np.searchsorted(own, end)]
        if self._size(ranges) > _FEW:
            return np.flatnonzero(self._marked(ranges)[:end]).astype(np.uint32)
        ranks = np.unique(
            np.concatenate(
                [self._ranks[self._starts[low] : self._starts[high]] for low, high in ranges]
            )
        )
        return ranks[: np.searchsorted(ranks, end)]

    def _has(self, ranks: Ranks, ranges: list[Range]) -> NDArray[np.bool_]:
        """Return bool (ranks,): whether each of `ranks` has a word of one of the ranges."""
        places = [place for low, high in ranges for place in range(low, min(high, low + _SEVERAL))]
        if len(ranks) > _FEW or len(places) >= _SEVERAL:
            return self._marked(ranges)[ranks]
        has = np.zeros(len(ranks), dtype=np.bool_)
        for place in places:
            own = self._ranks[self._starts[place] : self._starts[place + 1]]
            has |= own.take(np.searchsorted(own, ranks), mode="clip") == ranks
        return has

    def _marked(self, ranges: list[Range]) -> NDArray[np.bool_]:
        """Return bool (rows,), by rank: whether a row has a word of one of the ranges."""
        marked = np.zeros(len(self._rows), dtype=np.bool_)
        for low, high in ranges:
            marked[self._ranks[self._starts[low] : self._starts[high]]] = True
        return marked

    def _coded(self, text: str) -> Ranks:
        """Return the ranks of the concept, or of the description, that has the code `text`."""
        if not (text.isascii() and text.isdigit()):
            return np.zeros(0, dtype=np.uint32)
        if not _SHORTEST_CODE <= len(text) <= _LONGEST_CODE:
            return np.zeros(0, dtype=np.uint32)
        ordinal = self._find(int(text))
        if ordinal >= 0:
            return np.flatnonzero(self._concepts == ordinal).astype(np.uint32)
        rows = np.flatnonzero(self._table.id == int(text))
        if not len(rows):
            return np.zeros(0, dtype=np.uint32)
        return np.flatnonzero(self._rows == rows[0]).astype(np.uint32)

    def _visible(self, ranks: Ranks, inactive: bool, inactive_terms: bool) -> Ranks:
        parts = self._parts
        if inactive and inactive_terms:
            return ranks[: np.searchsorted(ranks, parts[INACTIVE_BOTH])]
        if inactive_terms:
            return ranks[
                (ranks < parts[ACTIVE])
                | ((ranks >= parts[INACTIVE_CONCEPT]) & (ranks < parts[INACTIVE_BOTH - 1]))
            ]
        return ranks[: np.searchsorted(ranks, parts[INACTIVE_CONCEPT if inactive else ACTIVE])]

    def _within(self, ranks: Ranks, within: AbstractBitMap | None) -> Ranks:
        if within is None or not len(ranks):
            return ranks
        allowed = flags_of(within, self._terms.concept_count)
        return ranks[allowed[self._concepts[ranks]]]


def _needed(words: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return `words` without those that another word already implies, being its beginning."""
    ordered = sorted(set(words))
    return [
        word
        for word, after in zip_longest(ordered, ordered[1:], fillvalue=())
        if not (len(word) == len(after) == 1 and after[0].startswith(word[0]))
    ]
