"""Header words: literals as a code system, and the map whose answers are computed."""

from __future__ import annotations

from typing import Any

import pytest

from api.concept_maps import CONCEPT_MAPS, FIELD, LATERALITY, MODALITY, VIEW
from api.tx.header_words import COMPUTED
from tests.api.checks import checked
from tests.api.client import Client
from tests.api.tx.asking import IRMA, SCT, all_values, matches, request, value

WORDS = "https://w3id.org/bodysite/CodeSystem/header-words"
NARROWER = "source-is-narrower-than-target"


def translated(client: Client, word: str, *entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = request(*entries, sourceSystem=WORDS, sourceCode=word, **more)
    answer = client.post("/r5/ConceptMap/$translate", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def products(answer: dict[str, Any]) -> dict[str, str]:
    """Return the products of the first match: attribute → code."""
    first = next(one for one in answer["parameter"] if one["name"] == "match")
    return {
        one["part"][0]["valueUri"]: one["part"][1]["valueCoding"]["code"]
        for one in first["part"]
        if one["name"] == "product"
    }


@pytest.mark.parametrize("root", ["/r4", "/r5"])
def test_the_map_says_that_its_answers_are_computed(client: Client, root: str) -> None:
    resource = client.get(f"{root}/ConceptMap/header-words").json()
    assert resource["url"] == f"{CONCEPT_MAPS}header-words"
    assert resource["extension"] == [COMPUTED]
    assert "algorithmic" in resource["description"]
    assert resource["group"][0]["source"].startswith(WORDS)


READ = [
    ("HAND", "85562004", "equivalent", {}),
    ("Handgelenk", "74670003", "equivalent", {}),
    ("KNIE_LI", "72696002", NARROWER, {LATERALITY: "7771000"}),
    ("LHAND", "85562004", NARROWER, {LATERALITY: "7771000"}),
    ("Right atrium", "73829009", "equivalent", {LATERALITY: "24028007"}),
    ("Hand re a.p.", "85562004", NARROWER, {LATERALITY: "24028007", VIEW: "399348003"}),
]


@pytest.mark.parametrize(("word", "code", "relationship", "products_"), READ)
def test_a_string_is_read(
    client: Client, word: str, code: str, relationship: str, products_: dict[str, str]
) -> None:
    answer = translated(client, word)
    (match,) = matches(answer)
    assert match["concept"]["system"] == SCT
    assert (match["concept"]["code"], match["relationship"]) == (code, relationship)
    assert match["originMap"].startswith(f"{CONCEPT_MAPS}header-words|")
    assert 0 < match["confidence"] <= 1
    assert products(answer) == products_
    comments = next(one for one in answer["parameter"] if one["name"] == "match")["part"]
    assert any(".tsv:" in one.get("valueString", "") for one in comments)


def test_r4_says_it_in_its_own_words(client: Client) -> None:
    asked = {"system": WORDS, "code": "KNIE_LI"}
    answer = checked(client.get("/r4/ConceptMap/$translate", params=asked).json())
    (match,) = matches(answer)
    assert match["equivalence"] == "wider"
    assert match["product"]["element"] == LATERALITY
    assert match["source"].startswith(f"{CONCEPT_MAPS}header-words|")


def test_what_names_several_sites_is_only_related_to_each(client: Client) -> None:
    found = matches(translated(client, "Hand Knie"))
    assert {one["concept"]["code"] for one in found} == {"85562004", "72696002"}
    assert {one["relationship"] for one in found} == {"related-to"}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("xyzzy", "names no body site"),
        ("a.p.", "projection 399348003"),
        ("links", "side 'left'"),
    ],
)
def test_no_site_is_result_false_with_what_was_understood(
    client: Client, word: str, said: str
) -> None:
    answer = translated(client, word)
    assert value(answer, "result") is False
    assert said in value(answer, "message")
    assert matches(answer) == []


def dependency(name: str, text: str) -> dict[str, Any]:
    return {
        "name": "dependency",
        "part": [
            {"name": "attribute", "valueUri": name},
            {"name": "value", "valueString": text},
        ],
    }


def test_the_attribute_decides_where_its_terms_are_defined(client: Client) -> None:
    for entries, more in (
        ([dependency(FIELD, "BodyPartExamined")], {}),
        ([], {"field": "BodyPartExamined"}),
    ):
        (match,) = matches(translated(client, "HAND", *entries, **more))
        assert match["confidence"] == 1
        assert match["comment"].startswith("dicom-body-part-examined.sssom.tsv:")


def test_the_modality_decides_what_a_plane_means(client: Client) -> None:
    assert VIEW in products(translated(client, "KNEE AP"))
    for entries, more in (([dependency(MODALITY, "MR")], {}), ([], {"modality": "MR"})):
        assert VIEW not in products(translated(client, "KNEE AP", *entries, **more))


def test_an_unknown_attribute_is_refused(client: Client) -> None:
    asked = {"system": WORDS, "code": "HAND", "field": "BodyPart"}
    answer = client.get("/r4/ConceptMap/$translate", params=asked)
    assert answer.status_code == 422
    assert "'BodyPart' is no DICOM keyword" in answer.text


def test_words_are_found_for_a_concept_where_words_are_asked_for(client: Client) -> None:
    asked = {"targetSystem": SCT, "targetCode": "72696002", "sourceSystem": WORDS}
    answer = client.get("/r5/ConceptMap/$translate", params=asked).json()
    found = {one["concept"]["code"].casefold() for one in matches(answer)}
    assert {"knie", "knee", "genou", "rodilla"} <= found
    # Asked for everything that leads to the concept, codes answer, not hundreds of words.
    everything = {"targetSystem": SCT, "targetCode": "72696002"}
    answer = client.get("/r5/ConceptMap/$translate", params=everything).json()
    assert WORDS not in {one["concept"]["system"] for one in matches(answer)}


def test_a_word_leads_through_snomed_to_the_codes_of_others(client: Client) -> None:
    found = matches(translated(client, "linke Hand", targetSystem=IRMA))
    assert "41" in {one["concept"]["code"] for one in found}


def test_the_map_is_asked_by_its_address(client: Client) -> None:
    answer = client.get(
        "/r4/ConceptMap/header-words/$translate", params={"system": WORDS, "code": "genou"}
    ).json()
    assert matches(answer)[0]["concept"]["code"] == "72696002"


def test_words_of_the_vocabulary_are_codes_in_any_case(client: Client) -> None:
    asked = {"system": WORDS, "code": "HANDGELENK"}
    answer = checked(client.get("/r4/CodeSystem/$lookup", params=asked).json())
    assert value(answer, "display") == "Handgelenk"
    assert ("language", "de") in [(o["code"], o["value"]) for o in all_values(answer, "property")]
    validated = client.get(
        "/r4/CodeSystem/$validate-code", params={"url": WORDS, "code": "Handgelenk"}
    ).json()
    assert value(validated, "result") is True


def test_any_other_string_may_be_valid_too(client: Client) -> None:
    asked = {"url": WORDS, "code": "Zimmer 7"}
    answer = client.get("/r4/CodeSystem/$validate-code", params=asked).json()
    assert value(answer, "result") is True
    assert value(answer, "issues")["issue"][0]["severity"] == "warning"
    assert (
        client.get(
            "/r4/CodeSystem/$lookup", params={"system": WORDS, "code": "Zimmer 7"}
        ).status_code
        == 404
    )
