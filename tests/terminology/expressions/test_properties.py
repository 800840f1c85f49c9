"""What holds for every expression, on random ones over a small release."""

import random
from itertools import product

import pytest

from terminology.expressions import (
    canonical,
    compare,
    equivalent_concept,
    normal_expression,
    normalise,
    parents,
    parse,
    render,
    subsumes,
    supertypes,
)

from .release import HAND_FRACTURE, INFLAMED_HAND, LEFT_HAND_FRACTURE, LIMB_FRACTURE, TWO_SITES

SITES = ("91723000", "53120007", "80768000", "85562004", "85151006", "78791008", "39607008")
SIDES = ("182353008", "7771000", "24028007")
MORPHOLOGIES = ("49755003", "72704001", "20946005", "23583003")
FINDINGS = ("64572001", LIMB_FRACTURE, HAND_FRACTURE, LEFT_HAND_FRACTURE, INFLAMED_HAND, TWO_SITES)


class Author:
    """Writes expressions about sites and findings."""

    def __init__(self, seed):
        self.chance = random.Random(seed)  # noqa: S311 - a test that repeats itself

    def site(self):
        site = self.chance.choice(SITES)
        if self.chance.random() < 0.5:
            return f"{site}:272741003={self.chance.choice(SIDES)}"
        return site

    def attribute(self):
        if self.chance.random() < 0.5:
            return f"116676008={self.chance.choice(MORPHOLOGIES)}"
        site = self.site()
        return f"363698007=({site})" if ":" in site else f"363698007={site}"

    def attributes(self):
        return ",".join(self.attribute() for _ in range(self.chance.randint(1, 3)))

    def finding(self):
        focus = "+".join(self.chance.sample(FINDINGS, 2 if self.chance.random() < 0.2 else 1))
        parts = [self.attributes()] if self.chance.random() < 0.4 else []
        parts += [f"{{{self.attributes()}}}" for _ in range(self.chance.randint(0, 2))]
        status = self.chance.choice(("", "", "===", "<<<"))
        return f"{status}{focus}:{','.join(parts)}" if parts else focus

    def expression(self):
        return self.site() if self.chance.random() < 0.3 else self.finding()


@pytest.fixture(scope="module", params=(1, 2, 3))
def texts(request):
    author = Author(request.param)
    return [author.expression() for _ in range(40)]


def test_supertypes_are_the_concepts_that_subsume(release, texts):
    for text in texts:
        every = {one for one in release.all if subsumes(release.code(one), text, release)}
        assert set(supertypes(text, release)) == every, text


def test_parents_and_equal_concept_follow_from_the_supertypes(release, texts):
    for text in texts:
        found = supertypes(text, release)
        equal = equivalent_concept(text, release)
        if equal is None:
            assert parents(text, release) == release.most_specific(found)
        else:
            assert compare(text, release.code(equal), release) == "equivalent"
            assert equal in found
            assert equal not in parents(text, release)


def test_the_normal_form_and_the_canonical_text_mean_the_same(release, texts):
    for text in texts:
        if text.startswith("<<<"):
            continue
        normal = normal_expression(normalise(text, release), release)
        assert compare(normal, text, release) == "equivalent", text
        assert normalise(render(normal), release) == normalise(text, release), text
        assert compare(canonical(parse(text)), text, release) == "equivalent", text


def test_subsumption_is_an_order(release, texts):
    below = {(a, b) for a, b in product(texts[:24], repeat=2) if subsumes(a, b, release)}
    assert {(one, one) for one in texts[:24]} <= below
    for (a, b), (c, d) in product(below, repeat=2):
        if b == c:
            assert (a, d) in below, (a, b, d)


def test_a_refinement_is_below_what_it_refines(release, texts):
    for text in texts:
        expression = parse(text)
        for focus in expression.focus:
            assert subsumes(focus.code, expression, release), text
