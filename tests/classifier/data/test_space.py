import pytest

from classifier.data.labels import Head, LabelSpace
from classifier.data.sample import Sample
from classifier.data.space import (
    build_space,
    modality_class,
    nearest_examined,
    nearest_views,
    router_groups,
)
from classifier.errors import DataSetError
from terminology.annotation import RouterGroup
from terminology.concept import Laterality
from terminology.graph import BodyStructureGraph

from .samples import (
    ABDOMEN,
    AP,
    CALCANEUS,
    CHEST,
    FINGER,
    FOOT,
    FOREARM,
    FRONTAL,
    HAND,
    HEART,
    HIP,
    HIP_JOINT,
    KNEE,
    LATERAL,
    LIMB,
    LOWER_LIMB,
    LUMBAR,
    PA,
    SPINE,
    THUMB,
    TRUNK,
    UPPER_LIMB,
    WRIST,
    collection,
    sample,
)

WATERS, MLO, OBLIQUE = "260473000", "399368009", "399182000"


def space_of(
    graph: BodyStructureGraph, *samples: Sample, head: Head, min_images: int = 1
) -> set[str]:
    space = build_space([collection(*samples)], graph, [head], min_images=min_images)
    return set(space.columns(head))


def images(count: int, **fields: object) -> list[Sample]:
    return [sample(number, **fields) for number in range(count)]


def test_the_vocabulary_is_of_all_parts_that_are_named(graph: BodyStructureGraph) -> None:
    one = collection(
        sample(0, examined=HAND, visible=(WRIST,)), sample(1, examined=CHEST, absent=(KNEE,))
    )
    space = build_space([one], graph, [Head.EXAMINED, Head.VISIBLE])

    assert {HAND, WRIST, CHEST, KNEE, LIMB} <= set(space.columns(Head.VISIBLE))
    assert set(space.columns(Head.EXAMINED)) == {HAND, CHEST}
    assert space.heads == (Head.EXAMINED, Head.VISIBLE)
    assert LabelSpace.from_json(space.to_json()) == space


def test_a_coarse_label_is_no_class(graph: BodyStructureGraph) -> None:
    found = space_of(
        graph,
        sample(0, examined=UPPER_LIMB, coarse=True),
        sample(1, examined=HAND),
        head=Head.EXAMINED,
    )
    assert found == {HAND}

    coarse = collection(sample(0, examined=UPPER_LIMB), coarse_only=True)
    with pytest.raises(DataSetError, match="examined"):
        build_space([coarse], graph, [Head.EXAMINED])


def test_a_class_needs_its_images_and_rarer_parts_leave_the_vocabulary(
    graph: BodyStructureGraph,
) -> None:
    one = collection(
        *images(5, examined=FOOT), *images(2, examined=CALCANEUS), *images(4, examined=HAND)
    )
    space = build_space([one], graph, [Head.EXAMINED, Head.VISIBLE], min_images=3)

    assert set(space.columns(Head.EXAMINED)) == {FOOT, HAND}
    assert CALCANEUS not in space.vocabulary
    assert FOOT in space.vocabulary


def test_a_part_counts_for_the_region_that_holds_it(graph: BodyStructureGraph) -> None:
    one = collection(
        *images(2, examined=HAND), sample(3, examined=THUMB), *images(3, examined=KNEE)
    )
    space = build_space([one], graph, [Head.VISIBLE], min_images=3)

    assert HAND in space.vocabulary
    assert THUMB not in space.vocabulary


def test_a_joint_and_its_region_are_one_class(graph: BodyStructureGraph) -> None:
    both = [sample(0, examined=HIP), sample(1, examined=HIP_JOINT), sample(2, examined=HIP_JOINT)]

    assert space_of(graph, *both, head=Head.EXAMINED, min_images=3) == {HIP}
    assert space_of(graph, *both[1:], head=Head.EXAMINED) == {HIP}


@pytest.mark.parametrize(
    ("counts", "min_images", "classes"),
    [
        ({AP: 2, PA: 2, FRONTAL: 3, LATERAL: 1}, 1, {AP, PA, LATERAL}),
        ({AP: 2, PA: 2, FRONTAL: 4, LATERAL: 1}, 1, {FRONTAL, LATERAL}),
        ({AP: 1, PA: 5}, 2, {PA}),
        ({AP: 1, PA: 1, LATERAL: 2}, 2, {FRONTAL, LATERAL}),
        ({WATERS: 1, PA: 4, AP: 4}, 2, {PA, AP}),
        ({MLO: 3, OBLIQUE: 2}, 1, {MLO}),
    ],
)
def test_no_two_views_are_true_of_one_image(
    graph: BodyStructureGraph, counts: dict[str, int], min_images: int, classes: set[str]
) -> None:
    samples = [one for view, count in counts.items() for one in images(count, view=view)]

    assert space_of(graph, *samples, head=Head.VIEW, min_images=min_images) == classes


def test_classes_may_be_given(graph: BodyStructureGraph) -> None:
    one = collection(sample(0, examined=THUMB, view=AP), sample(1, examined=CHEST, view=PA))
    space = build_space(
        [one],
        graph,
        [Head.EXAMINED, Head.VIEW],
        examined_classes=["51185008", HAND],
        view_classes=[FRONTAL],
    )

    assert set(space.columns(Head.EXAMINED)) == {HAND, CHEST}
    assert space.columns(Head.VIEW) == (FRONTAL,)
    assert set(space.columns(Head.EXAMINED)) <= set(space.vocabulary.codes)


def test_the_other_heads_have_the_values_that_occur(graph: BodyStructureGraph) -> None:
    one = collection(
        sample(0, modality="CR", laterality=Laterality.RIGHT, irma="1121-127-700-500"),
        sample(1, modality="DX", laterality=Laterality.LEFT),
        sample(2, modality="CT"),
        sample(3, modality="OT", examined=CHEST),
    )
    space = build_space([one], graph, [Head.MODALITY, Head.LATERALITY, Head.IRMA, Head.ROUTER])

    assert space.columns(Head.MODALITY) == ("CT", "DX")
    assert space.columns(Head.LATERALITY) == ("left", "right")
    assert space.columns(Head.IRMA) == ("1121-127-700-500",)
    assert space.columns(Head.ROUTER) == tuple(map(str, RouterGroup))
    assert space.visible is False


@pytest.mark.parametrize("head", list(Head))
def test_a_head_of_which_nothing_is_known_is_refused(graph: BodyStructureGraph, head: Head) -> None:
    with pytest.raises(DataSetError, match=f"head '{head}'"):
        build_space([collection(sample())], graph, [head])


@pytest.mark.parametrize(
    ("modality", "found"),
    [
        ("CR", "DX"),
        ("RG", "DX"),
        ("DX", "DX"),
        ("MR", "MR"),
        ("OT", None),
        ("", None),
        (None, None),
    ],
)
def test_projection_radiographs_are_one_class(modality: str | None, found: str | None) -> None:
    assert modality_class(modality) == found


@pytest.mark.parametrize(
    ("code", "coarse", "classes", "found"),
    [
        (HAND, False, {HAND, FINGER, UPPER_LIMB}, {HAND}),
        (HAND, True, {HAND, FINGER, UPPER_LIMB}, {HAND, FINGER}),
        (UPPER_LIMB, True, {HAND, FOREARM, KNEE}, {HAND, FOREARM}),
        (UPPER_LIMB, True, {HAND, KNEE}, set()),
        (THUMB, False, {HAND, FINGER, KNEE}, {FINGER}),
        (THUMB, True, {HAND, KNEE}, {HAND}),
        (HEART, False, {HAND}, set()),
        (HIP_JOINT, False, {HIP, KNEE}, {HIP}),
        ("51185008", False, {CHEST}, {CHEST}),
    ],
)
def test_the_classes_that_a_label_leaves_possible(
    graph: BodyStructureGraph, code: str, coarse: bool, classes: set[str], found: set[str]
) -> None:
    assert nearest_examined(graph, code, classes, coarse=coarse) == found


@pytest.mark.parametrize(
    ("view", "classes", "found"),
    [
        (FRONTAL, {AP, PA, FRONTAL, LATERAL}, {AP, PA, FRONTAL}),
        (FRONTAL, {AP, LATERAL}, {AP}),
        (AP, {AP, PA, FRONTAL}, {AP}),
        (AP, {FRONTAL, LATERAL}, {FRONTAL}),
        (WATERS, {FRONTAL, LATERAL}, {FRONTAL}),
        (LATERAL, {AP, PA}, set()),
    ],
)
def test_the_views_that_a_label_leaves_possible(
    view: str, classes: set[str], found: set[str]
) -> None:
    assert nearest_views(view, classes) == found


ADULT, CHILD = RouterGroup.ADULT_CHEST, RouterGroup.PAEDIATRIC_CHEST


@pytest.mark.parametrize(
    ("code", "age", "coarse", "found"),
    [
        (CHEST, 30.0, False, {ADULT}),
        (CHEST, 16.0, False, {ADULT}),
        (CHEST, 15.9, False, {CHILD}),
        (CHEST, None, False, {ADULT, CHILD}),
        (HEART, None, False, {ADULT, CHILD}),
        (LUMBAR, None, False, {RouterGroup.SPINE}),
        (ABDOMEN, None, False, {RouterGroup.ABDOMEN}),
        (HAND, None, False, {RouterGroup.OTHER}),
        (SPINE, 3.0, False, {RouterGroup.SPINE}),
        (UPPER_LIMB, None, True, {RouterGroup.OTHER}),
        (LOWER_LIMB, None, True, {RouterGroup.OTHER}),
        (CHEST, 30.0, True, {ADULT, RouterGroup.SPINE}),
        (TRUNK, None, True, set(RouterGroup)),
        (TRUNK, None, False, {RouterGroup.OTHER}),
    ],
)
def test_the_router_groups_that_a_label_leaves_possible(
    graph: BodyStructureGraph,
    code: str,
    age: float | None,
    coarse: bool,
    found: set[RouterGroup],
) -> None:
    assert router_groups(graph, code, age, coarse=coarse) == found
