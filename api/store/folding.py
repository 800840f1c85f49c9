"""How text is compared: case and accents do not count (FHIR R4, 3.1.1.4.8)."""

from __future__ import annotations

import unicodedata
from typing import Final


class _WithoutMarks(dict[int, int | None]):
    """Code points → themselves, combining marks → nothing; filled as they are met."""

    def __missing__(self, point: int) -> int | None:
        found = None if unicodedata.combining(chr(point)) else point
        self[point] = found
        return found


_WITHOUT_MARKS: Final = _WithoutMarks()


class Folded(str):
    """Text that has been folded: it need not be once more."""

    __slots__ = ()


def folded(text: str) -> str:
    """Return `text` without case, accents and other combining marks, white space as one blank.

    >>> folded("Hüftgelenk  LINKS, Straße")
    'huftgelenk links, strasse'
    """
    if isinstance(text, Folded):
        return str(text)
    if text.isascii():
        return " ".join(text.lower().split())
    bare = unicodedata.normalize("NFKD", text.casefold()).translate(_WITHOUT_MARKS)
    return " ".join(bare.casefold().split())
