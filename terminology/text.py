"""Text to site: what one header string says of body part, side and view.

The phrases that `terminology.phrases` found are put together here: what was not examined (history
of, without) is left out, an ambiguous word gives way to a clear one, of a region and its part the
part remains, several parts that have one concept become that concept, and sides and projections
are told from one another. What is no body part gets no site.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Final

from terminology.annotation import Evidence, Site, TextReading
from terminology.concept import Laterality, View
from terminology.phrases import (
    FUZZY,
    FUZZY_TWO,
    JOINED,
    SHORTEST_FUZZY,
    UNSPACED,
    Item,
    PhraseFinder,
    Token,
    repaired,
    same_language,
    tokenise,
)
from terminology.settings import HeaderSettings
from terminology.words import Entry, HeaderWords, Kind

if TYPE_CHECKING:
    from terminology.graph import BodyStructureGraph

CACHE_SIZE: Final = 16384
# Longer strings are free prose, not header values; DICOM LO has 64 characters, LT 10,240.
LONGEST_VALUE: Final = 1024

# Cross-sectional and other modalities in which AP, axial or lateral name no projection.
NO_PROJECTION: Final = frozenset({"CT", "MR", "PT", "NM", "US", "ST", "OCT", "IVUS", "SR"})

# 76752008 |Breast|.
BREAST: Final = "76752008"
# 399368009 |medio-lateral oblique|, 399192008 and 399101009 |cranio-caudal exaggerated|, and
# 399188001 |superolateral to inferomedial oblique| are taken of breasts only.
BREAST_VIEWS: Final = frozenset({"399368009", "399192008", "399101009", "399188001"})
_LATERAL: Final = "399067008"
_SIDED_LATERAL: Final = {
    Laterality.LEFT: View("399173006", "left lateral", "LL"),
    Laterality.RIGHT: View("399198007", "right lateral", "RL"),
}
# Letters that stand before or behind the part they are the side of.
_EITHER_SIDE: Final = frozenset({"l", "r"})

_BOUNDARY = re.compile(r"[,;:\n(]|\.\s|\s-\s")


@dataclass(frozen=True, slots=True)
class _Mention:
    """A part that the value names: the unsided concept, and the tokens and rows it rests on."""

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
    graph
        The body structures; words whose concept it does not hold are left out.
    settings
        The thresholds.
    """

    def __init__(
        self,
        words: HeaderWords,
        graph: BodyStructureGraph,
        settings: HeaderSettings | None = None,
    ) -> None:
        self.settings = settings or HeaderSettings()
        self.words = words
        self.graph = graph
        self._finder = PhraseFinder(words, graph)
        self._cached = lru_cache(maxsize=CACHE_SIZE)(self._read)

    def read(self, value: str, *, modality: str | None = None) -> TextReading:
        """Return what `value` says; `sites` is empty when no body part is named.

        `modality` is the DICOM modality of the image where it is known: in CT or MR, a plane or
        AP is no projection.
        """
        return self._cached(value[:LONGEST_VALUE], modality)

    def _read(self, value: str, modality: str | None) -> TextReading:
        text = repaired(value)
        tokens = tokenise(text)
        items = self._finder.items(tokens, len(text.strip()))
        mentions = self._mentions(text, tokens, items)
        if not mentions:
            mentions, items = self._misspelt(tokens, items)
        mentions = self._without_weak(mentions, items, tokens) or self._projected(items, modality)
        items = [self._settled(item, mentions) for item in items]
        modality = modality or _implied_modality(items)
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
        return TextReading(
            value=value,
            sites=sites,
            laterality=laterality,
            view=view,
            ignored=tuple(t.text for i, t in enumerate(tokens) if i not in meaning),
            evidence=_evidence(tokens, mentions, sides, view_item, view_note),
        )

    def _paired(self, code: str) -> bool:
        return code not in self.words.unpaired

    # --- from phrases to parts -----------------------------------------------------------

    def _mentions(
        self, value: str, tokens: Sequence[Token], items: Sequence[Item]
    ) -> list[_Mention]:
        mentions: list[_Mention] = []
        context = negated = False
        before: Entry | None = None
        for item in items:
            entry = item.entry
            # The full stop of "Z.n." and the colon of "Indication:" end nothing.
            opened = before is not None and before.kind is Kind.CONTEXT
            if not opened and item.first and _parted(value, tokens, item):
                context = negated = False
            before = entry
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
        return mentions

    def _mention(self, item: Item, entry: Entry) -> _Mention:
        code = self.graph.current(entry.code)
        concept = self.graph.lookup(code)
        side = entry.laterality
        if concept.unsided is not None:
            side = concept.laterality
            concept = self.graph.lookup(concept.unsided)
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
        self, tokens: Sequence[Token], items: Sequence[Item]
    ) -> tuple[list[_Mention], list[Item]]:
        """Read an unknown word as a misspelling, if the value names no part otherwise.

        Two unknown words are more likely a name or a device than two misspellings.
        """
        unknown = [
            item
            for item in items
            if item.entry is None and len(tokens[item.first].folded) >= SHORTEST_FUZZY - 1
        ]
        found = self._finder.nearest(tokens[unknown[0].first].folded) if len(unknown) == 1 else None
        if found is None:
            return [], list(items)
        item, (entry, distance) = unknown[0], found
        note = f"'{tokens[item.first].text}' read as '{entry.phrase}'"
        factor = FUZZY if distance == 1 else FUZZY_TWO
        read = Item(item.first, item.last, entry, None, factor, note)
        return [self._mention(read, entry)], [read if i is item else i for i in items]

    def _projected(self, items: Sequence[Item], modality: str | None) -> list[_Mention]:
        """Read the part out of a projection that only breasts have: "R MLO", in MG also "CC".

        Spelt out, a medio-lateral oblique may be of a foot, and needs a mammogram.
        """
        if modality not in {None, "MG"}:
            return []
        required = any if modality == "MG" else all
        for item in items:
            entry = item.entry
            if (
                entry is not None
                and entry.view is not None
                and required((entry.view.code in BREAST_VIEWS, entry.when == "mammography"))
                and BREAST in self.graph
            ):
                concept = self.graph.lookup(BREAST)
                return [
                    _Mention(
                        code=concept.code,
                        display=concept.display,
                        confidence=JOINED,
                        first=item.first,
                        last=item.last,
                        rows=(entry.ref,),
                        languages=frozenset({"und"}),
                        note=f"{entry.view.display} is a view of the breast",
                    )
                ]
        return []

    def _without_weak(
        self, mentions: list[_Mention], items: Sequence[Item], tokens: Sequence[Token]
    ) -> list[_Mention]:
        """Drop ambiguous words where another names the part, but not "pel" after "abdomen".

        Among words that are not known, an ambiguous word names no part: "has been repeated".
        """
        strong = {mention.code for mention in mentions if not mention.weak}
        if not strong:
            unknown = any(
                item.entry is None and len(tokens[item.first].folded) >= 3 for item in items
            )
            return [] if unknown else mentions[:1]
        return [
            mention
            for mention in mentions
            if not mention.weak
            or any(
                mention.code in parts and parts <= strong | {mention.code}
                for parts in self.words.regions
            )
        ]

    def _settled(self, item: Item, mentions: Sequence[_Mention]) -> Item:
        """Give an ambiguous word its second meaning when another word names the part.

        The second meaning is one of its own language: face is a view in "thorax face" only.
        """
        if item.other is None or any(
            mention.first == item.first and mention.last == item.last for mention in mentions
        ):
            return item
        understood = not mentions or any(
            same_language(item.other, mention.languages) for mention in mentions
        )
        return replace(item, entry=item.other if understood else None, other=None)

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
            if not any(other != code and self.graph.subsumes(code, other) for other in codes)
        ]

    def _combined(self, mentions: list[_Mention]) -> list[_Mention]:
        """Put parts that have a combined concept together, the largest set first."""
        for size in range(min(len(mentions), 6), 1, -1):
            for group in combinations(mentions, size):
                region = self.words.regions.get(frozenset(m.code for m in group))
                if region is None or region.code not in self.graph:
                    continue
                concept = self.graph.lookup(region.code)
                joined = _Mention(
                    code=concept.code,
                    display=concept.display,
                    confidence=min(m.confidence for m in group),
                    first=group[0].first,
                    last=group[-1].last,
                    rows=(*(row for m in group for row in m.rows), region.ref),
                    languages=group[0].languages,
                    laterality=common_side(m.laterality for m in group),
                    note="parts with one concept for all of them",
                )
                rest = [m for m in mentions if m not in group]
                place = mentions.index(group[0])
                return self._combined([*rest[:place], joined, *rest[place:]])
        return mentions

    # --- sides and views -----------------------------------------------------------------

    def _views(
        self, items: Sequence[Item], modality: str | None, mentions: Sequence[_Mention]
    ) -> list[Item]:
        if modality in NO_PROJECTION:
            return []
        # CC is also a volume: beside other words it needs a breast or a mammogram.
        breast = (
            modality == "MG"
            or any(m.code == BREAST for m in mentions)
            or (not mentions and len(items) <= 2)
        )
        return [
            item
            for item in items
            if item.entry is not None
            and item.entry.kind is Kind.VIEW
            and (item.entry.when != "mammography" or breast or item.entry.laterality is not None)
        ]

    def _sides(
        self, items: Sequence[Item], mentions: Sequence[_Mention], views: Sequence[Item]
    ) -> list[tuple[Item, Laterality]]:
        found: list[tuple[Item, Laterality]] = []
        for place, item in enumerate(items):
            entry = item.entry
            if entry is None or entry.laterality is None:
                continue
            if entry.kind is Kind.VIEW:
                is_side = item in views
            else:
                is_side = entry.kind is Kind.LATERALITY and self._is_side(
                    entry, items, place, mentions, views
                )
            if is_side:
                found.append((item, entry.laterality))
        # "rodilla derecha AP y L", "voet li 3r": beside a word of a side, a letter is none.
        spelt = {side for item, side in found if not _is_letter(item)}
        return [
            (item, side)
            for item, side in found
            if not spelt or side in spelt or not _is_letter(item)
        ]

    def _is_side(
        self,
        entry: Entry,
        items: Sequence[Item],
        place: int,
        mentions: Sequence[_Mention],
        views: Sequence[Item],
    ) -> bool:
        """Return whether a word of a side is one here: two letters are one in their language."""
        if items[place].joined or len(entry.phrase) > 2 or entry.phrase >= UNSPACED:
            return True
        if len(entry.phrase) == 2:
            return "und" in entry.languages or any(
                not mention.languages.isdisjoint(entry.languages) and self._paired(mention.code)
                for mention in mentions
            )
        return self._letter_is_side(items, place, mentions, views)

    def _letter_is_side(
        self,
        items: Sequence[Item],
        place: int,
        mentions: Sequence[_Mention],
        views: Sequence[Item],
    ) -> bool:
        """Return whether a single letter beside a paired part or a breast view is its side."""
        entry = items[place].entry
        if entry is None:
            return False
        # L and R may stand on either side of the part; E, D, G, I are also words ("e" is "and"),
        # and name a side only behind it.
        behind_only = entry.phrase not in _EITHER_SIDE
        if behind_only and place + 1 < len(items):
            following = items[place + 1].entry
            if following is not None and following.kind is Kind.SITE:
                return False
        for near in (place - 1,) if behind_only else (place - 1, place + 1):
            if not 0 <= near < len(items):
                continue
            if items[near] in views and (items[near].entry or entry).when == "mammography":
                return True
            for mention in mentions:
                if (
                    mention.first <= items[near].first <= mention.last
                    and self._paired(mention.code)
                    and same_language(entry, mention.languages)
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
            and (len(mentions) == 1 or (bool(mentions) and not behind_only))
            and all(
                self._paired(mention.code) and same_language(entry, mention.languages)
                for mention in mentions
            )
        )

    def _view(
        self,
        views: Sequence[Item],
        sides: list[tuple[Item, Laterality]],
        mentions: Sequence[_Mention],
    ) -> tuple[View | None, Item | None, str | None]:
        """Return the view, the words of it, and why there is none where several are named.

        The left of "chest left lateral" is the view's and no longer a side: it leaves `sides`.
        """
        found: dict[str, Item] = {}
        for item in views:
            if item.entry is not None and item.entry.view is not None:
                found.setdefault(item.entry.view.code, item)
        if not found:
            return None, None, None
        if len(found) > 1:
            names = " and ".join(
                sorted(i.entry.view.display for i in found.values() if i.entry and i.entry.view)
            )
            return None, None, f"several views: {names}"
        item = next(iter(found.values()))
        view = item.entry.view if item.entry else None
        if view is not None and view.code == _LATERAL:
            near = [
                s
                for s in sides
                if abs(s[0].last - item.first) == 1 or abs(s[0].first - item.last) == 1
            ]
            unpaired = bool(mentions) and not any(self._paired(m.code) for m in mentions)
            if unpaired and near and near[0][1] in _SIDED_LATERAL:
                sides.remove(near[0])
                return _SIDED_LATERAL[near[0][1]], item, None
        return view, item, None

    def _sites(
        self,
        mentions: Sequence[_Mention],
        sides: Sequence[tuple[Item, Laterality]],
        view: Item | None,
    ) -> tuple[Site, ...]:
        distinct = {side for _, side in sides}
        shared = common_side(side for _, side in sides)
        sites = []
        for mention in mentions:
            side = mention.laterality
            if side is None and len(distinct) > 1 and len(mentions) > 1:
                side = min(sides, key=lambda s: _distance(s[0], mention))[1]
            elif side is None:
                side = shared
            sites.append(Site(mention.code, mention.display, side, mention.confidence))
        return tuple(sites)


def _range_resolved(
    items: Sequence[Item], mentions: list[_Mention], words: HeaderWords
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


def _implied_modality(items: Iterable[Item]) -> str | None:
    for item in items:
        if item.entry is not None and item.entry.kind is Kind.TECHNIQUE and item.entry.value:
            return item.entry.value
    return None


def _parted(value: str, tokens: Sequence[Token], item: Item) -> bool:
    """Return whether a comma or its like stands before the item."""
    gap = value[tokens[item.first - 1].end : tokens[item.first].start]
    return _BOUNDARY.search(gap) is not None


def _joined_on(item: Item, tokens: Sequence[Token], value: str) -> bool:
    """Return whether the next word is joined by a slash, so that a negation goes on."""
    follows = item.last + 1
    return follows < len(tokens) and "/" in value[tokens[item.last].end : tokens[follows].start]


def _is_letter(item: Item) -> bool:
    """Return whether the item is a single letter that stands alone, such as L for left."""
    entry = item.entry
    return (
        entry is not None and not item.joined and len(entry.phrase) == 1 and entry.phrase < UNSPACED
    )


def common_side(sides: Iterable[Laterality | None]) -> Laterality | None:
    """Return the one side of `sides`, bilateral where they differ."""
    found = {side for side in sides if side is not None}
    if len(found) > 1:
        return Laterality.BILATERAL
    return next(iter(found), None)


def _overall_side(
    sites: Sequence[Site], sides: Sequence[tuple[Item, Laterality]]
) -> Laterality | None:
    if sites:
        return sites[0].laterality
    return common_side(side for _, side in sides)


def _distance(item: Item, mention: _Mention) -> int:
    return min(abs(item.first - mention.last), abs(mention.first - item.last))


def _places(part: Item | _Mention) -> range:
    return range(part.first, part.last + 1)


def _evidence(
    tokens: Sequence[Token],
    mentions: Sequence[_Mention],
    sides: Sequence[tuple[Item, Laterality]],
    view: Item | None,
    view_note: str | None,
) -> tuple[Evidence, ...]:
    def text(part: Item | _Mention) -> tuple[str, ...]:
        return tuple(tokens[place].text for place in _places(part))

    found = [Evidence("text", text(m), m.rows, m.note) for m in mentions]
    found.extend(Evidence("text", text(item), (item.entry.ref,)) for item, _ in sides if item.entry)
    if view is not None and view.entry is not None:
        found.append(Evidence("text", text(view), (view.entry.ref,)))
    if view_note is not None:
        found.append(Evidence("text", note=view_note))
    return tuple(dict.fromkeys(found))
