"""Read, create, update, patch, delete and history of resources, in both releases."""

from __future__ import annotations

from typing import Any

import pytest

from api.rest.kinds import EDITED
from tests.api.checks import issues
from tests.api.rest.conftest import FHIR, Fhir, sample


@pytest.mark.parametrize("kind", EDITED)
def test_a_resource_lives_and_dies(fhir: Fhir, kind: str) -> None:
    made = fhir.post(f"/{kind}", sample(kind, fhir.root))
    assert made.status_code == 201, made.text
    content = made.json()
    address = f"/{kind}/{content['id']}"
    assert made.headers["location"] == f"http://testserver{fhir.root}{address}/_history/1"
    assert made.headers["etag"] == 'W/"1"'
    assert made.headers["last-modified"].endswith("GMT")
    assert made.headers["content-type"] == f"{FHIR}; charset=utf-8"
    assert content["meta"]["versionId"] == "1"

    changed = {**content, "language": "de"}
    assert fhir.put(address, changed).status_code == 200
    read = fhir.get(address)
    assert (read.json()["language"], read.headers["etag"]) == ("de", 'W/"2"')
    assert "language" not in fhir.get(f"{address}/_history/1").json()
    assert fhir.get(f"{address}/_history/2").json() == read.json()
    assert fhir.get(f"{address}/_history/3").status_code == 404

    assert fhir.delete(address).status_code == 204
    gone = fhir.get(address)
    assert gone.status_code == 410
    assert issues(gone.json())[0]["code"] == "deleted"
    assert fhir.delete(address).status_code == 204
    assert fhir.get(f"{address}/_history/3").status_code == 410
    found = fhir.get(f"{address}/_history").json()
    assert (found["type"], found["total"]) == ("history", 3)
    told = [(one["request"]["method"], one["response"]["status"]) for one in found["entry"]]
    assert told == [("DELETE", "204"), ("PUT", "200"), ("POST", "201")]
    assert [("resource" in one) for one in found["entry"]] == [False, True, True]

    again = fhir.put(address, changed)
    assert (again.status_code, again.headers["etag"]) == (201, 'W/"4"')


def test_what_one_release_stores_the_other_reads(fhir: Fhir) -> None:
    other = Fhir(fhir.client, "/r5" if fhir.root == "/r4" else "/r4")
    content = fhir.post("/Patient", sample("Patient")).json()
    assert other.get(f"/Patient/{content['id']}").json()["name"] == content["name"]


def test_a_client_chooses_an_id(fhir: Fhir) -> None:
    made = fhir.put("/Patient/a.B-9", sample("Patient", id="a.B-9"))
    assert (made.status_code, made.json()["id"]) == (201, "a.B-9")
    assert fhir.put("/Patient/a.B-9", sample("Patient", id="a.B-9")).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/Patient/x", {"resourceType": "Patient", "id": "y"}, 400, "value"),
        ("/Patient/x", {"resourceType": "Patient"}, 400, "value"),
        ("/Patient/x_y", {"resourceType": "Patient", "id": "x_y"}, 400, "value"),
        (f"/Patient/{'x' * 65}", {"resourceType": "Patient", "id": "x" * 65}, 400, "value"),
        ("/Patient/x", {"resourceType": "Device", "id": "x"}, 400, "structure"),
        ("/Patient/x", {"id": "x"}, 400, "structure"),
        ("/Patient/x", [], 400, "structure"),
    ],
)
def test_an_update_needs_its_id_and_its_type(
    fhir: Fhir, path: str, body: Any, status: int, code: str
) -> None:
    answer = fhir.put(path, body)
    assert (answer.status_code, issues(answer.json())[0]["code"]) == (status, code)


def test_unchanged_content_keeps_its_version(fhir: Fhir) -> None:
    content = fhir.put("/Patient/x", sample("Patient", id="x")).json()
    answer = fhir.put("/Patient/x", content)
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"1"')


def test_preconditions_guard_writes(fhir: Fhir) -> None:
    first = sample("Patient", id="x")
    assert fhir.put("/Patient/x", first, If_Match='W/"1"').status_code == 412
    assert fhir.put("/Patient/x", first, If_None_Match="*").status_code == 201
    answer = fhir.put("/Patient/x", first, If_None_Match="*")
    assert (answer.status_code, issues(answer.json())[0]["code"]) == (412, "conflict")
    second = sample("Patient", id="x", gender="male")
    assert fhir.put("/Patient/x", second, If_Match='W/"7"').status_code == 412
    assert fhir.put("/Patient/x", second, If_Match='W/"1"').status_code == 200
    assert fhir.delete("/Patient/x", If_Match='W/"1"').status_code == 412
    assert fhir.delete("/Patient/x", If_Match='"2"').status_code == 204


def test_a_read_tells_what_is_not_modified(fhir: Fhir) -> None:
    made = fhir.put("/Patient/x", sample("Patient", id="x"))
    when = made.headers["last-modified"]
    assert fhir.get("/Patient/x", If_None_Match='W/"1"').status_code == 304
    assert fhir.get("/Patient/x", If_None_Match='W/"2"').status_code == 200
    known = fhir.get("/Patient/x", If_Modified_Since=when)
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", 'W/"1"')
    before = "Thu, 01 Jan 1970 00:00:00 GMT"
    assert fhir.get("/Patient/x", If_Modified_Since=before).status_code == 200
    assert fhir.get("/Patient/x", If_Modified_Since="rubbish").status_code == 200
    # RFC 9110, 13.1.3: the tag decides where both are there.
    both = fhir.get("/Patient/x", If_None_Match='W/"2"', If_Modified_Since=when)
    assert both.status_code == 200


@pytest.mark.parametrize(
    ("prefer", "has"),
    [
        ("return=minimal", None),
        ("return=representation", "Patient"),
        ("return=OperationOutcome", "OperationOutcome"),
        ("handling=strict; return=minimal", None),
        ("nonsense", "Patient"),
    ],
)
def test_a_client_says_what_it_wants_to_see(fhir: Fhir, prefer: str, has: str | None) -> None:
    answer = fhir.put("/Patient/x", sample("Patient", id="x"), Prefer=prefer)
    assert answer.status_code == 201
    assert answer.headers["etag"] == 'W/"1"'
    found = answer.json()["resourceType"] if answer.content else None
    assert found == has


def test_patches_change_a_resource(fhir: Fhir) -> None:
    fhir.put("/Patient/x", sample("Patient", id="x"))
    test = {"op": "test", "path": "/gender", "value": "female"}
    change = {"op": "replace", "path": "/gender", "value": "male"}
    done = fhir.patch("/Patient/x", [test, change], If_Match='W/"1"')
    assert (done.status_code, done.json()["gender"], done.headers["etag"]) == (200, "male", 'W/"2"')
    assert fhir.patch("/Patient/x", [change], If_Match='W/"1"').status_code == 412
    assert fhir.patch("/Patient/x", [test, change]).status_code == 422
    assert fhir.get("/Patient/x").headers["etag"] == 'W/"2"'


@pytest.mark.parametrize(
    ("operations", "status"),
    [
        ({"op": "add"}, 400),
        (["x"], 400),
        ([{"op": "nonsense", "path": "/gender"}], 400),
        ([{"op": "replace", "path": "/id", "value": "y"}], 400),
        ([{"op": "replace", "path": "", "value": {}}], 400),
        ([{"op": "remove", "path": "/nothing"}], 422),
        ([{"op": "add", "path": "/name/99", "value": {}}], 422),
        ([{"op": "replace", "path": "/gender", "value": "nonsense"}], 422),
        ([{"op": "add", "path": "/nonsense", "value": "x"}], 422),
        ([{"op": "copy", "from": "/name", "path": "/name/0"}] * 21, 400),
        ([{"op": "remove", "path": "/gender/x"}], 422),
        ([{"op": "add", "path": 7, "value": "x"}], 400),
    ],
)
def test_patches_that_make_no_sense_are_refused(fhir: Fhir, operations: Any, status: int) -> None:
    before = fhir.put("/Patient/x", sample("Patient", id="x")).json()
    assert fhir.patch("/Patient/x", operations).status_code == status
    assert fhir.get("/Patient/x").json() == before


def test_a_patch_needs_what_it_changes(fhir: Fhir) -> None:
    change = [{"op": "replace", "path": "/gender", "value": "male"}]
    assert fhir.patch("/Patient/x", change).status_code == 404
    fhir.put("/Patient/x", sample("Patient", id="x"))
    fhir.delete("/Patient/x")
    assert fhir.patch("/Patient/x", change).status_code == 410
    assert fhir.send("PATCH", "/Patient/x", change).status_code == 415


def test_decimals_keep_their_digits(fhir: Fhir) -> None:
    value = b'"valueQuantity":{"value":1.10,"system":"http://unitsofmeasure.org","code":"mm"}'
    body = b'{"resourceType":"Observation","status":"final","code":{"text":"a"},' + value + b"}"
    made = fhir.post("/Observation", body)
    assert made.status_code == 201, made.text
    assert b'"value":1.10' in made.content
    read = fhir.get(f"/Observation/{made.json()['id']}")
    assert b'"value":1.10' in read.content
    pretty = fhir.get(f"/Observation/{made.json()['id']}?_pretty=true")
    assert b'"value": 1.10' in pretty.content


def test_meta_of_the_client_is_kept(fhir: Fhir) -> None:
    tag = {"system": "http://example.org/tags", "code": "a"}
    meta = {"tag": [tag], "versionId": "99", "lastUpdated": "1999-01-01T00:00:00Z"}
    made = fhir.post("/Patient", sample("Patient", meta=meta)).json()
    assert (made["meta"]["tag"], made["meta"]["versionId"]) == ([tag], "1")
    assert not made["meta"]["lastUpdated"].startswith("1999")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/AuditEvent", 405),
        ("PUT", "/AuditEvent/x", 405),
        ("DELETE", "/AuditEvent/x", 405),
        ("POST", "/Patient/x", 405),
        ("PUT", "/Patient/x/_history", 405),
        ("POST", "/SearchParameter", 405),
        ("GET", "/Patient/x/_history/1/2", 404),
        ("GET", "/Patient/x/nonsense", 404),
        ("GET", "/Patient/x/_history/a", 404),
        ("GET", "/Patient/x/_history", 404),
        ("GET", "/Patient/" + "x" * 500, 404),
        ("DELETE", "/Patient/x", 404),
        ("PUT", "", 405),
        ("GET", "/_search", 405),
        ("GET", "/Nonsense/x", 404),
    ],
)
def test_addresses_and_methods_that_are_none(
    fhir: Fhir, method: str, path: str, status: int
) -> None:
    answer = fhir.send(method, path)
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert ("allow" in answer.headers) == (status == 405)


def test_options_and_head(fhir: Fhir) -> None:
    fhir.put("/Patient/x", sample("Patient", id="x"))
    told = fhir.send("OPTIONS", "/Patient/x")
    assert (told.status_code, told.headers["allow"]) == (204, "GET, PUT, PATCH, DELETE, OPTIONS")
    head, get = fhir.send("HEAD", "/Patient/x"), fhir.get("/Patient/x")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == get.headers["etag"]


def test_history_is_paged_and_bounded(fhir: Fhir) -> None:
    stamps = []
    for number in range(5):
        content = sample("Patient", id="x", birthDate=f"196{number}-01-01")
        stamps.append(fhir.put("/Patient/x", content).json()["meta"]["lastUpdated"])
    fhir.put("/Device/d", sample("Device", id="d"))
    seen, url = [], "/Patient/x/_history?_count=2"
    while url:
        page = fhir.get(url).json()
        seen += [one["response"]["etag"] for one in page["entry"]]
        links = {one["relation"]: one["url"] for one in page["link"]}
        url = links.get("next", "").removeprefix(f"http://testserver{fhir.root}")
    assert seen == [f'W/"{number}"' for number in (5, 4, 3, 2, 1)]
    late = fhir.get(f"/Patient/x/_history?_since={stamps[-1]}").json()
    assert late["entry"][0]["response"]["etag"] == 'W/"5"'
    assert len(fhir.get("/Patient/_history").json()["entry"]) == 5
    everything = fhir.get("/_history").json()["entry"]
    assert everything[0]["request"]["url"] == "Device/d"
    assert "entry" not in fhir.get("/Patient/x/_history?_at=lt1990").json()
    assert "entry" not in fhir.get("/Patient/x/_history?_since=2999").json()
    for query in ("_count=x", "_since=yesterday", "_at=?", "_before=1"):
        assert fhir.get(f"/Patient/x/_history?{query}").status_code == 400, query
