"""Expressions judged by expression constraints."""

import pytest

from terminology.ecl import satisfies
from terminology.expressions import candidate

LIVER_RIGHT = "10200004 |Liver structure| : 272741003 |Laterality| = 24028007 |Right|"
LIVER_DISEASE = "64572001 : 363698007 = 10200004"


# Most of them from the tests of HL7's FHIR Terminology Ecosystem IG 1.9.3 (CC0-1.0), over its RF2
# subset.
@pytest.mark.parametrize(
    ("text", "constraint", "expected"),
    [
        (LIVER_RIGHT, "<< 10200004", True),
        (LIVER_RIGHT, ">>! 10200004", False),
        ("11204002 : 272741003 = 24028007", "< 10200004", True),
        ("85562004 : 272741003 = 24028007", "< 10200004", False),
        (LIVER_DISEASE, "< 64572001 : 363698007 = << 10200004", True),
        ("64572001 : 363698007 = 85562004", "< 64572001 : 363698007 = << 10200004", False),
        (LIVER_DISEASE, "< 64572001 : 363698007 = *", True),
        ("64572001 : 116676008 = 20946005", "< 64572001 : 363698007 = *", False),
        (LIVER_DISEASE, "< 64572001 : [1..1] 363698007 = << 10200004", True),
        (
            "64572001 : { 363698007 = 10200004 }",
            "< 64572001 : [1..1] { [1..1] 363698007 = << 10200004 }",
            True,
        ),
        (
            "64572001 : { 363698007 = 10200004, 116676008 = 20946005 }",
            "< 64572001 : { 363698007 = << 10200004, 116676008 = 20946005 }",
            True,
        ),
        (
            "64572001 : { 363698007 = 10200004 }, { 116676008 = 20946005 }",
            "< 64572001 : { 363698007 = << 10200004, 116676008 = 20946005 }",
            False,
        ),
        (f"64572001 : 363698007 = ({LIVER_RIGHT})", "< 64572001 : 363698007 = < 10200004", True),
        (LIVER_DISEASE, "*", True),
        (LIVER_DISEASE, "* MINUS << 10200004", True),
        (LIVER_DISEASE, "10200004", False),
    ],
)
def test_a_constraint_takes_an_expression_or_not(subset, text, constraint, expected):
    assert satisfies(constraint, subset, candidate(text, subset)) is expected


def test_an_expression_that_equals_a_concept_is_judged_as_that_concept(release):
    left_hand = candidate("85562004:272741003=7771000", release)
    assert release.code(left_hand.equivalent) == "85151006"
    assert satisfies("85151006", release, left_hand)
    assert satisfies("<! 80768000", release, left_hand)
