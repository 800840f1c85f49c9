"""Whole IRMA codes as a code system that follows a grammar, and their computed map."""

from __future__ import annotations

from typing import Any

import pytest

from api.concept_maps import CATEGORY, LATERALITY, VIEW
from tests.api.checks import checked
from tests.api.client import Client
from tests.api.tx.asking import SCT, UNIFESP, all_values, matches, request, value

WHOLE = "https://w3id.org/bodysite/CodeSystem/irma"
CODE = "1121-120-930-700"


def looked_up(client: Client, code: str, **more: str) -> dict[str, Any]:
    answer = client.get("/r4/CodeSystem/$lookup", params={"system": WHOLE, "code": code, **more})
    assert answer.status_code == 200, answer.text
    return checked(answer.json())


def translated(client: Client, code: str, **more: str) -> dict[str, Any]:
    asked = {"sourceSystem": WHOLE, "sourceCode": code, **more}
    answer = client.get("/r5/ConceptMap/$translate", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_lookup_takes_a_code_apart(client: Client) -> None:
    answer = looked_up(client, CODE)
    assert "lower leg" in value(answer, "display")
    assert value(answer, "version") == "2008"
    axes = {one["code"]: one["value"] for one in all_values(answer, "property")}
    assert axes["anatomical"]["system"] == f"{WHOLE}-anatomy"
    assert [axes[name]["code"] for name in ("technical", "directional", "anatomical")] == [
        "1121", "120", "930",
    ]  # fmt: skip
    # The list has no 700; 7 says the same.
    assert axes["biological"]["code"] == "7"


def test_parents_are_one_level_less_specific_on_one_axis(client: Client) -> None:
    found = {
        one["value"]
        for one in all_values(looked_up(client, CODE, property="parent"), "property")
        if one["code"] == "parent"
    }
    assert found == {"1120-120-930-700", "1121-100-930-700", "1121-120-900-700", "1121-120-930-000"}


@pytest.mark.parametrize(
    ("a", "b", "outcome"),
    [
        (CODE, "1121-12-93-7", "equivalent"),
        ("1121-120-900-700", CODE, "subsumes"),
        (CODE, "1121-120-900-700", "subsumed-by"),
        ("1121-120-900-700", "1121-110-930-700", "not-subsumed"),
    ],
)
def test_subsumption_looks_at_every_axis(client: Client, a: str, b: str, outcome: str) -> None:
    asked = {"system": WHOLE, "codeA": a, "codeB": b}
    answer = client.get("/r4/CodeSystem/$subsumes", params=asked).json()
    assert value(answer, "outcome") == outcome


WRONG = [
    ("1121-120-9z0-700", "anatomical axis, position 2"),
    ("1121-120-903-700", "stands below a 0"),
    ("1121-120-930", "3 axes"),
    ("hand", "4 characters and no hyphens"),
]


@pytest.mark.parametrize(("code", "reason"), WRONG)
def test_a_wrong_code_is_refused_with_axis_and_position(
    client: Client, code: str, reason: str
) -> None:
    refused = client.get("/r4/CodeSystem/$lookup", params={"system": WHOLE, "code": code})
    assert refused.status_code == 404
    assert reason in refused.text
    validated = client.get("/r4/CodeSystem/$validate-code", params={"url": WHOLE, "code": code})
    assert value(validated.json(), "result") is False
    assert reason in validated.text


@pytest.mark.parametrize(("code", "reason"), WRONG[:3])
def test_a_wrong_code_is_not_translated(client: Client, code: str, reason: str) -> None:
    answer = translated(client, code)
    assert value(answer, "result") is False
    assert reason in value(answer, "message")
    assert matches(answer) == []


def test_what_is_not_known_is_a_star(client: Client) -> None:
    found = looked_up(client, "1121-12*-93*-7**")
    assert "lower leg" in value(found, "display")
    assert "lower extremity" in value(looked_up(client, "1121-***-9**-***"), "display")


def test_codes_cannot_be_listed(client: Client) -> None:
    asked = {"url": "https://w3id.org/bodysite/ValueSet/irma"}
    expansion = client.get("/r4/ValueSet/$expand", params=asked).json()["expansion"]
    told = {one["url"].rpartition("/")[2]: one for one in expansion["extension"]}
    assert told["valueset-unclosed"]["valueBoolean"] is True
    include = {"system": WHOLE, "concept": [{"code": CODE}]}
    own = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [include]}}
    listed = client.post("/r4/ValueSet/$expand", json=request(valueSet=own)).json()["expansion"]
    assert [one["code"] for one in listed["contains"]] == [CODE]
    include = {
        "system": WHOLE,
        "filter": [{"property": "concept", "op": "is-a", "value": CODE}],
    }
    own = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [include]}}
    refused = client.post("/r4/ValueSet/$expand", json=request(valueSet=own))
    assert refused.status_code == 422
    assert "only those can be listed" in refused.text


def test_a_code_is_in_the_value_set_of_all_codes(client: Client) -> None:
    asked = {"url": "https://w3id.org/bodysite/ValueSet/irma", "system": WHOLE, "code": CODE}
    answer = client.get("/r4/ValueSet/$validate-code", params=asked).json()
    assert value(answer, "result") is True


def test_a_code_is_translated_by_all_its_axes_sites_first(client: Client) -> None:
    answer = translated(client, "1121-120-414-700")
    found = matches(answer)
    assert [one["concept"]["code"] for one in found[:2]] == ["85151006", "85562004"]
    # A whole code says more than any of its axes.
    assert {one["relationship"] for one in found[:2]} == {"source-is-narrower-than-target"}
    assert {one["originMap"].partition("|")[0].rpartition("/")[2] for one in found} == {"irma"}
    categories = [one.get("property", {}).get("value") for one in found]
    assert categories[:2] == [None, None]
    assert {"modality", "view", "plane", "body-system"} <= set(categories[2:])
    assert {one["property"]["uri"] for one in found[2:]} == {CATEGORY}


def test_side_and_view_are_products(client: Client) -> None:
    asked = {"sourceSystem": WHOLE, "sourceCode": "1121-120-414-700"}
    answer = client.get("/r5/ConceptMap/$translate", params=asked).json()
    first = next(one for one in answer["parameter"] if one["name"] == "match")
    products = [
        {part["name"]: next(v for k, v in part.items() if k != "name") for part in one["part"]}
        for one in first["part"]
        if one["name"] == "product"
    ]
    assert [(one["attribute"], one["value"]["code"]) for one in products] == [
        (LATERALITY, "7771000"),
        (VIEW, "399348003"),
    ]


def test_the_lists_of_2003_and_2008_differ(client: Client) -> None:
    old = matches(translated(client, "1121-120-463-700", version="2003"))
    new = matches(translated(client, "1121-120-463-700"))
    assert old[0]["concept"]["code"] == "85856004"
    assert new[0]["concept"]["code"] == "720593001"
    other = translated(client, "1121-120-463-700", version="1999")
    assert "expected '2003' or '2008'" in value(other, "message")


def test_a_whole_code_leads_through_snomed_to_other_labels(client: Client) -> None:
    answer = translated(client, "1121-120-414-700", targetSystem=UNIFESP)
    assert [one["concept"]["display"] for one in matches(answer)] == ["Hand"]
    only = translated(client, "1121-120-414-700", targetSystem=SCT)
    assert {one["concept"]["system"] for one in matches(only)} == {SCT}
