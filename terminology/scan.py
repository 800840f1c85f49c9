"""`Inventory`: the header values of an archive, counted. How files are opened is the caller's.

Of each header the values of some attributes are taken, never the patient's. A description may
hold such data all the same: words that also stand in the identifying attributes of the same file,
and long numbers, are written as ``#`` before anything is kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword

from terminology.attributes import (
    ANATOMY,
    MODALITY,
    PROCEDURE_CODES,
    REQUEST,
    SIDES,
    SITE_ATTRIBUTES,
    VIEW_CODES,
    VIEW_POSITION,
)
from terminology.elements import BROKEN, Elements, tag_of
from terminology.entries import Kind
from terminology.folding import fold, spell_out
from terminology.words import HeaderWords

CODED: Final = (*ANATOMY, *PROCEDURE_CODES, VIEW_CODES)
_IN_REQUEST: Final = ("ScheduledProcedureStepDescription", "RequestedProcedureDescription")
# What may name a site, the most trusted first, and what names a side, a projection, a modality.
ATTRIBUTES: Final = (*SITE_ATTRIBUTES, *SIDES, VIEW_POSITION, VIEW_CODES, MODALITY)

# PS3.15 Annex E: who a description might name. Read to be left out, never kept.
_NAMES: Final = (
    "PatientName",
    "OtherPatientNames",
    "PatientBirthName",
    "PatientMotherBirthName",
    "ResponsiblePerson",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "RequestingPhysician",
    "NameOfPhysiciansReadingStudy",
    "PhysiciansOfRecord",
    "OperatorsName",
)
_NUMBERS: Final = (
    "PatientID",
    "OtherPatientIDs",
    "PatientBirthDate",
    "AccessionNumber",
    "AdmissionID",
    "StudyID",
)
IDENTIFYING: Final = (*_NAMES, *_NUMBERS)
MASK: Final = "#"
_WORD = re.compile(r"[^\W_]+")
# Accession numbers and dates have six digits and more; protocol names have fewer in a row.
_LONG_NUMBER = re.compile(r"\d{6,}")
# 12.03.1958, 1958-03-12: a birth date is written so in a description.
_DATE = re.compile(
    r"(?<![\w.])(?:\d{1,2}([./-])\d{1,2}\1(?:\d{4}|\d{2})|\d{4}([./-])\d{1,2}\2\d{1,2})(?!\w)"
)
# Kinds of words that an answer does not rest on: as names, they may go.
_SAYING_NOTHING: Final = frozenset(
    {Kind.NOISE, Kind.COMPLAINT, Kind.REASON, Kind.CONTEXT, Kind.TITLE, Kind.TECHNIQUE}
)
_SHORTEST_NAME: Final = 2
_SHORTEST_NUMBER: Final = 3
# Names that are run together with others, or have an ending: MeierEva, Meiers.
_SHORTEST_INSIDE: Final = 3
_ENDINGS: Final = ("", "s")

# The values of one header: attribute and value, in the order of the attributes.
Combination = tuple[tuple[str, str], ...]


def names_sites(keyword: str) -> bool:
    """Return whether values of the attribute may name a site; a column of a CSV always may."""
    # pydicom has a tag for no keyword at all.
    return keyword in SITE_ATTRIBUTES or not keyword or tag_for_keyword(keyword) is None


@dataclass(frozen=True, slots=True)
class HeaderValues:
    """Takes the values out of a header; `known` words of the vocabulary are never masked."""

    known: frozenset[str]

    @classmethod
    def of(cls, words: HeaderWords) -> HeaderValues:
        """Return one that knows the words of this vocabulary."""
        # Words that say something alone: many a surname is one of a phrase, or of an apparatus.
        known = {key[0] for key in words.sites if len(key) == 1}
        known |= {
            key[0]
            for key, entry in words.others.items()
            if len(key) == 1 and entry.kind not in _SAYING_NOTHING
        }
        known.update(words.joined, words.affixes, words.truncated, words.accented)
        return cls(frozenset(known))

    def take(self, dataset: Dataset) -> Combination:
        """Return the values of a header, masked; empty ones are left out."""
        elements = Elements(dataset)
        found = [(keyword, value) for keyword in ATTRIBUTES for value in _values(elements, keyword)]
        if not found:
            return ()
        hidden = self._hidden(dataset, elements)
        return tuple(
            dict.fromkeys(
                (keyword, self._shown(keyword, value, hidden)) for keyword, value in found
            )
        )

    def _shown(self, keyword: str, value: str, hidden: frozenset[str]) -> str:
        return value if keyword == MODALITY else _masked(keyword, value, hidden, self.known)

    def _hidden(self, dataset: Dataset, elements: Elements) -> frozenset[str]:
        """Return the folded words of the attributes that say who somebody is."""
        hidden: set[str] = set()
        for keywords, shortest in ((_NAMES, _SHORTEST_NAME), (_NUMBERS, _SHORTEST_NUMBER)):
            for keyword in keywords:
                text = _identity(dataset, elements, keyword)
                words = [word for spelt in _spellings(text) for word in _WORD.findall(spelt)]
                if keywords is _NUMBERS:
                    # AB-12345 may stand there as AB12345.
                    words.append("".join(_WORD.findall(fold(text))))
                hidden.update(word for word in words if len(word) >= shortest)
        return frozenset(hidden - self.known)


def _spellings(text: str) -> set[str]:
    """Return `text` folded, and with its umlauts as two letters: Müller, Mueller."""
    return {fold(text), spell_out(text)}


def _identity(dataset: Dataset, elements: Elements, keyword: str) -> str:
    """Return the text of an identifying attribute, also where pydicom made a name of it."""
    found = elements.text(keyword)
    tag = tag_of(keyword)
    if found or tag not in dataset.keys():  # noqa: SIM118 (`in dataset` makes a tag of it again)
        return found
    try:
        return str(dataset[tag].value or "")
    except BROKEN:
        return ""


def _values(elements: Elements, keyword: str) -> Iterator[str]:
    if keyword == REQUEST:
        for item in elements.items(keyword):
            for inner in _IN_REQUEST:
                yield from _clean(item.text(inner))
    elif keyword in CODED:
        for item in elements.items(keyword):
            code = item.text("CodeValue") or item.text("LongCodeValue")
            parts = (code, item.text("CodeMeaning"), item.text("CodingSchemeDesignator"))
            if any(parts[:2]):
                yield from _clean("^".join(part.replace("^", " ") for part in parts))
    else:
        yield from _clean(elements.text(keyword))


def _clean(value: str) -> Iterator[str]:
    """Yield `value` on one line and without control characters, when anything is left."""
    value = on_one_line(value)
    if value:
        yield value


def on_one_line(value: str) -> str:
    """Return `value` on one line and without control characters."""
    if not value.isprintable():
        value = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in value)
    return " ".join(value.split())


def _masked(keyword: str, value: str, hidden: frozenset[str], known: frozenset[str]) -> str:
    def shown(found: re.Match[str]) -> str:
        word = found[0]
        return MASK if any(_names(one, hidden, known) for one in _spellings(word)) else word

    if hidden:
        value = _WORD.sub(shown, value)
    if keyword in CODED:
        # The code itself is no number of anybody.
        code, mark, rest = value.partition("^")
        return code + mark + _without_numbers(rest)
    return _without_numbers(value)


def _without_numbers(value: str) -> str:
    return _LONG_NUMBER.sub(MASK, _DATE.sub(MASK, value))


def _names(word: str, hidden: frozenset[str], known: frozenset[str]) -> bool:
    """Return whether a folded word is a hidden one, or made of hidden ones and an ending."""
    if word in hidden:
        return True
    if word in known:
        return False
    return any(
        len(one) >= _SHORTEST_INSIDE
        and word.startswith(one)
        and (word[len(one) :] in _ENDINGS or _names(word[len(one) :], hidden, known))
        for one in hidden
    )


@dataclass(slots=True)
class Count:
    """How often a value was met: in rows (files, or rows of a CSV) and in images."""

    rows: int = 0
    images: int = 0
    modalities: Counter[str] = field(default_factory=Counter)

    @property
    def modality(self) -> str | None:
        """The modality of all images with the value, or `None` when there are several."""
        return next(iter(self.modalities)) if len(self.modalities) == 1 else None


class Inventory:
    """Counts of values and of the combinations in which they stand together.

    Parameters
    ----------
    most_values, most_combinations
        Bounds on memory. What is beyond them is counted in `values_left_out` (images of values
        that are not listed) and `combinations_left_out` (images of which it is not known any
        more which values stood together).
    """

    def __init__(self, most_values: int = 1_000_000, most_combinations: int = 200_000) -> None:
        self.values: dict[tuple[str, str], Count] = {}
        self.combinations: dict[Combination, Count] = {}
        self.rows = 0
        self.images = 0
        self.values_left_out = 0
        self.combinations_left_out = 0
        self._most_values = most_values
        self._most_combinations = most_combinations

    def add(self, combination: Combination, rows: int = 1, images: int = 1) -> None:
        """Count `rows` headers with these values, of so many images."""
        self.rows += rows
        self.images += images
        modality = next((value for keyword, value in combination if keyword == MODALITY), "")
        for pair in combination:
            count = self.values.get(pair)
            if count is None:
                if len(self.values) >= self._most_values:
                    self.values_left_out += images
                    continue
                count = self.values[pair] = Count()
            count.rows += rows
            count.images += images
            count.modalities[modality] += images
        together = self.combinations.get(combination)
        if together is None:
            if len(self.combinations) >= self._most_combinations:
                self.combinations_left_out += images
                return
            together = self.combinations[combination] = Count()
        together.rows += rows
        together.images += images

    def add_all(self, counts: Mapping[Combination, int]) -> None:
        """Count headers of one image each."""
        for combination, number in counts.items():
            self.add(combination, number, number)

    def as_dict(self) -> dict[str, object]:
        """Return the whole inventory, ready for JSON: each value once, named by its place."""
        places = {pair: place for place, pair in enumerate(self.values)}
        return {
            "rows": self.rows,
            "images": self.images,
            "values_left_out": self.values_left_out,
            "combinations_left_out": self.combinations_left_out,
            "values": [
                [*pair, one.rows, one.images, dict(one.modalities)]
                for pair, one in self.values.items()
            ],
            "combinations": [
                [[places[pair] for pair in combination], one.rows, one.images]
                for combination, one in self.combinations.items()
                if all(pair in places for pair in combination)
            ],
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, object]) -> Inventory:
        """Return the inventory that `as_dict` described.

        Raises
        ------
        ValueError, KeyError, TypeError, IndexError
            It is none.
        """
        inventory = cls()
        inventory.rows = _number(found["rows"])
        inventory.images = _number(found["images"])
        inventory.values_left_out = _number(found["values_left_out"])
        inventory.combinations_left_out = _number(found["combinations_left_out"])
        pairs: list[tuple[str, str]] = []
        for keyword, value, rows, images, modalities in _rows(found["values"]):
            pairs.append((str(keyword), str(value)))
            inventory.values[pairs[-1]] = Count(
                _number(rows), _number(images), Counter(dict(modalities))
            )
        for places, rows, images in _rows(found["combinations"]):
            combination = tuple(pairs[place] for place in places)
            inventory.combinations[combination] = Count(_number(rows), _number(images))
        return inventory


def _number(found: object) -> int:
    if not isinstance(found, int):
        raise TypeError(type(found).__name__)
    return found


def _rows(found: object) -> list[list[Any]]:
    if not isinstance(found, list):
        raise TypeError(type(found).__name__)
    return found
