import json

import pytest
from click.testing import CliRunner, Result

from terminology.build_cli import build
from terminology.console import BodySiteGroup
from terminology.release.index import ReleaseIndex

from .conftest import EXAMPLE

VERSION = "http://snomed.info/sct/19999999103/version/20260101"


def run(*arguments: object) -> Result:
    group = BodySiteGroup("terminology", commands={"build": build})
    return CliRunner().invoke(group, ["build", *map(str, arguments)])


def test_a_release_becomes_an_index_and_the_report_is_shown(tmp_path):
    out = tmp_path / "own.index"
    result = run(EXAMPLE, "-o", out)
    assert result.exit_code == 0, result.output
    index = ReleaseIndex.open(out)
    assert (index.version, len(index)) == (VERSION, 69)
    assert [one.name for one in tmp_path.iterdir()] == ["own.index"]
    lines = result.stdout.splitlines()
    (concepts,) = [line for line in lines if "sct2_Concept" in line]
    assert concepts.split()[1:] == ["Concept", "69", "67"]
    (stated,) = [line for line in lines if "sct2_Stated" in line]
    assert "the inferred ones are read" in stated
    assert f"{VERSION}\nwritten to {out}" in result.stdout


def test_the_report_as_json(tmp_path):
    out = tmp_path / "own.index"
    uri = "http://snomed.info/xsct/19999999103/version/20260102"
    result = run(EXAMPLE, "--out", out, "--version-uri", uri, "--json")
    facts = json.loads(result.stdout)
    assert (facts["version"], facts["index"]) == (uri, str(out))
    files = {one["content"]: one for one in facts["files"]}
    assert (files["Concept"]["rows"], files["Concept"]["active"]) == (69, 67)
    assert files["documents"]["left_out"] == "not an RF2 data file"
    assert ReleaseIndex.open(out).version == uri


def test_broken_rows_end_it_with_their_places_and_leave_the_old_index(package, tmp_path):
    out = tmp_path / "own.index"
    out.write_bytes(b"old")
    package.set_cell("sct2_Concept", 4, "active", "x")
    package.set_cell("sct2_Identifier", 2, "active", "x")
    result = run(package.folder, "-o", out)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert f"{package.file('sct2_Concept').name}:4 active: 'x' is neither 0 nor 1" in result.stderr
    assert f"{package.file('sct2_Identifier').name}:2 active" in result.stderr
    assert out.read_bytes() == b"old"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["own.index", "release"]


def test_a_cycle_ends_it_with_the_rows_of_the_cycle(package, tmp_path):
    package.append(
        "sct2_Relationship_",
        *("9999999999127", "20260101", "1", "19999999103", "123037004", "85562004", "0"),
        *("116680003", "900000000000011006", "900000000000451002"),
    )
    result = run(package.folder, "-o", tmp_path / "own.index")
    assert result.exit_code == 2
    assert "cycle" in result.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["release"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ((), "Missing argument"),
        ((EXAMPLE,), "Missing option '-o'"),
        (("no-such-folder", "-o", "x"), "does not exist"),
        ((EXAMPLE, "-o", "no-such-folder/own.index"), "does not exist"),
        ((EXAMPLE, "-o", EXAMPLE), "is a directory"),
        ((EXAMPLE, "-o", "sct2_Concept_Snapshot_INT_20250101.txt"), "a file of the release"),
        ((EXAMPLE, "-o", "x", "--version-uri", "20260101"), "is no version URI"),
        ((EXAMPLE / "README.md", "-o", "x"), "is neither a folder nor a zip"),
    ],
)
def test_misuse_ends_with_status_2_and_writes_nothing(arguments, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert what in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_the_zip_itself_is_not_overwritten(tmp_path):
    path = tmp_path / "release.zip"
    path.write_bytes(b"a release")
    result = run(path, "-o", path)
    assert result.exit_code == 2
    assert path.read_bytes() == b"a release"


def test_ctrl_c_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "own.index"
    out.write_bytes(b"old")
    for place in ("terminology.rf2.tables.parse", "os.fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(place, interrupt)
            result = run(EXAMPLE, "-o", out)
        assert result.exit_code == 130
        assert "Interrupted; nothing was written." in result.stderr
        assert out.read_bytes() == b"old"
        assert [one.name for one in tmp_path.iterdir()] == ["own.index"]


def test_a_full_disk_leaves_the_old_index(tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / "own.index"
    out.write_bytes(b"old")
    monkeypatch.setattr("os.fsync", full)
    result = run(EXAMPLE, "-o", out)
    assert result.exit_code == 2
    assert "No space left on device" in result.stderr
    assert out.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["own.index"]
