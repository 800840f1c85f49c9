"""`bodysite annotate`: going on after an interruption, the review list, the model, progress."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.annotate_progress import progress_line
from api.annotate_work import Work
from api.annotator import Annotator
from api.cli import main
from api.inputs import Item
from api.output import _CSV_COLUMNS
from api.review_list import COLUMNS
from tests.api.conftest import make_dicom
from tests.api.hostile import Hostile
from tests.api.test_cli import process


@pytest.fixture(autouse=True)
def _headers_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYSITE_MODEL", "none")


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that sees a hand in everything."""

    @contextlib.contextmanager
    def opened(self: Work) -> Iterator[Annotator]:
        yield replace(self.reader(), predictor=Hostile())

    monkeypatch.setattr(Work, "opened", opened)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    root.mkdir()
    for number, part in enumerate(("HAND", "KNEE", "FOOT", "CHEST", "HAND", "KNEE")):
        (root / f"{number}.dcm").write_bytes(make_dicom(BodyPartExamined=part))
    (root / "notes.txt").write_text("text")
    return root


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are annotated; Ctrl-C comes at one called `stop.dcm`."""
    names: list[str] = []
    annotate = Annotator.annotate

    def watched(self: Annotator, item: Item, modality: str | None = None) -> Any:
        name = Path(item.name).name
        if name == "stop.dcm":
            raise KeyboardInterrupt
        names.append(name)
        return annotate(self, item, modality)

    monkeypatch.setattr(Annotator, "annotate", watched)
    return names


def run(*arguments: object) -> Result:
    words = ["annotate", *map(str, arguments)]
    return CliRunner().invoke(main, words, catch_exceptions=False)


def partial(out: Path) -> Path:
    return out.with_name(f".{out.name}.partial")


@pytest.mark.parametrize("form", ["json", "csv"])
def test_an_interrupted_run_goes_on_where_it_was(
    folder: Path, tmp_path: Path, seen: list[str], form: str, hands: None
) -> None:
    whole, review = tmp_path / "whole", tmp_path / "whole.csv"
    options = ("--format", form, "--phi", "keep")
    assert run(folder, *options, "--out", whole, "--review", review).exit_code == 0
    out, listed = tmp_path / "out", tmp_path / "review.csv"
    resumed = (folder, *options, "--out", out, "--review", listed, "--resume")
    (folder / "3.dcm").rename(folder / "stop.dcm")
    seen.clear()
    stopped = run(*resumed)
    assert stopped.exit_code == 130
    assert "Interrupted after 6 files" in stopped.stderr
    assert not out.exists()
    assert not listed.exists()
    # A kill may cut off the line that is being written.
    with partial(out).open("ab") as stream:
        stream.write(b'{"unit": "half a li')
    (folder / "stop.dcm").rename(folder / "3.dcm")
    seen.clear()
    done = run(*resumed)
    assert done.exit_code == 0
    assert seen == ["3.dcm"]
    assert "Goes on: 6 files" in done.stderr
    assert "files annotated: 6, failed: 0, not DICOM and passed by: 1." in done.stderr
    assert out.read_text("utf-8") == whole.read_text("utf-8")
    assert listed.read_text("utf-8") == review.read_text("utf-8")
    assert not partial(out).exists()


def test_what_changed_and_what_failed_is_read_again(
    folder: Path, tmp_path: Path, seen: list[str]
) -> None:
    (folder / "z").mkdir()
    (folder / "z" / "stop.dcm").write_bytes(b"")
    good = (folder / "2.dcm").read_bytes()
    (folder / "2.dcm").write_bytes(good[:200])
    out = tmp_path / "out.jsonl"
    assert run(folder, "--out", out, "--resume").exit_code == 130
    (folder / "2.dcm").write_bytes(good)
    (folder / "4.dcm").write_bytes(make_dicom(BodyPartExamined="ELBOW"))
    (folder / "0.dcm").unlink()
    (folder / "z" / "stop.dcm").unlink()
    seen.clear()
    assert run(folder, "--out", out, "--resume").exit_code == 0
    assert seen == ["2.dcm", "4.dcm"]
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    names = [Path(row["file"]).name for row in rows]
    assert names == ["1.dcm", "2.dcm", "3.dcm", "4.dcm", "5.dcm"]
    assert rows[3]["examined"][0]["code"] == "16953009"
    assert all(row["error"] is None for row in rows)


def test_a_run_that_went_on_stores_what_it_writes(
    folder: Path, tmp_path: Path, seen: list[str]
) -> None:
    from api.records import Query
    from api.store import SqlStore

    url = f"sqlite:///{tmp_path}/a.sqlite"
    (folder / "z.dcm").write_bytes(b"")
    (folder / "z.dcm").rename(folder / "stop.dcm")
    options = (folder, "--out", tmp_path / "out", "--resume", "--database", url)
    assert run(*options).exit_code == 130
    (folder / "stop.dcm").unlink()
    assert run(*options).exit_code == 0
    store = SqlStore(url)
    assert store.count(Query("ImagingStudy")) == 6
    store.close()


def test_the_journal_of_another_command_is_refused(
    folder: Path, tmp_path: Path, seen: list[str]
) -> None:
    (folder / "stop.dcm").write_bytes(b"")
    out = tmp_path / "out"
    assert run(folder, "--out", out, "--resume").exit_code == 130
    other = run(folder, "--out", out, "--resume", "--modality", "CR", "--phi", "keep")
    assert other.exit_code == 2
    assert "it was begun with another modality, phi policy" in other.stderr
    for content in ("no journal\n", "5\n", "[]\n"):
        partial(out).write_text(content)
        assert "it is no journal" in run(folder, "--out", out, "--resume").stderr


def test_a_file_that_is_named_twice_is_written_twice(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(folder, folder / "1.dcm", "--out", out, "--resume").exit_code == 0
    assert len(out.read_text("utf-8").splitlines()) == 7


@pytest.mark.skipif(sys.platform == "win32", reason="files are not locked there")
def test_two_commands_never_write_one_journal(folder: Path, tmp_path: Path) -> None:
    import fcntl

    out = tmp_path / "out"
    with partial(out).open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused = run(folder, "--out", out, "--resume")
    assert refused.exit_code == 2
    assert "another command is writing it" in refused.stderr


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--resume",), "--resume goes with --out"),
        (("--resume", "--out", "x", "--format", "fhir"), "--resume goes with --out"),
        (("--resume", "--out", "x", "-"), "'-' cannot be read twice"),
        (("--resume", "--out", "x", "--phi", "drop"), "Name a --database"),
        (("--processes", "2", "-"), "'-' is one stream"),
        (("--model", "nowhere.bodysite"), "there is no file 'nowhere.bodysite'"),
        (("--review", "x.csv", "--out", "x.csv"), "is the file of --out"),
        (("--review", "/nonexistent/x.csv"), "--review: '/nonexistent/x.csv' cannot be written"),
    ],
)
def test_misuse_is_told(
    options: tuple[str, ...], reason: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    result = run(folder, *options)
    assert result.exit_code == 2
    assert reason in result.stderr
    assert "Traceback" not in result.stderr
    assert [one.name for one in folder.parent.iterdir()] == ["images"]


def test_the_review_list_has_what_a_person_should_look_at(
    folder: Path, tmp_path: Path, hands: None
) -> None:
    listed = tmp_path / "review.csv"
    result = run(folder, "--review", listed, "--phi", "keep")
    assert result.exit_code == 0
    with listed.open(encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        rows = list(reader)
        assert tuple(reader.fieldnames or ()) == COLUMNS
    told = {one["file"]: one for one in map(json.loads, result.stdout.splitlines())}
    assert {row["file"] for row in rows} == {name for name, one in told.items() if one["review"]}
    # A knee for the header, a hand for the image; of a hand, nobody need look.
    (knee,) = [row for row in rows if row["file"].endswith("1.dcm")]
    assert knee["header_code"] == "72696002"
    assert knee["image_code"] == "85562004"
    assert knee["image_confidence"] == "0.9"
    assert knee["relation"] == "CONFLICT"
    assert "conflict" in knee["review"].split()
    assert not [row for row in rows if row["file"].endswith("0.dcm")]


def test_json_and_csv_tell_the_answers_apart(folder: Path, hands: None) -> None:
    (told,) = [json.loads(one) for one in run(folder / "1.dcm").stdout.splitlines()]
    assert told["answers"].keys() == {"header", "image", "union", "intersection", "bayes"}
    assert [one["code"] for one in told["answers"]["header"]] == ["72696002"]
    assert [one["code"] for one in told["answers"]["image"]] == ["85562004"]
    assert told["reasons"] == []
    assert told["view_confidence"] is None
    (row,) = csv.DictReader(io.StringIO(run(folder / "1.dcm", "--format", "csv").stdout))
    assert row["header_codes"] == "72696002"
    assert row["image_code"] == "85562004"
    assert row["review"] == " ".join(told["review"])
    # What was there before pixels were read keeps its name and its place.
    assert _CSV_COLUMNS[:14] == (
        "file", "sop_instance_uid", "modality", "code", "display", "laterality", "confidence",
        "source", "other_codes", "view_code", "view_display", "router_group", "relation", "error",
    )  # fmt: skip


def test_without_a_model_there_is_nothing_to_tell_apart(folder: Path) -> None:
    (told,) = [json.loads(one) for one in run(folder / "1.dcm").stdout.splitlines()]
    assert told["answers"] is None
    assert told["image"] == []


def test_pictures_in_a_folder_count_when_a_model_reads_them(folder: Path, hands: None) -> None:
    from PIL import Image

    for ending in ("png", "jpg", "tif"):
        Image.new("L", (64, 64), 7).save(folder / f"p.{ending}")
    names = [Path(json.loads(one)["file"]).name for one in run(folder).stdout.splitlines()]
    assert names[-3:] == ["p.jpg", "p.png", "p.tif"]


_MISSING = "import sys\nsys.modules['onnxruntime'] = None\nfrom api.cli import main\nmain()"


def test_without_the_packages_headers_answer_and_it_is_said_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BODYSITE_MODEL")
    done = process("annotate", str(folder), code=_MISSING)
    assert done.returncode == 0
    first, *_ = done.stderr.decode().splitlines()
    assert "The package 'onnxruntime' is not installed" in first
    assert "bodysite[pixels]" in first
    assert done.stderr.count(b"onnxruntime") == 1
    assert len(done.stdout.splitlines()) == 6


def test_without_the_packages_a_model_that_was_named_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    model = tmp_path / "some.bodysite"
    model.write_bytes(b"x")
    done = process("annotate", str(folder), "--model", str(model), code=_MISSING)
    assert done.returncode == 2
    assert b"--model: the package 'onnxruntime' is not installed" in done.stderr


def test_what_is_no_model_is_refused_before_anything_is_read(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "some.bodysite"
    model.write_bytes(b"no model")
    result = run(folder, "--model", model)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert not result.stdout


def test_progress_is_told_where_it_is_asked_for(folder: Path) -> None:
    result = run(folder, "--progress")
    assert "7 of 7 files" in result.stderr
    assert "files, " not in run(folder).stderr


@pytest.mark.parametrize(
    ("numbers", "line"),
    [
        ((0, 0, None, 0.0), "0 files"),
        ((50, 0, None, 10.0), "50 files, 5.0 a second"),
        ((1000, 0, 5000, 100.0), "1,000 of 5,000 files, 10.0 a second, 0:06:40 left"),
        ((100, 2400, 2500, 50.0), "2,500 of 2,500 files, 2.0 a second"),
        ((100, 1000, 8300, 100.0), "1,100 of 8,300 files, 1.0 a second, 2:00:00 left"),
    ],
)
def test_progress_in_words(numbers: tuple[int, int, int | None, float], line: str) -> None:
    assert progress_line(*numbers) == line


@pytest.mark.skipif(sys.platform == "win32", reason="needs a named pipe")
def test_ctrl_c_ends_all_processes_and_the_next_run_goes_on(folder: Path, tmp_path: Path) -> None:
    pipe, out = tmp_path / "pipe", tmp_path / "out.csv"
    os.mkfifo(pipe)
    words = ["annotate", str(folder), str(pipe), "--format", "csv", "--processes", "2"]
    command = [sys.executable, "-c", "from api.cli import main; main()", *words]
    with subprocess.Popen(
        [*command, "--out", str(out), "--resume"],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        start_new_session=True,
    ) as started:
        assert started.stderr is not None
        # Nobody writes to the pipe: all before it is done, then nothing goes on.
        until = time.monotonic() + 300
        while not (partial(out).exists() and partial(out).read_bytes().count(b"\n") == 8):
            assert time.monotonic() < until
            time.sleep(0.1)
        os.killpg(started.pid, signal.SIGINT)
        assert started.wait(300) == 130
        assert started.stderr.read() == b"Interrupted after 7 files; the same command goes on.\n"
        # What multiprocessing started beside them ends when it notices.
        until = time.monotonic() + 300
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < until:
                os.killpg(started.pid, 0)
                time.sleep(0.1)
        assert time.monotonic() < until
    assert not out.exists()
    assert partial(out).exists()
