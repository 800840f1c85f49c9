"""The number beside a part: a digit, a Roman numeral or an ordinal word.

A number that counts views ("finger 2 views") is none of a part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from terminology.entries import Kind
from terminology.items import Item
from terminology.tokens import Tokens

_ROMAN: Final = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5}
# What may stand between a number and its part: the "th" of "5 th finger".
_LONGEST_ENDING: Final = 3


def numbers_beside(tokens: Tokens, items: Sequence[Item], place: int) -> Iterator[tuple[int, Item]]:
    """Yield the number in front of the part at `place`, then the one behind it."""
    for item in (_before(tokens, items, place), _behind(tokens, items, place)):
        number = None if item is None else _number(tokens, item)
        if item is not None and number is not None:
            yield number, item


def digit_named(tokens: Tokens, items: Sequence[Item]) -> tuple[int, Item, Item] | None:
    """Return the number of a digit (D2) with the items of letter and number; none of views."""
    for place, item in enumerate(items[:-1]):
        if item.first != item.last or tokens.folded[item.first] != "d":
            continue
        number = _number(tokens, items[place + 1])
        after = items[place + 2] if place + 2 < len(items) else None
        if number is not None and (after is None or not _is_small(after)):
            return number, item, items[place + 1]
    return None


def _number(tokens: Tokens, item: Item) -> int | None:
    if item.entry is not None and item.entry.kind is Kind.ORDINAL:
        return int(item.entry.value) if item.entry.value.isdecimal() else None
    if item.first != item.last:
        return None
    token = tokens.folded[item.first]
    if len(token) == 1 and token.isascii() and token.isdigit():
        return int(token)
    return _ROMAN.get(token)


def _before(tokens: Tokens, items: Sequence[Item], place: int) -> Item | None:
    """Return the number in front: 5th finger, 2. Zehe, 5e orteil."""
    for near in range(place - 1, max(place - 4, -1), -1):
        item = items[near]
        if _number(tokens, item) is not None:
            return None if _is_listed(tokens, items, near) else item
        short = item.first == item.last and len(tokens.folded[item.first]) <= _LONGEST_ENDING
        if not short or not (
            item.entry is None or item.entry.kind in {Kind.NOISE, Kind.LATERALITY}
        ):
            return None
    return None


def _behind(tokens: Tokens, items: Sequence[Item], place: int) -> Item | None:
    """Return the number behind: Dig. II, Finger 4 links; but not Finger 2 Ebenen."""
    if place + 1 >= len(items) or items[place + 1].first in tokens.parted:
        return None
    item = items[place + 1]
    if place + 2 >= len(items) or items[place + 2].first in tokens.parted:
        return item
    after = items[place + 2]
    if _number(tokens, after) is not None:
        # Of "finger IV 2 views", the second number counts; "finger 2-4" are three.
        return item if place + 3 < len(items) and _is_small(items[place + 3]) else None
    counted = tokens.folded[after.first].isdigit()
    return item if counted or not _is_small(after) else None


def _is_small(item: Item) -> bool:
    """Return whether the item is no part, side or view: a word that may count views."""
    return item.entry is None or item.entry.kind in {Kind.NOISE, Kind.TECHNIQUE, Kind.RANGE}


def _is_listed(tokens: Tokens, items: Sequence[Item], place: int) -> bool:
    """Return whether another number stands before the one at `place`: "2. und 3. Finger"."""
    at = place - 1
    while at >= 0 and _joins(items[at]):
        at -= 1
    return at >= 0 and _number(tokens, items[at]) is not None


def _joins(item: Item) -> bool:
    entry = item.entry
    return entry is not None and (entry.kind is Kind.RANGE or entry.value == "and")
