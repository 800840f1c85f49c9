"""docs/annotate.md: its commands run on the images of `make run`, its tables are the code's.

The model is a small net that was never trained: what is shown of an answer is its form.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from api.annotate_cli import annotate
from api.cli import main
from api.output import _CSV_COLUMNS
from api.review_list import COLUMNS
from classifier.serving.artefact import write_artefact
from terminology.graph import BodyStructureGraph
from tests.classifier.evaluation.drawn import drawn_space, tiny_model
from tests.classifier.serving.conftest import artefact_of

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "annotate.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(kind: str) -> list[str]:
    return [text for found, text in BLOCK.findall(PAGE) if found == kind]


def section(heading: str) -> str:
    return PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> list[str]:
    """Return the names in the first cells of a table."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def bodysite(command: str) -> Result:
    name, *words = shlex.split(command)
    assert name == "bodysite", command
    return CliRunner().invoke(main, words, catch_exceptions=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that the page is run in."""
    folder = tmp_path_factory.mktemp("annotate")
    space = drawn_space(BodyStructureGraph.load())
    write_artefact(folder / "tiny.bodysite", artefact_of(tiny_model(space)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("BODYSITE_MODEL", str(folder / "tiny.bodysite"))
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        from demo_images import write_demo

        write_demo(folder / "demo")
        yield folder
        del sys.modules["demo_images"]


def test_every_command_runs(place: Path) -> None:
    commands = [line for text in blocks("sh") for line in text.splitlines()]
    assert len(commands) == 5
    for command in commands:
        result = bodysite(command)
        assert result.exit_code == 0, f"{command}\n{result.output}"
    for name in ("found.csv", "look.csv", "bodysite.sqlite", "why.png", "chest.explained.png"):
        assert (place / name).is_file(), name


def test_json_is_what_is_shown(place: Path) -> None:
    (text,) = blocks("json")
    shown = json.loads(text)
    (told,) = map(json.loads, bodysite(f"bodysite annotate {shown['file']}").stdout.splitlines())
    assert shown.keys() == told.keys()
    assert shown["answers"].keys() == told["answers"].keys()
    assert shown["visible"][0].keys() | {"source"} == shown["examined"][0].keys()
    assert shown["view"].keys() == {"code", "display", "dicom"}
    (one,) = map(
        json.loads, bodysite("bodysite annotate demo/chest.dcm --model none").stdout.splitlines()
    )
    assert one["examined"][0].keys() == shown["examined"][0].keys()
    assert set(first_cells(section("What json says"))) >= told.keys()


def test_the_columns_are_listed_in_their_order() -> None:
    for heading, columns in (("What csv says", _CSV_COLUMNS), ("The review list", COLUMNS)):
        listed = section(heading).partition(":\n")[2].partition(".")[0]
        assert tuple(re.findall(r"`(\w+)`", listed)) == columns


def test_all_options_are_listed() -> None:
    options = {one.opts[0] for one in annotate.params if isinstance(one, click.Option) and one.opts}
    assert set(re.findall(r"^\| `(--[a-z]+)`", section("Options"), re.MULTILINE)) == options
