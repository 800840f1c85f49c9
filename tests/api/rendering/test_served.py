"""Both releases over one store, as clients see them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from fhir.resources import get_fhir_model_class as r5_class

from tests.api.checks import checked, of_type
from tests.api.client import Client
from tests.api.conftest import make_dicom

_JSON = {"content-type": "application/fhir+json"}


def created(client: Client, release: str, content: dict[str, Any]) -> dict[str, Any]:
    url = f"/{release}/{content['resourceType']}"
    answer = client.post(url, content=json.dumps(content), headers=_JSON)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def read(client: Client, release: str, resource: dict[str, Any]) -> dict[str, Any]:
    answer = client.get(f"/{release}/{resource['resourceType']}/{resource['id']}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_annotate_answers_in_the_release_of_its_address(client: Client) -> None:
    data = make_dicom(BodyPartExamined="HAND", ImageLaterality="L")
    shown = client.post(
        "/r5/ImagingStudy/$annotate", content=data, headers={"content-type": "application/dicom"}
    ).json()
    for entry in shown["entry"]:
        assert entry["fullUrl"].startswith("http://testserver/r5/")
        r5_class(entry["resource"]["resourceType"]).model_validate(copy.deepcopy(entry["resource"]))
        assert read(client, "r5", entry["resource"]) == entry["resource"]
        checked(read(client, "r4", entry["resource"]))
    (study,) = of_type(shown, "ImagingStudy")
    (structure,) = of_type(shown, "BodyStructure")
    site = study["series"][0]["bodySite"]
    # 85562004 |Hand|, 85151006 |Left hand|.
    assert [one["code"] for one in site["concept"]["coding"]] == ["85562004", "85151006"]
    assert site["reference"] == {"reference": f"BodyStructure/{structure['id']}"}
    assert structure["includedStructure"][0]["laterality"]["coding"][0]["code"] == "7771000"
    (observation,) = of_type(shown, "Observation")
    # FHIR R5, invariant obs-8: a coded site and a reference to a structure exclude each other.
    assert "bodyStructure" not in observation
    assert read(client, "r4", study)["series"][0]["bodySite"]["code"] == "85562004"


ONLY_R5: list[dict[str, Any]] = [
    {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "A finding"},
        "subject": {"reference": "Patient/p"},
        "triggeredBy": [{"observation": {"reference": "Observation/o"}, "type": "repeat"}],
        "bodyStructure": {"reference": "BodyStructure/b"},
    },
    {
        "resourceType": "BodyStructure",
        "patient": {"reference": "Patient/p"},
        "includedStructure": [
            {"structure": {"coding": [{"system": "http://snomed.info/sct", "code": "85562004"}]}},
            {"structure": {"coding": [{"system": "http://snomed.info/sct", "code": "56459004"}]}},
        ],
        "excludedStructure": [{"structure": {"text": "the thumb"}}],
    },
    {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "doNotPerform": True,
        "requestedPeriod": {"start": "2026-03-01"},
    },
]


@pytest.mark.parametrize("content", ONLY_R5, ids=lambda one: one["resourceType"])
def test_what_only_r5_has_survives_in_the_store(
    serve: Callable[..., Client], content: dict[str, Any]
) -> None:
    # Other policies replace what names a patient.
    client = serve(phi="keep")
    made = created(client, "r5", content)
    shown = read(client, "r5", made)
    assert {key: value for key, value in shown.items() if key not in {"id", "meta"}} == content
    old = checked(read(client, "r4", made))
    assert "http://hl7.org/fhir/5.0/" in json.dumps(old)
    answer = client.request(
        "PUT",
        f"/r4/{made['resourceType']}/{made['id']}",
        content=json.dumps({**old, "language": "de"}),
        headers=_JSON,
    )
    assert answer.status_code == 200, answer.text
    after = read(client, "r5", made)
    assert {key: one for key, one in after.items() if key not in {"id", "meta"}} == {
        **content,
        "language": "de",
    }


def test_a_patient_that_a_client_stores_is_referred_to_from_then_on(client: Client) -> None:
    same = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4", "SOPInstanceUID": "1.2.5"}
    first = client.annotate(make_dicom(BodyPartExamined="HAND", **same)).json()
    (study,) = of_type(first, "ImagingStudy")
    assert "reference" not in study["subject"]
    identifier = study["subject"]["identifier"]
    patient = created(client, "r4", {"resourceType": "Patient", "identifier": [identifier]})
    again = client.annotate(make_dicom(BodyPartExamined="FOOT", **same)).json()
    (study,) = of_type(again, "ImagingStudy")
    assert study["subject"]["reference"] == f"Patient/{patient['id']}"
    assert study["subject"]["identifier"] == identifier
    created(client, "r4", {"resourceType": "Patient", "identifier": [identifier]})
    last = client.annotate(make_dicom(BodyPartExamined="KNEE", **same)).json()
    assert "reference" not in of_type(last, "ImagingStudy")[0]["subject"], "two: it is a guess"
