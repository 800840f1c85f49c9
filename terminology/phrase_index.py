"""`PhraseIndex`: the phrases of the vocabulary by their first token."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from terminology.entries import Entry, Kind
from terminology.items import Item, Meaning
from terminology.words import HeaderWords


class PhraseIndex:
    """The phrases whose concepts the release has; it is not changed after it was built.

    Attributes
    ----------
    single
        The phrases of one token.
    phrases
        The longer ones, by their first token and then by all of them.
    lengths
        How many tokens the phrases have that begin with a token, the longest first.
    """

    def __init__(self, words: HeaderWords, codes: Container[str]) -> None:
        self._codes = codes
        self._is_code: dict[str, bool] = {}
        self.single: dict[str, Meaning] = {}
        self.phrases: dict[str, dict[tuple[str, ...], Meaning]] = {}
        for key in words.sites.keys() | words.others.keys():
            site, other = words.sites.get(key), words.others.get(key)
            if site is not None and not self.known(site):
                site = None
            if site is None and other is None:
                continue
            if site is not None and len(key) > 1 and all(_says_no_part(words, one) for one in key):
                # "PA left" is a view and a side, whatever somebody else means by it.
                continue
            if len(key) == 1:
                self.single[key[0]] = Meaning(site, other)
            else:
                self.phrases.setdefault(key[0], {})[key] = Meaning(site, other)
        self.lengths = {
            first: sorted({len(key) for key in phrases}, reverse=True)
            for first, phrases in self.phrases.items()
        }

    def sites(self) -> Iterator[tuple[tuple[str, ...], Entry]]:
        """Yield the phrases of two and more tokens that name a part."""
        for phrases in self.phrases.values():
            for key, (site, _) in phrases.items():
                if site is not None and site.kind is Kind.SITE:
                    yield key, site

    def phrase(self, folded: Sequence[str], place: int) -> Item | None:
        """Return the longest phrase of two and more tokens that begins at `place`."""
        first = folded[place]
        phrases = self.phrases[first]
        left = len(folded) - place
        for length in self.lengths[first]:
            if length > left:
                continue
            meaning = phrases.get(tuple(folded[place : place + length]))
            if meaning is not None:
                site, other = meaning
                last = place + length - 1
                return Item(place, last, other) if site is None else Item(place, last, site, other)
        return None

    def known(self, entry: Entry) -> bool:
        """Return whether the release has the concept of a row; rows of no part are known."""
        if entry.kind is not Kind.SITE:
            return True
        known = self._is_code.get(entry.code)
        if known is None:
            known = self._is_code[entry.code] = entry.code in self._codes
        return known


def _says_no_part(words: HeaderWords, token: str) -> bool:
    entry = words.others.get((token,))
    return entry is not None and entry.kind in {Kind.VIEW, Kind.LATERALITY}
