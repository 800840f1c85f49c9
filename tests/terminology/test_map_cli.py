import csv
import json

import pytest
from click.testing import CliRunner

from api.cli import main
from terminology.map_cli import CODE_SYSTEMS
from terminology.sources.codes import SYSTEMS


@pytest.fixture
def run():
    def call(*arguments, text=None):
        result = CliRunner().invoke(main, ["map", *arguments], input=text)
        return result.exit_code, result.stdout, result.stderr

    return call


def test_the_systems_of_the_command_are_those_that_codes_are_read_of():
    assert tuple(SYSTEMS) == CODE_SYSTEMS


def test_an_answer_names_its_words_its_method_and_all_views(run):
    status, out, _ = run("--json", "Knie li AP/LAT Huber")
    answer = json.loads(out)
    assert status == 0
    assert answer["method"] == "token"
    assert answer["used"] == ["Knie", "li", "AP", "LAT"]
    assert answer["ignored"] == ["Huber"]
    assert answer["view"]["dicom"] == "AP"
    assert {view["dicom"] or view["display"] for view in answer["views"]} == {"AP", "lateral"}


def test_a_csv_is_answered_in_columns(run, tmp_path):
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("part,n\nKnie li ap,1\nXXX,2\nKnie li ap,3\n", encoding="utf-8")
    status, _, _ = run("--in", str(source), "--column", "part", "--out", str(target))
    assert status == 0
    with target.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["bodysite_code"] for row in rows] == ["72696002", "", "72696002"]
    assert rows[0]["bodysite_view"] == "399348003"
    assert rows[0]["bodysite_codes"] == "72696002"
    assert rows[0]["bodysite_method"] == "token"


def test_codes_of_a_csv_are_answered_too(run, tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("label\n0\n0\n", encoding="utf-8")
    status, out, _ = run("--in", str(source), "--column", "label", "--system", "unifesp")
    assert status == 0
    assert len(out.splitlines()) == 3


def test_a_site_has_its_own_settings(run, tmp_path):
    path = tmp_path / "headers.toml"
    path.write_text("misspellings = false\n", encoding="utf-8")
    assert "Shoulder" in run("shouldder")[1]
    assert "not known" in run("--settings", str(path), "shouldder")[1]
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("misspelings = false\n", encoding="utf-8")
    status, _, err = run("--settings", str(wrong), "knee")
    assert (status, "'misspelings' is no setting" in err) == (2, True)
