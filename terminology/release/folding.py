"""Letters made alike for searching: case, accents and spellings, by the rules of each language.

A term is folded by its own language. "Ångström" is found by "angstrom" where it is English, and not
where it is Swedish, because å is a letter of the Swedish alphabet and no a with an accent. A query
is folded by the rules of every language that the release has, and each folding is compared with
the terms of its own languages only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final

# Letters that stand for themselves in the alphabet of a language; every other one is folded. Where
# people commonly type without the marks (Czech, Polish, Hungarian …) nothing is kept apart.
_OWN_LETTERS: Final[Mapping[str, str]] = {
    "da": "æøå",
    "es": "ñ",
    "et": "äöüõ",
    "fi": "åäö",
    "fo": "æøð",
    "is": "æöðþ",
    "nb": "æøå",
    "nn": "æøå",
    "no": "æøå",
    "sv": "åäö",
}
# Spellings in two letters that a language writes as well; both find the term.
_SPELT_OUT: Final[Mapping[str, Mapping[str, str]]] = {
    "de": {"ä": "ae", "ö": "oe", "ü": "ue"},
}
# Letters of which Unicode does not say what they are made of.
_PLAIN: Final[Mapping[str, str]] = {
    "æ": "ae",
    "œ": "oe",
    "ø": "o",
    "å": "a",
    "ł": "l",
    "đ": "d",
    "ð": "d",
    "þ": "th",
    "ħ": "h",
    "ı": "i",
    "ŋ": "n",
    "ŧ": "t",
}
# Scripts written without spaces between words: Thai, Lao, Burmese, Khmer, kana, Han.
_UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
    "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_WORD: Final = re.compile(f"[{_UNSPACED}]+|[^ {_UNSPACED}]+")
_IS_UNSPACED: Final = re.compile(f"[{_UNSPACED}]")
# So many characters of a script without spaces are one indexed word.
_PIECE: Final = 4


class Folding:
    """The rules of one language; languages with the same rules share one object.

    Use `folding_of`; `name` tells two foldings apart. `spelt_out` has the letters that the language
    writes as two as well.
    """

    def __init__(self, own: str, spelt_out: Mapping[str, str]) -> None:
        self.spelt_out = spelt_out
        self.name = f"{own}/{''.join(spelt_out)}"
        self._plain = _Table(own, {})
        self._spelt_out = _Table(own, spelt_out) if spelt_out else None

    def words(self, text: str) -> list[tuple[str, ...]]:
        """Return the words of a text in their order, each with every spelling that finds it.

        The first spelling is the folded one. What is no letter, digit or mark parts words; a run
        in a script without spaces is one word.
        """
        composed = unicodedata.normalize("NFC", text)
        plain = _WORD.findall(composed.translate(self._plain))
        if self._spelt_out is None:
            return [(word,) for word in plain]
        other = _WORD.findall(composed.translate(self._spelt_out))
        return [
            (word,) if word == spelt else (word, spelt)
            for word, spelt in zip(plain, other, strict=True)
        ]


def filed(words: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the words under which a term of these `words` is filed, some of them twice.

    A run in a script without spaces is filed under the pieces that begin at each of its characters.
    """
    found: list[str] = []
    for spellings in words:
        for word in spellings:
            if _IS_UNSPACED.match(word):
                found.extend(word[at : at + _PIECE] for at in range(len(word)))
            else:
                found.append(word)
    return found


def sought(words: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the beginnings of filed words that a text of these `words` asks for, with spellings.

    A long run in a script without spaces is sought by its overlapping pieces.
    """
    found: list[tuple[str, ...]] = []
    for spellings in words:
        word = spellings[0]
        if len(word) > _PIECE and _IS_UNSPACED.match(word):
            found.extend((word[at : at + _PIECE],) for at in range(len(word) - _PIECE + 1))
        else:
            found.append(spellings)
    return found


class _Table(dict[int, str]):
    """Code point → what it becomes, for `str.translate`; filled as letters are met."""

    def __init__(self, own: str, spelt_out: Mapping[str, str]) -> None:
        super().__init__()
        self._own = frozenset(own)
        self._spelt_out = spelt_out

    def __missing__(self, point: int) -> str:
        folded = self[point] = "".join(
            self._folded(char) for char in unicodedata.normalize("NFC", chr(point).casefold())
        )
        return folded

    def _folded(self, char: str) -> str:
        if char in self._own:
            return char
        if char in self._spelt_out:
            return self._spelt_out[char]
        parts = (one for one in unicodedata.normalize("NFKD", char) if not _is_accent(one))
        kept = "".join(_PLAIN.get(one, one) for one in parts).casefold()
        return "".join(
            one if unicodedata.category(one)[0] in "LNM" else " "
            for one in unicodedata.normalize("NFC", kept)
        )


def _is_accent(char: str) -> bool:
    """Whether a mark is left out: accents of alphabets, points of Hebrew and Arabic.

    The marks of other scripts are vowels or change the consonant, and stay.
    """
    return (
        "\u0300" <= char <= "\u036f"
        or "\u0591" <= char <= "\u05c7"
        or "\u064b" <= char <= "\u065f"
        or char in "\u0640\u0670\u00ad\u200b\u200c\u200d"
    )


def folding_of(language: str) -> Folding:
    """Return the folding of a language code such as "sv" or "en"; case and region do not matter."""
    code = language.partition("-")[0].lower()
    return _folding(_OWN_LETTERS.get(code, ""), code if code in _SPELT_OUT else "")


@cache
def _folding(own: str, spelt_out: str) -> Folding:
    return Folding(own, _SPELT_OUT.get(spelt_out, {}))
