"""fhirpy and fhirclient: create, annotate, search, page, chain, below, update, history."""

from __future__ import annotations

from typing import Any

import pytest
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from tests.api.clients.recording import (
    FOOT,
    KNEE,
    LOWER_LIMB,
    PARTS,
    SNOMED,
    Recorder,
    check_answers,
    check_answers_in_node,
    needs_npm,
    uploads,
)


@pytest.mark.parametrize("release", ["r4", "r5"])
def test_fhirpy_runs_the_script(address: str, recorder: Recorder, release: str) -> None:
    client = SyncFHIRClient(f"{address}/{release}")
    patient = client.resource(
        "Patient", identifier=[{"system": "urn:example:mrn", "value": "4711"}]
    )
    patient.save()
    assert client.reference("Patient", patient["id"]).to_resource()["id"] == patient["id"]

    bundle = client.execute("ImagingStudy/$annotate", method="post", data=uploads())
    kinds = {entry["resource"]["resourceType"] for entry in bundle["entry"]}
    assert {"ImagingStudy", "Observation", "Device", "Provenance"} <= kinds

    studies = client.resources("ImagingStudy")
    assert studies.search(modality="DX").count() == len(PARTS)
    paged = studies.search(modality="DX").limit(2).fetch_all()
    assert len({one["id"] for one in paged}) == len(PARTS)

    below = studies.search(**{"bodysite:below": f"{SNOMED}|{LOWER_LIMB}"}).fetch_all()
    assert len(below) == 3
    chained = client.resources("Observation").search(
        **{
            "derived-from:ImagingStudy.modality": "DX",
            "body-site:below": f"{SNOMED}|{LOWER_LIMB}",
        }
    )
    assert len(chained.fetch_all()) == 3
    has = studies.search(**{"_has:Observation:derived-from:body-site": f"{SNOMED}|{KNEE}"})
    assert len(has.fetch_all()) == 1

    observation = (
        client.resources("Observation").search(**{"body-site": f"{SNOMED}|{KNEE}"}).first()
    )
    observation["status"] = "corrected"
    observation["bodySite"] = {"coding": [{"system": SNOMED, "code": FOOT}]}
    observation.save()
    assert observation["meta"]["versionId"] == "2"
    assert len(studies.search(bodysite=f"{SNOMED}|{FOOT}").fetch_all()) == 2
    name = f"Observation/{observation['id']}"
    history = client.execute(f"{name}/_history", method="get")
    assert [one["resource"]["meta"]["versionId"] for one in history["entry"]] == ["2", "1"]
    former = client.execute(f"{name}/_history/1", method="get")
    assert former["status"] == "preliminary"

    patient.delete()
    with pytest.raises(ResourceNotFound, match="deleted"):
        patient.refresh()
    with pytest.raises(OperationOutcome, match="check digit"):
        studies.search(bodysite="85562005").fetch()
    with pytest.raises(ResourceNotFound):
        client.reference("Patient", "none").to_resource()
    check_answers(recorder)


@needs_npm
def test_what_fhirpy_was_told_is_valid(address: str, recorder: Recorder) -> None:
    test_fhirpy_runs_the_script(address, recorder, "r4")
    check_answers_in_node(recorder)


def test_fhirclient_runs_the_script(address: str, recorder: Recorder) -> None:
    from fhirclient.client import FHIRClient
    from fhirclient.models.codeableconcept import CodeableConcept
    from fhirclient.models.imagingstudy import ImagingStudy
    from fhirclient.models.observation import Observation
    from fhirclient.models.patient import Patient

    client = FHIRClient({"app_id": "tests", "api_base": f"{address}/r4"})
    server = client.server
    assert client.prepare()
    patient = Patient({"identifier": [{"system": "urn:example:mrn", "value": "4711"}]})
    created = patient.create(server)
    assert Patient.read(created["id"], server).identifier[0].value is not None

    bundle = server.post_json("ImagingStudy/$annotate", uploads()).json()
    assert bundle["resourceType"] == "Bundle"

    def found(struct: dict[str, Any], kind: Any = ImagingStudy) -> list[Any]:
        return list(kind.where(struct=struct).perform_resources_iter(server))

    assert len(found({"modality": "DX"})) == len(PARTS)
    assert len(found({"modality": "DX", "_count": "2"})) == len(PARTS)
    assert len(found({"bodysite:below": f"{SNOMED}|{LOWER_LIMB}"})) == 3
    chain = {"derived-from:ImagingStudy.modality": "DX", "body-site": f"{SNOMED}|{KNEE}"}
    (observation,) = found(chain, Observation)

    observation.status = "corrected"
    observation.bodySite = CodeableConcept({"coding": [{"system": SNOMED, "code": FOOT}]})
    observation.update(server)
    assert len(found({"bodysite": f"{SNOMED}|{FOOT}"})) == 2
    history = server.request_json(f"Observation/{observation.id}/_history")
    assert [one["resource"]["status"] for one in history["entry"]] == ["corrected", "preliminary"]
    Patient.read(created["id"], server).delete()
    check_answers(recorder)
