"""Nothing of a patient in logs, metrics, AuditEvents, or answers to others.

Values that stand for a patient's go through every way in; afterwards they are looked for.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from api.store import SqlStore
from tests.api.client import Client
from tests.api.conftest import make_dicom

CANARY = "Zqxcanary"
UID = "1.2.826.0.1.3680043.10.999.777123"
FHIR = {"content-type": "application/fhir+json"}
DICOM = {"content-type": "application/dicom"}
PATIENT = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:kh", "value": f"{CANARY}-id"}],
    "name": [{"family": CANARY}],
}
OBSERVATION = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "x"},
    "subject": {"reference": f"Patient/{CANARY}", "display": CANARY},
    "note": [{"text": CANARY}],
}
STUDY = {
    "resourceType": "ImagingStudy",
    "status": "available",
    "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{UID}"}],
    "subject": {"identifier": {"value": CANARY}, "display": CANARY},
    "description": CANARY,
}


def _dicom() -> bytes:
    return make_dicom(
        BodyPartExamined="HAND",
        PatientName=f"{CANARY}^Erika",
        PatientID=f"{CANARY}-id",
        AccessionNumber=CANARY,
        StudyDescription=f"Hand {CANARY}",
        StudyInstanceUID=UID,
    )


def _requests() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield every way in, each with values of a patient in it."""
    dicom = _dicom()
    kinds = ("ImagingStudy", "Observation", "Patient", "Task", "Provenance", "Device")
    for root in ("/r4", "/r5"):
        for kind in kinds:
            yield "GET", f"{root}/{kind}/{CANARY}", {}
            yield "GET", f"{root}/{kind}/{CANARY}/_history/1", {}
            yield "GET", f"{root}/{kind}?identifier=urn:x|{CANARY}", {}
            yield "GET", f"{root}/{kind}?{CANARY}={CANARY}", {}
            yield "GET", f"{root}/{kind}?_sort={CANARY}&_count={CANARY}", {}
            yield "POST", f"{root}/{kind}/_search", {"data": {"identifier": CANARY}}
            yield "DELETE", f"{root}/{kind}/{CANARY}", {}
            yield "DELETE", f"{root}/{kind}?identifier={CANARY}", {}
            body = json.dumps({"resourceType": kind, "id": CANARY, "status": CANARY})
            yield "PUT", f"{root}/{kind}/{CANARY}", {"content": body, "headers": FHIR}
            yield "PATCH", f"{root}/{kind}/{CANARY}", {"content": body, "headers": FHIR}
        yield "GET", f"{root}/{CANARY}/{CANARY}", {}
        yield "GET", f"{root}/_jobs/{CANARY}", {}
        yield "GET", f"{root}/$export?_typeFilter=Patient%3Fname%3D{CANARY}", {}
        yield "GET", f"{root}/CodeSystem/$lookup?system={CANARY}&code={CANARY}", {}
        yield "GET", f"{root}/ValueSet/$expand?url={CANARY}&filter={CANARY}", {}
        for content in (PATIENT, OBSERVATION, STUDY):
            kind = str(content["resourceType"])
            whole = json.dumps(content)
            yield "POST", f"{root}/{kind}", {"content": whole, "headers": FHIR}
            yield "POST", f"{root}/{kind}", {"content": whole[:-9], "headers": FHIR}
            wrong = json.dumps({**content, CANARY: CANARY, "status": CANARY})
            yield "POST", f"{root}/{kind}", {"content": wrong, "headers": FHIR}
            headers = {**FHIR, "If-None-Exist": f"identifier={CANARY}"}
            yield "POST", f"{root}/{kind}", {"content": whole, "headers": headers}
            entry = {"resource": content, "request": {"method": "POST", "url": kind}}
            for one in ("batch", "transaction"):
                bundle = {"resourceType": "Bundle", "type": one, "entry": [entry]}
                bad = {**entry, "request": {"method": CANARY, "url": CANARY}}
                for sent in (bundle, {**bundle, "entry": [bad]}):
                    yield "POST", root, {"content": json.dumps(sent), "headers": FHIR}
        path = f"{root}/ImagingStudy/$annotate"
        yield "POST", path, {"content": dicom, "headers": DICOM}
        for cut in (len(dicom) - 7, 400, 200, 140):
            yield "POST", path, {"content": dicom[:cut], "headers": DICOM}
        yield "POST", path, {"content": CANARY.encode() * 50, "headers": DICOM}
        yield "POST", path, {"files": {"file": (f"{CANARY}.dcm", dicom)}}
        yield "POST", path, {"files": {CANARY: (f"{CANARY}.dcm", b"broken")}}
        yield "POST", path, {"content": f'{{"{CANARY}'.encode(), "headers": FHIR}
        yield "POST", f"{path}?modality={CANARY}&persist={CANARY}", {"content": dicom}
        binary = {"resourceType": "Binary", "contentType": CANARY, "data": CANARY}
        yield "POST", path, {"content": json.dumps(binary), "headers": FHIR}
    for name in ("Accept", "Content-Type", "Prefer", "If-Match", "If-None-Match", "Referer",
                 "User-Agent", "Authorization", "Cookie", "X-Patient", "Accept-Language",
                 "If-Modified-Since", "Origin", "X-Forwarded-For"):  # fmt: skip
        yield "GET", "/r4/ImagingStudy", {"headers": {name: CANARY}}
        yield "POST", "/r4/Observation", {"headers": {name: CANARY}, "content": b"{}"}
    yield CANARY, "/r4/ImagingStudy", {}
    yield "GET", f"/{CANARY}", {}
    yield "GET", f"/r4/{CANARY}/%00", {}
    yield "GET", f"/docs?{CANARY}", {}


def _failing(*_: Any, **__: Any) -> Any:
    raise RuntimeError(CANARY)


@pytest.mark.parametrize("policy", ["keep", "hash", "drop"])
def test_nothing_of_a_patient_is_where_it_should_not_be(
    serve: Callable[..., Client],
    store: SqlStore,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    policy: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("sqlalchemy").setLevel(logging.WARNING)
    client = serve(phi=policy, audit="all")
    client.raise_errors = False
    answers: list[httpx.Response] = []
    for method, path, options in _requests():
        answers.append(client.request(method, path, **options))
        assert answers[-1].status_code < 500, (method, path, answers[-1].text)
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "search", _failing)
        patch.setattr(type(store), "run", _failing)
        for method, path, options in (
            ("GET", f"/r4/ImagingStudy?identifier={CANARY}", {}),
            ("POST", "/r4/Observation", {"content": json.dumps(OBSERVATION), "headers": FHIR}),
            ("POST", "/r4/ImagingStudy/$annotate", {"content": _dicom(), "headers": DICOM}),
        ):
            failed = client.request(method, path, **options)
            assert failed.status_code >= 400
    client.app.state.security.audit.flush()
    hidden = (CANARY,) if policy != "drop" else (CANARY, UID)
    found = {
        # The client of the test is no part of the service.
        "logs": "\n".join(
            f"{one.getMessage()} {vars(one)}"
            for one in caplog.records
            if one.name.partition(".")[0] not in ("httpx", "httpcore")
        ),
        "output": "".join(capfd.readouterr()),
        "metrics": client.get("/metrics").text,
        "health": client.get("/health").text,
        "another client's error": client.get("/r4/ImagingStudy?modality:x=1").text,
        "the document of the interface": client.get("/openapi.json").text,
    }
    events = [one.body for one in store.history("AuditEvent", None, 100_000).versions]
    # Like requests of one batch are one event.
    assert len(events) > 50
    if policy != "keep":
        found["AuditEvents"] = "\n".join(events)
    leaks = {
        place: text[max(0, text.find(one) - 200) : text.find(one) + 100]
        for place, text in found.items()
        for one in hidden
        if one in text
    }
    assert leaks == {}


@pytest.mark.parametrize("policy", ["hash", "drop"])
def test_what_clients_send_is_stored_without_what_identifies(
    serve: Callable[..., Client], store: SqlStore, policy: str
) -> None:
    client = serve(phi=policy)
    statuses = {
        str(content["resourceType"]): client.post(
            f"/r4/{content['resourceType']}", content=json.dumps(content), headers=FHIR
        ).status_code
        for content in (PATIENT, OBSERVATION, STUDY)
    }
    expected = 201 if policy == "hash" else 422
    assert statuses == {"Patient": expected, "Observation": 201, "ImagingStudy": 201}
    assert client.annotate(_dicom()).status_code == 200
    bodies = "\n".join(one.body for one in store.history(None, None, 1000).versions)
    assert CANARY not in bodies
    assert (UID in bodies) is (policy == "hash")
    with store.engine.connect() as connection:
        for table in ("token_value", "text_value", "instance_annotation"):
            rows = connection.exec_driver_sql(f"SELECT * FROM {table}").all()  # noqa: S608
            assert CANARY.lower() not in repr(rows).lower(), table
