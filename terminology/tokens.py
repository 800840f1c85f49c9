"""Cutting a header string into tokens: runs of letters and runs of digits, as written and folded.

Letter case never decides where a token ends, so that "KnieLi" and "KNIELI" are read alike. What
stands between tokens (blanks, underscores, dashes, slashes, carets) is all the same; a comma, a
colon and their like are kept apart, because a history ends at them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from terminology.folding import fold, without_articles

# DICOM LT, the longest text of a header that people write by hand, has 10,240 characters.
LONGEST_VALUE: Final = 10240

_ASCII_TOKEN = re.compile(r"[a-z]+|[0-9]+")
# An accent that NFKC leaves behind its letter is part of the word.
_TOKEN = re.compile(r"[^\W\d_](?:[^\W\d_]|[\u0300-\u036f])*|\d+")
# What UTF-8 looks like when it was read as Latin-1: Ã¼ for ü.
_MOJIBAKE = re.compile(
    "[\u00c2-\u00c5][\u0080-\u00bf\u2013-\u2122\u0152\u0153\u0160\u0161\u0178\u0192\u02c6\u02dc]"
)
# Some programs do it twice.
_MOST_DECODINGS: Final = 2
# The same with the letters of old Macintoshes: √º for ü.
_MACINTOSH = re.compile("√[\u0080-\uffff]")
# U+FFFD in UTF-8, read as Latin-1.
_LOST_AS_LATIN: Final = "ï¿½"
# Soft hyphens, joiners, marks of writing direction and byte order marks: nobody sees them.
_INVISIBLE = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_BOUNDARY = re.compile(r"[,;:\n(]|\.\s|\s-\s")


class Tokens:
    """The tokens of one value.

    Attributes
    ----------
    text
        The value in NFKC, without invisible characters.
    folded
        The tokens without case and accents, in order.
    """

    __slots__ = ("_parted", "_source", "_spans", "_written", "folded", "text")

    def __init__(self, value: str) -> None:
        if value.isascii():
            self.text = source = value
            lowered = value.lower()
            if "'" in lowered:
                lowered = source = without_articles(lowered)
            self.folded = _ASCII_TOKEN.findall(lowered)
        else:
            self.text = repaired(value)
            source = without_articles(self.text)
            self.folded = [fold(token) for token in _TOKEN.findall(source)]
        self._source = source
        self._spans: list[tuple[int, int]] | None = None
        self._written: list[str] | None = None
        self._parted: frozenset[int] | None = None

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Where each token begins and ends in `text`."""
        if self._spans is None:
            self._spans = [match.span() for match in _TOKEN.finditer(self._source)]
        return self._spans

    @property
    def written(self) -> list[str]:
        """The tokens as they stand in the value."""
        if self._written is None:
            text = self.text
            self._written = [text[start:end] for start, end in self.spans]
        return self._written

    @property
    def parted(self) -> frozenset[int]:
        """The tokens before which a comma or its like stands."""
        if self._parted is None:
            self._parted = self._boundaries()
        return self._parted

    def _boundaries(self) -> frozenset[int]:
        if _BOUNDARY.search(self.text) is None:
            return frozenset()
        return frozenset(
            place
            for place in range(1, len(self.folded))
            if _BOUNDARY.search(self.gap(place)) is not None
        )

    def gap(self, place: int) -> str:
        """Return what stands between token `place - 1` and token `place`."""
        return self.text[self.spans[place - 1][1] : self.spans[place][0]]


def repaired(value: str) -> str:
    """Return `value` in NFKC, with UTF-8 that was read as Latin-1 read rightly.

    Invisible characters are left out, and what NFKC makes longer than `LONGEST_VALUE` is cut.
    """
    for _ in range(_MOST_DECODINGS):
        if not _MOJIBAKE.search(value):
            break
        value = _decoded(value) or _MOJIBAKE.sub(
            lambda pair: _decoded(pair.group()) or pair.group(), value
        )
    if _MACINTOSH.search(value):
        value = _MACINTOSH.sub(lambda pair: _decoded(pair.group(), "mac_roman") or "\ufffd", value)
    value = value.replace(_LOST_AS_LATIN, "\ufffd")
    return _INVISIBLE.sub("", unicodedata.normalize("NFKC", value))[:LONGEST_VALUE]


def _decoded(text: str, *encodings: str) -> str | None:
    """Return `text` as UTF-8 has it, `None` where it is not UTF-8 that was read as Latin-1."""
    for encoding in encodings or ("cp1252", "latin-1"):
        try:
            return text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    return None
