import csv
import json
import shutil

import click
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
        (("map", "--in", "a.csv", "--column", "a", "--json"), "--json goes with values"),
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


def test_map_keeps_what_sets_the_cells_of_a_csv_apart(run, tmp_path):
    source = tmp_path / "in.csv"
    source.write_text('\ufeffid;"body, part"\n1;HAND\n', encoding="utf-8")
    status, out, _ = run("map", "--in", str(source), "--column", "body, part")
    assert status == 0
    (row,) = csv.DictReader(out.splitlines(), delimiter=";")
    assert row["bodysite_code"] == "85562004"


def test_map_shows_bytes_that_are_no_text_as_a_mark(run):
    assert run("map", "knee \udcff")[1] == "knee \ufffd\t72696002 |Knee|\n"
    assert json.loads(run("map", "--json", "knee \udcff")[1])["value"] == "knee \ufffd"


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("id,bpe\n1\n", "bpe", "in.csv:2: fewer cells than the header has; expected 2 cells"),
        ("id,bpe\n1,HAND,x\n", "bpe", "in.csv:2: more cells than the header has"),
        ("id,bpe\n", "body", "no column 'body'; expected one of id, bpe"),
        ("bpe,bpe\nHAND,KNEE\n", "bpe", "the column 'bpe' stands there 2 times"),
        ("bpe,bodysite_code\nHAND,7\n", "bpe", "the column 'bodysite_code' is there already"),
        ('bpe\n"HAND\n', "bpe", "in.csv:2: it cannot be read as CSV"),
        (f"bpe\n{'x' * 1_100_000}\n", "bpe", "no cell beyond 1048576 characters"),
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
    records = [json.loads(line) for line in out.splitlines()]
    figures = next(one for one in records if "total" in one and "reference" not in one)
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
        ("header-tokens.tsv", "D G\tbilateral\t", "D G\tboth\t", "left, right or bilateral"),
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
        ("scan",),
        *(
            ("mappings", name)
            for name in (
                "check",
                "export",
                "add",
                "remove",
                "undo",
                "log",
                "review",
                "import",
                "import-umls",
            )
        ),
    ],
)
def test_every_command_has_help(run, arguments):
    status, out, _ = run(*arguments, "--help")
    assert status == 0
    assert "Usage: " in out


def test_check_says_what_each_table_decides(run):
    status, out, _ = run("mappings", "check", "--json")
    assert status == 0
    tables = {one["table"]: one for one in map(json.loads, out.splitlines()) if "table" in one}
    irma = tables["irma-anatomy-2008.sssom.tsv"]
    assert irma["subjects"] == 268
    assert irma["mapped"] + irma["no_match"] + irma["refused"] == 268
    assert irma["regions"]["upper limb"] > 20
    cuis = tables["umls-cui.sssom.tsv"]
    assert cuis["refused"] > 0
    assert cuis["mapped"] + cuis["no_match"] + cuis["refused"] == cuis["subjects"]


def test_check_reads_each_table_once(run, monkeypatch):
    from terminology import sssom

    read, original = [], sssom.read

    def counted(path):
        read.append(path.name)
        return original(path)

    monkeypatch.setattr(sssom, "read", counted)
    assert run("mappings", "check")[0] == 0
    assert len(read) == len(set(read))


REFERENCE = {
    "legacy_header_values.csv": (
        "value,language,field,kind,sct,meaning,ambiguous_value,note,source,also_acceptable\n"
        "Hand,en,x,observed,85562004,Hand,0,,s,\n"
        "Hand,en,x,observed,56459004,Foot,1,,s,\n"
        "KNIE,de,x,synonym,70258002,Ankle joint,0,,s,\n"
        "Qwertz,de,x,synonym,70258002,Ankle joint,0,,s,\n"
        "linke Hand,de,x,synonym,85151006,Left hand,0,,s,\n"
    ),
    "irma_axes.csv": (
        "axis,code,parent_code,level,text,code_version,other_version,source\n"
        "anatomical,414,41,3,left hand,2008,absent,s\n"
        "anatomical,zzz,,3,none,2008,absent,s\n"
    ),
    "unifesp_labels.csv": "code,label\n0,Abdomen\n99,None\n",
    "dicom_body_part_examined.csv": (
        "body_part_examined,sct\nHAND,85562004\nFOOT,85562004\nNOSUCH,85562004\nCHEST,51185008\n"
    ),
    "roco_cuis.csv": (
        "cui,images_test,images_validation\nC0376152,1529,1514\nC0018563,10,5\nC9999999,1,0\n"
    ),
    "cui_sct_candidates.csv": (
        "cui,sct\nC0018563,85562004\nC9999999,85562004\nC0376152,14016003\n"
    ),
}


def test_check_compares_with_reference_files(run, tmp_path, monkeypatch):
    folder = tmp_path / "reference"
    folder.mkdir()
    for name, text in REFERENCE.items():
        (folder / name).write_text(text, encoding="utf-8")
    status, out, _ = run("mappings", "check", "--json", "--reference", str(folder))
    assert status == 0
    found = {
        one["reference"]: one for one in map(json.loads, out.splitlines()) if "reference" in one
    }
    values = found["header values"]
    assert (values["total"], values["right"], values["wrong"], values["none"]) == (4, 2, 1, 1)
    assert values["values that sources give two parts"] == 1
    assert found["header values, kind synonym"]["total"] == 3
    assert found["header values, language en"]["right"] == 1
    assert found["IRMA anatomical codes, list of 2008"]["decided"] == 1
    assert found["UNIFESP labels"]["decided"] == 1
    terms = found["DICOM terms of Body Part Examined"]
    assert (terms["equal"], terms["another concept"], terms["no target"]) == (2, 1, 1)
    cuis = found["anatomical CUIs of ROCO"]
    assert (cuis["CUIs"], cuis["decided"], cuis["mapped"]) == (3, 2, 1)
    assert (cuis["image mentions"], cuis["of decided CUIs"]) == (3059, 3058)
    pairs = found["open CUI to SNOMED CT pairs"]
    assert (pairs["equal"], pairs["no target"], pairs["not decided"]) == (1, 1, 1)
    monkeypatch.setenv("BODYSITE_REFERENCE", str(folder))
    assert "IRMA anatomical codes, list of 2008: 2 codes, 1 decided" in run("mappings", "check")[1]


def test_check_refuses_a_reference_file_of_another_kind(run, tmp_path):
    (tmp_path / "roco_cuis.csv").write_text("code\nx\n")
    status, _, err = run("mappings", "check", "--reference", str(tmp_path))
    assert status == 2
    assert "roco_cuis.csv: there is no column 'cui'" in err


def test_check_refuses_a_reference_file_whose_counts_are_no_numbers(run, tmp_path):
    (tmp_path / "roco_cuis.csv").write_text("cui,images_test,images_validation\nC0018563,many,1\n")
    status, _, err = run("mappings", "check", "--reference", str(tmp_path))
    assert status == 2
    assert "roco_cuis.csv: 'many' images; expected a whole number" in err


JANE = ("--author", "person:jane")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder for a site's own tables, named by the environment; nothing is in it yet."""
    folder = tmp_path / "site"
    monkeypatch.setenv("BODYSITE_MAPPINGS", str(folder))
    return folder


def test_a_decision_is_added_listed_undone(run, site):
    status, out, err = run("mappings", "add", "QWX LI", "82169009", *JANE)
    assert status == 0
    assert out == "+ 'QWX LI': 72696002 |Knee|, left\n"
    assert "note: 82169009 |Left knee| is kept as 72696002 |Knee|, left" in err
    assert run("mappings", "add", "qwx_li", "72696002", "--side", "left", *JANE)[1] == (
        "decided already, nothing changed\n"
    )
    listed = json.loads(run("mappings", "review", "--json")[1])
    assert listed["sites"] == [{"code": "72696002", "display": "Knee", "laterality": "left"}]
    assert (listed["author"], listed["state"]) == ("person:jane", "adds")
    assert "+ 'QWX LI'" in run("mappings", "log")[1]
    assert run("mappings", "undo", *JANE)[1].startswith("edit 1 undone (add)\n- 'QWX LI'")
    assert run("mappings", "review")[1] == ""
    entry = json.loads(run("mappings", "log", "--json", "--limit", "1")[1])
    assert (entry["action"], entry["undoes"]) == ("undo", 1)
    status, _, err = run("mappings", "undo", *JANE)
    assert (status, "nothing to undo" in err) == (2, True)


def test_what_overrides_a_shipped_row_is_said(run, site):
    err = run("mappings", "add", "KNIE", "70258002", *JANE)[2]
    assert "note: overrides the shipped rows, which say 72696002 |Knee|" in err
    assert "overrides the shipped rows" in run("mappings", "review")[1]
    assert run("mappings", "remove", "knie", *JANE)[1] == "- 'KNIE': 70258002 |Ankle joint|\n"


def test_map_knows_the_decisions(run, site):
    run("mappings", "add", "QWX", "72696002", *JANE)
    run("mappings", "add", "CHEST", "--no-site", "--field", "BodyPartExamined", *JANE)
    (answer,) = map(json.loads, run("map", "--json", "QWX")[1].splitlines())
    assert answer["sites"][0]["code"] == "72696002"
    (answer,) = map(
        json.loads, run("map", "--json", "--field", "BodyPartExamined", "CHEST")[1].splitlines()
    )
    assert answer["sites"] == []
    assert json.loads(run("map", "--json", "CHEST")[1])["sites"][0]["code"] == "816094009"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("add", "x"), "CODE and --no-site: neither given; expected one"),
        (("add", "x", "85562004", "--no-site"), "CODE and --no-site: both given; expected one"),
        (("add", "x", "85562005"), "fails the SNOMED CT check digit"),
        (("add", "x", "85562004", "--author", "bob"), "'bob' identifies nobody"),
        (("remove", "x"), "there is no such folder"),
        (("review", "--out", "x.csv"), "go with --report"),
        (("import", "none.csv"), "does not exist"),
    ],
)
def test_a_wrong_command_decides_nothing(run, site, arguments, message):
    author = () if "--author" in arguments or arguments[0] == "log" else JANE
    status, _, err = run("mappings", *arguments, *author)
    assert status == 2
    assert message in err
    assert not site.exists()


def test_what_is_not_there_is_no_empty_list(run, site):
    for command in ("log", "review"):
        status, out, err = run("mappings", command)
        assert (status, out) == (2, "")
        assert "there is no such folder" in err
    assert not site.exists()


def test_a_report_is_not_written_over(run, site, tmp_path):
    report = tmp_path / "report.csv"
    report.write_text("field,value,code,confidence\nBodyPartExamined,QWX,,\n")
    status, _, err = run("mappings", "review", "--report", str(report), "--out", str(report))
    assert status == 2
    assert "is the report itself" in err
    assert "decision" not in report.read_text()


@pytest.mark.parametrize(("stop", "status"), [(EOFError, 0), (KeyboardInterrupt, 130)])
def test_a_review_that_is_stopped_keeps_what_was_decided(
    run, site, tmp_path, monkeypatch, stop, status
):
    report = tmp_path / "report.csv"
    report.write_text("field,value,code,confidence,method\n,QWX,,,\n,QWY,,,\n")
    answers = iter(["72696002", ""])

    def typed(*_, **__):
        try:
            answer = next(answers, None)
            if answer is None:
                raise stop
        except (EOFError, KeyboardInterrupt):
            # As click.prompt does it.
            raise click.Abort from None
        return answer

    monkeypatch.setattr("click.prompt", typed)
    arguments = ("mappings", "review", "--report", str(report), "-i", *JANE)
    found, out, _ = run(*arguments)
    assert found == status
    assert "1 decided." in out
    assert "QWX" in run("mappings", "review")[1]


def test_ctrl_c_ends_a_command_with_130(run, site, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("terminology.decisions.Decisions.log", interrupted)
    assert run("mappings", "log")[::2] == (130, "Interrupted.\n")


def test_nobody_decides_anonymously(run, site, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("BODYSITE_AUTHOR", raising=False)
    status, _, err = run("mappings", "add", "x", "85562004")
    assert status == 2
    assert "--author: nobody is named" in err
    monkeypatch.setenv("BODYSITE_AUTHOR", "0000-0002-1825-0097")
    assert run("mappings", "add", "x", "85562004")[0] == 0


def test_a_folder_must_be_named(run, monkeypatch):
    monkeypatch.delenv("BODYSITE_MAPPINGS", raising=False)
    status, _, err = run("mappings", "add", "x", "85562004", *JANE)
    assert status == 2
    assert "--mappings" in err


def test_check_looks_at_the_own_tables_too(run, site):
    run("mappings", "add", "QWX", "72696002", *JANE)
    status, out, _ = run("mappings", "check")
    assert status == 0
    assert "site/header-words.sssom.tsv: 1 rows, ok" in out
    table = site / "header-words.sssom.tsv"
    good = table.read_text(encoding="utf-8")
    table.write_text(good.replace("snomedct:72696002", "snomedct:404684003"), encoding="utf-8")
    status, out, _ = run("mappings", "check")
    assert status == 1
    assert "'snomedct:404684003'; expected a body structure of" in out
    table.write_text(good + good.splitlines()[-1].replace("QWX", "AAA") + "\n", encoding="utf-8")
    assert run("mappings", "check")[0] == 1
    assert "rewritten: header-words.sssom.tsv" in run("mappings", "check", "--fix")[2]
    assert run("mappings", "check")[0] == 0


def test_own_tables_are_exported(run, site):
    run("mappings", "add", "QWX", "72696002", "--field", "StudyDescription", *JANE)
    sssom_text = run("mappings", "export", "--format", "sssom")[1]
    assert sssom_text == (site / "header-words.sssom.tsv").read_text(encoding="utf-8")
    row = next(csv.DictReader(run("mappings", "export", "--format", "csv")[1].splitlines()))
    assert (row["code"], row["sct"], row["field"]) == ("QWX", "72696002", "StudyDescription")
    concept_map = json.loads(run("mappings", "export")[1])
    assert concept_map["resourceType"] == "ConceptMap"
    assert concept_map["group"][0]["element"][0]["target"][0]["code"] == "72696002"


def test_the_shipped_header_words_are_exported_where_they_are_named(run, monkeypatch):
    monkeypatch.delenv("BODYSITE_MAPPINGS", raising=False)
    lines = run("mappings", "export", "--format", "csv", "--table", "header-words")[1].splitlines()
    rows = list(csv.DictReader(lines))
    assert {row["table"] for row in rows} == {"header-words"}
    assert ("Knie", "72696002") in {(row["code"], row["sct"]) for row in rows}
    status, _, err = run("mappings", "export", "--table", "header-word")
    assert status == 2
    assert "expected one of" in err
    assert "header-words" in err


def test_export_of_nothing_is_refused(run, site):
    site.mkdir()
    status, _, err = run("mappings", "export")
    assert status == 2
    assert "holds no table" in err
