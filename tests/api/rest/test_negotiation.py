"""Formats, versions and parts of resources that clients ask for."""

from __future__ import annotations

import pytest

from api.negotiation import Return, check_sent, is_version, returning, unacceptable
from api.tx.resources_store import R4, R5
from tests.api.rest.conftest import Fhir, sample

_MINOR = {"/r4": "4.0", "/r5": "5.0"}


@pytest.mark.parametrize(
    ("query", "accept", "right"),
    [
        ("", "application/fhir+json", True),
        ("", "application/json", True),
        ("", "*/*", True),
        ("", "text/html, */*;q=0.1", True),
        ("", "text/html, */*;q=0", False),
        ("", "application/fhir+xml", False),
        ("", "application/fhir+json; fhirVersion={own}", True),
        ("", "application/fhir+json; fhirVersion={own}.1", True),
        ("", 'application/fhir+json; fhirVersion="{own}"', True),
        ("", "application/fhir+json; fhirVersion={other}", False),
        ("", "application/fhir+json; fhirVersion=3.0, application/json", True),
        ("_format=json", "application/fhir+xml", True),
        ("_format=xml", "application/fhir+json", False),
        ("_format=application/fhir%2Bjson", "", True),
        ("_format=application/fhir+json", "", True),
        ("_format=text/turtle", "", False),
        ("_format=application/fhir%2Bjson;fhirVersion={other}", "", False),
    ],
)
def test_formats(fhir: Fhir, query: str, accept: str, right: bool) -> None:
    own = _MINOR[fhir.root]
    other = next(one for one in _MINOR.values() if one != own)
    query, accept = (one.format(own=own, other=other) for one in (query, accept))
    answer = fhir.get(f"/Patient/_history?{query}", Accept=accept or "*/*")
    assert answer.status_code == (200 if right else 406), answer.text
    assert answer.headers["content-type"].startswith("application/fhir+json")


@pytest.mark.parametrize(
    ("media", "right"),
    [
        ("application/fhir+json", True),
        ("application/json; charset=UTF-8", True),
        ("application/fhir+json; fhirVersion={own}", True),
        ("application/fhir+json; fhirVersion={other}", False),
        ("application/fhir+json; charset=iso-8859-1", False),
        ("application/fhir+xml", False),
        ("text/plain", False),
    ],
)
def test_what_is_sent_is_json_of_the_release(fhir: Fhir, media: str, right: bool) -> None:
    own = _MINOR[fhir.root]
    other = next(one for one in _MINOR.values() if one != own)
    media = media.format(own=own, other=other)
    answer = fhir.send("POST", "/Patient", sample("Patient"), media=media)
    assert answer.status_code == (201 if right else 415)


def test_versions_are_compared_without_their_patch() -> None:
    assert is_version("4.0", R4)
    assert is_version("4.0.1", R4)
    assert not is_version("4.3", R4)
    assert not is_version("4.0", R5)
    assert not is_version("4.0", None)


def test_what_cannot_be_had_is_told() -> None:
    assert unacceptable(b"_format=xml", None, R4) == "xml"
    assert unacceptable(b"", "text/html", R4) == "text/html"
    assert unacceptable(b"", None, None) is None
    check_sent("application/json", R5)


@pytest.mark.parametrize(
    ("prefer", "wish"),
    [
        (None, Return.REPRESENTATION),
        ("return=minimal", Return.MINIMAL),
        ("respond-async, return=OperationOutcome", Return.OUTCOME),
        ("noreturn=minimal", Return.REPRESENTATION),
    ],
)
def test_preferences(prefer: str | None, wish: Return) -> None:
    assert returning(prefer) is wish


def _study(fhir: Fhir) -> None:
    series = {
        "uid": "1.2.3",
        "number": 1,
        "modality": {"code": "DX"},
        "instance": [{"uid": "1.2.3.4", "sopClass": {"code": "urn:oid:1.2.840.10008.5.1.4.1.1.1"}}],
    }
    content = sample(
        "ImagingStudy",
        id="s",
        description="something",
        note=[{"text": "a note"}],
        text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'},
        series=[series],
    )
    assert Fhir(fhir.client, "/r4").put("/ImagingStudy/s", content).status_code == 201


@pytest.mark.parametrize(
    ("query", "there", "not_there"),
    [
        ("_summary=true", {"status", "subject", "description", "series"}, {"text"}),
        ("_summary=text", {"text", "status", "subject"}, {"series", "description"}),
        ("_summary=data", {"series", "note", "status"}, {"text"}),
        ("_elements=description", {"description", "status", "subject"}, {"series", "note"}),
        ("_elements=ImagingStudy.note,series", {"note", "series"}, {"description", "text"}),
    ],
)
def test_a_part_is_tagged_as_one(
    fhir: Fhir, query: str, there: set[str], not_there: set[str]
) -> None:
    _study(fhir)
    found = fhir.get(f"/ImagingStudy/s?{query}").json()
    assert there | {"resourceType", "id", "meta"} <= found.keys()
    assert not not_there & found.keys()
    assert [one["code"] for one in found["meta"]["tag"]] == ["SUBSETTED"]
    if query == "_summary=true":
        assert "uid" in found["series"][0]
        assert "instance" not in found["series"][0]


def test_the_whole_is_not_tagged(fhir: Fhir) -> None:
    _study(fhir)
    assert "tag" not in fhir.get("/ImagingStudy/s?_summary=false").json()["meta"]
    for query in ("_summary=nonsense", "_summary=true&_elements=note"):
        assert fhir.get(f"/ImagingStudy/s?{query}").status_code == 400


def test_pretty_answers_are_for_people(fhir: Fhir) -> None:
    _study(fhir)
    assert fhir.get("/ImagingStudy/s").text.count("\n") == 0
    for path in ("/ImagingStudy/s", "/metadata", "/ImagingStudy/s/_history"):
        assert fhir.get(f"{path}?_pretty=true").text.count("\n") > 5
