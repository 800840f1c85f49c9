"""Text to site: what one header string says of body part, side and view.

A string is folded and cut into tokens (`terminology.words`), the longest known phrases are
found, and what is left is tried as a word with its side joined on (LHAND), as a compound
(THORAXABD), as a word cut by the 16 characters of a DICOM code string, as a word with a damaged
umlaut, and last as a misspelling. What is no body part gets no site.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from typing import Final, Protocol

from rapidfuzz import process
from rapidfuzz.distance import OSA

from terminology.annotation import Evidence, Site, TextReading
from terminology.concept import Concept, Laterality, View
from terminology.errors import BodySiteError
from terminology.words import LOST, Entry, HeaderWords, Kind, affix_table, fold

CACHE_SIZE: Final = 16384
# Longer strings are free prose, not header values; DICOM LO has 64 characters, LT 10,240.
LONGEST_VALUE: Final = 1024

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

# Cross-sectional and other modalities in which AP, axial or lateral name no projection.
NO_PROJECTION: Final = frozenset({"CT", "MR", "PT", "NM", "US", "ST", "OCT", "IVUS", "SR"})

_CAMEL = re.compile(r"(?<=[a-zà-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])|(?<=[A-ZÀ-ÖØ-Þ])(?=[A-ZÀ-ÖØ-Þ][a-zà-öø-ÿ]{2})")
_TOKEN = re.compile(r"[^\W\d_]+|\d+")
_BOUNDARY = re.compile(r"[,;:\n(]|\.\s|\s-\s")
_DAMAGE = re.compile(r"[?_\ufffd#*~ ]{1,2}")
# What UTF-8 looks like when it was read as Latin-1: Ã¼ for ü.
_MOJIBAKE = re.compile("[\u00c2-\u00c5][\u0080-\u00bf\u2013-\u2122\u0152\u0153\u0160\u0161\u0178]")
_CUT_LENGTHS: Final = (15, 16)


class Structures(Protocol):
    """What the reader asks of the body structures; `BodyStructureGraph` answers it."""

    def concept(self, code: str) -> Concept:
        """Return the concept; `UnknownConceptError` when there is none."""

    def subsumes(self, ancestor: str, descendant: str) -> bool:
        """Return whether `ancestor` is strictly above `descendant`."""

    def current(self, code: str) -> str:
        """Return the successor of a former code, else the code itself."""


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    folded: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Item:
    """A stretch of tokens and what it was read as; `other` is its second meaning, if any."""

    first: int
    last: int
    entry: Entry | None
    other: Entry | None = None
    factor: float = EXACT
    note: str | None = None


@dataclass(frozen=True, slots=True)
class _Mention:
    code: str
    display: str
    confidence: float
    first: int
    last: int
    rows: tuple[str, ...]
    languages: frozenset[str]
    laterality: Laterality | None = None
    weak: bool = False
    note: str | None = None


class TextReader:
    """Reads strings of any of the vocabulary's languages; safe to share between threads.

    Parameters
    ----------
    words
        The vocabulary.
    structures
        The body structures; words whose concept it does not hold are left out.
    """

    def __init__(self, words: HeaderWords, structures: Structures) -> None:
        self.words = words
        self.structures = structures
        self._affixes = affix_table(words)
        self._longest_affix = max(map(len, self._affixes), default=0)
        self._cached = lru_cache(maxsize=CACHE_SIZE)(self._read)

    def read(self, value: str, *, modality: str | None = None) -> TextReading:
        """Return what `value` says; `sites` is empty when no body part is named.

        `modality` is the DICOM modality of the image where it is known: in CT or MR, a plane or
        AP is no projection.
        """
        return self._cached(value[:LONGEST_VALUE], modality)

    def _read(self, value: str, modality: str | None) -> TextReading:
        tokens = _tokenise(value)
        items = self._items(tokens, len(value.strip()))
        mentions, used = self._mentions(value, tokens, items)
        if not mentions:
            mentions, items = self._misspelt(tokens, items)
        mentions = _without_weak(mentions)
        items = [self._settled(item, mentions) for item in items]
        modality = modality or _modality(items)
        views = self._views(items, modality, mentions)
        sides = self._sides(items, mentions, views)
        view, view_item, view_note = self._view(views, sides, mentions)
        mentions = _range_resolved(items, mentions, self.words)
        mentions = self._combined(self._most_specific(mentions))
        sites = self._sites(mentions, sides, view_item)
        laterality = _overall_side(sites, sides)
        meaning = {place for mention in mentions for place in _places(mention)}
        meaning |= {place for item, _ in sides for place in _places(item)}
        meaning |= {place for item in views if view for place in _places(item)}
        meaning |= used
        return TextReading(
            value=value,
            sites=sites,
            laterality=laterality,
            view=view,
            ignored=tuple(t.text for i, t in enumerate(tokens) if i not in meaning),
            evidence=_evidence(tokens, mentions, sides, view_item, view_note),
        )

    # --- finding phrases -----------------------------------------------------------------

    def _items(self, tokens: Sequence[_Token], length: int) -> list[_Item]:
        items: list[_Item] = []
        place = 0
        while place < len(tokens):
            found = self._phrase(tokens, place) or self._word(tokens, place, length)
            items.extend(found)
            place = found[-1].last + 1
        return items

    def _phrase(self, tokens: Sequence[_Token], place: int) -> list[_Item]:
        words = self.words
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
                    return [_Item(place, last, other)]
                return [_Item(place, last, site, other)]
        return []

    def _word(self, tokens: Sequence[_Token], place: int, length: int) -> list[_Item]:
        token = tokens[place].folded
        if (entry := self.words.joined.get(token)) is not None and self._known(entry):
            return [_Item(place, place, entry, None, JOINED)]
        if place + 1 < len(tokens) and (items := self._two_as_one(tokens, place)):
            return items
        if not token.isascii() and (items := self._unspaced(token, place)):
            return items
        if items := self._side_joined(token, place) or self._compound(token, place):
            return items
        if place == len(tokens) - 1 and length in _CUT_LENGTHS and (item := self._cut(token, place)):
            return [item]
        if (entry := self.words.dropped.get(token)) is not None and self._known(entry):
            return [_Item(place, place, entry, None, DROPPED, "a letter with an accent is lost")]
        return [_Item(place, place, None)]

    def _two_as_one(self, tokens: Sequence[_Token], place: int) -> list[_Item]:
        left, right = tokens[place], tokens[place + 1]
        gap = right.start - left.end
        if 1 <= gap <= 2:
            entry = self.words.damaged.get(f"{left.text.casefold()}{LOST}{right.text.casefold()}")
            if entry is not None and self._known(entry):
                note = "a letter with an accent is damaged"
                return [_Item(place, place + 1, entry, None, DAMAGED, note)]
        if gap == 1 and len(left.folded) >= 3 and len(right.folded) >= 3:
            entry = self.words.sites.get((left.folded + right.folded,))
            if entry is not None and self._known(entry):
                return [_Item(place, place + 1, entry, None, JOINED)]
        return []

    def _side_joined(self, token: str, place: int) -> list[_Item]:
        """Read LHAND, HANDL, RKNEE: one letter of a side at a paired part of four letters."""
        for letter, rest in ((token[:1], token[1:]), (token[-1:], token[:-1])):
            side = self.words.others.get((letter,))
            site = self._affixes.get(rest)
            if (
                side is not None
                and side.kind is Kind.LATERALITY
                and site is not None
                and site.kind is Kind.SITE
                and (len(rest) >= 4 or rest in self.words.affixes)
                and self._known(site)
                and self._paired(site.code)
                and _same_language(side, site.languages)
            ):
                return [
                    _Item(place, place, site, None, SIDE_JOINED),
                    _Item(place, place, replace(side, kind=Kind.LATERALITY, words=0)),
                ]
        return []

    def _compound(self, token: str, place: int) -> list[_Item]:
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
        return [_Item(place, place, self._meaning(piece), None, COMPOUND) for piece in pieces]

    def _unspaced(self, token: str, place: int) -> list[_Item]:
        """Read words of scripts that put no space between words: 左膝関節."""
        if token < "\u2e80":
            return []
        items: list[_Item] = []
        start = 0
        while start < len(token):
            for end in range(len(token), start, -1):
                key = (token[start:end],)
                entry = self.words.sites.get(key) or self.words.others.get(key)
                if entry is not None and (entry.kind is not Kind.SITE or self._known(entry)):
                    items.append(_Item(place, place, entry, None, COMPOUND))
                    start = end
                    break
            else:
                start += 1
        return items

    def _cut(self, token: str, place: int) -> _Item | None:
        # PS3.5: a code string has at most 16 characters, so vendors cut what is longer.
        if len(token) < 3:
            return None
        found = {
            entry.value or text: entry
            for text, entry in self.words.truncated.items()
            if text.startswith(token) and text != token
        }
        if len(found) != 1:
            return None
        word = next(iter(found))
        entry = self.words.sites.get((word,))
        if entry is None or not self._known(entry):
            return None
        note = f"'{token}' read as the beginning of '{word}'"
        return _Item(place, place, entry, None, TRUNCATED, note)

    def _meaning(self, piece: Entry) -> Entry:
        if piece.kind is not Kind.AFFIX:
            return piece
        return self.words.others.get((fold(piece.value or piece.phrase),), piece)

    def _known(self, entry: Entry) -> bool:
        if entry.kind is not Kind.SITE:
            return True
        try:
            self.structures.concept(entry.code)
        except BodySiteError:
            return False
        return True

    def _paired(self, code: str) -> bool:
        return code not in self.words.unpaired

    # --- from phrases to parts -----------------------------------------------------------

    def _mentions(
        self, value: str, tokens: Sequence[_Token], items: Sequence[_Item]
    ) -> tuple[list[_Mention], set[int]]:
        mentions: list[_Mention] = []
        used: set[int] = set()
        context = negated = False
        for item in items:
            entry = item.entry
            if item.first and _BOUNDARY.search(value, tokens[item.first - 1].end, tokens[item.first].start):
                context = negated = False
            if entry is None:
                negated = False
            elif entry.kind is Kind.CONTEXT:
                context = True
            elif entry.kind is Kind.NEGATION:
                negated = True
            elif entry.kind is Kind.TECHNIQUE and entry.value:
                context = negated = False
            elif entry.kind is Kind.SITE:
                if not context and not negated:
                    mentions.append(self._mention(item, entry))
                if not _joined_on(item, tokens, value):
                    negated = False
            elif entry.kind is not Kind.LATERALITY:
                negated = False
        return mentions, used

    def _mention(self, item: _Item, entry: Entry) -> _Mention:
        code = self.structures.current(entry.code)
        concept = self.structures.concept(code)
        side = entry.laterality
        if concept.unsided is not None:
            side = concept.laterality
            concept = self.structures.concept(concept.unsided)
        return _Mention(
            code=concept.code,
            display=concept.display,
            confidence=round(entry.confidence * item.factor, 3),
            first=item.first,
            last=item.last,
            rows=(entry.ref,),
            languages=entry.languages,
            laterality=side,
            weak=entry.weak,
            note=item.note,
        )

    def _misspelt(
        self, tokens: Sequence[_Token], items: Sequence[_Item]
    ) -> tuple[list[_Mention], list[_Item]]:
        """Read unknown words as misspellings, only where the value names no part otherwise."""
        result: list[_Item] = []
        mentions: list[_Mention] = []
        for item in items:
            found = None
            if item.entry is None:
                found = self._nearest(tokens[item.first].folded)
            if found is None:
                result.append(item)
                continue
            entry, distance = found
            note = f"'{tokens[item.first].text}' read as '{entry.phrase}'"
            factor = FUZZY if distance == 1 else FUZZY_TWO
            result.append(_Item(item.first, item.last, entry, None, factor, note))
            mentions.append(self._mention(result[-1], entry))
        return mentions, result

    def _nearest(self, token: str) -> tuple[Entry, int] | None:
        if len(token) < 5 or not token.isalpha() or not token.isascii():
            return None
        allowed = 1 if len(token) < 8 else 2
        near = process.extract(
            token,
            self.words.fuzzy_words,
            scorer=OSA.distance,
            score_cutoff=allowed,
            limit=12,
            processor=None,
        )
        near = [
            (word, int(distance))
            for word, distance, _ in near
            if word[0] == token[0] and self._known(self.words.sites[(word,)])
        ]
        if not near:
            return None
        distance = min(found for _, found in near)
        # A word that is known to be no body part is as good an explanation.
        if process.extractOne(
            token, self.words.other_words, scorer=OSA.distance, score_cutoff=distance
        ):
            return None
        entries = [self.words.sites[(word,)] for word, found in near if found == distance]
        codes = {entry.code for entry in entries}
        if len(codes) != 1:
            return None
        return max(entries, key=lambda entry: entry.confidence), distance

    def _settled(self, item: _Item, mentions: Sequence[_Mention]) -> _Item:
        """Give an ambiguous word its second meaning when another word names the part."""
        if item.other is None:
            return item
        if any(m.first == item.first and m.last == item.last for m in mentions):
            return item
        return replace(item, entry=item.other, other=None)

    def _most_specific(self, mentions: Sequence[_Mention]) -> list[_Mention]:
        """Leave out repeated parts and parts that hold another one that is named as well."""
        kept: dict[str, _Mention] = {}
        for mention in mentions:
            present = kept.get(mention.code)
            if present is None:
                kept[mention.code] = mention
            else:
                side = present.laterality
                if side is not None and mention.laterality not in (None, side):
                    side = Laterality.BILATERAL
                kept[mention.code] = replace(
                    present,
                    confidence=max(present.confidence, mention.confidence),
                    laterality=side or mention.laterality,
                )
        codes = list(kept)
        return [
            mention
            for code, mention in kept.items()
            if not any(other != code and self.structures.subsumes(code, other) for other in codes)
        ]

    def _combined(self, mentions: list[_Mention]) -> list[_Mention]:
        """Put parts that have a combined concept together, the largest set first."""
        for size in range(min(len(mentions), 6), 1, -1):
            for group in combinations(mentions, size):
                region = self.words.regions.get(frozenset(m.code for m in group))
                if region is None or not self._holds(region.code):
                    continue
                concept = self.structures.concept(region.code)
                joined = _Mention(
                    code=concept.code,
                    display=concept.display,
                    confidence=min(m.confidence for m in group),
                    first=group[0].first,
                    last=group[-1].last,
                    rows=(*(row for m in group for row in m.rows), region.ref),
                    languages=group[0].languages,
                    laterality=_common_side(m.laterality for m in group),
                    note="parts with one concept for all of them",
                )
                rest = [m for m in mentions if m not in group]
                place = mentions.index(group[0])
                return self._combined([*rest[:place], joined, *rest[place:]])
        return mentions

    def _holds(self, code: str) -> bool:
        try:
            self.structures.concept(code)
        except BodySiteError:
            return False
        return True

    # --- sides and views -----------------------------------------------------------------

    def _views(
        self, items: Sequence[_Item], modality: str | None, mentions: Sequence[_Mention]
    ) -> list[_Item]:
        if modality in NO_PROJECTION:
            return []
        breast = modality == "MG" or any(m.code == _BREAST for m in mentions)
        return [
            item
            for item in items
            if item.entry is not None
            and item.entry.kind is Kind.VIEW
            and (item.entry.when != "mammography" or breast or item.entry.laterality is not None)
        ]

    def _sides(
        self, items: Sequence[_Item], mentions: Sequence[_Mention], views: Sequence[_Item]
    ) -> list[tuple[_Item, Laterality]]:
        found: list[tuple[_Item, Laterality]] = []
        for place, item in enumerate(items):
            entry = item.entry
            if entry is None or entry.laterality is None:
                continue
            if entry.kind is Kind.VIEW and item in views:
                found.append((item, entry.laterality))
            elif entry.kind is Kind.LATERALITY and (
                len(entry.phrase) > 1 or entry.words == 0 or entry.phrase >= "\u2e80"
                or self._letter_is_side(items, place, mentions, views)
            ):
                found.append((item, entry.laterality))
        return found

    def _letter_is_side(
        self,
        items: Sequence[_Item],
        place: int,
        mentions: Sequence[_Mention],
        views: Sequence[_Item],
    ) -> bool:
        """Return whether a single letter beside a paired part or a breast view is its side."""
        entry = items[place].entry
        if entry is None:
            return False
        for near in (place - 1, place + 1):
            if not 0 <= near < len(items):
                continue
            if items[near] in views and (items[near].entry or entry).when == "mammography":
                return True
            for mention in mentions:
                if (
                    mention.first <= items[near].first <= mention.last
                    and self._paired(mention.code)
                    and _same_language(entry, mention.languages)
                ):
                    return True
            other = items[near].entry
            if (
                other is not None
                and other.kind is Kind.LATERALITY
                and len(other.phrase) == 1
                and any(self._paired(mention.code) for mention in mentions)
            ):
                return True
        last = place == len(items) - 1
        return (
            last
            and len(mentions) == 1
            and entry.phrase in {"l", "r"}
            and self._paired(mentions[0].code)
        )

    def _view(
        self,
        views: Sequence[_Item],
        sides: list[tuple[_Item, Laterality]],
        mentions: Sequence[_Mention],
    ) -> tuple[View | None, _Item | None, str | None]:
        found: dict[str, _Item] = {}
        for item in views:
            if item.entry is not None and item.entry.view is not None:
                found.setdefault(item.entry.view.code, item)
        if not found:
            return None, None, None
        if len(found) > 1:
            names = " and ".join(sorted(i.entry.view.display for i in found.values() if i.entry and i.entry.view))
            return None, None, f"several views: {names}"
        item = next(iter(found.values()))
        view = item.entry.view if item.entry else None
        if view is not None and view.code == _LATERAL:
            near = [s for s in sides if abs(s[0].last - item.first) == 1 or abs(s[0].first - item.last) == 1]
            unpaired = bool(mentions) and not any(self._paired(m.code) for m in mentions)
            if unpaired and near and near[0][1] in _SIDED_LATERAL:
                sides.remove(near[0])
                return _SIDED_LATERAL[near[0][1]], item, None
        return view, item, None

    def _sites(
        self,
        mentions: Sequence[_Mention],
        sides: Sequence[tuple[_Item, Laterality]],
        view: _Item | None,
    ) -> tuple[Site, ...]:
        distinct = {side for _, side in sides}
        shared = _common_side(side for _, side in sides)
        sites = []
        for mention in mentions:
            side = mention.laterality
            if side is None and len(distinct) > 1 and len(mentions) > 1:
                side = min(sides, key=lambda s: _distance(s[0], mention))[1]
            elif side is None:
                side = shared
            sites.append(Site(mention.code, mention.display, side, mention.confidence))
        return tuple(sites)


_BREAST: Final = "76752008"
_LATERAL: Final = "399067008"
_SIDED_LATERAL: Final = {
    Laterality.LEFT: View("399173006", "left lateral", "LL"),
    Laterality.RIGHT: View("399198007", "right lateral", "RL"),
}


def _tokenise(value: str) -> list[_Token]:
    text = unicodedata.normalize("NFKC", _repaired(value))
    tokens = []
    for run in _TOKEN.finditer(text):
        cuts = [m.start() for m in _CAMEL.finditer(text, run.start(), run.end()) if m.start() > run.start()]
        for start, end in zip((run.start(), *cuts), (*cuts, run.end()), strict=True):
            tokens.append(_Token(text[start:end], fold(text[start:end]), start, end))
    return tokens


def _repaired(value: str) -> str:
    if not _MOJIBAKE.search(value):
        return value
    for encoding in ("cp1252", "latin-1"):
        try:
            return value.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    return value


def _without_weak(mentions: list[_Mention]) -> list[_Mention]:
    strong = [mention for mention in mentions if not mention.weak]
    return strong or mentions[:1]


def _range_resolved(
    items: Sequence[_Item], mentions: list[_Mention], words: HeaderWords
) -> list[_Mention]:
    """Drop the two ends of a range (skull to thigh) unless they have a combined concept."""
    for item in items:
        if item.entry is None or item.entry.kind is not Kind.RANGE:
            continue
        before = [m for m in mentions if m.last == item.first - 1]
        after = [m for m in mentions if m.first == item.last + 1]
        if before and after:
            ends = {before[-1].code, after[0].code}
            if len(ends) == 2 and frozenset(ends) not in words.regions:
                mentions = [m for m in mentions if m.code not in ends]
    return mentions


def _modality(items: Iterable[_Item]) -> str | None:
    for item in items:
        if item.entry is not None and item.entry.kind is Kind.TECHNIQUE and item.entry.value:
            return item.entry.value
    return None


def _same_language(side: Entry, languages: frozenset[str]) -> bool:
    return "und" in side.languages or bool(side.languages & languages)


def _joined_on(item: _Item, tokens: Sequence[_Token], value: str) -> bool:
    """Return whether the next word is joined by a slash, so that a negation goes on."""
    follows = item.last + 1
    return follows < len(tokens) and "/" in value[tokens[item.last].end : tokens[follows].start]


def _common_side(sides: Iterable[Laterality | None]) -> Laterality | None:
    found = {side for side in sides if side is not None}
    if len(found) > 1:
        return Laterality.BILATERAL
    return next(iter(found), None)


def _overall_side(
    sites: Sequence[Site], sides: Sequence[tuple[_Item, Laterality]]
) -> Laterality | None:
    if sites:
        return sites[0].laterality
    return _common_side(side for _, side in sides)


def _distance(item: _Item, mention: _Mention) -> int:
    return min(abs(item.first - mention.last), abs(mention.first - item.last))


def _places(part: _Item | _Mention) -> range:
    return range(part.first, part.last + 1)


def _evidence(
    tokens: Sequence[_Token],
    mentions: Sequence[_Mention],
    sides: Sequence[tuple[_Item, Laterality]],
    view: _Item | None,
    view_note: str | None,
) -> tuple[Evidence, ...]:
    def text(part: _Item | _Mention) -> tuple[str, ...]:
        return tuple(tokens[place].text for place in _places(part))

    found = [Evidence("text", text(m), m.rows, m.note) for m in mentions]
    found.extend(
        Evidence("text", text(item), (item.entry.ref,)) for item, _ in sides if item.entry
    )
    if view is not None and view.entry is not None:
        found.append(Evidence("text", text(view), (view.entry.ref,)))
    if view_note is not None:
        found.append(Evidence("text", note=view_note))
    return tuple(dict.fromkeys(found))
