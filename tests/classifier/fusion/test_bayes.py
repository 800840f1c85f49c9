"""p(y|x,h) ∝ [p(y|x)/π_train(y)] · P(h|y) · π_site(y), held against numbers worked by hand."""

from dataclasses import replace

import pytest

from classifier.fusion import Agreement, FusionSettings, HeaderReliability, fuse
from classifier.fusion.bayes import facts_of, weigh
from classifier.fusion.nearness import Nearness
from classifier.fusion.reliability import MISSING, NOTHING_COUNTED, UNMAPPED
from terminology.annotation import HeaderReading, HeaderStatement
from tests.classifier.fusion.conftest import (
    ANKLE,
    CALCANEUS,
    CHEST,
    FOOT,
    HAND,
    KNEE,
    LOWER_LEG,
    LOWER_LIMB,
    LUMBAR,
    SKULL,
    SPINE,
    THIGH,
)

DEFAULTS = FusionSettings()


def joined(graph, header, prediction, settings=DEFAULTS, reliability=NOTHING_COUNTED):
    return weigh(header, prediction, graph, settings, reliability).posterior


def test_the_default_header_by_hand(graph, header, seen):
    # Hand and chest are no neighbours, nor is the knee one of theirs: each takes the other two for
    # its neighbours, so that a wrong header names either with .15 / 2.
    image = seen(CHEST, 0.9, (CHEST, HAND, KNEE), others={HAND: 9.0, KNEE: 1.0})
    found = joined(graph, header(HAND), image)
    likelihood = {CHEST: 0.15 / 2, HAND: 0.85, KNEE: 0.15 / 2}
    weights = {CHEST: 0.9, HAND: 0.09, KNEE: 0.01}
    total = sum(likelihood[code] * weights[code] for code in weights)
    for code, weight in weights.items():
        assert found[code] == pytest.approx(likelihood[code] * weight / total)


def test_neighbours_take_most_of_the_error(graph, header, seen):
    classes = (THIGH, KNEE, CHEST, HAND)
    flat = seen(THIGH, 0.25, classes)
    found = joined(graph, header(KNEE), flat)
    # Thigh and knee are neighbours of each other alone: .6 + .4 / 3 of the errors of either.
    near, far = 0.15 * (0.6 + 0.4 / 3), 0.15 * (0.6 / 3 + 0.4 / 3)
    assert found[THIGH] / found[KNEE] == pytest.approx(near / 0.85)
    assert found[CHEST] / found[KNEE] == pytest.approx(far / 0.85)


def test_each_step_of_the_graph_halves_what_a_neighbour_is_taken_for(graph, header, seen):
    near = Nearness.of(graph)
    assert (near.steps(FOOT, ANKLE), near.steps(FOOT, LOWER_LEG)) == (2, 3)
    flat = seen(FOOT, 0.25, (FOOT, ANKLE, LOWER_LEG, CHEST))
    ankle, leg = (joined(graph, header(code), flat)[FOOT] for code in (ANKLE, LOWER_LEG))
    assert ankle > leg


@pytest.mark.parametrize(
    ("named", "true"),
    [
        (LOWER_LIMB, {KNEE, FOOT}),  # broader than classes: all at or below it
        (CALCANEUS, {FOOT}),  # narrower: the nearest class above
        ("70258002", set()),  # the ankle joint, where no class stands for the ankle
    ],
)
def test_headers_that_are_no_class(graph, header, seen, named, true):
    classes = (KNEE, FOOT, CHEST, HAND)
    found = joined(graph, header(named), seen(KNEE, 0.25, classes))
    gained = {code for code in classes if found[code] > 0.25}
    assert gained == true
    outside = set(found) - set(classes)
    assert outside == (set() if true else {ANKLE})


def test_a_class_above_another_class(graph, header, seen):
    classes = (SPINE, LUMBAR, CHEST)
    flat = seen(SPINE, 1 / 3, classes)
    broad, narrow = (joined(graph, header(code), flat) for code in (SPINE, LUMBAR))
    assert broad[SPINE] == pytest.approx(broad[LUMBAR])
    assert narrow[LUMBAR] > narrow[SPINE] > narrow[CHEST]


def test_a_header_without_a_site_says_nothing_until_it_is_counted(graph, seen):
    image = seen(KNEE, 0.7, (KNEE, CHEST))
    words = HeaderReading(statements=(HeaderStatement("BodyPartExamined", "(0018,0015)", "XYZZY"),))
    near = Nearness.of(graph)
    assert facts_of(words, near)[0].values == (((UNMAPPED,), 1.0),)
    assert facts_of(HeaderReading(), near)[0].values == (((MISSING,), 1.0),)
    for silent in (words, HeaderReading()):
        assert joined(graph, silent, image)[KNEE] == pytest.approx(0.7)
    # Here chests come without a body part, and knees never do.
    counted = HeaderReliability.learn(
        [
            Agreement("", CHEST, 500),
            Agreement(CHEST, CHEST, 500),
            Agreement(KNEE, KNEE, 1000),
        ],
        graph,
    )
    assert joined(graph, HeaderReading(), image, reliability=counted)[KNEE] < 0.2
    assert joined(graph, words, image, reliability=counted)[KNEE] == pytest.approx(0.7, abs=0.05)


def test_tags_that_repeat_one_fact_count_once(graph, header, seen):
    image = seen(CHEST, 0.7, (CHEST, HAND, KNEE))
    once, thrice = (joined(graph, header(*codes), image) for codes in ([HAND], [HAND] * 3))
    assert thrice == pytest.approx(once)
    # What contradicts it is another fact.
    twice = joined(graph, header(HAND, CHEST), image)
    assert twice[CHEST] / twice[HAND] == pytest.approx(0.7 / 0.15)


def test_a_doubtful_reading_says_less(graph, header, seen):
    image = seen(CHEST, 0.5, (CHEST, HAND, KNEE))
    sure, doubtful, nothing = (
        joined(graph, header(HAND, confidence=one), image)[HAND] for one in (1.0, 0.5, 0.0)
    )
    assert sure > doubtful > nothing
    assert nothing == pytest.approx(0.25)


def test_one_fact_moves_the_odds_no_further_than_the_cap(graph, header, seen):
    counted = HeaderReliability.learn(
        [Agreement(HAND, HAND, 10**6), Agreement(CHEST, CHEST, 10**6)], graph
    )
    image = seen(CHEST, 0.5, (CHEST, HAND))
    odds = [
        (found[HAND] / found[CHEST])
        for cap in (0.0, 1.0, 4.0)
        for found in [
            joined(graph, header(HAND), image, FusionSettings(cap=cap), reliability=counted)
        ]
    ]
    assert odds[0] == pytest.approx(1.0)
    assert odds[1] <= 2.7183**2
    assert odds[1] < odds[2] <= 2.7183**8


def test_what_a_site_counted_replaces_the_default(graph, header, seen):
    """Of headers that say hand, nine in ten show the chest: this site's default of a device."""
    rows = [Agreement(HAND, CHEST, 900), Agreement(HAND, HAND, 100), Agreement(CHEST, CHEST, 100)]
    counted = HeaderReliability.learn(rows, graph)
    image = seen(CHEST, 0.6, (CHEST, HAND), others={HAND: 1.0})
    believed = fuse(None, header(HAND), image, graph)
    knowing = fuse(None, header(HAND), image, graph, reliability=counted)
    assert believed.examined[0].site.code == HAND
    assert knowing.examined[0].site.code == CHEST


def test_few_counts_hardly_move_the_default(graph, header, seen):
    image = seen(CHEST, 0.5, (CHEST, HAND, KNEE))
    default = joined(graph, header(HAND), image)
    few = HeaderReliability.learn([Agreement(HAND, CHEST, 1)], graph)
    assert joined(graph, header(HAND), image, reliability=few)[HAND] == pytest.approx(
        default[HAND], abs=0.15
    )


def test_frequencies_of_the_site_replace_those_of_the_training(graph, seen):
    # Trained on as many chests as knees; here nearly all are chests.
    counted = HeaderReliability.learn(
        [Agreement(CHEST, CHEST, 9_900), Agreement(KNEE, KNEE, 100)], graph
    )
    image = seen(KNEE, 0.6, (KNEE, CHEST))
    assert joined(graph, HeaderReading(), image)[KNEE] == pytest.approx(0.6)
    assert joined(graph, HeaderReading(), image, reliability=counted)[KNEE] < 0.1


def test_verdicts_broader_than_the_classes_are_shared(graph, header, seen):
    counted = HeaderReliability.learn([Agreement(HAND, LOWER_LIMB, 1000)], graph)
    image = seen(KNEE, 1 / 3, (KNEE, FOOT, HAND))
    found = joined(graph, header(HAND), image, reliability=counted)
    assert found[KNEE] == pytest.approx(found[FOOT])


def test_a_class_that_training_never_saw_does_not_swallow_everything(graph, header, seen):
    counted = HeaderReliability.learn([Agreement(KNEE, KNEE, 1000)], graph)
    image = replace(seen(KNEE, 0.9, (KNEE, CHEST)), prior={KNEE: 1.0, CHEST: 0.0})
    assert joined(graph, header(KNEE), image, reliability=counted)[KNEE] > 0.9


def test_a_part_outside_the_classes_gains_from_an_unsure_image(graph, header, seen):
    found = [
        joined(graph, header(SKULL), seen(HAND, sure, (HAND, CHEST, KNEE)))[SKULL]
        for sure in (0.4, 0.9, 0.999)
    ]
    assert found[0] > found[1] > found[2]


def test_a_tag_of_several_sites_is_right_where_one_of_them_is(graph, header, seen, site):
    several = replace(header(HAND), sites=(site(HAND), site(KNEE)), statements=())
    found = joined(graph, several, seen(CHEST, 0.25, (CHEST, HAND, KNEE, FOOT)))
    assert found[HAND] == pytest.approx(found[KNEE])
    assert found[HAND] > found[CHEST]


@pytest.mark.parametrize(
    "settings",
    [
        FusionSettings(near_errors=1.0),
        FusionSettings(near_errors=0.0, header_error=0.999),
        FusionSettings(outside=0.0, cap=50.0, smoothing=0.01, header_error=0.001),
    ],
)
def test_extreme_settings_give_probabilities(graph, header, seen, settings):
    counted = HeaderReliability.learn([Agreement(HAND, CHEST, 10**9)], graph)
    for code in (HAND, SKULL, SPINE):
        for sure in (0.0, 0.5, 1.0):
            image = seen(CHEST, sure, (CHEST, HAND, KNEE))
            found = joined(graph, header(code), image, settings, counted)
            assert sum(found.values()) == pytest.approx(1.0)
            assert all(0.0 <= value <= 1.0 for value in found.values())
