import pytest

from classifier.fusion import Review, fuse
from classifier.fusion.views import broader_views
from classifier.prediction import Prediction
from terminology.annotation import HeaderReading, RouterGroup
from terminology.concept import Laterality, View
from tests.classifier.fusion.conftest import CHEST, HAND, KNEE, LUMBAR

AP = View("399348003", "antero-posterior", "AP")
PA = View("272479007", "postero-anterior", "PA")
FRONTAL = View("399033003", "frontal")
LATERAL = View("399067008", "lateral")
TOWNE = View("399270002", "Towne")
LEFT, RIGHT = Laterality.LEFT, Laterality.RIGHT
ADULT, CHILD = RouterGroup.ADULT_CHEST, RouterGroup.PAEDIATRIC_CHEST


def test_a_view_says_less_than_those_below_it():
    assert broader_views(AP.code) == (FRONTAL.code,)
    assert broader_views(TOWNE.code)[:2] == (AP.code, FRONTAL.code)
    assert broader_views(FRONTAL.code) == ()


@pytest.mark.parametrize(
    ("header", "image", "sure", "told", "conflict"),
    [
        (None, FRONTAL, 0.99, FRONTAL, False),
        (AP, None, 0.0, AP, False),
        (AP, FRONTAL, 0.99, AP, False),
        (FRONTAL, PA, 0.99, PA, False),
        (TOWNE, FRONTAL, 0.99, TOWNE, False),
        (AP, AP, 0.5, AP, False),
        (AP, LATERAL, 0.99, LATERAL, True),
        (AP, LATERAL, 0.6, AP, False),
        (AP, PA, 0.99, PA, True),
    ],
)
def test_views_of_header_and_image(graph, header, image, sure, told, conflict):
    seen = Prediction("net 1", view=image, confidences={"view": sure})
    found = fuse(None, HeaderReading(view=header), seen, graph)
    assert found.view == told
    assert (Review.VIEW_CONFLICT in found.review) is conflict
    assert found.view_confidence == (sure if told == image else None)


def test_a_model_that_does_not_say_how_sure_it_is_contradicts_no_view(graph):
    found = fuse(None, HeaderReading(view=AP), Prediction("net 1", view=LATERAL), graph)
    assert found.view == AP
    assert Review.VIEW_CONFLICT not in found.review


@pytest.mark.parametrize(
    ("header", "image", "sure", "told", "conflict"),
    [
        (LEFT, RIGHT, 0.99, LEFT, True),  # a marker never overrules the header
        (LEFT, RIGHT, 0.7, LEFT, False),
        (LEFT, LEFT, 0.99, LEFT, False),
        (None, RIGHT, 0.99, RIGHT, False),
        (LEFT, None, 0.0, LEFT, False),
    ],
)
def test_sides_of_header_and_image(graph, site, header, image, sure, told, conflict):
    seen = Prediction("net 1", laterality=image, confidences={"laterality": sure})
    reading = HeaderReading(sites=(site(HAND),), laterality=header)
    found = fuse(None, reading, seen, graph)
    assert found.laterality is told
    assert (Review.LATERALITY_CONFLICT in found.review) is conflict


def test_sites_on_two_sides_are_a_conflict_of_sides(graph, site):
    seen = Prediction("net 1", examined=(site(HAND, RIGHT, 0.999),))
    found = fuse(None, HeaderReading(sites=(site(HAND, LEFT),)), seen, graph)
    assert found.examined[0].site.laterality is LEFT
    assert found.review == (Review.LATERALITY_CONFLICT,)


@pytest.mark.parametrize(
    ("header", "image", "sure", "told", "conflict"),
    [
        ("CR", "DX", 0.99, "CR", False),  # one kind of picture
        ("CT", "MR", 0.99, "CT", True),
        ("CT", "MR", 0.6, "CT", False),
        ("OT", "DX", 0.99, "DX", False),  # "other" does not say how it was made
        ("OT", "DX", 0.6, "OT", False),
        (None, "DX", 0.6, "DX", False),
        ("CT", None, 0.0, "CT", False),
    ],
)
def test_modalities_of_header_and_image(graph, header, image, sure, told, conflict):
    seen = Prediction("net 1", modality=image, confidences={"modality": sure})
    found = fuse(None, HeaderReading(modality=header), seen, graph)
    assert found.modality == told
    assert (Review.MODALITY_CONFLICT in found.review) is conflict


@pytest.mark.parametrize(
    ("code", "age", "seen", "group"),
    [
        (CHEST, 40.0, CHILD, ADULT),  # the age of the header is known
        (CHEST, None, CHILD, CHILD),
        (CHEST, None, RouterGroup.SPINE, ADULT),
        (LUMBAR, None, CHILD, RouterGroup.SPINE),
        (None, None, CHILD, CHILD),
        (KNEE, 3.0, ADULT, RouterGroup.OTHER),
    ],
)
def test_the_router_group_follows_from_the_fused_site(graph, site, code, age, seen, group):
    reading = HeaderReading(sites=() if code is None else (site(code),), age_years=age)
    assert fuse(None, reading, Prediction("net 1", router=seen), graph).router_group is group
