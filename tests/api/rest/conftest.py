"""A service, and short ways to write to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.client import Client

FHIR = "application/fhir+json"
ROOTS = ("/r4", "/r5")
# A resource of each type, valid in both releases but for what `as_release` changes.
SAMPLES: dict[str, dict[str, Any]] = {
    "BodyStructure": {
        "resourceType": "BodyStructure",
        "patient": {"reference": "Patient/p1"},
        "description": "The left hand",
    },
    "Device": {"resourceType": "Device", "status": "active", "manufacturer": "Acme"},
    "ImagingStudy": {
        "resourceType": "ImagingStudy",
        "status": "available",
        "subject": {"reference": "Patient/p1"},
        "started": "2026-01-02T03:04:05Z",
    },
    "Observation": {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://example.org/codes", "code": "a"}], "text": "A"},
        "subject": {"reference": "Patient/p1"},
    },
    "Patient": {
        "resourceType": "Patient",
        "identifier": [{"system": "http://example.org/ids", "value": "p-1"}],
        "name": [{"family": "Müller", "given": ["Änne"]}],
        "gender": "female",
        "birthDate": "1960-02-03",
    },
    "Practitioner": {"resourceType": "Practitioner", "name": [{"family": "Schmidt"}]},
    "Provenance": {
        "resourceType": "Provenance",
        "target": [{"reference": "Patient/p1"}],
        "recorded": "2026-01-02T03:04:05Z",
        "agent": [{"who": {"display": "someone"}}],
    },
    "Task": {"resourceType": "Task", "status": "requested", "intent": "order"},
}


def sample(kind: str, root: str = "/r4", **changes: Any) -> dict[str, Any]:
    """Return a valid resource of a type in the release of `root`."""
    found = {**json.loads(json.dumps(SAMPLES[kind])), **changes}
    if kind == "BodyStructure" and root == "/r5":
        site = {"coding": [{"system": "http://snomed.info/sct", "code": "85562004"}]}
        found["includedStructure"] = [{"structure": site}]
    return found


class Fhir:
    """Sends FHIR JSON below a root."""

    def __init__(self, client: Client, root: str) -> None:
        self.client = client
        self.root = root

    def send(
        self, method: str, path: str, body: Any = None, media: str = FHIR, **headers: str
    ) -> httpx.Response:
        """Send a request; headers are named with "_" for "-"."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        options: dict[str, Any] = {"headers": named}
        if body is not None:
            named["content-type"] = media
            options["content"] = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.request(method, self.root + path, **options)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.send("GET", path, **headers)

    def put(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.send("PUT", path, body, **headers)

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.send("POST", path, body, **headers)

    def delete(self, path: str, **headers: str) -> httpx.Response:
        return self.send("DELETE", path, **headers)

    def patch(self, path: str, operations: Any, **headers: str) -> httpx.Response:
        return self.send("PATCH", path, operations, media="application/json-patch+json", **headers)


@pytest.fixture
def client(serve: Callable[..., Client]) -> Client:
    """A service that keeps what it is sent as it is sent, and nothing beside it."""
    return serve(phi="keep", audit="off")


@pytest.fixture(params=ROOTS)
def fhir(request: pytest.FixtureRequest, client: Client) -> Fhir:
    return Fhir(client, request.param)


@pytest.fixture
def r4(client: Client) -> Fhir:
    return Fhir(client, "/r4")
