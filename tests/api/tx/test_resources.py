"""A site's own CodeSystem, ValueSet and ConceptMap: kept, guarded, searched, and used at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from fhir.resources import get_fhir_model_class as model_of_r5
from fhir.resources.R4B import get_fhir_model_class as model_of_r4

from api.app import create_app
from api.settings import Settings
from api.store import SqlStore
from api.tx.resources_store import ResourceLibrary
from terminology.library import Terminology
from tests.api.checks import checked
from tests.api.client import Client
from tests.api.tx.asking import IRMA, SCT, all_values, value

LOCAL = "http://hospital.example/CodeSystem/rooms"
VIEWS = "http://hospital.example/ValueSet/hands"

pytestmark = pytest.mark.databases


def code_system(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "CodeSystem",
        "id": "rooms",
        "url": LOCAL,
        "version": "1.0.0",
        "name": "Rooms",
        "title": "Röntgen rooms",
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3"}],
        "status": "active",
        "content": "complete",
        "caseSensitive": True,
        "concept": [{"code": "R1", "display": "Room 1"}, {"code": "R2", "display": "Room 2"}],
        **more,
    }


def value_set(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "ValueSet",
        "id": "hands",
        "url": VIEWS,
        "version": "1",
        "status": "draft",
        "compose": {
            "include": [
                {
                    "system": SCT,
                    "filter": [{"property": "constraint", "op": "=", "value": "<< 85562004"}],
                }
            ]
        },
        **more,
    }


def put(client: Client, resource: dict[str, Any], root: str = "/r4", **headers: str) -> Any:
    address = f"{root}/{resource['resourceType']}/{resource['id']}"
    return client.request("PUT", address, json=resource, headers=headers)


def test_what_is_put_is_read_back_and_used_at_once(site: Client) -> None:
    made = put(site, code_system())
    assert made.status_code == 201
    assert made.headers["etag"] == 'W/"1"'
    assert made.headers["location"] == "http://testserver/r4/CodeSystem/rooms"
    read = site.get("/r4/CodeSystem/rooms")
    assert checked(read.json()) == made.json()
    assert {**read.json(), "meta": None} == {**code_system(), "meta": None}
    looked_up = site.get(f"/r4/CodeSystem/$lookup?system={LOCAL}&code=R2").json()
    assert value(looked_up, "display") == "Room 2"
    listed = site.get("/r4/metadata?mode=terminology").json()["codeSystem"]
    assert LOCAL in {one["uri"] for one in listed}


def test_another_process_sees_a_change_with_its_next_request(
    site: Client, store: SqlStore, database: str, terminology: Terminology
) -> None:
    library = ResourceLibrary(database)
    other = Client(create_app(Settings(), terminology=terminology, store=store, library=library))
    query = f"?system={LOCAL}&code=R2"
    assert other.get(f"/r4/CodeSystem/$lookup{query}").status_code == 404
    put(site, code_system())
    assert other.get(f"/r4/CodeSystem/$lookup{query}").status_code == 200
    put(site, code_system(concept=[{"code": "R2", "display": "The second room"}]))
    assert value(other.get(f"/r4/CodeSystem/$lookup{query}").json(), "display") == "The second room"
    assert site.request("DELETE", "/r4/CodeSystem/rooms").status_code == 204
    assert other.get(f"/r4/CodeSystem/$lookup{query}").status_code == 404
    library.close()


def test_a_resource_survives_the_process(
    site: Client, store: SqlStore, database: str, terminology: Terminology
) -> None:
    put(site, value_set())
    library = ResourceLibrary(database)
    later = Client(create_app(Settings(), terminology=terminology, store=store, library=library))
    assert later.get("/r4/ValueSet/hands").json()["url"] == VIEWS
    library.close()


def test_a_value_set_is_expanded_by_url_and_by_address(site: Client) -> None:
    put(site, value_set())
    by_url = checked(site.get(f"/r4/ValueSet/$expand?url={VIEWS}").json())["expansion"]
    by_address = checked(site.get("/r4/ValueSet/hands/$expand").json())["expansion"]
    assert by_url["total"] == by_address["total"] > 10
    inside = site.get(f"/r4/ValueSet/hands/$validate-code?system={SCT}&code=7569003").json()
    assert value(inside, "result") is True
    nameless = value_set(id="nameless")
    del nameless["url"]
    assert put(site, nameless).status_code == 201
    again = checked(site.get("/r4/ValueSet/nameless/$expand").json())["expansion"]
    assert again["total"] == by_url["total"]


@pytest.mark.parametrize(("sent", "read"), [("/r4", "/r5"), ("/r5", "/r4")])
def test_each_endpoint_has_the_resource_in_its_own_form(site: Client, sent: str, read: str) -> None:
    of_r4 = {
        "resourceType": "ConceptMap",
        "id": "map",
        "url": "http://hospital.example/ConceptMap/map",
        "status": "active",
        "group": [
            {
                "source": LOCAL,
                "target": SCT,
                "element": [
                    {"code": "R1", "target": [{"code": "85562004", "equivalence": "wider"}]}
                ],
            }
        ],
    }
    of_r5 = {
        **of_r4,
        "group": [
            {
                "source": LOCAL,
                "target": SCT,
                "element": [
                    {
                        "code": "R1",
                        "target": [
                            {"code": "85562004", "relationship": "source-is-narrower-than-target"}
                        ],
                    }
                ],
            }
        ],
    }
    forms = {"/r4": of_r4, "/r5": of_r5}
    assert put(site, forms[sent], sent).status_code == 201
    for root in (sent, read):
        found = site.get(f"{root}/ConceptMap/map").json()
        (model_of_r4 if root == "/r4" else model_of_r5)("ConceptMap").model_validate(found)
        assert found["group"] == forms[root]["group"]


def test_versions_are_guarded_by_etag(site: Client) -> None:
    put(site, value_set())
    stale = put(site, value_set(title="New"), **{"If-Match": 'W/"7"'})
    assert (stale.status_code, stale.json()["issue"][0]["code"]) == (412, "conflict")
    fresh = put(site, value_set(title="New"), **{"If-Match": 'W/"1"'})
    assert (fresh.status_code, fresh.headers["etag"]) == (200, 'W/"2"')
    assert put(site, value_set(), **{"If-None-Match": "*"}).status_code == 412
    read = site.get("/r4/ValueSet/hands", headers={"If-None-Match": 'W/"2"'})
    assert (read.status_code, read.content) == (304, b"")
    gone = site.request("DELETE", "/r4/ValueSet/hands", headers={"If-Match": 'W/"1"'})
    assert gone.status_code == 412
    missing = put(site, value_set(id="other", url="http://x.org"), **{"If-Match": 'W/"1"'})
    assert missing.status_code == 412


def test_a_deleted_resource_is_gone_and_may_come_back_with_a_higher_version(site: Client) -> None:
    put(site, value_set())
    assert site.request("DELETE", "/r4/ValueSet/hands").status_code == 204
    assert site.get("/r4/ValueSet/hands").status_code == 410
    assert site.request("DELETE", "/r4/ValueSet/hands").status_code == 204
    assert site.request("DELETE", "/r4/ValueSet/never").status_code == 404
    again = put(site, value_set())
    assert (again.status_code, again.headers["etag"]) == (201, 'W/"3"')


def test_a_server_gives_the_id_and_conditions_decide(site: Client) -> None:
    bare = value_set()
    del bare["id"]
    made = site.post("/r4/ValueSet", json=bare)
    assert made.status_code == 201
    new_id = made.json()["id"]
    assert made.headers["location"].endswith(f"/ValueSet/{new_id}")
    condition = {"If-None-Exist": f"url={VIEWS}"}
    again = site.post("/r4/ValueSet", json=bare, headers=condition)
    assert (again.status_code, again.json()["id"]) == (200, new_id)
    updated = site.request("PUT", f"/r4/ValueSet?url={VIEWS}", json={**bare, "title": "Hands"})
    assert (updated.status_code, updated.json()["id"]) == (200, new_id)
    put(site, value_set(id="second", version="2"))
    several = site.request("PUT", f"/r4/ValueSet?url={VIEWS}", json=bare)
    assert (several.status_code, several.json()["issue"][0]["code"]) == (412, "multiple-matches")
    assert site.request("PUT", "/r4/ValueSet", json=bare).status_code == 400


def test_prefer_return_minimal_has_no_body(site: Client) -> None:
    made = put(site, value_set(), Prefer="return=minimal")
    assert (made.status_code, made.content) == (201, b"")


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("no status", {k: v for k, v in value_set().items() if k != "status"}, 422, "status"),
    ("an unknown status", value_set(status="new"), 422, "'new' is none of"),
    ("an unknown element", value_set(colour="red"), 422, "colour"),
    ("another id", value_set(id="hands "), 400, "id"),
    (
        "an include of nothing",
        value_set(compose={"include": [{"version": "1"}]}),
        422,
        "neither a system nor a valueSet",
    ),
    (
        "an operator that is none",
        value_set(
            compose={
                "include": [
                    {"system": SCT, "filter": [{"property": "concept", "op": "isa", "value": "1"}]}
                ]
            }
        ),
        422,
        "'isa' is none of",
    ),
    (
        "a code twice",
        code_system(concept=[{"code": "a"}, {"code": "a"}]),
        422,
        "'a' is there twice",
    ),
    ("a url that Bodysite has", code_system(url=IRMA), 409, IRMA),
    ("SNOMED CT itself", code_system(url=SCT), 409, SCT),
    ("a supplement of nothing", code_system(content="supplement"), 422, "supplements"),
    (
        "a mapping without a target system",
        {
            "resourceType": "ConceptMap",
            "id": "m",
            "status": "active",
            "group": [
                {"source": LOCAL, "element": [{"code": "x", "target": [{"equivalence": "equal"}]}]}
            ],
        },
        422,
        "no target",
    ),
]


@pytest.mark.parametrize(
    ("resource", "status", "reason"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_is_not_valid_is_refused_with_the_reason(
    site: Client, resource: dict[str, Any], status: int, reason: str
) -> None:
    answer = put(site, resource)
    assert answer.status_code == status, answer.text
    assert reason in answer.json()["issue"][0]["diagnostics"]
    kind = resource["resourceType"]
    held = site.get(f"/r4/{kind}", params={"_id": resource["id"], "_summary": "count"})
    assert held.json()["total"] == 0


def test_two_resources_never_have_one_canonical(site: Client) -> None:
    put(site, value_set())
    second = put(site, value_set(id="second"))
    assert (second.status_code, second.json()["issue"][0]["code"]) == (409, "duplicate")
    assert put(site, value_set(id="second", version="2")).status_code == 201


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_what_comes_with_bodysite_cannot_be_changed(site: Client, method: str) -> None:
    body = site.get("/r4/CodeSystem/irma-anatomy").json()
    answer = site.request(method, "/r4/CodeSystem/irma-anatomy", json=body)
    assert answer.status_code == 405
    assert "comes with Bodysite" in answer.text


def test_without_a_database_nothing_can_be_kept(serve: Callable[..., Client]) -> None:
    client = serve()
    assert put(client, value_set()).status_code == 405
    statement = client.get("/r4/metadata").json()
    value_sets = next(one for one in statement["rest"][0]["resource"] if one["type"] == "ValueSet")
    assert {one["code"] for one in value_sets["interaction"]} == {"read", "search-type"}


SEARCHES = [
    ("CodeSystem", {"url": LOCAL}, ["rooms"]),
    ("CodeSystem", {"system": LOCAL}, ["rooms"]),
    ("CodeSystem", {"url:below": "http://hospital.example"}, ["rooms"]),
    ("CodeSystem", {"name": "roo"}, ["rooms"]),
    ("CodeSystem", {"name": "oom"}, []),
    ("CodeSystem", {"name:contains": "OOM"}, ["rooms"]),
    ("CodeSystem", {"name:exact": "rooms"}, []),
    ("CodeSystem", {"title": "rontgen"}, ["rooms"]),
    ("CodeSystem", {"identifier": "urn:ietf:rfc:3986|urn:oid:1.2.3"}, ["rooms"]),
    ("CodeSystem", {"identifier": "urn:oid:1.2.3"}, ["rooms"]),
    ("CodeSystem", {"identifier": "http://x.org|urn:oid:1.2.3"}, []),
    ("CodeSystem", {"publisher": "the bodysite", "content-mode": "fragment", "name": "umls"},
     ["umls-cui"]),
    ("CodeSystem", {"content-mode": "not-present"}, ["irma", "irma-2003"]),
    ("CodeSystem", {"code": "R2"}, ["rooms"]),
    ("CodeSystem", {"code": "414", "system": IRMA}, ["irma-anatomy"]),
    ("CodeSystem", {"system": IRMA}, ["irma-anatomy", "irma-anatomy-2003"]),
    ("CodeSystem", {"system": IRMA, "version": "2003"}, ["irma-anatomy-2003"]),
    ("CodeSystem", {"version": "1.0.0"}, ["rooms"]),
    ("CodeSystem", {"status": "draft"}, []),
    ("CodeSystem", {"_id": "rooms,unifesp"}, ["unifesp", "rooms"]),
    ("CodeSystem", {"content-mode": "fragment", "name": "headerw"}, ["header-words"]),
    ("ValueSet", {"status": "draft,retired"}, ["hands"]),
    ("ValueSet", {"reference": SCT}, ["hands"]),
    ("ConceptMap", {"source-system": IRMA}, ["irma-anatomy-2003", "irma-anatomy-2008"]),
    ("ConceptMap", {"source-code": "414", "source-group-system": IRMA}, ["irma-anatomy-2008"]),
    ("ConceptMap", {"target-system": "http://x.org"}, []),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "query", "ids"), SEARCHES)
@pytest.mark.parametrize("root", ["/r4", "/r5"])
def test_search(site: Client, kind: str, query: dict[str, str], ids: list[str], root: str) -> None:
    put(site, code_system())
    put(site, value_set())
    by_get = site.get(f"{root}/{kind}", params=query).json()
    assert [entry["resource"]["id"] for entry in by_get.get("entry", [])] == ids
    assert by_get["total"] == len(ids)
    by_post = site.post(f"{root}/{kind}/_search", data=query).json()
    assert by_post.get("entry") == by_get.get("entry")


def test_pages_of_a_search_lead_to_one_another(site: Client) -> None:
    put(site, code_system())
    seen: list[str] = []
    address = "/r4/CodeSystem?_count=2&_elements=url"
    while address:
        page = site.get(address).json()
        seen += [entry["resource"]["id"] for entry in page["entry"]]
        for entry in page["entry"]:
            kept = {"resourceType", "id", "meta", "url", "status", "content"}
            assert set(entry["resource"]) <= kept
            assert entry["resource"]["meta"]["tag"][-1]["code"] == "SUBSETTED"
        address = next((one["url"] for one in page["link"] if one["relation"] == "next"), "")
    whole = site.get("/r4/CodeSystem?_summary=count").json()
    assert len(seen) == len(set(seen)) == whole["total"]
    assert "entry" not in whole


def test_a_search_says_what_it_left_out_or_refuses_it(site: Client) -> None:
    lenient = site.get("/r4/ValueSet?colour=red").json()
    assert lenient["entry"][-1]["search"]["mode"] == "outcome"
    assert "colour" in lenient["entry"][-1]["resource"]["issue"][0]["diagnostics"]
    strict = site.get("/r4/ValueSet?colour=red", headers={"Prefer": "handling=strict"})
    assert strict.status_code == 400
    for query in ("url:missing=true", "_count=x", "_summary=short", "name="):
        assert site.get(f"/r4/ValueSet?{query}").status_code == 400, query


def test_a_supplement_of_a_site_adds_names(site: Client) -> None:
    supplement = {
        "resourceType": "CodeSystem",
        "id": "german",
        "url": "http://hospital.example/CodeSystem/irma-de",
        "version": "1",
        "status": "active",
        "content": "supplement",
        "supplements": IRMA,
        "concept": [
            {"code": "414", "designation": [{"language": "de", "value": "linke Hand"}]},
        ],
    }
    assert put(site, supplement).status_code == 201
    answer = site.get(
        "/r4/CodeSystem/$lookup",
        params={"system": IRMA, "code": "414", "useSupplement": supplement["url"]},
    ).json()
    assert "linke Hand" in {one["value"] for one in all_values(answer, "designation")}
