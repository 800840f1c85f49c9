"""`bodysite terminology …` beyond the hierarchy: expressions, releases, helpers."""

import json

import pytest
from click.testing import CliRunner

from terminology.concept_cli import terminology
from terminology.release.build import build_index

from .release.small import release_rows
from .test_weaving import IS_A, NAMES


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    path = tmp_path_factory.mktemp("release") / "small.idx"
    rows = release_rows(
        NAMES,
        IS_A,
        attributes=[("85151006", "272741003", "7771000")],
        refsets=[("900000000000526001", "155728006", "85562004")],
        inactive={"155728006"},
        version="http://snomed.info/xsct/900000000000207008/version/20260131",
    )
    build_index(rows, path)
    return str(path)


def run(*arguments):
    result = CliRunner().invoke(terminology, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def found(*arguments):
    status, out, err = run(*arguments, "--json")
    assert status == 0, err
    return [json.loads(line) for line in out.splitlines()]


def test_an_expression_is_looked_up_and_subsumed():
    (facts,) = found("lookup", "85562004 |Hand| : 272741003 |Laterality| = 7771000 |Left|")
    assert facts["equivalent_to"]["code"] == "85151006"
    assert facts["laterality"] == "left"
    status, out, _ = run("subsumes", "53120007", "85562004 : 272741003 = 7771000")
    assert (status, out) == (0, "subsumes\n")
    assert found("subsumes", "85151006", "85562004:272741003=7771000")[0]["outcome"] == "equivalent"


def test_a_release_answers_with_its_own_terms_and_version(release):
    (facts,) = found("lookup", "85562004", "--release", release)
    assert facts["display"] == "Structure of hand"
    assert facts["fsn"] == "Structure of hand (body structure)"
    assert facts["version"].endswith("/20260131")
    (info,) = found("info", "--release", release, "--verify")
    assert info["release_concepts"] == len(NAMES)


def test_what_the_release_lacks_is_answered_from_the_tables(release):
    (facts,) = found("lookup", "69536005", "--release", release)
    assert facts["display"] == "Head"
    assert facts["version"].startswith("https://w3id.org/bodysite/")


def test_the_release_may_come_from_the_environment(release, monkeypatch):
    monkeypatch.setenv("BODYSITE_RELEASE", release)
    assert found("lookup", "85562004")[0]["display"] == "Structure of hand"


def test_an_inactive_concept_has_a_history(release):
    (facts,) = found("history", "155728006", "--release", release)
    assert [one["code"] for one in facts["replaced_by"]] == ["85562004"]
    (looked_up,) = found("lookup", "155728006", "--release", release)
    assert looked_up["active"] is False
    assert "inactive" in run("lookup", "155728006", "--release", release)[1]


def test_search_may_be_restricted_by_ecl():
    everywhere = {one["code"] for one in found("search", "left", "--limit", "500")}
    hands = {one["code"] for one in found("search", "left", "--within", "<< 85562004")}
    assert hands < everywhere


def test_near_words_are_told_apart_from_exact_ones():
    status, out, err = run("search", "hnad")
    assert status == 0
    assert out
    assert "near" in err


def test_the_helpers_for_several_sites():
    (facts,) = found("common", "7569003", "85562004", "53120007")
    assert [one["code"] for one in facts["nearest_common"]] == ["53120007"]
    assert {"code_a": "7569003", "code_b": "85562004", "edges": 1} in facts["distances"]
    (mapped,) = found("into", "7569003", "53120007", "85562004")
    assert [one["code"] for one in mapped["targets"]] == ["85562004"]
    (parts,) = found("parts", "7569003")
    assert "85562004" in {one["code"] for one in parts["part_of"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("lookup", "85562004 : 272741003"), "expected"),
        (("lookup", "85562005"), "check digit"),
        (("expand", "<< 85562004 AND"), "expected"),
        (("search", "hand", "--within", "<<"), "expected"),
        (("common", "7569003", "10200005"), "check digit"),
        (("history", "100000000"), "is not a concept of"),
    ],
)
def test_misuse_is_exit_2_and_says_what_was_expected(arguments, message):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert message in err


def test_a_file_that_is_no_index_is_refused(tmp_path):
    (tmp_path / "a.idx").write_text("no index")
    status, _, err = run("info", "--release", str(tmp_path / "a.idx"))
    assert status == 2
    assert "bodysite terminology build" in err
