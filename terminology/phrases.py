"""Finding the vocabulary's phrases in a header string: tokens, and what each stretch is.

The longest phrase wins, from left to right. What is left is tried as a word with its side joined
on (LHAND), as a compound (THORAXABD), as words without spaces (左膝関節), as a word cut by the 16
characters of a DICOM code string, as a word with a damaged umlaut, and, on request, as a
misspelling. What the phrases mean together is the business of `terminology.text`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Final

from rapidfuzz import process
from rapidfuzz.distance import OSA

from terminology.words import LOST, Entry, HeaderWords, Kind, affix_table, fold

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

# A misspelling has at least this many letters, at least so many with one letter exchanged, and
# at least so many with two letters wrong: short words are near too many others.
SHORTEST_FUZZY: Final = 5
EXCHANGED_FROM: Final = 7
TWO_LETTERS_FROM: Final = 9

_CAMEL = re.compile(
    r"(?<=[a-zà-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])|(?<=[A-ZÀ-ÖØ-Þ])(?=[A-ZÀ-ÖØ-Þ][a-zà-öø-ÿ]{2})"
)
_TOKEN = re.compile(r"[^\W\d_]+|\d+")
# French and Italian articles that lose their vowel: l'épaule, dell'anca. No L for "left" is one.
_ELIDED = re.compile(r"(?<![^\W_])(?:l|d|(?:de|a|ne|da|su)ll)['’](?=[^\W\d_])", re.IGNORECASE)
# What UTF-8 looks like when it was read as Latin-1: Ã¼ for ü.
_MOJIBAKE = re.compile("[\u00c2-\u00c5][\u0080-\u00bf\u2013-\u2122\u0152\u0153\u0160\u0161\u0178]")
_PROCEDURE = re.compile(r"(?:gram|grama|gramma|gramm|gra(?:ph|f)\w+|graph|scop\w+)$")
_CUT_LENGTHS: Final = (15, 16)

# Scripts from here on put no space between words.
UNSPACED: Final = "\u2e80"


@dataclass(frozen=True, slots=True)
class Token:
    """A run of letters or digits: as written, folded, and where it stands."""

    text: str
    folded: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Item:
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


class PhraseFinder:
    """Reads tokens as phrases of the vocabulary; it keeps no state between strings.

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
        self._affixes = affix_table(words)
        self._longest_affix = max(map(len, self._affixes), default=0)

    def items(self, tokens: Sequence[Token], length: int) -> list[Item]:
        """Return the stretches of `tokens`, all of them; `length` counts the value's characters."""
        items: list[Item] = []
        place = 0
        while place < len(tokens):
            found = self._phrase(tokens, place) or self._word(tokens, place, length)
            items.extend(found)
            place = found[-1].last + 1
        return items

    def nearest(self, token: str) -> tuple[Entry, int] | None:
        """Return the one site whose word `token` is nearest to, and how many letters differ."""
        if len(token) < SHORTEST_FUZZY or not token.isalpha() or not token.isascii():
            return None
        words = self._words
        # The ending of a procedure's name says nothing of the part: sialogram, scanogram.
        stem = _PROCEDURE.sub("", token)
        allowed = 1 if len(stem) < TWO_LETTERS_FROM else 2
        near = [
            (word, int(distance))
            for word, distance, _ in process.extract(
                token, words.fuzzy_words, scorer=OSA.distance, score_cutoff=allowed, limit=12
            )
            if _plausible(token, word) and self._known(words.sites[(word,)])
        ]
        if not near:
            return None
        distance = min(found for _, found in near)
        # A word that is known to be no body part is as good an explanation.
        others = process.extract(
            token, words.other_words, scorer=OSA.distance, score_cutoff=distance, limit=12
        )
        if any(word[0] == token[0] for word, _, _ in others):
            return None
        entries = [words.sites[(word,)] for word, found in near if found == distance]
        if len({entry.code for entry in entries}) != 1:
            return None
        return max(entries, key=lambda entry: entry.confidence), distance

    def _phrase(self, tokens: Sequence[Token], place: int) -> list[Item]:
        words = self._words
        for count in range(min(words.longest, len(tokens) - place), 0, -1):
            key = tuple(token.folded for token in tokens[place : place + count])
            site, other = words.sites.get(key), words.others.get(key)
            if count == 1:
                site = words.accented.get(tokens[place].text.casefold(), site)
            if site is not None and site.kind is Kind.SITE and not self._known(site):
                site = None
            if site is not None or other is not None:
                last = place + count - 1
                if site is None:
                    return [Item(place, last, other)]
                return [Item(place, last, site, other)]
        return []

    def _word(self, tokens: Sequence[Token], place: int, length: int) -> list[Item]:
        token = tokens[place].folded
        if (entry := self._words.joined.get(token)) is not None and self._known(entry):
            return [Item(place, place, entry, None, JOINED)]
        if place + 1 < len(tokens) and (items := self._two_as_one(tokens, place)):
            return items
        if not token.isascii() and (items := self._unspaced(token, place)):
            return items
        if items := self._side_joined(token, place) or self._compound(token, place):
            return items
        if (
            place == len(tokens) - 1
            and length in _CUT_LENGTHS
            and (item := self._cut(token, place))
        ):
            return [item]
        if (entry := self._words.dropped.get(token)) is not None and self._known(entry):
            return [Item(place, place, entry, None, DROPPED, "a letter with an accent is lost")]
        return [Item(place, place, None)]

    def _two_as_one(self, tokens: Sequence[Token], place: int) -> list[Item]:
        left, right = tokens[place], tokens[place + 1]
        gap = right.start - left.end
        if 1 <= gap <= 2:
            entry = self._words.damaged.get(f"{left.text.casefold()}{LOST}{right.text.casefold()}")
            if entry is not None and self._known(entry):
                note = "a letter with an accent is damaged"
                return [Item(place, place + 1, entry, None, DAMAGED, note)]
        # Cut between a small letter and a capital, which "cCT" is not.
        if gap == 0 or (gap == 1 and len(left.folded) >= 3 and len(right.folded) >= 3):
            entry = self._words.sites.get((left.folded + right.folded,))
            if entry is not None and self._known(entry):
                return [Item(place, place + 1, entry, None, JOINED)]
        return []

    def _side_joined(self, token: str, place: int) -> list[Item]:
        """Read LHAND, HANDL, RKNEE: one letter of a side at a part that has one."""
        for letter, rest in ((token[:1], token[1:]), (token[-1:], token[:-1])):
            side = self._words.others.get((letter,))
            site = self._affixes.get(rest)
            if (
                side is not None
                and side.kind is Kind.LATERALITY
                and site is not None
                and site.kind is Kind.SITE
                and rest in self._words.paired_affixes
                and self._known(site)
                and same_language(side, site.languages)
            ):
                return [
                    Item(place, place, site, None, SIDE_JOINED),
                    Item(place, place, side, joined=True),
                ]
        return []

    def _compound(self, token: str, place: int) -> list[Item]:
        """Read a word put together from known pieces, all of it, in as few as possible."""
        if not 5 <= len(token) <= 32:
            return []
        best: list[list[Entry] | None] = [[]] + [None] * len(token)
        for end in range(1, len(token) + 1):
            for start in range(max(0, end - self._longest_affix), end):
                before = best[start]
                piece = self._affixes.get(token[start:end])
                if before is None or piece is None:
                    continue
                present = best[end]
                if present is None or len(before) + 1 < len(present):
                    best[end] = [*before, piece]
        pieces = best[-1] or []
        sites = [piece for piece in pieces if piece.kind is Kind.SITE]
        if not sites or not all(map(self._known, sites)):
            return []
        # Italian "scapolare" is no scapula with the German "re" of the right side.
        languages = frozenset[str]().union(*(site.languages for site in sites))
        if any(
            piece.laterality is not None
            and piece.languages != {"und"}
            and languages.isdisjoint(piece.languages - {"und"})
            for piece in map(self._meaning, pieces)
            if piece.kind is not Kind.SITE
        ):
            return []
        return [Item(place, place, self._meaning(piece), None, COMPOUND) for piece in pieces]

    def _unspaced(self, token: str, place: int) -> list[Item]:
        """Read words of scripts that put no space between words: 左膝関節."""
        if token < UNSPACED:
            return []
        items: list[Item] = []
        start = 0
        while start < len(token):
            for end in range(len(token), start, -1):
                key = (token[start:end],)
                entry = self._words.sites.get(key) or self._words.others.get(key)
                if entry is not None and (entry.kind is not Kind.SITE or self._known(entry)):
                    items.append(Item(place, place, entry, None, COMPOUND))
                    start = end
                    break
            else:
                start += 1
        return items

    def _cut(self, token: str, place: int) -> Item | None:
        # PS3.5: a code string has at most 16 characters, so vendors cut what is longer.
        if len(token) < 3:
            return None
        whole = {
            entry.value or text
            for text, entry in self._words.truncated.items()
            if text.startswith(token) and text != token
        }
        if len(whole) != 1:
            return None
        word = whole.pop()
        entry = self._words.sites.get((word,))
        if entry is None or not self._known(entry):
            return None
        note = f"'{token}' read as the beginning of '{word}'"
        return Item(place, place, entry, None, TRUNCATED, note)

    def _meaning(self, piece: Entry) -> Entry:
        if piece.kind is not Kind.AFFIX:
            return piece
        return self._words.others.get((fold(piece.value or piece.phrase),), piece)

    def _known(self, entry: Entry) -> bool:
        return entry.kind is not Kind.SITE or entry.code in self._codes


def tokenise(text: str) -> list[Token]:
    """Return the runs of letters and of digits, also cut where a small letter meets a capital.

    Elided articles are left out.
    """
    tokens = []
    elided = {match.start() for match in _ELIDED.finditer(text)}
    for run in _TOKEN.finditer(text):
        if run.start() in elided:
            continue
        cuts = [
            m.start()
            for m in _CAMEL.finditer(text, run.start(), run.end())
            if m.start() > run.start()
        ]
        for start, end in zip((run.start(), *cuts), (*cuts, run.end()), strict=True):
            tokens.append(Token(text[start:end], fold(text[start:end]), start, end))
    return tokens


def repaired(value: str) -> str:
    """Return `value` in NFKC, with UTF-8 that was read as Latin-1 read rightly."""
    if _MOJIBAKE.search(value):
        for encoding in ("cp1252", "latin-1"):
            try:
                return unicodedata.normalize("NFKC", value.encode(encoding).decode("utf-8"))
            except UnicodeError:
                continue
    return unicodedata.normalize("NFKC", value)


def _plausible(token: str, word: str) -> bool:
    """Return whether `word` may be meant: the first letter is right, few letters are exchanged."""
    if token[0] != word[0]:
        return False
    exchanged = len(token) == len(word) and sorted(token) != sorted(word)
    return not exchanged or len(token) >= EXCHANGED_FROM


def same_language(side: Entry, languages: frozenset[str]) -> bool:
    """Return whether a word of a side may stand beside a word of these languages."""
    return "und" in side.languages or not side.languages.isdisjoint(languages)
