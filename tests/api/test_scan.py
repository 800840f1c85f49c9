"""`bodysite scan`: folders, zips and tables, in one process and in several, interrupted and not."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.cli import main
from api.errors import RequestError
from api.limits import Limits
from api.scan_files import Scan, read_scan, scan_files
from terminology.library import load_terminology
from terminology.scan import HeaderValues
from tests.api.conftest import make_dicom


def run(*arguments: object) -> Result:
    return CliRunner().invoke(
        main, ["scan", *(str(one) for one in arguments)], catch_exceptions=False
    )


@pytest.fixture(scope="module")
def values() -> HeaderValues:
    return HeaderValues.of(load_terminology().text.words)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder with images, a zip of images, and what is none."""
    folder = tmp_path / "archive"
    for name, facts in {
        "b/1.dcm": {"BodyPartExamined": "KNEE", "StudyDescription": "XR ZQK"},
        "b/2.dcm": {"BodyPartExamined": "KNEE", "StudyDescription": "XR ZQK"},
        "b/c/3.dcm": {"BodyPartExamined": "HAND", "ImageLaterality": "L"},
        "a/4.dcm": {"StudyDescription": "Thorax Mustermann 12345678"},
        "z.dcm": {"BodyPartExamined": "FOOT"},
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(make_dicom(**facts))
    (folder / "notes.txt").write_text("no image")
    (folder / "b" / "broken.dcm").write_bytes(make_dicom(BodyPartExamined="HIP")[:300])
    with zipfile.ZipFile(folder / "more.zip", "w") as packed:
        packed.writestr("5.dcm", make_dicom(BodyPartExamined="ELBOW"))
        packed.writestr("6.dcm", make_dicom(BodyPartExamined="ELBOW"))
        packed.writestr("readme", "none")
    return folder


def scanned(archive: Path, values: HeaderValues, **options: Any) -> Scan:
    scan = Scan((str(archive),))
    scan_files(scan, values, Limits(), **options)
    return scan


def counts(scan: Scan) -> dict[str, int]:
    found = scan.inventory.values.items()
    return {value: one.images for (keyword, value), one in found if keyword == "BodyPartExamined"}


def test_every_header_is_counted_once(archive: Path, values: HeaderValues) -> None:
    scan = scanned(archive, values)
    assert counts(scan) == {"KNEE": 2, "HAND": 1, "FOOT": 1, "ELBOW": 2}
    assert (scan.inventory.rows, scan.failed, scan.passed_by) == (7, 1, 2)
    assert scan.errors[0][0].endswith("broken.dcm")
    assert ("StudyDescription", "Thorax # #") in scan.inventory.values
    assert scan.done


def test_several_processes_count_the_same(archive: Path, values: HeaderValues) -> None:
    one, two = scanned(archive, values), scanned(archive, values, workers=2)
    assert two.inventory.as_dict() == one.inventory.as_dict()
    assert (two.failed, two.passed_by, two.reached) == (one.failed, one.passed_by, one.reached)


def test_an_interrupted_scan_goes_on_where_it_was(
    archive: Path, values: HeaderValues, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.scan_files._CHUNK", 2)
    whole = scanned(archive, values)
    state = tmp_path / "scan.state"
    for stop in range(1, 6):
        state.unlink(missing_ok=True)
        chunks = 0

        def interrupt(_: int, stop: int = stop) -> None:
            nonlocal chunks
            chunks += 1
            if chunks == stop:
                raise KeyboardInterrupt

        first = read_scan(state, [str(archive)])
        try:
            scan_files(first, values, Limits(), state=state, watch=interrupt)
        except KeyboardInterrupt:
            assert not first.done
        read: list[int] = []
        second = read_scan(state, [str(archive)])
        assert second.inventory.as_dict() == first.inventory.as_dict()
        scan_files(second, values, Limits(), state=state, watch=read.append)
        assert second.inventory.as_dict() == whole.inventory.as_dict()
        assert (second.failed, second.passed_by) == (whole.failed, whole.passed_by)
    third = read_scan(state, [str(archive)])
    scan_files(third, values, Limits(), state=state, watch=read.append)
    assert third.done
    assert counts(third) == counts(whole)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no state", "it is no saved scan"),
        (gzip.compress(b"[]"), "it is no saved scan"),
        (gzip.compress(b'{"format": 9}'), "it has format 9, not 1"),
        (gzip.compress(b'{"format": 1, "sources": ["/other"]}'), "it is of /other"),
    ],
)
def test_a_state_of_another_kind_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    state = tmp_path / "scan.state"
    state.write_bytes(content)
    with pytest.raises(RequestError, match=message):
        read_scan(state, ["x"])
    assert state.read_bytes() == content


def test_the_command_writes_a_report_a_page_and_the_errors(archive: Path, tmp_path: Path) -> None:
    out, html, errors = tmp_path / "r.csv", tmp_path / "r.html", tmp_path / "e.csv"
    result = run(archive, "--out", out, "--html", html, "--errors", errors)
    assert result.exit_code == 1
    assert "7 rows, 7 images: " in result.stdout
    assert "BodyPartExamined: 4 distinct values → 4 codes" in result.stdout
    assert "XR ZQK\t72696002 |Knee|?" in result.stdout
    assert "broken.dcm" in result.stderr
    assert "files failed: 1, not DICOM and passed by: 2" in result.stderr
    rows = list(csv.DictReader(io.StringIO(out.read_text("utf-8"))))
    knee = next(row for row in rows if row["value"] == "KNEE")
    assert (knee["images"], knee["code"], knee["decision"]) == ("2", "72696002", "")
    assert html.read_text("utf-8").startswith("<!doctype html>")
    assert "broken.dcm" in errors.read_text("utf-8")
    everything = result.stdout + out.read_text("utf-8") + html.read_text("utf-8")
    for secret in ("Mustermann", "MUSTERMANN", "12345678", "P-4711", "ACC-0815", "19640812"):
        assert secret not in everything


def test_the_command_prints_json(archive: Path) -> None:
    result = run(archive, "--json", "--limit", 1)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    kinds = [record["record"] for record in records]
    assert kinds[0] == "scan"
    assert records[0]["rows"] == 7
    by_field = [record["field"] for record in records if record["record"] == "value"]
    assert len(by_field) == len(set(by_field))
    value = next(record for record in records if record["record"] == "value")
    assert (value["field"], value["value"]) == ("BodyPartExamined", "ELBOW")
    assert value["evidence"]
    assert "decision" not in value
    assert "error" in kinds


def test_a_finished_scan_is_reported_anew_with_new_decisions(archive: Path, tmp_path: Path) -> None:
    state, folder = tmp_path / "scan.state", tmp_path / "site"
    assert "values to decide" in run(archive, "--resume", state).stdout
    for path in archive.rglob("*.dcm"):
        path.unlink()
    decided = CliRunner().invoke(
        main,
        ["mappings", "add", "XR ZQK", "72696002", "--mappings", str(folder)],
        env={"BODYSITE_AUTHOR": "person:joe"},
    )
    assert decided.exit_code == 0
    result = run(archive, "--resume", state, "--mappings", folder, "--json")
    assert "the scan finished before: 7 headers" in result.stderr
    records = [json.loads(line) for line in result.stdout.splitlines()]
    row = next(record for record in records if record.get("value") == "XR ZQK")
    assert (row["code"], row["method"], row["suggestions"]) == ("72696002", "decision", [])


def test_scan_review_import_closes_the_circle(archive: Path, tmp_path: Path) -> None:
    report, todo, folder = tmp_path / "r.csv", tmp_path / "todo.csv", tmp_path / "site"
    run(archive, "--out", report)
    site = ["--mappings", str(folder)]

    def mappings(*arguments: object, stdin: str | None = None) -> Result:
        given = ["mappings", *(str(one) for one in arguments), *site]
        result = CliRunner().invoke(
            main, given, input=stdin, env={"BODYSITE_AUTHOR": "person:joe"}, catch_exceptions=False
        )
        assert result.exit_code == 0, result.stderr
        return result

    mappings("review", "--report", report, "--out", todo)
    rows = list(csv.DictReader(io.StringIO(todo.read_text("utf-8-sig"))))
    assert [row["value"] for row in rows] == ["XR ZQK"]
    rows[0]["decision"] = rows[0]["suggestion_1"]
    with todo.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0], delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    assert "1 decisions read, rows added: 1" in mappings("import", todo).stdout
    assert mappings("review", "--report", report).stdout == ""
    assert "XR ZQK" not in run(archive, "--mappings", folder).stdout
    mappings("undo")
    asked = mappings("review", "--report", report, "-i", stdin="85562005\nleft\n1\nleft\n")
    assert "fails the SNOMED CT check digit" in asked.stderr
    assert "saved: Knee" in asked.stdout
    assert "1 decided." in asked.stdout
    listed = json.loads(mappings("review", "--json").stdout)
    assert (listed["value"], listed["field"], listed["state"]) == (
        "XR ZQK",
        "StudyDescription",
        "adds",
    )
    assert mappings("log").stdout.count("\n") >= 3


def test_a_table_of_values_is_scanned(tmp_path: Path) -> None:
    table = tmp_path / "values.csv"
    table.write_text("word;modality;n\nKNIE LI;DX;7\nqwertz;DX;3\n;DX;2\n=cmd;CT;1\n")
    out = tmp_path / "r.csv"
    result = run(table, "--column", "word", "--count-column", "n", "--out", out)
    assert result.exit_code == 0
    assert "4 rows, 13 images: 3 distinct values → 1 codes" in result.stdout
    rows = {row["value"]: row for row in csv.DictReader(io.StringIO(out.read_text("utf-8")))}
    assert (rows["KNIE LI"]["images"], rows["KNIE LI"]["laterality"]) == ("7", "left")
    assert "'=cmd" in rows
    named = run(table, "--column", "word", "--field", "BodyPartExamined")
    assert "BodyPartExamined: 3 distinct values" in named.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["https://pacs/dicom-web"], "is an address"),
        (["none.dcm"], "no header was read; files failed: 1"),
        (["v.csv"], "no header was read; files failed: 1"),
        (["v.csv", "--column", "x"], "there is no column 'x'; expected one of word, n"),
        (["v.csv", "--column", "word", "--count-column", "word"], "'hand' is no count"),
        (["v.csv", "--column", "word", "--field", "Foo"], "'Foo' is no DICOM keyword"),
        (["v.csv", "--column", "word", "--field", "Modality", "--field", "X"], "2 given for 1"),
        (["v.csv", "--field", "Modality"], "go with --column"),
        (["v.csv", "--column", "word", "--out", "v.csv"], "one of the files to read"),
        (["v.csv", "--column", "word", "--out", "o", "--html", "o"], "named for two outputs"),
        (["none.csv", "--column", "word"], "cannot be read as CSV"),
        (["v.csv", "--column", "word", "--out", "no/such/o"], "cannot be written"),
        (["v.csv", "--resume", "no/such/state"], "cannot be written"),
        (["open.csv", "--column", "word"], "open.csv:2: it cannot be read as CSV"),
        (["long.csv", "--column", "word"], "long.csv:2: more cells than the header has"),
        (["twice.csv", "--column", "word"], "the column 'word' stands there 2 times"),
        (["big.csv", "--column", "word", "--count-column", "n"], "of at most 18 digits"),
    ],
)
def test_what_cannot_be_scanned_is_named(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("v.csv").write_text("word,n\nhand,2\n")
    Path("open.csv").write_text('word,n\n"hand,2\n')
    Path("long.csv").write_text("word,n\nhand, left,2\n")
    Path("twice.csv").write_text("word,word\nhand,2\n")
    Path("big.csv").write_text(f"word,n\nhand,{'9' * 5000}\n")
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_file_name_of_odd_bytes_is_told_and_gone_on_from(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in ("\udcff.dcm", "a\n\x1b[31m.dcm"):
        (folder / name).write_bytes(make_dicom(BodyPartExamined="HIP")[:300])
    state, errors, out = tmp_path / "state", tmp_path / "errors.csv", tmp_path / "page.html"
    for _ in range(2):
        result = run(folder, "--resume", state, "--errors", errors, "--html", out, "--json")
        assert result.exit_code == 2
        assert "\x1b" not in result.stderr
    (folder / "good.dcm").write_bytes(make_dicom(BodyPartExamined="HIP"))
    state.unlink()
    for _ in range(2):
        result = run(folder, "--resume", state, "--errors", errors, "--html", out, "--json")
        assert result.exit_code == 1
        failed = [json.loads(line) for line in result.stdout.splitlines()][-2:]
        assert [Path(one["file"]).name for one in failed] == ["a\\n\\x1b[31m.dcm", "\\udcff.dcm"]
    assert "\\udcff.dcm" in errors.read_text("utf-8")


def test_a_folder_that_cannot_be_read_is_an_error(
    archive: Path, values: HeaderValues, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.scan_files._is_closed", lambda folder: Path(folder).name == "c")
    found = scanned(archive, values)
    (what,) = (what for name, what in found.errors if Path(name).name == "c")
    assert what.startswith(f"{archive / 'b' / 'c'}: the folder cannot be read; expected a folder")


def test_control_characters_of_a_table_are_never_kept(tmp_path: Path) -> None:
    table = tmp_path / "v.csv"
    table.write_text("word\nqw\x1b[31mert\x00z\n")
    assert "\\u001b" not in (said := run(table, "--column", "word", "--json").stdout)
    assert "qw [31mert z" in said


def test_ctrl_c_leaves_a_state_to_go_on_from(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    state = tmp_path / "scan.state"
    with monkeypatch.context() as patched:
        patched.setattr("api.scan_files.count_files", interrupted)
        result = run(archive, "--resume", state)
    assert result.exit_code == 130
    assert f"--resume {state} goes on" in result.stderr
    assert "Traceback" not in result.output
    assert "7 rows, 7 images" in run(archive, "--resume", state).stdout
