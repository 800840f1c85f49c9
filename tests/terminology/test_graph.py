import re

import networkx as nx
import pytest

from terminology.concept import Laterality
from terminology.errors import IdentifierError, TableError, UnknownConceptError
from terminology.graph import BodyStructureGraph

CONCEPT_HEADER = "code\tdisplay\tsynonyms\tlaterality\tunsided\tsource\n"
EDGE_HEADER = "child\tchild_display\tparent\tparent_display\trelation\tbasis\n"
HISTORY_HEADER = "former\tformer_display\tsuccessor\tsuccessor_display\tcontext\tbasis\n"
CONCEPTS = (
    "123037004\tBody structure\t\t\t\ttest\n"
    "85562004\tHand\t\t\t\ttest\n"
    "7569003\tFinger\t\t\t\ttest\n"
    "85151006\tLeft hand\t\tleft\t85562004\ttest\n"
)
EDGES = (
    "7569003\tFinger\t85562004\tHand\tpart-of\ttest\n"
    "85151006\tLeft hand\t85562004\tHand\tis-a\ttest\n"
    "85562004\tHand\t123037004\tBody structure\tpart-of\ttest\n"
)


def write_tables(folder, concepts=CONCEPTS, edges=EDGES, history=""):
    (folder / "body-structure-concepts.tsv").write_text(CONCEPT_HEADER + concepts)
    (folder / "body-structure-edges.tsv").write_text(EDGE_HEADER + edges)
    (folder / "body-structure-history.tsv").write_text(HISTORY_HEADER + history)


def test_subsumption_follows_is_a_and_part_of(small):
    assert small.subsumes("53120007", "76505004")
    assert not small.subsumes("76505004", "53120007")
    assert not small.subsumes("816094009", "85562004")


def test_nothing_subsumes_itself(small):
    assert not any(small.subsumes(code, code) for code in small.codes())


@pytest.mark.parametrize(
    ("code_a", "code_b", "outcome"),
    [
        ("85562004", "7569003", "subsumes"),
        ("7569003", "85562004", "subsumed-by"),
        ("85562004", "85562004", "equivalent"),
        ("85562004", "39607008", "not-subsumed"),
    ],
)
def test_compare_has_the_four_outcomes_of_fhir(small, code_a, code_b, outcome):
    assert small.compare(code_a, code_b) == outcome


def test_edges_are_counted_without_networkx(small):
    assert small.edge_count() == small.nx.number_of_edges() == 10
    embedded = BodyStructureGraph.load()
    assert embedded.edge_count() == embedded.nx.number_of_edges()


def test_distances_of_several_codes_are_those_of_each_two(small):
    codes = ["76505004", "85151006", "39607008", "76505004"]
    found = small.distances(codes)
    assert [one[:2] for one in found] == [
        (codes[a], codes[b]) for a, b in [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    ]
    assert all(edges == small.distance(a, b) for a, b, edges in found)
    assert found[0][2] == 3
    assert small.distances(codes[:1]) == []


def test_closures_agree_with_networkx(small):
    for code in small.codes():
        assert small.ancestors(code) == nx.descendants(small.nx, code)
        assert small.descendants(code) == nx.ancestors(small.nx, code)
        assert small.ancestors_or_self(code) == small.ancestors(code) | {code}
        assert small.descendants_or_self(code) == small.descendants(code) | {code}
        assert set(small.parents(code)) == set(small.nx.successors(code))
        assert set(small.children(code)) == set(small.nx.predecessors(code))


@pytest.mark.parametrize(
    ("codes", "common"),
    [
        (["7569003", "85151006"], ("85562004",)),
        (["85562004", "7569003"], ("85562004",)),
        (["85562004", "39607008"], ("52530000",)),
        (["85562004"], ("85562004",)),
        ([], ()),
    ],
)
def test_nearest_common_site(small, codes, common):
    assert small.nearest_common(codes) == common


@pytest.mark.parametrize(
    ("code", "targets", "answer"),
    [
        ("76505004", {"85562004", "53120007"}, ("85562004",)),
        ("76505004", {"76505004", "85562004"}, ("76505004",)),
        ("76505004", {"816094009"}, ()),
        ("76505004", {"64033007"}, ()),  # a target that the release does not hold
    ],
)
def test_map_into_keeps_the_most_specific_targets(small, code, targets, answer):
    assert small.map_into(code, targets) == answer


def test_a_search_by_a_former_or_a_current_code_finds_the_same(small):
    assert small.search_set("51185008") == small.search_set("816094009")
    assert small.search_set("816094009") == {"816094009", "51185008", "39607008"}
    assert small.current("51185008") == "816094009"
    assert small.current("816094009") == "816094009"
    assert small.history("816094009").predecessors == ("51185008",)
    assert small.equivalents("816094009") == {"816094009", "51185008"}
    assert "22943007" in small.above_set("51185008")


def test_a_search_above_a_current_code_does_not_climb_from_its_former_code(small):
    assert "85562004" not in small.above_set("816094009")


def test_sided_and_unsided_find_each_other(small):
    assert small.sided("85562004", Laterality.LEFT) == "85151006"
    assert small.sided("85562004", Laterality.RIGHT) is None
    assert small.unsided("85151006") == ("85562004", Laterality.LEFT)
    assert small.unsided("85562004") == ("85562004", None)


def test_an_unknown_code_is_named(small):
    with pytest.raises(UnknownConceptError, match=r"'64033007' is not a concept of test release"):
        small.ancestors("64033007")


def test_a_malformed_code_is_told_apart_from_an_unknown_one(small):
    with pytest.raises(IdentifierError, match="check digit"):
        small.lookup("85562005")


def test_tables_load(tmp_path):
    write_tables(tmp_path)
    graph = BodyStructureGraph.load(tmp_path)
    assert len(graph) == 4
    assert graph.nx.edges["7569003", "85562004"]["relation"] == "part-of"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"concepts": CONCEPTS + "85562005\tX\t\t\t\ttest\n"},
            r"concepts\.tsv:6 code: '85562005' fails the SNOMED CT check digit",
        ),
        ({"concepts": CONCEPTS + "7569003\tX\t\t\t\ttest\n"}, "'7569003' again"),
        ({"concepts": CONCEPTS + "39607008\tLung\t\t\t\ttest\n"}, "no way to the root"),
        ({"concepts": CONCEPTS.replace("Finger", "")}, "display: empty"),
        ({"concepts": CONCEPTS.replace("\tleft\t", "\tsinistra\t")}, "'sinistra'"),
        ({"concepts": CONCEPTS.replace("\tleft\t", "\t\t")}, "the side of a sided concept"),
        ({"edges": EDGES.replace("part-of", "near", 1)}, "'near'; expected is-a or part-of"),
        (
            {"edges": EDGES + "85562004\tHand\t7569003\tFinger\tpart-of\ttest\n"},
            "a cycle .*7569003",
        ),
        ({"edges": EDGES + "7569003\tF\t7569003\tF\tis-a\ttest\n"}, "a cycle 7569003 → 7569003"),
        ({"edges": EDGES + "7569003\tF\t39607008\tLung\tis-a\ttest\n"}, "parent: '39607008'"),
        (
            {"edges": EDGES.replace("85562004\tHand\tis-a", "123037004\tBody structure\tis-a", 1)},
            "85151006 is not below 85562004",
        ),
        ({"edges": EDGES.replace("\ttest", "\t", 1)}, "basis: empty"),
        (
            {"history": "7569003\tF\t85562004\tH\tx\ttest\n85562004\tH\t123037004\tB\tx\ttest\n"},
            "'85562004' is former itself",
        ),
    ],
)
def test_a_bad_row_is_refused_with_its_line(tmp_path, change, message):
    write_tables(tmp_path, **change)
    with pytest.raises(TableError) as caught:
        BodyStructureGraph.load(tmp_path)
    text = "\n".join(str(problem) for problem in caught.value.problems)
    assert re.search(message, text), text


def test_all_bad_rows_are_reported_at_once(tmp_path):
    write_tables(tmp_path, concepts=CONCEPTS + "1\tA\t\t\t\tt\n2\tB\t\t\t\tt\n")
    with pytest.raises(TableError) as caught:
        BodyStructureGraph.load(tmp_path)
    assert [problem.line for problem in caught.value.problems] == [6, 7]


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(TableError, match=r"body-structure-concepts\.tsv"):
        BodyStructureGraph.load(tmp_path)
