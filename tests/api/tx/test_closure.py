"""$closure: a client's table grows by what is new, and a client that lost track catches up."""

from __future__ import annotations

from typing import Any

import pytest

from api.app import create_app
from api.settings import Settings
from api.store import SqlStore
from api.tx.resources_store import ResourceLibrary
from terminology.library import Terminology
from tests.api.checks import checked
from tests.api.client import Client
from tests.api.tx.asking import IRMA, SCT, coding, request

# 53120007 |Upper limb|, 85562004 |Hand|, 7569003 |Finger|, 56459004 |Foot|
ARM, HAND, FINGER, FOOT = "53120007", "85562004", "7569003", "56459004"
Entry = tuple[str, str, str]


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
