"""What is answered in the event loop, and what must not be: that which may take long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from api.routes.terminology import MAX_QUERY_BYTES
from api.tx.resources_store import ResourceLibrary
from api.tx.service import TerminologyService
from terminology.release.embedded import embedded_index
from tests.api.checks import checked, issues
from tests.api.client import Client
from tests.api.tx.asking import IRMA, SCT, coding, request, tx, value

HAND, ARM = "85562004", "53120007"
SIDED = f"{HAND}:272741003=7771000"
LOOKUP, SUBSUMES = "/r4/CodeSystem/$lookup", "/r5/CodeSystem/$subsumes"
VALIDATE = "/r4/CodeSystem/$validate-code"
COLOURS: dict[str, Any] = {
    "resourceType": "CodeSystem",
    "id": "colours",
    "url": "http://x.org/colours",
    "status": "active",
    "content": "complete",
    "concept": [{"code": "red", "display": "Red"}],
}
PACK: dict[str, Any] = {
    "resourceType": "CodeSystem",
    "id": "pack",
    "url": "http://x.org/pack",
    "status": "active",
    "content": "supplement",
    "supplements": SCT,
    "concept": [{"code": HAND, "designation": [{"language": "nl", "value": "hand (nl)"}]}],
}


@pytest.fixture
def database_kind() -> str:
    """SQLite, whatever the others run on: a database server is never asked in the event loop."""
    return "sqlite"


@pytest.fixture
def in_loop(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each call was answered in the event loop, which is that of the test's own thread."""
    found: list[bool] = []
    make = TerminologyService.context

    def spy(*arguments: Any, **options: Any) -> Any:
        found.append(threading.current_thread() is threading.main_thread())
        return make(*arguments, **options)

    monkeypatch.setattr(TerminologyService, "context", spy)
    return found


@pytest.mark.parametrize(
    ("path", "query", "quick"),
    [
        (LOOKUP, {"system": SCT, "code": HAND}, True),
        (LOOKUP, {"system": SCT, "code": HAND, "property": "parent"}, True),
        (SUBSUMES, {"system": SCT, "codeA": ARM, "codeB": HAND}, True),
        (VALIDATE, {"url": SCT, "code": HAND, "display": "Hand"}, True),
        (LOOKUP, {"system": SCT, "code": SIDED}, False),
        (SUBSUMES, {"system": SCT, "codeA": ARM, "codeB": SIDED}, False),
        (VALIDATE, {"url": SCT, "code": SIDED}, False),
        (LOOKUP, {"system": IRMA, "code": "414"}, False),
        ("/r4/CodeSystem/irma-anatomy/$lookup", {"code": "414"}, False),
        (VALIDATE, {"url": SCT, "code": HAND, "display": "x" * 5000}, False),
        (LOOKUP, {"system": SCT, "code": HAND, "useSupplement": "http://x.org"}, False),
        ("/r4/ValueSet/$expand", {"url": f"{SCT}?fhir_vs=isa/{HAND}"}, False),
    ],
)
def test_only_identifiers_of_snomed_ct_are_answered_in_the_loop(
    site: Client, in_loop: list[bool], path: str, query: dict[str, str], quick: bool
) -> None:
    # The first request of all reads what the site has of its own.
    site.get(LOOKUP, params={"system": IRMA, "code": "414"})
    site.get(path, params=query)
    assert in_loop[1:] == [quick]


def test_a_concept_with_many_children_is_shown_by_a_thread(
    site: Client, in_loop: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.tx.quick._MAX_CHILDREN", 2)
    index = embedded_index()
    assert len(index.children(index.ordinal("123037004"))) > 2
    leaf = next(one for one in index.all if not index.children(one))
    site.get(LOOKUP, params={"system": IRMA, "code": "414"})
    for code, quick in (("123037004", False), (index.code(leaf), True)):
        site.get(LOOKUP, params={"system": SCT, "code": code})
        assert in_loop[-1] is quick
    site.get(SUBSUMES, params={"system": SCT, "codeA": "123037004", "codeB": HAND})
    assert in_loop[-1]


@pytest.mark.parametrize(
    ("entries", "quick"),
    [
        ([coding("coding", SCT, HAND)], True),
        ([coding("coding", SCT, SIDED)], False),
        ([coding("coding", IRMA, "414")], False),
        ([coding("coding", SCT, HAND), tx(COLOURS)], False),
        ([{"name": "coding", "valueString": "x|y"}], False),
    ],
)
def test_a_body_is_looked_at_before_it_is_answered_in_the_loop(
    site: Client, in_loop: list[bool], entries: list[dict[str, Any]], quick: bool
) -> None:
    site.get(LOOKUP, params={"system": IRMA, "code": "414"})
    site.post(LOOKUP, json=request(*entries))
    assert in_loop[1:] == [quick]


def test_what_a_site_has_is_never_read_in_the_loop(
    site: Client,
    library: ResourceLibrary,
    database: str,
    in_loop: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readers: list[threading.Thread] = []
    read = library.resources

    def spy() -> Any:
        readers.append(threading.current_thread())
        return read()

    monkeypatch.setattr(library, "resources", spy)

    def display() -> object:
        query = {"system": SCT, "code": HAND, "displayLanguage": "nl"}
        return value(site.get(LOOKUP, params=query).json(), "display")

    assert [display(), display()] == ["Hand", "Hand"]
    assert in_loop == [False, True]
    other = ResourceLibrary(database)
    other.put("CodeSystem", "colours", "R4", COLOURS)
    assert [display(), display()] == ["Hand", "Hand"]
    assert in_loop[2:] == [False, True]
    # A supplement is work for each request.
    other.put("CodeSystem", "pack", "R4", PACK)
    other.close()
    assert [display(), display()] == ["Hand", "Hand"]
    assert in_loop[4:] == [False, False]
    assert readers
    assert threading.main_thread() not in readers


def test_a_library_of_a_database_server_is_not_asked_in_the_loop(
    site: Client, library: ResourceLibrary, in_loop: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "unchanged", lambda: None)
    for _ in range(2):
        assert site.get(LOOKUP, params={"system": SCT, "code": HAND}).status_code == 200
    assert in_loop == [False, False]


def test_without_a_library_nothing_is_waited_for(client: Client, in_loop: list[bool]) -> None:
    client.get(LOOKUP, params={"system": SCT, "code": HAND})
    assert in_loop == [True]


@pytest.mark.parametrize("inside", [False, True])
def test_an_expression_has_few_focus_concepts(
    open_site: Callable[..., Client], inside: bool
) -> None:
    site = open_site()

    def ask(number: int) -> Any:
        focus = "+".join([HAND] * number)
        code = f"{HAND}:272741003=({focus})" if inside else focus
        return site.get(LOOKUP, params={"system": SCT, "code": code})

    assert "focus concepts" not in ask(16).text
    refused = ask(17)
    assert refused.status_code == 404
    assert "expected 16 of them at most" in refused.text


def test_an_address_has_a_limit(site: Client) -> None:
    query = f"system={SCT}&code={HAND}&property="
    kept = site.get(f"{LOOKUP}?{query}{'x' * (MAX_QUERY_BYTES - len(query))}")
    assert kept.status_code == 200, kept.text
    refused = site.get(f"{LOOKUP}?{query}{'x' * MAX_QUERY_BYTES}")
    assert refused.status_code == 414
    assert issues(checked(refused.json()))[0]["code"] == "too-long"
