"""ConceptMap/$translate: tables, a site's maps, reference sets, both ways and joined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from api.concept_maps import CONCEPT_MAPS, LATERALITY
from api.tx.maps import Attribute, Match, joined
from api.tx.r4 import resource_to_r4
from api.tx.translation import VIA
from tests.api.checks import checked
from tests.api.client import Client
from tests.api.tx.asking import (
    DICOM,
    IRMA,
    SCT,
    UNIFESP,
    all_values,
    coding,
    matches,
    request,
    tx,
    value,
)
from tests.api.tx.small_release import VERSION, small_index

ROOMS = "http://x.org/rooms"
FLOORS = "http://x.org/floors"
NARROWER = "source-is-narrower-than-target"


def target(code: str, relationship: str = "equivalent", **more: Any) -> dict[str, Any]:
    return {"code": code, "relationship": relationship, **more}


def concept_map(
    elements: dict[str, list[dict[str, Any]]],
    *,
    source: str = ROOMS,
    into: str = FLOORS,
    unmapped: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    group: dict[str, Any] = {
        "source": source,
        "target": into,
        "element": [
            {"code": code, "target": targets} if targets else {"code": code, "noMap": True}
            for code, targets in elements.items()
        ],
    }
    if unmapped is not None:
        group["unmapped"] = unmapped
    return {
        "resourceType": "ConceptMap",
        "url": "http://x.org/map",
        "version": "1",
        "status": "active",
        "group": [group],
        **more,
    }


MAP = concept_map(
    {
        "R1": [target("F1")],
        "R2": [target("F1", NARROWER), target("F2", "related-to")],
        "R3": [target("F3", "not-related-to")],
        "R4": [],
    }
)


def translated(client: Client, *entries: dict[str, Any], **asked: Any) -> dict[str, Any]:
    """Return the answer of the R5 endpoint."""
    answer = client.post("/r5/ConceptMap/$translate", json=request(*entries, **asked))
    assert answer.status_code == 200, answer.text
    return answer.json()


def codes(answer: dict[str, Any]) -> list[str]:
    return [match["concept"]["code"] for match in matches(answer)]


def test_a_map_that_came_along_is_used(client: Client) -> None:
    answer = translated(client, tx(MAP), sourceSystem=ROOMS, sourceCode="R2", targetSystem=FLOORS)
    assert value(answer, "result") is True
    assert matches(answer) == [
        {
            "relationship": NARROWER,
            "concept": {"system": FLOORS, "code": "F1"},
            "originMap": "http://x.org/map|1",
        },
        {
            "relationship": "related-to",
            "concept": {"system": FLOORS, "code": "F2"},
            "originMap": "http://x.org/map|1",
        },
    ]


def test_r4_has_its_own_words_unless_it_was_asked_in_those_of_r5(client: Client) -> None:
    of_r4 = {
        **MAP,
        "group": [
            {
                "source": ROOMS,
                "target": FLOORS,
                "element": [{"code": "R1", "target": [{"code": "F1", "equivalence": "wider"}]}],
            }
        ],
    }
    body = request(tx(of_r4), system=ROOMS, code="R1")
    answer = checked(client.post("/r4/ConceptMap/$translate", json=body).json())
    assert matches(answer) == [
        {
            "equivalence": "wider",
            "concept": {"system": FLOORS, "code": "F1"},
            "source": "http://x.org/map|1",
        }
    ]
    body = request(tx(of_r4), sourceSystem=ROOMS, sourceCode="R1")
    answer = checked(client.post("/r4/ConceptMap/$translate", json=body).json())
    assert matches(answer) == [
        {
            "equivalence": "wider",
            "concept": {"system": FLOORS, "code": "F1"},
            "originMap": "http://x.org/map|1",
        }
    ]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("R3", "only as not related"),
        ("R4", "to nothing"),
        ("R9", "'R9' is not in http://x.org/map|1"),
    ],
)
def test_no_counterpart_is_result_false_with_the_reason(
    client: Client, code: str, reason: str
) -> None:
    answer = translated(client, tx(MAP), sourceSystem=ROOMS, sourceCode=code)
    assert value(answer, "result") is False
    assert reason in value(answer, "message")


@pytest.mark.parametrize(
    "asked",
    [
        (request(system=FLOORS, code="F1", reverse=True)),
        (request(targetSystem=FLOORS, targetCode="F1")),
        (request(coding("targetCoding", FLOORS, "F1"))),
        (request(targetSystem=FLOORS, targetCode="F1", system=ROOMS)),
        (request(sourceSystem=FLOORS, sourceCode="F1", targetSystem=ROOMS)),
    ],
)
def test_reverse_turns_the_relationship_round(client: Client, asked: dict[str, Any]) -> None:
    answer = translated(client, tx(MAP), *asked["parameter"])
    found = [(match["concept"]["code"], match["relationship"]) for match in matches(answer)]
    assert found == [("R1", "equivalent"), ("R2", "source-is-broader-than-target")]


UNMAPPED = [
    ({"mode": "use-source-code", "relationship": "equivalent"}, "R9", ["R9"]),
    ({"mode": "fixed", "code": "F0", "display": "Other", "relationship": "related-to"}, "R9",
     ["F0"]),
    ({"mode": "fixed", "code": "F0", "relationship": "related-to"}, "R1", ["F1"]),
    ({"mode": "fixed", "code": "F0", "relationship": "related-to"}, "R4", []),
    ({"mode": "other-map", "otherMap": "http://x.org/second|2"}, "R9", ["F9"]),
    ({"mode": "other-map", "otherMap": "http://x.org/map"}, "R9", []),
]  # fmt: skip


@pytest.mark.parametrize(("unmapped", "code", "expected"), UNMAPPED)
def test_what_a_map_does_with_codes_that_it_has_not(
    client: Client, unmapped: dict[str, Any], code: str, expected: list[str]
) -> None:
    first = concept_map({"R1": [target("F1")], "R4": []}, unmapped=unmapped)
    second = concept_map({"R9": [target("F9")]}, url="http://x.org/second", version="2")
    answer = translated(
        client, tx(first), tx(second), url="http://x.org/map", sourceSystem=ROOMS, sourceCode=code
    )
    assert codes(answer) == expected
    assert value(answer, "result") is bool(expected)


HANDS = {
    "resourceType": "ValueSet",
    "url": "http://x.org/hands",
    "version": "1",
    "status": "active",
    "compose": {
        "include": [
            {"system": SCT, "filter": [{"property": "concept", "op": "is-a", "value": "85562004"}]}
        ]
    },
}


@pytest.mark.parametrize("value_set", ["http://x.org/hands", "http://x.org/hands|1"])
def test_an_element_may_map_the_codes_of_a_value_set(client: Client, value_set: str) -> None:
    resource = concept_map({"40983000": [target("ARM")]}, source=SCT)
    resource["group"][0]["element"].append(
        {"valueSet": value_set, "target": [target("HAND", NARROWER)]}
    )
    asked = {"url": "http://x.org/map", "sourceSystem": SCT}
    for code, found in (("7569003", ["HAND"]), ("40983000", ["ARM"]), ("72696002", [])):
        answer = translated(client, tx(resource), tx(HANDS), sourceCode=code, **asked)
        assert codes(answer) == found, code
    # R5, ConceptMap.group.unmapped: only for codes that no element maps.
    resource["group"][0]["unmapped"] = {"mode": "fixed", "code": "F0", "relationship": "related-to"}
    answer = translated(client, tx(resource), tx(HANDS), sourceCode="7569003", **asked)
    assert codes(answer) == ["HAND"]


def test_an_element_of_a_value_set_that_is_not_here_maps_nothing(client: Client) -> None:
    resource = concept_map({"40983000": [target("ARM")]}, source=SCT)
    element = {"valueSet": "http://x.org/unknown", "target": [target("HAND")]}
    resource["group"][0]["element"].append(element)
    asked = {"url": "http://x.org/map", "sourceSystem": SCT, "sourceCode": "7569003"}
    assert value(translated(client, tx(resource), **asked), "result") is False


def test_a_mapping_to_a_value_set_is_said_in_words(client: Client) -> None:
    many = {"relationship": "equivalent", "valueSet": "http://x.org/floors"}
    for resource, code in (
        (concept_map({"R1": [many]}), "R1"),
        (
            concept_map(
                {"R1": [target("F1")]},
                unmapped={"mode": "fixed", "valueSet": "http://x.org/floors",
                          "relationship": "related-to"},
            ),
            "R2",
        ),
    ):  # fmt: skip
        answer = translated(client, tx(resource), sourceSystem=ROOMS, sourceCode=code)
        assert value(answer, "result") is False
        assert "the codes of 'http://x.org/floors'" in value(answer, "message")


def test_r4_names_an_explicit_no_match(client: Client) -> None:
    answer = client.post(
        "/r4/ConceptMap/$translate", json=request(tx(resource_to_r4(MAP)), system=ROOMS, code="R4")
    ).json()
    assert value(answer, "result") is False
    (match,) = matches(answer)
    assert match == {"equivalence": "unmatched", "source": "http://x.org/map|1"}


def test_the_newest_version_of_a_map_answers_unless_one_is_named(client: Client) -> None:
    old, new = (
        concept_map({"R1": [target(c)]}, version=v) for c, v in (("A", "1.9"), ("B", "1.10"))
    )
    asked = {"sourceSystem": ROOMS, "sourceCode": "R1"}
    assert codes(translated(client, tx(old), tx(new), **asked)) == ["B"]
    named = {**asked, "url": "http://x.org/map"}
    assert codes(translated(client, tx(old), tx(new), **named)) == ["B"]
    one = translated(client, tx(old), tx(new), **named, conceptMapVersion="1.9")
    assert codes(one) == ["A"]


def test_two_maps_may_share_a_canonical_in_one_request(client: Client) -> None:
    first = concept_map({"R1": [target("F1")]})
    second = concept_map({"S1": [target("T1")]}, source="http://x.org/s", into="http://x.org/t")
    for named in ({}, {"url": "http://x.org/map"}):
        answer = translated(
            client, tx(first), tx(second), sourceSystem="http://x.org/s", sourceCode="S1", **named
        )
        assert codes(answer) == ["T1"]


def test_a_large_map_answers_as_a_small_one(site: Client) -> None:
    many = {f"R{n}": [target(f"F{n // 2}")] for n in range(2000)}
    own = concept_map({**many, "none": []}, id="large")
    assert site.request("PUT", "/r5/ConceptMap/large", json=own).status_code == 201
    asked = {"sourceSystem": ROOMS, "targetSystem": FLOORS}
    for _ in range(2):
        assert codes(translated(site, **asked, sourceCode="R1999")) == ["F999"]
        back = translated(site, targetSystem=FLOORS, targetCode="F7")
        assert codes(back) == ["R14", "R15"]
    changed = concept_map({**many, "R1999": [target("F0")]}, id="large")
    assert site.request("PUT", "/r5/ConceptMap/large", json=changed).status_code == 200
    assert codes(translated(site, **asked, sourceCode="R1999")) == ["F0"]


def test_scopes_choose_the_maps(client: Client) -> None:
    first = concept_map({"R1": [target("A")]}, url="http://x.org/1", sourceScopeUri="http://vs/1")
    second = concept_map(
        {"R1": [target("B")]}, url="http://x.org/2", targetScopeCanonical="http://vs/2|1"
    )
    asked = {"sourceSystem": ROOMS, "sourceCode": "R1"}
    both = translated(client, tx(first), tx(second), **asked)
    assert codes(both) == ["A", "B"]
    assert codes(translated(client, tx(first), tx(second), **asked, sourceScope="http://vs/1")) == [
        "A"
    ]
    assert codes(translated(client, tx(first), tx(second), **asked, targetScope="http://vs/2")) == [
        "B"
    ]


HAND_AND_BELOW = f"{SCT}?fhir_vs=isa/85562004"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"targetScope": f"{SCT}?fhir_vs"}, True),
        ({"targetScope": f"{SCT}?fhir_vs=isa/123037004"}, True),
        ({"targetScope": HAND_AND_BELOW}, False),
        ({"targetScope": "http://x.org/unknown"}, False),
        ({"sourceScope": "https://w3id.org/bodysite/ValueSet/unifesp"}, True),
        ({"sourceScope": HAND_AND_BELOW}, False),
        ({"url": "https://w3id.org/bodysite/ConceptMap/unifesp", "targetScope": HAND_AND_BELOW},
         False),
        ({"url": "https://w3id.org/bodysite/ConceptMap/unifesp",
          "targetScope": f"{SCT}?fhir_vs=isa/123037004"}, True),
    ],
)  # fmt: skip
def test_a_scope_holds_the_codes_on_its_side(
    client: Client, asked: dict[str, str], found: bool
) -> None:
    answer = translated(client, sourceSystem=UNIFESP, sourceCode="12", **asked)
    assert value(answer, "result") is found
    if not found:
        scope = asked.get("targetScope") or asked["sourceScope"]
        assert scope in value(answer, "message")


def test_backwards_the_scopes_change_places(client: Client) -> None:
    forward = translated(client, sourceSystem=UNIFESP, sourceCode="12")
    site = matches(forward)[0]["concept"]["code"]
    asked = {"targetCode": site, "targetSystem": SCT, "sourceSystem": UNIFESP}
    everything = {"sourceScope": "https://w3id.org/bodysite/ValueSet/unifesp"}
    for scopes, found in (
        ({}, True),
        (everything, True),
        ({"targetScope": f"{SCT}?fhir_vs"}, True),
        ({"targetScope": HAND_AND_BELOW}, False),
        ({"sourceScope": HAND_AND_BELOW}, False),
    ):
        answer = translated(client, **asked, **scopes)
        assert value(answer, "result") is found, scopes


def dependency(code: str) -> dict[str, Any]:
    return {
        "name": "dependency",
        "part": [
            {"name": "attribute", "valueUri": "http://x.org/side"},
            {"name": "value", "valueCoding": {"system": "http://s", "code": code}},
        ],
    }


def test_a_mapping_that_depends_on_another_value_needs_it_or_says_so(client: Client) -> None:
    depends = {"attribute": "side", "valueCoding": {"system": "http://s", "code": "L"}}
    resource = concept_map(
        {"R1": [target("F1", dependsOn=[depends])]},
        additionalAttribute=[{"code": "side", "uri": "http://x.org/side", "type": "Coding"}],
    )
    asked = {"sourceSystem": ROOMS, "sourceCode": "R1"}
    stated = matches(translated(client, tx(resource), **asked))[0]["dependsOn"]
    assert stated == {"attribute": "http://x.org/side", "value": depends["valueCoding"]}
    assert codes(translated(client, tx(resource), dependency("L"), **asked)) == ["F1"]
    other = translated(client, tx(resource), dependency("R"), **asked)
    assert codes(other) == []
    assert "depends on another value" in value(other, "message")


def test_the_version_of_a_source_is_kept_apart(client: Client) -> None:
    resource = concept_map({"R1": [target("F1")]}, source=f"{ROOMS}|2008")
    asked = {"sourceSystem": ROOMS, "sourceCode": "R1"}
    assert codes(translated(client, tx(resource), **asked, version="2008")) == ["F1"]
    other = translated(client, tx(resource), **asked, version="2003")
    assert "'2003' is not mapped; expected '2008'" in value(other, "message")


def test_any_coding_of_a_concept_may_be_the_mapped_one(client: Client) -> None:
    concept = {
        "name": "sourceCodeableConcept",
        "valueCodeableConcept": {
            "coding": [
                {"system": "http://unknown.org", "code": "1"},
                {"system": ROOMS, "code": "R9"},
                {"system": ROOMS, "code": "R1"},
            ]
        },
    }
    assert codes(translated(client, tx(MAP), concept)) == ["F1"]


def test_an_inline_map_is_the_only_one(client: Client) -> None:
    inline = {"name": "conceptMap", "resource": concept_map({"414": [target("X")]}, source=IRMA)}
    assert codes(translated(client, inline, sourceSystem=IRMA, sourceCode="414")) == ["X"]
    assert codes(translated(client, inline, sourceSystem=IRMA, sourceCode="943")) == []


def test_a_sites_map_stands_beside_the_table(site: Client) -> None:
    own = {
        **concept_map({"414": [target("85562004", NARROWER)]}, source=IRMA, into=SCT),
        "id": "own",
    }
    assert site.request("PUT", "/r5/ConceptMap/own", json=own).status_code == 201
    answer = translated(site, sourceSystem=IRMA, sourceCode="414")
    assert {match["originMap"].partition("|")[0] for match in matches(answer)} == {
        "http://x.org/map",
        f"{CONCEPT_MAPS}irma-anatomy-2008",
    }
    only = site.get(f"/r5/ConceptMap/own/$translate?sourceSystem={IRMA}&sourceCode=414").json()
    assert codes(only) == ["85562004"]


# -- two maps in a row -----------------------------------------------------------------------------


def test_two_tables_are_joined_through_snomed_and_say_so(client: Client) -> None:
    answer = translated(client, sourceSystem=IRMA, sourceCode="414", targetSystem=UNIFESP)
    (match,) = matches(answer)
    assert match["concept"]["display"] == "Hand"
    # 414 is the left hand: narrower than the hand, and its side stays beside it.
    assert match["relationship"] == NARROWER
    assert match["product"]["attribute"] == LATERALITY
    assert match["product"]["value"]["code"] == "7771000"
    assert match["property"]["uri"] == VIA
    assert match["property"]["value"]["code"] == "85562004"
    assert "join two maps through SNOMED CT" in value(answer, "message")
    back = translated(client, sourceSystem=UNIFESP, sourceCode="9", targetSystem=DICOM)
    assert "HAND" in codes(back)


def test_a_sites_map_into_snomed_joins_the_tables(client: Client) -> None:
    own = concept_map({"R1": [target("85562004")]}, into=SCT)
    answer = translated(client, tx(own), sourceSystem=ROOMS, sourceCode="R1", targetSystem=DICOM)
    assert codes(answer)[0] == "HAND"
    assert matches(answer)[0]["relationship"] == "equivalent"


def match_of(relationship: str, side: str | None = None) -> Match:
    products = () if side is None else (Attribute(LATERALITY, {"valueCoding": {"code": side}}),)
    return Match({"system": "s", "code": relationship}, relationship, relationship, None, products)


BROADER = "source-is-broader-than-target"
JOINED = [
    ("equivalent", "equivalent", "equivalent"),
    ("equivalent", NARROWER, NARROWER),
    (BROADER, "equivalent", BROADER),
    (NARROWER, NARROWER, NARROWER),
    (NARROWER, BROADER, "related-to"),
    ("related-to", "related-to", "related-to"),
    ("related-to", NARROWER, "related-to"),
    ("not-related-to", "equivalent", None),
    ("equivalent", "not-related-to", None),
]


@pytest.mark.parametrize(("first", "second", "expected"), JOINED)
def test_what_follows_from_two_relationships(first: str, second: str, expected: str | None) -> None:
    found = joined(match_of(first), match_of(second))
    assert (found.relationship if found else None) == expected


def test_a_left_thing_is_never_joined_to_a_right_one() -> None:
    assert joined(match_of("equivalent", "7771000"), match_of("equivalent", "24028007")) is None
    assert joined(match_of("equivalent", "7771000"), match_of("equivalent", "7771000")) is not None


# -- reference sets --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return small_index(tmp_path_factory.mktemp("rf2"))


@pytest.fixture
def licensed(open_site: Callable[..., Client], small: Any) -> Client:
    return open_site(releases=(small,))


def test_a_former_concept_leads_to_what_replaced_it(licensed: Client) -> None:
    for asked in (
        {"url": f"{SCT}?fhir_cm=900000000000526001"},
        {"targetSystem": SCT},
    ):
        answer = translated(licensed, sourceSystem=SCT, sourceCode="51185008", **asked)
        (match,) = matches(answer)
        assert match["concept"] == {
            "system": SCT, "version": VERSION, "code": "816094009", "display": "Chest",
        }  # fmt: skip
        assert match["relationship"] == "equivalent"
        assert match["originMap"] == f"{SCT}?fhir_cm=900000000000526001|{VERSION}"


def test_a_map_reference_set_leads_to_its_code_system_and_back(licensed: Client) -> None:
    icd = "http://hl7.org/fhir/sid/icd-10"
    answer = translated(licensed, sourceSystem=SCT, sourceCode="40468003", targetSystem=icd)
    assert codes(answer) == ["B15.9"]
    conditional = translated(licensed, sourceSystem=SCT, sourceCode="128241005", targetSystem=icd)
    assert "IFA 64572001" in matches(conditional)[0]["dependsOn"]["value"]
    none = translated(licensed, sourceSystem=SCT, sourceCode="64572001", targetSystem=icd)
    assert value(none, "result") is False
    back = translated(
        licensed, targetSystem=icd, targetCode="B15.9", url=f"{SCT}?fhir_cm=447562003"
    )
    assert codes(back) == ["40468003"]


def test_parts_of_a_structure_are_a_translation_only_where_their_map_is_named(
    licensed: Client,
) -> None:
    asked = {"sourceSystem": SCT, "sourceCode": "10200004"}
    assert codes(translated(licensed, **asked, targetSystem=SCT)) == []
    named = translated(licensed, **asked, url=f"{SCT}?fhir_cm=734139008")
    assert codes(named) == ["119216005"]
    assert matches(named)[0]["relationship"] == BROADER


WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({"sourceCode": "1"}, 400, "required"),
    ({"sourceSystem": IRMA}, 400, "required"),
    ({"targetCode": "1"}, 400, "required"),
    ({"sourceSystem": "http://unknown.org", "sourceCode": "1"}, 404, "not-found"),
    ({"sourceSystem": IRMA, "sourceCode": "1", "url": "http://unknown.org"}, 404, "not-found"),
    ({"sourceSystem": IRMA, "sourceCode": "1", "url": f"{CONCEPT_MAPS}unifesp|1"}, 404,
     "not-found"),
    ({"sourceSystem": SCT, "sourceCode": "85562005"}, 400, "code-invalid"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "status", "issue"), WRONG)
def test_what_cannot_be_asked(
    client: Client, asked: dict[str, Any], status: int, issue: str
) -> None:
    answer = client.post("/r5/ConceptMap/$translate", json=request(**asked))
    assert answer.status_code == status
    assert answer.json()["issue"][0]["code"] == issue
    assert not all_values(answer.json(), "result")
