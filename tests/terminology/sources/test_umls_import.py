"""`bodysite mappings import-umls`, on RRF files of our own in the layout of the Metathesaurus."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from terminology import sssom
from terminology.concept import Coding, Concept
from terminology.crosswalk import UMLS, Crosswalk
from terminology.errors import TableError
from terminology.graph import BodyStructureGraph
from terminology.local import LocalMappings
from terminology.mapping import MappingSet, SemanticMapping
from terminology.release.build import build_index
from terminology.release.index import ReleaseIndex
from terminology.sources.umls_cli import import_umls
from terminology.sources.umls_import import MRCONSO, MRMAP, TOOL, UmlsImport
from terminology.structures import BodyStructures
from tests.terminology.release.small import release_rows

Rrf = Callable[..., Path]


def conso(
    cui: str, code: str, name: str, sab: str = "SNOMEDCT_US", suppress: str = "N", tty: str = "PT"
) -> str:
    cells = dict.fromkeys(MRCONSO, "")
    cells |= {"CUI": cui, "LAT": "ENG", "TS": "P", "LUI": "L1", "STT": "PF", "SUI": "S1"}
    cells |= {"ISPREF": "Y", "AUI": "A1", "SAB": sab, "TTY": tty, "CODE": code, "STR": name}
    cells |= {"SRL": "9", "SUPPRESS": suppress, "SCUI": code}
    return "".join(f"{cells[column]}|" for column in MRCONSO)


def mapped(
    source: str,
    target: str,
    kind: str = "CODE",
    sab: str = "TESTVOC",
    rel: str = "SY",
    rule: str = "",
) -> str:
    cells = dict.fromkeys(MRMAP, "")
    cells |= {"MAPSETCUI": "C9000000", "MAPSETSAB": sab, "MAPID": "AT1", "FROMID": source}
    cells |= {"FROMEXPR": source, "FROMTYPE": kind, "REL": rel, "TOID": target}
    cells |= {"TOEXPR": target, "TOTYPE": "SCUI", "MAPRULE": rule}
    return "".join(f"{cells[column]}|" for column in MRMAP)


@pytest.fixture
def rrf(tmp_path: Path) -> Rrf:
    def write(*lines: str, name: str = "MRCONSO.RRF") -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="module")
def embedded() -> BodyStructureGraph:
    return BodyStructureGraph.load()


@pytest.fixture(scope="module")
def shipped() -> tuple[MappingSet, ...]:
    return Crosswalk.load().mapping_sets(UMLS)


def imported(
    graph: BodyStructureGraph,
    shipped: tuple[MappingSet, ...],
    mrconso: Path,
    mrmap: Path | None = None,
    existing: MappingSet | None = None,
) -> list[SemanticMapping]:
    job = UmlsImport(graph, shipped)
    job.read(mrconso, mrmap)
    return list(job.table(existing, "2026-11-20").table.mappings)


def pairs(rows: list[SemanticMapping]) -> list[tuple[str, str, str]]:
    return [
        ((row.subject_id or "")[5:], row.predicate_id.removeprefix("skos:"), sssom.object_code(row))
        for row in rows
        if not row.negated
    ]


def test_the_layouts_are_those_of_the_reference_manual() -> None:
    assert (len(MRCONSO), len(MRMAP)) == (18, 26)
    assert (MRCONSO[9], MRCONSO[11], MRCONSO[13], MRCONSO[16]) == (
        "SCUI",
        "SAB",
        "CODE",
        "SUPPRESS",
    )
    assert (MRMAP[1], MRMAP[8], MRMAP[12], MRMAP[16]) == ("MAPSETSAB", "FROMEXPR", "REL", "TOEXPR")


def test_body_structures_are_kept_and_all_else_is_left(rrf: Rrf, embedded, shipped) -> None:
    found = imported(
        embedded,
        shipped,
        rrf(
            conso("C9000001", "85562004", "Hand structure"),
            conso("C9000002", "72704001", "Fracture"),
            conso("C9000003", "HAND", "Hand", sab="MSH"),
            conso("C9000004", "39607008", "Lung structure", suppress="O"),
            conso("C9000005", "39607008", "Lung structure", suppress="E"),
            conso("C9000006", "85562005", "no code"),
        ),
    )
    assert pairs(found) == [("C9000001", "exactMatch", "85562004")]
    (row,) = found
    assert row.object_label == "Hand"
    assert row.subject_label is None
    assert row.mapping_tool == TOOL


def test_an_entire_concept_becomes_its_structure_by_its_name(rrf: Rrf, embedded, shipped) -> None:
    found = imported(embedded, shipped, rrf(conso("C9000001", "302539009", "Entire hand")))
    assert pairs(found) == [("C9000001", "broadMatch", "85562004")]


def test_an_entire_concept_of_a_release_becomes_its_parent(rrf: Rrf) -> None:
    graph = BodyStructureGraph.of(
        BodyStructures.of(
            [
                Concept("123037004", "Body structure"),
                Concept("53120007", "Upper limb structure"),
                Concept("85562004", "Hand structure"),
                Concept("302539009", "Entire hand"),
            ],
            [
                ("53120007", "123037004", "is-a", "test"),
                ("85562004", "53120007", "is-a", "test"),
                ("302539009", "85562004", "is-a", "test"),
            ],
            {},
            "test",
        )
    )
    # The name is of another language: the graph decides, not the name.
    found = imported(graph, (), rrf(conso("C9000001", "302539009", "toute la main")))
    assert pairs(found) == [("C9000001", "broadMatch", "85562004")]


def test_an_entire_concept_becomes_the_structure_that_a_table_ties_it_to(
    rrf: Rrf, embedded, shipped
) -> None:
    job = UmlsImport(embedded, shipped, {"302539009": "85562004"})
    job.read(rrf(conso("C9000001", "302539009", "toute la main")))
    found = list(job.table(None, "2026-11-20").table.mappings)
    assert pairs(found) == [("C9000001", "broadMatch", "85562004")]


def test_an_entire_concept_of_an_indexed_release_becomes_its_structure(
    rrf: Rrf, tmp_path: Path
) -> None:
    names = {"302539009": "Entire hand", "85562004": "Structure of hand", "53120007": "Upper limb"}
    is_a = [("302539009", "85562004"), ("85562004", "53120007"), ("53120007", "123037004")]
    index = tmp_path / "small.idx"
    build_index(release_rows(names | {"123037004": "Body structure"}, is_a), index)
    graph = BodyStructureGraph.of_release(ReleaseIndex.open(index))
    found = imported(graph, (), rrf(conso("C9000001", "302539009", "toute la main")))
    assert pairs(found) == [("C9000001", "broadMatch", "85562004")]


def test_a_sided_structure_has_its_side(rrf: Rrf, embedded, shipped) -> None:
    (row,) = imported(embedded, shipped, rrf(conso("C9000001", "85151006", "Left hand")))
    assert row.object_laterality == "left"


def test_a_blocked_cui_stays_blocked_and_a_refused_pair_refused(
    rrf: Rrf, tmp_path: Path, embedded, shipped
) -> None:
    path = rrf(
        conso("C0376152", "14016003", "Marrow"),
        conso("C0040113", "51185008", "Thorax"),
        conso("C0040113", "9875009", "Thymus structure"),
    )
    local = tmp_path / "local"
    local.mkdir()
    status = CliRunner().invoke(
        import_umls, ["--mrconso", str(path), "--mappings", str(local), "--json"]
    )
    assert status.exit_code == 0, status.stderr
    counts = json.loads(status.stdout)["counts"]
    assert counts["CUIs that stay blocked"] == 1
    assert counts["pairs that stay refused"] == 1
    crosswalk = Crosswalk.load(local=LocalMappings.read(local).tables)
    arrow = crosswalk.translate(Coding(UMLS, "C0376152"))
    assert arrow.targets == ()
    assert "arrow" in (arrow.reason or "")
    thymus = crosswalk.translate(Coding(UMLS, "C0040113"))
    assert [target.code for target in thymus.targets] == ["9875009"]


def test_a_cui_without_shipped_counterpart_gets_the_licensed_one(
    rrf: Rrf, embedded, shipped
) -> None:
    # Shipped as "a word for a part of many organs"; a licence may know better.
    found = imported(embedded, shipped, rrf(conso("C0524414", "122474001", "Condyle")))
    assert pairs(found) == [("C0524414", "exactMatch", "122474001")]


def test_a_cui_that_image_sets_misuse_stays_weak(rrf: Rrf, embedded, shipped) -> None:
    (row,) = imported(embedded, shipped, rrf(conso("C0004454", "91470000", "Axilla")))
    assert row.confidence == 0.5
    assert "maxillary" in (row.comment or "")


def test_of_several_structures_the_one_of_the_shipped_tables_is_exact(
    rrf: Rrf, embedded, shipped
) -> None:
    found = imported(
        embedded,
        shipped,
        rrf(conso("C0022742", "72696002", "Knee"), conso("C0022742", "49076000", "Knee joint")),
    )
    assert pairs(found) == [
        ("C0022742", "exactMatch", "72696002"),
        ("C0022742", "closeMatch", "49076000"),
    ]


def test_maps_of_other_vocabularies_reach_their_cuis(rrf: Rrf, embedded, shipped) -> None:
    found = imported(
        embedded,
        shipped,
        rrf(
            conso("C9000001", "X1", "a", sab="TESTVOC"),
            conso("C9000002", "X2", "b", sab="TESTVOC"),
            conso("C9000003", "X1", "c", sab="OTHER"),
            conso("C9000004", "X3", "d", sab="TESTVOC"),
            conso("C9000005", "X4", "e", sab="TESTVOC"),
            conso("C9000006", "302539009", "Entire hand"),
        ),
        rrf(
            mapped("X1", "85562004"),
            mapped("X2", "53120007", rel="RN"),
            mapped("X3", "39607008", rel="XR"),
            mapped("X4", "39607008", rule="IFA 248152002"),
            mapped("C9000007", "10200004", kind="CUI"),
            mapped("C9000008", "302539009", kind="CUI"),
            mapped("85562004", "39607008", sab="SNOMEDCT_US", kind="SCUI"),
            mapped("X1", "85562004 AND 39607008"),
            name="MRMAP.RRF",
        ),
    )
    assert pairs(found) == [
        ("C9000001", "exactMatch", "85562004"),
        ("C9000002", "broadMatch", "53120007"),
        ("C9000006", "broadMatch", "85562004"),
        ("C9000007", "exactMatch", "10200004"),
        ("C9000008", "broadMatch", "85562004"),
    ]


def test_the_sites_own_rows_stay_at_the_next_import(rrf: Rrf, tmp_path: Path) -> None:
    path = rrf(conso("C9000001", "85562004", "Hand"), conso("C9000002", "39607008", "Lung"))
    arguments = ["--mrconso", str(path), "--mappings", str(tmp_path)]
    assert CliRunner().invoke(import_umls, arguments).exit_code == 0
    table = tmp_path / "umls-cui.sssom.tsv"
    first = sssom.read(table)
    text = table.read_text(encoding="utf-8").replace(
        "UMLS:C9000001\tskos:exactMatch\tsnomedct:85562004\tHand",
        "UMLS:C9000001\tskos:exactMatch\tsnomedct:7569003\tFinger",
    )
    own = text.replace(
        f"Finger\tsemapv:UnspecifiedMatching\t{TOOL}",
        "Finger\tsemapv:ManualMappingCuration\tour radiologist",
    )
    assert own != text
    table.write_text(own, encoding="utf-8")
    assert CliRunner().invoke(import_umls, arguments).exit_code == 0
    second = sssom.read(table)
    assert pairs(list(first.mappings))[0] == ("C9000001", "exactMatch", "85562004")
    assert pairs(list(second.mappings))[0] == ("C9000001", "exactMatch", "7569003")
    assert len(second.mappings) == 2


def test_no_name_of_the_files_is_written(rrf: Rrf, tmp_path: Path) -> None:
    path = rrf(
        conso("C9000001", "85562004", "Secret name"),
        conso("C9000002", "302539009", "Entire hand"),
    )
    result = CliRunner().invoke(import_umls, ["--mrconso", str(path), "--mappings", str(tmp_path)])
    assert result.exit_code == 0
    text = (tmp_path / "umls-cui.sssom.tsv").read_text(encoding="utf-8")
    assert "Secret" not in text
    assert "Entire hand" not in text
    assert "Secret" not in result.output


def test_the_same_files_give_the_same_bytes_and_canonical_ones(rrf: Rrf, tmp_path: Path) -> None:
    path = rrf(conso("C9000002", "39607008", "Lung"), conso("C9000001", "85562004", "Hand"))
    arguments = ["--mrconso", str(path), "--mappings", str(tmp_path)]
    table = tmp_path / "umls-cui.sssom.tsv"
    CliRunner().invoke(import_umls, arguments)
    first = table.read_bytes()
    CliRunner().invoke(import_umls, arguments)
    assert table.read_bytes() == first
    assert sssom.dumps(sssom.read(table)).encode() == first


def test_a_compressed_file_is_read(tmp_path: Path, embedded, shipped) -> None:
    path = tmp_path / "MRCONSO.RRF.gz"
    path.write_bytes(gzip.compress(conso("C9000001", "85562004", "Hand").encode() + b"\n"))
    assert pairs(imported(embedded, shipped, path)) == [("C9000001", "exactMatch", "85562004")]


GOOD = conso("C9000001", "85562004", "Hand")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "MRCONSO.RRF:1 file: no rows"),
        (b"cui,code\nC1,2\n", "MRCONSO.RRF:1 CUI: 0 bars; expected the 18 columns of MRCONSO"),
        (f"{GOOD}\n{GOOD}|\n".encode(), "MRCONSO.RRF:2 CUI: 19 bars"),
        (f"{GOOD}\n{GOOD[:-1]}\n".encode(), "MRCONSO.RRF:2 CUI: 17 bars"),
        (
            f"{GOOD}\n".encode().replace(b"Hand", b"H\xe4nd"),
            "MRCONSO.RRF:1 STR: bytes that are not",
        ),
        (f"{GOOD}\n".replace("C9000001", "C900").encode(), "MRCONSO.RRF:1 CUI: 'C900' is not C"),
    ],
)
def test_a_wrong_file_is_refused_by_line_and_column(
    tmp_path: Path, embedded, shipped, content: bytes, message: str
) -> None:
    path = tmp_path / "MRCONSO.RRF"
    path.write_bytes(content)
    with pytest.raises(TableError) as caught:
        imported(embedded, shipped, path)
    assert str(caught.value.problems[0]).startswith(message)


def test_mrmap_in_place_of_mrconso_is_refused(rrf: Rrf, embedded, shipped) -> None:
    with pytest.raises(TableError, match="26 bars"):
        imported(embedded, shipped, rrf(mapped("X1", "85562004")))


def test_a_gzip_file_that_is_none_is_refused(tmp_path: Path, embedded, shipped) -> None:
    path = tmp_path / "MRCONSO.RRF.gz"
    whole = gzip.compress(b"C0000001|" * 100)
    for content in (b"C0000001|", whole[:-9], whole[:12] + b"\xff\xff" + whole[14:]):
        path.write_bytes(content)
        with pytest.raises(TableError, match="gzip"):
            imported(embedded, shipped, path)


def test_files_without_snomed_ct_leave_the_table_as_it_is(rrf: Rrf, tmp_path: Path) -> None:
    table = tmp_path / "umls-cui.sssom.tsv"
    path = rrf(conso("C9000001", "D006225", "Hand", sab="MSH"))
    result = CliRunner().invoke(import_umls, ["--mrconso", str(path), "--mappings", str(tmp_path)])
    assert result.exit_code == 2
    assert "SNOMEDCT_US" in result.stderr
    assert not table.exists()
