"""Damaged expressions: an error with a place, or a meaning, and in no time."""

import random

import pytest

from terminology.expressions import (
    ExpressionError,
    canonical,
    compare,
    is_valid,
    normal_expression,
    normalise,
    parse,
    render,
    supertypes,
    validate,
)
from tests.terminology.fuzzing import damaged, no_hang, rounds

from .oracle import is_expression
from .test_properties import Author

SEEDS = 6
_PIECES = [
    "(", ")", "{", "}", "|", "||", '"', "\\", "+", ":", ",", "=", "===", "<<<", "#", "#5", "#-0.50",
    " ", "\n", "\0", "é", "\u2028", "85562004", "0", "true", "272741003=7771000", "7771000",
    "85562004+", ":{272741003=24028007}", "=(85562004:272741003=7771000)", "|Hand|", '="a"',
]  # fmt: skip


def refused(call, text):
    """Return the error of a call, if it refuses `text`."""
    found = None
    try:
        call()
    except ExpressionError as error:
        found = error
    assert found is None or found.position is None or 0 <= found.position <= len(text)
    return found


def check(text, release):
    """Return whether the text was read."""
    with no_hang(text):
        error = refused(lambda: parse(text), text)
        if error is not None:
            assert error.position is not None
            assert not is_expression(text) or "at most" in str(error)
            return False
        assert is_expression(text)
        expression = parse(text)
        assert parse(render(expression)) == expression
        assert canonical(parse(canonical(expression))) == canonical(expression)
        findings = validate(expression, release)
        assert refused(lambda: normalise(expression, release), text) is None or not is_valid(
            findings
        )
        if is_valid(findings):
            found = supertypes(expression, release)
            assert all(release.ordinal(one.code) in found for one in expression.focus)
            if not text.lstrip().startswith("<<<"):
                normal = normal_expression(normalise(expression, release), release)
                assert compare(normal, expression, release) == "equivalent", text
    return True


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_damaged_expression_is_refused_or_means_something(release, seed):
    chance, author = random.Random(seed), Author(seed)  # noqa: S311 - the same for every run
    read = 0
    for _ in range(rounds(600) // SEEDS):
        read += check(damaged(author.expression(), chance, _PIECES), release)
    assert read


@pytest.mark.parametrize(
    "text",
    [
        "64572001:" + ",".join(["{363698007=85562004,116676008=72704001}"] * 100),
        "64572001:" + ",".join(f"363698007=(85562004:272741003={n})" for n in ["7771000"] * 80),
        "85562004:272741003=(" * 39 + "7771000" + ")" * 39,
        "+".join(["85562004", "85151006", "80768000", "53120007"] * 4) + ":272741003=7771000",
        "{" * 8000,
        "|" * 16_000,
        '85562004:272741003="' + "\\" * 16_000,
        "85562004" + " |a" * 5000,
    ],
    ids=lambda text: text[:24],
)
def test_the_largest_expressions_are_answered_or_refused_in_time(release, text):
    check(text, release)
