"""Whether what a user typed fits a name, where a code system has no search index of its own."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

_WORD: Final = re.compile(r"\w+")


def fold(text: str) -> str:
    """Return `text` without case and accents."""
    spread = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in spread if not unicodedata.combining(c))


def rank(text: str, code: str, names: Iterable[str]) -> tuple[int, int] | None:
    """Return how well `text` fits a concept, lower is better; `None` when it does not.

    It fits when each of its words begins a word of one name, or when it is the code or its
    beginning. The whole name comes first, then names that begin with the text, then shorter names.
    """
    wanted = fold(text).strip()
    if not wanted:
        return (0, 0)
    words = _WORD.findall(wanted)
    best: tuple[int, int] | None = None
    for name in (code, *names):
        folded = fold(name)
        if folded == wanted:
            return (0, len(folded))
        if folded.startswith(wanted):
            found = (1, len(folded))
        elif words and _all_begin(words, _WORD.findall(folded)):
            found = (2, len(folded))
        else:
            continue
        best = found if best is None else min(best, found)
    return best


def _all_begin(wanted: list[str], words: list[str]) -> bool:
    return all(any(word.startswith(w) for word in words) for w in wanted)
