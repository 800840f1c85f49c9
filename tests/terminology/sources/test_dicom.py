"""Coded anatomy as headers write it: which system a code is of, and which concept it names."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terminology.concept import SNOMED, Laterality
from terminology.crosswalk import UMLS, Crosswalk
from terminology.graph import BodyStructureGraph
from terminology.mapping import EXACT
from terminology.sources.codes import CodeReader
from terminology.sources.dicom import (
    DESIGNATORS,
    FMA,
    ICD_O_3,
    RADLEX,
    SNOMED_RT,
    UBERON,
    UNCONFIRMED,
    AnatomyCodes,
    Assurance,
    CodedEntry,
    code_of,
)

KNEE, HEART, LUNG, HAND = "72696002", "80891009", "39607008", "85562004"
LEFT, RIGHT = Laterality.LEFT, Laterality.RIGHT


@pytest.fixture(scope="module")
def codes() -> AnatomyCodes:
    return _shared()


@pytest.mark.parametrize(
    ("system", "text", "code", "why"),
    [
        (SNOMED, " 72696002 ", "72696002", "blanks"),
        (SNOMED, "http://snomed.info/id/72696002", "72696002", "the address of the concept"),
        (SNOMED, "SCTID: 72696002", "72696002", "a prefix"),
        (SNOMED, "knee", None, "a word"),
        (SNOMED_RT, "t-d9200", "T-D9200", "lower case"),
        (SNOMED_RT, "TD9200", "T-D9200", "no hyphen"),
        (SNOMED_RT, "T D9200", "T-D9200", "a blank for the hyphen"),
        (SNOMED_RT, "T15460", "T-15460", "digits alone after the axis"),
        (SNOMED_RT, "D4-31005", "D4-31005", "an axis of two characters"),
        (FMA, "7088", "7088", "bare digits"),
        (FMA, "FMA:7088", "7088", "a prefix"),
        (FMA, "FMAID 7088", "7088", "another"),
        (FMA, "http://purl.org/sig/ont/fma/fma7088", "7088", "the address of the class"),
        (RADLEX, "rid1301", "RID1301", "lower case"),
        (RADLEX, "1301", "RID1301", "no prefix"),
        (RADLEX, "RID28829_RID5825", "RID28829_RID5825", "a location and its side"),
        (UMLS, "c0022742", "C0022742", "lower case"),
        (UBERON, "UBERON_0002107", "0002107", "an underscore"),
        (UBERON, "0002107", "0002107", "bare digits keep their zeros"),
        (ICD_O_3, "c349", "C34.9", "no point"),
        (ICD_O_3, "C34", "C34.9", "a category is its unspecified code"),
        (ICD_O_3, "8140/3", None, "a morphology names no site"),
        ("http://example.org/other", " x 1 ", "x 1", "a system that is not known"),
    ],
)
def test_a_code_is_read_as_its_system_writes_it(
    system: str, text: str, code: str | None, why: str
) -> None:
    assert code_of(system, text) == code, why


@pytest.mark.parametrize(
    ("designator", "value", "concept", "side", "why"),
    [
        ("SCT", "72696002", KNEE, None, "SNOMED CT"),
        ("sct", "72696002", KNEE, None, "a designator in lower case"),
        ("2.16.840.1.113883.6.96", "72696002", KNEE, None, "the scheme's UID"),
        ("SCT", "302553009", "818981001", None, "an Entire concept is its structure"),
        ("SRT", "T-D9200", KNEE, None, "SNOMED RT"),
        ("SNM3", "TD9200", KNEE, None, "SNOMED 3 without the hyphen"),
        ("99SDM", "T-D9200", KNEE, None, "the SNOMED DICOM Microglossary"),
        ("SCT", "T-D9200", KNEE, None, "an RT code with the designator of SNOMED CT"),
        ("SRT", "72696002", KNEE, None, "an SCT code with the designator of SNOMED RT"),
        ("FMA", "24974", KNEE, None, "FMA"),
        ("FMA", "FMA:7088", HEART, None, "FMA with a prefix"),
        ("RADLEX", "RID1301", LUNG, None, "RadLex"),
        ("RADLEX", "RID28829_RID5825", "7769000", RIGHT, "RadLex: right foot"),
        ("RADLEX", "RID2751_RID5824", "49076000", LEFT, "a side that the list does not have"),
        ("UMLS", "C0022742", KNEE, None, "a CUI"),
        ("UBERON", "UBERON:0002107", "10200004", None, "Uberon"),
        ("ICDO3", "C50.4", "76365002", None, "an ICD-O-3 topography"),
        ("ICDO3", "C16.2", "69695003", None, "a part without a concept: the region around it"),
    ],
)
def test_a_coded_entry_names_a_concept(
    codes: AnatomyCodes,
    designator: str,
    value: str,
    concept: str,
    side: Laterality | None,
    why: str,
) -> None:
    found = codes.find(CodedEntry(designator, value, ""))
    assert found is not None, why
    assert (found.code, found.laterality) == (concept, side), why
    assert found.assurance is not Assurance.MEANING_AGREES, why


@pytest.mark.parametrize(
    ("designator", "value", "assurance", "why"),
    [
        ("SCT", "72696002", Assurance.SURE, "the code of its own scheme"),
        ("", "72696002", Assurance.SURE, "no designator, and a code that is in the graph"),
        ("FMA", "24974", Assurance.MEANING_SILENT, "a row that was computed"),
        ("", "C0022742", Assurance.MEANING_SILENT, "no designator, a form of one system"),
        ("99ACME", "T-D9200", Assurance.MEANING_SILENT, "a form that only SNOMED RT has"),
        ("99ACME", "SCTID:72696002", Assurance.MEANING_SILENT, "a code that says its system"),
        ("99ACME", "72696002", Assurance.MEANING_AGREES, "a private number may be any"),
        ("DCM", "72696002", Assurance.MEANING_AGREES, "a number of another scheme too"),
    ],
)
def test_how_sure_a_concept_is_depends_on_who_names_it(
    codes: AnatomyCodes, designator: str, value: str, assurance: Assurance, why: str
) -> None:
    found = codes.find(CodedEntry(designator, value, ""))
    assert found is not None, why
    assert found.assurance is assurance, why
    assert (found.code, found.confidence == 1.0) == (KNEE, designator == "SCT")


@pytest.mark.parametrize(
    ("designator", "value", "why"),
    [
        ("SCT", "72696003", "the check digit is wrong"),
        ("SCT", "413815006", "a concept that is no body structure of the subset"),
        ("SRT", "T-ZZZZZ", "no code of the table"),
        ("I10", "S82.1", "ICD-10 names diseases"),
        ("99ACME", "123", "a private code"),
        ("MA", "MA:0000168", "a scheme without a table"),
        ("UMLS", "C0376152", "a CUI that is blocked"),
        ("RADLEX", "RID0", "no location"),
        ("", "", "nothing at all"),
    ],
)
def test_what_is_not_known_names_no_concept(
    codes: AnatomyCodes, designator: str, value: str, why: str
) -> None:
    assert codes.find(CodedEntry(designator, value, "")) is None, why


def test_a_row_of_one_source_that_errs_needs_the_meaning(codes: AnatomyCodes) -> None:
    weak = [
        row
        for table in Crosswalk.load().mapping_sets(FMA)
        for row in table.mappings
        if row.predicate_id == EXACT and row.confidence == UNCONFIRMED
    ]
    assert weak
    for row in weak[:20]:
        found = codes.find(CodedEntry("FMA", (row.subject_id or "").partition(":")[2], ""))
        assert found is not None
        assert found.assurance is Assurance.MEANING_AGREES


@given(st.sampled_from(["", "SCT", "SRT", "FMA", "RADLEX", "99X", "ICDO3"]), st.text(max_size=80))
def test_any_code_is_answered_whatever_its_case(designator: str, value: str) -> None:
    reader = _shared()
    found = reader.find(CodedEntry(designator, value, ""))
    assert reader.find(CodedEntry(designator.lower(), f" {value.upper()} ", "")) == found


@cache
def _shared() -> AnatomyCodes:
    return AnatomyCodes(Crosswalk.load(), BodyStructureGraph.load())


def test_a_part_without_a_concept_is_said_to_be_broader(codes: AnatomyCodes) -> None:
    broad = codes.find(CodedEntry("ICDO3", "C16.2", ""))
    exact = codes.find(CodedEntry("ICDO3", "C34.9", ""))
    assert broad is not None
    assert exact is not None
    assert (broad.broader, exact.broader) == (True, False)
    assert broad.rows[0].startswith("icd-o-3-topography.sssom.tsv:")


def test_a_concept_rests_on_the_rows_it_was_found_by(codes: AnatomyCodes) -> None:
    found = codes.find(CodedEntry("SRT", "T-D9200", ""))
    assert found is not None
    assert [row.partition(":")[0] for row in found.rows] == ["snomed-rt.tsv"]


@pytest.mark.parametrize(
    ("value", "side"),
    [
        ("7771000", LEFT),
        ("24028007", RIGHT),
        ("51440002", Laterality.BILATERAL),
        ("g-a100", RIGHT),
        ("GA101", LEFT),
        ("RID5824", LEFT),
        ("C0205090", RIGHT),
        ("66459002", None),
        ("", None),
    ],
)
def test_the_side_of_a_modifier(codes: AnatomyCodes, value: str, side: Laterality | None) -> None:
    assert codes.side(CodedEntry("SCT", value, "")) is side


def test_every_designator_is_of_a_system_that_has_a_table() -> None:
    mapped = {*Crosswalk.load().systems, SNOMED, SNOMED_RT}
    assert {*DESIGNATORS.values()} == {SNOMED, SNOMED_RT, FMA, RADLEX, UBERON, UMLS, ICD_O_3}
    assert {*DESIGNATORS.values()} <= mapped
    assert all(designator == designator.upper() for designator in DESIGNATORS)


@pytest.mark.parametrize(
    ("system", "value", "concept"),
    [
        ("fma", "FMA:7088", HEART),
        ("radlex", "rid1301", LUNG),
        ("uberon", "UBERON:0002107", "10200004"),
        ("icd-o-3", "c50", "76752008"),
        ("umls", "c0022742", KNEE),
        ("dicom", " hand ", HAND),
    ],
)
def test_codes_of_other_systems_are_read_by_name(system: str, value: str, concept: str) -> None:
    reading = CodeReader(Crosswalk.load()).read(system, value)
    assert reading.targets[0].code == concept
    assert reading.value == value
    assert reading.evidence[0].rows
