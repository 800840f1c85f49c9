"""What makes a resource that a site wants to keep invalid."""

from __future__ import annotations

from typing import Any

import pytest

from api.errors import RequestError
from api.tx.checks import checked
from api.tx.narrative import problem_of
from api.tx.resources_store import R4, R5

XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'


def code_system(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "CodeSystem",
        "url": "http://example.org/cs",
        "status": "active",
        "content": "complete",
        **more,
    }


def nested(levels: int) -> list[dict[str, Any]]:
    concept: dict[str, Any] = {"code": "c"}
    for number in range(levels):
        concept = {"code": f"c{number}", "concept": [concept]}
    return [concept]


def extended(levels: int) -> list[dict[str, Any]]:
    extension: dict[str, Any] = {"url": "http://example.org/e", "valueString": "x"}
    for _ in range(levels):
        extension = {"url": "http://example.org/e", "extension": [extension]}
    return [extension]


def with_property(**value: Any) -> dict[str, Any]:
    return {
        "property": [{"code": "p", "type": "integer"}],
        "concept": [{"code": "a", "property": [{"code": "p", **value}]}],
    }


@pytest.mark.parametrize("release", [R4, R5])
@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"caseSensitive": "false"}, "caseSensitive: 'false' has the wrong type"),
        ({"experimental": 1}, "experimental: 1 has the wrong type; expected true or false"),
        ({"count": "1"}, "count: '1' has the wrong type; expected a whole number"),
        ({"count": True}, "count: True has the wrong type; expected a whole number"),
        (with_property(valueInteger="3"), "concept.0.property.0.valueInteger: '3' has the wrong"),
        (with_property(valueDecimal="1.5"), "valueDecimal: '1.5' has the wrong type"),
        ({"concept": []}, "concept: is empty"),
        ({"concept": [{"code": "a", "designation": []}]}, "concept.0.designation: is empty"),
        ({"concept": nested(150)}, "100 elements lie inside one another"),
        ({"extension": extended(200)}, "100 elements lie inside one another"),
        ({"implicitRules": "http://example.org/r"}, "implicitRules: not understood"),
        (
            {"concept": [{"code": "a", "modifierExtension": extended(0)}]},
            "concept.0.modifierExtension: not understood",
        ),
        (
            {"text": {"status": "generated", "div": f"<div {XHTML}><script>x</script></div>"}},
            "text.div: the element 'script' is not allowed",
        ),
    ],
)
def test_what_is_not_valid_is_refused(release: str, more: dict[str, Any], problem: str) -> None:
    with pytest.raises(RequestError) as caught:
        checked(code_system(**more), release)
    assert caught.value.status == 422
    assert problem in str(caught.value)


@pytest.mark.parametrize("release", [R4, R5])
@pytest.mark.parametrize(
    "more",
    [
        {"caseSensitive": False, "experimental": True, "count": 1, "date": "2020-02"},
        {"concept": nested(90)},
        with_property(valueInteger=3),
        with_property(valueDecimal=2),
        with_property(valueDateTime="2020-01-01"),
        {"contained": [{"resourceType": "ValueSet", "id": "v", "status": "active"}]},
        {"text": {"status": "generated", "div": f"<div {XHTML}><p>Rooms<br/></p></div>"}},
        {"_url": {"extension": extended(0)}},
    ],
)
def test_what_is_valid_passes(release: str, more: dict[str, Any]) -> None:
    checked(code_system(**more), release)


@pytest.mark.parametrize(
    ("div", "problem"),
    [
        ("<div>open", "not well-formed"),
        ("<div>a</div>", "not in the namespace"),
        (f"<p {XHTML}>a</p>", "no div"),
        (f"<div {XHTML}> </div>", "txt-2"),
        (f"<div {XHTML}>a&nbsp;b</div>", "not well-formed"),
        (f"<div {XHTML}><iframe>a</iframe></div>", "'iframe' is not allowed"),
        (f"<div {XHTML}><form>a</form></div>", "'form' is not allowed"),
        (f'<div {XHTML}><p onclick="a()">a</p></div>', "'onclick'"),
        (f'<div {XHTML}><a href="java&#9;script:a()">a</a></div>', "'javascript'"),
        (f'<div {XHTML}><a href="data:text/html,a">a</a></div>', "'data'"),
        (f'<div {XHTML}><p style="background: url(http://x)">a</p></div>', "style"),
        (f"<?xml-stylesheet href='x'?><div {XHTML}>a</div>", "processing instruction"),
        (f'<!DOCTYPE div [<!ENTITY e "e">]><div {XHTML}>&e;</div>', "document type"),
        (f'<div {XHTML}><svg xmlns="http://www.w3.org/2000/svg">a</svg></div>', "namespace"),
    ],
)
def test_a_narrative_that_is_no_plain_xhtml_is_refused(div: str, problem: str) -> None:
    assert problem in (problem_of(div) or "")


@pytest.mark.parametrize(
    "div",
    [
        f"<div {XHTML}>a &amp; b&#160;c</div>",
        f'<div {XHTML}><a href="https://example.org">a</a><a href="#b" name="b">c</a></div>',
        f'<div {XHTML}><img src="data:image/png;base64,AAAA" alt="a"/></div>',
        f'<div {XHTML}><table class="grid"><tr><td style="color: red">a</td></tr></table></div>',
        '<h:div xmlns:h="http://www.w3.org/1999/xhtml" xml:lang="de"><h:p>a</h:p></h:div>',
    ],
)
def test_plain_xhtml_passes(div: str) -> None:
    assert problem_of(div) is None
