"""What each DICOM attribute says by itself, in the order of trust. Nothing is weighed here.

Codes come first, then BodyPartExamined, then descriptions, unless the settings say otherwise.
`terminology.header` joins the statements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydicom.datadict import dictionary_VR

from terminology.annotation import Evidence, HeaderStatement, Method, Site
from terminology.attributes import (
    ANATOMY,
    BODY_PART,
    FRAME_ANATOMY,
    PROCEDURE_CODES,
    REQUEST,
    SIDES,
    VIEW_CODES,
    VIEW_POSITION,
)
from terminology.coded_regions import (
    CodedRegions,
    entry_of,
    scaled,
    site_of,
    sourced,
    statement,
)
from terminology.concept import Coding, Laterality, View
from terminology.crosswalk import DICOM_BODY_PART, Crosswalk
from terminology.elements import Elements, tag_of, tag_text
from terminology.entries import Kind
from terminology.errors import DicomError
from terminology.patient import is_animal
from terminology.settings import HeaderSettings
from terminology.sides import BREAST, BREAST_VIEWS, NO_PROJECTION
from terminology.sources.body_part import ANIMALS_ONLY, term_flags
from terminology.sources.dicom import AnatomyCodes
from terminology.tables import Row
from terminology.text import TextReader
from terminology.words import lookup_view

if TYPE_CHECKING:
    from terminology.graph import BodyStructureGraph

# A view of the breast names the breast as surely as a word of a description.
_VIEW_CONFIDENCE: Final = 0.95


_Reader = Callable[[Elements, str | None], Iterable[HeaderStatement]]


class StatementReader:
    """Reads the attributes of a header one by one; safe to share between threads.

    Parameters
    ----------
    text
        The reader of free words, with its vocabulary.
    crosswalk
        Translates the defined terms of (0018,0015) Body Part Examined.
    graph
        The body structures.
    folder
        Where the tables of SNOMED codes lie; by default the embedded ones.
    settings
        The order of trust among attributes, and what words lose against codes.

    Raises
    ------
    DicomError
        The order of trust names what is no DICOM keyword.
    """

    def __init__(
        self,
        text: TextReader,
        crosswalk: Crosswalk,
        graph: BodyStructureGraph,
        folder: Path | None = None,
        settings: HeaderSettings | None = None,
    ) -> None:
        self._settings = settings or HeaderSettings()
        self._text = text
        self._crosswalk = crosswalk
        self._graph = graph
        self._codes = AnatomyCodes(crosswalk, graph, folder)
        self._views_by_code, self._views_by_value = _views(text)
        self._breast_views = BREAST_VIEWS | {
            entry.view.code
            for entry in text.words.others.values()
            if entry.view is not None and entry.when == "mammography"
        }
        self._animal_terms = _animal_terms(crosswalk)
        self._regions = CodedRegions(self._codes, text, graph, self._settings)
        self._described = lru_cache(maxsize=16384)(self._description)
        self._body_part = lru_cache(maxsize=4096)(self._body_part_examined)
        self._readers = [self._reader(keyword) for keyword in dict.fromkeys(self._settings.trust)]

    def read(self, elements: Elements, modality: str | None) -> Iterable[HeaderStatement]:
        """Yield what the attributes of a header say, the most trusted first.

        An attribute that the order of trust leaves out is not read at all.
        """
        for read in self._readers:
            yield from read(elements, modality)
        for keyword in SIDES:
            if value := elements.text(keyword):
                side = Laterality.from_dicom(value)
                yield statement(keyword, value, laterality=side)
        yield from self._view_statements(elements, modality)

    def read_value(self, keyword: str, value: str, modality: str | None = None) -> HeaderStatement:
        """Return what `value` says as the value of one attribute, by its DICOM keyword.

        Raises
        ------
        DicomError
            `keyword` is no DICOM keyword.
        """
        _check_keyword(keyword, "field")
        if keyword == BODY_PART:
            return self._body_part(value, modality)
        if keyword in SIDES:
            return statement(keyword, value, laterality=Laterality.from_dicom(value))
        if keyword == VIEW_POSITION:
            return statement(keyword, value, view=self._view_position(value))
        return self._described(keyword, value, modality)

    def _reader(self, keyword: str) -> _Reader:
        """Return what reads `keyword` from a header: as codes, as a defined term, or as words."""
        _check_keyword(keyword, "trust")
        if keyword == FRAME_ANATOMY:
            return self._frame_anatomy
        if keyword == BODY_PART:
            return self._body_part_term
        if keyword == REQUEST:
            return self._request
        if keyword in PROCEDURE_CODES:
            return partial(self._meanings, keyword)
        if dictionary_VR(tag_of(keyword)) == "SQ":
            return partial(self._anatomy, keyword)
        return partial(self._words, keyword)

    def _words(
        self, keyword: str, elements: Elements, modality: str | None
    ) -> Iterable[HeaderStatement]:
        if value := elements.text(keyword):
            yield self._described(keyword, value, modality)

    def _meanings(
        self, keyword: str, elements: Elements, modality: str | None
    ) -> Iterable[HeaderStatement]:
        for item in elements.items(keyword):
            if meaning := item.text("CodeMeaning"):
                yield self._described(keyword, meaning, modality)

    def _body_part_term(
        self, elements: Elements, modality: str | None
    ) -> Iterable[HeaderStatement]:
        if value := elements.text(BODY_PART):
            animal = value.strip().casefold() in self._animal_terms and is_animal(elements)
            yield self._body_part(value, modality, animal)

    def _frame_anatomy(self, elements: Elements, modality: str | None) -> Iterable[HeaderStatement]:
        seen: set[HeaderStatement] = set()
        groups = [
            *elements.items("SharedFunctionalGroupsSequence", 1),
            *elements.items("PerFrameFunctionalGroupsSequence", 64),
        ]
        for group in groups:
            for frame in group.items(FRAME_ANATOMY, 1):
                side = Laterality.from_dicom(frame.text("FrameLaterality"))
                for keyword in ANATOMY:
                    for one in self._regions.read(keyword, frame):
                        found = replace(
                            one,
                            keyword=FRAME_ANATOMY,
                            tag=tag_text(FRAME_ANATOMY),
                            evidence=sourced(one.evidence, FRAME_ANATOMY),
                        )
                        if side is not None and found.laterality is None:
                            found = on_side(found, side, self._unpaired)
                        if found not in seen:
                            seen.add(found)
                            yield found

    def _anatomy(
        self, keyword: str, elements: Elements, modality: str | None
    ) -> Iterable[HeaderStatement]:
        return self._regions.read(keyword, elements)

    def _body_part_examined(
        self, value: str, modality: str | None, animal: bool = False
    ) -> HeaderStatement:
        keyword = BODY_PART
        term = value.strip()
        # The structure of an animal's term is not that of a person: a forefoot is part of a foot.
        human = term.casefold() in self._animal_terms and not animal
        if not human and self._text.decided(value, keyword, modality=modality) is None:
            translation = self._crosswalk.translate(Coding(DICOM_BODY_PART, term))
            for target in translation.targets[:1]:
                if target.code in self._graph:
                    site = site_of(self._graph, target.code, target.laterality, target.confidence)
                    evidence = Evidence(keyword, (value,), target.rows)
                    return statement(
                        keyword,
                        value,
                        (site,),
                        site.laterality,
                        evidence=(evidence,),
                        used=(term,),
                        method=Method.CODE,
                    )
        return self._in_words(keyword, value, modality)

    def _description(self, keyword: str, value: str, modality: str | None) -> HeaderStatement:
        return self._in_words(keyword, value, modality, self._settings.description_factor)

    def _in_words(
        self, keyword: str, value: str, modality: str | None, factor: float = 1.0
    ) -> HeaderStatement:
        reading = self._text.read(value, modality=modality, field=keyword)
        sites = reading.sites
        if factor != 1.0 and sites:
            sites = tuple(scaled(site, factor) for site in sites)
        return statement(
            keyword,
            value,
            sites,
            reading.laterality,
            reading.view,
            reading.ignored,
            sourced(reading.evidence, keyword),
            reading.used,
            reading.method,
            reading.views,
        )

    def _request(self, elements: Elements, modality: str | None) -> Iterable[HeaderStatement]:
        for item in elements.items(REQUEST):
            values = [
                item.text("ScheduledProcedureStepDescription"),
                item.text("RequestedProcedureDescription"),
            ]
            for inner in ("ScheduledProtocolCodeSequence", "RequestedProcedureCodeSequence"):
                values.extend(code.text("CodeMeaning") for code in item.items(inner))
            for value in dict.fromkeys(filter(None, values)):
                yield self._described(REQUEST, value, modality)

    def _view_statements(
        self, elements: Elements, modality: str | None
    ) -> Iterable[HeaderStatement]:
        for item in elements.items(VIEW_CODES, 1):
            code = entry_of(item)
            row = self._codes.snomed_rt(code.value)
            view = self._views_by_code.get(row["code"] if row is not None else code.value)
            if view is None and code.meaning:
                entry = lookup_view(self._text.words, code.meaning)
                view = entry.view if entry is not None else None
            yield self._projection(
                VIEW_CODES, code.value or code.meaning, view, modality, _rests(row)
            )
        if (value := elements.text(VIEW_POSITION)) and modality not in NO_PROJECTION:
            view = self._view_position(value)
            yield self._projection(VIEW_POSITION, value, view, modality)

    def _projection(
        self,
        keyword: str,
        value: str,
        view: View | None,
        modality: str | None,
        evidence: tuple[Evidence, ...] = (),
    ) -> HeaderStatement:
        """Return the statement of a view; in a mammogram, a view of the breast names the breast."""
        sites: tuple[Site, ...] = ()
        if (
            modality == "MG"
            and view is not None
            and view.code in self._breast_views
            and BREAST in self._graph
        ):
            sites = (site_of(self._graph, BREAST, None, _VIEW_CONFIDENCE),)
            note = f"{view.display} is a view of the breast in mammography"
            evidence = (*evidence, Evidence(keyword, (value,), note=note))
        return statement(keyword, value, sites, view=view, evidence=evidence)

    def _view_position(self, value: str) -> View | None:
        view = self._views_by_value.get(value.strip().upper())
        if view is None and (entry := lookup_view(self._text.words, value)) is not None:
            view = entry.view
        return view

    @property
    def _unpaired(self) -> frozenset[str]:
        return self._text.words.unpaired


def _views(text: TextReader) -> tuple[dict[str, View], dict[str, View]]:
    by_code: dict[str, View] = {}
    by_value: dict[str, View] = {}
    for entry in text.words.others.values():
        if entry.kind is Kind.VIEW and entry.view is not None:
            present = by_code.get(entry.view.code)
            if present is None or present.dicom is None:
                by_code[entry.view.code] = entry.view
            if entry.view.dicom:
                by_value[entry.view.dicom] = entry.view
    return by_code, by_value


def _animal_terms(crosswalk: Crosswalk) -> frozenset[str]:
    """Return the terms of Body Part Examined whose structures people do not have, folded."""
    return frozenset(
        (row.subject_label or "").casefold()
        for table in crosswalk.mapping_sets(DICOM_BODY_PART)
        for row in table.mappings
        if ANIMALS_ONLY in term_flags(row.comment)
    )


def _check_keyword(keyword: str, where: str) -> None:
    try:
        tag_text(keyword)
    except KeyError:
        raise DicomError(
            where,
            f"'{keyword}' is no DICOM keyword",
            "a keyword such as BodyPartExamined or StudyDescription",
            "Spell it as PS3.6 does, without blanks.",
        ) from None


def on_side(
    statement: HeaderStatement, side: Laterality, unpaired: frozenset[str]
) -> HeaderStatement:
    """Return `statement` of this side; parts that come once only keep none."""
    sites = tuple(
        site if site.code in unpaired else replace(site, laterality=side)
        for site in statement.sites
    )
    return replace(statement, sites=sites, laterality=side)


def _rests(row: Row | None) -> tuple[Evidence, ...]:
    return () if row is None else (Evidence(VIEW_CODES, (row["srt"],), (row.ref,)),)
