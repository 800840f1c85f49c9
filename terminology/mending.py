"""`Mender`: unknown words read as misspellings, where nothing else is as likely.

A whole word is read only where the value names no part otherwise; a word within a phrase only
where the phrase makes the part beside it more particular.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from terminology.entries import Kind
from terminology.items import FUZZY, FUZZY_TWO, Item
from terminology.misspellings import SHORTEST_IN_PHRASE, Misspellings
from terminology.phrases import PhraseFinder
from terminology.tokens import Tokens
from terminology.words import HeaderWords

if TYPE_CHECKING:
    from terminology.graph import BodyStructureGraph

# Two unknown words of so many letters are more likely a name than two misspellings.
_SHORTEST_NAME: Final = 4


class Mender:
    """Reads misspelt words; safe to share between threads.

    Parameters
    ----------
    words
        The vocabulary.
    graph
        The body structures.
    finder
        Finds the phrases of the vocabulary.
    """

    def __init__(self, words: HeaderWords, graph: BodyStructureGraph, finder: PhraseFinder) -> None:
        self._graph = graph
        self._finder = finder
        self._misspellings = Misspellings(words, graph)

    def word(self, tokens: Tokens, items: Sequence[Item]) -> list[Item] | None:
        """Return `items` with the unknown word read as a misspelling, `None` where it is none.

        Two unknown words are more likely a name or a device than two misspellings.
        """
        unknown = [
            item
            for item in items
            if item.entry is None and len(tokens.folded[item.first]) >= _SHORTEST_NAME
        ]
        if len(unknown) != 1:
            return None
        item = unknown[0]
        found = self._misspellings.nearest(tokens.folded[item.first])
        if found is None:
            return None
        entry, distance = found
        note = f"'{tokens.written[item.first]}' read as '{entry.phrase}'"
        factor = FUZZY if distance == 1 else FUZZY_TWO
        read = Item(item.first, item.last, entry, None, factor, note)
        return [read if one is item else one for one in items]

    def phrases(self, tokens: Tokens, items: list[Item]) -> list[Item]:
        """Return `items` with misspelt words in phrases read: "thoracik spine"."""
        if all(item.entry is not None for item in items):
            return items
        mended: list[Item] = []
        covered = -1
        for place, item in enumerate(items):
            if item.first <= covered:
                continue
            phrase = self._more_particular(tokens, items, place)
            if phrase is None:
                mended.append(item)
                continue
            while mended and mended[-1].last >= phrase.first:
                mended.pop()
            mended.append(phrase)
            covered = phrase.last
        return mended

    def _more_particular(self, tokens: Tokens, items: Sequence[Item], place: int) -> Item | None:
        """Return the phrase of an unknown word that lies within the part beside it."""
        item = items[place]
        if item.entry is not None or len(tokens.folded[item.first]) < SHORTEST_IN_PHRASE:
            return None
        beside = [
            self._graph.current(near.entry.code)
            for near in (*items[max(place - 1, 0) : place], *items[place + 1 : place + 2])
            if near.entry is not None and near.entry.kind is Kind.SITE
        ]
        phrase = self._mended(tokens, item) if beside else None
        if phrase is None or phrase.entry is None:
            return None
        code = self._graph.current(phrase.entry.code)
        return phrase if any(self._graph.subsumes(one, code) for one in beside) else None

    def _mended(self, tokens: Tokens, item: Item) -> Item | None:
        """Return the one phrase that an unknown word is in when it is spelt rightly."""
        token = tokens.folded[item.first]
        found: dict[str, Item] = {}
        folded = list(tokens.folded)
        for word in self._misspellings.phrase_words(token):
            folded[item.first] = word
            phrase = self._finder.phrase_through(folded, item.first)
            if phrase is not None and phrase.entry is not None:
                note = f"'{tokens.written[item.first]}' read as '{word}'"
                found.setdefault(phrase.entry.code, phrase._replace(factor=FUZZY, note=note))
        return next(iter(found.values())) if len(found) == 1 else None
