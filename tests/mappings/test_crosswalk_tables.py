"""The tables that map from IRMA, UNIFESP and the UMLS, tested as data."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from itertools import pairwise

import pytest

from terminology import sssom
from terminology.concept import Laterality
from terminology.graph import BodyStructureGraph
from terminology.identifiers import cui_problem, irma_problem, sctid_problem
from terminology.mapping import BROAD, CLOSE, EXACT, MappingSet, SemanticMapping
from terminology.tables import mappings_folder

IRMA = "irma-anatomy-2008"
UNIFESP = "unifesp"
UMLS = "umls-cui"
TABLES = (IRMA, UNIFESP, UMLS)

# The IRMA anatomical axis, list of 2008: the third characters under each two.
IRMA_THIRD = {
    "11": "0",
    "12": "0",
    "13": "0",
    "21": "0123456789abcdefghijklmno",
    "22": "012",
    "23": "0123",
    "31": "0123456789ab",
    "32": "0123456789abcdefg",
    "33": "012345678",
    "34": "0123456",
    "35": "01",
    "41": "01234567",
    "42": "012",
    "43": "012345678",
    "44": "012",
    "45": "0123456",
    "46": "01234567",
    "51": "01234567",
    "52": "0123",
    "53": "0",
    "54": "0123",
    "55": "0",
    "56": "0",
    "61": "01",
    "62": "01",
    "71": "0123",
    "72": "0123",
    "73": "0123",
    "74": "0",
    "75": "0",
    "81": "01",
    "82": "0",
    "83": "01",
    "84": "012",
    "91": "0123456789ab",
    "92": "012",
    "93": "0123456",
    "94": "0123",
    "95": "0123456",
    "96": "012",
    "a1": "0",
    "a2": "0",
    "a3": "0",
}
IRMA_CODES = {
    *"0123456789a",
    *IRMA_THIRD,
    *(f"{first}0" for first in "123456789a"),
    *(two + third for two, thirds in IRMA_THIRD.items() for third in thirds),
}


@cache
def table(name: str) -> MappingSet:
    return sssom.read(mappings_folder() / f"{name}.sssom.tsv")


@cache
def concepts() -> dict[str, dict[str, str]]:
    lines = (mappings_folder() / "body-structure-concepts.tsv").read_text("utf-8").splitlines()
    header, *rows = (line.split("\t") for line in lines if not line.startswith("#"))
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


def rows(name: str, code: str) -> list[SemanticMapping]:
    return [row for row in table(name).mappings if local(row.subject_id) == code]


def local(curie: str | None) -> str:
    return (curie or "").partition(":")[2]


def target(name: str, code: str, predicate: str) -> list[tuple[str, Laterality | None]]:
    return [
        (local(row.object_id), row.object_laterality)
        for row in rows(name, code)
        if row.predicate_id == predicate and not row.negated and not row.no_match
    ]


@pytest.mark.parametrize("name", TABLES)
def test_the_block_declares_what_a_reader_of_the_table_needs(name: str) -> None:
    metadata = table(name).metadata
    assert metadata["mapping_set_id"] == f"https://w3id.org/bodysite/mappings/{name}"
    assert metadata["mapping_set_version"] == "2026-11-20"
    assert str(metadata["license"]).startswith("https://creativecommons.org/")
    assert metadata["object_source"] == "http://snomed.info/sct"
    assert table(name).curie_map["snomedct"] == "http://snomed.info/id/"
    assert table(name).curie_map["bodysite"] == "https://w3id.org/bodysite/"


@pytest.mark.parametrize("name", [IRMA, UMLS])
def test_a_table_with_sides_declares_the_extension_slot(name: str) -> None:
    (definition,) = table(name).metadata["extension_definitions"]  # type: ignore[misc]
    assert definition["slot_name"] == "object_laterality"
    assert any(row.object_laterality for row in table(name).mappings)


def test_the_irma_table_says_which_list_it_decodes() -> None:
    assert table(IRMA).metadata["subject_source_version"] == "2008"


def test_the_table_that_draws_on_uberon_credits_it() -> None:
    assert "Uberon" in str(table(UMLS).metadata["mapping_set_description"])
    assert table(UMLS).metadata["license"] == "https://creativecommons.org/licenses/by/3.0/"


@pytest.mark.parametrize("name", TABLES)
def test_the_table_is_in_canonical_form(name: str) -> None:
    path = mappings_folder() / f"{name}.sssom.tsv"
    assert sssom.dumps(table(name)).encode() == path.read_bytes()


@pytest.mark.parametrize("name", TABLES)
def test_rows_are_sorted_and_pairs_are_unique(name: str) -> None:
    mappings = table(name).mappings
    assert all(sssom.sort_key(one) < sssom.sort_key(two) for one, two in pairwise(mappings))
    pairs = [(row.subject_id, row.object_id) for row in mappings]
    assert len(pairs) == len(set(pairs))  # so none is both asserted and negated


@pytest.mark.parametrize("name", TABLES)
def test_every_object_is_a_concept_of_the_embedded_subset(name: str) -> None:
    codes = {local(row.object_id) for row in table(name).mappings if not row.no_match}
    assert [code for code in sorted(codes) if sctid_problem(code)] == []
    assert sorted(codes - concepts().keys()) == []


@pytest.mark.parametrize("name", TABLES)
def test_objects_are_labelled_as_the_embedded_subset_names_them(name: str) -> None:
    assert [
        f"{row.line}: {row.object_label}"
        for row in table(name).mappings
        if not row.no_match and row.object_label != concepts()[local(row.object_id)]["display"]
    ] == []


@pytest.mark.parametrize("name", TABLES)
def test_every_row_has_a_curator_and_a_confidence(name: str) -> None:
    for row in table(name).mappings:
        assert row.author_id == "bodysite:curators", row.line
        assert row.mapping_justification == "semapv:ManualMappingCuration", row.line
        assert row.confidence is not None, row.line


@pytest.mark.parametrize("name", TABLES)
def test_what_is_refused_or_without_counterpart_says_why(name: str) -> None:
    for row in table(name).mappings:
        if row.negated or row.no_match:
            assert row.comment is not None, row.line
            assert len(row.comment) > 10, row.line


@pytest.mark.parametrize("name", TABLES)
def test_a_subject_without_counterpart_has_no_target_beside_it(name: str) -> None:
    none = {row.subject_id for row in table(name).mappings if row.no_match}
    asserted = {
        row.subject_id for row in table(name).mappings if not row.no_match and not row.negated
    }
    assert none & asserted == set()


@pytest.mark.parametrize("name", TABLES)
def test_a_side_is_never_that_of_the_opposite_concept(name: str) -> None:
    for row in table(name).mappings:
        if not row.no_match and row.object_laterality:
            side = concepts()[local(row.object_id)]["laterality"]
            assert side in ("", row.object_laterality), row.line


@pytest.mark.parametrize("name", TABLES)
def test_a_broader_object_subsumes_the_better_ones_of_its_subject(name: str) -> None:
    graph = BodyStructureGraph.load()
    by_subject: dict[str, list[SemanticMapping]] = defaultdict(list)
    for row in table(name).mappings:
        if not row.negated and not row.no_match:
            by_subject[row.subject_id or ""].append(row)
    wrong = [
        f"{subject}: {broad.object_label} over {better.object_label}"
        for subject, found in by_subject.items()
        for broad in found
        for better in found
        if broad.predicate_id == BROAD
        and better.predicate_id != BROAD
        and not graph.subsumes(local(broad.object_id), local(better.object_id))
    ]
    assert wrong == []


def test_the_2008_list_has_268_codes() -> None:
    assert len(IRMA_CODES) == 268


def test_every_irma_code_of_2008_is_decided_and_no_other() -> None:
    subjects = {local(row.subject_id) for row in table(IRMA).mappings}
    assert [code for code in sorted(subjects) if irma_problem(code, 3)] == []
    assert subjects == IRMA_CODES


def test_irma_codes_without_counterpart_are_the_ones_that_name_no_region() -> None:
    none = {local(row.subject_id) for row in table(IRMA).mappings if row.no_match}
    assert none == {"0", "13", "130", "351"} | {code for code in IRMA_CODES if code[0] == "a"}


def test_an_unspecified_irma_code_maps_like_its_parent() -> None:
    for code in sorted(IRMA_CODES):
        if len(code) > 1 and code.endswith("0"):
            parent = [(row.predicate_id, row.object_id) for row in rows(IRMA, code[:-1])]
            assert [(row.predicate_id, row.object_id) for row in rows(IRMA, code)] == parent, code


def test_irma_labels_carry_the_whole_path() -> None:
    (label,) = {row.subject_label for row in rows(IRMA, "414")}
    assert label == "upper extremity (arm) > hand > left hand"


def test_every_irma_row_states_the_side_of_its_label_and_no_other() -> None:
    # Seen from the list itself: the last part of the path with a side in it decides.
    for row in table(IRMA).mappings:
        words = re.findall(r"\b(left|right)\b", row.subject_label or "")
        expected = Laterality(words[-1]) if words and not row.no_match else None
        assert row.object_laterality == expected, (row.line, row.subject_label)


def test_a_sided_irma_code_also_maps_to_an_unsided_concept() -> None:
    for code in sorted(IRMA_CODES):
        sided = [row for row in rows(IRMA, code) if row.object_laterality]
        if sided:
            objects = [concepts()[local(row.object_id)] for row in sided]
            broad = [
                concept
                for row, concept in zip(sided, objects, strict=True)
                if row.predicate_id == BROAD and not concept["laterality"]
            ]
            assert len(broad) == 1, code
            unsided = {concept["unsided"] for concept in objects} - {""}
            assert unsided <= {broad[0]["code"]}, code


LEFT, RIGHT = Laterality.LEFT, Laterality.RIGHT

# code, predicate, object, side, why. With skos:broadMatch the OBJECT is broader.
IRMA_GOLD = [
    ("1", EXACT, "38266002", None, "whole body: DICOM WHOLEBODY"),
    ("12", EXACT, "66019005", None, "extremities"),
    ("217", CLOSE, "2095001", None, "an area around the paranasal sinuses"),
    ("21d", BROAD, "39481002", None, "a third molar of the upper jaw is in the upper arch"),
    ("21o", EXACT, "442274007", None, "incisors of the lower jaw, a DICOM defined term"),
    ("222", EXACT, "42575006", None, "sella"),
    ("233", BROAD, "89546000", None, "the occipital area of the skull, not the visual cortex"),
    ("311", EXACT, "1172006", None, "dens"),
    ("315", EXACT, "14806007", None, "C1 is the atlas"),
    ("316", EXACT, "39976000", None, "C2 is the axis, as is 312"),
    ("32g", EXACT, "23215003", None, "T12, the last of the thoracic letters"),
    ("341", CLOSE, "1217253001", None, "the lumbosacral junction lies in the lumbosacral spine"),
    ("346", EXACT, "21452006", None, "S5"),
    ("414", EXACT, "85151006", LEFT, "left hand"),
    ("414", BROAD, "85562004", LEFT, "left hand is a hand"),
    ("415", EXACT, "78791008", RIGHT, "right hand"),
    ("417", BROAD, "7569003", RIGHT, "no sided finger concept is confirmed"),
    ("42", CLOSE, "74670003", None, "the radiocarpal joint is the main part of the wrist joint"),
    ("434", BROAD, "64262003", RIGHT, "the right distal forearm is part of the right forearm"),
    ("44", EXACT, "127949000", None, "elbow is the region, not the joint"),
    ("451", BROAD, "40983000", LEFT, "2008: left upper arm; 2003: distal upper arm"),
    ("462", EXACT, "720592006", LEFT, "2008: left shoulder joint"),
    ("463", EXACT, "720593001", RIGHT, "2008: right shoulder joint; 2003: acromioclavicular"),
    ("465", EXACT, "724204008", RIGHT, "acromio-scapula joint read as acromioclavicular"),
    ("5", EXACT, "816094009", None, "the current DICOM code of CHEST"),
    ("514", BROAD, "113197003", RIGHT, "ribs: right comes first"),
    ("515", BROAD, "113197003", LEFT, "ribs: left comes second"),
    ("516", EXACT, "720617006", LEFT, "clavicle: left comes first again"),
    ("522", EXACT, "72481006", None, "only the right lung has a middle lobe; no side is stated"),
    ("61", EXACT, "73056007", RIGHT, "breast: right comes first"),
    ("62", EXACT, "80248007", LEFT, "breast: left comes second"),
    ("621", BROAD, "80248007", LEFT, "a zoom shows part of the left breast"),
    ("7", EXACT, "818981001", None, "the current DICOM code of ABDOMEN"),
    ("711", EXACT, "50519007", RIGHT, "upper right quadrant"),
    ("8", EXACT, "816092008", None, "the current DICOM code of PELVIS"),
    ("916", BROAD, "56459004", None, "419176008 is a forefoot of quadrupeds"),
    ("917", EXACT, "80144004", None, "calcaneus, without a side"),
    ("92", EXACT, "70258002", None, "the list says ankle joint"),
    ("922", EXACT, "720533003", RIGHT, "printed 'right unkle joint'"),
    ("943", EXACT, "6757004", RIGHT, "right knee"),
    ("955", BROAD, "61396006", LEFT, "left proximal upper leg is part of the left thigh"),
    ("961", EXACT, "287679003", LEFT, "left hip"),
]


@pytest.mark.parametrize(("code", "predicate", "concept", "side", "why"), IRMA_GOLD)
def test_irma_gold(
    code: str, predicate: str, concept: str, side: Laterality | None, why: str
) -> None:
    assert (concept, side) in target(IRMA, code, predicate), why


def test_the_forefoot_of_quadrupeds_is_refused_for_the_human_one() -> None:
    (refused,) = [row for row in rows(IRMA, "916") if row.negated]
    assert refused.object_id == "snomedct:419176008"


# The labels of the data set, in the order of their codes 0 to 21.
UNIFESP_LABELS = [
    "Abdomen",
    "Ankle",
    "Cervical Spine",
    "Chest",
    "Clavicles",
    "Elbow",
    "Feet",
    "Finger",
    "Forearm",
    "Hand",
    "Hip",
    "Knee",
    "Lower Leg",
    "Lumbar Spine",
    "Others",
    "Pelvis",
    "Shoulder",
    "Sinus",
    "Skull",
    "Thigh",
    "Thoracic Spine",
    "Wrist",
]


def test_every_unifesp_label_is_decided_under_its_own_code() -> None:
    found = {(local(row.subject_id), row.subject_label) for row in table(UNIFESP).mappings}
    assert found == {(str(code), label) for code, label in enumerate(UNIFESP_LABELS)}


def test_every_unifesp_label_but_others_has_one_exact_match() -> None:
    exact = {str(code): target(UNIFESP, str(code), EXACT) for code in range(22)}
    assert [code for code, found in exact.items() if len(found) != 1] == ["14"]


@pytest.mark.parametrize(
    ("code", "predicate", "concept", "why"),
    [
        ("3", EXACT, "816094009", "the current DICOM code of CHEST"),
        ("6", EXACT, "56459004", "Feet"),
        ("10", EXACT, "29836001", "Hip: a radiograph shows the region"),
        ("10", CLOSE, "24136001", "DICOM HIP is the joint"),
        ("12", EXACT, "30021000", "Lower Leg is not the lower limb 61685007"),
        ("17", EXACT, "2095001", "Sinus: the paranasal sinuses"),
        ("21", EXACT, "8205005", "Wrist: the region"),
    ],
)
def test_unifesp_gold(code: str, predicate: str, concept: str, why: str) -> None:
    assert (concept, None) in target(UNIFESP, code, predicate), why


def test_umls_subjects_are_cuis() -> None:
    subjects = {local(row.subject_id) for row in table(UMLS).mappings}
    assert [subject for subject in sorted(subjects) if cui_problem(subject)] == []


@pytest.mark.parametrize(
    ("cui", "why"),
    [
        ("C0376152", "stands where captions say arrow"),
        ("C0228391", "stands where captions say hip, and is a tract of the brain"),
        ("C0935598", "sagittal is a plane"),
        ("C0175331", "stands where captions say MPR"),
        ("C0224155", "stands where captions say digastric"),
    ],
)
def test_a_blocked_cui_never_maps(cui: str, why: str) -> None:
    assert rows(UMLS, cui), why
    assert all(row.negated or row.no_match for row in rows(UMLS, cui)), why


@pytest.mark.parametrize(
    ("cui", "concept", "why"),
    [
        ("C0040113", "51185008", "a shifted row: thymus is not thorax"),
        ("C0040408", "49460000", "a shifted row: tongue is not soft palate"),
        ("C0024947", "24924006", "a shifted row: maxilla is not parietal bone"),
        ("C1140621", "344001", "a shifted row: lower leg is not ankle"),
        ("C0040132", "23664000", "a shifted row: thyroid is not vertebral vein"),
        ("C0014540", "81502006", "a shifted row: epiglottis is not hypopharynx"),
        ("C0019155", "48338005", "a shifted row: hepatic vein is not hepatic flexure"),
        ("C0037996", "78961009", "a shifted row: splenic artery is not spleen"),
    ],
)
def test_shifted_pairs_of_the_sources_are_never_asserted(cui: str, concept: str, why: str) -> None:
    asserted = {local(row.object_id) for row in rows(UMLS, cui) if not row.negated}
    assert concept not in asserted, why


# cui, predicate, object, why
UMLS_GOLD = [
    ("C0817096", EXACT, "816094009", "chest; the sources have the former 51185008"),
    ("C0000726", EXACT, "818981001", "abdomen; the source has the former 113345001"),
    ("C0030797", EXACT, "816092008", "pelvis; the sources have the former 12921003"),
    ("C0024109", EXACT, "39607008", "lung"),
    ("C0006104", EXACT, "12738006", "brain"),
    ("C0018787", EXACT, "80891009", "heart, which DICOM also calls endo-cardiac"),
    ("C0022742", EXACT, "72696002", "knee: the region"),
    ("C0022745", EXACT, "49076000", "knee joint"),
    ("C0019552", EXACT, "29836001", "hip: the region"),
    ("C0019558", EXACT, "24136001", "hip joint"),
    ("C0015811", EXACT, "71341001", "femur"),
    ("C1140621", EXACT, "30021000", "lower leg"),
    ("C0023216", EXACT, "61685007", "lower limb"),
    ("C0446516", EXACT, "40983000", "upper arm"),
    ("C0020885", EXACT, "34516001", "ileum, the bowel"),
    ("C0020889", EXACT, "22356005", "ilium, the bone"),
    ("C0040113", EXACT, "9875009", "thymus"),
    ("C0205054", CLOSE, "10200004", "hepatic: an adjective of the liver"),
    ("C1278931", BROAD, "15776009", "the entire pancreas maps to its structure"),
    ("C0026367", BROAD, "38199008", "a molar is a tooth"),
]


@pytest.mark.parametrize(("cui", "predicate", "concept", "why"), UMLS_GOLD)
def test_umls_gold(cui: str, predicate: str, concept: str, why: str) -> None:
    assert concept in {code for code, _ in target(UMLS, cui, predicate)}, why


def test_a_cui_that_image_sets_misuse_is_marked_as_weak() -> None:
    (axilla,) = rows(UMLS, "C0004454")
    assert axilla.object_id == "snomedct:91470000"
    assert axilla.confidence is not None
    assert axilla.confidence <= 0.5


def test_a_cui_has_at_most_one_exact_match() -> None:
    exact = [
        row.subject_id
        for row in table(UMLS).mappings
        if row.predicate_id == EXACT and not row.negated
    ]
    assert sorted(cui for cui in set(exact) if exact.count(cui) > 1) == []
