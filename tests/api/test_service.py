"""What holds for the service as a whole: metadata, formats, methods, tokens, metrics."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from api.app import create_app
from api.profiles.names import EXAMINED_SITE
from api.settings import Settings
from api.store import SqlStore
from terminology.library import Terminology
from tests.api.checks import checked, issues
from tests.api.client import Client
from tests.api.conftest import make_dicom


def test_metadata_lists_the_operations_of_terminology(client: Client) -> None:
    statement = checked(client.get("/r4/metadata").json())
    assert statement["fhirVersion"] == "4.0.1"
    resources = {one["type"]: one for one in statement["rest"][0]["resource"]}
    for kind in ("CodeSystem", "ValueSet", "ConceptMap"):
        for operation in resources[kind]["operation"]:
            answer = client.get(f"/r4/{kind}/${operation['name']}")
            assert answer.status_code == 400, "without arguments, but there"


def test_search_parameters_are_published(client: Client) -> None:
    found = checked(client.get("/r4/SearchParameter").json())
    assert {entry["resource"]["code"] for entry in found["entry"]} == {
        "bodysite",
        "body-site",
        "visible-site",
        "review",
    }
    for entry in found["entry"]:
        resource_id = entry["resource"]["id"]
        one = checked(client.get(f"/r4/SearchParameter/{resource_id}").json())
        assert "below" in one["modifier"] or one["code"] == "review"
    assert client.get("/r4/SearchParameter/none").status_code == 404


def test_every_declared_definition_of_ours_can_be_read(client: Client) -> None:
    own = "https://w3id.org/bodysite/SearchParameter/"
    statement = client.get("/r4/metadata").json()
    for resource in statement["rest"][0]["resource"]:
        for parameter in resource.get("searchParam", []):
            if parameter.get("definition", "").startswith(own):
                resource_id = parameter["definition"].removeprefix(own)
                assert client.get(f"/r4/SearchParameter/{resource_id}").status_code == 200


def test_the_extension_of_studies_is_published(client: Client) -> None:
    found = checked(client.get(f"/r4/StructureDefinition?url={EXAMINED_SITE}").json())
    (entry,) = found["entry"]
    definition = checked(client.get("/r4/StructureDefinition/examined-body-site").json())
    assert entry["resource"] == definition
    assert definition["context"] == [{"type": "element", "expression": "ImagingStudy"}]
    statement = client.get("/r4/metadata").json()
    listed = {one["type"]: one for one in statement["rest"][0]["resource"]}
    assert [one["code"] for one in listed["StructureDefinition"]["interaction"]] == [
        "read",
        "search-type",
    ]
    assert client.get("/r4/StructureDefinition/none").status_code == 404


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/r4/ImagingStudy", {"accept": "application/json"}, 200),
        ("/r4/ImagingStudy", {"accept": "application/fhir+json; fhirVersion=4.0"}, 200),
        ("/r4/ImagingStudy", {"accept": "text/html,application/xml;q=0.9,*/*;q=0.8"}, 200),
        ("/r4/ImagingStudy", {"accept": "application/fhir+xml"}, 406),
        ("/r4/ImagingStudy?_format=json", {"accept": "text/html"}, 200),
        ("/r4/ImagingStudy?_format=application/fhir%2Bjson", {}, 200),
        ("/r4/ImagingStudy?_format=application/fhir+json", {}, 200),
        ("/r4/ImagingStudy?_format=xml", {}, 406),
        ("/health", {"accept": "text/html"}, 200),
    ],
)
def test_formats(client: Client, path: str, headers: dict[str, str], status: int) -> None:
    answer = client.get(path, headers=headers)
    assert answer.status_code == status
    if path.startswith("/r4"):
        assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
        checked(answer.json())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/r4/Media", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/r4/ImagingStudy/none", 404),
        ("GET", "/r4/Observation/%00%ff", 400),
        ("GET", "/r4/Device/" + "x" * 500, 404),
        ("DELETE", "/r4/ImagingStudy", 412),
        ("PUT", "/r4/ImagingStudy/x", 415),
        ("POST", "/r4/metadata", 405),
        ("GET", "/r4/ImagingStudy/$annotate", 405),
    ],
)
def test_other_addresses_and_methods(client: Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    (issue,) = issues(checked(answer.json()))
    assert issue["severity"] == "error"


def test_head_is_get_without_a_body(client: Client) -> None:
    for path in ("/r4/ImagingStudy", "/r4/metadata", "/health", "/r4/nowhere"):
        head, get = client.request("HEAD", path), client.get(path)
        assert head.status_code == get.status_code
        assert head.headers["content-type"] == get.headers["content-type"]
        assert head.content == b""


def test_read_has_an_etag_and_answers_not_modified(client: Client) -> None:
    client.annotate(make_dicom(BodyPartExamined="HAND"))
    found = client.get("/r4/ImagingStudy").json()["entry"][0]["resource"]
    path = f"/r4/ImagingStudy/{found['id']}"
    answer = client.get(path)
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["last-modified"].endswith("GMT")
    assert client.get(path, headers={"If-None-Match": 'W/"1"'}).status_code == 304
    assert client.get(path, headers={"If-None-Match": 'W/"2"'}).status_code == 200
    # RFC 9110 13.1.2: the comparison is weak, and * names any version.
    for tag in ('"1"', 'W/"2", "1"', "*"):
        assert client.get(path, headers={"If-None-Match": tag}).status_code == 304


def test_tokens_are_asked_for_everywhere_but_where_clients_look_first(
    serve: Callable[..., Client],
) -> None:
    client = serve(tokens=("one", "two"))
    assert client.get("/health").status_code == 200
    assert client.get("/r4/metadata").status_code == 200
    for path in ("/r4/ImagingStudy", "/metrics", "/docs", "/openapi.json", "/nowhere"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert issues(checked(answer.json()))[0]["code"] == "login"
    for shown in ("Bearer three", "Bearer", "Basic one", "one", "Bearer \xff"):
        headers = {"Authorization": shown.encode("latin-1")}
        assert client.get("/r4/ImagingStudy", headers=headers).status_code == 401
    for shown in ("Bearer one", "bearer two"):
        headers = {"Authorization": shown}
        assert client.get("/r4/ImagingStudy", headers=headers).status_code == 200


def test_no_query_breaks_the_service(client: Client) -> None:
    client.annotate(make_dicom(BodyPartExamined="HAND"))
    dice = random.Random(20261120)  # noqa: S311
    names = [
        "bodysite", "bodysite:below", "bodysite:not", ":below", "modality", "identifier", "_id",
        "_count", "_total", "_after", "_before", "_lastUpdated", "_include", "system", "code",
        "codingA", "codeB", "coding", "url", "filter", "offset", "count", "reverse", "",
    ]  # fmt: skip
    values = [
        "", "|", "a|b|c", "85562004", "-1", "0", "9" * 30, "%00", "%FF", "%C3%BC", "%5C", ",",
        "'", "%22;--", "true", "lt0001", "gt9999", "2026-02-30", "eb9999-12-31T23:59:59.9999999Z",
        "http://snomed.info/sct", "http://snomed.info/sct?fhir_vs=ecl/((", "x" * 3000, "%D9%A3",
    ]  # fmt: skip
    paths = [
        "ImagingStudy", "Observation", "CodeSystem/$lookup", "CodeSystem/$subsumes",
        "ValueSet/$expand", "ValueSet/$validate-code", "ConceptMap/$translate", "Device/x",
    ]  # fmt: skip
    for _ in range(400):
        chosen = [f"{dice.choice(names)}={dice.choice(values)}" for _ in range(dice.randint(0, 4))]
        answer = client.get(f"/r4/{dice.choice(paths)}?{'&'.join(chosen)}")
        assert answer.status_code in {200, 400, 404}
        checked(answer.json())


def test_health_names_the_terminology(client: Client, terminology: Terminology) -> None:
    answer = client.get("/health").json()
    assert answer["status"] == "ok"
    assert answer["terminology"]["version"] == terminology.graph.version


def test_metrics_count_and_hold_no_value_of_a_request(client: Client) -> None:
    client.annotate(make_dicom(BodyPartExamined="HAND"))
    client.get("/r4/ImagingStudy?identifier=P-4711")
    client.get("/r4/ImagingStudy/secret-id")
    client.get("/secret-path")
    text = client.get("/metrics").text
    assert 'bodysite_files_total{outcome="annotated"} 1.0' in text
    assert 'route="/r4/ImagingStudy/{resource_id}",status="404"' in text
    assert "4711" not in text
    assert "secret" not in text


def test_openapi_declares_fhir_json(client: Client) -> None:
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/r4/ImagingStudy/$annotate"]["post"]
    assert "application/fhir+json" in operation["responses"]["200"]["content"]
    assert "application/dicom" in operation["requestBody"]["content"]
    assert "application/fhir+json" in operation["responses"]["4XX"]["content"]
    assert client.get("/docs").status_code == 200


class _Broken:
    """A store whose disk goes away once the application is built."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self.error: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        if self.error is not None:
            raise self.error
        return getattr(self._store, name)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (
            sa.exc.OperationalError("SELECT secret", {}, Exception("disk I/O error")),
            503,
            "transient",
        ),
        (ZeroDivisionError("secret"), 500, "exception"),
    ],
)
def test_a_failing_store_is_answered_and_tells_nothing(
    terminology: Terminology,
    store: SqlStore,
    error: Exception,
    status: int,
    code: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken = _Broken(store)
    app = create_app(Settings(), terminology=terminology, store=broken)  # type: ignore[arg-type]
    broken.error = error
    client = Client(app, raise_errors=False)
    for answer in (
        client.get("/r4/ImagingStudy"),
        client.get("/health"),
        client.annotate(make_dicom(BodyPartExamined="HAND")),
    ):
        assert answer.status_code == status
        assert issues(checked(answer.json()))[0]["code"] == code
        assert "secret" not in answer.text
    # The thread of the AuditEvents tries again until it can write them.
    broken.error = None
    assert "secret" not in caplog.messages


def test_an_unexpected_error_is_answered_and_its_message_is_not_logged(
    serve: Callable[..., Client], store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    client = serve()

    def fail(*_: object) -> None:
        raise RuntimeError("Mustermann^Erika")

    store.read = fail  # type: ignore[method-assign, assignment]
    answer = client.get("/r4/Device/x")
    assert answer.status_code == 500
    assert issues(checked(answer.json()))[0]["code"] == "exception"
    assert "Mustermann" not in answer.text
    assert "unexpected RuntimeError at " in caplog.text
    assert "Mustermann" not in caplog.text


def test_the_examples_of_the_help_page_work(client: Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    tried = 0
    for path, methods in paths.items():
        parameters = methods.get("get", {}).get("parameters", [])
        query = {one["name"]: one["example"] for one in parameters if "example" in one}
        if "$" in path and query:
            answer = client.get(path, params=query)
            assert answer.status_code == 200, path
            checked(answer.json())
            tried += 1
    # Six operations, in R4 and in R5.
    assert tried == 12


def test_the_operation_of_ours_is_published_and_tokens_are_announced(
    client: Client, serve: Callable[..., Client]
) -> None:
    own = "https://w3id.org/bodysite/OperationDefinition/"
    resources = client.get("/r4/metadata").json()["rest"][0]["resource"]
    ours = [
        operation["definition"]
        for resource in resources
        for operation in resource.get("operation", [])
        if operation["definition"].startswith(own)
    ]
    assert len(ours) == 1
    found = client.get(f"/r4/OperationDefinition/{ours[0].removeprefix(own)}")
    assert checked(found.json())["url"] == ours[0]
    for root in ("/r4", "/r5"):
        (free,) = client.get(f"{root}/metadata").json()["rest"][0]["security"]["service"]
        assert "None" in free["text"]
    guarded = serve(tokens="secret").get("/r4/metadata").json()["rest"][0]
    assert "Bearer" in guarded["security"]["description"]
    assert guarded["security"]["service"][0]["coding"][0]["code"] == "OAuth"


def test_the_bare_address_leads_to_the_help_page(client: Client) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
