"""Batches and transactions."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.api.checks import issues
from tests.api.conftest import make_dicom
from tests.api.rest.conftest import Fhir, sample

_IDS = "http://example.org/ids"
_SCT = "http://snomed.info/sct"
_P = "urn:uuid:11111111-1111-4111-8111-111111111111"
_O = "urn:uuid:22222222-2222-4222-8222-222222222222"


def entry(
    method: str, url: str, resource: Any = None, full_url: str | None = None, **request: str
) -> dict[str, Any]:
    found: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        found["resource"] = resource
    if full_url is not None:
        found["fullUrl"] = full_url
    return found


def bundle(*entries: dict[str, Any], kind: str = "transaction") -> dict[str, Any]:
    found: dict[str, Any] = {"resourceType": "Bundle", "type": kind}
    return {**found, "entry": list(entries)} if entries else found


def patch_of(*operations: dict[str, Any]) -> dict[str, Any]:
    data = base64.b64encode(json.dumps(operations).encode()).decode()
    return {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}


def statuses(answer: Any) -> list[str]:
    return [one["response"]["status"] for one in answer.json().get("entry", [])]


def test_one_bundle_holds_all_kinds_of_requests(fhir: Fhir) -> None:
    dicom = make_dicom(BodyPartExamined="HAND")
    binary = {
        "resourceType": "Binary",
        "contentType": "application/dicom",
        "data": base64.b64encode(dicom).decode(),
    }
    body = bundle(
        entry("POST", "Patient", sample("Patient")),
        entry("PUT", "Patient/x", sample("Patient", id="x")),
        entry("GET", "Patient/x"),
        entry("GET", "Patient/none"),
        entry("GET", f"CodeSystem/$lookup?system={_SCT}&code=85562004"),
        entry("POST", "ImagingStudy/$annotate", binary),
        entry("GET", "ImagingStudy?modality=DX"),
        entry("PATCH", "Patient/x", patch_of({"op": "remove", "path": "/gender"})),
        entry("DELETE", "Patient/x", ifMatch='W/"7"'),
        entry("DELETE", "Patient/x", ifMatch='W/"2"'),
        entry("POST", "Patient", sample("Patient", gender="nonsense")),
        entry("GET", f"http://testserver{fhir.root}/Patient?gender=female"),
        entry("GET", "StructureDefinition/examined-body-site"),
        entry("HEAD", "StructureDefinition/examined-body-site"),
        entry("GET", "https://example.org/Patient/x"),
        entry("POST", "Patient/$nonsense"),
        entry("MAKE", "Patient"),
        entry("GET", ""),
        {"resource": sample("Patient")},
        entry("POST", "Patient", {"resourceType": "Patient", "name": []}),
        kind="batch",
    )
    answer = fhir.post("", body)
    assert answer.status_code == 200
    assert answer.json()["type"] == "batch-response"
    assert statuses(answer) == [
        "201", "201", "200", "404", "200", "200", "200", "200", "412", "204", "422", "200", "200",
        "200", "400", "404", "400", "404", "400", "400",
    ]  # fmt: skip
    entries = answer.json()["entry"]
    assert entries[0]["response"]["location"].endswith("/_history/1")
    assert entries[0]["response"]["etag"] == 'W/"1"'
    assert entries[0]["response"]["lastModified"].endswith("Z")
    assert entries[6]["resource"]["entry"][0]["resource"]["resourceType"] == "ImagingStudy"
    assert issues(entries[10]["response"]["outcome"])[0]["expression"] == ["Patient.gender"]
    assert "resource" not in entries[13]


def test_a_transaction_is_done_in_its_order(fhir: Fhir) -> None:
    fhir.put("/Device/old", sample("Device", id="old"))
    fhir.put("/Device/kept", sample("Device", id="kept"))
    body = bundle(
        entry("GET", "Patient/x"),
        entry("GET", "Device?status=active"),
        entry("PUT", "Patient/x", sample("Patient", id="x")),
        entry("PATCH", "Device/kept", patch_of({"op": "remove", "path": "/manufacturer"})),
        entry("POST", "Observation", sample("Observation", subject={"reference": _P}), _O),
        entry("POST", "Patient", sample("Patient"), _P),
        entry("DELETE", "Device/old"),
        entry("GET", f"CodeSystem/$lookup?system={_SCT}&code=85562004"),
    )
    answer = fhir.post("", body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["type"] == "transaction-response"
    assert statuses(answer) == ["200", "200", "201", "200", "201", "201", "204", "200"]
    entries = answer.json()["entry"]
    assert entries[0]["resource"]["id"] == "x"
    assert [one["resource"]["id"] for one in entries[1]["resource"]["entry"]] == ["kept"]
    patient = entries[5]["resource"]["id"]
    assert entries[4]["resource"]["subject"]["reference"] == f"Patient/{patient}"


def test_references_go_both_ways_and_into_all_places(fhir: Fhir) -> None:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{_O}">x</a></div>'
    link = {"url": "http://example.org/e", "valueUri": _O}
    said = {"system": "urn:ietf:rfc:3986", "value": _O}
    patient = sample(
        "Patient",
        identifier=[said],
        extension=[link],
        text={"status": "additional", "div": div},
    )
    observation = sample("Observation", subject={"reference": _P})
    elsewhere = "https://example.org/fhir/Device/7"
    answer = fhir.post(
        "",
        bundle(
            entry("POST", "Patient", patient, _P),
            entry("POST", "Observation", {**observation, "device": {"reference": elsewhere}}, _O),
            entry("POST", "Device", sample("Device"), elsewhere),
        ),
    )
    assert answer.status_code == 200, answer.text
    patient, observation, device = (one["resource"] for one in answer.json()["entry"])
    address = f"Observation/{observation['id']}"
    assert observation["device"]["reference"] == f"Device/{device['id']}"
    assert patient["extension"][0]["valueUri"] == address
    assert f'href="{address}"' in patient["text"]["div"]
    assert patient["identifier"] == [said]


def test_conditions_are_resolved_first(fhir: Fhir) -> None:
    fhir.put("/Patient/p", sample("Patient", id="p"))
    one = f"identifier={_IDS}|p-1"
    observation = sample("Observation", subject={"reference": f"Patient?{one}"})
    answer = fhir.post(
        "",
        bundle(
            entry("POST", "Patient", sample("Patient", gender="male"), _P, ifNoneExist=one),
            entry("POST", "Observation", observation),
            entry("POST", "Observation", sample("Observation", subject={"reference": _P})),
            entry("PUT", "Device?status=inactive", sample("Device", status="inactive"), _O),
            entry("DELETE", "Task?status=draft"),
        ),
    )
    assert answer.status_code == 200, answer.text
    assert statuses(answer) == ["200", "201", "201", "201", "204"]
    made = [one["resource"] for one in answer.json()["entry"][:3]]
    assert made[0]["gender"] == "female"
    assert {one["subject"]["reference"] for one in made[1:]} == {"Patient/p"}


@pytest.mark.parametrize(
    ("entries", "status", "where"),
    [
        ([entry("POST", "Patient", sample("Patient", gender="x"))], 422, "[1].resource.gender"),
        ([entry("DELETE", "Patient/none")], 404, "[1]"),
        ([entry("GET", "Patient/none")], 404, "[1]"),
        ([entry("GET", "Patient?nonsense:x=1&gender:nonsense=x")], 400, "[1]"),
        ([entry("PUT", "Patient/x", sample("Patient", id="x"), ifMatch='W/"1"')], 412, "[1]"),
        ([entry("PUT", "Patient/x", sample("Patient", id="y"))], 400, "[1]"),
        ([entry("PUT", "Patient/first", sample("Patient", id="first"))], 400, "[1]"),
        ([entry("PATCH", "Patient/none", patch_of({"op": "remove", "path": "/x"}))], 404, "[1]"),
        ([entry("POST", "Observation", sample("Observation", subject={"reference": _P}))],
         400, "[1]"),
        ([entry("POST", "Observation",
                sample("Observation", subject={"reference": "Patient?x=1"}))],
         400, "[1]"),
        ([entry("POST", "Observation",
                sample("Observation", subject={"reference": "Patient?identifier=none"}))],
         412, "[1]"),
        ([entry("POST", "Device", sample("Device"), _P),
          entry("POST", "Observation", sample("Observation", performer=[{"reference": _P}]))],
         422, "[2].resource.performer[0].reference"),
        ([entry("POST", "Patient", sample("Patient"), _P),
          entry("POST", "Patient", sample("Patient"), _P)], 400, "[2]"),
        ([entry("POST", "Patient", sample("Patient"), ifNoneExist="identifier=a"),
          entry("POST", "Patient", sample("Patient"), ifNoneExist="identifier=a")], 400, "[2]"),
        ([entry("POST", "ImagingStudy/$annotate", {"resourceType": "Binary"})], 400, "[1]"),
        ([entry("PUT", "CodeSystem/x", {"resourceType": "CodeSystem", "id": "x"})], 400, "[1]"),
        ([entry("POST", "$closure", {"resourceType": "Parameters"})], 400, "[1]"),
        ([entry("GET", f"CodeSystem/$lookup?system={_SCT}&code=1")], 400, "[1]"),
        ([entry("POST", "AuditEvent", {"resourceType": "AuditEvent"})], 405, "[1]"),
        ([entry("GET", "Nonsense/x")], 400, "[1]"),
        ([{}], 400, "[1]"),
    ],
)  # fmt: skip
def test_one_bad_entry_undoes_all(
    fhir: Fhir, entries: list[dict[str, Any]], status: int, where: str
) -> None:
    first = entry("PUT", "Patient/first", sample("Patient", id="first"))
    answer = fhir.post("", bundle(first, *entries))
    assert answer.status_code == status, answer.text
    found = issues(answer.json())[0]
    assert f"Bundle.entry{where}" in found["details"]["text"]
    assert fhir.get("/Patient/first").status_code == 404
    assert "entry" not in fhir.get("/_history").json()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (bundle(kind="collection"), 400),
        ({"resourceType": "Bundle", "type": "transaction", "entry": 7}, 413),
        (bundle(*[entry("GET", "Patient/x")] * 1001), 413),
        (sample("Patient"), 400),
        ([], 400),
        ({"resourceType": "Bundle", "type": ["batch"]}, 400),
        (bundle(), 200),
        (bundle(kind="batch"), 200),
    ],
)
def test_what_is_no_bundle_of_requests_is_refused(fhir: Fhir, body: Any, status: int) -> None:
    assert fhir.post("", body).status_code == status


def test_a_client_that_wants_little_is_told_little(fhir: Fhir) -> None:
    body = bundle(entry("PUT", "Patient/x", sample("Patient", id="x")))
    found = fhir.post("", body, Prefer="return=minimal").json()
    assert "resource" not in found["entry"][0]
    told = fhir.post("", body, Prefer="return=OperationOutcome").json()["entry"][0]["response"]
    assert told["outcome"]["resourceType"] == "OperationOutcome"
