"""What the IRMA codes of image sets say, over the embedded tables."""

from __future__ import annotations

import csv
import os
from functools import cache
from pathlib import Path

import pytest

from terminology.concept import Laterality
from terminology.crosswalk import Crosswalk
from terminology.errors import UnknownSystemError
from terminology.mapping import RELATED
from terminology.sources.codes import CodeReader
from terminology.sources.irma import Axis
from terminology.sources.reading import CodeReading
from terminology.words import HeaderWords

ROOT = Path(__file__).parents[3]
LEFT, RIGHT = Laterality.LEFT, Laterality.RIGHT


@cache
def reader() -> CodeReader:
    return CodeReader(Crosswalk.load(), views=HeaderWords.load().views)


def read(value: str, version: str | None = None, system: str = "irma") -> CodeReading:
    return reader().read(system, value, version)


def said(reading: CodeReading, category: str) -> list[str]:
    """What the code says of one kind of thing, but for what is only related."""
    return [
        target.code
        for target in reading.others
        if target.category == category and target.predicate != RELATED
    ]


@pytest.mark.parametrize(
    ("code", "site", "side", "view", "why"),
    [
        ("1121-120-930-700", "30021000", None, "399348003", "the class that 193 lack"),
        ("1121-120-463-700", "720593001", RIGHT, "399348003", "a right shoulder joint"),
        ("1121-120-462-700", "720592006", LEFT, "399348003", "a left one"),
        ("1121-230-943-700", "6757004", RIGHT, "399260004", "mediolateral"),
        ("1121-240-442-700", "368149001", RIGHT, "399352003", "lateromedial"),
        ("1123-211-500-000", "816094009", None, "399173006", "rays from right to left"),
        ("1121-220-310-700", "122494005", None, "399198007", "rays from left to right"),
        ("1124-310-610-625", "73056007", RIGHT, "399162004", "the right breast comes first"),
        ("1124-410-620-625", "80248007", LEFT, "399182000", "oblique"),
        ("1121-490-514-700", "113197003", RIGHT, "399356000", "the right ribs come first"),
        ("1121-4a0-515-700", "113197003", LEFT, "399135007", "left anterior oblique"),
        ("1121-127-700-500", "818981001", None, "399348003", "abdomen, supine"),
        ("1121-420-213-700", "45206002", None, "399358004", "occipitofrontal"),
        ("1121-430-215-700", "91609006", None, "260473000", "occipitomental"),
        ("1121-400-960-700", "29836001", None, None, "another orientation"),
        ("1121-460-216-700", "53620006", None, None, "a view that has no code"),
        ("1121-500-800-700", "816092008", None, None, "two views at once are not one"),
    ],
)
def test_a_whole_code_says_site_side_and_view(
    code: str, site: str, side: Laterality | None, view: str | None, why: str
) -> None:
    reading = read(code)
    assert reading.targets[0].code == site, why
    assert reading.laterality == side, why
    assert (reading.view.code if reading.view else None) == view, why
    assert reading.reason is None


def test_a_whole_code_is_taken_apart_into_four_codings_with_texts() -> None:
    reading = read("1121-120-930-700")
    assert [(part.code, part.display, part.version) for part in reading.parts] == [
        ("1121", "x-ray > plain radiography > analog > overview image", "2008"),
        ("120", "coronal > anteroposterior (AP, coronal)", "2008"),
        ("930", "lower extremity (leg) > lower leg", "2008"),
        ("700", "musculosceletal system", "2008"),
    ]
    assert [part.system for part in reading.parts] == [axis.system for axis in Axis]


@pytest.mark.parametrize(
    ("code", "category", "codes"),
    [
        ("1121-127-700-400", "posture", ["40199007"]),
        ("1121-115-700-400", "posture", ["10904000"]),
        ("1121-129-700-400", "posture", ["32185000"]),
        ("1123-112-500-000", "respiration", ["58322009"]),
        ("1123-211-500-000", "respiration", ["14910006"]),
        ("1121-228-310-700", "joint-position", ["9964006"]),
        ("1121-229-310-700", "joint-position", ["24154002"]),
        ("1121-120-930-700", "plane", ["81654009"]),
        ("1121-230-943-700", "plane", ["30730003"]),
        ("1121-120-930-700", "modality", ["RG"]),
        ("1111-120-930-700", "modality", ["DX"]),
        ("1128-4c0-21d-c00", "modality", ["IO"]),
        ("4400-000-100-000", "modality", ["PT"]),
        ("1121-120-930-700", "body-system", ["26107004"]),
        ("1121-127-700-500", "body-system", ["122489005"]),
        ("1121-127-700-512", "body-system", ["122489005"]),
        ("1121-127-700-512", "organ", ["25990002"]),
        ("1123-127-500-000", "body-system", []),
        ("1124-310-610-625", "organ", ["76752008"]),
        ("1124-310-610-625", "body-system", []),
    ],
)
def test_the_other_axes_say_what_is_no_site(code: str, category: str, codes: list[str]) -> None:
    assert said(read(code), category) == codes


def test_the_view_carries_its_view_position() -> None:
    views = [read(f"1121-{axis}-500-000").view for axis in ("110", "120", "210", "220", "230")]
    assert [view.dicom for view in views if view] == ["PA", "AP", "LL", "RL", "ML"]


def test_no_part_of_another_axis_becomes_a_site() -> None:
    assert [target.code for target in read("1121-127-700-512").targets] == ["818981001"]


@pytest.mark.parametrize(
    ("code", "newest", "published"),
    [
        ("463", [("720593001", RIGHT), ("85537004", RIGHT)], [("85856004", None)]),
        ("462", [("720592006", LEFT), ("85537004", LEFT)], [("85537004", None)]),
        ("451", [("368208006", LEFT), ("40983000", LEFT)], [("40983000", None)]),
        ("514", [("113197003", RIGHT)], [("113197003", None)]),
        ("414", [("85151006", LEFT), ("85562004", LEFT)], []),
    ],
)
def test_the_version_decides_what_a_code_means(
    code: str, newest: list[tuple[str, Laterality]], published: list[tuple[str, None]]
) -> None:
    for version, expected in ((None, newest), ("2008", newest), ("2003", published)):
        for value in (code, f"1121-120-{code}-700"):
            found = [(target.code, target.laterality) for target in read(value, version).targets]
            assert found == expected, (version, value)


def test_a_version_that_there_is_not_is_refused() -> None:
    with pytest.raises(UnknownSystemError, match="expected 2003 or 2008"):
        read("414", "2009")


@pytest.mark.parametrize("value", ["943", "1121-230-943-700", "1121230943700", "*-*-943-*"])
def test_an_anatomical_code_says_the_same_alone(value: str) -> None:
    reading = read(value)
    assert reading.targets == read("943").targets
    assert reading.laterality == RIGHT


def test_one_axis_is_read_by_its_own_system() -> None:
    reading = read("1121", system=Axis.TECHNICAL.system)
    assert [part.code for part in reading.parts] == ["1121"]
    assert said(reading, "modality") == ["RG"]
    assert read("700", system=Axis.ANATOMICAL.system).targets == read("7").targets
    assert read("91A", system=Axis.ANATOMICAL.system).laterality == LEFT


def test_what_is_known_above_an_unknown_position_is_said() -> None:
    reading = read("1121-1**-41*-***")
    assert [target.code for target in reading.targets] == ["85562004"]
    assert reading.view is not None
    assert reading.view.code == "399033003"  # frontal: posteroanterior or anteroposterior
    assert said(reading, "body-system") == []


@pytest.mark.parametrize(
    ("value", "version", "reason"),
    [
        ("zz9", None, "'z' is not in the IRMA list of 2008"),
        ("1121-120-414-700", "2003", "'414' is not in the IRMA list of 2003"),
        ("1121-120-41?-700", None, "code, anatomical axis, position 3: '?' of '41?'"),
        ("1121-120-930", None, "'1121-120-930' has 3 axes"),
        ("0", None, "The whole axis is unspecified"),
        ("1121-120-***-700", None, "the anatomical axis is not known"),
        ("1121-120-000-700", None, "The whole axis is unspecified"),
        ("a2", None, "no body region"),
        ("1121", None, "has 4 characters"),
    ],
)
def test_no_site_has_a_reason(value: str, version: str | None, reason: str) -> None:
    reading = read(value, version)
    assert reading.targets == ()
    assert reason in (reading.reason or "")
    assert any(reason in (one.note or "") for one in reading.evidence)


def test_an_axis_that_the_list_lacks_does_not_hide_the_others() -> None:
    reading = read("1121-4b0-233-700", "2003")
    assert reading.targets[0].code == "31640002"
    assert reading.view is None
    assert any("'4b' is not in the IRMA list of 2003" in (e.note or "") for e in reading.evidence)


def test_every_target_names_its_row() -> None:
    reading = read("1121-127-463-700")
    for target in (*reading.targets, *reading.others):
        assert target.rows
        assert target.rows[0].startswith("irma-")
    rows = {row for one in reading.evidence for row in one.rows}
    assert rows == {row for one in (*reading.others, *reading.targets) for row in one.rows}


def classes(name: str) -> list[dict[str, str]]:
    path = Path(os.environ.get("BODYSITE_SHARED", ROOT.parent / "shared")) / "reference" / name
    if not path.is_file():
        pytest.skip(f"no {path}; BODYSITE_SHARED names the folder that has reference/")
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize(
    ("name", "count"), [("irma_classes_116.csv", 117), ("irma_classes_193.csv", 193)]
)
def test_every_class_of_the_image_sets_decodes_on_all_four_axes(name: str, count: int) -> None:
    rows = classes(name)
    assert len(rows) == count
    for row in rows:
        reading = read(row["irma_code"])
        assert {part.system: part.display for part in reading.parts} == {
            axis.system: row[f"{axis.value}_text_2008"] for axis in Axis
        }
        assert reading.targets, row["irma_code"]
        assert said(reading, "modality") == ["RG"], row["irma_code"]
        assert (said(reading, "body-system") == []) == (row["biological"] in {"000", "625"})


def test_classes_decode_by_the_published_list_where_it_holds_them() -> None:
    for row in classes("irma_classes_116.csv"):
        reading = read(row["irma_code"], "2003")
        text = next(part.display for part in reading.parts if "anatomy" in part.system)
        missing = "?" in row["anatomical_text_2003"]
        assert text == (None if missing else row["anatomical_text_2003"]), row["irma_code"]
        assert bool(reading.targets) is not missing
