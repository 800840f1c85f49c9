"""What a request may name or bring along as a value set, and what comes of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from api.tx.hierarchy import concepts_of
from api.tx.versions import split_canonical
from tests.api.client import Client
from tests.api.tx.asking import SCT, request, tx
from tests.api.tx.sites import SITES_SYSTEM

PATIENT = {"resourceType": "Patient", "name": [{"family": "Miller"}]}
HAND = f"{SCT}?fhir_vs=isa/85562004"


def expand(site: Client, url: str, root: str = "/r4", **more: str) -> Any:
    return site.request("GET", f"{root}/ValueSet/$expand", params={"url": url, **more})


@pytest.mark.parametrize(
    ("canonical", "split"),
    [
        ("http://a|1", ("http://a", "1")),
        ("http://a", ("http://a", None)),
        (f"{SCT}?fhir_vs|v", (f"{SCT}?fhir_vs", "v")),
        (f"{SCT}?fhir_vs=ecl/1 |a|", (f"{SCT}?fhir_vs=ecl/1 |a|", None)),
        (f"{SCT}?fhir_vs=ecl%2F1 |a|", (f"{SCT}?fhir_vs=ecl%2F1 |a|", None)),
    ],
)
def test_a_constraint_in_a_canonical_is_not_cut(
    canonical: str, split: tuple[str, str | None]
) -> None:
    assert split_canonical(canonical) == split


@pytest.mark.parametrize("root", ["/r4", "/r5"])
@pytest.mark.parametrize("encode", [str, quote], ids=["once", "twice"])
def test_a_constraint_with_terms_is_a_value_set(site: Client, root: str, encode: Any) -> None:
    plain = expand(site, f"{SCT}?fhir_vs=ecl/<<85562004", root).json()
    found = expand(site, f"{SCT}?fhir_vs=ecl/{encode('<<85562004 |Hand|')}", root)
    assert found.status_code == 200
    assert found.json()["expansion"]["total"] == plain["expansion"]["total"]
    # A uri has no blanks.
    assert found.json()["url"] == f"{SCT}?fhir_vs=ecl/%3C%3C85562004%20%7CHand%7C"


def test_a_constraint_with_an_open_term_is_refused(site: Client) -> None:
    found = expand(site, f"{SCT}?fhir_vs=ecl/85562004 |x")
    assert found.status_code == 400
    assert "Invalid ECL expression" in found.text


def test_the_version_uri_of_a_release_has_value_sets_whatever_its_form(site: Client) -> None:
    (used,) = (
        one["valueUri"].partition("|")[2]
        for one in expand(site, HAND).json()["expansion"]["parameter"]
        if one["name"] == "used-codesystem"
    )
    assert expand(site, f"{used}?fhir_vs=isa/85562004").status_code == 200
    assert expand(site, f"{used}9?fhir_vs=isa/85562004").status_code == 404


def test_a_version_that_is_not_here_is_told_of_the_code_system(site: Client) -> None:
    version = f"{SCT}|{SCT}/1/version/20200101"
    found = expand(site, HAND, **{"system-version": version})
    assert found.status_code == 422
    assert f"CodeSystem '{SCT}' version" in found.json()["issue"][0]["details"]["text"]


@pytest.mark.parametrize("name", ["system-version", "check-system-version", "force-system-version"])
@pytest.mark.parametrize("text", ["rubbish", f"{SCT}|", "|1"])
def test_a_rule_without_a_version_is_refused(site: Client, name: str, text: str) -> None:
    found = expand(site, HAND, **{name: text})
    assert found.status_code == 400
    assert "names no version of a code system" in found.text


@pytest.mark.parametrize("operation", ["$expand", "$validate-code"])
@pytest.mark.parametrize(
    "entries",
    [
        [{"name": "valueSet", "resource": PATIENT}],
        [{"name": "valueSet", "valueString": "x"}],
        [{"name": "url", "valueUri": HAND}, tx(PATIENT)],
        [{"name": "url", "valueUri": HAND}, {"name": "tx-resource", "valueString": "x"}],
    ],
)
def test_what_is_no_terminology_is_neither_used_nor_shown(
    site: Client, operation: str, entries: list[dict[str, Any]]
) -> None:
    asked = request(*entries, code="85562004", system=SCT)
    found = site.post(f"/r4/ValueSet/{operation}", json=asked)
    assert found.status_code == 400
    assert "Miller" not in found.text


def test_the_value_set_of_a_code_system_holds_all_its_codes(site: Client) -> None:
    url = "http://hospital.example/ValueSet/sites"
    system = {**SITES_SYSTEM, "id": "sites", "valueSet": url}
    assert site.request("PUT", "/r5/CodeSystem/sites", json=system).status_code == 201
    found = expand(site, url).json()
    assert found["version"] == "1.0.0"
    assert found["expansion"]["total"] == len(list(concepts_of(SITES_SYSTEM)))
    assert expand(site, f"{url}|1.0.0").status_code == 200
    assert expand(site, f"{url}|2").status_code == 404
    brought = {**SITES_SYSTEM, "url": "http://a.example/cs", "valueSet": "http://a.example/vs"}
    asked = request(tx(brought), url="http://a.example/vs", code="heart", system=brought["url"])
    answer = site.post("/r5/ValueSet/$validate-code", json=asked).json()
    assert answer["parameter"][0] == {"name": "result", "valueBoolean": True}


@pytest.mark.parametrize(
    ("language", "wanted", "shown"),
    [(None, None, True), ("en", None, True), (None, "en", True), (None, "de", False)],
)
def test_the_display_in_a_value_set_is_shown_in_its_language(
    site: Client, language: str | None, wanted: str | None, shown: bool
) -> None:
    concept = {"code": "56459004", "display": "My foot"}
    resource: dict[str, Any] = {
        "resourceType": "ValueSet",
        "status": "active",
        "compose": {"include": [{"system": SCT, "concept": [concept]}]},
    }
    if language is not None:
        resource["language"] = language
    texts = {} if wanted is None else {"displayLanguage": wanted}
    found = site.post("/r4/ValueSet/$expand", json=request(valueSet=resource, **texts)).json()
    (entry,) = found["expansion"]["contains"]
    assert (entry["display"] == "My foot") is shown
