import pytest

from terminology.concept import Laterality
from terminology.errors import IdentifierError
from terminology.expressions import ExpressionError, sided, split
from terminology.graph import BodyStructureGraph

from .release import HAND_FRACTURE, index_in, write_release

LEFT, RIGHT, BOTH = Laterality.LEFT, Laterality.RIGHT, Laterality.BILATERAL


@pytest.mark.parametrize(
    ("code", "side", "expected"),
    [
        ("85562004", LEFT, "85151006"),
        ("85562004", RIGHT, "85562004:272741003=24028007"),  # 78791008 is primitive here
        ("85562004", BOTH, "85562004:272741003=51440002"),
        ("85151006", LEFT, "85151006"),
        ("39607008", LEFT, "39607008:272741003=7771000"),
    ],
)
def test_a_site_gets_a_side(release, code, side, expected):
    assert sided(code, side, release) == expected


@pytest.mark.parametrize(
    ("code", "side", "message"),
    [
        ("85151006", RIGHT, "has 2 values"),
        ("22943007", LEFT, "Lateralizable"),
        ("64572001", LEFT, "Anatomical structure"),
    ],
)
def test_a_site_without_sides_gets_none(release, code, side, message):
    with pytest.raises(ExpressionError, match=message):
        sided(code, side, release)


def test_a_code_that_is_none_is_refused(release):
    with pytest.raises(IdentifierError):
        sided("85562005", LEFT, release)


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        ("85562004", ("85562004", None)),
        ("85151006", ("85562004", LEFT)),
        ("78791008", ("85562004", RIGHT)),
        ("80768000", ("53120007", LEFT)),
        ("85562004 |Hand| : 272741003 |Laterality| = 7771000 |Left|", ("85562004", LEFT)),
        ("85562004:{272741003=24028007}", ("85562004", RIGHT)),
        ("39607008:272741003=51440002", ("39607008", BOTH)),
        ("85562004:272741003=182353008", ("85562004", None)),
        ("85562004:272741003=7771000,272741003=24028007",
         ("85562004:272741003=7771000,272741003=24028007", None)),
        ("39607008:272741003=7771000,{363698007=85562004}",
         ("39607008:{363698007=85562004}", LEFT)),
        ("85151006:363698007=39607008", ("85151006:363698007=39607008", LEFT)),
        (HAND_FRACTURE, (HAND_FRACTURE, None)),
    ],
)  # fmt: skip
def test_a_site_is_split_from_its_side(release, site, expected):
    assert split(site, release) == expected


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        ("85562004", ("85562004", None)),
        ("85151006", ("85562004", LEFT)),
        ("85562004:{272741003=24028007}", ("85562004", RIGHT)),
        ("39607008:272741003=7771000", ("39607008", LEFT)),
        ("39607008:{272741003=7771000},{272741003=24028007}",
         ("39607008:{272741003=7771000},{272741003=24028007}", None)),
    ],
)  # fmt: skip
def test_a_side_is_found_in_a_group_where_the_model_groups_it(tmp_path, site, expected):
    write_release(tmp_path, sides_in_groups=True)
    assert split(site, index_in(tmp_path)) == expected


def test_the_example_release_is_split(example):
    assert split("85151006", example) == ("85562004", LEFT)


def test_the_embedded_subset_is_split_as_its_table_says(embedded):
    graph = BodyStructureGraph.load()
    for code in graph.codes():
        concept = graph.lookup(code)
        assert split(code, embedded) == (concept.unsided or code, concept.laterality)


def test_the_embedded_subset_has_its_sided_concepts(embedded):
    graph = BodyStructureGraph.load()
    sides = 0
    for code in graph.codes():
        concept = graph.lookup(code)
        if concept.unsided is not None and concept.laterality in {LEFT, RIGHT}:
            assert sided(concept.unsided, concept.laterality, embedded) == code
            sides += 1
    assert sides > 100
