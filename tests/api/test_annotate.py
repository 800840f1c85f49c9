"""POST /r4/ImagingStudy/$annotate: what comes back and what is stored."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from api.annotator import Annotated, Annotator
from api.app import create_app
from api.inputs import Item
from api.limits import Limits
from api.phi import PhiGuard, PhiPolicy
from api.settings import Settings
from api.store import SqlStore
from classifier.errors import PredictionError
from classifier.prediction import Prediction
from terminology.annotation import Relation, Site
from terminology.library import Terminology
from tests.api.checks import checked, issues, of_type
from tests.api.client import Client
from tests.api.conftest import ROOT, make_dicom, sample

SNOMED = "http://snomed.info/sct"


def bundle(response: Any) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("application/fhir+json")
    return checked(response.json())


def zipped(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def picture(form: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("L", (8, 8), 7).save(out, form)
    return out.getvalue()


def test_a_hand_with_a_side_gives_study_observation_device_and_provenance(client: Client) -> None:
    content = make_dicom(
        StudyInstanceUID=f"{ROOT}.77",
        SeriesInstanceUID=f"{ROOT}.78",
        SOPInstanceUID=f"{ROOT}.79",
        BodyPartExamined="HAND",
        ImageLaterality="L",
        ViewPosition="PA",
        SeriesNumber=2,
        InstanceNumber=3,
    )
    found = bundle(client.annotate(content))
    assert found["type"] == "collection"
    (study,) = of_type(found, "ImagingStudy")
    assert study["status"] == "available"
    assert study["identifier"][0] == {"system": "urn:dicom:uid", "value": f"urn:oid:{ROOT}.77"}
    assert study["started"] == "2026-03-01"
    assert (study["numberOfSeries"], study["numberOfInstances"]) == (1, 1)
    (series,) = study["series"]
    assert (series["uid"], series["number"]) == (f"{ROOT}.78", 2)
    assert series["modality"]["system"] == "http://dicom.nema.org/resources/ontology/DCM"
    assert series["modality"]["code"] == "DX"
    assert series["bodySite"]["system"] == SNOMED
    assert series["bodySite"]["code"] == "85562004"
    assert series["laterality"]["code"] == "7771000"
    (view,) = series["extension"][0]["extension"]
    assert view["url"] == "viewPosition"
    assert view["valueCodeableConcept"]["coding"][0]["system"] == SNOMED
    assert series["instance"] == [
        {
            "uid": f"{ROOT}.79",
            "sopClass": {
                "system": "urn:ietf:rfc:3986",
                "code": "urn:oid:1.2.840.10008.5.1.4.1.1.1.1",
            },
            "number": 3,
        }
    ]
    (observation,) = of_type(found, "Observation")
    assert observation["status"] == "preliminary"
    assert observation["category"][0]["coding"][0]["code"] == "imaging"
    assert observation["code"]["coding"][0]["code"] == "39111-0"
    codes = [coding["code"] for coding in observation["bodySite"]["coding"]]
    # 85562004 |Hand|, then 85151006 |Structure of left hand|.
    assert codes == ["85562004", "85151006"]
    assert observation["derivedFrom"][0]["reference"] == f"ImagingStudy/{study['id']}"
    assert observation["extension"][0]["valueId"] == f"{ROOT}.78"
    assert observation["subject"] == study["subject"]
    assert any("BodyPartExamined" in note["text"] for note in observation["note"])
    components = {one["code"]["coding"][0]["code"]: one for one in observation["component"]}
    assert components["111027"]["valueCodeableConcept"]["coding"][0]["code"] == "7771000"
    assert components["111031"]["valueCodeableConcept"]["coding"][0]["system"] == SNOMED
    assert 0 < components["111012"]["valueQuantity"]["value"] <= 100
    (device,) = of_type(found, "Device")
    assert observation["device"]["reference"] == f"Device/{device['id']}"
    assert device["deviceName"][0]["name"] == "Bodysite header reader"
    assert device["version"][0]["value"]
    (provenance,) = of_type(found, "Provenance")
    targets = {one["reference"] for one in provenance["target"]}
    (structure,) = of_type(found, "BodyStructure")
    assert targets == {
        f"{one['resourceType']}/{one['id']}" for one in (study, observation, structure)
    }
    (of_site,) = observation["bodySite"]["extension"]
    assert of_site["valueReference"]["reference"] == f"BodyStructure/{structure['id']}"
    assert structure["location"]["coding"][0]["code"] == "85562004"
    assert structure["locationQualifier"][0]["coding"][0]["code"] == "7771000"
    assert structure["patient"] == study["subject"]
    for entry in found["entry"]:
        address = entry["fullUrl"].removeprefix("http://testserver")
        assert client.get(address).json() == entry["resource"]


def test_the_same_instance_twice_changes_nothing(client: Client) -> None:
    content = make_dicom(BodyPartExamined="KNEE", Laterality="R")
    first = bundle(client.annotate(content))
    second = bundle(client.annotate(content))
    assert first == second
    for kind in ("ImagingStudy", "Observation"):
        found = client.get(f"/r4/{kind}").json()
        assert found["total"] == 1
        assert found["entry"][0]["resource"]["meta"]["versionId"] == "1"


def test_a_new_header_of_the_same_instance_makes_a_new_version(client: Client) -> None:
    same = {"StudyInstanceUID": f"{ROOT}.5", "SOPInstanceUID": f"{ROOT}.6"}
    same["SeriesInstanceUID"] = f"{ROOT}.7"
    client.annotate(make_dicom(BodyPartExamined="KNEE", **same))
    (old,) = of_type(client.get("/r4/Observation").json(), "Observation")
    found = bundle(client.annotate(make_dicom(BodyPartExamined="FOOT", **same)))
    (study,) = of_type(found, "ImagingStudy")
    assert study["meta"]["versionId"] == "2"
    assert study["numberOfInstances"] == 1
    (observation,) = of_type(found, "Observation")
    assert observation["bodySite"]["coding"][0]["code"] == "56459004"
    assert client.get("/r4/Observation").json()["total"] == 1
    gone = client.get(f"/r4/Observation/{old['id']}")
    assert gone.status_code == 410
    assert issues(checked(gone.json()))[0]["code"] == "deleted"
    assert client.get("/r4/ImagingStudy?bodysite=72696002").json()["total"] == 0
    back = bundle(client.annotate(make_dicom(BodyPartExamined="KNEE", **same)))
    (again,) = of_type(back, "Observation")
    assert (again["id"], again["meta"]["versionId"]) == (old["id"], "3")


def test_series_and_instances_of_a_study_merge_and_the_majority_names_the_site(
    client: Client,
) -> None:
    study_uid, series_uid = f"{ROOT}.9", f"{ROOT}.9.1"
    parts = ("KNEE", "KNEE", "FOOT")
    for number, part in enumerate(parts):
        bundle(
            client.annotate(
                make_dicom(
                    StudyInstanceUID=study_uid,
                    SeriesInstanceUID=series_uid,
                    BodyPartExamined=part,
                    InstanceNumber=number,
                )
            )
        )
    other = make_dicom(
        StudyInstanceUID=study_uid, Modality="CT", BodyPartExamined="HAND", SeriesNumber=9
    )
    found = bundle(client.annotate(other))
    (study,) = of_type(found, "ImagingStudy")
    assert (study["numberOfSeries"], study["numberOfInstances"]) == (2, 4)
    assert [one["code"] for one in study["modality"]] == ["CT", "DX"]
    by_uid = {series["uid"]: series for series in study["series"]}
    assert by_uid[series_uid]["bodySite"]["code"] == "72696002"
    sites = {one["bodySite"]["coding"][0]["code"] for one in of_type(found, "Observation")}
    # The outvoted 56459004 |Foot| is kept as an Observation.
    assert sites == {"72696002", "56459004", "85562004"}


def test_instances_sent_at_the_same_time_all_arrive(client: Client) -> None:
    study_uid = f"{ROOT}.11"
    contents = [
        make_dicom(StudyInstanceUID=study_uid, BodyPartExamined="CHEST", InstanceNumber=number)
        for number in range(12)
    ]
    statuses: list[int] = []

    def send(content: bytes) -> None:
        statuses.append(client.annotate(content).status_code)

    threads = [threading.Thread(target=send, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 12
    found = checked(client.get("/r4/ImagingStudy").json())
    assert found["total"] == 1
    (study,) = of_type(found, "ImagingStudy")
    assert study["numberOfInstances"] == 12
    assert study["meta"]["versionId"] == "12"


def test_good_files_go_through_beside_bad_ones(client: Client) -> None:
    files = [
        ("anything", ("good.dcm", make_dicom(BodyPartExamined="CHEST"))),
        ("file", ("notes.txt", b"no DICOM at all")),
        ("file", ("empty.dcm", b"")),
        ("file", ("more.zip", zipped(**{"in.dcm": make_dicom(BodyPartExamined="FOOT")}))),
    ]
    found = bundle(client.post("/r4/ImagingStudy/$annotate", files=files))
    assert len(of_type(found, "ImagingStudy")) == 2
    bad = issues(found)
    assert [issue["details"]["text"] for issue in bad] == ["notes.txt", "empty.dcm"]
    assert all(issue["severity"] == "error" for issue in bad)
    assert "0 bytes" in bad[1]["diagnostics"]


def test_nothing_is_stored_with_persist_false(client: Client) -> None:
    content = make_dicom(BodyPartExamined="CHEST")
    found = bundle(client.annotate(content, query="?persist=false"))
    assert of_type(found, "ImagingStudy")
    assert client.get("/r4/ImagingStudy").json()["total"] == 0


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_implicit.dcm",
        "ExplVR_BigEnd.dcm",
        "ExplVR_LitEndNoMeta.dcm",
        "image_dfl.dcm",
        "JPEG2000.dcm",
        "SC_rgb_rle.dcm",
        "liver_1frame.dcm",
        "rtstruct.dcm",
        "reportsi.dcm",
        "MR_small_padded.dcm",
        "examples_overlay.dcm",
    ],
)
def test_real_files_of_many_kinds_are_annotated(client: Client, name: str) -> None:
    found = bundle(client.annotate(sample(name)))
    (study,) = of_type(found, "ImagingStudy")
    assert study["series"][0]["instance"]


def test_a_truncated_image_with_a_whole_header_is_flagged(client: Client) -> None:
    content = sample("CT_small.dcm")
    found = bundle(client.annotate(content[:-5000]))
    (study,) = of_type(found, "ImagingStudy")
    assert any("ends before its pixel data" in note["text"] for note in study["note"])


def test_an_unknown_transfer_syntax_is_read_and_flagged(client: Client) -> None:
    content = make_dicom(BodyPartExamined="CHEST").replace(
        b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0"
    )
    found = bundle(client.annotate(content))
    (study,) = of_type(found, "ImagingStudy")
    assert study["series"][0]["bodySite"]["code"] == "816094009"
    assert any("transfer syntax" in note["text"] for note in study["note"])


@pytest.mark.parametrize(("form", "media"), [("PNG", "image/png"), ("JPEG", "image/jpeg")])
def test_a_picture_is_answered_with_what_is_known_of_it(
    client: Client, form: str, media: str
) -> None:
    found = bundle(client.annotate(picture(form), media, "?modality=DX"))
    assert not of_type(found, "ImagingStudy")
    (issue,) = issues(found)
    assert issue["severity"] == "warning"
    assert "No model is loaded" in issue["diagnostics"]
    assert "'DX'" in issue["diagnostics"]
    assert client.get("/r4/Observation").json()["total"] == 0


def test_a_zip_names_each_member_that_fails(client: Client) -> None:
    content = zipped(
        **{"a.dcm": make_dicom(BodyPartExamined="FOOT"), "../../x": b"text", ".DS_Store": b"x"}
    )
    found = bundle(client.annotate(content, "application/zip"))
    (issue,) = issues(found)
    assert issue["details"]["text"] == "request body!../../x"


def test_fhir_binary_and_parameters_carry_files(client: Client) -> None:
    data = base64.b64encode(make_dicom(BodyPartExamined="FOOT")).decode()
    binary = {"resourceType": "Binary", "contentType": "application/dicom", "data": data}
    attachment = {"title": "b.dcm", "contentType": "application/dicom", "data": data}
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "file", "resource": binary},
            {"name": "file", "valueAttachment": attachment},
        ],
    }
    for body in (binary, parameters):
        answer = client.annotate(json.dumps(body).encode(), "application/fhir+json")
        assert len(of_type(bundle(answer), "ImagingStudy")) == 1


def test_no_identifier_leaves_under_the_default_policy(client: Client) -> None:
    content = make_dicom(
        BodyPartExamined="HAND", StudyDescription="Hand Mustermann, geb. 12.08.1964"
    )
    text = client.annotate(content).text
    # Pseudonyms are hexadecimal: digits alone may stand in one by chance.
    plain = re.sub(r"\b[0-9a-f]{64}\b", "", text)
    for secret in ("4711", "0815", "Mustermann", "1964", "Erika"):
        assert secret not in plain
    (study,) = of_type(checked(json.loads(text)), "ImagingStudy")
    assert len(study["subject"]["identifier"]["value"]) == 64
    assert len(study["identifier"][1]["value"]) == 64


def test_policy_keep_shows_identifiers_but_never_the_name(serve: Callable[..., Client]) -> None:
    client = serve(phi="keep")
    text = client.annotate(make_dicom(BodyPartExamined="HAND")).text
    (study,) = of_type(checked(json.loads(text)), "ImagingStudy")
    assert study["subject"]["identifier"]["value"] == "P-4711"
    assert study["identifier"][1]["value"] == "ACC-0815"
    assert "Mustermann" not in text
    assert "19640812" not in text
    assert client.get("/r4/ImagingStudy?identifier=ACC-0815").json()["total"] == 1


def test_policy_drop_replaces_uids_and_masks_the_subject(serve: Callable[..., Client]) -> None:
    client = serve(phi="drop")
    content = make_dicom(BodyPartExamined="HAND")
    text = client.annotate(content).text
    (study,) = of_type(checked(json.loads(text)), "ImagingStudy")
    assert ROOT not in text
    assert study["identifier"][0]["value"].startswith("urn:oid:2.25.")
    assert study["subject"]["extension"][0]["valueCode"] == "masked"
    assert study["started"] == "2026"
    assert client.annotate(content).json()["entry"][0]["resource"]["meta"]["versionId"] == "1"


def test_a_study_without_a_patient_id_says_so(client: Client) -> None:
    found = bundle(client.annotate(make_dicom(PatientID=None, BodyPartExamined="HAND")))
    (study,) = of_type(found, "ImagingStudy")
    assert study["subject"]["extension"][0]["valueCode"] == "unknown"


def test_an_image_whose_site_is_not_known_has_no_observation(client: Client) -> None:
    found = bundle(client.annotate(make_dicom(BodyPartExamined="XXX", StudyDescription="TEST")))
    assert not of_type(found, "Observation")
    (study,) = of_type(found, "ImagingStudy")
    assert "bodySite" not in study["series"][0]
    assert issues(found)[0]["severity"] == "information"


class _Model:
    """A model that sees a foot in everything."""

    name = "Test net"
    version = "7"

    def predict(self, source: bytes) -> Prediction:
        assert source
        return Prediction("Test net 7", examined=(Site("56459004", "Foot", None, 0.7),))


def test_a_model_answers_pictures_and_joins_headers(
    store: SqlStore, terminology: Terminology
) -> None:
    app = create_app(Settings(), terminology=terminology, store=store, predictor=_Model())
    client = Client(app)
    (issue,) = issues(bundle(client.annotate(picture(), "image/png")))
    assert "56459004 |Foot|" in issue["diagnostics"]
    found = bundle(client.annotate(make_dicom(BodyPartExamined="XXX")))
    (observation,) = of_type(found, "Observation")
    assert observation["bodySite"]["coding"][0]["code"] == "56459004"
    names = {one["deviceName"][0]["name"] for one in of_type(found, "Device")}
    assert names == {"Bodysite header reader", "Test net"}


class _Failing(_Model):
    """A model that fails for one image in its own words, or in a way that nobody foresaw."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error

    def predict(self, source: bytes) -> Prediction:
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return _Model.predict(self, source)


UNREADABLE = PredictionError("pixels", "the image has 0 rows", "an image with pixels", "Check it.")


def test_the_header_answers_alone_where_the_model_cannot(terminology: Terminology) -> None:
    guard = PhiGuard(PhiPolicy.KEEP, bytes(32))
    annotator = Annotator(terminology, guard, Limits(), _Failing(UNREADABLE))
    contents = [make_dicom(BodyPartExamined="HAND") for _ in range(2)]
    items = [Item(f"{number}.dcm", io.BytesIO(one)) for number, one in enumerate(contents)]
    first, second = annotator.annotate_all(items)
    assert isinstance(first, Annotated)
    assert isinstance(second, Annotated)
    for one in (first.annotation, second.annotation):
        assert [examined.site.code for examined in one.examined] == ["85562004"]
    assert first.annotation.relation == Relation.HEADER_ONLY
    (note,) = first.annotation.notes
    assert note.startswith("The model has no answer for the image (the image has 0 rows)")
    assert note.endswith("rests on the header alone.")
    assert second.annotation.image
    assert second.annotation.notes == ()


def test_a_picture_fails_alone_where_the_model_cannot_answer(
    store: SqlStore, terminology: Terminology
) -> None:
    model = _Failing(UNREADABLE)
    app = create_app(Settings(), terminology=terminology, store=store, predictor=model)
    files = [("file", (name, picture())) for name in ("a.png", "b.png")]
    found = bundle(Client(app).post("/r4/ImagingStudy/$annotate", files=files))
    refused, answered = issues(found)
    assert (refused["severity"], refused["code"]) == ("error", "processing")
    assert refused["details"]["text"] == "a.png"
    assert "the image has 0 rows" in refused["diagnostics"]
    assert "56459004 |Foot|" in answered["diagnostics"]


@pytest.mark.parametrize("unforeseen", [KeyError("Mustermann"), ValueError("Mustermann")])
def test_a_fault_of_ours_is_not_called_damage_and_ends_no_batch(
    client: Client,
    terminology: Terminology,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    unforeseen: Exception,
) -> None:
    read = type(terminology.header).read

    def fails_for_feet(reader: Any, dataset: Any) -> Any:
        if dataset.BodyPartExamined == "FOOT":
            raise unforeseen
        return read(reader, dataset)

    monkeypatch.setattr(type(terminology.header), "read", fails_for_feet)
    foot = make_dicom(BodyPartExamined="FOOT")
    files = [
        ("file", ("foot.dcm", foot)),
        ("file", ("hand.dcm", make_dicom(BodyPartExamined="HAND"))),
    ]
    found = bundle(client.post("/r4/ImagingStudy/$annotate", files=files))
    (study,) = of_type(found, "ImagingStudy")
    assert study["series"][0]["bodySite"]["code"] == "85562004"
    (issue,) = issues(found)
    assert (issue["code"], issue["details"]["text"]) == ("exception", "foot.dcm")
    assert "fault of the service" in issue["diagnostics"]
    assert "damaged" not in issue["diagnostics"]
    alone = client.annotate(foot)
    assert alone.status_code == 500
    assert issues(checked(alone.json()))[0]["code"] == "exception"
    assert f"unexpected {type(unforeseen).__name__} at " in caplog.text
    assert "fails_for_feet" in caplog.text
    assert "Mustermann" not in caplog.text + json.dumps(found)


def test_a_model_that_fails_in_an_unforeseen_way_ends_no_batch(
    store: SqlStore, terminology: Terminology
) -> None:
    model = _Failing(RuntimeError("out of memory"))
    app = create_app(Settings(), terminology=terminology, store=store, predictor=model)
    names = ("a.dcm", "b.dcm")
    files = [("file", (name, make_dicom(BodyPartExamined="HAND"))) for name in names]
    found = bundle(Client(app).post("/r4/ImagingStudy/$annotate", files=files))
    assert len(of_type(found, "ImagingStudy")) == 1
    (issue,) = issues(found)
    assert (issue["code"], issue["details"]["text"]) == ("exception", "a.dcm")
