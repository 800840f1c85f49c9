"""The embedded structures over a licensed release that lacks some of them."""

import networkx as nx
import pytest

from terminology.concept import Concept, Laterality
from terminology.errors import UnknownConceptError
from terminology.graph import BodyStructureGraph
from terminology.structures import BodyStructures

from .release.small import BODY, ROOT, release

NAMES = {
    ROOT: "Root",
    BODY: "Body structure",
    "53120007": "Structure of upper limb",
    "85562004": "Structure of hand",
    "7569003": "Structure of finger",
    "76505004": "Structure of thumb",
    "85151006": "Structure of left hand",
    "272741003": "Laterality",
    "7771000": "Left",
    "155728006": "Old hand",
    "900000000000526001": "Replaced by",
}
IS_A = [
    (BODY, ROOT),
    ("53120007", BODY),
    ("85562004", "53120007"),
    ("7569003", "85562004"),
    ("76505004", "7569003"),
    ("85151006", "85562004"),
    ("272741003", ROOT),
    ("7771000", ROOT),
]
# 8205005 |Wrist| and 66019005 |Limb| are the table's alone.
TABLES = BodyStructures.of(
    [
        Concept(BODY, "Body structure"),
        Concept("66019005", "Limb"),
        Concept("53120007", "Upper limb"),
        Concept("8205005", "Wrist"),
        Concept("85562004", "Hand"),
        Concept("76505004", "Thumb"),
    ],
    [
        ("66019005", BODY, "is-a", "test"),
        ("53120007", "66019005", "is-a", "test"),
        ("8205005", "53120007", "part-of", "test"),
        ("85562004", "53120007", "part-of", "test"),
        ("76505004", "85562004", "part-of", "test"),
    ],
    {},
    "tables",
)


@pytest.fixture(scope="module")
def graph():
    index = release(
        NAMES,
        IS_A,
        attributes=[("85151006", "272741003", "7771000")],
        refsets=[("900000000000526001", "155728006", "85562004")],
        inactive={"155728006"},
    )
    return BodyStructureGraph(index, TABLES)


def test_the_release_answers_for_what_it_holds(graph):
    assert graph.lookup("85562004").display == "Structure of hand"
    assert graph.version == "test"
    assert graph.parents("76505004") == ("7569003",)


def test_what_the_release_lacks_keeps_its_place(graph):
    assert graph.lookup("8205005").display == "Wrist"
    assert graph.subsumes("53120007", "8205005")
    assert graph.subsumes("66019005", "8205005")


def test_a_region_that_the_release_lacks_holds_what_is_below_it_in_the_release(graph):
    assert graph.subsumes("66019005", "76505004")
    assert graph.descendants("66019005") == {
        "53120007",
        "8205005",
        "85562004",
        "7569003",
        "76505004",
        "85151006",
    }
    assert "66019005" in graph.ancestors("85151006")


def test_the_attributes_of_the_release_give_the_sides(graph):
    assert graph.sided("85562004", Laterality.LEFT) == "85151006"
    assert graph.unsided("85151006") == ("85562004", Laterality.LEFT)
    assert graph.other_side("85151006") is None


def test_a_code_that_the_release_made_inactive_finds_its_successor(graph):
    assert "155728006" not in graph
    assert graph.current("155728006") == "85562004"
    assert graph.search_set("155728006") == graph.search_set("85562004")
    assert graph.found_below("155728006", ["76505004", "155728006", "8205005"]) == [
        "76505004",
        "155728006",
    ]


def test_what_neither_holds_is_unknown(graph):
    with pytest.raises(UnknownConceptError):
        graph.history("10200004")
    with pytest.raises(UnknownConceptError):
        graph.lookup("272741003")


def test_closures_agree_with_networkx(graph):
    assert nx.is_directed_acyclic_graph(graph.nx)
    assert graph.edge_count() == graph.nx.number_of_edges()
    for code in graph.codes():
        assert graph.ancestors(code) == nx.descendants(graph.nx, code)
        assert graph.descendants(code) == nx.ancestors(graph.nx, code)


def test_an_edge_that_the_release_contradicts_is_left_out():
    turned = BodyStructures.of(
        [*TABLES.concepts.values()],
        [
            (BODY, "66019005", "is-a", "a table that has it upside down"),
            ("66019005", "76505004", "is-a", "test"),
            ("53120007", "66019005", "is-a", "would close a cycle: a thumb is below a limb"),
        ],
        {},
        "tables",
    )
    graph = BodyStructureGraph(release(NAMES, IS_A), turned)
    assert nx.is_directed_acyclic_graph(graph.nx)
    assert graph.subsumes("53120007", "76505004")


@pytest.mark.parametrize("code", [BODY, "53120007", "66019005", "76505004", "155728006"])
def test_found_below_and_above_agree_with_the_whole_sets(graph, code):
    candidates = [*graph.codes(), "155728006", "10200004"]
    below, above = graph.search_set(code), graph.above_set(code)
    assert graph.found_below(code, candidates) == [one for one in candidates if one in below]
    assert graph.found_above(code, candidates) == [one for one in candidates if one in above]
