"""Conditional create and update, and searches for coded values and canonicals."""

from __future__ import annotations

from typing import Any

import pytest

from api.tx.crud import Editor
from tests.api.client import Client
from tests.api.tx.asking import SCT

URL = "http://hospital.example/ValueSet/feet"
STATUS = "http://hl7.org/fhir/publication-status"


def value_set(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "ValueSet",
        "url": URL,
        "version": "1",
        "name": "Feet",
        "status": "active",
        "compose": {"include": [{"system": SCT, "concept": [{"code": "56459004"}]}]},
        **more,
    }


def update(client: Client, resource: dict[str, Any], url: str = URL) -> Any:
    return client.request("PUT", f"/r4/ValueSet?url={url}", json=resource)


# FHIR R4, http.html#cond-update; R5 adds the conflict.
def test_a_conditional_update_without_a_match_stores_under_the_id_of_the_resource(
    site: Client,
) -> None:
    made = update(site, value_set(id="mine"))
    assert (made.status_code, made.json()["id"]) == (201, "mine")


@pytest.mark.parametrize(
    ("resource_id", "status"), [("mine", 200), (None, 200), ("other", 400), (7, 400)]
)
def test_the_id_of_a_conditional_update_must_be_that_of_the_match(
    site: Client, resource_id: Any, status: int
) -> None:
    update(site, value_set(id="mine"))
    more = {} if resource_id is None else {"id": resource_id}
    found = update(site, value_set(title="Both feet", **more))
    assert found.status_code == status
    kept = site.get("/r4/ValueSet/mine").json()
    assert ("title" in kept) is (status == 200)
    assert site.get("/r4/ValueSet/other").status_code == 404


def test_a_conditional_update_leaves_what_has_its_id_and_does_not_match(site: Client) -> None:
    update(site, value_set(id="mine"))
    refused = update(site, value_set(id="mine", title="x"), f"{URL}-2")
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (409, "conflict")
    assert "title" not in site.get("/r4/ValueSet/mine").json()


def test_a_conditional_create_looks_again_where_nobody_else_writes(
    site: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    matching = Editor._matching

    def late(self: Editor, kind: str, pairs: Any) -> Any:
        looks.append(len(looks))
        # Another client is as fast: the first look finds nothing.
        return [] if len(looks) == 1 else matching(self, kind, pairs)

    unnamed = {key: value for key, value in value_set().items() if key != "url"}
    first = site.post("/r4/ValueSet", json=unnamed)
    monkeypatch.setattr(Editor, "_matching", late)
    again = site.post("/r4/ValueSet", json=unnamed, headers={"If-None-Exist": "name=Feet"})
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert len(looks) == 2
    assert site.get("/r4/ValueSet?name=Feet").json()["total"] == 1


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("code=56459004", True),
        (f"code={SCT}|56459004", True),
        (f"code={SCT}|", True),
        ("code=http://example.org|56459004", False),
        ("code=|56459004", False),
        ("code=1,56459004", True),
        ("code=1%5C,56459004", False),
        ("status=active", True),
        (f"status={STATUS}|active", True),
        ("status=|active", True),
        ("status=http://example.org|active", False),
        ("version=1", True),
        ("version=X|1", False),
        (f"url={URL}", True),
        (f"url={URL}|1", True),
        (f"url={URL}|9", False),
        (f"reference={SCT}", True),
        (f"reference={SCT}|9", False),
    ],
)
def test_a_search_minds_system_and_version(site: Client, query: str, found: bool) -> None:
    update(site, value_set(id="mine"))
    assert site.get(f"/r4/ValueSet?_id=mine&{query}").json()["total"] == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("code=a%7Cb", False),
        ("code=a%5C%7Cb", True),
        ("code=http://hospital.example/cs%7Ca%5C%7Cb", True),
        ("code=http://hospital.example/other%7Ca%5C%7Cb", False),
        ("content-mode=complete", True),
        ("content-mode=http://example.org|complete", False),
    ],
)
def test_a_code_may_have_a_bar_in_it(site: Client, query: str, found: bool) -> None:
    resource = {
        "resourceType": "CodeSystem",
        "id": "cs",
        "url": "http://hospital.example/cs",
        "status": "active",
        "content": "complete",
        "concept": [{"code": "a|b"}],
    }
    assert site.request("PUT", "/r4/CodeSystem/cs", json=resource).status_code == 201
    assert site.get(f"/r4/CodeSystem?_id=cs&{query}").json()["total"] == found
