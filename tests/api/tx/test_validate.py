"""ValueSet/$validate-code and CodeSystem/$validate-code over code systems that are resources."""

from __future__ import annotations

from typing import Any

import pytest

from api.tx.errors import TxError
from tests.api.tx.sites import (
    NOTES,
    SITES,
    VALUE_SET,
    VIEWS,
    by,
    imports,
    issues,
    listed,
    refusal,
    validated,
    validated_in_system,
    value_set,
)

NOT_IN = "None_of_the_provided_codes_are_in_the_value_set_one"
UNKNOWN = "Unknown_Code_in_Version"
WRONG_DISPLAY = "Display_Name_for__should_be_one_of__instead_of"


def coding(code: str, system: str = SITES, **more: str) -> dict[str, str]:
    """Return a Coding."""
    return {"system": system, "code": code, **more}


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("all", "heart", True),
        ("trunk", "trunk", True),
        ("trunk", "arm", False),
        ("paired", "arm", True),
        ("paired", "heart", False),
        ("few", "arm", True),
        ("few", "leg", False),
        ("joined", "leg", True),
        ("common", "lung", True),
        ("common", "arm", False),
        ("without", "leg", True),
        ("without", "arm", False),
        ("without-import", "lung", False),
        ("without-import", "arm", True),
    ],
)
def test_a_coding_is_in_a_value_set_or_not(name: str, code: str, expected: bool) -> None:
    resources = (
        value_set("joined", listed(SITES, "arm"), by("code", "=", "leg")),
        value_set("common", {"system": SITES, **imports("trunk", "paired")}),
        value_set("without", {"system": SITES}, exclude=[listed(SITES, "arm")]),
        value_set("without-import", imports("paired"), exclude=[imports("trunk")]),
    )
    answer = validated(*resources, url=name, coding=coding(code))
    assert answer["result"] is expected
    assert answer["code"] == code
    assert answer["version"] == "1.0.0"
    canonical = f"{VALUE_SET}{name}|1"
    if not expected:
        assert issues(answer) == [("error", NOT_IN, "Coding.code")]
        assert answer["message"] == (
            f"The provided code '{SITES}#{code}' was not found in the value set '{canonical}'"
        )


def test_an_excluded_value_set_is_looked_at_in_silence() -> None:
    nested = value_set("nested", imports("views"))
    views = value_set("views", {"system": VIEWS})
    asked = value_set("asked", {"system": SITES}, exclude=[imports("nested")])
    answer = validated(views, nested, asked, coding=coding("heart"))
    assert (answer["result"], issues(answer)) == (True, [])
    own = value_set("own", {"system": SITES}, exclude=[imports("inner")])
    inner = value_set("inner", imports("trunk"))
    assert issues(validated(inner, own, coding=coding("ear"))) == [
        ("error", UNKNOWN, "Coding.code"),
        ("error", NOT_IN, "Coding.code"),
    ]


def test_places_are_named_as_the_request_has_them() -> None:
    plain = validated(url="all", code="ear", system=SITES)
    assert issues(plain) == [("error", UNKNOWN, "code"), ("error", NOT_IN, "code")]
    concept = validated(url="few", codeableConcept={"coding": [coding("arm"), coding("ear")]})
    assert issues(concept) == [
        ("information", NOT_IN, "CodeableConcept.coding[1].code"),
        ("error", UNKNOWN, "CodeableConcept.coding[1].code"),
    ]
    assert (concept["result"], concept["code"]) == (False, "arm")


def test_one_coding_is_enough_for_a_codeable_concept() -> None:
    concept = {"coding": [coding("heart"), coding("leg"), coding("arm")], "text": "arm?"}
    answer = validated(url="paired", codeableConcept=concept)
    assert (answer["result"], answer["code"]) == (True, "leg")
    assert answer["codeableConcept"] == concept
    nothing = validated(url="paired", codeableConcept={"coding": [coding("heart")]})
    assert "code" not in nothing
    assert issues(nothing)[-1] == ("error", "TX_GENERAL_CC_ERROR_MESSAGE", None)


@pytest.mark.parametrize(
    ("display", "arguments", "expected"),
    [
        ("Heart", {}, []),
        ("hEART", {}, []),
        ("Herz", {}, []),  # any name will do when no language is asked for
        ("Liver", {}, [("error", WRONG_DISPLAY)]),
        ("Liver", {"lenient_display_validation": True}, [("warning", WRONG_DISPLAY)]),
        ("Herz", {"displayLanguage": "de"}, []),
        ("Herz", {"displayLanguage": "en"}, [("error", WRONG_DISPLAY)]),
        (
            "Heart",
            {"displayLanguage": "fr"},
            [("information", "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_OK")],
        ),
        (
            "Liver",
            {"displayLanguage": "fr"},
            [("error", "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_ERR")],
        ),
        (
            "Heart ",
            {},
            [("error", "Display_Name_WS_for__should_be_one_of__instead_of")],
        ),
    ],
)
def test_a_display_is_checked_against_the_names_in_the_wanted_languages(
    display: str, arguments: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    answer = validated(url="all", coding=coding("heart", display=display), **arguments)
    assert [(severity, name) for severity, name, _ in issues(answer)] == expected
    assert answer["result"] is not any(severity == "error" for severity, _ in expected)


def test_a_wrong_display_names_the_right_ones() -> None:
    answer = validated(url="all", coding=coding("heart", display="Liver"), displayLanguage="de")
    assert answer["message"] == (
        f"Wrong Display Name 'Liver' for {SITES}#heart. Valid display is 'Herz' (de)"
        " (for the language(s) 'de')"
    )
    assert answer["display"] == "Herz"


def test_names_of_supplements_and_value_sets_are_right_as_well() -> None:
    arm = coding("arm", display="Bovenarm")
    assert validated(url="all", coding=arm)["result"] is False
    assert validated(url="all", coding=arm, useSupplement=NOTES)["result"] is True
    include = listed(SITES, "arm")
    include["concept"][0]["display"] = "Bovenarm"
    assert validated(value_set("named", include), coding=arm)["result"] is True


def test_a_name_that_is_no_longer_used_is_a_warning() -> None:
    withdrawn = {
        "url": "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status",
        "valueCode": "withdrawn",
    }
    old = {
        "resourceType": "CodeSystem",
        "url": "https://example.org/old",
        "status": "active",
        "content": "complete",
        "concept": [
            {
                "code": "a",
                "display": "New",
                "designation": [{"value": "Old", "extension": [withdrawn]}],
            }
        ],
    }
    answer = validated_in_system(old, url=old["url"], code="a", display="Old")
    assert answer["result"] is True
    assert issues(answer) == [("warning", "INACTIVE_DISPLAY_FOUND", "display")]


@pytest.mark.parametrize(
    ("arguments", "result", "expected"),
    [
        ({}, True, ["INACTIVE_CONCEPT_FOUND"]),
        (
            {"activeOnly": True},
            False,
            ["STATUS_CODE_WARNING_CODE", NOT_IN, "INACTIVE_CONCEPT_FOUND"],
        ),
    ],
)
def test_an_inactive_concept_is_told_of(
    arguments: dict[str, Any], result: bool, expected: list[str]
) -> None:
    answer = validated(url="all", coding=coding("belly"), **arguments)
    assert (answer["result"], answer["inactive"], answer["status"]) == (result, True, "retired")
    assert [name for _, name, _ in issues(answer)] == expected
    assert "has a status of retired and inactive" in answer["message"]


def test_a_value_set_of_active_concepts_has_no_inactive_ones() -> None:
    active = value_set("active", {"system": SITES}, compose={"inactive": False})
    assert validated(active, coding=coding("belly"))["result"] is False
    assert validated(active, coding=coding("heart"))["result"] is True


def test_an_abstract_concept_may_be_refused() -> None:
    assert validated(url="all", coding=coding("trunk"))["result"] is True
    answer = validated(url="all", coding=coding("trunk"), abstract=False)
    assert answer["result"] is False
    assert issues(answer)[0] == ("error", "ABSTRACT_CODE_NOT_ALLOWED", "Coding.code")


def test_a_code_without_a_system_gets_it_from_the_value_set() -> None:
    asked = value_set("both", {"system": SITES}, {"system": VIEWS})
    answer = validated(asked, code="heart", inferSystem=True)
    assert (answer["result"], answer["system"]) == (True, SITES)
    twice = validated(asked, code="arm", inferSystem=True)
    assert issues(twice)[0][1] == "Unable_to_resolve_system__value_set_has_multiple_matches"
    assert f"{SITES},{VIEWS}" in twice["message"]
    never = validated(asked, code="ear", inferSystem=True)
    assert issues(never)[0] == ("error", "UNABLE_TO_INFER_CODESYSTEM", "code")
    # Codings say what they mean: nothing is inferred for them.
    assert issues(validated(asked, coding={"code": "heart"}, inferSystem=True))[0] == (
        "warning",
        "Coding_has_no_system__cannot_validate",
        "Coding",
    )


@pytest.mark.parametrize(
    ("system", "message", "parameter"),
    [
        ("https://example.org/nowhere", "UNKNOWN_CODESYSTEM", "x-unknown-system"),
        (f"{VALUE_SET}all", "Terminology_TX_System_ValueSet2", None),
        (NOTES, "CODESYSTEM_CS_NO_SUPPLEMENT", None),
        ("sites", "Terminology_TX_System_Relative", "x-unknown-system"),
    ],
)
def test_a_system_that_is_none_is_explained(
    system: str, message: str, parameter: str | None
) -> None:
    answer = validated(url="all", coding=coding("heart", system))
    assert answer["result"] is False
    assert message in {name for _, name, _ in issues(answer)}
    if parameter:
        assert answer[parameter] == system


def test_a_system_that_the_value_set_needs_leaves_the_answer_open() -> None:
    unknown = value_set("unknown", {"system": "https://example.org/nowhere"})
    answer = validated(unknown, coding=coding("a", "https://example.org/nowhere"))
    assert answer["x-caused-by-unknown-system"] == "https://example.org/nowhere"
    assert [name for _, name, _ in issues(answer)] == ["UNKNOWN_CODESYSTEM"]
    other = {"coding": [coding("a", "https://example.org/nowhere"), coding("heart")]}
    answer = validated(url="all", codeableConcept=other)
    assert answer["result"] is True
    assert ("warning", "UNKNOWN_CODESYSTEM_CODING_NOT_CHECKED") in {
        (severity, name) for severity, name, _ in issues(answer)
    }


def test_membership_alone_says_nothing_about_the_code_system() -> None:
    concept = {"coding": [coding("ear"), coding("arm", display="Leg")]}
    answer = validated(url="trunk", codeableConcept=concept, valueset_membership_only=True)
    assert {name for _, name, _ in issues(answer)} == {NOT_IN, "TX_GENERAL_CC_ERROR_MESSAGE"}


def test_a_version_that_is_not_that_of_the_value_set_is_an_error() -> None:
    pinned = value_set("pinned", {"system": SITES, "version": "1.0.0"})
    assert validated(pinned, coding=coding("arm", version="1.0.0"))["result"] is True
    answer = validated(pinned, coding=coding("arm", version="2"))
    assert issues(answer) == [
        ("error", "VALUESET_VALUE_MISMATCH", "Coding.version"),
        ("error", "UNKNOWN_CODESYSTEM_VERSION", "Coding.system"),
    ]
    assert answer["x-caused-by-unknown-system"] == f"{SITES}|2"
    loose = validated(url="all", coding=coding("arm", version="2"))
    assert issues(loose)[0] == ("warning", "VALUESET_VALUE_MISMATCH_DEFAULT", "Coding.version")


def test_case_matters_only_where_the_code_system_says_so() -> None:
    views = value_set("views", {"system": VIEWS})
    answer = validated(views, coding=coding("pa", VIEWS))
    assert (answer["result"], answer["code"], answer["normalized-code"]) == (True, "pa", "PA")
    assert ("information", "CODE_CASE_DIFFERENCE", "Coding.code") in issues(answer)
    assert validated(url="all", coding=coding("ARM"))["result"] is False


def test_an_unknown_code_of_a_fragment_may_still_be_right() -> None:
    answer = validated(value_set("views", {"system": VIEWS}), coding=coding("AP", VIEWS))
    assert answer["result"] is True
    assert ("warning", "UNKNOWN_CODE_IN_FRAGMENT", "Coding.code") in issues(answer)


def test_what_a_value_set_rests_on_is_told_when_it_is_a_draft() -> None:
    answer = validated(value_set("views", {"system": VIEWS}), coding=coding("PA", VIEWS))
    assert issues(answer) == [("information", "MSG_DRAFT", None)]
    draft = value_set("views", {"system": VIEWS}, status="draft")
    assert "issues" not in validated(draft, coding=coding("PA", VIEWS))


def test_a_code_that_the_value_set_deprecates_is_a_warning() -> None:
    include = listed(SITES, "arm")
    extension = "http://hl7.org/fhir/StructureDefinition/valueset-deprecated"
    include["concept"][0]["extension"] = [{"url": extension, "valueBoolean": True}]
    answer = validated(value_set("old", include), coding=coding("arm"))
    assert answer["result"] is True
    assert issues(answer) == [("warning", "CONCEPT_DEPRECATED_IN_VALUESET", "Coding.code")]


def test_an_import_that_is_not_here_is_an_answer_and_a_circle_is_an_error() -> None:
    broken = value_set("broken", imports("nowhere"))
    answer = validated(broken, coding=coding("arm"))
    assert (answer["result"], answer["version"]) == (False, "1.0.0")
    assert issues(answer) == [("error", "Unable_to_resolve_value_Set_", None)]
    circle = value_set("circle", imports("circle"))
    with pytest.raises(TxError) as caught:
        validated(circle, coding=coding("arm"))
    assert refusal(caught.value)[:2] == (422, "VALUESET_CIRCULAR_REFERENCE")


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ({"url": "nowhere", "coding": {"system": SITES, "code": "arm"}}, 404),
        ({"url": "all"}, 422),
        ({"url": "all", "code": "arm"}, 422),
        ({"url": "all", "coding": {"system": SITES, "code": 5}}, 400),
        ({"coding": {"system": SITES, "code": "arm"}}, 400),
        (
            {"url": "all", "coding": {"system": SITES, "code": "arm"}, "useSupplement": "x:y"},
            422,
        ),
    ],
)
def test_a_request_that_cannot_be_answered_is_refused(
    arguments: dict[str, Any], status: int
) -> None:
    with pytest.raises(TxError) as caught:
        validated(**arguments)
    assert caught.value.status == status


def test_a_filter_without_a_value_is_refused_before_any_code_is_looked_at() -> None:
    broken = value_set("broken", {"system": SITES, "filter": [{"property": "side", "op": "="}]})
    with pytest.raises(TxError) as caught:
        validated(broken, coding=coding("arm"))
    assert caught.value.outcome()["issue"][0]["expression"] == [
        "ValueSet.compose.include[0].filter[0]"
    ]


@pytest.mark.parametrize(
    ("arguments", "result", "expected"),
    [
        ({"url": SITES, "code": "arm"}, True, []),
        ({"url": SITES, "code": "ear"}, False, [UNKNOWN]),
        ({"url": SITES, "version": "1.x", "code": "arm"}, True, []),
        ({"url": SITES, "version": "2", "code": "arm"}, False, ["UNKNOWN_CODESYSTEM_VERSION"]),
        ({"coding": {"system": SITES, "code": "arm", "display": "Leg"}}, False, [WRONG_DISPLAY]),
        ({"coding": {"code": "arm"}}, False, ["Coding_has_no_system__cannot_validate"]),
        ({"codeableConcept": {"coding": [{"system": SITES, "code": "arm"}]}}, True, []),
        ({"url": "https://example.org/no", "code": "arm"}, False, ["UNKNOWN_CODESYSTEM"]),
        ({"url": f"{VALUE_SET}all", "code": "a"}, False, ["Terminology_TX_System_ValueSet2"]),
    ],
)
def test_a_code_is_validated_in_its_code_system(
    arguments: dict[str, Any], result: bool, expected: list[str]
) -> None:
    answer = validated_in_system(**arguments)
    assert answer["result"] is result
    assert [name for _, name, _ in issues(answer)] == expected


def test_a_code_system_may_come_with_the_request() -> None:
    inline = {"resourceType": "CodeSystem", "url": "https://example.org/own", "status": "active"}
    inline |= {"content": "complete", "concept": [{"code": "x", "display": "X"}]}
    answer = validated_in_system(codeSystem=inline, code="x")
    assert (answer["result"], answer["display"]) == (True, "X")
