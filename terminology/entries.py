"""The rows of the vocabulary of header words as the reader meets them: one type for all tables."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from terminology.concept import Laterality, View
from terminology.identifiers import sctid_problem
from terminology.tables import Row

# A word at or below this confidence gives way to any other body part of the same value.
WEAK: Final = 0.6
# Two vertebrae name their part of the spine: L4-S1.
LEVEL_CONFIDENCE: Final = 0.9


class Kind(StrEnum):
    """What a phrase of the vocabulary is."""

    SITE = "site"
    NO_SITE = "no-site"  # looked at and refused: OTHER, XXX, PARTIALBODY
    LATERALITY = "laterality"
    VIEW = "view"
    TECHNIQUE = "technique"  # value: the modality, where the word names an examination (RG: X-ray)
    NOISE = "noise"  # value: "and" or "article" where the word is one
    CONTEXT = "context"  # what follows was not examined: history of, rule out
    REASON = "reason"  # parts behind it were examined only if no other part is named: bei, after
    COMPLAINT = "complaint"  # the part beside it was examined only if no other part is named
    NEGATION = "negation"  # the next part does not hold
    TITLE = "title"  # the next word is a name; value ".": where a full stop follows
    RANGE = "range"  # from one part to another
    AFFIX = "affix"  # may be written together with a body part
    SITE_AFFIX = "site-affix"  # a short body-part word that may be written together with others
    PAIRED_AFFIX = "paired-affix"  # a body-part word that a single letter of a side is joined to
    TRUNCATED = "truncated"  # a word that values are often cut in
    ORDINAL = "ordinal"  # value: the number of a finger, a toe or the like
    LEVEL = "level"  # a letter of vertebrae, as in "L4-S1"; value: code, number of vertebrae, rank
    STANDS_FOR = "stands-for"  # token: the code of a joint; value: that of the region named so too
    UNPAIRED = "unpaired"  # token: the code of a structure that has no left and right twin


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the vocabulary, as the reader meets it.

    `code` and `confidence` are set for sites, `view` and `when` for views, `value` for the
    others. `options` are the views that the phrase is of some parts only; `parts` of such a view
    are the codes of these, and none for any part of a language of the view. `homonyms` are what
    the same word is in other languages: "sin" is left in Italian and without in Spanish.
    """

    kind: Kind
    phrase: str
    ref: str
    languages: frozenset[str] = frozenset()
    code: str = ""
    display: str = ""
    confidence: float = 0.0
    laterality: Laterality | None = None
    view: View | None = None
    when: str = ""
    value: str = ""
    parts: frozenset[str] = frozenset()
    options: tuple[Entry, ...] = ()
    homonyms: tuple[Entry, ...] = ()

    @property
    def weak(self) -> bool:
        """Whether the word names a body part only when nothing else in the value does."""
        return self.confidence <= WEAK


@dataclass(frozen=True, slots=True)
class Level:
    """The vertebrae that a letter stands for: their part of the spine, how many, in which order."""

    entry: Entry
    highest: int
    rank: int

    @classmethod
    def of(cls, row: Row) -> Level | None:
        """Return the level of a row with the value ``SCTID:vertebrae:rank``."""
        code, _, numbers = row["value"].partition(":")
        highest, _, rank = numbers.partition(":")
        if sctid_problem(code) or not highest.isdecimal() or not rank.isdecimal():
            return None
        entry = Entry(
            Kind.SITE, row["token"], row.ref, frozenset({"und"}), code, confidence=LEVEL_CONFIDENCE
        )
        return cls(entry, int(highest), int(rank))


@dataclass(frozen=True, slots=True)
class Region:
    """A concept that stands for several parts imaged together."""

    code: str
    display: str
    ref: str
