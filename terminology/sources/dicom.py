"""Coded anatomy of DICOM headers: coding scheme designators, and the codes as headers write them.

Headers mix designators up, leave the hyphen of a SNOMED RT code out and write prefixes; here a
designator and a code value become a code of one system, and that code a SNOMED CT concept, with
the table rows it rests on. What a code's meaning says is left to `terminology.statements`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from terminology.concept import SNOMED, Coding, Laterality
from terminology.crosswalk import UMLS, Crosswalk
from terminology.errors import UnknownSystemError
from terminology.identifiers import sctid_problem
from terminology.mapping import BROAD
from terminology.tables import Row, mappings_folder, read_rows

if TYPE_CHECKING:
    from terminology.graph import BodyStructureGraph

SNOMED_RT: Final = "http://snomed.info/srt"
FMA: Final = "urn:oid:2.16.840.1.113883.6.119"
RADLEX: Final = "http://radlex.org"
UBERON: Final = "http://purl.obolibrary.org/obo/uberon.owl"
ICD_O_3: Final = "http://terminology.hl7.org/CodeSystem/icd-o-3"

# PS3.16 Table 8-1: designators and the identifiers of the same schemes; then what headers write
# instead. ICD-10 and its like name diseases, and MA, NEU and MSH have no table here: codes of
# those are read by their meaning.
DESIGNATORS: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("SCT", "2.16.840.1.113883.6.96", "SNOMEDCT", "SNOMED-CT", "SNOMED CT", "SNOMED"), SNOMED
    ),
    **dict.fromkeys(
        ("SRT", "SNM3", "99SDM", "SNM", "2.16.840.1.113883.6.5", "2.16.840.1.113883.6.51"),
        SNOMED_RT,
    ),
    **dict.fromkeys(("FMA", "2.16.840.1.113883.6.119"), FMA),
    **dict.fromkeys(("RADLEX", "2.16.840.1.113883.6.256", "RID"), RADLEX),
    **dict.fromkeys(("UMLS", "2.16.840.1.113883.6.86"), UMLS),
    **dict.fromkeys(("UBERON", "1.2.840.10008.2.16.6"), UBERON),
    **dict.fromkeys(("ICDO3", "2.16.840.1.113883.6.43.1", "ICD-O-3", "ICDO"), ICD_O_3),
}
SNOMED_RT_TABLE: Final = "snomed-rt.tsv"
SNOMED_ENTIRE_TABLE: Final = "snomed-entire.tsv"
_RT_COLUMNS: Final = ("srt", "code", "display", "source")
_ENTIRE_COLUMNS: Final = ("entire", "entire_display", "structure", "structure_display", "basis")
_SNOMED_SYSTEMS: Final = (SNOMED, SNOMED_RT)

# What is left of the confidence of a code whose designator is missing or of another scheme.
UNNAMED_FACTOR: Final = 0.9

# An exact match as sure as this or less rests on one source that errs in places.
UNCONFIRMED: Final = 0.7

# CID 244 Laterality, and the same in RadLex and the UMLS.
SIDE_CODES: Final[Mapping[str, Laterality]] = {
    "7771000": Laterality.LEFT,
    "24028007": Laterality.RIGHT,
    "51440002": Laterality.BILATERAL,
    "G-A101": Laterality.LEFT,
    "G-A100": Laterality.RIGHT,
    "G-A102": Laterality.BILATERAL,
    "RID5824": Laterality.LEFT,
    "RID5825": Laterality.RIGHT,
    "C0205091": Laterality.LEFT,
    "C0205090": Laterality.RIGHT,
    "C0238767": Laterality.BILATERAL,
}

_SCT = re.compile(r"(?:SCTID[: ]*|.*SNOMED\.INFO/ID/)?([0-9]{6,18})", re.ASCII)
_RT = re.compile(r"([A-Z][0-9]?)[- ]([0-9A-Z]{4,6})|([A-Z])([0-9A-Z]{4,6})", re.ASCII)
_FMA = re.compile(r"(?:FMA(?:ID)?[: _]*|.*/FMA/FMA)?([0-9]{2,7})", re.ASCII)
_RADLEX = re.compile(r"(?:.*RADLEX\.ORG/RID/)?(RID[0-9]+(?:_RID[0-9]+)*)", re.ASCII)
_CUI = re.compile(r"(?:UMLS:)?(C[0-9]{7})", re.ASCII)
_UBERON = re.compile(r"(?:UBERON[:_ ]?|.*/UBERON_)?([0-9]{7})", re.ASCII)
_ICD_O_3 = re.compile(r"(C[0-9]{2})\.?([0-9])?", re.ASCII)
# Forms that one system has alone, whatever the designator says.
_UNMISTAKABLE: Final = (
    (SNOMED, re.compile(r"SCTID[: ]*[0-9]+|.*SNOMED\.INFO/ID/[0-9]+", re.ASCII)),
    (SNOMED_RT, re.compile(r"[A-Z][0-9]?-[0-9A-Z]{4,6}", re.ASCII)),
    (RADLEX, _RADLEX),
    (UMLS, re.compile(r"C[0-9]{7}|UMLS:C[0-9]{7}", re.ASCII)),
    (UBERON, re.compile(r"UBERON[:_][0-9]{7}|.*/UBERON_[0-9]{7}", re.ASCII)),
    (FMA, re.compile(r"FMA(?:ID)?[: _]*[0-9]+|.*/FMA/FMA[0-9]+", re.ASCII)),
)
_FORMS: Final[Mapping[str, Callable[[str], str | None]]] = {
    SNOMED: lambda value: _group(_SCT, value),
    SNOMED_RT: lambda value: (
        "-".join(filter(None, found.groups())) if (found := _RT.fullmatch(value)) else None
    ),
    FMA: lambda value: (_group(_FMA, value) or "").lstrip("0") or None,
    RADLEX: lambda value: _group(_RADLEX, value if value.startswith(("R", "H")) else f"RID{value}"),
    UMLS: lambda value: _group(_CUI, value),
    UBERON: lambda value: _group(_UBERON, value),
    ICD_O_3: lambda value: (
        f"{found[1]}.{found[2] or '9'}" if (found := _ICD_O_3.fullmatch(value)) else None
    ),
}


def _group(pattern: re.Pattern[str], value: str) -> str | None:
    found = pattern.fullmatch(value)
    return found[1] if found else None


def code_of(system: str, value: str) -> str | None:
    """Return `value` as `system` writes its codes; `None` when it is no code of that form.

    Case, blanks, prefixes ("FMA:7088"), a missing hyphen ("TD9200") and the address forms of the
    systems do not matter. An ICD-O-3 category ("C34") is its unspecified code ("C34.9"). Of a
    system that is not known here, `value` without blanks around it.
    """
    form = _FORMS.get(system)
    return value.strip() if form is None else form(value.strip().upper())


@dataclass(frozen=True, slots=True)
class CodedEntry:
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


def read_snomed_entire(folder: Path | None = None) -> dict[str, Row]:
    """Return the rows of `snomed-entire.tsv` in `folder` by the SCTID of the Entire concept.

    Raises
    ------
    TableError
        The table is missing or malformed.
    """
    rows = read_rows((folder or mappings_folder()) / SNOMED_ENTIRE_TABLE, _ENTIRE_COLUMNS)
    return {row["entire"]: row for row in rows}


class Assurance(Enum):
    """What a concept found for a coded entry needs to hold."""

    SURE = "nothing more"
    MEANING_SILENT = "a meaning that does not contradict"
    MEANING_AGREES = "a meaning that says the same"


@dataclass(frozen=True, slots=True)
class CodedConcept:
    """The body structure that a coded entry names.

    `code` is a concept of the graph. `broader` says that it holds what the entry names.
    """

    code: str
    laterality: Laterality | None
    confidence: float | None
    rows: tuple[str, ...] = ()
    broader: bool = False
    assurance: Assurance = Assurance.SURE


class AnatomyCodes:
    """Finds the body structure of coded entries; safe to share between threads.

    Parameters
    ----------
    crosswalk
        The tables from other systems.
    graph
        The body structures.
    folder
        Where `snomed-rt.tsv` and `snomed-entire.tsv` lie; by default the embedded tables.

    Raises
    ------
    TableError
        One of the two tables is missing or malformed.
    """

    def __init__(
        self, crosswalk: Crosswalk, graph: BodyStructureGraph, folder: Path | None = None
    ) -> None:
        self._crosswalk = crosswalk
        self._graph = graph
        self._snomed_rt = read_snomed_rt(folder)
        self._entire = read_snomed_entire(folder)

    def find(self, entry: CodedEntry) -> CodedConcept | None:
        """Return the body structure that the designator and the value of `entry` name.

        The designator decides where the code has a form of its scheme; a form that only one
        scheme has decides else. `None` where neither names a concept of the graph.
        """
        value = entry.value.strip().upper()
        designator = entry.designator.strip().upper()
        named = DESIGNATORS.get(designator)
        for system, assurance in self._candidates(named, designator, value).items():
            found = self._of_system(system, value)
            if found is None:
                continue
            if system == named or (named in _SNOMED_SYSTEMS and system in _SNOMED_SYSTEMS):
                return found
            if found.assurance is not Assurance.SURE and assurance is Assurance.SURE:
                assurance = found.assurance
            confidence = round((found.confidence or 0) * UNNAMED_FACTOR, 3)
            return replace(found, confidence=confidence, assurance=assurance)
        return None

    def side(self, entry: CodedEntry) -> Laterality | None:
        """Return the side that the code of a modifier states, whatever its designator."""
        value = entry.value.strip().upper()
        return SIDE_CODES.get(value) or SIDE_CODES.get(code_of(SNOMED_RT, value) or "")

    def snomed_rt(self, value: str) -> Row | None:
        """Return the row of a SNOMED RT code, with or without its hyphen."""
        code = code_of(SNOMED_RT, value)
        return None if code is None else self._snomed_rt.get(code)

    def _candidates(self, named: str | None, designator: str, value: str) -> dict[str, Assurance]:
        """Return the systems that the code may be of, the likeliest first."""
        systems = {} if named is None else {named: Assurance.SURE}
        # Designators of SNOMED are mixed up more than any, and left out.
        if named in _SNOMED_SYSTEMS or not designator:
            systems |= dict.fromkeys(_SNOMED_SYSTEMS, Assurance.SURE)
        for system, form in _UNMISTAKABLE:
            if form.fullmatch(value):
                systems.setdefault(system, Assurance.MEANING_SILENT)
        # Digits that pass the check digit of SNOMED CT may be any local number.
        if sctid_problem(value) is None:
            systems.setdefault(SNOMED, Assurance.MEANING_AGREES)
        return systems

    def _of_system(self, system: str, value: str) -> CodedConcept | None:
        code = code_of(system, value)
        if code is None:
            return None
        if system == SNOMED:
            return self._structure(code)
        if system == SNOMED_RT:
            row = self._snomed_rt.get(code)
            if row is None or (found := self._structure(row["code"])) is None:
                return None
            return replace(found, rows=(row.ref, *found.rows))
        found = self._mapped(system, code)
        if found is None and system == RADLEX:
            # The list has twins of both sides for some locations only.
            location, _, suffix = code.rpartition("_")
            found = self._mapped(system, location) if suffix in SIDE_CODES else None
            return None if found is None else replace(found, laterality=SIDE_CODES[suffix])
        return found

    def _mapped(self, system: str, code: str) -> CodedConcept | None:
        try:
            translation = self._crosswalk.translate(Coding(system, code))
        except UnknownSystemError:
            return None
        for target in translation.targets:
            if target.category is None and target.code in self._graph:
                broader = target.predicate == BROAD
                confirmed = broader or (target.confidence or 0) > UNCONFIRMED
                return CodedConcept(
                    target.code,
                    target.laterality,
                    target.confidence,
                    target.rows,
                    broader,
                    Assurance.MEANING_SILENT if confirmed else Assurance.MEANING_AGREES,
                )
        return None

    def _structure(self, code: str) -> CodedConcept | None:
        """Return the concept of an SCTID; that of its structure for an Entire concept."""
        row = self._entire.get(code)
        if row is not None and row["structure"] in self._graph:
            return CodedConcept(row["structure"], None, 1.0, (row.ref,))
        return CodedConcept(code, None, 1.0) if code in self._graph else None
