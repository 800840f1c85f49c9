"""CodeSystem/$lookup over SNOMED CT and over CodeSystem resources."""

from typing import Any

import pytest

from api.errors import RequestError
from api.tx.context import StaticRegistry, TxContext
from api.tx.errors import TxError
from api.tx.lookup import lookup
from api.tx.snomed import SnomedProvider
from terminology.concept import SNOMED
from terminology.errors import IdentifierError
from terminology.release.embedded import embedded_index
from tests.api.tx.small_release import VERSION, small_provider

COLOURS = {
    "resourceType": "CodeSystem",
    "url": "http://example.org/colours",
    "version": "2.0",
    "name": "Colours",
    "status": "active",
    "date": "2024-05-01",
    "language": "en",
    "content": "complete",
    "property": [{"code": "wave", "type": "integer"}],
    "concept": [
        {
            "code": "red",
            "display": "Red",
            "definition": "Long waves",
            "designation": [{"language": "de", "value": "Rot"}],
            "property": [{"code": "wave", "valueInteger": 700}],
            "concept": [{"code": "pink", "display": "Pink"}],
        },
    ],
}
OLDER = COLOURS | {"version": "1.0", "date": "2020-05-01"}
SUPPLEMENT = {
    "resourceType": "CodeSystem",
    "url": "http://example.org/colours-fr",
    "status": "active",
    "content": "supplement",
    "supplements": "http://example.org/colours",
    "concept": [{"code": "red", "designation": [{"language": "fr", "value": "Rouge"}]}],
}


def answer(*entries: tuple[str, Any], language: str | None = None) -> dict[str, Any]:
    request = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": name, "valueCoding" if isinstance(value, dict) else "valueString": value}
            for name, value in entries
        ],
    }
    registry = StaticRegistry(
        providers=[small_provider(), SnomedProvider(embedded_index())],
        resources=[COLOURS, OLDER, SUPPLEMENT],
        defaults={SNOMED: VERSION},
    )
    return lookup(request, TxContext.of(registry, request, accept_language=language))


def of(code: str, *entries: tuple[str, Any], system: str = SNOMED) -> dict[str, Any]:
    return answer(("system", system), ("code", code), *entries)


def value(entry: dict[str, Any]) -> Any:
    return next(content for name, content in entry.items() if name != "name")


def one(found: dict[str, Any], name: str) -> Any:
    (entry,) = [entry for entry in found["parameter"] if entry["name"] == name]
    return value(entry)


def parts(found: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [
        {part["name"]: value(part) for part in entry["part"]}
        for entry in found["parameter"]
        if entry["name"] == name
    ]


def test_a_concept_is_named_and_placed() -> None:
    found = of("10200004")
    assert one(found, "name") == f"{SNOMED}|{VERSION}"
    assert one(found, "version") == VERSION
    assert one(found, "display") == "Liver"
    assert one(found, "abstract") is False
    assert one(found, "definition") == "The organ that makes bile."
    assert parts(found, "designation")[0] == {
        "language": "en",
        "use": {"system": SNOMED, "code": "900000000000013009", "display": "Synonym"},
        "value": "Liver",
    }
    told = parts(found, "property")
    assert {"code": "parent", "description": "Body structure", "value": "123037004"} in told
    assert {"code": "child", "description": "Liver part", "value": "119216005"} in told
    assert {"code": "inactive", "value": False} in told


def test_an_attribute_has_the_name_of_its_code() -> None:
    assert {
        "code": "363698007",
        "code-display": "Finding site",
        "description": "Liver",
        "value": "10200004",
    } in parts(of("128241005"), "property")


def test_an_expression_is_looked_up_as_it_was_sent() -> None:
    sent = "85562004 |Hand| : 272741003 |Laterality| = 7771000 |Left|"
    found = of(sent)
    assert one(found, "code") == sent
    assert one(found, "display") == "85562004|Hand|:272741003|Laterality|=7771000|Left|"
    (designation,) = parts(found, "designation")
    assert designation["language"] == "en-US"
    assert designation["value"] == one(found, "display")
    assert {
        "code": "272741003",
        "code-display": "Laterality",
        "description": "Left",
        "value": "7771000",
    } in parts(found, "property")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (("parent",), {"parent"}),
        (("parent", "child"), {"parent", "child"}),
        (("inactive",), {"inactive"}),
        (("sufficientlyDefined",), {"sufficientlyDefined"}),
        (("normalForm", "normalFormTerse"), {"normalForm", "normalFormTerse"}),
        (("363698007",), {"363698007"}),
        (("designation",), set()),
        (("display",), set()),
        (("nothing",), set()),
    ],
)
def test_only_the_properties_asked_for_are_given(
    asked: tuple[str, ...], expected: set[str]
) -> None:
    found = of("128241005", *(("property", name) for name in asked))
    assert {told["code"] for told in parts(found, "property")} == expected
    assert bool(parts(found, "designation")) is ("designation" in asked)
    assert one(found, "display") == "Hepatitis"


def test_everything_can_be_asked_for() -> None:
    told = {one["code"] for one in parts(of("128241005", ("property", "*")), "property")}
    assert {"moduleId", "normalForm", "parent", "child", "363698007", "inactive"} <= told


def test_names_of_one_language_can_be_asked_for() -> None:
    found = of("10200004", ("property", "lang.de"))
    assert [told["value"] for told in parts(found, "designation")] == ["Leber"]


@pytest.mark.parametrize(
    ("language", "display"),
    [("de", "Leber"), ("fr", "Liver"), ("fr, de;q=0.5", "Leber")],
)
def test_the_display_is_in_the_language_of_the_request(language: str, display: str) -> None:
    assert one(of("10200004", ("displayLanguage", language)), "display") == display
    by_header = answer(("system", SNOMED), ("code", "10200004"), language=language)
    assert one(by_header, "display") == display


def test_what_properties_name_is_in_the_language_of_the_request() -> None:
    told = parts(of("128241005", ("displayLanguage", "de")), "property")
    assert {
        "code": "363698007",
        "code-display": "Finding site",
        "description": "Leber",
        "value": "10200004",
    } in told
    above = parts(of("119216005", ("displayLanguage", "de"), ("property", "*")), "property")
    assert {"code": "parent", "description": "Leber", "value": "10200004"} in above


def test_dialects_prefer_different_terms() -> None:
    assert one(of("32849002"), "display") == "Esophagus"
    assert one(of("32849002", ("displayLanguage", "en-GB")), "display") == "Oesophagus"


def test_a_coding_is_as_good_as_code_and_system() -> None:
    coding = {"system": SNOMED, "code": "10200004", "version": VERSION}
    assert answer(("coding", coding)) == of("10200004")


def test_the_version_chooses_the_release() -> None:
    embedded = embedded_index().version
    found = of("85562004", ("version", embedded))
    assert one(found, "version") == embedded
    by_rule = of("85562004", ("system-version", f"{SNOMED}|{embedded}"))
    assert one(by_rule, "version") == embedded
    edition = VERSION.rpartition("/version/")[0]
    assert one(of("85562004", ("version", edition)), "version") == VERSION


def test_the_embedded_subset_tells_history_and_sides() -> None:
    version = ("version", embedded_index().version)
    former = {(p["code"], p["value"]) for p in parts(of("51185008", version), "property")}
    assert ("successor", "816094009") in former
    sided = {(p["code"], p["value"]) for p in parts(of("85151006", version), "property")}
    assert {("laterality", "7771000"), ("unsided", "85562004")} <= sided


def test_a_code_system_resource() -> None:
    found = of("red", system="http://example.org/colours")
    assert one(found, "name") == "Colours"
    assert one(found, "version") == "2.0"
    assert one(found, "definition") == "Long waves"
    told = parts(found, "property")
    assert {"code": "wave", "value": 700} in told
    assert {"code": "child", "description": "Pink", "value": "pink"} in told
    german = of("red", ("displayLanguage", "de"), system="http://example.org/colours")
    assert one(german, "display") == "Rot"


def test_supplements_add_names() -> None:
    french = of(
        "red",
        ("useSupplement", "http://example.org/colours-fr"),
        ("displayLanguage", "fr"),
        system="http://example.org/colours",
    )
    assert one(french, "display") == "Rouge"
    with pytest.raises(TxError) as caught:
        of(
            "red",
            ("useSupplement", "http://example.org/none"),
            system="http://example.org/colours",
        )
    assert caught.value.issues[0].message_id == "VALUESET_SUPPLEMENT_MISSING"


@pytest.mark.parametrize(
    ("date", "version"), [("2021-01-01", "1.0"), ("2024-05-01", "2.0"), ("2026", "2.0")]
)
def test_the_date_chooses_the_version_that_was_in_force(date: str, version: str) -> None:
    found = of("red", ("date", date), system="http://example.org/colours")
    assert one(found, "version") == version


def test_a_date_before_every_version_is_refused() -> None:
    with pytest.raises(TxError) as caught:
        of("red", ("date", "1999-01-01"), system="http://example.org/colours")
    assert caught.value.status == 404


@pytest.mark.parametrize(
    ("entries", "error", "status"),
    [
        ((("system", SNOMED),), RequestError, 400),
        ((("code", "10200004"),), RequestError, 400),
        ((("coding", {"code": "10200004"}),), RequestError, 400),
        ((("system", "http://example.org/none"), ("code", "1")), TxError, 404),
        ((("system", SNOMED), ("code", "10200004"), ("version", "2020")), TxError, 404),
        ((("system", SNOMED), ("code", "74670003")), TxError, 404),
        ((("system", SNOMED), ("code", "10200004:272741003=74670003")), TxError, 404),
        ((("system", "http://example.org/colours"), ("code", "blue")), TxError, 404),
    ],
)
def test_what_cannot_be_looked_up(
    entries: tuple[tuple[str, Any], ...], error: type[RequestError], status: int
) -> None:
    with pytest.raises(error) as caught:
        answer(*entries)
    assert caught.value.status == status


def test_an_unknown_code_is_named_with_its_code_system() -> None:
    with pytest.raises(TxError) as caught:
        of("10200004:272741003=74670003")
    text = caught.value.issues[0].text
    assert f"version '{VERSION}' (International Edition)" in text
    assert text.endswith("Concept 74670003 not found")


def test_a_number_that_is_no_sctid_is_told_so() -> None:
    with pytest.raises(IdentifierError, match="check digit"):
        of("10200005")


def test_a_supplement_adds_properties_to_snomed_ct() -> None:
    request = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "system", "valueUri": SNOMED},
            {"name": "code", "valueCode": "10200004"},
            {"name": "useSupplement", "valueCanonical": "http://example.org/sct-more"},
            {
                "name": "tx-resource",
                "resource": {
                    "resourceType": "CodeSystem",
                    "url": "http://example.org/sct-more",
                    "status": "active",
                    "content": "supplement",
                    "supplements": SNOMED,
                    "property": [{"code": "paired", "type": "boolean"}],
                    "concept": [
                        {
                            "code": "10200004",
                            "designation": [{"language": "la", "value": "Hepar humanum"}],
                            "property": [{"code": "paired", "valueBoolean": False}],
                        }
                    ],
                },
            },
        ],
    }
    registry = StaticRegistry(providers=[small_provider()])
    found = lookup(request, TxContext.of(registry, request))
    assert "Hepar humanum" in [told["value"] for told in parts(found, "designation")]
    (added,) = [told for told in parts(found, "property") if told["code"] == "paired"]
    assert added == {"code": "paired", "value": False, "source": "http://example.org/sct-more"}
    assert any(told["code"] == "parent" for told in parts(found, "property"))
