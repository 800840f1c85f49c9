"""Close-ups: what they show, what their manifest says, and the command."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from classifier.closeups.frames import RECIPES, Frame, frame, recipes_for, visible_parts
from classifier.closeups.landmarks import CHAINS, Chain, chains, parse
from classifier.closeups.pictures import Cut, close_up, planned, write
from classifier.closeups_cli import closeups
from classifier.data.manifest import read
from classifier.data.rows import MANIFEST
from classifier.data.sample import Sample
from classifier.errors import DataSetError
from terminology.concept import Laterality
from terminology.graph import BodyStructureGraph
from terminology.library import Terminology

ARM = "elbow 0.5 0.1; wrist 0.5 0.55; knuckle 0.5 0.75; fingertip 0.5 0.95; thumb 0.7 0.7"
ELBOW, FOREARM = "127949000", "14975008"
WRIST, HAND, FINGER = "8205005", "85562004", "7569003"
HIP, PELVIS = "29836001", "816092008"
SCALE = np.array([400.0, 400.0])


def _chains(cell: str) -> tuple[Chain, ...]:
    return chains(parse(cell, "here"))


def _upright(name: str, left: float, top: float, right: float, bottom: float) -> Frame:
    recipe = next(one for one in RECIPES if one.name == name)
    corner = np.array([left, top])
    return Frame(recipe, corner, np.array([right - left, 0.0]), np.array([0.0, bottom - top]))


def test_a_limb_gives_the_parts_that_it_has_landmarks_for() -> None:
    found = [recipe.name for recipe, *_ in recipes_for(_chains(ARM))]
    assert found == ["finger", "thumb", "hand", "wrist", "forearm", "elbow"]
    assert [recipe.name for recipe, *_ in recipes_for(_chains("elbow 0.5 0.5"))] == []
    cut = _chains("cut 0.5 0; elbow 0.5 0.5; cut 0.5 1")
    assert [recipe.name for recipe, *_ in recipes_for(cut)] == ["elbow"]


def test_both_hips_of_a_pelvis_are_framed_by_their_distance() -> None:
    pair = [
        (recipe.name, start.x) for recipe, start, _ in recipes_for(_chains("hip .3 .5; hip .7 .5"))
    ]
    assert pair == [("hip", 0.3), ("hip", 0.7)]


def test_every_recipe_names_a_body_structure(graph: BodyStructureGraph) -> None:
    for recipe in RECIPES:
        assert recipe.code in graph, recipe.name
        for least, largest in (recipe.length, recipe.width):
            assert 0 < least <= largest, recipe.name


def test_every_recipe_runs_between_landmarks_of_one_chain() -> None:
    for recipe in RECIPES:
        ends = {recipe.start, recipe.end} - {"before", "after"}
        assert any(ends <= set(names) for names in CHAINS.values()), recipe


def test_what_is_in_the_frame_is_named_and_nothing_else() -> None:
    limbs = _chains(ARM)
    of_finger = visible_parts(_upright("finger", 150, 310, 250, 395), limbs, SCALE)
    # 7569003 |Finger| is a part of the hand.
    assert {FINGER} <= set(of_finger) <= {FINGER, HAND}
    of_wrist = visible_parts(_upright("wrist", 120, 110, 280, 290), limbs, SCALE)
    # The forearm is cut at the edge, and no elbow is there.
    assert {WRIST, FOREARM} <= set(of_wrist)
    assert not {ELBOW, FINGER} & set(of_wrist)
    of_all = visible_parts(_upright("hand", 0, 0, 400, 400), limbs, SCALE)
    assert {ELBOW, FOREARM, WRIST, HAND, FINGER} <= set(of_all)


def test_both_hips_show_the_pelvis() -> None:
    pair = _chains("hip .3 .5; hip .7 .5")
    assert PELVIS in visible_parts(_upright("hip", 0, 0, 400, 400), pair, SCALE)
    assert PELVIS not in visible_parts(_upright("hip", 40, 100, 200, 300), pair, SCALE)


def test_a_turned_frame_hangs_the_limb_upright() -> None:
    recipe = next(one for one in RECIPES if one.name == "lower-leg")
    # The leg lies across the picture, the ankle on the right.
    start, end = np.array([100.0, 200.0]), np.array([300.0, 200.0])
    turns = []
    for seed in range(200):
        drawn = frame(recipe, start, end, np.random.default_rng(seed), kept=0.0)
        assert drawn.inside((start + end)[None] / 2)[0]
        # Downwards in the close-up is outwards on the limb.
        cosine = float(drawn.down @ (end - start)) / (drawn.size[1] * 200)
        turns.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    assert max(turns) <= 61
    # Four of five are upright, the others lie askew.
    assert 0.7 < np.mean(np.array(turns) < 15) < 0.95


def test_bodies_are_not_laid_askew() -> None:
    recipe = next(one for one in RECIPES if one.name == "thoracic")
    start, end = np.array([200.0, 50.0]), np.array([200.0, 350.0])
    for seed in range(50):
        drawn = frame(recipe, start, end, np.random.default_rng(seed), kept=0.0)
        assert abs(drawn.down[0]) < 0.35 * drawn.down[1]


def test_close_ups_have_the_pixels_of_their_frame() -> None:
    image = np.zeros((400, 400), dtype=np.uint8)
    image[:, 190:210] = 200
    limbs = _chains(ARM)
    recipe, start, end = next(one for one in recipes_for(limbs) if one[0].name == "forearm")
    sample = Sample("town/a.png", Path("a.png"), "town", "town:1")
    cut = Cut(sample, limbs, recipe, ((start.x, start.y), (end.x, end.y)))
    found = 0
    for seed in range(12):
        made = close_up(cut, image, np.random.default_rng(seed), pixels=160)
        if made is None:
            continue
        found += 1
        shown, visible = made
        assert max(shown.shape) <= 160
        assert FOREARM in visible
        bright = (shown > 100).mean()
        assert 0.03 < bright < 0.6
        again = close_up(cut, image, np.random.default_rng(seed), pixels=160)
        assert again is not None
        assert np.array_equal(again[0], shown)
    assert found > 6


@pytest.mark.parametrize("axis", [0, 1])
def test_a_pixel_is_that_of_its_place_in_the_picture(axis: int) -> None:
    # As bright as its x, or its y: a close-up that is mirrored or shifted is seen.
    image = np.mgrid[:400, :400][1 - axis].astype(np.float32)
    limbs = _chains("knee 0.3 0.4; ankle 0.65 0.55")
    recipe, start, end = next(one for one in recipes_for(limbs) if one[0].name == "lower-leg")
    cut = Cut(
        Sample("town/a.png", Path("a.png"), "town", "town:1"),
        limbs,
        recipe,
        ((start.x, start.y), (end.x, end.y)),
    )
    ends = np.array([start.x, start.y]) * SCALE, np.array([end.x, end.y]) * SCALE
    turned = 0
    for seed in range(12):
        made = close_up(cut, np.uint8(image / 2), np.random.default_rng(seed), pixels=160)
        drawn = frame(recipe, *ends, np.random.default_rng(seed))
        if made is None or drawn.covered(400, 400) < 1:
            continue
        turned += bool(drawn.across[1])
        shown = made[0]
        height, width = shown.shape
        rows, columns = (np.mgrid[:height, :width] + 0.5) / np.array([height, width])[:, None, None]
        place = drawn.corner[axis] + columns * drawn.across[axis] + rows * drawn.down[axis]
        inner = np.s_[3:-3, 3:-3]
        assert np.abs(shown - (place - 0.5) / 2)[inner].max() < 2
    assert turned > 2


def test_rare_parts_are_cut_thrice_and_frequent_ones_by_lot() -> None:
    samples = [Sample(f"town/{n}.png", Path(f"{n}.png"), "town", f"town:{n}") for n in range(8)]
    marks = {one.key: _chains(ARM) for one in samples}
    cuts = planned(samples, marks, 10, 0, limits={"thumb": 0, "hand": 100})
    counts = {
        name: sum(one.recipe.name == name for one in cuts) for name in ("finger", "thumb", "hand")
    }
    assert counts == {"finger": 10, "thumb": 0, "hand": 24}
    assert len({one.sample.key for one in cuts if one.recipe.name == "finger"}) == 8


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    with (folder / "manifest.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["path", "examined", "view", "laterality", "modality", "group", "licence"])
        for number in range(4):
            image = rng.integers(0, 255, (300, 300), dtype=np.uint8)
            cv2.imwrite(str(folder / f"{number}.png"), image)
            table.writerow(
                [f"{number}.png", "upper limb (coarse)", "frontal", "R", "DX", number // 2, "CC0"]
            )
    marks = "".join(f"{number}.png\t{ARM}\n" for number in range(4))
    (folder / "marks.tsv").write_text("path\tlandmarks\n" + marks)
    return folder


def test_train_reads_what_the_command_writes(
    pictures: Path, tmp_path: Path, terminology: Terminology
) -> None:
    out = tmp_path / "close"
    args = [str(pictures), "--landmarks", str(pictures / "marks.tsv"), "--most", "4"]
    result = CliRunner().invoke(closeups, [*args, "--limit", "thumb=0", "--out", str(out)])
    assert result.exit_code == 0, result.output
    found = read(out, terminology, exhaustive_over=["*"])
    assert not found.left_out
    assert {one.examined for one in found.samples} >= {FINGER, WRIST, FOREARM}
    assert not {one.examined for one in found.samples} & {"76505004"}
    whole = {one.group for one in read(pictures, terminology).samples}
    assert {one.group for one in found.samples} <= whole
    assert {one.source for one in found.samples} == {"close-ups"}
    assert {one.origin for one in found.samples} <= {
        one.key for one in read(pictures, terminology).samples
    }
    assert {one.licence for one in found.samples} == {"CC0"}
    assert {one.laterality for one in found.samples} == {Laterality.RIGHT}
    for one in found.samples:
        assert one.examined in one.visible
        assert cv2.imread(str(one.path), cv2.IMREAD_GRAYSCALE) is not None
    first = sorted(path.name for path in out.iterdir())
    again = CliRunner().invoke(
        closeups, [*args, "--limit", "thumb=0", "--out", str(tmp_path / "b")]
    )
    assert again.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == first
    assert all((out / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in first)


@pytest.mark.parametrize("limit", ["nose=3", "finger", "finger=many"])
def test_a_limit_that_says_nothing_is_refused(pictures: Path, tmp_path: Path, limit: str) -> None:
    args = [str(pictures), "--landmarks", str(pictures / "marks.tsv"), "--limit", limit]
    result = CliRunner().invoke(closeups, [*args, "--out", str(tmp_path / "close")])
    assert result.exit_code == 2
    assert "PART=N" in result.output
    assert not (tmp_path / "close").exists()


def test_pictures_without_landmarks_are_refused(pictures: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(closeups, [str(pictures), "--out", str(tmp_path / "close")])
    assert result.exit_code == 2
    assert "has landmarks in" in result.output


def test_limits_that_leave_nothing_are_refused(pictures: Path, tmp_path: Path) -> None:
    args = [str(pictures), "--landmarks", str(pictures / "marks.tsv"), "--most", "0"]
    result = CliRunner().invoke(closeups, [*args, "--out", str(tmp_path / "close")])
    assert result.exit_code == 2
    assert "--most and --limit leave none" in result.output


def test_the_manifest_that_is_read_is_not_written_over(pictures: Path) -> None:
    before = (pictures / MANIFEST).read_bytes()
    args = [str(pictures / MANIFEST), "--landmarks", str(pictures / "marks.tsv")]
    result = CliRunner().invoke(closeups, [*args, "--out", str(pictures)])
    assert result.exit_code == 2
    assert "another folder" in result.output
    assert (pictures / MANIFEST).read_bytes() == before


def test_pictures_may_lie_elsewhere(pictures: Path, tmp_path: Path) -> None:
    away = tmp_path / "away"
    away.mkdir()
    path = pictures / "0.png"
    (away / MANIFEST).write_text(f"path,examined\n{path},hand\n")
    (away / "marks.tsv").write_text(f"path\tlandmarks\n{path}\t{ARM}\n")
    args = [str(away), "--landmarks", str(away / "marks.tsv"), "--most", "1"]
    result = CliRunner().invoke(closeups, [*args, "--out", str(tmp_path / "close")])
    assert result.exit_code == 0, result.output


def test_a_manifest_of_before_names_no_pictures_of_a_run_that_was_stopped(
    pictures: Path, tmp_path: Path, terminology: Terminology
) -> None:
    out = tmp_path / "close"
    samples = read(pictures, terminology).samples
    cuts = planned(samples, {one.key: _chains(ARM) for one in samples}, 2, 0)
    assert len(list(write(cuts, out, 0))) == len(cuts)
    assert (out / MANIFEST).exists()
    next(write(cuts, out, 1))
    assert not (out / MANIFEST).exists()


def test_corrections_go_before_the_manifest(pictures: Path, terminology: Terminology) -> None:
    table = pictures / "corrections.tsv"
    table.write_text(
        "path\texamined\tsct\tcoarse\tvisible\n"
        "0.png\thand\t85562004\tno\twrist;finger\n"
        "1.png\t\t\t\twrist\n"
        "other.png\tknee\t72696002\tno\t\n"
    )
    first, second, third, _ = read(pictures, terminology, corrections="corrections.tsv").samples
    assert (first.examined, first.coarse, len(first.visible)) == (HAND, False, 2)
    assert (second.examined, second.coarse, len(second.visible)) == ("53120007", True, 1)
    assert (third.examined, third.coarse, third.visible) == ("53120007", True, ())


def test_corrections_name_a_picture_once(pictures: Path, terminology: Terminology) -> None:
    table = pictures / "corrections.tsv"
    table.write_text("path\tsct\n0.png\t85562004\n0.png\t8205005\n")
    with pytest.raises(DataSetError, match=r"corrections.tsv:3.*a second time"):
        read(pictures, terminology, corrections=table)


def test_corrections_of_other_pictures_are_refused(
    pictures: Path, terminology: Terminology
) -> None:
    for table in ("shipped", "corrections.tsv"):
        (pictures / "corrections.tsv").write_text("path\tsct\ntown/0.png\t85562004\n")
        with pytest.raises(DataSetError, match="paths is in the manifest"):
            read(pictures, terminology, corrections=table)
