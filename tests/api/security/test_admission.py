"""What a client's resource keeps under the PHI policy."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from api.errors import RequestError
from api.fhir import ABSENT, DICOM_UID
from api.phi import PSEUDONYM_SYSTEM, PhiGuard, PhiPolicy
from api.security.admission import admitted

KEEP, HASH, DROP = (PhiGuard(policy, b"k" * 32) for policy in PhiPolicy)
UUID = "0b5c2a0e-6a0b-4bd6-a8a4-1a2b3c4d5e6f"
UID = "1.2.826.0.1.3680043.10.999.7"
PATIENT = {
    "resourceType": "Patient",
    "id": UUID,
    "text": {"status": "generated", "div": "<div>Erika CANARY</div>"},
    "identifier": [{"system": "urn:kh", "value": "CANARY-4711"}],
    "name": [{"family": "CANARY", "given": ["Erika"]}],
    "telecom": [{"system": "phone", "value": "CANARY"}],
    "gender": "female",
    "birthDate": "1964-08-12",
    "address": [{"text": "CANARY"}],
    "contact": [{"name": {"text": "CANARY"}}],
    "extension": [{"url": "urn:x", "valueString": "CANARY"}],
    "link": [{"other": {"display": "CANARY"}, "type": "refer"}],
}
STUDY = {
    "resourceType": "ImagingStudy",
    "id": "s1",
    "text": {"status": "generated", "div": "<div>CANARY</div>"},
    "contained": [PATIENT],
    "extension": [
        {"url": "urn:x", "valueString": "CANARY"},
        {"url": "urn:x", "valueHumanName": {"text": "CANARY"}},
        {"url": "urn:x", "extension": [{"url": "a", "valueString": "CANARY"}]},
        {"url": "urn:x", "valueIdentifier": {"value": "CANARY"}},
        {"url": "urn:x", "valueReference": {"reference": "Patient/CANARY", "display": "CANARY"}},
        {"url": "urn:x", "valueCode": "fine"},
    ],
    "identifier": [
        {"system": DICOM_UID, "value": f"urn:oid:{UID}"},
        {"type": {"coding": [{"code": "ACSN"}]}, "system": "urn:ris", "value": "CANARY-ACC"},
        {"system": "urn:other", "value": "CANARY-OTHER"},
    ],
    "status": "available",
    "subject": {
        "reference": "Patient/CANARY",
        "identifier": {"value": "CANARY-4711"},
        "display": "CANARY, Erika",
    },
    "started": "2026-03-01T10:00:00Z",
    "basedOn": [{"identifier": {"value": "CANARY-ORDER"}, "display": "CANARY"}],
    "referrer": {"display": "Dr. Weiss"},
    "description": "Hand of CANARY",
    "note": [{"text": "CANARY called"}],
    "series": [
        {
            "uid": UID + ".1",
            "description": "CANARY",
            "modality": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "DX"},
            "performer": [{"actor": {"reference": "Practitioner/7", "display": "Dr. Weiss"}}],
            "specimen": [{"display": "CANARY"}],
            "instance": [
                {
                    "uid": UID + ".2",
                    "sopClass": {"code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"},
                    "title": "x",
                }
            ],
        }
    ],
}
OBSERVATION = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "code": {"coding": [{"system": "urn:c", "code": "examined", "display": "Examined site"}]},
    "subject": {"type": "Patient", "extension": [{"url": ABSENT, "valueCode": "unknown"}]},
    "effectiveDateTime": "2026-03-01",
    "performer": [{"display": "Dr. Weiss"}],
    "bodySite": {"coding": [{"system": "http://snomed.info/sct", "code": "85562004"}]},
    "note": [{"text": "seen again"}],
    "valueString": "CANARY",
}


def test_keep_keeps_everything() -> None:
    for one in (PATIENT, STUDY, OBSERVATION):
        assert admitted(KEEP, copy.deepcopy(one)) == one


@pytest.mark.parametrize("guard", [HASH, DROP])
def test_nothing_that_identifies_is_left_in_a_study(guard: PhiGuard) -> None:
    before = copy.deepcopy(STUDY)
    found = admitted(guard, STUDY)
    assert before == STUDY, "what the caller has is left alone"
    assert "CANARY" not in repr(found)
    assert "Erika" not in repr(found)
    assert found["referrer"] == {"display": "Dr. Weiss"}
    assert found["series"][0]["performer"][0]["actor"]["display"] == "Dr. Weiss"
    assert found["series"][0]["instance"][0]["sopClass"] == {
        "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"
    }
    assert {"url": "urn:x", "valueCode": "fine"} in found["extension"]
    assert found["meta"]["security"][0]["code"] in ("PSEUDED", "REDACTED")


def test_pseudonyms_are_those_of_dicom_headers() -> None:
    found = admitted(HASH, STUDY)
    pseudonym = {"system": PSEUDONYM_SYSTEM, "value": HASH.patient("CANARY-4711")}
    assert found["subject"] == {"type": "Patient", "identifier": pseudonym}
    assert found["identifier"][1]["value"] == HASH.accession("CANARY-ACC")
    assert admitted(HASH, PATIENT)["identifier"] == [pseudonym]
    issued = {**PATIENT, "identifier": [{"value": "P", "assigner": {"display": "KH"}}]}
    assert admitted(HASH, issued)["identifier"][0]["value"] == HASH.patient("P", "KH")


def test_under_hash_uids_and_dates_stay_and_under_drop_they_do_not() -> None:
    kept, gone = admitted(HASH, STUDY), admitted(DROP, STUDY)
    assert kept["identifier"][0]["value"] == f"urn:oid:{UID}"
    assert kept["series"][0]["uid"] == UID + ".1"
    assert kept["started"] == "2026-03-01T10:00:00Z"
    assert gone["identifier"] == [{"system": DICOM_UID, "value": f"urn:oid:{DROP.uid(UID)}"}]
    assert gone["series"][0]["uid"] == DROP.uid(UID + ".1")
    assert UID not in repr(gone)
    assert gone["started"] == "2026"
    assert gone["subject"]["extension"] == [{"url": ABSENT, "valueCode": "masked"}]
    assert admitted(DROP, OBSERVATION)["effectiveDateTime"] == "2026"


def test_a_patient_keeps_gender_and_a_pseudonym_under_hash() -> None:
    found = admitted(HASH, PATIENT)
    assert set(found) == {"resourceType", "id", "meta", "identifier", "gender"}
    assert "CANARY" not in repr(found)


def test_a_patient_is_refused_under_drop_and_with_an_id_that_may_identify_under_hash() -> None:
    with pytest.raises(RequestError, match="nothing of a patient is stored") as caught:
        admitted(DROP, PATIENT)
    assert (caught.value.status, caught.value.issue) == (422, "business-rule")
    with pytest.raises(RequestError, match="could be one that identifies") as caught:
        admitted(HASH, {**PATIENT, "id": "CANARY-4711"})
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (f"Patient/{UUID}", {"type": "Patient", "reference": f"Patient/{UUID}"}),
        ("#p", {"reference": "#p"}),
        ("Patient/4711", {"type": "Patient", "identifier": "4711"}),
        ("https://ehr.example/Patient/4711", {"type": "Patient", "identifier": "4711"}),
        (f"https://ehr.example/Patient/{UUID}", {"type": "Patient", "identifier": UUID}),
        ("/Patient/4711", {"type": "Patient", "identifier": "4711"}),
    ],
)
def test_a_reference_to_a_patient_under_hash(reference: str, expected: dict[str, Any]) -> None:
    found = admitted(HASH, {**OBSERVATION, "subject": {"reference": reference}})["subject"]
    if "identifier" in expected:
        expected["identifier"] = {
            "system": PSEUDONYM_SYSTEM,
            "value": HASH.patient(expected["identifier"]),
        }
    assert found == expected


@pytest.mark.parametrize("guard", [HASH, DROP])
def test_what_was_let_through_may_be_sent_again(guard: PhiGuard) -> None:
    stored = {**admitted(guard, STUDY), "note": [{"text": "Header: flag."}]}
    again = admitted(guard, copy.deepcopy(stored), stored)
    assert again == stored
    changed = {**stored, "note": [*stored["note"], {"text": "CANARY"}]}
    assert admitted(guard, changed, stored)["note"] == stored["note"]


@pytest.mark.parametrize("guard", [HASH, DROP])
def test_what_holds_nothing_of_a_patient_is_left_alone(guard: PhiGuard) -> None:
    practitioner = {
        "resourceType": "Practitioner",
        "id": "7",
        "identifier": [{"value": "LANR"}],
        "name": [{"family": "Weiss"}],
    }
    assert admitted(guard, practitioner) == practitioner


def _of_r5(**value: Any) -> dict[str, Any]:
    """Return an extension that keeps an element of R5 in a resource of R4."""
    kind = {"url": "_datatype", "valueString": "CodeableReference"}
    url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ImagingStudy.series.bodySite"
    return {"url": url, "extension": [kind, {"url": "concept", **value}]}


def test_what_r5_says_is_kept_but_for_its_free_text() -> None:
    kept = _of_r5(valueCodeableConcept={"coding": [{"code": "85562004"}]})
    content = {**OBSERVATION, "extension": [kept, _of_r5(valueString="CANARY")]}
    assert admitted(HASH, content)["extension"] == [kept]
    named = {"url": "_datatype", "valueString": "CANARY"}
    assert "extension" not in admitted(HASH, {**OBSERVATION, "extension": [named]})


def test_a_false_pseudonym_is_not_believed() -> None:
    subject = {"identifier": {"system": PSEUDONYM_SYSTEM, "value": "CANARY"}}
    found = admitted(HASH, {**OBSERVATION, "subject": subject})
    assert "CANARY" not in repr(found)
    true = {"system": PSEUDONYM_SYSTEM, "value": "a" * 64}
    found = admitted(HASH, {**OBSERVATION, "subject": {"identifier": true}})
    assert found["subject"]["identifier"] == true
