"""The service at its border: who is let in, how much of it, and with which headers."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.api.checks import checked
from tests.api.client import Client
from tests.api.conftest import make_dicom
from tests.api.security.conftest import ADMIN, ANNOTATOR, VIEWER, bearer
from tests.api.security.provider import AUDIENCE, Provider

DICOM = {"content-type": "application/dicom"}


def annotate(client: Client, headers: dict[str, str], **options: Any) -> httpx.Response:
    return client.post(
        "/r4/ImagingStudy/$annotate",
        content=make_dicom(BodyPartExamined="HAND"),
        headers={**DICOM, **headers},
        **options,
    )


@pytest.mark.parametrize(
    "path", ["/health", "/r4/metadata", "/r5/metadata", "/health/live", "/health/ready"]
)
def test_what_clients_look_at_first_takes_no_token(guarded: Client, path: str) -> None:
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize(
    "shown", ["", "Bearer", "Bearer nothing", "Basic all-secret", "all-secret"]
)
def test_without_a_token_nothing_is_let_in(guarded: Client, shown: str) -> None:
    for path in ("/r4/ImagingStudy", "/r5/Observation/1", "/metrics", "/docs", "/nothing"):
        answer = guarded.get(path, headers={"Authorization": shown})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith('Bearer realm="bodysite"')
        assert checked(answer.json())["issue"][0]["code"] == "login"


def test_scopes_decide_by_interaction_and_type(guarded: Client) -> None:
    assert guarded.get("/r4/ImagingStudy", headers=VIEWER).status_code == 200
    assert guarded.get("/r4?_type=ImagingStudy", headers=VIEWER).status_code != 403
    for path in ("/r4/Observation", "/r4/Observation/1", "/r4/Patient", "/r5/_history"):
        answer = guarded.get(path, headers=VIEWER)
        assert answer.status_code == 403
        assert checked(answer.json())["issue"][0]["code"] == "forbidden"
    assert annotate(guarded, VIEWER).status_code == 403
    assert annotate(guarded, ANNOTATOR).status_code == 200
    assert annotate(guarded, ADMIN).status_code == 200
    assert guarded.get("/r4/CodeSystem/$lookup?code=1", headers=VIEWER).status_code != 403


def test_an_update_that_creates_takes_the_scope_of_a_create(guarded: Client) -> None:
    content = {"resourceType": "Observation", "id": "new", "status": "final", "code": {"text": "x"}}
    fhir = {"content-type": "application/fhir+json"}
    path = "/r4/Observation/new"
    editor = bearer("edit-secret")
    assert guarded.request("PUT", path, json=content, headers={**fhir, **editor}).status_code == 403
    created = guarded.request("PUT", path, json=content, headers={**fhir, **ADMIN})
    assert created.status_code == 201
    changed = {**content, "status": "amended"}
    assert guarded.request("PUT", path, json=changed, headers={**fhir, **editor}).status_code == 200


def test_terminology_takes_scopes_when_it_is_told_to(
    serve: Callable[..., Client], token_file: Any
) -> None:
    client = serve(token_file=token_file, terminology_access="scoped")
    path = "/r4/CodeSystem/$lookup?system=http://snomed.info/sct&code=69536005"
    assert client.get(path, headers=VIEWER).status_code == 403
    assert client.get(path, headers=ADMIN).status_code == 200


def test_an_entry_of_a_batch_is_checked_by_itself(guarded: Client) -> None:
    entries = [
        {"request": {"method": "GET", "url": "ImagingStudy"}},
        {"request": {"method": "GET", "url": "Observation"}},
        {"request": {"method": "DELETE", "url": "ImagingStudy/1"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    answer = guarded.post(
        "/r4", json=bundle, headers={**VIEWER, "content-type": "application/fhir+json"}
    )
    assert answer.status_code == 200
    statuses = [one["response"]["status"][:3] for one in answer.json()["entry"]]
    assert statuses == ["200", "403", "403"]


@pytest.mark.parametrize(
    "path",
    [
        "/r4/ImagingStudy?_revinclude=Observation:derived-from",
        "/r4/ImagingStudy?_has:Observation:derived-from:status=final",
        "/r4/ImagingStudy?subject:Patient.name=Muster",
        "/r4/Observation?derived-from:ImagingStudy.modality=CT",
        "/r4/ImagingStudy?_include=*&_revinclude=*&_include:iterate=*",
        "/r4?_type=ImagingStudy,Observation",
    ],
)
def test_nothing_is_included_or_searched_through_that_may_not_be_read(
    guarded: Client, path: str
) -> None:
    assert annotate(guarded, ADMIN).status_code == 200
    answer = guarded.get(path, headers=VIEWER)
    kinds = {one["resource"]["resourceType"] for one in answer.json().get("entry", ())}
    assert answer.status_code == 403 or kinds <= {"ImagingStudy", "OperationOutcome"}
    if answer.status_code == 200:
        assert "revinclude" in path


# -- tokens of an OpenID provider ------------------------------------------------------------------


def test_a_token_of_the_provider_opens_what_its_scopes_say(
    serve: Callable[..., Client], provider: Provider
) -> None:
    client = serve(oidc_issuer=provider.url, oidc_audience=AUDIENCE)
    viewer = bearer(provider.token())
    assert client.get("/r4/ImagingStudy", headers=viewer).status_code == 200
    assert client.get("/r4/Observation", headers=viewer).status_code == 403
    assert client.get("/r4/ImagingStudy").status_code == 401
    for root in ("/r4", "/r5"):
        said = client.get(f"{root}/metadata").json()["rest"][0]["security"]["service"]
        assert said[0]["coding"][0]["code"] == "SMART-on-FHIR"
    expired = client.get("/r4/ImagingStudy", headers=bearer(provider.token(exp=1)))
    assert expired.status_code == 401
    assert 'error="invalid_token"' in expired.headers["www-authenticate"]
    for path in ("", "/r4", "/r5"):
        answer = client.get(f"{path}/.well-known/smart-configuration")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/json")
        content = answer.json()
        assert content["token_endpoint"] == f"{provider.url}/token"
        assert content["issuer"] == provider.url
        assert {"permission-v1", "permission-v2"} <= set(content["capabilities"])


def test_a_provider_that_is_away_is_no_fault_of_the_client(
    serve: Callable[..., Client], provider: Provider
) -> None:
    provider.away = True
    client = serve(oidc_issuer=provider.url, oidc_audience=AUDIENCE)
    answer = client.get("/r4/ImagingStudy", headers=bearer(provider.token()))
    assert answer.status_code == 503
    assert client.get("/.well-known/smart-configuration").status_code == 503


def test_without_a_provider_there_is_no_smart_configuration(guarded: Client) -> None:
    assert guarded.get("/.well-known/smart-configuration").status_code == 404


# -- limits ----------------------------------------------------------------------------------------


def test_a_client_that_asks_too_often_is_told_to_wait(
    serve: Callable[..., Client], token_file: Any
) -> None:
    client = serve(token_file=token_file, rate_limit=1, rate_burst=3)
    statuses = [client.get("/r4/ImagingStudy", headers=VIEWER).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    refused = client.get("/r4/ImagingStudy", headers=VIEWER)
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert checked(refused.json())["issue"][0]["code"] == "throttled"
    assert client.get("/r4/ImagingStudy", headers=ADMIN).status_code == 200
    assert client.get("/health", headers=VIEWER).status_code == 200


def test_an_address_that_tries_tokens_is_kept_out_for_a_while(guarded: Client) -> None:
    statuses = {
        guarded.get("/r4/ImagingStudy", headers=bearer(f"guess-{number}")).status_code
        for number in range(60)
    }
    assert statuses == {401}
    answer = guarded.get("/r4/ImagingStudy", headers=bearer("guess"))
    assert answer.status_code == 429
    assert "retry-after" in answer.headers


def test_a_client_is_known_by_the_address_that_a_trusted_proxy_tells(
    serve: Callable[..., Client],
) -> None:
    def statuses(client: Client, address: str) -> list[int]:
        headers = {"X-Forwarded-For": address}
        return [client.get("/r4/ImagingStudy", headers=headers).status_code for _ in range(2)]

    trusting = serve(rate_limit=1, rate_burst=1, trusted_proxies="127.0.0.1")
    assert statuses(trusting, "192.0.2.1") == [200, 429]
    assert statuses(trusting, "192.0.2.2") == [200, 429]
    alone = serve(rate_limit=1, rate_burst=1)
    assert statuses(alone, "192.0.2.1") == [200, 429]
    assert statuses(alone, "192.0.2.2") == [429, 429]


def _send_slowly(client: Client, parts: int, pause: float) -> httpx.Response:
    async def body() -> Any:
        for _ in range(parts):
            yield b"x"
            await asyncio.sleep(pause)

    return client.post("/r4/ImagingStudy/$annotate", content=body(), headers=DICOM)


def test_a_body_that_stops_coming_is_not_waited_for(serve: Callable[..., Client]) -> None:
    answer = _send_slowly(serve(max_idle_seconds=0.05), 2, 30)
    assert answer.status_code == 408
    assert answer.headers["connection"] == "close"
    assert checked(answer.json())["issue"][0]["code"] == "timeout"


def test_a_body_that_trickles_is_not_waited_for(serve: Callable[..., Client]) -> None:
    answer = _send_slowly(serve(max_idle_seconds=0.2, min_bytes_per_second=1000), 10_000, 0.02)
    assert answer.status_code == 408


def test_a_client_sends_so_many_bodies_at_once(serve: Callable[..., Client]) -> None:
    client = serve(max_uploads_per_client=2)

    async def run() -> list[int]:
        transport = httpx.ASGITransport(client.app)
        release = asyncio.Event()

        async def body() -> Any:
            yield b"x"
            await release.wait()

        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as session:

            async def send(content: Any) -> int:
                answer = await session.post(
                    "/r4/ImagingStudy/$annotate", content=content, headers=DICOM
                )
                return answer.status_code

            waiting = [asyncio.create_task(send(body())) for _ in range(2)]
            await asyncio.sleep(0.05)
            third = await send(b"x")
            release.set()
            done = await asyncio.gather(*waiting)
            return [third, *done, await send(b"x")]

    assert asyncio.run(run()) == [429, 422, 422, 422]


# -- addresses, hosts, headers ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/r4/ImagingStudy/%2e%2e/Patient", 400),
        ("/r4/ImagingStudy/..%2fPatient", 400),
        ("/r4//ImagingStudy", 400),
        ("/r4/ImagingStudy/%00", 400),
        ("/r4/ImagingStudy/a%5cb", 400),
        ("/r4/ImagingStudy/%0d%0aX:1", 400),
        ("/r4/ImagingStudy/%ff", 400),
        (f"/r4/{'a' * 5000}", 414),
        (f"/r4/ImagingStudy?x={'a' * 40_000}", 414),
        ("/static-offline-docs/%2e%2e/%2e%2e/pyproject.toml", 400),
    ],
)
def test_odd_addresses_are_refused(client: Client, path: str, status: int) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    checked(answer.json())


def test_a_header_that_contradicts_another_is_refused(client: Client) -> None:
    twice = [("Authorization", "Bearer a"), ("Authorization", "Bearer b")]
    assert client.get("/r4/ImagingStudy", headers=twice).status_code == 400
    many = [(f"x-{number}", "1") for number in range(200)]
    assert client.get("/r4/ImagingStudy", headers=many).status_code == 431


@pytest.mark.parametrize(
    ("settings", "host", "status"),
    [
        ({}, "anything.example", 200),
        ({"public_url": "https://fhir.example/b"}, "fhir.example", 200),
        ({"public_url": "https://fhir.example"}, "FHIR.example:443", 200),
        ({"public_url": "https://fhir.example"}, "localhost:8000", 200),
        ({"public_url": "https://fhir.example"}, "[::1]:8000", 200),
        ({"public_url": "https://fhir.example"}, "evil.example", 421),
        ({"public_url": "https://fhir.example"}, "fhir.example.evil.example", 421),
        ({"public_url": "https://fhir.example"}, "fhir.example@evil.example", 400),
        ({"public_url": "https://fhir.example"}, "", 400),
        ({"allowed_hosts": "a.example b.example"}, "b.example", 200),
        ({"allowed_hosts": "a.example"}, "b.example", 421),
        ({"public_url": "https://fhir.example", "allowed_hosts": "*"}, "b.example", 200),
    ],
)
def test_the_service_answers_to_its_names_only(
    serve: Callable[..., Client], settings: dict[str, str], host: str, status: int
) -> None:
    client = serve(**settings)
    assert client.get("/r4/ImagingStudy", headers={"Host": host}).status_code == status
    assert client.get("/health", headers={"Host": host}).status_code == 200


def _called(client: Client, server: tuple[str, int], host: str) -> int:
    """Return the status of a request that came in at a real address."""

    async def run() -> int:
        found: list[int] = []
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/r4/ImagingStudy",
            "raw_path": b"/r4/ImagingStudy",
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "headers": [(b"host", host.encode())],
            "server": server,
            "client": ("192.0.2.7", 1234),
        }

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                found.append(message["status"])

        await client.app(scope, receive, send)
        return found[0]

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("server", "host", "status", "reason"),
    [
        (("127.0.0.1", 8000), "localhost:8000", 200, "on this machine"),
        (("::1", 8000), "[::1]:8000", 200, "on this machine"),
        (("127.0.0.1", 8000), "rebound.example", 421, "a page of a browser on this machine"),
        (("192.0.2.1", 8000), "192.0.2.1", 421, "from outside"),
        (("192.0.2.1", 8000), "localhost", 403, "from outside"),
        (("172.17.0.2", 8000), "localhost:8000", 403, "in a container"),
        (("fd00::1", 8000), "localhost", 403, "from outside"),
        (("::ffff:192.0.2.1", 8000), "localhost", 403, "from outside, as IPv6"),
    ],
)
def test_without_authentication_nobody_outside_is_answered_whoever_runs_the_application(
    client: Client, server: tuple[str, int], host: str, status: int, reason: str
) -> None:
    assert _called(client, server, host) == status, reason


def test_with_authentication_it_may_be_reached_from_outside(guarded: Client) -> None:
    assert _called(guarded, ("192.0.2.1", 8000), "fhir.example") == 401


@pytest.mark.parametrize(
    ("path", "stored"),
    [
        ("/r4/ImagingStudy", True),
        ("/r4/ImagingStudy/none", True),
        ("/r4/metadata", False),
        ("/health", True),
    ],
)
def test_every_answer_has_the_headers_of_security(client: Client, path: str, stored: bool) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (headers.get("cache-control") == "no-store") is stored
    assert "strict-transport-security" not in headers
    assert "server" not in headers


def test_a_client_of_https_is_to_stay_with_it(serve: Callable[..., Client]) -> None:
    client = serve(public_url="https://testserver")
    assert client.get("/r4/metadata").headers["strict-transport-security"] == "max-age=31536000"


def test_the_help_page_runs_its_own_scripts_only(client: Client) -> None:
    answer = client.get("/docs")
    policy = answer.headers["content-security-policy"]
    scripts = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    assert scripts
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "script-src 'self' 'sha256-" in policy
    assert client.request("HEAD", "/docs").content == b""


def test_no_other_origin_is_let_in_unless_it_is_named(serve: Callable[..., Client]) -> None:
    origin = {"Origin": "https://viewer.example"}
    asked = {**origin, "Access-Control-Request-Method": "GET"}
    asked["Access-Control-Request-Headers"] = "authorization"
    closed = serve(tokens="secret")
    assert "access-control-allow-origin" not in closed.get("/r4/metadata", headers=origin).headers
    assert closed.request("OPTIONS", "/r4/ImagingStudy", headers=asked).status_code == 401
    named = serve(tokens="secret", cors_origins="https://viewer.example")
    answer = named.request("OPTIONS", "/r4/ImagingStudy", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://viewer.example"
    assert "access-control-allow-credentials" not in answer.headers
    found = named.get("/r4/metadata", headers=origin).headers
    assert "ETag" in found["access-control-expose-headers"]
    other = named.get("/r4/metadata", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers
