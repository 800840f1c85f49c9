"""Expressions over the RF2 subset of HL7's terminology tests, and what its definitions entail.

Expressions, displays and messages in the first tables are facts from the tests of HL7's FHIR
Terminology Ecosystem IG 1.9.3 (CC0-1.0).
"""

import pytest

from terminology.expressions import (
    compare,
    describe,
    equivalent_concept,
    is_valid,
    parents,
    parse,
    subsumes,
    supertypes,
    validate,
)
from terminology.expressions.logic import logic

NO_ATTRIBUTE = "is not valid in this context (must be a descendent of one of 410662002,106237007)"


@pytest.mark.parametrize(
    "text",
    [
        "10200004 |Liver structure| : 272741003 |Laterality| = 24028007 |Right|",
        "85562004 |Hand structure| : 272741003 |Laterality| = 24028007 |Right|",
        "64572001 |Disease| : 363698007 |Finding site| = 10200004 |Liver structure|",
        "64572001 : { 363698007 = 10200004, 116676008 = 20946005 }",
        "128241005:{363698007=181268008}",
        "367430006:{272741003=24028007}",
    ],
)
def test_expressions_that_are_valid(subset, text):
    assert is_valid(validate(text, subset))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("367430006:{272741003=240280071}", "Concept 240280071 not found"),
        (
            "367430006:{24028007=272741003}",
            f"Concept 24028007 {NO_ATTRIBUTE}",
        ),
    ],
)
def test_expressions_that_are_refused_in_fixed_words(subset, text, message):
    assert [one.text for one in validate(text, subset)] == [message]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("64572001:{363698007=64572001}", "range"),
        ("10200004:{363698007=10200004}", "domain"),
        ("39607008:272741003=10200004", "range"),
        ("64572001:{363698007=10200004,363698007=85562004}", "group-cardinality"),
    ],
)
def test_what_the_concept_model_forbids(subset, text, rule):
    assert [one.rule for one in validate(text, subset) if one.severity == "error"] == [rule]


def test_the_display_has_the_terms_of_the_release(subset):
    text = "367430006:{272741003=24028007}"
    assert describe(parse(text), subset) == (
        "367430006|Repair of tendon of hand|:{272741003|Laterality|=24028007|Right|}"
    )


def test_the_hierarchy_follows_from_the_definitions(subset):
    """What the release's classifier found, the structural test finds; and the other way round."""
    reasoner = logic(subset)
    concepts = list(subset.rooted)
    forms = {one: reasoner.concept_form(one) for one in concepts}
    defined = [one for one in concepts if reasoner.is_defined(one)]
    assert len(defined) > 600
    checked = 0
    for concept in defined[::7]:
        below = subset.descendants(concept)
        found = {one for one in concepts if reasoner.subsumes(forms[concept], forms[one])}
        assert found == {concept, *below}
        checked += len(below)
    assert checked > 500


def test_supertypes_are_all_concepts_that_subsume(subset):
    for text in (
        "10200004:272741003=24028007",
        "64572001:{363698007=10200004,116676008=409774005}",
        "128241005:363698007=181268008",
        "64572001:363698007=(10200004:272741003=24028007)",
        "197271008+128241005",
    ):
        every = {one for one in subset.rooted if subsumes(subset.code(one), text, subset)}
        assert set(supertypes(text, subset)) == every


def test_a_written_definition_equals_the_concept(subset):
    reasoner = logic(subset)
    wanted = [one for one in subset.rooted if reasoner.is_defined(one) and subset.attributes(one)][
        ::29
    ]
    for concept in wanted:
        groups: dict[int, list[str]] = {}
        for one in subset.attributes(concept):
            value = subset.code(one.value) if isinstance(one.value, int) else str(one.value)
            groups.setdefault(one.group, []).append(f"{subset.code(one.type)}={value}")
        loose = groups.pop(0, [])
        parts = loose + ["{" + ",".join(group) + "}" for group in groups.values()]
        focus = "+".join(subset.codes(parents(subset.code(concept), subset)))
        text = f"==={focus}:{','.join(parts)}"
        assert equivalent_concept(text, subset) == concept
        assert compare(text, subset.code(concept), subset) == "equivalent"
