"""Terminology over HTTP: two FHIR releases, addresses, formats, batch, capabilities."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fhir.resources import get_fhir_model_class as model_of_r5

from api.app import create_app, open_releases
from api.errors import RequestError
from api.settings import Settings
from api.store import SqlStore
from api.tx.operations import OPERATIONS
from terminology.errors import IndexFileError
from terminology.library import Terminology
from terminology.release.build import build_index
from terminology.rf2.reader import read_release
from tests.api.checks import checked, issues
from tests.api.client import Client
from tests.api.tx.asking import DICOM, IRMA, SCT, all_values, coding, request, tx, value
from tests.api.tx.small_release import VERSION, small_index

HAND = "85562004"
ROOTS = ("/r4", "/r5")
JSON = {"content-type": "application/fhir+json"}
COLOURS = {
    "resourceType": "CodeSystem",
    "url": "http://x.org/colours",
    "version": "1",
    "status": "active",
    "content": "complete",
    "concept": [{"code": "red", "display": "Red"}, {"code": "blue", "display": "Blue"}],
}
ALL_COLOURS = {
    "resourceType": "ValueSet",
    "url": "http://x.org/vs/colours",
    "status": "active",
    "compose": {"include": [{"system": "http://x.org/colours"}]},
}


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return small_index(tmp_path_factory.mktemp("rf2"))


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize(
    ("path", "query", "name", "expected"),
    [
        ("CodeSystem/$lookup", {"system": SCT, "code": "85562004"}, "display", "Hand"),
        ("CodeSystem/irma-anatomy/$lookup", {"code": "414"}, "display", "left hand"),
        (
            "CodeSystem/$subsumes",
            {"system": SCT, "codeA": "85562004", "codeB": "7569003"},
            "outcome",
            "subsumes",
        ),
        ("CodeSystem/irma-anatomy/$subsumes", {"codeA": "414", "codeB": "41"}, "outcome",
         "subsumed-by"),
        ("CodeSystem/$validate-code", {"url": IRMA, "code": "414"}, "result", True),
        ("CodeSystem/irma-anatomy/$validate-code", {"code": "nothing"}, "result", False),
        (
            "ValueSet/$validate-code",
            {"url": f"{SCT}?fhir_vs=isa/85562004", "system": SCT, "code": "7569003"},
            "result",
            True,
        ),
        (
            "ValueSet/dicom-body-part-examined/$validate-code",
            {"system": DICOM, "code": "hand"},
            "result",
            True,
        ),
        ("ConceptMap/unifesp/$translate", {"system": "x", "code": "3"}, "result", False),
    ],
)  # fmt: skip
def test_operations_answer_at_type_and_instance_level(
    site: Client, root: str, path: str, query: dict[str, str], name: str, expected: object
) -> None:
    by_get = site.get(f"{root}/{path}", params=query)
    assert by_get.status_code == 200, by_get.text
    assert by_get.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert value(checked(by_get.json()), name) == expected
    by_post = site.post(f"{root}/{path}", json=request(**query), headers=JSON)
    assert by_post.json() == by_get.json()


@pytest.mark.parametrize("root", ROOTS)
def test_a_request_brings_its_own_resources(site: Client, root: str) -> None:
    body = request(tx(COLOURS), tx(ALL_COLOURS), url=ALL_COLOURS["url"])
    expansion = site.post(f"{root}/ValueSet/$expand", json=body).json()["expansion"]
    assert [one["code"] for one in expansion["contains"]] == ["red", "blue"]
    body = request(coding("coding", "http://x.org/colours", "red"), tx(COLOURS))
    assert value(site.post(f"{root}/CodeSystem/$lookup", json=body).json(), "display") == "Red"
    # Nothing of it stays.
    assert site.get(f"{root}/ValueSet/$expand?url={ALL_COLOURS['url']}").status_code == 404


def test_properties_of_an_expansion_are_elements_in_r5_and_extensions_in_r4(site: Client) -> None:
    query = {"url": f"{SCT}?fhir_vs=isa/85562004", "property": "inactive", "count": "2"}
    of_r5 = site.get("/r5/ValueSet/$expand", params=query).json()
    model_of_r5("ValueSet").model_validate(of_r5)
    assert of_r5["expansion"]["contains"][0]["property"][0]["code"] == "inactive"
    of_r4 = checked(site.get("/r4/ValueSet/$expand", params=query).json())
    (extension,) = [
        one
        for one in of_r4["expansion"]["contains"][0]["extension"]
        if one["url"].endswith("ValueSet.expansion.contains.property")
    ]
    assert extension["extension"][0] == {"url": "code", "valueCode": "inactive"}


def test_fhirs_own_code_systems_have_the_version_of_the_endpoint(site: Client) -> None:
    query = {"system": "http://hl7.org/fhir/administrative-gender", "code": "female"}
    for root, version in (("/r4", "4.0.1"), ("/r5", "5.0.0")):
        answer = site.get(f"{root}/CodeSystem/$lookup", params=query).json()
        assert value(answer, "version") == version


def test_the_language_of_the_header_chooses_the_display(
    open_site: Callable[..., Client], small: Any
) -> None:
    site = open_site(releases=(small,))
    query = f"/r4/CodeSystem/$lookup?system={SCT}&code=10200004"
    assert value(site.get(query).json(), "display") == "Liver"
    german = site.get(query, headers={"Accept-Language": "de"}).json()
    assert value(german, "display") == "Leber"
    asked = site.get(f"{query}&displayLanguage=en", headers={"Accept-Language": "de"}).json()
    assert value(asked, "display") == "Liver"


def test_releases_stand_side_by_side_and_the_first_is_the_default(
    open_site: Callable[..., Client], small: Any, terminology: Terminology
) -> None:
    site = open_site(releases=(small,))
    embedded = site.get("/health").json()["releases"][-1]
    query = f"/r4/CodeSystem/$lookup?system={SCT}&code=85562004"
    assert value(site.get(query).json(), "version") == VERSION
    for version in (VERSION, embedded):
        answer = site.get(query, params={"version": version, "system": SCT, "code": "85562004"})
        assert value(answer.json(), "version") == version
    # 69536005 |Head| is in the embedded subset only.
    for version, status in ((VERSION, 404), (embedded, 200)):
        asked = {"system": SCT, "code": "69536005", "version": version}
        assert site.get("/r4/CodeSystem/$lookup", params=asked).status_code == status
    listed = site.get("/r4/metadata?mode=terminology").json()["codeSystem"]
    (snomed,) = [one for one in listed if one["uri"] == SCT]
    assert [(one["code"], one["isDefault"]) for one in snomed["version"]] == [
        (VERSION, True),
        (embedded, False),
    ]
    by_rule = {"url": f"{SCT}?fhir_vs=isa/69536005", "system-version": f"{SCT}|{embedded}"}
    assert site.get("/r4/ValueSet/$expand", params=by_rule).json()["expansion"]["total"] > 1


@pytest.mark.parametrize("root", ROOTS)
def test_capabilities_say_what_is_there(site: Client, root: str) -> None:
    statement = site.get(f"{root}/metadata").json()
    terms = site.get(f"{root}/metadata?mode=terminology").json()
    if root == "/r4":
        checked(statement)
        checked(terms)
    else:
        model_of_r5("CapabilityStatement").model_validate(statement)
        model_of_r5("TerminologyCapabilities").model_validate(terms)
    assert statement["fhirVersion"] == {"/r4": "4.0.1", "/r5": "5.0.0"}[root]
    rest = statement["rest"][0]
    resources = {one["type"]: one for one in rest["resource"]}
    assert "ImagingStudy" in resources
    named = {
        (kind, one["name"]) for kind in resources for one in resources[kind].get("operation", [])
    }
    named |= {("", one["name"]) for one in rest["operation"]}
    assert {(one.type, one.name) for one in OPERATIONS} <= named
    expansion = {one["name"] for one in terms["expansion"]["parameter"]}
    assert {"filter", "count", "offset", "activeOnly", "displayLanguage", "property"} <= expansion
    assert site.get(f"{root}/metadata?mode=all").status_code == 400


FORMATS: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "/r5/CodeSystem", {"headers": {"accept": "application/fhir+xml"}}, 406),
    ("GET", "/r5/CodeSystem/$lookup?_format=xml", {}, 406),
    ("GET", "/r5/metadata", {"headers": {"accept": "application/fhir+xml"}}, 406),
    ("POST", "/r5/CodeSystem/$lookup", {"content": b"<Parameters/>", "headers": {
        "content-type": "application/fhir+xml"}}, 415),
    ("PUT", "/r4/ValueSet/x", {"content": b"<ValueSet/>", "headers": {
        "content-type": "application/fhir+xml"}}, 415),
    ("POST", "/r4/ValueSet/$expand", {"data": {"url": "x"}}, 415),
    ("POST", "/r4/ValueSet", {"content": b"{", "headers": JSON}, 400),
    ("POST", "/r4/ValueSet", {"json": COLOURS}, 400),
    ("DELETE", "/r4/CodeSystem/$lookup", {}, 405),
    ("PATCH", "/r4/CodeSystem/irma-anatomy", {}, 405),
    ("DELETE", "/r4/CodeSystem", {}, 405),
    ("GET", "/r4/CodeSystem/$nothing", {}, 404),
    ("GET", "/r4/CodeSystem/none/$lookup?code=1", {}, 404),
    ("GET", "/r4/CodeSystem/a/b/c", {}, 404),
    ("GET", "/r4/$nothing", {}, 404),
    ("GET", "/r5/Media", {}, 404),
    ("GET", "/r4", {}, 400),
    ("GET", "/r4x/CodeSystem", {}, 404),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "options", "status"), FORMATS)
def test_what_cannot_be_answered_is_an_outcome(
    site: Client, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    answer = site.request(method, path, **options)
    assert answer.status_code == status, answer.text
    (issue,) = issues(checked(answer.json()))
    assert issue["severity"] == "error"


def test_pretty_is_the_same_resource_on_many_lines(site: Client) -> None:
    for path in (f"/r4/CodeSystem/$lookup?system={SCT}&code=85562004", "/r4/ValueSet?_count=1"):
        plain, pretty = site.get(path), site.get(f"{path}&_pretty=true")
        assert pretty.text.count("\n") > 5
        assert plain.text.count("\n") == 0
        if "$" in path:
            assert pretty.json() == plain.json()


def test_head_of_an_operation_has_no_body(site: Client) -> None:
    answer = site.request("HEAD", f"/r4/CodeSystem/$lookup?system={SCT}&code=85562004")
    assert (answer.status_code, answer.content) == (200, b"")


def test_metrics_name_addresses_and_nothing_that_a_client_wrote(site: Client) -> None:
    site.get(f"/r5/CodeSystem/$lookup?system={SCT}&code=85562004")
    site.get("/r4/ValueSet/secret-id/$expand")
    site.get("/r4/ValueSet/secret-id")
    text = site.get("/metrics").text
    assert 'route="/r5/CodeSystem/$lookup",status="200"' in text
    assert 'route="/r4/ValueSet/{resource_id}/$expand",status="404"' in text
    assert 'route="/r4/ValueSet/{resource_id}",status="404"' in text
    assert "secret" not in text


def test_tokens_guard_terminology_too(open_site: Callable[..., Client]) -> None:
    site = open_site(tokens=("one",))
    query = f"/CodeSystem/$lookup?system={SCT}&code=85562004"
    for root in ROOTS:
        assert site.get(root + query).status_code == 401
        known = site.get(root + query, headers={"Authorization": "Bearer one"})
        assert known.status_code == 200
        assert site.get(f"{root}/metadata").status_code == 200


BAD_PARAMETERS: list[tuple[str, str]] = [
    ('{"name":"activeOnly","valueString":"perhaps"}', "perhaps"),
    ('{"name":"count","valueInteger":-1}', "-1"),
    ('{"name":"count","valueInteger":1.5}', "1.5"),
    ('{"name":"count","valueInteger":99999999999}', "99999999999"),
    ('{"name":"coding","valueCoding":"x"}', "coding"),
    ('{"name":"coding","valueCoding":{"system":1,"code":"x"}}', "no text"),
    ('{"name":"codeableConcept","valueCodeableConcept":{"coding":{}}}', "codeableConcept"),
    ('{"name":"url","valueUri":["x"]}', "url"),
    ('{"name":"tx-resource","resource":{}}', "without a type"),
    ('{"name":"tx-resource","resource":7}', "without a type"),
    ('{"name":"x","part":7}', "parts"),
    ('{"name":"x","valueString":"a","valueCode":"b"}', "2 values"),
    ('{"valueString":"a"}', "name"),
    (
        '{"name":"tx-resource","resource":{"resourceType":"ValueSet","url":"u","compose":7}}',
        "compose",
    ),
]


@pytest.mark.parametrize(("entry", "reason"), BAD_PARAMETERS)
@pytest.mark.parametrize("root", ROOTS)
def test_parameters_that_make_no_sense_are_400(
    site: Client, root: str, entry: str, reason: str
) -> None:
    body = f'{{"resourceType":"Parameters","parameter":[{{"name":"url","valueUri":"u"}},{entry}]}}'
    answer = site.post(f"{root}/ValueSet/$expand", content=body.encode(), headers=JSON)
    assert answer.status_code == 400, answer.text
    (issue,) = issues(checked(answer.json()))
    assert reason in json.dumps(issue)


def test_a_boolean_that_came_as_text_counts_as_one(site: Client) -> None:
    url = f"{SCT}?fhir_vs=isa/85562004"
    body = request(url=url, count="1", includeDesignations="true")
    expansion = site.post("/r4/ValueSet/$expand", json=body).json()["expansion"]
    echoed = {one["name"]: one for one in expansion["parameter"]}
    assert echoed["count"]["valueInteger"] == 1
    assert echoed["includeDesignations"]["valueBoolean"] is True


def test_a_code_of_another_case_is_found_where_the_system_allows_it(site: Client) -> None:
    answer = site.get("/r4/CodeSystem/$lookup", params={"system": DICOM, "code": "hand"})
    assert value(answer.json(), "display") == "Hand"
    assert site.get(f"/r4/CodeSystem/$lookup?system={IRMA}&code=no").status_code == 404


def test_every_builtin_value_set_expands_to_every_code(site: Client) -> None:
    for entry in site.get("/r4/CodeSystem?_summary=true&_count=100").json()["entry"]:
        system = entry["resource"]
        if system["content"] == "not-present":
            continue
        version = f"|{system['version']}" if "version" in system else ""
        query = {"url": f"{system['valueSet']}{version}", "count": "0"}
        total = site.get("/r4/ValueSet/$expand", params=query).json()["expansion"]["total"]
        assert total == system.get("count", total) > 4


def bundle(*entries: dict[str, Any], kind: str = "batch") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def asked(method: str, url: str, resource: dict[str, Any] | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {"request": {"method": method, "url": url}}
    return entry if resource is None else {**entry, "resource": resource}


@pytest.mark.parametrize("root", ROOTS)
def test_a_batch_answers_each_entry_for_itself(site: Client, root: str) -> None:
    body = bundle(
        asked("GET", f"CodeSystem/$lookup?system={SCT}&code=85562004"),
        asked("GET", f"CodeSystem/$lookup?system={SCT}&code=85562005"),
        asked("POST", "CodeSystem/$subsumes", request(system=SCT, codeA="53120007", codeB=HAND)),
        asked("GET", f"http://testserver{root}/ValueSet/irma-anatomy"),
        asked("GET", "/ValueSet?url=https://w3id.org/bodysite/ValueSet/unifesp"),
        asked("PUT", "CodeSystem/colours", {**COLOURS, "id": "colours"}),
        asked("GET", "CodeSystem/$lookup?system=http://x.org/colours&code=red"),
        asked("DELETE", "CodeSystem/irma-anatomy"),
        asked("GET", "ImagingStudy"),
        asked("POST", "CodeSystem/$lookup"),
        {"request": {"method": "GET"}},
    )  # fmt: skip
    for address in (root, f"{root}/"):
        answer = site.post(address, json=body)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert found["type"] == "batch-response"
        statuses = [entry["response"]["status"] for entry in found["entry"]]
        put = "201" if address == root else "200"
        assert statuses == [
            "200", "400", "200", "200", "200", put, "200", "405", "200", "400", "400",
        ]  # fmt: skip
        assert value(found["entry"][0]["resource"], "display") == "Hand"
        assert found["entry"][1]["response"]["outcome"]["issue"][0]["code"] == "code-invalid"
        assert value(found["entry"][2]["resource"], "outcome") == "subsumes"
        assert found["entry"][4]["resource"]["total"] == 1
        assert found["entry"][5]["response"]["location"].endswith("/CodeSystem/colours")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (bundle(kind="collection"), 400),
        ({"resourceType": "Bundle", "type": "batch", "entry": 7}, 413),
        (bundle(*[asked("GET", "CodeSystem")] * 1001), 413),
        (COLOURS, 400),
    ],
)
def test_what_is_no_batch_is_refused(site: Client, body: dict[str, Any], status: int) -> None:
    assert site.post("/r4", json=body).status_code == status


def test_codes_are_validated_many_at_once(site: Client) -> None:
    one = request(coding("coding", SCT, "85562004"))
    two = request(coding("coding", SCT, "56459004"))
    body = request(
        {"name": "validation", "resource": one},
        {"name": "validation", "resource": two},
        url=f"{SCT}?fhir_vs=isa/53120007",
    )
    answer = checked(site.post("/r4/ValueSet/$batch-validate-code", json=body).json())
    results = [value(found, "result") for found in all_values(answer, "validation")]
    assert results == [True, False]
    assert site.post("/r4/ValueSet/$batch-validate-code", json=request()).status_code == 400


def test_a_store_that_fails_is_503_and_tells_nothing(
    store: SqlStore, terminology: Terminology, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise sa.exc.OperationalError("SELECT secret", {}, Exception("disk I/O error"))

    app = create_app(
        Settings(),
        terminology=terminology,
        store=store,
        library=Broken(),  # type: ignore[arg-type]
    )
    answer = Client(app, raise_errors=False).get("/r4/ValueSet")
    assert answer.status_code == 503
    assert issues(checked(answer.json()))[0]["code"] == "transient"
    assert "secret" not in answer.text + caplog.text


def test_the_help_page_describes_both_releases(site: Client) -> None:
    paths = site.get("/openapi.json").json()["paths"]
    for root in ROOTS:
        for one in OPERATIONS:
            described = paths[f"{root}/{one.path}"]
            assert "application/fhir+json" in described["post"]["requestBody"]["content"]
            assert {"4XX", "200"} <= set(described["post"]["responses"])
        assert paths[f"{root}/ValueSet/{{resource_id}}"]["delete"]["summary"]


def test_a_broken_or_missing_index_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.index"
    broken.write_bytes(b"nothing")
    for path in (broken, tmp_path / "missing.index"):
        with pytest.raises(IndexFileError, match=path.name):
            open_releases([path])


def test_two_indexes_of_one_version_are_refused(tmp_path: Path, small: Any) -> None:
    folder = tmp_path / "rf2"
    folder.mkdir()
    small_index(folder)
    paths = [tmp_path / "a.index", tmp_path / "b.index"]
    for path in paths:
        build_index(read_release([folder], version_uri=VERSION), path)
    with pytest.raises(RequestError, match=r"b\.index: it holds .* and so does .*a\.index"):
        open_releases(paths)
    assert [one.version for one in open_releases(paths[:1])] == [VERSION]


@pytest.mark.parametrize("text", ['["/a/b.index", "/c.index"]', "/a/b.index:/c.index"])
def test_releases_are_named_in_the_environment(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BODYSITE_RELEASES", text)
    assert Settings().releases == (Path("/a/b.index"), Path("/c.index"))


def spots(node: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """Yield every place of a JSON value as (container, key)."""
    if depth > 20:
        return
    keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in list(keys):
        yield node, key
        yield from spots(node[key], depth + 1)


def test_no_mutated_request_breaks_the_service(site: Client) -> None:
    dice = random.Random(20261120)  # noqa: S311
    asked = [
        ("ValueSet/$expand", request(tx(COLOURS), tx(ALL_COLOURS), url=ALL_COLOURS["url"])),
        ("ValueSet/$expand", request(url=f"{SCT}?fhir_vs=isa/85562004", count=2, filter="f")),
        ("ValueSet/$validate-code", request(coding("coding", SCT, HAND), valueSet=ALL_COLOURS)),
        ("CodeSystem/$lookup", request(coding("coding", COLOURS["url"], "red"), tx(COLOURS))),
        ("CodeSystem/$subsumes", request(*(coding(f"coding{s}", SCT, HAND) for s in "AB"))),
        ("ConceptMap/$translate", request(sourceSystem=IRMA, sourceCode="414", targetSystem=SCT)),
        ("$closure", request(coding("concept", SCT, HAND), name="t")),
        ("ValueSet", ALL_COLOURS),
    ]  # fmt: skip
    values = [None, True, 7, -1, 1.5, "", [], {}, "x", SCT, HAND, "<< (", "a|b", "\0", [[]]]
    for _ in range(600):
        path, body = copy.deepcopy(dice.choice(asked))
        for _ in range(dice.randint(1, 3)):
            places = list(spots(body))
            if not places:
                break
            node, key = dice.choice(places)
            if dice.random() < 0.25:
                del node[key]
            else:
                node[key] = dice.choice([*values, copy.deepcopy(dice.choice(places)[0])])
        answer = site.post(f"{dice.choice(ROOTS)}/{path}", json=body)
        assert answer.status_code in {200, 201, 400, 404, 409, 413, 422}, (path, body)
        answer.json()


@pytest.mark.parametrize("root", ROOTS)
def test_a_value_set_may_be_the_body_itself(site: Client, root: str) -> None:
    hands = {
        "resourceType": "ValueSet",
        "status": "active",
        "compose": {"include": [{"system": SCT, "concept": [{"code": HAND}]}]},
    }
    answer = site.post(f"{root}/ValueSet/$expand?count=5", json=hands).json()
    assert [one["code"] for one in answer["expansion"]["contains"]] == [HAND]
    assert site.post(f"{root}/ValueSet/$expand", json=COLOURS).status_code == 400


def test_an_expansion_beyond_the_limit_is_too_costly_unless_it_is_paged(
    open_site: Callable[..., Client],
) -> None:
    site = open_site(max_expansion=20)
    url = f"{SCT}?fhir_vs=isa/53120007"
    refused = site.get("/r4/ValueSet/$expand", params={"url": url})
    assert 400 <= refused.status_code < 500
    assert checked(refused.json())["issue"][0]["code"] == "too-costly"
    page = site.get("/r4/ValueSet/$expand", params={"url": url, "count": "20"})
    assert len(page.json()["expansion"]["contains"]) == 20


def responses(site: Client, *entries: dict[str, Any], root: str = "/r4") -> list[dict[str, Any]]:
    answer = site.post(root, json=bundle(*entries))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["entry"]
    return found


@pytest.mark.parametrize(
    "url", ["http://[x", "http://evil.example/CodeSystem/unifesp", "//evil.example/CodeSystem"]
)
def test_an_entry_with_an_address_elsewhere_fails_alone(site: Client, url: str) -> None:
    stored = {"request": {"method": "POST", "url": "CodeSystem"}, "resource": COLOURS}
    first, second, third = responses(
        site, stored, asked("GET", url), asked("GET", "http://testserver/r4/CodeSystem/unifesp")
    )
    statuses = [one["response"]["status"] for one in (first, second, third)]
    assert statuses == ["201", "400", "200"]
    assert checked(second["response"]["outcome"])


def test_an_entry_that_fails_unexpectedly_fails_alone_and_tells_nothing(
    site: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("secret")

    stored = {"request": {"method": "POST", "url": "CodeSystem"}, "resource": COLOURS}
    monkeypatch.setattr("api.tx.crud.shown", broken)
    answers = responses(site, stored, asked("GET", "CodeSystem/unifesp"), asked("GET", "ValueSet"))
    assert [one["response"]["status"] for one in answers] == ["201", "500", "200"]
    assert checked(answers[1]["response"]["outcome"])["issue"][0]["code"] == "exception"
    assert "KeyError" in caplog.text
    assert "secret" not in caplog.text + json.dumps(answers)


def test_an_entry_may_ask_for_the_head_alone(site: Client) -> None:
    (head,) = responses(site, asked("HEAD", "CodeSystem/unifesp"))
    assert head["response"]["status"] == "200"
    assert "resource" not in head


def test_a_batch_has_a_time(open_site: Callable[..., Client]) -> None:
    site = open_site(max_seconds_per_request=1e-9)
    answers = responses(site, *[asked("GET", "CodeSystem/unifesp")] * 3)
    assert {one["response"]["status"] for one in answers} == {"503"}
    assert checked(answers[0]["response"]["outcome"])["issue"][0]["code"] == "too-costly"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_safe_method_changes_no_closure_table(site: Client, method: str) -> None:
    for codes in ([], [coding("concept", SCT, HAND)]):
        site.post("/r4/$closure", json=request(*codes, name="kept"))
    assert site.request(method, "/r4/$closure?name=kept").status_code == 405
    (entry,) = responses(site, asked(method, "$closure?name=kept"))
    assert entry["response"]["status"] == "405"
    kept = site.post("/r4/$closure", json=request(name="kept", version="0")).json()
    assert kept["version"] == "1"


@pytest.mark.parametrize("root", ROOTS)
def test_capabilities_say_where_subsumption_is_tested(site: Client, root: str) -> None:
    systems = site.get(f"{root}/metadata?mode=terminology").json()["codeSystem"]
    told = {one["uri"]: one["subsumption"] for one in systems}
    assert (told[SCT], told[IRMA]) == (True, True)
    assert not all(told.values())


def test_each_validation_of_many_stands_for_itself(site: Client) -> None:
    path = "/r4/ValueSet/$batch-validate-code"
    text = {"name": "validation", "valueString": "x"}
    assert site.post(path, json=request(text)).status_code == 400
    good = {"name": "validation", "resource": request(coding("coding", SCT, HAND))}
    bad = {"name": "validation", "resource": request(display="no code")}
    answer = site.post(path, json=request(good, bad, url=f"{SCT}?fhir_vs=isa/{HAND}")).json()
    found = [one["resource"]["resourceType"] for one in answer["parameter"]]
    assert found == ["Parameters", "OperationOutcome"]


@pytest.mark.parametrize("path", ["CodeSystem/$validate-code", "ValueSet/$validate-code"])
def test_a_date_that_would_change_nothing_is_refused(site: Client, path: str) -> None:
    url = SCT if path.startswith("Code") else f"{SCT}?fhir_vs"
    query = {"url": url, "system": SCT, "code": HAND, "date": "rubbish"}
    assert site.get(f"/r4/{path}", params=query).status_code == 400


def test_lookup_has_a_date_and_refuses_what_is_none(site: Client) -> None:
    query = {"system": SCT, "code": HAND}
    for date in ("2030", "2030-01", "2030-01-01", "2030-01-01T10:00:00Z"):
        answer = site.get("/r4/CodeSystem/$lookup", params={**query, "date": date})
        assert answer.status_code == 200
    answer = site.get("/r4/CodeSystem/$lookup", params={**query, "date": "rubbish"})
    assert (answer.status_code, issues(answer.json())[0]["code"]) == (400, "value")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_has_not_are_refused(site: Client, number: str) -> None:
    body = f'{{"resourceType":"Parameters","parameter":[{{"name":"x","valueDecimal":{number}}}]}}'
    answer = site.post("/r4/CodeSystem/$lookup", content=body, headers=JSON)
    assert (answer.status_code, issues(answer.json())[0]["code"]) == (400, "structure")


def test_json_that_is_too_deep_is_called_so(site: Client) -> None:
    body = '{"resourceType":"Parameters","parameter":' + "[" * 50_000 + "]" * 50_000 + "}"
    answer = site.post("/r4/CodeSystem/$lookup", content=body, headers=JSON)
    assert answer.status_code == 400
    assert "nested too deeply" in answer.text


def test_a_map_in_the_form_of_the_other_release_is_refused(site: Client) -> None:
    mapped = {"code": "1", "equivalence": "equivalent"}
    of_r4 = {
        "resourceType": "ConceptMap",
        "status": "active",
        "group": [
            {
                "source": "http://x.org/a",
                "target": "http://x.org/b",
                "element": [{"code": "1", "target": [mapped]}],
            }
        ],
    }
    body = request({"name": "conceptMap", "resource": of_r4}, system="http://x.org/a", code="1")
    assert site.post("/r4/ConceptMap/$translate", json=body).status_code == 200
    refused = site.post("/r5/ConceptMap/$translate", json=body)
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (400, "structure")
