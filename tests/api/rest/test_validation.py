"""What clients send is valid FHIR, or refused by the element that is wrong, its value unsaid."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.app import create_app
from api.settings import Settings
from api.store import SqlStore
from terminology.library import Terminology
from tests.api.checks import issues
from tests.api.client import Client
from tests.api.rest.conftest import Fhir, sample

_SECRET = "Mustermann"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, terminology: Terminology) -> Iterator[Client]:
    """One service for all of them: almost nothing here is ever stored."""
    store = SqlStore(f"sqlite:///{tmp_path_factory.mktemp('validation')}/store.sqlite")
    yield Client(
        create_app(Settings(phi="keep", audit="off"), terminology=terminology, store=store)
    )
    store.close()


def observation(**changes: Any) -> dict[str, Any]:
    return sample("Observation", **changes)


@pytest.mark.parametrize(
    ("kind", "changes", "path"),
    [
        ("Observation", {"status": None}, "Observation.status"),
        ("Observation", {"status": _SECRET}, "Observation.status"),
        ("Observation", {"code": None}, "Observation.code"),
        ("Observation", {_SECRET[:3]: "x"}, "Observation.Mus"),
        ("Observation", {"bodySite": []}, "Observation.bodySite"),
        ("Observation", {"bodySite": [{"text": "x"}]}, "Observation.bodySite"),
        ("Observation", {"bodySite": "x"}, "Observation.bodySite"),
        ("Observation", {"category": {"text": "x"}}, "Observation.category"),
        ("Observation", {"valueInteger": "5"}, "Observation.valueInteger"),
        ("Observation", {"valueInteger": 5.0}, "Observation.valueInteger"),
        ("Observation", {"valueBoolean": "true"}, "Observation.valueBoolean"),
        ("Observation", {"valueString": 5}, "Observation.valueString"),
        ("Observation", {"effectiveDateTime": _SECRET}, "Observation.effectiveDateTime"),
        ("Observation", {"effectiveDateTime": 2026}, "Observation.effectiveDateTime"),
        ("Observation", {"effectiveDateTime": "2026-02-30"}, "Observation.effectiveDateTime"),
        ("Observation", {"valueString": "x", "valueInteger": 1}, "Observation"),
        ("Observation", {"component": [{"valueString": "x"}]}, "Observation.component[0].code"),
        (
            "Observation",
            {"valueString": "x", "dataAbsentReason": {"text": "x"}},
            "Observation.dataAbsentReason",
        ),
        (
            "Observation",
            {
                "valueString": "x",
                "component": [{"code": {"coding": [{"system": "http://example.org/codes",
                                                    "code": "a"}]}}],
            },
            "Observation.component[0].code",
        ),
        ("Observation", {"referenceRange": [{"type": {"text": "x"}}]},
         "Observation.referenceRange[0]"),
        ("Observation", {"encounter": {"reference": "Patient/x"}},
         "Observation.encounter.reference"),
        ("Observation", {"encounter": {"type": "Patient"}}, "Observation.encounter.type"),
        ("Observation", {"subject": {"reference": "#none"}}, "Observation.subject.reference"),
        ("Observation", {"extension": [{"url": "http://x.org/e"}]}, "Observation.extension[0]"),
        ("Observation", {"valueQuantity": {"value": 1, "code": "mm"}}, "Observation.valueQuantity"),
        ("Observation", {"valueQuantity": {"value": "1"}}, "Observation.valueQuantity.value"),
        (
            "Observation",
            {"effectivePeriod": {"start": "2026-02-01", "end": "2026-01-01"}},
            "Observation.effectivePeriod",
        ),
        ("Observation", {"contained": [{"resourceType": "Nonsense", "id": "a"}]},
         "Observation.contained[0]"),
        ("Observation", {"contained": [{"resourceType": "Patient", "id": "a"}]},
         "Observation.contained[0]"),
        ("Observation", {"text": {"status": "x", "div": "<div/>"}}, "Observation.text.status"),
        ("ImagingStudy", {"numberOfSeries": -1}, "ImagingStudy.numberOfSeries"),
        ("ImagingStudy", {"series": [{"number": 1}]}, "ImagingStudy.series[0].modality"),
        ("Patient", {"gender": _SECRET}, "Patient.gender"),
        ("Patient", {"name": [{"use": _SECRET}]}, "Patient.name[0].use"),
        ("Patient", {"birthDate": _SECRET}, "Patient.birthDate"),
        ("Patient", {"name": [{"given": [None]}]}, "Patient.name[0].given[0]"),
        ("Device", {"status": _SECRET}, "Device.status"),
        ("Task", {"intent": _SECRET}, "Task.intent"),
        ("Task", {"priority": _SECRET}, "Task.priority"),
        ("Provenance", {"entity": [{"role": _SECRET, "what": {"display": "x"}}]},
         "Provenance.entity[0].role"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(fhir: Fhir, kind: str, changes: dict[str, Any], path: str) -> None:
    content = {k: v for k, v in sample(kind, fhir.root, **changes).items() if v is not None}
    answer = fhir.post(f"/{kind}", content)
    found = issues(answer.json())
    empty = [] in changes.values()
    assert answer.status_code == (400 if empty else 422), answer.text
    told = [one["details"]["text"] if empty else one["expression"][0] for one in found]
    assert path in told
    assert _SECRET not in answer.text


def test_an_r4_form_is_none_in_r5_and_the_other_way_round(fhir: Fhir) -> None:
    site = {"system": "http://snomed.info/sct", "code": "85562004"}
    series = {"uid": "1.2.3", "modality": {"code": "DX"}, "bodySite": site}
    r5 = {
        **series,
        "modality": {"coding": [{"code": "DX"}]},
        "bodySite": {"concept": {"coding": [site]}},
    }
    for one, root in ((series, "/r4"), (r5, "/r5")):
        answer = fhir.post("/ImagingStudy", sample("ImagingStudy", series=[one]))
        assert answer.status_code == (201 if root == fhir.root else 422), answer.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b'{"resourceType":"Patient","gender":"male","gender":"female"}', 400),
        (b'{"resourceType":"Patient","multipleBirthInteger":NaN}', 400),
        (b'{"resourceType":"Patient","multipleBirthInteger":Infinity}', 400),
        (b'{"resourceType":"Patient","multipleBirthInteger":1e999999999}', 400),
        (b'{"resourceType":"Patient","multipleBirthInteger":' + b"9" * 5000 + b"}", 400),
        (b'{"resourceType":"Patient","gender":null}', 400),
        (b'{"resourceType":"Patient","gender":""}', 400),
        (b'{"resourceType":"Patient","name":[]}', 400),
        (b'{"resourceType":"Patient","name":[{}]}', 400),
        (b'{"resourceType":"Patient","language":"\\u0000"}', 400),
        (b'{"resourceType":"Patient","language":"\\ud800"}', 400),
        (b'{"resourceType":"Patient","extension":' + b"[" * 5000 + b"]" * 5000 + b"}", 400),
        (b'{"resourceType":"Patient","x":' + b'{"x":' * 80 + b"1" + b"}" * 81, 400),
        (b'{"resourceType":["Patient"]}', 400),
        (b'"Patient"', 400),
        (b'{"resourceType":"Nonsense"}', 400),
    ],
)
def test_what_is_no_resource_is_refused(fhir: Fhir, body: bytes, status: int) -> None:
    answer = fhir.post("/Patient", body)
    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")


def test_a_resource_that_is_too_large_is_refused(r4: Fhir) -> None:
    body = json.dumps(sample("Patient", language="x" * (17 << 20))).encode()
    assert r4.post("/Patient", body).status_code == 413


def test_problems_are_named_all_at_once(fhir: Fhir) -> None:
    content = observation(status="x", valueInteger="x", nonsense=1)
    found = issues(fhir.post("/Observation", content).json())
    assert {one["expression"][0] for one in found} == {
        "Observation.status",
        "Observation.valueInteger",
        "Observation.nonsense",
    }
    assert {one["severity"] for one in found} == {"error"}


@pytest.mark.parametrize(
    "content",
    [
        observation(status="final", _status={"id": "a"}),
        observation(valueQuantity={"value": 1.5, "unit": "mm"}),
        observation(
            subject={"reference": "#p"}, contained=[{"resourceType": "Patient", "id": "p"}]
        ),
        observation(subject={"identifier": {"value": "x"}, "type": "Patient"}),
        observation(subject={"reference": "https://example.org/fhir/Patient/1"}),
        observation(subject={"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}),
        observation(effectivePeriod={"start": "2026-01-01T10:00:00+02:00", "end": "2026"}),
        sample("Patient", name=[{"given": ["a", None], "_given": [None, {"id": "x"}]}]),
        sample("Patient", deceasedBoolean=False),
        sample("Patient", text={"status": "generated",
                                "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}),
    ],
)  # fmt: skip
def test_what_is_right_is_taken(fhir: Fhir, content: dict[str, Any]) -> None:
    answer = fhir.post(f"/{content['resourceType']}", content)
    assert answer.status_code == 201, answer.text
    kept = {name: value for name, value in answer.json().items() if name not in {"id", "meta"}}
    assert kept == content
