"""`CutReader`: the last word or phrase of a value that was cut at 16 characters."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from terminology.concept import Laterality
from terminology.entries import Kind
from terminology.items import TRUNCATED, Item
from terminology.phrase_index import PhraseIndex
from terminology.words import HeaderWords

# PS3.5: a code string has at most 16 characters, so vendors cut what is longer.
CUT_LENGTHS: Final = (15, 16)
# The last so many tokens may be a phrase that is cut.
_CUT_PHRASE: Final = range(2, 5)
# A word of fewer letters than this is the beginning of too many others.
_SHORTEST_CUT: Final = 6
# A cut phrase has a whole word of so many letters, and unknown words of more speak against one.
_SHORTEST_CUT_BEHIND: Final = 3


class CutReader:
    """Reads the beginnings of words and phrases; safe to share between threads.

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
        self._cuttable = sorted(
            word for word in index.single if len(word) >= _SHORTEST_CUT and self._is_cuttable(word)
        )

    def word(self, token: str, place: int) -> Item | None:
        """Read the last token as the beginning of a word: CHE of a chest, IZQUIERD of a left."""
        if len(token) < 3:
            return None
        whole = {
            entry.value or text
            for text, entry in self._words.truncated.items()
            if text.startswith(token) and text != token
        }
        if len(whole) != 1:
            return self._cut_anywhere(token, place)
        word = whole.pop()
        entry = self._words.sites.get((word,))
        if entry is None or not self._index.known(entry):
            return None
        note = f"'{token}' read as the beginning of '{word}'"
        return Item(place, place, entry, None, TRUNCATED, note)

    def phrase(self, folded: Sequence[str], place: int, item: Item | None) -> Item | None:
        """Read the last tokens as the beginning of a phrase: RACHIS LOMBO-SAC, LOWER_EXTREMITIE."""
        if len(folded) - place not in _CUT_PHRASE or (
            item is not None and item.last == len(folded) - 1
        ):
            return None
        *whole, last = folded[place:]
        longest = max(map(len, whole))
        if longest < _SHORTEST_CUT_BEHIND or (
            len(whole) == 1 and (last in self._index.single or len(last) <= _SHORTEST_CUT_BEHIND)
        ):
            return None
        if last in self._index.single and len(last) == 1:
            return None
        found = {
            entry.code: entry
            for key, (entry, _) in self._index.phrases[folded[place]].items()
            if len(key) > len(whole)
            and key[len(whole)].startswith(last)
            and key[: len(whole)] == tuple(whole)
            and entry is not None
            and entry.kind is Kind.SITE
            and not entry.weak
        }
        if len(found) != 1:
            return None
        entry = found.popitem()[1]
        note = f"'{' '.join(folded[place:])}' read as the beginning of '{entry.phrase}'"
        return Item(place, len(folded) - 1, entry, None, TRUNCATED, note)

    def _cut_anywhere(self, token: str, place: int) -> Item | None:
        """Read the beginning of a long word of a part or a side, if it is of one meaning."""
        if len(token) < _SHORTEST_CUT - 1:
            return None
        begins = bisect_left(self._cuttable, token)
        found: dict[tuple[str, Laterality | None], str] = {}
        for word in self._cuttable[begins:]:
            if not word.startswith(token):
                break
            site, other = self._index.single[word]
            if (entry := site or other) is not None:
                found.setdefault((entry.code, entry.laterality), word)
        if len(found) != 1:
            return None
        word = found.popitem()[1]
        site, other = self._index.single[word]
        note = f"'{token}' read as the beginning of '{word}'"
        return Item(place, place, site or other, None, TRUNCATED, note)

    def _is_cuttable(self, word: str) -> bool:
        """Return whether the word is a sure word of a part, or one of a side."""
        site, other = self._index.single[word]
        if site is not None:
            return site.kind is Kind.SITE and not site.weak
        return other is not None and other.kind is Kind.LATERALITY


def has_unknown(items: Sequence[Item], folded: Sequence[str]) -> bool:
    """Return whether the value has words that are not known: then its last one was not cut."""
    return any(
        item.entry is None and len(folded[item.first]) > _SHORTEST_CUT_BEHIND for item in items
    )
