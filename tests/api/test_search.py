"""Search of ImagingStudy and Observation: tokens, modifiers, paging, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from tests.api.checks import checked, issues, of_type
from tests.api.client import Client
from tests.api.conftest import ROOT, make_dicom

SCT = "http://snomed.info/sct"
# Name → header; the names are what the table below asks for.
STUDIES: dict[str, dict[str, Any]] = {
    "left hand": {"BodyPartExamined": "HAND", "ImageLaterality": "L"},
    "right finger": {"BodyPartExamined": "FINGER", "ImageLaterality": "R", "Modality": "CR"},
    "knee": {"BodyPartExamined": "KNEE"},
    "foot": {"BodyPartExamined": "FOOT", "Modality": "CR"},
    "chest": {"BodyPartExamined": "CHEST", "Modality": "CT"},
    "nothing": {"BodyPartExamined": "XXX", "Modality": "US"},
}

pytestmark = pytest.mark.databases


@pytest.fixture
def archive(client: Client) -> Client:
    for number, (name, header) in enumerate(STUDIES.items()):
        header = {**header, "StudyInstanceUID": f"{ROOT}.100.{number}", "StudyID": name}
        assert client.annotate(make_dicom(**header)).status_code == 200
    return client


def names(found: dict[str, Any]) -> set[str]:
    """Return the names of the studies in a searchset."""
    prefix = f"urn:oid:{ROOT}.100."
    numbers = {
        int(one["identifier"][0]["value"].removeprefix(prefix))
        for one in of_type(found, "ImagingStudy")
    }
    return {name for number, name in enumerate(STUDIES) if number in numbers}


HANDS = {"left hand", "right finger"}
LEGS = {"knee", "foot"}
EVERYTHING = set(STUDIES)
TABLE = [
    ("bodysite=85562004", {"left hand"}, "a bare code"),
    (f"bodysite={SCT}|85562004", {"left hand"}, "system and code"),
    (f"bodysite={quote(SCT, safe='')}%7C85562004", {"left hand"}, "percent-encoded"),
    ("bodysite=|85562004", {"left hand"}, "no system"),
    (f"bodysite={SCT}|", EVERYTHING - {"nothing"}, "any code of the system"),
    ("bodysite=urn:oid:2.16.840.1.113883.6.96|85562004", {"left hand"}, "SNOMED CT by its OID"),
    ("body-site=85562004", {"left hand"}, "the name that Observation uses"),
    ("bodysite=85151006", {"left hand"}, "the sided concept"),
    ("bodysite=78791008", set(), "the other side"),
    ("bodysite=51185008", {"chest"}, "a former code of the chest"),
    ("bodysite=43799004", {"chest"}, "another former code of the chest"),
    ("bodysite=12738006", set(), "a code that nothing carries"),
    (f"bodysite:below={SCT}|85562004", HANDS, "a hand has fingers"),
    (f"bodysite:below={SCT}|53120007", HANDS, "upper limb"),
    (f"bodysite:below={SCT}|61685007", LEGS, "lower limb"),
    ("bodysite:below=123037004", EVERYTHING - {"nothing"}, "body structure"),
    ("bodysite:below=51185008", {"chest"}, "below a former code"),
    ("bodysite:below=85151006", {"left hand"}, "below a sided concept"),
    ("bodysite:below=61685007,51185008", LEGS | {"chest"}, "a comma is OR"),
    ("bodysite:below=53120007&bodysite:below=61685007", set(), "repeating is AND"),
    ("bodysite:below=61685007&modality=CR", {"foot"}, "with another parameter"),
    ("bodysite:above=7569003", HANDS, "above the finger"),
    ("bodysite:not=72696002", EVERYTHING - {"knee"}, "not, with those that have none"),
    ("bodysite:not=72696002&modality=DX", {"left hand"}, "not, and another parameter"),
    ("modality=CT", {"chest"}, "modality"),
    ("modality=http://dicom.nema.org/resources/ontology/DCM|CT", {"chest"}, "with its system"),
    ("modality=CT,US", {"chest", "nothing"}, "one modality or the other"),
    ("modality:not=CT,US", HANDS | LEGS, "none of both"),
    ("modality=ZZ", set(), "no such modality"),
    (f"identifier=urn:dicom:uid|urn:oid:{ROOT}.100.2", {"knee"}, "study by its UID"),
    (f"identifier=urn:oid:{ROOT}.100.2", {"knee"}, "UID without a system"),
    ("status=available&modality=CT", {"chest"}, "status"),
    ("_lastUpdated=gt2000", EVERYTHING, "changed since"),
    ("_lastUpdated=lt2000-01-01T00:00:00Z", set(), "changed before"),
    ("_lastUpdated=ge2001-02-03&_lastUpdated=le2999-12", EVERYTHING, "changed between"),
    ("modality=CT&_lastUpdated=sa2000-01-01T10:11+02:00", {"chest"}, "a + not encoded"),
    ("_id=nonsense", set(), "an id that is not there"),
    ("_format=json&modality=CT", {"chest"}, "format"),
]


@pytest.mark.parametrize(("query", "expected", "why"), TABLE, ids=[row[0] for row in TABLE])
def test_search_finds(archive: Client, query: str, expected: set[str], why: str) -> None:
    answer = archive.get(f"/r4/ImagingStudy?{query}")
    assert answer.status_code == 200, answer.text
    found = checked(answer.json())
    assert found["type"] == "searchset"
    assert names(found) == expected, why
    assert found["total"] == len(expected)
    by_form = archive.post(
        "/r4/ImagingStudy/_search",
        content=query,
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert names(checked(by_form.json())) == expected


WRONG = [
    ("bodysite=85562005", "code-invalid", "fails the SNOMED CT check digit"),
    ("bodysite=KNEE", "code-invalid", "characters other than the digits"),
    ("bodysite:below=85562005", "code-invalid", "'85562005'"),
    ("bodysite:below=138875005", "not-found", "'138875005' is not a concept"),
    ("bodysite:below=http://loinc.org|39111-0", "code-invalid", "'http://loinc.org'"),
    ("bodysite=", "invalid", "no value for it"),
    ("bodysite=a|b|c", "invalid", "system|code"),
    ("bodysite:sideways=85562004", "not-supported", "':sideways'"),
    ("modality:below=CT", "not-supported", "':below'"),
    ("_count=many", "invalid", "whole number"),
    ("_count=-1", "invalid", "whole number"),
    ("_after=99999999999999999999999", "invalid", "whole number"),
    ("_after=9999999999999999999", "invalid", "cursor"),
    ("_id=", "invalid", "a logical id"),
    ("_total=perhaps", "invalid", "accurate"),
    ("_summary=perhaps", "invalid", "count"),
    ("_lastUpdated=yesterday", "invalid", "a date"),
    ("_lastUpdated=2026-13-40", "invalid", "a date"),
    ("_lastUpdated=lt0000", "invalid", "a date"),
]


@pytest.mark.parametrize(("query", "code", "reason"), WRONG, ids=[row[0] for row in WRONG])
def test_a_wrong_value_is_400(client: Client, query: str, code: str, reason: str) -> None:
    answer = client.get(f"/r4/ImagingStudy?{query}")
    assert answer.status_code == 400
    (issue,) = issues(checked(answer.json()))
    assert issue["code"] == code
    assert reason in issue["diagnostics"]
    assert issue["details"]["text"] == query.partition("=")[0]


def test_observations_are_found_by_their_own_parameter(archive: Client) -> None:
    for name in ("body-site", "bodysite"):
        found = checked(archive.get(f"/r4/Observation?{name}:below={SCT}|61685007").json())
        codes = {one["bodySite"]["coding"][0]["code"] for one in of_type(found, "Observation")}
        assert codes == {"72696002", "56459004"}
    assert archive.get("/r4/Observation?code=http://loinc.org|39111-0").json()["total"] == 5
    assert archive.get("/r4/Observation?status=preliminary").json()["total"] == 5
    assert archive.get("/r4/Observation?category=imaging").json()["total"] == 5


def test_observations_bring_their_study_and_studies_their_observations(archive: Client) -> None:
    query = "_include=Observation:derived-from"
    found = checked(archive.get(f"/r4/Observation?body-site=72696002&{query}").json())
    modes = [(one["resource"]["resourceType"], one["search"]["mode"]) for one in found["entry"]]
    assert modes == [("Observation", "match"), ("ImagingStudy", "include")]
    assert found["total"] == 1
    (study,) = of_type(found, "ImagingStudy")
    back = f"/r4/ImagingStudy?_id={study['id']}&_revinclude=Observation:derived-from"
    found = checked(archive.get(back).json())
    assert len(of_type(found, "Observation")) == 1
    for reference in (study["id"], f"ImagingStudy/{study['id']}"):
        assert archive.get(f"/r4/Observation?derived-from={reference}").json()["total"] == 1


def test_pages_link_forth_and_back_without_gap_or_repeat(archive: Client) -> None:
    def ids(page: dict[str, Any]) -> list[str]:
        return [one["id"] for one in of_type(page, "ImagingStudy")]

    def links(page: dict[str, Any]) -> dict[str, str]:
        return {one["relation"]: one["url"] for one in page["link"]}

    page = checked(archive.get("/r4/ImagingStudy?bodysite:below=123037004&_count=2").json())
    pages = [page]
    while "next" in links(page):
        page = checked(archive.get(links(page)["next"]).json())
        pages.append(page)
    assert [len(ids(one)) for one in pages] == [2, 2, 1]
    assert all(one["total"] == 5 for one in pages)
    seen = [one for page in pages for one in ids(page)]
    assert len(set(seen)) == 5
    back = archive.get(links(pages[2])["previous"]).json()
    assert ids(back) == ids(pages[1])
    first = archive.get(links(back)["previous"]).json()
    assert ids(first) == ids(pages[0])
    assert "previous" not in links(first)
    assert "previous" not in links(pages[0])
    assert ids(archive.get(links(pages[2])["first"]).json()) == ids(pages[0])
    assert ids(archive.get(links(pages[1])["self"]).json()) == ids(pages[1])


def test_a_page_does_not_move_when_something_is_added(archive: Client) -> None:
    page = archive.get("/r4/ImagingStudy?_count=3").json()
    following = next(one["url"] for one in page["link"] if one["relation"] == "next")
    before = names(archive.get(following).json())
    archive.annotate(make_dicom(StudyInstanceUID=f"{ROOT}.100.0", BodyPartExamined="FOOT"))
    assert names(archive.get(following).json()) == before


@pytest.mark.parametrize("query", ["_summary=count", "_count=0", "_count=0&_totalMethod=count"])
def test_counting_gives_a_total_and_no_match(archive: Client, query: str) -> None:
    found = checked(archive.get(f"/r4/ImagingStudy?bodysite:below=61685007&{query}").json())
    assert found["total"] == 2
    assert not of_type(found, "ImagingStudy")


def test_the_total_can_be_left_out(archive: Client) -> None:
    assert "total" not in checked(archive.get("/r4/ImagingStudy?_total=none").json())


def test_unknown_parameters_are_named_and_left_out_of_the_self_link(archive: Client) -> None:
    found = checked(archive.get("/r4/ImagingStudy?modality=CT&color=blue&_sort=x").json())
    (outcome,) = [one for one in found["entry"] if one["search"]["mode"] == "outcome"]
    assert "'color', '_sort'" in outcome["resource"]["issue"][0]["diagnostics"]
    self_link = next(one["url"] for one in found["link"] if one["relation"] == "self")
    assert parse_qsl(urlsplit(self_link).query) == [("modality", "CT")]
    strict = archive.get(
        "/r4/ImagingStudy?modality=CT&color=blue", headers={"Prefer": "handling=strict"}
    )
    assert strict.status_code == 400
    assert "'color'" in issues(checked(strict.json()))[0]["diagnostics"]


def test_a_page_is_never_larger_than_allowed(serve: Callable[..., Client]) -> None:
    client = serve(max_page_size=2)
    for _ in range(3):
        client.annotate(make_dicom(BodyPartExamined="KNEE"))
    assert len(client.get("/r4/ImagingStudy?_count=100").json()["entry"]) == 2


def test_search_by_form_needs_a_form(client: Client) -> None:
    answer = client.post(
        "/r4/Observation/_search", content=b"{}", headers={"content-type": "application/json"}
    )
    assert answer.status_code == 415
    assert client.post("/r4/Observation/_search").status_code == 200


def test_public_url_is_used_in_links(serve: Callable[..., Client]) -> None:
    client = serve(public_url="https://pacs.example.org/bodysite/")
    found = client.get("/r4/ImagingStudy", headers={"host": "pacs.example.org"}).json()
    assert found["link"][0]["url"] == "https://pacs.example.org/bodysite/r4/ImagingStudy"


def test_includes_are_whole_however_many_they_are(serve: Callable[..., Client]) -> None:
    client = serve(max_page_size=2)
    for number in range(5):
        image = make_dicom(
            StudyInstanceUID=f"{ROOT}.5",
            SeriesInstanceUID=f"{ROOT}.5.{number}",
            BodyPartExamined="HAND",
        )
        client.annotate(image)
    query = "/r4/ImagingStudy?_revinclude=Observation:derived-from"
    found = checked(client.get(query).json())
    assert len(of_type(found, "Observation")) == 5


@pytest.mark.parametrize("name", ["patient", "subject"])
def test_a_patient_is_found_by_the_pseudonym_and_nobody_else_is(client: Client, name: str) -> None:
    answers = [
        client.annotate(make_dicom(PatientID=patient, BodyPartExamined="HAND")).json()
        for patient in ("P-1", "P-2")
    ]
    subject = of_type(answers[0], "ImagingStudy")[0]["subject"]
    identifier = subject["identifier"]
    for kind in ("ImagingStudy", "Observation"):
        value = f"{identifier['system']}|{identifier['value']}"
        found = client.get(f"/r4/{kind}", params={f"{name}:identifier": value}).json()
        assert [entry["resource"]["subject"] for entry in found["entry"]] == [subject]
        # No Patient resource is here: a reference finds nothing, never everything.
        assert client.get(f"/r4/{kind}", params={name: "Patient/1"}).json()["total"] == 0
    assert client.get("/r4/ImagingStudy", params={"patient:not": "1"}).status_code == 400


def test_a_study_is_found_by_every_site_of_an_image(client: Client) -> None:
    study = of_type(
        client.annotate(make_dicom(BodyPartExamined="HAND KNEE")).json(), "ImagingStudy"
    )
    for code in ("85562004", "72696002", "61685007", "53120007"):
        query = {"bodysite:below": f"http://snomed.info/sct|{code}"}
        found = client.get("/r4/ImagingStudy", params=query).json()
        assert [entry["resource"]["id"] for entry in found["entry"]] == [study[0]["id"]], code
