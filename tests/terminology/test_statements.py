"""What single attributes say, in the order of trust that the settings give."""

from __future__ import annotations

import pytest
from pydicom import Dataset, config

from terminology.concept import Laterality
from terminology.elements import Elements
from terminology.errors import DicomError
from terminology.library import Terminology, load_terminology
from terminology.local import LocalMappings
from terminology.settings import TRUST, HeaderSettings
from terminology.statements import StatementReader

LEFT, RIGHT, BOTH = Laterality.LEFT, Laterality.RIGHT, Laterality.BILATERAL
KNEE, HAND, FOOT, HEART, LUNG = "72696002", "85562004", "56459004", "80891009", "39607008"


def header(**values: object) -> Dataset:
    dataset = Dataset()
    with config.disable_value_validation():
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
    return dataset


def coded(value: str, designator: str = "SCT", meaning: str = "", **inner: object) -> Dataset:
    return header(CodeValue=value, CodingSchemeDesignator=designator, CodeMeaning=meaning, **inner)


def reader_of(settings: HeaderSettings | None = None) -> StatementReader:
    library: Terminology = load_terminology()
    return StatementReader(library.text, library.crosswalk, library.graph, settings=settings)


@pytest.fixture(scope="module")
def reader() -> StatementReader:
    return reader_of()


def said(reader: StatementReader, dataset: Dataset, modality: str | None = "CR"):
    return list(reader.read(Elements(dataset), modality))


def region(reader: StatementReader, item: Dataset):
    (statement,) = said(reader, header(AnatomicRegionSequence=[item]))
    return statement


ALL = {
    "AnatomicRegionSequence": [coded(KNEE)],
    "PrimaryAnatomicStructureSequence": [coded(HAND)],
    "BodyPartExamined": "FOOT",
    "SeriesDescription": "Elbow",
    "ProtocolName": "Shoulder",
    "AcquisitionDeviceProcessingDescription": "Skull",
    "PerformedProcedureStepDescription": "Pelvis",
    "RequestAttributesSequence": [header(RequestedProcedureDescription="Abdomen")],
    "RequestedProcedureDescription": "Chest",
    "RequestedProcedureCodeSequence": [coded("1", "99X", "Thigh")],
    "ProcedureCodeSequence": [coded("2", "99X", "Forearm")],
    "StudyDescription": "Hip",
}


def test_statements_come_in_the_order_of_the_settings(reader):
    order = [statement.keyword for statement in said(reader, header(**ALL))]
    assert order == [keyword for keyword in TRUST if keyword in ALL]
    turned = reader_of(HeaderSettings(trust=tuple(reversed(TRUST))))
    assert [statement.keyword for statement in said(turned, header(**ALL))] == order[::-1]


def test_an_attribute_that_is_not_trusted_says_nothing():
    reader = reader_of(HeaderSettings(trust=("StudyDescription", "BodyPartExamined")))
    order = [statement.keyword for statement in said(reader, header(**ALL))]
    assert order == ["StudyDescription", "BodyPartExamined"]


def test_sides_and_views_are_read_whatever_is_trusted():
    reader = reader_of(HeaderSettings(trust=()))
    dataset = header(Laterality="L", ViewPosition="AP", BodyPartExamined="KNEE")
    assert [statement.keyword for statement in said(reader, dataset)] == [
        "Laterality",
        "ViewPosition",
    ]


@pytest.mark.parametrize(
    ("keyword", "value", "site"),
    [
        ("ReasonForStudy", "knee", KNEE),
        ("AnatomicStructureSpaceOrRegionSequence", [coded(HAND)], HAND),
    ],
)
def test_any_attribute_can_be_trusted(keyword, value, site):
    reader = reader_of(HeaderSettings(trust=(keyword,)))
    (statement,) = said(reader, header(**{keyword: value}))
    assert (statement.keyword, statement.sites[0].code) == (keyword, site)


def test_a_trusted_attribute_that_is_none_is_refused():
    with pytest.raises(DicomError, match="trust: 'BodyPart' is no DICOM keyword; expected"):
        reader_of(HeaderSettings(trust=("BodyPart",)))


def test_words_lose_what_the_settings_say():
    reader = reader_of(HeaderSettings(description_factor=0.5, meaning_factor=0.25))
    plain = load_terminology().text.read("knee").sites[0].confidence
    described, meant = said(
        reader, header(AnatomicRegionSequence=[coded("1", "99X", "knee")], StudyDescription="knee")
    )[::-1]
    assert described.sites[0].confidence == pytest.approx(plain * 0.5, abs=0.001)
    assert meant.sites[0].confidence == pytest.approx(plain * 0.25, abs=0.001)
    assert reader.read_value("ProtocolName", "knee").sites == described.sites


@pytest.mark.parametrize(
    ("item", "code", "side", "why"),
    [
        (coded("24974", "FMA", "Knee"), KNEE, None, "FMA"),
        (coded("RID28829_RID5825", "RADLEX", "right foot"), FOOT, RIGHT, "RadLex with its side"),
        (coded("C0018787", "UMLS", "Heart"), HEART, None, "UMLS"),
        (coded("UBERON:0000948", "UBERON", "heart"), HEART, None, "Uberon"),
        (coded("C34.9", "ICDO3", "Lung, NOS"), LUNG, None, "ICD-O-3"),
        (coded("S62.5", "I10", "Fracture of thumb"), "76505004", None, "ICD-10: its meaning"),
        (coded("MA:0000072", "MA", "heart"), HEART, None, "mouse anatomy: its meaning"),
        (coded("4711", "99ACME", "Kniegelenk links"), KNEE, LEFT, "a private code: its meaning"),
        (coded(KNEE, "99ACME", "Knie"), KNEE, None, "a private designator, the meaning agrees"),
        (coded(KNEE, "99ACME", "Hand"), HAND, None, "a private number that means another part"),
        (coded("T-D9200", "99ACME", "Hand"), HAND, None, "the meaning contradicts"),
        (coded(KNEE, "SCT", "Right knee"), KNEE, RIGHT, "the meaning gives the side"),
        (coded("TD9200", "SRT"), KNEE, None, "a code without its hyphen"),
        (coded("302553009", "SCT"), "818981001", None, "an Entire concept is its structure"),
        (coded("62413002", "SCT", "Bone structure of radius"), "62413002", None, "long meaning"),
        (header(URNCodeValue="http://snomed.info/id/72696002"), KNEE, None, "a URN"),
        (header(LongCodeValue=KNEE, CodingSchemeDesignator="SCT"), KNEE, None, "a long code"),
        (
            coded("4711", "99ACME", "", EquivalentCodeSequence=[coded(KNEE)]),
            KNEE,
            None,
            "an equivalent code of a scheme that is known",
        ),
    ],
)
def test_regions_in_any_scheme(reader, item, code, side, why):
    statement = region(reader, item)
    assert [site.code for site in statement.sites] == [code], why
    assert statement.laterality == side, why
    assert statement.sites[0].laterality == side, why


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (coded(KNEE, "99ACME"), "a private number may be any"),
        (coded("S82.1", "I10"), "ICD-10 without a meaning"),
        (coded("C0376152", "UMLS"), "a CUI that is blocked"),
        (coded("C42.0", "ICDO3", "Blood"), "no site at all"),
        (coded("72696003", "SCT"), "a wrong check digit and no meaning"),
        (coded("4711", "99ACME", "miscellaneous"), "a meaning that names no part"),
    ],
)
def test_a_code_that_says_nothing_gives_no_site(reader, item, why):
    statement = region(reader, item)
    assert statement.sites == (), why
    assert "is not known" in (statement.evidence[0].note or "")


def test_the_meaning_tells_the_part_where_the_code_is_only_of_a_part(reader):
    statement = region(reader, coded("C49.1", "ICDO3", "Soft tissue of the forearm"))
    assert [site.code for site in statement.sites] == ["14975008"]
    assert "is of a part of 53120007 |Upper limb|" in (statement.evidence[0].note or "")
    assert statement.evidence[0].rows[0].startswith("icd-o-3-topography.sssom.tsv:")
    silent = region(reader, coded("C49.1", "ICDO3"))
    assert [site.code for site in silent.sites] == ["53120007"]


def test_a_meaning_that_contradicts_a_sure_code_is_named(reader):
    statement = region(reader, coded(KNEE, "SCT", "Hand"))
    assert [site.code for site in statement.sites] == [KNEE]
    assert statement.evidence[0].note == "its meaning is another part"


@pytest.mark.parametrize(
    ("modifiers", "side"),
    [
        ([coded("RID5825", "RADLEX", "right")], RIGHT),
        ([coded("GA101", "SRT")], LEFT),
        ([coded("L", "99ACME", "links")], LEFT),
        ([coded("40415009", "SCT", "Proximal"), coded("7771000")], LEFT),
        ([coded("40415009", "SCT", "Proximal")], None),
        ([coded("7771000"), coded("24028007")], BOTH),
    ],
)
def test_modifiers_of_a_region(reader, modifiers, side):
    item = coded(KNEE, AnatomicRegionModifierSequence=modifiers)
    assert region(reader, item).sites[0].laterality == side


def test_a_modifier_against_a_sided_code_is_named(reader):
    item = coded("85151006", AnatomicRegionModifierSequence=[coded("24028007")])
    statement = region(reader, item)
    assert statement.sites[0].laterality is LEFT
    assert statement.evidence[0].note == "the modifier says right, the code left"


def test_a_part_that_comes_once_gets_no_side_from_a_table(reader):
    # A vessel of the left that has no concept lies in the brain, which comes once.
    table = "radlex.sssom.tsv"
    (row,) = [
        row
        for found in load_terminology().crosswalk.mapping_sets("http://radlex.org")
        for row in found.mappings
        if row.object_id == "snomedct:12738006" and row.object_laterality is LEFT
    ][:1]
    statement = region(reader, coded((row.subject_id or "").partition(":")[2], "RADLEX"))
    assert (statement.sites[0].code, statement.sites[0].laterality) == ("12738006", None)
    assert statement.evidence[0].rows[0].startswith(table)


@pytest.mark.parametrize(
    ("term", "person", "animal"),
    [
        ("FOREFOOT", FOOT, "419176008"),
        ("forefoot", FOOT, "419176008"),
        ("LEGS", None, "42694008"),
        ("TARSUS", "108371006", "108371006"),
    ],
)
def test_a_term_of_animals_is_of_animals_only(reader, term, person, animal):
    (human,) = said(reader, header(BodyPartExamined=term))
    (dog,) = said(reader, header(BodyPartExamined=term, PatientSpeciesDescription="Canine"))
    assert dog.sites[0].code == animal
    if person is None:
        assert all(site.code != animal for site in human.sites)
    else:
        assert human.sites[0].code == person
    assert reader.read_value("BodyPartExamined", term).sites == human.sites


def test_a_value_says_which_of_its_words_were_used(reader):
    assert reader.read_value("BodyPartExamined", "HAND").used == ("HAND",)
    assert reader.read_value("StudyDescription", "Hand").used


def test_a_field_that_is_no_keyword_is_refused(reader):
    with pytest.raises(DicomError, match="field: 'Body Part' is no DICOM keyword"):
        reader.read_value("Body Part", "HAND")


DECISION = """\
#mapping_set_id: https://example.org/local/header-words
#mapping_set_version: "2026-11-20"
#license: https://creativecommons.org/publicdomain/zero/1.0/
#curie_map:
#  site: https://example.org/
#  snomedct: http://snomed.info/id/
#subject_source: https://w3id.org/bodysite/CodeSystem/header-words
#object_source: http://snomed.info/sct
"""
COLUMNS = (
    "subject_label\tpredicate_id\tobject_id\tmapping_justification\tauthor_id\tsubject_type\t"
    "confidence\tsubject_scope"
)


@pytest.mark.parametrize(
    ("object_id", "sites"), [("snomedct:56459004", [FOOT]), ("sssom:NoTermFound", [])]
)
def test_what_a_site_decided_of_a_term_comes_before_the_standard(tmp_path, object_id, sites):
    row = "\t".join(
        (
            "HAND",
            "skos:exactMatch",
            object_id,
            "semapv:ManualMappingCuration",
            "site:curator",
            "rdfs literal",
            "1",
            "value",
        )
    )
    path = tmp_path / "header-words.sssom.tsv"
    path.write_text(f"{DECISION}{COLUMNS}\n{row}\n", encoding="utf-8")
    library = Terminology.load(local=LocalMappings.read(tmp_path))
    statement = library.header.read_value("BodyPartExamined", "HAND")
    assert [site.code for site in statement.sites] == sites
    assert library.header.read_value("BodyPartExamined", "KNEE").sites[0].code == KNEE
