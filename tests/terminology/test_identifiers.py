import pytest

from terminology.errors import IdentifierError
from terminology.identifiers import (
    check_sctid,
    cui_problem,
    irma_problem,
    sctid_problem,
)


@pytest.mark.parametrize(
    "code",
    ["85562004", "7569003", "123037004", "816094009", "1217257000", "138875005", "31000003106"],
)
def test_concept_identifiers_are_accepted(code):
    assert sctid_problem(code) is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("85562005", "check digit"),
        ("8556200", "check digit"),  # printed so in a paper: the last digit was lost
        ("20020131", "check digit"),  # a date taken for a code
        ("58562004", "check digit"),  # two digits swapped
        ("12345", "5 digits"),
        ("1234567890123456789", "19 digits"),
        ("085562004", "begins with 0"),
        ("85562 004", "characters"),
        ("٨٥٥٦٢٠٠٤", "characters"),
        ("", "characters"),
        ("2913224013", "partition 01"),  # a description identifier
    ],
)
def test_what_is_no_concept_identifier_is_refused_with_the_reason(code, reason):
    problem = sctid_problem(code)
    assert problem is not None
    assert reason in problem


def test_check_sctid_names_place_value_and_remedy():
    with pytest.raises(IdentifierError) as caught:
        check_sctid("85562005", where="Observation.bodySite")
    assert caught.value.where == "Observation.bodySite"
    assert "'85562005' fails the SNOMED CT check digit" in str(caught.value)
    assert "85562004" in caught.value.expected


@pytest.mark.parametrize(
    ("code", "good"),
    [("C0024109", True), ("c0024109", False), ("C002410", False), ("C00241090", False)],
)
def test_cui_pattern(code, good):
    assert (cui_problem(code) is None) is good


@pytest.mark.parametrize(
    ("code", "width", "good"),
    [
        ("4", 3, True),
        ("21a", 3, True),
        ("4150", 3, False),
        ("1121", 4, True),
        ("", 3, False),
        ("4A", 3, False),
    ],
)
def test_irma_pattern(code, width, good):
    assert (irma_problem(code, width) is None) is good
