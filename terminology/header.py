"""The header reader: what each DICOM attribute says, and what the header says as a whole.

Codes come first, then BodyPartExamined, then descriptions (`TRUST`). A statement that lies below
a general one refines it; one that contradicts it is named in `conflicts` and kept. Nothing is
averaged, nothing is corrected silently, and nothing in a header raises: a broken element is a
flag.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

from pydicom import Dataset

from terminology.annotation import Evidence, HeaderReading, HeaderStatement, Site
from terminology.concept import Coding, Laterality, View
from terminology.elements import Elements, tag_text
from terminology.errors import DicomError
from terminology.instance import instance_of
from terminology.tables import Row, mappings_folder, read_rows
from terminology.text import BREAST, BREAST_VIEWS, NO_PROJECTION, Structures, TextReader
from terminology.words import Kind, fold, lookup_view, tokens_of

__all__ = ["TRUST", "HeaderReader", "instance_of"]

BODY_PART_SYSTEM: Final = "https://w3id.org/bodysite/CodeSystem/dicom-body-part-examined"
SNOMED_RT_TABLE: Final = "snomed-rt.tsv"
_RT_COLUMNS: Final = ("srt", "code", "display", "source")

# The order of trust among attributes that name a site: codes before words, what is said of the
# image before what is said of the series, and that before what is said of the whole study.
TRUST: Final = (
    "FrameAnatomySequence",
    "AnatomicRegionSequence",
    "PrimaryAnatomicStructureSequence",
    "BodyPartExamined",
    "SeriesDescription",
    "ProtocolName",
    "AcquisitionDeviceProcessingDescription",
    "PerformedProcedureStepDescription",
    "RequestAttributesSequence",
    "RequestedProcedureDescription",
    "RequestedProcedureCodeSequence",
    "ProcedureCodeSequence",
    "StudyDescription",
)
# Sides: (0020,9072) and (0020,0062) belong to the image, (0020,0060) to the series.
_SIDES: Final = ("ImageLaterality", "Laterality")
_DESCRIPTIONS: Final = frozenset(
    {
        "SeriesDescription",
        "ProtocolName",
        "AcquisitionDeviceProcessingDescription",
        "PerformedProcedureStepDescription",
        "RequestedProcedureDescription",
        "StudyDescription",
    }
)
_CODED_PROCEDURES: Final = frozenset({"RequestedProcedureCodeSequence", "ProcedureCodeSequence"})
# What is said of the series at hand; only this refines a part that is already particular.
_OF_THE_SERIES: Final = frozenset(
    {
        "SeriesDescription",
        "ProtocolName",
        "AcquisitionDeviceProcessingDescription",
        "PerformedProcedureStepDescription",
    }
)
# Words of a description are about the whole series or study, not surely about this image.
DESCRIPTION_FACTOR: Final = 0.95
# A coded meaning is read as text only when its code is not known.
MEANING_FACTOR: Final = 0.9
# A word less sure than this does not refine what a more trusted attribute says.
REFINES_FROM: Final = 0.7

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
# Structures so general that a description may say more than they do, in any modality: 66019005
# |Limb|, 53120007 |Upper limb|, 61685007 |Lower limb|, 22943007 |Trunk|, 421060004 |Spine|,
# 39352004 |Joint|, 51114001 |Artery|, 29092000 |Vein|.
_GENERAL: Final = frozenset(
    {
        "66019005",
        "53120007",
        "61685007",
        "22943007",
        "421060004",
        "39352004",
        "51114001",
        "29092000",
    }
)
# In a radiograph a series name tells the part; in CT it often names a window (LUNG, BONE).
_RADIOGRAPHS: Final = frozenset({"CR", "DX", "RG", "RF", "MG", "XA", "IO", "PX"})

# 53120007 |Upper limb|, 61685007 |Lower limb|.
_LIMBS: Final = ("53120007", "61685007")
_BOTH: Final = Laterality.BILATERAL
# Window and kernel names of CT series, of whatever region: 39607008 |Lung|, 72410000 |Mediastinum|.
_WINDOWS: Final = frozenset({"39607008", "72410000"})

_AGE = re.compile(r"(\d{1,3})\s*([DWMYdwmy]?)")
_YEARS_PER: Final = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0, "": 1.0}
_DATE = re.compile(r"(\d{4})[.-]?(\d{2})[.-]?(\d{2})")
_HUMAN: Final = frozenset({"", "human", "homo sapiens", "homo", "man", "mensch", "humain"})
_HUMAN_CODES: Final = frozenset({"337915000", "L-85B00", "447612001", "278412004"})


class _Target(Protocol):
    @property
    def code(self) -> str: ...
    @property
    def display(self) -> str: ...
    @property
    def laterality(self) -> Laterality | None: ...
    @property
    def confidence(self) -> float | None: ...
    @property
    def rows(self) -> tuple[str, ...]: ...


class _Translation(Protocol):
    @property
    def targets(self) -> Sequence[_Target]: ...


class Terms(Protocol):
    """What the reader asks of the crosswalk: the targets of a defined term."""

    def translate(self, source: Coding) -> _Translation:
        """Return the ranked targets of `source`."""


@dataclass(frozen=True, slots=True)
class _Code:
    """A coded entry: designator, value and meaning as they stand in the header."""

    designator: str
    value: str
    meaning: str


class HeaderReader:
    """Reads headers; safe to share between threads.

    Parameters
    ----------
    text
        The reader of free words, with its vocabulary.
    crosswalk
        Translates the defined terms of (0018,0015) Body Part Examined.
    structures
        The body structures.
    folder
        Where `snomed-rt.tsv` lies; by default the embedded tables.
    """

    def __init__(
        self,
        text: TextReader,
        crosswalk: Terms,
        structures: Structures,
        folder: Path | None = None,
    ) -> None:
        self._text = text
        self._crosswalk = crosswalk
        self._structures = structures
        rows = read_rows((folder or mappings_folder()) / SNOMED_RT_TABLE, _RT_COLUMNS)
        self._rt: dict[str, Row] = {row["srt"]: row for row in rows}
        self._views_by_code, self._views_by_value = _views(text)
        self._breast_views = BREAST_VIEWS | {
            entry.view.code
            for entry in text.words.others.values()
            if entry.view is not None and entry.when == "mammography"
        }
        self._described = lru_cache(maxsize=16384)(self._description)
        self._body_part = lru_cache(maxsize=4096)(self._body_part_examined)

    def read(self, dataset: Dataset) -> HeaderReading:
        """Return what the header of `dataset` says; pixels are not touched, nothing is changed."""
        elements = Elements(dataset)
        modality = elements.text("Modality").upper() or None
        statements = list(self._statements(elements, modality))
        _flag_animals(elements)
        age = _age_years(elements)
        return self._joined(statements, modality, age, elements.flags)

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
        if keyword == "BodyPartExamined":
            return self._body_part(value, modality)
        if keyword in _SIDES:
            return _statement(keyword, value, laterality=Laterality.from_dicom(value))
        if keyword == "ViewPosition":
            return _statement(keyword, value, view=self._view_position(value))
        return self._described(keyword, value, modality)

    # --- statements of single attributes --------------------------------------------------

    def _statements(self, elements: Elements, modality: str | None) -> Iterable[HeaderStatement]:
        yield from self._frame_anatomy(elements)
        for keyword in TRUST[1:3]:
            yield from self._anatomy(elements, keyword)
        if value := elements.text("BodyPartExamined"):
            yield self._body_part(value, modality)
        for keyword in TRUST[4:]:
            if keyword in _DESCRIPTIONS:
                if value := elements.text(keyword):
                    yield self._described(keyword, value, modality)
            elif keyword in _CODED_PROCEDURES:
                for item in elements.items(keyword):
                    if meaning := item.text("CodeMeaning"):
                        yield self._described(keyword, meaning, modality)
            else:
                yield from self._request(elements, modality)
        for keyword in _SIDES:
            if value := elements.text(keyword):
                side = Laterality.from_dicom(value)
                yield _statement(keyword, value, laterality=side)
        yield from self._view_statements(elements, modality)

    def _frame_anatomy(self, elements: Elements) -> Iterable[HeaderStatement]:
        seen: set[HeaderStatement] = set()
        groups = [
            *elements.items("SharedFunctionalGroupsSequence", 1),
            *elements.items("PerFrameFunctionalGroupsSequence", 64),
        ]
        for group in groups:
            for frame in group.items("FrameAnatomySequence", 1):
                side = Laterality.from_dicom(frame.text("FrameLaterality"))
                for keyword in ("AnatomicRegionSequence", "PrimaryAnatomicStructureSequence"):
                    for statement in self._anatomy(frame, keyword):
                        found = replace(
                            statement,
                            keyword="FrameAnatomySequence",
                            tag=tag_text("FrameAnatomySequence"),
                            evidence=_sourced(statement.evidence, "FrameAnatomySequence"),
                        )
                        if side is not None and found.laterality is None:
                            found = _on_side(found, side, self._unpaired)
                        if found not in seen:
                            seen.add(found)
                            yield found

    def _anatomy(self, elements: Elements, keyword: str) -> Iterable[HeaderStatement]:
        modifiers = keyword.replace("Sequence", "ModifierSequence")
        for item in elements.items(keyword):
            code = _code(item)
            side = _joint(_SIDE_CODES.get(_code(m).value) for m in item.items(modifiers))
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
        if (known or not code.designator) and self._text.holds(sctid):
            site = self._site(sctid, side, 1.0 if code.designator else 0.9)
            evidence = Evidence(keyword, (code.value,), rows)
            return _statement(keyword, code.value, (site,), site.laterality, evidence=(evidence,))
        reading = self._text.read(code.meaning)
        sites = tuple(_scaled(s, MEANING_FACTOR, side) for s in reading.sites)
        note = f"code '{code.value}' is not known; its meaning was read"
        found = (Evidence(keyword, note=note), *_sourced(reading.evidence, keyword))
        return _statement(keyword, code.value, sites, side or reading.laterality, evidence=found)

    def _body_part_examined(self, value: str, modality: str | None) -> HeaderStatement:
        keyword = "BodyPartExamined"
        translation = self._crosswalk.translate(Coding(BODY_PART_SYSTEM, value.strip()))
        if translation.targets:
            target = translation.targets[0]
            if self._text.holds(target.code):
                site = self._site(target.code, target.laterality, target.confidence)
                evidence = Evidence(keyword, (value,), target.rows)
                return _statement(keyword, value, (site,), site.laterality, evidence=(evidence,))
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

    def _description(self, keyword: str, value: str, modality: str | None) -> HeaderStatement:
        reading = self._text.read(value, modality=modality)
        return _statement(
            keyword,
            value,
            tuple(_scaled(site, DESCRIPTION_FACTOR, None) for site in reading.sites),
            reading.laterality,
            reading.view,
            reading.ignored,
            _sourced(reading.evidence, keyword),
        )

    def _request(self, elements: Elements, modality: str | None) -> Iterable[HeaderStatement]:
        keyword = "RequestAttributesSequence"
        for item in elements.items(keyword):
            values = [
                item.text("ScheduledProcedureStepDescription"),
                item.text("RequestedProcedureDescription"),
            ]
            for inner in ("ScheduledProtocolCodeSequence", "RequestedProcedureCodeSequence"):
                values.extend(code.text("CodeMeaning") for code in item.items(inner))
            for value in dict.fromkeys(filter(None, values)):
                yield self._described(keyword, value, modality)

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
            and self._text.holds(BREAST)
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
        concept = self._structures.lookup(self._structures.current(code))
        if concept.unsided is not None:
            side = concept.laterality
            concept = self._structures.lookup(concept.unsided)
        return Site(concept.code, concept.display, side, confidence)

    @property
    def _unpaired(self) -> frozenset[str]:
        return self._text.words.unpaired

    # --- the header as a whole -------------------------------------------------------------

    def _joined(
        self,
        statements: list[HeaderStatement],
        modality: str | None,
        age: float | None,
        flags: list[str],
    ) -> HeaderReading:
        conflicts: list[str] = []
        evidence: list[Evidence] = []
        first: HeaderStatement | None = None
        sites: tuple[Site, ...] = ()
        contradicting: list[HeaderStatement] = []
        for statement in sorted(statements, key=lambda s: _names_window(s, modality)):
            if not statement.sites:
                continue
            if first is None:
                first, sites = statement, statement.sites
                evidence.extend(statement.evidence)
            elif self._refines(sites, statement, modality):
                general, refined = sites[0], statement.sites[0]
                sites = statement.sites
                note = (
                    f"{general.code} |{general.display}| of {first.keyword} refined to "
                    f"{refined.code} |{refined.display}|"
                )
                evidence.append(Evidence(statement.keyword, note=note))
                evidence.extend(statement.evidence)
                side = general.laterality
                if side is not None and refined.laterality is None:
                    sites = tuple(replace(site, laterality=side) for site in sites)
                first = statement
            elif not self._agrees(sites, statement.sites):
                conflicts.append(_contradiction(statement, first, sites))
                if not self._of_one_limb(sites, statement.sites):
                    contradicting.append(statement)
        side = self._side([s for s in statements if s not in contradicting], first, conflicts)
        view = self._view(statements, conflicts)
        if side is not None:
            sites = tuple(
                site
                if site.laterality is not None or site.code in self._unpaired
                else replace(site, laterality=side)
                for site in sites
            )
            if first is not None and first.keyword == "FrameAnatomySequence" and side is _BOTH:
                sites = _on_side(replace(first, sites=sites), side, self._unpaired).sites
        return HeaderReading(
            sites=sites,
            laterality=side,
            view=view,
            modality=modality,
            age_years=age,
            statements=tuple(statements),
            conflicts=tuple(dict.fromkeys(conflicts)),
            flags=tuple(flags),
            evidence=tuple(dict.fromkeys(evidence)),
        )

    def _refines(
        self, sites: tuple[Site, ...], statement: HeaderStatement, modality: str | None
    ) -> bool:
        """Return whether `statement` names one part below the one general part of `sites`."""
        if len(sites) != 1 or len(statement.sites) != 1:
            return False
        general, refined = sites[0], statement.sites[0]
        if (refined.confidence or 0) < REFINES_FROM:
            return False
        if general.code not in _GENERAL and (
            modality not in _RADIOGRAPHS or statement.keyword not in _OF_THE_SERIES
        ):
            return False
        return self._structures.subsumes(general.code, refined.code)

    def _agrees(self, sites: Sequence[Site], others: Sequence[Site]) -> bool:
        """Return whether any two sites are the same, one within the other, or of one region."""
        for one in {site.code for site in sites}:
            for other in {site.code for site in others}:
                if (
                    one == other
                    or self._structures.subsumes(one, other)
                    or self._structures.subsumes(other, one)
                ):
                    return True
                for parts, region in self._text.words.regions.items():
                    if (one in parts and other == region.code) or (
                        other in parts and one == region.code
                    ):
                        return True
        return False

    def _of_one_limb(self, sites: Sequence[Site], others: Sequence[Site]) -> bool:
        """Return whether all are of the upper, or all of the lower limb: one side fits them."""
        return any(
            all(
                site.code == limb or self._structures.subsumes(limb, site.code)
                for site in (*sites, *others)
            )
            for limb in _LIMBS
        )

    def _side(
        self,
        statements: Sequence[HeaderStatement],
        first: HeaderStatement | None,
        conflicts: list[str],
    ) -> Laterality | None:
        """Return the side: of the statement that gave the site, of the tags, of the words."""
        tagged = [s for s in statements if s.keyword in _SIDES]
        coded = [first] if first is not None and first.keyword in TRUST[:3] else []
        order = [*coded, *tagged, *([first] if first is not None else []), *statements]
        known = [s for s in order if s.laterality is not None]
        if not known:
            return None
        chosen = known[0]
        if chosen.keyword == "FrameAnatomySequence":
            # Frames of the left and of the right are no contradiction.
            frames = [s for s in known if s.keyword == "FrameAnatomySequence"]
            whole = _joint(s.laterality for s in frames)
            if whole is not chosen.laterality:
                known = [s for s in known if s not in frames]
                chosen = replace(chosen, laterality=whole)
                known.insert(0, chosen)
        for other in known[1:]:
            if other.laterality is not chosen.laterality:
                conflicts.append(
                    f"{other.keyword} says {other.laterality}, "
                    f"{chosen.keyword} says {chosen.laterality}"
                )
        return chosen.laterality

    def _view(self, statements: Sequence[HeaderStatement], conflicts: list[str]) -> View | None:
        named = [s for s in statements if s.view is not None]
        order = [s for s in named if s.keyword == "ViewCodeSequence"]
        order += [s for s in named if s.keyword == "ViewPosition"]
        order += [s for s in named if s not in order]
        if not order:
            return None
        chosen = order[0]
        for other in order[1:]:
            if other.view and chosen.view and not _same_view(other.view, chosen.view):
                conflicts.append(
                    f"{other.keyword} says {other.view.display}, "
                    f"{chosen.keyword} says {chosen.view.display}"
                )
        return chosen.view


# 399033003 |frontal| is AP or PA, 399067008 |lateral| is left or right, not said which.
_BROADER_VIEWS: Final = {
    "399033003": frozenset({"399348003", "272479007"}),
    "399067008": frozenset({"399173006", "399198007", "399260004", "399352003"}),
    "399182000": frozenset({"399236003", "399184004", "399368009", "399099002"}),
}


def _same_view(one: View, other: View) -> bool:
    return (
        one.code == other.code
        or other.code in _BROADER_VIEWS.get(one.code, ())
        or one.code in _BROADER_VIEWS.get(other.code, ())
    )


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


def _on_side(
    statement: HeaderStatement, side: Laterality, unpaired: frozenset[str]
) -> HeaderStatement:
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


def _joint(sides: Iterable[Laterality | None]) -> Laterality | None:
    """Return the one side of `sides`, bilateral where they differ."""
    found = {side for side in sides if side is not None}
    return _BOTH if len(found) > 1 else next(iter(found), None)


def _names_window(statement: HeaderStatement, modality: str | None) -> bool:
    """Return whether words of a CT series may name its window instead of what was examined."""
    return (
        modality == "CT"
        and statement.keyword in _OF_THE_SERIES
        and bool(statement.sites)
        and all(site.code in _WINDOWS for site in statement.sites)
    )


def _contradiction(
    statement: HeaderStatement, first: HeaderStatement, sites: Sequence[Site]
) -> str:
    def named(found: Sequence[Site]) -> str:
        return ", ".join(f"{site.code} |{site.display}|" for site in found)

    return f"{statement.keyword} says {named(statement.sites)}, {first.keyword} says {named(sites)}"


def _flag_animals(elements: Elements) -> None:
    species = fold(elements.text("PatientSpeciesDescription"))
    codes = [_code(item).value for item in elements.items("PatientSpeciesCodeSequence", 1)]
    named = " ".join(tokens_of(species)) not in _HUMAN
    if named or any(code and code not in _HUMAN_CODES for code in codes):
        elements.flags.append("The patient is an animal; human body sites may not hold")


def _age_years(elements: Elements) -> float | None:
    """Return PatientAge in years, else the years from birth to the study; `None` without both."""
    if value := elements.text("PatientAge"):
        found = _AGE.fullmatch(value)
        if found is not None:
            if not found[2] or len(found[1]) != 3:
                elements.flags.append("PatientAge breaks its VR (nnnD, nnnW, nnnM or nnnY)")
            return round(int(found[1]) * _YEARS_PER[found[2].upper()], 3)
        elements.flags.append("PatientAge breaks its VR (nnnD, nnnW, nnnM or nnnY)")
    birth = _date(elements.text("PatientBirthDate"))
    if birth is None:
        return None
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        taken = _date(elements.text(keyword))
        if taken is not None:
            years = (taken - birth).days / 365.25
            return round(years, 3) if 0 <= years <= 130 else None
    return None


def _date(value: str) -> date | None:
    found = _DATE.match(value)
    if found is None:
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return None
