"""`WordSplitter`: one word that several were written together in, taken apart again."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from terminology.entries import Entry, Kind
from terminology.folding import fold
from terminology.items import COMPOUND, EXACT, SIDE_JOINED, UNSPACED, Part, same_language
from terminology.phrase_index import PhraseIndex
from terminology.words import HeaderWords, affix_table, paired_words

_SHORTEST_COMPOUND: Final = 5
_LONGEST_COMPOUND: Final = 32
_LONGEST_REMEMBERED: Final = 64
_CACHE_SIZE: Final = 16384
_HANGUL: Final = "\uac00"


class WordSplitter:
    """Takes words apart: LHAND, THORAXABD, 左膝関節; safe to share between threads.

    Parameters
    ----------
    words
        The vocabulary.
    index
        Its phrases.
    """

    def __init__(self, words: HeaderWords, index: PhraseIndex) -> None:
        self._words = words
        self._index = index
        self._affixes = {
            text: entry for text, entry in affix_table(words).items() if index.known(entry)
        }
        self._paired = paired_words(words)
        self._longest_affix = max(map(len, self._affixes), default=0)
        self._longest_single = max(map(len, index.single), default=0)
        self._remembered = lru_cache(maxsize=_CACHE_SIZE)(self._taken_apart)

    def parts(self, token: str) -> tuple[Part, ...]:
        """Return the parts that a word was written together from, none where it is not known."""
        apart = self._remembered if len(token) <= _LONGEST_REMEMBERED else self._taken_apart
        return apart(token)

    def _taken_apart(self, token: str) -> tuple[Part, ...]:
        if not token.isascii() and (parts := tuple(self._unspaced(token))):
            return parts
        return tuple(self._side_joined(token) or self._compound(token))

    def _side_joined(self, token: str) -> list[Part]:
        """Read LHAND, HANDL, RKNEE: one letter of a side at a part that has one."""
        for letter, rest in ((token[:1], token[1:]), (token[-1:], token[:-1])):
            side = self._words.others.get((letter,))
            site = self._affixes.get(rest)
            if (
                side is not None
                and side.kind is Kind.LATERALITY
                and site is not None
                and site.kind is Kind.SITE
                and rest in self._paired
                and same_language(side, site.languages)
            ):
                if rest + rest[-1:] == token:
                    # "Enkell" is as likely a letter too many as a left ankle.
                    note = f"'{token}' read as '{rest}' with a letter too many"
                    return [Part(site, SIDE_JOINED, note)]
                return [Part(site, SIDE_JOINED), Part(side, EXACT, joined=True)]
        return []

    def _compound(self, token: str) -> list[Part]:
        """Read a word put together from known pieces, all of it, in as few as possible."""
        length = len(token)
        if not _SHORTEST_COMPOUND <= length <= _LONGEST_COMPOUND:
            return []
        affixes, longest = self._affixes, self._longest_affix
        best: list[tuple[Entry, ...] | None] = [None] * (length + 1)
        best[0] = ()
        for start in range(length):
            before = best[start]
            if before is None:
                continue
            for end in range(start + 1, min(length, start + longest) + 1):
                piece = affixes.get(token[start:end])
                if piece is None:
                    continue
                present = best[end]
                if present is None or len(before) + 1 < len(present):
                    best[end] = (*before, piece)
        pieces = best[-1] or ()
        sites = [piece for piece in pieces if piece.kind is Kind.SITE]
        if not sites:
            return []
        # Italian "scapolare" is no scapula with the German "re" of the right side.
        languages = frozenset[str]().union(*(site.languages for site in sites))
        meant = [self._meant(piece) for piece in pieces]
        if any(
            entry.laterality is not None
            and entry.kind is not Kind.SITE
            and entry.languages != {"und"}
            and languages.isdisjoint(entry.languages - {"und"})
            for entry in meant
        ):
            return []
        return [Part(entry, COMPOUND) for entry in meant]

    def _unspaced(self, token: str) -> list[Part]:
        """Return the words of a script that puts no space between them: 左膝関節.

        A part of one sign beside signs that are not known is none: 手術 is an operation, no hand.
        """
        if token < UNSPACED:
            return []
        parts: list[tuple[int, Part]] = []
        start, length, unread = 0, len(token), 0
        while start < length:
            for end in range(min(length, start + self._longest_single), start, -1):
                meaning = self._index.single.get(token[start:end])
                if meaning is not None and (entry := meaning.site or meaning.other):
                    parts.append((end - start, Part(entry, COMPOUND)))
                    start = end
                    break
            else:
                start += 1
                unread += 1
        alone = unread >= (1 if token >= _HANGUL else 2)
        return [
            part
            for signs, part in parts
            if not alone or signs > 1 or part.entry.kind is not Kind.SITE
        ]

    def _meant(self, piece: Entry) -> Entry:
        if piece.kind is not Kind.AFFIX:
            return piece
        return self._words.others.get((fold(piece.value or piece.phrase),), piece)
