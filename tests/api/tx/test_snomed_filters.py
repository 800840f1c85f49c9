"""Filters over SNOMED CT: what a value set by intension holds, codes and expressions."""

import pytest

from api.tx.errors import TxError
from api.tx.snomed import SnomedProvider
from tests.api.tx.small_release import CONCEPTS, small_provider

HAND, LEFT_HAND, ARM, FINGER = "85562004", "85151006", "53120007", "7569003"
LIVER, LIVER_PART, CHEST, THORAX = "10200004", "119216005", "816094009", "51185008"
DISEASE, HEPATITIS, HEPATITIS_A = "64572001", "128241005", "40468003"
ON_THE_LEFT = f"{HAND}:272741003=7771000"
OF_THE_PART = f"{DISEASE}:363698007={LIVER_PART}"


@pytest.fixture(scope="module")
def sct() -> SnomedProvider:
    return small_provider()


def codes(provider: SnomedProvider, prop: str, op: str, value: str) -> set[str]:
    return {one.code for one in provider.filter(prop, op, value).iterate()}


@pytest.mark.parametrize(
    ("prop", "op", "value", "expected"),
    [
        ("concept", "is-a", HAND, {HAND, LEFT_HAND, FINGER}),
        ("code", "is-a", HAND, {HAND, LEFT_HAND, FINGER}),
        ("concept", "descendent-of", HAND, {LEFT_HAND, FINGER}),
        ("concept", "child-of", ARM, {HAND}),
        ("concept", "generalizes", HAND, {HAND, ARM, "123037004", "138875005"}),
        ("concept", "descendent-leaf", ARM, {LEFT_HAND, FINGER}),
        ("concept", "=", THORAX, {THORAX}),
        ("concept", "in", "723264001", {HAND}),
        ("concept", "in", "723264001,900000000000526001", {HAND, THORAX}),
        # Reference sets of which the release has no rows about concepts.
        ("concept", "in", "722130004", set()),
        ("concept", "in", "900000000000509007", set()),
        ("code", "in", f"{HAND}, {LIVER}", {HAND, LIVER}),
        ("concept", "in", "900000000000526001", {THORAX}),
        ("concept", "is-not-a", "138875005", {THORAX, "155729003"}),
        ("parent", "=", HAND, {LEFT_HAND, FINGER}),
        ("parent", "in", f"{HAND},{LIVER}", {LEFT_HAND, FINGER, LIVER_PART}),
        ("child", "=", HAND, {ARM}),
        ("inactive", "=", "true", {THORAX, "155729003"}),
        ("active", "=", "false", {THORAX, "155729003"}),
        ("sufficientlyDefined", "=", "true", {LEFT_HAND, HEPATITIS}),
        ("constraint", "=", f"<< {HAND} MINUS {FINGER}", {HAND, LEFT_HAND}),
        ("constraint", "=", f"< {DISEASE} : 363698007 = << {LIVER}", {HEPATITIS, HEPATITIS_A}),
        ("constraint", "=", f"{HAND} |any term|", {HAND}),
        ("363698007", "=", LIVER, {HEPATITIS, HEPATITIS_A}),
        ("http://snomed.info/id/363698007", "=", LIVER, {HEPATITIS, HEPATITIS_A}),
        ("363698007", "in", f"{LIVER},{HAND}", {HEPATITIS, HEPATITIS_A}),
        ("363698007", "exists", "true", {HEPATITIS, HEPATITIS_A}),
        ("116676008", "=", LIVER, set()),
    ],
)
def test_what_a_filter_lists(
    sct: SnomedProvider, prop: str, op: str, value: str, expected: set[str]
) -> None:
    assert codes(sct, prop, op, value) == expected


@pytest.mark.parametrize(
    ("prop", "op", "value", "rest"),
    [
        ("inactive", "=", "false", {THORAX, "155729003"}),
        ("concept", "not-in", "723264001", {HAND}),
        ("concept", "not-in", "722130004", set()),
        ("code", "not-in", f"{HAND},{LIVER}", {HAND, LIVER}),
        ("sufficientlyDefined", "=", "false", {LEFT_HAND, HEPATITIS}),
        ("363698007", "exists", "false", {HEPATITIS, HEPATITIS_A}),
        ("moduleId", "=", "900000000000207008", set()),
        ("expressions", "=", "true", set()),
        ("expressions", "=", "false", set()),
    ],
)
def test_what_a_filter_leaves_out(
    sct: SnomedProvider, prop: str, op: str, value: str, rest: set[str]
) -> None:
    assert set(CONCEPTS) - codes(sct, prop, op, value) == rest


@pytest.mark.parametrize(
    ("prop", "op", "value", "expression", "inside"),
    [
        ("concept", "is-a", HAND, ON_THE_LEFT, True),
        ("concept", "is-a", ARM, ON_THE_LEFT, True),
        ("concept", "is-a", FINGER, ON_THE_LEFT, False),
        ("concept", "is-a", LEFT_HAND, ON_THE_LEFT, True),
        ("concept", "descendent-of", HAND, ON_THE_LEFT, True),
        ("concept", "descendent-of", LEFT_HAND, ON_THE_LEFT, False),
        ("concept", "is-not-a", FINGER, ON_THE_LEFT, True),
        ("concept", "is-not-a", HAND, ON_THE_LEFT, False),
        ("concept", "=", HAND, ON_THE_LEFT, False),
        ("concept", "in", "723264001", ON_THE_LEFT, False),
        ("concept", "child-of", HAND, ON_THE_LEFT, False),
        ("concept", "generalizes", FINGER, ON_THE_LEFT, False),
        ("expressions", "=", "true", ON_THE_LEFT, True),
        ("expressions", "=", "false", ON_THE_LEFT, False),
        ("inactive", "=", "false", ON_THE_LEFT, True),
        ("inactive", "=", "true", ON_THE_LEFT, False),
        ("inactive", "=", "true", f"{THORAX}:272741003=7771000", True),
        ("active", "=", "true", f"{THORAX}:272741003=7771000", False),
        ("constraint", "=", f"<< {HAND}", ON_THE_LEFT, True),
        ("constraint", "=", f"<! {HAND}", f"{LIVER}:272741003=7771000", False),
        ("constraint", "=", f">> {FINGER}", ON_THE_LEFT, False),
        ("constraint", "=", "*", ON_THE_LEFT, True),
        ("constraint", "=", f"* MINUS << {HAND}", ON_THE_LEFT, False),
        ("constraint", "=", f"< {DISEASE} : 363698007 = << {LIVER}", OF_THE_PART, True),
        ("constraint", "=", f"< {DISEASE} : 363698007 = << {HAND}", OF_THE_PART, False),
        ("constraint", "=", f"< {DISEASE} : {{ 363698007 = << {LIVER} }}", OF_THE_PART, True),
        ("363698007", "=", LIVER_PART, OF_THE_PART, True),
        ("363698007", "=", HAND, OF_THE_PART, False),
    ],
)
def test_which_expressions_belong_to_a_filter(
    sct: SnomedProvider, prop: str, op: str, value: str, expression: str, inside: bool
) -> None:
    concept = sct.find(expression)
    assert concept is not None
    assert sct.filter(prop, op, value).contains(concept) is inside


def test_filters_without_expressions_are_closed(sct: SnomedProvider) -> None:
    below = sct.filter("concept", "is-a", HAND)
    assert below.unclosed
    assert (below & sct.filter("expressions", "=", "true")).unclosed
    closed = below & sct.filter("expressions", "=", "false")
    assert not closed.unclosed
    concept = sct.find(ON_THE_LEFT)
    assert concept is not None
    assert not closed.contains(concept)
    assert closed.total == below.total


@pytest.mark.parametrize(
    "text",
    [
        "<< abc",
        "<<",
        "<< 10200004 <<",
        "< 99999999",
        "<< 85562004 OR << 10200004 AND << 64572001",
        "<< 85562005",
    ],
)
def test_a_wrong_constraint_is_refused_with_its_text(sct: SnomedProvider, text: str) -> None:
    with pytest.raises(TxError) as caught:
        sct.filter("constraint", "=", text)
    issue = caught.value.issues[0]
    assert caught.value.status == 400
    assert (issue.code, issue.kind, issue.message_id) == ("invalid", "vs-invalid", "INVALID_ECL")
    assert text in issue.text


@pytest.mark.parametrize(
    ("prop", "op", "value"),
    [
        ("concept", "is-a", "85562005"),
        ("concept", "is-a", ""),
        ("concept", "in", f"{HAND},999"),
        ("concept", "in", HAND),
        ("concept", "in", f"723264001,{HAND}"),
        ("concept", "not-in", HAND),
        ("concept", "in", "900000000000455006"),
        ("code", "in", f"{HAND},999"),
        ("concept", "regex", "8.*"),
        ("inactive", "=", "yes"),
        ("inactive", "in", "true"),
        ("display", "=", "Hand"),
        ("363698007", "=", "999"),
        ("363698007", "exists", "perhaps"),
        ("363698007", "regex", ".*"),
        ("constraint", "in", "*"),
        ("expressions", "=", "maybe"),
    ],
)
def test_what_snomed_ct_has_no_filter_for_is_refused(
    sct: SnomedProvider, prop: str, op: str, value: str
) -> None:
    with pytest.raises(TxError) as caught:
        sct.filter(prop, op, value)
    assert caught.value.status == 400
    assert f'"{prop} {op} {value}"' in caught.value.issues[0].text
