"""Two reviewers over HTTP: from the worklist to an empty one, and annotated again after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fhir.resources import get_fhir_model_class as r5_class
from fhir.resources.R4B import get_fhir_model_class as r4_class

from tests.api.checks import of_type
from tests.api.client import Client
from tests.api.conftest import make_dicom

JSON = {"content-type": "application/fhir+json"}
WORKLIST = "/r4/Observation?review:missing=false&status=preliminary"
OPEN_TASKS = "/r4/Task?status=requested,in-progress"
FOOT, HAND = "56459004", "85562004"


@pytest.fixture
def contradicted() -> list[bytes]:
    """Two studies whose headers contradict themselves."""
    return [
        make_dicom(BodyPartExamined="KNEE", StudyDescription="Hand"),
        make_dicom(BodyPartExamined="CHEST", StudyDescription="Foot"),
    ]


def found(client: Client, address: str) -> list[dict[str, Any]]:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    return [entry["resource"] for entry in bundle.get("entry", ())]


def put(client: Client, content: dict[str, Any]) -> Any:
    version = content["meta"]["versionId"]
    return client.request(
        "PUT",
        f"/r4/{content['resourceType']}/{content['id']}",
        json=content,
        headers={**JSON, "if-match": f'W/"{version}"'},
    )


def coded(code: str) -> dict[str, Any]:
    return {"coding": [{"system": "http://snomed.info/sct", "code": code}]}


def test_a_worklist_is_worked_off_by_two_reviewers(
    client: Client, contradicted: list[bytes]
) -> None:
    for content in contradicted:
        assert client.annotate(content).status_code == 200
    waiting = found(client, WORKLIST)
    tasks = found(client, OPEN_TASKS)
    assert len(tasks) == 2
    first, second = waiting[0], waiting[-1]
    assert first["derivedFrom"] != second["derivedFrom"]

    # Both read the first one; who is later has to look again.
    claimed = next(one for one in tasks if one["focus"] == first["derivedFrom"][0])
    assert put(client, {**claimed, "status": "in-progress"}).status_code == 200
    assert put(client, {**claimed, "status": "accepted"}).status_code == 412
    answer = put(client, {**first, "status": "corrected", "bodySite": coded(FOOT)})
    assert answer.status_code == 200, answer.text
    assert answer.headers["etag"] == 'W/"2"'
    assert put(client, {**first, "status": "final"}).status_code == 412
    refused = put(client, {**second, "status": "corrected", "bodySite": coded("85562005")})
    assert refused.status_code == 422
    assert "85562004 |Hand|" in refused.text

    for one in found(client, WORKLIST):
        assert put(client, {**one, "status": "final"}).status_code == 200
    assert found(client, WORKLIST) == []
    assert found(client, OPEN_TASKS) == []
    study = first["derivedFrom"][0]["reference"]
    by_foot = found(client, "/r4/ImagingStudy?bodysite:below=61685007")
    assert study in {f"ImagingStudy/{one['id']}" for one in by_foot}

    before = {one["id"]: one for one in found(client, "/r4/Observation?status=corrected,final")}
    for content in contradicted:
        bundle = client.annotate(content).json()
        assert {one["id"] for one in of_type(bundle, "Observation")} <= set(before)
    after = {one["id"]: one for one in found(client, "/r4/Observation?status=corrected,final")}
    assert after == before
    assert found(client, WORKLIST) == []
    series = client.get(f"/r4/{study}").json()["series"]
    assert [one["bodySite"]["code"] for one in series] == [FOOT]

    written = found(client, f"/r4/Provenance?target=Observation/{first['id']}")
    assert any("→ 56459004 |Foot|" in one["activity"]["text"] for one in written)
    history = client.get(f"/r4/Observation/{first['id']}/_history").json()
    assert [one["resource"]["status"] for one in history["entry"]] == ["corrected", "preliminary"]

    undone = client.request("DELETE", f"/r4/Observation/{first['id']}")
    assert undone.status_code in (200, 204)
    assert first["id"] in {one["id"] for one in found(client, WORKLIST)}
    assert len(found(client, OPEN_TASKS)) == 1


def test_the_same_over_r5(client: Client, contradicted: list[bytes]) -> None:
    client.annotate(contradicted[0])
    one = found(client, WORKLIST.replace("/r4", "/r5"))[0]
    answer = client.request(
        "PUT",
        f"/r5/Observation/{one['id']}",
        json={**one, "status": "corrected", "bodySite": coded(FOOT)},
        headers=JSON,
    )
    assert answer.status_code == 200, answer.text
    study = client.get(f"/r5/{one['derivedFrom'][0]['reference']}").json()
    sites = [series["bodySite"] for series in study["series"]]
    assert FOOT in str(sites)


def test_a_correction_inside_of_a_transaction_counts_as_well(
    client: Client, contradicted: list[bytes]
) -> None:
    client.annotate(contradicted[0])
    one = found(client, WORKLIST)[0]
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "resource": {**one, "status": "corrected", "bodySite": coded(HAND)},
                "request": {"method": "PUT", "url": f"Observation/{one['id']}"},
            }
        ],
    }
    answer = client.post("/r4", json=bundle, headers=JSON)
    assert answer.status_code == 200, answer.text
    study = client.get(f"/r4/{one['derivedFrom'][0]['reference']}").json()
    assert [series["bodySite"]["code"] for series in study["series"]] == [HAND]


def test_a_conditional_update_is_a_verdict_too(
    serve: Callable[..., Client], contradicted: list[bytes]
) -> None:
    client = serve()
    client.annotate(contradicted[0])
    one = found(client, WORKLIST)[0]
    answer = client.request(
        "PUT",
        f"/r4/Observation?_id={one['id']}",
        json={**one, "status": "final"},
        headers=JSON,
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "final"


def test_the_worklist_is_valid_in_both_releases_and_brings_its_studies(
    client: Client, contradicted: list[bytes]
) -> None:
    client.annotate(contradicted[0])
    one = found(client, WORKLIST)[0]
    put(client, {**one, "status": "corrected", "bodySite": coded(FOOT)})
    pages = {
        "Task?_include=Task:focus": {"Task", "ImagingStudy"},
        "Observation?review=conflict,header-conflict&_include=Observation:derived-from": {
            "Observation",
            "ImagingStudy",
        },
        f"Provenance?target=Observation/{one['id']}": {"Provenance"},
    }
    for release, model in (("r4", r4_class), ("r5", r5_class)):
        for page, kinds in pages.items():
            bundle = client.get(f"/{release}/{page}").json()
            model("Bundle").model_validate(bundle)
            seen = {entry["resource"]["resourceType"] for entry in bundle["entry"]}
            assert seen == kinds, (release, page)
