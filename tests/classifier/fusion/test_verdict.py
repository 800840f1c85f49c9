"""Which site is told, where it comes from, and when a person is asked."""

import itertools
from dataclasses import replace

import pytest

from classifier.fusion import FusionSettings, Policy, Review, fuse
from classifier.prediction import Prediction
from terminology.annotation import Relation, Source
from terminology.concept import Laterality
from tests.classifier.fusion.conftest import (
    ANKLE,
    CALCANEUS,
    CERVICAL,
    CHEST,
    CLASSES,
    FOOT,
    HAND,
    HIP,
    KNEE,
    LOWER_LEG,
    LOWER_LIMB,
    LUMBAR,
    NECK,
    SKULL,
    SPINE,
    THIGH,
    THORACIC,
    UPPER_LIMB,
)

ANKLE_JOINT = "70258002"


@pytest.mark.parametrize(
    ("named", "best", "answer", "told", "source", "stands"),
    [
        (KNEE, KNEE, None, KNEE, Source.FUSED, Relation.EQUAL),
        (ANKLE_JOINT, ANKLE, None, ANKLE_JOINT, Source.FUSED, Relation.EQUAL),
        # The image refines a header that says less.
        (LOWER_LIMB, KNEE, None, KNEE, Source.FUSED, Relation.HEADER_BROADER),
        (SPINE, LUMBAR, None, LUMBAR, Source.FUSED, Relation.HEADER_BROADER),
        # The header's detail stays: no class of the model is as specific.
        (CALCANEUS, FOOT, None, CALCANEUS, Source.FUSED, Relation.HEADER_NARROWER),
        # The header's answer stands beside an image that is sure of the region alone.
        (KNEE, KNEE, LOWER_LIMB, KNEE, Source.FUSED, Relation.HEADER_NARROWER),
        # An image that is sure contradicts it, near by and far away.
        (KNEE, CHEST, None, CHEST, Source.IMAGE, Relation.CONFLICT),
        (KNEE, THIGH, None, THIGH, Source.IMAGE, Relation.NEIGHBOUR),
        (HAND, KNEE, LOWER_LIMB, LOWER_LIMB, Source.IMAGE, Relation.CONFLICT),
    ],
)
def test_a_sure_image_and_a_header(graph, header, seen, named, best, answer, told, source, stands):
    found = fuse(None, header(named), seen(best, 0.995, answer=answer), graph)
    assert [one.site.code for one in found.examined] == [told]
    assert found.examined[0].source is source
    assert found.relation is stands
    assert found.review == ((Review.CONFLICT,) if source is Source.IMAGE else ())
    assert found.header[0].sites[0].code == named  # whatever is told, the header stays
    assert found.answers.header[0].code == named


def test_an_unsure_image_is_not_set_against_the_header(graph, header, seen):
    found = fuse(None, header(KNEE), seen(CHEST, 0.5), graph)
    assert found.examined[0].site.code == KNEE
    assert found.examined[0].source is Source.HEADER
    assert found.relation is Relation.HEADER_ONLY
    assert found.examined[0].site.confidence > 0.8
    assert found.review == ()


def test_between_the_two_the_likelier_one_answers_without_a_conflict(graph, header, seen):
    found = fuse(None, header(KNEE), seen(CHEST, 0.9, others={KNEE: 3.0, HAND: 97.0}), graph)
    told = found.examined[0]
    assert (told.site.code, told.source) == (CHEST, Source.IMAGE)
    assert 0.5 < told.site.confidence < 0.8
    assert found.relation is Relation.IMAGE_ONLY
    assert found.review == (Review.LOW_CONFIDENCE,)


def test_the_surer_the_image_the_less_the_header_weighs(graph, header, seen):
    trust = [
        fuse(None, header(KNEE), seen(CHEST, sure), graph).answers.bayes
        for sure in (0.5, 0.8, 0.95, 0.99, 0.999)
    ]
    chest = [next((s.confidence for s in one if s.code == CHEST), 0.0) for one in trust]
    assert all(one < other for one, other in itertools.pairwise(chest))


def test_detail_that_the_image_finds_improbable_is_not_kept(graph, header, seen):
    # Sure of the lower limb, and that it is not its knee.
    image = seen(ANKLE, 0.6, others={FOOT: 1.0}, answer=LOWER_LIMB)
    found = fuse(None, header(KNEE), image, graph)
    assert found.examined[0].site.code == LOWER_LIMB
    assert found.relation is Relation.HEADER_NARROWER
    assert Review.CONFLICT in found.review


def test_a_part_that_is_no_class_of_the_model_needs_a_very_sure_image(graph, header, seen):
    without = [code for code in CLASSES if code not in (CERVICAL, THORACIC)]
    assert SKULL not in without
    unsure = fuse(None, header(SKULL), seen(HAND, 0.6, without), graph)
    assert unsure.examined[0].site.code == SKULL
    sure = fuse(None, header(SKULL), seen(HAND, 0.999, without), graph)
    assert (sure.examined[0].site.code, sure.relation) == (HAND, Relation.CONFLICT)


def test_only_the_image_or_only_the_header(graph, header, seen):
    image = fuse(None, None, seen(KNEE), graph)
    assert (image.examined[0].site.code, image.relation) == (KNEE, Relation.IMAGE_ONLY)
    assert image.examined[0].source is Source.IMAGE
    assert image.review == ()
    abstaining = replace(seen(KNEE, 0.6, others={THIGH: 1.0}), examined=())
    for named, review in ((KNEE, ()), (HAND, (Review.LOW_CONFIDENCE,))):
        # What the model finds possible bears the header out, or not.
        found = fuse(None, header(named), abstaining, graph)
        assert (found.examined[0].site.code, found.relation) == (named, Relation.HEADER_ONLY)
        assert found.examined[0].source is Source.HEADER
        assert found.review == review
        assert "header alone" in found.notes[0]
    neither = fuse(None, None, abstaining, graph)
    assert neither.examined == ()
    assert neither.relation is Relation.NONE
    assert neither.review == (Review.LOW_CONFIDENCE, Review.NO_ANSWER)


def test_a_model_that_cannot_answer_gives_its_reasons(graph, header):
    blank = Prediction("net 1", reasons=("blank", "unlike-training"))
    found = fuse(None, header(CHEST), blank, graph)
    assert found.examined[0].site.code == CHEST
    assert found.review == ("blank", "unlike-training")
    assert "blank" in found.notes[0]


def test_a_header_is_not_followed_where_no_body_is_to_be_seen(graph, header):
    phantom = Prediction("net 1", reasons=("phantom",))
    found = fuse(None, header(CHEST), phantom, graph)
    assert found.examined == ()
    assert found.router_group is None
    assert found.review == ("phantom", Review.NO_ANSWER)
    assert found.header[0].sites[0].code == CHEST
    assert "not followed" in found.notes[0]
    kept = fuse(None, header(CHEST), phantom, graph, FusionSettings(no_body=()))
    assert kept.examined[0].site.code == CHEST


def test_reasons_outweigh_a_posterior(graph, header, seen):
    image = replace(seen(HAND, 0.999), examined=(), reasons=("document",))
    found = fuse(None, header(CHEST), image, graph)
    assert found.examined[0].site.code == CHEST
    assert found.answers.bayes == ()


@pytest.mark.parametrize(("confidence", "told"), [(0.99, CHEST), (0.5, HAND), (None, HAND)])
def test_without_a_posterior_only_a_very_sure_answer_goes_before_the_header(
    graph, header, site, confidence, told
):
    image = Prediction("net 1", examined=(site(CHEST, confidence=confidence),))
    found = fuse(None, header(HAND), image, graph)
    assert found.examined[0].site.code == told
    assert (found.relation, found.review) == (Relation.CONFLICT, (Review.CONFLICT,))
    assert found.answers.bayes == ()


def test_a_site_that_the_release_lacks_is_told_and_not_compared(graph, header, site):
    image = Prediction("net 1", examined=(site("999", confidence=0.99),), posterior={"999": 1.0})
    found = fuse(None, header(HAND), image, graph)
    assert found.examined[0].site.code == HAND
    assert found.relation is Relation.HEADER_ONLY
    assert "not in the release" in found.notes[0]
    assert found.answers.image[0].code == "999"
    alone = fuse(None, None, image, graph)
    assert alone.examined[0].site.code == "999"


def test_five_answers_are_kept_apart(graph, header, seen):
    answers = fuse(None, header(KNEE), seen(THIGH, 0.7, others={KNEE: 3, HIP: 1}), graph).answers
    assert [one.code for one in answers.header] == [KNEE]
    assert [one.code for one in answers.image][:3] == [THIGH, KNEE, HIP]
    assert [one.code for one in answers.union] == [KNEE, THIGH, HIP]
    assert answers.intersection == ()
    assert answers.bayes[0].code == KNEE
    assert answers.bayes[0].confidence > 0.5


@pytest.mark.parametrize(
    ("named", "best", "answer", "agreed"),
    [
        (KNEE, KNEE, None, [KNEE]),
        (LOWER_LIMB, KNEE, None, [KNEE]),
        (KNEE, KNEE, LOWER_LIMB, [KNEE]),
        (ANKLE_JOINT, ANKLE, None, [ANKLE_JOINT]),
        (KNEE, CHEST, None, []),
    ],
)
def test_the_intersection_is_the_more_specific_of_what_both_say(
    graph, header, seen, named, best, answer, agreed
):
    found = fuse(None, header(named), seen(best, answer=answer), graph)
    assert [one.code for one in found.answers.intersection] == agreed


def test_the_union_has_the_prediction_set(graph, header, seen):
    image = seen(THIGH, 0.7, prediction_set=(THIGH, LOWER_LEG))
    answers = fuse(None, header(KNEE), image, graph).answers
    assert [one.code for one in answers.union] == [KNEE, THIGH, LOWER_LEG]


@pytest.mark.parametrize(
    ("policy", "named", "best", "told"),
    [
        (Policy.ANY, KNEE, CHEST, [(KNEE, Source.HEADER), (CHEST, Source.IMAGE)]),
        (Policy.ANY, KNEE, KNEE, [(KNEE, Source.FUSED)]),
        (Policy.BOTH, LOWER_LIMB, KNEE, [(KNEE, Source.FUSED)]),
        (Policy.BOTH, KNEE, CHEST, []),
    ],
)
def test_the_policy_says_which_answer_is_told(graph, header, seen, policy, named, best, told):
    settings = FusionSettings(policy=policy, tau_lo=0.2)
    found = fuse(None, header(named), seen(best, 0.995), graph, settings)
    assert [(one.site.code, one.source) for one in found.examined] == told
    assert (Review.NO_ANSWER in found.review) is (not told)


def test_an_image_takes_the_side_of_the_header_where_the_part_has_sides(graph, header, seen):
    left = {"laterality": Laterality.LEFT}
    paired = fuse(None, header(LOWER_LIMB, **left), seen(KNEE), graph)
    assert paired.examined[0].site.laterality is Laterality.LEFT
    unpaired = fuse(None, header(KNEE, **left), seen(CHEST, 0.999), graph)
    assert unpaired.examined[0].site.code == CHEST
    assert unpaired.examined[0].site.laterality is None
    assert unpaired.laterality is None
    assert paired.laterality is Laterality.LEFT


def test_several_sites_of_a_header_that_is_followed_stay(graph, header, seen, site):
    both = replace(header(KNEE), sites=(site(KNEE), site(ANKLE)))
    found = fuse(None, both, seen(KNEE), graph)
    assert [(one.site.code, one.source) for one in found.examined] == [
        (KNEE, Source.FUSED),
        (ANKLE, Source.HEADER),
    ]


def test_of_several_sites_of_a_header_the_one_that_the_image_shows_comes_first(
    graph, header, seen, site
):
    both = replace(header(KNEE), sites=(site(HAND), site(KNEE)), statements=())
    found = fuse(None, both, seen(KNEE, 0.99), graph)
    assert [one.site.code for one in found.examined] == [KNEE, HAND]
    assert found.relation is Relation.EQUAL
    assert found.review == ()
    assert [one.code for one in found.answers.header] == [HAND, KNEE]


def test_settings_move_the_conflict(graph, header, seen):
    image = seen(CHEST, 0.97)
    strict, lax = (
        fuse(None, header(KNEE), image, graph, FusionSettings(tau_hi=tau)) for tau in (0.999, 0.5)
    )
    assert strict.relation is not Relation.CONFLICT
    assert lax.relation is Relation.CONFLICT


def test_images_that_the_model_hardly_knows_weigh_less(graph, header, seen):
    image, surer = seen(CHEST, 0.97), seen(CHEST, 0.99)
    for modality in (None, "CR", "DX", "OT", "CT", "MR", "NM"):
        found = fuse(None, header(KNEE, modality=modality), surer, graph)
        hardly = modality in ("CT", "MR", "NM")
        assert (Review.CONFLICT in found.review) is not hardly, modality
        if hardly:
            less = fuse(None, header(KNEE, modality=modality), image, graph)
            assert less.examined[0].site.code == KNEE
    known = FusionSettings(read_modalities=("CT",))
    told = fuse(None, header(KNEE, modality="CT"), surer, graph, known)
    assert told.examined[0].site.code == CHEST
    alone = fuse(None, header(modality="CT"), image, graph)
    assert alone.examined[0].site.code == CHEST


def test_codes_that_a_site_does_not_want_are_left_out(graph, header, seen):
    settings = FusionSettings(review_without=("conflict",))
    found = fuse(None, header(KNEE), seen(CHEST, 0.999), graph, settings)
    assert found.relation is Relation.CONFLICT
    assert found.review == ()


def test_a_header_at_odds_with_itself_goes_to_review(graph, header, seen):
    odd = header(KNEE, conflicts=("StudyDescription says Hand, BodyPartExamined says Knee",))
    assert Review.HEADER_CONFLICT in fuse(None, odd, seen(KNEE), graph).review
    assert Review.HEADER_CONFLICT in fuse(None, odd, None, graph).review


def test_nothing_that_is_fused_raises_or_leaves_the_graph(graph, header, seen):
    """Any header with any answer: an answer, a relation, probabilities that are such."""
    codes = [
        *CLASSES,
        NECK,
        SPINE,
        SKULL,
        UPPER_LIMB,
        LOWER_LIMB,
        CALCANEUS,
        "38266002",
        "12738006",
    ]
    for named, best, sure in itertools.product(codes, CLASSES[:4], (0.3, 1.0)):
        found = fuse(None, header(named), seen(best, sure), graph)
        assert found.examined
        assert found.relation not in (Relation.NONE,)
        for one in found.answers.bayes:
            assert 0.0 <= one.confidence <= 1.0
        assert sum(one.confidence for one in found.answers.bayes) <= 1.0 + 1e-9
