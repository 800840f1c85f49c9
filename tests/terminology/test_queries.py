import shutil
from pathlib import Path

import pytest

from terminology.graph import BodyStructureGraph
from terminology.queries import Queries
from tests.terminology.writer import index_of, made_up

EXAMPLE = Path(__file__).parents[1] / "data" / "rf2-example"
HAND, FSN, PREFERRED = "85562004", "900000000000003001", "900000000000548007"
MODULE, GERMAN, CASE = "19999999103", "1089999999103", "900000000000448009"


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """The example release with a German fully specified name for the hand."""
    folder = tmp_path_factory.mktemp("german") / "release"
    shutil.copytree(EXAMPLE, folder)
    name = made_up(900, "11")
    for part, row in (
        ("Description_Snapshot-de", (name, "20260101", "1", MODULE, HAND, "de", FSN,
                                     "Hand (Körperstruktur)", CASE)),
        ("LanguageSnapshot-de", ("1f53dbfb-cfef-44c2-b0d5-d672df183700", "20260101", "1", MODULE,
                                 GERMAN, name, PREFERRED)),
    ):  # fmt: skip
        (path,) = folder.rglob(f"*{part}*")
        with path.open("a", encoding="utf-8", newline="") as stream:
            stream.write("\t".join(row) + "\r\n")
    return BodyStructureGraph.of_release(index_of(folder, None))


@pytest.mark.parametrize(
    ("languages", "expected"),
    [((), "Hand (body structure)"), (("en",), "Hand (body structure)"),
     (("de",), "Hand (Körperstruktur)"), (("fr", "de"), "Hand (Körperstruktur)")],
)  # fmt: skip
def test_the_fully_specified_name_is_that_of_the_languages(graph, languages, expected):
    assert Queries(graph, languages).lookup(HAND)["fsn"] == expected


def test_a_concept_of_the_tables_has_no_fully_specified_name():
    assert Queries(BodyStructureGraph.load()).lookup(HAND)["fsn"] is None


def test_edges_and_distances_agree_with_the_graph(graph):
    queries = Queries(graph)
    assert queries.info()["edges"] == graph.nx.number_of_edges()
    found = queries.common([HAND, "85151006", "1019999999106"])
    assert [one["edges"] for one in found["distances"]] == [
        graph.distance(HAND, "85151006"),
        graph.distance(HAND, "1019999999106"),
        graph.distance("85151006", "1019999999106"),
    ]
