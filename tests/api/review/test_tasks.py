"""The Task of a study: there with its reason, done with the last verdict."""

from __future__ import annotations

from typing import Any

import pytest
from fhir.resources.R4B.task import Task

from api.errors import RequestError
from tests.api.review.desk import CHEST, FOOT, HAND, KNEE, OTHER_SERIES, Desk, image
from tests.api.review.test_verdicts import new


def task_of(desk: Desk) -> dict[str, Any]:
    task = desk.task
    assert task is not None
    Task.model_validate(task)
    return task


def waiting(desk: Desk) -> list[str]:
    return [one["valueReference"]["reference"] for one in task_of(desk).get("input", ())]


def test_no_reason_no_task(desk: Desk) -> None:
    desk.annotate(image(1, KNEE, review=()))
    assert desk.task is None


@pytest.mark.parametrize(
    ("review", "priority"),
    [
        (("low-confidence",), "routine"),
        (("conflict", "low-confidence"), "urgent"),
        (("laterality-conflict",), "urgent"),
    ],
)
def test_a_task_names_its_study_reasons_and_answers(
    desk: Desk, review: tuple[str, ...], priority: str
) -> None:
    desk.annotate(image(1, KNEE, review=review), image(2, CHEST, review=()))
    task = task_of(desk)
    assert task["status"] == "requested"
    assert task["priority"] == priority
    assert task["focus"] == {"reference": f"ImagingStudy/{desk.study['id']}"}
    assert tuple(one["code"] for one in task["reasonCode"]["coding"]) == review
    assert waiting(desk) == [f"Observation/{desk.observations()[KNEE]['id']}"]


def test_a_task_is_completed_by_the_last_verdict_and_opened_by_an_undone_one(desk: Desk) -> None:
    desk.annotate(image(1, KNEE), image(2, CHEST, series=OTHER_SERIES))
    knee, chest = (desk.observations()[code] for code in (KNEE, CHEST))
    desk.change(knee, status="final")
    assert task_of(desk)["status"] == "requested"
    assert waiting(desk) == [f"Observation/{chest['id']}"]
    desk.change(chest, status="entered-in-error")
    task = task_of(desk)
    assert task["status"] == "completed"
    assert "input" not in task
    assert len(task["output"]) == 2
    desk.delete("Observation", knee["id"])
    assert task_of(desk)["status"] == "requested"


def test_a_task_is_gone_when_the_machine_has_no_question_any_more(desk: Desk) -> None:
    desk.annotate(image(1, KNEE))
    desk.annotate(image(1, KNEE, review=()))
    assert desk.task is None


def test_a_series_without_an_answer_is_named_until_a_person_answers(desk: Desk) -> None:
    desk.annotate(image(1, None, review=("no-answer",)))
    task = task_of(desk)
    assert [one["valueId"] for one in task["input"]] == ["1.2.3.1"]
    desk.write({**new(HAND), "id": "mine"})
    assert task_of(desk)["status"] == "completed"


def test_a_claimed_task_stays_claimed_and_follows_the_verdicts(desk: Desk) -> None:
    desk.annotate(image(1, KNEE))
    owner = {"display": "Dr. Reader"}
    claimed = desk.change(task_of(desk), status="in-progress", owner=owner, input=[])
    assert claimed["status"] == "in-progress"
    assert len(claimed["input"]) == 1
    desk.annotate(image(1, KNEE), image(2, FOOT))
    assert task_of(desk)["owner"] == owner
    assert task_of(desk)["status"] == "in-progress"
    assert len(waiting(desk)) == 2
    for observation in list(desk.observations().values()):
        desk.change(observation, status="final")
    assert task_of(desk)["status"] == "completed"
    assert task_of(desk)["owner"] == owner
    desk.annotate(image(3, CHEST, series=OTHER_SERIES))
    assert task_of(desk)["status"] == "requested"


def test_a_task_that_a_person_has_left_stays_left(desk: Desk) -> None:
    desk.annotate(image(1, KNEE))
    desk.change(task_of(desk), status="rejected")
    desk.annotate(image(2, FOOT))
    assert task_of(desk)["status"] == "rejected"


def test_a_task_is_not_completed_by_hand(desk: Desk) -> None:
    desk.annotate(image(1, KNEE))
    with pytest.raises(RequestError, match="not every Observation"):
        desk.change(task_of(desk), status="completed")


def test_a_claim_is_given_back_by_deleting_the_task(desk: Desk) -> None:
    desk.annotate(image(1, KNEE))
    machine = task_of(desk)
    claimed = desk.change(machine, status="in-progress", owner={"display": "Dr. Reader"})
    desk.delete("Task", claimed["id"])
    assert {**task_of(desk), "meta": 0} == {**machine, "meta": 0}
