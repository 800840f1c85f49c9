"""Conditional create, update, patch and delete: none, one or several matches."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.api.checks import issues
from tests.api.client import Client
from tests.api.rest.conftest import Fhir, sample

_IDS = "http://example.org/ids"
_ONE = f"identifier={_IDS}|p-1"


def test_a_conditional_create_makes_one(fhir: Fhir) -> None:
    first = fhir.post("/Patient", sample("Patient"), If_None_Exist=_ONE)
    assert first.status_code == 201
    for condition in (_ONE, f"Patient?{_ONE}", f"?{_ONE}"):
        again = fhir.post("/Patient", sample("Patient", gender="male"), If_None_Exist=condition)
        assert (again.status_code, again.json()) == (200, first.json())
        assert again.headers["location"] == first.headers["location"]
    fhir.post("/Patient", sample("Patient"))
    several = fhir.post("/Patient", sample("Patient"), If_None_Exist=_ONE)
    assert (several.status_code, issues(several.json())[0]["code"]) == (412, "multiple-matches")


def test_a_conditional_update_finds_its_resource(fhir: Fhir) -> None:
    made = fhir.put(f"/Patient?{_ONE}", sample("Patient"))
    assert made.status_code == 201
    own = made.json()["id"]
    done = fhir.put(f"/Patient?{_ONE}", sample("Patient", gender="male"))
    assert (done.status_code, done.json()["id"], done.json()["gender"]) == (200, own, "male")
    assert fhir.put(f"/Patient?{_ONE}", sample("Patient", id="other")).status_code == 400
    stale = fhir.put(f"/Patient?{_ONE}", sample("Patient"), If_Match='W/"1"')
    assert stale.status_code == 412
    fhir.post("/Patient", sample("Patient"))
    assert fhir.put(f"/Patient?{_ONE}", sample("Patient")).status_code == 412


def test_a_conditional_update_creates_under_an_id_of_the_client(fhir: Fhir) -> None:
    made = fhir.put(f"/Patient?{_ONE}", sample("Patient", id="mine"))
    assert (made.status_code, made.json()["id"]) == (201, "mine")
    none = f"identifier={_IDS}|none"
    assert fhir.put(f"/Patient?{none}", sample("Patient", id="mine")).status_code == 409
    assert fhir.put(f"/Patient?{none}", sample("Patient"), If_Match='W/"1"').status_code == 412


def test_a_conditional_patch_needs_one(fhir: Fhir) -> None:
    change = [{"op": "replace", "path": "/gender", "value": "male"}]
    assert fhir.patch(f"/Patient?{_ONE}", change).status_code == 404
    fhir.post("/Patient", sample("Patient"))
    assert fhir.patch(f"/Patient?{_ONE}", change).json()["gender"] == "male"
    fhir.post("/Patient", sample("Patient"))
    assert fhir.patch(f"/Patient?{_ONE}", change).status_code == 412


def test_a_conditional_delete_takes_one(fhir: Fhir) -> None:
    assert fhir.delete(f"/Patient?{_ONE}").status_code == 204
    fhir.put("/Patient/x", sample("Patient", id="x"))
    fhir.put("/Patient/y", sample("Patient", id="y"))
    assert fhir.delete(f"/Patient?{_ONE}").status_code == 412
    assert fhir.delete(f"/Patient?{_ONE}&_id=y").status_code == 204
    assert (fhir.get("/Patient/x").status_code, fhir.get("/Patient/y").status_code) == (200, 410)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    ("query", "status"),
    [("", 412), ("?nonsense=x", 400), ("?birthdate=x", 400), ("?gender:x=a", 400)],
)
def test_a_condition_is_never_left_out(fhir: Fhir, method: str, query: str, status: int) -> None:
    fhir.put("/Patient/x", sample("Patient", id="x"))
    body = sample("Patient") if method == "PUT" else []
    media = "application/json-patch+json" if method == "PATCH" else "application/fhir+json"
    answer = fhir.send(method, f"/Patient{query}", body, media=media)
    assert answer.status_code == status, answer.text
    assert fhir.get("/Patient/x").headers["etag"] == 'W/"1"'


@pytest.mark.parametrize("root", ["/r4", "/r5"])
def test_conditions_find_what_the_phi_policy_has_pseudonymized(
    serve: Callable[..., Client], root: str
) -> None:
    fhir = Fhir(serve(phi="hash"), root)
    first = fhir.post("/Patient", sample("Patient"), If_None_Exist=_ONE)
    assert (first.status_code, "p-1" in first.text) == (201, False)
    again = fhir.post("/Patient", sample("Patient"), If_None_Exist=_ONE)
    assert (again.status_code, again.json()) == (200, first.json())
    pseudonym = first.json()["identifier"][0]
    found = fhir.delete(f"/Patient?identifier={pseudonym['system']}|{pseudonym['value']}")
    assert found.status_code == 204
    task = sample("Task", identifier=[{"system": _IDS, "value": "t-1"}])
    for status in (201, 200):
        answer = fhir.post("/Task", task, If_None_Exist=f"identifier={_IDS}|t-1")
        assert answer.status_code == status


def test_without_identifiers_no_condition_rests_on_one(serve: Callable[..., Client]) -> None:
    fhir = Fhir(serve(phi="drop"), "/r4")
    answer = fhir.post("/Task", sample("Task"), If_None_Exist=f"identifier={_IDS}|t-1")
    assert (answer.status_code, issues(answer.json())[0]["code"]) == (422, "business-rule")
