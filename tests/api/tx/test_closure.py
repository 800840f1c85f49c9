"""$closure: a client's table grows by what is new, and a client that lost track catches up."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from api.app import create_app
from api.settings import Settings
from api.store import SqlStore
from api.tx import closure as closures
from api.tx import standing
from api.tx.resource_provider import ResourceProvider
from api.tx.resources_store import ResourceLibrary
from api.tx.standing import Named
from api.tx.subsumes import outcome
from terminology.library import Terminology
from terminology.release.embedded import embedded_index
from tests.api.checks import checked
from tests.api.client import Client
from tests.api.tx.asking import IRMA, SCT, coding, request
from tests.api.tx.sites import SITES_SYSTEM
from tests.api.tx.small_release import CONCEPTS, VERSION, small_provider

# 53120007 |Upper limb|, 85562004 |Hand|, 7569003 |Finger|, 56459004 |Foot|
ARM, HAND, FINGER, FOOT = "53120007", "85562004", "7569003", "56459004"
LEFT_HAND = "85151006"
Entry = tuple[str, str, str]

pytestmark = pytest.mark.databases


def add(client: Client, *codes: str, name: str = "sites", root: str = "/r4") -> dict[str, Any]:
    body = request(*(coding("concept", SCT, code) for code in codes), name=name)
    answer = client.post(f"{root}/$closure", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def entries(answer: dict[str, Any]) -> set[Entry]:
    return {
        (element["code"], target.get("equivalence", target.get("relationship")), target["code"])
        for group in answer.get("group", [])
        for element in group["element"]
        for target in element["target"]
    }


def test_each_call_answers_what_is_new_and_counts_up(site: Client) -> None:
    started = checked(add(site))
    assert (started["version"], entries(started)) == ("0", set())
    first = checked(add(site, HAND, FOOT))
    assert (first["version"], entries(first)) == ("1", set())
    second = checked(add(site, FINGER))
    assert (second["version"], entries(second)) == ("2", {(FINGER, "subsumes", HAND)})
    third = checked(add(site, ARM))
    assert third["version"] == "3"
    assert entries(third) == {(HAND, "subsumes", ARM), (FINGER, "subsumes", ARM)}


def test_what_is_there_already_changes_nothing(site: Client) -> None:
    add(site)
    add(site, HAND, FINGER)
    again = add(site, HAND, FINGER)
    assert (again["version"], entries(again)) == ("1", set())


def test_r5_says_it_in_its_own_words(site: Client) -> None:
    add(site)
    answer = add(site, HAND, FINGER, root="/r5")
    assert entries(answer) == {(FINGER, "source-is-narrower-than-target", HAND)}
    assert isinstance(answer["identifier"], list)


def test_a_client_catches_up_from_the_version_it_knows(site: Client) -> None:
    add(site)
    for codes in ((HAND, FINGER), (FOOT,), (ARM,)):
        add(site, *codes)

    def since(version: str) -> tuple[str, set[Entry]]:
        body = request(name="sites", version=version)
        answer = checked(site.post("/r4/$closure", json=body).json())
        return answer["version"], entries(answer)

    late = {(HAND, "subsumes", ARM), (FINGER, "subsumes", ARM)}
    assert since("0") == ("3", {(FINGER, "subsumes", HAND), *late})
    assert since("1") == ("3", late)
    assert since("3") == ("3", set())


def test_a_table_can_be_started_anew_and_others_stay(site: Client) -> None:
    for name in ("sites", "other"):
        add(site, name=name)
        add(site, HAND, name=name)
    add(site)
    assert entries(add(site, FINGER)) == set()
    assert entries(add(site, FINGER, name="other")) == {(FINGER, "subsumes", HAND)}


def test_code_systems_are_never_compared_with_one_another(site: Client) -> None:
    add(site)
    body = request(
        coding("concept", IRMA, "41"),
        coding("concept", IRMA, "414"),
        coding("concept", SCT, HAND),
        name="sites",
    )
    answer = checked(site.post("/r4/$closure", json=body).json())
    (group,) = answer["group"]
    assert group["source"] == group["target"] == IRMA
    assert entries(answer) == {("414", "subsumes", "41")}


def test_a_table_outlives_the_process(
    site: Client, database: str, store: SqlStore, terminology: Terminology
) -> None:
    add(site)
    add(site, HAND)
    library = ResourceLibrary(database)
    later = Client(create_app(Settings(), terminology=terminology, store=store, library=library))
    assert entries(add(later, FINGER)) == {(FINGER, "subsumes", HAND)}
    library.close()


def test_the_version_of_a_coding_is_the_one_to_compare_in(
    open_site: Callable[..., Client],
) -> None:
    site = open_site(releases=(small_provider().index,))
    add(site)
    add(site, HAND)
    old = embedded_index().version
    body = request(coding("concept", SCT, ARM, version=old), name="sites")
    assert entries(site.post("/r4/$closure", json=body).json()) == {(HAND, "subsumes", ARM)}
    both = [coding("concept", SCT, FINGER, version=one) for one in (old, VERSION)]
    answer = site.post("/r4/$closure", json=request(*both, name="sites"))
    assert (answer.status_code, checked(answer.json())["issue"][0]["code"]) == (400, "invalid")


def test_expressions_stand_where_their_meaning_is(open_site: Callable[..., Client]) -> None:
    site = open_site(releases=(small_provider().index,))
    sided = f"{HAND}:272741003=7771000"
    add(site)
    assert entries(add(site, sided, ARM)) == {(sided, "subsumes", ARM)}
    assert entries(add(site, FINGER)) == {(FINGER, "subsumes", ARM)}
    assert entries(add(site, HAND, LEFT_HAND)) == {
        (HAND, "subsumes", ARM),
        (FINGER, "subsumes", HAND),
        (LEFT_HAND, "subsumes", ARM),
        (LEFT_HAND, "subsumes", HAND),
        (sided, "subsumes", HAND),
        (sided, "equal", LEFT_HAND),
    }


def naive(provider: Any, concepts: list[Named], known: int) -> set[Entry]:
    """Return what comparing every concept after number `known` with all before it gives."""
    found = set()
    for number, (code, one) in enumerate(concepts):
        for other_code, other in concepts[:number]:
            if number < known:
                continue
            if one.code == other.code or outcome(provider, one, other) == "equivalent":
                found.add((code, "equivalent", other_code))
            elif outcome(provider, one, other) == "subsumed-by":
                found.add((code, "source-is-narrower-than-target", other_code))
            elif outcome(provider, one, other) == "subsumes":
                found.add((other_code, "source-is-narrower-than-target", code))
    return found


EXPRESSIONS = [
    f"{HAND}:272741003=7771000",
    f"{HAND} : 272741003 = 7771000",
    f"{HAND}:272741003=24028007",
    f"{HAND}+10200004",
    "64572001:363698007=10200004",
    "64572001:363698007=119216005",
    "64572001:{116676008=23583003,363698007=10200004}",
    f"{HAND} |Hand|",
]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["release", "resource"])
def test_entries_are_those_that_comparing_all_with_all_gives(kind: str, seed: int) -> None:
    provider: Any = small_provider()
    codes = [*CONCEPTS, *EXPRESSIONS]
    if kind == "resource":
        provider = ResourceProvider({**SITES_SYSTEM, "caseSensitive": False})
        codes = ["trunk", "chest", "heart", "lung", "belly", "limb", "arm", "leg", "ARM", "Trunk"]
    random.Random(seed).shuffle(codes)  # noqa: S311
    named = [(code, concept) for code in codes if (concept := provider.find(code)) is not None]
    assert len(named) > len(codes) - 3
    known = len(named) // 3
    found = list(standing.entries(provider, named[known:], named[:known]))
    told = {(code, relationship, above) for code, above, relationship in found}
    assert len(found) == len(told)

    def either(one: Entry) -> Entry:
        # Of two that mean the same, either may stand first.
        return (min(one[::2]), one[1], max(one[::2])) if one[1] == "equivalent" else one

    assert {either(one) for one in told} == {either(one) for one in naive(provider, named, known)}


def test_entries_are_found_while_others_write(
    site: Client, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(site)
    find, between = standing.entries, [HAND, FINGER]

    def slow(*arguments: Any) -> Any:
        found = list(find(*arguments))
        if between:
            add(site, between.pop())
        return found

    monkeypatch.setattr(standing, "entries", slow)
    late = add(site, ARM)
    assert late["version"] == "3"
    assert entries(late) == {(HAND, "subsumes", ARM), (FINGER, "subsumes", ARM)}


def test_a_table_started_anew_meanwhile_is_no_longer_the_one_that_was_read(
    site: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(site)
    add(site, HAND)
    find, once = standing.entries, [True]

    def slow(*arguments: Any) -> Any:
        found = list(find(*arguments))
        if once:
            once.clear()
            add(site)
            add(site, FINGER, FOOT)
        return found

    monkeypatch.setattr(standing, "entries", slow)
    assert entries(add(site, ARM)) == {(FINGER, "subsumes", ARM)}


def test_a_table_that_never_stands_still_is_a_conflict(
    site: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(site)
    find, others = standing.entries, [HAND, FINGER, FOOT]

    def slow(*arguments: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(standing, "entries", find)
            add(site, others.pop())
        return list(find(*arguments))

    monkeypatch.setattr(standing, "entries", slow)
    monkeypatch.setattr(closures, "TRIES", 3)
    answer = site.post("/r4/$closure", json=request(coding("concept", SCT, ARM), name="sites"))
    assert (answer.status_code, others) == (409, [])
    assert answer.json()["issue"][0]["code"] == "conflict"


def test_catching_up_waits_for_no_writer(site: Client, database: str) -> None:
    add(site)
    add(site, HAND, FINGER)
    other = ResourceLibrary(database)
    with other.transaction():
        answer = site.post("/r4/$closure", json=request(name="sites", version="0"))
    other.close()
    assert entries(answer.json()) == {(FINGER, "subsumes", HAND)}


def test_one_call_has_a_limit(site: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    add(site)
    many = [coding("concept", SCT, HAND)] * (closures.MAX_CONCEPTS + 1)
    answer = site.post("/r4/$closure", json=request(*many, name="sites"))
    assert answer.status_code == 413
    assert checked(answer.json())["issue"][0]["code"] == "too-costly"
    assert add(site, HAND)["version"] == "1"
    monkeypatch.setattr(standing, "MAX_COMPARED", 2)
    sided = [f"{HAND}:272741003={side}" for side in ("7771000", "24028007", "51440002")]
    body = request(*(coding("concept", SCT, code) for code in sided), name="sites")
    assert site.post("/r4/$closure", json=body).status_code == 413


WRONG: list[tuple[dict[str, Any], int, str]] = [
    (request(), 400, "required"),
    (request(name=""), 400, "required"),
    (request(name="x" * 300), 400, "required"),
    (request(coding("concept", SCT, HAND), name="never started"), 404, "not-found"),
    (request(name="never started", version="0"), 404, "not-found"),
    (request(name="sites", version="9"), 400, "value"),
    (request(name="sites", version="x"), 400, "value"),
    (request(coding("concept", SCT, HAND), name="sites", version="0"), 400, "invalid"),
    (request(coding("concept", SCT, "22298006"), name="sites"), 404, "not-found"),
    (request(coding("concept", "http://x.org", "1"), name="sites"), 404, "not-found"),
]


@pytest.mark.parametrize(("body", "status", "issue"), WRONG)
def test_what_cannot_be_asked(site: Client, body: dict[str, Any], status: int, issue: str) -> None:
    add(site)
    add(site, ARM)
    answer = site.post("/r4/$closure", json=body)
    assert answer.status_code == status, answer.text
    assert checked(answer.json())["issue"][0]["code"] == issue
    # Nothing was added by halves.
    assert add(site, ARM)["version"] == "1"


def test_without_a_database_there_is_no_closure(client: Client) -> None:
    assert client.post("/r4/$closure", json=request(name="sites")).status_code == 501
