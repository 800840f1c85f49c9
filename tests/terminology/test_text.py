import csv
import time
from pathlib import Path

import pytest

from terminology.concept import Laterality
from terminology.evaluation import Expected, evaluate, read_observed
from terminology.library import load_terminology
from terminology.text import TextReader

LEFT, RIGHT, BOTH = Laterality.LEFT, Laterality.RIGHT, Laterality.BILATERAL
VALUES = Path(__file__).parents[1] / "data" / "header-values.tsv"


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return load_terminology().text


def own_values():
    with VALUES.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def expected(row):
    codes = filter(None, (row["sct"], *row["also_acceptable"].split(";")))
    side = Laterality(row["laterality"]) if row["laterality"] else None
    return Expected(row["value"], frozenset(codes), row["modality"] or None, side, True)


def code_of(reader, value, modality=None):
    reading = reader.read(value, modality=modality)
    return reading.sites[0].code if reading.sites else None


def test_observed_header_values_are_read_rightly(reader):
    figures = evaluate(reader, read_observed())
    assert figures.total == 341
    assert figures.share(figures.right) >= 97, figures.misses
    assert figures.share(figures.wrong) <= 1, figures.misses


def test_our_own_header_values_are_read_with_their_sides(reader):
    figures = evaluate(reader, map(expected, own_values()))
    assert figures.share(figures.right) >= 97, figures.misses
    assert figures.share(figures.wrong) <= 1, figures.misses


@pytest.mark.parametrize("row", [r for r in own_values() if r["view"]], ids=lambda r: r["value"])
def test_views_are_read_with_their_view_position(reader, row):
    view = reader.read(row["value"], modality=row["modality"] or None).view
    assert view is not None
    assert view.dicom == row["view"]


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        ("LHAND", "85562004", "a side joined on in front"),
        ("HANDLI", "85562004", "a side joined on behind"),
        ("THORAXABD", "416550000", "a compound of two parts"),
        ("NECKCHESTABDPEL", "416319003", "a compound of four parts"),
        ("kniekleinkind", "72696002", "a part and a word without meaning"),
        ("portlspine", "122496007", "portable, then a part"),
        ("h_fte", "24136001", "an umlaut became an underscore"),
        ("cCT nativ", "69536005", "a word with a capital inside"),
        ("R MLO", "76752008", "a view that only breasts have"),
        ("mediolateral oblique R", None, "spelt out, it may be of a foot"),
        ("hj?rna", "12738006", "an umlaut became a question mark"),
        ("sch dell", "89546000", "an umlaut became a blank in a misspelt word"),
        ("HÃ¼fte", "24136001", "UTF-8 read as Latin-1"),
        ("AP PORTABLE CHE", "816094009", "cut at the end of a code string"),
        ("PORTABLE CHE", None, "not cut: shorter than a code string"),
        ("sholder", "16982005", "a letter is missing"),
        ("abdoman", "818981001", "a letter is exchanged"),
        ("angle", None, "a known word is no misspelling of ankle"),
        ("Hanke Stadler", None, "two unknown words are a name"),
        ("C/T spine", "1217257000", "a slash is no boundary"),
        ("CT SPINE", "421060004", "CT is the modality, not cervico-thoracic"),
        ("T1 spine", "421060004", "T1 is a sequence, not a vertebra"),
        ("右膝関節", "72696002", "no spaces between words"),
        ("Thorax Liver", "416550000", "an organ stands for its region"),
        ("HEAD BRAIN", "12738006", "of a region and its part, the part"),
        ("HWS Dens", "1172006", "of a region and its part, the part"),
        ("Sinus de la face", "2095001", "the longest phrase wins"),
        ("Thorax face", "816094009", "face is a view beside a chest"),
        ("FACE", "89545001", "face is a face where nothing else is named"),
        ("has been repeated", None, "an ambiguous word among other words"),
        ("skull to thigh", None, "the ends of a range are not the range"),
        ("Neck to pelvis", "416319003", "a range that has a concept"),
    ],
)
def test_how_a_word_may_be_written(reader, value, code, reason):
    assert code_of(reader, value) == code, reason


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        ("History of chest pain, XR ankle left", "70258002", "the history ends at the comma"),
        ("History of chest pain", None, "nothing was examined"),
        ("Z.n. Thorax-OP, Knie re", "72696002", "the same in German"),
        ("Indication: chest pain. Knee", "72696002", "a colon opens what it follows"),
        ("Ankle, rule out foot fracture", "70258002", "a suspicion is no site"),
        ("no chest", None, "negated"),
        ("ohne Thorax", None, "negated in German"),
        ("CHEST NO GRID", "816094009", "the negation is of the grid"),
        ("MR ANKLE WO CONTRAST", "70258002", "without contrast is no negation of a part"),
        ("CT W/O HEAD", "69536005", "w/o is about contrast medium"),
    ],
)
def test_what_was_not_examined_is_left_out(reader, value, code, reason):
    assert code_of(reader, value) == code, reason


@pytest.mark.parametrize(
    ("value", "side", "reason"),
    [
        ("L SPINE", None, "L is lumbar"),
        ("KNEE L", LEFT, "a letter beside a paired part"),
        ("GENOU G", LEFT, "gauche, beside a French word"),
        ("KNEE G", None, "G is no side in English"),
        ("RX mano dx", RIGHT, "destra, beside an Italian word"),
        ("DX KNEE", None, "DX is a modality in English"),
        ("LAT CHEST", None, "lat is lateral"),
        ("R/L knee", BOTH, "both sides"),
        ("RODILLA DERECHA AP Y L", RIGHT, "a letter beside a word of a side is none"),
        ("Voet li 3r", LEFT, "the same: three directions"),
        ("ELBOW RADIAL HEAD VIEW R", RIGHT, "a letter at the end, behind two paired parts"),
        ("CHEST PELVIS R", None, "behind parts that have no side"),
        ("scapolare", None, "no scapula with the German re"),
        ("KNIERE", RIGHT, "a German knee with it"),
        ("ABDOMEN DECUB LT", None, "a position"),
        ("Hände bds.", BOTH, "beidseits"),
        ("T1 R", None, "a letter without a part"),
        ("R MLO", RIGHT, "a letter beside a view of the breast"),
    ],
)
def test_sides(reader, value, side, reason):
    assert reader.read(value).laterality == side, reason


def test_each_part_has_the_side_beside_it(reader):
    sites = reader.read("LEFT KNEE, RIGHT ANKLE").sites
    assert [(site.code, site.laterality) for site in sites] == [
        ("72696002", LEFT),
        ("70258002", RIGHT),
    ]


@pytest.mark.parametrize(
    ("value", "modality", "view", "side", "reason"),
    [
        ("CHEST LEFT LATERAL", None, "LL", None, "of an unpaired part, the view has the side"),
        ("KNEE AXIAL", "CR", "axial", None, "a radiograph"),
        ("KNEE AXIAL", "MR", None, None, "a plane, no projection"),
        ("CT HEAD AP", None, None, None, "the text names a modality without projections"),
        ("KNEE AP/LAT", "CR", None, None, "two views are no view"),
        ("CHEST LT LAT DECUB", "CR", None, None, "a position, no projection"),
        ("R CC", "MG", "CC", RIGHT, "a side letter beside a mammography view"),
        ("Thorax face", None, "frontal", None, "face is the frontal view in French"),
        ("Sinuses face", None, None, None, "face is no view in English"),
        ("5 cc contrast knee", None, None, None, "a volume"),
    ],
)
def test_views_and_planes(reader, value, modality, view, side, reason):
    reading = reader.read(value, modality=modality)
    found = None if reading.view is None else (reading.view.dicom or reading.view.display)
    assert (found, reading.laterality) == (view, side), reason


def test_parts_without_a_concept_of_their_own_are_listed_in_order(reader):
    sites = reader.read("ANKLE/FOOT LT").sites
    assert [site.code for site in sites] == ["70258002", "56459004"]
    assert {site.laterality for site in sites} == {LEFT}


def test_confidence_falls_with_the_way_a_word_was_found(reader):
    ways = ("shoulder", "LSHOULDER", "portshoulder", "sholder")
    found = [reader.read(value).sites[0].confidence for value in ways]
    assert found == sorted(found, reverse=True)
    assert found[0] >= 0.95
    assert found[-1] <= 0.7


def test_every_answer_names_its_words_and_rows(reader):
    reading = reader.read("XR OSG RE 2 views")
    assert reading.ignored == ("XR", "2", "views")
    assert [part.words for part in reading.evidence] == [("OSG",), ("RE",)]
    assert reading.evidence[0].rows[0].startswith("header-words.sssom.tsv:")
    assert reading.evidence[1].rows[0].startswith("header-tokens.tsv:")


def test_a_combined_region_names_the_row_that_combined_it(reader):
    rows = reader.read("Chest, Knochen, Becken, Abdomen").evidence[0].rows
    assert any(row.startswith("header-combined-regions.tsv:") for row in rows)


@pytest.mark.parametrize("value", ["", " ", "\0", "\ud800", "?" * 50, "—", "🦴", "a" * 5000])
def test_nothing_makes_the_reader_raise(reader, value):
    assert reader.read(value).sites == ()


def test_long_and_nested_values_are_read_in_bounded_time(reader):
    start = time.perf_counter()
    for value in ("handknie" * 100, "l hand " * 200, "xq " * 400, "膝" * 900):
        reader.read(value)
    assert time.perf_counter() - start < 2
