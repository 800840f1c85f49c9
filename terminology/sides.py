"""Which words of a value are a side or a projection, and of which of its parts.

A letter may be a side, a lumbar spine or an "and"; a left lateral is a projection of the chest and
a side of the knee. What is decided here does not depend on the order of the words where they are
independent of each other; where several sides and several parts stand, it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from terminology.annotation import Site
from terminology.concept import Laterality, View
from terminology.entries import Entry, Kind
from terminology.folding import fold
from terminology.items import UNSPACED, Item, same_language
from terminology.words import HeaderWords

# Cross-sectional and other modalities in which AP, axial or lateral name no projection.
NO_PROJECTION: Final = frozenset({"CT", "MR", "PT", "NM", "US", "ST", "OCT", "IVUS", "SR"})

# 76752008 |Breast|.
BREAST: Final = "76752008"
# 399368009 |medio-lateral oblique|, 399192008 and 399101009 |cranio-caudal exaggerated|, and
# 399188001 |superolateral to inferomedial oblique| are taken of breasts only.
BREAST_VIEWS: Final = frozenset({"399368009", "399192008", "399101009", "399188001"})

# Words of a side of up to so many letters are other words in other languages: "der", "re", "dx".
_SHORT: Final = 3
# Languages whose article loses its vowel, and leaves one of these letters before another.
_ELIDING: Final = frozenset({"fr", "it"})
# Letters of a side that are a word for "and" as well.
CONJUNCTIONS: Final = frozenset({"e", "i"})
_ARTICLES: Final = frozenset({"l", "d"})
# "Comparatif", "comparativo": both sides of a part; without a part, an earlier examination.
_COMPARED: Final = "comparati"
_VOWELS: Final = frozenset("aeiouyh")
_NO_ARTICLE_BEHIND: Final = frozenset({Kind.VIEW, Kind.LATERALITY})
# 399033003 |frontal|.
_FRONTAL: Final = "399033003"
_MAMMOGRAPHY: Final = "mammography"


class Mention(NamedTuple):
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


class Side(NamedTuple):
    """A word of a side, and where it stands among the items."""

    item: Item
    place: int
    laterality: Laterality


class Projection(NamedTuple):
    """The view that is named first, all views, the words of the first, a note of several."""

    view: View | None = None
    views: tuple[View, ...] = ()
    item: Item | None = None
    note: str | None = None


class SideReader:
    """Tells sides and projections; safe to share between threads.

    Parameters
    ----------
    words
        The vocabulary.
    """

    def __init__(self, words: HeaderWords) -> None:
        self._words = words
        self._broadened = {
            view.code: (broader, side) for (broader, side), view in words.sided_views.items()
        }
        # Languages that have letters of their own for a side: L and R alone are none of theirs.
        self._own_letters = frozenset[str]().union(
            *(
                entry.languages
                for key, entry in words.others.items()
                if entry.kind is Kind.LATERALITY and len("".join(key)) == 1
            )
        ) - {"und"}

    def views(
        self, items: Sequence[Item], modality: str | None, mentions: Sequence[Mention]
    ) -> list[Item]:
        """Return the items that name a projection."""
        found = [item for item in items if item.entry is not None and item.entry.view is not None]
        if not found or modality in NO_PROJECTION:
            return []
        # CC is also a volume: beside other words it needs a breast or a mammogram.
        breast = (
            modality == "MG"
            or any(mention.code == BREAST for mention in mentions)
            or (not mentions and len(items) <= 2)
        )
        return [
            item
            for item in found
            if item.entry is not None
            and (item.entry.when != _MAMMOGRAPHY or breast or item.entry.laterality is not None)
        ]

    def sides(
        self, items: Sequence[Item], mentions: Sequence[Mention], views: Sequence[Item]
    ) -> list[Side]:
        """Return the items that name a side, in their order."""
        found: list[Side] = []
        letters: list[Side] = []
        for place, item in enumerate(items):
            entry = item.entry
            if entry is None or entry.laterality is None:
                continue
            side = Side(item, place, entry.laterality)
            if entry.kind is Kind.VIEW:
                if item in views:
                    found.append(side)
            elif entry.kind is Kind.LATERALITY:
                phrase = entry.phrase
                if not mentions and phrase.startswith(_COMPARED):
                    continue
                if item.joined or len(phrase) > _SHORT or phrase >= UNSPACED:
                    found.append(side)
                elif len(phrase) > 1:
                    if self._short_is_side(entry, mentions, last=place == len(items) - 1):
                        found.append(side)
                else:
                    letters.append(side)
        # "rodilla derecha AP y L", "voet li 3r": beside a word of a side, a letter is none.
        spelt = {side.laterality for side in found}
        kept = [
            letter
            for letter in letters
            if (not spelt or letter.laterality in spelt)
            and self._letter_is_side(items, letter.place, mentions, views)
        ]
        return sorted([*found, *kept], key=lambda side: side.place) if kept else found

    def examined(
        self, sides: list[Side], items: Sequence[Item], mentions: Sequence[Mention]
    ) -> list[Side]:
        """Leave out the side of a complaint of parts without sides: "HWS Brachialgie li"."""
        if not sides or not mentions or any(self.paired(mention.code) for mention in mentions):
            return sides
        told = [
            place
            for place, item in enumerate(items)
            if item.entry is not None and item.entry.kind in {Kind.COMPLAINT, Kind.REASON}
        ]
        return [side for side in sides if not told or side.place < told[0]]

    def paired(self, code: str) -> bool:
        """Return whether the structure has a left and a right twin."""
        return code not in self._words.unpaired

    def _short_is_side(self, entry: Entry, mentions: Sequence[Mention], *, last: bool) -> bool:
        """Return whether a word of two or three letters is a side: beside a part of its language.

        Two letters need a part that has sides; three letters at the end are no article: "HAND DER".
        """
        if "und" in entry.languages:
            return True
        short = len(entry.phrase) < _SHORT
        if not short and (last or not mentions):
            return True
        return any(
            not mention.languages.isdisjoint(entry.languages)
            and (not short or self.paired(mention.code))
            for mention in mentions
        )

    def _letter_is_side(
        self,
        items: Sequence[Item],
        place: int,
        mentions: Sequence[Mention],
        views: Sequence[Item],
    ) -> bool:
        """Return whether a single letter of a side is one: of a paired part or a breast view."""
        entry = items[place].entry
        before = items[place - 1] if place else None
        after = items[place + 1] if place + 1 < len(items) else None
        near = [item for item in (before, after) if item is not None]
        if entry is None:
            return False
        if any(
            item.entry is not None and item.entry.when == _MAMMOGRAPHY and item in views
            for item in near
        ):
            return True
        fitting = [
            mention
            for mention in mentions
            if self.paired(mention.code) and same_language(entry, mention.languages)
        ]
        if not fitting:
            return self._is_of_projection(entry, mentions, views)
        # "mão e punho", "AP e perfil": between two of a kind, a letter may be the word for "and".
        if entry.phrase in CONJUNCTIONS and (
            _kind(before) is _kind(after) is not None
            or not _is_known(after)
            or _joins_sided_parts(items, place)
        ):
            return False
        # "radio d epaule": an article that lost its apostrophe, behind a word that takes one.
        if (
            before is not None
            and _kind(before) not in _NO_ARTICLE_BEHIND
            and after is not None
            and after.entry is not None
            and after.entry.kind is Kind.SITE
            and entry.phrase in _ARTICLES
            and after.entry.languages <= _ELIDING
            and fold(after.entry.phrase)[:1] in _VOWELS
        ):
            return False
        # "rodilla AP y L": in languages that have letters of their own for a side, L is lateral.
        if (
            entry.phrase == "l"
            and all(mention.languages <= self._own_letters for mention in fitting)
            and any(self._is_frontal(item) for item in views)
        ):
            return False
        beside = {item.first for item in near}
        if any(
            first <= mention.last and mention.first <= first
            for mention in fitting
            for first in beside
        ):
            return True
        others = [item for item in near if _kind(item) is Kind.LATERALITY]
        if any(item.entry is not None and len(item.entry.phrase) == 1 for item in others):
            return True
        if len(fitting) < len(mentions):
            return False
        return after is None or all(_is_known(item) for item in near)

    def _is_of_projection(
        self, entry: Entry, mentions: Sequence[Mention], views: Sequence[Item]
    ) -> bool:
        """Return whether L or R is the side of the one projection: "chest oblique L"."""
        if "und" not in entry.languages or entry.laterality is None or not mentions:
            return False
        codes = {item.entry.view.code for item in views if item.entry and item.entry.view}
        if len(codes) != 1 or any(self.paired(mention.code) for mention in mentions):
            return False
        return (codes.pop(), entry.laterality) in self._words.sided_views

    def _is_frontal(self, item: Item) -> bool:
        view = item.entry.view if item.entry is not None else None
        return view is not None and _FRONTAL in {
            view.code,
            self._words.broader_views.get(view.code),
        }

    def projection(
        self, views: Sequence[Item], sides: list[Side], mentions: Sequence[Mention]
    ) -> tuple[Projection, list[Side]]:
        """Return the projection and the sides that remain sides.

        The left of "chest left lateral" is the view's and no side; that of "knee lt oblique" is
        the knee's. Of a frontal view and an antero-posterior one, the latter says more.
        """
        found: dict[str, tuple[View, Item]] = {}
        sided: list[Side] = []
        unpaired = bool(mentions) and not any(self.paired(m.code) for m in mentions)
        for item in views:
            view = item.entry.view if item.entry is not None else None
            if view is None:
                continue
            if not unpaired and (parts := self._broadened.get(view.code)) is not None:
                broader, side = parts
                view = self._words.views[broader]
                sided.append(Side(item, -1, side))
            found.setdefault(view.code, (view, item))
        for code in list(found):
            above = self._words.broader_views.get(code)
            while above is not None:
                found.pop(above, None)
                above = self._words.broader_views.get(above)
        if not found:
            return Projection(), sides
        if len(found) > 1:
            names = " and ".join(sorted(view.display for view, _ in found.values()))
            several = tuple(view for view, _ in found.values())
            first = next(iter(found.values()))[1]
            return Projection(several[0], several, first, f"several views: {names}"), sides + sided
        view, item = next(iter(found.values()))
        if unpaired and len(sides) == 1:
            of_side = self._words.sided_views.get((view.code, sides[0].laterality))
            if of_side is not None:
                return Projection(of_side, (of_side,), item), []
        return Projection(view, (view,), item), sides + sided

    def placed(
        self, mentions: Sequence[Mention], sides: Sequence[Side], parted: frozenset[int]
    ) -> tuple[Site, ...]:
        """Return the parts as sites, each with its side; `parted` are tokens after a comma."""
        distinct = {side.laterality for side in sides}
        shared = common_side(side.laterality for side in sides)
        apart = len(distinct) > 1 and len(mentions) > 1
        nearest = self._assigned(mentions, sides, parted) if apart else {}
        several = len(mentions) > 1 and any(self.paired(m.code) for m in mentions)
        sites = []
        for place, mention in enumerate(mentions):
            side = mention.laterality
            if side is None and (not several or self.paired(mention.code)):
                side = nearest.get(place) if apart else shared
            sites.append(Site(mention.code, mention.display, side, mention.confidence))
        return tuple(sites)

    def _assigned(
        self, mentions: Sequence[Mention], sides: Sequence[Side], parted: frozenset[int]
    ) -> dict[int, Laterality]:
        """Return the side of each part where several parts and several sides stand.

        Sides stand all before or all behind their parts, whichever the value begins with; a comma
        ends what belongs together.
        """
        paired = [place for place, m in enumerate(mentions) if self.paired(m.code)]
        starts = sorted(parted)

        def segment(token: int) -> int:
            return sum(1 for start in starts if start <= token)

        assigned: dict[int, Laterality] = {}
        if not paired:
            return assigned
        behind = mentions[paired[0]].first <= min(side.item.first for side in sides)
        for number, place in enumerate(paired):
            mention = mentions[place]
            own = [s for s in sides if segment(s.item.first) == segment(mention.first)]
            if starts and own and len({s.laterality for s in own}) == 1:
                assigned[place] = own[0].laterality
                continue
            if behind:
                end = mentions[paired[number + 1]].first if number + 1 < len(paired) else 1 << 30
                own = [s for s in sides if mention.first <= s.item.first < end]
            else:
                begin = mentions[paired[number - 1]].last if number else -1
                own = [s for s in sides if begin < s.item.first <= mention.last]
            if not own:
                own = [min(sides, key=lambda s: _distance(s.item, mention))]
            side = common_side(s.laterality for s in own)
            if side is not None:
                assigned[place] = side
        return assigned


def _is_known(item: Item | None) -> bool:
    return item is None or item.entry is not None


def _joins_sided_parts(items: Sequence[Item], place: int) -> bool:
    """Return whether the letter stands between a part with its side and another part.

    "Quadril D e bacia" is a right hip and a pelvis.
    """
    if not 2 <= place < len(items) - 1:
        return False
    around = (_kind(items[place - 2]), _kind(items[place - 1]), _kind(items[place + 1]))
    return around == (Kind.SITE, Kind.LATERALITY, Kind.SITE)


def _kind(item: Item | None) -> Kind | None:
    return item.entry.kind if item is not None and item.entry is not None else None


def common_side(sides: Iterable[Laterality | None]) -> Laterality | None:
    """Return the one side of `sides`, bilateral where they differ."""
    found = {side for side in sides if side is not None}
    if len(found) > 1:
        return Laterality.BILATERAL
    return next(iter(found), None)


def _distance(item: Item, mention: Mention) -> int:
    return min(abs(item.first - mention.last), abs(mention.first - item.last))
