import pytest

from terminology.expressions import ExpressionError, is_valid, validate

from .release import (
    COUNT,
    HAND_FRACTURE,
    RETIRED,
    STRENGTH,
    TABLET,
    index_in,
    write_release,
)

SITE, MORPHOLOGY = "363698007", "116676008"


def rules(text, index, severity=("error", "warning")):
    return [(one.rule, one.severity) for one in validate(text, index) if one.severity in severity]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("85562004", []),
        (RETIRED, []),
        ("85562004:272741003=7771000", []),
        ("85151006:272741003=7771000", []),
        ("39607008:272741003=7771000", []),
        (f"64572001:{{{MORPHOLOGY}=72704001,{SITE}=85562004}}", []),
        (f"64572001:{SITE}=(85562004:272741003=7771000)", []),
        (f"{HAND_FRACTURE}:{SITE}=85151006", []),
        (f"{TABLET}:{{{STRENGTH}=#1000}}", []),
        (f"{TABLET}:{COUNT}=#4", []),
        ("71388002:{405813007=85562004}", []),
        # Concepts.
        ("240280071", [("unknown-concept", "error")]),
        ("85562004:272741003=240280071", [("unknown-concept", "error")]),
        ("85562004:240280071=7771000", [("unknown-concept", "error")]),
        (f"{RETIRED}:272741003=7771000", [("inactive-concept", "error")]),
        ("85562004:24028007=272741003", [("not-an-attribute", "error")]),
        ("85562004:410662002=7771000", [("domain", "error")]),
        # Domain: a mandatory rule, an optional one, none.
        ("64572001:272741003=7771000", [("domain", "error")]),
        ("22943007:272741003=7771000", [("lateralizable", "warning")]),
        ("64572001:246112005=7771000", [("domain", "error")]),
        (
            f"64572001:{SITE}=(64572001:272741003=7771000)",
            [("range", "error"), ("domain", "error")],
        ),
        # A row for precoordinated content only is no rule here.
        ("71388002:{405813007=85562004,363704007=39607008}", [("domain", "error")]),
        # Range: concepts, numbers, text.
        ("85562004:272741003=85562004", [("range", "error")]),
        ("85562004:272741003=51440002", [("range", "warning")]),
        (f"64572001:{MORPHOLOGY}=49755003", [("range", "error")]),
        (f"64572001:{SITE}=(64572001)", [("range", "error")]),
        (f"64572001:{SITE}=(64572001:{SITE}=39607008)", [("range", "error")]),
        # A refined concept is below the concept that the range leaves out.
        (f"404684003:{MORPHOLOGY}=(49755003+72704001)", []),
        (f"404684003:{MORPHOLOGY}=(49755003:272741003=7771000)", [("domain", "error")]),
        (f"64572001:{SITE}=#5", [("range", "error")]),
        (f"{TABLET}:{STRENGTH}=#0", [("range", "error")]),
        (f"{TABLET}:{STRENGTH}=#1000.1", [("range", "error")]),
        (f'{TABLET}:{STRENGTH}="5"', [("range", "error")]),
        (f"{TABLET}:{STRENGTH}=85562004", [("range", "error")]),
        (f"{TABLET}:{COUNT}=#3", [("range", "error")]),
        (f"{TABLET}:{COUNT}=#2.0", []),
        (f"{TABLET}:{COUNT}=#2.5", [("range", "error")]),
        # Cardinality, of what is meant and not of what is written.
        ("85562004:272741003=7771000,272741003=7771000", []),
        ("85562004:272741003=7771000,272741003=24028007", [("cardinality", "error")]),
        ("85151006:272741003=24028007", [("cardinality", "error")]),
        (f"{TABLET}:{{{STRENGTH}=#1}},{{{STRENGTH}=#2}}", [("cardinality", "error")]),
        (
            f"64572001:{{{MORPHOLOGY}=72704001,{MORPHOLOGY}=23583003}}",
            [("group-cardinality", "error")],
        ),
        ("71388002:{363704007=39607008}", [("cardinality", "error"), ("domain", "error")]),
        # Grouping.
        ("85562004:{272741003=7771000}", [("grouping", "warning")]),
        (
            f"85562004:{{272741003=7771000,{SITE}=39607008}}",
            [("grouping", "error"), ("domain", "error")],
        ),
    ],
)  # fmt: skip
def test_findings(release, text, expected):
    assert rules(text, release) == expected
    assert is_valid(validate(text, release)) == all(one != "error" for _, one in expected)


def test_a_finding_says_where_and_what(release):
    (one,) = validate("85562004 : 272741003 = 240280071", release)
    assert (one.position, one.text) == (23, "Concept 240280071 not found")
    (one,) = validate("85562004 : { 24028007 = 272741003 }", release)
    assert one.position == 13
    assert one.text == (
        "Concept 24028007 is not valid in this context "
        "(must be a descendent of one of 410662002,106237007)"
    )
    (one,) = validate("85151006:272741003=24028007", release)
    assert one.text == (
        "272741003 |Laterality| has 2 values, 1 at most: 24028007 |Right|, 7771000 |Left|"
    )


def test_all_unknown_concepts_are_named_in_the_order_of_the_text(release):
    found = validate("240280071+85562005:272741003=39607009", release)
    assert [one.position for one in found] == [0, 10, 29]


def test_what_is_no_expression_is_refused(release):
    with pytest.raises(ExpressionError):
        validate("85562004:", release)


def test_a_domain_that_the_release_left_out_is_said_and_not_taken_for_empty(tmp_path):
    write_release(tmp_path, lateralizable=())
    index = index_in(tmp_path)
    (one,) = validate("64572001:272741003=7771000", index)
    assert (one.severity, one.rule) == ("information", "unchecked")
    assert "723264001" in one.text
    # The definition of the hand says that it has a side.
    assert validate("85562004:272741003=7771000", index) == ()
    # The trunk is in the mandatory domain; whether in the narrower, optional one is not known.
    (trunk,) = validate("22943007:272741003=7771000", index)
    assert (trunk.severity, trunk.rule) == ("information", "unchecked")


def test_a_domain_is_what_its_constraint_says(tmp_path):
    write_release(tmp_path, anatomy="<< 91723000 |Anatomical structure| MINUS << 22943007 |Trunk|")
    index = index_in(tmp_path)
    assert rules("85562004:272741003=7771000", index) == []
    assert rules("22943007:272741003=7771000", index) == [("domain", "error")]


@pytest.mark.parametrize(("scope", "expected"), [(False, []), (True, [("domain", "error")])])
def test_the_module_scope_says_which_rules_count(tmp_path, scope, expected):
    write_release(tmp_path, severity=True, scope=scope)
    assert rules("64572001:{246112005=7771000}", index_in(tmp_path)) == expected


def test_a_release_without_a_concept_model_says_so(tmp_path):
    write_release(tmp_path, model=False)
    index = index_in(tmp_path)
    (one,) = validate("64572001:272741003=7771000", index)
    assert (one.severity, one.rule) == ("information", "unchecked")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("85562004:272741003=7771000", []),
        ("85562004:272741003=51440002", []),
        ("85562004:272741003=66459002", []),
        ("85151006:272741003=7771000", []),
        ("85562004:{272741003=7771000}", [("grouping", "warning")]),
        ("22943007:272741003=7771000", [("lateralizable", "error")]),
        ("85151006:272741003=24028007", [("cardinality", "error")]),
        ("85562004:272741003=182353008", [("range", "error")]),
        (
            "85562004:272741003=(7771000:272741003=7771000)",
            [("range", "error"), ("lateralizable", "error")],
        ),
        ("85562004:272741003=#1", [("range", "error")]),
        ("85562004:272741003=240280071", [("unknown-concept", "error")]),
        ("85562004:7771000=272741003", [("not-an-attribute", "error")]),
        ("85562004:123005000=53120007", [("unchecked", "information")]),
    ],
)  # fmt: skip
def test_the_embedded_subset_knows_one_rule(embedded, text, expected):
    assert rules(text, embedded, ("error", "warning", "information")) == expected
