import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terminology.expressions import ExpressionError, canonical, describe, parse, render
from terminology.expressions.syntax import (
    Attribute,
    AttributeGroup,
    BooleanValue,
    ConceptReference,
    DefinitionStatus,
    Expression,
    NumericValue,
    StringValue,
)

from .oracle import is_expression

_printable = st.sampled_from('aZ09é漢\U0001f600\xa0\x85{}~!,:=()#"\\')
_terms = st.lists(st.text(_printable, min_size=1, max_size=5), min_size=1, max_size=3).map(" ".join)
_concepts = st.builds(
    ConceptReference,
    st.integers(100_000, 10**18 - 1).map(str),
    st.none() | _terms,
)
_numbers = st.builds(
    lambda sign, whole, fraction: NumericValue(f"{sign}{whole}{fraction}"),
    st.sampled_from(["", "+", "-"]),
    st.integers(0, 10**6),
    st.just("") | st.from_regex(r"\.[0-9]{1,3}", fullmatch=True),
)
_strings = st.text('aé漢 |{}"\\\t\n', min_size=1).map(StringValue)
_leaves = _concepts | _numbers | _strings | st.booleans().map(BooleanValue)


def _expressions(values):
    attributes = st.lists(st.builds(Attribute, _concepts, values), max_size=3).map(tuple)
    groups = attributes.filter(bool).map(AttributeGroup)
    return st.builds(
        Expression,
        st.lists(_concepts, min_size=1, max_size=3).map(tuple),
        attributes,
        st.lists(groups, max_size=2).map(tuple),
    )


_nested = st.recursive(_leaves, _expressions, max_leaves=4)
expressions = st.builds(
    lambda one, status: Expression(one.focus, one.ungrouped, one.groups, status),
    _expressions(_nested),
    st.none() | st.sampled_from(DefinitionStatus),
)


@settings(max_examples=60, deadline=None)
@given(expressions)
def test_what_is_rendered_is_read_back_the_same(expression):
    assert parse(render(expression)) == expression
    bare = parse(render(expression, terms=False))
    assert render(bare) == render(expression, terms=False)
    assert "|" not in render(bare) or '"' in render(bare)


@settings(max_examples=60, deadline=None)
@given(expressions, st.randoms(use_true_random=False))
def test_the_canonical_text_does_not_depend_on_order_and_repetition(expression, randoms):
    def shuffled(parts):
        return tuple(randoms.sample([*parts, *parts], len(parts) * 2))

    other = Expression(
        shuffled(expression.focus),
        shuffled(expression.ungrouped),
        shuffled([AttributeGroup(shuffled(group.attributes)) for group in expression.groups]),
        expression.status,
    )
    assert canonical(other) == canonical(expression)
    assert canonical(parse(canonical(expression))) == canonical(expression)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("=== 85562004 |Hand|", "85562004"),
        ("<<< 85562004 |Hand|", "<<<85562004"),
        ("85562004 + 7771000", "7771000+85562004"),
        (
            "64572001:363698007=(39607008+39607008),363698007=39607008",
            "64572001:363698007=39607008",
        ),
        (
            "85562004 : 363698007 = 39607008, 272741003 = 7771000",
            "85562004:272741003=7771000,363698007=39607008",
        ),
        (
            "64572001:{363698007=39607008,116676008=72704001}{116676008=23583003}",
            "64572001:{116676008=23583003},{116676008=72704001,363698007=39607008}",
        ),
        ("64572001:363698007=(39607008)", "64572001:363698007=39607008"),
        ("64572001:363698007=#+5,363698007=#-0.0", "64572001:363698007=#5,363698007=#0.0"),
        ("64572001:363698007=TRUE", "64572001:363698007=true"),
    ],
)
def test_canonical_text(text, expected):
    assert canonical(parse(text)) == expected


def test_a_term_that_the_grammar_cannot_hold_is_left_out():
    expression = parse("85562004:272741003=7771000")
    odd = {"85562004": "a|b", "272741003": "", "7771000": " Left"}
    assert render(expression, odd.get) == "85562004:272741003=7771000"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("85562004", "Hand"),
        ("85562004 |Pied|:272741003=7771000", "85562004|Hand|:272741003|Laterality|=7771000|Left|"),
        (
            "85562004 : { 272741003 = 7771000 }",
            "85562004|Hand|:{272741003|Laterality|=7771000|Left|}",
        ),
        ("85562004 : 272741003 = 240280071", "85562004|Hand|:272741003|Laterality|=240280071"),
        ("240280071", "240280071"),
    ],
)
def test_the_display_has_the_terms_of_the_release(release, text, expected):
    assert describe(parse(text), release) == expected


SEEDS = (
    "=== 85562004 |Hand structure| : 272741003 |Laterality| = 7771000 |Left|",
    "71388002:{260686004=129304002,405813007=(31435000+85562004:272741003=7771000)}",
    '322236009 |A "term"|:{1142135004=#-5.25},{732943007="a \\"b\\" \\\\",363698007=true}',
    "<<<64572001+404684003:363698007=10200004{116676008=72704001}{116676008=23583003}",
)
_PIECES = (
    *"0123456789:=+,{}()|#\"\\.-<> \t\n é\x00\ud800",
    "272741003", "=7771000", "|x|", "===", "<<<", "true", "#1.5", '"x"', "(85562004)", "{", "}",
)  # fmt: skip


def mutants(seed, count):
    """Yield broken and less broken variants of valid expressions."""
    chance = random.Random(seed)  # noqa: S311 - a test that repeats itself
    codes = sorted({code for text in SEEDS for code in re.findall(r"\d{6,}", text)})
    for _ in range(count):
        text = chance.choice(SEEDS)
        for _ in range(chance.randint(1, 4)):
            place, end = sorted(chance.sample(range(len(text) + 1), 2)) if text else (0, 0)
            match chance.randrange(7):
                case 0:
                    text = text[:place] + chance.choice(_PIECES) + text[place:]
                case 1:
                    text = text[:place] + text[place + 1 :]
                case 2:
                    text = text[:place] + text[end:]
                case 3:
                    text = text[:end] + text[place:end] + text[end:]
                case _:
                    text = text.replace(chance.choice(codes), chance.choice(codes), 1)
        yield text


def _parsed(text):
    try:
        return parse(text), None
    except ExpressionError as error:
        return None, error.position


def test_a_mutant_is_refused_with_a_position_or_is_read_back_the_same():
    accepted = 0
    for text in mutants(seed=3, count=500):
        expression, position = _parsed(text)
        assert (expression is not None) == is_expression(text), text
        if expression is None:
            assert position is not None
            assert 0 <= position <= len(text)
        else:
            accepted += 1
            assert parse(render(expression)) == expression
    assert 0 < accepted < 500
