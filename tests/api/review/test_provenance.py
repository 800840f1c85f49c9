"""Who changed what is written with the change."""

from __future__ import annotations

import json
from typing import Any

from fhir.resources.R4B.provenance import Provenance

from api.records import Query
from tests.api.review.desk import FOOT, KNEE, Desk, coded, image


def provenances(desk: Desk) -> list[dict[str, Any]]:
    found = desk.store.search(Query("Provenance"), 50).matches
    return [json.loads(one.body) for one in found if one.origin == "person"]


def test_every_change_of_a_verdict_has_its_provenance(desk: Desk) -> None:
    desk.annotate(image(1, KNEE))
    machine = desk.observations()[KNEE]
    desk.change(machine, status="corrected", bodySite=coded(FOOT))
    desk.delete("Observation", machine["id"])
    corrected, withdrawn = provenances(desk)
    for one in (corrected, withdrawn):
        Provenance.model_validate(one)
        assert one["agent"][0]["who"] == {"display": "Dr. Reader"}
    name = f"Observation/{machine['id']}"
    assert corrected["target"] == [{"reference": f"{name}/_history/2"}]
    assert corrected["entity"] == [
        {"role": "revision", "what": {"reference": f"{name}/_history/1"}}
    ]
    told = "status preliminary → corrected; body site 72696002 |Knee| → 56459004 |Foot|"
    assert corrected["activity"]["text"] == told
    assert withdrawn["entity"][0] == {
        "role": "removal",
        "what": {"reference": f"{name}/_history/2"},
    }


def test_a_change_that_changes_nothing_has_none(desk: Desk) -> None:
    desk.annotate(image(1, KNEE))
    written = desk.change(desk.observations()[KNEE], status="final")
    desk.change(written)
    assert len(provenances(desk)) == 1


def test_who_brings_the_word_of_another_person_is_named_beside(desk: Desk) -> None:
    desk.annotate(image(1, KNEE))
    author = {"display": "Dr. Author"}
    desk.change(desk.observations()[KNEE], status="final", performer=[author])
    agents = provenances(desk)[0]["agent"]
    assert [one["who"] for one in agents] == [author, {"display": "Dr. Reader"}]
    assert [one["type"]["coding"][0]["code"] for one in agents] == ["author", "enterer"]
