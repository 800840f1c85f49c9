"""The generated release: read by our reader, shaped as the benchmarks need it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from terminology.rf2 import ReleaseRows, read_release

_GENERATE = Path(__file__).parents[2] / "benchmarks" / "releases" / "generate.py"
_IS_A = 116680003
_SCALE = 0.01


def generate(out: Path, *options: str) -> Path:
    command = [sys.executable, str(_GENERATE), str(out), *options]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Path(done.stdout.strip())


def contents(release: Path) -> dict[str, bytes]:
    return {
        path.relative_to(release).as_posix(): path.read_bytes()
        for path in sorted(release.rglob("*.txt"))
    }


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> ReleaseRows:
    out = tmp_path_factory.mktemp("release")
    return read_release([generate(out, "--scale", str(_SCALE))])


@pytest.fixture(scope="module")
def graph(rows: ReleaseRows) -> nx.DiGraph:
    """Edges from parent to child."""
    table = rows.relationships
    is_a = table.active & (table.type_id == _IS_A)
    pairs = zip(table.destination_id[is_a].tolist(), table.source_id[is_a].tolist(), strict=True)
    return nx.DiGraph(list(pairs))


@pytest.mark.parametrize(
    ("count", "wanted"),
    [
        (lambda rows: np.count_nonzero(rows.concepts.active), 370_000),
        (lambda rows: np.count_nonzero(~rows.concepts.active), 100_000),
        (lambda rows: len(rows.descriptions.id), 1_600_000),
        (lambda rows: len(rows.language.id), 3_150_000),
        (lambda rows: np.count_nonzero(rows.relationships.active), 3_300_000),
    ],
    ids=["active", "inactive", "descriptions", "language members", "relationships"],
)
def test_sizes_are_those_of_an_international_release(
    rows: ReleaseRows, count: object, wanted: int
) -> None:
    assert count(rows) == pytest.approx(_SCALE * wanted, rel=0.05)  # type: ignore[operator]


def test_hierarchy_is_one_graph_below_the_root(rows: ReleaseRows, graph: nx.DiGraph) -> None:
    active = set(rows.concepts.id[rows.concepts.active].tolist())
    assert nx.is_directed_acyclic_graph(graph)
    assert nx.descendants(graph, 138875005) | {138875005} == active


def test_no_is_a_row_follows_from_others(graph: nx.DiGraph) -> None:
    assert nx.transitive_reduction(graph).number_of_edges() == graph.number_of_edges()


@pytest.mark.parametrize(
    ("code", "share"), [(404684003, 0.27), (123037004, 0.11), (362958002, 0.085)]
)
def test_large_hierarchies_have_their_share(graph: nx.DiGraph, code: int, share: float) -> None:
    assert len(nx.descendants(graph, code)) == pytest.approx(share * len(graph), rel=0.15)


def test_sided_sites_are_below_what_can_have_a_side(rows: ReleaseRows, graph: nx.DiGraph) -> None:
    table = rows.relationships
    sided = table.source_id[table.active & (table.type_id == 272741003)].tolist()
    (simple,) = (one for one in rows.refsets if one.pattern == "Refset")
    lateralizable = set(simple.referenced_component_id[simple.refset_id == 723264001].tolist())
    assert sided
    assert lateralizable.isdisjoint(sided)
    for code in sided:
        assert lateralizable & nx.ancestors(graph, code)


@pytest.mark.parametrize(
    ("refset", "begins", "ends"),
    [(734138000, "Entire ", ""), (734139008, "", " part")],
)
def test_structures_have_their_entire_and_their_part_as_children(
    rows: ReleaseRows, graph: nx.DiGraph, refset: int, begins: str, ends: str
) -> None:
    (table,) = (one for one in rows.refsets if "targetComponentId" in one.fields)
    chosen = table.refset_id == refset
    targets = np.asarray(table.fields["targetComponentId"])[chosen].tolist()
    assert targets
    for structure, target in zip(
        table.referenced_component_id[chosen].tolist(), targets, strict=True
    ):
        assert graph.has_edge(structure, target)
    terms = rows.descriptions
    named = {terms.term[int(row)] for row in np.flatnonzero(np.isin(terms.concept_id, targets[:5]))}
    assert any(term.startswith(begins) and term.endswith(ends) for term in named)


def test_same_seed_gives_the_same_files_and_another_seed_others(tmp_path: Path) -> None:
    first, second, other = (
        contents(generate(tmp_path / str(at), "--scale", "0.002", "--seed", seed))
        for at, seed in enumerate(["5", "5", "6"])
    )
    assert first == second
    assert first.keys() == other.keys()
    assert first != other


def test_zip_holds_the_same_files(tmp_path: Path) -> None:
    folder = generate(tmp_path / "a", "--scale", "0.002")
    packed = generate(tmp_path / "b", "--scale", "0.002", "--zip")
    with zipfile.ZipFile(packed) as archive:
        found = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    assert found == contents(folder)
