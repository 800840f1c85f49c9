"""ValueSet/$expand over code systems that are resources."""

from __future__ import annotations

from typing import Any

import pytest

from api.tx.context import Limits
from api.tx.errors import TxError
from tests.api.tx.sites import (
    EXTENSION,
    NOTES,
    SITES,
    VALUE_SET,
    VIEWS,
    by,
    codes,
    expanded,
    imports,
    listed,
    parameter_values,
    refusal,
    value_set,
)

ALL = ["trunk", "chest", "heart", "lung", "belly", "limb", "arm", "leg"]


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        ({"system": SITES}, ALL),
        (listed(SITES, "leg", "nowhere", "arm"), ["leg", "arm"]),
        (by("concept", "is-a", "chest"), ["chest", "heart", "lung"]),
        (by("concept", "descendent-of", "chest"), ["heart", "lung"]),
        (by("concept", "is-not-a", "trunk"), ["limb", "arm", "leg"]),
        (by("concept", "child-of", "trunk"), ["chest", "belly"]),
        (by("concept", "generalizes", "heart"), ["trunk", "chest", "heart"]),
        (by("concept", "descendent-leaf", "trunk"), ["heart", "lung", "belly"]),
        (by("code", "in", "arm, leg, nowhere"), ["arm", "leg"]),
        (by("code", "not-in", "trunk,limb,arm"), ["chest", "heart", "lung", "belly", "leg"]),
        (by("code", "=", "arm"), ["arm"]),
        (by("code", "regex", "l.*"), ["lung", "limb", "leg"]),
        (by("code", "regex", "e.*"), []),  # a filter matches from the start to the end
        (by("display", "regex", ".*r.*"), ["trunk", "heart", "arm"]),
        (by("side", "=", "paired"), ["lung", "arm", "leg"]),
        (by("side", "exists", "false"), ["trunk", "chest", "heart", "belly", "limb"]),
        (by("side", "not-in", "paired"), ["trunk", "chest", "heart", "belly", "limb"]),
        (by("rank", "=", "2"), ["leg"]),
        (by("group", "=", "true"), ["trunk"]),
        (by("status", "=", "retired"), ["belly"]),
        (by("inactive", "=", "true"), ["belly"]),
        (by("child", "exists", "true"), ["trunk", "chest", "limb"]),
        (by("parent", "=", "chest"), ["heart", "lung"]),
    ],
)
def test_an_include_holds_what_its_list_or_filter_says(include: Any, expected: list[str]) -> None:
    assert codes(value_set("asked", include)) == expected


@pytest.mark.parametrize(
    ("include", "message"),
    [
        (by("colour", "=", "red"), "FILTER_NOT_UNDERSTOOD"),
        (by("concept", "sounds-like", "arm"), "FILTER_NOT_UNDERSTOOD"),
        (by("side", "is-a", "arm"), "FILTER_NOT_UNDERSTOOD"),
        (by("code", "regex", "(a"), "INVALID_REGEX"),
        (by("code", "regex", "(?=a)b"), "INVALID_REGEX"),  # look-around could hang
        (by("concept", "is-a", ""), "UNABLE_TO_HANDLE_SYSTEM_FILTER_WITH_NO_VALUE"),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(include: Any, message: str) -> None:
    with pytest.raises(TxError) as caught:
        expanded(value_set("asked", include))
    assert refusal(caught.value)[:2] == (400, message)


def test_a_pattern_that_backtracks_forever_elsewhere_is_answered() -> None:
    long = {"resourceType": "CodeSystem", "url": "https://example.org/long", "status": "active"}
    long |= {"content": "complete", "concept": [{"code": "a" * 5000 + "!"}]}
    assert codes(long, value_set("asked", by("code", "regex", "(a+)+", long["url"]))) == []


def test_parts_of_an_include_are_intersected_and_includes_are_joined() -> None:
    both = {**by("concept", "is-a", "trunk"), **imports("paired", "all")}
    assert codes(value_set("asked", both)) == ["lung"]
    assert codes(value_set("asked", imports("trunk", "paired"))) == ["lung"]
    assert codes(value_set("asked", listed(SITES, "leg"), imports("paired"))) == [
        "leg",
        "lung",
        "arm",
    ]


@pytest.mark.parametrize(
    ("exclude", "expected"),
    [
        (listed(SITES, "arm"), ["lung", "leg"]),
        (by("concept", "is-a", "limb"), ["lung"]),
        (imports("trunk"), ["arm", "leg"]),
        ({"system": SITES}, []),
        (listed(VIEWS, "arm"), ["lung", "arm", "leg"]),
        ({**listed(SITES, "arm", "lung"), **imports("trunk")}, ["arm", "leg"]),
    ],
)
def test_what_an_exclude_holds_is_taken_away(exclude: Any, expected: list[str]) -> None:
    assert codes(value_set("asked", by("side", "=", "paired"), exclude=[exclude])) == expected


def test_contained_value_sets_are_found_by_their_id() -> None:
    inner = value_set("inner", listed(SITES, "leg")) | {"id": "part"}
    outer = value_set("asked", {"valueSet": ["#part"]}, contained=[inner])
    answer = expanded(outer)
    assert [c["code"] for c in answer["expansion"]["contains"]] == ["leg"]
    assert parameter_values(answer, "used-valueset") == []


def test_value_sets_that_import_one_another_are_refused_with_their_path() -> None:
    one = value_set("one", {"system": SITES}, imports("two"))
    two = value_set("two", {"system": SITES}, exclude=[imports("one")])
    with pytest.raises(TxError) as caught:
        expanded(two, one)
    status, message, text = refusal(caught.value)
    assert (status, message) == (422, "VALUESET_CIRCULAR_REFERENCE")
    assert f"[{VALUE_SET}one|1, {VALUE_SET}two|1, {VALUE_SET}one|1]" in text


def test_imports_deeper_than_the_limit_are_refused() -> None:
    chain = [value_set(f"n{i}", imports(f"n{i + 1}")) for i in range(4)]
    end = value_set("n4", {"system": SITES})
    with pytest.raises(TxError, match="More than 3 value sets"):
        expanded(end, *chain, url="n0", limits=Limits(depth=3))


def test_an_unknown_import_or_code_system_is_named() -> None:
    with pytest.raises(TxError) as caught:
        expanded(value_set("asked", imports("nowhere")))
    assert refusal(caught.value)[1] == "VS_EXP_IMPORT_UNK"
    with pytest.raises(TxError) as caught:
        expanded(value_set("asked", {"system": SITES, "version": "9"}))
    assert refusal(caught.value)[2] == (
        f"A definition for CodeSystem '{SITES}' version '9' could not be found, so the value set"
        " cannot be expanded. Valid versions: 1.0.0"
    )
    with pytest.raises(TxError) as caught:
        expanded(url="nowhere")
    assert refusal(caught.value)[:2] == (404, "Unable_to_resolve_value_Set_")


def test_a_tree_is_shown_unless_something_speaks_against_it() -> None:
    def roots(*resources: Any, **arguments: Any) -> list[str]:
        entries = expanded(*resources, **arguments)["expansion"]["contains"]
        return [entry["code"] for entry in entries]

    assert roots(url="all") == ["trunk", "limb"]
    assert roots(url="all", excludeNested=True) == ALL
    assert roots(url="all", count=3) == ["trunk", "chest", "heart"]
    assert roots(url="all", count=100) == ["trunk", "limb"]
    assert roots(value_set("asked", imports("all"))) == ALL
    # What lies between is left out; the rest hangs on the nearest concept that is there.
    without = value_set("asked", {"system": SITES}, exclude=[by("code", "=", "trunk")])
    assert roots(without) == ["chest", "belly", "limb"]


def test_a_concept_with_two_parents_makes_the_expansion_flat() -> None:
    poly = {"resourceType": "CodeSystem", "url": "https://example.org/poly", "status": "active"}
    poly |= {"content": "complete", "property": [{"code": "subsumedBy", "type": "code"}]}
    poly["concept"] = [
        {"code": "a"},
        {"code": "b"},
        {
            "code": "ab",
            "property": [
                {"code": "subsumedBy", "valueCode": "a"},
                {"code": "subsumedBy", "valueCode": "b"},
            ],
        },
    ]
    answer = expanded(poly, value_set("asked", {"system": poly["url"]}))
    assert [entry["code"] for entry in answer["expansion"]["contains"]] == ["a", "b", "ab"]
    isa = value_set("asked", by("concept", "is-a", "b", poly["url"]))
    assert codes(poly, isa) == ["b", "ab"]


@pytest.mark.parametrize(
    ("offset", "count", "expected"),
    [(0, 2, ["lung", "arm"]), (1, 1, ["arm"]), (2, 9, ["leg", "PA"]), (9, 9, []), (0, 0, [])],
)
def test_a_page_is_cut_out_across_code_systems(
    offset: int, count: int, expected: list[str]
) -> None:
    asked = value_set("asked", by("side", "=", "paired"), listed(VIEWS, "PA"))
    assert codes(asked, offset=offset, count=count) == expected
    answer = expanded(asked, offset=offset, count=count)["expansion"]
    assert (answer["total"], answer["offset"]) == (4, offset)


def test_an_expansion_beyond_the_limit_is_too_costly_but_its_pages_are_not() -> None:
    limits = Limits(expansion=3)
    with pytest.raises(TxError) as caught:
        expanded(url="all", limits=limits)
    assert refusal(caught.value) == (
        422,
        "VALUESET_TOO_COSTLY",
        f"The value set '{VALUE_SET}all|1' expansion has too many codes to produce (>3)",
    )
    assert expanded(url="all", count=3, limits=limits)["expansion"]["total"] == 8


def test_what_a_text_finds_in_a_whole_code_system_stays_a_tree() -> None:
    whole = expanded(url="all", filter="lun")["expansion"]["contains"]
    assert [one["code"] for one in whole] == ["lung"]
    inside = expanded(url="all", filter="l")["expansion"]["contains"]
    (limb,) = [one for one in inside if one["code"] == "limb"]
    assert [one["code"] for one in limb["contains"]] == ["leg"]
    part = expanded(value_set("limbs", by("concept", "is-a", "limb")), filter="l")
    assert part["expansion"]["contains"] == [limb]


def test_the_text_filter_ranks_by_fit_and_counts_all() -> None:
    assert codes(url="all", filter="lim") == ["limb"]
    assert codes(url="all", filter="L", count=1) == ["leg"]
    assert codes(url="all", filter="herz") == ["heart"]
    assert codes(url="all", filter="zzz") == []
    names = listed(SITES, "arm")
    names["concept"][0]["display"] = "Brachium"
    assert codes(value_set("asked", names), filter="brach") == ["arm"]


def test_inactive_and_unselectable_concepts_are_left_out_on_request() -> None:
    assert "belly" not in codes(url="all", activeOnly=True)
    assert (
        codes(value_set("asked", {"system": SITES}, compose={"inactive": False})).count("belly")
        == 0
    )
    assert "trunk" not in codes(url="all", excludeNotForUI=True)
    shown = expanded(url="few")["expansion"]["contains"]
    assert shown[2] == {
        "system": SITES,
        "code": "belly",
        "display": "Belly",
        "inactive": True,
        "property": [{"code": "status", "valueCode": "retired"}],
    }


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (None, ["Heart", "Lung"]),
        ("de", ["Herz", "Lung"]),
        ("de-CH", ["Herz", "Lung"]),
        ("fr, de;q=0.5", ["Herz", "Lung"]),
        ("en, de", ["Heart", "Lung"]),
        ("de, *;q=0", ["Herz", None]),
    ],
)
def test_displays_are_in_the_wanted_language(
    language: str | None, expected: list[str | None]
) -> None:
    asked = {} if language is None else {"displayLanguage": language}
    answer = expanded(value_set("asked", listed(SITES, "heart", "lung")), **asked)
    assert [entry.get("display") for entry in answer["expansion"]["contains"]] == expected


def test_designations_are_those_that_the_display_is_not() -> None:
    heart = value_set("asked", listed(SITES, "heart"))
    entry = expanded(heart, includeDesignations=True)["expansion"]["contains"][0]
    assert entry["designation"] == [{"language": "de", "value": "Herz"}]
    entry = expanded(heart, includeDesignations=True, displayLanguage="de")["expansion"]
    assert [d["value"] for d in entry["contains"][0]["designation"]] == ["Heart"]
    entry = expanded(heart, includeDesignations=True, designation="urn:ietf:bcp:47|fr")
    assert "designation" not in entry["expansion"]["contains"][0]


def test_properties_are_declared_where_concepts_have_them() -> None:
    answer = expanded(url="paired", property=["side", "rank", "definition"])["expansion"]
    assert answer["property"] == [
        {"code": "side", "uri": "https://example.org/side"},
        {"code": "rank"},
    ]
    assert answer["contains"][-1]["property"] == [
        {"code": "side", "valueCode": "paired"},
        {"code": "rank", "valueInteger": 2},
    ]


def test_the_definition_of_the_value_set_comes_on_request() -> None:
    plain = value_set("asked", {"system": SITES}, description="Why", text={"div": "…"})
    assert "compose" not in expanded(plain)
    assert expanded(plain, includeDefinition=True)["description"] == "Why"
    assert "text" not in expanded(plain, includeDefinition=True)


def test_parameters_echo_the_request_and_name_what_was_used() -> None:
    answer = expanded(value_set("asked", imports("paired"), {"system": VIEWS}), filter="a", count=5)
    assert [(p["name"], list(p.values())[1]) for p in answer["expansion"]["parameter"]] == [
        ("filter", "a"),
        ("count", 5),
        ("used-codesystem", f"{SITES}|1.0.0"),
        ("used-valueset", f"{VALUE_SET}paired|1"),
        ("warning-draft", f"{VIEWS}|2"),
        ("used-codesystem", f"{VIEWS}|2"),
        ("used-fragment", f"{VIEWS}|2"),
    ]


def test_an_expansion_of_a_fragment_says_that_it_is_open() -> None:
    answer = expanded(value_set("asked", {"system": VIEWS}))["expansion"]
    assert [e["url"].removeprefix(EXTENSION) for e in answer["extension"]] == [
        "valueset-unclosed",
        "valueset-unclosed-reason",
    ]


def test_supplements_add_names_and_properties() -> None:
    arm = value_set("asked", listed(SITES, "arm"))
    asked = {"useSupplement": NOTES, "displayLanguage": "nl", "property": "note"}
    answer = expanded(arm, **asked)
    assert answer["expansion"]["contains"][0]["display"] == "Bovenarm"
    assert answer["expansion"]["contains"][0]["property"] == [
        {"code": "note", "valueString": "humerus"}
    ]
    assert parameter_values(answer, "used-supplement") == [f"{NOTES}|3"]
    assert codes(value_set("asked", by("note", "regex", "hum.*")), useSupplement=NOTES) == ["arm"]
    assert codes(url="all", useSupplement=NOTES, filter="boven") == ["arm"]


def test_a_supplement_that_is_not_here_is_an_error() -> None:
    with pytest.raises(TxError) as caught:
        expanded(url="all", useSupplement=f"{NOTES}|9")
    assert refusal(caught.value) == (
        422,
        "VALUESET_SUPPLEMENT_MISSING",
        f"Required supplement not found: {NOTES}|9",
    )


def test_a_value_set_may_bring_its_own_expansion_parameters() -> None:
    own = {
        "url": f"{EXTENSION}valueset-expansion-parameter",
        "extension": [
            {"url": "name", "valueCode": "displayLanguage"},
            {"url": "value", "valueCode": "de"},
        ],
    }
    asked = value_set("asked", listed(SITES, "heart"), compose={"extension": [own]})
    assert expanded(asked)["expansion"]["contains"][0]["display"] == "Herz"
    answer = expanded(asked, displayLanguage="en")
    assert answer["expansion"]["contains"][0]["display"] == "Heart"
    assert parameter_values(answer, "displayLanguage") == ["en"]


def version(number: str, *names: str) -> dict[str, Any]:
    """Return a version of another small code system."""
    return {
        "resourceType": "CodeSystem",
        "url": "https://example.org/versions",
        "version": number,
        "status": "active",
        "content": "complete",
        "concept": [{"code": name} for name in names],
    }


@pytest.mark.parametrize(
    ("stated", "asked", "expected", "echoed"),
    [
        (None, {}, ["new"], None),
        (None, {"system_version": "1.2"}, ["old"], "system-version"),
        ("1.10", {"system_version": "1.2"}, ["new"], None),
        ("1.x", {}, ["new"], None),
        ("1.10", {"force_system_version": "1.2"}, ["old"], "force-system-version"),
        (None, {"check_system_version": "1.2"}, ["old"], "check-system-version"),
    ],
)
def test_version_rules_choose_the_code_system(
    stated: str | None, asked: dict[str, str], expected: list[str], echoed: str | None
) -> None:
    url = "https://example.org/versions"
    include = {"system": url} | ({"version": stated} if stated else {})
    rules = {name: f"{url}|{number}" for name, number in asked.items()}
    resources = (version("1.2", "old"), version("1.10", "new"), value_set("asked", include))
    assert codes(*resources, **rules) == expected
    if echoed:
        answer = expanded(*resources, **rules)
        assert parameter_values(answer, echoed) == [f"{url}|1.2"]


def test_a_checked_version_that_is_not_used_is_an_error() -> None:
    url = "https://example.org/versions"
    asked = value_set("asked", {"system": url, "version": "1.10"})
    with pytest.raises(TxError) as caught:
        expanded(version("1.10", "new"), asked, check_system_version=f"{url}|2")
    assert refusal(caught.value)[:2] == (400, "VALUESET_VERSION_CHECK")


def test_a_default_version_chooses_among_value_sets() -> None:
    old = value_set("chosen", listed(SITES, "arm")) | {"version": "1"}
    new = value_set("chosen", listed(SITES, "leg")) | {"version": "2"}
    asked = value_set("asked", imports("chosen"))
    canonical = f"{VALUE_SET}chosen|1"
    assert codes(old, new, asked) == ["leg"]
    assert codes(old, new, asked, default_valueset_version=canonical) == ["arm"]
    answer = expanded(old, new, asked, default_valueset_version=canonical)
    assert parameter_values(answer, "default-valueset-version") == [canonical]


def test_a_very_deep_tree_is_shown_flat() -> None:
    innermost: dict[str, Any] = {"code": "c0"}
    for number in range(1, 200):
        innermost = {"code": f"c{number}", "concept": [innermost]}
    deep = {"resourceType": "CodeSystem", "url": "https://example.org/deep", "status": "active"}
    deep |= {"content": "complete", "concept": [innermost]}
    answer = expanded(deep, value_set("asked", {"system": deep["url"]}))
    assert len(answer["expansion"]["contains"]) == 200


def test_exclude_system_leaves_a_code_system_out() -> None:
    asked = value_set("asked", listed(SITES, "arm"), listed(VIEWS, "PA"))
    assert codes(asked, exclude_system=VIEWS) == ["arm"]
    assert codes(asked, exclude_system=f"{VIEWS}|1") == ["arm", "PA"]


def test_a_stored_expansion_serves_where_there_is_no_definition() -> None:
    stored = {
        "resourceType": "ValueSet",
        "url": f"{VALUE_SET}stored",
        "status": "active",
        "expansion": {"contains": [{"contains": [{"system": SITES, "code": "arm"}]}]},
    }
    assert codes(stored) == ["arm"]


@pytest.mark.parametrize(
    ("resource", "place"),
    [
        ({"compose": []}, "valueSet.compose"),
        ({"compose": {"include": {}}}, "valueSet.compose.include"),
        ({"compose": {"include": [{"system": 1}]}}, "valueSet.compose.include[0].system"),
        (
            {"compose": {"include": [{"filter": [{"value": 3}]}]}},
            "valueSet.compose.include[0].filter[0].value",
        ),
    ],
)
def test_an_element_of_a_wrong_type_is_refused_by_its_place(
    resource: dict[str, Any], place: str
) -> None:
    with pytest.raises(TxError) as caught:
        expanded(valueSet={"resourceType": "ValueSet", **resource})
    assert caught.value.status == 400
    assert caught.value.outcome()["issue"][0]["expression"] == [place]
