r"""Values of search parameters: escapes, alternatives, tokens, numbers, words to search for.

``\`` stands before a comma, a bar, a dollar or a backslash that is meant (FHIR R4, 3.1.1.4.4).
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple

from api.errors import SearchError
from api.indexing.words import words_of

_NUMBER: Final = re.compile(
    r"(eq|ne|ge|gt|le|lt|sa|eb|ap)?([+-]?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,2})?)", re.ASCII
)
_PIECE: Final = re.compile(r'"([^"]*)(?:"|$)|(\S+)')
_URI_COMMA: Final = re.compile(r",(?=(?:https?|urn):|ValueSet/)")
_MAX_ALTERNATIVES: Final = 1000
_MAX_COMPARED: Final = 100
_MAX_WORDS: Final = 50
_MAX_LENGTH: Final = 100_000

Phrase = tuple[tuple[str, ...], bool]


class Quantity(NamedTuple):
    """A number with its prefix and the interval that its digits stand for."""

    comparison: str
    low: float
    value: float
    high: float


def split(value: str, separator: str) -> list[str]:
    r"""Split at `separator` where no ``\`` stands before it."""
    parts = [""]
    escaped = False
    for char in value:
        if char == separator and not escaped:
            parts.append("")
            continue
        parts[-1] += char
        escaped = char == "\\" and not escaped
    return parts


def plain(value: str) -> str:
    r"""Return `value` without the ``\`` of its escapes."""
    return re.sub(r"\\([,|$\\])", r"\1", value)


def check_text(name: str, value: str) -> None:
    """Refuse a value that no database and no resource can hold."""
    if len(value) > _MAX_LENGTH:
        raise _too_much(name, f"it has {len(value)} characters", _MAX_LENGTH)
    if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value):
        raise SearchError(
            name, "a character of its value is none of Unicode's", "UTF-8, percent-encoded",
            "Correct the value.",
        )  # fmt: skip


def alternatives(name: str, value: str, *, compared: bool = False) -> list[str]:
    """Return what a comma sets apart, escapes left in place; empty ones are left out.

    Parameters
    ----------
    compared
        Whether each has to be compared for itself, so that fewer of them are allowed.
    """
    found = [one for one in split(value, ",") if one.strip()]
    if not found:
        raise bad_value(name, value, "a value")
    return _allowed(name, found, _MAX_COMPARED if compared else _MAX_ALTERNATIVES)


def canonicals(name: str, value: str) -> list[str]:
    """Return the value sets of ``:in``; a comma sets apart only where an address follows it."""
    found = [one.replace("\\,", ",").strip() for one in _URI_COMMA.split(value)]
    if not all(found):
        raise bad_value(name, value, "the address of a value set")
    return _allowed(name, found, _MAX_COMPARED)


def _allowed(name: str, found: list[str], most: int) -> list[str]:
    if len(found) > most:
        raise _too_much(name, f"it has {len(found)} alternatives", most)
    return found


def _too_much(name: str, what: str, most: int) -> SearchError:
    return SearchError(name, what, f"at most {most}", "Search several times.", issue="too-costly")


def token(name: str, value: str) -> tuple[str | None, str | None]:
    """Return system and code of a token; `None` where any will do, "" for no system."""
    parts = [plain(part).strip() for part in split(value, "|")]
    if len(parts) == 1 and parts[0]:
        return None, parts[0]
    if len(parts) == 2 and any(parts):
        return parts[0], parts[1] or None
    raise bad_value(name, value, "code, system|code, |code or system|")


def quantity(name: str, value: str) -> Quantity:
    """Return a number with the half of its last digit on either side (FHIR R4, 3.1.1.4.6)."""
    match = _NUMBER.fullmatch(value)
    if match is None:
        raise bad_value(name, value, "a number, such as 95.2 or ge95")
    try:
        number = Decimal(match[2])
    except InvalidOperation:
        raise bad_value(name, value, "a number") from None
    comparison = match[1] or "eq"
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)  # noqa: S101
    half = Decimal(1).scaleb(exponent) / 2
    if comparison == "ap":
        # FHIR R4, 3.1.1.4.6: ten percent of the value is recommended.
        half = max(half, abs(number) / 10)
    return Quantity(comparison, float(number - half), float(number), float(number + half))


def phrases(name: str, value: str) -> tuple[tuple[Phrase, ...], ...]:
    """Return the alternatives of a search of full text, each all phrases that must be there.

    Words are set apart by blanks; ``knie*`` is any word that begins so, ``"rechtes knie"`` words in
    that order; OR, or a comma, parts alternatives.
    """
    found: list[tuple[Phrase, ...]] = []
    for alternative in split(value, ","):
        current: list[Phrase] = []
        for quoted, bare in _PIECE.findall(plain(alternative)):
            if bare == "OR" and current:
                found.append(tuple(current))
                current = []
            elif bare in {"NOT", "NEAR"}:
                raise SearchError(
                    name,
                    f"the operator '{bare}' is not supported",
                    'words, beginnings of words (knie*), "phrases" and OR',
                    "Write it in small letters to search for the word.",
                    issue="not-supported",
                )
            elif bare != "AND":
                words = tuple(words_of(quoted or bare))
                open_ = bool(bare) and bare.endswith("*")
                if words:
                    current.append((words, open_))
        if current:
            found.append(tuple(current))
    if not found:
        raise bad_value(name, value, "words of letters or digits")
    count = sum(len(words) for one in found for words, _ in one)
    if count > _MAX_WORDS:
        raise _too_much(name, f"it has {count} words", _MAX_WORDS)
    return tuple(found)


def whole(name: str, value: str) -> int:
    """Return a count or a cursor."""
    if not re.fullmatch(r"[0-9]{1,19}", value, re.ASCII):
        raise bad_value(name, value, "a whole number, 0 or more")
    return int(value)


def bad_value(name: str, value: str, expected: str) -> SearchError:
    """Return the error of a value that a parameter cannot have."""
    shown = value if len(value) <= 200 else f"{value[:200]}…"
    return SearchError(name, f"'{shown}' is no value for it", expected, "Correct the value.")
