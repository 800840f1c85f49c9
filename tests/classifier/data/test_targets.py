from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.data.frame import NEIGHBOURS_TABLE, FrameNeighbours
from classifier.data.labels import Head, LabelSpace, Targets
from classifier.data.sample import EVERYTHING, Collection, Declaration, Sample
from classifier.data.targets import encode, within_frame
from terminology.annotation import RouterGroup
from terminology.concept import Laterality
from terminology.errors import TableError
from terminology.graph import BodyStructureGraph
from terminology.vocabulary import LabelVocabulary

from .samples import (
    ABDOMEN,
    AP,
    BRAIN,
    CALCANEUS,
    CHEST,
    CHEST_AND_ABDOMEN,
    FINGER,
    FOOT,
    FOREARM,
    FRONTAL,
    HAND,
    HEAD,
    HEART,
    HIP,
    KNEE,
    LATERAL,
    LIMB,
    LUMBAR,
    OBLIQUE,
    PA,
    PELVIS,
    SPINE,
    THUMB,
    TRUNK,
    UPPER_LIMB,
    WRIST,
    collection,
    sample,
)

GRAPH = BodyStructureGraph.load()
NEIGHBOURS = FrameNeighbours.load(GRAPH)
PARTS = (HAND, FINGER, THUMB, WRIST, FOREARM, KNEE, HIP, FOOT, CHEST, HEART, ABDOMEN, PELVIS)
VOCABULARY = LabelVocabulary.of(GRAPH, {*PARTS, HEAD, SPINE, LUMBAR, UPPER_LIMB, TRUNK})
EXAMINED = (HAND, THUMB, FOREARM, KNEE, CHEST, ABDOMEN)
SPACE = LabelSpace(
    VOCABULARY,
    {
        Head.EXAMINED: EXAMINED,
        Head.VIEW: (AP, PA, FRONTAL, LATERAL),
        Head.MODALITY: ("CT", "DX"),
        Head.LATERALITY: ("left", "right"),
        Head.ROUTER: tuple(map(str, RouterGroup)),
        Head.IRMA: ("1121-127-700-500",),
    },
)


def states(one: Sample, **declared: object) -> dict[str, str]:
    """Return what is known of each part of the vocabulary: "present", "absent" or "unknown"."""
    targets = encode([collection(one, **declared)], SPACE, GRAPH, neighbours=NEIGHBOURS)
    return {
        code: "unknown" if not known else "present" if present else "absent"
        for code, present, known in zip(
            VOCABULARY.codes, targets.present[0], targets.known[0], strict=True
        )
    }


def named(found: dict[str, str], state: str) -> set[str]:
    return {code for code, one in found.items() if one == state}


def test_silence_says_nothing_unless_the_source_names_everything() -> None:
    found = states(sample(examined=HAND))

    assert named(found, "present") == {HAND, UPPER_LIMB, LIMB, "307113009"} & set(VOCABULARY.codes)
    assert not named(found, "absent")


def test_what_cannot_share_the_frame_is_absent_where_the_source_names_everything() -> None:
    found = states(sample(examined=HAND), exhaustive_over=frozenset({EVERYTHING}))

    assert {KNEE, HIP, FOOT, CHEST, HEART, HEAD, SPINE, LUMBAR, TRUNK} <= named(found, "absent")
    # Parts of the hand, and what lies beside it.
    assert {FINGER, THUMB, WRIST, FOREARM} <= named(found, "unknown")


def test_a_region_is_not_absent_while_a_part_of_it_may_be_there() -> None:
    found = states(sample(examined=CHEST), exhaustive_over=frozenset({EVERYTHING}))

    # The shoulder and the lumbar spine may be in the frame of a chest.
    assert found[UPPER_LIMB] == found[LIMB] == "unknown"
    assert found[SPINE] == found[LUMBAR] == "unknown"
    assert found[HAND] == found[KNEE] == found[PELVIS] == "absent"


def test_a_source_is_exhaustive_only_over_its_regions() -> None:
    found = states(sample(examined=KNEE), exhaustive_over=frozenset({UPPER_LIMB}))

    assert {HAND, FINGER, THUMB, WRIST, FOREARM, UPPER_LIMB} <= named(found, "absent")
    assert found[CHEST] == found[HEAD] == "unknown"


def test_below_a_coarse_label_all_is_unknown() -> None:
    found = states(
        sample(examined=UPPER_LIMB, coarse=True), exhaustive_over=frozenset({EVERYTHING})
    )

    assert found[UPPER_LIMB] == found[LIMB] == "present"
    assert {HAND, FINGER, WRIST, FOREARM, CHEST} <= named(found, "unknown")
    assert {KNEE, FOOT, PELVIS, HEAD} - named(found, "absent") == {HEAD}


def test_a_combined_region_shows_all_of_its_regions_unless_it_is_coarse() -> None:
    fine = states(sample(examined=CHEST_AND_ABDOMEN))
    coarse = states(sample(examined=CHEST_AND_ABDOMEN, coarse=True))
    declared = states(sample(visible=(CHEST_AND_ABDOMEN,)), coarse_only=True)

    assert fine[CHEST] == fine[ABDOMEN] == "present"
    assert coarse[CHEST] == coarse[ABDOMEN] == "unknown"
    assert declared[CHEST] == declared[ABDOMEN] == "unknown"


def test_a_sample_that_names_nothing_has_no_negatives() -> None:
    found = states(sample(view=AP), exhaustive_over=frozenset({EVERYTHING}))

    assert set(found.values()) == {"unknown"}


def test_what_is_stated_absent_is_absent_with_all_below_it() -> None:
    found = states(sample(examined=KNEE, absent=(UPPER_LIMB,)))

    assert named(found, "absent") == {HAND, FINGER, THUMB, WRIST, FOREARM, UPPER_LIMB} | (
        named(found, "absent") & {"307113009"}
    )


def test_what_is_stated_both_present_and_absent_is_present() -> None:
    found = states(sample(visible=(THUMB,), absent=(HAND,)))

    assert found[THUMB] == found[HAND] == found[FINGER] == "present"


def test_without_positive_closure_the_regions_above_are_unknown_and_never_absent() -> None:
    found = states(
        sample(visible=(HAND,)), positive_closure=False, exhaustive_over=frozenset({EVERYTHING})
    )

    assert named(found, "present") == {HAND}
    assert found[UPPER_LIMB] == found[LIMB] == "unknown"
    assert found[KNEE] == "absent"


def test_a_part_that_the_space_lacks_counts_for_what_is_above() -> None:
    found = states(sample(visible=(CALCANEUS,)))

    assert found[FOOT] == "present"


def test_former_and_sided_codes_are_understood() -> None:
    left = GRAPH.sided(HAND, Laterality.LEFT)
    assert left is not None

    assert states(sample(examined="51185008"))[CHEST] == "present"
    assert states(sample(visible=(left,)))[HAND] == "present"


@pytest.mark.parametrize(
    ("head", "fields", "expected"),
    [
        (Head.EXAMINED, {"examined": HAND}, {HAND}),
        (Head.EXAMINED, {"examined": UPPER_LIMB, "coarse": True}, {HAND, THUMB, FOREARM}),
        (Head.EXAMINED, {"examined": FINGER}, {HAND}),
        (Head.EXAMINED, {"examined": HEAD}, set()),
        (Head.EXAMINED, {}, set()),
        (Head.VIEW, {"view": FRONTAL}, {AP, PA, FRONTAL}),
        (Head.VIEW, {"view": LATERAL}, {LATERAL}),
        (Head.VIEW, {"view": OBLIQUE}, set()),
        (Head.MODALITY, {"modality": "CR"}, {"DX"}),
        (Head.MODALITY, {"modality": "MR"}, set()),
        (Head.LATERALITY, {"laterality": Laterality.LEFT}, {"left"}),
        (Head.LATERALITY, {"laterality": Laterality.BILATERAL}, set()),
        (Head.ROUTER, {"examined": CHEST}, {"adult chest", "paediatric chest"}),
        (Head.ROUTER, {"examined": CHEST, "age_years": 2.0}, {"paediatric chest"}),
        (
            Head.ROUTER,
            {"examined": CHEST, "router_group": RouterGroup.ADULT_CHEST},
            {"adult chest"},
        ),
        (Head.ROUTER, {"router_group": RouterGroup.OTHER}, {"other"}),
        (Head.ROUTER, {}, set()),
        (Head.IRMA, {"irma": "1121-127-700-500"}, {"1121-127-700-500"}),
        (Head.IRMA, {"irma": "1121-127-700-400"}, set()),
    ],
)
def test_the_classes_that_a_sample_leaves_possible(
    head: Head, fields: dict[str, object], expected: set[str]
) -> None:
    targets = encode([collection(sample(**fields))], SPACE, GRAPH, neighbours=NEIGHBOURS)

    found = {SPACE.columns(head)[column] for column in np.flatnonzero(targets.allowed[head][0])}
    assert found == expected
    truth = int(targets.truth(head)[0])
    assert (truth >= 0) == (len(expected) == 1)


def test_a_source_whose_labels_are_all_coarse_leaves_what_is_below_possible() -> None:
    one = collection(sample(examined=UPPER_LIMB), coarse_only=True)

    targets = encode([one], SPACE, GRAPH, neighbours=NEIGHBOURS)

    assert targets.allowed[Head.EXAMINED].sum() == 3


def test_rows_are_in_the_order_of_the_samples_and_each_has_its_own_declaration() -> None:
    silent = collection(sample(0, examined=KNEE), sample(1, examined=HAND))
    telling = collection(
        sample(2, source="b", examined=KNEE), name="b", exhaustive_over=frozenset({EVERYTHING})
    )

    targets = encode([silent, telling], SPACE, GRAPH, neighbours=NEIGHBOURS)

    assert len(targets) == 3
    hand, knee = VOCABULARY.columns[HAND], VOCABULARY.columns[KNEE]
    assert targets.known[:, hand].tolist() == [False, True, True]
    assert targets.present[:, hand].tolist() == [False, True, False]
    assert targets.present[:, knee].tolist() == [True, False, True]
    assert targets.truth(Head.EXAMINED).tolist() == [3, 0, 3]


def test_rows_are_taken_in_the_order_that_is_asked_for() -> None:
    ones = [sample(number, examined=code) for number, code in enumerate((KNEE, HAND, CHEST))]
    targets = encode([collection(*ones)], SPACE, GRAPH, neighbours=NEIGHBOURS)

    taken = targets.take([2, 0])

    assert len(taken) == 2
    np.testing.assert_array_equal(taken.present, targets.present[[2, 0]])
    np.testing.assert_array_equal(taken.truth(Head.EXAMINED), [4, 3])


# Regions, bones and organs, and tissues that have no place.
_CODES = st.sampled_from(GRAPH.codes())
_SAMPLES = st.builds(
    sample,
    examined=st.none() | _CODES,
    coarse=st.booleans(),
    visible=st.lists(_CODES, max_size=4).map(tuple),
    absent=st.lists(_CODES, max_size=2).map(tuple),
)
_DECLARATIONS = st.builds(
    Declaration,
    exhaustive_over=st.just(frozenset({EVERYTHING})) | st.frozensets(_CODES, max_size=2),
    coarse_only=st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(st.sets(_CODES, min_size=1, max_size=30), st.lists(_SAMPLES, min_size=1), _DECLARATIONS)
def test_targets_are_coherent_for_any_labels(
    codes: set[str], samples: list[Sample], declaration: Declaration
) -> None:
    vocabulary = LabelVocabulary.of(GRAPH, codes)
    space = LabelSpace(vocabulary, {})

    targets = encode(
        [Collection("a", tuple(samples), declaration)], space, GRAPH, neighbours=NEIGHBOURS
    )

    assert not (targets.present & ~targets.known).any()
    absent = targets.known & ~targets.present
    for column in range(len(vocabulary)):
        for above in vocabulary.ancestors[column]:
            assert not (targets.present[:, column] & ~targets.present[:, above]).any()
            assert not (absent[:, above] & ~absent[:, column]).any()
    for row, one in enumerate(samples):
        for code in {*one.visible, one.examined} - {None}:
            assert code is not None
            for above in vocabulary.nearest(GRAPH, code):
                assert targets.present[row, vocabulary.columns[above]]
        if not one.absent and (one.examined is None and not one.visible):
            assert not targets.known[row].any()


@settings(max_examples=60, deadline=None)
@given(_CODES, _CODES)
def test_whether_two_parts_may_share_a_frame_does_not_depend_on_the_order(
    one: str, other: str
) -> None:
    assert NEIGHBOURS.may_share(one, other) == NEIGHBOURS.may_share(other, one)


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (HIP, PELVIS, True),
        (CHEST, ABDOMEN, True),
        (HEART, LUMBAR, True),
        (ABDOMEN, LUMBAR, True),
        (HAND, FOREARM, True),
        (FINGER, FOREARM, False),
        (HAND, UPPER_LIMB, True),
        (HAND, KNEE, False),
        (BRAIN, HEART, False),
        (BRAIN, "661005", True),
        (CHEST, HAND, False),
        # |Aorta| is in the trunk; where in it, the graph does not say.
        ("15825003", PELVIS, True),
        ("15825003", HAND, False),
        # |Bone| and |Entire body| may be anywhere.
        ("272673000", HAND, True),
        ("38266002", FINGER, True),
    ],
)
def test_which_parts_may_share_a_frame(one: str, other: str, shared: bool) -> None:
    assert NEIGHBOURS.may_share(one, other) is shared


@pytest.mark.parametrize(
    "row",
    [
        "85562004\tHand\t123\tNothing\tbeside\tcurated",
        "85562004\tHand\t72696002\tKnee\tbehind\tcurated",
    ],
)
def test_a_bad_row_of_the_table_is_named(tmp_path: Path, row: str) -> None:
    header = "region\tregion_display\tother\tother_display\trelation\tsource"
    (tmp_path / NEIGHBOURS_TABLE).write_text(f"{header}\n{row}\n", encoding="utf-8")

    with pytest.raises(TableError, match=f"{NEIGHBOURS_TABLE}:2"):
        FrameNeighbours.load(GRAPH, tmp_path)


def part_of(one: Sample, **declared: object) -> tuple[set[str], dict[str, str], Targets]:
    """Return the classes that a part of the frame may show, and the states of the vocabulary."""
    whole = encode([collection(one, **declared)], SPACE, GRAPH, neighbours=NEIGHBOURS)
    found = within_frame(whole, SPACE)
    classes = {
        code for code, flag in zip(EXAMINED, found.allowed[Head.EXAMINED][0], strict=True) if flag
    }
    said = {
        code: "unknown" if not known else "present" if present else "absent"
        for code, present, known in zip(
            VOCABULARY.codes, found.present[0], found.known[0], strict=True
        )
    }
    return classes, said, found


def test_a_part_of_a_frame_shows_any_part_that_is_in_it() -> None:
    everything = frozenset({EVERYTHING})
    one = sample(examined=HAND, visible=(FOREARM,), view=FRONTAL, modality="DX")
    classes, said, found = part_of(one, exhaustive_over=everything)

    assert classes == {HAND, FOREARM}
    assert said[HAND] == said[FOREARM] == said[WRIST] == "unknown"
    assert said[UPPER_LIMB] == said[LIMB] == "present"
    assert said[KNEE] == said[CHEST] == "absent"
    assert found.allowed[Head.VIEW].any()
    assert found.allowed[Head.MODALITY].any()


def test_a_part_of_a_frame_with_one_part_keeps_its_label() -> None:
    classes, said, _ = part_of(sample(examined=HAND), exhaustive_over=frozenset({EVERYTHING}))

    assert classes == {HAND}
    assert said[HAND] == said[UPPER_LIMB] == "present"
    assert said[KNEE] == "absent"


def test_a_part_of_a_frame_is_of_no_group_where_several_groups_share_it() -> None:
    shared = sample(examined=CHEST, visible=(ABDOMEN,), age_years=50.0)
    _, _, found = part_of(shared, exhaustive_over=frozenset({EVERYTHING}))
    _, _, alone = part_of(sample(examined=CHEST, age_years=50.0))

    assert not found.allowed[Head.ROUTER].any()
    assert alone.allowed[Head.ROUTER].any()


def test_a_part_of_a_frame_of_a_coarse_label_keeps_the_region() -> None:
    classes, said, _ = part_of(sample(examined=UPPER_LIMB, coarse=True))

    assert classes == {HAND, THUMB, FOREARM}
    assert said[UPPER_LIMB] == "present"
    assert said[HAND] == "unknown"


def test_a_part_of_a_frame_says_nothing_where_nothing_was_examined() -> None:
    classes, said, _ = part_of(sample(visible=(HAND, KNEE)))

    assert not classes
    assert said[HAND] == said[KNEE] == "unknown"
