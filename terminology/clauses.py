"""What of a value was examined: history, negation, names and complaints are told from the rest.

A clause ends at a comma, a colon, a semicolon, a bracket, a line end, a full stop or a dash
between blanks, and where a word for an examination (XR, CT) begins a new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terminology.entries import Entry, Kind
from terminology.items import Item
from terminology.sides import CONJUNCTIONS
from terminology.tokens import Tokens

# Stands where an item was that says nothing of the examination.
LEFT_OUT: Final = Entry(Kind.NOISE, "", "")
_JOINING: Final = frozenset("+&")
# A noise row with one of these values is a word that joins parts, or an article.
_AND: Final = "and"
_ARTICLE: Final = "article"
# Kinds that leave a value as it is; unknown words do, unless a comma parts them from another.
_PLAIN: Final = frozenset(
    {
        None,
        Kind.TECHNIQUE,
        Kind.SITE,
        Kind.NO_SITE,
        Kind.LATERALITY,
        Kind.VIEW,
        Kind.NOISE,
        Kind.RANGE,
        Kind.ORDINAL,
    }
)
# A complaint and its part have at most so many small words between them: "néo du sein".
_FARTHEST: Final = 3
# Two clauses with a part and an unknown word have at least so many items.
_FEWEST: Final = 3
# An unknown word of fewer letters says nothing about its clause.
_SHORTEST_UNKNOWN: Final = 4
# Languages in which the letter D is a right side.
ROMANCE: Final = frozenset({"fr", "es", "pt", "it", "ro", "ca", "gl", "la"})


def examined(tokens: Tokens, items: list[Item]) -> list[Item]:
    """Return `items` with those that were not examined left out of consideration."""
    kinds = {None if item.entry is None else item.entry.kind for item in items}
    if (
        kinds <= _PLAIN
        and (None not in kinds or len(items) < _FEWEST or not tokens.parted)
        and "?" not in tokens.text
    ):
        return items
    left_out, behind = _unexamined(tokens, items)
    left_out |= _complaints(tokens, items, left_out)
    left_out |= _asides(tokens, items, left_out)
    if any(_is_part(item) for place, item in enumerate(items) if place not in left_out | behind):
        left_out |= behind
    if not left_out:
        return items
    return [
        Item(item.first, item.last, LEFT_OUT) if place in left_out else item
        for place, item in enumerate(items)
    ]


def joined_by_and(tokens: Tokens, items: Sequence[Item]) -> list[tuple[int, int]]:
    """Return the pairs of items, both of them parts, that an "and", "+" or "&" joins."""
    pairs: list[tuple[int, int]] = []
    signs = not _JOINING.isdisjoint(tokens.text)
    part: int | None = None
    joined = False
    for place, item in enumerate(items):
        entry = item.entry
        if signs and item.first and not _JOINING.isdisjoint(tokens.gap(item.first)):
            joined = True
        if entry is None:
            part, joined = None, False
        elif entry.kind is Kind.SITE:
            if joined and part is not None:
                pairs.append((part, place))
            part, joined = place, False
        elif (entry.kind is Kind.NOISE and entry.value == _AND) or (
            entry.kind is Kind.LATERALITY
            and entry.phrase in CONJUNCTIONS
            and not (place + 1 < len(items) and items[place + 1].first in tokens.parted)
        ):
            joined = True
    return pairs


def _unexamined(tokens: Tokens, items: Sequence[Item]) -> tuple[set[int], set[int]]:
    """Return the items that were not examined, and those behind a word for a reason.

    Not examined is what stands behind a context word, and the part behind a negation or a title.
    """
    left_out: set[int] = set()
    behind: set[int] = set()
    context = reason = negated = named = trailing = False
    before: Entry | None = None
    for place, item in enumerate(items):
        entry = item.entry
        kind = None if entry is None else entry.kind
        # The full stop of "Z.n." and the colon of "Indication:" end nothing.
        opened = before is not None and before.kind in {Kind.CONTEXT, Kind.REASON, Kind.TITLE}
        if _begins(tokens, item, entry) and not (opened and item.first in tokens.parted):
            context = reason = negated = named = trailing = False
        before = entry
        # "Becken, keine Hüfte axial": the view is the hip's.
        of_another = (trailing and kind is Kind.VIEW) or (
            named and kind in {Kind.LATERALITY, Kind.VIEW}
        )
        if context or of_another:
            left_out.add(place)
        elif reason or (kind is Kind.SITE and _is_asked(tokens, item)):
            behind.add(place)
        if kind is Kind.CONTEXT:
            context = True
        elif kind is Kind.REASON:
            reason = True
        elif kind is Kind.NEGATION:
            negated = True
        elif kind is Kind.TITLE:
            named = entry is not None and (
                not entry.value or _dotted(tokens, item) or _is_alone(tokens, items)
            )
        elif kind is Kind.SITE:
            trailing = negated
            if negated or named:
                left_out.add(place)
            negated = negated and _slash_follows(tokens, item)
        elif kind is Kind.LATERALITY or (entry is not None and entry.value == _ARTICLE):
            pass
        else:
            negated = False
            # A name goes on: "Dr. Braga Peito".
            named = named and kind is not Kind.TECHNIQUE
    return left_out, behind


def _complaints(tokens: Tokens, items: Sequence[Item], left_out: set[int]) -> set[int]:
    """Return the parts that are beside a complaint, with their sides; none if no other is named."""
    parts = {place for place, item in enumerate(items) if _is_part(item) and place not in left_out}
    first = min(parts, default=-1)
    reasons: set[int] = set()
    for place, item in enumerate(items):
        if item.entry is None or item.entry.kind is not Kind.COMPLAINT:
            continue
        before = _beside(tokens, items, place, -1, {Kind.LATERALITY})
        behind = _beside(tokens, items, place, 1, {Kind.LATERALITY, Kind.NOISE})
        order = [found for found in (before, behind) if found in parts]
        # Of two, the first part of the value was examined: "XR knee swelling ankle".
        if len(order) > 1 and before == first:
            order.reverse()
        reasons.update(order[:1])
    # "Wrist and hand pain": both were examined.
    for pair in joined_by_and(tokens, items):
        if not reasons.isdisjoint(pair):
            reasons.difference_update(pair)
    if reasons == parts:
        reasons.discard(first)
    if not reasons:
        return set()
    examined = parts - reasons
    for part in tuple(reasons):
        for step in (-1, 1):
            place = part + step
            while 0 <= place < len(items) and _is_side(items[place]):
                if place + step not in examined or _is_parted(tokens, items, place, step):
                    reasons.add(place)
                place += step
    return reasons


def _asides(tokens: Tokens, items: Sequence[Item], left_out: set[int]) -> set[int]:
    """Return the items of later clauses that tell of a complaint, or of something unknown.

    The first clause must name a part, and of an unknown word also the examination: "CT Thorax,
    Meyer Knie" is a chest, "Knie re, Hüfte li" both.
    """
    if not tokens.parted:
        return set()
    starts = [place for place, item in enumerate(items) if item.first in tokens.parted]
    if not starts or not starts[0]:
        return set()
    first = [item for place, item in enumerate(items[: starts[0]]) if place not in left_out]
    if not any(map(_is_part, first)):
        return set()
    named = any(item.entry is not None and item.entry.kind is Kind.TECHNIQUE for item in first)
    found: set[int] = set()
    for start, end in zip(starts, (*starts[1:], len(items)), strict=True):
        clause = items[start:end]
        if any(item.entry is not None and item.entry.kind is Kind.TECHNIQUE for item in clause):
            break
        if any(
            (named and _is_unknown(tokens, item))
            if item.entry is None
            else item.entry.kind is Kind.COMPLAINT
            for item in clause
        ):
            found.update(range(start, end))
    return found


def _is_unknown(tokens: Tokens, item: Item) -> bool:
    token = tokens.folded[item.first]
    return len(token) >= _SHORTEST_UNKNOWN and not token.isdigit()


def _beside(tokens: Tokens, items: Sequence[Item], place: int, step: int, passed: set[Kind]) -> int:
    """Return the item next to `place` in one direction, over words that are `passed`."""
    for _ in range(_FARTHEST):
        # The comma before the right one of two items parts them.
        if items[place if step < 0 else min(place + 1, len(items) - 1)].first in tokens.parted:
            return -1
        place += step
        if not 0 <= place < len(items):
            return -1
        entry = items[place].entry
        # "Fracture 5e métacarpien": the number is of the part behind it.
        if step > 0 and _is_number(tokens, items[place]) and _is_part_at(items, place + 1):
            continue
        if entry is None or entry.kind not in passed:
            return place
    return place


def _is_parted(tokens: Tokens, items: Sequence[Item], place: int, step: int) -> bool:
    """Return whether a clause ends between `place` and the next item: "fracture fémur D: main"."""
    return items[max(place, place + step)].first in tokens.parted


def _begins(tokens: Tokens, item: Item, entry: Entry | None) -> bool:
    """Return whether a clause begins with the item: after a comma, or with an examination."""
    if entry is not None and entry.kind is Kind.TECHNIQUE and entry.value:
        return True
    return item.first in tokens.parted


def _is_part(item: Item) -> bool:
    return item.entry is not None and item.entry.kind is Kind.SITE


def _is_part_at(items: Sequence[Item], place: int) -> bool:
    return place < len(items) and _is_part(items[place])


def _is_number(tokens: Tokens, item: Item) -> bool:
    if item.entry is None:
        token: str = tokens.folded[item.first]
        return token.isdecimal()
    return item.entry.kind is Kind.ORDINAL


def _is_side(item: Item) -> bool:
    return item.entry is not None and item.entry.kind is Kind.LATERALITY


def _is_asked(tokens: Tokens, item: Item) -> bool:
    """Return whether a question mark stands right before the word: "XR elbow ?radial head"."""
    return (
        item.first > 0
        and tokens.gap(item.first).strip() == "?"
        and tokens.gap(item.first)[-1] == "?"
    )


def _is_alone(tokens: Tokens, items: Sequence[Item]) -> bool:
    """Return whether unknown words, and no side, view or technique, stand beside "Dr" and a part.

    "Dr Hand - orthopaedics" is a name, "DR Hand" digital radiography.
    """
    kinds = {None if item.entry is None else item.entry.kind for item in items}
    return kinds.isdisjoint({Kind.LATERALITY, Kind.VIEW, Kind.TECHNIQUE}) and any(
        item.entry is None and _is_unknown(tokens, item) for item in items
    )


def _dotted(tokens: Tokens, item: Item) -> bool:
    follows = item.last + 1
    return follows < len(tokens.folded) and tokens.gap(follows).startswith(".")


def _slash_follows(tokens: Tokens, item: Item) -> bool:
    """Return whether the next word is joined by a slash, so that a negation goes on."""
    follows = item.last + 1
    return follows < len(tokens.folded) and "/" in tokens.gap(follows)
