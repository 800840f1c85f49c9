"""Single elements of a DICOM dataset, read so that nothing in a header can raise.

Text is decoded here and not by pydicom: an unknown character set is then a flag of the header
instead of a warning of the process, and a broken element is one flag instead of a lost header.
No flag holds a value other than a character set or the name of an attribute.
"""

from __future__ import annotations

import math
import re
import struct
import threading
import warnings
from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import Final

from pydicom import Dataset
from pydicom.charset import decode_bytes, python_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

# What pydicom and the codecs raise on data that breaks the standard.
BROKEN: Final = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    RecursionError,
    AssertionError,
    EOFError,
    struct.error,
    BytesLengthException,
    InvalidDicomError,
)
# Header text that we read is short; longer values are cut before they are decoded.
LONGEST_BYTES: Final = 4096
_ESCAPE: Final = b"\x1b"
_DELIMITERS: Final = {0x0D, 0x0A, 0x09, 0x0C, 0x5C}
_REGISTERED = re.compile(r"ISO[ _-]?(2022)?[ _-]*IR[ _-]*(\d+)", re.IGNORECASE)
_TERM_LIKE = re.compile(r"(ISO|GB|UTF|IR|LATIN|ASCII|WINDOWS|CP)[A-Z0-9 _./-]{0,16}", re.IGNORECASE)
_DATE = re.compile(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})")
_UTF8 = re.compile(r"UTF[ _-]?8", re.IGNORECASE)
# PS3.5 6.2: value representations whose numbers are not written out.
_BINARY: Final = frozenset({"FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"})
_CHARSET: Final = BaseTag(0x00080005)

# pydicom reports bad data through process-wide warnings, which cannot be caught per thread.
_quiet = threading.Lock()


@lru_cache(maxsize=256)
def tag_of(keyword: str) -> BaseTag:
    """Return the tag of a DICOM keyword."""
    number = tag_for_keyword(keyword)
    if number is None:
        raise KeyError(keyword)
    return BaseTag(number)


@lru_cache(maxsize=256)
def tag_text(keyword: str) -> str:
    """Return the tag of a DICOM keyword as "(gggg,eeee)"."""
    tag = tag_of(keyword)
    return f"({tag.group:04X},{tag.element:04X})"


def date_of(value: str) -> date | None:
    """Return the day of a DA or DT value, of the old form with dots too; `None` when it is none."""
    found = _DATE.match(value)
    if found is None:
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return None


@lru_cache(maxsize=256)
def _codecs(value: bytes | str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the Python codecs of a SpecificCharacterSet value, and what is wrong with it."""
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    codecs: list[str] = []
    flags: list[str] = []
    for part in text.split("\\"):
        term = part.strip(" \0")
        known = term if term in python_encoding else _nearest_term(term)
        if known is None:
            flags.append(f"SpecificCharacterSet: {_named(term)} is no defined term; UTF-8 tried")
            codecs.append("utf-8")
            continue
        if known != term:
            flags.append(
                f"SpecificCharacterSet: {_named(term)} is no defined term; read as {known}"
            )
        codecs.append(python_encoding[known])
    return tuple(codecs), tuple(flags)


def _named(term: str) -> str:
    """Return `term` for a message, unless it is free text that may say anything."""
    return f"'{term}'" if _TERM_LIKE.fullmatch(term) else "its value"


def _nearest_term(term: str) -> str | None:
    if _UTF8.fullmatch(term):
        return "ISO_IR 192"
    found = _REGISTERED.fullmatch(term)
    if found is None:
        return None
    guess = f"ISO 2022 IR {found[2]}" if found[1] else f"ISO_IR {found[2]}"
    return guess if guess in python_encoding else None


class Elements:
    """The elements of one dataset; `flags` gathers what was wrong with those that were read.

    Parameters
    ----------
    dataset
        A dataset, or an item of a sequence.
    codecs
        The Python codecs that the item inherits from the dataset around it.
    flags
        The list to add to; an item shares that of its dataset.
    """

    def __init__(
        self,
        dataset: Dataset,
        codecs: tuple[str, ...] = (),
        flags: list[str] | None = None,
    ) -> None:
        self._dataset = dataset
        self._present = dataset.keys()
        self.flags: list[str] = [] if flags is None else flags
        self._codecs = self._own_codecs() or codecs

    def text(self, keyword: str) -> str:
        """Return the value as text, values of a multi-valued element joined by backslashes.

        Missing, empty and unreadable elements are all the empty string.
        """
        tag = tag_of(keyword)
        if tag not in self._present:
            return ""
        try:
            return self._text(keyword, tag)
        except BROKEN:
            self._flag(f"{keyword} cannot be read")
            return ""

    def number(self, keyword: str) -> float | None:
        """Return the first value of a numeric element; `None` where there is none."""
        tag = tag_of(keyword)
        if tag not in self._present:
            return None
        try:
            if dictionary_VR(tag) in _BINARY:
                with _quiet, warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    value = self._dataset[tag].value
                first = value[0] if isinstance(value, MultiValue | list | tuple) else value
                number = float(first)
            else:
                number = float(self._text(keyword, tag).partition("\\")[0])
        except BROKEN:
            return None
        return number if math.isfinite(number) else None

    def items(self, keyword: str, limit: int = 16) -> list[Elements]:
        """Return the first `limit` items of a sequence; none where it is missing or broken."""
        tag = tag_of(keyword)
        if tag not in self._present:
            return []
        try:
            with _quiet, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = self._dataset[tag].value
                found = list(value[:limit]) if value else []
        except BROKEN:
            self._flag(f"{keyword} cannot be read")
            return []
        if not all(isinstance(item, Dataset) for item in found):
            self._flag(f"{keyword} is no sequence")
            return []
        return [Elements(item, self._codecs, self.flags) for item in found]

    def _text(self, keyword: str, tag: BaseTag) -> str:
        # Raw where pydicom has not converted it yet; both kinds have a value.
        value: object = getattr(self._dataset.get_item(tag), "value", None)
        if value is None:
            return ""
        if isinstance(value, bytes):
            return self._decoded(keyword, value[:LONGEST_BYTES])
        if isinstance(value, MultiValue | list | tuple):
            return "\\".join(_plain(str(part)) for part in value[:16])
        if isinstance(value, Iterable) and not isinstance(value, str):
            self._flag(f"{keyword} is no text")
            return ""
        return _plain(str(value)[:LONGEST_BYTES])

    def _decoded(self, keyword: str, value: bytes) -> str:
        if value.isascii() and _ESCAPE not in value:
            return _plain(value.decode("ascii"))
        codecs = self._codecs or ("ascii",)
        try:
            if _ESCAPE in value:
                with _quiet, warnings.catch_warnings():
                    warnings.simplefilter("error")
                    return _plain(decode_bytes(value, list(codecs), _DELIMITERS))
            return _plain(value.decode(codecs[0] if self._codecs else "ascii"))
        except (UnicodeError, LookupError, UserWarning):
            self._flag(f"{keyword} has bytes outside the character set of the header")
        for codec in ("utf-8", *codecs[1:]):
            try:
                return _plain(value.decode(codec))
            except (UnicodeError, LookupError):
                continue
        return _plain(value.decode("latin-1"))

    def _own_codecs(self) -> tuple[str, ...]:
        if _CHARSET not in self._present:
            return ()
        try:
            element = self._dataset.get_item(_CHARSET)
            value = getattr(element, "value", None)
        except BROKEN:
            self._flag("SpecificCharacterSet cannot be read")
            return ()
        if isinstance(value, MultiValue | list | tuple):
            value = "\\".join(str(part) for part in value)
        if not isinstance(value, bytes | str) or not value.strip():
            return ()
        codecs, flags = _codecs(value)
        for flag in flags:
            self._flag(flag)
        return codecs

    def _flag(self, flag: str) -> None:
        if flag not in self.flags:
            self.flags.append(flag)


def _plain(text: str) -> str:
    return text.strip(" \0\t\r\n")
