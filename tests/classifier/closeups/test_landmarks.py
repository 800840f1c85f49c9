"""Landmarks: their table, and the limbs they make."""

from pathlib import Path

import pytest

from classifier.closeups.landmarks import SHIPPED, Landmark, chains, parse, read
from classifier.data.rows import own_rows
from classifier.errors import DataSetError
from terminology.library import Terminology
from terminology.vocabulary import canonical


def _limbs(cell: str) -> list[tuple[str, list[str], bool, bool]]:
    return [
        (one.kind, list(one.points), one.before is not None, one.after is not None)
        for one in chains(parse(cell, "here"))
    ]


def test_points_are_fractions_of_the_sides() -> None:
    assert parse("elbow 0.25 .5; wrist 1 0.75", "here") == (
        Landmark("elbow", 0.25, 0.5),
        Landmark("wrist", 1.0, 0.75),
    )
    assert parse("", "here") == ()


def test_a_limb_ends_where_a_landmark_lies_farther_inwards() -> None:
    assert _limbs("knee .2 .4; ankle .2 .9; knee .7 .4; ankle .7 .9") == [
        ("lower limb", ["knee", "ankle"], False, False),
        ("lower limb", ["knee", "ankle"], False, False),
    ]
    assert _limbs("shoulder .2 .2; clavicle-lateral .3 .2; clavicle-medial .5 .2") == [
        ("upper limb", ["shoulder"], False, False),
        ("clavicle", ["clavicle-medial", "clavicle-lateral"], False, False),
    ]


def test_what_lies_beside_the_axis_may_be_named_before_or_after() -> None:
    ordered = [("lower limb", ["ankle", "heel", "toes"], True, False)]
    assert _limbs("cut .5 0; heel .4 .5; ankle .5 .5; toes .5 .9") == ordered
    assert _limbs("cut .5 0; ankle .5 .5; toes .5 .9; heel .4 .5") == ordered


def test_a_cut_bone_belongs_to_the_limb_that_goes_on_from_it() -> None:
    two_knees = "cut .2 0; knee .2 .4; cut .2 1; cut .7 0; knee .7 .4; cut .7 1"
    assert _limbs(two_knees) == [("lower limb", ["knee"], True, True)] * 2
    hands = "cut .2 0; wrist .2 .4; fingertip .2 .9; cut .7 0; wrist .7 .4"
    assert _limbs(hands) == [
        ("upper limb", ["wrist", "fingertip"], True, False),
        ("upper limb", ["wrist"], True, False),
    ]


@pytest.mark.parametrize("cell", ["elbow", "elbow 0.5", "elbow 0.5 x", "nose 0.5 0.5"])
def test_what_is_no_landmark_is_refused_where_it_stands(cell: str) -> None:
    with pytest.raises(DataSetError, match=r"table.tsv:3.*name x y"):
        parse(cell, "table.tsv:3")


def test_a_landmark_off_the_picture_is_refused() -> None:
    with pytest.raises(DataSetError, match="from 0 to 1"):
        parse("elbow 0.5 12", "here")


def test_a_picture_has_one_line(tmp_path: Path) -> None:
    table = tmp_path / "mine.tsv"
    table.write_text("path\tlandmarks\na.png\telbow 0.5 0.5\na.png\twrist 0.5 0.5\n")
    with pytest.raises(DataSetError, match=r"mine.tsv:3.*'a.png' again"):
        read(table)


def test_a_broken_line_is_not_passed_over(tmp_path: Path) -> None:
    table = tmp_path / "mine.tsv"
    table.write_text("path\tlandmarks\na.png\telbow 0.5 0.5\tmore\n")
    with pytest.raises(DataSetError, match=r"mine.tsv:2"):
        read(table)


def test_the_shipped_table_reads() -> None:
    found = read(SHIPPED)
    assert len(found) > 3000
    assert sum(len(limbs) for limbs in found.values()) > len(found)


def test_the_shipped_table_names_body_structures_by_word_and_code(
    terminology: Terminology,
) -> None:
    for line, cells in own_rows(SHIPPED, ("path", "examined", "sct", "coarse", "visible")):
        if cells["sct"]:
            assert cells["coarse"] in ("yes", "no"), line
            [site] = terminology.text.read(cells["examined"]).sites
            assert canonical(terminology.graph, site.code)[0] == cells["sct"], line
        for words in filter(None, cells["visible"].split(";")):
            assert len(terminology.text.read(words).sites) == 1, (line, words)
