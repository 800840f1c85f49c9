"""POST /r4/ImagingStudy/$annotate with a model that reads pixels."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import os
import signal
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import JPEGLosslessSV1

from api.app import create_app
from api.limits import Limits
from api.model.cancel import cancellation
from api.model.loading import Model
from api.model.served import ServedPredictor
from api.pixels.syntaxes import is_risky
from api.settings import Settings
from api.store import SqlStore
from classifier.serving.predictor import load_predictor
from terminology.library import Terminology
from tests.api.checks import checked, issues, of_type
from tests.api.client import Client
from tests.api.conftest import ROOT, make_dicom, sample
from tests.api.model.conftest import xray
from tests.api.model.tiny import FOOT, HAND, drawn, encoded

SNOMED = "http://snomed.info/sct"
OWN = "https://w3id.org/bodysite/CodeSystem"
Reading = Callable[..., Client]


def bundle(response: Any) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    return checked(response.json())


def by_kind(found: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the Observations of examined sites, and those of visible ones."""
    examined, visible = [], []
    for one in of_type(found, "Observation"):
        is_visible = one["code"]["coding"][0]["code"] == "visible"
        (visible if is_visible else examined).append(one)
    return examined, visible


def components(observation: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the components by the code of what they say."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in observation["component"]:
        found.setdefault(one["code"]["coding"][0]["code"], []).append(one)
    return found


def value(component: dict[str, Any]) -> str:
    return component["valueCodeableConcept"]["coding"][0]["code"]


PICTURES = [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("TIFF", "image/tiff")]


@pytest.mark.parametrize(("form", "media"), PICTURES)
@pytest.mark.parametrize("part", [HAND, FOOT])
def test_a_picture_is_answered_by_the_model(
    reading: Reading, form: str, media: str, part: str
) -> None:
    client = reading()
    content = encoded(drawn(part), form)
    found = bundle(client.annotate(content, media))
    assert not of_type(found, "ImagingStudy")
    (examined,), (visible,) = by_kind(found)
    assert examined["bodySite"]["coding"][0]["code"] == part
    assert examined["status"] == "preliminary"
    assert "derivedFrom" not in examined
    assert examined["identifier"][0]["value"] == hashlib.sha256(content).hexdigest()
    assert visible["identifier"] == examined["identifier"]
    said = components(examined)
    assert value(said["121139"][0]) == "DX"
    assert value(said["111031"][0]) == "272479007"
    assert 50 < said["view-confidence"][0]["valueQuantity"]["value"] <= 100
    assert value(said["router-group"][0]) == "other"
    assert value(said["relation"][0]) == "IMAGE_ONLY"
    assert said["111012"][0]["valueQuantity"]["value"] > 95
    assert value(said["answer-image"][0]) == part
    assert "answer-header" not in said
    shown = components(visible)
    assert shown[part][0]["valueQuantity"]["value"] > 50
    assert not ({HAND, FOOT} - {part}) & set(shown)
    (issue,) = issues(found)
    assert (issue["severity"], issue["code"]) == ("information", "informational")
    assert "no UIDs" in issue["diagnostics"]


def test_device_and_provenance_name_the_model_and_the_reader(reading: Reading) -> None:
    client = reading()
    found = bundle(client.annotate(xray(drawn(HAND), BodyPartExamined="HAND")))
    devices = {one["deviceName"][0]["name"]: one for one in of_type(found, "Device")}
    assert set(devices) == {"Bodysite header reader", "Tiny model"}
    model = devices["Tiny model"]
    versions = {one["type"]["text"]: one["value"] for one in model["version"]}
    assert versions["software"] == "3"
    assert len(versions["sha256"]) == 64
    (classes,) = model["property"]
    assert {one["coding"][0]["code"] for one in classes["valueCode"]} == {HAND, FOOT}
    (provenance,) = of_type(found, "Provenance")
    agents = {one["who"]["reference"] for one in provenance["agent"]}
    assert agents == {f"Device/{one['id']}" for one in devices.values()}
    _, (visible,) = by_kind(found)
    assert visible["device"]["reference"] == f"Device/{model['id']}"
    health = client.get("/health").json()["model"]
    assert health == {
        "loaded": True,
        "name": "Tiny model",
        "version": "3",
        "sha256": versions["sha256"],
        "classes": 2,
    }


def test_a_header_and_an_image_that_agree_give_one_answer(reading: Reading) -> None:
    content = xray(drawn(HAND), BodyPartExamined="HAND", ImageLaterality="L", ViewPosition="PA")
    found = bundle(reading().annotate(content))
    (study,) = of_type(found, "ImagingStudy")
    assert study["series"][0]["bodySite"]["code"] == HAND
    assert study["series"][0]["laterality"]["code"] == "7771000"
    (site,) = study["extension"]
    assert site["url"] == "https://w3id.org/bodysite/StructureDefinition/examined-body-site"
    assert site["valueCodeableConcept"]["coding"][0]["code"] == HAND
    (examined,), (visible,) = by_kind(found)
    assert value(components(examined)["relation"][0]) == "EQUAL"
    assert "interpretation" not in examined
    assert visible["derivedFrom"] == examined["derivedFrom"]
    assert HAND in components(visible)
    assert not issues(found)


def test_a_contradiction_is_flagged_and_the_header_kept_as_evidence(reading: Reading) -> None:
    found = bundle(reading().annotate(xray(drawn(HAND), BodyPartExamined="FOOT")))
    examined, _ = by_kind(found)
    flagged = [one for one in examined if "interpretation" in one]
    assert flagged
    (first,) = flagged
    assert first["interpretation"][0]["coding"][0] == {
        "system": f"{OWN}/annotation",
        "code": "review-needed",
        "display": "A person should look",
    }
    assert first["status"] == "preliminary"
    said = components(first)
    assert value(said["relation"][0]) == "CONFLICT"
    assert "conflict" in {value(one) for one in said["review"]}
    assert value(said["answer-header"][0]) == FOOT
    assert value(said["answer-image"][0]) == HAND
    assert any("BodyPartExamined" in note["text"] for note in first["note"])


def test_pictures_are_stored_found_and_never_doubled(reading: Reading) -> None:
    client = reading()
    content = encoded(drawn(HAND))
    first = bundle(client.annotate(content, "image/png"))
    assert bundle(client.annotate(content, "image/png"))["entry"][:-1] == first["entry"][:-1]
    for entry in first["entry"][:-1]:
        address = entry["fullUrl"].removeprefix("http://testserver")
        assert client.get(address).json() == entry["resource"]
    # 53120007 |Upper limb|.
    found = checked(client.get(f"/r4/Observation?body-site:below={SNOMED}|53120007").json())
    assert found["total"] == 1
    shown = checked(client.get(f"/r4/Observation?visible-site:below={SNOMED}|53120007").json())
    assert [one["resource"]["code"]["text"] for one in shown["entry"]] == ["Visible body sites"]
    assert client.get(f"/r4/Observation?visible-site={FOOT}").json()["total"] == 0
    coded = f"/r4/Observation?code={OWN}/annotation|visible"
    assert checked(client.get(coded).json())["total"] == 1
    bundle(client.annotate(encoded(drawn(HAND, seed=2)), "image/png"))
    assert client.get(coded).json()["total"] == 2


def test_nothing_of_a_picture_is_stored_with_persist_false(reading: Reading) -> None:
    client = reading()
    stored = bundle(client.annotate(encoded(drawn(HAND)), "image/png", "?persist=false"))
    assert len(of_type(stored, "Observation")) == 2
    assert client.get("/r4/Observation").json()["total"] == 0
    kept = bundle(client.annotate(encoded(drawn(HAND)), "image/png"))
    assert [one["id"] for one in of_type(kept, "Observation")] == [
        one["id"] for one in of_type(stored, "Observation")
    ]


def test_what_the_caller_says_of_a_picture_goes_before_the_model(reading: Reading) -> None:
    found = bundle(reading().annotate(encoded(drawn(HAND)), "image/png", "?modality=CR"))
    (examined,), _ = by_kind(found)
    assert value(components(examined)["121139"][0]) == "CR"


def test_under_the_policy_drop_no_hash_of_a_file_leaves(reading: Reading) -> None:
    content = encoded(drawn(HAND))
    answer = reading(phi="drop").annotate(content, "image/png")
    (examined,), _ = by_kind(bundle(answer))
    assert hashlib.sha256(content).hexdigest() not in answer.text
    assert len(examined["identifier"][0]["value"]) == 64


def test_dicom_and_picture_of_the_same_pixels_are_answered_alike(reading: Reading) -> None:
    client = reading()
    of_dicom, _ = by_kind(bundle(client.annotate(xray(drawn(FOOT)))))
    of_picture, _ = by_kind(bundle(client.annotate(encoded(drawn(FOOT)), "image/png")))
    sure = [components(one)["111012"][0]["valueQuantity"] for one in (of_dicom[0], of_picture[0])]
    assert sure[0] == sure[1]


def test_zip_multipart_and_parameters_carry_pictures(reading: Reading) -> None:
    client = reading()
    hand, foot = encoded(drawn(HAND)), encoded(drawn(FOOT), "TIFF")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.png", hand)
        archive.writestr("b.tif", foot)
    attachments = [
        {"name": "file", "valueAttachment": {"data": base64.b64encode(one).decode()}}
        for one in (hand, foot)
    ]
    parameters = {"resourceType": "Parameters", "parameter": attachments}
    files = [("file", ("a.png", hand)), ("file", ("b.tif", foot))]
    for answer in (
        client.annotate(packed.getvalue(), "application/zip"),
        client.post("/r4/ImagingStudy/$annotate", files=files),
        client.annotate(json.dumps(parameters).encode(), "application/fhir+json"),
    ):
        examined, visible = by_kind(bundle(answer))
        assert {one["bodySite"]["coding"][0]["code"] for one in examined} == {HAND, FOOT}
        assert len(visible) == 2


def test_a_bad_image_is_named_and_its_header_stands_alone(reading: Reading) -> None:
    torn = xray(drawn(FOOT), BodyPartExamined="HAND")[:-2000]
    files = [
        ("file", ("torn.dcm", torn)),
        ("file", ("good.dcm", xray(drawn(FOOT), BodyPartExamined="FOOT"))),
        ("file", ("torn.png", encoded(drawn(HAND))[:300])),
    ]
    found = bundle(reading().post("/r4/ImagingStudy/$annotate", files=files))
    sites = {one["series"][0]["bodySite"]["code"] for one in of_type(found, "ImagingStudy")}
    assert sites == {HAND, FOOT}
    said = {one["details"]["text"]: one for one in issues(found)}
    assert set(said) == {"torn.dcm", "torn.png"}
    assert said["torn.dcm"]["severity"] == "warning"
    assert "rests on the header alone" in said["torn.dcm"]["diagnostics"]
    assert said["torn.png"]["severity"] == "error"


def test_what_holds_no_image_is_said_to_hold_none(reading: Reading) -> None:
    files = [
        ("file", (f"{name}.dcm", content))
        for name, content in (
            ("report", make_dicom(BodyPartExamined="HAND")),
            ("header", make_dicom(BodyPartExamined="FOOT")),
            ("image", xray(drawn(FOOT), BodyPartExamined="FOOT")),
        )
    ]
    found = bundle(reading().post("/r4/ImagingStudy/$annotate", files=files))
    assert len(of_type(found, "ImagingStudy")) == 3
    (issue,) = issues(found)
    assert (issue["severity"], issue["code"]) == ("information", "informational")
    assert "report.dcm, header.dcm" in issue["diagnostics"]
    assert "image.dcm" not in issue["diagnostics"]


def test_an_image_that_the_model_refuses_says_why(reading: Reading) -> None:
    blank = drawn(HAND)
    blank[:] = 7
    found = bundle(reading().annotate(encoded(blank), "image/png"))
    assert not of_type(found, "Observation")
    (issue,) = issues(found)
    assert issue["severity"] == "warning"
    assert "A person should look: blank" in issue["diagnostics"]


def test_views_of_one_part_and_two_series_give_the_sites_of_the_study(reading: Reading) -> None:
    client = reading()
    study = {"StudyInstanceUID": f"{ROOT}.901"}
    first = {**study, "SeriesInstanceUID": f"{ROOT}.902"}
    files = [
        xray(drawn(HAND, 1), **first),
        xray(drawn(HAND, 2), **first),
        xray(drawn(FOOT, 3), **first),
        xray(drawn(FOOT, 4), **study, SeriesInstanceUID=f"{ROOT}.903"),
    ]
    for content in files:
        found = bundle(client.annotate(content))
    (built,) = of_type(found, "ImagingStudy")
    by_uid = {one["uid"]: one["bodySite"]["code"] for one in built["series"]}
    assert by_uid == {f"{ROOT}.902": HAND, f"{ROOT}.903": FOOT}
    sites = [one["valueCodeableConcept"]["coding"][0]["code"] for one in built["extension"]]
    assert sites == [FOOT, HAND]
    _, visible = by_kind(found)
    shown = {one["extension"][0]["valueId"]: set(components(one)) for one in visible}
    assert {HAND, FOOT} <= shown[f"{ROOT}.902"]
    assert HAND not in shown[f"{ROOT}.903"]


def test_requests_at_the_same_time_are_answered_each_with_its_own(reading: Reading) -> None:
    client = reading()
    contents = [
        encoded(drawn(HAND if number % 2 else FOOT, number))
        if number % 5
        else b"\x89PNG\r\n\x1a\n torn"
        for number in range(20)
    ]

    def send(content: bytes) -> Any:
        return client.annotate(content, "image/png", "?persist=false")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, contents))
    for number, answer in enumerate(answers):
        if number % 5 == 0:
            assert answer.status_code == 422
            continue
        (examined,), _ = by_kind(bundle(answer))
        assert examined["bodySite"]["coding"][0]["code"] == (HAND if number % 2 else FOOT)
    counted = client.get("/metrics").text
    assert "bodysite_model_batch_frames_count" in counted
    assert "bodysite_decoders_lost_total 0.0" in counted


@pytest.mark.parametrize("name", ["SC_rgb_jpeg_gdcm.dcm", "JPEG-lossy.dcm"])
def test_what_gdcm_decodes_is_decoded_in_another_process(reading: Reading, name: str) -> None:
    whole = sample(name)
    assert is_risky(whole)
    client = reading()
    found = bundle(client.annotate(whole))
    assert not [one for one in issues(found) if one["severity"] != "information"]
    assert of_type(found, "Device")[-1]["deviceName"][0]["name"] == "Tiny model"
    torn = bundle(client.annotate(whole[: len(whole) * 2 // 3]))
    (issue,) = [one for one in issues(torn) if one["severity"] == "warning"]
    assert "header alone" in issue["diagnostics"]
    assert len(of_type(torn, "ImagingStudy")) == 1


class Deadly:
    """Makes images ready as another does, but dies of one that names itself deadly."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __call__(self, content: bytes) -> Any:
        if b"DEADLY" in content:
            os.kill(os.getpid(), signal.SIGSEGV)
        return self.inner(content)


def test_an_image_that_kills_its_decoder_concerns_no_other(
    model_file: Path, store: SqlStore, terminology: Terminology
) -> None:
    inner = load_predictor(model_file, terminology.graph, threads=1)
    inner.preparer = Deadly(inner.preparer)  # type: ignore[assignment]
    with Model(ServedPredictor(inner, Limits())) as model:
        app = create_app(
            Settings(), terminology=terminology, store=store, predictor=model.predictor
        )
        client = Client(app)
        whole = sample("SC_rgb_jpeg_gdcm.dcm")
        deadly = xray(
            drawn(HAND),
            BodyPartExamined="FOOT",
            StudyDescription="DEADLY",
            SeriesDescription=JPEGLosslessSV1,
        )
        files = [("file", (name, one)) for name, one in (("x.dcm", deadly), ("y.dcm", whole))]
        found = bundle(client.post("/r4/ImagingStudy/$annotate", files=files))
        assert len(of_type(found, "ImagingStudy")) == 2
        (issue,) = [one for one in issues(found) if one["severity"] == "warning"]
        assert issue["details"]["text"] == "x.dcm"
        assert "SIGSEGV" in issue["diagnostics"]
        assert "DEADLY" not in json.dumps(found)
        sites = {one["bodySite"]["coding"][0]["code"] for one in by_kind(found)[0]}
        assert FOOT in sites
        assert "bodysite_decoders_lost_total 1.0" in client.get("/metrics").text


def test_an_abandoned_request_is_not_worked_for(reading: Reading) -> None:
    client = reading()
    begun, left = threading.Event(), threading.Event()
    body = [{"type": "http.request", "body": encoded(drawn(HAND))}]
    sent: list[Any] = []

    async def receive() -> Any:
        if body:
            return body.pop()
        await asyncio.to_thread(begun.wait, 10)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    predict = ServedPredictor.predict

    def waits_for_the_end(served: ServedPredictor, source: bytes) -> Any:
        token = cancellation()
        assert token is not None
        begun.set()
        assert token.wait(10)
        left.set()
        return predict(served, source)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/r4/ImagingStudy/$annotate",
        "raw_path": b"/r4/ImagingStudy/$annotate",
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [(b"content-type", b"image/png"), (b"host", b"testserver")],
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 1),
        "http_version": "1.1",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ServedPredictor, "predict", waits_for_the_end)
        asyncio.run(client.app(scope, receive, send))
    assert left.is_set()
    assert sent[0]["status"] == 400
    assert client.get("/r4/Observation").json()["total"] == 0
