"""Folding: what makes two spellings of a word the same word.

Case and accents do not count, nor does the way Unicode composes a letter.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

# Letters that NFKD leaves whole, and how they are written without their stroke or ligature.
_STROKES: Final = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "’": "'"}
)
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
# French and Italian articles that lose their vowel: l'épaule, dell'anca. No L for "left" is one.
_ELIDED = re.compile(r"(?<![^\W_])(?:l|d|(?:de|a|ne|da|su)ll)['’](?=[^\W\d_])", re.IGNORECASE)
_PIECE = re.compile(r"[^\W\d_]+|\d+")
# Above this code point marks are part of the letter (Japanese dakuten), not accents.
LAST_ACCENTED: Final = "\u0530"
# Only words are worth remembering folded; a text of thousands of letters is not met again.
_LONGEST_WORD: Final = 48


def fold(text: str) -> str:
    """Return `text` without case and accents: NFKC, case fold, marks of European letters off."""
    if text.isascii():
        return text.lower()
    return _fold_word(text) if len(text) <= _LONGEST_WORD else _fold(text)


def _fold(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold().translate(_STROKES)
    if folded.isascii():
        return folded
    kept: list[str] = []
    for char in unicodedata.normalize("NFD", folded):
        if unicodedata.combining(char) and kept and kept[-1] < LAST_ACCENTED:
            continue
        kept.append(char)
    return unicodedata.normalize("NFC", "".join(kept))


_fold_word = lru_cache(maxsize=65536)(_fold)


def spell_out(text: str) -> str:
    """Return `text` folded with umlauts spelt as two letters: Hüfte → huefte."""
    if text.isascii():
        return text.lower()
    composed = unicodedata.normalize("NFKC", text).casefold()
    return fold(composed.translate(_UMLAUTS))


def without_articles(text: str) -> str:
    """Return `text` of the same length with blanks for articles that lost their vowel: l'épaule."""
    if "'" not in text and "’" not in text:
        return text
    return _ELIDED.sub(lambda article: " " * len(article.group()), text)


def tokens_of(folded: str) -> tuple[str, ...]:
    """Return the runs of letters and the runs of digits of an already folded string."""
    return tuple(_PIECE.findall(folded))
