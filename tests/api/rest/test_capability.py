"""The CapabilityStatement is true: everything that it claims is tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from api.rest.elements import model_of
from api.rest.kinds import KINDS
from api.rest.published import PUBLISHED
from tests.api.client import Client
from tests.api.conftest import make_dicom
from tests.api.rest.conftest import Fhir, sample
from tests.api.rest.test_bundles import bundle, entry

_VALUES = {
    "token": "http://example.org/s|a",
    "reference": "x",
    "date": "ge2000-01-01",
    "string": "abc",
    "quantity": "gt5",
    "uri": "http://example.org/x",
    "number": "5",
    "composite": "a$b",
}
_RELEASES = {"/r4": "R4", "/r5": "R5"}


@pytest.fixture
def client(serve: Callable[..., Client]) -> Client:
    """A service that writes down everything that happens."""
    return serve(phi="keep", audit="all")


def statement(fhir: Fhir) -> dict[str, Any]:
    found: dict[str, Any] = fhir.get("/metadata").json()
    model_of("CapabilityStatement", _RELEASES[fhir.root]).model_validate(found)
    return found


def resources(fhir: Fhir) -> dict[str, dict[str, Any]]:
    return {one["type"]: one for one in statement(fhir)["rest"][0]["resource"]}


def test_it_says_which_release_and_which_formats(fhir: Fhir) -> None:
    found = statement(fhir)
    assert found["fhirVersion"] == {"/r4": "4.0.1", "/r5": "5.0.0"}[fhir.root]
    assert found["implementation"]["url"] == f"http://testserver{fhir.root}"
    for media in found["format"]:
        assert fhir.get("/metadata", Accept=media).status_code == 200
    assert {*KINDS, *PUBLISHED} <= resources(fhir).keys()


@pytest.mark.parametrize("kind", KINDS)
def test_every_interaction_of_a_type_works(fhir: Fhir, kind: str) -> None:
    told = resources(fhir)[kind]
    codes = {one["code"] for one in told["interaction"]}
    client = fhir.client
    if kind == "AuditEvent":
        assert codes == {"read", "vread", "history-instance", "history-type", "search-type"}
        assert told["conditionalDelete"] == "not-supported"
        fhir.put("/Patient/x", sample("Patient", id="x"))
        client.app.state.security.audit.flush()
        assert fhir.get("/AuditEvent/_history").json()["entry"]
        found = fhir.get("/AuditEvent").json()["entry"][0]["resource"]
        address = f"/AuditEvent/{found['id']}"
        for path in (address, f"{address}/_history/1", f"{address}/_history"):
            assert fhir.get(path).status_code == 200
        return
    content = sample(kind, fhir.root, id="x")
    condition = f"/{kind}?_id=x"
    tried = {
        "create": fhir.post(f"/{kind}", content).status_code == 201,
        "update": fhir.put(f"/{kind}/x", content).status_code == 201,
        "patch": fhir.patch(
            f"/{kind}/x", [{"op": "add", "path": "/language", "value": "en"}]
        ).status_code
        == 200,
        "read": fhir.get(f"/{kind}/x").status_code == 200,
        "vread": fhir.get(f"/{kind}/x/_history/1").status_code == 200,
        "history-instance": fhir.get(f"/{kind}/x/_history").json()["total"] == 2,
        "history-type": len(fhir.get(f"/{kind}/_history").json()["entry"]) >= 3,
        "search-type": fhir.get(condition).json()["entry"][0]["resource"]["id"] == "x",
        "delete": fhir.delete(f"/{kind}/x").status_code == 204,
    }
    assert {code for code, works in tried.items() if works} == codes
    assert told["updateCreate"]
    assert told["readHistory"]
    assert told["versioning"] == "versioned-update"
    made = fhir.put(condition, content)
    assert (made.status_code == 201) == told["conditionalUpdate"]
    again = fhir.post(f"/{kind}", content, If_None_Exist="_id=x")
    assert (again.status_code == 200) == told["conditionalCreate"]
    assert fhir.put(f"/{kind}/x", content, If_Match='W/"99"').status_code == 412
    assert told["conditionalRead"] == "full-support"
    assert fhir.get(f"/{kind}/x", If_None_Match=made.headers["etag"]).status_code == 304
    known = fhir.get(f"/{kind}/x", If_Modified_Since=made.headers["last-modified"])
    assert known.status_code == 304
    if fhir.root == "/r5":
        change = [{"op": "add", "path": "/language", "value": "en"}]
        assert (fhir.patch(condition, change).status_code == 200) == told["conditionalPatch"]
    assert told["conditionalDelete"] == "single"
    assert fhir.delete(condition).status_code == 204
    assert fhir.get(f"/{kind}/x").status_code == 410


@pytest.mark.parametrize("kind", KINDS)
def test_every_search_parameter_and_include_is_taken(fhir: Fhir, kind: str) -> None:
    told = resources(fhir)[kind]
    queries = []
    for one in told["searchParam"]:
        value = _VALUES[one["type"]]
        if "site" in one["name"] and one["type"] == "token":
            value = "85562004"
        if one["name"] == "_id":
            value = "x"
        if one["type"] == "composite":
            parts = {"date": "ge2000", "quantity": "5", "string": "b"}
            value = f"a${parts.get(one['name'].rpartition('-')[2], 'b')}"
        queries.append(f"{one['name']}={value}")
    queries += [f"_include={one}" for one in told.get("searchInclude", ())]
    queries += [f"_revinclude={one}" for one in told.get("searchRevInclude", ())]
    assert len(queries) > 5
    for query in queries:
        answer = fhir.get(f"/{kind}?{query}", Prefer="handling=strict")
        assert answer.status_code == 200, (query, answer.text)
    form = queries[0].encode()
    media = "application/x-www-form-urlencoded"
    answer = fhir.send("POST", f"/{kind}/_search", form, media=media, Prefer="handling=strict")
    assert answer.status_code == 200


def test_the_whole_system_answers(fhir: Fhir) -> None:
    codes = {one["code"] for one in statement(fhir)["rest"][0]["interaction"]}
    patient = sample("Patient", id="x")
    tried = {
        kind: fhir.post("", bundle(entry("PUT", "Patient/x", patient), kind=kind)).status_code
        for kind in ("batch", "transaction")
    }
    tried["history-system"] = fhir.get("/_history").status_code
    tried["search-system"] = fhir.get("?_type=Patient,Device&_id=x").status_code
    assert codes == tried.keys()
    assert set(tried.values()) == {200}


def test_every_operation_is_there(fhir: Fhir) -> None:
    rest = statement(fhir)["rest"][0]
    addresses = [f"/${one['name']}" for one in rest["operation"]]
    for resource in rest["resource"]:
        addresses += [
            f"/{resource['type']}/${one['name']}" for one in resource.get("operation", ())
        ]
    assert "/ImagingStudy/$annotate" in addresses
    for address in addresses:
        empty = {"resourceType": "Parameters"}
        answer = fhir.post(address, empty, Prefer="respond-async")
        # Without what it needs, an operation that is there refuses, or does nothing.
        assert answer.status_code in {200, 202, 400, 422}, (address, answer.text)


def test_every_definition_of_ours_can_be_read_and_found(fhir: Fhir) -> None:
    own = "https://w3id.org/bodysite/"
    rest = statement(fhir)["rest"][0]
    told = [*rest["operation"]]
    for one in rest["resource"]:
        told += [*one.get("operation", ()), *one.get("searchParam", ())]
    ours = {one["definition"] for one in told if one.get("definition", "").startswith(own)}
    assert len(ours) > 2
    for url in ours:
        kind, resource_id = url.removeprefix(own).split("/")
        assert fhir.get(f"/{kind}/{resource_id}").json()["url"] == url
        assert fhir.get(f"/{kind}?url={url}").json()["total"] == 1


@pytest.mark.parametrize("kind", PUBLISHED)
def test_what_is_published_is_read_and_searched(fhir: Fhir, kind: str) -> None:
    told = resources(fhir)[kind]
    assert [one["code"] for one in told["interaction"]] == ["read", "search-type"]
    everything = fhir.get(f"/{kind}?_count=1000").json()
    assert everything["total"] == len(everything["entry"]) > 0
    for one in everything["entry"]:
        model_of(kind, _RELEASES[fhir.root]).model_validate(one["resource"])
    one = everything["entry"][0]["resource"]
    read = fhir.get(f"/{kind}/{one['id']}")
    assert read.json() == one
    known = fhir.get(f"/{kind}/{one['id']}", If_None_Match=read.headers["etag"])
    assert known.status_code == 304
    values = {"_id": one["id"], **{name: one[name] for name in ("url", "name", "status")}}
    values["version"] = one.get("version", "0")
    for parameter in told["searchParam"]:
        query = f"{parameter['name']}={values[parameter['name']]}"
        found = fhir.get(f"/{kind}?{query}", Prefer="handling=strict").json()
        assert found["total"] > 0 or parameter["name"] == "version", query
    assert fhir.get(f"/{kind}?url=http://example.org/none").json()["total"] == 0
    assert fhir.get(f"/{kind}?name:exact={one['name'].lower()}").json()["total"] == 0
    assert fhir.get(f"/{kind}?nonsense=x").json()["entry"][-1]["search"]["mode"] == "outcome"
    assert fhir.get(f"/{kind}?nonsense=x", Prefer="handling=strict").status_code == 400
    assert fhir.get(f"/{kind}/none").status_code == 404
    part = fhir.get(f"/{kind}/{one['id']}?_summary=true").json()
    assert part["meta"]["tag"][0]["code"] == "SUBSETTED"


def test_pages_of_what_is_published_hold_together(fhir: Fhir) -> None:
    seen, url = [], "/SearchParameter?_count=2"
    while url:
        page = fhir.get(url).json()
        seen += [one["resource"]["id"] for one in page["entry"]]
        links = {one["relation"]: one["url"] for one in page["link"]}
        url = links.get("next", "").removeprefix(f"http://testserver{fhir.root}")
    assert len(seen) == len(set(seen)) == page["total"]


def test_images_are_annotated_in_both_releases(client: Client) -> None:
    for root in ("/r4", "/r5"):
        fhir = Fhir(client, root)
        dicom = make_dicom(BodyPartExamined="HAND")
        answer = fhir.send("POST", "/ImagingStudy/$annotate", dicom, media="application/dicom")
        assert answer.status_code == 200, answer.text
        for one in answer.json()["entry"]:
            kind = one["resource"]["resourceType"]
            model_of(kind, _RELEASES[root]).model_validate(one["resource"])
            if kind in KINDS:
                path = one["fullUrl"].removeprefix(f"http://testserver{root}")
                assert fhir.get(path).json() == one["resource"]
