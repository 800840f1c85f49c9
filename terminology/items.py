"""What a value's tokens were read as: stretches of tokens with their row, and how sure that is."""

from __future__ import annotations

from typing import Final, NamedTuple

from terminology.entries import Entry

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
# "C5/6" says less surely than "C5/C6" that vertebrae are meant: an ambiguous word.
LETTER_ONCE: Final = 0.66

# Scripts from here on put no space between words.
UNSPACED: Final = "\u2e80"


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


class Meaning(NamedTuple):
    """What a phrase is: a body part (or a word refused as one), something else, or both."""

    site: Entry | None
    other: Entry | None


class Part(NamedTuple):
    """A part of a word that was taken apart."""

    entry: Entry
    factor: float
    note: str | None = None
    joined: bool = False


def same_language(side: Entry, languages: frozenset[str]) -> bool:
    """Return whether a word of a side may stand beside a word of these languages."""
    return "und" in side.languages or not side.languages.isdisjoint(languages)
