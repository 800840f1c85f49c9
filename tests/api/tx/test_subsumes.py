"""CodeSystem/$subsumes over SNOMED CT and over CodeSystem resources."""

from typing import Any

import pytest

from api.errors import RequestError
from api.tx.context import StaticRegistry, TxContext
from api.tx.errors import TxError
from api.tx.subsumes import subsumes
from terminology.concept import SNOMED
from terminology.errors import IdentifierError
from tests.api.tx.small_release import VERSION, small_provider

ANIMALS = {
    "resourceType": "CodeSystem",
    "url": "http://example.org/animals",
    "status": "active",
    "content": "complete",
    "caseSensitive": False,
    "concept": [
        {"code": "cat", "concept": [{"code": "lion"}, {"code": "tiger"}]},
        {"code": "dog"},
    ],
}
LEFT_HAND = "85562004 |Hand| : 272741003 |Laterality| = 7771000 |Left|"


def answer(*entries: tuple[str, Any]) -> dict[str, Any]:
    request = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": name, "valueCoding" if isinstance(value, dict) else "valueString": value}
            for name, value in entries
        ],
    }
    registry = StaticRegistry(providers=[small_provider()], resources=[ANIMALS])
    return subsumes(request, TxContext.of(registry, request))


def outcome(a: str, b: str, system: str = SNOMED) -> str:
    (by_code,) = answer(("system", system), ("codeA", a), ("codeB", b))["parameter"]
    (by_coding,) = answer(
        ("codingA", {"system": system, "code": a}), ("codingB", {"system": system, "code": b})
    )["parameter"]
    assert by_code == by_coding
    assert by_code["name"] == "outcome"
    found: str = by_code["valueCode"]
    return found


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("53120007", "7569003", "subsumes"),
        ("7569003", "53120007", "subsumed-by"),
        ("85562004", "85562004", "equivalent"),
        ("85562004", "10200004", "not-subsumed"),
        ("51185008", "816094009", "not-subsumed"),
        ("53120007", LEFT_HAND, "subsumes"),
        (LEFT_HAND, "85562004", "subsumed-by"),
        (LEFT_HAND, "85151006", "equivalent"),
        (LEFT_HAND, "85562004:272741003=7771000", "equivalent"),
        (LEFT_HAND, "10200004", "not-subsumed"),
        ("64572001:363698007=10200004", "40468003", "subsumes"),
    ],
)
def test_the_four_outcomes_for_codes_and_expressions(a: str, b: str, expected: str) -> None:
    assert outcome(a, b) == expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("cat", "lion", "subsumes"),
        ("tiger", "cat", "subsumed-by"),
        ("dog", "DOG", "equivalent"),
        ("lion", "tiger", "not-subsumed"),
    ],
)
def test_code_systems_of_resources(a: str, b: str, expected: str) -> None:
    assert outcome(a, b, "http://example.org/animals") == expected


@pytest.mark.parametrize(
    ("entries", "status"),
    [
        ((("codeA", "85562004"), ("codeB", "10200004")), 400),
        ((("system", SNOMED), ("codeA", "85562004")), 400),
        ((("system", SNOMED), ("codeB", "85562004")), 400),
        ((("codingA", {"code": "85562004"}), ("codingB", {"code": "10200004"})), 400),
        ((("codingA", {"system": SNOMED}), ("codingB", {"system": SNOMED})), 400),
        (
            (
                ("codingA", {"system": SNOMED, "code": "85562004"}),
                ("codingB", {"system": "http://example.org/animals", "code": "cat"}),
            ),
            400,
        ),
        (
            (
                ("codingA", {"system": SNOMED, "code": "85562004", "version": VERSION}),
                ("codingB", {"system": SNOMED, "code": "85562004", "version": "other"}),
            ),
            400,
        ),
        ((("system", SNOMED), ("codeA", "74670003"), ("codeB", "10200004")), 404),
        ((("system", SNOMED), ("codeA", "10200004"), ("codeB", "74670003")), 404),
        ((("system", "http://example.org/none"), ("codeA", "1"), ("codeB", "2")), 404),
        (
            (
                ("system", SNOMED),
                ("version", "none"),
                ("codeA", "10200004"),
                ("codeB", "10200004"),
            ),
            404,
        ),
    ],
)
def test_what_cannot_be_compared(entries: tuple[tuple[str, Any], ...], status: int) -> None:
    with pytest.raises(RequestError) as caught:
        answer(*entries)
    assert caught.value.status == status


def test_a_missing_system_has_its_message() -> None:
    with pytest.raises(TxError) as caught:
        answer(("codeA", "85562004"), ("codeB", "10200004"))
    issue = caught.value.issues[0]
    assert (issue.code, issue.kind, issue.message_id) == (
        "invalid",
        "invalid-data",
        "SUBSUMPTION_NO_SYSTEM",
    )


def test_a_number_that_is_no_sctid_is_told_so() -> None:
    with pytest.raises(IdentifierError, match="codeB"):
        outcome("85562004", "85562005")
