"""`bodysite annotate` and `bodysite serve` as programs see them."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.annotator import Annotator
from api.cli import main
from api.inputs import Item
from api.records import Query
from api.store import SqlStore, StudyUpdate
from terminology.errors import BodySiteError
from tests.api.checks import checked, of_type
from tests.api.conftest import ROOT, make_dicom, sample

# DESIGN: these keys are a contract; more may be added, none renamed.
CONTRACT = {
    "file", "sop_instance_uid", "modality", "examined", "visible", "view", "laterality",
    "router_group", "relation", "header", "image", "evidence", "error",
}  # fmt: skip
PACKAGES = Path(__file__).parents[2]


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin, catch_exceptions=False)


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def process(*arguments: str, code: str = "from api.cli import main; main()", **options: Any) -> Any:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES), **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        timeout=300,
        env=environment,
        **options,
    )


@pytest.fixture(autouse=True)
def _headers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested here is the same with a model, which takes time to load."""
    monkeypatch.setenv("BODYSITE_MODEL", "none")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two images, a zip, a DICOMDIR, a picture and a text."""
    root = tmp_path / "export"
    (root / "b" / "c").mkdir(parents=True)
    (root / "z.dcm").write_bytes(make_dicom(BodyPartExamined="HAND", ImageLaterality="L"))
    (root / "b" / "c" / "a.dcm").write_bytes(make_dicom(BodyPartExamined="KNEE"))
    with zipfile.ZipFile(root / "b" / "more.zip", "w") as archive:
        archive.writestr("foot.dcm", make_dicom(BodyPartExamined="FOOT"))
        archive.writestr("readme.txt", "text")
    (root / "DICOMDIR").write_bytes(sample("DICOMDIR"))
    (root / "notes.txt").write_text("no DICOM")
    (root / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n....")
    return root


def test_json_has_the_keys_of_the_contract(tmp_path: Path) -> None:
    path = tmp_path / "hand.dcm"
    path.write_bytes(
        make_dicom(BodyPartExamined="HAND", ImageLaterality="L", SOPInstanceUID=f"{ROOT}.1")
    )
    result = run("annotate", str(path))
    assert result.exit_code == 0
    assert result.stderr == ""
    (found,) = lines(result)
    assert found.keys() >= CONTRACT
    assert found["file"] == str(path)
    assert found["sop_instance_uid"] == f"{ROOT}.1"
    (site,) = found["examined"]
    assert site.keys() == {"code", "display", "laterality", "confidence", "sided", "source"}
    assert site["sided"] == {"code": "85151006", "display": "Left hand"}
    assert (site["code"], site["laterality"], site["source"]) == ("85562004", "left", "header")
    assert (found["laterality"], found["relation"]) == ("left", "HEADER_ONLY")
    assert found["error"] is None
    assert found["evidence"]


def test_a_folder_is_walked_in_order_and_what_is_no_dicom_is_counted(folder: Path) -> None:
    result = run("annotate", str(folder))
    assert result.exit_code == 0
    names = [found["file"].removeprefix(f"{folder}/") for found in lines(result)]
    assert names == ["z.dcm", "b/more.zip!foot.dcm", "b/c/a.dcm"]
    assert "files annotated: 3, failed: 0, not DICOM and passed by: 4." in result.stderr


def test_a_file_that_was_named_must_be_dicom(folder: Path) -> None:
    result = run("annotate", str(folder / "notes.txt"), str(folder / "z.dcm"))
    assert result.exit_code == 1
    bad, good = lines(result)
    assert good["error"] is None
    assert bad.keys() == good.keys()
    assert bad["examined"] == []
    assert bad["error"].keys() == {"type", "where", "what", "expected", "remedy"}
    assert "notes.txt: the file is not DICOM" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nowhere.dcm",),
        ("--format", "xml", "."),
        ("--database", "sqlite://", "."),
        ("--database", "nonsense", "."),
        ("--database", "sqlite:////nonexistent/x.sqlite", "."),
        ("--out", "/nonexistent/x.json", "."),
        ("--phi", "maybe", "."),
    ],
)
def test_misuse_is_exit_2_with_a_message(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("annotate", *arguments)
    assert result.exit_code == 2
    assert result.stderr
    assert "Traceback" not in result.stderr


def test_an_empty_folder_is_nothing_usable(tmp_path: Path) -> None:
    result = run("annotate", str(tmp_path))
    assert result.exit_code == 2
    assert "files annotated: 0" in result.stderr


def test_csv_has_a_row_a_file(folder: Path) -> None:
    result = run("annotate", str(folder), "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["code"] for row in rows] == ["85562004", "56459004", "72696002"]
    assert rows[0]["laterality"] == "left"


def test_fhir_is_one_bundle_and_ndjson_a_resource_a_line(folder: Path) -> None:
    bundle = checked(json.loads(run("annotate", str(folder), "--format", "fhir").stdout))
    assert len(of_type(bundle, "ImagingStudy")) == 3
    assert len(of_type(bundle, "Device")) == 1
    resources = [checked(one) for one in lines(run("annotate", str(folder), "--format", "ndjson"))]
    kinds = sorted(one["resourceType"] for one in resources)
    assert kinds == sorted(one["resource"]["resourceType"] for one in bundle["entry"])


def test_out_appears_when_complete_and_only_then(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert run("annotate", str(folder), "--out", str(out)).exit_code == 0
    assert [path.name for path in out.iterdir()] == ["annotations.jsonl"]
    assert len((out / "annotations.jsonl").read_text("utf-8").splitlines()) == 3
    target = out / "x.json"
    target.write_text("old")
    assert run("annotate", str(folder / "notes.txt"), "--out", str(target)).exit_code == 2
    assert target.read_text() == "old"
    assert len(list(out.iterdir())) == 2
    assert target.stat().st_mode & 0o777 == (out / "annotations.jsonl").stat().st_mode & 0o777


def test_a_database_keeps_the_resources_and_the_pseudonyms(folder: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.sqlite"
    for form in ("json", "fhir"):
        assert run("annotate", str(folder), "--database", url, "--format", form).exit_code == 0
    first = run("annotate", str(folder), "--database", url, "--format", "fhir").stdout
    again = run("annotate", str(folder), "--database", url, "--format", "fhir").stdout
    assert of_type(json.loads(first), "ImagingStudy") == of_type(json.loads(again), "ImagingStudy")
    store = SqlStore(url)
    assert len(store.codes_in_use("ImagingStudy", "bodysite", "http://snomed.info/sct")) == 4
    store.close()


def test_the_policy_holds_for_every_format(tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(make_dicom(StudyDescription="Hand von Mustermann, P-4711"))
    for form in ("json", "fhir", "ndjson", "csv"):
        text = run("annotate", str(path), "--format", form).stdout
        assert "Mustermann" not in text
        assert "4711" not in text
    assert ROOT not in run("annotate", str(path), "--phi", "drop").stdout
    kept = run("annotate", str(path), "--phi", "keep", "--format", "fhir").stdout
    assert "P-4711" in kept


def test_stdin_and_stdout_are_a_pipe() -> None:
    done = process("annotate", "-", input=make_dicom(BodyPartExamined="KNEE"))
    assert done.returncode == 0
    (line,) = done.stdout.decode().splitlines()
    assert json.loads(line)["examined"][0]["code"] == "72696002"
    assert done.stderr == b""


def test_a_named_pipe_is_read_like_stdin(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = make_dicom(BodyPartExamined="FOOT")
    writer = threading.Thread(target=lambda: pipe.write_bytes(content))
    writer.start()
    result = run("annotate", str(pipe))
    writer.join()
    assert lines(result)[0]["examined"][0]["code"] == "56459004"


def test_ctrl_c_is_quiet_and_leaves_no_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from api.cli import main; main()", "annotate", "-"]
    with subprocess.Popen(
        [*command, "--out", str(tmp_path / "out.json")],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(PACKAGES)},
    ) as started:
        assert started.stdin is not None
        assert started.stderr is not None
        # More than a pipe holds: once it is written, the command reads, and no longer imports.
        started.stdin.write(bytes(1 << 20))
        started.stdin.flush()
        assert list(tmp_path.iterdir())
        started.send_signal(signal.SIGINT)
        assert started.wait(30) == 130
        assert started.stderr.read() == b"Interrupted.\n"
    assert list(tmp_path.iterdir()) == []


def test_a_limit_can_be_set_by_the_environment(folder: Path) -> None:
    done = process("annotate", str(folder / "z.dcm"), env={"BODYSITE_MAX_HEADER_BYTES": "300"})
    assert done.returncode == 2
    assert b"larger than the limit" in done.stderr
    wrong = process("annotate", ".", env={"BODYSITE_MAX_FILES": "many"})
    assert wrong.returncode == 2
    assert b"BODYSITE_MAX_FILES: 'many'" in wrong.stderr


def test_json_works_without_the_extra_and_fhir_says_what_is_missing(folder: Path) -> None:
    block = (
        "import sys\n"
        "for name in ('fastapi', 'fhir', 'pydantic', 'sqlalchemy', 'uvicorn', 'starlette'):\n"
        "    sys.modules[name] = None\n"
        "from api.cli import main\n"
        "main()"
    )
    done = process("annotate", str(folder / "z.dcm"), code=block)
    assert done.returncode == 0, done.stderr
    missing = process("annotate", str(folder / "z.dcm"), "--format", "fhir", code=block)
    assert missing.returncode == 2
    assert b"bodysite[api]" in missing.stderr


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from api.cli import main\n"
        "for words in (['--help'], ['annotate', '--help'], ['serve', '--help']):\n"
        "    assert CliRunner().invoke(main, words).exit_code == 0, words\n"
        "heavy = {'pydicom', 'fastapi', 'sqlalchemy', 'networkx', 'pydantic', 'fhir', 'numpy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = process(code=code)
    assert done.returncode == 0, done.stderr.decode()


def test_every_command_is_there() -> None:
    result = run("--help")
    for name in ("annotate", "serve", "map", "mappings", "terminology"):
        assert name in result.stdout


EVERYWHERE = "0.0.0.0"  # noqa: S104 (what is to be refused)


@pytest.mark.parametrize(
    ("arguments", "environment", "reason"),
    [
        (("--host", "::"), {}, "no bearer token"),
        (("--host", "192.0.2.1"), {}, "no bearer token"),
        (("--host", "example.org"), {}, "no bearer token"),
        (("--host", EVERYWHERE), {}, "no bearer token"),
        (("--host", "0"), {}, "no bearer token"),
        (("--host", ""), {}, "no bearer token"),
        (("--host", "::ffff:192.0.2.1"), {}, "no bearer token"),
        (("--host", EVERYWHERE, "--workers", "2"), {}, "no bearer token"),
        ((), {"BODYSITE_HOST": EVERYWHERE}, "no bearer token"),
        ((), {"BODYSITE_OIDC_ISSUER": "http://login.example"}, "no https address"),
        ((), {"BODYSITE_OIDC_ISSUER": "https://login.example"}, "BODYSITE_OIDC_AUDIENCE"),
        ((), {"BODYSITE_TOKENS": "a:b:system/Nothing"}, "grants nothing"),
        (("--port", "99999"), {}, "99999"),
        ((), {"BODYSITE_PORT": "many"}, "BODYSITE_PORT"),
        ((), {"BODYSITE_PHI": "maybe"}, "BODYSITE_PHI"),
        (("--host", "192.0.2.1"), {"BODYSITE_TOKENS": "secret-token"}, "cannot listen"),
        (("--database", "nonsense"), {}, "cannot be opened"),
        (("--token-file", "empty"), {}, "holds no token"),
        (("--model", "nowhere.bodysite"), {}, "there is no file 'nowhere.bodysite'"),
        ((), {"BODYSITE_MODEL": "nowhere.bodysite"}, "there is no file 'nowhere.bodysite'"),
    ],
)
def test_serve_refuses_to_start(
    arguments: tuple[str, ...],
    environment: dict[str, str],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").touch()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    port = () if "--port" in arguments or "BODYSITE_PORT" in environment else ("--port", "0")
    result = run("serve", *arguments, *port)
    assert result.exit_code == 2
    assert reason in result.stderr
    assert "secret-token" not in result.output


def test_serve_reads_a_token_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("api.cli._run", seen.append)
    tokens = tmp_path / "tokens"
    tokens.write_text("# ours\nalpha\n\n beta \n")
    tokens.chmod(0o600)
    assert run("serve", "--host", "192.0.2.1", "--token-file", str(tokens)).exit_code == 0
    assert seen[0].token_file == tokens
    assert "alpha" not in repr(seen[0])
    tokens.chmod(0o644)
    result = run("serve", "--token-file", str(tokens))
    assert result.exit_code == 2
    assert "chmod 600" in result.stderr
    assert "alpha" not in result.output


@pytest.mark.parametrize("given", ["a.dcm", "."])
def test_out_is_never_a_file_that_is_read(tmp_path: Path, given: str) -> None:
    path = tmp_path / "a.dcm"
    content = make_dicom(BodyPartExamined="HAND")
    path.write_bytes(content)
    result = run("annotate", str(tmp_path / given), "--out", str(path))
    assert result.exit_code == 2
    assert "is one of the files to read" in result.stderr
    assert path.read_bytes() == content


def test_a_modality_is_checked_before_anything_is_read() -> None:
    result = run("annotate", "--modality", "d x", "no-such-file")
    assert result.exit_code == 2
    assert "--modality: 'd x' is no modality" in result.stderr


def test_an_empty_folder_is_an_error_that_says_what_was_expected(tmp_path: Path) -> None:
    result = run("annotate", str(tmp_path))
    assert result.exit_code == 2
    assert "files annotated: 0" in result.stderr
    assert "Expected DICOM files" in result.stderr


def test_two_phi_policies_never_meet_in_one_database(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(make_dicom(BodyPartExamined="HAND"))
    database = f"sqlite:///{tmp_path}/x.sqlite"
    assert run("annotate", str(path), "--phi", "keep", "--database", database).exit_code == 0
    result = run("annotate", str(path), "--database", database)
    assert result.exit_code == 2
    assert "Use --phi keep, or another database" in result.stderr


def test_a_token_file_must_be_text(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(b"\xff\xfe")
    result = run("serve", "--token-file", str(path))
    assert result.exit_code == 2
    assert "cannot be read as UTF-8 text" in result.stderr


def numbered(folder: Path, count: int, **elements: Any) -> None:
    for number in range(count):
        content = make_dicom(**{"BodyPartExamined": "HAND", "PatientID": "P", **elements})
        (folder / f"{number}.dcm").write_bytes(content)


@pytest.mark.parametrize("form", ["json", "csv", "fhir", "ndjson"])
def test_what_was_done_before_a_kill_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    root = tmp_path / "images"
    root.mkdir()
    numbered(root, 6)
    annotate = Annotator.annotate

    def killed_at_the_sixth(self: Annotator, item: Item, modality: str | None = None) -> Any:
        if item.name.endswith("5.dcm"):
            raise KeyboardInterrupt
        return annotate(self, item, modality)

    monkeypatch.setattr(Annotator, "annotate", killed_at_the_sixth)
    monkeypatch.setattr("api.output.BLOCK_FILES", 2)
    url = f"sqlite:///{tmp_path}/a.sqlite"
    result = run("annotate", str(root), "--database", url, "--format", form)
    assert result.exit_code == 130
    store = SqlStore(url)
    assert store.count(Query("ImagingStudy")) == 4
    store.close()
    written = {"json": 4, "csv": 1 + 4}
    assert len(result.stdout.splitlines()) == written.get(form, 0)


def test_a_row_is_written_only_when_its_block_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "images"
    root.mkdir()
    numbered(root, 5)
    calls: list[str] = []
    update_studies = SqlStore.update_studies

    def fails_at_the_fourth(self: SqlStore, updates: Iterable[StudyUpdate]) -> Any:
        for one in updates:
            calls.append(one.study_id)
            if len(calls) == 4:
                raise BodySiteError("store", "no space is left", "space", "Make some.")
            yield from update_studies(self, [one])

    monkeypatch.setattr(SqlStore, "update_studies", fails_at_the_fourth)
    monkeypatch.setattr("api.output.BLOCK_FILES", 2)
    url = f"sqlite:///{tmp_path}/a.sqlite"
    result = run("annotate", str(root), "--database", url, "--format", "csv")
    assert result.exit_code == 2
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [Path(row["file"]).name for row in rows] == ["0.dcm", "1.dcm"]


@pytest.mark.parametrize("form", ["fhir", "ndjson"])
def test_a_study_in_many_blocks_is_written_once_and_as_it_is_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    root = tmp_path / "images"
    root.mkdir()
    same = {"StudyInstanceUID": f"{ROOT}.50", "SeriesInstanceUID": f"{ROOT}.51"}
    numbered(root, 5, **same)
    # The same instance again with another site: the Observation of its first block is withdrawn.
    for number, part in enumerate(("FOOT", "KNEE")):
        content = make_dicom(BodyPartExamined=part, SOPInstanceUID=f"{ROOT}.52", **same)
        (root / f"x{number}.dcm").write_bytes(content)
    monkeypatch.setattr("api.output.BLOCK_FILES", 1)
    url = f"sqlite:///{tmp_path}/a.sqlite"
    result = run("annotate", str(root), "--database", url, "--format", form)
    assert result.exit_code == 0
    if form == "fhir":
        resources = [entry["resource"] for entry in json.loads(result.stdout)["entry"]]
    else:
        resources = lines(result)
    (study,) = [one for one in resources if one["resourceType"] == "ImagingStudy"]
    assert study["numberOfInstances"] == 6
    observations = [one for one in resources if one["resourceType"] == "Observation"]
    sites = {one["bodySite"]["coding"][0]["code"] for one in observations}
    # 85562004 |Hand|, 72696002 |Knee region structure|.
    assert sites == {"85562004", "72696002"}
    assert len([one for one in resources if one["resourceType"] == "Device"]) == 1
