"""`bodysite review` on a database and on a running service."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner, Result

from api.cli import main
from tests.api.conftest import make_dicom, running_server

FOOT, KNEE = "56459004", "72696002"


def run(*words: str) -> Result:
    return CliRunner().invoke(main, ["review", *words], catch_exceptions=False)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for name, said in (("a", "Hand"), ("b", "Foot")):
        content = make_dicom(BodyPartExamined="KNEE", StudyDescription=said)
        (folder / f"{name}.dcm").write_bytes(content)
    return folder


@pytest.fixture(params=["database", "server"])
def where(request: pytest.FixtureRequest, images: Path, tmp_path: Path) -> Iterator[list[str]]:
    with running_server(tmp_path) as (process, address):
        for path in sorted(images.iterdir()):
            answer = requests.post(
                f"{address}/r4/ImagingStudy/$annotate",
                data=path.read_bytes(),
                headers={"content-type": "application/dicom"},
                timeout=30,
            )
            assert answer.status_code == 200
        if request.param == "database":
            process.kill()
            process.wait()
            yield ["--database", f"sqlite:///{tmp_path}/kill.sqlite", "--model", "none"]
        else:
            yield ["--server", f"{address}/r4"]


def listed(where: list[str]) -> list[str]:
    result = run("list", "--json", *where)
    assert result.exit_code == 0, result.output
    return [json.loads(line)["id"] for line in result.stdout.splitlines()]


def test_the_list_is_worked_off_at_the_command_line(
    where: list[str], images: Path, tmp_path: Path
) -> None:
    first, *others = listed(where)
    assert others
    shown = run("show", first, *where)
    assert "header" in shown.stdout.lower()
    wrong = run("correct", first, "--site", "85562005", *where)
    assert wrong.exit_code == 2
    corrected = run("correct", first, "--site", "left foot", "--by", "Dr. R", "--json", *where)
    assert corrected.exit_code == 0, corrected.output
    line = json.loads(corrected.stdout)
    assert (line["status"], line["site"]["code"], line["laterality"]) == ("corrected", FOOT, "left")
    assert run("confirm", *others, *where).exit_code == 0
    assert listed(where) == []
    assert run("undo", first, *where).exit_code == 0
    assert listed(where) == [first]
    assert run("reject", first, *where).exit_code == 0

    out = tmp_path / "rows.csv"
    database = f"sqlite:///{tmp_path}/kill.sqlite"
    exported = run("export", "--out", str(out), "--images", str(images), "--database", database)
    assert exported.exit_code == 0, exported.output
    with out.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["decision"] for row in rows} == {"confirmed", "rejected"}
    assert all((out.parent / row["path"]).is_file() for row in rows)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "none"), "there is no such resource"),
        (("correct", "none"), "nothing is said"),
        (("correct", "none", "--site", "nonsense"), "names no body site"),
        (("correct", "none", "--view", "nonsense"), "is no view"),
        (("list", "--server", "http://x/r4"), "two places"),
    ],
)
def test_misuse_is_a_message_and_status_2(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    result = run(*words, "--database", f"sqlite:///{tmp_path}/s.sqlite", "--model", "none")
    assert result.exit_code == 2
    assert message in result.stderr
