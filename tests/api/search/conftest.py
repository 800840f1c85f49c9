"""A searcher over a store of a few resources, without a server around it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.indexing import indexed
from api.search import Searcher, SearchRequest
from api.store import SqlStore
from api.tx.service import TerminologyService
from terminology.library import Terminology
from terminology.release.embedded import embedded_index

Json = dict[str, Any]
BASE = "http://here.example.org/r4"


@pytest.fixture(scope="session")
def tx(terminology: Terminology) -> TerminologyService:
    return TerminologyService((embedded_index(),), terminology)


class Archive:
    """Resources in a store, and searches over them."""

    def __init__(self, store: SqlStore, terminology: Terminology, tx: TerminologyService) -> None:
        self.store = store
        self.graph = terminology.graph
        self.searcher = Searcher(store, self.graph, 100, 100, tx)

    def put(self, *resources: Json) -> None:
        """Store resources as a client would send them, in R4."""
        self.store.put([indexed(one["resourceType"], one, graph=self.graph) for one in resources])

    def bundle(self, kind: str, query: str, release: str = "R4", *, strict: bool = True) -> Json:
        """Return the answer to ``name=value&…``, written without percent-encoding."""
        parameters = tuple(
            (name, value) for name, _, value in (one.partition("=") for one in query.split("&"))
        )
        request = SearchRequest(kind, parameters, BASE, strict, release)
        found: Json = json.loads(self.searcher.search(request))
        return found

    def ids(self, kind: str, query: str, release: str = "R4") -> list[str]:
        """Return the ids of the matches, in their order."""
        return [
            one["resource"]["id"]
            for one in self.bundle(kind, query, release).get("entry", [])
            if one["search"]["mode"] == "match"
        ]


@pytest.fixture
def archive(store: SqlStore, terminology: Terminology, tx: TerminologyService) -> Archive:
    return Archive(store, terminology, tx)


@pytest.fixture
def filled(archive: Archive) -> Archive:
    archive.put(*RESOURCES)
    return archive


SCT = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
OURS = "https://w3id.org/bodysite/CodeSystem"


def _observation(number: int, site: str, **more: Any) -> Json:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {
            "coding": [{"system": "http://loinc.org", "code": "39111-0"}],
            "text": "Body site",
        },
        "bodySite": {"coding": [{"system": SCT, "code": site}]},
        **more,
    }


RESOURCES: list[Json] = [
    {
        "resourceType": "Patient",
        "id": "p1",
        "meta": {"tag": [{"system": "t", "code": "study-a"}], "profile": ["http://p/one|2"]},
        "identifier": [
            {
                "type": {"coding": [{"system": "v2", "code": "MR"}]},
                "system": "urn:mrn",
                "value": "4711",
            }
        ],
        "name": [{"family": "Müller-Lüdenscheidt", "given": ["Erika", "Zoé"]}],
        "birthDate": "1964-08-12",
        "active": True,
        "deceasedBoolean": False,
        "telecom": [{"system": "phone", "value": "030"}, {"system": "email", "value": "e@x"}],
        "generalPractitioner": [{"reference": "Practitioner/d1"}],
    },
    {
        "resourceType": "Practitioner",
        "id": "d1",
        "name": [{"family": "Curie", "given": ["Marie"]}],
    },
    {
        "resourceType": "ImagingStudy",
        "id": "s1",
        "status": "available",
        "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}],
        "modality": [{"system": "dcm", "code": "CT", "display": "Computed Tomography"}],
        "subject": {"reference": "Patient/p1"},
        "started": "2024-05-06T10:00:00Z",
        "basedOn": [{"reference": "https://order.example.org/fhir/ServiceRequest/9"}],
        "note": [{"text": "Zustand nach Sturz, rechtes Knie"}],
        "text": {"status": "generated", "div": "<div>CT &amp; Befund des <b>Knies</b></div>"},
        "series": [
            {
                "uid": "1.2.3.4",
                "modality": {"system": "dcm", "code": "CT"},
                "bodySite": {"system": SCT, "code": "72696002"},
                "laterality": {"system": SCT, "code": "7771000"},
                "instance": [{"uid": "1.2.3.4.5", "sopClass": {"system": "u", "code": "c"}}],
            }
        ],
    },
    {
        "resourceType": "ImagingStudy",
        "id": "s2",
        "status": "available",
        "modality": [{"system": "dcm", "code": "MR"}],
        "subject": {"type": "Patient", "identifier": {"system": "urn:mrn", "value": "4711"}},
        "started": "2023",
        "series": [
            {
                "uid": "1.2.9",
                "modality": {"system": "dcm", "code": "MR"},
                "bodySite": {"system": SCT, "code": "51185008"},
            }
        ],
    },
    {
        "resourceType": "ImagingStudy",
        "id": "s3",
        "status": "available",
        "subject": {"reference": "Patient/p2"},
        "series": [
            {
                "uid": "1.2.10",
                "modality": {"system": "dcm", "code": "CR"},
                "bodySite": {"system": SCT, "code": "85562004:272741003=24028007"},
            }
        ],
    },
    _observation(
        1,
        "72696002",
        derivedFrom=[{"reference": "ImagingStudy/s1"}],
        subject={"reference": "Patient/p1"},
        performer=[{"reference": "Practitioner/d1"}],
        effectivePeriod={"start": "2024-05-06", "end": "2024-05-07"},
        valueCodeableConcept={"coding": [{"system": SCT, "code": "72696002"}]},
        component=[
            {
                "code": {"coding": [{"system": f"{OURS}/annotation", "code": "review"}]},
                "valueCodeableConcept": {
                    "coding": [{"system": f"{OURS}/review", "code": "conflict"}]
                },
            },
            {
                "code": {"coding": [{"system": "dcm", "code": "111012"}]},
                "valueQuantity": {"value": 95.2, "unit": "%", "system": UCUM, "code": "%"},
            },
            {
                "code": {"coding": [{"system": "dcm", "code": "other"}]},
                "valueQuantity": {"value": 10, "unit": "percent", "system": UCUM, "code": "%"},
            },
        ],
    ),
    _observation(
        2,
        "816094009",
        derivedFrom=[{"reference": "ImagingStudy/s2/_history/3"}],
        subject={"type": "Patient", "identifier": {"system": "urn:mrn", "value": "4711"}},
        hasMember=[{"reference": "Observation/o1"}],
    ),
    {
        "resourceType": "Observation",
        "id": "o3",
        "status": "preliminary",
        "code": {
            "coding": [{"system": f"{OURS}/annotation", "code": "visible", "display": "Shown"}]
        },
        "component": [
            {"code": {"coding": [{"system": SCT, "code": "56459004"}]}, "valueBoolean": True}
        ],
        "valueString": "Überlagerung",
    },
    {
        "resourceType": "Provenance",
        "id": "v1",
        "target": [{"reference": "Observation/o1"}, {"reference": "ImagingStudy/s1"}],
        "recorded": "2024-05-06T10:00:00Z",
        "agent": [{"who": {"reference": "Practitioner/d1"}}],
    },
    {
        "resourceType": "BodyStructure",
        "id": "b1",
        "patient": {"reference": "Patient/p1"},
        "location": {"coding": [{"system": SCT, "code": "7569003"}]},
    },
]
