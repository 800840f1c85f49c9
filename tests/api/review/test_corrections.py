"""Verdicts as rows, read by the readers that they are for."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from api.phi import PhiGuard, PhiPolicy
from api.review.corrections import COLUMNS, Corrections, Row, with_paths
from classifier.data import manifest
from classifier.fusion.reliability import HeaderReliability, read_agreement
from terminology.annotation import HeaderStatement, Site
from terminology.concept import Laterality
from terminology.library import Terminology
from tests.api.conftest import make_dicom
from tests.api.review.desk import CHEST, FOOT, HAND, KNEE, LEFT, SERIES, Desk, coded, image
from tests.api.review.test_verdicts import new


def said(site: str) -> HeaderStatement:
    return HeaderStatement("BodyPartExamined", "(0018,0015)", "X", sites=(Site(site, "a site"),))


def exported(desk: Desk, policy: PhiPolicy = PhiPolicy.HASH) -> list[Row]:
    guard = PhiGuard(policy, desk.store.salt)
    return list(Corrections(desk.store, desk.builder.graph, guard).rows())


def written(rows: list[Row], folder: Path) -> Path:
    path = folder / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def reviewed(desk: Desk) -> None:
    """Two images that say knee and are a left foot, one chest that is right, one unjudged hand."""
    from dataclasses import replace

    images = [
        replace(image(1, KNEE), header=(said(KNEE),)),
        replace(image(2, KNEE), header=(said(KNEE),)),
        replace(image(3, CHEST), header=(said(CHEST),)),
        image(4, HAND),
    ]
    desk.annotate(*images)
    observations = desk.observations()
    desk.change(observations[KNEE], status="corrected", bodySite=coded("22335008"))
    desk.change(observations[CHEST], status="final")


def test_a_row_has_what_was_said_and_what_is_right(desk: Desk) -> None:
    reviewed(desk)
    rows = {row["sop_instance_uid"]: row for row in exported(desk)}
    assert set(rows) == {f"{SERIES}.{number}" for number in (1, 2, 3)}
    row = rows[f"{SERIES}.1"]
    assert (row["decision"], row["old_sct"], row["sct"], row["laterality"]) == (
        "corrected",
        KNEE,
        FOOT,
        "L",
    )
    assert (row["header"], row["verdict"]) == (KNEE, FOOT)
    assert rows[f"{SERIES}.3"]["decision"] == "confirmed"


@pytest.mark.parametrize(
    ("policy", "named"),
    [(PhiPolicy.KEEP, "Dr. Reader"), (PhiPolicy.HASH, None), (PhiPolicy.DROP, "")],
)
def test_who_said_it_is_told_by_policy(desk: Desk, policy: PhiPolicy, named: str | None) -> None:
    reviewed(desk)
    told = {row["by"] for row in exported(desk, policy)}
    assert len(told) == 1
    if named is None:
        assert len(told.pop()) == 16
    else:
        assert told == {named}


def test_the_rows_are_a_manifest_to_train_on(
    desk: Desk, terminology: Terminology, tmp_path: Path
) -> None:
    reviewed(desk)
    images = tmp_path / "images"
    images.mkdir()
    for number in (1, 2, 3, 4):
        content = make_dicom(SOPInstanceUID=f"{SERIES}.{number}")
        (images / f"{number}.dcm").write_bytes(content)
    guard = PhiGuard(PhiPolicy.HASH, desk.store.salt)
    table = tmp_path / "tables"
    table.mkdir()
    rows = list(with_paths(exported(desk), images, table, guard))
    collection = manifest.read(written(rows, table), terminology)
    assert collection.left_out == ()
    labels = {one.path.resolve().name: (one.examined, one.laterality) for one in collection.samples}
    assert labels == {
        "1.dcm": (FOOT, Laterality.LEFT),
        "2.dcm": (FOOT, Laterality.LEFT),
        "3.dcm": (CHEST, None),
    }


def test_the_rows_teach_how_far_headers_can_be_trusted(
    desk: Desk, terminology: Terminology, tmp_path: Path
) -> None:
    reviewed(desk)
    rows = read_agreement(written(exported(desk), tmp_path))
    learned = HeaderReliability.learn(rows, terminology.graph)
    assert dict(learned.counts) == {(KNEE, FOOT): 2, (CHEST, CHEST): 1}


def test_a_rejected_answer_is_a_row_without_a_label(desk: Desk) -> None:
    desk.annotate(image(1, KNEE, LEFT))
    desk.change(desk.observations()[KNEE], status="entered-in-error")
    (row,) = exported(desk)
    assert (row["decision"], row["sct"], row["old_sct"], row["old_laterality"]) == (
        "rejected",
        "",
        KNEE,
        "L",
    )


def test_a_verdict_on_a_series_labels_all_its_images(desk: Desk) -> None:
    desk.annotate(image(1, KNEE), image(2, None))
    desk.write({**new(HAND), "id": "mine"})
    assert [row["sct"] for row in exported(desk)] == [HAND, HAND]
    assert [row["old_sct"] for row in exported(desk)] == [KNEE, ""]


def test_an_image_that_is_not_there_is_named_by_its_uid(desk: Desk, tmp_path: Path) -> None:
    desk.annotate(image(1, KNEE))
    desk.change(desk.observations()[KNEE], status="final")
    guard = PhiGuard(PhiPolicy.HASH, desk.store.salt)
    (row,) = with_paths(exported(desk), tmp_path, tmp_path, guard)
    assert row["path"] == f"{SERIES}.1.dcm"
