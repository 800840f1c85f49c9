"""The rules that judge open pairs of CUI and SNOMED CT code, on small tables of our own."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from curation import umls, umls_judge
from curation.umls_evidence import Candidate, Locations, read_candidates
from curation.umls_judge import Judge, Judgement
from curation.umls_uberon import Uberon
from terminology import sssom
from terminology.errors import TableError
from terminology.graph import BodyStructureGraph
from terminology.mapping import MappingSet
from terminology.tables import mappings_folder

DICOM = "dicom-ps3.16-cid"
RADLEX = "bodypartindex"

CANDIDATES = [
    # cui, sct, meaning, relation, sources
    ("C9000001", "85562004", "Hand", "equivalent", f"{DICOM}; pixelmed-2026"),
    ("C9000002", "85562004", "hand", "equivalent", RADLEX),
    ("C9000003", "51185008", "thymus", "equivalent", RADLEX),
    ("C9000004", "129750001", "Dystrophic calcification", "equivalent", DICOM),
    ("C9000005", "85562005", "Hand", "equivalent", DICOM),
    ("C9000006", "85562004", "Hand", "equivalent", DICOM),
    ("C9000006", "39607008", "Lung", "equivalent", DICOM),
    ("C9000007", "85562004", "Hand", "equivalent", f"{DICOM}; {RADLEX}"),
    ("C9000007", "39607008", "Lung", "equivalent", "uberon-label"),
    ("C9000008", "74670003", "Wrist joint", "equivalent", DICOM),
    ("C9000008", "8205005", "Wrist region", "equivalent", DICOM),
    ("C9000010", "302539009", "Entire hand", "entire-concept", "uberon"),
    ("C9000011", "302539009", "Entire hand", "entire-concept", "uberon"),
    ("C9000012", "362586000", "Entire thing of the hand", "entire-concept", "uberon"),
    ("C9000013", "361310003", "Entire limb bud", "entire-concept", "uberon"),
    ("C9000014", "369119009", "Entire thing of nowhere", "entire-concept", "uberon"),
    ("C9000015", "39607008", "lung", "equivalent", RADLEX),
    ("C9000015", "362586000", "Entire thing of the hand", "entire-concept", "uberon"),
    ("C9000016", "947002", "crus of the lung", "equivalent", RADLEX),
    ("C9000017", "91723000", "Hand", "equivalent", RADLEX),
    ("C9000018", "261188006", "left fiddle of lung", "equivalent", RADLEX),
]
UBERON = [
    # class, label, relation, object, label of the object
    ("UBERON:1", "manus", "xref_umls", "UMLS:C9000010", ""),
    ("UBERON:1", "manus", "xref_umls", "UMLS:C9000011", ""),
    ("UBERON:1", "manus", "xref_sct", "SCTID:302539009", ""),
    ("UBERON:2", "thing of the hand", "xref_umls", "UMLS:C9000012", ""),
    ("UBERON:2", "thing of the hand", "xref_umls", "UMLS:C9000015", ""),
    ("UBERON:2", "thing of the hand", "is_a", "UBERON:3", "some organ"),
    ("UBERON:3", "some organ", "part_of", "UBERON:1", "manus"),
    ("UBERON:4", "limb bud", "xref_umls", "UMLS:C9000013", ""),
    ("UBERON:4", "limb bud", "part_of", "UBERON:1", "manus"),
    ("UBERON:5", "thing of nowhere", "xref_umls", "UMLS:C9000014", ""),
    ("UBERON:5", "thing of nowhere", "part_of", "UBERON:6", "multicellular organism"),
]
LOCATIONS = [
    # identifier, description, code, contained_by
    ("RID1", "lung", "39607008", "RID9"),
    ("RID2", "crus of the lung", "947002", "RID1"),
    ("RID3", "left fiddle of lung", "261188006", "RID1"),
    ("RID9", "whole body", "", ""),
]


def write(path: Path, header: list[str], rows: list[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    write(
        folder / "cui_sct_candidates.csv",
        ["cui", "sct", "sct_meaning", "relation", "source"],
        [
            (cui, sct, meaning, relation, source)
            for cui, sct, meaning, relation, source in CANDIDATES
        ],
    )
    write(
        folder / "uberon_xrefs.csv",
        ["uberon_id", "label", "relation", "object", "object_label"],
        list(UBERON),
    )
    write(
        folder / "anatomic_locations.csv",
        ["radlex_id", "description", "sct", "contained_by"],
        list(LOCATIONS),
    )
    return folder


@pytest.fixture(scope="module")
def graph() -> BodyStructureGraph:
    return BodyStructureGraph.load()


@pytest.fixture(scope="module")
def judged(reference: Path, graph: BodyStructureGraph) -> Judgement:
    judge = Judge(
        graph, Uberon.read(reference), Locations.read(reference), MappingSet("none", {}, ())
    )
    return judge.judge(read_candidates(reference))


def targets(judged: Judgement, cui: str) -> list[tuple[str, str, float | None]]:
    return [
        (row.predicate_id.removeprefix("skos:"), sssom.object_code(row), row.confidence)
        for row in judged.rows
        if row.subject_id == f"UMLS:{cui}"
    ]


@pytest.mark.parametrize(
    ("cui", "expected", "why"),
    [
        ("C9000001", [("exactMatch", "85562004", 0.75)], "DICOM and PixelMed are one lineage"),
        ("C9000002", [("exactMatch", "85562004", 0.65)], "the RadLex locations alone"),
        ("C9000007", [("exactMatch", "85562004", 0.85)], "two lineages win over one"),
        ("C9000008", [("exactMatch", "8205005", 0.75)], "the region holds the joint"),
        ("C9000010", [("broadMatch", "85562004", 0.8)], "C9000001 is the hand already"),
        ("C9000012", [("broadMatch", "85562004", 0.7)], "the chain leads to the hand"),
        ("C9000018", [("broadMatch", "39607008", 0.65)], "its name says what contains it"),
    ],
)
def test_a_pair_that_holds_is_kept(
    judged: Judgement, cui: str, expected: list[tuple[str, str, float]], why: str
) -> None:
    assert targets(judged, cui) == expected, why


@pytest.mark.parametrize(
    ("cui", "sct", "outcome"),
    [
        ("C9000001", "85562004", umls_judge.KEPT_EXACT),
        ("C9000003", "51185008", umls_judge.NAMES_DIFFER),
        ("C9000004", "129750001", umls_judge.NO_STRUCTURE),
        ("C9000005", "85562005", umls_judge.NOT_A_CODE),
        ("C9000006", "85562004", umls_judge.CONTRADICTED),
        ("C9000006", "39607008", umls_judge.CONTRADICTED),
        ("C9000007", "39607008", umls_judge.OUTVOTED),
        ("C9000008", "74670003", umls_judge.OUTVOTED),
        ("C9000012", "362586000", umls_judge.KEPT_ENTIRE_BROAD),
        ("C9000013", "361310003", umls_judge.ANIMAL),
        ("C9000014", "369119009", umls_judge.NO_CLASS),
        ("C9000015", "39607008", umls_judge.CONTRADICTED),
        ("C9000017", "91723000", umls_judge.NAMES_DIFFER),
    ],
)
def test_each_pair_has_the_outcome_of_its_rule(
    judged: Judgement, cui: str, sct: str, outcome: str
) -> None:
    assert judged.outcomes[cui, sct] == outcome


def test_every_pair_has_one_outcome_and_the_report_counts_them(judged: Judgement) -> None:
    assert set(judged.outcomes) == {(cui, sct) for cui, sct, *_ in CANDIDATES}
    assert sum(judged.counts().values()) == len(CANDIDATES)
    assert tuple(judged.counts()) == umls_judge.OUTCOMES


def test_a_part_of_a_structure_does_not_take_its_exact_match(
    reference: Path, graph: BodyStructureGraph
) -> None:
    """C9000012 lies in the hand and comes first; C9000013 is the hand by its class."""
    one, other = (
        Candidate(cui, "302539009", "Entire hand", True, frozenset({"Uberon"}))
        for cui in ("C9000012", "C9000011")
    )
    renamed = [
        (uberon, label, relation, target.replace("C9000011", "C9000013"), target_label)
        for uberon, label, relation, target, target_label in UBERON
        if (uberon, target) != ("UBERON:4", "UMLS:C9000013")
    ]
    judge = Judge(graph, Uberon(renamed), Locations.read(reference), MappingSet("none", {}, ()))
    found = judge.judge([one, replace(other, cui="C9000013")])
    assert targets(found, "C9000012") == [("broadMatch", "85562004", 0.7)]
    assert targets(found, "C9000013") == [("exactMatch", "85562004", 0.8)]


def test_of_two_cuis_of_a_class_the_first_is_the_structure(
    graph: BodyStructureGraph, reference: Path
) -> None:
    pairs = [
        Candidate(cui, "302539009", "Entire hand", True, frozenset({"Uberon"}))
        for cui in ("C9000011", "C9000010")
    ]
    judge = Judge(graph, Uberon(UBERON), Locations.read(reference), MappingSet("none", {}, ()))
    found = judge.judge(pairs)
    assert targets(found, "C9000010") == [("exactMatch", "85562004", 0.8)]
    assert targets(found, "C9000011") == [("broadMatch", "85562004", 0.8)]


def test_what_is_rejected_has_no_row(judged: Judgement) -> None:
    kept = {cui for (cui, _), outcome in judged.outcomes.items() if outcome.startswith("kept")}
    assert {(row.subject_id or "")[5:] for row in judged.rows} == kept


def test_what_the_curated_table_decides_is_left_to_it(
    reference: Path, graph: BodyStructureGraph, judged: Judgement
) -> None:
    curated = MappingSet(
        "curated", {}, tuple(r for r in judged.rows if r.subject_id == "UMLS:C9000001")
    )
    judge = Judge(graph, Uberon.read(reference), Locations.read(reference), curated)
    again = judge.judge(read_candidates(reference))
    assert again.outcomes["C9000001", "85562004"] == umls_judge.CURATED
    assert targets(again, "C9000001") == []


def test_the_command_counts_and_writes_a_table_that_reads_back(
    reference: Path, tmp_path: Path
) -> None:
    for path in mappings_folder().glob("*.tsv"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    arguments = ["--reference", str(reference), "--folder", str(tmp_path), "--write"]
    result = CliRunner().invoke(umls.main, arguments)
    assert result.exit_code == 0, result.output
    table = sssom.read(tmp_path / umls.DERIVED_TABLE)
    assert f"{len(CANDIDATES):6d}  pairs\n" in result.output
    assert f"{len(table.mappings):6d}  {umls.DERIVED_TABLE}: written" in result.output
    text = (tmp_path / umls.DERIVED_TABLE).read_text(encoding="utf-8")
    assert sssom.dumps(table) == text


@pytest.mark.parametrize(
    ("name", "line"),
    [("cui_sct_candidates.csv", "no file"), ("uberon_xrefs.csv", "no file")],
)
def test_a_folder_without_the_tables_is_refused(tmp_path: Path, name: str, line: str) -> None:
    read = {"cui_sct_candidates.csv": lambda one: list(read_candidates(one))}.get(name, Uberon.read)
    with pytest.raises(TableError, match=line):
        read(tmp_path)


def test_a_table_without_a_column_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "uberon_xrefs.csv", ["uberon_id", "label"], [])
    with pytest.raises(TableError, match="no column 'relation'"):
        Uberon.read(tmp_path)
