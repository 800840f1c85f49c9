"""Misspellings: the one body-part word that an unknown token is nearest to, or none.

Guarded, because a wrong site is worse than none: no token under five letters, the first letter
right, few letters wrong for the length, no known word as near, and no second site as near.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import OSA

from terminology.entries import Entry, Kind
from terminology.words import FUZZY_FROM, HeaderWords

if TYPE_CHECKING:
    from collections.abc import Container

# A misspelling has at least this many letters, at least so many with one letter exchanged, and
# at least so many with two letters wrong: short words are near too many others.
SHORTEST_FUZZY: Final = 5
EXCHANGED_FROM: Final = 7
TWO_LETTERS_FROM: Final = 9

# In a phrase, the words beside it must agree; a word of this length is misspelt in one letter.
SHORTEST_IN_PHRASE: Final = 5

_MOST_LETTERS_WRONG: Final = 2
_MOST_WORDS: Final = 4
# Words longer than this are no header words; nothing is near them.
_LONGEST: Final = 40
_CACHE_SIZE: Final = 8192
_STUTTER = re.compile(r"(.)\1{2,}")
_PROCEDURE = re.compile(r"(?:gram|grama|gramma|gramm|gra(?:ph|f)\w+|graph|scop\w+)$")


class Nearest(NamedTuple):
    """The site that a token is read as, and how many letters differ."""

    entry: Entry
    distance: int


class Misspellings:
    """Finds the nearest word; safe to share between threads.

    Words are kept by first letter and length, so that a token is compared with the few that its
    letters allow.

    Parameters
    ----------
    words
        The vocabulary.
    codes
        The body structures; words of other codes are not found.
    """

    def __init__(self, words: HeaderWords, codes: Container[str]) -> None:
        self._words = words
        self._codes = codes
        known = {words.sites[(word,)].code for word in words.fuzzy_words}
        known = {code for code in known if code in codes}
        self._sites = _by_start(
            word for word in words.fuzzy_words if words.sites[(word,)].code in known
        )
        self._others = _by_start(words.other_words)
        self._in_phrases = _by_start(
            sorted(
                {
                    word
                    for key, entry in words.sites.items()
                    if len(key) > 1 and entry.kind is Kind.SITE and entry.confidence >= FUZZY_FROM
                    for word in key
                    if len(word) >= SHORTEST_IN_PHRASE - 1 and word.isascii()
                }
            )
        )
        self._remembered = lru_cache(maxsize=_CACHE_SIZE)(self._nearest)

    def phrase_words(self, token: str) -> tuple[str, ...]:
        """Return the words of phrases that the folded `token` may be a misspelling of."""
        if not SHORTEST_IN_PHRASE <= len(token) <= _LONGEST:
            return ()
        if not token.isascii() or not token.isalpha():
            return ()
        allowed = 1 if len(token) < TWO_LETTERS_FROM else _MOST_LETTERS_WRONG
        near = self._in_phrases.get((token[0], len(token), allowed), ())
        return tuple(
            word
            for word, _, _ in process.extract(
                token, near, scorer=OSA.distance, score_cutoff=allowed, limit=_MOST_WORDS
            )
        )

    def nearest(self, token: str) -> Nearest | None:
        """Return the one site whose word the folded `token` is nearest to."""
        if not SHORTEST_FUZZY <= len(token) <= _LONGEST:
            return None
        if not token.isascii() or not token.isalpha():
            return None
        return self._remembered(token)

    def _nearest(self, token: str) -> Nearest | None:
        # "Kneee": no word has a letter three times.
        word = _STUTTER.sub(r"\1\1", token)
        if word != token and (entry := self._words.sites.get((word,))) is not None:
            return (
                Nearest(entry, 1) if entry.kind is Kind.SITE and entry.code in self._codes else None
            )
        # The ending of a procedure's name says nothing of the part: sialogram, scanogram.
        stem = _PROCEDURE.sub("", token)
        allowed = 1 if len(stem) < TWO_LETTERS_FROM else _MOST_LETTERS_WRONG
        start = (token[0], len(token), allowed)
        near = [
            (word, int(distance))
            for word, distance, _ in process.extract(
                token, self._sites.get(start, ()), scorer=OSA.distance, score_cutoff=allowed
            )
            if _plausible(token, word)
        ]
        if not near:
            return None
        least = min(_effort(token, word, distance) for word, distance in near)
        near = [pair for pair in near if _effort(token, *pair) == least]
        distance = near[0][1]
        # A word that is known to be no body part is as good an explanation.
        if any(
            _effort(token, word, int(found)) <= least
            for word, found, _ in process.extract(
                token, self._others.get(start, ()), scorer=OSA.distance, score_cutoff=distance
            )
        ):
            return None
        entries = [self._words.sites[(word,)] for word, _ in near]
        if len({entry.code for entry in entries}) != 1:
            return None
        return Nearest(max(entries, key=lambda entry: entry.confidence), distance)


def _by_start(words: Iterable[str]) -> dict[tuple[str, int, int], tuple[str, ...]]:
    """Return the words that a token may be meant to be.

    By its first letter, its length, and how many letters may be wrong.
    """
    found: dict[tuple[str, int, int], list[str]] = {}
    for word in words:
        for wrong in range(1, _MOST_LETTERS_WRONG + 1):
            for length in range(len(word) - wrong, len(word) + wrong + 1):
                found.setdefault((word[0], length, wrong), []).append(word)
    return {start: tuple(near) for start, near in found.items()}


def _effort(token: str, word: str, distance: int) -> tuple[int, bool]:
    """Return how near `word` is: letters in the wrong order are nearer than a wrong letter."""
    return distance, len(token) == len(word) and sorted(token) != sorted(word)


def _plausible(token: str, word: str) -> bool:
    """Return whether `word` may be meant: few letters of a short word are exchanged."""
    exchanged = len(token) == len(word) and sorted(token) != sorted(word)
    return not exchanged or len(token) >= EXCHANGED_FROM
