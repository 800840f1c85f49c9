"""FHIR clients that others wrote, against a running server."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound

from tests.api.conftest import make_dicom, running_server

NODE = Path(__file__).parents[1] / "clients"
needs_npm = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules").is_dir(),
    reason="needs Node.js and the packages that `make clients` installs",
)
_ROWS = 200
_BARE = {"resourceType": "Basic", "code": {"text": "left out"}}
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


@needs_npm
def test_fhir_kit_client_reads_searches_pages_and_looks_up(address: str) -> None:
    done = subprocess.run(
        ["node", "search.mjs", address, "61685007"], cwd=NODE, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["fhirVersion"] == "4.0.1"
    assert seen["total"] == len(set(seen["ids"])) == 2
    assert seen["study"] == seen["ids"][0]
    assert seen["observations"] == 2
    assert seen["missing"] == {"status": 404, "issue": "not-found"}
    assert seen["lookup"] == "Parameters"


@needs_npm
def test_medplum_and_lantana_accept_everything_that_the_service_says(address: str) -> None:
    pages = {
        "/metadata": {},
        "/ImagingStudy": {},
        "/Observation": {"_include": "Observation:derived-from"},
        "/SearchParameter": {},
        "/ConceptMap": {},
        "/CodeSystem": {"_count": "100"},
        "/ValueSet": {"_count": "100"},
        "/ConceptMap/header-words/$translate": {
            "system": "https://w3id.org/bodysite/CodeSystem/header-words",
            "code": "HAND LI a.p.",
        },
        "/CodeSystem/irma/$lookup": {"code": "1121-120-930-700"},
        "/CodeSystem/$lookup": {"system": "http://snomed.info/sct", "code": "85562004"},
        "/CodeSystem/$subsumes": {
            "system": "http://snomed.info/sct",
            "codeA": "53120007",
            "codeB": "85562004",
        },
        "/ValueSet/$expand": {"url": "http://snomed.info/sct?fhir_vs=isa/85562004"},
        "/ConceptMap/$translate": {
            "system": "https://w3id.org/bodysite/CodeSystem/irma-anatomy",
            "code": "414",
        },
        "/ImagingStudy/none": {},
        "/ImagingStudy?bodysite=85562005": {},
    }
    resources = [
        requests.get(address + page, params=asked, timeout=10).json()
        for page, asked in pages.items()
    ]
    kinds = {"Device", "Provenance"}
    linked = [one for one in resources[2]["entry"] if one["resource"].get("device")]
    resources.append(
        requests.get(f"{address}/{linked[0]['resource']['device']['reference']}", timeout=10).json()
    )
    bundle = requests.post(
        f"{address}/ImagingStudy/$annotate",
        files=[("a", ("a.dcm", make_dicom(BodyPartExamined="ELBOW"))), ("b", ("b.dcm", b"no"))],
        timeout=10,
    ).json()
    resources.append(bundle)
    everything = list(_with_entries(resources))
    assert kinds <= {resource["resourceType"] for resource in everything}
    done = subprocess.run(
        ["node", "validate.mjs"],
        cwd=NODE,
        input="\n".join(json.dumps(_short(resource)) for resource in everything),
        capture_output=True,
        text=True,
    )
    assert done.stdout == ""
    assert f"{len(everything)} resources, 0 refused" in done.stderr


def _with_entries(resources: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for resource in resources:
        inside = [entry["resource"] for entry in resource.get("entry", [])]
        if inside:
            # Each of them is checked alone, and would be once more inside of its Bundle.
            bare = [{**entry, "resource": _BARE} for entry in resource["entry"]]
            yield {**resource, "entry": bare}
        else:
            yield resource
        yield from inside


def _short(value: Any) -> Any:
    """Return JSON with the first rows of long tables: the others have the same form."""
    if isinstance(value, dict):
        return {name: _short(one) for name, one in value.items()}
    return [_short(one) for one in value[:_ROWS]] if isinstance(value, list) else value
