"""Coded regions of a header: what the items of a sequence of anatomy codes say.

The code decides. Its meaning, read as free words, decides where the code is not known here, where
it is of a part that has no concept of its own, and where a code that is not sure (a computed row,
a private designator) contradicts it. Which codes are known is the business of
`terminology.sources.dicom`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from pydicom.datadict import tag_for_keyword

from terminology.annotation import Evidence, HeaderStatement, Method, Site, TextReading
from terminology.concept import Laterality, View
from terminology.elements import Elements, tag_text
from terminology.settings import HeaderSettings
from terminology.sides import common_side
from terminology.sources.dicom import AnatomyCodes, Assurance, CodedConcept, CodedEntry
from terminology.text import TextReader

if TYPE_CHECKING:
    from terminology.graph import BodyStructureGraph


class CodedRegions:
    """Reads items of coded anatomy; safe to share between threads.

    Parameters
    ----------
    codes
        Finds the concept of a code.
    text
        Reads the meanings of codes.
    graph
        The body structures.
    settings
        What words lose against codes.
    """

    def __init__(
        self,
        codes: AnatomyCodes,
        text: TextReader,
        graph: BodyStructureGraph,
        settings: HeaderSettings,
    ) -> None:
        self._codes = codes
        self._text = text
        self._graph = graph
        self._settings = settings
        self._read = lru_cache(maxsize=4096)(self._statement)

    def read(self, keyword: str, elements: Elements) -> Iterable[HeaderStatement]:
        """Yield what each item of the sequence `keyword` says, with the sides of its modifiers."""
        modifiers = f"{keyword.removesuffix('Sequence')}ModifierSequence"
        modified = tag_for_keyword(modifiers) is not None
        for item in elements.items(keyword):
            # PS3.3, 8.8: equivalent codes say the same in other schemes.
            entries = (entry_of(item), *map(entry_of, item.items("EquivalentCodeSequence", 4)))
            if entries[0].value or entries[0].meaning:
                items = item.items(modifiers) if modified else []
                side = common_side(self._side(entry_of(modifier)) for modifier in items)
                yield self._read(keyword, entries, side)

    def _side(self, entry: CodedEntry) -> Laterality | None:
        side = self._codes.side(entry)
        if side is None and entry.meaning:
            reading = self._text.read(entry.meaning)
            side = None if reading.sites else reading.laterality
        return side

    def _statement(
        self, keyword: str, entries: tuple[CodedEntry, ...], side: Laterality | None
    ) -> HeaderStatement:
        entry = entries[0]
        meaning = self._text.read(entry.meaning, field=keyword)
        for one in entries:
            found = self._codes.find(one)
            if found is None:
                continue
            if not meaning.sites:
                if found.assurance is not Assurance.MEANING_AGREES:
                    return self._by_code(keyword, entry, found, side)
                continue
            related = self._related(found.code, meaning.sites)
            if related or found.assurance is Assurance.SURE:
                if not (found.broader and self._below(found.code, meaning.sites)):
                    side = side or self._stated(found.code, meaning.sites)
                    note = None if related else "its meaning is another part"
                    return self._by_code(keyword, entry, found, side, note)
                note = f"code '{one.value}' is of a part of {self._named(found.code)}"
            else:
                note = f"code '{one.value}' is {self._named(found.code)}, its meaning another part"
            side = side or found.laterality
            return self._by_meaning(keyword, entry, meaning, side, note, found.rows)
        read = "its meaning was read" if entry.meaning else "it has no meaning in words"
        note = f"code '{entry.value}' is not known; {read}"
        return self._by_meaning(keyword, entry, meaning, side, note)

    def _by_code(
        self,
        keyword: str,
        entry: CodedEntry,
        found: CodedConcept,
        side: Laterality | None,
        note: str | None = None,
    ) -> HeaderStatement:
        stated = found.laterality if found.code not in self._text.words.unpaired else None
        site = site_of(self._graph, found.code, side or stated, found.confidence)
        if side is not None and site.laterality is not side:
            note = f"the modifier says {side}, the code {site.laterality}"
        evidence = Evidence(keyword, (entry.value,), found.rows, note)
        return statement(
            keyword,
            entry.value,
            (site,),
            site.laterality,
            evidence=(evidence,),
            used=(entry.value,),
            method=Method.CODE,
        )

    def _by_meaning(
        self,
        keyword: str,
        entry: CodedEntry,
        reading: TextReading,
        side: Laterality | None,
        note: str,
        rows: tuple[str, ...] = (),
    ) -> HeaderStatement:
        factor = self._settings.meaning_factor
        sites = tuple(scaled(site, factor, side) for site in reading.sites)
        evidence = (Evidence(keyword, rows=rows, note=note), *sourced(reading.evidence, keyword))
        return statement(
            keyword,
            entry.value,
            sites,
            side or reading.laterality,
            evidence=evidence,
            used=reading.used,
            method=reading.method,
        )

    def _unsided(self, code: str) -> str:
        return self._graph.unsided(self._graph.current(code))[0]

    def _related(self, code: str, sites: Sequence[Site]) -> bool:
        """Return whether one of `sites` is the concept, within it, or around it."""
        one = self._unsided(code)
        return any(
            one == site.code
            or self._graph.subsumes(one, site.code)
            or self._graph.subsumes(site.code, one)
            for site in sites
        )

    def _below(self, code: str, sites: Sequence[Site]) -> bool:
        one = self._unsided(code)
        return all(one != site.code and self._graph.subsumes(one, site.code) for site in sites)

    def _stated(self, code: str, sites: Sequence[Site]) -> Laterality | None:
        """Return the side that the meaning gives to the concept itself: 72696002, "Right knee"."""
        one = self._unsided(code)
        return next((site.laterality for site in sites if site.code == one), None)

    def _named(self, code: str) -> str:
        return f"{code} |{self._graph.lookup(code).display}|"


def entry_of(item: Elements) -> CodedEntry:
    """Return the coded entry that an item of a code sequence is."""
    value = item.text("CodeValue") or item.text("LongCodeValue") or item.text("URNCodeValue")
    return CodedEntry(item.text("CodingSchemeDesignator"), value, item.text("CodeMeaning"))


def site_of(
    graph: BodyStructureGraph, code: str, side: Laterality | None, confidence: float | None
) -> Site:
    """Return the current, unsided concept of `code` with its side; a sided code has its own."""
    concept = graph.lookup(graph.current(code))
    if concept.unsided is not None:
        side = concept.laterality
        concept = graph.lookup(concept.unsided)
    return Site(concept.code, concept.display, side, confidence)


def statement(
    keyword: str,
    value: str,
    sites: tuple[Site, ...] = (),
    laterality: Laterality | None = None,
    view: View | None = None,
    ignored: tuple[str, ...] = (),
    evidence: tuple[Evidence, ...] = (),
    used: tuple[str, ...] = (),
    method: Method | None = None,
    views: tuple[View, ...] = (),
) -> HeaderStatement:
    """Return what the attribute `keyword` says."""
    return HeaderStatement(
        keyword,
        tag_text(keyword),
        value,
        sites,
        laterality,
        view,
        ignored,
        evidence,
        used,
        method,
        views,
    )


# These two are on the hot path: constructors, since `dataclasses.replace` costs four times as much.
def scaled(site: Site, factor: float, side: Laterality | None = None) -> Site:
    """Return `site` less sure by `factor`, on `side` where one is given."""
    confidence = None if site.confidence is None else round(site.confidence * factor, 3)
    return Site(site.code, site.display, side or site.laterality, confidence)


def sourced(evidence: Sequence[Evidence], keyword: str) -> tuple[Evidence, ...]:
    """Return `evidence` as that of the attribute `keyword`."""
    return tuple([Evidence(keyword, part.words, part.rows, part.note) for part in evidence])
