"""Which parts a value names: from the phrases of the vocabulary to body sites without a side.

An ambiguous word gives way to a clear one, of a region and its part the part remains, several
parts that have one concept become that concept, and a part with a number beside it becomes the
part of that number. Misspelt words are read where nothing else is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from terminology.clauses import LEFT_OUT, ROMANCE, joined_by_and
from terminology.concept import Laterality
from terminology.counting import digit_named, numbers_beside
from terminology.entries import Entry, Kind
from terminology.items import (
    JOINED,
    LETTER_ONCE,
    Item,
    same_language,
)
from terminology.mending import Mender
from terminology.sides import BREAST, BREAST_VIEWS, CONJUNCTIONS, Mention, common_side
from terminology.tokens import Tokens
from terminology.words import HeaderWords

if TYPE_CHECKING:
    from terminology.graph import BodyStructureGraph

# 82680008 |Digit|.
DIGIT: Final = "82680008"
# 816094009 |Chest|.
CHEST: Final = "816094009"
# In the name of a region that is not one structure: Abdomen and Pelvis, Wrist and/or hand.
_AND: Final = " and"
# A region that is one part or the other says less than the part.
_OR: Final = "and/or"
# An unknown word of fewer letters than this says nothing about the words beside it.
_SHORTEST_UNKNOWN: Final = 3
# A view of so few letters ("AP") is a view behind "and" as well.
_LONGEST_LETTERS: Final = 3


class PartReader:
    """Reads items as parts; safe to share between threads.

    Parameters
    ----------
    words
        The vocabulary.
    graph
        The body structures.
    mender
        Reads misspelt words.
    """

    def __init__(self, words: HeaderWords, graph: BodyStructureGraph, mender: Mender) -> None:
        self._words = words
        self._graph = graph
        self._mender = mender
        self._concepts: dict[str, tuple[str, str, Laterality | None]] = {}
        self._numbered = words.numbered
        self._regions = sorted(words.regions.items(), key=lambda region: -len(region[0]))
        # "Head^HeadNeck" is both; of the spine and the lumbar spine, it is the lumbar spine.
        combined = [(parts, r.code) for parts, r in words.regions.items() if _AND in r.display]
        self._combined_regions = frozenset(code for _, code in combined)
        self._within_combined: dict[str, set[str]] = {}
        for parts, code in combined:
            for part in parts - {code}:
                self._within_combined.setdefault(part, set()).add(code)
        self._parts_of_regions = frozenset[str]().union(*words.regions)

    def understood(self, items: list[Item]) -> list[Item]:
        """Return `items` with words that several languages have read in that of the parts."""
        if all(item.entry is None or not item.entry.homonyms for item in items):
            return items
        languages = [
            item.entry.languages
            for item in items
            if item.entry is not None and item.entry.kind is Kind.SITE
        ]

        def fitting(entry: Entry) -> int:
            return sum(not entry.languages.isdisjoint(of_part) for of_part in languages)

        return [
            item
            if item.entry is None or not item.entry.homonyms
            else item._replace(entry=max((item.entry, *item.entry.homonyms), key=fitting))
            for item in items
        ]

    def named(
        self, tokens: Tokens, items: list[Item], modality: str | None, *, misspellings: bool
    ) -> tuple[list[Mention], list[Item], bool]:
        """Return the parts, the items as they were read then, and whether a part was misspelt.

        Repeated parts, and parts within others, are still among them; see `joined`.
        """
        mentions = self._mentions(items)
        misspelt = False
        if mentions:
            if modality == "MG":
                mentions = [self._as_breast(mention) for mention in mentions]
            if not self._numbered.parts.isdisjoint(mention.code for mention in mentions):
                mentions, items = self._counted(tokens, mentions, items)
            if "d" in tokens.folded and (found := digit_named(tokens, items)) is not None:
                mentions, items = self._with_digit(mentions, items, *found)
        elif misspellings and (read := self._mender.word(tokens, items)) is not None:
            mentions, items, misspelt = self._mentions(read), read, True
        mentions = self._without_weak(mentions, items, tokens) or self._projected(items, modality)
        return mentions, self.settled(items, mentions), misspelt

    def exact(self, items: Sequence[Item]) -> Mention | None:
        """Return the part of a value that is one phrase of one meaning, and nothing else."""
        if len(items) != 1:
            return None
        item = items[0]
        entry = item.entry
        if entry is None or entry.kind is not Kind.SITE or entry.view is not None or entry.options:
            return None
        return self._mention(item, entry)

    def joined(
        self, tokens: Tokens, items: Sequence[Item], mentions: list[Mention]
    ) -> list[Mention]:
        """Return the parts that the answer is made of: each once, the particular, the combined."""
        if len(mentions) < 2:
            return mentions
        mentions = self._range_resolved(items, mentions)
        return self.combined(self._most_specific(mentions, self._listed(tokens, items)))

    def _mentions(self, items: Sequence[Item]) -> list[Mention]:
        return [
            self._mention(item, item.entry)
            for item in items
            if item.entry is not None and item.entry.kind is Kind.SITE
        ]

    def _counted(
        self, tokens: Tokens, mentions: list[Mention], items: list[Item]
    ) -> tuple[list[Mention], list[Item]]:
        """Give parts with a number beside them the concept of that number: the fifth finger."""
        named = {mention.code for mention in mentions}
        places = {item.first: place for place, item in enumerate(items)}
        counted = []
        for mention in mentions:
            place = places[mention.first]
            for number, item in numbers_beside(tokens, items, place):
                row = self._numbered.find(mention.code, number, named)
                if row is None or row["code"] not in self._graph:
                    continue
                code, display, _ = self.concept(row["code"])
                mention = mention._replace(
                    code=code,
                    display=display,
                    first=min(mention.first, item.first),
                    last=max(mention.last, item.last),
                    rows=(*mention.rows, row.ref),
                    weak=False,
                )
                items = [Item(i.first, i.last, LEFT_OUT) if i is item else i for i in items]
                break
            counted.append(mention)
        return counted, items

    def _with_digit(
        self, mentions: list[Mention], items: list[Item], number: int, letter: Item, digit: Item
    ) -> tuple[list[Mention], list[Item]]:
        """Read "Hand li D2" as the second digit of the hand; in Romance languages, D is right."""
        read: list[Mention] = []
        for mention in mentions:
            row = self._numbered.find(DIGIT, number, {mention.code})
            if row is not None and mention.languages.isdisjoint(ROMANCE):
                code, display, _ = self.concept(row["code"])
                rows = (*mention.rows, row.ref)
                mention = mention._replace(code=code, display=display, rows=rows)
                items = [
                    Item(i.first, i.last, LEFT_OUT) if i in (letter, digit) else i for i in items
                ]
            read.append(mention)
        return read, items

    def concept(self, code: str) -> tuple[str, str, Laterality | None]:
        """Return the current unsided concept of a code, its display, and the side of the code."""
        found = self._concepts.get(code)
        if found is None:
            concept = self._graph.lookup(self._graph.current(code))
            side = None
            if concept.unsided is not None:
                side = concept.laterality
                concept = self._graph.lookup(concept.unsided)
            found = self._concepts[code] = (concept.code, concept.display, side)
        return found

    def _mention(self, item: Item, entry: Entry) -> Mention:
        code, display, side = self.concept(entry.code)
        return Mention(
            code,
            display,
            entry.confidence if item.factor == 1 else round(entry.confidence * item.factor, 3),
            item.first,
            item.last,
            (entry.ref,),
            entry.languages,
            side or entry.laterality,
            entry.weak or item.factor == LETTER_ONCE,
            item.note,
        )

    def _as_breast(self, mention: Mention) -> Mention:
        """Read the chest of a mammogram ("Brust", "borst", "pecho") as the breast."""
        if mention.code != CHEST or BREAST not in self._graph:
            return mention
        code, display, _ = self.concept(BREAST)
        return mention._replace(code=code, display=display, note="the chest of a mammogram")

    def _projected(self, items: Sequence[Item], modality: str | None) -> list[Mention]:
        """Read the part out of a projection that only breasts have: "R MLO", in MG also "CC".

        Spelt out, a medio-lateral oblique may be of a foot, and needs a mammogram.
        """
        if modality not in {None, "MG"} or BREAST not in self._graph:
            return []
        required = any if modality == "MG" else all
        for item in items:
            view = item.entry.view if item.entry is not None else None
            if item.entry is None or view is None:
                continue
            mammography = item.entry.when == "mammography"
            if required((view.code in BREAST_VIEWS, mammography)) or (
                mammography and _is_sided_view_alone(items)
            ):
                code, display, _ = self.concept(BREAST)
                return [
                    Mention(
                        code=code,
                        display=display,
                        confidence=JOINED,
                        first=item.first,
                        last=item.last,
                        rows=(item.entry.ref,),
                        languages=frozenset({"und"}),
                        note=f"{view.display} is a view of the breast",
                    )
                ]
        return []

    def _without_weak(
        self, mentions: list[Mention], items: Sequence[Item], tokens: Tokens
    ) -> list[Mention]:
        """Drop ambiguous words where another names the part, but not "pel" after "abdomen".

        Nor "CAP" after "chest", which is one of its parts.

        Among words that are not known, an ambiguous word names no part: "has been repeated". Of
        several ambiguous words the surest is taken.
        """
        if not any(mention.weak for mention in mentions):
            return mentions
        joined = {item.first for item in self._joined_nouns(items)}
        if joined:
            mentions = [m._replace(weak=False) if m.first in joined else m for m in mentions]
        strong = {mention.code for mention in mentions if not mention.weak}
        if not strong:
            unknown = any(
                item.entry is None and len(tokens.folded[item.first]) >= _SHORTEST_UNKNOWN
                for item in items
            )
            return [] if unknown else [max(mentions, key=lambda m: _clearness(m, items))]
        return [
            mention
            for mention in mentions
            if not mention.weak
            or (
                _OR not in mention.display
                and any(mention.code in self._within_combined.get(code, ()) for code in strong)
            )
            or any(
                mention.code in parts and parts <= strong | {mention.code}
                for parts, _ in self._regions
            )
        ]

    def _joined_nouns(self, items: Sequence[Item]) -> Iterator[Item]:
        """Yield the words that are a view or a part, and a part behind another one and "and".

        "Mandibule et face" are two parts, "thorax profil et face" two views. "E" is left behind a
        part that has sides.
        """
        for before, joining, item in zip(items, items[1:], items[2:], strict=False):
            if (
                item.entry is None
                or item.entry.kind is not Kind.SITE
                or item.other is None
                or item.other.kind is not Kind.VIEW
                or len(item.entry.phrase) <= _LONGEST_LETTERS
                or before.entry is None
                or before.entry.kind is not Kind.SITE
                or joining.entry is None
            ):
                continue
            letter = joining.entry.kind is Kind.LATERALITY and joining.entry.phrase in CONJUNCTIONS
            code, _, _ = self.concept(before.entry.code)
            if joining.entry.value == "and" or (letter and code in self._words.unpaired):
                yield item

    def settled(self, items: list[Item], mentions: Sequence[Mention]) -> list[Item]:
        """Return `items` with each ambiguous phrase read as it is meant beside these parts.

        A phrase that is a view of some parts only is that view beside such a part.
        """
        items = _second_meanings(items, mentions)
        if all(item.entry is None or not item.entry.options for item in items):
            return items
        return [
            item
            if item.entry is None or not item.entry.options or _joins(items, place)
            else item._replace(entry=self._option(item.entry, mentions))
            for place, item in enumerate(items)
        ]

    def _option(self, entry: Entry, mentions: Sequence[Mention]) -> Entry:
        for option in entry.options:
            for mention in mentions:
                if same_language(option, mention.languages) and (
                    not option.parts
                    or mention.code in option.parts
                    or not option.parts.isdisjoint(self._graph.ancestors(mention.code))
                ):
                    return option
        return entry

    def _listed(self, tokens: Tokens, items: Sequence[Item]) -> set[frozenset[str]]:
        """Return the pairs of parts that the value lists side by side: "clavicle and shoulder"."""
        return {
            frozenset(
                self.concept(entry.code)[0]
                for place in pair
                if (entry := items[place].entry) is not None
            )
            for pair in joined_by_and(tokens, items)
        }

    def _most_specific(self, mentions: list[Mention], listed: set[frozenset[str]]) -> list[Mention]:
        """Leave out repeated parts and parts that hold another one that is named as well.

        Of the pairs in `listed`, both stay; a combined region stays, and its parts go.
        """
        kept: dict[str, Mention] = {}
        for mention in mentions:
            present = kept.get(mention.code)
            if present is None:
                kept[mention.code] = mention
            else:
                kept[mention.code] = present._replace(
                    confidence=max(present.confidence, mention.confidence),
                    laterality=common_side((present.laterality, mention.laterality)),
                )
        if len(kept) < 2:
            return list(kept.values())
        dropped: set[str] = set()
        # "Wrist scaphoid": the joint is named, its region is meant, and the part lies in that.
        meant = {self._words.stands_for.get(code, code): code for code in kept}
        meant.update((code, code) for code in kept)
        for code, mention in kept.items():
            if not self._within_combined.get(code, frozenset()).isdisjoint(kept):
                dropped.add(code)
                continue
            for region in self._graph.ancestors(code) & meant.keys():
                above = meant[region]
                if (
                    above == code
                    or frozenset((above, code)) in listed
                    or above in self._combined_regions
                ):
                    continue
                dropped.add(above)
                # The side of a word for the whole is that of the part: "main D" and "index".
                if mention.laterality is None:
                    kept[code] = mention = mention._replace(laterality=kept[above].laterality)
        return [mention for code, mention in kept.items() if code not in dropped]

    def _range_resolved(self, items: Sequence[Item], mentions: list[Mention]) -> list[Mention]:
        """Drop the two ends of a range (skull to thigh) unless they have a combined concept."""
        for item in items:
            if item.entry is None or item.entry.kind is not Kind.RANGE:
                continue
            before = {m.code for m in mentions if m.last == item.first - 1}
            after = {m.code for m in mentions if m.first == item.last + 1}
            ends = frozenset(before | after)
            if before and after and len(ends) == 2 and ends not in self._words.regions:
                mentions = [m for m in mentions if m.code not in ends]
        return mentions

    def combined(self, mentions: list[Mention]) -> list[Mention]:
        """Put parts that have a combined concept together, the largest set first."""
        codes = {mention.code for mention in mentions}
        if len(codes & self._parts_of_regions) < 2:
            return mentions
        for parts, region in self._regions:
            if not parts <= codes or region.code not in self._graph:
                continue
            group = [mention for mention in mentions if mention.code in parts]
            concept = self._graph.lookup(region.code)
            joined = Mention(
                code=concept.code,
                display=concept.display,
                confidence=min(mention.confidence for mention in group),
                first=group[0].first,
                last=group[-1].last,
                rows=(*(row for mention in group for row in mention.rows), region.ref),
                languages=frozenset[str]().union(*(mention.languages for mention in group)),
                laterality=common_side(mention.laterality for mention in group),
                note="parts with one concept for all of them",
            )
            place = mentions.index(group[0])
            rest = [joined if i == place else m for i, m in enumerate(mentions)]
            return self.combined([m for m in rest if m not in group])
        return mentions


def _second_meanings(items: list[Item], mentions: Sequence[Mention]) -> list[Item]:
    """Give an ambiguous word its second meaning when another word names the part.

    The second meaning is one of its own language: face is a view in "thorax face" only.
    """
    if all(item.other is None for item in items):
        return items
    taken = {(mention.first, mention.last) for mention in mentions}
    languages = frozenset[str]().union(*(mention.languages for mention in mentions))
    settled = []
    for item in items:
        if item.other is not None and (item.first, item.last) not in taken:
            understood = not mentions or same_language(item.other, languages)
            item = item._replace(entry=item.other if understood else None, other=None)
        settled.append(item)
    return settled


def _joins(items: Sequence[Item], place: int) -> bool:
    """Return whether a word for "and" joins what follows: "hombro y clavícula"."""
    entry = items[place].entry
    after = items[place + 1].entry if place + 1 < len(items) else None
    return (
        entry is not None
        and entry.value == "and"
        and after is not None
        and after.kind in {Kind.SITE, Kind.VIEW}
    )


def _clearness(mention: Mention, items: Sequence[Item]) -> tuple[bool, float, str]:
    """Return how clear an ambiguous word is: one that may be a view ("face") is less so."""
    other = next((item.other for item in items if item.first == mention.first), None)
    return (other is None or other.kind is not Kind.VIEW, mention.confidence, mention.code)


def _is_sided_view_alone(items: Sequence[Item]) -> bool:
    """Return whether the items are a projection and a side and nothing else: "R CC", "RCC"."""
    kinds = sorted(item.entry.kind if item.entry is not None else "" for item in items)
    if kinds == [Kind.VIEW]:
        return items[0].entry is not None and items[0].entry.laterality is not None
    return kinds == [Kind.LATERALITY, Kind.VIEW]


def implied_modality(items: Iterable[Item]) -> str | None:
    """Return the modality that a word of the value implies: CT of "Angio-CT"."""
    for item in items:
        if item.entry is not None and item.entry.kind is Kind.TECHNIQUE and item.entry.value:
            return item.entry.value
    return None
