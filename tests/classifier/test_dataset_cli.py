import csv
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from classifier.dataset_cli import dataset
from classifier.errors import DataSetError


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(4):
        coarse = rng.integers(0, 256, (5, 5)).astype(np.uint8)
        image = cv2.resize(coarse, (64, 64), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"{number}.png"), image)
        if number == 3:
            cv2.imwrite(str(folder / "copy.png"), image)
    (folder / "manifest.csv").write_text(
        "path,examined,view,modality,group\n"
        "0.png,hand,PA,CR,p0\n1.png,hand,lateral,CR,p0\n2.png,knee,AP,DX,p1\n"
        "3.png,chest,PA,DX,p2\ncopy.png,chest,PA,DX,p3\nnone.png,chest,PA,DX,p3\n",
        encoding="utf-8",
    )
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(dataset, [str(one) for one in arguments])


def test_the_labels_are_shown_with_what_was_left_out(manifest: Path) -> None:
    found = run(f"manifest:{manifest}")

    assert found.exit_code == 0, found.output
    lines = [line.split() for line in found.output.splitlines()]
    assert ["85562004", "Hand", "manifest", "2", "3", "0"] in lines
    assert any(line[:2] == ["272479007", "postero-anterior"] for line in lines)
    assert any("the file is missing" in " ".join(line) for line in lines)


def test_the_report_is_one_json_object(manifest: Path) -> None:
    found = run(f"manifest:{manifest}", "--json")

    data = json.loads(found.output)
    assert data["sources"][0]["images"] == 5
    assert data["sources"][0]["patients"] == 4
    assert data["duplicates"] is None
    assert data["unused"][0]["count"] == 1


def test_every_label_and_source_is_a_row_of_the_csv(manifest: Path, tmp_path: Path) -> None:
    found = run(f"manifest:{manifest}", "--csv", tmp_path / "labels.csv")

    assert found.exit_code == 0, found.output
    with (tmp_path / "labels.csv").open(encoding="utf-8", newline="") as stream:
        rows = [(row["head"], row["label"], row["positives"]) for row in csv.DictReader(stream)]
    assert ("modality", "DX", "5") in rows


def test_several_sets_are_counted_together_and_by_source(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "limbs" / "hand").mkdir(parents=True)
    (tmp_path / "limbs" / "hand" / "1.png").touch()
    sets = (f"manifest:{manifest}", f"folder:{tmp_path / 'limbs'}")

    together = [line.split() for line in run(*sets).output.splitlines()]
    apart = [line.split() for line in run(*sets, "--by-source").output.splitlines()]

    assert ["85562004", "Hand", "2", "sources", "3", "3", "0"] in together
    assert ["85562004", "Hand", "limbs", "1", "0", "0"] in apart
    assert ["85562004", "Hand", "manifest", "2", "3", "0"] in apart


def test_a_set_that_is_named_twice_is_not_counted_twice(manifest: Path) -> None:
    refused = run(f"manifest:{manifest}", f"manifest:{manifest}")
    assert isinstance(refused.exception, DataSetError)
    assert "is there twice, and 4 others" in str(refused.exception)


def test_options_reach_the_reader(manifest: Path) -> None:
    found = run(
        f"manifest:{manifest}",
        "--json",
        "--option",
        'manifest.where.modality=["CR*"]',
        "--option",
        "manifest.name=mine",
    )

    data = json.loads(found.output)
    assert [(one["collection"], one["images"]) for one in data["sources"]] == [("mine", 2)]


def test_near_duplicates_are_looked_for_in_the_pixels(manifest: Path) -> None:
    found = json.loads(run(f"manifest:{manifest}", "--duplicates", "--json").output)["duplicates"]

    assert (found["groups"], found["images"], found["across_patients"]) == (1, 2, 1)
    assert [key.rpartition("/")[2] for key in found["largest"][0]] == ["3.png", "copy.png"]


def test_an_image_that_does_not_decode_is_told_and_compared_with_none(manifest: Path) -> None:
    (manifest / "0.png").write_bytes(b"no picture")
    (manifest / "1.png").write_bytes(b"no picture")

    found = run(f"manifest:{manifest}", "--duplicates")

    assert found.exit_code == 1
    assert "2 images do not decode" in found.output
    assert "near-duplicates: 2 images in 1 groups" in found.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["images"], "expected KIND:PATH"),
        (["manifest:"], "expected KIND:PATH"),
        (["manifest:x", "--option", "dicom.frames=3"], "no set of the kind 'dicom'"),
        (["manifest:x", "--option", "manifest=3"], "expected KIND.NAME=VALUE"),
        (["manifest:x", "--option", "manifest.a=1", "--option", "manifest.a.b=1"], "has a value"),
        (["manifest:x", "--distance", "3"], "add --duplicates"),
    ],
)
def test_misuse_is_explained(arguments: list[str], told: str) -> None:
    found = run(*arguments)

    assert found.exit_code == 2
    assert told in found.output


@pytest.mark.parametrize("name", ["x:/nowhere", "manifest:/nowhere"])
def test_a_set_that_is_not_there_is_refused(name: str) -> None:
    found = run(name)

    assert isinstance(found.exception, DataSetError)


def test_help_needs_no_heavy_package() -> None:
    code = (
        "import sys; import classifier.dataset_cli;"
        "assert not {'numpy', 'scipy', 'torch', 'pydicom', 'cv2'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
