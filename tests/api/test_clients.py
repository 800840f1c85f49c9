"""FHIR clients that others wrote, against a running server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from tests.api.conftest import make_dicom, running_server

BELOW = {"bodysite:below": "http://snomed.info/sct|61685007"}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("served")
    with running_server(folder) as (_, address):
        for part in ("KNEE", "FOOT", "HAND"):
            answer = requests.post(
                f"{address}/r4/ImagingStudy/$annotate",
                files={"file": ("x.dcm", make_dicom(BodyPartExamined=part))},
                timeout=10,
            )
            assert answer.status_code == 200
        yield f"{address}/r4"


def test_fhirpy_searches_counts_pages_and_reads(address: str) -> None:
    client = SyncFHIRClient(address)
    found = client.resources("ImagingStudy").search(**BELOW)
    studies = found.fetch()
    assert {study.series[0].bodySite.code for study in studies} == {"72696002", "56459004"}
    assert found.count() == 2
    assert len(found.limit(1).fetch_all()) == 2
    study = client.reference("ImagingStudy", studies[0]["id"]).to_resource()
    assert study["identifier"] == studies[0]["identifier"]
    observations = client.resources("Observation").search(
        **{"body-site:below": "http://snomed.info/sct|61685007"}
    )
    assert len(observations.fetch_all()) == 2


def test_fhirpy_sees_our_errors(address: str) -> None:
    client = SyncFHIRClient(address)
    with pytest.raises(ResourceNotFound):
        client.reference("ImagingStudy", "none").to_resource()
    with pytest.raises(OperationOutcome, match="check digit"):
        client.resources("ImagingStudy").search(bodysite="85562005").fetch()
