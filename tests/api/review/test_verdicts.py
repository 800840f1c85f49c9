"""A person's verdict goes before what the machine says, whatever it says later."""

from __future__ import annotations

from typing import Any

import pytest

from api.errors import RequestError
from api.resources import study_id
from api.review.statement import SERIES_UID
from terminology.concept import SNOMED
from tests.api.checks import checked
from tests.api.review.desk import (
    CHEST,
    FOOT,
    HAND,
    KNEE,
    LEFT,
    OTHER_SERIES,
    SERIES,
    STUDY,
    Desk,
    coded,
    image,
)


def new(site: str, series: str | None = SERIES, status: str = "final") -> dict[str, Any]:
    """An Observation of a person's own."""
    extension = [{"url": SERIES_UID, "valueId": series}] if series else []
    return {
        "resourceType": "Observation",
        **({"extension": extension} if extension else {}),
        "status": status,
        "code": {"coding": [{"system": "http://loinc.org", "code": "39111-0"}]},
        "derivedFrom": [{"reference": f"ImagingStudy/{study_id(STUDY)}"}],
        "bodySite": coded(site),
    }


def test_a_confirmed_answer_is_final_and_names_the_series(desk: Desk) -> None:
    desk.annotate(image(1, KNEE), image(2, KNEE))
    machine = desk.observations()[KNEE]
    written = checked(desk.change(machine, status="final"))
    assert written["performer"] == [{"display": "Dr. Reader"}]
    assert "interpretation" not in written
    assert written["device"] == machine["device"]
    assert desk.sites() == [(KNEE, None)]


@pytest.mark.parametrize("element", ["bodySite", "valueCodeableConcept"])
def test_a_corrected_site_is_said_the_same_everywhere(desk: Desk, element: str) -> None:
    desk.annotate(image(1, KNEE))
    machine = desk.observations()[KNEE]
    written = checked(desk.change(machine, status="corrected", **{element: coded(FOOT)}))
    for said in ("bodySite", "valueCodeableConcept"):
        assert [one["code"] for one in written[said]["coding"]] == [FOOT]
    assert "device" not in written
    names = [one["code"]["coding"][0]["code"] for one in written["component"]]
    assert "111012" not in names
    assert desk.sites() == [(FOOT, None)]
    assert desk.found_by() == {FOOT}


def test_a_correction_stays_whatever_the_machine_says_later(desk: Desk) -> None:
    desk.annotate(image(1, KNEE), image(2, KNEE))
    machine = desk.observations()[KNEE]
    written = desk.change(machine, status="corrected", bodySite=coded(FOOT))
    desk.annotate(image(1, KNEE), image(2, KNEE))
    answered = desk.annotate(image(1, HAND), image(2, HAND))
    assert desk.read("Observation", machine["id"]) == written
    assert [one.id for one in answered if one.type == "Observation"] == [machine["id"]]
    assert desk.sites() == [(FOOT, None)]
    assert desk.found_by() == {FOOT}


def test_what_stood_beside_the_judged_answer_still_stands(desk: Desk) -> None:
    desk.annotate(image(1, KNEE), image(2, KNEE), image(3, CHEST))
    machine = desk.observations()[KNEE]
    desk.change(machine, status="corrected", bodySite=coded(FOOT))
    assert desk.sites() == [(FOOT, None)]
    assert desk.found_by() == {FOOT, CHEST}
    desk.annotate(image(1, HAND), image(3, CHEST))
    assert desk.found_by() == {FOOT, CHEST}


@pytest.mark.parametrize("status", ["entered-in-error", "cancelled"])
def test_a_rejected_answer_is_taken_out_and_the_next_one_names_the_series(
    desk: Desk, status: str
) -> None:
    desk.annotate(image(1, KNEE), image(2, KNEE), image(3, CHEST))
    desk.change(desk.observations()[KNEE], status=status)
    assert desk.sites() == [(CHEST, None)]
    assert desk.found_by() == {CHEST}
    desk.annotate(image(1, KNEE))
    assert desk.found_by() == {CHEST}


@pytest.mark.parametrize("status", ["preliminary", "registered", "unknown"])
def test_a_draft_decides_nothing_and_is_not_overwritten(desk: Desk, status: str) -> None:
    desk.annotate(image(1, KNEE))
    machine = desk.observations()[KNEE]
    draft = desk.change(machine, status=status, note=[{"text": "Ask the radiographer."}])
    desk.annotate(image(1, KNEE))
    assert desk.read("Observation", machine["id"]) == draft
    assert desk.sites() == [(KNEE, None)]


def test_an_undone_correction_brings_the_answer_of_the_machine_back(desk: Desk) -> None:
    desk.annotate(image(1, KNEE))
    machine = desk.observations()[KNEE]
    desk.change(machine, status="corrected", bodySite=coded(FOOT))
    desk.delete("Observation", machine["id"])
    restored = desk.read("Observation", machine["id"])
    assert restored is not None
    assert {**restored, "meta": 0} == {**machine, "meta": 0}
    assert desk.sites() == [(KNEE, None)]
    assert desk.found_by() == {KNEE}


@pytest.mark.parametrize(
    ("elements", "side"),
    [
        ({"bodySite": coded("82169009")}, "Left"),
        ({"component": [{"code": {"coding": [
            {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "111027"}]},
            "valueCodeableConcept": coded("24028007")}]}, "Right"),
    ],
)  # fmt: skip
def test_a_side_is_corrected_by_the_sided_site_or_the_component(
    desk: Desk, elements: dict[str, Any], side: str
) -> None:
    desk.annotate(image(1, KNEE))
    machine = desk.observations()[KNEE]
    written = checked(desk.change(machine, status="corrected", **elements))
    assert desk.sites() == [(written["bodySite"]["coding"][0]["code"], side)]
    assert len(written["bodySite"]["coding"]) == 2


def test_a_side_is_taken_away_by_leaving_out_its_component(desk: Desk) -> None:
    desk.annotate(image(1, KNEE, LEFT))
    machine = desk.observations()[KNEE]
    others = [one for one in machine["component"] if one["code"]["coding"][0]["code"] != "111027"]
    desk.change(machine, status="corrected", component=others)
    assert desk.sites() == [(KNEE, None)]


def test_a_view_is_corrected_in_study_and_observation(desk: Desk) -> None:
    desk.annotate(image(1, CHEST))
    machine = desk.observations()[CHEST]
    view = {
        "code": {
            "coding": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "111031"}]
        },
        "valueCodeableConcept": coded("399067008", "lateral"),
    }
    components = [*machine["component"], view]
    desk.change(machine, status="amended", component=components)
    extension = desk.study["series"][0]["extension"][0]["extension"]
    assert extension[0]["valueCodeableConcept"] == view["valueCodeableConcept"]


def test_a_new_observation_of_a_person_settles_its_series(desk: Desk) -> None:
    desk.annotate(image(1, KNEE), image(2, CHEST, series=OTHER_SERIES))
    written = desk.write({**new(HAND), "id": "mine"})
    assert desk.sites() == [(HAND, None), (CHEST, None)]
    assert desk.found_by() == {HAND, CHEST}
    desk.annotate(image(1, FOOT))
    assert desk.found_by() == {HAND, CHEST}
    desk.delete("Observation", written["id"])
    assert desk.sites() == [(FOOT, None), (CHEST, None)]


def test_a_verdict_on_the_study_is_for_every_series_without_one(desk: Desk) -> None:
    desk.annotate(image(1, KNEE), image(2, CHEST, series=OTHER_SERIES))
    desk.write({**new(FOOT, OTHER_SERIES), "id": "series"})
    desk.write({**new(HAND, None), "id": "study"})
    assert desk.sites() == [(HAND, None), (FOOT, None)]


def test_a_person_takes_an_own_statement_back(desk: Desk) -> None:
    desk.annotate(image(1, KNEE))
    desk.write({**new(HAND), "id": "mine"})
    desk.write({**new(HAND, status="entered-in-error"), "id": "mine"})
    assert desk.sites() == [(KNEE, None)]


def test_a_site_written_into_the_study_becomes_a_verdict(desk: Desk) -> None:
    desk.annotate(image(1, KNEE))
    study = desk.study
    study["series"][0]["bodySite"] = {"system": SNOMED, "code": HAND, "display": "Hand"}
    study["series"][0]["laterality"] = {"system": SNOMED, "code": "7771000", "display": "Left"}
    study["description"] = "Hand after a fall"
    checked(desk.write(study))
    verdict = desk.observations()[HAND]
    assert verdict["status"] == "final"
    assert verdict["performer"] == [{"display": "Dr. Reader"}]
    desk.annotate(image(1, KNEE), image(2, KNEE))
    assert desk.sites() == [(HAND, "Left")]
    assert desk.study["description"] == "Hand after a fall"
    assert desk.study["numberOfInstances"] == 2
    desk.delete("Observation", verdict["id"])
    assert desk.sites() == [(KNEE, None)]


def test_a_site_written_into_the_study_goes_before_earlier_verdicts(desk: Desk) -> None:
    desk.annotate(image(1, KNEE))
    desk.change(desk.observations()[KNEE], status="corrected", bodySite=coded(FOOT))
    study = desk.study
    study["series"][0]["bodySite"] = {"system": SNOMED, "code": HAND}
    desk.write(study)
    assert desk.found_by() == {HAND}


def test_a_deleted_study_takes_what_the_machine_said_with_it(desk: Desk) -> None:
    desk.annotate(image(1, KNEE))
    desk.delete("ImagingStudy", study_id(STUDY))
    assert desk.observations() == {}
    assert desk.task is None
    desk.annotate(image(1, KNEE))
    assert desk.sites() == [(KNEE, None)]


@pytest.mark.parametrize(
    ("elements", "where", "remedy"),
    [
        ({"bodySite": coded("85562005", "")}, "Observation.bodySite", "85562004 |Hand|"),
        ({"bodySite": coded("38341003", "Left foot")}, "Observation.bodySite", "|Foot|"),
        ({"bodySite": {"text": "Handgelenk"}}, "Observation.bodySite", "Did you mean"),
        (
            {"bodySite": coded(FOOT), "valueCodeableConcept": coded(HAND)},
            "Observation.bodySite",
            "Correct one",
        ),
        ({"code": {"text": "something else"}}, "Observation.code", "Correct"),
        ({"derivedFrom": [{"reference": "ImagingStudy/another"}]}, "Observation.derivedFrom", ""),
    ],
)
def test_what_is_no_verdict_is_refused_with_the_nearest_site(
    desk: Desk, elements: dict[str, Any], where: str, remedy: str
) -> None:
    desk.annotate(image(1, KNEE))
    machine = desk.observations()[KNEE]
    with pytest.raises(RequestError) as refused:
        desk.change(machine, status="corrected", **elements)
    assert refused.value.status == 422
    assert refused.value.where == where
    assert remedy in refused.value.remedy
    assert desk.read("Observation", machine["id"]) == machine


def test_a_series_that_the_study_has_not_is_refused(desk: Desk) -> None:
    desk.annotate(image(1, KNEE))
    with pytest.raises(RequestError, match="no such series"):
        desk.write({**new(HAND, "9.9"), "id": "mine"})


@pytest.mark.parametrize("kind", ["Observation", "Task"])
def test_what_the_machine_would_make_again_cannot_be_deleted(desk: Desk, kind: str) -> None:
    stored = desk.annotate(image(1, KNEE))
    name = next(one.id for one in stored if one.type == kind)
    with pytest.raises(RequestError) as refused:
        desk.delete(kind, name)
    assert refused.value.status == 409


def test_an_observation_about_no_study_of_ours_is_left_alone(desk: Desk) -> None:
    own = {**new("0000"), "derivedFrom": [{"reference": "ImagingStudy/elsewhere"}], "id": "x"}
    written = desk.write(own)
    assert written["bodySite"] == coded("0000")
    assert "performer" not in written
