import csv
import json
import shutil

import pytest
from click.testing import CliRunner

from api.cli import main
from terminology.tables import mappings_folder


@pytest.fixture
def run():
    """Return a function that runs `bodysite` with arguments and gives status, stdout, stderr."""

    def run(*arguments, stdin=None):
        result = CliRunner().invoke(main, arguments, input=stdin, catch_exceptions=False)
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture
def tables(tmp_path):
    """Return a copy of the tables that a test may spoil."""
    folder = tmp_path / "mappings"
    shutil.copytree(mappings_folder(), folder)
    return folder


def test_info_counts_what_the_release_holds(run):
    status, out, _ = run("terminology", "info", "--json")
    facts = json.loads(out)
    assert status == 0
    assert facts["version"].startswith("https://w3id.org/bodysite/")
    assert facts["concepts"] > 1000
    assert facts["edges"] > facts["concepts"]


def test_lookup_shows_terms_parents_side_and_history(run):
    status, out, _ = run("terminology", "lookup", "85151006", "816094009", "--json")
    left_hand, chest = (json.loads(line) for line in out.splitlines())
    assert status == 0
    assert left_hand["unsided"] == "85562004"
    assert left_hand["laterality"] == "left"
    assert {"51185008", "43799004"} == {old["code"] for old in chest["replaces"]}
    assert run("terminology", "lookup", "85562004")[1].startswith("85562004 |Hand|\n")


@pytest.mark.parametrize(
    ("code_a", "code_b", "outcome"),
    [("53120007", "85562004", "subsumes"), ("85562004", "53120007", "subsumed-by")],
)
def test_subsumes(run, code_a, code_b, outcome):
    assert run("terminology", "subsumes", code_a, code_b) == (0, outcome + "\n", "")
    out = run("terminology", "subsumes", code_a, code_b, "--json")[1]
    assert json.loads(out) == {"codeA": code_a, "codeB": code_b, "outcome": outcome}


def test_expand_lists_the_concepts_of_an_expression(run):
    status, out, _ = run("terminology", "expand", "> 85562004 AND < 123037004", "--json")
    codes = {json.loads(line)["code"] for line in out.splitlines()}
    assert status == 0
    assert "53120007" in codes
    assert "123037004" not in codes


def test_search_finds_exact_terms_first(run):
    assert run("terminology", "search", "left", "hand")[1].splitlines()[0] == (
        "85151006 |Left hand|"
    )
    assert len(run("terminology", "search", "hand", "--limit", "3")[1].splitlines()) == 3


def test_history_shows_what_replaced_a_code(run):
    out = run("terminology", "history", "51185008", "--json")[1]
    assert [now["code"] for now in json.loads(out)["replaced_by"]] == ["816094009"]
    assert "replaced by 816094009" in run("terminology", "history", "51185008")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("terminology", "lookup", "85562005"), "check digit"),
        (("terminology", "lookup", "404684003"), "is not a concept of"),
        (("terminology", "expand", "<<"), "character 3"),
        (("terminology", "subsumes", "85562004", "x"), "characters other than"),
        (("map", "x", "--in", "a.csv"), "--in takes --column"),
        (("map", "x", "--out", "a.csv"), "go with --in"),
        (("map", "--in", "no-such.csv", "--column", "a"), "no-such.csv"),
        (("map", "--system", "loinc", "x"), "'loinc' is not one of"),
    ],
)
def test_misuse_is_exit_2_with_a_message_on_stderr(run, arguments, message):
    status, out, err = run(*arguments)
    assert status == 2
    assert out == ""
    assert message in err


def test_map_gives_the_contract(run):
    status, out, _ = run("map", "--json", "HAND_LI ap", "XXX")
    hand, nothing = (json.loads(line) for line in out.splitlines())
    assert status == 0
    assert set(hand) >= {"value", "field", "sites", "laterality", "view", "ignored", "evidence"}
    (site,) = hand["sites"]
    assert set(site) >= {"code", "display", "laterality", "confidence"}
    assert (site["code"], site["laterality"]) == ("85562004", "left")
    assert hand["laterality"] == "left"
    assert set(hand["view"]) == {"code", "display", "dicom"}
    assert hand["view"]["dicom"] == "AP"
    assert nothing["sites"] == []
    assert nothing["view"] is None


def test_map_shows_site_side_and_view_in_words(run):
    out = run("map", "HAND_LI ap", "XXX")[1]
    assert out.splitlines() == [
        "HAND_LI ap\t85562004 |Hand| left, antero-posterior",
        "XXX\tnot known",
    ]


def test_map_reads_values_from_stdin(run):
    out = run("map", "--json", stdin="KNIE_LI\nTHORAX\n")[1]
    assert [json.loads(line)["sites"][0]["code"] for line in out.splitlines()] == [
        "72696002",
        "816094009",
    ]


def test_map_takes_a_dicom_field_into_account(run):
    out = run("map", "--field", "BodyPartExamined", "--json", "CHEST")[1]
    answer = json.loads(out)
    assert answer["field"] == "BodyPartExamined"
    assert answer["evidence"][0]["rows"][0].startswith("dicom-body-part-examined.sssom.tsv:")


@pytest.mark.parametrize(
    ("system", "value", "code", "side"),
    [
        ("irma", "943", "6757004", "right"),
        ("irma", "1121-230-943-700", "6757004", "right"),
        ("umls", "C0024109", "39607008", None),
        ("unifesp", "3", "816094009", None),
        ("dicom", "CHEST", "816094009", None),
    ],
)
def test_map_translates_codes_of_other_systems(run, system, value, code, side):
    answer = json.loads(run("map", "--system", system, "--json", value)[1])
    assert answer["sites"][0]["code"] == code
    assert answer["laterality"] == side


def test_map_says_why_a_code_has_no_site(run):
    answer = json.loads(run("map", "--system", "umls", "--json", "C0376152")[1])
    assert answer["sites"] == []
    assert "umls-cui.sssom.tsv:" in answer["evidence"][0]["note"]


def test_map_adds_columns_to_a_csv(run, tmp_path):
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text('id,bpe\n1,HAND_LI\n2,"THORAX, pa"\n3,\n', encoding="utf-8")
    status, _, _ = run("map", "--in", str(source), "--column", "bpe", "--out", str(target))
    rows = list(csv.DictReader(target.read_text(encoding="utf-8").splitlines()))
    assert status == 0
    assert [row["bodysite_code"] for row in rows] == ["85562004", "816094009", ""]
    assert rows[0]["bodysite_laterality"] == "left"
    assert rows[1]["bpe"] == "THORAX, pa"
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv", "out.csv"]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("id,bpe\n1\n", "bpe", "in.csv:2: more or fewer cells"),
        ("id,bpe\n1,HAND,x\n", "bpe", "in.csv:2: more or fewer cells"),
        ("id,bpe\n", "body", "no column 'body'; expected one of id, bpe"),
    ],
)
def test_map_refuses_a_broken_csv_and_writes_nothing(run, tmp_path, text, column, message):
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(text, encoding="utf-8")
    status, _, err = run("map", "--in", str(source), "--column", column, "--out", str(target))
    assert status == 2
    assert message in err
    assert not target.exists()


def test_check_reads_every_table_and_prints_the_figures(run):
    status, out, _ = run("mappings", "check")
    assert status == 0
    for table in mappings_folder().glob("*.tsv"):
        if table.name not in {"header-values-observed.tsv", "snomed-rt.tsv"}:
            assert f"{table.name}: " in out
    assert "341 values: " in out


def test_the_reader_keeps_its_figures_on_the_observed_values(run):
    out = run("mappings", "check", "--json")[1]
    figures = json.loads(out.splitlines()[-1])
    assert figures["total"] == 341
    assert figures["right"] / figures["total"] >= 0.85
    assert figures["wrong"] / figures["total"] <= 0.02


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        (
            "unifesp.sssom.tsv",
            "snomedct:816094009",
            "snomedct:816094008",
            "fails the SNOMED CT check digit",
        ),
        (
            "irma-anatomy-2008.sssom.tsv",
            "snomedct:85151006\tLeft hand",
            "snomedct:78791008\tRight hand",
            "right, the side of the object",
        ),
        ("header-tokens.tsv", "\tbilateral\t", "\tboth\t", "left, right or bilateral"),
        ("views.tsv", "399348003", "399348004", "check digit"),
        ("body-structure-edges.tsv", "\tpart-of\t", "\tnear\t", "is-a or part-of"),
    ],
)
def test_check_names_a_spoilt_row_and_exits_1(run, tables, table, old, new, message):
    path = tables / table
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    status, out, _ = run("mappings", "check", "--folder", str(tables))
    assert status == 1
    assert f"{table}:" in out
    assert message in out


def test_check_fix_restores_the_canonical_form(run, tables):
    path = tables / "unifesp.sssom.tsv"
    before = path.read_text(encoding="utf-8")
    lines = before.splitlines()
    path.write_text("\n".join([*lines[:-2], lines[-1], lines[-2]]) + "\n", encoding="utf-8")
    assert run("mappings", "check", "--folder", str(tables))[0] == 1
    status, _, err = run("mappings", "check", "--fix", "--folder", str(tables))
    assert status == 0
    assert "rewritten: unifesp.sssom.tsv" in err
    assert path.read_text(encoding="utf-8") == before


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("annotate",),
        ("map",),
        ("serve",),
        ("terminology",),
        *(
            ("terminology", name)
            for name in ("info", "lookup", "subsumes", "expand", "search", "history")
        ),
        ("mappings",),
        ("mappings", "check"),
        ("mappings", "export"),
    ],
)
def test_every_command_has_help(run, arguments):
    status, out, _ = run(*arguments, "--help")
    assert status == 0
    assert "Usage: " in out
