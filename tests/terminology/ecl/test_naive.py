"""Constraints of every construct give what plain sets over the rows of the files give."""

import pytest

from terminology.ecl import evaluate, parse, render

from .generator import Generator, Vocabulary


def compare(tree, index, naive):
    text = render(tree)
    assert parse(text) == tree
    assert set(index.codes(evaluate(text, index))) == naive.evaluate(tree), text


@pytest.mark.parametrize("seed", range(20))
def test_on_a_release_of_our_own(index, naive, seed):
    generator = Generator(Vocabulary(naive), seed)
    for _ in range(40):
        compare(generator.constraint(), index, naive)


@pytest.mark.parametrize("seed", range(10))
def test_on_the_rf2_subset(subset, naive_subset, seed):
    generator = Generator(Vocabulary(naive_subset), 1000 + seed)
    for _ in range(30):
        compare(generator.constraint(), subset, naive_subset)
