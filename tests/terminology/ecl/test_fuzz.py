"""Damaged constraints: an error with a place, or a set; and nothing is read as something else."""

import random

import pytest

from terminology.ecl import evaluate, parse, render
from terminology.errors import EclError

from .generator import Generator, Vocabulary
from .test_parsing import BRIEF_FORMS, LONG_FORMS

_PIECES = [
    "(", ")", "{", "}", "{{", "}}", "[", "]", "|", '"', "/*", "*/", "\\", "<", "<<", "<!", ">",
    "!!>", "^", "*", ":", ",", ".", "=", "!=", "#", "#5", "R", " ", "\n", "\0", "é", "\u2028",
    "85562004", "0", "AND ", "OR ", "MINUS ", "term", "dialect", "[0..1] ", "+HISTORY", "wild:",
    "true", "1", "-",
]  # fmt: skip


def mutated(text, chance):
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at = chance.randrange(len(text) + 1)
        to = min(len(text), at + chance.choice((0, 1, 1, 2, 5, 20)))
        kind = chance.randrange(5)
        if kind == 0:
            text = text[:at] + text[to:]
        elif kind == 1:
            text = text[:at] + chance.choice(_PIECES) + text[at:]
        elif kind == 2:
            text = text[:at] + chance.choice(_PIECES) + text[to:]
        elif kind == 3:
            text = text[:to] + text[at:to] * chance.choice((1, 3)) + text[to:]
        else:
            text = text[:at] + text[at:to].swapcase() + text[to:]
    return text


def answer(text, index):
    """Return the tree and the set, or the error that came first and the tree if there is one."""
    tree = None
    try:
        tree = parse(text)
        return tree, evaluate(text, index)
    except EclError as error:
        return tree, error


def check(text, index):
    tree, found = answer(text, index)
    if isinstance(found, EclError):
        assert found.position is not None
        assert 0 <= found.position <= len(text)
    if tree is not None:
        assert parse(render(tree)) == tree
    return tree, found


@pytest.mark.parametrize("seed", range(10))
def test_a_damaged_constraint_is_refused_or_means_what_it_renders_as(index, naive, seed):
    chance = random.Random(seed)  # noqa: S311 - the same for every run
    generator = Generator(Vocabulary(naive), 500 + seed)
    known = [text for text, _ in LONG_FORMS + BRIEF_FORMS]
    for _ in range(60):
        text = chance.choice((render(generator.constraint()), chance.choice(known)))
        check(mutated(text, chance), index)
