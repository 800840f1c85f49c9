import csv
import json
from pathlib import Path

import numpy as np
import pytest

from classifier.data.labels import Head
from classifier.data.report import DataReport, report
from classifier.data.sample import EVERYTHING, Collection, Declaration, LeftOut
from classifier.errors import DataSetError
from terminology.graph import BodyStructureGraph

from .samples import AP, CHEST, FRONTAL, HAND, KNEE, PA, UPPER_LIMB, collection, sample


def counts(found: DataReport, head: Head) -> dict[tuple[str, str], tuple[int, int, int]]:
    return {
        (one.label, one.source): (one.positives, one.negatives, one.unknown)
        for one in found.labels
        if one.head is head
    }


@pytest.fixture(scope="module")
def sets() -> list[Collection]:
    telling = collection(
        sample(0, examined=HAND, modality="CR", licence="CC0"),
        sample(1, examined=HAND, modality="DX", group="a:0"),
        sample(2, examined=KNEE, modality="CT"),
        exhaustive_over=frozenset({EVERYTHING}),
    )
    silent = Collection(
        "b",
        (
            sample(3, source="c", examined=UPPER_LIMB, coarse=True, view=AP),
            sample(4, source="c", examined=CHEST, view=PA),
            sample(5, source="c", view=FRONTAL),
            sample(6, source="d", examined=KNEE, absent=(KNEE,)),
        ),
        Declaration(),
        (LeftOut("the file is missing", 3, "line 7"),),
    )
    return [telling, silent]


def test_each_label_is_counted_by_source(graph: BodyStructureGraph, sets: list[Collection]) -> None:
    found = report(sets, graph)

    examined = counts(found, Head.EXAMINED)
    assert examined[HAND, "a"] == (2, 1, 0)
    # Of the source c, the coarse upper limb, of which the hand alone is a class, the chest, and
    # nothing.
    assert examined[HAND, "c"] == (0, 1, 2)
    assert examined[CHEST, "c"] == (1, 0, 2)
    assert examined[KNEE, "d"] == (1, 0, 0)
    visible = counts(found, Head.VISIBLE)
    assert visible[HAND, "a"] == (2, 1, 0)
    assert visible[HAND, "c"] == (0, 0, 3)
    assert visible[KNEE, "a"] == (1, 2, 0)
    assert counts(found, Head.MODALITY)["DX", "a"] == (2, 1, 0)
    assert counts(found, Head.MODALITY)["DX", "c"] == (0, 0, 3)
    # |frontal| leaves AP and PA possible.
    assert counts(found, Head.VIEW) == {
        (PA, "a"): (0, 0, 3),
        (PA, "c"): (1, 1, 1),
        (PA, "d"): (0, 0, 1),
        (AP, "a"): (0, 0, 3),
        (AP, "c"): (1, 1, 1),
        (AP, "d"): (0, 0, 1),
    }


def test_heads_of_which_nothing_is_known_are_not_shown(
    graph: BodyStructureGraph, sets: list[Collection]
) -> None:
    heads = {one.head for one in report(sets, graph).labels}

    assert heads == {Head.EXAMINED, Head.VISIBLE, Head.VIEW, Head.MODALITY, Head.ROUTER}


def test_labels_and_views_have_their_names(
    graph: BodyStructureGraph, sets: list[Collection]
) -> None:
    displays = {one.label: one.display for one in report(sets, graph).labels}

    assert (displays[HAND], displays[AP], displays["DX"]) == ("Hand", "antero-posterior", "DX")


def test_each_source_is_counted(graph: BodyStructureGraph, sets: list[Collection]) -> None:
    found = report(sets, graph).sources

    assert [
        (one.collection, one.source, one.images, one.patients, one.coarse) for one in found
    ] == [
        ("a", "a", 3, 2, 0),
        ("b", "c", 3, 3, 1),
        ("b", "d", 1, 1, 0),
    ]
    assert found[0].licences == ("CC0",)


def test_what_was_left_out_and_what_contradicts_itself_is_told(
    graph: BodyStructureGraph, sets: list[Collection]
) -> None:
    missing, contradiction = report(sets, graph).unused

    assert (missing.collection, missing.reason, missing.count) == ("b", "the file is missing", 3)
    assert (contradiction.count, contradiction.example) == (1, "d/6")


def test_near_duplicates_are_told_across_patients_and_sources(
    graph: BodyStructureGraph, sets: list[Collection]
) -> None:
    near = report(sets, graph, near=np.array([0, 0, 2, 2, 4, 4, 6])).duplicates

    assert near is not None
    assert (near.groups, near.images, near.across_patients, near.across_sources) == (3, 6, 2, 1)
    assert near.largest[0] == ("a/0", "a/1")
    assert report(sets, graph).duplicates is None


def test_a_report_is_json_and_csv(
    graph: BodyStructureGraph, sets: list[Collection], tmp_path: Path
) -> None:
    found = report(sets, graph, near=np.arange(7))

    data = json.loads(json.dumps(found.to_json()))
    assert data["labels"][0].keys() == {
        "head",
        "label",
        "display",
        "source",
        "positives",
        "negatives",
        "unknown",
    }
    found.write_csv(tmp_path / "labels.csv")
    with (tmp_path / "labels.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(found.labels)
    assert rows[0]["head"] == "examined"
    assert {
        int(row["positives"]) + int(row["negatives"]) + int(row["unknown"]) for row in rows
    } == {
        3,
        1,
    }


def test_sets_that_say_nothing_are_refused(graph: BodyStructureGraph) -> None:
    with pytest.raises(DataSetError, match="no sample has any label"):
        report([collection(sample())], graph)
