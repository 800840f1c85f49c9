"""The kinds of cells in RF2 files, and why a text is none of its kind.

`terminology.rf2.cells` decides the same for whole columns at once; this module explains single
cells, in words.
"""

from __future__ import annotations

import datetime
import enum
import re
from typing import Final

from terminology.identifiers import verhoeff_ok


class Kind(enum.Enum):
    """What a column holds; the value is what a message says was expected."""

    CONCEPT = "the SCTID of a concept, such as 138875005 (6 to 18 digits, partition 00 or 10)"
    DESCRIPTION = "the SCTID of a description (6 to 18 digits, partition 01 or 11)"
    RELATIONSHIP = "the SCTID of a relationship (6 to 18 digits, partition 02 or 12)"
    COMPONENT = "the SCTID of a concept, description or relationship (6 to 18 digits)"
    TIME = "a date as YYYYMMDD"
    FLAG = "0 or 1"
    UUID = "a UUID of 32 hexadecimal digits, grouped 8-4-4-4-12"
    INTEGER = "an integer of at most 18 digits"
    GROUP = "an integer from 0 to 65535"
    LANGUAGE = "an ISO 639-1 code of two small letters"
    TEXT = "text without tab or carriage return"
    TERM = "text of at least one character, without tab or carriage return"
    VALUE = 'a number after #, a string in double quotes, "true" or "false"'


# Last but one and last but two digits, by the kind of component.
PARTITIONS: Final = {
    Kind.CONCEPT: ("00", "10"),
    Kind.DESCRIPTION: ("01", "11"),
    Kind.RELATIONSHIP: ("02", "12"),
    Kind.COMPONENT: ("00", "10", "01", "11", "02", "12"),
}
LARGEST_GROUP: Final = 0xFFFF

_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_DATE = re.compile(r"[0-9]{8}", re.ASCII)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2}", re.ASCII)
# RF2 specification, "Relationship Concrete Values"; the numbers as ECL writes them.
VALUE: Final = re.compile(r'#[+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?|"[^\t\r\n]*"|true|false', re.ASCII)


def reason(kind: Kind, text: str) -> str | None:
    """Return why `text` is no cell of `kind`, as the end of a sentence; `None` when it is one."""
    if kind in PARTITIONS:
        return _identifier_reason(text, PARTITIONS[kind])
    match kind:
        case Kind.TIME:
            return _time_reason(text)
        case Kind.FLAG:
            return None if text in {"0", "1"} else "is neither 0 nor 1"
        case Kind.UUID:
            return None if _UUID.fullmatch(text) else "is no UUID"
        case Kind.INTEGER:
            return None if _INTEGER.fullmatch(text) else "is no integer of at most 18 digits"
        case Kind.GROUP:
            fits = _DIGITS.fullmatch(text) and len(text) <= 18 and int(text) <= LARGEST_GROUP
            return None if fits else "is no relationship group"
        case Kind.LANGUAGE:
            return None if _LANGUAGE.fullmatch(text) else "is no language code"
        case Kind.VALUE:
            return None if VALUE.fullmatch(text) else "is no concrete value"
        case Kind.TERM if not text:
            return "is empty"
        case _:
            return "has a carriage return" if "\r" in text else None


def _identifier_reason(text: str, partitions: tuple[str, ...]) -> str | None:
    if not _DIGITS.fullmatch(text):
        return "has characters other than the digits 0 to 9" if text else "is empty"
    if not 6 <= len(text) <= 18:
        return f"has {len(text)} digits, not 6 to 18"
    if text[0] == "0":
        return "begins with 0"
    if not verhoeff_ok(text):
        return "fails the SNOMED CT check digit"
    if text[-3:-1] not in partitions:
        return f"has partition {text[-3:-1]}"
    return None


def _time_reason(text: str) -> str | None:
    if not _DATE.fullmatch(text):
        return "is not eight digits"
    try:
        datetime.date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return "is no day of the calendar"
    return None
