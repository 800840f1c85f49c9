"""Damaged constraints: an error with a place, or the set that plain sets over the rows give."""

import random

import pytest

from terminology.ecl import evaluate, parse, render
from terminology.errors import EclError
from tests.terminology.fuzzing import damaged, no_hang, rounds

from .generator import Generator, Vocabulary
from .naive import Unanswered
from .test_parsing import BRIEF_FORMS, LONG_FORMS

SEEDS = 10

_PIECES = [
    "(", ")", "{", "}", "{{", "}}", "[", "]", "|", '"', "/*", "*/", "\\", "<", "<<", "<!", ">",
    "!!>", "^", "*", ":", ",", ".", "=", "!=", "#", "#5", "R", " ", "\n", "\0", "é", "\u2028",
    "85562004", "0", "AND ", "OR ", "MINUS ", "term", "dialect", "[0..1] ", "+HISTORY", "wild:",
    "true", "1", "-",
]  # fmt: skip


def answer(text, index):
    """Return the tree and the set, or the error that came first and the tree if there is one."""
    tree = None
    try:
        tree = parse(text)
        return tree, evaluate(text, index)
    except EclError as error:
        return tree, error


def check(text, index, naive):
    with no_hang(text):
        tree, found = answer(text, index)
    if isinstance(found, EclError):
        assert found.position is not None
        assert 0 <= found.position <= len(text)
    if tree is not None:
        assert parse(render(tree)) == tree
    if tree is None or isinstance(found, EclError):
        return False
    try:
        expected = naive.evaluate(tree)
    except Unanswered:
        return False
    assert set(index.codes(found)) == expected, text
    return True


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_damaged_constraint_is_refused_or_means_what_plain_sets_give(index, naive, seed):
    chance = random.Random(seed)  # noqa: S311 - the same for every run
    generator = Generator(Vocabulary(naive), 500 + seed)
    known = [text for text, _ in LONG_FORMS + BRIEF_FORMS]
    compared = 0
    for _ in range(rounds(600) // SEEDS):
        text = chance.choice((render(generator.constraint()), chance.choice(known)))
        compared += check(damaged(text, chance, _PIECES), index, naive)
    assert compared
