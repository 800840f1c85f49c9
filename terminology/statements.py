"""What each DICOM attribute says by itself, in the order of trust. Nothing is weighed here.

Codes come first, then BodyPartExamined, then descriptions (`TRUST`). `terminology.header` joins
the statements.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from terminology.annotation import Evidence, HeaderStatement, Site
from terminology.concept import Coding, Laterality, View
from terminology.crosswalk import DICOM_BODY_PART, Crosswalk
from terminology.elements import Elements, tag_text
from terminology.errors import DicomError
from terminology.settings import HeaderSettings
from terminology.tables import Row, mappings_folder, read_rows
from terminology.text import BREAST, BREAST_VIEWS, NO_PROJECTION, TextReader, common_side
from terminology.words import Kind, lookup_view

if TYPE_CHECKING:
    from terminology.graph import BodyStructureGraph

SNOMED_RT_TABLE: Final = "snomed-rt.tsv"
_RT_COLUMNS: Final = ("srt", "code", "display", "source")
_FRAMES: Final = "FrameAnatomySequence"
_ANATOMY: Final = ("AnatomicRegionSequence", "PrimaryAnatomicStructureSequence")
_BODY_PART: Final = "BodyPartExamined"
_REQUEST: Final = "RequestAttributesSequence"
_PROCEDURE_CODES: Final = ("RequestedProcedureCodeSequence", "ProcedureCodeSequence")
# What says the site as a code, what says it in words of the series, and in words of the study.
CODED: Final = (_FRAMES, *_ANATOMY)
SERIES_WORDS: Final = (
    "SeriesDescription",
    "ProtocolName",
    "AcquisitionDeviceProcessingDescription",
    "PerformedProcedureStepDescription",
)
STUDY_WORDS: Final = (
    _REQUEST,
    "RequestedProcedureDescription",
    *_PROCEDURE_CODES,
    "StudyDescription",
)
# The order of trust among attributes that name a site: codes before words, what is said of the
# image before what is said of the series, and that before what is said of the whole study.
TRUST: Final = (*CODED, _BODY_PART, *SERIES_WORDS, *STUDY_WORDS)
# Sides: (0020,0062) belongs to the image, (0020,0060) to the series. (0020,9072) is read with the
# anatomy of its frame.
SIDES: Final = ("ImageLaterality", "Laterality")
# Words of a description are about the whole series or study, not surely about this image.
DESCRIPTION_FACTOR: Final = 0.95
# A coded meaning is read as text only when its code is not known.
MEANING_FACTOR: Final = 0.9
# PS3.16: designators of SNOMED CT and of its predecessor SNOMED RT.
_SNOMED_DESIGNATORS: Final = frozenset(
    {
        "SCT",
        "2.16.840.1.113883.6.96",
        "SNOMEDCT",
        "SNOMED-CT",
        "SNOMED CT",
        "SRT",
        "SNM3",
        "99SDM",
        "2.16.840.1.113883.6.5",
    }
)
_RT_CODE = re.compile(r"[A-Z]-[0-9A-Z]{4,6}")
_SIDE_CODES: Final = {
    "7771000": Laterality.LEFT,
    "24028007": Laterality.RIGHT,
    "51440002": Laterality.BILATERAL,
    "G-A101": Laterality.LEFT,
    "G-A100": Laterality.RIGHT,
    "G-A102": Laterality.BILATERAL,
}


@dataclass(frozen=True, slots=True)
class _Code:
    """A coded entry: designator, value and meaning as they stand in the header."""

    designator: str
    value: str
    meaning: str


def read_snomed_rt(folder: Path | None = None) -> dict[str, Row]:
    """Return the rows of `snomed-rt.tsv` in `folder` by SNOMED RT code.

    Raises
    ------
    TableError
        The table is missing or malformed.
    """
    rows = read_rows((folder or mappings_folder()) / SNOMED_RT_TABLE, _RT_COLUMNS)
    return {row["srt"]: row for row in rows}


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
        Where `snomed-rt.tsv` lies; by default the embedded tables.
    settings
        The order of trust and the thresholds.
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
        self._rt = read_snomed_rt(folder)
        self._views_by_code, self._views_by_value = _views(text)
        self._breast_views = BREAST_VIEWS | {
            entry.view.code
            for entry in text.words.others.values()
            if entry.view is not None and entry.when == "mammography"
        }
        self._described = lru_cache(maxsize=16384)(self._description)
        self._body_part = lru_cache(maxsize=4096)(self._body_part_examined)

    def read(self, elements: Elements, modality: str | None) -> Iterable[HeaderStatement]:
        """Yield what the attributes of a header say, the most trusted first."""
        yield from self._frame_anatomy(elements)
        for keyword in _ANATOMY:
            yield from self._anatomy(elements, keyword)
        if value := elements.text(_BODY_PART):
            yield self._body_part(value, modality)
        for keyword in (*SERIES_WORDS, *STUDY_WORDS):
            if keyword == _REQUEST:
                yield from self._request(elements, modality)
            elif keyword in _PROCEDURE_CODES:
                for item in elements.items(keyword):
                    if meaning := item.text("CodeMeaning"):
                        yield self._described(keyword, meaning, modality)
            elif value := elements.text(keyword):
                yield self._described(keyword, value, modality)
        for keyword in SIDES:
            if value := elements.text(keyword):
                side = Laterality.from_dicom(value)
                yield _statement(keyword, value, laterality=side)
        yield from self._view_statements(elements, modality)

    def read_value(self, keyword: str, value: str, modality: str | None = None) -> HeaderStatement:
        """Return what `value` says as the value of one attribute, by its DICOM keyword.

        Raises
        ------
        DicomError
            `keyword` is no DICOM keyword.
        """
        try:
            tag_text(keyword)
        except KeyError:
            raise DicomError(
                "field",
                f"'{keyword}' is no DICOM keyword",
                "a keyword such as BodyPartExamined or StudyDescription",
                "Spell it as PS3.6 does, without blanks.",
            ) from None
        if keyword == _BODY_PART:
            return self._body_part(value, modality)
        if keyword in SIDES:
            return _statement(keyword, value, laterality=Laterality.from_dicom(value))
        if keyword == "ViewPosition":
            return _statement(keyword, value, view=self._view_position(value))
        return self._described(keyword, value, modality)

    def _frame_anatomy(self, elements: Elements) -> Iterable[HeaderStatement]:
        seen: set[HeaderStatement] = set()
        groups = [
            *elements.items("SharedFunctionalGroupsSequence", 1),
            *elements.items("PerFrameFunctionalGroupsSequence", 64),
        ]
        for group in groups:
            for frame in group.items(_FRAMES, 1):
                side = Laterality.from_dicom(frame.text("FrameLaterality"))
                for keyword in _ANATOMY:
                    for statement in self._anatomy(frame, keyword):
                        found = replace(
                            statement,
                            keyword=_FRAMES,
                            tag=tag_text(_FRAMES),
                            evidence=_sourced(statement.evidence, _FRAMES),
                        )
                        if side is not None and found.laterality is None:
                            found = on_side(found, side, self._unpaired)
                        if found not in seen:
                            seen.add(found)
                            yield found

    def _anatomy(self, elements: Elements, keyword: str) -> Iterable[HeaderStatement]:
        modifiers = keyword.replace("Sequence", "ModifierSequence")
        for item in elements.items(keyword):
            code = _code(item)
            side = common_side(_SIDE_CODES.get(_code(m).value) for m in item.items(modifiers))
            if code.value or code.meaning:
                yield self._coded(keyword, code, side)

    def _coded(self, keyword: str, code: _Code, side: Laterality | None) -> HeaderStatement:
        """Return the statement of a coded region: by its code, or else by its meaning's words."""
        sctid = code.value
        rows: tuple[str, ...] = ()
        known = code.designator in _SNOMED_DESIGNATORS
        # Headers mix the designators up: the form of the code says which system it is of.
        if _RT_CODE.fullmatch(code.value) and (known or not code.designator):
            row = self._rt.get(code.value)
            known = row is not None
            if row is not None:
                sctid, rows = row["code"], (row.ref,)
        if (known or not code.designator) and sctid in self._graph:
            site = self._site(sctid, side, 1.0 if code.designator else 0.9)
            evidence = Evidence(keyword, (code.value,), rows)
            return _statement(keyword, code.value, (site,), site.laterality, evidence=(evidence,))
        reading = self._text.read(code.meaning)
        sites = tuple(_scaled(s, MEANING_FACTOR, side) for s in reading.sites)
        note = f"code '{code.value}' is not known; its meaning was read"
        found = (Evidence(keyword, note=note), *_sourced(reading.evidence, keyword))
        return _statement(keyword, code.value, sites, side or reading.laterality, evidence=found)

    def _body_part_examined(self, value: str, modality: str | None) -> HeaderStatement:
        keyword = _BODY_PART
        translation = self._crosswalk.translate(Coding(DICOM_BODY_PART, value.strip()))
        if translation.targets:
            target = translation.targets[0]
            if target.code in self._graph:
                site = self._site(target.code, target.laterality, target.confidence)
                evidence = Evidence(keyword, (value,), target.rows)
                return _statement(keyword, value, (site,), site.laterality, evidence=(evidence,))
        return self._in_words(keyword, value, modality)

    def _description(self, keyword: str, value: str, modality: str | None) -> HeaderStatement:
        statement = self._in_words(keyword, value, modality)
        sites = tuple(_scaled(site, DESCRIPTION_FACTOR, None) for site in statement.sites)
        return replace(statement, sites=sites)

    def _in_words(self, keyword: str, value: str, modality: str | None) -> HeaderStatement:
        reading = self._text.read(value, modality=modality)
        return _statement(
            keyword,
            value,
            reading.sites,
            reading.laterality,
            reading.view,
            reading.ignored,
            _sourced(reading.evidence, keyword),
        )

    def _request(self, elements: Elements, modality: str | None) -> Iterable[HeaderStatement]:
        for item in elements.items(_REQUEST):
            values = [
                item.text("ScheduledProcedureStepDescription"),
                item.text("RequestedProcedureDescription"),
            ]
            for inner in ("ScheduledProtocolCodeSequence", "RequestedProcedureCodeSequence"):
                values.extend(code.text("CodeMeaning") for code in item.items(inner))
            for value in dict.fromkeys(filter(None, values)):
                yield self._described(_REQUEST, value, modality)

    def _view_statements(
        self, elements: Elements, modality: str | None
    ) -> Iterable[HeaderStatement]:
        for item in elements.items("ViewCodeSequence", 1):
            code = _code(item)
            row = self._rt.get(code.value)
            view = self._views_by_code.get(row["code"] if row is not None else code.value)
            if view is None and code.meaning:
                entry = lookup_view(self._text.words, code.meaning)
                view = entry.view if entry is not None else None
            yield self._projection(
                "ViewCodeSequence", code.value or code.meaning, view, modality, _rests(row)
            )
        if (value := elements.text("ViewPosition")) and modality not in NO_PROJECTION:
            view = self._view_position(value)
            yield self._projection("ViewPosition", value, view, modality)

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
            sites = (self._site(BREAST, None, DESCRIPTION_FACTOR),)
            note = f"{view.display} is a view of the breast in mammography"
            evidence = (*evidence, Evidence(keyword, (value,), note=note))
        return _statement(keyword, value, sites, view=view, evidence=evidence)

    def _view_position(self, value: str) -> View | None:
        view = self._views_by_value.get(value.strip().upper())
        if view is None and (entry := lookup_view(self._text.words, value)) is not None:
            view = entry.view
        return view

    def _site(self, code: str, side: Laterality | None, confidence: float | None) -> Site:
        concept = self._graph.lookup(self._graph.current(code))
        if concept.unsided is not None:
            side = concept.laterality
            concept = self._graph.lookup(concept.unsided)
        return Site(concept.code, concept.display, side, confidence)

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


def _code(item: Elements) -> _Code:
    value = item.text("CodeValue") or item.text("LongCodeValue") or item.text("URNCodeValue")
    return _Code(item.text("CodingSchemeDesignator").upper(), value, item.text("CodeMeaning"))


def _statement(
    keyword: str,
    value: str,
    sites: tuple[Site, ...] = (),
    laterality: Laterality | None = None,
    view: View | None = None,
    ignored: tuple[str, ...] = (),
    evidence: tuple[Evidence, ...] = (),
) -> HeaderStatement:
    return HeaderStatement(
        keyword, tag_text(keyword), value, sites, laterality, view, ignored, evidence
    )


def on_side(
    statement: HeaderStatement, side: Laterality, unpaired: frozenset[str]
) -> HeaderStatement:
    """Return `statement` of this side; parts that come once only keep none."""
    sites = tuple(
        site if site.code in unpaired else replace(site, laterality=side)
        for site in statement.sites
    )
    return replace(statement, sites=sites, laterality=side)


def _scaled(site: Site, factor: float, side: Laterality | None) -> Site:
    confidence = None if site.confidence is None else round(site.confidence * factor, 3)
    return replace(site, confidence=confidence, laterality=side or site.laterality)


def _sourced(evidence: Sequence[Evidence], keyword: str) -> tuple[Evidence, ...]:
    return tuple(replace(part, source=keyword) for part in evidence)


def _rests(row: Row | None) -> tuple[Evidence, ...]:
    return () if row is None else (Evidence("ViewCodeSequence", (row["srt"],), (row.ref,)),)
