import pytest

from terminology.errors import BodySiteError
from terminology.expressions import ExpressionError, parse
from terminology.expressions.parsing import MAX_DEPTH, MAX_LENGTH, MAX_PARTS
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

HAND = ConceptReference("85562004")
LATERALITY = ConceptReference("272741003")
LEFT = ConceptReference("7771000")
SIDE = Attribute(LATERALITY, LEFT)


def concept(code, term=None):
    return ConceptReference(code, term)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("85562004", Expression((HAND,))),
        (" \t\r\n85562004\n", Expression((HAND,))),
        ("85562004|Hand|", Expression((concept("85562004", "Hand"),))),
        ("85562004 |\t Left  hand, é \n|", Expression((concept("85562004", "Left  hand, é"),))),
        ("=== 85562004", Expression((HAND,), status=DefinitionStatus.EQUIVALENT_TO)),
        ("<<<85562004", Expression((HAND,), status=DefinitionStatus.SUBTYPE_OF)),
        ("85562004 + 39607008", Expression((HAND, concept("39607008")))),
        ("85562004:272741003=7771000", Expression((HAND,), (SIDE,))),
        ("85562004 : { 272741003 = 7771000 }", Expression((HAND,), (), (AttributeGroup((SIDE,)),))),
        ("85562004:272741003=7771000,272741003=7771000", Expression((HAND,), (SIDE, SIDE))),
        (
            "85562004:{272741003=7771000,272741003=7771000}",
            Expression((HAND,), (), (AttributeGroup((SIDE, SIDE)),)),
        ),
        (
            "85562004:{272741003=7771000}{272741003=7771000},{272741003=7771000}",
            Expression((HAND,), (), (AttributeGroup((SIDE,)),) * 3),
        ),
        (
            "85562004:272741003=7771000{272741003=7771000}",
            Expression((HAND,), (SIDE,), (AttributeGroup((SIDE,)),)),
        ),
        (
            "85562004:272741003=7771000 , {272741003=7771000}",
            Expression((HAND,), (SIDE,), (AttributeGroup((SIDE,)),)),
        ),
        (
            "85562004:272741003=(85562004:272741003=7771000)",
            Expression((HAND,), (Attribute(LATERALITY, Expression((HAND,), (SIDE,))),)),
        ),
    ],
)  # fmt: skip
def test_what_the_grammar_allows(text, expected):
    assert parse(text) == expected
    assert is_expression(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7771000", LEFT),
        ("( 7771000 )", Expression((LEFT,))),
        ("#0", NumericValue("0")),
        ("#-0.50", NumericValue("-0.50")),
        ("#+12", NumericValue("+12")),
        ('"a \\"b\\" \\\\ |{"', StringValue('a "b" \\ |{')),
        ('"a\n\tb"', StringValue("a\n\tb")),
        ("True", BooleanValue(True)),
        ("FALSE", BooleanValue(False)),
    ],
)
def test_values(text, expected):
    (attribute,) = parse(f"85562004:272741003 = {text}").ungrouped
    assert attribute.value == expected


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 0, "the expression ends"),
        ("   ", 3, "the expression ends"),
        ("hand", 0, "'h' does not belong there"),
        ("12345", 0, "has 5 digits"),
        ("1234567890123456789", 0, "has 19 digits"),
        ("085562004", 0, "begins with 0"),
        ("85562004 39607008", 9, "'39607008' does not belong there"),
        ("85562004+", 9, "expected a concept identifier"),
        ("85562004:", 9, "expected '{' or a concept identifier"),
        ("85562004:{}", 10, "'}' does not belong there"),
        ("85562004:{272741003=7771000", 27, "expected ',', '}' or a term"),
        ("85562004:272741003", 18, "expected '=' or a term"),
        ("85562004:272741003=", 19, "the expression ends"),
        ("85562004:272741003=7771000,", 27, "expected '{' or a concept identifier"),
        ("85562004:272741003=7771000 272741003=7771000", 27, "does not belong there"),
        ("85562004:{272741003=7771000}272741003=7771000", 28, "does not belong there"),
        ("85562004:{{272741003=7771000}}", 10, "'{' does not belong there"),
        ("(85562004)", 0, r"'\(' does not belong there"),
        ("85562004:272741003=(7771000", 27, r"expected '\)'"),
        ("85562004:272741003=(===7771000)", 20, "'===' does not belong there"),
        ("== 85562004", 0, "'=' does not belong there"),
        ("<< 85562004", 0, "'<' does not belong there"),
        ("85562004 /* the hand */", 9, "'/' does not belong there"),
        ("85562004 ||", 9, "an empty term"),
        ("85562004 |  |", 9, "an empty term"),
        ("85562004 |Hand", 9, "a term without its closing"),
        ("85562004 |Left\thand|", 14, r"'\\t' inside a term"),
        ("85562004 |Left\nhand|", 14, r"'\\n' inside a term"),
        ("85562004 |Hand\x7f|", 14, r"'\\x7f' inside a term"),
        ("85562004 |Hand\ud800|", 14, "inside a term"),
        ("85562004 |Hand|structure|", 15, "does not belong there"),
        ("85562004:272741003=#", 19, "'#' does not belong there"),
        ("85562004:272741003=# 5", 19, "'#' does not belong there"),
        ("85562004:272741003=#05", 21, "'5' does not belong there"),
        ("85562004:272741003=#5.", 21, "'.' does not belong there"),
        ("85562004:272741003=#.5", 19, "'#' does not belong there"),
        ("85562004:272741003=5", 19, "has 1 digits"),
        ('85562004:272741003=""', 19, "a text that is empty"),
        ('85562004:272741003="a', 19, "not closed"),
        (r'85562004:272741003="a\n"', 19, "wrongly escaped"),
        ("85562004:272741003=yes", 19, "'y' does not belong there"),
        ("85562004:272741003=#1:272741003=#2", 21, "':' does not belong there"),
        ("85562004\u00a0", 8, "does not belong there"),
        ("８5562004", 0, "does not belong there"),
    ],
)
def test_what_it_does_not_allow_is_refused_with_the_position(text, position, message):
    with pytest.raises(ExpressionError, match=message) as caught:
        parse(text)
    assert caught.value.position == position
    assert caught.value.expression == text
    assert isinstance(caught.value, BodySiteError)
    assert not is_expression(text)


def test_each_part_knows_where_it_stands():
    expression = parse(" 85562004 : { 272741003 = (7771000 + 24028007) , 272741003 = #5 }")
    first, second = (attribute for _, attribute in expression.attributes())
    assert expression.position == 1
    assert (first.name.position, first.value.position) == (14, 27)
    assert [one.position for one in first.value.focus] == [27, 37]
    assert (second.name.position, second.value.position) == (49, 61)


def test_nesting_has_a_limit():
    def nested(depth):
        return "85562004:272741003=(" * (depth - 1) + "7771000" + ")" * (depth - 1)

    assert parse(nested(MAX_DEPTH))
    with pytest.raises(ExpressionError, match="nested in each other"):
        parse(nested(MAX_DEPTH + 1))
    with pytest.raises(ExpressionError, match="nested in each other"):
        parse(nested(700))


@pytest.mark.parametrize(
    "text",
    [
        "85562004" + " " * MAX_LENGTH,
        "85562004 |" + "a " * MAX_LENGTH,
        "85562004:272741003=(" * 10_000,
        "(" * 100_000,
    ],
)
def test_length_has_a_limit(text):
    with pytest.raises(ExpressionError, match="characters at most") as caught:
        parse(text)
    assert len(str(caught.value)) < 400


def test_the_number_of_parts_has_a_limit():
    most = "85562004:" + ",".join(["272741003=7771000"] * (MAX_PARTS - 1))
    assert len(parse(most).ungrouped) == MAX_PARTS - 1
    for text in (
        most + ",272741003=7771000",
        "+".join(["85562004"] * (MAX_PARTS + 1)),
        f"85562004:272741003=({most})",
    ):
        with pytest.raises(ExpressionError, match="focus concepts and attributes"):
            parse(text)
