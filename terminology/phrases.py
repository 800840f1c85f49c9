"""Finding the vocabulary's phrases in a header string: what each stretch of its tokens is.

The longest phrase wins, from left to right. What is left is tried as a word with its side joined
on (LHAND), as a compound (THORAXABD), as words without spaces (左膝関節), as a word cut by the 16
characters of a DICOM code string, and as a word with a damaged umlaut. What the phrases mean
together is the business of `terminology.text`, misspellings that of `terminology.misspellings`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Final, NamedTuple

from terminology.cutting import CUT_LENGTHS, CutReader, has_unknown
from terminology.entries import Entry, Kind
from terminology.items import (
    DAMAGED,
    DROPPED,
    EXACT,
    JOINED,
    LETTER_ONCE,
    TRUNCATED,
    Item,
    Meaning,
    same_language,
)
from terminology.phrase_index import PhraseIndex
from terminology.splitting import WordSplitter
from terminology.tokens import Tokens
from terminology.words import LOST, HeaderWords

# A phrase with a misspelt word begins at most so many tokens before it.
_FARTHEST_BEGIN: Final = 3
# Shorter words are read so only beside a mark that stands for a letter.
_SHORTEST_DAMAGED: Final = 4
_DAMAGED_NOTE: Final = "a letter with an accent is damaged"
# Two numbers of a letter that are something else, up to the second.
_WEIGHTINGS: Final = {"t": 2, "s": 5}
# "AP" and its like are of at most so many letters; a longer word may be the part itself ("face").
_LONGEST_LETTERS: Final = 3
# What programs write for a letter that they cannot: no separator of words.
_DAMAGE: Final = frozenset("?\ufffd")


class _Marks(NamedTuple):
    """What is special about a value: which ways of reading are worth trying."""

    accented: bool
    cut: bool
    sided: bool
    damaged: bool


class PhraseFinder:
    """Reads tokens as phrases of the vocabulary; safe to share between threads.

    Parameters
    ----------
    words
        The vocabulary.
    codes
        The body structures; words of other codes are not found.
    """

    def __init__(self, words: HeaderWords, codes: Container[str]) -> None:
        self._words = words
        self._index = PhraseIndex(words, codes)
        self._splitter = WordSplitter(words, self._index)
        self._cuts = CutReader(words, self._index)
        # By the row of a phrase: where in it a side or a projection stands ("MS derecho", "CL AP").
        self._within: dict[str, tuple[tuple[int, Entry], ...]] = {}
        for key, site in self._index.sites():
            if inside := self._inside(key, site):
                self._within[site.ref] = inside
        self._sides = frozenset(
            key[0]
            for key, entry in words.others.items()
            if len(key) == 1 and entry.kind is Kind.LATERALITY and not entry.homonyms
        )
        self._levels = {level.rank: level for level in words.levels.values()}

    def items(self, tokens: Tokens) -> list[Item]:
        """Return the stretches of `tokens`, all of them."""
        items: list[Item] = []
        folded, text = tokens.folded, tokens.text
        marks = _Marks(
            accented=not text.isascii(),
            cut=len(text.strip()) in CUT_LENGTHS,
            sided=not self._sides.isdisjoint(folded),
            damaged=not _DAMAGE.isdisjoint(text),
        )
        place, count = 0, len(folded)
        while place < count:
            found = self._at(tokens, place, marks)
            items.extend(found)
            place = found[0].last + 1
        # Among words that are not known, the last one is no part that was cut.
        if marks.cut and items and items[-1].factor == TRUNCATED and has_unknown(items, folded):
            items[-1] = Item(items[-1].first, items[-1].last, None)
        return items

    def _at(self, tokens: Tokens, place: int, marks: _Marks) -> list[Item]:
        """Return what begins at `place`; the first item reaches as far as any."""
        folded = tokens.folded
        token = folded[place]
        item: Item | None = None
        if token in self._index.lengths:
            item = self._index.phrase(folded, place)
            # "rt oblique médio-latérale": the longer phrase begins behind the side.
            if item is not None and token in self._sides and self._longer(folded, place + 1, item):
                item = None
            if marks.sided and (around := self._phrase_around(folded, place, item)):
                return around
            if marks.cut and (cut := self._cuts.phrase(folded, place, item)):
                return [cut]
        if token in self._words.levels and (spine := self._vertebrae(folded, place, item)):
            return spine
        if marks.damaged and (mended := self._mended(tokens, place, item)):
            return [mended]
        if item is not None:
            within = self._within.get(item.entry.ref) if item.entry is not None else None
            return [item] if within is None else [item, *self._apart_in(within, item)]
        meaning = self._index.single.get(token)
        if marks.accented:
            meaning = _as_written(meaning, token, tokens.written[place])
            entry = self._words.accented.get(tokens.written[place].casefold())
            if entry is not None:
                meaning = Meaning(entry, meaning.other if meaning else None)
        if meaning is None:
            return self._word(tokens, place)
        site, other = meaning
        return [Item(place, place, other) if site is None else Item(place, place, site, other)]

    def _longer(self, folded: Sequence[str], place: int, item: Item) -> bool:
        """Return whether a phrase of more tokens than `item` begins at `place`."""
        if folded[place] not in self._index.lengths:
            return False
        other = self._index.phrase(folded, place)
        return other is not None and other.last - other.first > item.last - item.first

    def _apart_in(self, within: tuple[tuple[int, Entry], ...], item: Item) -> Iterator[Item]:
        for at, entry in within:
            yield Item(item.first + at, item.first + at, entry, joined=True)

    def _inside(self, key: tuple[str, ...], site: Entry) -> tuple[tuple[int, Entry], ...]:
        """Return the side that a phrase of a part begins or ends with, and the view at its end."""
        found = []
        for at in (0, len(key) - 1):
            entry = self._words.others.get((key[at],))
            if entry is None or len(key[at]) < 2:
                continue
            if (at and _is_plain_view(entry, key[at])) or (
                entry.kind is Kind.LATERALITY and same_language(entry, site.languages)
            ):
                found.append((at, entry))
        return tuple(found)

    def phrase_through(self, folded: Sequence[str], place: int) -> Item | None:
        """Return the longest phrase of a part, of two and more tokens, that holds `place`."""
        found: Item | None = None
        for start in range(max(0, place - _FARTHEST_BEGIN), place + 1):
            if folded[start] not in self._index.lengths:
                continue
            item = self._index.phrase(folded, start)
            if (
                item is not None
                and item.last >= place
                and item.entry is not None
                and item.entry.kind is Kind.SITE
                and (found is None or item.last - item.first > found.last - found.first)
            ):
                found = item
        return found

    def _phrase_around(self, folded: Sequence[str], place: int, item: Item | None) -> list[Item]:
        """Return a longer phrase than `item` with the words of sides inside it, and these.

        "Base of left thumb" is the base of a thumb, and left. A single letter is a side inside
        three and more words only.
        """
        end = min(place + self._index.lengths[folded[place]][0] + 2, len(folded))
        taken = [at for at in range(place, end) if at == place or folded[at] not in self._sides]
        for length in self._index.lengths[folded[place]]:
            if length > len(taken):
                continue
            last = taken[length - 1]
            inside = [at for at in range(place, last) if at not in taken[:length]]
            if not inside or (item is not None and last <= item.last):
                continue
            if length < 3 and any(len(folded[at]) == 1 for at in inside):
                continue
            key = tuple(folded[at] for at in taken[:length])
            meaning = self._index.phrases[folded[place]].get(key)
            if meaning is not None and meaning.site is not None:
                return [
                    Item(place, last, meaning.site),
                    *(
                        Item(at, at, self._words.others[(folded[at],)], joined=True)
                        for at in inside
                    ),
                ]
        return []

    def _vertebrae(self, folded: Sequence[str], place: int, item: Item | None) -> list[Item]:
        """Read two vertebrae as the parts of the spine from one to the other: L4-S1, C5/6, T10-L2.

        T1 and T2 are weightings, not vertebrae, unless nothing else is named, and S1 and S2 series.
        """
        first = self._words.levels[folded[place]]
        upper = _vertebra(folded, place + 1, first.highest)
        at = place + 2
        if at < len(folded) and self._is_between(folded[at]):
            at += 1
        level = self._words.levels.get(folded[at]) if at < len(folded) else None
        repeated = level is not None
        level = level or first
        at += repeated
        if item is not None and at <= item.last:
            return []
        lower = _vertebra(folded, at, level.highest)
        if not upper or not lower or level.rank < first.rank:
            return []
        weighting = folded[place] == "t" and upper <= _WEIGHTINGS["t"]
        if weighting and (place or at + 1 < len(folded)):
            return []
        if level.rank == first.rank and (
            lower <= upper or lower <= _WEIGHTINGS.get(folded[place], 0)
        ):
            return []
        factor = EXACT if repeated else LETTER_ONCE
        return [
            Item(place, at, one.entry, None, factor, "from one vertebra to another")
            for rank in range(first.rank, level.rank + 1)
            if (one := first if rank == first.rank else self._levels.get(rank)) is not None
            and self._index.known(one.entry)
        ]

    def _is_between(self, token: str) -> bool:
        meaning = self._index.single.get(token)
        return (
            meaning is not None
            and meaning.other is not None
            and (meaning.other.kind is Kind.RANGE or meaning.other.value == "and")
        )

    def _word(self, tokens: Tokens, place: int) -> list[Item]:
        token = tokens.folded[place]
        if (entry := self._words.joined.get(token)) is not None and self._index.known(entry):
            return [Item(place, place, entry, None, JOINED)]
        if place + 1 < len(tokens.folded) and (item := self._two_as_one(tokens, place)):
            return [item]
        is_cut = place == len(tokens.folded) - 1 and len(tokens.text.strip()) in CUT_LENGTHS
        # ESTERNOCLAVICULA is rather a word that is cut than a sternum and a clavicle.
        whole = self._cuts.word(token, place) if is_cut and place == 0 else None
        if whole is not None:
            return [whole]
        if parts := self._splitter.parts(token):
            return [
                Item(place, place, part.entry, None, part.factor, part.note, part.joined)
                for part in parts
            ]
        if is_cut and (item := self._cuts.word(token, place)):
            return [item]
        if (entry := self._words.dropped.get(token)) is not None and self._index.known(entry):
            return [Item(place, place, entry, None, DROPPED, "a letter with an accent is lost")]
        return [Item(place, place, None)]

    def _two_as_one(self, tokens: Tokens, place: int) -> Item | None:
        """Read a word that something has come into: h_fte, shoul-der."""
        if (item := self._damaged(tokens, place)) is not None:
            return item
        left, right = tokens.folded[place], tokens.folded[place + 1]
        if len(left) >= 3 and len(right) >= 3:
            meaning = self._index.single.get(left + right)
            if meaning is not None and meaning.site is not None:
                return Item(place, place + 1, meaning.site, None, JOINED)
        return None

    def _mended(self, tokens: Tokens, place: int, item: Item | None) -> Item | None:
        """Read a word beside a mark that is no separator: cr?nio, m?o, ?paule, patell?."""
        if item is not None and item.entry is not None and item.entry.kind is Kind.SITE:
            return None
        starts, ends = tokens.spans[place]
        text = tokens.text
        written = text[starts:ends].casefold()
        before = starts > 0 and text[starts - 1] in _DAMAGE
        behind = ends < len(text) and text[ends] in _DAMAGE
        if behind and place + 1 < len(tokens.folded) and (whole := self._damaged(tokens, place)):
            return whole
        for marked, word in ((before, LOST + written), (behind, written + LOST)):
            entry = self._words.damaged.get(word) if marked else None
            if entry is not None and self._index.known(entry):
                return Item(place, place, entry, None, DAMAGED, _DAMAGED_NOTE)
        return None

    def _damaged(self, tokens: Tokens, place: int) -> Item | None:
        """Read a word whose letter with an accent became something else: h_fte, cr?nio."""
        written = tokens.folded if tokens.text.isascii() else tokens.written
        halves = (written[place].casefold(), written[place + 1].casefold())
        entry = self._words.damaged.get(LOST.join(halves))
        if entry is None or not self._index.known(entry):
            return None
        short = len(halves[0]) + len(halves[1]) < _SHORTEST_DAMAGED
        if short and _DAMAGE.isdisjoint(tokens.gap(place + 1)):
            return None
        return Item(place, place + 1, entry, None, DAMAGED, _DAMAGED_NOTE)


def _as_written(meaning: Meaning | None, token: str, written: str) -> Meaning | None:
    """Return the meaning of a short word that is written with accents: Swedish "på" is no PA."""
    if meaning is None or len(token) > _LONGEST_LETTERS or written.isascii():
        return meaning
    kept = [
        None if entry is None or entry.phrase.isascii() else entry
        for entry in (meaning.site, meaning.other)
    ]
    return Meaning(*kept) if any(kept) else None


def _is_plain_view(entry: Entry, token: str) -> bool:
    """Return whether a word at the end of a part's phrase is a view: AP, or a proper name.

    "Face" and "lateral" are parts of the name of a part; Waters and Caldwell are not.
    """
    if entry.view is None:
        return False
    return len(token) <= _LONGEST_LETTERS or entry.view.display[:1].isupper()


def _vertebra(folded: Sequence[str], place: int, highest: int) -> int:
    """Return the number at `place` if there are so many vertebrae, else 0."""
    token = folded[place] if place < len(folded) else ""
    number = int(token) if token.isascii() and token.isdigit() and len(token) <= 2 else 0
    return number if number <= highest else 0
