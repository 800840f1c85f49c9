"""What each kind of parameter, modifier, link and include finds, over a few resources."""

from __future__ import annotations

import pytest

from api.search import PARAMETERS, includes_of, revincludes_of, search_params_of
from terminology.errors import BodySiteError
from tests.api.search.conftest import SCT, Archive

pytestmark = pytest.mark.databases

STUDY, OBS, PATIENT = "ImagingStudy", "Observation", "Patient"
ECL = f"{SCT}?fhir_vs=ecl/"
TABLE = [
    # tokens
    (PATIENT, "identifier=urn:mrn|4711", ["p1"], "system and code"),
    (PATIENT, "identifier=4711", ["p1"], "bare code"),
    (PATIENT, "identifier=|4711", [], "a code without a system"),
    (PATIENT, "identifier=urn:mrn|", ["p1"], "any code of a system"),
    (PATIENT, "identifier:of-type=v2|MR|4711", ["p1"], "identifier by its type"),
    (PATIENT, "identifier:of-type=v2|XX|4711", [], "identifier by another type"),
    (PATIENT, "active=true", ["p1"], "boolean"),
    (PATIENT, "deceased=false", ["p1"], "choice of types"),
    (PATIENT, "phone=030", ["p1"], "phone"),
    (PATIENT, "phone=e@x", [], "a mail address is no phone number"),
    (PATIENT, "email=e@x", ["p1"], "mail"),
    (PATIENT, "telecom=030", ["p1"], "any contact"),
    (PATIENT, "_tag=t|study-a", ["p1"], "tag"),
    (PATIENT, "_profile=http://p/one", ["p1"], "profile of any version"),
    (PATIENT, "_profile:below=http://p", ["p1"], "profile below an address"),
    (STUDY, "status=available&interpreter:missing=true", ["s1", "s2", "s3"], "no interpreter"),
    (STUDY, "modality:text=tomogra", ["s1"], "words of a code"),
    (STUDY, "modality=dcm|CT,dcm|MR", ["s1", "s2"], "a comma is OR"),
    (STUDY, "modality:not=CT", ["s2", "s3"], "not, with those that have none"),
    (STUDY, "series=1.2.3.4", ["s1"], "a UID as it is"),
    (STUDY, "series=urn:dicom:uid|urn:oid:1.2.3.4", ["s1"], "a UID as an identifier"),
    (STUDY, "instance=urn:oid:1.2.3.4.5", ["s1"], "an instance"),
    (STUDY, "dicom-class=c", ["s1"], "SOP class"),
    (OBS, "status=http://hl7.org/fhir/observation-status|final", ["o1", "o2"], "implied system"),
    (OBS, "combo-code=111012", ["o1"], "code of the whole or of a part"),
    (OBS, "combo-code:not=111012", ["o2", "o3"], "not the one nor the other"),
    (OBS, "review=conflict", ["o1"], "why a person should look"),
    (OBS, "review:missing=false", ["o1"], "anything to look at"),
    (OBS, "component-code-value-quantity=dcm|111012$gt90", ["o1"], "both in one component"),
    (OBS, "component-code-value-quantity=111012$gt90", ["o1"], "a bare code in a composite"),
    (OBS, "component-code-value-quantity=other$gt90", [], "each in another component"),
    (OBS, "combo-code-value-quantity=111012$95.2", ["o1"], "a composite of either"),
    (OBS, "code-value-concept=39111-0$72696002", ["o1"], "code and value"),
    (
        OBS,
        "component-code-value-concept=review$conflict",
        ["o1"],
        "code and value of a component",
    ),
    # strings
    (PATIENT, "family=muller", ["p1"], "beginning, without accents"),
    (PATIENT, "family=lüdenscheidt", [], "not inside"),
    (PATIENT, "family:contains=LUDEN", ["p1"], "inside"),
    (PATIENT, "family:exact=Müller-Lüdenscheidt", ["p1"], "exactly"),
    (PATIENT, "family:exact=müller-lüdenscheidt", [], "case counts for exact"),
    (PATIENT, "name=zoe", ["p1"], "any part of a name"),
    (OBS, "value-string=uber", ["o3"], "string value"),
    # quantities
    (OBS, "component-value-quantity=95.2", ["o1"], "number"),
    (OBS, "component-value-quantity=95", ["o1"], "as precise as it is written"),
    (OBS, "component-value-quantity=95.0", [], "more precise"),
    (OBS, "component-value-quantity=gt95|http://unitsofmeasure.org|%", ["o1"], "with its unit"),
    (OBS, "component-value-quantity=10||percent", ["o1"], "the unit as it is written"),
    (OBS, "component-value-quantity=10||mm", [], "another unit"),
    (OBS, "component-value-quantity=ap100", ["o1"], "about"),
    # dates
    (STUDY, "started=2024-05", ["s1"], "a month"),
    (STUDY, "started=ge2023", ["s1", "s2"], "from a year on"),
    (STUDY, "started=gt2023", ["s1"], "after a year"),
    (STUDY, "started=2023-01", [], "a year is not within a month"),
    (STUDY, "started=2024-05-06T12:00:00%2B02:00".replace("%2B", "+"), ["s1"], "a zone"),
    (OBS, "date=2024-05", ["o1"], "a period within"),
    (OBS, "date=sa2024-05-05", ["o1"], "starts after"),
    (OBS, "date=eb2024-05-07", [], "does not end before"),
    (PATIENT, "birthdate=ap1964-08-12", ["p1"], "about"),
    # references
    (STUDY, "subject=Patient/p1", ["s1"], "type and id"),
    (STUDY, "patient=p1", ["s1"], "id"),
    (STUDY, "subject:Patient=p1", ["s1"], "type as a modifier"),
    (STUDY, "subject:Group=p1", [], "another type"),
    (STUDY, "patient=http://here.example.org/r5/Patient/p1", ["s1"], "our own address"),
    (STUDY, "patient=http://there.example.org/r4/Patient/p1", [], "another server's"),
    (STUDY, "patient:identifier=urn:mrn|4711", ["s2"], "logical reference"),
    (STUDY, "patient:missing=true", [], "a logical reference is one"),
    (
        STUDY,
        "basedon=https://order.example.org/fhir/ServiceRequest/9",
        ["s1"],
        "another server's resource",
    ),
    (STUDY, "basedon=ServiceRequest/9", [], "another server's resource is none of ours"),
    (OBS, "derived-from=ImagingStudy/s2", ["o2"], "a version of a resource is the resource"),
    (OBS, "derived-from=ImagingStudy/s2/_history/1", ["o2"], "whichever version is asked for"),
    # links
    (OBS, "derived-from:ImagingStudy.modality=CT", ["o1"], "a chain"),
    (OBS, "derived-from.modality=MR", ["o2"], "a chain without a type"),
    (OBS, "derived-from:ImagingStudy.patient.family=mull", ["o1"], "a chain over two"),
    (OBS, "derived-from:ImagingStudy.bodysite:below=61685007", ["o1"], "a modifier at its end"),
    (STUDY, "patient.identifier=urn:mrn|4711", ["s1", "s2"], "also by identifier only"),
    (STUDY, "patient.general-practitioner.family=curie", ["s1"], "practitioner of the patient"),
    (STUDY, "_has:Observation:derived-from:body-site=72696002", ["s1"], "reverse chain"),
    (
        STUDY,
        "_has:Observation:derived-from:_has:Provenance:target:agent=Practitioner/d1",
        ["s1"],
        "reverse chain over two",
    ),
    (PATIENT, "_has:ImagingStudy:patient:modality=MR", [], "nobody refers so"),
    (PATIENT, "_has:Observation:patient:derived-from.modality=CT", ["p1"], "both kinds of chain"),
    # body sites
    (STUDY, "bodysite=72696002", ["s1"], "its code"),
    (STUDY, "bodysite=82169009", ["s1"], "the sided concept of a series"),
    (STUDY, "bodysite:below=61685007", ["s1"], "lower limb"),
    (STUDY, "bodysite:below=816094009", ["s2"], "a former code is found by the current one"),
    (STUDY, "bodysite:below=43799004", ["s2"], "and by another former one"),
    (STUDY, "bodysite:below=53120007", ["s3"], "an expression is below its focus's whole"),
    (STUDY, "bodysite:below=85562004", ["s3"], "an expression is below its focus"),
    (STUDY, "bodysite:below=85562004:272741003=24028007", ["s3"], "an expression, asked so"),
    (STUDY, "bodysite:below=72696002:272741003=7771000", ["s1"], "an expression of a sided one"),
    (STUDY, "bodysite=72696002:272741003=24028007", [], "the other side"),
    (STUDY, f"bodysite:in={ECL}<< 61685007 |Lower limb|", ["s1"], "expression constraint"),
    (STUDY, f"bodysite:in={ECL}<< 61685007 OR << 816094009", ["s1", "s2"], "and a larger one"),
    (STUDY, f"bodysite:in={SCT}?fhir_vs=isa/72696002", ["s1"], "implicit value set"),
    (STUDY, f"bodysite:not-in={SCT}?fhir_vs=isa/72696002", ["s2", "s3"], "and what is not in it"),
    (STUDY, "bodysite:text=Knie", ["s1"], "German"),
    (STUDY, "bodysite:text=rodilla", ["s1"], "Spanish"),
    (STUDY, "bodysite:text=Bein", ["s1"], "what is under a site that words name"),
    (STUDY, "bodysite:missing=true", [], "all have a site"),
    (OBS, "body-site:text=thorax", ["o2"], "words of an Observation's site"),
    (OBS, "body-site:missing=true", ["o3"], "no site"),
    (OBS, "visible-site:below=61685007", ["o3"], "what is shown"),
    (OBS, "value-concept:below=61685007", ["o1"], "any coded body structure"),
    ("BodyStructure", "location:below=53120007", ["b1"], "BodyStructure"),
    # full text
    (STUDY, "_content=sturz", ["s1"], "a word"),
    (STUDY, '_content="rechtes knie"', ["s1"], "a phrase"),
    (STUDY, '_content="knie rechtes"', [], "a phrase in another order"),
    (STUDY, "_content=stur*", ["s1"], "the beginning of a word"),
    (STUDY, "_content=stur", [], "no whole word"),
    (STUDY, "_content=sturz brustkorb", [], "both words"),
    (STUDY, "_content=sturz OR brustkorb", ["s1", "s2"], "either word, or a name of a site"),
    (STUDY, "_content=sturz&_content=rechtes&_text=ct", ["s1"], "several searches of words"),
    (STUDY, "_text=befund", ["s1"], "a word of the narrative"),
    (STUDY, "_text=sturz", [], "a word that is elsewhere"),
    # all together
    (STUDY, "_id=s1,s3", ["s1", "s3"], "ids"),
    (STUDY, "_id:not=s1", ["s2", "s3"], "not an id"),
    (STUDY, "_id=s1&bodysite:below=61685007", ["s1"], "id and site"),
    (STUDY, "_lastUpdated=gt2020&_sort=-started", ["s1", "s2", "s3"], "sorted, missing last"),
    (STUDY, "_sort=started,_id", ["s2", "s1", "s3"], "sorted"),
    (STUDY, "_sort=-_id", ["s3", "s2", "s1"], "by id"),
    (OBS, "_sort=status,-_id", ["o2", "o1", "o3"], "two keys"),
    (PATIENT, r"name=a\,b", [], "an escaped comma"),
]


@pytest.mark.parametrize(
    "number", range(0, len(TABLE), 12), ids=[f"from {n}" for n in range(0, len(TABLE), 12)]
)
def test_a_search_finds(filled: Archive, number: int) -> None:
    for kind, query, expected, why in TABLE[number : number + 12]:
        assert filled.ids(kind, query) == expected, f"{kind}?{query}: {why}"
        counted = filled.bundle(kind, f"{query}&_summary=count")
        assert counted["total"] == len(expected), f"{kind}?{query}: {why}"


R5_TABLE = [
    (STUDY, "body-site:below=61685007", ["s1"]),
    (STUDY, "based-on=https://order.example.org/fhir/ServiceRequest/9", ["s1"]),
    (OBS, "value-markdown=uber", ["o3"]),
    ("BodyStructure", "included_structure=7569003", ["b1"]),
]


@pytest.mark.parametrize(("kind", "query", "expected"), R5_TABLE)
def test_r5_has_its_own_names(filled: Archive, kind: str, query: str, expected: list[str]) -> None:
    assert filled.ids(kind, query, "R5") == expected


WRONG = [
    (STUDY, "bodysite:below=404684003", "is not a concept"),
    (STUDY, "bodysite:in=http://nowhere/vs", "is not here"),
    (STUDY, f"bodysite:in={ECL}<< << nonsense", "nonsense"),
    (STUDY, "bodysite:below=72696002:272741003=", "272741003="),
    (STUDY, "patient.color=red", "is searched by 'color'"),
    (STUDY, "status.name=x", "is no reference"),
    (STUDY, "_has:Observation:code:status=final", "is no reference of Observation"),
    (STUDY, "_has:Observation:performer:status=final", "does not refer to ImagingStudy"),
    (STUDY, "_has:Nothing:x:y=1", "does not say what refers"),
    (STUDY, "started=2024-02-30", "is no value"),
    (STUDY, "started=noon", "is no value"),
    (STUDY, "modality:contains=C", "':contains' is not supported"),
    (OBS, "component-value-quantity=many", "a number"),
    (OBS, "component-value-quantity=1|2", "number|system|code"),
    (OBS, "component-code-value-quantity=1", "$ between them"),
    (STUDY, "_content=a NOT b", "'NOT' is not supported"),
    (STUDY, "_content=***", "words of letters"),
    (STUDY, "modality:missing=perhaps", "true or false"),
    (STUDY, "_sort=color", "'_sort'"),
    (STUDY, "_include=ImagingStudy:color", "'_include'"),
    (STUDY, "color=blue", "'color'"),
    (STUDY, "modality=C\0T", "none of Unicode's"),
    (STUDY, "_content=a\ud800", "none of Unicode's"),
    (STUDY, "started=" + ",".join(["2024"] * 101), "at most 100"),
    (STUDY, "modality=" + ",".join(["CT"] * 1001), "at most 1000"),
    (STUDY, "&".join(["modality=CT"] * 101), "at most 100"),
    (STUDY, "_content=" + "knie " * 51, "at most 50"),
    (STUDY, "_sort=started&_after=5", "a cursor"),
    (STUDY, "_sort=started&_after=WyJhIiwxXQ", "a cursor"),
]


@pytest.mark.parametrize(("kind", "query", "reason"), WRONG)
def test_what_is_not_understood_is_refused(
    filled: Archive, kind: str, query: str, reason: str
) -> None:
    with pytest.raises(BodySiteError) as refused:
        filled.bundle(kind, query)
    assert reason in str(refused.value)


INCLUDES = [
    (OBS, "_id=o1&_include=Observation:derived-from", {"s1"}),
    (OBS, "_id=o1&_include=Observation:derived-from:ImagingStudy", {"s1"}),
    (OBS, "_id=o1&_include=Observation:subject:Group", set()),
    (
        OBS,
        "_id=o1&_include=Observation:derived-from&_include:iterate=ImagingStudy:patient",
        {"s1", "p1"},
    ),
    (OBS, "_id=o1&_include=Observation:derived-from&_include=ImagingStudy:patient", None),
    (OBS, "_id=o1&_include=*", {"s1", "p1", "d1"}),
    (OBS, "_id=o2&_include=Observation:*", {"s2", "o1"}),
    (
        PATIENT,
        "_id=p1&_revinclude=ImagingStudy:patient&_revinclude:iterate=Observation:derived-from",
        {"s1", "o1"},
    ),
    (STUDY, "_id=s1&_revinclude=*", {"o1", "v1"}),
    (
        PATIENT,
        "_id=p1&_include:iterate=*&_revinclude:iterate=Provenance:target&_revinclude=Observation:*",
        {"o1", "d1", "s1", "v1"},
    ),
]


@pytest.mark.parametrize(("kind", "query", "expected"), INCLUDES)
def test_includes_bring_each_resource_once(
    filled: Archive, kind: str, query: str, expected: set[str] | None
) -> None:
    if expected is None:
        with pytest.raises(BodySiteError):
            filled.bundle(kind, query)
        return
    entries = filled.bundle(kind, query)["entry"]
    others = [one["resource"]["id"] for one in entries if one["search"]["mode"] == "include"]
    assert sorted(others) == sorted(expected)


def test_the_whole_system_is_searched_by_what_all_have_in_common(filled: Archive) -> None:
    found = filled.bundle("", "_type=Patient,Practitioner&_sort=_id")
    assert [one["resource"]["id"] for one in found["entry"]] == ["d1", "p1"]
    assert filled.ids("", "_type=Patient,ImagingStudy&_tag=study-a") == ["p1"]
    assert found["link"][1]["url"].endswith("/r4?_type=Patient,Practitioner&_sort=_id")
    for query in ("_sort=_id", "_type=Nothing", "_type=Patient,Observation&status=final"):
        with pytest.raises(BodySiteError):
            filled.bundle("", query)


def test_lenient_handling_names_what_was_left_out(filled: Archive) -> None:
    found = filled.bundle(STUDY, "color=blue&_sort=color&modality=CT", strict=False)
    (outcome,) = [one for one in found["entry"] if one["search"]["mode"] == "outcome"]
    assert "'color', '_sort'" in outcome["resource"]["issue"][0]["diagnostics"]
    assert found["link"][0]["url"].endswith("?modality=CT")


def test_a_summary_and_the_other_release_are_rendered(filled: Archive) -> None:
    short = filled.bundle(STUDY, "_id=s1&_elements=status")["entry"][0]["resource"]
    assert "series" not in short
    assert short["meta"]["tag"][0]["code"] == "SUBSETTED"
    r5 = filled.bundle(STUDY, "_id=s1", "R5")["entry"][0]["resource"]
    assert r5["series"][0]["bodySite"]["concept"]["coding"][0]["code"] == "72696002"


def test_a_total_is_accurate_where_it_is_asked_for(
    filled: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.store.clauses.FEW", 1)
    assert "total" not in filled.bundle(OBS, "code=39111-0")
    assert "total" not in filled.bundle(OBS, "status=final&_total=none")
    for how in ("accurate", "estimate"):
        assert filled.bundle(OBS, f"code=39111-0&_total={how}&_count=1")["total"] == 2


@pytest.mark.parametrize("release", ["R4", "R5"])
def test_every_published_parameter_can_be_searched(archive: Archive, release: str) -> None:
    values = {
        "token": "x",
        "reference": "x",
        "date": "2024",
        "string": "x",
        "quantity": "1",
        "uri": "x",
    }
    for kind, rows in PARAMETERS.items():
        for one in search_params_of(kind, release):
            name = one["name"]
            row = next((r for r in rows if r.name_in(release) == name), None)
            if one["type"] == "composite":
                assert row is not None
                value = "x$2024" if "date" in name else "x$1"
            elif row is not None and row.body_site:
                value = "72696002"
            else:
                value = values[one["type"]]
            assert archive.ids(kind, f"{name}={value}", release) == [], f"{kind}?{name}"
            if row is not None:
                for modifier in {"missing", "not"} & set(row.modifiers):
                    given = "false" if modifier == "missing" else value
                    archive.ids(kind, f"{name}:{modifier}={given}", release)
        for value in includes_of(kind, release):
            archive.ids(kind, f"_include={value}", release)
        for value in revincludes_of(kind, release):
            archive.ids(kind, f"_revinclude={value}", release)


def test_the_criteria_of_a_conditional_update_leave_nothing_out(filled: Archive) -> None:
    query = filled.searcher.query_of(PATIENT, (("identifier", "urn:mrn|4711"),))
    with filled.store.transaction() as transaction:
        assert [one.id for one in transaction.matching(query, 2)] == ["p1"]
    with pytest.raises(BodySiteError):
        filled.searcher.query_of(PATIENT, (("color", "blue"),))
