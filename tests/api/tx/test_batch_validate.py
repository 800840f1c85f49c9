"""$batch-validate-code."""

from __future__ import annotations

from typing import Any

from api.tx.batch_validate import batch_validate
from tests.api.tx.sites import SITES, VALUE_SET, context, request


def answers(*entries: dict[str, Any], **common: Any) -> list[dict[str, Any]]:
    """Return the resource that answers each entry."""
    asked = request(validation=list(entries), **common)
    found = batch_validate(asked, context(asked))
    return [entry["resource"] for entry in found["parameter"]]


def results(resources: list[dict[str, Any]]) -> list[Any]:
    """Return `result` of each answer, the type of the resource where it has none."""
    return [
        next((p["valueBoolean"] for p in r.get("parameter", ()) if p["name"] == "result"), None)
        if r["resourceType"] == "Parameters"
        else r["resourceType"]
        for r in resources
    ]


def test_each_validation_is_answered_in_order_and_alone() -> None:
    found = answers(
        request(coding={"system": SITES, "code": "arm"}),
        request(nothing="to validate"),
        request(coding={"system": SITES, "code": "heart"}),
        url=f"{VALUE_SET}paired",
    )
    assert results(found) == [True, "OperationOutcome", False]


def test_what_an_entry_says_goes_before_what_is_common() -> None:
    wrong = {"system": SITES, "code": "arm", "display": "Leg"}
    found = answers(
        request(coding=wrong),
        request(coding=wrong, lenient_display_validation=False),
        request(coding={**wrong, "code": "heart"}, url=f"{VALUE_SET}trunk"),
        url=f"{VALUE_SET}paired",
        lenient_display_validation=True,
    )
    assert results(found) == [True, False, True]


def test_without_a_value_set_codes_are_validated_in_their_code_system() -> None:
    found = answers(
        request(coding={"system": SITES, "code": "arm"}), request(code="ear", url=SITES)
    )
    assert results(found) == [True, False]
