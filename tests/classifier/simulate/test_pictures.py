"""Pictures, their manifest, and the command."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from classifier.data.manifest import read
from classifier.simulate.appearance import develop
from classifier.simulate.phantom import phantom
from classifier.simulate.pictures import pictures, write
from classifier.simulate.views import recipes_for
from classifier.simulate_cli import simulate
from terminology.library import Terminology


def test_the_same_seed_gives_the_same_pictures() -> None:
    body = phantom("hand")
    recipes = recipes_for(body)
    first, again, other = (
        [one.image for one in pictures([body], recipes, 3, seed, pixels=64)] for seed in (4, 4, 5)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_bone_is_brighter_than_flesh_and_flesh_than_air() -> None:
    sums = np.zeros((60, 90, 2), dtype=np.float32)
    sums[:, 30:, 0] = 100.0
    sums[:, 60:, 1] = 30.0
    middles = []
    for seed in range(30):
        image = develop(sums, np.random.default_rng(seed))
        height, width = image.shape
        row = image[height // 2 - 4 : height // 2 + 4].mean(axis=0)
        middles.append([row[round(width * share)] for share in (0.2, 0.5, 0.8)])
    rising = [air <= flesh < bone for air, flesh, bone in middles]
    # A few pictures are left inverted.
    assert np.mean(rising) > 0.8


def test_pictures_have_contrast() -> None:
    body = phantom("trunk")
    for one in pictures([body], recipes_for(body), 19, 3, pixels=96):
        assert one.image.std() > 8, one.recipe.name


def test_train_reads_the_manifest(tmp_path: Path, terminology: Terminology) -> None:
    body = phantom("trunk")
    made = pictures([body], recipes_for(body, ["hip-ap-*", "lumbar-lateral"]), 3, 0, pixels=48)
    rows = list(write(made, tmp_path, source="phantom", group="phantom:1", licence="CC0 1.0"))
    collection = read(tmp_path, terminology, exhaustive_over=["*"])
    assert not collection.left_out
    left, right, spine = collection.samples
    assert [one.examined for one in collection.samples] == ["29836001", "29836001", "122496007"]
    assert (left.laterality.name, right.laterality.name) == ("LEFT", "RIGHT")
    assert spine.laterality is None
    assert {one.modality for one in collection.samples} == {"DX"}
    assert all(one.view and one.visible and one.group == "phantom:1" for one in collection.samples)
    assert [row.path for row in rows] == [one.path.name for one in collection.samples]


def test_the_command_writes_pictures_and_a_manifest(tmp_path: Path) -> None:
    out = tmp_path / "hands"
    arguments = ["--phantom", "hand", "--count", "2", "--pixels", "64", "--out", str(out)]
    result = CliRunner().invoke(simulate, arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(out / "manifest.csv")
    with (out / "manifest.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2
    for row in rows:
        assert max(cv2.imread(str(out / row["path"]), cv2.IMREAD_GRAYSCALE).shape) >= 64
        assert row["sct"] in row["visible"].split(";")


def test_the_command_names_views() -> None:
    result = CliRunner().invoke(simulate, ["--phantom", "knee", "--list-views"])
    assert result.stdout.split() == ["thigh-ap-left", "knee-ap", "knee-lateral"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--count", "1"], "Give either VOLUME or --phantom KIND."),
        (["--phantom", "hand"], "Give --out FOLDER."),
        ([__file__], "A CT volume needs --labels and --names."),
    ],
)
def test_misuse_is_named(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(simulate, arguments)
    assert result.exit_code == 2
    assert says in result.output
