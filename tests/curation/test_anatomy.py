"""The rules by which the tables of anatomy codes are made, on small lists of our own."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner

from curation import anatomy
from curation.fma import Fma
from curation.radlex import Location, RadLex
from curation.snomed import entire_rows, rt_rows
from curation.subset import Subset, normalised, one_side, stated_sides
from curation.uberon import KINDS, Pair, Uberon, UberonClass, exact_of_cuis, on_stated_side
from terminology import sssom
from terminology.concept import Laterality
from terminology.errors import TableError
from terminology.mapping import BROAD, EXACT, SemanticMapping
from terminology.tables import mappings_folder

HAND, LEFT_HAND, FINGER, THORAX = "85562004", "85151006", "7569003", "51185008"
CHEST, LUNG, UPPER_ARM, UPPER_LIMB = "816094009", "39607008", "40983000", "53120007"
LEFT, RIGHT = Laterality.LEFT, Laterality.RIGHT


@pytest.fixture(scope="module")
def subset() -> Subset:
    return Subset(mappings_folder())


def location(identifier: str, description: str, **cells: str) -> Location:
    empty = dict.fromkeys(("sct", "fma", "container", "left", "right", "unsided"), "")
    return Location(identifier, description, **{**empty, **cells})


def shown(row: SemanticMapping) -> tuple[str, str | None, str | None]:
    predicate = row.predicate_id.removeprefix("skos:")
    return predicate, None if row.no_match else sssom.object_code(row), row.object_laterality


LOCATIONS = (
    location("RID1", "whole body", sct="123037004"),
    location("RID2", "hand", sct=HAND, fma="100", container="RID1"),
    location("RID2_RID5824", "left hand", left="RID2_RID5824", unsided="RID2", container="RID1"),
    location("RID3", "fiddle", fma="101", container="RID2", left="RID3_RID5824"),
    location("RID3_RID5824", "left fiddle", fma="102", container="RID2_RID5824", unsided="RID3"),
    location("RID4", "bow of fiddle", fma="200", container="RID3"),
    location("RID5", "lung", sct=HAND, container="RID1"),
    location("RID6", "finger", sct="999", container="RID2"),
    location("RID7", "aura", container="RID1"),
    location("RID1968", "arm", sct=UPPER_LIMB, container="RID1"),
    location("RID8", "biceps string", container="RID1968"),
    location("RID9", "umbilical vein", sct="284639000", container="RID2"),
    location("RID10", "hand (body structure)", sct=HAND, fma="7310", container="RID1"),
)


@pytest.fixture(scope="module")
def radlex(subset: Subset) -> RadLex:
    return RadLex(LOCATIONS, subset)


@pytest.mark.parametrize(
    ("identifier", "expected", "why"),
    [
        ("RID2", ("exactMatch", HAND, None), "code and name agree"),
        ("RID2_RID5824", ("exactMatch", LEFT_HAND, LEFT), "the name finds the sided concept"),
        ("RID3", ("broadMatch", HAND, None), "its container is the hand"),
        ("RID3_RID5824", ("broadMatch", LEFT_HAND, LEFT), "on its own side"),
        ("RID4", ("broadMatch", HAND, None), "two containers up"),
        ("RID5", ("exactMatch", LUNG, None), "the row is shifted: the name decides"),
        ("RID6", ("exactMatch", FINGER, None), "the code is unknown: the name decides"),
        ("RID7", ("exactMatch", None, None), "only the whole body contains it"),
        ("RID1968", ("exactMatch", UPPER_ARM, None), "the arm is no whole limb"),
        ("RID8", ("broadMatch", UPPER_ARM, None), "what hangs on the arm lies in the upper arm"),
        ("RID9", ("broadMatch", HAND, None), "DICOM's umbilical vein is of the liver"),
    ],
)
def test_a_location_maps_to_what_it_is_or_lies_in(
    radlex: RadLex, identifier: str, expected: tuple[str, str | None, str | None], why: str
) -> None:
    rows = [row for row in radlex.rows() if row.subject_id == f"radlex:{identifier}"]
    assert [shown(row) for row in rows] == [expected], why


@pytest.mark.parametrize(
    ("identifier", "comment", "confidence"),
    [
        ("RID2", None, 0.95),
        ("RID5", "the source has 85562004 |Hand|, of another structure", 0.85),
        ("RID6", "the source has 999, which is not in the embedded subset", 0.85),
        ("RID3", "contained by RID2 hand", 0.7),
        ("RID4", "contained by RID2 hand", 0.6),
        ("RID7", "no one region contains it: the list places it in the whole body", 0.8),
    ],
)
def test_a_row_of_a_location_says_why_and_how_sure(
    radlex: RadLex, identifier: str, comment: str | None, confidence: float
) -> None:
    (row,) = [row for row in radlex.rows() if row.subject_id == f"radlex:{identifier}"]
    assert (row.comment, row.confidence) == (comment, confidence)


def test_a_sided_location_without_a_concept_maps_to_its_twin(subset: Subset) -> None:
    locations = (
        location("RID5", "lung"),
        location("RID5_RID5825", "lung on that side", right="RID5_RID5825", unsided="RID5"),
    )
    _, row = RadLex(locations, subset).rows()
    assert shown(row) == ("broadMatch", LUNG, RIGHT)
    assert row.comment == "RID5 without its side"


CLASSES = (
    UberonClass("UBERON:1", "manus", fma=["100"], sct=["302539009"]),
    UberonClass("UBERON:2", "lung", cuis=["C1"], sct=["181216001"]),
    UberonClass("UBERON:3", "lung", cuis=["C2"]),
    UberonClass("UBERON:4", "string of manus", fma=["300"], parents=["UBERON:1"]),
    UberonClass("UBERON:5", "knot of string", fma=["101"], parents=["UBERON:4"]),
    UberonClass("UBERON:6", "embryonic string", parents=["UBERON:1"]),
    UberonClass("UBERON:7", "left string", fma=["301"], parents=["UBERON:1"]),
    UberonClass("UBERON:8", "string of nowhere", parents=["UBERON:9"]),
    UberonClass("UBERON:10", "bone", parents=[]),
    UberonClass("UBERON:11", "string bone", parents=["UBERON:10", "UBERON:1"]),
    UberonClass("UBERON:12", "knot of knot of knot", parents=["UBERON:13"]),
    UberonClass("UBERON:13", "knot of knot", parents=["UBERON:5"]),
    UberonClass("UBERON:14", "mammary gland", sct=["76752008"]),
    UberonClass("UBERON:15", "stifle joint", sct=["72696002"]),
    UberonClass("UBERON:16", "thing of DICOM", fma=["7310"]),
    UberonClass("UBERON:0001508", "arch of aorta"),
)
PAIRS = (
    Pair(CHEST, "Chest", "400", ""),
    Pair(LUNG, "Lung", "", "16"),
)


@pytest.fixture(scope="module")
def uberon(radlex: RadLex, subset: Subset) -> Uberon:
    return Uberon(CLASSES, PAIRS, radlex, {"C1": LUNG, "C2": HAND}, subset)


@pytest.mark.parametrize(
    ("number", "expected", "why"),
    [
        ("1", [("exactMatch", HAND, None)], "the locations have its FMA identifier"),
        ("2", [("exactMatch", LUNG, None)], "label and CUI agree"),
        ("3", [], "label and CUI contradict each other"),
        ("4", [("broadMatch", HAND, None)], "its parent is the hand"),
        ("5", [("broadMatch", HAND, None)], "two steps up"),
        ("6", [], "an embryo's"),
        ("7", [("broadMatch", LEFT_HAND, LEFT)], "its label states the side"),
        ("8", [], "no parent is known"),
        ("11", [("broadMatch", HAND, None)], "a kind is no place"),
        ("12", [], "four steps up are too far"),
        ("14", [], "judged: the gland is not the breast"),
        ("15", [("closeMatch", "72696002", None)], "judged: the knee of animals"),
        ("16", [("exactMatch", LUNG, None)], "DICOM pairs it; the FMA identifier is a wrong one"),
        ("0001508", [("exactMatch", "57034009", None)], "judged: the name in another order"),
    ],
)
def test_a_class_maps_to_what_it_is_or_lies_in(
    uberon: Uberon, number: str, expected: list[tuple[str, str, str | None]], why: str
) -> None:
    rows = [row for row in uberon.rows() if row.subject_id == f"uberon:{number}"]
    assert [shown(row) for row in rows] == expected, why


@pytest.mark.parametrize(
    ("number", "confidence", "comment"),
    [
        ("1", 0.85, "FMA 100 RID2"),
        ("2", 0.95, "label; CUI"),
        ("16", 0.95, "DICOM UBERON"),
        ("0001508", 0.85, "adjudicated"),
        ("4", 0.7, "part of or kind of UBERON:1 manus"),
        ("5", 0.6, "below UBERON:1 manus"),
    ],
)
def test_a_row_of_a_class_says_why_and_how_sure(
    uberon: Uberon, number: str, confidence: float, comment: str
) -> None:
    (row,) = [row for row in uberon.rows() if row.subject_id == f"uberon:{number}"]
    assert (row.confidence, row.comment) == (confidence, comment)


@pytest.mark.parametrize(
    ("fma", "expected", "why"),
    [
        ("100", [("exactMatch", HAND, 0.85)], "Uberon speaks before the locations"),
        (
            "101",
            [("broadMatch", HAND, 0.7)],
            "Uberon knows the identifier; its location",
        ),
        ("102", [("broadMatch", LEFT_HAND, 0.7)], "beside that of its twin, which Uberon knows"),
        ("200", [], "nobody else knows the identifier"),
        ("300", [("broadMatch", HAND, 0.7)], "where its class lies"),
        ("301", [("broadMatch", LEFT_HAND, 0.7)], "on the side of its class"),
        ("400", [("exactMatch", CHEST, 0.95)], "DICOM pairs it"),
        ("7184", [("exactMatch", "61685007", 0.9)], "judged: the lower limb"),
        ("7310", [("exactMatch", LUNG, 0.95)], "the location's pair is a wrong one"),
    ],
)
def test_an_identifier_maps_to_what_others_pair_it_with(
    radlex: RadLex,
    uberon: Uberon,
    subset: Subset,
    fma: str,
    expected: list[tuple[str, str, float]],
    why: str,
) -> None:
    rows = [
        row for row in Fma(PAIRS, radlex, uberon, subset).rows() if row.subject_id == f"fma:{fma}"
    ]
    found = [(*shown(row)[:2], row.confidence) for row in rows]
    assert found == expected, why


def test_of_two_structures_of_an_identifier_the_surer_one_is_exact(
    radlex: RadLex, subset: Subset
) -> None:
    classes = Uberon([UberonClass("UBERON:2", "lung", fma=["400"])], (), radlex, {}, subset)
    rows = [
        row for row in Fma(PAIRS, radlex, classes, subset).rows() if row.subject_id == "fma:400"
    ]
    assert [shown(row)[:2] for row in rows] == [("exactMatch", CHEST), ("closeMatch", LUNG)]
    assert {row.subject_label for row in rows} == {"Chest"}


def write(path: Path, header: str, *rows: tuple[str, ...]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header.split(), *rows])


def test_an_entire_concept_belongs_to_the_structure_of_its_name_and_class(
    tmp_path: Path, uberon: Uberon, subset: Subset
) -> None:
    write(
        tmp_path / "cui_sct_candidates.csv",
        "sct sct_meaning relation",
        ("302539009", "Entire hand", "entire-concept"),
        ("181216001", "Entire hand", "entire-concept"),
        ("302551006", "Entire thumb", "equivalent"),
        ("362586000", "Entire thing", "entire-concept"),
    )
    assert entire_rows(tmp_path, uberon, subset) == [
        ("302539009", "Entire hand", HAND, "Hand", "names agree; UBERON:1")
    ], "the lung's class says another structure than the name; nothing is known of the others"


def test_the_first_source_of_a_snomed_rt_code_decides_it(tmp_path: Path, subset: Subset) -> None:
    write(
        tmp_path / "dicom_cid_body_structures.csv",
        "srt sct meaning",
        ("T-D8700", HAND, "hand or so"),
        ("T-00001", "85562005", "a bad check digit"),
        ("DF-00436", HAND, "no code of SNOMED RT"),
    )
    write(
        tmp_path / "dicom_body_part_examined.csv",
        "srt sct meaning",
        ("T-D8700", LUNG, "Lung"),
        ("T-99999", "302539009", "Entire hand"),
    )
    rows = {row[0]: row[1:] for row in rt_rows(tmp_path, subset)}
    assert rows["T-D8700"] == (HAND, "Hand", "DICOM PS3.16 context groups")
    assert rows["T-99999"] == ("302539009", "Entire hand", "DICOM PS3.16 Annex L")
    assert rows["T-28000"][2] == "DICOM PS3.16, SRT to SCT mapping (pydicom)"
    assert not {"T-00001", "DF-00436"} & set(rows)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Structure of hand", "hand", True),
        ("Oesophagus", "esophagus", True),
        ("hand (body structure)", "Hand", True),
        ("lobe of left lung", "left lobe of lung", False),
        ("hands", "hand", False),
    ],
)
def test_names_are_compared_word_by_word(one: str, other: str, same: bool) -> None:
    assert (normalised(one) == normalised(other)) is same


@pytest.mark.parametrize(
    ("name", "display"),
    [
        ("abdomen", "Abdomen"),
        ("Thorax", "Chest"),
        ("spine", "Spine"),
        ("umbilical vein", None),
        ("nothing at all", None),
    ],
)
def test_a_name_finds_the_concept_that_the_lists_mean(
    subset: Subset, name: str, display: str | None
) -> None:
    code = subset.named(name)
    assert (code and subset.display(code)) == display


@pytest.mark.parametrize(
    ("name", "sides", "one"),
    [
        ("left hand", [LEFT], LEFT),
        ("Right lobe of right lung", [RIGHT, RIGHT], RIGHT),
        ("left and right hand", [LEFT, RIGHT], None),
        ("cleft", [], None),
    ],
)
def test_a_name_states_its_sides(
    name: str, sides: list[Laterality], one: Laterality | None
) -> None:
    assert stated_sides(name) == sides
    assert one_side(name) == one


@pytest.mark.parametrize(
    ("code", "label", "expected"),
    [
        (HAND, "string", HAND),
        (HAND, "left string", LEFT_HAND),
        (LEFT_HAND, "right string", None),
        (LEFT_HAND, "left string", LEFT_HAND),
    ],
)
def test_what_is_of_the_other_side_is_no_place(
    subset: Subset, code: str, label: str, expected: str | None
) -> None:
    assert on_stated_side(subset, code, label) == expected


def test_what_the_programs_name_is_in_the_subset(subset: Subset) -> None:
    assert all(subset.called(display) for display in KINDS)
    with pytest.raises(TableError, match="no 'Fiddle'"):
        subset.called("Fiddle")


def test_a_cui_with_two_structures_is_none(subset: Subset) -> None:
    curated = sssom.read(mappings_folder() / anatomy.CUI_TABLE)
    found = exact_of_cuis(curated)
    exact = [
        row
        for row in curated.mappings
        if row.predicate_id == EXACT and not row.negated and not row.no_match
    ]
    assert found.keys() <= {sssom.subject_code(row) for row in exact}
    for row in exact:
        assert found.get(sssom.subject_code(row)) in (None, sssom.object_code(row))
    assert not any(row.predicate_id == BROAD for row in exact)


def test_a_folder_without_the_reference_tables_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(anatomy.main, ["--reference", str(tmp_path)])
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: anatomic_locations.csv:1 file: no file in ")
