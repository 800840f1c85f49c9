import pytest

from terminology.release.anatomy import Anatomy, Triple
from terminology.release.embedded import embedded_index

from .small import BODY, ROOT, release

NAMES = {
    ROOT: "Root",
    BODY: "Body structure",
    "734138000": "Structure and entire",
    "734139008": "Structure and part",
    "10200004": "Liver structure",
    "181268008": "Entire liver",
    "119216005": "Part of liver",
    "71725003": "Lobe of liver structure",
    "56459004": "Structure of foot",
    "302545001": "Entire foot",
    "29707007": "Toe",
}
IS_A = [
    (BODY, ROOT),
    ("734138000", ROOT),
    ("734139008", ROOT),
    ("10200004", BODY),
    ("181268008", "10200004"),
    ("119216005", "10200004"),
    ("71725003", "119216005"),
    ("56459004", BODY),
    ("302545001", "56459004"),
    ("29707007", "56459004"),
]
REFSETS = [("734138000", "10200004", "181268008"), ("734139008", "10200004", "119216005")]


@pytest.fixture(scope="module")
def anatomy():
    return Anatomy(release(NAMES, IS_A, refsets=REFSETS))


@pytest.mark.parametrize("code", ["10200004", "181268008", "119216005"])
def test_each_corner_finds_the_triple_by_the_reference_sets(anatomy, code):
    assert anatomy.triple(code) == Triple("10200004", "181268008", "119216005", "reference set")


@pytest.mark.parametrize("code", ["56459004", "302545001"])
def test_an_entire_concept_is_found_by_its_name_where_no_reference_set_has_it(anatomy, code):
    assert anatomy.triple(code) == Triple("56459004", "302545001", None, "name")


def test_what_is_tied_to_nothing_has_no_triple(anatomy):
    assert anatomy.triple("29707007") is None
    assert anatomy.triple(BODY) is None


def test_what_is_below_a_part_concept_is_a_part_and_the_entire_is_none(anatomy):
    assert "10200004" in anatomy.wholes("71725003")
    assert "10200004" not in anatomy.wholes("181268008")
    assert anatomy.parts("10200004") == {"119216005", "71725003"}


def test_part_of_is_transitive_and_follows_is_a_on_the_embedded_subset():
    anatomy = Anatomy(embedded_index())
    # 7569003 |Finger| is a part of 85562004 |Hand|, and so of 53120007 |Upper limb|.
    assert {"85562004", "53120007"} <= anatomy.wholes("7569003")
    assert "85562004" not in anatomy.wholes("85151006")
    assert "7569003" in anatomy.parts("53120007")


def test_wholes_and_parts_are_inverse_on_the_embedded_subset():
    index = embedded_index()
    anatomy = Anatomy(index)
    codes = index.codes(index.descendants(index.ordinal("53120007")))
    wholes = {code: anatomy.wholes(code) for code in codes}
    for whole in codes:
        parts = anatomy.parts(whole)
        assert {code for code in codes if whole in wholes[code]} == parts & set(codes)
