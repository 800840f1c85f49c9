"""Finding the vocabulary's phrases in a header string: what each stretch of its tokens is.

The longest phrase wins, from left to right. What is left is tried as a word with its side joined
on (LHAND), as a compound (THORAXABD), as words without spaces (左膝関節), as a word cut by the 16
characters of a DICOM code string, and as a word with a damaged umlaut. What the phrases mean
together is the business of `terminology.text`, misspellings that of `terminology.misspellings`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from terminology.concept import Laterality
from terminology.folding import fold
from terminology.tokens import Tokens
from terminology.words import LOST, Entry, HeaderWords, Kind, affix_table, paired_words

# How much of a row's confidence stays, by the way its word was found.
EXACT: Final = 1.0
JOINED: Final = 0.97
SIDE_JOINED: Final = 0.95
COMPOUND: Final = 0.9
DAMAGED: Final = 0.9
DROPPED: Final = 0.8
TRUNCATED: Final = 0.75
FUZZY: Final = 0.65
FUZZY_TWO: Final = 0.5

# PS3.5: a code string has at most 16 characters, so vendors cut what is longer.
_CUT_LENGTHS: Final = (15, 16)
# A phrase with a misspelt word begins at most so many tokens before it.
_FARTHEST_BEGIN: Final = 3
# Shorter words are read so only beside a mark that stands for a letter.
_SHORTEST_DAMAGED: Final = 4
_DAMAGED_NOTE: Final = "a letter with an accent is damaged"
# The last so many tokens may be a phrase that is cut.
_CUT_PHRASE: Final = range(2, 5)
_SHORTEST_COMPOUND: Final = 5
_LONGEST_COMPOUND: Final = 32
_CACHE_SIZE: Final = 16384
# A word of fewer letters than this is the beginning of too many others.
_SHORTEST_CUT: Final = 6
# "C5/6" says less surely than "C5/C6" that vertebrae are meant: an ambiguous word.
LETTER_ONCE: Final = 0.66
# Two numbers of a letter that are something else, up to the second.
_WEIGHTINGS: Final = {"t": 2, "s": 5}
# "AP" and its like are of at most so many letters; a longer word may be the part itself ("face").
_LONGEST_LETTERS: Final = 3
# A cut phrase has a whole word of so many letters, and unknown words of more speak against one.
_SHORTEST_CUT_BEHIND: Final = 3
# What programs write for a letter that they cannot: no separator of words.
_DAMAGE: Final = frozenset("?\ufffd")
_LONGEST_REMEMBERED: Final = 64

# Scripts from here on put no space between words.
UNSPACED: Final = "\u2e80"
_HANGUL: Final = "\uac00"


class Item(NamedTuple):
    """A stretch of tokens, and the row it was read as, if any.

    `other` is a second meaning of the same words; `factor` is how much of the row's confidence
    stays; `joined` marks a letter of a side that was written onto its part (LHAND).
    """

    first: int
    last: int
    entry: Entry | None
    other: Entry | None = None
    factor: float = EXACT
    note: str | None = None
    joined: bool = False


class _Meaning(NamedTuple):
    """What a phrase is: a body part (or a word refused as one), something else, or both."""

    site: Entry | None
    other: Entry | None


class _Marks(NamedTuple):
    """What is special about a value: which ways of reading are worth trying."""

    accented: bool
    cut: bool
    sided: bool
    damaged: bool


class _Part(NamedTuple):
    """A part of a word that was taken apart."""

    entry: Entry
    factor: float
    note: str | None = None
    joined: bool = False


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
        self._codes = codes
        self._is_code: dict[str, bool] = {}
        self._single: dict[str, _Meaning] = {}
        # By the row of a phrase: where in it a side or a projection stands ("MS derecho", "CL AP").
        self._within: dict[str, tuple[tuple[int, Entry], ...]] = {}
        self._phrases: dict[str, dict[tuple[str, ...], _Meaning]] = {}
        for key in words.sites.keys() | words.others.keys():
            site, other = words.sites.get(key), words.others.get(key)
            if site is not None and not self._known(site):
                site = None
            if site is None and other is None:
                continue
            meaning = _Meaning(site, other)
            if len(key) == 1:
                self._single[key[0]] = meaning
            else:
                self._phrases.setdefault(key[0], {})[key] = meaning
                if (
                    site is not None
                    and site.kind is Kind.SITE
                    and (inside := self._inside(key, site))
                ):
                    self._within[site.ref] = inside
        # The lengths of the phrases that begin with a token, the longest first.
        self._lengths = {
            first: sorted({len(key) for key in phrases}, reverse=True)
            for first, phrases in self._phrases.items()
        }
        self._affixes = {
            text: entry for text, entry in affix_table(words).items() if self._known(entry)
        }
        self._paired = paired_words(words)
        self._longest_affix = max(map(len, self._affixes), default=0)
        self._sides = frozenset(
            key[0]
            for key, entry in words.others.items()
            if len(key) == 1 and entry.kind is Kind.LATERALITY and not entry.homonyms
        )
        # The words that a value may be cut in, at the end of a code string.
        self._cuttable = sorted(
            word for word in self._single if len(word) >= _SHORTEST_CUT and self._is_cuttable(word)
        )
        self._levels = {level.rank: level for level in words.levels.values()}
        self._longest_single = max(map(len, self._single), default=0)
        self._apart = lru_cache(maxsize=_CACHE_SIZE)(self._taken_apart)

    def items(self, tokens: Tokens) -> list[Item]:
        """Return the stretches of `tokens`, all of them."""
        items: list[Item] = []
        folded, text = tokens.folded, tokens.text
        marks = _Marks(
            accented=not text.isascii(),
            cut=len(text.strip()) in _CUT_LENGTHS,
            sided=not self._sides.isdisjoint(folded),
            damaged=not _DAMAGE.isdisjoint(text),
        )
        place, count = 0, len(folded)
        while place < count:
            found = self._at(tokens, place, marks)
            items.extend(found)
            place = found[0].last + 1
        # Among words that are not known, the last one is no part that was cut.
        if marks.cut and items and items[-1].factor == TRUNCATED and _has_unknown(items, folded):
            items[-1] = Item(items[-1].first, items[-1].last, None)
        return items

    def _at(self, tokens: Tokens, place: int, marks: _Marks) -> list[Item]:
        """Return what begins at `place`; the first item reaches as far as any."""
        folded = tokens.folded
        token = folded[place]
        item: Item | None = None
        if token in self._lengths:
            item = self._phrase(folded, place)
            # "rt oblique médio-latérale": the longer phrase begins behind the side.
            if item is not None and token in self._sides and self._longer(folded, place + 1, item):
                item = None
            if marks.sided and (around := self._phrase_around(folded, place, item)):
                return around
            if marks.cut and (cut := self._cut_phrase(folded, place, item)):
                return [cut]
        if token in self._words.levels and (spine := self._vertebrae(folded, place, item)):
            return spine
        if marks.damaged and (mended := self._mended(tokens, place, item)):
            return [mended]
        if item is not None:
            within = self._within.get(item.entry.ref) if item.entry is not None else None
            return [item] if within is None else [item, *self._apart_in(within, item)]
        meaning = self._single.get(token)
        if marks.accented:
            entry = self._words.accented.get(tokens.written[place].casefold())
            if entry is not None:
                meaning = _Meaning(entry, meaning.other if meaning else None)
        if meaning is None:
            return self._word(tokens, place)
        site, other = meaning
        return [Item(place, place, other) if site is None else Item(place, place, site, other)]

    def _longer(self, folded: Sequence[str], place: int, item: Item) -> bool:
        """Return whether a phrase of more tokens than `item` begins at `place`."""
        if folded[place] not in self._lengths:
            return False
        other = self._phrase(folded, place)
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
            if folded[start] not in self._lengths:
                continue
            item = self._phrase(folded, start)
            if (
                item is not None
                and item.last >= place
                and item.entry is not None
                and item.entry.kind is Kind.SITE
                and (found is None or item.last - item.first > found.last - found.first)
            ):
                found = item
        return found

    def _phrase(self, folded: Sequence[str], place: int) -> Item | None:
        """Return the longest phrase of two and more tokens that begins at `place`."""
        first = folded[place]
        phrases = self._phrases[first]
        left = len(folded) - place
        for length in self._lengths[first]:
            if length > left:
                continue
            meaning = phrases.get(tuple(folded[place : place + length]))
            if meaning is not None:
                site, other = meaning
                last = place + length - 1
                return Item(place, last, other) if site is None else Item(place, last, site, other)
        return None

    def _phrase_around(self, folded: Sequence[str], place: int, item: Item | None) -> list[Item]:
        """Return a longer phrase than `item` with the words of sides inside it, and these.

        "Base of left thumb" is the base of a thumb, and left. A single letter is a side inside
        three and more words only.
        """
        end = min(place + self._lengths[folded[place]][0] + 2, len(folded))
        taken = [at for at in range(place, end) if at == place or folded[at] not in self._sides]
        for length in self._lengths[folded[place]]:
            if length > len(taken):
                continue
            last = taken[length - 1]
            inside = [at for at in range(place, last) if at not in taken[:length]]
            if not inside or (item is not None and last <= item.last):
                continue
            if length < 3 and any(len(folded[at]) == 1 for at in inside):
                continue
            key = tuple(folded[at] for at in taken[:length])
            meaning = self._phrases[folded[place]].get(key)
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
            and self._known(one.entry)
        ]

    def _is_between(self, token: str) -> bool:
        meaning = self._single.get(token)
        return (
            meaning is not None
            and meaning.other is not None
            and (meaning.other.kind is Kind.RANGE or meaning.other.value == "and")
        )

    def _word(self, tokens: Tokens, place: int) -> list[Item]:
        token = tokens.folded[place]
        if (entry := self._words.joined.get(token)) is not None and self._known(entry):
            return [Item(place, place, entry, None, JOINED)]
        if place + 1 < len(tokens.folded) and (item := self._two_as_one(tokens, place)):
            return [item]
        is_cut = place == len(tokens.folded) - 1 and len(tokens.text.strip()) in _CUT_LENGTHS
        # ESTERNOCLAVICULA is rather a word that is cut than a sternum and a clavicle.
        whole = self._cut(token, place) if is_cut and place == 0 else None
        if whole is not None:
            return [whole]
        apart = self._apart if len(token) <= _LONGEST_REMEMBERED else self._taken_apart
        if parts := apart(token):
            return [
                Item(place, place, part.entry, None, part.factor, part.note, part.joined)
                for part in parts
            ]
        if is_cut and (item := self._cut(token, place)):
            return [item]
        if (entry := self._words.dropped.get(token)) is not None and self._known(entry):
            return [Item(place, place, entry, None, DROPPED, "a letter with an accent is lost")]
        return [Item(place, place, None)]

    def _two_as_one(self, tokens: Tokens, place: int) -> Item | None:
        """Read a word that something has come into: h_fte, shoul-der."""
        if (item := self._damaged(tokens, place)) is not None:
            return item
        left, right = tokens.folded[place], tokens.folded[place + 1]
        if len(left) >= 3 and len(right) >= 3:
            meaning = self._single.get(left + right)
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
            if entry is not None and self._known(entry):
                return Item(place, place, entry, None, DAMAGED, _DAMAGED_NOTE)
        return None

    def _damaged(self, tokens: Tokens, place: int) -> Item | None:
        """Read a word whose letter with an accent became something else: h_fte, cr?nio."""
        written = tokens.folded if tokens.text.isascii() else tokens.written
        halves = (written[place].casefold(), written[place + 1].casefold())
        entry = self._words.damaged.get(LOST.join(halves))
        if entry is None or not self._known(entry):
            return None
        short = len(halves[0]) + len(halves[1]) < _SHORTEST_DAMAGED
        if short and _DAMAGE.isdisjoint(tokens.gap(place + 1)):
            return None
        return Item(place, place + 1, entry, None, DAMAGED, _DAMAGED_NOTE)

    # --- one word taken apart ------------------------------------------------------------

    def _taken_apart(self, token: str) -> tuple[_Part, ...]:
        """Return the parts that a word was written together from, none where it is not known."""
        if not token.isascii() and (parts := tuple(self._unspaced(token))):
            return parts
        return tuple(self._side_joined(token) or self._compound(token))

    def _side_joined(self, token: str) -> list[_Part]:
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
                    return [_Part(site, SIDE_JOINED, note)]
                return [_Part(site, SIDE_JOINED), _Part(side, EXACT, joined=True)]
        return []

    def _compound(self, token: str) -> list[_Part]:
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
        return [_Part(entry, COMPOUND) for entry in meant]

    def _unspaced(self, token: str) -> list[_Part]:
        """Return the words of a script that puts no space between them: 左膝関節.

        A part of one sign beside signs that are not known is none: 手術 is an operation, no hand.
        """
        if token < UNSPACED:
            return []
        parts: list[tuple[int, _Part]] = []
        start, length, unread = 0, len(token), 0
        while start < length:
            for end in range(min(length, start + self._longest_single), start, -1):
                meaning = self._single.get(token[start:end])
                if meaning is not None and (entry := meaning.site or meaning.other):
                    parts.append((end - start, _Part(entry, COMPOUND)))
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

    def _cut(self, token: str, place: int) -> Item | None:
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
        if entry is None or not self._known(entry):
            return None
        note = f"'{token}' read as the beginning of '{word}'"
        return Item(place, place, entry, None, TRUNCATED, note)

    def _cut_phrase(self, folded: Sequence[str], place: int, item: Item | None) -> Item | None:
        """Read the last tokens as the beginning of a phrase: RACHIS LOMBO-SAC, LOWER_EXTREMITIE."""
        if len(folded) - place not in _CUT_PHRASE or (
            item is not None and item.last == len(folded) - 1
        ):
            return None
        *whole, last = folded[place:]
        longest = max(map(len, whole))
        if longest < _SHORTEST_CUT_BEHIND or (
            len(whole) == 1 and (last in self._single or len(last) <= _SHORTEST_CUT_BEHIND)
        ):
            return None
        if last in self._single and len(last) == 1:
            return None
        found = {
            entry.code: entry
            for key, (entry, _) in self._phrases[folded[place]].items()
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
            site, other = self._single[word]
            if (entry := site or other) is not None:
                found.setdefault((entry.code, entry.laterality), word)
        if len(found) != 1:
            return None
        word = found.popitem()[1]
        site, other = self._single[word]
        note = f"'{token}' read as the beginning of '{word}'"
        return Item(place, place, site or other, None, TRUNCATED, note)

    def _is_cuttable(self, word: str) -> bool:
        """Return whether the word is a sure word of a part, or one of a side."""
        site, other = self._single[word]
        if site is not None:
            return site.kind is Kind.SITE and not site.weak
        return other is not None and other.kind is Kind.LATERALITY

    def _meant(self, piece: Entry) -> Entry:
        if piece.kind is not Kind.AFFIX:
            return piece
        return self._words.others.get((fold(piece.value or piece.phrase),), piece)

    def _known(self, entry: Entry) -> bool:
        if entry.kind is not Kind.SITE:
            return True
        known = self._is_code.get(entry.code)
        if known is None:
            known = self._is_code[entry.code] = entry.code in self._codes
        return known


def _is_plain_view(entry: Entry, token: str) -> bool:
    """Return whether a word at the end of a part's phrase is a view: AP, or a proper name.

    "Face" and "lateral" are parts of the name of a part; Waters and Caldwell are not.
    """
    if entry.view is None:
        return False
    return len(token) <= _LONGEST_LETTERS or entry.view.display[:1].isupper()


def _has_unknown(items: Sequence[Item], folded: Sequence[str]) -> bool:
    return any(
        item.entry is None and len(folded[item.first]) > _SHORTEST_CUT_BEHIND for item in items
    )


def _vertebra(folded: Sequence[str], place: int, highest: int) -> int:
    """Return the number at `place` if there are so many vertebrae, else 0."""
    token = folded[place] if place < len(folded) else ""
    number = int(token) if token.isascii() and token.isdigit() and len(token) <= 2 else 0
    return number if number <= highest else 0


def same_language(side: Entry, languages: frozenset[str]) -> bool:
    """Return whether a word of a side may stand beside a word of these languages."""
    return "und" in side.languages or not side.languages.isdisjoint(languages)
