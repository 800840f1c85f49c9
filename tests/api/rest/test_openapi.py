"""Generated requests to everything that the description of the service has: no 5xx, no surprise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from tests.api.client import Client

_EXAMPLES = 4
_CHECKS = [status_code_conformance, content_type_conformance]
_BASE = "http://testserver"


def send(client: Client, case: Any) -> httpx.Response:
    """Send a generated request as it would stand on the wire."""
    prepared = requests.Request(**case.as_transport_kwargs(base_url=_BASE)).prepare()
    headers = {k: v for k, v in prepared.headers.items() if k.lower() != "content-length"}
    body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
    url = str(prepared.url).removeprefix(_BASE)
    return client.request(str(prepared.method), url, headers=headers, content=body)


def _document(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def test_every_operation_declares_fhir_json_and_errors(client: Client) -> None:
    for path, methods in _document(client)["paths"].items():
        if not path.startswith(("/r4", "/r5")) or "_jobs" in path or "well-known" in path:
            continue
        for method, operation in methods.items():
            answers = operation["responses"]
            assert {"4XX", "5XX"} <= answers.keys(), (method, path)
            for status in ("200", "201", "4XX", "5XX"):
                content = answers.get(status, {}).get("content", {"application/fhir+json": {}})
                assert "application/fhir+json" in content, (method, path, status)
            assert operation["summary"], (method, path)


@pytest.mark.parametrize("root", ["/r4", "/r5"])
@pytest.mark.parametrize(
    "paths",
    [
        ("ImagingStudy", "Observation"),
        ("Patient", "Task", ""),
        ("AuditEvent", "SearchParameter"),
        ("CodeSystem", "ValueSet", "ConceptMap"),
    ],
)
def test_generated_requests_are_answered_as_documented(
    serve: Callable[..., Client], root: str, paths: tuple[str, ...]
) -> None:
    client = serve(phi="keep", audit="off")
    document = _document(client)
    wanted = tuple(f"{root}/{one}" if one else root for one in paths)
    document["paths"] = {
        path: methods
        for path, methods in document["paths"].items()
        if path in wanted or path.startswith(tuple(f"{one}/" for one in wanted if one != root))
    }
    assert document["paths"]
    schema = schemathesis.openapi.from_dict(document)
    tried = 0

    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=_EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            nonlocal tried
            tried += 1
            answer = send(client, case)
            assert answer.status_code < 500, case.as_curl_command()
            case.validate_response(answer, checks=_CHECKS)

        ask()
    assert tried >= len(document["paths"])
