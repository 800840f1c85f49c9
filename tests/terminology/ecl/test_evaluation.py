import pytest

from terminology.ecl import evaluate, parse, select
from terminology.errors import EclError
from terminology.identifiers import sctid_problem
from terminology.release.dialects import ALIASES

from . import release as made_up
from .release import (
    ASSOCIATED,
    HISTORICAL,
    LISTED,
    MAP,
    NAME,
    PLAIN,
    SAME_AS,
    SIMPLE,
    SITE,
    STRENGTH,
    US,
)

LIVER, DISEASE = "10200004", "64572001"


def codes(constraint, index):
    return set(index.codes(evaluate(constraint, index)))


# Constraints and totals over the RF2 subset from the tests of HL7's FHIR Terminology Ecosystem IG
# 1.9.3 (CC0-1.0).
@pytest.mark.parametrize(
    ("constraint", "count"),
    [
        (f"< {LIVER}", 309),
        (f"<< {LIVER}", 310),
        (f"<! {LIVER}", 4),
        (f"<<! {LIVER}", 5),
        (f"> {LIVER}", 19),
        (f">> {LIVER}", 20),
        (f">! {LIVER}", 2),
        (f">>! {LIVER}", 3),
        (f"<< {LIVER} |Liver structure (body structure)|", 310),
        (f"{LIVER} |Lever structure|", 1),
        (f"< {DISEASE} : 363698007 = << {LIVER}", 661),
        (f"< {DISEASE} : 116676008 = 20946005", 2),
        (f"< {DISEASE} : 363698007 = *", 708),
        (f"< {DISEASE} : {{ 363698007 = << {LIVER}, 116676008 = 20946005 }}", 0),
        (f"< {DISEASE} : [1..1] 363698007 = << {LIVER}", 573),
        (f"< {DISEASE} : [1..1] {{ [1..1] 363698007 = << {LIVER} }}", 573),
        (f"< {DISEASE} : {{ [1..1] 363698007 = << {LIVER} }}", 661),
        (f"< {DISEASE} . 363698007", 105),
        ("*", 2251),
        (f"* MINUS << {LIVER}", 1941),
        (f"<< 128045006 AND << {DISEASE}", 1),
        (f"<< 128045006 OR << {LIVER}", 311),
        (f"(<< {LIVER} OR << 128045006) AND << {DISEASE}", 1),
        ("^ 900000000000526001", 1),
        (f"^ {LIVER}", 0),
        ("* {{ C active = 0 }}", 4),
        ("* {{ C active = 1 }}", 2251),
        (f"!!> (<< {LIVER})", 1),
    ],
)
def test_the_rf2_subset_gives_the_published_totals(subset, constraint, count):
    assert len(evaluate(constraint, subset)) == count


def test_members_are_found_where_the_row_is_active_although_the_concept_is_not(subset):
    (member,) = evaluate("^ 900000000000526001", subset)
    assert not subset.is_active(member)


@pytest.mark.parametrize(
    ("constraint", "position", "message"),
    [
        ("< 99999999", 2, "check digit"),
        ("<< 64033007", 3, "unknown concept '64033007'"),
        (f"{PLAIN[0]} OR 64033007", 16, "unknown concept"),
        (f"* : {SITE} = 64033007", 16, "unknown concept"),
        (f"{PLAIN[0]} : {SITE} = {PLAIN[1]} OR {SITE} = 64033007", 55, "unknown concept"),
        ("LOINC#54486-6", 0, "unknown alternate identifier 'LOINC#54486-6'"),
        ("* {{ dialect = en-zz }}", 15, "unknown dialect 'en-zz'"),
        ("* {{ dialect = en-au }}", 15, "which the release lacks"),
        (f"* {{{{ dialect = en-us ({PLAIN[0]}) }}}}", 22, "is no acceptability"),
        (f"^ [mapTarget] {SIMPLE}", 0, "has a field 'mapTarget'"),
        (f'^ {SIMPLE} {{{{ M mapTarget = "x" }}}}', 21, "has a field 'mapTarget'"),
        (f"^ [mapTarget] {MAP}", 0, "'mapTarget' .* holds no concepts"),
        (f"^ [mapGroup] {MAP}", 0, "'mapGroup' .* holds no concepts"),
        (f"^ [referencedComponentId, mapTarget] {MAP}", 0, "several fields"),
        (f"< ^ [*] {MAP}", 2, "several fields"),
        (f"^ {MAP} {{{{ M mapTarget = #1 }}}}", 21, "compared with a number"),
        (f'^ {MAP} {{{{ M mapGroup = "1" }}}}', 21, "compared with a text"),
        (f"^ {MAP} {{{{ M correlationId = #1 }}}}", 21, "compared with a number"),
        (f"* : R {STRENGTH} = #1", 6, "a reversed attribute"),
    ],
)
def test_what_the_release_cannot_answer_is_an_error_with_its_place(
    index, constraint, position, message
):
    with pytest.raises(EclError, match=message) as caught:
        evaluate(constraint, index)
    assert caught.value.position == position


def test_an_error_in_a_tree_has_no_position(index):
    with pytest.raises(EclError, match="unknown concept") as caught:
        evaluate(parse("<< 64033007"), index)
    assert caught.value.position is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f"* : {SITE} = *", f"* : [1..*] {SITE} = *"),
        (f"* : {{ {SITE} = * }}", f"* : [1..*] {{ [1..*] {SITE} = * }}"),
        (f"* : [0..*] {SITE} = *", "*"),
        (f"* : [0..0] {SITE} = *", f"* MINUS (* : {SITE} = *)"),
        (f"* : [0..1] {SITE} = *", f"* MINUS (* : [2..*] {SITE} = *)"),
        (f"* : [0..0] {{ [2..*] {SITE} = * }}", f"* MINUS (* : {{ [2..*] {SITE} = * }})"),
        (f"* : R {SITE} = *", f"* . {SITE}"),
        (f"* : {SITE} != {PLAIN[5]}", f"* : {SITE} = (* MINUS {PLAIN[5]})"),
        (f"* : {SITE} != *", f"{PLAIN[0]} MINUS {PLAIN[0]}"),
        ("!!> *", "* MINUS < *"),
        (f"!!< (< {PLAIN[0]})", f"(< {PLAIN[0]}) MINUS > (< {PLAIN[0]})"),
        ("<< *", "*"),
        (">> *", "*"),
        ("< *", "* MINUS 138875005"),
        (">! *", "> *"),
        (f"* : {STRENGTH} = #2.5", f"* : {STRENGTH} = #2.50"),
        (f"* : {STRENGTH} = *", f"* : {STRENGTH} > #-100"),
        (f"* : {LISTED} = true", f"* : {LISTED} != false"),
        (f"^ [referencedComponentId] {SIMPLE}", f"^ {SIMPLE}"),
        (f"{PLAIN[2]} {{{{ + HISTORY }}}}", f"{PLAIN[2]} {{{{ + HISTORY-MAX }}}}"),
        (f"{PLAIN[2]} {{{{ + HISTORY }}}}", f"{PLAIN[2]} {{{{ + HISTORY (*) }}}}"),
        (f"{PLAIN[2]} {{{{ + HISTORY }}}}", f"{PLAIN[2]} {{{{ + HISTORY (< {HISTORICAL}) }}}}"),
        (f"(< {PLAIN[0]}) {{{{ + HISTORY-MIN }}}}",
         f"< {PLAIN[0]} OR ^ {SAME_AS} {{{{ M targetComponentId = < {PLAIN[0]} }}}}"),
        ('* {{ term = "heart" }}', '* {{ D term = match:"HEART" }}'),
        ('* {{ term = "hea lef" }}', '* {{ term = "lef", term = "hea" }}'),
        ('* {{ term = ("hea" "liv") }}', '* {{ term = "hea" }} OR * {{ term = "liv" }}'),
        ("* {{ dialect = en-us }}", f"* {{{{ dialectId = {US} }}}}"),
        ("* {{ dialect = en-us (prefer accept) }}", "* {{ dialect = en-us }}"),
        ("* {{ dialect = (en-us en-gb) (prefer) }}",
         "* {{ dialect = (en-us (prefer) en-gb (prefer)) }}"),
        ("* {{ dialect = (en-us (prefer)) (accept) }}", "* {{ dialect = en-us (prefer) }}"),
        (
            f"* {{{{ dialectId = ({US} (prefer)) (accept) }}}}",
            "* {{ dialect = en-us (prefer) }}",
        ),
        (
            '* {{ C effectiveTime <= ("20150731" "20200131") }}',
            '* {{ C effectiveTime <= "20200131" }}',
        ),
        (
            '* {{ C effectiveTime >= ("20150731" "20200131") }}',
            '* {{ C effectiveTime >= "20150731" }}',
        ),
        ("* {{ type = fsn }}", "* {{ typeId = 900000000000003001 }}"),
        ("* {{ C definitionStatus = defined }}", "* {{ C definitionStatus != primitive }}"),
    ],
)  # fmt: skip
def test_constraints_that_mean_the_same(index, one, other):
    assert codes(one, index) == codes(other, index)


def test_a_supplement_follows_historical_associations_only(index):
    found = codes(f"< {PLAIN[0]} {{{{ + HISTORY }}}}", index)
    added = found - codes(f"< {PLAIN[0]}", index)
    assert added
    assert not any(index.is_active(index.ordinal(code)) for code in added)
    by_name = codes(f"{PLAIN[0]} {{{{ + HISTORY ({ASSOCIATED}) }}}}", index)
    assert by_name == {PLAIN[0]} | codes(
        f"^ {ASSOCIATED} {{{{ M targetComponentId = {PLAIN[0]} }}}}", index
    )


@pytest.mark.parametrize("written", ["Lab#54486-6", "LAB#54486-6", '"lab#54486-6" |x|'])
def test_an_alternate_identifier_names_its_concept(index, written):
    assert codes(written, index) == {PLAIN[3]}
    assert codes(f"<! {written}", index) == codes(f"<! {PLAIN[3]}", index)


@pytest.mark.parametrize("code", sorted(set(ALIASES.values())))
def test_dialects_are_identifiers_of_concepts(code):
    assert sctid_problem(code) is None


def test_a_letter_is_found_by_the_two_that_spell_it_in_words_and_between_wildcards(example):
    (one,) = codes('* {{ term = "oehr" }}', example)
    for term in ('"oeh"', '"ohr"', 'wild:"*oehr*"', 'wild:"*ohr"', 'wild:"*OEHR"', '"öhr"'):
        assert codes(f"* {{{{ term = {term} }}}}", example) == {one}, term


def test_a_group_is_no_group_0(index):
    grouped = codes(f"* : {{ {made_up.LATERALITY} = * }}", index)
    assert not grouped
    assert codes(f"* : {made_up.LATERALITY} = *", index)


def test_texts_of_attributes_are_case_sensitive(index):
    assert codes(f'* : {NAME} = "PANADOL"', index).isdisjoint(
        codes(f'* : {NAME} = "panadol"', index)
    )
    assert codes(f'* : {NAME} = wild:"panadol*"', index) == codes(
        f'* : {NAME} = "forte panadol"', index
    )


@pytest.mark.parametrize("value", ['!= "x"', '= wild:"*"', "!= true"])
def test_a_number_is_neither_text_nor_truth_value(index, value):
    assert codes(f"* : {STRENGTH} = *", index)
    assert not codes(f"* : {STRENGTH} {value}", index)


def test_the_answer_is_the_callers_own(index):
    evaluate("*", index).clear()
    assert len(evaluate("*", index)) == len(index.rooted)


def test_rows_of_members_are_selected_by_field(index, naive):
    fields, rows = select(f"^ [referencedComponentId, mapGroup, mapTarget] {MAP}", index)
    assert fields == ("referencedComponentId", "mapGroup", "mapTarget")
    expected = {
        (row["referencedComponentId"], int(row["mapGroup"]), row["mapTarget"])
        for row in naive.members[MAP]
        if row["active"] == "1"
    }
    assert set(rows) == expected
    assert len(rows) == len(expected)


def test_all_fields_are_selected_by_the_wildcard(index):
    fields, rows = select(f'^ [*] {MAP} {{{{ M mapTarget = "I21" }}}}', index)
    assert fields == (
        "referencedComponentId", "mapGroup", "mapPriority", "mapRule", "mapAdvice", "mapTarget",
        "correlationId",
    )  # fmt: skip
    assert rows
    assert {row[5] for row in rows} == {"I21"}


def test_any_other_constraint_selects_its_codes(index):
    assert select(f"<! {PLAIN[0]}", index) == (
        ("referencedComponentId",),
        [(code,) for code in index.codes(evaluate(f"<! {PLAIN[0]}", index))],
    )
