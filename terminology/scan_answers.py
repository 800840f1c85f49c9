"""`ScanAnswer`: what one value of an inventory says, and the header that values make together."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import Dataset
from pydicom.config import IGNORE
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement

from terminology.annotation import Evidence, HeaderStatement, Method, Site
from terminology.attributes import (
    MODALITY,
    REQUEST,
)
from terminology.concept import Laterality, View
from terminology.entries import Entry, Kind
from terminology.instance import is_modality
from terminology.scan import (
    CODED,
    Combination,
)
from terminology.wholes import LOCAL_PREFIX

if TYPE_CHECKING:
    from terminology.library import Terminology


@dataclass(frozen=True, slots=True)
class ScanAnswer:
    """What one value of one attribute says.

    `siteless` marks a value without a site of which every word is known: "p.a. stehend".
    """

    sites: tuple[Site, ...] = ()
    laterality: Laterality | None = None
    view: View | None = None
    evidence: tuple[Evidence, ...] = ()
    method: Method | None = None
    modality: bool = False
    siteless: bool = False

    @property
    def rows(self) -> tuple[str, ...]:
        """The table rows that it rests on."""
        return tuple(dict.fromkeys(ref for one in self.evidence for ref in one.rows))


def answer_of(
    library: Terminology, keyword: str, value: str, modality: str | None = None
) -> ScanAnswer:
    """Return what `value` says as the value of one attribute, or as bare text.

    A code is written ``code^meaning^scheme``.
    """
    if keyword == MODALITY:
        return ScanAnswer(modality=is_modality(value))
    if keyword in CODED:
        reading = library.header.read(header_of(((keyword, value), (MODALITY, modality or ""))))
        found = [one for one in reading.statements if one.keyword == keyword]
        if not found:
            return ScanAnswer()
        return _of_statement(found[0])
    if tag_for_keyword(keyword) is None:
        text = library.text.read(value, modality=modality)
        return ScanAnswer(text.sites, text.laterality, text.view, text.evidence, text.method)
    return _of_statement(library.header.read_value(keyword, value, modality))


def _of_statement(statement: HeaderStatement) -> ScanAnswer:
    """Return the answer of a statement; what rests on a site's own row is a decision."""
    method = statement.method
    if any(ref.startswith(LOCAL_PREFIX) for one in statement.evidence for ref in one.rows):
        method = Method.DECISION
    return ScanAnswer(
        statement.sites, statement.laterality, statement.view, statement.evidence, method
    )


def siteless_words(library: Terminology) -> frozenset[str]:
    """Return the words that stand in phrases of no body part: views, sides, techniques, noise."""
    words = library.text.words
    none = {token for key in words.others for token in key}
    none |= {
        token for key, entry in words.sites.items() if entry.kind is Kind.NO_SITE for token in key
    }
    alone = (key[0] for key, entry in words.sites.items() if _names_alone(key, entry))
    return frozenset(none.difference(alone))


def _names_alone(key: tuple[str, ...], entry: Entry) -> bool:
    return len(key) == 1 and entry.kind is Kind.SITE and not entry.weak


def header_of(combination: Combination) -> Dataset:
    """Return a header with these values."""
    dataset = Dataset()
    items: dict[str, list[Dataset]] = defaultdict(list)
    for keyword, value in combination:
        if keyword in CODED:
            item = Dataset()
            names = ("CodeValue", "CodeMeaning", "CodingSchemeDesignator")
            # A column of a CSV may hold less than code^meaning^scheme.
            parts = [*value.split("^", 2), "", ""][: len(names)]
            for name, part in zip(names, parts, strict=True):
                _put(item, name, part)
            items[keyword].append(item)
        elif keyword == REQUEST:
            item = Dataset()
            _put(item, "RequestedProcedureDescription", value)
            items[keyword].append(item)
        elif tag_for_keyword(keyword) is not None and value:
            _put(dataset, keyword, value)
    for keyword, found in items.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None  # noqa: S101
        dataset[tag] = DataElement(tag, "SQ", found)
    return dataset


def _put(dataset: Dataset, keyword: str, value: str) -> None:
    tag = tag_for_keyword(keyword)
    assert tag is not None  # noqa: S101
    # Whatever an archive wrote goes in as it is; UT neither splits nor shortens it.
    dataset[tag] = DataElement(tag, "UT", value, validation_mode=IGNORE)
