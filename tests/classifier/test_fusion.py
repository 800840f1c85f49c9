import pytest

from classifier.fusion import NO_MODEL, fuse, relation, router_group
from classifier.prediction import Prediction
from terminology.annotation import HeaderReading, Relation, RouterGroup, Site, Source
from terminology.concept import Laterality
from terminology.graph import BodyStructureGraph


@pytest.fixture(scope="module")
def graph():
    return BodyStructureGraph.load()


def site(code, laterality=None):
    return Site(code, "", laterality, 0.9)


@pytest.mark.parametrize(
    ("header", "image", "expected"),
    [
        (None, None, Relation.NONE),
        ("85562004", None, Relation.HEADER_ONLY),
        (None, "85562004", Relation.IMAGE_ONLY),
        ("85562004", "85562004", Relation.EQUAL),
        ("816094009", "51185008", Relation.EQUAL),  # a code of today and one of yesterday
        ("53120007", "85562004", Relation.HEADER_BROADER),
        ("85562004", "53120007", Relation.HEADER_NARROWER),
        ("85562004", "816094009", Relation.CONFLICT),
    ],
)
def test_relation_of_header_and_image(graph, header, image, expected):
    sites = [(site(code),) if code else () for code in (header, image)]
    assert relation(sites[0], sites[1], graph) is expected


def test_opposite_sides_are_a_conflict(graph):
    left, right = site("85562004", Laterality.LEFT), site("85562004", Laterality.RIGHT)
    assert relation((left,), (right,), graph) is Relation.CONFLICT
    assert relation((left,), (site("85562004"),), graph) is Relation.EQUAL


@pytest.mark.parametrize(
    ("code", "age", "group"),
    [
        ("816094009", 40.0, RouterGroup.ADULT_CHEST),
        ("39607008", 40.0, RouterGroup.ADULT_CHEST),
        ("43799004", 40.0, RouterGroup.ADULT_CHEST),
        ("816094009", 15.9, RouterGroup.PAEDIATRIC_CHEST),
        ("816094009", 16.0, RouterGroup.ADULT_CHEST),
        ("816094009", None, RouterGroup.ADULT_CHEST),
        ("122495006", 40.0, RouterGroup.SPINE),  # the thoracic spine is spine, not chest
        ("818981001", 3.0, RouterGroup.ABDOMEN),
        ("113345001", None, RouterGroup.ABDOMEN),
        ("818982008", None, RouterGroup.ABDOMEN),  # |Abdomen and Pelvis|
        ("416949008", None, RouterGroup.ABDOMEN),  # its former code
        ("71854001", None, RouterGroup.ABDOMEN),  # |Colon|
        ("816092008", None, RouterGroup.OTHER),  # |Pelvis|
        ("416775004", None, RouterGroup.OTHER),  # |Chest, Abdomen and Pelvis|
        ("85562004", 40.0, RouterGroup.OTHER),
        ("12738006", None, RouterGroup.OTHER),
    ],
)
def test_router_group_follows_from_site_and_age(graph, code, age, group):
    assert router_group(site(code), age, graph) is group


def test_without_a_model_the_header_answers_and_the_annotation_says_so(graph):
    header = HeaderReading(sites=(site("85562004", Laterality.LEFT),), modality="DX")
    annotation = fuse(None, header, None, graph)
    assert annotation.examined[0].source is Source.HEADER
    assert annotation.laterality is Laterality.LEFT
    assert annotation.relation is Relation.HEADER_ONLY
    assert annotation.notes == (NO_MODEL,)


def test_the_image_answers_only_where_the_header_does_not(graph):
    seen = Prediction("net 1", examined=(site("816094009"),), visible=(site("39607008"),))
    alone = fuse(None, None, seen, graph)
    assert [(one.site.code, one.source) for one in alone.examined] == [("816094009", Source.IMAGE)]
    assert alone.relation is Relation.IMAGE_ONLY
    both = fuse(None, HeaderReading(sites=(site("85562004"),)), seen, graph)
    assert [one.site.code for one in both.examined] == ["85562004"]
    assert both.relation is Relation.CONFLICT
    assert [one.code for one in both.image] == ["816094009"]


def test_nothing_known_is_an_answer(graph):
    annotation = fuse(None, None, None, graph)
    assert annotation.examined == ()
    assert annotation.router_group is None
    assert annotation.relation is Relation.NONE
