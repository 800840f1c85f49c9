"""Search terms against texts, as ECL 2.2 section 5.5 recommends.

Case never counts in a term. Accents count where the search term has them: "resume" finds "résumé",
"résumé" does not find "resume". A letter of a language's own alphabet, such as å in Swedish, is no
letter with an accent there, and what a language spells in two letters as well is found by these:
"oe" finds the "ö" of a German term (see `terminology.release.folding`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final

from terminology.ecl.syntax import SearchTerm, WildSearch, WordSearch
from terminology.release.folding import folding_of

Predicate = Callable[[str], bool]

_MARKS: Final = "\u0300-\u036f"
_LETTER_AND_MARKS: Final = re.compile(f"(.)([{_MARKS}]*)", re.DOTALL)
_WORD_START: Final = f"(?<![^\\W_])(?<![{_MARKS}])"
_FIELD_START: Final = r"(?<!\S)"
_WILD_PART: Final = re.compile(r"\\(.)|(\*)|(.)", re.DOTALL)
# Letters that Unicode does not take apart, as the Unicode Collation Algorithm compares them.
_TAKEN_APART: Final = {
    "ø": "o\u0338",
    "ł": "l\u0335",
    "đ": "d\u0335",
    "ħ": "h\u0335",
    "æ": "ae",
    "œ": "oe",
}


def matcher(
    terms: Iterable[SearchTerm], language: str = "", *, case_sensitive: bool = False
) -> Predicate:
    """Return the test whether a text, in a language, matches one of the search terms."""
    tests = [_matcher(term, language, case_sensitive) for term in terms]
    spread = _spreader(language, case_sensitive)

    def matches(text: str) -> bool:
        spread_out = spread(text)
        return any(test(spread_out) for test in tests)

    return matches


def literals(term: WildSearch) -> list[str]:
    """Return the texts before, between and behind the wildcards of a wild search."""
    found = [""]
    for escaped, star, plain in _WILD_PART.findall(term.pattern):
        if star:
            found.append("")
        else:
            found[-1] += escaped or plain
    return found


def glob(pieces: list[str], anything: str = ".*") -> str:
    """Return the pattern of texts that have `pieces`, patterns themselves, in this order.

    Between them stands anything; the first begins the text and the last ends it. A piece is taken
    where it comes first, and never again elsewhere, which would take ages in a long text.
    """
    if len(pieces) == 1:
        return pieces[0]
    between = "".join(f"(?>{anything}?{piece})" for piece in pieces[1:-1] if piece)
    return f"{pieces[0]}{between}{anything}{pieces[-1]}"


@lru_cache(maxsize=256)
def _matcher(term: SearchTerm, language: str, case_sensitive: bool) -> Predicate:
    spread = _spreader(language, case_sensitive)
    spelt_out = _spelt_out(language)

    def pattern(text: str) -> str:
        return _pattern(spread(text), spelt_out)

    if isinstance(term, WordSearch):
        words = [re.compile(_start(word) + pattern(word)) for word in term.words]
        return lambda text: all(word.search(text) for word in words)
    whole = re.compile(glob([pattern(one) for one in literals(term)]), re.DOTALL)
    return lambda text: whole.fullmatch(text) is not None


def _start(word: str) -> str:
    return _WORD_START if word[0].isalnum() else _FIELD_START


def _pattern(spread: str, spelt_out: Mapping[str, str]) -> str:
    """Return the pattern in which a letter without marks stands for any marks it may have.

    Two letters without marks that `spelt_out` has stand for the one they spell as well.
    """
    letters = _LETTER_AND_MARKS.findall(spread)
    found: list[str] = []
    place = 0
    while place < len(letters):
        one = spelt_out.get("".join(map("".join, letters[place : place + 2])))
        if one is None:
            found.append(_letter(*letters[place]))
            place += 1
        else:
            # The shorter comes first: `glob` takes what it meets first.
            both = "".join(_letter(*part) for part in letters[place : place + 2])
            found.append(f"(?:{one}(?![{_MARKS}])|{both})")
            place += 2
    return "".join(found)


def _letter(letter: str, marks: str) -> str:
    if marks or not letter.isalpha():
        return f"{re.escape(letter + marks)}(?![{_MARKS}])"
    return f"{re.escape(letter)}[{_MARKS}]*"


def _spelt_out(language: str) -> Mapping[str, str]:
    """Return two letters → the letter with its marks that a language spells so."""
    told = folding_of(language).spelt_out.items()
    return {spelt: unicodedata.normalize("NFD", letter) for letter, spelt in told}


@lru_cache(maxsize=64)
def _spreader(language: str, case_sensitive: bool) -> Callable[[str], str]:
    """Return the function that takes letters and their marks apart, but for a language's own."""
    known: dict[str, str] = {}

    def apart(char: str) -> str:
        if char not in known:
            plain = char.casefold()
            if char.isalpha() and folding_of(language).words(plain)[:1] == [(plain,)]:
                known[char] = char
            else:
                parts = unicodedata.normalize("NFD", char)
                known[char] = "".join(_TAKEN_APART.get(part, part) for part in parts)
        return known[char]

    def spread(text: str) -> str:
        if not case_sensitive:
            text = text.casefold()
        if text.isascii():
            return text
        return "".join(map(apart, unicodedata.normalize("NFC", text)))

    return spread
