from dataclasses import dataclass

import pytest
from pyroaring import BitMap

from terminology.ecl import satisfies
from terminology.errors import EclError
from terminology.expressions import candidate
from terminology.release.values import ConcreteValue

from .release import LISTED, MORPHOLOGY, PLAIN, SITE, STRENGTH

LIVER = "10200004 |Liver structure|"
RIGHT_LIVER = f"{LIVER} : 272741003 |Laterality| = 24028007 |Right|"
RIGHT_HAND = "85562004 |Hand structure| : 272741003 |Laterality| = 24028007 |Right|"
LIVER_DISEASE = f"64572001 |Disease| : 363698007 |Finding site| = {LIVER}"


# Constraints, expressions and answers over the RF2 subset from the tests of HL7's FHIR Terminology
# Ecosystem IG 1.9.3 (CC0-1.0).
@pytest.mark.parametrize(
    ("constraint", "expression", "expected"),
    [
        ("<<! 10200004", RIGHT_LIVER, False),
        ("<< 10200004", RIGHT_LIVER, True),
        ("< 10200004", "11204002 : 272741003 |Laterality| = 24028007 |Right|", True),
        ("< 10200004", RIGHT_HAND, False),
        (">>! 10200004", RIGHT_LIVER, False),
        (">> 10200004", RIGHT_LIVER, False),
        ("10200004", RIGHT_LIVER, False),
        ("^ 900000000000526001", RIGHT_LIVER, False),
        ("< 64572001 : [1..1] 363698007 = << 10200004", LIVER_DISEASE, True),
        ("< 64572001 : [1..1] { [1..1] 363698007 = << 10200004 }",
         f"64572001 : {{ 363698007 = {LIVER} }}", True),
        ("< 64572001 : [1..1] { [1..1] 363698007 = << 10200004 }",
         "64572001 : { 363698007 = 85562004 }", False),
        ("< 64572001 : { 363698007 = << 10200004, 116676008 = 20946005 }",
         f"64572001 : {{ 363698007 = {LIVER}, 116676008 = 20946005 }}", True),
        ("< 64572001 : { 363698007 = << 10200004, 116676008 = 20946005 }", LIVER_DISEASE, False),
        ("< 64572001 : 116676008 = 20946005", LIVER_DISEASE, False),
        ("< 64572001 : 363698007 = << 10200004", LIVER_DISEASE, True),
        ("< 64572001 : 363698007 = << 10200004", "64572001 : 363698007 = 85562004", False),
        ("< 64572001 : 363698007 = *", LIVER_DISEASE, True),
        ("< 64572001 : 363698007 = *", "64572001 : 116676008 = 20946005", False),
        ("*", LIVER_DISEASE, True),
        ("* MINUS << 10200004", LIVER_DISEASE, True),
        ("* MINUS << 10200004", RIGHT_LIVER, False),
    ],
)  # fmt: skip
def test_expressions_over_the_rf2_subset(subset, constraint, expression, expected):
    assert satisfies(constraint, subset, candidate(expression, subset)) is expected


@dataclass
class Fake:
    """An expression by what is said of it."""

    above: list[int]
    grouped: tuple = ()
    loose: tuple = ()
    equivalent: int | None = None

    def supertypes(self):
        return BitMap(self.above)

    def ungrouped(self):
        return self.loose

    def groups(self):
        return self.grouped


@pytest.fixture(scope="module")
def expression(index):
    """Below the first concept; a group with a site and a nested morphology, a strength outside."""
    site, morphology, strength = map(index.ordinal, (SITE, MORPHOLOGY, STRENGTH))
    first, second = index.ordinal(PLAIN[0]), index.ordinal(PLAIN[1])
    return Fake(
        [first],
        grouped=(((site, second), (morphology, Fake([second]))), ((site, first),)),
        loose=((strength, ConcreteValue("decimal", "2.5")),),
    )


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        (f"< {PLAIN[0]}", True),
        (f"<< {PLAIN[0]}", True),
        (f"<< (* MINUS {PLAIN[1]})", True),
        (f"< {PLAIN[1]}", False),
        (f"{PLAIN[0]}", False),
        (f"!!> (<< {PLAIN[0]})", False),
        (f"!!> (< {PLAIN[0]})", True),
        (f"!!< (<< {PLAIN[0]})", True),
        (f"<< {PLAIN[0]} OR {PLAIN[1]}", True),
        (f"<< {PLAIN[0]} AND {PLAIN[1]}", False),
        (f"< {PLAIN[0]} {{{{ + HISTORY }}}}", True),
        ('* {{ term = "heart" }}', False),
        ('* {{ term != "heart" }}', False),
        ("* {{ C active = 1 }}", False),
        (f"* . {SITE}", False),
        (f"* : {SITE} = {PLAIN[1]}", True),
        (f"* : [2..2] {SITE} = *", True),
        (f"* : [1..1] {{ {SITE} = * }}", False),
        (f"* : [2..2] {{ {SITE} = * }}", True),
        (f"* : {{ {SITE} = {PLAIN[1]}, {MORPHOLOGY} = * }}", True),
        (f"* : {{ {SITE} = {PLAIN[0]}, {MORPHOLOGY} = * }}", False),
        (f"* : {{ {SITE} = {PLAIN[0]} OR {MORPHOLOGY} = * }}", True),
        (f"* : {{ {SITE} = {PLAIN[0]} }}, {{ [0..0] {MORPHOLOGY} = * }}", True),
        (f"* : {MORPHOLOGY} = < {PLAIN[1]}", True),
        (f"* : {MORPHOLOGY} = {PLAIN[1]}", False),
        (f"* : {MORPHOLOGY} != {PLAIN[1]}", True),
        (f"* : {STRENGTH} > #2.4", True),
        (f"* : {STRENGTH} = #2.50", True),
        (f"* : {STRENGTH} = #3", False),
        (f"* : {STRENGTH} = *", True),
        (f"* : {STRENGTH} = {PLAIN[1]}", False),
        (f"* : {STRENGTH} != {PLAIN[1]}", False),
        (f"* : {STRENGTH} != *", False),
        (f"* : {SITE} = #1", False),
        (f"* : {{ {STRENGTH} = #2.5 }}", False),
        (f"* : [0..0] {LISTED} = true", True),
        (f"* : R {SITE} = *", False),
        (f"* : [0..0] R {SITE} = *", True),
    ],
)
def test_an_expression_is_judged_by_its_supertypes_and_attributes(
    index, expression, constraint, expected
):
    assert satisfies(constraint, index, expression) is expected


def test_an_expression_that_means_a_concept_is_that_concept(index):
    first = index.ordinal(PLAIN[0])
    same = Fake([first], equivalent=first)
    assert satisfies(PLAIN[0], index, same)
    assert satisfies(f">> {PLAIN[0]}", index, same)
    assert not satisfies(f"< {PLAIN[0]}", index, same)


def test_a_constraint_that_names_what_is_not_there_is_an_error(index, expression):
    with pytest.raises(EclError, match="unknown concept"):
        satisfies("* OR 64033007", index, expression)
